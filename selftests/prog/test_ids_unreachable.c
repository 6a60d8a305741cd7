// SPDX-License-Identifier: Apache-2.0
/* ICMP errors about the first packet of a connection: which connection failed, and which errors say nothing.
 */
#include "ids_rig.h"

#define TCP    6
#define UDP    17
#define ICMP   1
#define ICMPV6 58
#define SYN    0x02
#define ACK    0x10

#define UE	"10.0.0.1"
#define HOST	"198.51.100.9"
#define ROUTER	"203.0.113.1"
#define UE6	"2001:db8:1::5"
#define HOST6	"2001:db8:9::9"
#define ROUTER6 "2001:db8:7::1"

static const struct packet_spec syn = {.source = UE,
				       .destination = HOST,
				       .protocol = TCP,
				       .source_port = 5000,
				       .destination_port = 80,
				       .tcp_flags = SYN};
static const struct packet_spec udp6 = {.source = UE6,
					.destination = HOST6,
					.protocol = UDP,
					.source_port = 5000,
					.destination_port = 53,
					.payload = 20};
static const struct packet_spec from_outside = {.source = HOST,
						.destination = UE,
						.protocol = UDP,
						.source_port = 53,
						.destination_port = 5000,
						.payload = 20};

static struct sluice_ids_key key_of(const struct packet_spec *packet, bool uplink)
{
	const int family = strchr(packet->source, ':') ? AF_INET6 : AF_INET;
	struct sluice_ids_key key = {
		.track = SLUICE_IDS_CONNECTION,
		.family = family == AF_INET6 ? 6 : 4,
		.protocol = packet->protocol,
		.local_port = uplink ? packet->source_port : packet->destination_port,
		.remote_port = uplink ? packet->destination_port : packet->source_port,
	};

	inet_pton(family, uplink ? packet->source : packet->destination, key.local);
	inet_pton(family, uplink ? packet->destination : packet->source, key.remote);
	return key;
}

/* 0: it is not known. */
static uint32_t state_of(struct ids_rig *rig, const struct packet_spec *packet, bool uplink)
{
	struct sluice_ids_key key = key_of(packet, uplink);
	struct sluice_ids_connection connection;

	if (bpf_map__lookup_elem(rig->programs->maps.ids_connections, &key, sizeof(key), &connection,
				 sizeof(connection), 0))
		return 0;
	return connection.state;
}

/* An error of this type and code from `source` to `to` about the packet, of which so much is quoted. */
static void tell(struct ids_rig *rig, bool uplink, const char *source, const char *to, uint8_t type,
		 uint8_t code, const struct packet_spec *about, size_t quoted)
{
	const bool six = strchr(source, ':') != NULL;
	struct packet_spec inner = *about, outer = {.source = source,
						    .destination = to,
						    .protocol = six ? ICMPV6 : ICMP,
						    .icmp_type = type};
	struct packet quote, packet;

	inner.no_ethernet = true;
	packet_build(&quote, &inner);
	if (quoted > quote.length)
		quoted = quote.length;
	outer.payload = quoted;
	packet_build(&packet, &outer);
	packet.data[packet.length - quoted - 7] = code;
	memcpy(packet.data + packet.length - quoted, quote.data, quoted);
	assert_int_equal(rig_send_packet(rig, uplink ? SLUICE_UPLINK : SLUICE_DOWNLINK, &packet, 0, 0), 0);
}

static void count_connections(struct ids_rig *rig)
{
	struct sluice_ids_rule rule = rig_exact(SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_FAILED_CONNECTIONS, 100);

	rig_uplink_rule(rig, &rule);
	rig->settings->connections = 1;
}

static void an_error_about_the_first_packet_marks_its_connection(void **state)
{
	struct ids_rig *rig = *state;

	count_connections(rig);
	rig_up(rig, &syn);
	assert_int_equal(state_of(rig, &syn, true), SLUICE_IDS_ASKED);
	tell(rig, false, ROUTER, UE, 3, 1, &syn, 28); /* all that RFC 792 demands: header and eight bytes */
	assert_int_equal(state_of(rig, &syn, true), SLUICE_IDS_REFUSED);
	rig_up(rig, &udp6);
	tell(rig, false, ROUTER6, UE6, 1, 4, &udp6, 1000);
	assert_int_equal(state_of(rig, &udp6, true), SLUICE_IDS_REFUSED);
	/* what others opened, and the subscriber refuses */
	rig_down(rig, &from_outside);
	tell(rig, true, UE, HOST, 3, 3, &from_outside, 28);
	assert_int_equal(state_of(rig, &from_outside, false), SLUICE_IDS_REFUSED | SLUICE_IDS_BY_DOWNLINK);
}

