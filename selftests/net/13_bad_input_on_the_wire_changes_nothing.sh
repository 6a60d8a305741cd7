#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Whatever comes in over the API: a clear status or a FAILURE of that one rule, a
# line in the log that names field and value, and afterwards the session that was
# there is as it was and every map is as full as before. The client is
# python3-grpcio, which shares no code with the agent.
. "$(dirname "$0")/../lib/net.sh"

net_up
write_config limits="{sessions: 64, usage: 2048, rules: 1100, flows: 2000, matches: 512, bindings: 2048}" pool=16
agent_start
session "$(imsi 1)" "$(ue4 1)"
rule meter 10
flow uplink permit udp any 5001
activate
eventually "the pool of classes is built" 20 test "$(ctl -o json status | jq '[.class_pools[] | .size - .ready] | add')" = 0

cat >"$DIR/bad.py" <<'END'
import json, os, random, socket, subprocess, sys, time
import grpc
sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True
from wire import Wire

ctl, log, imsi = sys.argv[2].split(), sys.argv[3], sys.argv[4]
HOST, PORT = "127.0.0.1", 50063
wire = Wire()
channel = grpc.insecure_channel("%s:%d" % (HOST, PORT), options=[("grpc.max_send_message_length", -1)])
PIPELINED = "/magma.lte.Pipelined/"
activate = wire.unary(channel, PIPELINED + "ActivateFlows")
deactivate = wire.unary(channel, PIPELINED + "DeactivateFlows")
Activate, _ = wire.method(PIPELINED + "ActivateFlows")
Deactivate, _ = wire.method(PIPELINED + "DeactivateFlows")
SUCCESS, FAILURE = 0, 2
failed = []


def say(*args):
    json_text = subprocess.run(ctl + ["-o", "json"] + list(args), check=True, capture_output=True).stdout
    return json.loads(json_text)


def fills():
    status = say("status")
    found = {one["name"]: one["used"] for one in status["fills"]}
    found.update({"classes " + one["direction"]: one["used"] for one in status["class_pools"]})
    found["known"], found["enforced"] = status["known_sessions"], status["enforced_sessions"]
    return found


def session():
    found = say("session", imsi)
    return json.dumps(found, sort_keys=True)


def check(what, ok, detail=""):
    if not ok:
        failed.append(what)
        print("FAILED: %s %s" % (what, detail))


def unchanged(what):
    until = time.time() + 5  # slots come back after a grace period
    while True:
        now = fills()
        if now == before or time.time() > until:
            break
        time.sleep(0.1)
    check(what + ": maps as full as before", now == before, {k: (before.get(k), now[k]) for k in now if now[k] != before.get(k)})
    check(what + ": the session that was there", session() == session_before)


def logged(what, mark, *words):
    with open(log) as lines:
        lines.seek(mark)
        text = lines.read()
    for word in words:
        check(what + ": the log names " + word, word in text, text[-600:])


def mark():
    return os.path.getsize(log)


def refused(what, code, call, *words):
    """The call ends with this status, and its text (or the log) names the words."""
    start = mark()
    try:
        call()
        check(what, False, "was accepted")
    except grpc.RpcError as error:
        check(what, error.code().name in code.split("|"), "%s: %s" % (error.code().name, error.details()))
        with open(log) as lines:
            lines.seek(start)
            text = lines.read() + (error.details() or "")
        for word in words:
            check(what + ": names " + word, word in text, text[-600:])
    unchanged(what)


def request(sid="IMSI001010000000099", ip="10.60.0.99", **fields):
    made = Activate(ip_addr=ip, **fields)
    made.sid.id = sid
    return made


def add_rule(made, id="rule", version=1, priority=10):
    policy = made.policies.add()
    policy.version = version
    policy.rule.id = id
    policy.rule.priority = priority
    return policy.rule


def add_flow(rule, **match):
    flow = rule.flow_list.add()
    for key, value in match.items():
        if key in ("ip_src", "ip_dst"):
            getattr(flow.match, key).address = value.encode()
            getattr(flow.match, key).version = 1 if ":" in value else 0
        elif key == "action":
            flow.action = value
        else:
            setattr(flow.match, key, value)
    return flow


def end(made):
    gone = Deactivate(ip_addr=made.ip_addr, remove_default_drop_flows=True)
    gone.sid.id = made.sid.id
    gone.request_origin.type = 3
    deactivate(gone, timeout=10)


