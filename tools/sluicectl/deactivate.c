// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "client.h"
#include "magma/lte/pipelined.pb-c.h"
#include "output.h"
#include "sluice/limits.h"
#include "sluice/v1/admin.pb-c.h"

struct wanted {
	const char *ip;
	int family;
	struct in6_addr address;
	bool end_session;
	size_t rule_count;
	bool rule_found[SLUICE_RULES_PER_SESSION];
	size_t installed; /* the session's rules of those ids, or all of its rules; every version counts */
	Magma__Lte__VersionedPolicyID rules[SLUICE_RULES_PER_SESSION];
	bool found;
};

/* The agent takes any address without complaint, and IPv6 by its /64. */
static bool same_address(const struct wanted *wanted, const char *text)
{
	struct in6_addr address;

	return inet_pton(wanted->family, text, &address) == 1 &&
	       memcmp(&address, &wanted->address, wanted->family == AF_INET ? 4 : 8) == 0;
}

static void note_rules(struct wanted *wanted, const Sluice__V1__Session *session)
{
	size_t i, j;

	for (i = 0; i < session->n_rules; i++) {
		bool any = wanted->rule_count == 0;

		for (j = 0; j < wanted->rule_count; j++) {
			if (strcmp(wanted->rules[j].rule_id, session->rules[i]->rule_id) != 0)
				continue;
			wanted->rule_found[j] = true;
			any = true;
		}
		wanted->installed += any;
	}
}

static void on_page(const ProtobufCMessage *message, void *user)
{
	const Sluice__V1__SessionPage *page = (const Sluice__V1__SessionPage *)message;
	struct wanted *wanted = user;
	size_t i;

	for (i = 0; i < page->n_sessions; i++) {
		if (page->sessions[i]->state == SLUICE__V1__SESSION__STATE__ENDED ||
		    !same_address(wanted, page->sessions[i]->address))
			continue;
		wanted->found = true;
		note_rules(wanted, page->sessions[i]);
	}
}

/* The agent answers SUCCESS for what it does not know, as session managers expect; people want to be told. */
static int look_up(struct ctl *ctl, const char *imsi, struct wanted *wanted)
{
	Sluice__V1__ListSessionsRequest list = SLUICE__V1__LIST_SESSIONS_REQUEST__INIT;
	size_t i;
	int ret;

	list.imsi = (char *)imsi;
	list.rules = true;
	ret = client_pages(ctl, "/sluice.v1.Admin/ListSessions", &list.base,
			   &sluice__v1__session_page__descriptor, on_page, wanted);
	if (ret != CTL_OK)
		return ret;
	if (!wanted->found)
		return ctl_error(CTL_REFUSED, "no session of IMSI %s with address %s", imsi, wanted->ip);
	for (i = 0; i < wanted->rule_count; i++) {
		if (!wanted->rule_found[i])
			ret = ctl_error(CTL_REFUSED, "no rule %s in this session; nothing was deactivated",
					wanted->rules[i].rule_id);
	}
	return ret;
}

static int deactivate(struct ctl *ctl, const char *imsi, struct wanted *wanted)
{
	Magma__Lte__DeactivateFlowsRequest request = MAGMA__LTE__DEACTIVATE_FLOWS_REQUEST__INIT;
	Magma__Lte__RequestOriginType origin = MAGMA__LTE__REQUEST_ORIGIN_TYPE__INIT;
	Magma__Lte__SubscriberID sid = MAGMA__LTE__SUBSCRIBER_ID__INIT;
	Magma__Lte__VersionedPolicyID *rules[SLUICE_RULES_PER_SESSION];
	Magma__Lte__DeactivateFlowsResult__Result result;
	ProtobufCMessage *answer;
	size_t i;
	int ret;

	ret = look_up(ctl, imsi, wanted);
	if (ret != CTL_OK)
		return ret;
	origin.type = MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__WILDCARD;
	sid.id = (char *)imsi;
	request.sid = &sid;
	request.request_origin = &origin;
	request.remove_default_drop_flows = wanted->end_session;
	if (wanted->family == AF_INET) {
		request.ip_addr = (char *)wanted->ip;
	} else {
		request.ipv6_addr.data = (uint8_t *)wanted->ip;
		request.ipv6_addr.len = strlen(wanted->ip);
	}
	for (i = 0; i < wanted->rule_count; i++)
		rules[i] = &wanted->rules[i];
	request.policies = rules;
	request.n_policies = wanted->rule_count;
	ret = client_call(ctl, "/magma.lte.Pipelined/DeactivateFlows", &request.base,
			  &magma__lte__deactivate_flows_result__descriptor, &answer);
	if (ret != CTL_OK)
		return ret;
	result = ((Magma__Lte__DeactivateFlowsResult *)answer)->result;
	protobuf_c_message_free_unpacked(answer, NULL);
	if (result == MAGMA__LTE__DEACTIVATE_FLOWS_RESULT__RESULT__SUCCESS)
		return CTL_OK;
	return ctl_error(CTL_REFUSED, "DeactivateFlows: %s; the agent's log says why",
			 output_enum(&magma__lte__deactivate_flows_result__result__descriptor, (int)result));
}

