#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A name server for tests, on UDP.

    dns_server.py ADDRESS PORT RECORDS

RECORDS is a file of lines "NAME A|AAAA TTL ADDRESS", read anew for each
question: change it and the answers change. A name that has a record of some
type answers with what it has, perhaps nothing; "NAME fail" answers SERVFAIL,
"NAME silent" nothing at all; any other name does not exist. Each question is
one line "NAME TYPE" on standard output, after "ready".
"""
import socket
import struct
import sys

TYPES = {1: "A", 28: "AAAA"}
SERVFAIL, NXDOMAIN = 2, 3


def question(packet):
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]])
        at += 1 + packet[at]
    kind, = struct.unpack("!H", packet[at + 1:at + 3])
    # as it came, since resolvers compare the case (draft-vixie-dnsext-dns0x20)
    return b".".join(labels).decode().lower(), kind, packet[12:at + 5]


def records_of(path, name):
    with open(path, encoding="utf-8") as file:
        lines = [line.split() for line in file if line.strip()]
    return [line[1:] for line in lines if line[0] == name]


def answer(packet, records, kind, asked):
    if any(record[0] == "fail" for record in records):
        return packet[:2] + struct.pack("!HHHHH", 0x8180 | SERVFAIL, 1, 0, 0, 0) + asked
    found = b""
    count = 0
    for record in records:
        if record[0] != TYPES.get(kind):
            continue
        family = socket.AF_INET if kind == 1 else socket.AF_INET6
        address = socket.inet_pton(family, record[2])
        found += struct.pack("!HHHIH", 0xc00c, kind, 1, int(record[1]), len(address)) + address
        count += 1
    code = 0 if records else NXDOMAIN
    return packet[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, count, 0, 0) + asked + found


def main():
    address, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, port))
    print("ready", flush=True)
    while True:
        packet, client = server.recvfrom(4096)
        name, kind, asked = question(packet)
        print(name, TYPES.get(kind, kind), flush=True)
        records = records_of(path, name)
        if any(record[0] == "silent" for record in records):
            continue
        server.sendto(answer(packet, records, kind, asked), client)


main()
