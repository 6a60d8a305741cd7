#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs cases (selftests/cases) against the real agent with real packets.

The far ends are packet sockets on the devices in the neighbouring namespaces:
every packet is sent as the case says and compared whole with what comes out of
the gateway. What the agent counted is asked of its API (packets and bytes), of
GetPolicyUsage and of the reports that the session manager gets (bytes).

One agent serves many cases. After each, its sessions are ended and their usage
acknowledged, which must leave nothing; after a failure the agent begins anew.

One line a case: ok, FAIL or SKIP; then "N passed, N failed, N skipped".
"""
import argparse
import ctypes
import glob
import ipaddress
import os
import select
import signal
import socket
import sys
import time
from collections import Counter

sys.dont_write_bytecode = True
import case_browse  # noqa: E402
import case_desired  # noqa: E402
import case_manager  # noqa: E402
import case_packet  # noqa: E402
import case_queues  # noqa: E402
from case_agent import PIPELINED, Agent, SessionManager, Unmet, digits, eventually  # noqa: E402
from case_compare import COUNTS, differ, record_of, table, unique, usage_bytes, usage_counts, usage_key  # noqa: E402
from case_file import BadCase, Case  # noqa: E402
from wire import Wire  # noqa: E402

import grpc  # noqa: E402

CLONE_NEWNET = 0x40000000
SO_RCVBUFFORCE = 33
ETH_P = {4: 0x0800, 6: 0x86dd}
BATCH = 256  # packets between two looks at what came out
RESULTS = {0: "SUCCESS", 1: "PARTIAL_SUCCESS", 2: "FAILURE"}
ENDED = 2  # of a session
RETIRED = 2  # of a usage record
PATIENCE_ON_THE_WAY = 3  # seconds from the agent's verdict to the far end


def enter(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/run/netns/" + namespace) as file:
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            sys.exit("cases_net: cannot enter %s: %s" % (namespace, os.strerror(ctypes.get_errno())))


class End:
    """One far end: sends to the gateway, and sees what the gateway sends."""

    def __init__(self, namespace, device, gateway):
        enter(namespace)
        self.device = device
        self.gateway = bytes.fromhex(gateway.replace(":", ""))
        self.out = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self.inputs = {}
        for version, protocol in ETH_P.items():
            # a socket of one protocol does not see what its own host sends
            one = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(protocol))
            one.bind((device, protocol))
            one.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
            one.setblocking(False)
            self.inputs[version] = one

    def send(self, packet):
        self.out.sendto(packet, (self.device, ETH_P[packet[0] >> 4], 0, 0, self.gateway))

    def receive(self, version):
        """All that has come of one family."""
        while True:
            try:
                yield self.inputs[version].recv(65535)
            except BlockingIOError:
                return

    def wait(self, version, seconds):
        select.select([self.inputs[version]], [], [], seconds)


class Run:
    """One case on the agent that there is; its times are stretched so often."""

    def __init__(self, case, agent, manager, ends, stretch=1):
        self.case = case
        self.agent = agent
        self.manager = manager
        self.ends = ends  # by direction: where packets go in
        self.sent = [set(), set()]  # what could come out late, by direction
        self.minors = {}  # of the classes that the last expectation of queues saw
        self.scopes = []  # for which rules were set
        self.begun = 0.0  # when they were
        self.stretch = stretch
        self.turns = []  # milliseconds after that at which other rules are wanted
        self.window = None  # when the next one comes
        self.manager.begin()

    def run(self):
        steps = {"activate": self.activate, "setup": self.setup, "deactivate": self.deactivate,
                 "acknowledge": lambda _: self.acknowledge(), "send": self.send, "expect": self.expect,
                 "stop": self.stop, "start": self.agent.start}
        others = {**case_browse.STEPS, **case_desired.STEPS, **case_manager.STEPS, **case_queues.STEPS}
        for line, kind, content in self.case.steps:
            try:
                if kind in steps:
                    steps[kind](content)
                else:
                    others[kind](self, content)
                case_desired.look(self)
            except case_desired.Late:
                raise
            except grpc.RpcError as error:
                raise Unmet("line %d: %s: %s: %s" % (line, kind, error.code().name, error.details())) from error
            except (Unmet, case_packet.CannotBuild) as error:
                case_desired.look(self)
                raise Unmet("line %d: %s: %s" % (line, kind, error)) from error
        try:
            self.end()
        except grpc.RpcError as error:
            raise Unmet("at the end: %s: %s" % (error.code().name, error.details())) from error
        except Unmet as error:
            raise Unmet("at the end: %s" % error) from error

    # --- steps ---

    def activate(self, content):
        mark = self.agent.log_size()
        self.manager.model.activated(content)
        answer = self.agent.activate(content)
        found = [(one.rule_id, one.version, RESULTS.get(one.result)) for one in answer.policy_results]
        wanted = [(one["id"], one["version"], one["result"]) for one in content["results"]]
        if found != wanted:
            raise Unmet("results %s, not %s; %s" % (
                found, wanted, [one.reason for one in answer.policy_results if one.reason]))
        log = self.agent.log_since(mark)
        for one, result in zip(answer.policy_results, content["results"]):
            if result["result"] == "SUCCESS":
                if bool(one.reason) != ("note" in result) or result.get("note", "") not in one.reason:
                    raise Unmet("a reason for the success of %s: %s, not %s" % (
                        one.rule_id, one.reason or "none", result.get("note", "none")))
                continue
            if not one.reason:
                raise Unmet("no reason for the failure of %s" % one.rule_id)
            for name in result.get("names", []):
                if name not in one.rule_id and name not in one.reason:
                    raise Unmet("the reason of %s does not name '%s': %s" % (one.rule_id, name, one.reason))
            if not any("event=rule-failed" in line and "rule=" + one.rule_id + " " in line and
                       one.reason in line.replace('\\"', '"') for line in log):
                raise Unmet("the log does not have the reason of %s: %s" % (one.rule_id, one.reason))

    def setup(self, entries):
        self.agent.stop()
        self.agent.start("wait-for-setup")
        self.manager.model.set_up(entries)
        result = self.agent.setup(entries)
        if result != "SUCCESS":
            raise Unmet("the setup's result is %s" % result)

    def deactivate(self, content):
        self.manager.model.deactivated(content)
        self.agent.deactivate(content)

    def stop(self, how):
        self.agent.stop(signal.Signals["SIG" + how])

    def acknowledge(self):
        def settled():
            return not any(one.state == RETIRED for one in self.agent.usage())

        self.manager.acknowledge(settled)
        if case_manager.send_away(self):
            self.manager.acknowledge(settled)

    def send(self, send):
        direction = ("UPLINK", "DOWNLINK").index(send["direction"])
        source, far = self.ends[direction], self.ends[1 - direction]
        version = ipaddress.ip_address(send["ue"]).version
        before = self.agent.judged() if self.agent.process else None
        expected = Counter()
        arrived = 0
        total = 0

        def take():
            nonlocal arrived
            for packet in far.receive(version):
                if packet in expected:
                    arrived += 1
                    expected[packet] -= 1
                    if expected[packet] < 0:
                        raise Unmet("a packet came out more often than it was sent: %s" % describe(packet))
                elif packet in self.sent[direction]:
                    raise Unmet("a packet of an earlier step came out late: %s" % describe(packet))

        for packet in case_packet.packets(send):
            out = case_packet.forwarded(packet)
            for _ in range(send.get("count", 1)):
                expected[out] += 1
                total += 1
                source.send(packet)
                if total % BATCH == 0:
                    take()

        def decided():
            passed, dropped = self.agent.judged()
            passed -= before[0]
            return (passed,) if passed + dropped - before[1] >= total else None

        passed = 0
        try:
            if before:
                passed, = eventually("%d packets are judged" % total, decided)
        except Unmet as error:
            now = self.agent.judged()
            raise Unmet("%s: passed %d, dropped %d" % (error, now[0] - before[0], now[1] - before[1])) from error
        if not before:
            time.sleep(0.3)  # nobody says when the last one is judged
        until = time.monotonic() + PATIENCE_ON_THE_WAY
        take()
        while arrived < max(passed, send["passed"]) and time.monotonic() < until:
            far.wait(version, 0.1)
            take()
        if arrived != send["passed"]:
            raise Unmet("%d of %d packets came out, not %d (passed by the agent: %d)" % (
                arrived, total, send["passed"], passed))
        self.sent[direction].update(expected)

    def expect(self, content):
        if "rules" in content:
            self.expect_rules(content["rules"])
        if "usage" in content:
            self.expect_usage(content["usage"])
        if "states" in content:
            self.expect_states(content["states"])
        if "credit" in content:
            case_manager.expect_credit(self, content["credit"])
        if "queues" in content:
            case_queues.expect_queues(self, content["queues"])

    def expect_rules(self, rules):
        wanted, found = {}, {}
        for rule in rules:
            session = digits(rule["imsi"]), ipaddress.ip_address(rule["ue"])
            wanted.setdefault(session, []).append((rule["id"], rule["version"], rule.get("origin", "GX")))
        for session in self.agent.sessions():
            if session.state != ENDED and session.rules:
                found[session.imsi, ipaddress.ip_address(session.address)] = [
                    (rule.rule_id, rule.version, ("GX", "GY")[rule.origin]) for rule in session.rules]
        differ("rules", found, wanted)

    def expect_states(self, states):
        """Of all sessions that are in force."""
        wanted = {(digits(one["imsi"]), ipaddress.ip_address(one["ue"])): one["state"] for one in states}
        found = {}
        for session in self.agent.sessions():
            names = session.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number
            if session.state != ENDED:
                found[session.imsi, ipaddress.ip_address(session.address)] = names[session.state].name
        differ("states", found, wanted)

    def expect_usage(self, records):
        packets = {usage_key(record): tuple((count["packets"], count["bytes"]) for count in usage_counts(record))
                   for record in records}
        octets = usage_bytes(records)
        found = unique(((one.imsi, ipaddress.ip_address(one.address), one.rule_id, one.version),
                        tuple((getattr(one.usage, name + "_packets"), getattr(one.usage, name + "_bytes"))
                              for name in COUNTS))
                       for one in self.agent.usage())
        differ("ListUsage (packets, bytes of %s)" % ", ".join(COUNTS), found, packets)
        differ("GetPolicyUsage (bytes)", table(self.agent.call(PIPELINED + "GetPolicyUsage").records), octets)
        wanted, last = self.as_reported(octets), None

        def reported():
            nonlocal last
            for report in self.manager.new_reports():
                last = unique(record_of(one) for one in report["records"])
                if self.as_reported(last) == wanted:
                    return True
            return False

        self.manager.new_reports()
        try:
            eventually("a report", reported)
        except Unmet:
            if last is None:
                raise
            differ("ReportRuleStats (bytes)", self.as_reported(last), wanted)

    def as_reported(self, records):
        """Of a session that has ended a report may leave out what counts nothing, but not everything."""
        ended = {(one.imsi, ipaddress.ip_address(one.address)) for one in self.agent.sessions() if one.state == ENDED}
        kept = {key: counts for key, counts in records.items() if key[:2] not in ended or any(counts)}
        for session in {key[:2] for key in records} - {key[:2] for key in kept}:
            kept[session + ("nothing counted", 0)] = (0, 0, 0, 0)
        return kept

    def end(self):
        if not self.agent.process:
            self.agent.start("serve")
        case_desired.clear(self)
        for session in self.agent.sessions():
            if session.state != ENDED:
                key = "ipv6" if ":" in session.address else "ip"
                self.deactivate({"imsi": session.imsi, key: session.address, "origin": "WILDCARD",
                                 "remove_default_drop": "true"})
        if self.agent.usage():
            self.acknowledge()
        self.expect({"rules": [], "usage": []})
        model = self.manager.model
        if model.faults or model.strangers:
            raise Unmet("the session manager: %s" % "; ".join(
                model.faults + ["a record of %s %s, which it does not know" % one for one in model.strangers]))
        status = self.agent.status()
        if status.known_sessions or status.enforced_sessions:
            raise Unmet("%d sessions known and %d enforced after all have ended" % (
                status.known_sessions, status.enforced_sessions))
        for direction in (0, 1):
            for version in ETH_P:
                for packet in self.ends[1 - direction].receive(version):
                    if packet in self.sent[direction]:
                        raise Unmet("a packet came out late: %s" % describe(packet))


def describe(packet):
    at, size = (12, 4) if packet[0] >> 4 == 4 else (8, 16)
    return "%s to %s, %d bytes" % (ipaddress.ip_address(packet[at:at + size]),
                                   ipaddress.ip_address(packet[at + size:at + 2 * size]), len(packet))


def why_not_here(case):
    """What a case asks for that the wire or a router cannot give; None: it can be run."""
    if "net" not in case.engines:
        return case.left_out
    for line, kind, content in case.steps:
        if kind == "send":
            for address in (ipaddress.ip_address(content["ue"]), case_packet.remotes(content)[0]):
                if not case_packet.forwardable(address):
                    return "line %d: no router forwards packets of %s" % (line, address)
    return None


def run_case(path, agent, manager, ends):
    """Where the machine was too slow for its times: with longer ones, twice."""
    for stretch in (1, 2, 4):
        try:
            return Run(Case(path), agent, manager, ends, stretch).run()
        except case_desired.Late:
            agent.wipe()
            if stretch == 4:
                raise
            agent.start("serve")


def check_mode(agent, mode):
    hooks = {hook.hook for hook in agent.status().hooks if hook.attached}
    if ("xdp" in hooks) != (mode == "xdp"):
        raise Unmet("mode %s, but the hooks are %s" % (mode, ", ".join(sorted(hooks))))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("mode", "agent", "serve", "wait-for-setup", "api", "log", "pids", "reports", "access", "core",
                 "gateway"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--session-manager", type=int, required=True, help="its pid")
    parser.add_argument("cases", nargs="+", help="files or folders")
    options = parser.parse_args()

    ends = []
    for text in (options.access, options.core):
        ends.append(End(*text.split(",")))
    enter(options.gateway)
    agent = Agent(Wire(), options)
    manager = SessionManager(options.session_manager, options.reports)
    paths = []
    for path in options.cases:
        paths.extend(sorted(glob.glob(os.path.join(path, "*.yaml"))) if os.path.isdir(path) else [path])
    if not paths:
        sys.exit("cases_net: no case in %s" % " ".join(options.cases))

    count = Counter()
    for path in paths:
        begun = time.monotonic()
        mark = agent.log_size()
        name = options.mode + " " + os.path.splitext(os.path.basename(path))[0]
        try:
            case = Case(path)
            reason = why_not_here(case)
            if reason:
                count["skipped"] += 1
                print("SKIP  %s: %s" % (name, reason), flush=True)
                continue
            if not agent.process:
                agent.start("serve")
                check_mode(agent, options.mode)
            run_case(path, agent, manager, ends)
            count["passed"] += 1
            print("ok    %s  (%.1f s)" % (name, time.monotonic() - begun), flush=True)
        except case_desired.Late as error:
            count["skipped"] += 1
            print("SKIP  %s: %s" % (name, error), flush=True)
        except (Unmet, BadCase, case_packet.CannotBuild, ValueError) as error:
            count["failed"] += 1
            print("FAIL  %s: %s" % (name, error), flush=True)
            for line in [one for one in agent.log_since(mark) if "event=grpc-" not in one][-8:]:
                print("        " + line)
            agent.wipe()
    try:
        agent.stop()
    except Unmet as error:
        count["failed"] += 1
        print("FAIL  %s the agent's end: %s" % (options.mode, error))
    agent.wipe()
    print("%d passed, %d failed, %d skipped" % (count["passed"], count["failed"], count["skipped"]))
    sys.exit(1 if count["failed"] or not count["passed"] else 0)


if __name__ == "__main__":
    main()
