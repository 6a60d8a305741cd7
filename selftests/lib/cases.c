// SPDX-License-Identifier: Apache-2.0
#include "cases.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/cleanup.h"

/* Everything of one case is freed at once. */
struct chunk {
	struct chunk *next;
	max_align_t data[];
};

struct case_memory {
	struct chunk *chunks;
	yaml_document_t document;
	bool has_document;
};

struct loader {
	struct test_case *test;
	struct sl_error *err;
};

typedef int (*reader)(struct loader *loader, yaml_node_t *node, void *out);

struct field {
	const char *name;
	reader read;
	size_t offset;
	bool required;
};

#define FIELD(type, member, how, needed)                     \
	{                                                    \
#member, how, offsetof(type, member), needed \
	}
#define FIELDS_MAX 32

static int refuse(const struct loader *loader, const yaml_node_t *node, const char *what, const char *value)
{
	sl_error(loader->err, EINVAL, "%s:%zu: %s '%s'", loader->test->path, node->start_mark.line + 1, what,
		 value);
	return -EINVAL;
}

static void *allocate(struct loader *loader, size_t size)
{
	struct chunk *chunk = calloc(1, sizeof(*chunk) + size);

	if (!chunk)
		return NULL;
	chunk->next = loader->test->memory->chunks;
	loader->test->memory->chunks = chunk;
	return chunk->data;
}

static yaml_node_t *node_at(const struct loader *loader, int index)
{
	return yaml_document_get_node(&loader->test->memory->document, index);
}

static int scalar(struct loader *loader, yaml_node_t *node, const char **out)
{
	if (node->type != YAML_SCALAR_NODE)
		return refuse(loader, node, "a list or mapping where one value belongs, in",
			      loader->test->path);
	*out = (const char *)node->data.scalar.value;
	return 0;
}

static int read_text(struct loader *loader, yaml_node_t *node, void *out)
{
	return scalar(loader, node, out);
}

static int read_number(struct loader *loader, yaml_node_t *node, void *out)
{
	unsigned long long value;
	const char *text;
	char *end;

	if (scalar(loader, node, &text) < 0)
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || value > UINT32_MAX)
		return refuse(loader, node, "not a number of 32 bits:", text);
	*(uint32_t *)out = (uint32_t)value;
	return 0;
}

struct word {
	const char *name;
	int value;
};

static int read_word(struct loader *loader, yaml_node_t *node, const struct word *words, size_t count,
		     int *out)
{
	const char *text;

	if (scalar(loader, node, &text) < 0)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(text, words[i].name) == 0) {
			*out = words[i].value;
			return 0;
		}
	}
	return refuse(loader, node, "unknown word", text);
}

#define WORD_READER(name, type, ...)                                                  \
	static int name(struct loader *loader, yaml_node_t *node, void *out)          \
	{                                                                             \
		static const struct word words[] = {__VA_ARGS__};                     \
		int value;                                                            \
                                                                                      \
		if (read_word(loader, node, words, SL_ARRAY_SIZE(words), &value) < 0) \
			return -EINVAL;                                               \
		*(type *)out = (type)value;                                           \
		return 0;                                                             \
	}

WORD_READER(read_direction, enum sluice_direction, {"UPLINK", SLUICE_UPLINK}, {"DOWNLINK", SLUICE_DOWNLINK})
WORD_READER(read_action, enum sluice_action, {"PERMIT", SLUICE_PERMIT}, {"DENY", SLUICE_DENY})
WORD_READER(read_origin, enum case_origin, {"GX", CASE_GX}, {"GY", CASE_GY}, {"WILDCARD", CASE_WILDCARD})
WORD_READER(read_success, bool, {"SUCCESS", true}, {"FAILURE", false})
WORD_READER(read_bool, bool, {"true", true}, {"false", false})
WORD_READER(read_engine, unsigned int, {"unit", CASE_UNIT}, {"prog", CASE_PROG}, {"net", CASE_NET})
WORD_READER(read_fragment, enum case_fragment, {"first", CASE_FIRST_FRAGMENT}, {"later", CASE_LATER_FRAGMENT})

