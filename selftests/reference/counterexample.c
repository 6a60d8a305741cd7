// SPDX-License-Identifier: Apache-2.0
#include "counterexample.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* --- shrinking ---------------------------------------------------------------- */

struct shrinker {
	struct counterexample *best;
	struct counterexample *candidate;
	counterexample_differs differs;
	bool progress;
};

static void keep_if_it_differs(struct shrinker *shrinker)
{
	if (!memcmp(shrinker->candidate, shrinker->best, sizeof(*shrinker->best)) ||
	    !shrinker->differs(shrinker->candidate))
		return;
	*shrinker->best = *shrinker->candidate;
	shrinker->progress = true;
}

/* What `change` does to `world` and `sample` stays when the difference does. */
#define TRY(shrinker, change)                               \
	do {                                                \
		struct model_world *world;                  \
		struct sample *sample;                      \
                                                            \
		*(shrinker)->candidate = *(shrinker)->best; \
		world = &(shrinker)->candidate->world;      \
		sample = &(shrinker)->candidate->sample;    \
		(void)world;                                \
		(void)sample;                               \
		change;                                     \
		keep_if_it_differs(shrinker);               \
	} while (0)

static void remove_rules(struct model_world *world, unsigned int first, unsigned int count)
{
	memmove(&world->rules[first], &world->rules[first + count],
		(world->rule_count - first - count) * sizeof(world->rules[0]));
	world->rule_count -= count;
	memset(&world->rules[world->rule_count], 0, count * sizeof(world->rules[0]));
}

static void drop_rules(struct shrinker *shrinker)
{
	for (unsigned int chunk = shrinker->best->world.rule_count; chunk > 0; chunk /= 2) {
		unsigned int first = 0;

		while (first + chunk <= shrinker->best->world.rule_count) {
			unsigned int before = shrinker->best->world.rule_count;

			TRY(shrinker, remove_rules(world, first, chunk));
			if (shrinker->best->world.rule_count == before)
				first += chunk;
		}
	}
}

static void remove_flow(struct model_rule *rule, unsigned int flow)
{
	memmove(&rule->flows[flow], &rule->flows[flow + 1],
		(rule->flow_count - flow - 1) * sizeof(rule->flows[0]));
	rule->flow_count--;
	memset(&rule->flows[rule->flow_count], 0, sizeof(rule->flows[0]));
}

static void drop_flows(struct shrinker *shrinker)
{
	for (unsigned int rule = 0; rule < shrinker->best->world.rule_count; rule++) {
		unsigned int flow = 0;

		while (shrinker->best->world.rules[rule].flow_count > 1 &&
		       flow < shrinker->best->world.rules[rule].flow_count) {
			unsigned int before = shrinker->best->world.rules[rule].flow_count;

			TRY(shrinker, remove_flow(&world->rules[rule], flow));
			if (shrinker->best->world.rules[rule].flow_count == before)
				flow++;
		}
	}
}

/* Rules that no session has would not be printed. */
static bool has_the_last_rules(const struct model_world *world, unsigned int session)
{
	for (unsigned int i = 0; i < world->session_count; i++)
		if (i != session && world->sessions[i].has_rules)
			return false;
	return world->rule_count > 0 && world->sessions[session].has_rules;
}

static void drop_sessions(struct shrinker *shrinker)
{
	for (unsigned int i = shrinker->best->world.session_count; i-- > 0;) {
		if (has_the_last_rules(&shrinker->best->world, i))
			continue;
		TRY(shrinker, {
			world->session_count--;
			memmove(&world->sessions[i], &world->sessions[i + 1],
				(world->session_count - i) * sizeof(world->sessions[0]));
		});
	}
}

