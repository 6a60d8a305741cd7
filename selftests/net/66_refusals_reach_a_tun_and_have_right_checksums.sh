#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The answers that sluice makes itself, on a device without a link header and on
# Ethernet, as a capture sees them: addressed right, with right checksums.
. "$(dirname "$0")/../lib/net.sh"
. "$ROOT/selftests/lib/redirect.sh"

[ -c /dev/net/tun ] || skip "no /dev/net/tun"
net_up
ip -n "$GW" tuntap add dev tun0 mode tun || skip "no tun devices in this kernel"
ip -n "$GW" link set tun0 up
ip -n "$GW" route add 10.61.0.0/16 dev tun0
ip -n "$GW" route add 2001:db8:61::/48 dev tun0

# capture NAMESPACE DEVICE FILTER COMMAND...: prints what the filter has caught of it
capture() {
	local ns=$1 device=$2 filter=$3
	shift 3
	spawn nsenter --net="/run/netns/$ns" -- tcpdump -nvvl -i "$device" -c 4 "$filter" >"$DIR/capture" 2>"$DIR/capture.err"
	eventually "tcpdump listens" 5 grep -q listening "$DIR/capture.err"
	"$@" >"$DIR/sent" 2>&1 || true
	sleep 0.5
	kill -INT "$SPAWNED" 2>/dev/null || true # it may have caught all it wanted
	finish "$SPAWNED"
	cat "$DIR/capture"
}

# a tun has one reader, who is the subscriber
cat >"$DIR/tun.py" <<-'END'
	import fcntl, ipaddress, os, select, struct, sys
	fd = os.open("/dev/net/tun", os.O_RDWR)
	fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH", b"tun0", 0x1001))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
	source, destination = (ipaddress.ip_address(a).packed for a in sys.argv[1:3])
	def total(data):
	    data += b"\0" * (len(data) % 2)
	    n = sum(struct.unpack("!%dH" % (len(data) // 2), data))
	    while n >> 16:
	        n = (n & 0xffff) + (n >> 16)
	    return n
	def ip(protocol, body):
	    if len(source) == 16:
	        return struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + source + destination + body
	    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0) + source + destination
	    return head[:10] + struct.pack("!H", 0xffff - total(head)) + head[12:] + body
	# sent again, as senders do: a tun takes a moment to send after it was opened
	def exchange(packet, tries=12):
	    os.write(fd, packet)
	    while True:
	        if not select.select([fd], [], [], 0.3)[0]:
	            return exchange(packet, tries - 1) if tries else sys.exit("no answer")
	        got = os.read(fd, 2048)
	        six = got[0] >> 4 == 6
	        head, at, size = (40, 8, 16) if six else (20, 12, 4)
	        if got[at:at + size] == destination and got[at + size:at + 2 * size] == source:
	            return got[6 if six else 9], got[at:at + 2 * size], got[head:], got[:head]
	def checked(answer, pseudo=True):
	    protocol, addresses, body, head = answer
	    assert len(head) == 40 or total(head) == 0xffff, "IPv4 header checksum"
	    extra = addresses + struct.pack("!II", len(body), protocol) if pseudo else b""
	    assert total(extra + body) == 0xffff, "checksum of protocol %d" % protocol
	    return body
	syn = struct.pack("!HHIIBBHHH", 40000, 443, 1000, 0, 0x50, 2, 1000, 0, 0)
	reset = struct.unpack("!HHIIBBHHH", checked(exchange(ip(6, syn))))
	assert reset[:6] == (443, 40000, 0, 1001, 0x50, 0x14), reset
	sent = ip(17, struct.pack("!HHHH", 40000, 5001, 8 + 900, 0) + b"x" * 900)
	answer = checked(exchange(sent), len(source) == 16)
	assert tuple(answer[:2]) == ((1, 1) if len(source) == 16 else (3, 13)), answer[:2]
	assert sent.startswith(answer[8:]) and len(answer) > 8 + 48, answer
	print("good")
END

write_config access=tun0
agent_start
session "$(imsi 1)" 10.61.0.1
rule all 100
flow uplink permit
session "$(imsi 1)" 2001:db8:61:1::1
rule all 100
flow uplink permit
activate
redirect "$(imsi 1)" 10.61.0.1 IPv4 "$(host4 2)"
redirect "$(imsi 1)" 2001:db8:61:1::1 IPv6 "$(host6 2)"
expect "IPv4 through a tun" good "$(in_gw python3 "$DIR/tun.py" 10.61.0.1 "$(host4 1)" 2>&1)"
expect "IPv6 through a tun" good "$(in_gw python3 "$DIR/tun.py" 2001:db8:61:1::1 "$(host6 1)" 2>&1)"
ctl detach >/dev/null
finish "$AGENT_PID"

# Ethernet, from senders that leave checksums to the device, and back through one
# that has the kernel complete what is left: in an answer nothing is left
in_gw ethtool -K acc0 tx off >/dev/null
write_config
agent_start
open_session 1
activate
redirect "$(imsi 1)" "$(ue4 1)" IPv4 "$(host4 2)"
redirect "$(imsi 1)" "$(ue6 1)" IPv6 "$(host6 2)"
for family in 4 6; do
	ue=$("ue$family" 1) host=$("host$family" 1)
	seen=$(capture "$SUB" sub0 "dst host $ue and tcp" fetch "$ue" "$(url "$host" 443)")
	expect_text "IPv$family: the reset" 'Flags \[R\.\], cksum 0x[0-9a-f]+ \(correct\), seq 0, ack [0-9]+, win 0, length 0' "$seen"
	seen=$(capture "$SUB" sub0 "dst host $ue and (icmp or icmp6)" in_sub /usr/bin/python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 0))
s.sendto(b"x" * 33, (sys.argv[2], 5001))' "$ue" "$host")
	expect_text "IPv$family: the ICMP error" 'admin prohibited|prohibited' "$seen"
	if grep -qE 'wrong|bad|incorrect' <<<"$(grep -vE '^\s+(10\.60|2001)|\| *$' <<<"$seen" | head -3)"; then fail "IPv$family: $seen"; fi
done