/* A name of the wire's enum IPProto, or the number. */
static int read_protocol(struct loader *loader, yaml_node_t *node, void *out)
{
	static const struct {
		const char *name;
		uint32_t number;
	} protocols[] = {
		{"ICMP", 1}, {"IGMP", 2}, {"TCP", 6}, {"UDP", 17}, {"GRE", 47}, {"ICMPV6", 58}, {"SCTP", 132},
	};
	const char *text;

	if (scalar(loader, node, &text) < 0)
		return -EINVAL;
	for (size_t i = 0; i < SL_ARRAY_SIZE(protocols); i++) {
		if (strcmp(text, protocols[i].name) == 0) {
			*(uint32_t *)out = protocols[i].number;
			return 0;
		}
	}
	return read_number(loader, node, out);
}

/* "80" or "1000-2000" */
static int read_ports(struct loader *loader, yaml_node_t *node, void *out)
{
	struct case_ports *ports = out;
	unsigned int low, high;
	const char *text;
	int used = 0;

	if (scalar(loader, node, &text) < 0)
		return -EINVAL;
	if (sscanf(text, "%5u-%5u%n", &low, &high, &used) != 2 || text[used]) {
		if (sscanf(text, "%5u%n", &low, &used) != 1 || text[used])
			return refuse(loader, node, "not a port or LOW-HIGH:", text);
		high = low;
	}
	if (low > 65535 || high > 65535)
		return refuse(loader, node, "not a port or LOW-HIGH:", text);
	*ports = (struct case_ports){.given = true, .low = (uint16_t)low, .high = (uint16_t)high};
	return 0;
}

static int read_address(struct loader *loader, yaml_node_t *node, void *out)
{
	struct sl_flow_address *address = out;

	if (scalar(loader, node, &address->text) < 0)
		return -EINVAL;
	/* the wire has a version beside the text; a file has not */
	address->family = strchr(address->text, ':') ? 6 : 4;
	return 0;
}

static const struct field *find_field(const struct field *fields, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

/* Each key once, none that is unknown, all that are required. */
static int read_mapping(struct loader *loader, yaml_node_t *node, const struct field *fields, size_t count,
			void *out)
{
	bool seen[FIELDS_MAX] = {false};

	if (node->type != YAML_MAPPING_NODE)
		return refuse(loader, node, "not a mapping where one belongs, with", fields[0].name);
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top;
	     pair++) {
		yaml_node_t *key = node_at(loader, pair->key);
		const struct field *field;
		const char *name;

		if (scalar(loader, key, &name) < 0)
			return -EINVAL;
		field = find_field(fields, count, name);
		if (!field)
			return refuse(loader, key, "unknown key", name);
		if (seen[field - fields])
			return refuse(loader, key, "a key twice:", name);
		seen[field - fields] = true;
		if (field->read(loader, node_at(loader, pair->value), (char *)out + field->offset) < 0)
			return -EINVAL;
	}
	for (size_t i = 0; i < count; i++)
		if (fields[i].required && !seen[i])
			return refuse(loader, node, "missing key", fields[i].name);
	return 0;
}

typedef CASE_LIST(void) any_list;

static int read_list(struct loader *loader, yaml_node_t *node, size_t size, reader read, any_list *list)
{
	yaml_node_item_t *item;
	size_t count;
	char *items;

	if (node->type != YAML_SEQUENCE_NODE)
		return refuse(loader, node, "not a list where one belongs, in", loader->test->path);
	count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	items = allocate(loader, count * size);
	if (!items)
		return sl_error(loader->err, ENOMEM, "%s: no memory", loader->test->path);
	item = node->data.sequence.items.start;
	for (size_t i = 0; i < count; i++)
		if (read(loader, node_at(loader, item[i]), items + i * size) < 0)
			return -EINVAL;
	list->item = items;
	list->count = count;
	return 0;
}

/* The list members are typed; all of them are a pointer and a count. */
#define LIST_READER(name, type, read_one)                                       \
	static int name(struct loader *loader, yaml_node_t *node, void *out)    \
	{                                                                       \
		any_list list = {NULL, 0};                                      \
                                                                                \
		if (read_list(loader, node, sizeof(type), read_one, &list) < 0) \
			return -EINVAL;                                         \
		memcpy(out, &list, sizeof(list));                               \
		return 0;                                                       \
	}