static void simplify_flow(struct shrinker *shrinker, unsigned int rule, unsigned int index)
{
#define TRY_FLOW(change)                                                    \
	TRY(shrinker, {                                                     \
		struct model_flow *flow = &world->rules[rule].flows[index]; \
		change;                                                     \
	})
	TRY_FLOW(flow->ip_src = (struct model_prefix){0});
	TRY_FLOW(flow->ip_dst = (struct model_prefix){0});
	TRY_FLOW(flow->remote_port = (struct model_range){0});
	TRY_FLOW(flow->local_port = (struct model_range){0});
	TRY_FLOW(flow->tcp_src = flow->udp_src = 0);
	TRY_FLOW(flow->tcp_dst = flow->udp_dst = 0);
	TRY_FLOW(flow->ip_proto = 0);
	TRY_FLOW(flow->deny = false);
	TRY_FLOW(flow->local = (struct model_prefix){0});
	TRY_FLOW(flow->local_outside = false);
	TRY_FLOW(flow->protocol_zero = false);
	TRY_FLOW(flow->terms = (struct model_terms){0});
	TRY_FLOW(flow->terms.outside = false);
	TRY_FLOW(flow->terms.dscp_given = false);
	TRY_FLOW(flow->terms.flags_given = false);
	TRY_FLOW(flow->terms.icmp_given = false);
	TRY_FLOW(flow->terms.later_fragment = false);
	TRY_FLOW(flow->terms.ip_options = (struct model_options){0});
	TRY_FLOW(flow->terms.tcp_options = (struct model_options){0});
#undef TRY_FLOW
}

static bool ids_differ(const struct model_world *world, unsigned int rule)
{
	for (unsigned int i = 0; i < world->rule_count; i++)
		if (i != rule && world->rules[i].gy == world->rules[rule].gy &&
		    !strcmp(world->rules[i].id, world->rules[rule].id))
			return false;
	return true;
}

static void rename_rule(struct model_world *world, unsigned int rule)
{
	struct model_rule before = world->rules[rule];

	memset(world->rules[rule].id, 0, sizeof(world->rules[rule].id));
	snprintf(world->rules[rule].id, sizeof(world->rules[rule].id), "rule_%u", rule + 1);
	if (!ids_differ(world, rule))
		world->rules[rule] = before;
}

static void make_gx(struct model_world *world, unsigned int rule)
{
	world->rules[rule].gy = false;
	if (!ids_differ(world, rule))
		world->rules[rule].gy = true;
}

static void simplify_rules(struct shrinker *shrinker)
{
	for (unsigned int i = 0; i < shrinker->best->world.rule_count; i++) {
		TRY(shrinker, rename_rule(world, i));
		TRY(shrinker, make_gx(world, i));
		TRY(shrinker, world->rules[i].timeout = MODEL_NO_TIMEOUT);
		TRY(shrinker, world->rules[i].uplink_class = world->rules[i].downlink_class = 0);
		if (shrinker->best->world.rules[i].precedence > i + 1)
			TRY(shrinker, world->rules[i].precedence = i + 1);
		for (unsigned int flow = 0; flow < shrinker->best->world.rules[i].flow_count; flow++)
			simplify_flow(shrinker, i, flow);
	}
	TRY(shrinker, world->unknown_passes = false);
}

static void simplify_sample(struct shrinker *shrinker)
{
	TRY(shrinker, sample->spoil = SAMPLE_SOUND);
	TRY(shrinker, sample->amount = sample->spoil ? 1 : 0);
	TRY(shrinker, sample->xdp = false);
	TRY(shrinker, sample->tag_count = 0);
	TRY(shrinker, sample->tag_count -= sample->tag_count > 0);
	TRY(shrinker, sample->ethertype = 0);
	TRY(shrinker, sample->hop_limit = 64);
	TRY(shrinker, sample->class_of_traffic = 0);
	TRY(shrinker, sample->ip_options = 0);
	TRY(shrinker, sample->ip_options = sample->ip_options > 0);
	TRY(shrinker, sample->extension_count = 0);
	for (unsigned int i = 0; i < shrinker->best->sample.extension_count; i++) {
		TRY(shrinker, {
			sample->extension_count--;
			memmove(&sample->extensions[i], &sample->extensions[i + 1],
				(sample->extension_count - i) * sizeof(sample->extensions[0]));
		});
		TRY(shrinker, sample->extensions[i].length = sample->extensions[i].type == 51);
	}
	TRY(shrinker, sample->fragment_offset = 0);
	TRY(shrinker, sample->fragment_offset = sample->fragment_offset ? 185 : 0);
	TRY(shrinker, sample->more_fragments = false);
	TRY(shrinker, sample->dont_fragment = sample->reserved_flag = false);
	TRY(shrinker, sample->icmp_type = 0);
	TRY(shrinker, sample->tcp_options = 0);
	TRY(shrinker, sample->tcp_flags = 0);
	TRY(shrinker, sample->segments = sample->segment_size = 0);
	TRY(shrinker, sample->padding = 0);
	TRY(shrinker, sample->payload = 0);
	TRY(shrinker, sample->mark = 0);
	TRY(shrinker, sample->protocol = 253);
	TRY(shrinker, sample->ue_port = 40000);
	TRY(shrinker, sample->remote_port = 80);
	TRY(shrinker, {
		if (sample->family == 6) {
			memset(sample->ue + 8, 0, 7);
			sample->ue[15] = 1;
		}
	});
}

