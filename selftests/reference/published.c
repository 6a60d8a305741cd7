// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>

#include "policy/compile.h"
#include "policy/flow.h"
#include "policy/rule.h"
#include "published.h"

#define BLOCKS	   8192 /* of the rig, and branches */
#define FAR_FUTURE (UINT64_MAX / 2)

static void prefix_text(const struct model_prefix *prefix, char *out, size_t size)
{
	char address[INET6_ADDRSTRLEN];

	out[0] = 0;
	if (!prefix->given)
		return;
	inet_ntop(prefix->family == 4 ? AF_INET : AF_INET6, prefix->address, address, sizeof(address));
	if (prefix->length == (prefix->family == 4 ? 32 : 128))
		snprintf(out, size, "%s", address);
	else
		snprintf(out, size, "%s/%d", address, prefix->length);
}

static void read_terms(const struct model_terms *terms, struct sluice_terms *out)
{
	*out = (struct sluice_terms){
		.dscp = (uint8_t)terms->dscp,
		.tcp_mask = (uint8_t)terms->flags_mask,
		.tcp_value = (uint8_t)terms->flags_value,
		.tcp_any = (uint8_t)terms->flags_any,
		.icmp_low = (uint8_t)terms->icmp_low,
		.icmp_high = (uint8_t)terms->icmp_high,
		.ip_options_present = (uint8_t)terms->ip_options.present,
		.ip_options_absent = (uint8_t)terms->ip_options.absent,
		.tcp_options_present = (uint8_t)terms->tcp_options.present,
		.tcp_options_absent = (uint8_t)terms->tcp_options.absent,
	};
	out->which = (uint8_t)((terms->outside ? SLUICE_TERM_REMOTE_NOT : 0) |
			       (terms->dscp_given ? SLUICE_TERM_DSCP : 0) |
			       (terms->flags_given ? SLUICE_TERM_TCP_FLAGS : 0) |
			       (terms->icmp_given ? SLUICE_TERM_ICMP_TYPE : 0) |
			       (terms->later_fragment ? SLUICE_TERM_LATER_FRAGMENT : 0) |
			       (terms->ip_options.given ? SLUICE_TERM_IP_OPTIONS : 0) |
			       (terms->tcp_options.given ? SLUICE_TERM_TCP_OPTIONS : 0));
}

/* What a FlowMatch has no field for. */
static int read_own_form(const struct model_flow *flow, struct sluice_flow *out, struct sl_error *err)
{
	read_terms(&flow->terms, &out->terms);
	if (flow->protocol_zero)
		out->flags |= SLUICE_FLOW_PROTOCOL_ZERO;
	if (!flow->local.given)
		return 0;
	if (out->family != 0 && out->family != flow->local.family)
		return sl_error(err, EINVAL, "local: an address of the other family");
	out->family = (uint8_t)flow->local.family;
	out->flags |= flow->local_outside ? SLUICE_FLOW_LOCAL_NOT : SLUICE_FLOW_LOCAL;
	out->local_length = (uint8_t)flow->local.length;
	memcpy(out->local, flow->local.address, flow->local.family == 4 ? 4 : 16);
	return 0;
}

static int read_flow(const struct model_flow *flow, struct sluice_flow *out, struct sl_error *err)
{
	char source[64], destination[64];
	struct sl_flow_match match = {
		.direction = flow->downlink ? SLUICE_DOWNLINK : SLUICE_UPLINK,
		.action = flow->deny ? SLUICE_DENY : SLUICE_PERMIT,
		.ip_proto = flow->ip_proto,
		.ip_src = {.text = source},
		.ip_dst = {.text = destination},
		.tcp_src = flow->tcp_src,
		.tcp_dst = flow->tcp_dst,
		.udp_src = flow->udp_src,
		.udp_dst = flow->udp_dst,
	};
	int result;

	prefix_text(&flow->ip_src, source, sizeof(source));
	prefix_text(&flow->ip_dst, destination, sizeof(destination));
	result = sl_flow_from_match("match", &match, out, err);
	if (result < 0)
		return result;
	if (flow->remote_port.given) {
		out->remote_port_low = (uint16_t)flow->remote_port.low;
		out->remote_port_high = (uint16_t)flow->remote_port.high;
	}
	if (flow->local_port.given) {
		out->local_port_low = (uint16_t)flow->local_port.low;
		out->local_port_high = (uint16_t)flow->local_port.high;
	}
	return read_own_form(flow, out, err);
}

