// SPDX-License-Identifier: Apache-2.0
/*
 * CPU time per packet of a gateway: plain forwarding, nftables, sluice at tc
 * and at XDP. Every mode has a gateway of its own and they take turns, each
 * beside a run of plain forwarding; a row is the median of the rounds.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "gateway.h"
#include "table.h"

#define MAX_ROUNDS 15
#define MAX_SIZES  8
/* nft takes most of a minute to list the counters of 100,000 subscribers */
#define NFT_LISTED 10000

enum mode { PLAIN, TC, XDP, NFT, MODES };

static const char *const mode_names[MODES] = {"plain", "tc", "xdp", "nft-maps"};

struct options {
	unsigned int modes; /* bits */
	uint32_t sizes[MAX_SIZES];
	unsigned int size_count;
	unsigned int rounds;
	uint32_t packets;
	int cpu;
	bool own;
	const char *rows;
};

/* What is sent: permitted traffic is priced by packet arrived, other traffic by packet sent. */
struct traffic {
	const char *bench;
	uint16_t port;
	uint16_t ports;
	bool arrives;
};

static const struct traffic permitted_traffic = {"packet_path", BENCH_FIRST_PORT, BENCH_RULES, true};
static const struct traffic dropped_traffic = {"packet_drop", BENCH_OTHER_PORT, 1, false};

/* The gateways of one table: every mode once, with so many subscribers. */
struct field {
	struct rig rig[MODES];
	struct gateway_sluice *sluice[MODES];
};

struct figures {
	double plain[MODES * MAX_ROUNDS];
	unsigned int plain_count;
	double cost[MODES][MAX_ROUNDS];
	double ratio[MODES][MAX_ROUNDS];
	double net_ratio[MODES][MAX_ROUNDS];
};

static bool has(const struct options *options, enum mode mode)
{
	return options->modes & 1u << mode;
}

static void field_new(struct bench *bench, const struct options *options, uint32_t subscribers,
		      struct field *field)
{
	memset(field, 0, sizeof(*field));
	for (enum mode mode = 0; mode < MODES; mode++) {
		if (!has(options, mode))
			continue;
		rig_new(bench, &field->rig[mode]);
		if (mode == NFT)
			gateway_nft(&field->rig[mode], subscribers);
		else if (mode != PLAIN)
			field->sluice[mode] = gateway_sluice_new(bench, &field->rig[mode], mode == XDP,
								 options->own, subscribers);
	}
}

static void field_free(struct bench *bench, const struct options *options, struct field *field)
{
	for (enum mode mode = 0; mode < MODES; mode++) {
		if (!has(options, mode))
			continue;
		if (field->sluice[mode])
			gateway_sluice_free(bench, &field->rig[mode], field->sluice[mode]);
		rig_free(&field->rig[mode]);
	}
}

/*
 * A figure is worth something only if the gateway did what the rules say. Runs
 * before any other traffic: all counters are zero.
 */
static void verify(struct bench *bench, const struct options *options, const struct field *field,
		   uint32_t subscribers)
{
	const uint32_t packets = 20000;

	for (enum mode mode = 0; mode < MODES; mode++) {
		struct rig_sample permitted, other;
		uint64_t count = packets;

		if (!has(options, mode))
			continue;
		permitted = rig_send(bench, &field->rig[mode], subscribers, BENCH_FIRST_PORT, BENCH_RULES,
				     packets);
		if (field->sluice[mode])
			count = gateway_sluice_packets(field->sluice[mode]);
		else if (mode == NFT && subscribers <= NFT_LISTED)
			count = gateway_nft_packets(&field->rig[mode]);
		other = rig_send(bench, &field->rig[mode], subscribers, BENCH_OTHER_PORT, 1, packets);
		if (permitted.arrived != packets || count != packets)
			bench_die("%s, %u subscribers: of %u permitted packets %llu arrived and %llu were "
				  "counted",
				  mode_names[mode], subscribers, packets,
				  (unsigned long long)permitted.arrived, (unsigned long long)count);
		if (other.arrived != (mode == PLAIN ? packets : 0))
			bench_die("%s, %u subscribers: %llu of %u packets that no rule permits arrived",
				  mode_names[mode], subscribers, (unsigned long long)other.arrived, packets);
	}
}

