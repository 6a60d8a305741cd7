// SPDX-License-Identifier: Apache-2.0
#include "policy/compile.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/forest.h"
#include "policy/hash.h"

#define PORT_LAST 65535

int sl_install_compare(const struct sl_install *a, const struct sl_install *b)
{
	if (a->rule->is_final != b->rule->is_final)
		return a->rule->is_final ? 1 : -1;
	if (a->origin != b->origin)
		return a->origin == SLUICE_ORIGIN_GY ? -1 : 1;
	if (a->rule->precedence != b->rule->precedence)
		return a->rule->precedence < b->rule->precedence ? -1 : 1;
	return strcmp(a->rule->id, b->rule->id);
}

static int compare(const void *a, const void *b)
{
	return sl_install_compare(a, b);
}

void sl_install_sort(struct sl_install *installs, size_t count)
{
	qsort(installs, count, sizeof(*installs), compare);
}

size_t sl_installs_before_final(const struct sl_install *installs, size_t count)
{
	while (count && installs[count - 1].rule->is_final)
		count--;
	return count;
}

/* --- which flows, in which list ------------------------------------------------ */

static bool address_begins(const struct sl_address *address, const uint8_t *prefix, unsigned int length)
{
	for (unsigned int bit = 0; bit < length; bit++)
		if ((address->bytes[bit / 8] ^ prefix[bit / 8]) & (0x80 >> bit % 8))
			return false;
	return true;
}

/* The flow can be about a packet of the session at this address. */
static bool fits(const struct sluice_flow *flow, const struct sl_address *address)
{
	if (flow->family != 0 && flow->family != address->family)
		return false;
	if ((flow->flags & SLUICE_FLOW_LOCAL) && !address_begins(address, flow->local, flow->local_length))
		return false;
	return !(flow->flags & SLUICE_FLOW_LOCAL_NOT) ||
	       !address_begins(address, flow->local, flow->local_length);
}

bool sl_compiles_by_address(const struct sl_rule *rule)
{
	for (uint32_t i = 0; i < rule->flow_count; i++)
		if (rule->flows[i].flags &
		    (SLUICE_FLOW_LOCAL | SLUICE_FLOW_LOCAL_NOT | SLUICE_FLOW_REMOTE_ASSIGNED))
			return true;
	return false;
}

/* What may stop matching: the tree may not take it for the end of a leaf. */
static bool is_timed(const struct sl_install *install)
{
	return install->rule->hard_timeout_s || install->binding.deadline_ns;
}

uint64_t sl_compiles_from(const struct sl_install *install)
{
	return install->rule->number << 9 | (uint64_t)install->way_out << 1 | is_timed(install);
}

static int count_entries(const struct sl_install *installs, size_t count, const struct sl_address *address,
			 uint32_t entries[SLUICE_DIRECTIONS], struct sl_error *err)
{
	for (size_t i = 0; i < count; i++) {
		const struct sl_rule *rule = installs[i].rule;

		for (uint32_t f = 0; f < rule->flow_count; f++) {
			const struct sluice_flow *flow = &rule->flows[f];

			if (!fits(flow, address))
				continue;
			if (entries[flow->direction] == SLUICE_MATCHES_PER_DIRECTION)
				return sl_error(err, E2BIG,
						"policies: rule '%s' brings the session over %d %s flows",
						rule->id, SLUICE_MATCHES_PER_DIRECTION,
						flow->direction == SLUICE_UPLINK ? "uplink" : "downlink");
			entries[flow->direction]++;
		}
	}
	return 0;
}

/* --- flows to entries ---------------------------------------------------------- */

/* What both families have in common in an entry. */
#define FILL(match, flow, number, install)                            \
	do {                                                          \
		(match)->remote_port_low = (flow)->remote_port_low;   \
		(match)->remote_port_high = (flow)->remote_port_high; \
		(match)->local_port_low = (flow)->local_port_low;     \
		(match)->local_port_high = (flow)->local_port_high;   \
		(match)->ordinal = (number);                          \
		(match)->protocol = (flow)->protocol;                 \
		(match)->flags = flags_of(flow);                      \
		(match)->action = action_of((flow), (install));       \
		(match)->terms = (flow)->terms;                       \
	} while (0)

