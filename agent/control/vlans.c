// SPDX-License-Identifier: Apache-2.0
/*
 * VLANs of uplink classes. A packet carries its class in the mark, and the VLAN is
 * looked up by the mark when it leaves: one that waits for its router's address
 * to be resolved (three seconds at most: RFC 4861, 10, and the kernel's ARP) does so
 * with the VLAN that the class has then. So a class whose packets were in one VLAN
 * is given to another only when none of them can be waiting any more.
 */
#include "control/draft.h"

#define NS_PER_S 1000000000ull
#define REST_S	 5u

static struct sluice_mark *mark_of(const struct sl_control *control, uint16_t minor)
{
	return &control->maps->marks[minor];
}

static uint32_t now_s(void)
{
	uint32_t now = (uint32_t)(sl_now_ns() / NS_PER_S);

	return now ? now : 1;
}

/* 0: none. */
static uint32_t vlan_of(const struct sl_control *control, uint8_t apn)
{
	const struct sl_control_apn *found = sl_apn(control, apn);

	return found ? found->vlan : 0;
}

/* --- which class may be taken --- */

static enum sl_idpool_fit judge(uint16_t minor, const void *user)
{
	const struct sl_vlan_wish *wish = user;
	const struct sluice_mark *mark = mark_of(wish->control, minor);

	if (mark->vlan == wish->vlan)
		return SL_IDPOOL_BEST;
	if (!mark->unused_s && !mark->vlan)
		return SL_IDPOOL_FIT;
	/* seconds are cut off: between two that differ by more than REST_S are at least as many */
	if (!mark->unused_s || mark->unused_s == SLUICE_MARK_IN_USE || wish->now_s <= mark->unused_s ||
	    wish->now_s - mark->unused_s <= REST_S)
		return SL_IDPOOL_UNFIT;
	return SL_IDPOOL_FIT;
}

/* As the worst of its leaves. */
static enum sl_idpool_fit judge_tree(uint16_t tree, const void *user)
{
	enum sl_idpool_fit worst = SL_IDPOOL_BEST;

	for (uint16_t leaf = tree + 1; leaf <= tree + SL_QOS_TREE_LEAVES; leaf++) {
		enum sl_idpool_fit fit = judge(leaf, user);

		worst = fit < worst ? fit : worst;
	}
	return worst;
}

static struct sl_qos_choice choice_of(const struct sl_draft *draft, struct sl_vlan_wish *wish,
				      enum sl_idpool_fit (*judge_by)(uint16_t minor, const void *user))
{
	*wish = (struct sl_vlan_wish){
		.control = draft->control,
		.vlan = vlan_of(draft->control, draft->apn),
		.now_s = now_s(),
	};
	return (struct sl_qos_choice){judge_by, wish};
}

struct sl_qos_choice sl_vlan_choice(const struct sl_draft *draft, struct sl_vlan_wish *wish)
{
	return choice_of(draft, wish, judge);
}

struct sl_qos_choice sl_vlan_tree_choice(const struct sl_draft *draft, struct sl_vlan_wish *wish)
{
	return choice_of(draft, wish, judge_tree);
}

bool sl_vlan_differs(const struct sl_draft *draft, int direction, uint16_t minor)
{
	return direction == SLUICE_UPLINK && minor &&
	       mark_of(draft->control, minor)->vlan != vlan_of(draft->control, draft->apn);
}

bool sl_vlan_fits_tree(const struct sl_draft *draft, int direction, uint16_t tree)
{
	struct sl_vlan_wish wish;
	struct sl_qos_choice choice = sl_vlan_tree_choice(draft, &wish);

	return direction != SLUICE_UPLINK || choice.judge(tree, choice.user) != SL_IDPOOL_UNFIT;
}

/* --- marks --- */

bool sl_vlan_mark(struct sl_control *control, uint8_t apn, const struct sl_install *installs, uint32_t count)
{
	uint32_t vlan = vlan_of(control, apn);
	bool differs = false;

	for (uint32_t i = 0; i < count; i++) {
		uint16_t minor = installs[i].binding.uplink_class;
		struct sluice_mark *mark = mark_of(control, minor);

		if (!minor)
			continue;
		/* first: a start that finds the VLAN must not find that nobody ever had the class */
		__atomic_store_n(&mark->unused_s, SLUICE_MARK_IN_USE, __ATOMIC_RELEASE);
		if (mark->vlan == vlan)
			continue;
		__atomic_store_n(&mark->vlan, vlan, __ATOMIC_RELEASE);
		differs = true;
	}
	return differs;
}

void sl_vlan_release(struct sl_control *control, int direction, uint16_t minor)
{
	struct sluice_mark *mark = mark_of(control, minor);

	sl_qos_release(control->config.qos, direction, minor);
	if (direction == SLUICE_UPLINK && mark->unused_s == SLUICE_MARK_IN_USE &&
	    !sl_qos_users(control->config.qos, direction, minor))
		__atomic_store_n(&mark->unused_s, now_s(), __ATOMIC_RELEASE);
}

void sl_vlans_settle(struct sl_control *control)
{
	const struct sl_qos *qos = control->config.qos;

	for (uint16_t minor = SLUICE_HTB_POOL_MINOR; minor <= SL_QOS_MINOR_MAX; minor++) {
		struct sluice_mark *mark = mark_of(control, minor);
		bool was_used = mark->unused_s == SLUICE_MARK_IN_USE || (!mark->unused_s && mark->vlan);

		if (was_used && (!qos || !sl_qos_users(qos, SLUICE_UPLINK, minor)))
			mark->unused_s = now_s();
	}
}
