// SPDX-License-Identifier: Apache-2.0
/*
 * Engine 2 of the cases: the images that the agent's compiler makes, in the
 * maps of the real BPF programs, once through the tc hooks alone and once with
 * XDP in front, where a drop counted twice would show.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>

#include "base/cleanup.h"
#include "bpfrun.h"
#include "case_list.h"
#include "packet_terms.h"

/* Every session has its own range of each map, and each publication the other half of it. */
#define BLOCKS_OF_LIST	16
#define BLOCKS_OF_IMAGE (SLUICE_DIRECTIONS * BLOCKS_OF_LIST)
#define FIRST_USAGE	1
#define FRAGMENT_OFFSET 1480

static struct bpfrun *rig;
static struct bpfrun_maps maps;
static bool with_xdp;
static bool second_half[CASE_SESSIONS];

/* Blocks and branches begin at the same number; `root` is what the policy says of the list. */
static int place_list(const struct sl_match_list *list, uint32_t first, uint32_t *root, struct sl_error *err)
{
	const struct sl_match_maps all = {
		.matches4 = maps.matches4, .matches6 = maps.matches6, .branches = maps.branches};
	const struct sl_match_place place = {.block = first, .branch = first};

	if (list->blocks > BLOCKS_OF_LIST || sl_match_list_branches(list) > BLOCKS_OF_LIST)
		return sl_error(err, E2BIG, "%u match blocks, the test has room for %d", list->blocks,
				BLOCKS_OF_LIST);
	sl_match_list_write(list, place, &all);
	*root = sl_match_list_root(list, place);
	return 0;
}

static int endpoint_map(const struct case_session *session)
{
	return session->address.family == 4 ? maps.endpoints4 : maps.endpoints6;
}

static int publish(struct case_run *run, const struct case_session *session, struct sl_error *err)
{
	const struct sl_ruleset_image *image = &session->image;
	uint32_t half = (session->slot * 2) + second_half[session->slot];
	uint32_t blocks = 1 + half * BLOCKS_OF_IMAGE, bindings = 1 + half * CASE_INSTALLS, slot = 1 + half;
	struct sluice_endpoint endpoint = {.policy = slot, .session = session->slot};
	struct sluice_policy policy = {
		.session = session->slot,
		.uplink_count = (uint16_t)image->list[SLUICE_UPLINK].count,
		.downlink_count = (uint16_t)image->list[SLUICE_DOWNLINK].count,
		.default_usage = FIRST_USAGE + session->default_usage,
		.bindings = bindings,
		.endpoint_tag = sl_address_tag(&session->address),
		.rules = (uint16_t)session->install_count,
		.flags = image->flags,
	};

	(void)run;
	second_half[session->slot] = !second_half[session->slot];
	if (place_list(&image->list[SLUICE_UPLINK], blocks, &policy.uplink_block, err) < 0 ||
	    place_list(&image->list[SLUICE_DOWNLINK], blocks + BLOCKS_OF_LIST, &policy.downlink_block, err) <
		    0)
		return -E2BIG;
	for (size_t i = 0; i < session->install_count; i++) {
		struct sluice_binding binding = session->installs[i].binding;

		binding.usage += FIRST_USAGE;
		if (i < SLUICE_INLINE_BINDINGS)
			policy.binding[i] = binding;
		else
			maps.bindings[bindings + i - SLUICE_INLINE_BINDINGS] = binding;
	}
	maps.policies[slot] = policy;
	memcpy(endpoint.imsi, session->imsi, sizeof(endpoint.imsi));
	/* the key is the beginning of the address in both families */
	if (bpf_map_update_elem(endpoint_map(session), session->address.bytes, &endpoint, BPF_ANY) < 0)
		return sl_error(err, errno, "endpoint of %s: %s", session->imsi, strerror(errno));
	return 0;
}

static int withdraw(struct case_run *run, const struct case_session *session, struct sl_error *err)
{
	(void)run;
	if (bpf_map_delete_elem(endpoint_map(session), session->address.bytes) < 0)
		return sl_error(err, errno, "endpoint of %s: %s", session->imsi, strerror(errno));
	return 0;
}