static double cost(struct bench *bench, const struct options *options, const struct rig *rig,
		   uint32_t subscribers, const struct traffic *traffic)
{
	struct rig_sample sample;

	/* what the other modes have thrown out of the caches comes back first */
	rig_send(bench, rig, subscribers, traffic->port, traffic->ports, options->packets / 4);
	sample = rig_send(bench, rig, subscribers, traffic->port, traffic->ports, options->packets);
	if (!traffic->arrives)
		return sample.cpu_ns / (double)sample.sent;
	if (sample.arrived < sample.sent / 100 * 99)
		bench_die("%llu of %llu packets arrived", (unsigned long long)sample.arrived,
			  (unsigned long long)sample.sent);
	return sample.cpu_ns / (double)sample.arrived;
}

static double price_generator(struct bench *bench, const struct options *options)
{
	double costs[MAX_ROUNDS];
	struct rig rig;

	rig_new_generator(bench, &rig);
	for (unsigned int i = 0; i < options->rounds; i++)
		costs[i] = cost(bench, options, &rig, options->sizes[0], &permitted_traffic);
	rig_free(&rig);
	return bench_median(costs, options->rounds);
}

/* Until nearly every subscriber's cache lines have been touched once. */
static void warm_up(struct bench *bench, const struct options *options, const struct field *field,
		    uint32_t subscribers)
{
	for (enum mode mode = 0; mode < MODES; mode++)
		if (has(options, mode))
			rig_send(bench, &field->rig[mode], subscribers, BENCH_FIRST_PORT, BENCH_RULES,
				 subscribers * 8 + 100000);
}

static void measure(struct bench *bench, const struct options *options, const struct field *field,
		    uint32_t subscribers, const struct traffic *traffic, double generator,
		    struct figures *figures)
{
	figures->plain_count = 0;
	for (unsigned int round = 0; round < options->rounds; round++) {
		for (enum mode mode = PLAIN + 1; mode < MODES; mode++) {
			double plain, other;

			if (!has(options, mode))
				continue;
			plain = cost(bench, options, &field->rig[PLAIN], subscribers, &permitted_traffic);
			other = cost(bench, options, &field->rig[mode], subscribers, traffic);
			figures->plain[figures->plain_count++] = plain;
			figures->cost[mode][round] = other;
			figures->ratio[mode][round] = other / plain;
			figures->net_ratio[mode][round] = (other - generator) / (plain - generator);
		}
	}
}

static void print_row(FILE *rows, const struct options *options, const char *bench, enum mode mode,
		      uint32_t subscribers, double ns, double ratio, double net_ratio, double generator)
{
	const char *rule_sets = options->own ? "own" : "shared";
	double load = 0;

	getloadavg(&load, 1);
	printf("%-12s %-9s %11u %6u %-9s %13.0f %9.2f %9.2f\n", bench, mode_names[mode], subscribers,
	       BENCH_RULES, rule_sets, ns, ratio, net_ratio);
	fprintf(rows,
		"{\"bench\":\"%s\",\"mode\":\"%s\",\"subscribers\":%u,\"rules\":%u,\"rule_sets\":\"%s\","
		"\"cpu_ns_per_packet\":%.1f,\"ratio_to_plain\":%.3f,\"net_ratio_to_plain\":%.3f,"
		"\"generator_ns\":%.1f,\"rounds\":%u,\"packets\":%u,\"load\":%.2f}\n",
		bench, mode_names[mode], subscribers, BENCH_RULES, rule_sets, ns, ratio, net_ratio, generator,
		options->rounds, options->packets, load);
}

static void print_figures(FILE *rows, const struct options *options, const struct traffic *traffic,
			  uint32_t subscribers, double generator, struct figures *figures)
{
	print_row(rows, options, traffic->bench, PLAIN, subscribers,
		  bench_median(figures->plain, figures->plain_count), 1, 1, generator);
	for (enum mode mode = PLAIN + 1; mode < MODES; mode++)
		if (has(options, mode))
			print_row(rows, options, traffic->bench, mode, subscribers,
				  bench_median(figures->cost[mode], options->rounds),
				  bench_median(figures->ratio[mode], options->rounds),
				  bench_median(figures->net_ratio[mode], options->rounds), generator);
	fflush(stdout);
	fflush(rows);
}