def rule_fails(what, build, *words):
    """A request with one good rule and the bad one: the good one SUCCESS, the bad one FAILURE, the log names why."""
    made = request()
    add_flow(add_rule(made, "good", priority=1), ip_proto=17)
    build(made)
    start = mark()
    answer = activate(made, timeout=10)
    check(what + ": results", [one.result for one in answer.policy_results] == [SUCCESS, FAILURE],
          str(answer).replace("\n", " ")[:300])
    logged(what, start, *words)
    found = say("session", "001010000000099")
    rules = [rule["rule_id"] for one in (found if isinstance(found, list) else [found]) for rule in one["rules"]]
    check(what + ": only the good rule is there", rules == ["good"], rules)
    end(made)
    unchanged(what)


before, session_before = fills(), session()

# --- no protobuf, no gRPC --------------------------------------------------------
raw = channel.unary_unary(PIPELINED + "ActivateFlows")
random.seed(1)
good = request()
add_flow(add_rule(good), ip_proto=17)
for length in (1, 7, 100, 5000):
    refused("garbage of %d bytes" % length, "INVALID_ARGUMENT", lambda: raw(bytes([0xff]) + random.randbytes(length), timeout=10))
refused("a truncated message", "INVALID_ARGUMENT", lambda: raw(good.SerializeToString()[:-3], timeout=10))
refused("an oversize message", "RESOURCE_EXHAUSTED", lambda: raw(b"\x1a" + bytes(17 << 20), timeout=20))
refused("an unknown method", "UNIMPLEMENTED", lambda: channel.unary_unary(PIPELINED + "Nothing")(b"", timeout=10))
for method in ("CreateFlow", "SetupQuotaFlows", "GetAllTableAssignments", "SetSMFSessions"):
    refused(method, "UNIMPLEMENTED", lambda: channel.unary_unary(PIPELINED + method)(b"", timeout=10))
for payload in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01" + bytes(200), random.randbytes(4000),
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + random.randbytes(4000)):
    peer = socket.create_connection((HOST, PORT))
    peer.sendall(payload)
    peer.settimeout(10)
    try:
        while peer.recv(4096):
            pass
    except (ConnectionResetError, socket.timeout) as error:
        check("garbage %r on the port is answered by closing" % payload[:8], not isinstance(error, socket.timeout))
    peer.close()
unchanged("garbage on the port")

# --- whole requests ----------------------------------------------------------------
refused("an empty IMSI", "INVALID_ARGUMENT", lambda: activate(request(sid=""), timeout=10), "sid")
refused("an IMSI with letters", "INVALID_ARGUMENT", lambda: activate(request(sid="IMSI00101x"), timeout=10), "00101x")
refused("an IMSI of 16 digits", "INVALID_ARGUMENT", lambda: activate(request(sid="IMSI" + "1" * 16), timeout=10), "1" * 16)
refused("an address that is none", "INVALID_ARGUMENT", lambda: activate(request(ip="10.60.0.300"), timeout=10), "10.60.0.300")
refused("raw IPv6 bytes", "INVALID_ARGUMENT", lambda: activate(request(ip="", ipv6_addr=bytes(range(16))), timeout=10), "ipv6_addr")


def slow(unit, uplink, downlink):
    made = request()
    made.apn_ambr.br_unit, made.apn_ambr.max_bandwidth_ul, made.apn_ambr.max_bandwidth_dl = unit, uplink, downlink
    add_flow(add_rule(made), ip_proto=17)
    return made


refused("an AMBR below what can be kept", "INVALID_ARGUMENT|OUT_OF_RANGE", lambda: activate(slow(0, 7999, 0), timeout=10),
        "apn_ambr.max_bandwidth_ul", "7999 bit/s", "8000")
refused("an AMBR in kilobits below what can be kept", "INVALID_ARGUMENT|OUT_OF_RANGE",
        lambda: activate(slow(1, 8, 7), timeout=10), "apn_ambr.max_bandwidth_dl", "7000 bit/s")

