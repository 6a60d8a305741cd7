# SPDX-License-Identifier: Apache-2.0
"""The real agent and its session manager, for cases: started, asked, told.

Everything goes over TCP in the gateway's namespace, where the caller already is.
"""
import ipaddress
import json
import os
import signal
import socket
import subprocess
import time

import grpc

PIPELINED = "/magma.lte.Pipelined/"
ADMIN = "/sluice.v1.Admin/"
ORIGINS = {"GX": 0, "GY": 1, "WILDCARD": 3}
SUCCESS = 0
PATIENCE = 8  # seconds for what comes at once unless the machine is busy


class Unmet(Exception):
    """What the agent did differs from what a case says."""


def eventually(what, check):
    """Until the check answers something that is not None or False."""
    until = time.monotonic() + PATIENCE
    while True:
        found = check()
        if found is not None and found is not False:
            return found
        if time.monotonic() > until:
            raise Unmet("not within %d s: %s" % (PATIENCE, what))
        time.sleep(0.01)


def digits(imsi):
    return imsi[4:] if imsi.startswith("IMSI") else imsi


class Agent:
    def __init__(self, wire, options):
        self.wire = wire
        self.program = options.agent
        self.configs = {"serve": options.serve, "wait-for-setup": options.wait_for_setup}
        self.host, port = options.api.rsplit(":", 1)
        self.port = int(port)
        self.log_path = options.log
        self.pids = options.pids
        self.log = open(options.log, "ab")
        self.process = None
        self.channel = None
        self.calls = {}

    # --- process ---

    def start(self, startup):
        # a group of its own and a line in the run folder: ended with the test whatever happens to us
        self.process = subprocess.Popen([self.program, "--config", self.configs[startup]], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        with open("/proc/%d/stat" % self.process.pid) as stat, open(self.pids, "a") as pids:
            pids.write("%d %s\n" % (self.process.pid, stat.read().rsplit(") ", 1)[1].split()[19]))
        eventually("the agent listens", self.listens)
        # a channel of its own: a shared one would wait out the back-off from the time without an agent
        self.channel = grpc.insecure_channel("%s:%d" % (self.host, self.port), options=(
            ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)))
        self.calls = {}

    def listens(self):
        if self.process.poll() is not None:
            raise Unmet("the agent ended with exit code %d" % self.process.returncode)
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0

    def stop(self):
        """SIGTERM: enforcement stays."""
        if not self.process:
            return
        if self.channel:
            self.channel.close()
            self.channel = None
        self.process.terminate()
        code = self.process.wait(PATIENCE)
        self.process = None
        if code != 0:
            raise Unmet("the agent ended with exit code %d" % code)

    def wipe(self):
        """Whatever state it is in: afterwards there is nothing."""
        if self.process:
            if self.channel:
                self.channel.close()
                self.channel = None
            self.process.kill()
            self.process.wait()
            self.process = None
        subprocess.run([self.program, "--config", self.configs["serve"], "--detach"], stdin=subprocess.DEVNULL,
                       stdout=self.log, stderr=self.log, check=True)

    def log_size(self):
        return os.path.getsize(self.log_path)

    def log_since(self, mark):
        with open(self.log_path, "rb") as log:
            log.seek(mark)
            return log.read().decode(errors="replace").splitlines()

    # --- calls ---

    def call(self, path, fill=None):
        request_class, _ = self.wire.method(path)
        request = request_class()
        if fill:
            fill(request)
        if path not in self.calls:
            self.calls[path] = self.wire.unary(self.channel, path)
        return self.calls[path](request, timeout=PATIENCE)

    def pages(self, path, field, **arguments):
        request_class, _ = self.wire.method(path)
        if path not in self.calls:
            self.calls[path] = self.wire.stream(self.channel, path)
        found, start = [], 0
        while True:
            for page in self.calls[path](request_class(start=start, **arguments), timeout=PATIENCE):
                found.extend(getattr(page, field))
                start = page.next
            if not start:
                return found

    def status(self):
        return self.call(ADMIN + "GetStatus")

    def activate(self, content):
        return self.call(PIPELINED + "ActivateFlows", lambda request: fill_activation(request, content))

    def setup(self, entries):
        """As after a restart of the agent; returns when the setup is in force."""
        epoch = self.status().epoch

        def defaults(request):
            request.epoch = epoch

        def policy(request):
            request.epoch = epoch
            for entry in entries:
                fill_activation(request.requests.add(), entry)

        for method, fill in (("SetupDefaultControllers", defaults), ("SetupPolicyFlows", policy)):
            result = self.call(PIPELINED + method, fill).result
            if result != SUCCESS:
                raise Unmet("%s: result %d" % (method, result))

    def deactivate(self, content):
        def fill(request):
            fill_session(request, content)
            for policy in content.get("policies", []):
                request.policies.add(rule_id=policy["id"], version=policy["version"])
            request.remove_default_drop_flows = content.get("remove_default_drop") == "true"

        result = self.call(PIPELINED + "DeactivateFlows", fill).result
        if result != SUCCESS:
            raise Unmet("DeactivateFlows: result %d" % result)

    def sessions(self):
        return self.pages(ADMIN + "ListSessions", "sessions", rules=True)

    def usage(self):
        return self.pages(ADMIN + "ListUsage", "records")

    def judged(self):
        """Packets that were passed under a rule, and packets that were dropped; since the start."""
        passed = sum(record.usage.uplink_packets + record.usage.downlink_packets for record in self.usage())
        drops = self.call(ADMIN + "ListDrops").drops
        return passed, sum(count.uplink_packets + count.downlink_packets for count in drops)


