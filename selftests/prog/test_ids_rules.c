// SPDX-License-Identifier: Apache-2.0
/* IDS rules from the policy directory to real packets: read, read again, after a restart. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "catalog/catalog.h"
#include "datapath/ids_maps.h"
#include "ids/maps.h"
#include "policy_files.h"
#include "session_world.h"

struct ids {
	struct world world;
	struct sl_ids_kernel kernel;
	struct sl_ids_table *table;
	struct policy_files *files;
	uint32_t gone;
};

static const struct sl_catalog_part *const parts[] = {&sl_ids_section, NULL};
static const struct rule_spec all = {.id = "all", .version = 1, .precedence = 10};

/* --- a world with rules -------------------------------------------------------------------- */

static void on_gone(uint32_t identity, void *user)
{
	struct ids *ids = user;

	(void)identity;
	ids->gone++;
}

static void start(struct ids *ids, bool adopted)
{
	struct sl_datapath_limits limits = fixture_config().limits;
	struct sl_ids_maps maps;
	struct sl_error err = {""};

	world_start_with(&ids->world, adopted, &(struct sl_control_config){.keep_retired = true}, &limits, 0);
	ids->kernel = (struct sl_ids_kernel){
		.datapath = ids->world.datapath,
		.control = ids->world.control,
		.grace = ids->world.grace,
		.gone = on_gone,
		.user = ids,
	};
	sl_ids_maps_of(&ids->kernel, &maps);
	if (sl_ids_rules_open(&maps, &ids->table, &err) < 0)
		fail_msg("%s", err.text);
}

static void stop(struct ids *ids)
{
	sl_ids_rules_close(ids->table);
	world_stop(&ids->world);
}

static struct sl_ids_applied apply(struct ids *ids, const char *text)
{
	struct sl_ids_applied out = {.kept = 0};
	struct sl_catalog *catalog = NULL;
	struct sl_error err = {""};

	policy_files_write(ids->files, "a.yaml", text);
	if (sl_catalog_load_with(ids->files->path, NULL, parts, &catalog, &err) < 0 ||
	    sl_ids_rules_apply(ids->table, sl_catalog_content(catalog, &sl_ids_section), &out, &err) < 0)
		fail_msg("%s", err.text);
	sl_catalog_free(catalog);
	return out;
}

static int setup(void **state)
{
	static struct ids ids;
	void *files = NULL;

	memset(&ids, 0, sizeof(ids));
	if (fixture_devices(NULL) != 0 || policy_files_setup(&files) < 0)
		return -1;
	ids.files = files;
	*state = &ids;
	return 0;
}

static int teardown(void **state)
{
	struct ids *ids = *state;
	void *files = ids->files;

	policy_files_teardown(&files);
	return fixture_no_devices(NULL);
}

/* --- packets ------------------------------------------------------------------------------- */

/* UDP from a subscriber, as it comes in at the access device. */
static void send_packets(const char *source, uint16_t port, int count)
{
	struct {
		struct ethhdr ethernet;
		struct iphdr ip;
		struct udphdr udp;
		char payload[20];
	} __attribute__((packed)) frame = {
		.ethernet = {.h_dest = "\xff\xff\xff\xff\xff\xff", .h_proto = htons(ETH_P_IP)},
		.ip = {.version = 4,
		       .ihl = 5,
		       .ttl = 64,
		       .protocol = IPPROTO_UDP,
		       .tot_len = htons(sizeof(frame) - sizeof(frame.ethernet))},
		.udp = {.source = htons(5000),
			.dest = htons(port),
			.len = htons(sizeof(frame.udp) + sizeof(frame.payload))},
	};
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("ue0")};
	_cleanup_fd_ int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	frame.ip.saddr = inet_addr(source);
	frame.ip.daddr = inet_addr("45.10.0.1");
	for (int i = 0; i < count; i++)
		assert_int_equal(sendto(fd, &frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)),
				 (ssize_t)sizeof(frame));
}

/* Waits until so many packets have met the rule, and no more come; how many were dropped. */
static void assert_counts(struct ids *ids, const char *name, uint64_t matched, uint64_t dropped)
{
	struct sluice_ids_rule_count sum = {.sequence = 0};
	uint32_t slot = sl_ids_rules_find(ids->table, name);

	for (int i = 0; i < 100; i++) {
		assert_int_equal(sl_ids_rules_counts(ids->table, slot, &sum), 0);
		if (sum.matched.packets >= matched)
			break;
		usleep(10000);
	}
	assert_int_equal(sum.matched.packets, matched);
	assert_int_equal(sum.dropped.packets, dropped);
}

/* --- tests ----------------------------------------------------------------------------------- */

#define FLOOD                                                                                               \
	"  - {name: flood, match: {direction: uplink, protocol: udp, remote_port: 53}, track: subscriber, " \
	"limit: {count: 5, window: 1h}, verdict: drop}\n"
#define OTHER(count)                                                                              \
	"  - {name: other, match: {direction: uplink, protocol: udp}, track: subscriber, limit: " \
	"{count: " count ", window: 1h}, verdict: alert}\n"

