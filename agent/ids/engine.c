// SPDX-License-Identifier: Apache-2.0
/* Events of packets become alerts; the engine's life on the loop. */
#include "ids/engine.h"

#include <errno.h>
#include <event2/event.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "ids/document.h"
#include "ids/engine_parts.h"
#include "ids/key.h"
#include "ids/names.h"
#include "ids/state.h"
#include "policy/hash.h"

#define TICK_MS	     50
#define EVENTS_MAX   1024 /* of one turn of the loop */
#define NS_PER_S     1000000000ull
#define SWEEP_ROUNDS (1000 / TICK_MS)

/* --- what alerts have in common ------------------------------------------------------------ */

/* Since 1970. */
static uint64_t wall(uint64_t monotonic, uint64_t now)
{
	struct timespec time;
	uint64_t real;

	if (!monotonic)
		return 0;
	clock_gettime(CLOCK_REALTIME, &time);
	real = (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
	return real + monotonic - now;
}

static const struct sl_ids_rule *rule_of(const struct sl_ids_engine *engine, const struct sluice_ids_key *key)
{
	return sl_ids_rules_at(engine->config.rules,
			       sl_ids_rules_by_identity(engine->config.rules, key->rule));
}

static void fill_rule(struct sl_ids_alert *alert, const struct sl_ids_rule *rule, uint32_t limit)
{
	alert->rule = SL_IDS_RESERVED_NAME;
	alert->category = "operator";
	alert->severity = 2;
	alert->count = alert->kind = "";
	if (!rule)
		return;
	alert->rule = rule->name;
	alert->signature = rule->number;
	alert->revision = rule->content;
	alert->category = rule->category;
	alert->severity = rule->severity;
	alert->verdict = sl_ids_verdict_name(rule->image.verdict);
	alert->observe = rule->image.flags & SLUICE_IDS_OBSERVE;
	alert->count = sl_ids_count_name(rule->image.count);
	if (limit >= rule->image.limit_count)
		return;
	alert->limit = rule->image.limit[limit].count;
	alert->window_ns = rule->image.limit[limit].window_ns;
	alert->kind = sl_ids_limit_kind(&rule->image, limit);
}

static void fill_until(struct sl_ids_alert *alert, const struct sl_ids_block *block, uint64_t now)
{
	const struct sluice_ids_block *value = &block->value;
	uint64_t until = value->hard_ns;

	if (value->idle_ns && (!until || value->last_ns + value->idle_ns < until))
		until = value->last_ns + value->idle_ns;
	alert->level = value->level;
	alert->until_ns = wall(until, now);
}

/* What becomes of the key's packets while it is in force. */
static const char *action_of(const struct sluice_ids_block *value)
{
	switch (value->verdict) {
	case SLUICE_IDS_ALERT:
	case SLUICE_IDS_NOTIFY:
	case SLUICE_IDS_MIRROR:
		return "allowed";
	default:
		return value->flags & SLUICE_IDS_BLOCK_OBSERVE ? "allowed" : "blocked";
	}
}

static void tell(struct sl_ids_engine *engine, struct sl_ids_alert *alert, const struct sl_ids_rule *rule,
		 const struct sluice_ids_key *key)
{
	alert->sequence = ++engine->sequence;
	engine->stats.alerts++;
	if (engine->config.on_alert)
		engine->config.on_alert(alert, rule, key, engine->config.user);
}

static void alert_block(struct sl_ids_engine *engine, const struct sl_ids_block *block, const char *reason,
			uint64_t now)
{
	const struct sl_ids_rule *rule = rule_of(engine, &block->key);
	const struct sl_ids_packet *packet = &block->packet;
	char key[SL_IDS_KEY_TEXT], address[SL_ADDRESS_TEXT] = "";
	struct sl_ids_alert alert = {
		.type = reason ? SL_IDS_ALERT_UNBLOCK : SL_IDS_ALERT_BLOCK,
		.time_ns = wall(reason ? now : block->value.since_ns, now),
		.flow_id =
			packet->flow_id ? packet->flow_id : sl_hash(1, &block->key, sizeof(block->key)) >> 11,
		.verdict = sl_ids_verdict_name(block->value.verdict),
		.imsi = block->imsi,
		.session_address = address,
		.apn = block->apn,
		.pcc_rule = "",
		.track = sl_ids_track_name(block->key.track),
		.key = sl_ids_key_format(&block->key, key),
		.observed = block->observed,
		.reason = reason ? reason : block->reason,
		.hits = block->value.hits,
		.direction = packet->direction,
		.family = packet->family,
		.protocol = packet->protocol,
		.source_port = packet->source_port,
		.destination_port = packet->destination_port,
	};

	if (block->session.family)
		sl_address_format(&block->session, address);
	memcpy(alert.source, packet->source, sizeof(alert.source));
	memcpy(alert.destination, packet->destination, sizeof(alert.destination));
	if (packet->ifindex)
		if_indextoname(packet->ifindex, alert.interface);
	fill_rule(&alert, rule, block->limit);
	fill_until(&alert, block, now);
	alert.action = reason ? "allowed" : action_of(&block->value);
	tell(engine, &alert, rule, &block->key);
}

void sl_ids_alert_excess(struct sl_ids_engine *engine, const struct sl_ids_rule *rule,
			 const struct sluice_ids_key *key, uint32_t limit, uint64_t observed, uint64_t now)
{
	char text[SL_IDS_KEY_TEXT], imsi[SLUICE_IMSI_SIZE] = "";
	struct sl_ids_alert alert = {
		.type = SL_IDS_ALERT_EXCESS,
		.time_ns = wall(now, now),
		.flow_id = sl_hash(1, key, sizeof(*key)) >> 11,
		/* the packets that were counted have passed */
		.action = "allowed",
		.imsi = imsi,
		.session_address = "",
		.apn = "",
		.pcc_rule = "",
		.track = sl_ids_track_name(key->track),
		.key = sl_ids_key_format(key, text),
		.observed = observed,
		.reason = "",
	};

	if (key->track == SLUICE_IDS_SUBSCRIBER || key->track == SLUICE_IDS_SUBSCRIBER_RULE)
		memcpy(imsi, key->local, sizeof(imsi) - 1);
	fill_rule(&alert, rule, limit);
	tell(engine, &alert, rule, key);
}

/* --- events --------------------------------------------------------------------------------- */

/* Each rule on each CPU counts its records before it knows whether there is room. True: the first that is
 * seen. */
static bool count_lost(struct sl_ids_engine *engine, const struct sluice_ids_event *event)
{
	uint64_t *last, lost;
	bool first;

	if (event->cpu >= engine->cpus || event->rule >= SLUICE_IDS_RULES)
		return false;
	last = &engine->last[event->rule * engine->cpus + event->cpu];
	lost = *last && event->sequence > *last + 1 ? event->sequence - *last - 1 : 0;
	first = *last == 0;
	*last = event->sequence;
	engine->stats.lost += lost;
	engine->lost_untold += lost;
	return first;
}

/* The kernel says how many in all; these are those since the rule's last event on this CPU. */
static uint64_t suppressed_since(struct sl_ids_engine *engine, const struct sluice_ids_event *event,
				 bool first)
{
	uint64_t *before, since;

	if (event->cpu >= engine->cpus || event->rule >= SLUICE_IDS_RULES)
		return 0;
	before = &engine->untold[event->rule * engine->cpus + event->cpu];
	/* another rule has the slot since */
	if (event->suppressed < *before)
		*before = 0;
	since = event->suppressed - *before;
	*before = event->suppressed;
	/* what an agent before this one has told of */
	return first && event->sequence > 1 ? 0 : since;
}

static void tell_lost(struct sl_ids_engine *engine, uint64_t now)
{
	struct sl_ids_alert alert = {
		.type = SL_IDS_ALERT_LOST,
		.time_ns = wall(now, now),
		.action = "allowed",
		.verdict = "",
		.imsi = "",
		.session_address = "",
		.apn = "",
		.pcc_rule = "",
		.track = "",
		.key = "",
		.observed = engine->lost_untold,
		.reason = "ring-full",
	};

	if (!engine->lost_untold || now < engine->lost_told_ns + NS_PER_S)
		return;
	fill_rule(&alert, NULL, 0);
	engine->lost_told_ns = now;
	engine->lost_untold = 0;
	tell(engine, &alert, NULL, NULL);
}

static enum sl_ids_alert_type type_of(const struct sluice_ids_event *event)
{
	switch (event->type) {
	case SLUICE_IDS_EVENT_EXTEND:
		return SL_IDS_ALERT_EXTEND;
	case SLUICE_IDS_EVENT_FULL:
		return SL_IDS_ALERT_FULL;
	default:
		return SL_IDS_ALERT_EXCESS;
	}
}

/* `begun`: the block that it has made, so that both are told as one; NULL: none. */
static void alert_packet(struct sl_ids_engine *engine, const struct sluice_ids_event *event,
			 const struct sl_ids_block *begun, uint64_t suppressed, uint64_t now)
{
	const struct sl_maps *maps = sl_datapath_maps(engine->config.datapath);
	const struct sl_ids_rule *rule = rule_of(engine, &event->key);
	struct sluice_session_record session = {.family = 0};
	const char *imsi = NULL, *pcc_rule = NULL;
	char key[SL_IDS_KEY_TEXT], address[SL_ADDRESS_TEXT] = "";
	const struct sl_ids_block *block = begun;
	struct sl_ids_alert alert = {
		.type = begun ? SL_IDS_ALERT_BLOCK : type_of(event),
		.time_ns = wall(event->time_ns, now),
		.flow_id = sl_ids_flow_id(event),
		.action = begun		   ? action_of(&begun->value)
			  : event->dropped ? "blocked"
					   : "allowed",
		.verdict = sl_ids_verdict_name(event->verdict),
		.track = sl_ids_track_name(event->key.track),
		.key = sl_ids_key_format(&event->key, key),
		.observed = event->observed,
		.reason = event->type == SLUICE_IDS_EVENT_FULL ? "table-full" : "",
		.suppressed = suppressed,
		.direction = event->direction,
		.family = event->family,
		.protocol = event->protocol,
		.source_port = event->source_port,
		.destination_port = event->destination_port,
		.captured = event->captured,
		.bytes = event->bytes,
		.l3 = event->l3,
		.headers = event->headers,
	};

	if (event->session < maps->size.sessions)
		session = maps->sessions[event->session];
	if (session.family) {
		struct sl_address of = {.family = session.family};

		memcpy(of.bytes, session.address, sizeof(of.bytes));
		sl_address_format(&of, address);
	}
	session.imsi[sizeof(session.imsi) - 1] = '\0';
	session.apn[sizeof(session.apn) - 1] = '\0';
	if (event->usage < maps->size.usage)
		sl_control_owner(engine->config.control, event->usage, &imsi, &pcc_rule);
	memcpy(alert.source, event->source, sizeof(alert.source));
	memcpy(alert.destination, event->destination, sizeof(alert.destination));
	if_indextoname(event->ifindex, alert.interface);
	alert.imsi = session.imsi;
	alert.session_address = address;
	alert.apn = session.apn;
	alert.pcc_rule = pcc_rule ? pcc_rule : "";
	fill_rule(&alert, rule, event->limit);
	if (!begun)
		block = sl_ids_blocks_find(engine->blocks, &event->key);
	if (block)
		fill_until(&alert, block, now);
	tell(engine, &alert, rule, &event->key);
}

struct turn {
	struct sl_ids_engine *engine;
	uint64_t now;
};

static void on_event(const struct sluice_ids_event *event, void *user)
{
	struct turn *turn = user;
	struct sl_ids_engine *engine = turn->engine;
	const struct sl_maps *maps = sl_datapath_maps(engine->config.datapath);
	char imsi[SLUICE_IMSI_SIZE] = "";
	bool first;

	engine->stats.events++;
	first = count_lost(engine, event);
	engine->event = event;
	engine->event_suppressed = suppressed_since(engine, event, first);
	if (event->session < maps->size.sessions)
		memcpy(imsi, maps->sessions[event->session].imsi, sizeof(imsi) - 1);
	if (event->type == SLUICE_IDS_EVENT_BLOCK)
		sl_ids_blocks_seen(engine->blocks, &event->key, event, imsi, turn->now);
	/* else the beginning of the block has told it */
	if (engine->event)
		alert_packet(engine, event, NULL, engine->event_suppressed, turn->now);
	engine->event = NULL;
}

static void consume(struct sl_ids_engine *engine, uint64_t now)
{
	struct turn turn = {.engine = engine, .now = now};
	int rc = sl_ids_events_consume(engine->config.datapath, EVENTS_MAX, on_event, &turn);

	if (rc < 0)
		sl_log(SL_LOG_ERROR, "ids-events-unreadable", "reason", "%s", strerror(-rc), NULL);
}

static void settle(struct sl_ids_engine *engine, uint64_t now)
{
	sl_ids_escalate(engine, now);
	tell_lost(engine, now);
	if (engine->config.on_batch)
		engine->config.on_batch(engine->config.user);
}

void sl_ids_engine_events(struct sl_ids_engine *engine, uint64_t now)
{
	consume(engine, now);
	settle(engine, now);
}

/* --- blocks -------------------------------------------------------------------------------------- */

struct only {
	struct sl_session_view view;
	uint32_t count;
};

static int count_sessions(const struct sl_session_view *view, void *user)
{
	struct only *only = user;

	only->view = *view;
	return ++only->count > 1;
}

static void set_session(struct sl_ids_block *block, const struct sluice_session_record *record)
{
	block->session.family = record->family;
	memcpy(block->session.bytes, record->address, sizeof(block->session.bytes));
	memcpy(block->apn, record->apn, sizeof(block->apn) - 1);
	if (!block->imsi[0])
		memcpy(block->imsi, record->imsi, sizeof(block->imsi) - 1);
}

/* Of whom there is one session only, it is that. */
static void find_only_session(struct sl_ids_engine *engine, struct sl_ids_block *block)
{
	struct only only = {.count = 0};

	sl_control_each_session_of(engine->config.control, block->imsi, count_sessions, &only);
	if (only.count == 1)
		set_session(block, only.view.record);
}

/* Whose it is: its packet's; else where the key says so: after a restart, for what no event told. */
static void find_session(struct sl_ids_engine *engine, struct sl_ids_block *block,
			 const struct sluice_ids_event *event)
{
	const struct sl_maps *maps = sl_datapath_maps(engine->config.datapath);
	struct sl_address address = sl_ids_key_local(&block->key);
	struct sluice_endpoint endpoint;

	if (event && event->session < maps->size.sessions) {
		set_session(block, &maps->sessions[event->session]);
		return;
	}
	if (!block->imsi[0] &&
	    (block->key.track == SLUICE_IDS_SUBSCRIBER || block->key.track == SLUICE_IDS_SUBSCRIBER_RULE))
		memcpy(block->imsi, block->key.local, sizeof(block->imsi) - 1);
	if (block->key.track == SLUICE_IDS_SOURCE) {
		address.family = block->key.family;
		memcpy(address.bytes, block->key.remote, sizeof(address.bytes));
	}
	if (address.family && sl_endpoint_get(engine->config.datapath, &address, &endpoint) == 0 &&
	    endpoint.session < maps->size.sessions)
		set_session(block, &maps->sessions[endpoint.session]);
	else if (block->imsi[0])
		find_only_session(engine, block);
}

static void on_change(struct sl_ids_block *block, const char *reason, bool adopted, uint64_t now, void *user)
{
	struct sl_ids_engine *engine = user;
	const struct sluice_ids_event *event = engine->event;

	if (reason) {
		alert_block(engine, block, reason, now);
		sl_ids_quarantine_end(engine, block);
		return;
	}
	if (event && memcmp(&event->key, &block->key, sizeof(block->key)) != 0)
		event = NULL;
	find_session(engine, block, event);
	if (event) {
		alert_packet(engine, event, block, engine->event_suppressed, now);
		engine->event = NULL;
	} else if (!adopted) {
		alert_block(engine, block, NULL, now);
	}
	sl_ids_quarantine_begin(engine, block);
	if (adopted || !block->key.rule)
		return;
	if (engine->pending_count == SL_IDS_PENDING) {
		engine->stats.escalations_dropped++;
		return;
	}
	engine->pending[engine->pending_count].key = block->key;
	engine->pending[engine->pending_count++].since_ns = block->value.since_ns;
}

void sl_ids_engine_tick(struct sl_ids_engine *engine, uint64_t now)
{
	struct sl_ids_blocks_stats stats;

	/* what they say of blocks is more than what a sweep finds */
	consume(engine, now);
	sl_ids_blocks_run(engine->blocks, now);
	sl_ids_blocks_stats(engine->blocks, &stats);
	sl_ids_blocks_sweep(engine->blocks, stats.size / SWEEP_ROUNDS, now);
	sl_ids_poll(engine, now);
	sl_ids_connections(engine, now);
	sl_ids_silent(engine, now);
	if (now >= engine->second_ns) {
		engine->second_ns = now + NS_PER_S;
		sl_ids_clear_begin(engine);
		sl_ids_quarantine_follow(engine);
	}
	sl_ids_clear(engine, now);
	settle(engine, now);
}

void sl_ids_engine_gone(struct sl_ids_engine *engine, uint32_t identity, uint64_t now)
{
	if (!engine)
		return;
	sl_ids_blocks_gone(engine->blocks, identity, now);
	sl_ids_escalate_gone(engine, identity);
}

struct sl_ids_blocks *sl_ids_engine_blocks(struct sl_ids_engine *engine)
{
	return engine->blocks;
}

void sl_ids_engine_stats(const struct sl_ids_engine *engine, struct sl_ids_engine_stats *out)
{
	struct sl_ids_blocks_stats blocks;

	sl_ids_blocks_stats(engine->blocks, &blocks);
	*out = engine->stats;
	out->used[SLUICE_IDS_TABLE_BLOCKS] = blocks.active;
}

/* --- the loop ------------------------------------------------------------------------------------- */

static void on_readable(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	sl_ids_engine_events(user, sl_now_ns());
}

static void on_timer(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	sl_ids_engine_tick(user, sl_now_ns());
}

int sl_ids_engine_start(struct sl_ids_engine *engine, struct event_base *base, struct sl_error *err)
{
	const struct timeval every = {.tv_usec = TICK_MS * 1000};

	engine->on_events = event_new(base, sl_ids_events_fd(engine->config.datapath), EV_READ | EV_PERSIST,
				      on_readable, engine);
	engine->on_tick = event_new(base, -1, EV_PERSIST, on_timer, engine);
	if (!engine->on_events || !engine->on_tick || event_add(engine->on_events, NULL) < 0 ||
	    event_add(engine->on_tick, &every) < 0)
		return sl_error(err, ENOMEM, "out of memory");
	return 0;
}

int sl_ids_engine_new(const struct sl_ids_engine_config *config, uint64_t now, struct sl_ids_engine **out,
		      struct sl_error *err)
{
	struct sl_ids_engine *engine = calloc(1, sizeof(*engine));
	struct sl_ids_blocks_config blocks = {
		.datapath = config->datapath, .rules = config->rules, .on_change = on_change, .user = engine};
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	int rc;

	if (!engine)
		return sl_error(err, ENOMEM, "out of memory");
	engine->config = *config;
	engine->cpus = cpus > 0 ? (uint32_t)cpus : 1;
	engine->last = calloc((size_t)SLUICE_IDS_RULES * engine->cpus, sizeof(*engine->last));
	engine->untold = calloc((size_t)SLUICE_IDS_RULES * engine->cpus, sizeof(*engine->untold));
	rc = engine->last && engine->untold ? sl_ids_blocks_open(&blocks, now, &engine->blocks, err)
					    : sl_error(err, ENOMEM, "out of memory");
	if (rc == 0 && (rc = sl_ids_escalate_open(engine)) < 0)
		sl_error(err, -rc, "the map ids_notes: %s", strerror(-rc));
	if (rc < 0) {
		sl_ids_engine_free(engine);
		return rc;
	}
	*out = engine;
	return 0;
}

void sl_ids_engine_free(struct sl_ids_engine *engine)
{
	if (!engine)
		return;
	if (engine->on_events)
		event_free(engine->on_events);
	if (engine->on_tick)
		event_free(engine->on_tick);
	sl_ids_escalate_free(engine);
	sl_ids_quarantine_free(engine);
	sl_ids_poll_free(engine);
	sl_ids_connections_free(engine);
	sl_ids_blocks_close(engine->blocks);
	free(engine->last);
	free(engine->untold);
	free(engine);
}