/* 0; -EINVAL: the rule is refused. */
static int read_rule(const struct model_rule *rule, struct sl_rule *out, struct sl_error *err)
{
	snprintf(out->id, sizeof(out->id), "%s", rule->id);
	out->precedence = rule->precedence;
	out->flow_count = rule->flow_count;
	for (unsigned int i = 0; i < rule->flow_count; i++) {
		int result = read_flow(&rule->flows[i], &out->flows[i], err);

		if (result < 0)
			return result;
	}
	return sl_rule_validate(out, err);
}

/* The rules that are accepted, in order; binding.usage is the rule's index in the world. */
static int install_rules(const struct model_world *world, struct sl_rule_table *table,
			 struct sl_install *installs, size_t *count, struct sl_error *why)
{
	*count = 0;
	for (unsigned int i = 0; i < world->rule_count; i++) {
		const struct model_rule *rule = &world->rules[i];
		struct sluice_flow flows[MODEL_FLOWS] = {0};
		struct sl_rule read = {.flows = flows};
		struct sl_install *install = &installs[*count];
		struct sl_error err = {0};
		bool accepted = read_rule(rule, &read, &err) == 0;

		if (accepted != model_rule_is_valid(rule))
			return sl_error(why, EINVAL, "rule '%s' is %s: %s", rule->id,
					accepted ? "accepted" : "refused",
					accepted ? "the model refuses it" : err.text);
		if (!accepted)
			continue;
		*install = (struct sl_install){
			.origin = rule->gy ? SLUICE_ORIGIN_GY : SLUICE_ORIGIN_GX,
			.version = 1,
			.binding = {.usage = i,
				    .uplink_class = (uint16_t)rule->uplink_class,
				    .downlink_class = (uint16_t)rule->downlink_class,
				    .deadline_ns = rule->timeout == MODEL_PASSED       ? 1
						   : rule->timeout == MODEL_NOT_PASSED ? FAR_FUTURE
										       : 0},
		};
		if (sl_rule_table_intern(table, &read, &install->rule) < 0)
			fail_msg("no memory");
		(*count)++;
	}
	sl_install_sort(installs, *count);
	return 0;
}

/* Next free places in the maps; what lies beyond is poison. */
struct places {
	uint32_t policy, binding, usage, branch, block[2];
	uint32_t divided; /* lists, so far */
};

static void place_list(const struct bpfrun_maps *maps, const struct sl_ruleset_image *image,
		       enum sluice_direction direction, struct places *places, uint32_t *root)
{
	const struct sl_match_maps all = {
		.matches4 = maps->matches4, .matches6 = maps->matches6, .branches = maps->branches};
	const struct sl_match_list *list = &image->list[direction];
	uint32_t *next = &places->block[image->family == 6];
	struct sl_match_place place = {.block = *next, .branch = places->branch};

	if (*next + list->blocks > BLOCKS || places->branch + sl_match_list_branches(list) > BLOCKS)
		fail_msg("more than %u match blocks or branches", BLOCKS);
	sl_match_list_write(list, place, &all);
	*root = sl_match_list_root(list, place);
	*next += list->blocks;
	places->branch += sl_match_list_branches(list);
	places->divided += list->branch && list->branch[0].both;
}