LIST_READER(read_texts, const char *, read_text)
LIST_READER(read_engine_list, unsigned int, read_engine)

static int read_engines(struct loader *loader, yaml_node_t *node, void *out)
{
	CASE_LIST(unsigned int) list = {NULL, 0};
	unsigned int engines = 0;

	if (read_engine_list(loader, node, &list) < 0)
		return -EINVAL;
	for (size_t i = 0; i < list.count; i++)
		engines |= list.item[i];
	*(unsigned int *)out = engines;
	return 0;
}

static int read_flow(struct loader *loader, yaml_node_t *node, void *out)
{
	static const struct field fields[] = {
		{"direction", read_direction, offsetof(struct case_flow, match.direction), true},
		{"action", read_action, offsetof(struct case_flow, match.action), true},
		{"ip_proto", read_protocol, offsetof(struct case_flow, match.ip_proto), false},
		{"ip_src", read_address, offsetof(struct case_flow, match.ip_src), false},
		{"ip_dst", read_address, offsetof(struct case_flow, match.ip_dst), false},
		{"tcp_src", read_number, offsetof(struct case_flow, match.tcp_src), false},
		{"tcp_dst", read_number, offsetof(struct case_flow, match.tcp_dst), false},
		{"udp_src", read_number, offsetof(struct case_flow, match.udp_src), false},
		{"udp_dst", read_number, offsetof(struct case_flow, match.udp_dst), false},
		FIELD(struct case_flow, remote_port, read_ports, false),
		FIELD(struct case_flow, local_port, read_ports, false),
	};

	return read_mapping(loader, node, fields, SL_ARRAY_SIZE(fields), out);
}

LIST_READER(read_flows, struct case_flow, read_flow)

static int read_policy(struct loader *loader, yaml_node_t *node, void *out)
{
	static const struct field fields[] = {
		FIELD(struct case_policy, id, read_text, true),
		FIELD(struct case_policy, version, read_number, true),
		FIELD(struct case_policy, precedence, read_number, true),
		FIELD(struct case_policy, flows, read_flows, true),
	};

	return read_mapping(loader, node, fields, SL_ARRAY_SIZE(fields), out);
}

LIST_READER(read_policies, struct case_policy, read_policy)

static int read_policy_id(struct loader *loader, yaml_node_t *node, void *out)
{
	static const struct field fields[] = {
		FIELD(struct case_policy, id, read_text, true),
		FIELD(struct case_policy, version, read_number, true),
	};

	return read_mapping(loader, node, fields, SL_ARRAY_SIZE(fields), out);
}

LIST_READER(read_policy_ids, struct case_policy, read_policy_id)

static int read_result(struct loader *loader, yaml_node_t *node, void *out)
{
	static const struct field fields[] = {
		FIELD(struct case_result, id, read_text, true),
		FIELD(struct case_result, version, read_number, true),
		{"result", read_success, offsetof(struct case_result, success), true},
		FIELD(struct case_result, names, read_texts, false),
	};

	return read_mapping(loader, node, fields, SL_ARRAY_SIZE(fields), out);
}

LIST_READER(read_results, struct case_result, read_result)

#define SESSION_FIELDS                                                                                       \
	FIELD(struct case_request, imsi, read_text, true), FIELD(struct case_request, ip, read_text, false), \
		FIELD(struct case_request, ipv6, read_text, false),                                          \
		FIELD(struct case_request, origin, read_origin, false)

static int check_request(struct loader *loader, yaml_node_t *node, const struct case_request *request)
{
	if (!request->ip && !request->ipv6)
		return refuse(loader, node, "neither ip nor ipv6 for", request->imsi);
	return 0;
}

static int read_setup_entry(struct loader *loader, yaml_node_t *node, void *out)
{
	static const struct field fields[] = {
		SESSION_FIELDS,
		FIELD(struct case_request, policies, read_policies, true),
	};

	if (read_mapping(loader, node, fields, SL_ARRAY_SIZE(fields), out) < 0)
		return -EINVAL;
	return check_request(loader, node, out);
}