static uint8_t flags_of(const struct sluice_flow *flow)
{
	uint8_t flags = SLUICE_MATCH_VALID;

	if (flow->protocol != 0 || (flow->flags & SLUICE_FLOW_PROTOCOL_ZERO))
		flags |= SLUICE_MATCH_PROTOCOL;
	if (flow->remote_port_low != 0 || flow->remote_port_high != PORT_LAST || flow->local_port_low != 0 ||
	    flow->local_port_high != PORT_LAST)
		flags |= SLUICE_MATCH_PORTS;
	return flags;
}

/* The rule's own interface before the APN's; that before a copy, or packets would go another way. */
static uint8_t action_of(const struct sluice_flow *flow, const struct sl_install *install)
{
	const struct sl_rule_steer *steer = &install->rule->steer;

	if (flow->action == SLUICE_PERMIT && flow->direction == SLUICE_UPLINK && install->way_out &&
	    steer->mode != SLUICE_STEER_REDIRECT)
		return install->way_out;
	if (flow->action == SLUICE_PERMIT && steer->mode != SLUICE_STEER_FREE)
		return (uint8_t)(SLUICE_STEER_FIRST + steer->slot);
	return (uint8_t)flow->action;
}

static void encode4(const struct sluice_flow *flow, uint16_t ordinal, const struct sl_install *install,
		    struct sluice_match4 *match)
{
	FILL(match, flow, ordinal, install);
	/* a shift by 32 is undefined in C, and /0 asks for one */
	if (!flow->has_remote || flow->prefix_length == 0)
		return;
	match->mask_be = htonl(0xffffffffu << (32 - flow->prefix_length));
	memcpy(&match->remote_be, flow->remote, sizeof(match->remote_be));
	match->remote_be &= match->mask_be;
}

static void encode6(const struct sluice_flow *flow, uint16_t ordinal, const struct sl_install *install,
		    struct sluice_match6 *match)
{
	uint8_t mask[16] = {0};

	FILL(match, flow, ordinal, install);
	if (!flow->has_remote)
		return;
	for (unsigned int bit = 0; bit < flow->prefix_length; bit++)
		mask[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	memcpy(match->mask_be, mask, sizeof(match->mask_be));
	memcpy(match->remote_be, flow->remote, sizeof(match->remote_be));
	match->remote_be[0] &= match->mask_be[0];
	match->remote_be[1] &= match->mask_be[1];
}

/* A list as one run; of each entry its rule, and whether it ceases to match at some time. */
struct run {
	struct sl_match_list list;
	struct sl_forest_entry *entries;
	bool *timed;
};

static void clear_run(struct run *run)
{
	sl_match_list_clear(&run->list);
	free(run->entries);
	free(run->timed);
}

static int allocate_list(struct sl_match_list *list, uint32_t family, uint32_t blocks)
{
	list->blocks = blocks;
	if (blocks == 0)
		return 0;
	if (family == 4)
		list->block4 = calloc(blocks, sizeof(*list->block4));
	else
		list->block6 = calloc(blocks, sizeof(*list->block6));
	return list->block4 || list->block6 ? 0 : -ENOMEM;
}

/* The remote that a flow names by being the subscriber's own: the address, of IPv6 its /64. */
static struct sluice_flow assign_remote(const struct sluice_flow *flow, const struct sl_address *address)
{
	struct sluice_flow out = *flow;

	out.has_remote = 1;
	out.prefix_length = address->family == 4 ? 32 : 64;
	memcpy(out.remote, address->bytes, out.prefix_length / 8);
	return out;
}

static int make_run(const struct sl_install *installs, size_t count, const struct sl_address *address,
		    enum sluice_direction direction, uint32_t entries, struct run *run)
{
	uint32_t blocks = (entries + SLUICE_MATCH_BLOCK - 1) / SLUICE_MATCH_BLOCK;

