# SPDX-License-Identifier: Apache-2.0
"""Steps of a case that are the session manager's own doings: what it makes of
reports, how it comes to terms with an agent that has begun anew."""
import ipaddress
import time

import grpc

from case_agent import PATIENCE, PIPELINED, Unmet, digits, eventually, fill_activation
from case_compare import differ, record_of, table, unique, usage_bytes

EMPTY_REPORT = 3  # seconds between reports until the setup
SLACK = 1


def refuse(run, content):
    """A call that ends with a status other than OK."""
    for what in ("activate", "deactivate"):
        if what not in content:
            continue
        try:
            getattr(run.agent, what)(content[what])
        except grpc.RpcError as error:
            if error.code().name != content["status"]:
                raise Unmet("%s: %s (%s), not %s" % (
                    what, error.code().name, error.details(), content["status"])) from error
        else:
            raise Unmet("%s was answered, not refused with %s" % (what, content["status"]))


def attempt(run, content):
    """The two setup calls on the agent as it is."""
    epoch = run.agent.status().epoch
    if content["epoch"] == "other":
        epoch -= 1
    result = run.agent.setup(content["setup"], epoch)
    if result != content["result"]:
        raise Unmet("the setup's result is %s, not %s" % (result, content["result"]))
    if result == "SUCCESS" and content.get("setup"):
        run.manager.model.set_up(content["setup"])


def heartbeat(run, content):
    """Until its setup an agent reports nothing but its epoch, every three seconds."""
    epoch = run.agent.status().epoch
    run.manager.new_reports()
    times = []

    def enough():
        for report in run.manager.new_reports():
            if report["records"]:
                raise Unmet("a report of %d records before the setup" % len(report["records"]))
            if report["epoch"] != epoch:
                raise Unmet("a report of epoch %d; the agent's is %d" % (report["epoch"], epoch))
            times.append(report["time"])
        return len(times) >= content["reports"]

    until = time.monotonic() + (content["reports"] + 1) * EMPTY_REPORT
    while not enough():
        if time.monotonic() > until:
            raise Unmet("%d reports before the setup, not %d" % (len(times), content["reports"]))
        time.sleep(0.05)
    for before, after in zip(times, times[1:]):
        if abs(after - before - EMPTY_REPORT) > SLACK:
            raise Unmet("%.1f s between two reports before the setup, not %d" % (after - before, EMPTY_REPORT))


def resync(run, _):
    """What a new epoch in a report makes it do: repeat all that it knows."""
    model = run.manager.model
    known = model.epoch

    def news():
        run.manager.new_reports()
        return model.epoch != known and model.epoch is not None

    # the report that tells of it may have been taken already
    if model.epoch != run.agent.status().epoch:
        eventually("a report with a new epoch", news)
    result = run.agent.setup(model.entries(), model.epoch)
    if result != "SUCCESS":
        raise Unmet("the setup's result is %s" % result)


def forget(run, content):
    run.manager.model.forget(content)


def send_away(run):
    """Sessions that were reported and are not known are ended, as sessiond does."""
    strangers, run.manager.model.strangers = run.manager.model.strangers, set()
    for imsi, address in strangers:
        key = "ipv6" if ":" in address else "ip"
        run.agent.deactivate({"imsi": imsi, key: address, "origin": "WILDCARD", "remove_default_drop": "true"})
    return len(strangers)


def attach(run, content):
    """So many sessions, IMSI and IPv4 address counting up; each shard has so many of them."""
    imsi, address = int(digits(content["imsi"])), ipaddress.ip_address(content["ip"])
    width = len(digits(content["imsi"]))
    for i in range(content["sessions"]):
        request = {**content, "imsi": "IMSI%0*d" % (width, imsi + i), "ip": str(address + i),
                   "shard": i // content["shard_size"]}
        run.manager.model.activated(request)
        answer = run.agent.call(PIPELINED + "ActivateFlows", lambda wire, one=request: fill_activation(wire, one))
        for result in answer.policy_results:
            if result.result != 0:
                raise Unmet("session %d: %s failed: %s" % (i, result.rule_id, result.reason))


def pull(run, content):
    """GetStats: the records of one shard; of all of them what a report has."""
    found = table(run.agent.pull(content["cookie"], content["mask"]))
    if "records" in content:
        differ("GetStats (bytes)", found, usage_bytes(content["records"]))
    if "sessions" in content:
        sessions = {key[:2] for key in found}
        if len(sessions) != content["sessions"]:
            raise Unmet("GetStats has records of %d sessions, not %d" % (len(sessions), content["sessions"]))
    if content["mask"] == 0:
        run.manager.new_reports()
        # the first that comes may have been made before what has just been done
        for _ in range(2):
            report = eventually("a report", lambda: next(iter(run.manager.new_reports()[-1:]), None))
        differ("GetStats and the report", found,
                   unique(record_of(record) for record in report["records"]))


def expect_credit(run, credits):
    """What the rating groups of these sessions have used, of all reports that were accepted."""
    run.manager.new_reports()
    found, wanted = {}, {}
    for one in credits:
        session = one["imsi"], one["ue"]
        wanted[session + (one["rating_group"],)] = one["uplink"], one["downlink"]
        for group, used in run.manager.model.credit(*session).items():
            if group:  # not of rules without a rating group
                found[session + (group,)] = used
    differ("credit (uplink, downlink bytes of a rating group)", found, wanted)


STEPS = {"refuse": refuse, "attempt": attempt, "heartbeat": heartbeat, "resync": resync, "forget": forget,
         "attach": attach, "pull": pull}
assert PATIENCE > EMPTY_REPORT  # a new epoch is told within one interval
