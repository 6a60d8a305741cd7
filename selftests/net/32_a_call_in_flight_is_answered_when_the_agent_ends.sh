#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# SIGTERM: what has been asked is answered, no new connection is taken, watchers
# are told, and the agent is gone within its bound; a second signal ends it at once.
. "$(dirname "$0")/../lib/net.sh"

net_up
agent_start
session "$(imsi 1)" "$(ue4 1)"
rule any 10
flow uplink permit
activate
spawn ctl watch >"$DIR/events" 2>&1
watcher=$SPAWNED

# A setup of some megabytes, of which only the first part has arrived when the
# signal comes.
cat >"$DIR/in_flight.py" <<'END'
import os, signal, sys, time
import grpc
sys.path.insert(0, sys.argv[3])
sys.dont_write_bytecode = True
from wire import Wire
wire, agent = Wire(), int(sys.argv[2])
with grpc.insecure_channel(sys.argv[1], options=[("grpc.max_send_message_length", -1)]) as channel:
    status = wire.unary(channel, "/sluice.v1.Admin/GetStatus")
    setup = wire.unary(channel, "/magma.lte.Pipelined/SetupPolicyFlows")
    request_class, _ = wire.method("/magma.lte.Pipelined/SetupPolicyFlows")
    epoch = status(wire.method("/sluice.v1.Admin/GetStatus")[0](), timeout=5).epoch
    request = request_class(epoch=epoch)
    for n in range(900):
        one = request.requests.add(ip_addr="10.100.%d.%d" % (n >> 8, n & 255))
        one.sid.id = "IMSI00101%010d" % n
        for k in range(15):
            policy = one.policies.add(version=1)
            policy.rule.id, policy.rule.priority = "%0200d" % k, k
            policy.rule.flow_list.add()
    os.kill(agent, signal.SIGSTOP)
    call = setup.future(request, timeout=20)
    time.sleep(0.5)
    os.kill(agent, signal.SIGTERM)
    os.kill(agent, signal.SIGCONT)
    print(call.result().result)
END
started=$(date +%s%N)
expect "the answer to the setup (0: SUCCESS)" 0 \
	"$(in_gw /usr/bin/python3 "$DIR/in_flight.py" "$API" "$AGENT_PID" "$ROOT/selftests/lib")"
expect_text "the setup was done" "event=setup-done requests=900 unreadable=0 sessions=900 refused=0" "$(cat "$LOG")"
AGENT_CODE=0
wait "$AGENT_PID" || AGENT_CODE=$?
took=$((($(date +%s%N) - started) / 1000000))
expect "exit code" 0 "$AGENT_CODE"
[ $took -lt 5000 ] || fail "the agent took $took ms to end"
finish "$watcher"
expect_text "the watcher is told" "the agent ends" "$(cat "$DIR/events")"

# a client that holds its connection open does not hold the agent
agent_start
spawn nsenter --net="/run/netns/$GW" -- bash -c "exec 3<>/dev/tcp/${API%:*}/${API##*:}; sleep 30"
sleep 0.3
started=$(date +%s%N)
agent_stop TERM
took=$((($(date +%s%N) - started) / 1000000))
expect "exit code with an idle client" 0 "$AGENT_CODE"
[ $took -lt 3500 ] || fail "an idle client held the agent for $took ms"
echo "with an idle client: $took ms"
