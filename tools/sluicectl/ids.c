// SPDX-License-Identifier: Apache-2.0
/* sluicectl ids: rules, blocks, explain; block and unblock are in ids_block.c. */
#include "ids.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "client.h"
#include "list.h"
#include "output.h"
#include "sluice/v1/admin.pb-c.h"
#include "table.h"

/* --- rules ------------------------------------------------------------------------- */

static const char *limit_text(const Sluice__V1__IdsLimit *limit, bool now, char *out, size_t size)
{
	char text[SL_UNITS_SIZE], window[SL_UNITS_SIZE + 1] = "";

	/* how many connections are open is a number of this moment */
	if (limit->window_ms)
		snprintf(window, sizeof(window), "/%s", sl_format_duration(limit->window_ms, text));
	if (now)
		snprintf(out, size, "%" PRIu64 " of %" PRIu64 "%s", limit->now, limit->count, window);
	else
		snprintf(out, size, "%" PRIu64 "%s%s%s", limit->count, window, limit->kind[0] ? " " : "",
			 limit->kind);
	return out;
}

static void cell_limits(struct table *table, Sluice__V1__IdsLimit **limits, size_t count, bool now)
{
	char text[256] = "", one[96];
	size_t length = 0;

	for (size_t i = 0; i < count && length < sizeof(text); i++) {
		limit_text(limits[i], now, one, sizeof(one));
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", i ? ", " : "", one);
	}
	table_cell(table, "%s", text);
}

static void print_rules(const Sluice__V1__IdsRuleTable *answer)
{
	static const char *const headers[] = {"RULE", "TRACK",	 "COUNT",    "LIMIT",	"VERDICT",  "ENGINE",
					      "MODE", ">BLOCKS", ">MATCHED", ">EXCESS", ">DROPPED", NULL};
	_cleanup_(table_freep) struct table *table = table_new(headers);

	for (size_t i = 0; i < answer->n_rules; i++) {
		const Sluice__V1__IdsRule *rule = answer->rules[i];

		table_cell(table, "%s", rule->name);
		table_cell(table, "%s", rule->track);
		table_cell(table, "%s", rule->count);
		cell_limits(table, rule->limits, rule->n_limits, false);
		table_cell(table, "%s", rule->verdict);
		table_cell(table, "%s", rule->engine);
		table_cell(table, "%s", rule->mode);
		table_cell(table, "%u", rule->blocks);
		table_cell(table, "%" PRIu64, rule->matched_packets);
		table_cell(table, "%" PRIu64, rule->excess_packets);
		table_cell(table, "%" PRIu64, rule->dropped_packets);
	}
	table_print(table, 0, stdout);
	if (answer->problem[0]) {
		_cleanup_free_ char *problem = table_escape(answer->problem);

		printf("\nNOT IN FORCE as read; these stay: %s\n", problem);
	}
}

/* --- blocks ------------------------------------------------------------------------ */

static const char *const block_headers[] = {">NUMBER",	"RULE", "SUBJECT", "VERDICT", ">LEVEL", "SINCE",
					    ">DROPPED", "ENDS", "IDLE",	   "REASON",  NULL};

static void add_block(struct table *table, const Sluice__V1__IdsBlock *block)
{
	char text[SL_UNITS_SIZE];

	table_cell(table, "%" PRIu64, block->number);
	table_cell(table, "%s", block->rule);
	table_cell(table, "%s", block->subject);
	table_cell(table, block->observe ? "(%s)" : "%s", block->verdict);
	table_cell(table, "%u", block->level);
	table_cell(table, "%s", output_time(block->since_ms));
	table_cell(table, "%" PRIu64, block->dropped_packets);
	table_cell(table, "%s", output_time(block->until_ms));
	table_cell(table, "%s", block->idle_ms ? sl_format_duration(block->idle_ms, text) : "");
	table_cell(table, "%s", block->reason);
}

static void add_page(struct table *table, const ProtobufCMessage *message)
{
	const Sluice__V1__IdsBlockPage *page = (const Sluice__V1__IdsBlockPage *)message;

	for (size_t i = 0; i < page->n_blocks; i++)
		add_block(table, page->blocks[i]);
}

