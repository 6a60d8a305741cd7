// SPDX-License-Identifier: Apache-2.0
#include "gateway.h"

#include <stdio.h>

#include "base/cleanup.h"

static void each_rule(FILE *file, uint32_t subscribers, bool counters)
{
	for (uint32_t s = 0; s < subscribers; s++) {
		uint32_t address = BENCH_FIRST_ADDRESS + s;
		char text[16];

		snprintf(text, sizeof(text), "%u.%u.%u.%u", address >> 24, address >> 16 & 255,
			 address >> 8 & 255, address & 255);
		for (uint32_t r = 0; r < BENCH_RULES; r++) {
			if (counters)
				fprintf(file, "%s . %u : \"s%u_%u\",\n", text, BENCH_FIRST_PORT + r, s, r);
			else
				fprintf(file, "%s . %u : accept,\n", text, BENCH_FIRST_PORT + r);
		}
	}
}

void gateway_nft(const struct rig *rig, uint32_t subscribers)
{
	char path[] = "/tmp/sluice-bench-XXXXXX";
	int fd = mkstemp(path);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	if (!file)
		bench_die("cannot write %s", path);
	fputs("table ip bench {\n", file);
	for (uint32_t s = 0; s < subscribers; s++)
		for (uint32_t r = 0; r < BENCH_RULES; r++)
			fprintf(file, "counter s%u_%u { }\n", s, r);
	fputs("map counters { type ipv4_addr . inet_service : counter; elements = {\n", file);
	each_rule(file, subscribers, true);
	fputs("} }\nmap verdicts { type ipv4_addr . inet_service : verdict; elements = {\n", file);
	each_rule(file, subscribers, false);
	fputs("} }\nchain forward { type filter hook forward priority 0; policy drop;\n"
	      "iifname " BENCH_ACCESS " counter name ip saddr . udp dport map @counters"
	      " ip saddr . udp dport vmap @verdicts\n}\n}\n",
	      file);
	if (fclose(file))
		bench_die("cannot write %s", path);
	rig_run(rig, RIG_GATEWAY, "nft -f %s; rm %s", path, path);
}

uint64_t gateway_nft_packets(const struct rig *rig)
{
	return rig_ask(rig, RIG_GATEWAY,
		       "nft list counters table ip bench | awk '$1 == \"packets\" { sum += $2 } END { printf "
		       "\"%%d\", sum }'");
}
