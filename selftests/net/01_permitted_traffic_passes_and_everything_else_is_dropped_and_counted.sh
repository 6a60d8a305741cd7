#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Both directions, both families, in the mode given by the first argument (tc):
# permitted packets arrive, denied ones and those without a rule do not, and every
# count is equal to what was sent.
. "$(dirname "$0")/../lib/net.sh"

net_up
silence
write_config "mode=${1:-tc}"
agent_start

remote4=$(host4 1) other4=$(host4 2) remote6=$(host6 1) other6=$(host6 2)
for n in 1 2; do # two sessions with the same rules must not mix
	for family in 4 6; do
		session "$(imsi $n)" "$("ue$family" $n)"
		if [ $family = 4 ]; then remote=$remote4/32 other=$other4/32; else remote=$remote6/128 other=$other6/128; fi
		rule web 10
		flow uplink permit tcp "$remote" 80
		flow downlink permit tcp "$remote" 80
		rule meter 20
		flow uplink permit udp "$remote" 5001
		flow downlink permit udp "$remote" any 40000
		rule blocked 5
		flow uplink deny udp "$other"
		flow downlink deny udp "$other"
	done
done
activate

# Sends and compares: what was sent, what arrived, what was counted.
number=0
exchange() { # permit|rule-deny|no-rule, uplink|downlink, family, rule, count, size, [send's options]
	local fate=$1 direction=$2 family=$3 rule=$4 count=$5 size=$6 to ue sent match what
	shift 6
	number=$((number + 1))
	ue=$("ue$family" 1)
	what="$rule $direction IPv$family"
	to=$("host$family" 1)
	[ "$rule" != blocked ] || to=$("host$family" 2)
	match="ip"
	[ "$family" = 4 ] || match="ip6"
	before_used=$(used "$ue" "$rule" "$direction")
	before_lost=$(used "$ue" "$rule" "${direction}_dropped")
	case $direction in
	uplink)
		count_in "$INET" "c$number" "$match saddr $ue $match daddr $to"
		sent=$(send_up "$ue" "$to" --count "$count" --size "$size" "$@")
		ns=$INET
		;;
	downlink)
		count_in "$SUB" "c$number" "$match saddr $to $match daddr $ue"
		sent=$(send_down "$to" "$ue" --count "$count" --size "$size" "$@")
		ns=$SUB
		;;
	esac
	expect "$what: sent" "$count $((count * size))" "$sent"
	if [ "$fate" = permit ]; then
		expect "$what: received" "$sent" "$(settled "$ns" "c$number" "$count")"
		expect "$what: counted" "$sent" "$(minus "$(used "$ue" "$rule" "$direction")" "$before_used")"
		expect "$what: counted as dropped" "$before_lost" "$(used "$ue" "$rule" "${direction}_dropped")"
	else
		sleep 0.1
		expect "$what: received" "0 0" "$(counted "$ns" "c$number")"
		expect "$what: counted as dropped" "$sent" "$(minus "$(used "$ue" "$rule" "${direction}_dropped")" "$before_lost")"
		expect "$what: counted as passed" "$before_used" "$(used "$ue" "$rule" "$direction")"
	fi
}

for family in 4 6; do
	exchange permit uplink $family meter 300 1000 --dport 5001
	exchange permit downlink $family meter 200 1400 --sport 9 --dport 40000
	exchange permit uplink $family web 50 60 --proto tcp --dport 80
	exchange permit downlink $family web 40 60 --proto tcp --sport 80 --dport 1025
	exchange rule-deny uplink $family blocked 30 500 --dport 5001
	exchange rule-deny downlink $family blocked 20 500 --dport 40000
	exchange no-rule uplink $family $DEFAULT_DROP 10 200 --dport 5002
	exchange no-rule downlink $family $DEFAULT_DROP 15 200 --sport 9 --dport 40001
	exchange no-rule uplink $family $DEFAULT_DROP 5 100 --proto 132
done
expect "rule-deny uplink" "60 30000" "$(dropped rule-deny uplink)"
expect "rule-deny downlink" "40 20000" "$(dropped rule-deny downlink)"
expect "no-rule uplink" "30 5000" "$(dropped no-rule uplink)"
expect "no-rule downlink" "30 6000" "$(dropped no-rule downlink)"

# addresses without a session
count_in "$INET" stranger "ip saddr $(ue4 3)"
count_in "$SUB" stranger "ip6 daddr $(ue6 3)"
sent=$(send_up "$(ue4 3)" "$remote4" --count 25 --size 100 --dport 5001)
expect "unknown subscriber uplink" "$sent" "$(dropped unknown-subscriber uplink)"
sent=$(send_down "$remote6" "$(ue6 3)" --count 35 --size 100)
expect "unknown subscriber downlink" "$sent" "$(dropped unknown-subscriber downlink)"
expect "unknown subscriber arrives nowhere" "0 0/0 0" "$(counted "$INET" stranger)/$(counted "$SUB" stranger)"

for direction in uplink downlink uplink_dropped downlink_dropped; do
	for rule in web meter blocked $DEFAULT_DROP; do
		expect "the other subscriber's $rule $direction" "0 0" "$(used "$(ue4 2)" $rule $direction)"
	done
done

# a session that ends is unknown from then on, at once
ctl deactivate "$(imsi 1)" --ip "$(ue4 1)" --end-session >/dev/null
before=$(dropped unknown-subscriber uplink)
sent=$(send_up "$(ue4 1)" "$remote4" --count 10 --size 100 --dport 5001)
expect "after the end of the session" "$sent" "$(minus "$(dropped unknown-subscriber uplink)" "$before")"