void counterexample_shrink(struct counterexample *example, counterexample_differs differs)
{
	struct shrinker shrinker = {
		.best = example,
		.candidate = malloc(sizeof(*example)),
		.differs = differs,
	};

	if (!shrinker.candidate)
		return;
	memset(&example->world.rules[example->world.rule_count], 0,
	       (MODEL_RULES - example->world.rule_count) * sizeof(example->world.rules[0]));
	do {
		shrinker.progress = false;
		drop_rules(&shrinker);
		drop_flows(&shrinker);
		simplify_sample(&shrinker);
		drop_sessions(&shrinker);
		simplify_rules(&shrinker);
	} while (shrinker.progress);
	free(shrinker.candidate);
}

/* --- printing ------------------------------------------------------------------ */

static const char *address_text(const uint8_t *address, int family)
{
	static char texts[4][INET6_ADDRSTRLEN];
	static int next;
	char *text = texts[next++ % 4];

	inet_ntop(family == 4 ? AF_INET : AF_INET6, address, text, INET6_ADDRSTRLEN);
	return text;
}

/* YAML takes no control characters as they are. */
static void print_id(FILE *out, const char *id)
{
	fputc('"', out);
	for (; *id; id++)
		if (*id == 0x7f)
			fputs("\\x7f", out);
		else
			fputc(*id, out);
	fputc('"', out);
}

static const char *imsi(int session)
{
	static const char *const digits[] = {"001010000000001", "001010000000001", "001010000000002",
					     "001010000000002"};

	return digits[session];
}

static void print_prefix(FILE *out, const char *name, const struct model_prefix *prefix)
{
	if (prefix->given)
		fprintf(out, ", %s: \"%s/%d\"", name, address_text(prefix->address, prefix->family),
			prefix->length);
}

static void print_number(FILE *out, const char *name, unsigned int number)
{
	if (number)
		fprintf(out, ", %s: %u", name, number);
}

static void print_range(FILE *out, const char *name, const struct model_range *range)
{
	if (range->given)
		fprintf(out, ", %s: %u-%u", name, range->low, range->high);
}

static void print_options(FILE *out, const char *name, const struct model_options *options)
{
	if (options->given)
		fprintf(out, " %s with 0x%02x without 0x%02x", name, options->present, options->absent);
}

/* What the file format has no word for. */
static void print_own_form(FILE *out, const struct model_flow *flow)
{
	const struct model_terms *terms = &flow->terms;

	if (!flow->protocol_zero && !flow->local.given && !terms->outside && !terms->dscp_given &&
	    !terms->flags_given && !terms->icmp_given && !terms->later_fragment && !terms->ip_options.given &&
	    !terms->tcp_options.given)
		return;
	fprintf(out, "              # and");
	if (flow->protocol_zero)
		fprintf(out, " protocol 0");
	if (flow->local.given)
		fprintf(out, " subscriber %s %s/%d", flow->local_outside ? "outside" : "in",
			address_text(flow->local.address, flow->local.family), flow->local.length);
	if (terms->outside)
		fprintf(out, " remote outside its prefix");
	if (terms->dscp_given)
		fprintf(out, " DSCP %u", terms->dscp);
	if (terms->flags_given)
		fprintf(out, " TCP flags 0x%02x of 0x%02x any of 0x%02x", terms->flags_value,
			terms->flags_mask, terms->flags_any);
	if (terms->icmp_given)
		fprintf(out, " ICMP type %u-%u", terms->icmp_low, terms->icmp_high);
	if (terms->later_fragment)
		fprintf(out, " later fragment");
	print_options(out, "IP options", &terms->ip_options);
	print_options(out, "TCP options", &terms->tcp_options);
	fprintf(out, "\n");
}

