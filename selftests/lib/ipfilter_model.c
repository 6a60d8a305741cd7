// SPDX-License-Identifier: Apache-2.0
/* Random rules, terminals and packets. */
#include "ipfilter_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

const char *const model_icmp_type[19] = {
	[0] = "echo reply",	      [3] = "destination unreachable",
	[4] = "source quench",	      [5] = "redirect",
	[8] = "echo request",	      [9] = "router advertisement",
	[10] = "router solicitation", [11] = "time-to-live exceeded",
	[12] = "IP header bad",	      [13] = "timestamp request",
	[14] = "timestamp reply",     [15] = "information request",
	[16] = "information reply",   [17] = "address mask request",
	[18] = "address mask reply",
};

uint64_t model_seed(void)
{
	const char *given = getenv("SLUICE_SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = given ? strtoull(given, NULL, 10) : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	printf("SLUICE_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

/* splitmix64 */
unsigned int model_random(uint64_t *state, unsigned int bound)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (unsigned int)((z ^ z >> 31) >> 32) % bound;
}

bool model_one_in(uint64_t *state, unsigned int bound)
{
	return model_random(state, bound) == 0;
}

void model_bytes(unsigned __int128 value, int size, uint8_t *bytes)
{
	for (int i = size; i-- > 0; value >>= 8)
		bytes[i] = (uint8_t)value;
}

/* Few addresses, so that they meet. */
static unsigned __int128 random_address(uint64_t *state, int family)
{
	static const uint32_t v4[] = {0x0a000000, 0x0a000080, 0x0a010000, 0xc0000200};
	static const uint64_t v6[] = {0x20010db800000000, 0x20010db800000001, 0x20010db880000000, 0};
	unsigned int low = model_random(state, 3);

	if (family == 4)
		return v4[model_random(state, 4)] + low;
	return (unsigned __int128)v6[model_random(state, 4)] << 64 | low |
	       (model_one_in(state, 4) ? (unsigned __int128)0xffff << 32 : 0);
}

static int random_family(uint64_t *state)
{
	return model_one_in(state, 3) ? 6 : 4;
}

static void random_prefix(uint64_t *state, struct model_prefix *out)
{
	static const int v4[] = {0, 1, 8, 15, 24, 25, 31, 32, 32};
	static const int v6[] = {0, 3, 32, 33, 63, 64, 64, 127, 128};
	int size;

	out->family = random_family(state);
	size = out->family == 4 ? 32 : 128;
	out->length = (out->family == 4 ? v4 : v6)[model_random(state, 9)];
	out->value = out->length == 0 ? 0
				      : random_address(state, out->family) >> (size - out->length)
										      << (size - out->length);
}

static int random_port(uint64_t *state)
{
	static const int ports[] = {0, 1, 79, 80, 81, 443, 1024, 65534, 65535};

	return ports[model_random(state, SL_ARRAY_SIZE(ports))];
}

static void random_end(uint64_t *state, bool is_narrow, bool may_have_ports, struct model_end *out)
{
	out->place = (enum model_place)model_random(state, 3);
	out->is_inverted = !is_narrow && model_one_in(state, 4);
	if (out->place == MODEL_PREFIX)
		random_prefix(state, &out->prefix);
	if (!may_have_ports || model_one_in(state, 2))
		return;
	out->port_count = 1 + (int)model_random(state, MODEL_PORTS);
	for (int i = 0; i < out->port_count; i++) {
		int a = random_port(state), b = model_one_in(state, 2) ? a : random_port(state);

		out->low[i] = a < b ? a : b;
		out->high[i] = a < b ? b : a;
	}
}

static void random_spec(uint64_t *state, int *wish, int count)
{
	if (!model_one_in(state, 8))
		return;
	for (int i = 0; i < count; i++)
		wish[i] = model_one_in(state, 2) ? 0 : model_one_in(state, 3) ? 1 : -1;
}

static void random_icmp_types(uint64_t *state, int protocol, bool *types)
{
	int low;

	/* beside most other protocols such a rule never decides */
	if (protocol == 1 ? model_one_in(state, 4) : !model_one_in(state, 6))
		return;
	for (int n = 1 + (int)model_random(state, 3); n > 0; n--) {
		do
			low = (int)model_random(state, 19);
		while (!model_icmp_type[low]);
		types[low] = true;
		for (int high = low + 1; model_one_in(state, 3) && high < 19 && model_icmp_type[high]; high++)
			types[high] = true;
	}
}

bool model_asks(const int *wish, int count)
{
	for (int i = 0; i < count; i++) {
		if (wish[i] != 0)
			return true;
	}
	return false;
}

void model_rule(uint64_t *state, enum sl_ipfilter_dialect dialect, struct model_rule *out)
{
	static const int protocols[] = {-1, -1, 6, 6, 6, 17, 132, 1, 58, 0};
	const bool is_narrow = dialect == SL_IPFILTER_FLOW_DESCRIPTION;
	bool has_ports;

	memset(out, 0, sizeof(*out));
	out->is_deny = !is_narrow && model_one_in(state, 2);
	out->is_out = model_one_in(state, 2);
	out->protocol = protocols[model_random(state, SL_ARRAY_SIZE(protocols))];
	has_ports = out->protocol == 6 || out->protocol == 17 || out->protocol == 132 ||
		    (is_narrow && out->protocol == -1);
	for (int i = 0; i < 2; i++)
		random_end(state, is_narrow, has_ports, &out->end[i]);
	if (is_narrow)
		return;
	random_spec(state, out->ip_option, 4);
	random_spec(state, out->tcp_option, 5);
	random_spec(state, out->tcp_flag, 6);
	out->is_established = model_one_in(state, 10);
	out->is_setup = model_one_in(state, 10);
	random_icmp_types(state, out->protocol, out->icmp_type);
	if (out->end[0].port_count == 0 && out->end[1].port_count == 0 && !model_asks(out->tcp_flag, 6))
		out->is_frag = model_one_in(state, 6);
}

void model_terminal(uint64_t *state, struct model_terminal *out)
{
	memset(out, 0, sizeof(*out));
	out->count = model_random(state, MODEL_PREFIXES + 1);
	for (size_t i = 0; i < out->count; i++)
		random_prefix(state, &out->prefix[i]);
}

void model_packet(uint64_t *state, struct sl_ipfilter_packet *out)
{
	static const uint8_t protocols[] = {6, 6, 6, 17, 132, 1, 1, 58, 0, 136};
	static const uint8_t flags[] = {0x00, 0x02, 0x12, 0x10, 0x04, 0x14, 0x18, 0x11, 0x20, 0x3f, 0xc2};
	int family = random_family(state), size = family == 4 ? 4 : 16;

	memset(out, 0, sizeof(*out));
	out->direction = model_one_in(state, 2) ? SL_IPFILTER_OUT : SL_IPFILTER_IN;
	out->source.family = (uint32_t)family;
	out->destination.family = (uint32_t)family;
	model_bytes(random_address(state, family), size, out->source.bytes);
	model_bytes(random_address(state, family), size, out->destination.bytes);
	out->protocol = protocols[model_random(state, SL_ARRAY_SIZE(protocols))];
	if (model_one_in(state, 4)) {
		out->fragment_offset = (uint16_t)(model_one_in(state, 6) ? 1 : model_random(state, 3) * 4095);
		out->has_more_fragments = model_one_in(state, 2);
	}
	if (model_one_in(state, 3))
		out->ip_options = (uint8_t)model_random(state, 16);
	/* also behind an offset or in another protocol: what a careless caller leaves there must not count */
	out->has_ports = (out->protocol == 6 || out->protocol == 17 || out->protocol > 128) &&
			 !model_one_in(state, 10);
	out->source_port = (uint16_t)random_port(state);
	out->destination_port = (uint16_t)random_port(state);
	out->has_tcp = (out->protocol == 6) != model_one_in(state, 10);
	out->tcp_flags = flags[model_random(state, SL_ARRAY_SIZE(flags))];
	out->tcp_options = (uint8_t)model_random(state, 32);
	out->has_icmp = (out->protocol == 1) != model_one_in(state, 10);
	out->icmp_type =
		(uint8_t)(model_one_in(state, 10) ? 32 + model_random(state, 19) : model_random(state, 20));
}

struct sl_ipfilter_terminal model_terminal_given(const struct model_terminal *terminal,
						 struct sl_ipfilter_prefix room[MODEL_PREFIXES])
{
	for (size_t i = 0; i < terminal->count; i++) {
		const struct model_prefix *prefix = &terminal->prefix[i];

		room[i] = (struct sl_ipfilter_prefix){.address.family = (uint32_t)prefix->family,
						      .length = (uint8_t)prefix->length};
		model_bytes(prefix->value, prefix->family == 4 ? 4 : 16, room[i].address.bytes);
	}
	return (struct sl_ipfilter_terminal){.count = terminal->count, .prefixes = room};
}