static size_t transport_header(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return 20;
	case IPPROTO_SCTP:
		return 12;
	case IPPROTO_UDP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 8;
	default:
		return 0;
	}
}

static int build(const struct case_packet *sent, struct packet *packet, struct sl_error *err)
{
	bool uplink = sent->walk.direction == SLUICE_UPLINK, ip6 = sent->walk.family == 6;
	struct sl_address remote = {.family = sent->walk.family};
	char ue_text[SL_ADDRESS_TEXT], remote_text[SL_ADDRESS_TEXT];
	struct packet_spec spec = {
		.source = uplink ? ue_text : remote_text,
		.destination = uplink ? remote_text : ue_text,
		.protocol = sent->walk.protocol,
		.source_port = uplink ? sent->walk.local_port : sent->walk.remote_port,
		.destination_port = uplink ? sent->walk.remote_port : sent->walk.local_port,
		.icmp_type = sent->terms.icmp_type,
	};
	const struct packet_terms terms = {.dscp = sent->terms.dscp,
					   .tcp_flags = sent->terms.tcp_flags,
					   .tcp_options = sent->terms.tcp_options,
					   .ip_options = sent->terms.ip_options};
	size_t headers = ip6 ? 40 : 20;

	memcpy(remote.bytes, sent->walk.remote, sizeof(remote.bytes));
	sl_address_format(&sent->ue, ue_text);
	sl_address_format(&remote, remote_text);
	if (sent->fragment != CASE_WHOLE && ip6) {
		spec.extension[0] = IPPROTO_FRAGMENT;
		headers += 8;
	}
	if (sent->fragment == CASE_LATER_FRAGMENT) {
		spec.fragment_offset = FRAGMENT_OFFSET;
	} else {
		spec.more_fragments = sent->fragment == CASE_FIRST_FRAGMENT;
		headers += transport_header(sent->walk.protocol);
	}
	headers += packet_terms_size(&spec, &terms);
	if (sent->size < headers)
		return sl_error(err, EINVAL, "size: %u bytes are less than the headers, %zu", sent->size,
				headers);
	spec.payload = sent->size - headers;
	packet_terms_build(packet, &spec, &terms);
	return 0;
}

static int send_packet(struct case_run *run, const struct case_packet *sent, bool *passed,
		       struct sl_error *err)
{
	bool uplink = sent->walk.direction == SLUICE_UPLINK;
	struct bpfrun_context context = {.mark = 0};
	struct packet packet;
	int verdict;

	(void)run;
	if (build(sent, &packet, err) < 0)
		return -EINVAL;
	*passed = false;
	if (with_xdp && uplink &&
	    bpfrun_packet(rig, BPFRUN_XDP_ACCESS, &packet, &context).verdict == BPFRUN_XDP_DROP)
		return 0;
	verdict = bpfrun_packet(rig, uplink ? BPFRUN_ACCESS_INGRESS : BPFRUN_ACCESS_EGRESS, &packet, &context)
			  .verdict;
	*passed = verdict != BPFRUN_TC_DROP;
	return 0;
}

static int read_usage(struct case_run *run, uint32_t slot, struct sluice_usage *out, struct sl_error *err)
{
	(void)run;
	(void)err;
	*out = maps.usage[FIRST_USAGE + slot];
	return 0;
}

static int clear_usage(struct case_run *run, uint32_t slot, struct sl_error *err)
{
	(void)run;
	(void)err;
	maps.usage[FIRST_USAGE + slot] = (struct sluice_usage){0};
	return 0;
}

static const struct case_engine engine = {
	.name = CASE_PROG,
	.publish = publish,
	.withdraw = withdraw,
	.send = send_packet,
	.read_usage = read_usage,
	.clear_usage = clear_usage,
};

static void the_programs_load(void **state)
{
	(void)state;
	rig = bpfrun_open();
	maps = bpfrun_maps(rig);
}

int main(void)
{
	const struct CMUnitTest load[] = {cmocka_unit_test(the_programs_load)};
	int failed = cmocka_run_group_tests(load, NULL, NULL);

	if (!rig)
		return failed;
	failed += case_list_run("tc", &engine);
	with_xdp = true;
	failed += case_list_run("xdp and tc", &engine);
	bpfrun_close(rig);
	return failed;
}