static void a_limit_goes_on_where_it_was_over_a_reading_and_a_restart(void **state)
{
	struct ids *ids = *state;
	struct sl_ids_applied out;

	start(ids, false);
	world_activate_ok(&ids->world, IMSI_A, ADDRESS_A, &all, 1);
	out = apply(ids, "ids:\n" FLOOD);
	assert_int_equal(out.added, 1);
	send_packets(ADDRESS_A, 53, 8);
	assert_counts(ids, "flood", 8, 3);
	/* another rule before it, which changes twice */
	apply(ids, "ids:\n" OTHER("3") FLOOD);
	out = apply(ids, "ids:\n" OTHER("4") FLOOD);
	assert_int_equal(out.kept, 1);
	assert_int_equal(out.changed, 1);
	send_packets(ADDRESS_A, 53, 2);
	assert_counts(ids, "flood", 10, 5);
	assert_counts(ids, "other", 2, 0);
	send_packets(ADDRESS_A, 54, 1);
	assert_counts(ids, "other", 3, 0);
	stop(ids);
	start(ids, true);
	assert_int_equal(sl_ids_rules_count(ids->table), 2);
	send_packets(ADDRESS_A, 53, 2);
	assert_counts(ids, "flood", 12, 7);
	out = apply(ids, "ids:\n" OTHER("4") FLOOD);
	assert_int_equal(out.kept, 2);
	send_packets(ADDRESS_A, 53, 1);
	assert_counts(ids, "flood", 13, 8);
	/* another place in the file and another slot: the same counts */
	apply(ids, "ids:\n" FLOOD OTHER("5"));
	assert_counts(ids, "other", 6, 0);
	send_packets(ADDRESS_A, 53, 1);
	assert_counts(ids, "flood", 14, 9);
	apply(ids, "ids: []\n");
	assert_int_equal(sl_ids_rules_count(ids->table), 0);
	assert_int_equal(sl_ids_arrays(ids->world.datapath)->settings->active, 0);
	assert_int_equal(ids->gone, 2);
	stop(ids);
}

static void subscribers_have_limits_of_their_own_and_exemptions(void **state)
{
	struct ids *ids = *state;

	start(ids, false);
	world_activate_ok(&ids->world, IMSI_A, ADDRESS_A, &all, 1);
	world_activate_ok(&ids->world, IMSI_B, ADDRESS_B, &all, 1);
	apply(ids, "ids:\n"
		   "  - {name: flood, match: {direction: uplink, protocol: udp}, track: subscriber, "
		   "limit: {count: 5, window: 1h}, verdict: drop, exempt: {subscribers: [\"" IMSI_B "\"]}}\n"
		   "  - {name: flood, match: {direction: uplink, protocol: udp}, track: subscriber, "
		   "limit: {count: 2, window: 1h}, verdict: drop, subscribers: [\"" IMSI_A "\"]}\n");
	send_packets(ADDRESS_B, 53, 9);
	send_packets(ADDRESS_A, 53, 6);
	{
		uint32_t slot = sl_ids_rules_for(ids->table, 0, IMSI_A);
		struct sluice_ids_rule_count sum = {.sequence = 0};

		assert_int_equal(sl_ids_rules_for(ids->table, 0, IMSI_B), SLUICE_NONE);
		usleep(200000);
		assert_int_equal(sl_ids_rules_counts(ids->table, slot, &sum), 0);
		assert_int_equal(sum.matched.packets, 6);
		assert_int_equal(sum.dropped.packets, 4);
	}
	assert_counts(ids, "flood", 0, 0);
	/* the lists change places */
	apply(ids,
	      "ids:\n"
	      "  - {name: flood, match: {direction: uplink, protocol: udp}, track: subscriber, "
	      "limit: {count: 5, window: 1h}, verdict: drop, exempt: {subscribers: [\"" IMSI_A "\"]}}\n");
	send_packets(ADDRESS_A, 53, 7);
	send_packets(ADDRESS_B, 53, 7);
	assert_counts(ids, "flood", 7, 2);
	stop(ids);
}

static void a_copy_to_an_interface_has_its_slot_over_a_restart_and_gives_it_back(void **state)
{
	static const char text[] =
		"ids:\n"
		"  - {name: copy, match: {}, track: subscriber, limit: {count: 2, window: 1h}, "
		"verdict: mirror, mirror: core0}\n";
	struct ids *ids = *state;
	const struct sl_maps *maps;

	start(ids, false);
	apply(ids, text);
	maps = sl_datapath_maps(ids->world.datapath);
	assert_int_equal(world_used(&ids->world, "steers"), 1);
	assert_int_equal(maps->steers[0].ifindex, if_nametoindex("core0"));
	stop(ids);
	start(ids, true);
	maps = sl_datapath_maps(ids->world.datapath);
	sl_control_resolve_steers(ids->world.control);
	assert_int_equal(world_used(&ids->world, "steers"), 1);
	assert_int_equal(maps->steers[0].mode, SLUICE_STEER_MIRROR);
	assert_int_equal(apply(ids, text).kept, 1);
	assert_int_equal(world_used(&ids->world, "steers"), 1);
	apply(ids, "ids: []\n");
	sl_grace_drain(ids->world.grace);
	assert_int_equal(world_used(&ids->world, "steers"), 0);
	stop(ids);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_limit_goes_on_where_it_was_over_a_reading_and_a_restart),
		TEST(subscribers_have_limits_of_their_own_and_exemptions),
		TEST(a_copy_to_an_interface_has_its_slot_over_a_restart_and_gives_it_back),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
