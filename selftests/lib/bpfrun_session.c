// SPDX-License-Identifier: Apache-2.0
/* Sessions of the rig, published by hand: no compiler of the agent's stands between test and maps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>

#include "bpfrun_rig.h"

static void parse_prefix(const char *text, int family, uint8_t address[16], uint8_t mask[16])
{
	char copy[64];
	char *slash;
	int bits = family == AF_INET ? 32 : 128;

	memset(mask, 0, 16);
	memset(address, 0, 16);
	if (!text)
		return;
	snprintf(copy, sizeof(copy), "%s", text);
	slash = strchr(copy, '/');
	if (slash) {
		*slash = 0;
		bits = atoi(slash + 1);
	}
	if (inet_pton(family, copy, address) != 1)
		fail_msg("prefix '%s'", text);
	for (int i = 0; i < bits; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
}

static bool ports_given(const struct bpfrun_rule *rule)
{
	return rule->any_ports || rule->remote_port[0] || rule->remote_port[1] || rule->local_port[0] ||
	       rule->local_port[1];
}

static uint16_t port_high(const uint16_t range[2])
{
	return !range[0] && !range[1] ? 65535 : range[1];
}

/* The parts of an entry that are alike in both families. */
#define FILL(entry, rule, number)                                                                       \
	do {                                                                                            \
		(entry)->remote_port_low = (rule)->remote_port[0];                                      \
		(entry)->remote_port_high = port_high((rule)->remote_port);                             \
		(entry)->local_port_low = (rule)->local_port[0];                                        \
		(entry)->local_port_high = port_high((rule)->local_port);                               \
		(entry)->ordinal = (uint16_t)(number);                                                  \
		(entry)->protocol = (rule)->protocol;                                                   \
		(entry)->action = (uint8_t)(rule)->action;                                              \
		(entry)->terms = (rule)->terms;                                                         \
		(entry)->flags =                                                                        \
			(uint8_t)(SLUICE_MATCH_VALID | ((rule)->protocol ? SLUICE_MATCH_PROTOCOL : 0) | \
				  (ports_given(rule) ? SLUICE_MATCH_PORTS : 0));                        \
	} while (0)

static uint32_t fill_list(struct bpfrun *run, int family, enum sluice_direction direction,
			  const struct bpfrun_rule *rules, size_t count, uint16_t *entries)
{
	uint32_t *next = family == AF_INET ? &run->blocks4 : &run->blocks6;
	uint32_t first = *next;
	uint32_t at = 0;

	for (size_t i = 0; i < count; i++) {
		uint8_t address[16], mask[16];
		uint32_t block = first + at / SLUICE_MATCH_BLOCK;

		if (rules[i].direction != direction)
			continue;
		if (block >= BPFRUN_MATCHES)
			fail_msg("more than %u match blocks", BPFRUN_MATCHES);
		parse_prefix(rules[i].remote, family, address, mask);
		if (family == AF_INET) {
			struct sluice_match4 *entry = &run->matches4[block].match[at % SLUICE_MATCH_BLOCK];

			FILL(entry, &rules[i], i);
			memcpy(&entry->remote_be, address, 4);
			memcpy(&entry->mask_be, mask, 4);
		} else {
			struct sluice_match6 *entry = &run->matches6[block].match[at % SLUICE_MATCH_BLOCK];

			FILL(entry, &rules[i], i);
			memcpy(entry->remote_be, address, 16);
			memcpy(entry->mask_be, mask, 16);
		}
		at++;
	}
	*next += (at + SLUICE_MATCH_BLOCK - 1) / SLUICE_MATCH_BLOCK;
	*entries = (uint16_t)at;
	return first;
}

static void publish(struct bpfrun *run, const char *address, uint32_t policy, uint32_t session)
{
	struct sluice_endpoint endpoint = {.policy = policy, .session = session};
	int family = strchr(address, ':') ? AF_INET6 : AF_INET;
	uint32_t key[4];
	int fd, err;

	if (inet_pton(family, address, key) != 1)
		fail_msg("address '%s'", address);
	if (policy != SLUICE_NONE)
		run->policies[policy].endpoint_tag =
			sluice_endpoint_tag(family == AF_INET ? 4 : 6, key[0], key[1]);
	fd = bpf_map__fd(family == AF_INET ? run->tc->maps.endpoints4 : run->tc->maps.endpoints6);
	err = bpf_map_update_elem(fd, key, &endpoint, BPF_ANY);
	if (err)
		fail_msg("endpoint '%s': %s", address, strerror(-err));
}

void bpfrun_break_endpoint(struct bpfrun *run, const char *address)
{
	publish(run, address, SLUICE_NONE, SLUICE_NONE);
}

struct bpfrun_session bpfrun_session(struct bpfrun *run, const char *address, const struct bpfrun_rule *rules,
				     size_t count)
{
	int family = strchr(address, ':') ? AF_INET6 : AF_INET;
	struct bpfrun_session session = {
		.session = run->sessions,
		.policy = run->sessions,
		.base = run->used,
	};
	struct sluice_policy *policy = &run->policies[session.policy];

	if (run->sessions >= BPFRUN_SESSIONS || run->used + count + 1 > BPFRUN_USAGE ||
	    run->overflow + count > BPFRUN_BINDINGS)
		fail_msg("the rig is full");
	run->sessions++;
	run->used += (uint32_t)count + 1;

	policy->session = session.session;
	policy->default_usage = session.base;
	policy->rules = (uint16_t)count;
	policy->bindings = run->overflow;
	for (size_t i = 0; i < count; i++) {
		struct sluice_binding binding = {
			.usage = session.base + 1 + (uint32_t)i,
			.uplink_class = rules[i].uplink_class,
			.downlink_class = rules[i].downlink_class,
			.deadline_ns = rules[i].deadline_ns,
		};

		if (i < SLUICE_INLINE_BINDINGS)
			policy->binding[i] = binding;
		else
			run->bindings[run->overflow++] = binding;
	}
	policy->uplink_block = fill_list(run, family, SLUICE_UPLINK, rules, count, &policy->uplink_count);
	policy->downlink_block =
		fill_list(run, family, SLUICE_DOWNLINK, rules, count, &policy->downlink_count);

	publish(run, address, session.policy, session.session);
	return session;
}
