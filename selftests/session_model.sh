#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The model of a session manager that judges the agent's reports
# (selftests/lib/session_model.py) computes what Magma's own tests of sessiond
# expect: the figures of cases D01 to D06, D10 and D11 of the contract.
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"
PYTHONPATH=selftests/lib PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 - <<'END'
from session_model import SessionModel

IMSI, UE, UE6 = "IMSI001010000000001", "192.168.128.11", "2001:db8::11"
checks = 0


def check(what, found, wanted):
    global checks
    checks += 1
    if found != wanted:
        raise SystemExit("session_model: %s: %s, not %s" % (what, found, wanted))


def model(**groups):
    """One session, its rules at version 1; rule -> rating group."""
    made = SessionModel()
    made.activated({"imsi": IMSI, "ip": UE, "ipv6": UE6, "policies": [
        {"id": rule, "version": 1, "rating_group": group} for rule, group in groups.items()]})
    return made


def install(made, rule, version):
    made.activated({"imsi": IMSI, "ip": UE, "policies": [{"id": rule, "version": version}]})


def record(rule, version, rx, tx, dropped=(0, 0), ue=UE, sid=IMSI):
    return {"sid": sid, "rule_id": rule, "rule_version": version, "bytes_tx": tx, "bytes_rx": rx,
            "dropped_rx": dropped[0], "dropped_tx": dropped[1],
            "ue_ipv4": "" if ":" in ue else ue, "ue_ipv6": ue if ":" in ue else ""}


def report(made, *records, refused=False):
    made.take({"epoch": 1, "update_rule_versions": False, "refused": refused, "records": records})


def credit(made, group=1):
    """As sessiond's tests have it: rx, tx."""
    return tuple(reversed(made.credit(IMSI, UE).get(group, (0, 0))))


one = model(rule1=1)
report(one, record("rule1", 1, 16, 32), refused=True)
check("a refused report", credit(one), (0, 0))
report(one, record("rule1", 1, 16, 32))
check("D01", credit(one), (16, 32))
report(one, record("rule1", 1, 16, 32))
check("D01, the same again", credit(one), (16, 32))

families = model(rule1=1, rule2=1, rule3=2)
report(families, record("rule1", 1, 10, 20), record("rule2", 1, 5, 15, ue=UE6), record("rule3", 1, 100, 150))
check("D02", (credit(families), credit(families, 2)), ((15, 35), (100, 150)))

versions = model(rule1=1)
install(versions, "rule1", 3)
report(versions, record("rule1", 1, 10, 20), record("rule1", 1, 25, 35), record("rule1", 2, 5, 105))
check("D03", credit(versions), (30, 140))

old = model(rule1=1)
report(old, record("rule1", 1, 15, 30, (10, 15)))
report(old, record("rule1", 1, 20, 45, (13, 20)))
install(old, "rule1", 3)
report(old, record("rule1", 2, 10, 80, (12, 20)), record("rule1", 3, 40, 100, (6, 19)))
check("D04", credit(old), (70, 225))
report(old, record("rule1", 1, 31, 51), record("rule1", 2, 15, 95))
check("D04, late ones", credit(old), (70, 225))
check("D04, the last version", old.find({"imsi": IMSI, "ip": UE}).rules["rule1"].last_version, 3)

bumps = model(rule1=1)
for version, rx, tx, wanted in ((1, 20, 45, (20, 45)), (2, 10, 80, (30, 125)), (3, 40, 100, (70, 225))):
    install(bumps, "rule1", version)
    report(bumps, record("rule1", version, rx, tx))
    check("D05, version %d" % version, credit(bumps), wanted)

less = model(rule1=1)
report(less, record("rule1", 1, 55, 120))
report(less, record("rule1", 1, 15, 30))
check("D06", credit(less), (55, 120))
check("D06, it is a fault", len(less.faults), 1)
report(less, record("rule1", 1, 105, 220))
check("D06, and on", credit(less), (105, 220))
report(less, record("rule1", 2, 9, 9))
check("a version that was not asked for", credit(less), (105, 220))

stranger = model(rule1=1)
report(stranger, record("rule1", 1, 1, 1, sid="IMSI001010000000002", ue="192.168.128.12"))
check("D10", stranger.strangers, {("001010000000002", "192.168.128.12")})

some = model(rule1=1, rule2=2)
report(some, record("rule1", 1, 10, 10), record("rule2", 1, 20, 20))
report(some, record("rule2", 1, 25, 25))
report(some, record("rule1", 1, 12, 12), record("rule2", 1, 25, 25))
check("D11", (credit(some), credit(some, 2)), ((12, 12), (25, 25)))

over = model(rule1=1)
over.deactivated({"imsi": IMSI, "ip": UE, "ipv6": UE6, "origin": "WILDCARD", "remove_default_drop": "true"})
report(over)  # may have been made before
check("released, told once", len(over.over), 0)
report(over)
check("released and absent", len(over.over), 2)
print("%d figures of sessiond hold in the model" % checks)
END