static int add_rule(struct wanted *wanted, char *id)
{
	Magma__Lte__VersionedPolicyID *rule;

	if (wanted->rule_count == SL_ARRAY_SIZE(wanted->rules))
		return ctl_error(CTL_USAGE, "deactivate: too many rules; allowed: %zu",
				 SL_ARRAY_SIZE(wanted->rules));
	rule = &wanted->rules[wanted->rule_count++];
	magma__lte__versioned_policy_id__init(rule);
	rule->rule_id = id;
	return -1;
}

static int set_address(struct wanted *wanted, const char *ip)
{
	wanted->ip = ip;
	wanted->family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(wanted->family, ip, &wanted->address) != 1)
		return ctl_error(CTL_USAGE,
				 "deactivate: bad address \"%s\"; allowed: an IPv4 or IPv6 address", ip);
	return -1;
}

static void report(const struct ctl *ctl, const char *imsi, const struct wanted *wanted)
{
	json_t *json;

	if (!ctl->json) {
		printf("IMSI %s (%s): %s%zu rule%s deactivated%s\n", imsi, wanted->ip,
		       wanted->end_session ? "session ended, " : "", wanted->installed,
		       output_plural(wanted->installed),
		       wanted->end_session || wanted->rule_count
			       ? ""
			       : ", none is left; the session's traffic is dropped");
		return;
	}
	json = json_object();
	json_object_set_new(json, "imsi", output_string(imsi));
	json_object_set_new(json, "address", json_string(wanted->ip));
	json_object_set_new(json, "rules", json_integer((json_int_t)wanted->installed));
	json_object_set_new(json, "session_ended", json_boolean(wanted->end_session));
	output_print(json);
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	enum { IP = CTL_OPTION_OWN, RULE, END_SESSION };
	static const struct option options[] = {{"ip", 1, NULL, IP},
						{"rule", 1, NULL, RULE},
						{"end-session", 0, NULL, END_SESSION},
						CTL_LONG,
						{NULL, 0, NULL, 0}};
	_cleanup_free_ struct wanted *wanted = calloc(1, sizeof(*wanted));
	int option, ret = -1;

	if (!wanted)
		return ctl_error(CTL_REFUSED, "out of memory");
	while ((option = getopt_long(argc, argv, CTL_SHORT, options, NULL)) != -1) {
		if (option == IP)
			ret = set_address(wanted, optarg);
		else if (option == RULE)
			ret = add_rule(wanted, optarg);
		else if (option == END_SESSION)
			wanted->end_session = true;
		else
			ret = ctl_option(ctl, command, option, optarg);
		if (ret >= 0)
			return ret;
	}
	if (optind + 1 < argc)
		return ctl_error(CTL_USAGE, "deactivate: unexpected argument \"%s\"", argv[optind + 1]);
	if (optind == argc || !wanted->ip)
		return ctl_error(CTL_USAGE, "deactivate: %s is missing; usage: sluicectl deactivate %s",
				 wanted->ip ? "IMSI" : "--ip", command->arguments);
	if (wanted->end_session && wanted->rule_count)
		return ctl_error(CTL_USAGE,
				 "deactivate: --end-session ends all rules; allowed: without --rule");
	ret = client_open(ctl);
	if (ret == CTL_OK)
		ret = deactivate(ctl, argv[optind], wanted);
	client_close(ctl);
	if (ret == CTL_OK)
		report(ctl, argv[optind], wanted);
	return ret;
}

const struct ctl_command command_deactivate = {
	.name = "deactivate",
	.arguments = "[OPTION]... IMSI --ip ADDRESS [--rule ID... | --end-session]",
	.summary = "Take rules away from a session, or end it",
	.help = "      --ip ADDRESS    which session: its IPv4 address, or any of its IPv6 /64\n"
		"      --rule ID       this rule, in any version; may be repeated. Without: all rules\n"
		"      --end-session   all rules and the session: its address is unknown from then on\n"
		"\n"
		"A rule that the session does not have is an error, and then nothing is deactivated.\n",
	.run = run,
};
