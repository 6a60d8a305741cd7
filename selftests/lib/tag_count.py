#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Counts UDP packets by the VLAN tag that their frames have.

    tag_count.py DEVICE

Says "ready", counts until SIGTERM, then prints a line "VLAN SOURCE PORT PACKETS
IP-BYTES" for each tag (0: none), source address and destination port. Needs no VLAN device: the tag is taken from what AF_PACKET says
beside the packet (PACKET_AUXDATA), where the kernel keeps it, or from the frame.
"""
import collections
import select
import signal
import socket
import struct
import sys

SOL_PACKET, PACKET_AUXDATA = 263, 8
SO_RCVBUFFORCE = 33
STATUS_VLAN_VALID = 1 << 4
ETH_P_ALL, VLAN, IPV4, IPV6, UDP = 3, 0x8100, 0x0800, 0x86dd, 17


def udp_of(frame, auxiliary):
    """(vlan, source, destination port), IP bytes; None: another kind of packet."""
    vlan, at = 0, 14
    kind, = struct.unpack("!H", frame[12:14])
    for level, name, data in auxiliary:
        if level == SOL_PACKET and name == PACKET_AUXDATA:
            status, _, _, _, _, tag, _ = struct.unpack("=IIIHHHH", data[:20])
            if status & STATUS_VLAN_VALID:
                vlan = tag & 0xfff
    if kind == VLAN:
        tag, kind = struct.unpack("!HH", frame[14:18])
        # the one beside the packet is the outer one
        vlan, at = vlan or tag & 0xfff, 18
    packet = frame[at:]
    if kind == IPV4 and packet[9] == UDP:
        length, = struct.unpack("!H", packet[2:4])
        header = (packet[0] & 15) * 4
        source = socket.inet_ntop(socket.AF_INET, packet[12:16])
    elif kind == IPV6 and packet[6] == UDP:
        length = 40 + struct.unpack("!H", packet[4:6])[0]
        header = 40
        source = socket.inet_ntop(socket.AF_INET6, packet[8:24])
    else:
        return None
    return (vlan, source, struct.unpack("!H", packet[header + 2:header + 4])[0]), length


def main():
    counts = collections.defaultdict(lambda: [0, 0])
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as raw:
        raw.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        raw.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)  # the host's bound is too low for a busy machine
        raw.bind((sys.argv[1], ETH_P_ALL))
        raw.setblocking(False)
        print("ready", flush=True)
        ending = []
        signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
        while True:
            ready, _, _ = select.select([raw], [], [], 0.2)
            if ready:
                frame, auxiliary, _, address = raw.recvmsg(2048, 256)
                found = None if address[2] == socket.PACKET_OUTGOING else udp_of(frame, auxiliary)
                if found:
                    counts[found[0]][0] += 1
                    counts[found[0]][1] += found[1]
            elif ending:
                break
    for key, count in sorted(counts.items()):
        print(*key, *count)


main()
