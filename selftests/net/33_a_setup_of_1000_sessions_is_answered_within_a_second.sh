#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# alone: milliseconds are measured
# A session manager's setup of 1,000 sessions with 4 rules each, at the first start
# and over a running state, measured by an independent client; then 20,000 sessions
# that end at once: their final usage comes in one report, within the 4 MiB that
# gRPC takes by default.
. "$(dirname "$0")/../lib/net.sh"

net_up
session_manager_start
write_config startup=wait-for-setup session_manager=127.0.0.1:50065 interval=500ms pool=2048 \
	limits="{sessions: 24000, usage: 120000, rules: 2048, flows: 8192, matches: 4096, bindings: 16384}"

cat >"$DIR/setup.py" <<'END'
import sys, time
import grpc
sys.path.insert(0, sys.argv[2])
sys.dont_write_bytecode = True
from wire import Wire
epoch, sessions, rules = int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
wire = Wire()
request_class, _ = wire.method("/magma.lte.Pipelined/SetupPolicyFlows")
request = request_class(epoch=epoch)
for n in range(sessions):
    one = request.requests.add(ip_addr="10.%d.%d.%d" % (100 + (n >> 16), n >> 8 & 255, n & 255))
    one.sid.id = "IMSI00101%010d" % n
    for k in range(rules):
        policy = one.policies.add(version=1)
        policy.rule.id, policy.rule.priority = "rule-%d" % k, 10 + k
        if k == 0:
            policy.rule.qos.max_req_bw_ul = policy.rule.qos.max_req_bw_dl = 10000000
        for direction in 0, 1:
            flow = policy.rule.flow_list.add()
            flow.match.direction, flow.match.ip_proto = direction, 17
            if direction:
                flow.match.udp_src = 5000 + k
            else:
                flow.match.udp_dst = 5000 + k
with grpc.insecure_channel(sys.argv[1], options=[("grpc.max_send_message_length", -1)]) as channel:
    wire.unary(channel, "/sluice.v1.Admin/GetStatus")(wire.method("/sluice.v1.Admin/GetStatus")[0](), timeout=5)
    call = wire.unary(channel, "/magma.lte.Pipelined/SetupPolicyFlows")
    started = time.monotonic()
    answer = call(request, timeout=20)
    took = time.monotonic() - started
if answer.result != 0:
    sys.exit("the setup answered %d" % answer.result)
print(round(took * 1000))
END
setup() { in_gw /usr/bin/python3 "$DIR/setup.py" "$API" "$ROOT/selftests/lib" "$(status epoch)" "$1" "$2"; }

agent_start
eventually "the queues are built" 30 pool_ready
took=$(setup 1000 4) || fail "the setup failed"
expect "known and enforced" "1000 1000" "$(status known_sessions) $(status enforced_sessions)"
expect "rules in force" 4000 "$(ctl -o json usage | jq '[.[] | select(.rule_id | startswith("rule-"))] | length')"
echo "1,000 sessions with 4 rules: $took ms"
[ "$took" -lt 1000 ] || fail "the setup took $took ms"

# over what is in force already, after a restart
agent_stop KILL
agent_start
took=$(setup 1000 4) || fail "the setup after a restart failed"
echo "the same again after a restart: $took ms"
[ "$took" -lt 1000 ] || fail "the setup after a restart took $took ms"

agent_stop KILL
agent_start
took=$(setup 20000 1 | tail -1) || fail "the setup of 20,000 sessions failed"
echo "20,000 sessions: $took ms"
expect "known and enforced" "20000 20000" "$(status known_sessions) $(status enforced_sessions)"
waiting() { ctl -o json usage | jq '[.[] | select(.state == "retired")] | length'; }

# every one of them has something to say, and ends by a setup that does not name it
agent_stop KILL
agent_start
expect "20,000 sessions found again" "20000" "$(status known_sessions)"
: >"$REPORTS"
setup 0 0 >/dev/null || fail "the empty setup failed"
expect "known and enforced" "0 0" "$(status known_sessions) $(status enforced_sessions)"
all_reported() { [ "$(jq -s '[.[] | select(.refused == false) | .records[].sid] | unique | length' "$REPORTS")" -ge 20000 ]; }
eventually "a report of 20,000 ended sessions" 20 all_reported
expect "the first report that has any has all" 20000 \
	"$(jq -s '[.[] | select(.records != [])][0].records | [.[].sid] | unique | length' "$REPORTS")"
nothing_waits() { [ "$(waiting)" = 0 ]; }
eventually "all of it is acknowledged" 20 nothing_waits
expect "usage slots left" 0 "$(ctl -o json status | jq '.fills[] | select(.name == "usage") | .used')"
expect "reports that failed" 0 "$(status session_manager.failures)"