def fill_session(request, content):
    request.sid.id = content["imsi"]
    request.ip_addr = content.get("ip", "")
    request.ipv6_addr = content.get("ipv6", "").encode()
    if "origin" in content:  # absent on the wire is GX
        request.request_origin.type = ORIGINS[content["origin"]]


def fill_activation(request, content):
    fill_session(request, content)
    for policy in content["policies"]:
        one = request.policies.add(version=policy["version"])
        one.rule.id = policy["id"]
        one.rule.priority = policy["precedence"]
        for flow in policy["flows"]:
            fill_flow(one.rule.flow_list.add(), flow)


def fill_flow(description, flow):
    description.action = ("PERMIT", "DENY").index(flow["action"])
    match = description.match
    match.SetInParent()
    match.direction = ("UPLINK", "DOWNLINK").index(flow["direction"])
    for key in ("ip_proto", "tcp_src", "tcp_dst", "udp_src", "udp_dst"):
        if key in flow:
            setattr(match, key, flow[key])
    for key in ("ip_src", "ip_dst"):
        if key in flow:
            address = getattr(match, key)
            address.version = 1 if ":" in flow[key] else 0
            address.address = flow[key].encode()


class SessionManager:
    """The process of session_manager.py: what it was told, and what it answers."""

    def __init__(self, pid, path):
        self.pid = pid
        self.path = path
        self.offset = 0

    def new_reports(self):
        """Whole lines that came since the last call."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            text = file.read()
        end = text.rfind(b"\n") + 1
        self.offset += end
        return [json.loads(line) for line in text[:end].splitlines()]

    def acknowledge(self, settled):
        """Takes reports until two are through (the first may be older than the last step) and `settled()`."""
        accepted = 0

        def through():
            nonlocal accepted
            accepted += sum(not report["refused"] for report in self.new_reports())
            return accepted >= 2

        os.kill(self.pid, signal.SIGUSR2)
        eventually("two reports to acknowledge", through)
        eventually("no final usage after its acknowledgement", settled)
        os.kill(self.pid, signal.SIGUSR1)
        eventually("a report that is refused",
                   lambda: any(report["refused"] for report in self.new_reports()))


def record_of(record):
    """A RuleRecord of a report or of GetPolicyUsage, as dict -> what identifies it, what it counts in bytes."""
    address = record["ue_ipv4"] or record["ue_ipv6"]
    if bool(record["ue_ipv4"]) == bool(record["ue_ipv6"]):
        raise Unmet("a record of %s has not exactly one address" % record["sid"])
    if not record["sid"].startswith("IMSI"):
        raise Unmet("a record's sid is '%s'" % record["sid"])
    key = digits(record["sid"]), ipaddress.ip_address(address), record["rule_id"], record["rule_version"]
    return key, (record["bytes_tx"], record["bytes_rx"], record["dropped_tx"], record["dropped_rx"])