static void print_flow(FILE *out, const struct model_flow *flow)
{
	fprintf(out, "            - {direction: %s, action: %s", flow->downlink ? "DOWNLINK" : "UPLINK",
		flow->deny ? "DENY" : "PERMIT");
	print_number(out, "ip_proto", flow->ip_proto);
	print_prefix(out, "ip_src", &flow->ip_src);
	print_prefix(out, "ip_dst", &flow->ip_dst);
	print_number(out, "tcp_src", flow->tcp_src);
	print_number(out, "tcp_dst", flow->tcp_dst);
	print_number(out, "udp_src", flow->udp_src);
	print_number(out, "udp_dst", flow->udp_dst);
	print_range(out, "remote_port", &flow->remote_port);
	print_range(out, "local_port", &flow->local_port);
	fprintf(out, "}\n");
	print_own_form(out, flow);
}

static void print_rule(FILE *out, const struct model_rule *rule)
{
	fprintf(out, "        - id: ");
	print_id(out, rule->id);
	fprintf(out, "\n          version: 1\n          precedence: %u\n", rule->precedence);
	if (rule->timeout != MODEL_NO_TIMEOUT)
		fprintf(out, "          # its hard timeout has %spassed\n",
			rule->timeout == MODEL_PASSED ? "" : "not ");
	if (rule->uplink_class || rule->downlink_class)
		fprintf(out, "          # its class is %u uplink, %u downlink\n", rule->uplink_class,
			rule->downlink_class);
	fprintf(out, "          flows:\n");
	for (unsigned int i = 0; i < rule->flow_count; i++)
		print_flow(out, &rule->flows[i]);
}

static bool is_installed(const struct model_world *world, int session, unsigned int rule)
{
	return world->sessions[session].has_rules && model_rule_is_valid(&world->rules[rule]) &&
	       model_rule_fits(&world->rules[rule], world->sessions[session].family);
}

/* A request carries rules of one origin. */
static void print_activation(FILE *out, const struct model_world *world, int session, bool gy)
{
	const struct model_session *subscriber = &world->sessions[session];
	unsigned int count = 0;

	for (unsigned int i = 0; subscriber->has_rules && i < world->rule_count; i++)
		count += world->rules[i].gy == gy;
	if (!count && gy)
		return;
	fprintf(out, "  - activate:\n      imsi: IMSI%s\n      %s: \"%s\"\n", imsi(session),
		subscriber->family == 4 ? "ip" : "ipv6",
		address_text(subscriber->address, subscriber->family));
	if (gy)
		fprintf(out, "      origin: GY\n");
	if (!count) {
		fprintf(out, "      policies: []\n      results: []\n");
		return;
	}
	fprintf(out, "      policies:\n");
	for (unsigned int i = 0; i < world->rule_count; i++)
		if (world->rules[i].gy == gy)
			print_rule(out, &world->rules[i]);
	fprintf(out, "      results:\n");
	for (unsigned int i = 0; i < world->rule_count; i++) {
		if (world->rules[i].gy != gy)
			continue;
		fprintf(out, "        - {id: ");
		print_id(out, world->rules[i].id);
		fprintf(out, ", version: 1, result: %s}\n",
			is_installed(world, session, i) ? "SUCCESS" : "FAILURE");
	}
}

static void print_oddities(FILE *out, const struct sample *sample)
{
	static const char *const spoils[SAMPLE_SPOILS] = {
		"",
		"the frame is cut short by",
		"the IP header names more bytes than there are:",
		"the IP header names fewer bytes than there are:",
		"the version is",
		"the header length is, in words,",
		"the data offset of TCP is, in words,",
		"the length of UDP is",
	};

	if (sample->xdp)
		fprintf(out, "  # at XDP\n");
	for (unsigned int i = 0; i < sample->tag_count; i++)
		fprintf(out, "  # VLAN tag 0x%04x\n", sample->tags[i]);
	if (sample->ethertype)
		fprintf(out, "  # EtherType 0x%04x\n", sample->ethertype);
	if (sample->ip_options)
		fprintf(out, "  # %u bytes of IPv4 options\n", sample->ip_options * 4);
	for (unsigned int i = 0; i < sample->extension_count; i++)
		fprintf(out, "  # IPv6 extension header %u, length %u\n", sample->extensions[i].type,
			sample->extensions[i].length);
	if (sample->fragment_offset || sample->more_fragments)
		fprintf(out, "  # fragment at %u, %s follow\n", sample->fragment_offset * 8,
			sample->more_fragments ? "more" : "none");
	if (sample->dont_fragment || sample->reserved_flag)
		fprintf(out, "  # flags:%s%s\n", sample->dont_fragment ? " don't fragment" : "",
			sample->reserved_flag ? " reserved" : "");
	if (sample->tcp_options && sample->protocol == 6)
		fprintf(out, "  # %u bytes of TCP options\n", sample->tcp_options * 4);
	if (sample->segments || sample->segment_size)
		fprintf(out, "  # GSO: %u segments of %u bytes\n", sample->segments, sample->segment_size);
	if (sample->spoil)
		fprintf(out, "  # %s %u\n", spoils[sample->spoil], sample->amount);
	if (sample->padding)
		fprintf(out, "  # %u bytes after the end of the IP packet\n", sample->padding);
	if (sample->mark)
		fprintf(out, "  # comes with mark 0x%x\n", sample->mark);
}

