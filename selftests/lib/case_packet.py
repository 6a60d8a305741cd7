# SPDX-License-Identifier: Apache-2.0
"""The IP packets of a case's `send` step, whole and with right checksums."""
import ipaddress
import struct

ICMP, TCP, UDP, FRAGMENT, ICMPV6, SCTP = 1, 6, 17, 44, 58, 132
PORTS = (TCP, UDP, SCTP)
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


def transport(protocol, source_port, destination_port, length, pseudo, fragment):
    if length < header_size(protocol):
        raise CannotBuild("size leaves %d bytes for a header of %d" % (length, header_size(protocol)))
    payload = bytes(length - header_size(protocol))
    # a first fragment's checksum would be of the whole packet: left 0, nobody on the way looks
    if protocol == TCP:
        head = struct.pack("!HHIIBBHHH", source_port, destination_port, 1, 0, 5 << 4, 0x02, 1024, 0, 0)
        return head + payload if fragment else with_checksum(head + payload, 16, pseudo)
    if protocol == UDP:
        head = struct.pack("!HHHH", source_port, destination_port, length, 0)
        return head + payload if fragment else with_checksum(head + payload, 6, pseudo)
    if protocol == SCTP:
        return struct.pack("!HHII", source_port, destination_port, 0, 0) + payload
    if protocol == ICMP:
        return with_checksum(struct.pack("!BBHHH", 8, 0, 0, 1, 1) + payload, 2)
    if protocol == ICMPV6:
        return with_checksum(struct.pack("!BBHHH", 128, 0, 0, 1, 1) + payload, 2, pseudo)
    return payload


def ip4(source, destination, send, ports):
    fragment = send.get("fragment")
    length = send["size"] - 20
    if length < 0:
        raise CannotBuild("size %d is less than an IPv4 header" % send["size"])
    pseudo = source + destination + struct.pack("!HH", send["protocol"], length)
    body = bytes(length) if fragment == "later" else transport(send["protocol"], *ports, length, pseudo, fragment)
    offset = {"first": 0x2000, "later": LATER_OFFSET // 8}.get(fragment, 0)
    head = struct.pack("!BBHHHBBH", 0x45, 0, send["size"], 1, offset, TTL, send["protocol"], 0)
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
    body = bytes(length) if fragment == "later" else transport(send["protocol"], *ports, length, pseudo, fragment)
    head = struct.pack("!IHBB", 6 << 28, len(extension) + length, following, TTL)
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
