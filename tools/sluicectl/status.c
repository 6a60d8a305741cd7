// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "client.h"
#include "output.h"
#include "sluice/v1/admin.pb-c.h"
#include "table.h"

static const char *setup_text(Sluice__V1__Status__Setup setup)
{
	switch (setup) {
	case SLUICE__V1__STATUS__SETUP__DONE:
		return "done: sessions are activated";
	case SLUICE__V1__STATUS__SETUP__WAITING_FOR_POLICY:
		return "waiting for SetupPolicyFlows";
	default:
		return "waiting for SetupDefaultControllers";
	}
}

static void print_session_manager(const Sluice__V1__SessionManager *peer)
{
	_cleanup_free_ char *error = NULL;

	if (!peer) {
		puts("session manager      none configured: usage is not reported");
		return;
	}
	printf("session manager      %s, %s, last report %s, %" PRIu64 " report%s, %" PRIu64 " failure%s\n",
	       peer->address, output_enum(&sluice__v1__session_manager__state__descriptor, (int)peer->state),
	       output_time(peer->last_report_ms), peer->reports, output_plural(peer->reports), peer->failures,
	       output_plural(peer->failures));
	if (peer->last_error[0]) {
		error = table_escape(peer->last_error);
		printf("                     last failure: %s\n", error);
	}
}

static void print_policy(const Sluice__V1__PolicyDirectory *directory)
{
	_cleanup_free_ char *problem = NULL;

	if (!directory)
		return;
	printf("policy directory     %s: %u rule%s, %u base name%s, read %s\n", directory->path,
	       directory->rules, output_plural(directory->rules), directory->base_names,
	       output_plural(directory->base_names), output_time(directory->loaded_ms));
	if (directory->problem[0]) {
		problem = table_escape(directory->problem);
		printf("                     NOT READ since: %s\n", problem);
	}
}

static void print_desired(const Sluice__V1__DesiredState *desired)
{
	if (!desired || (!desired->rules && !desired->repairs))
		return;
	printf("desired              %u subscriber%s, %u rule%s, %u failing, %" PRIu64
	       " repair%s, next time %s\n",
	       desired->subscribers, output_plural(desired->subscribers), desired->rules,
	       output_plural(desired->rules), desired->failing, desired->repairs,
	       output_plural(desired->repairs), output_time(desired->next_ms));
}

static void print_ids(const Sluice__V1__IdsStatus *ids)
{
	_cleanup_free_ char *problem = NULL;

	if (!ids || (!ids->rules && !ids->blocks && !ids->problem[0]))
		return;
	printf("IDS                  %u rule%s, %u block%s, %u of them by operators\n", ids->rules,
	       output_plural(ids->rules), ids->blocks, output_plural(ids->blocks), ids->operator_blocks);
	if (ids->problem[0]) {
		problem = table_escape(ids->problem);
		printf("                     rules NOT IN FORCE as read: %s\n", problem);
	}
}

static void print_audit(const Sluice__V1__Audit *audit)
{
	_cleanup_free_ char *last = NULL;

	if (!audit)
		return;
	printf("audit                %" PRIu64 " pass%s, %" PRIu64 " repair%s, %" PRIu64 " failure%s\n",
	       audit->passes, audit->passes == 1 ? "" : "es", audit->repairs, output_plural(audit->repairs),
	       audit->failures, output_plural(audit->failures));
	if (audit->last[0]) {
		last = table_escape(audit->last);
		printf("                     last: %s\n", last);
	}
}

static void print_hooks(const Sluice__V1__Status *status)
{
	static const char *const headers[] = {"INTERFACE", "ROLE",   "HOOK", "ATTACHED",
					      "MECHANISM", "REASON", NULL};
	_cleanup_(table_freep) struct table *table = table_new(headers);
	size_t i;

	for (i = 0; i < status->n_hooks; i++) {
		const Sluice__V1__Hook *hook = status->hooks[i];

		table_cell(table, "%s", hook->interface);
		table_cell(table, "%s", hook->role);
		table_cell(table, "%s", hook->hook);
		table_cell(table, "%s", hook->attached ? "yes" : "NO");
		table_cell(table, "%s", hook->mechanism);
		table_cell(table, "%s", hook->reason);
	}
	puts("\nhooks");
	table_print(table, 2, stdout);
}