static int list_blocks(struct ctl *ctl)
{
	Sluice__V1__ListIdsBlocksRequest request = SLUICE__V1__LIST_IDS_BLOCKS_REQUEST__INIT;

	return list_run(ctl, "/sluice.v1.Admin/ListIdsBlocks", &request.base,
			&sluice__v1__ids_block_page__descriptor, "blocks", block_headers, add_page, NULL);
}

/* --- explain ------------------------------------------------------------------------ */

static void print_explanation(const Sluice__V1__IdsExplanation *answer)
{
	static const char *const headers[] = {"RULE", "APPLIES", "TRACK", "KEY", "NOW", NULL};
	_cleanup_(table_freep) struct table *rules = table_new(headers);
	_cleanup_(table_freep) struct table *blocks = table_new(block_headers);

	for (size_t i = 0; i < answer->n_rules; i++) {
		const Sluice__V1__IdsApplication *rule = answer->rules[i];

		table_cell(rules, "%s", rule->rule);
		table_cell(rules, "%s", rule->applies);
		table_cell(rules, "%s", rule->track);
		table_cell(rules, "%s", rule->key[0] ? rule->key : "each its own");
		cell_limits(rules, rule->limits, rule->key[0] ? rule->n_limits : 0, true);
	}
	for (size_t i = 0; i < answer->n_blocks; i++)
		add_block(blocks, answer->blocks[i]);
	table_print(rules, 0, stdout);
	puts("");
	table_print(blocks, 0, stdout);
	if (answer->more)
		puts("... and more blocks: sluicectl ids blocks");
}

/* --- the command --------------------------------------------------------------------- */

int ids_call(struct ctl *ctl, const char *path, const ProtobufCMessage *request,
	     const ProtobufCMessageDescriptor *type, ProtobufCMessage **answer)
{
	int ret = client_open(ctl);

	if (ret == CTL_OK)
		ret = client_call(ctl, path, request, type, answer);
	client_close(ctl);
	return ret;
}

static int rules(struct ctl *ctl)
{
	Sluice__V1__ListIdsRulesRequest request = SLUICE__V1__LIST_IDS_RULES_REQUEST__INIT;
	ProtobufCMessage *answer;
	int ret = ids_call(ctl, "/sluice.v1.Admin/ListIdsRules", &request.base,
			   &sluice__v1__ids_rule_table__descriptor, &answer);

	if (ret != CTL_OK)
		return ret;
	if (ctl->json)
		output_print(output_message(answer));
	else
		print_rules((const Sluice__V1__IdsRuleTable *)answer);
	protobuf_c_message_free_unpacked(answer, NULL);
	return CTL_OK;
}

