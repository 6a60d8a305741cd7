#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# alone: rates are measured on the wire
# Q8: an MBR and an AMBR are changed a thousand times, by turns, under a stream of
# 80 % of the lowest rate: no packet is lost and none waits for long. Then a stream
# above the rate: 50 ms after a change was answered what passes is the new rate. Policed
# and shaped. A run in which this machine kept the sender waiting is done again.
. "$(dirname "$0")/../lib/net.sh"

SIZE=1000 # IP bytes
CHANGES=1000
NEW=(5 10 5 10 5 10 5 10) # Mbit/s

# transit RATE MILLISECONDS MORE...
transit() {
	local rate=$1 milliseconds=$2
	shift 2
	"$BUILD/tools/transit" --from-ns "/run/netns/$SUB" --to-ns "/run/netns/$INET" --from "$(ue4 1)" \
		--to "$(host4 1)" --port 5001 --size $SIZE --rate "$rate" --milliseconds "$milliseconds" "$@"
}
# rates MBR AMBR: the request, in a file of its own
rates() {
	rm -f "$SESSIONS"
	session "$(imsi 1)" "$(ue4 1)"
	sed -i "s/    ipv4: .*/&\n    ambr: {uplink: $2Mbit, downlink: $2Mbit}/" "$SESSIONS"
	rule stream 10 "$1Mbit"
	flow uplink permit udp any 5001
	mv "$SESSIONS" "$DIR/rates-$1-$2.yaml"
}
change() { # MBR AMBR
	ctl activate -f "$DIR/rates-$1-$2.yaml" >"$DIR/activate.out" 2>&1 || fail "$(cat "$DIR/activate.out")"
}
# one change a step
changes() { # HOW-MANY
	local n
	for ((n = 0; n < $1; n++)); do
		case $((n % 4)) in
		0) change 10 20 ;;
		1) change 20 20 ;;
		2) change 20 10 ;;
		3) change 10 10 ;;
		esac
	done
}
is() { jq -e "$1" <<<"$answer" >/dev/null; }

# steady BACKEND: nothing lost, no gap
steady() {
	local answer began took tries stream outlasted=
	began=${EPOCHREALTIME/./}
	changes 40
	took=$(((${EPOCHREALTIME/./} - began) * CHANGES / 40 / 1000))
	for ((tries = 0; tries < 4; tries++)); do
		transit 1000 $((took * 3 / 2 + 2000)) >"$DIR/answer" &
		stream=$!
		sleep 0.3
		began=${EPOCHREALTIME/./}
		changes $CHANGES
		took=$(((${EPOCHREALTIME/./} - began) / 1000))
		outlasted=
		[ ! -d "/proc/$stream" ] || outlasted=1
		wait $stream
		answer=$(cat "$DIR/answer")
		echo "$1: $CHANGES changes: $answer"
		is '.late_ms < 15' || continue
		[ -z "$outlasted" ] || break
		# the machine has become slower since: what it saw counts, but it has not seen all
		is '.lost == 0 and .gap_ms <= 50' || break
		echo "$1: the changes have taken longer than the stream"
	done
	[ -n "$outlasted" ] || is '.lost > 0 or .gap_ms > 50' || fail "$1: no stream has outlasted the changes"
	is '.lost == 0' || fail "$1: packets are lost: $answer"
	is '.gap_ms <= 50' || fail "$1: a gap: $answer"
}
# in_force BACKEND
in_force() {
	local tries stream new at good
	for ((tries = 0; tries < 4; tries++)); do
		change 10 20
		transit 1625 $((${#NEW[@]} * 800 + 1500)) --log "$DIR/log" >"$DIR/answer" &
		stream=$!
		sleep 0.8
		: >"$DIR/changes"
		for new in "${NEW[@]}"; do
			change "$new" 20
			echo "${EPOCHREALTIME/./}000 $new" >>"$DIR/changes"
			sleep 0.75
		done
		wait $stream
		good=0
		while read -r at new; do
			awk -v from=$((at + 50000000)) -v to=$((at + 550000000)) -v size=$SIZE -v due=$((new * 1000000 / 16)) -v new="$new" '
				$1 >= from && $1 < to { got += $2 }
				END { off = got - due; if (off < 0) off = -off
					printf "  %d Mbit/s: %d bytes in half a second, due %d\n", new, got, due
					exit !(off <= due / 100 + size) }' "$DIR/log" && good=$((good + 1))
		done <"$DIR/changes"
		echo "$1: $good of ${#NEW[@]} changes are in force after 50 ms"
		[ $good -eq ${#NEW[@]} ] && return
	done
	fail "$1: a change is not in force 50 ms after its answer"
}

net_up
for rate in "10 20" "20 20" "20 10" "10 10" "5 20"; do
	# shellcheck disable=SC2086 # two rates
	rates $rate
done
for backend in police shape; do
	write_config
	sed -i "s/^qos:/&\n  backend: $backend/" "$CONFIG"
	agent_start
	eventually "the pool is built" 10 pool_ready
	change 10 20
	expect "how it is kept" "${backend}d" \
		"$(ctl -o json session "$(imsi 1)" | jq -r '.[0].rules[] | select(.rule_id == "stream" or .id == "stream") | .uplink_rate | ascii_downcase')"
	steady $backend
	in_force $backend
	agent_stop
	in_gw "$AGENT" --config "$CONFIG" --detach
done