static void place_session(const struct bpfrun_maps *maps, const struct model_session *session,
			  uint32_t number, struct places *places, const struct sl_install *installs,
			  size_t count)
{
	struct sluice_endpoint endpoint = {.policy = places->policy, .session = number};
	struct sluice_policy policy = {
		.session = number,
		.default_usage = places->usage,
		.bindings = places->binding,
		.rules = (uint16_t)count,
	};
	struct sl_ruleset_image image;
	struct sl_address address = {0};
	struct sl_error err = {0};
	uint32_t word[2];

	address.family = (uint32_t)session->family;
	memcpy(address.bytes, session->address, sizeof(address.bytes));
	if (sl_compile(installs, count, &address, &image, &err) < 0)
		fail_msg("%s", err.text);
	place_list(maps, &image, SLUICE_UPLINK, places, &policy.uplink_block);
	place_list(maps, &image, SLUICE_DOWNLINK, places, &policy.downlink_block);
	policy.uplink_count = (uint16_t)image.list[SLUICE_UPLINK].count;
	policy.downlink_count = (uint16_t)image.list[SLUICE_DOWNLINK].count;
	policy.flags = image.flags;
	sl_ruleset_image_clear(&image);
	for (size_t i = 0; i < count; i++) {
		struct sluice_binding binding = installs[i].binding;

		binding.usage += places->usage + 1;
		if (i < SLUICE_INLINE_BINDINGS)
			policy.binding[i] = binding;
		else
			maps->bindings[places->binding++] = binding;
	}
	memcpy(word, session->address, sizeof(word));
	policy.endpoint_tag = sluice_endpoint_tag((uint32_t)session->family, word[0], word[1]);
	maps->policies[places->policy] = policy;
	/* half of the lists are found by the index, the others by the hash alone */
	if (count % 2)
		sl_index_set(&maps->index, &address, places->policy);
	places->policy++;
	/* the key is the beginning of the address in both families */
	if (bpf_map_update_elem(session->family == 4 ? maps->endpoints4 : maps->endpoints6, session->address,
				&endpoint, BPF_ANY) < 0)
		fail_msg("endpoint: %s", strerror(errno));
}

/* Those of `all` that are in force in a session of that family. */
static int fit_installs(const struct model_world *world, int family, const struct sl_install *all,
			size_t count, struct sl_install *out, size_t *fitting, struct sl_error *why)
{
	*fitting = 0;
	for (size_t i = 0; i < count; i++) {
		const struct model_rule *rule = &world->rules[all[i].binding.usage];
		bool fits = sl_rule_fits(all[i].rule, (uint32_t)family);

		if (fits != model_rule_fits(rule, family))
			return sl_error(why, EINVAL, "rule '%s' %s IPv%d, in the model it %s", rule->id,
					fits ? "fits" : "does not fit", family, fits ? "does not" : "does");
		if (fits)
			out[(*fitting)++] = all[i];
	}
	return 0;
}

int published_publish(const struct bpfrun_maps *maps, const struct model_world *world, struct published *out,
		      struct sl_error *why)
{
	static struct sl_install installs[MODEL_RULES], fitting[MODEL_RULES];
	struct places places = {.policy = 1, .binding = 1, .usage = 1, .branch = 1, .block = {1, 1}};
	struct sl_rule_table *table = NULL;
	size_t count, fitting_count = 0;
	int result;

	if (sl_rule_table_new(&table) < 0)
		fail_msg("no memory");
	sl_index_clear(&maps->index);
	result = install_rules(world, table, installs, &count, why);
	for (uint32_t i = 0; result == 0 && i < world->session_count; i++) {
		const struct model_session *session = &world->sessions[i];

		out->usage_of[i] = places.usage;
		result = fit_installs(world, session->family, installs, session->has_rules ? count : 0,
				      fitting, &fitting_count, why);
		if (result == 0)
			place_session(maps, session, i, &places, fitting, fitting_count);
		places.usage += 1 + (session->has_rules ? world->rule_count : 0);
	}
	sl_rule_table_free(table);
	out->usage_slots = places.usage + 1;
	out->divided = places.divided;
	memset(maps->usage, 0, out->usage_slots * sizeof(*maps->usage));
	return result;
}

void published_withdraw(const struct bpfrun_maps *maps, const struct model_world *world)
{
	sl_index_clear(&maps->index);
	for (uint32_t i = 0; i < world->session_count; i++)
		bpf_map_delete_elem(world->sessions[i].family == 4 ? maps->endpoints4 : maps->endpoints6,
				    world->sessions[i].address);
}

void published_poison(const struct bpfrun_maps *maps)
{
	for (uint32_t i = 0; i < BLOCKS * SLUICE_MATCH_BLOCK; i++) {
		struct sluice_match4 *four =
			&maps->matches4[i / SLUICE_MATCH_BLOCK].match[i % SLUICE_MATCH_BLOCK];
		struct sluice_match6 *six =
			&maps->matches6[i / SLUICE_MATCH_BLOCK].match[i % SLUICE_MATCH_BLOCK];

		four->flags = six->flags = SLUICE_MATCH_VALID;
		four->action = six->action = SLUICE_PERMIT;
	}
}
