// SPDX-License-Identifier: Apache-2.0
/*
 * The agent's compiler and the real BPF programs against the reference model:
 * random rule lists, random packets, and nothing may differ - verdict, deciding
 * rule, class, bytes, packets.
 *
 *   PAIRS=n   pairs of a rule list and a packet (1,000,000)
 *   SEED=n    where the random numbers begin; printed, and with a difference
 *             the one that brings its rule list first
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "bpfrun.h"
#include "reference/counterexample.h"
#include "reference/published.h"
#include "reference/random.h"

#define PAIRS_OF_A_WORLD 64

static struct bpfrun *rig;
static struct bpfrun_maps maps;

/* What the counters have to say, slot by slot from 0. */
static struct sluice_usage expected[PUBLISHED_USAGE];
static struct sluice_counter expected_drops[SLUICE_DROP_REASON_COUNT][SLUICE_DIRECTIONS];
static struct sluice_counter expected_passes[SLUICE_DIRECTIONS];

static struct published published;

static char difference[512];

static bool differ(const char *format, ...) __attribute__((format(printf, 1, 2)));
static bool differ(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(difference, sizeof(difference), format, arguments);
	va_end(arguments);
	return false;
}

/* False: they differ on a rule already. */
static bool publish(const struct model_world *world)
{
	struct sl_error why = {0};

	bpfrun_settings(rig)->unknown_drop = !world->unknown_passes;
	memset(expected, 0, sizeof(expected));
	if (published_publish(&maps, world, &published, &why) == 0)
		return true;
	return differ("%s", why.text);
}

/* --- one packet on both sides ---------------------------------------------------- */

static void expect_count(struct sluice_counter *counter, const struct model_outcome *outcome)
{
	counter->bytes += outcome->bytes;
	counter->packets += outcome->packets;
}

static void expect_usage(const struct model_outcome *outcome, bool downlink)
{
	struct sluice_usage *usage =
		&expected[published.usage_of[outcome->session] + 1 + (uint32_t)outcome->rule];

	if (outcome->passes)
		expect_count(downlink ? &usage->downlink : &usage->uplink, outcome);
	else
		expect_count(downlink ? &usage->downlink_dropped : &usage->uplink_dropped, outcome);
}

static void expect_outcome(const struct model_outcome *outcome, const struct sample *sample)
{
	static const enum sluice_drop_reason reasons[MODEL_REASONS] = {
		[MODEL_PERMITTED] = SLUICE_DROP_NONE,
		[MODEL_DENIED] = SLUICE_DROP_RULE_DENY,
		[MODEL_NO_RULE] = SLUICE_DROP_NO_RULE,
		[MODEL_UNKNOWN_SUBSCRIBER] = SLUICE_DROP_UNKNOWN_SUBSCRIBER,
		[MODEL_MALFORMED] = SLUICE_DROP_MALFORMED,
		[MODEL_NOT_IP] = SLUICE_DROP_NOT_IP,
		[MODEL_FRAGMENT_OFFSET] = SLUICE_DROP_FRAGMENT_OFFSET,
	};

	/* what XDP lets pass tc will count */
	if (sample->xdp && outcome->passes)
		return;
	if (outcome->session >= 0)
		expect_usage(outcome, sample->downlink);
	if (!outcome->passes)
		expect_count(&expected_drops[reasons[outcome->reason]][sample->downlink], outcome);
	else if (outcome->reason != MODEL_PERMITTED)
		expect_count(&expected_passes[sample->downlink], outcome);
}

static const char *slot_text(const struct model_world *world, uint32_t slot)
{
	static char text[MODEL_ID_SIZE + 64];

	for (uint32_t i = 0; i < world->session_count; i++) {
		uint32_t rules = world->sessions[i].has_rules ? world->rule_count : 0;

		if (slot == published.usage_of[i])
			snprintf(text, sizeof(text), "the default drop of session %u", i);
		else if (slot > published.usage_of[i] && slot <= published.usage_of[i] + rules)
			snprintf(text, sizeof(text), "rule '%s' of session %u",
				 world->rules[slot - published.usage_of[i] - 1].id, i);
		else
			continue;
		return text;
	}
	return "nobody";
}

static void counter_text(const struct sluice_usage *usage, char *out, size_t size)
{
	const struct sluice_counter *counters[] = {&usage->uplink, &usage->downlink, &usage->uplink_dropped,
						   &usage->downlink_dropped};
	static const char *const names[] = {"uplink", "downlink", "uplink_dropped", "downlink_dropped"};
	size_t at = 0;

	out[0] = 0;
	for (int i = 0; i < 4; i++)
		if (counters[i]->packets || counters[i]->bytes)
			at += (size_t)snprintf(out + at, size - at, " %s %llu packets %llu bytes", names[i],
					       (unsigned long long)counters[i]->packets,
					       (unsigned long long)counters[i]->bytes);
}

