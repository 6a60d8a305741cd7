# SPDX-License-Identifier: Apache-2.0
"""Steps of a case about rules that are set for a subscriber, and about their times."""
import time

from case_agent import Unmet, fill_rule

SET = "/magma.lte.LocalSessionManager/SetSessionRules"


class Late(Unmet):
    """A step ended when something else was already wanted: this says nothing of the agent."""


def fill_time(field, now, milliseconds):
    at = now + milliseconds * 10 ** 6
    field.seconds, field.nanos = divmod(at, 10 ** 9)


def fill_set(run, wire, content, now):
    wire.apply_subscriber_wide = content.get("subscriber_wide") == "true"
    wire.apn = content.get("apn", "")
    for policy in content.get("rules", ()):
        one = wire.dynamic_rules.add()
        fill_rule(one.policy_rule, policy)
        if "from" in policy:
            fill_time(one.activation_time, now, policy["from"] * run.stretch)
        if "until" in policy:
            fill_time(one.deactivation_time, now, policy["until"] * run.stretch)


def set_rules(run, scopes):
    """One SetSessionRules; times are milliseconds from now, as often as the run is stretched."""
    run.begun = time.monotonic()
    run.turns = sorted(rule[key] for scope in scopes for rule in scope.get("rules", ()) for key in ("from", "until")
                       if key in rule)
    run.window = window(run, 0)
    now = time.time_ns()

    def fill(request):
        for scope in scopes:
            one = request.rules_per_subscriber.add(imsi=scope["imsi"])
            fill_set(run, one.rule_set.add(), scope, now)

    run.agent.call(SET, fill)
    run.scopes.extend(scopes)


def window(run, milliseconds):
    """When the rules that are wanted then are wanted no more, on the clock of run.begun; None: never."""
    return next((run.begun + turn * run.stretch / 1000 for turn in run.turns if turn > milliseconds), None)


def look(run):
    """After each step: whether it ended while what it is about was still wanted."""
    if run.window is not None and time.monotonic() >= run.window:
        raise Late("this machine is too slow: over %d ms later than the window, with times %d-fold" % (
            (time.monotonic() - run.window) * 1000, run.stretch))


def until(run, milliseconds):
    """Of time since the last set_rules. Who comes later, but within the window, does not wait."""
    run.window = window(run, milliseconds)
    time.sleep(max(0, run.begun + milliseconds * run.stretch / 1000 - time.monotonic()))


def pause(_, milliseconds):
    time.sleep(milliseconds / 1000)


def clear(run):
    """Nothing is desired any more."""
    empty = {(scope["imsi"], scope.get("apn", ""), scope.get("subscriber_wide", "")): {
        key: scope[key] for key in ("imsi", "apn", "subscriber_wide") if key in scope} for scope in run.scopes}
    if empty:
        set_rules(run, list(empty.values()))


STEPS = {"set_rules": set_rules, "until": until, "pause": pause}
