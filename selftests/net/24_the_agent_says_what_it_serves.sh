#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The real agent to a foreign gRPC client: health, reflection, UNIMPLEMENTED for
# what it does not serve, UNAVAILABLE before Setup, OUTDATED_EPOCH for another's.
. "$(dirname "$0")/../lib/net.sh"

call() { /usr/bin/python3 "$ROOT/selftests/lib/call.py" "unix:$SOCKET" "$@" 2>&1; }

net_up
write_config startup=wait-for-setup
agent_start
expect_text "health" '"SERVING"' "$(call /grpc.health.v1.Health/Check)"
for method in SetSMFSessions CreateFlow RemoveFlow UpdateFlowStats SetupQuotaFlows UpdateSubscriberQuotaState \
	SetupUEMacFlows AddUEMacFlow DeleteUEMacFlow UpdateIPFIXFlow GetAllTableAssignments UpdateUEState; do
	expect_text "$method" '^UNIMPLEMENTED' "$(call /magma.lte.Pipelined/$method)"
done
expect_text "activation before setup" '^UNAVAILABLE' "$(call /magma.lte.Pipelined/ActivateFlows \
	'{"sid": {"id": "IMSI001010000000001"}, "ip_addr": "10.0.0.1"}')"
expect_text "a setup for another start" 'OUTDATED_EPOCH' "$(call /magma.lte.Pipelined/SetupPolicyFlows '{"epoch": 1}')"
services=$(/usr/bin/python3 - "$SOCKET" <<'PY'
import re, sys, grpc
with grpc.insecure_channel("unix:" + sys.argv[1]) as channel:
    ask = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                request_serializer=bytes, response_deserializer=bytes)
    answer = next(iter(ask(iter([b"\x3a\x00"]), timeout=10)))  # list_services
print(*sorted(set(name.decode() for name in re.findall(rb"[a-z][\w.]+\.[A-Z]\w+", answer))))
PY
)
expect "the services that reflection names" "grpc.health.v1.Health grpc.reflection.v1.ServerReflection grpc.reflection.v1alpha.ServerReflection magma.lte.LocalSessionManager magma.lte.Pipelined magma.lte.SessionUpdateResponder sluice.v1.Admin" "$services"