# --- single rules --------------------------------------------------------------------
rule_fails("an empty rule id", lambda made: add_flow(add_rule(made, ""), ip_proto=17), "id")
rule_fails("a rule id of 300 bytes", lambda made: add_flow(add_rule(made, "x" * 300), ip_proto=17), "id")
rule_fails("a prefix with host bits", lambda made: add_flow(add_rule(made), ip_dst="10.0.0.1/24"), "10.0.0.1/24", "ip_dst")
rule_fails("an impossible prefix", lambda made: add_flow(add_rule(made), ip_dst="9999.0.0.0/24"), "9999.0.0.0/24")
rule_fails("a prefix that is too long", lambda made: add_flow(add_rule(made), ip_dst="10.0.0.0/33"), "10.0.0.0/33")
rule_fails("a port without a protocol", lambda made: add_flow(add_rule(made), tcp_dst=80), "80")
rule_fails("a TCP port in a UDP rule", lambda made: add_flow(add_rule(made), ip_proto=17, tcp_dst=80), "80")
rule_fails("a port of 17 bits", lambda made: add_flow(add_rule(made), ip_proto=6, tcp_dst=70000), "70000")
rule_fails("no flow at all", lambda made: add_rule(made), "flow")
rule_fails("an unknown direction", lambda made: add_flow(add_rule(made), direction=9), "direction", "9")
rule_fails("an unknown action", lambda made: add_flow(add_rule(made), action=7), "action", "7")
rule_fails("an unknown protocol number", lambda made: add_flow(add_rule(made), ip_proto=999), "999")


def two(made):
    add_flow(add_rule(made, "good", priority=1), ip_proto=6)


rule_fails("a rule twice in a request", two, "good")
rule_fails("300 flows in a rule", lambda made: [add_flow(rule, ip_proto=17, udp_dst=port) for rule in [add_rule(made)]
                                                for port in range(1, 301)], "300")

# --- bounds --------------------------------------------------------------------------
made = request()
for n in range(10000):
    add_flow(add_rule(made, "rule%d" % n, priority=n), ip_proto=17, udp_dst=n + 1)
start = mark()
try:
    answer = activate(made, timeout=30)
    check("10,000 rules: a result each", len(answer.policy_results) == 10000, len(answer.policy_results))
    succeeded = sum(one.result == SUCCESS for one in answer.policy_results)
    check("10,000 rules: those over the bound fail", 0 < succeeded <= 1024, succeeded)
    end(made)
except grpc.RpcError as error:
    check("10,000 rules", error.code().name in ("RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"), error)
unchanged("10,000 rules")

many = []
codes = set()
for n in range(80):  # limits.sessions is 64
    made = request(sid="IMSI0010100000002%02d" % n, ip="10.61.0.%d" % (n + 1))
    add_flow(add_rule(made, "shared"), ip_proto=17)
    many.append(made)
    try:
        activate(made, timeout=10)
    except grpc.RpcError as error:
        codes.add(error.code().name)
check("sessions over the bound are refused", codes == {"RESOURCE_EXHAUSTED"}, codes)
check("the table of sessions is full", fills()["known"] == 64 and fills()["enforced"] == 64, fills())
for made in many:
    end(made)
unchanged("a full table of sessions")

many = []
results = []
for n in range(40):  # together more rules with an MBR than classes, and more contents than limits.rules
    made = request(sid="IMSI0010100000003%02d" % n, ip="10.62.0.%d" % (n + 1))
    for k in range(40):
        rule = add_rule(made, "rule-%d-%d" % (n, k), priority=k)
        add_flow(rule, ip_proto=17, udp_dst=n + 1)
        if k == 0:
            rule.qos.max_req_bw_ul = 1000000
    many.append(made)
    try:
        results += [one.result for one in activate(made, timeout=10).policy_results]
    except grpc.RpcError as error:
        check("full maps", error.code().name == "RESOURCE_EXHAUSTED", error)
        results.append(FAILURE)
check("some rules fail when maps and pools are full", FAILURE in results and SUCCESS in results, set(results))
for made in many:
    end(made)
unchanged("full maps and pools")

if failed:
    sys.exit("%d checks failed" % len(failed))
END
in_gw /usr/bin/python3 "$DIR/bad.py" "$ROOT/selftests/lib" "$BUILD/sluicectl --socket $SOCKET" "$LOG" "$(imsi 1)" >"$DIR/out" 2>&1 ||
	fail "$(cat "$DIR/out")"
[ -d "/proc/$AGENT_PID" ] || fail "the agent is gone"
count_in "$INET" arrived "ip saddr $(ue4 1)"
sent=$(send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 10)
expect "the old session still works" "$sent" "$(settled "$INET" arrived 10)"