static int read_activation(struct loader *loader, yaml_node_t *node, void *out)
{
	static const struct field fields[] = {
		SESSION_FIELDS,
		FIELD(struct case_request, policies, read_policies, true),
		FIELD(struct case_request, results, read_results, true),
	};

	if (read_mapping(loader, node, fields, SL_ARRAY_SIZE(fields), out) < 0)
		return -EINVAL;
	return check_request(loader, node, out);
}

static int read_deactivation(struct loader *loader, yaml_node_t *node, void *out)
{
	static const struct field fields[] = {
		SESSION_FIELDS,
		{"policies", read_policy_ids, offsetof(struct case_request, policies), false},
		FIELD(struct case_request, remove_default_drop, read_bool, false),
	};

	if (read_mapping(loader, node, fields, SL_ARRAY_SIZE(fields), out) < 0)
		return -EINVAL;
	return check_request(loader, node, out);
}

LIST_READER(read_setup, struct case_request, read_setup_entry)

static int read_send(struct loader *loader, yaml_node_t *node, void *out)
{
	static const struct field fields[] = {
		FIELD(struct case_send, direction, read_direction, true),
		FIELD(struct case_send, ue, read_text, true),
		FIELD(struct case_send, remote, read_text, true),
		FIELD(struct case_send, protocol, read_protocol, true),
		FIELD(struct case_send, ue_port, read_number, false),
		FIELD(struct case_send, remote_port, read_number, false),
		FIELD(struct case_send, size, read_number, true),
		FIELD(struct case_send, count, read_number, false),
		FIELD(struct case_send, fragment, read_fragment, false),
		FIELD(struct case_send, passed, read_number, true),
	};
	struct case_send *send = out;

	send->count = 1;
	if (read_mapping(loader, node, fields, SL_ARRAY_SIZE(fields), out) < 0)
		return -EINVAL;
	if (send->ue_port > 65535 || send->remote_port > 65535 || send->protocol > 255)
		return refuse(loader, node, "a port or protocol out of range, for", send->ue);
	return 0;
}

static int read_count(struct loader *loader, yaml_node_t *node, void *out)
{
	static const struct field fields[] = {
		FIELD(struct case_count, packets, read_number, true),
		FIELD(struct case_count, bytes, read_number, true),
	};

	return read_mapping(loader, node, fields, SL_ARRAY_SIZE(fields), out);
}

static int read_usage(struct loader *loader, yaml_node_t *node, void *out)
{
	static const struct field fields[] = {
		FIELD(struct case_usage, imsi, read_text, true),
		FIELD(struct case_usage, ue, read_text, true),
		FIELD(struct case_usage, rule, read_text, true),
		FIELD(struct case_usage, version, read_number, true),
		FIELD(struct case_usage, uplink, read_count, false),
		FIELD(struct case_usage, downlink, read_count, false),
		FIELD(struct case_usage, uplink_dropped, read_count, false),
		FIELD(struct case_usage, downlink_dropped, read_count, false),
	};

	return read_mapping(loader, node, fields, SL_ARRAY_SIZE(fields), out);
}

static int read_rule(struct loader *loader, yaml_node_t *node, void *out)
{
	static const struct field fields[] = {
		FIELD(struct case_rule, imsi, read_text, true),
		FIELD(struct case_rule, ue, read_text, true),
		FIELD(struct case_rule, id, read_text, true),
		FIELD(struct case_rule, version, read_number, true),
		FIELD(struct case_rule, origin, read_origin, false),
	};

	return read_mapping(loader, node, fields, SL_ARRAY_SIZE(fields), out);
}

LIST_READER(read_usages, struct case_usage, read_usage)
LIST_READER(read_rules, struct case_rule, read_rule)

static int read_expectation(struct loader *loader, yaml_node_t *node, void *out)
{
	static const struct field fields[] = {
		FIELD(struct case_expectation, usage, read_usages, false),
		FIELD(struct case_expectation, rules, read_rules, false),
	};
	struct case_expectation *expect = out;

	if (read_mapping(loader, node, fields, SL_ARRAY_SIZE(fields), out) < 0)
		return -EINVAL;
	/* an empty list is an expectation, no list is none */
	expect->has_usage = expect->usage.item != NULL;
	expect->has_rules = expect->rules.item != NULL;
	return 0;
}

WORD_READER(read_acknowledge, bool, {"everything", true})

