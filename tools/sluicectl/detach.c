// SPDX-License-Identifier: Apache-2.0
#include "client.h"
#include "output.h"
#include "sluice/v1/admin.pb-c.h"

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	Sluice__V1__DetachRequest request = SLUICE__V1__DETACH_REQUEST__INIT;
	ProtobufCMessage *answer;
	int ret;

	ret = ctl_arguments(ctl, command, argc, argv, 0);
	if (ret >= 0)
		return ret;
	ret = client_open(ctl);
	if (ret == CTL_OK)
		ret = client_call(ctl, "/sluice.v1.Admin/Detach", &request.base,
				  &sluice__v1__detach_result__descriptor, &answer);
	client_close(ctl);
	if (ret != CTL_OK)
		return ret;
	/* so that whoever starts the next agent does not meet this one */
	ret = client_wait_gone(ctl);
	if (ctl->json) {
		output_print(output_message(answer));
	} else {
		const Sluice__V1__DetachResult *result = (const Sluice__V1__DetachResult *)answer;

		printf("detached: %u programs removed, %u sessions no longer enforced\n", result->hooks,
		       result->sessions);
	}
	protobuf_c_message_free_unpacked(answer, NULL);
	return ret;
}

const struct ctl_command command_detach = {
	.name = "detach",
	.arguments = "[OPTION]...",
	.summary = "End enforcement: remove every trace of sluice and stop the agent",
	.help = "Takes the programs off the interfaces, removes queues, maps and pins. Packets\n"
		"then pass as if sluice had never been there. Not over --tcp. When no agent\n"
		"runs: sluiced --config FILE --detach.\n",
	.run = run,
};