static void parse_list(const char *text, struct options *options)
{
	char *end;

	options->size_count = 0;
	do {
		unsigned long value = strtoul(text, &end, 10);

		if (end == text || value < 1 || value > 1000000 || options->size_count == MAX_SIZES)
			bench_die("--subscribers: '%s': up to %d numbers from 1 to 1000000", text, MAX_SIZES);
		options->sizes[options->size_count++] = (uint32_t)value;
		text = end + 1;
	} while (*end == ',');
}

static void parse_modes(const char *text, struct options *options)
{
	options->modes = 1u << PLAIN;
	for (enum mode mode = 0; mode < MODES; mode++)
		if (strstr(text, mode_names[mode]))
			options->modes |= 1u << mode;
	if (options->modes == 1u << PLAIN)
		bench_die("--modes: '%s': some of tc, xdp, nft-maps", text);
}

static struct options parse(int argc, char **argv)
{
	static const struct option names[] = {
		{"subscribers", required_argument, NULL, 's'}, {"modes", required_argument, NULL, 'm'},
		{"rounds", required_argument, NULL, 'r'},      {"packets", required_argument, NULL, 'p'},
		{"cpu", required_argument, NULL, 'c'},	       {"own-rule-sets", no_argument, NULL, 'o'},
		{"rows", required_argument, NULL, 'w'},	       {0},
	};
	struct options options = {
		.modes = (1u << MODES) - 1,
		.sizes = {1000, 10000, 100000},
		.size_count = 3,
		.rounds = 5,
		.packets = 1000000,
		.cpu = -1,
		.rows = "/dev/null",
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "", names, NULL)) >= 0) {
		switch (letter) {
		case 's':
			parse_list(optarg, &options);
			break;
		case 'm':
			parse_modes(optarg, &options);
			break;
		case 'r':
			options.rounds = (unsigned int)strtoul(optarg, NULL, 10);
			if (options.rounds < 1 || options.rounds > MAX_ROUNDS)
				bench_die("--rounds: '%s': 1 to %d", optarg, MAX_ROUNDS);
			break;
		case 'p':
			options.packets = (uint32_t)strtoul(optarg, NULL, 10);
			if (options.packets < 1000 || options.packets > 100000000)
				bench_die("--packets: '%s': 1000 to 100000000", optarg);
			break;
		case 'c':
			options.cpu = (int)strtol(optarg, NULL, 10);
			break;
		case 'o':
			options.own = true;
			break;
		case 'w':
			options.rows = optarg;
			break;
		default:
			fputs("usage: packet_path [--subscribers N,..] [--modes tc,xdp,nft-maps] [--rounds "
			      "N]\n"
			      "                   [--packets N] [--cpu N] [--own-rule-sets] [--rows FILE]\n",
			      stderr);
			exit(2);
		}
	}
	return options;
}

int main(int argc, char **argv)
{
	struct options options = parse(argc, argv);
	_cleanup_file_ FILE *rows = bench_rows_open(options.rows);
	struct bench *bench = bench_new(options.cpu);
	static const struct traffic *const traffics[] = {&permitted_traffic, &dropped_traffic};
	struct figures figures;
	struct field field;
	double generator = price_generator(bench, &options);

	printf("# CPU %d, %u rounds of %u packets; the generator alone: %.0f ns\n", bench_cpu(bench),
	       options.rounds, options.packets, generator);
	printf("%-12s %-9s %11s %6s %-9s %13s %9s %9s\n", "bench", "mode", "subscribers", "rules",
	       "rule sets", "CPU ns/packet", "to plain", "net");
	for (unsigned int i = 0; i < options.size_count; i++) {
		field_new(bench, &options, options.sizes[i], &field);
		verify(bench, &options, &field, options.sizes[i]);
		warm_up(bench, &options, &field, options.sizes[i]);
		for (unsigned int t = 0; t < SL_ARRAY_SIZE(traffics); t++) {
			measure(bench, &options, &field, options.sizes[i], traffics[t], generator, &figures);
			print_figures(rows, &options, traffics[t], options.sizes[i], generator, &figures);
		}
		field_free(bench, &options, &field);
	}
	bench_free(bench);
	return 0;
}