static int read_step(struct loader *loader, yaml_node_t *node, void *out)
{
	static const struct {
		const char *name;
		reader read;
		size_t offset;
		enum case_step_type type;
	} types[] = {
		{"activate", read_activation, offsetof(struct case_step, request), CASE_ACTIVATE},
		{"setup", read_setup, offsetof(struct case_step, setup), CASE_SETUP},
		{"deactivate", read_deactivation, offsetof(struct case_step, request), CASE_DEACTIVATE},
		{"acknowledge", read_acknowledge, offsetof(struct case_step, request.remove_default_drop),
		 CASE_ACKNOWLEDGE},
		{"send", read_send, offsetof(struct case_step, send), CASE_SEND},
		{"expect", read_expectation, offsetof(struct case_step, expect), CASE_EXPECT},
	};
	struct case_step *step = out;
	yaml_node_pair_t *pair;
	const char *name;

	if (node->type != YAML_MAPPING_NODE ||
	    node->data.mapping.pairs.top - node->data.mapping.pairs.start != 1)
		return refuse(loader, node, "a step is a mapping of one key, in", loader->test->path);
	pair = node->data.mapping.pairs.start;
	if (scalar(loader, node_at(loader, pair->key), &name) < 0)
		return -EINVAL;
	for (size_t i = 0; i < SL_ARRAY_SIZE(types); i++) {
		if (strcmp(types[i].name, name) != 0)
			continue;
		step->type = types[i].type;
		step->line = (unsigned int)node->start_mark.line + 1;
		return types[i].read(loader, node_at(loader, pair->value), (char *)out + types[i].offset);
	}
	return refuse(loader, node, "unknown step", name);
}

LIST_READER(read_steps, struct case_step, read_step)

static int read_case(struct loader *loader, yaml_node_t *node)
{
	static const struct field fields[] = {
		FIELD(struct test_case, title, read_text, true),
		FIELD(struct test_case, source, read_text, false),
		FIELD(struct test_case, engines, read_engines, false),
		FIELD(struct test_case, steps, read_steps, true),
	};

	if (read_mapping(loader, node, fields, SL_ARRAY_SIZE(fields), loader->test) < 0)
		return -EINVAL;
	if (loader->test->steps.count == 0)
		return refuse(loader, node, "a case without steps can not fail:", loader->test->title);
	return 0;
}

static int parse(struct test_case *test, struct sl_error *err)
{
	_cleanup_file_ FILE *file = fopen(test->path, "re");
	struct loader loader = {.test = test, .err = err};
	yaml_parser_t parser;
	yaml_node_t *root;

	if (!file)
		return sl_error(err, errno, "%s: %m", test->path);
	if (!yaml_parser_initialize(&parser))
		return sl_error(err, ENOMEM, "%s: no memory", test->path);
	yaml_parser_set_input_file(&parser, file);
	if (!yaml_parser_load(&parser, &test->memory->document)) {
		sl_error(err, EINVAL, "%s:%zu: %s", test->path, parser.problem_mark.line + 1,
			 parser.problem ? parser.problem : "not YAML");
		yaml_parser_delete(&parser);
		return -EINVAL;
	}
	test->memory->has_document = true;
	yaml_parser_delete(&parser);
	root = yaml_document_get_root_node(&test->memory->document);
	if (!root)
		return sl_error(err, EINVAL, "%s:1: empty", test->path);
	return read_case(&loader, root);
}

int case_load(const char *path, struct test_case **out, struct sl_error *err)
{
	struct test_case *test = calloc(1, sizeof(*test));
	int result;

	if (!test || !(test->memory = calloc(1, sizeof(*test->memory)))) {
		free(test);
		return sl_error(err, ENOMEM, "%s: no memory", path);
	}
	snprintf(test->path, sizeof(test->path), "%s", path);
	test->engines = CASE_UNIT | CASE_PROG | CASE_NET;
	result = parse(test, err);
	if (result < 0) {
		case_free(test);
		return result;
	}
	*out = test;
	return 0;
}

void case_free(struct test_case *test)
{
	struct chunk *chunk, *next;

	if (!test)
		return;
	for (chunk = test->memory->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	if (test->memory->has_document)
		yaml_document_delete(&test->memory->document);
	free(test->memory);
	free(test);
}
