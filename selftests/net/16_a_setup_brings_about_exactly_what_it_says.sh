#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The handshake of a session manager after its own or the agent's restart, driven
# by an independent client: UNAVAILABLE until the setup, OUTDATED_EPOCH for a
# wrong epoch, afterwards exactly the sessions and rules of the request, with the
# counters of what did not change going on.
. "$(dirname "$0")/../lib/net.sh"

PIPELINED=/magma.lte.Pipelined
request() { # IMSI ADDRESS RULE... -> an ActivateFlowsRequest as JSON; RULE = id:udp-port:version
	local imsi=$1 address=$2
	shift 2
	printf '%s\n' "$@" | jq -R -s -c --arg imsi "IMSI$imsi" --arg address "$address" '
		{sid: {id: $imsi}, ip_addr: $address, policies: [split("\n")[] | select(. != "") | split(":") |
			{version: (.[2] | tonumber), rule: {id: .[0], priority: 10, flow_list: [
				{match: {ip_proto: "IPPROTO_UDP", udp_dst: (.[1] | tonumber), direction: "UPLINK"}, action: "PERMIT"}]}}]}'
}
setup() { # EPOCH REQUEST...
	local epoch=$1
	shift
	call $PIPELINED/SetupPolicyFlows "$(printf '%s\n' "$@" | jq -s -c --argjson epoch "$epoch" '{requests: ., epoch: $epoch}')"
}
rules() { call /sluice.v1.Admin/ListSessions '{"rules": true}' | jq -c '[.sessions[] | select(.state == "ACTIVE") | {(.imsi): [.rules[] | "\(.rule_id) v\(.version)"] | sort}] | sort'; }

net_up
silence
session_manager_start
write_config startup=wait-for-setup session_manager=127.0.0.1:50065 interval=1h
agent_start
a=$(request "$(imsi 1)" "$(ue4 1)" keep:5001:1 temp:5002:1)
b=$(request "$(imsi 2)" "$(ue4 2)" other:5001:1)
eventually "an empty report tells the epoch" 5 test -s "$REPORTS"
epoch=$(jq -s '.[0].epoch' "$REPORTS")
expect "the first report" "[]" "$(jq -s -c '.[0].records' "$REPORTS")"

expect_code "ActivateFlows before the setup" 14 call $PIPELINED/ActivateFlows "$a"
expect_code "DeactivateFlows before the setup" 14 call $PIPELINED/DeactivateFlows '{}'
expect "a wrong epoch" OUTDATED_EPOCH "$(call $PIPELINED/SetupDefaultControllers "{\"epoch\": $((epoch - 1))}" | jq -r .result)"
expect_code "still before the setup" 14 call $PIPELINED/ActivateFlows "$a"
expect "defaults" SUCCESS "$(call $PIPELINED/SetupDefaultControllers "{\"epoch\": $epoch}" | jq -r .result)"
expect "a wrong epoch again" OUTDATED_EPOCH "$(setup $((epoch + 5)) "$a" | jq -r .result)"
expect "policy" SUCCESS "$(setup "$epoch" "$a" "$b" | jq -r .result)"
expect "rules" "[{\"$(imsi 1)\":[\"keep v1\",\"temp v1\"]},{\"$(imsi 2)\":[\"other v1\"]}]" "$(rules)"
expect "a second setup is ignored" SUCCESS "$(setup "$epoch" | jq -r .result)"
expect "rules after it" "[{\"$(imsi 1)\":[\"keep v1\",\"temp v1\"]},{\"$(imsi 2)\":[\"other v1\"]}]" "$(rules)"
sent=$(send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 40 --size 300)

# the session manager's order after the agent's restart
agent_stop KILL
sent2=$(send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 60 --size 300)
expect "sent" "40 12000/60 18000" "$sent/$sent2"
agent_start
epoch=$(status epoch)
expect "enforced before the setup" "2" "$(status enforced_sessions)"
expect_code "ActivateFlows before the setup of the new start" 14 call $PIPELINED/ActivateFlows "$a"
call $PIPELINED/SetupDefaultControllers "{\"epoch\": $epoch}" >/dev/null
c=$(request "$(imsi 3)" "$(ue4 3)" new:5001:7)
a=$(request "$(imsi 1)" "$(ue4 1)" keep:5001:1 new:5003:2)
expect "more rules than a setup may have" "RESOURCE_EXHAUSTED requests: more than 131072 rules in one setup" \
	"$(PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$ROOT/selftests/lib in_gw /usr/bin/python3 - "$API" "$epoch" <<-'END'
		import sys
		import grpc
		from wire import Wire
		wire, path = Wire(), "/magma.lte.Pipelined/SetupPolicyFlows"
		request = wire.method(path)[0](epoch=int(sys.argv[2]))
		one = request.requests.add()
		for _ in range(4096):
		    one.policies.add()
		for _ in range(32):
		    request.requests.add().CopyFrom(one)
		try:
		    wire.unary(grpc.insecure_channel(sys.argv[1]), path)(request, timeout=20)
		    print("done")
		except grpc.RpcError as error:
		    print(error.code().name, error.details())
	END
	)"
expect_code "it still waits for a setup" 14 call $PIPELINED/ActivateFlows "$a"
bad='{"sid": {"id": "nobody"}}'
expect "policy after the restart, beside what cannot be read" SUCCESS \
	"$(setup "$epoch" "$a" "$bad" "$c" "$bad" "$bad" | jq -r .result)"
expect_text "one line for all of them" 'event=setup-request-refused requests=3 first="requests\[1\]: sid.id' "$(cat "$LOG")"
expect "just one" 1 "$(grep -c event=setup-request-refused "$LOG")"
expect "rules after the restart" "[{\"$(imsi 1)\":[\"keep v1\",\"new v2\"]},{\"$(imsi 3)\":[\"new v7\"]}]" "$(rules)"
expect "the unchanged rule counts on" "100 30000" "$(used "$(ue4 1)" keep uplink)"
expect "known and enforced" "2 2" "$(status known_sessions) $(status enforced_sessions)"
sent=$(send_up "$(ue4 2)" "$(host4 1)" --dport 5001 --count 5)
expect "the session that is not in the setup is gone" "$sent" "$(dropped unknown-subscriber uplink)"
sent=$(send_up "$(ue4 3)" "$(host4 1)" --dport 5001 --count 5)
expect "the new one works" "$sent" "$(used "$(ue4 3)" new uplink)"

# single results keep the order and the versions of the request
answer=$(call $PIPELINED/ActivateFlows "$(request "$(imsi 3)" "$(ue4 3)" one:1:1 seven:7:7)")
expect "results" '[["one","1","SUCCESS"],["seven","7","SUCCESS"]]' \
	"$(jq -c '[.policy_results[] | [.rule_id, (.version | tostring), .result]]' <<<"$answer")"
