// SPDX-License-Identifier: Apache-2.0
#include "api/admin_views.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/flow_text.h"

#define CHUNK_SIZE (64u << 10)

struct sl_arena_chunk {
	struct sl_arena_chunk *next;
	size_t used;
	size_t size;
	_Alignas(16) char memory[];
};

/* Zeroed; NULL: out of memory. */
static void *arena_get(struct sl_arena *arena, size_t size)
{
	struct sl_arena_chunk *chunk = arena->chunks;
	void *memory;

	size = (size + 15) & ~(size_t)15;
	if (!chunk || size > chunk->size - chunk->used) {
		size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;

		chunk = calloc(1, sizeof(*chunk) + room);
		if (!chunk)
			return NULL;
		chunk->size = room;
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	memory = chunk->memory + chunk->used;
	chunk->used += size;
	return memory;
}

static char *arena_text(struct sl_arena *arena, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = arena_get(arena, size);

	return copy ? memcpy(copy, text, size) : NULL;
}

void sl_arena_clear(struct sl_arena *arena)
{
	while (arena->chunks) {
		struct sl_arena_chunk *next = arena->chunks->next;

		free(arena->chunks);
		arena->chunks = next;
	}
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

uint64_t sl_view_wall_ms(uint64_t monotonic_ns)
{
	if (!monotonic_ns)
		return 0;
	return (clock_ns(CLOCK_REALTIME) - (clock_ns(CLOCK_MONOTONIC) - monotonic_ns)) / 1000000;
}

static Sluice__V1__Usage *view_counts(struct sl_arena *arena, const struct sluice_usage *usage)
{
	Sluice__V1__Usage *out = arena_get(arena, sizeof(*out));

	if (!out)
		return NULL;
	sluice__v1__usage__init(out);
	out->uplink_bytes = usage->uplink.bytes;
	out->uplink_packets = usage->uplink.packets;
	out->downlink_bytes = usage->downlink.bytes;
	out->downlink_packets = usage->downlink.packets;
	out->uplink_dropped_bytes = usage->uplink_dropped.bytes;
	out->uplink_dropped_packets = usage->uplink_dropped.packets;
	out->downlink_dropped_bytes = usage->downlink_dropped.bytes;
	out->downlink_dropped_packets = usage->downlink_dropped.packets;
	return out;
}

static char *address_text(struct sl_arena *arena, const struct sl_address *address)
{
	char text[SL_ADDRESS_TEXT];

	sl_address_format(address, text);
	return arena_text(arena, text);
}

static const char *action_text(const struct sl_rule *rule)
{
	bool permit = false, deny = false;

	if (rule->redirect != SLUICE_REDIRECT_NONE)
		return "redirect";
	if (rule->steer.mode != SLUICE_STEER_FREE)
		return rule->steer.mode == SLUICE_STEER_MIRROR ? "mirror" : "steer";
	for (uint32_t i = 0; i < rule->flow_count; i++) {
		permit = permit || rule->flows[i].action == SLUICE_PERMIT;
		deny = deny || rule->flows[i].action == SLUICE_DENY;
	}
	return permit && deny ? "mixed" : deny ? "deny" : "permit";
}

static Sluice__V1__Origin origin_of(enum sluice_origin origin)
{
	return origin == SLUICE_ORIGIN_GY ? SLUICE__V1__ORIGIN__GY : SLUICE__V1__ORIGIN__GX;
}

static Sluice__V1__SessionRule__Rate rate_of(const struct sl_install *install, int direction)
{
	uint16_t class =
		direction == SLUICE_UPLINK ? install->binding.uplink_class : install->binding.downlink_class;

	/* with a queue and a GBR the meter only tells what is guaranteed */
	if (install->meter[direction] && !(class && install->rule->gbr[direction]))
		return install->rule->mbr[direction] ? SLUICE__V1__SESSION_RULE__RATE__POLICED
						     : SLUICE__V1__SESSION_RULE__RATE__NONE;
	/* in the class that keeps the AMBR, perhaps, but without a rate of its own */
	if (!install->rule->mbr[direction])
		return SLUICE__V1__SESSION_RULE__RATE__NONE;
	return class ? SLUICE__V1__SESSION_RULE__RATE__SHAPED : SLUICE__V1__SESSION_RULE__RATE__NONE;
}

static Sluice__V1__SessionRule__Rate rate_of_ambr(uint16_t tree, uint32_t meter)
{
	if (tree)
		return SLUICE__V1__SESSION_RULE__RATE__SHAPED;
	return meter ? SLUICE__V1__SESSION_RULE__RATE__POLICED : SLUICE__V1__SESSION_RULE__RATE__NONE;
}

static Sluice__V1__SessionRule *view_install(struct sl_arena *arena, struct sl_service *service,
					     const struct sl_install *install)
{
	Sluice__V1__SessionRule *out = arena_get(arena, sizeof(*out));
	struct sluice_usage usage = sl_control_read_usage(service->control, install->binding.usage);
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (!out)
		return NULL;
	sluice__v1__session_rule__init(out);
	out->rule_id = (char *)install->rule->id;
	out->version = install->version;
	out->origin = origin_of(install->origin);
	out->precedence = install->rule->precedence;
	out->is_final = install->rule->is_final;
	out->action = (char *)action_text(install->rule);
	out->target = install->rule->redirect != SLUICE_REDIRECT_NONE
			      ? (char *)install->rule->redirect_address
			      : (char *)install->rule->steer.interface;
	out->mbr_uplink = install->rule->mbr[SLUICE_UPLINK];
	out->mbr_downlink = install->rule->mbr[SLUICE_DOWNLINK];
	out->uplink_class = install->binding.uplink_class;
	out->downlink_class = install->binding.downlink_class;
	out->uplink_rate = rate_of(install, SLUICE_UPLINK);
	out->downlink_rate = rate_of(install, SLUICE_DOWNLINK);
	out->profile = (char *)install->rule->profile;
	out->hard_timeout_s = install->rule->hard_timeout_s;
	if (install->binding.deadline_ns > now)
		out->deadline_left_ms = (install->binding.deadline_ns - now) / 1000000;
	out->usage = view_counts(arena, &usage);
	return out->usage ? out : NULL;
}

/* --- what queues have counted ------------------------------------------------- */

int sl_view_queues_read(struct sl_service *service, struct sl_view_queues *out, struct sl_error *err)
{
	struct sl_view_queues queues = {0};

	for (int direction = 0; service->qos && direction < SLUICE_DIRECTIONS; direction++) {
		struct sl_qos_pool_status classes, trees;
		size_t max;
		int rc = -ENOMEM;

		sl_qos_pool_status(service->qos, direction, &classes);
		sl_qos_tree_status(service->qos, direction, &trees);
		max = classes.used + (size_t)trees.used * (1 + SL_QOS_TREE_LEAVES);
		queues.stats[direction] = calloc(max + 1, sizeof(*queues.stats[direction]));
		if (queues.stats[direction])
			rc = sl_qos_read_stats(service->qos, direction, queues.stats[direction], max, err);
		else
			sl_error(err, ENOMEM, "out of memory");
		if (rc < 0) {
			sl_view_queues_clear(&queues);
			return rc;
		}
		queues.count[direction] = (size_t)rc;
	}
	*out = queues;
	return 0;
}

void sl_view_queues_clear(struct sl_view_queues *queues)
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		free(queues->stats[direction]);
	*queues = (struct sl_view_queues){0};
}

static int by_minor(const void *key, const void *element)
{
	const struct sl_qos_class_stats *stats = element;

	return (int)*(const uint16_t *)key - (int)stats->minor;
}

/* NULL as well where there is none. */
static bool view_queue(struct sl_arena *arena, const struct sl_view_queues *queues, int direction,
		       uint16_t minor, Sluice__V1__Queue **out)
{
	const struct sl_qos_class_stats *from;
	Sluice__V1__Queue *queue;

	if (!minor || !queues->count[direction])
		return true;
	from = bsearch(&minor, queues->stats[direction], queues->count[direction], sizeof(*from), by_minor);
	if (!from)
		return true;
	queue = arena_get(arena, sizeof(*queue));
	if (!queue)
		return false;
	sluice__v1__queue__init(queue);
	queue->sent_bytes = from->sent_bytes;
	queue->sent_packets = from->sent_packets;
	queue->dropped_packets = from->dropped_packets;
	queue->backlog_bytes = from->backlog_bytes;
	queue->backlog_packets = from->backlog_packets;
	*out = queue;
	return true;
}

static bool view_queues(struct sl_arena *arena, const struct sl_view_queues *queues,
			const struct sluice_binding *binding, Sluice__V1__SessionRule *out)
{
	return view_queue(arena, queues, SLUICE_UPLINK, binding->uplink_class, &out->uplink_queue) &&
	       view_queue(arena, queues, SLUICE_DOWNLINK, binding->downlink_class, &out->downlink_queue);
}

Sluice__V1__Session__State sl_view_state(enum sl_session_state state)
{
	static const Sluice__V1__Session__State states[] = {
		[SL_SESSION_ACTIVE] = SLUICE__V1__SESSION__STATE__ACTIVE,
		[SL_SESSION_RESTRICTED] = SLUICE__V1__SESSION__STATE__RESTRICTED,
		[SL_SESSION_REDIRECTED] = SLUICE__V1__SESSION__STATE__REDIRECTED,
		[SL_SESSION_ENDED] = SLUICE__V1__SESSION__STATE__ENDED,
	};

	return states[state];
}

Sluice__V1__Session *sl_view_session(struct sl_arena *arena, struct sl_service *service,
				     const struct sl_session_view *view, bool with_rules,
				     const struct sl_view_queues *queues)
{
	Sluice__V1__Session *out = arena_get(arena, sizeof(*out));

	if (!out)
		return NULL;
	sluice__v1__session__init(out);
	out->imsi = (char *)view->imsi;
	out->address = address_text(arena, &view->address);
	out->apn = (char *)view->record->apn;
	out->state = sl_view_state(view->state);
	out->state_since_ms = sl_view_wall_ms(view->state_since_ns);
	out->since_ms = sl_view_wall_ms(view->record->since_ns);
	out->rule_count = view->install_count;
	out->ambr_uplink = view->record->ambr_uplink;
	out->ambr_downlink = view->record->ambr_downlink;
	out->ambr_uplink_rate = rate_of_ambr(view->record->uplink_tree, view->record->uplink_meter);
	out->ambr_downlink_rate = rate_of_ambr(view->record->downlink_tree, view->record->downlink_meter);
	out->uplink_tunnel = view->record->uplink_tunnel;
	out->downlink_tunnel = view->record->downlink_tunnel;
	out->default_drop = view_counts(arena, &view->default_usage);
	out->ids_dropped_bytes = view->ids_dropped.bytes;
	out->ids_dropped_packets = view->ids_dropped.packets;
	if (!out->address || !out->default_drop)
		return NULL;
	if (!with_rules)
		return out;
	out->rules = arena_get(arena, (view->install_count + 1) * sizeof(*out->rules));
	if (!out->rules)
		return NULL;
	for (uint32_t i = 0; i < view->install_count; i++) {
		out->rules[i] = view_install(arena, service, &view->installs[i]);
		if (!out->rules[i] ||
		    (queues && !view_queues(arena, queues, &view->installs[i].binding, out->rules[i])))
			return NULL;
	}
	out->n_rules = view->install_count;
	return out;
}

/* The text, copied; what is not asked for stays the wire's empty text. */
static bool view_text(struct sl_arena *arena, const char *text, char **out)
{
	if (text[0])
		*out = arena_text(arena, text);
	return *out != NULL;
}

static Sluice__V1__Flow *view_flow(struct sl_arena *arena, const struct sluice_flow *flow)
{
	Sluice__V1__Flow *out = arena_get(arena, sizeof(*out));
	struct sl_flow_shown shown;

	if (!out)
		return NULL;
	sluice__v1__flow__init(out);
	sl_flow_show(flow, &shown);
	out->direction = (char *)shown.direction;
	out->action = (char *)shown.action;
	out->fragment = (char *)shown.fragment;
	out->family = shown.family;
	out->this_host = shown.this_host;
	if (!view_text(arena, shown.protocol, &out->protocol) ||
	    !view_text(arena, shown.remote, &out->remote) ||
	    !view_text(arena, shown.remote_port, &out->remote_port) ||
	    !view_text(arena, shown.local, &out->local) ||
	    !view_text(arena, shown.local_port, &out->local_port) ||
	    !view_text(arena, shown.dscp, &out->dscp) ||
	    !view_text(arena, shown.tcp_flags, &out->tcp_flags) ||
	    !view_text(arena, shown.tcp_options, &out->tcp_options) ||
	    !view_text(arena, shown.icmp_type, &out->icmp_type) ||
	    !view_text(arena, shown.ip_options, &out->ip_options))
		return NULL;
	return out;
}

static Sluice__V1__Steer *view_steer(struct sl_arena *arena, const struct sl_rule_steer *steer)
{
	Sluice__V1__Steer *out = arena_get(arena, sizeof(*out));
	struct sl_address next_hop = {.family = steer->next_hop_family};

	if (!out)
		return NULL;
	sluice__v1__steer__init(out);
	out->mode = steer->mode == SLUICE_STEER_MIRROR ? "mirror" : "redirect";
	out->interface = (char *)steer->interface;
	if (next_hop.family == 0)
		return out;
	memcpy(next_hop.bytes, steer->next_hop, sizeof(next_hop.bytes));
	out->next_hop = address_text(arena, &next_hop);
	return out->next_hop ? out : NULL;
}

Sluice__V1__Rule *sl_view_rule(struct sl_arena *arena, const struct sl_rule *rule)
{
	Sluice__V1__Rule *out = arena_get(arena, sizeof(*out));

	if (!out)
		return NULL;
	sluice__v1__rule__init(out);
	out->rule_id = (char *)rule->id;
	out->precedence = rule->precedence;
	out->rating_group = rule->rating_group;
	out->hard_timeout_s = rule->hard_timeout_s;
	out->mbr_uplink = rule->mbr[SLUICE_UPLINK];
	out->mbr_downlink = rule->mbr[SLUICE_DOWNLINK];
	out->gbr_uplink = rule->gbr[SLUICE_UPLINK];
	out->gbr_downlink = rule->gbr[SLUICE_DOWNLINK];
	out->sessions = rule->references;
	out->redirect = (char *)rule->redirect_address;
	out->is_static = rule->is_static;
	out->is_final = rule->is_final;
	out->arp_level = rule->arp.level;
	out->arp_may_preempt = rule->arp.may_preempt;
	out->arp_may_be_preempted = rule->arp.may_be_preempted;
	out->class_id = rule->class_id;
	out->profile = (char *)rule->profile;
	if (rule->steer.mode != SLUICE_STEER_FREE) {
		out->steer = view_steer(arena, &rule->steer);
		if (!out->steer)
			return NULL;
	}
	out->flows = arena_get(arena, (rule->flow_count + 1) * sizeof(*out->flows));
	if (!out->flows)
		return NULL;
	for (uint32_t i = 0; i < rule->flow_count; i++) {
		out->flows[i] = view_flow(arena, &rule->flows[i]);
		if (!out->flows[i])
			return NULL;
	}
	out->n_flows = rule->flow_count;
	return out;
}

Sluice__V1__UsageRecord *sl_view_usage(struct sl_arena *arena, const struct sl_usage_record *record)
{
	Sluice__V1__UsageRecord *out = arena_get(arena, sizeof(*out));

	if (!out)
		return NULL;
	sluice__v1__usage_record__init(out);
	out->imsi = (char *)record->imsi;
	out->address = address_text(arena, &record->address);
	out->rule_id = (char *)record->rule_id;
	out->version = record->version;
	out->origin = origin_of(record->origin);
	out->state = record->retired ? SLUICE__V1__USAGE_RECORD__STATE__RETIRED
				     : SLUICE__V1__USAGE_RECORD__STATE__ACTIVE;
	out->since_ms = sl_view_wall_ms(record->since_ns);
	out->usage = view_counts(arena, &record->usage);
	return out->address && out->usage ? out : NULL;
}