static void a_header_with_options_is_quoted_whole(void **state)
{
	struct ids_rig *rig = *state;
	struct packet_spec with = syn;

	count_connections(rig);
	with.ip_options = 8;
	rig_up(rig, &with);
	tell(rig, false, ROUTER, UE, 3, 3, &with, 36);
	assert_int_equal(state_of(rig, &with, true), SLUICE_IDS_REFUSED);
}

static void packets_of_a_refused_connection_write_nothing_until_the_agent_has_counted_it(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_key key = key_of(&syn, true);
	struct sluice_ids_connection connection;

	count_connections(rig);
	rig_up(rig, &syn);
	rig_at(rig, S);
	tell(rig, false, ROUTER, UE, 3, 1, &syn, 28);
	rig_at(rig, 120 * S);
	rig_up(rig, &syn);
	tell(rig, false, ROUTER, UE, 3, 1, &syn, 28);
	assert_int_equal(bpf_map__lookup_elem(rig->programs->maps.ids_connections, &key, sizeof(key),
					      &connection, sizeof(connection), 0),
			 0);
	assert_int_equal(connection.state, SLUICE_IDS_REFUSED);
	assert_int_equal(connection.last_ns, NOON + S);
}

static void what_says_nothing_of_a_connection_changes_nothing(void **state)
{
	struct ids_rig *rig = *state;
	struct packet_spec other = syn, fragment = syn,
			   answer = {.source = HOST,
				     .destination = UE,
				     .protocol = TCP,
				     .source_port = 80,
				     .destination_port = 5000,
				     .tcp_flags = SYN | ACK};

	count_connections(rig);
	rig_up(rig, &syn);
	tell(rig, false, ROUTER, UE, 3, 4, &syn, 28);  /* it must be shorter, no more */
	tell(rig, false, ROUTER, UE, 11, 0, &syn, 28); /* its time was over */
	tell(rig, false, ROUTER, UE, 3, 1, &syn, 22);  /* cut off within the quoted ports */
	tell(rig, false, ROUTER, UE, 3, 1, &syn, 10);
	tell(rig, true, UE, ROUTER, 3, 1, &syn, 28); /* by who opened it himself */
	other.source = "10.0.0.2";		     /* of somebody else, told to this one */
	tell(rig, false, ROUTER, UE, 3, 1, &other, 28);
	other = syn;
	other.destination_port = 81;
	tell(rig, false, ROUTER, UE, 3, 1, &other, 28);
	assert_int_equal(state_of(rig, &other, true), 0);
	fragment.fragment_offset = 64;
	fragment.payload = 20;
	tell(rig, false, ROUTER, UE, 3, 1, &fragment, 40);
	assert_int_equal(state_of(rig, &syn, true), SLUICE_IDS_ASKED);
	rig_down(rig, &answer);
	tell(rig, false, ROUTER, UE, 3, 1, &syn, 28); /* too late */
	assert_int_equal(state_of(rig, &syn, true), SLUICE_IDS_ANSWERED);
	rig_up(rig, &udp6);
	tell(rig, false, ROUTER6, UE6, 2, 0, &udp6, 1000);
	assert_int_equal(state_of(rig, &udp6, true), SLUICE_IDS_ASKED);
}

/* The error is a packet like any other for rules that count those, also after its connection was looked for.
 */
static void the_error_itself_is_counted_as_what_it_is(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = rig_exact(SLUICE_IDS_PAIR, SLUICE_IDS_PACKETS, 1);
	struct sluice_ids_match match = rig_match(SLUICE_DOWNLINK);
	struct sluice_ids_key key = {.rule = 2, .track = SLUICE_IDS_PAIR, .family = 4};
	struct sluice_ids_log log;

	count_connections(rig);
	rule.verdict = SLUICE_IDS_ALERT;
	rig_rule(rig, &rule, &match, 1);
	rig_up(rig, &syn);
	tell(rig, false, ROUTER, UE, 3, 1, &syn, 28);
	inet_pton(AF_INET, UE, key.local);
	inet_pton(AF_INET, ROUTER, key.remote);
	assert_int_equal(sl_places_get(&rig->logs, &key, &log), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, rig_reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_error_about_the_first_packet_marks_its_connection),
		TEST(a_header_with_options_is_quoted_whole),
		TEST(packets_of_a_refused_connection_write_nothing_until_the_agent_has_counted_it),
		TEST(what_says_nothing_of_a_connection_changes_nothing),
		TEST(the_error_itself_is_counted_as_what_it_is),
	};

	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
