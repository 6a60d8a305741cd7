#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The access device may be a tun, as GTP agents make them: packets begin with IP.
. "$(dirname "$0")/../lib/net.sh"

[ -c /dev/net/tun ] || skip "no /dev/net/tun"
net_up
silence
ip -n "$GW" tuntap add dev tun0 mode tun || skip "no tun devices in this kernel"
ip -n "$GW" link set tun0 up
ip -n "$GW" route add 10.61.0.0/16 dev tun0
ip -n "$GW" route add 2001:db8:61::/48 dev tun0
ip -n "$GW" -6 route get 2001:db8:61:1::1 >/dev/null
ue_v4=10.61.0.1 ue_v6=2001:db8:61:1::1
write_config access=tun0
agent_start
for ue in $ue_v4 $ue_v6; do
	session "$(imsi 1)" $ue
	rule meter 10
	flow uplink permit udp any 5001
	flow downlink permit udp any any 5001
done
activate

for family in 4 6; do
	match=ip
	[ $family = 4 ] || match=ip6
	eval "ue=\$ue_v$family"
	host=$("host$family" 1)
	count_in "$INET" up$family "$match saddr $ue"
	sent=$(in_gw "$BUILD/tools/send" --dev tun0 --tun --from "$ue" --to "$host" --dport 5001 --count 90 --size 400)
	expect "uplink IPv$family received" "$sent" "$(settled "$INET" up$family 90)"
	expect "uplink IPv$family counted" "$sent" "$(used "$ue" meter uplink)"
	sent=$(in_gw "$BUILD/tools/send" --dev tun0 --tun --from "$ue" --to "$host" --dport 9 --count 9 --size 400)
	expect "uplink IPv$family dropped" "$sent" "$(used "$ue" $DEFAULT_DROP uplink_dropped)"

	spawn in_gw "$BUILD/tools/sink" --dev tun0 --tun --to "$ue" --count 60 --timeout 5 >"$DIR/sink" 2>"$DIR/sink.err"
	sink=$SPAWNED
	eventually "the sink listens" 5 grep -q ready "$DIR/sink.err"
	sent=$(send_down "$host" "$ue" --dport 5001 --count 60 --size 1400)
	wait "$sink" || fail "sink: $(cat "$DIR/sink.err")"
	expect "downlink IPv$family received" "$sent" "$(cat "$DIR/sink")"
	expect "downlink IPv$family counted" "$sent" "$(used "$ue" meter downlink)"
	sent=$(send_down "$host" "$ue" --dport 9 --count 8)
	expect "downlink IPv$family dropped" "$sent" "$(used "$ue" $DEFAULT_DROP downlink_dropped)"
done
