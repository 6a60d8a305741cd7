# SPDX-License-Identifier: Apache-2.0
"""The real agent and its session manager, for cases: started, asked, told.

Everything goes over TCP in the gateway's namespace, where the caller already is.
"""
import json
import os
import signal
import socket
import subprocess
import time

import grpc

from session_model import SessionModel, digits

PIPELINED = "/magma.lte.Pipelined/"
ADMIN = "/sluice.v1.Admin/"
ORIGINS = {"GX": 0, "GY": 1, "WILDCARD": 3}
SUCCESS = 0
SETUP_RESULTS = ("SUCCESS", "FAILURE", "OUTDATED_EPOCH")
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

    def stop(self, how=signal.SIGTERM):
        """Enforcement stays."""
        if not self.process:
            return
        if self.channel:
            self.channel.close()
            self.channel = None
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE)
        self.process = None
        if code != (-how if how == signal.SIGKILL else 0):
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

    def setup(self, entries, epoch=None):
        """As after a restart of the agent; returns when the setup is in force. The name of the result."""
        epoch = self.status().epoch if epoch is None else epoch

        def defaults(request):
            request.epoch = epoch

        def policy(request):
            request.epoch = epoch
            for entry in entries:
                fill_activation(request.requests.add(), entry)

        for method, fill in (("SetupDefaultControllers", defaults), ("SetupPolicyFlows", policy)):
            result = self.call(PIPELINED + method, fill).result
            if result != SUCCESS:
                return SETUP_RESULTS[result]
        return SETUP_RESULTS[SUCCESS]

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

    def pull(self, cookie, mask):
        def fill(request):
            request.cookie = cookie
            request.cookie_mask = mask

        return self.call(PIPELINED + "GetStats", fill).records

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
    request.apn = content.get("apn", "")
    request.shard_id = content.get("shard", 0)
    if "ambr" in content:
        request.apn_ambr.max_bandwidth_ul = content["ambr"].get("uplink", 0)
        request.apn_ambr.max_bandwidth_dl = content["ambr"].get("downlink", 0)
    for policy in content["policies"]:
        one = request.policies.add(version=policy["version"])
        fill_rule(one.rule, policy)


def fill_rule(rule, policy):
    rule.id = policy["id"]
    rule.priority = policy["precedence"]
    rule.rating_group = policy.get("rating_group", 0)
    for flow in policy.get("flows", []):
        fill_flow(rule.flow_list.add(), flow)
    for flow in policy.get("own_flows", []):
        rule.flows.add(**flow)
    rule.filter_rules.extend(policy.get("filters", []))
    rule.restrict_to_filters = policy.get("restrict") == "true"
    if "mbr" in policy:
        rule.qos.max_req_bw_ul = policy["mbr"].get("uplink", 0)
        rule.qos.max_req_bw_dl = policy["mbr"].get("downlink", 0)
    if "app_name" in policy:
        rule.app_name = rule.DESCRIPTOR.fields_by_name["app_name"].enum_type.values_by_name[policy["app_name"]].number
    for kind, address in policy.get("redirect", {}).items():
        rule.redirect.support = 1
        rule.redirect.address_type = ("ipv4", "ipv6", "url", "sip_uri").index(kind)
        rule.redirect.server_address = address


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
        self.model = SessionModel()

    def begin(self):
        """Knows nothing, and of nothing that was reported before."""
        self.new_reports()
        self.model = SessionModel()

    def new_reports(self):
        """Whole lines that came since the last call; the model has seen them then."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            text = file.read()
        end = text.rfind(b"\n") + 1
        self.offset += end
        reports = [json.loads(line) for line in text[:end].splitlines()]
        for report in reports:
            self.model.take(report)
        return reports

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