static bool same_usage(const struct model_world *world)
{
	char have[160], want[160];

	if (!memcmp(expected, maps.usage, published.usage_slots * sizeof(*expected)))
		return true;
	for (uint32_t i = 0; i < published.usage_slots; i++) {
		if (!memcmp(&expected[i], &maps.usage[i], sizeof(expected[i])))
			continue;
		counter_text(&maps.usage[i], have, sizeof(have));
		counter_text(&expected[i], want, sizeof(want));
		return differ("usage of %s is%s, the model has%s", slot_text(world, i),
			      have[0] ? have : " zero", want[0] ? want : " zero");
	}
	return true;
}

static bool same_class(const struct sample *sample, const struct model_outcome *outcome,
		       const struct bpfrun_result *result)
{
	uint32_t mark = (sample->mark & ~SLUICE_MARK_MASK) | outcome->class;
	uint32_t priority =
		SLUICE_HTB_MAJOR << 16 | (outcome->class ? outcome->class : SLUICE_HTB_DEFAULT_MINOR);

	if (!sample->downlink && result->mark != mark)
		return differ("mark is 0x%x, the model has 0x%x", result->mark, mark);
	if (sample->downlink && result->priority != priority)
		return differ("priority is 0x%x, the model has 0x%x", result->priority, priority);
	return true;
}

static bool same_packet(const struct model_world *world, const struct sample *sample,
			struct model_outcome *outcome)
{
	static struct packet packet;
	struct bpfrun_context context = {
		.mark = sample->mark,
		.gso_segs = sample->segments,
		.gso_size = sample->segment_size,
		.received_on = 1, /* forwarded, not made by this host */
	};
	struct model_frame frame = {
		.data = packet.data,
		.downlink = sample->downlink,
		.segments = sample->segments,
		.segment_size = sample->segment_size,
	};
	struct bpfrun_result result;
	bool passes;

	packet.length = frame.length = sample_frame(sample, packet.data);
	*outcome = model_decide(world, &frame);
	expect_outcome(outcome, sample);
	result = bpfrun_packet(rig,
			       sample->xdp	  ? BPFRUN_XDP_ACCESS
			       : sample->downlink ? BPFRUN_ACCESS_EGRESS
						  : BPFRUN_ACCESS_INGRESS,
			       &packet, &context);
	passes = result.verdict == (sample->xdp ? BPFRUN_XDP_PASS : BPFRUN_TC_NEXT);
	if (!passes && result.verdict != (sample->xdp ? BPFRUN_XDP_DROP : BPFRUN_TC_DROP))
		return differ("verdict %d", result.verdict);
	if (passes != outcome->passes)
		return differ("the packet %s, in the model it %s", passes ? "passes" : "is dropped",
			      outcome->passes ? "passes" : "is dropped");
	if (!same_usage(world))
		return false;
	return !passes || sample->xdp || same_class(sample, outcome, &result);
}

static bool same_total(const char *what, int direction, const struct sluice_counter *have,
		       const struct sluice_counter *want)
{
	if (have->packets == want->packets && have->bytes == want->bytes)
		return true;
	return differ("%s, %s: %llu packets, %llu bytes, the model has %llu packets, %llu bytes", what,
		      direction == SLUICE_UPLINK ? "uplink" : "downlink", (unsigned long long)have->packets,
		      (unsigned long long)have->bytes, (unsigned long long)want->packets,
		      (unsigned long long)want->bytes);
}

/* Totals are read by system calls, once for a world. */
static bool same_totals(void)
{
#define X(name, text, why) "drops " text,
	static const char *const reasons[] = {SLUICE_DROP_REASONS(X)};
#undef X
#define X(name, text, why) "passes " text,
	static const char *const kinds[] = {SLUICE_PASS_KINDS(X)};
#undef X

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		for (int reason = 0; reason < SLUICE_DROP_REASON_COUNT; reason++) {
			struct sluice_counter have = bpfrun_drops(rig, reason, direction);
			struct sluice_counter want = expected_drops[reason][direction];

			/* how long a malformed packet is, nobody can say */
			if (reason == SLUICE_DROP_MALFORMED)
				want.bytes = have.bytes;
			if (!same_total(reasons[reason], direction, &have, &want))
				return false;
		}
		for (int kind = 0; kind < SLUICE_PASS_KIND_COUNT; kind++) {
			struct sluice_counter have = bpfrun_passes(rig, kind, direction);
			struct sluice_counter want = {0};

			if (kind == SLUICE_PASS_UNKNOWN_SUBSCRIBER)
				want = expected_passes[direction];
			if (!same_total(kinds[kind], direction, &have, &want))
				return false;
		}
	}
	return true;
}