	run->entries = calloc((size_t)entries + 1, sizeof(*run->entries));
	run->timed = calloc((size_t)entries + 1, sizeof(*run->timed));
	if (!run->entries || !run->timed || allocate_list(&run->list, address->family, blocks) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct sl_rule *rule = installs[i].rule;

		for (uint32_t f = 0; f < rule->flow_count; f++) {
			const struct sluice_flow *flow = &rule->flows[f];
			uint32_t at = run->list.count;
			struct sluice_flow own;

			if (flow->direction != direction || !fits(flow, address))
				continue;
			if (flow->flags & SLUICE_FLOW_REMOTE_ASSIGNED) {
				own = assign_remote(flow, address);
				flow = &own;
			}
			run->entries[at].ordinal = (uint16_t)i;
			run->entries[at].action = action_of(flow, &installs[i]);
			run->timed[at] = is_timed(&installs[i]);
			if (address->family == 4)
				encode4(flow, (uint16_t)i, &installs[i], &run->list.block4->match[0] + at);
			else
				encode6(flow, (uint16_t)i, &installs[i], &run->list.block6->match[0] + at);
			run->list.count++;
		}
	}
	return 0;
}

/* --- entries to a tree --------------------------------------------------------- */

/* Keys of everything: no packet has a larger one. */
#define KEY_LAST (UINT64_MAX >> 1)

static void port_keys(struct sl_tree_box *box, enum sl_tree_field field, uint16_t low, uint16_t high)
{
	/* 0 is the key of a packet without ports */
	box->low[field] = low + 1u;
	box->high[field] = high == PORT_LAST ? KEY_LAST : high + 1u;
}

#define BOX_OF(match, is_timed, box)                                                                      \
	do {                                                                                              \
		for (int field = 0; field < SL_TREE_FIELDS; field++)                                      \
			(box)->high[field] = KEY_LAST;                                                    \
		if ((match)->flags & SLUICE_MATCH_PORTS) {                                                \
			port_keys((box), SL_TREE_REMOTE_PORT, (match)->remote_port_low,                   \
				  (match)->remote_port_high);                                             \
			port_keys((box), SL_TREE_LOCAL_PORT, (match)->local_port_low,                     \
				  (match)->local_port_high);                                              \
		}                                                                                         \
		if ((match)->flags & SLUICE_MATCH_PROTOCOL)                                               \
			(box)->low[SL_TREE_PROTOCOL] = (box)->high[SL_TREE_PROTOCOL] = (match)->protocol; \
		(box)->decides = !(is_timed) && !(match)->terms.which;                                    \
	} while (0)

static void box_of4(const struct sluice_match4 *match, bool timed, struct sl_tree_box *box)
{
	uint32_t low = ntohl(match->remote_be), high = low | ~ntohl(match->mask_be);

	BOX_OF(match, timed, box);
	if (match->terms.which & SLUICE_TERM_REMOTE_NOT)
		return;
	box->low[SL_TREE_FIRST] = low;
	box->high[SL_TREE_FIRST] = high == UINT32_MAX ? KEY_LAST : high;
}

static void box_of6(const struct sluice_match6 *match, bool timed, struct sl_tree_box *box)
{
	static const enum sl_tree_field fields[2] = {SL_TREE_FIRST, SL_TREE_SECOND};

	BOX_OF(match, timed, box);
	if (match->terms.which & SLUICE_TERM_REMOTE_NOT)
		return;
	for (int i = 0; i < 2; i++) {
		uint64_t mask = be64toh(match->mask_be[i]), low = be64toh(match->remote_be[i]);

		box->low[fields[i]] = low >> 1;
		box->high[fields[i]] = (low | ~mask) >> 1;
		/* keys lack the last bit: the box holds addresses that are not the prefix's */
		if (mask & 1)
			box->decides = false;
	}
}

static int make_boxes(const struct run *run, uint32_t family, struct sl_tree_box **out)
{
	struct sl_tree_box *boxes = calloc(run->list.count, sizeof(*boxes));

	if (!boxes)
		return -ENOMEM;
	for (uint32_t i = 0; i < run->list.count; i++) {
		if (family == 4)
			box_of4(&run->list.block4->match[0] + i, run->timed[i], &boxes[i]);
		else
			box_of6(&run->list.block6->match[0] + i, run->timed[i], &boxes[i]);
	}
	*out = boxes;
	return 0;
}

/* The leaves of the tree, or trees, as runs of blocks, and the branches that lead to them. */
static int plant(const struct sl_match_list *run, uint32_t family, struct sl_tree *tree,
		 struct sl_match_list *out)
{
	_cleanup_free_ uint32_t *first = calloc(tree->leaf_count, sizeof(*first));
	uint32_t blocks = 0;

