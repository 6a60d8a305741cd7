#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A session manager before release 1.5, its messages put together byte by byte.

    old_wire.py ADDRESS activate '{"imsi": "IMSI00101...", "ip": "10.0.0.1", "rule_ids": [..],
        "dynamic": [{"id": "..", "priority": 10, "udp_dst": 5001, "ipv4_dst": "198.51.100.11/32"}],
        "policies": [{"id": "..", "version": 3}]}'
    old_wire.py ADDRESS deactivate '{"imsi": .., "rule_ids": [..]}'

prints {"1": [[rule id, result, version], ..], "2": [..]}: the results by the
number of their field. No .proto file of ours is looked at: field numbers are
those of the releases. Exit code = number of the gRPC status.
"""
import json
import sys

import grpc

PERMIT, UPLINK, UDP = 0, 0, 17


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value) if value else b""


def text(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def fields(data):
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        if tag & 7 == 0:
            value, at = read_varint(data, at)
        elif tag & 7 == 2:
            length, at = read_varint(data, at)
            value, at = data[at:at + length], at + length
        else:
            raise ValueError("wire type %d" % (tag & 7))
        yield tag >> 3, value


def dynamic_rule(rule):
    # FlowMatch: 2 ipv4_dst, 6 udp_dst, 7 ip_proto, 8 direction. FlowDescription: 1 match, 2 action.
    match = number(6, rule.get("udp_dst", 0)) + number(7, UDP) + number(8, UPLINK)
    if "ipv4_dst" in rule:
        match = text(2, rule["ipv4_dst"]) + match
    flow = text(1, match) + number(2, PERMIT)
    return text(1, rule["id"]) + number(3, rule.get("priority", 0)) + text(7, flow)


def activate(request):
    out = text(1, text(1, request["imsi"])) + text(2, request["ip"])
    for rule_id in request.get("rule_ids", []):
        out += text(3, rule_id)
    for rule in request.get("dynamic", []):
        out += text(4, dynamic_rule(rule))
    for policy in request.get("policies", []):
        out += text(11, text(1, text(1, policy["id"])) + number(2, policy["version"]))
    return "/magma.lte.Pipelined/ActivateFlows", out


def deactivate(request):
    out = text(1, text(1, request["imsi"]))
    for rule_id in request.get("rule_ids", []):
        out += text(2, rule_id)
    return "/magma.lte.Pipelined/DeactivateFlows", out


def result(data):
    # RuleModResult: 1 rule_id, 2 result, 3 version
    one = dict(fields(data))
    return [one.get(1, b"").decode(), one.get(2, 0), one.get(3, 0)]


def main():
    if len(sys.argv) != 4 or sys.argv[2] not in ("activate", "deactivate"):
        sys.exit(__doc__)
    path, request = {"activate": activate, "deactivate": deactivate}[sys.argv[2]](json.loads(sys.argv[3]))
    with grpc.insecure_channel(sys.argv[1]) as channel:
        try:
            answer = channel.unary_unary(path)(request, timeout=20)
        except grpc.RpcError as error:
            print(error.code().name + ": " + (error.details() or ""), file=sys.stderr)
            sys.exit(error.code().value[0])
    results = {"1": [], "2": []}
    for field, value in fields(answer):
        if isinstance(value, bytes):
            results[str(field)].append(result(value))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