/* --- a difference ------------------------------------------------------------------ */

static bool differs_alone(const struct counterexample *example)
{
	struct model_outcome outcome;
	bool same;

	bpfrun_reset(rig);
	published_poison(&maps);
	memset(expected_drops, 0, sizeof(expected_drops));
	memset(expected_passes, 0, sizeof(expected_passes));
	same = publish(&example->world) && same_packet(&example->world, &example->sample, &outcome) &&
	       same_totals();
	published_withdraw(&maps, &example->world);
	return !same;
}

static void report(uint64_t seed, uint64_t pairs)
{
	static struct counterexample example;
	struct random random;
	char first[sizeof(difference)];
	bool found = false;

	memcpy(first, difference, sizeof(first));
	random_world(&random, seed, &example.world);
	for (int i = 0; i < PAIRS_OF_A_WORLD && !found; i++) {
		random_sample(&random, &example.world, &example.sample);
		found = differs_alone(&example);
	}
	printf("a difference after %llu pairs: SEED=%llu PAIRS=%d: %s\n", (unsigned long long)pairs,
	       (unsigned long long)seed, PAIRS_OF_A_WORLD, first);
	if (found) {
		counterexample_shrink(&example, differs_alone);
		differs_alone(&example);
		printf("the smallest that was found: %s\n", difference);
		counterexample_print(&example, stdout);
	} else {
		printf("no packet shows it alone, only all of them one after the other\n");
	}
	fflush(stdout);
	fail_msg("the programs and the model differ");
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	char *end;
	uint64_t number;

	if (!text || !*text)
		return otherwise;
	errno = 0;
	number = strtoull(text, &end, 0);
	if (errno || *end)
		fail_msg("%s='%s' is not a number", name, text);
	return number;
}

static double seconds_since(const struct timespec *begin)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - begin->tv_sec) + (double)(now.tv_nsec - begin->tv_nsec) / 1e9;
}

static void the_programs_decide_and_count_as_the_reference_model_does(void **state)
{
	static struct model_world world;
	uint64_t seed, pairs, done = 0, worlds = 0, divided = 0, outcomes[MODEL_REASONS] = {0};
	struct timespec begin;
	double seconds;

	(void)state;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		fail_msg("no random numbers");
	seed = number_from("SEED", seed);
	pairs = number_from("PAIRS", 1000000);
	printf("SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	rig = bpfrun_open();
	maps = bpfrun_maps(rig);
	published_poison(&maps);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (; done < pairs; worlds++) {
		struct random random;
		bool same;

		random_world(&random, seed + worlds, &world);
		same = publish(&world);
		divided += same ? published.divided : 0;
		for (int i = 0; same && i < PAIRS_OF_A_WORLD && done < pairs; i++, done++) {
			struct model_outcome outcome;
			struct sample sample;

			random_sample(&random, &world, &sample);
			same = same_packet(&world, &sample, &outcome);
			outcomes[outcome.reason]++;
		}
		same = same && same_totals();
		published_withdraw(&maps, &world);
		if (!same)
			report(seed + worlds, done);
	}
	seconds = seconds_since(&begin);
	printf("%llu pairs of %llu rule lists in %.1f s, %.0f pairs/s\n", (unsigned long long)done,
	       (unsigned long long)worlds, seconds, (double)done / seconds);
	printf("permitted %llu, denied %llu, no rule %llu, unknown %llu, malformed %llu, not IP %llu, "
	       "fragment offset %llu\n",
	       (unsigned long long)outcomes[MODEL_PERMITTED], (unsigned long long)outcomes[MODEL_DENIED],
	       (unsigned long long)outcomes[MODEL_NO_RULE],
	       (unsigned long long)outcomes[MODEL_UNKNOWN_SUBSCRIBER],
	       (unsigned long long)outcomes[MODEL_MALFORMED], (unsigned long long)outcomes[MODEL_NOT_IP],
	       (unsigned long long)outcomes[MODEL_FRAGMENT_OFFSET]);
	printf("%llu match lists in several trees\n", (unsigned long long)divided);
	/* random numbers that always bring the same outcome compare nothing */
	for (int i = 0; i < MODEL_REASONS && done >= 100000; i++)
		assert_true(outcomes[i] >= done / 1000);
	if (done >= 100000)
		assert_true(divided > worlds / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_programs_decide_and_count_as_the_reference_model_does),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	bpfrun_close(rig);
	return failed;
}
