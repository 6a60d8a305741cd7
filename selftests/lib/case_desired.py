# SPDX-License-Identifier: Apache-2.0
"""Steps of a case about rules that are set for a subscriber, and about their times."""
import time

from case_agent import Unmet, fill_rule

SET = "/magma.lte.LocalSessionManager/SetSessionRules"


def fill_time(field, now, milliseconds):
    at = now + milliseconds * 10 ** 6
    field.seconds, field.nanos = divmod(at, 10 ** 9)


def fill_set(wire, content, now):
    wire.apply_subscriber_wide = content.get("subscriber_wide") == "true"
    wire.apn = content.get("apn", "")
    for policy in content.get("rules", ()):
        one = wire.dynamic_rules.add()
        fill_rule(one.policy_rule, policy)
        if "from" in policy:
            fill_time(one.activation_time, now, policy["from"])
        if "until" in policy:
            fill_time(one.deactivation_time, now, policy["until"])


def set_rules(run, scopes):
    """One SetSessionRules; times are milliseconds from now."""
    run.begun = time.monotonic()
    now = time.time_ns()

    def fill(request):
        for scope in scopes:
            one = request.rules_per_subscriber.add(imsi=scope["imsi"])
            fill_set(one.rule_set.add(), scope, now)

    run.agent.call(SET, fill)
    run.scopes.extend(scopes)


def until(run, milliseconds):
    """Of time since the last set_rules."""
    left = run.begun + milliseconds / 1000 - time.monotonic()
    if left < 0:
        raise Unmet("this machine is too slow: it is %d ms later than %d ms after the rules were set" % (
            -left * 1000, milliseconds))
    time.sleep(left)


def pause(_, milliseconds):
    time.sleep(milliseconds / 1000)


def clear(run):
    """Nothing is desired any more."""
    empty = {(scope["imsi"], scope.get("apn", ""), scope.get("subscriber_wide", "")): {
        key: scope[key] for key in ("imsi", "apn", "subscriber_wide") if key in scope} for scope in run.scopes}
    if empty:
        set_rules(run, list(empty.values()))


STEPS = {"set_rules": set_rules, "until": until, "pause": pause}
