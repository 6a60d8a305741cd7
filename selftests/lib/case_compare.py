# SPDX-License-Identifier: Apache-2.0
"""Comparing what a case expects with what the agent says."""
import ipaddress

from case_agent import Unmet, digits

COUNTS = ("uplink", "downlink", "uplink_dropped", "downlink_dropped")


def record_of(record):
    """A RuleRecord of a report or of GetPolicyUsage, as dict -> what identifies it, what it counts in bytes."""
    address = record["ue_ipv4"] or record["ue_ipv6"]
    if bool(record["ue_ipv4"]) == bool(record["ue_ipv6"]):
        raise Unmet("a record of %s has not exactly one address" % record["sid"])
    if not record["sid"].startswith("IMSI"):
        raise Unmet("a record's sid is '%s'" % record["sid"])
    key = digits(record["sid"]), ipaddress.ip_address(address), record["rule_id"], record["rule_version"]
    return key, (record["bytes_tx"], record["bytes_rx"], record["dropped_tx"], record["dropped_rx"])


def as_dict(record):
    return {field.name: getattr(record, field.name) for field in record.DESCRIPTOR.fields}


def unique(pairs):
    found = {}
    for key, value in pairs:
        if key in found:
            raise Unmet("two records of %s" % " ".join(map(str, key)))
        found[key] = value
    return found


def differ(what, found, wanted):
    """Raises with what is missing, too much or different."""
    texts = []
    for key in sorted(set(found) | set(wanted), key=str):
        if found.get(key) != wanted.get(key):
            texts.append("%s: %s, not %s" % (" ".join(map(str, key)), found.get(key, "nothing"),
                                            wanted.get(key, "nothing")))
    if texts:
        raise Unmet("%s: %s" % (what, "; ".join(texts)))


def table(records):
    """The records of a RuleRecordTable: what identifies each -> its bytes."""
    return unique(record_of(as_dict(record)) for record in records)


def usage_key(record):
    """Of a record that a case expects."""
    return digits(record["imsi"]), ipaddress.ip_address(record["ue"]), record["rule"], record["version"]


def usage_counts(record):
    return [record.get(name, {"packets": 0, "bytes": 0}) for name in COUNTS]


def usage_bytes(records):
    return {usage_key(record): tuple(count["bytes"] for count in usage_counts(record)) for record in records}