	if (!first)
		return -ENOMEM;
	for (uint32_t leaf = 0; leaf < tree->leaf_count; leaf++) {
		first[leaf] = blocks;
		blocks += (tree->leaves[leaf].count + SLUICE_MATCH_BLOCK - 1) / SLUICE_MATCH_BLOCK;
	}
	if (allocate_list(out, family, blocks) < 0)
		return -ENOMEM;
	for (uint32_t leaf = 0; leaf < tree->leaf_count; leaf++) {
		const uint32_t *entry = &tree->entries[tree->leaves[leaf].first];

		for (uint32_t i = 0; i < tree->leaves[leaf].count; i++) {
			uint32_t at = first[leaf] * SLUICE_MATCH_BLOCK + i;

			if (family == 4)
				(&out->block4->match[0])[at] = (&run->block4->match[0])[entry[i]];
			else
				(&out->block6->match[0])[at] = (&run->block6->match[0])[entry[i]];
		}
	}
	for (uint32_t i = 0; i < tree->branch_count; i++) {
		struct sluice_branch *branch = &tree->branches[i];

		for (int side = 0; side < 2; side++)
			if (!(branch->child[side] & SLUICE_BRANCH))
				branch->child[side] = branch->count[side] ? first[branch->child[side]] : 0;
	}
	out->count = tree->branch_count;
	out->branch = SL_TAKE(tree->branches);
	return 0;
}

/* Takes the run's list, or what trees make of it. */
static int finish_list(struct run *run, uint32_t family, struct sl_match_list *out)
{
	_cleanup_free_ struct sl_tree_box *boxes = NULL;
	struct sl_tree tree = {0};
	int rc = 0;

	if (run->list.count > SLUICE_MATCH_BLOCK) {
		rc = make_boxes(run, family, &boxes);
		if (rc == 0)
			rc = sl_forest_build(boxes, run->entries, run->list.count, &tree);
	}
	if (rc == 0 && tree.branch_count > 0) {
		rc = plant(&run->list, family, &tree, out);
	} else if (rc == 0) {
		*out = run->list;
		run->list = (struct sl_match_list){0};
	}
	sl_tree_clear(&tree);
	return rc;
}

static int compile_list(const struct sl_install *installs, size_t count, const struct sl_address *address,
			enum sluice_direction direction, uint32_t entries, struct sl_match_list *out)
{
	_cleanup_(clear_run) struct run run = {0};
	int rc;

	rc = make_run(installs, count, address, direction, entries, &run);
	if (rc < 0)
		return rc;
	return finish_list(&run, address->family, out);
}

int sl_compile(const struct sl_install *installs, size_t count, const struct sl_address *address,
	       struct sl_ruleset_image *out, struct sl_error *err)
{
	struct sl_ruleset_image image = {.family = address->family};
	uint32_t entries[SLUICE_DIRECTIONS] = {0};
	int result;

	if (image.family != 4 && image.family != 6)
		return sl_error(err, EINVAL, "family: %u is neither 4 nor 6", image.family);
	if (count > SLUICE_RULES_PER_SESSION)
		return sl_error(err, E2BIG, "policies: %zu rules, at most %d a session", count,
				SLUICE_RULES_PER_SESSION);
	result = count_entries(installs, count, address, entries, err);
	if (result < 0)
		return result;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		if (compile_list(installs, count, address, direction, entries[direction],
				 &image.list[direction]) == 0)
			continue;
		sl_ruleset_image_clear(&image);
		return sl_error(err, ENOMEM, "policies: no memory for %zu rules", count);
	}
	sl_ruleset_image_rehash(&image);
	*out = image;
	return 0;
}

static bool asks_for_options(const struct sl_match_list *list)
{
	const uint8_t options = SLUICE_TERM_IP_OPTIONS | SLUICE_TERM_TCP_OPTIONS;

	for (uint32_t i = 0; i < list->blocks * SLUICE_MATCH_BLOCK; i++) {
		if (list->block4 && ((&list->block4->match[0])[i].terms.which & options))
			return true;
		if (list->block6 && ((&list->block6->match[0])[i].terms.which & options))
			return true;
	}
	return false;
}

void sl_ruleset_image_rehash(struct sl_ruleset_image *image)
{
	image->hash = image->family;
	image->flags = 0;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		const struct sl_match_list *list = &image->list[direction];
		const void *data;
		size_t size;

		data = sl_match_list_data(list, &size);
		image->hash = sl_hash(image->hash, data, size);
		if (list->branch)
			image->hash = sl_hash(image->hash, list->branch, list->count * sizeof(*list->branch));
		if (asks_for_options(list))
			image->flags |= SLUICE_POLICY_OPTIONS;
	}
}

void sl_ruleset_image_clear(struct sl_ruleset_image *image)
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		sl_match_list_clear(&image->list[direction]);
	*image = (struct sl_ruleset_image){0};
}

int sl_ruleset_image_equal(const struct sl_ruleset_image *a, const struct sl_ruleset_image *b)
{
	if (a->hash != b->hash || a->family != b->family)
		return 0;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		if (!sl_match_list_equal(&a->list[direction], &b->list[direction]))
			return 0;
	return 1;
}
