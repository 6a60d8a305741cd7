# SPDX-License-Identifier: Apache-2.0
"""The IP packets of a case's `send` step, whole and with right checksums."""
import ipaddress
import struct

ICMP, TCP, UDP, FRAGMENT, ICMPV6, SCTP = 1, 6, 17, 44, 58, 132
PORTS = (TCP, UDP, SCTP)
TCP_FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")
TCP_OPTIONS = {  # with NOPs up to a multiple of four
    "mss": bytes((2, 4, 5, 0xb4)), "window": bytes((3, 3, 7, 1)), "sack": bytes((4, 2, 1, 1)),
    "ts": bytes((8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1)), "cc": bytes((11, 6, 0, 0, 0, 1, 1, 1))}
TTL = 64
LATER_OFFSET = 1480  # bytes into the whole packet
REMOTES_MAX = 65536


class CannotBuild(Exception):
    pass


def checksum(data):
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def with_checksum(data, at, pseudo=b""):
    return data[:at] + struct.pack("!H", checksum(pseudo + data)) + data[at + 2:]


def header_size(protocol):
    return {TCP: 20, UDP: 8, SCTP: 12, ICMP: 8, ICMPV6: 8}.get(protocol, 0)


def tcp_options(send):
    return b"".join(TCP_OPTIONS[name] for name in send.get("tcp_options", "").split(",") if name)


def transport(send, source_port, destination_port, length, pseudo):
    protocol, fragment = send["protocol"], send.get("fragment")
    options = tcp_options(send) if protocol == TCP else b""
    room = length - header_size(protocol) - len(options)
    if room < 0:
        raise CannotBuild("size leaves %d bytes for a header of %d" % (length, length - room))
    payload = bytes(room)
    # a first fragment's checksum would be of the whole packet: left 0, nobody on the way looks
    if protocol == TCP:
        flags = sum(1 << TCP_FLAGS.index(name) for name in send.get("tcp_flags", "syn").split(","))
        words = (20 + len(options)) // 4
        head = struct.pack("!HHIIBBHHH", source_port, destination_port, 1, 0, words << 4, flags, 1024, 0, 0) + options
        return head + payload if fragment else with_checksum(head + payload, 16, pseudo)
    if protocol == UDP:
        head = struct.pack("!HHHH", source_port, destination_port, length, 0)
        return head + payload if fragment else with_checksum(head + payload, 6, pseudo)
    if protocol == SCTP:
        return struct.pack("!HHII", source_port, destination_port, 0, 0) + payload
    if protocol == ICMP:
        return with_checksum(struct.pack("!BBHHH", int(send.get("icmp_type", 8)), 0, 0, 1, 1) + payload, 2)
    if protocol == ICMPV6:
        return with_checksum(struct.pack("!BBHHH", int(send.get("icmp_type", 128)), 0, 0, 1, 1) + payload, 2, pseudo)
    return payload


def ip4(source, destination, send, ports):
    fragment = send.get("fragment")
    length = send["size"] - 20
    if "ip_options" in send:
        raise CannotBuild("IP options: leave out the engine net, since routers treat them in their own way")
    if length < 0:
        raise CannotBuild("size %d is less than an IPv4 header" % send["size"])
    pseudo = source + destination + struct.pack("!HH", send["protocol"], length)
    body = bytes(length) if fragment == "later" else transport(send, *ports, length, pseudo)
    offset = {"first": 0x2000, "later": LATER_OFFSET // 8}.get(fragment, 0)
    head = struct.pack("!BBHHHBBH", 0x45, send.get("dscp", 0) << 2, send["size"], 1, offset, TTL, send["protocol"], 0)
    return with_checksum(head + source + destination, 10) + body


def ip6(source, destination, send, ports):
    fragment = send.get("fragment")
    extension = b""
    following = send["protocol"]
    if fragment:
        offset = 1 if fragment == "first" else LATER_OFFSET
        extension = struct.pack("!BBHI", send["protocol"], 0, offset, 1)
        following = FRAGMENT
    length = send["size"] - 40 - len(extension)
    if length < 0:
        raise CannotBuild("size %d is less than its IPv6 headers" % send["size"])
    pseudo = source + destination + struct.pack("!II", length, send["protocol"])
    body = bytes(length) if fragment == "later" else transport(send, *ports, length, pseudo)
    head = struct.pack("!IHBB", 6 << 28 | send.get("dscp", 0) << 22, len(extension) + length, following, TTL)
    return head + source + destination + extension + body


def remotes(send):
    network = ipaddress.ip_network(send["remote"])
    if network.num_addresses > REMOTES_MAX:
        raise CannotBuild("remote '%s' is more than %d addresses" % (send["remote"], REMOTES_MAX))
    return network


def forwardable(address):
    """Whether a router takes a packet from or to it at all."""
    return not (address.is_link_local or address.is_multicast or address.is_loopback or address.is_unspecified)


def packets(send):
    """Each packet once; `count` is the caller's."""
    ue = ipaddress.ip_address(send["ue"])
    build = ip4 if ue.version == 4 else ip6
    uplink = send["direction"] == "UPLINK"
    ue_port, remote_port = send.get("ue_port", 0), send.get("remote_port", 0)
    ports = (ue_port, remote_port) if uplink else (remote_port, ue_port)
    for remote in remotes(send):
        if remote.version != ue.version:
            raise CannotBuild("ue '%s' and remote '%s' are of two families" % (send["ue"], send["remote"]))
        pair = (ue.packed, remote.packed) if uplink else (remote.packed, ue.packed)
        yield build(*pair, send, ports)


def forwarded(packet):
    """What a router makes of it: one hop less, for IPv4 the header's checksum with it."""
    if packet[0] >> 4 == 6:
        return packet[:7] + bytes([packet[7] - 1]) + packet[8:]
    head = packet[:8] + bytes([packet[8] - 1]) + packet[9:10] + b"\0\0" + packet[12:20]
    return with_checksum(head, 10) + packet[20:]