static void print_send(FILE *out, const struct sample *sample, const struct model_outcome *outcome)
{
	print_oddities(out, sample);
	fprintf(out, "  - send: {direction: %s, ue: \"%s\", remote: \"%s\", protocol: %u",
		sample->downlink ? "DOWNLINK" : "UPLINK", address_text(sample->ue, sample->family),
		address_text(sample->remote, sample->family), sample->protocol);
	if (sample->protocol == 6 || sample->protocol == 17 || sample->protocol == 132)
		fprintf(out, ", ue_port: %u, remote_port: %u", sample->ue_port, sample->remote_port);
	if (sample->fragment_offset || sample->more_fragments)
		fprintf(out, ", fragment: %s", sample->fragment_offset ? "later" : "first");
	fprintf(out, ", size: %u, passed: %d}\n", outcome->bytes, outcome->passes);
}

static void print_usage(FILE *out, const struct counterexample *example, const struct model_outcome *outcome,
			int session, int rule)
{
	const struct model_world *world = &example->world;

	fprintf(out, "        - {imsi: IMSI%s, ue: \"%s\", rule: ", imsi(session),
		address_text(world->sessions[session].address, world->sessions[session].family));
	print_id(out, rule < 0 ? "internal_default_drop_flow_rule" : world->rules[rule].id);
	fprintf(out, ", version: %d", rule >= 0);
	if (outcome->session == session && outcome->rule == rule)
		fprintf(out, ", %s%s: {packets: %u, bytes: %u}",
			example->sample.downlink ? "downlink" : "uplink", outcome->passes ? "" : "_dropped",
			outcome->packets, outcome->bytes);
	fprintf(out, "}\n");
}

void counterexample_print(const struct counterexample *example, FILE *out)
{
	static const char *const reasons[MODEL_REASONS] = {"permitted",		 "denied",    "no rule",
							   "unknown subscriber", "malformed", "not IP",
							   "fragment offset 1"};
	const struct model_world *world = &example->world;
	struct model_outcome outcome;
	uint8_t data[SAMPLE_SIZE];
	struct model_frame frame = {
		.data = data,
		.length = sample_frame(&example->sample, data),
		.downlink = example->sample.downlink,
		.segments = example->sample.segments,
		.segment_size = example->sample.segment_size,
	};

	outcome = model_decide(world, &frame);
	fprintf(out, "title: the model says %s%s\nsteps:\n", reasons[outcome.reason],
		world->unknown_passes ? ", and that unknown subscribers pass" : "");
	for (unsigned int i = 0; i < world->session_count; i++) {
		print_activation(out, world, (int)i, false);
		print_activation(out, world, (int)i, true);
	}
	print_send(out, &example->sample, &outcome);
	fprintf(out, "  - expect:\n      usage:\n");
	for (unsigned int i = 0; i < world->session_count; i++) {
		print_usage(out, example, &outcome, (int)i, -1);
		for (unsigned int rule = 0; rule < world->rule_count; rule++)
			if (is_installed(world, (int)i, rule))
				print_usage(out, example, &outcome, (int)i, (int)rule);
	}
	fprintf(out, "# the frame:");
	for (size_t i = 0; i < frame.length; i++)
		fprintf(out, "%s%02x", i % 32 ? " " : "\n#   ", data[i]);
	fprintf(out, "\n");
}