static int explain(struct ctl *ctl, char *subject)
{
	Sluice__V1__ExplainIdsRequest request = SLUICE__V1__EXPLAIN_IDS_REQUEST__INIT;
	ProtobufCMessage *answer;
	int ret;

	request.subject = subject;
	ret = ids_call(ctl, "/sluice.v1.Admin/ExplainIds", &request.base,
		       &sluice__v1__ids_explanation__descriptor, &answer);
	if (ret != CTL_OK)
		return ret;
	if (ctl->json)
		output_print(output_message(answer));
	else
		print_explanation((const Sluice__V1__IdsExplanation *)answer);
	protobuf_c_message_free_unpacked(answer, NULL);
	return CTL_OK;
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	enum { FOR = CTL_OPTION_OWN, IDLE, EXTEND, REASON, NUMBER, RULE, IMSI, SEVERITY };
	static const struct option options[] = {CTL_LONG,
						{"for", 1, NULL, FOR},
						{"idle", 1, NULL, IDLE},
						{"extend", 0, NULL, EXTEND},
						{"reason", 1, NULL, REASON},
						{"number", 1, NULL, NUMBER},
						{"rule", 1, NULL, RULE},
						{"imsi", 1, NULL, IMSI},
						{"severity", 1, NULL, SEVERITY},
						{"file", 1, NULL, 'f'},
						{NULL, 0, NULL, 0}};
	struct ids_verb verb = {.reason = (char *)""};
	struct ids_filter filter = {.rule = NULL};
	const char *what;
	int option, ret;

	while ((option = getopt_long(argc, argv, CTL_SHORT "f:", options, NULL)) != -1) {
		switch (option) {
		case FOR:
			if (sl_parse_duration(optarg, &verb.hard_ms) < 0)
				return ctl_error(CTL_USAGE, "ids: --for \"%s\"; allowed: " SL_DURATION_SYNTAX,
						 optarg);
			break;
		case IDLE:
			if (sl_parse_duration(optarg, &verb.idle_ms) < 0)
				return ctl_error(CTL_USAGE,
						 "ids: --idle \"%s\"; allowed: " SL_DURATION_SYNTAX, optarg);
			break;
		case EXTEND:
			verb.extend = true;
			break;
		case REASON:
			verb.reason = optarg;
			break;
		case NUMBER:
			if (sl_parse_uint(optarg, &verb.number) < 0 || verb.number == 0)
				return ctl_error(CTL_USAGE, "ids: --number \"%s\" is no block's number",
						 optarg);
			break;
		case RULE:
			filter.rule = optarg;
			break;
		case IMSI:
			filter.imsi = optarg;
			break;
		case SEVERITY:
			if (sl_parse_uint(optarg, &filter.severity) < 0 || filter.severity < 1 ||
			    filter.severity > 4)
				return ctl_error(CTL_USAGE, "ids: --severity \"%s\"; allowed: 1 to 4",
						 optarg);
			break;
		case 'f':
			verb.file = optarg;
			break;
		default:
			ret = ctl_option(ctl, command, option, optarg);
			if (ret >= 0)
				return ret;
		}
	}
	if (optind == argc)
		return ctl_error(CTL_USAGE, "ids: rules, blocks, block, unblock, explain or watch?");
	what = argv[optind++];
	verb.words = argv + optind;
	verb.word_count = argc - optind;
	if (strcmp(what, "block") == 0)
		return ids_block(ctl, &verb);
	if (strcmp(what, "unblock") == 0)
		return ids_unblock(ctl, &verb);
	if (strcmp(what, "explain") == 0 && verb.word_count == 1)
		return explain(ctl, verb.words[0]);
	if (strcmp(what, "rules") == 0 && verb.word_count == 0)
		return rules(ctl);
	if (strcmp(what, "blocks") == 0 && verb.word_count == 0)
		return list_blocks(ctl);
	if (strcmp(what, "watch") == 0 && verb.word_count == 0)
		return ids_watch(ctl, &filter);
	return ctl_error(CTL_USAGE, "ids: \"%s\" with %d arguments; see sluicectl ids --help", what,
			 verb.word_count);
}

const struct ctl_command command_ids = {
	.name = "ids",
	.arguments = "rules | blocks | watch | explain WHO | block SUBJECT | unblock SUBJECT",
	.summary = "IDS rules, what is blocked and why; block and unblock by hand",
	.help = "  ids rules                  in order of deciding, with packets matched, in excess, "
		"dropped\n"
		"  ids blocks                 in force, in the order in which they began\n"
		"  ids explain IMSI|ADDRESS   which rules are about it, how far it is from their limits\n"
		"  ids block SUBJECT [--for 10m] [--idle 30s [--extend]] [--reason TEXT]\n"
		"  ids block -f FILE ...      a subject a line (\"-\": standard input); # begins a comment; "
		"all or none\n"
		"  ids unblock SUBJECT | -f FILE | --number N\n"
		"  ids watch [--rule NAME] [--imsi IMSI] [--severity 1..4]\n"
		"                             alerts as they happen, one a line; of this severity or worse\n"
		"SUBJECT: subscriber IMSI, source ADDRESS, destination ADDRESS, pair LOCAL REMOTE,\n"
		"connection LOCAL:PORT REMOTE:PORT PROTOCOL ([ADDRESS]:PORT of IPv6). Blocks end after\n"
		"--for, or when nothing was sent for --idle (with --extend; without: that long after they\n"
		"began), whichever comes first; without either, by unblock. unblock SUBJECT ends an "
		"operator's\n"
		"block; --number any one.\n",
	.run = run,
};