static void print_fill(struct table *table, const char *name, uint64_t used, uint64_t size)
{
	table_cell(table, "%s", name);
	table_cell(table, "%" PRIu64, used);
	table_cell(table, "%" PRIu64, size);
	table_cell(table, "%.1f%%", size ? 100.0 * (double)used / (double)size : 0.0);
}

static void print_pool(struct table *table, const char *kind, const Sluice__V1__ClassPool *pool)
{
	char left[SL_UNITS_SIZE] = "";

	if (pool->size && pool->used >= pool->size)
		snprintf(left, sizeof(left), "full");
	else if (pool->seconds_left)
		sl_format_duration(pool->seconds_left * 1000ull, left);
	table_cell(table, "%s %s", pool->direction, kind);
	table_cell(table, "%u", pool->used);
	table_cell(table, "%u", pool->ready);
	table_cell(table, "%u", pool->size);
	table_cell(table, "%s", left);
}

static void print_fills(const Sluice__V1__Status *status)
{
	static const char *const fill_headers[] = {"MAP OR POOL", ">USED", ">SIZE", ">FILL", NULL};
	static const char *const class_headers[] = {"QUEUES", ">USED", ">READY", ">SIZE", ">FULL IN", NULL};
	_cleanup_(table_freep) struct table *fills = table_new(fill_headers);
	_cleanup_(table_freep) struct table *classes = table_new(class_headers);
	size_t i;

	for (i = 0; i < status->n_fills; i++)
		print_fill(fills, status->fills[i]->name, status->fills[i]->used, status->fills[i]->size);
	for (i = 0; i < status->n_class_pools; i++)
		print_pool(classes, "classes", status->class_pools[i]);
	for (i = 0; i < status->n_tree_pools; i++)
		print_pool(classes, "trees", status->tree_pools[i]);
	puts("");
	table_print(fills, 0, stdout);
	puts("");
	table_print(classes, 0, stdout);
}

static void print_status(const Sluice__V1__Status *status)
{
	const Sluice__V1__GrpcServer *server = status->grpc_server;
	char uptime[SL_UNITS_SIZE];

	printf("sluiced %s            up %s, epoch %" PRIu64 "\n", status->version,
	       sl_format_duration(status->uptime_ms, uptime), status->epoch);
	printf("setup                %s\n", setup_text(status->setup));
	printf("sessions             %u known, %u enforced%s\n", status->known_sessions,
	       status->enforced_sessions,
	       status->known_sessions == status->enforced_sessions ? ""
								   : "  (DIFFERENT: see the agent's log)");
	printf("unknown subscribers  %s\n", status->unknown_subscriber);
	print_session_manager(status->session_manager);
	print_audit(status->audit);
	print_policy(status->policy_directory);
	print_desired(status->desired);
	print_ids(status->ids);
	if (server)
		printf("gRPC server          %u connection%s, %" PRIu64 " call%s, %" PRIu64
		       " failed, %" PRIu64 " refused, %" PRIu64 " message%s dropped\n",
		       server->connections, output_plural(server->connections), server->calls,
		       output_plural(server->calls), server->failed, server->refused,
		       server->dropped_messages, output_plural(server->dropped_messages));
	printf("lost drop records    %" PRIu64 "\n", status->lost_events);
	print_hooks(status);
	print_fills(status);
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	Sluice__V1__GetStatusRequest request = SLUICE__V1__GET_STATUS_REQUEST__INIT;
	ProtobufCMessage *answer;
	int ret;

	ret = ctl_arguments(ctl, command, argc, argv, 0);
	if (ret >= 0)
		return ret;
	ret = client_open(ctl);
	if (ret == CTL_OK)
		ret = client_call(ctl, "/sluice.v1.Admin/GetStatus", &request.base,
				  &sluice__v1__status__descriptor, &answer);
	if (ret == CTL_OK) {
		if (ctl->json)
			output_print(output_message(answer));
		else
			print_status((const Sluice__V1__Status *)answer);
		protobuf_c_message_free_unpacked(answer, NULL);
	}
	client_close(ctl);
	return ret;
}

const struct ctl_command command_status = {
	.name = "status",
	.arguments = "[OPTION]...",
	.summary = "Whether all is well: sessions known and enforced, hooks, fill of maps and pools",
	.help = "\"known\" counts sessions in the agent, \"enforced\" the addresses that the kernel\n"
		"has a policy for. They are equal when all is well.\n",
	.run = run,
};
