# SPDX-License-Identifier: Apache-2.0
"""Step of a case in which a subscriber asks for a web page: one TCP connection, packet by packet.

Its packets are sent and taken at the subscriber's end as all others are, so that
any address of a case will do, and so that each of them can be held against what
the agent counts.
"""
import ipaddress
import struct
import time

from case_agent import Unmet, eventually
from case_packet import with_checksum

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MSS = struct.pack("!BBH", 2, 4, 1400)
FIRST = 1000  # sequence number of the SYN
PORTS = iter(range(42132, 60000))  # each connection has one of its own
PATIENCE = 5  # seconds without a packet


class Connection:
    def __init__(self, end, ue, remote, port):
        self.end = end
        self.ue, self.remote = ipaddress.ip_address(ue), ipaddress.ip_address(remote)
        self.ports = next(PORTS), port
        self.next, self.expected = FIRST, 0
        self.sent, self.taken = [0, 0], [0, 0]  # packets, IP bytes
        self.payload, self.finished = b"", False

    def build(self, flags, payload=b"", options=b""):
        words = (20 + len(options)) // 4
        segment = struct.pack("!HHIIBBHHH", *self.ports, self.next, self.expected if flags & ACK else 0, words << 4,
                              flags, 65535, 0, 0) + options + payload
        pair = self.ue.packed + self.remote.packed
        if self.ue.version == 4:
            pseudo = pair + struct.pack("!HH", 6, len(segment))
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, 6, 0) + pair
            head = with_checksum(head, 10)
        else:
            pseudo = pair + struct.pack("!II", len(segment), 6)
            head = struct.pack("!IHBB", 6 << 28, len(segment), 6, 64) + pair
        return head + with_checksum(segment, 16, pseudo)

    def send(self, flags, payload=b"", options=b""):
        packet = self.build(flags, payload, options)
        self.sent[0] += 1
        self.sent[1] += len(packet)
        self.end.send(packet)
        self.next += len(payload) + bool(flags & (SYN | FIN))

    def take(self):
        """Packets of this connection that have come: (flags, sequence, acknowledged, payload)."""
        for packet in self.end.receive(self.ue.version):
            at = (packet[0] & 15) * 4 if self.ue.version == 4 else 40
            addresses = packet[12:20] if self.ue.version == 4 else packet[8:40]
            protocol = packet[9] if self.ue.version == 4 else packet[6]
            if protocol != 6 or addresses != self.remote.packed + self.ue.packed:
                continue
            source, destination, sequence, acknowledged, words, flags = struct.unpack("!HHIIBB", packet[at:at + 14])
            if (destination, source) != self.ports:
                continue
            self.taken[0] += 1
            self.taken[1] += len(packet)
            yield flags, sequence, acknowledged, packet[at + (words >> 4) * 4:]

    def until(self, done):
        """Takes what comes until done; False: it was refused with a reset."""
        last = time.monotonic()
        while not done():
            self.end.wait(self.ue.version, 0.1)
            for flags, sequence, acknowledged, payload in self.take():
                last = time.monotonic()
                if flags & RST:
                    return False
                if flags & SYN:
                    self.expected = sequence + 1
                elif sequence == self.expected:
                    self.payload += payload
                    self.finished = self.finished or bool(flags & FIN)
                    self.expected += len(payload) + bool(flags & FIN)
                    if payload or flags & FIN:
                        self.send(ACK)
            if time.monotonic() - last > PATIENCE:
                raise Unmet("no answer of %s port %d for %d s" % (self.remote, self.ports[1], PATIENCE))
        return True

    def get(self, path):
        """The answer, or None: refused with a reset."""
        self.send(SYN, options=MSS)
        if not self.until(lambda: self.expected):
            return None
        host = "[%s]" % self.remote if self.remote.version == 6 else str(self.remote)
        self.send(ACK | PSH, ("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, host)).encode())
        if not self.until(lambda: self.finished):
            return None
        acknowledged_by = self.next + 1
        self.send(FIN | ACK)
        end = time.monotonic() + 1
        while time.monotonic() < end:  # the other side's last acknowledgement
            self.end.wait(self.ue.version, 0.1)
            if any(acknowledged == acknowledged_by for _, _, acknowledged, _ in self.take()):
                break
        return self.payload.decode("latin-1")


def usage_of(run, content):
    ue = ipaddress.ip_address(content["ue"])
    for record in run.agent.usage():
        if record.rule_id == content["rule"] and ipaddress.ip_address(record.address) == ue:
            usage = record.usage
            return (usage.uplink_packets, usage.uplink_bytes, usage.downlink_packets, usage.downlink_bytes)
    raise Unmet("no usage of %s for %s" % (content["rule"], ue))


def browse(run, content):
    before = usage_of(run, content)
    connection = Connection(run.ends[0], content["ue"], content["remote"], content.get("port", 80))
    answer = connection.get(content.get("path", "/"))
    if answer is None:
        raise Unmet("the connection was reset")
    lines = answer.split("\r\n")
    status = lines[0].split(" ")[1] if lines[0].startswith("HTTP/1.") else lines[0]
    if status != str(content["status"]):
        raise Unmet("the answer is '%s', not %d" % (lines[0], content["status"]))
    location = next((line.split(": ", 1)[1] for line in lines if line.lower().startswith("location: ")), None)
    if location != content.get("location"):
        raise Unmet("the location is %s, not %s" % (location, content.get("location")))
    wanted = tuple(old + new for old, new in zip(before, connection.sent + connection.taken))
    found = None

    def counted():
        nonlocal found
        found = usage_of(run, content)
        return found == wanted

    try:
        eventually("the connection is counted", counted)
    except Unmet as error:
        raise Unmet("%s has counted %s (uplink packets and bytes, downlink packets and bytes), not %s" % (
            content["rule"], found, wanted)) from error


STEPS = {"browse": browse}
