#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What sluice does, shown with real traffic and checked: three namespaces
# (subscribers - gateway - internet, drawn in selftests/lib/net.sh), the real
# sluiced in the gateway, sessions from deploy/demo-sessions.yaml through its
# gRPC API. Every row of the table compares what the policy says with what the
# neighbours of the gateway sent and received and with what sluice counted;
# any difference is a non-zero exit.
#
# `tools/demo.sh --help` says how to run it.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
	cat <<-END
		Usage: [KEEP=1] [CONTAINER=1] [XDP=1] tools/demo.sh [--clean | --help]

		sluice on real traffic between three network namespaces, checked to the byte.
		\`make demo\` installs and builds what it needs, then runs it. Needs root.

		  KEEP=1        leave it running and say how to look around
		  CONTAINER=1   run the agent through the image (\`make image\`), with three capabilities
		  XDP=1         datapath.mode xdp instead of tc
		  --clean       end a demo that was left running

		Exit codes: 0 all as the policy says, 1 something differs or failed, 2 bad arguments,
		77 this machine cannot (no root, no namespaces, no bpffs).
	END
}
[ $# -le 1 ] || {
	echo "demo: too many arguments; see tools/demo.sh --help" >&2
	exit 2
}
case ${1:-} in
-h | --help)
	usage
	exit 0
	;;
"" | --clean) ;;
*)
	echo "demo: unknown argument \"$1\"; see tools/demo.sh --help" >&2
	exit 2
	;;
esac

PREFIX=sluice-demo
DIR=/tmp/sluice-demo
PINS=/sys/fs/bpf/sluice-demo
UES=4
HOSTS=2
CONTAINER=${CONTAINER:-}
# shellcheck source=selftests/lib/net.sh
. selftests/lib/net.sh
# shellcheck source=selftests/lib/xmpp.sh
. selftests/lib/xmpp.sh
STARTED=$SECONDS
SESSIONS_FILE=deploy/demo-sessions.yaml
OUT_OF_CREDIT=deploy/demo-out-of-credit.yaml
HTTP=127.0.0.1:9464 # in the gateway's namespace
ANNA=$(imsi 1) BEN=$(imsi 2) CARL=$(imsi 3)
ANNA4=$(ue4 1) ANNA6=$(ue6 1) BEN4=$(ue4 2) BEN6=$(ue6 2) CARL4=$(ue4 3) DORA4=$(ue4 4)
WEB4=$(host4 1) WEB6=$(host6 1) BLOCKED4=$(host4 2)

step() { printf '\e[1mdemo %3d s:\e[0m %s\n' $((SECONDS - STARTED)) "$*"; }
[ -t 1 ] || step() { printf 'demo %3d s: %s\n' $((SECONDS - STARTED)) "$*"; }

# Processes that are still in a namespace, once the demo's own have had time to end.
processes_in() { # namespace
	local i pids=""
	for ((i = 0; i < 20; i++)); do
		pids=$(ip netns pids "$1")
		[ -n "$pids" ] || return 0
		sleep 0.1
	done
	echo "$pids"
}
remove_kept() {
	local ns pid pids foreign=0
	kill_recorded "$DIR"
	for ns in "$SUB" "$GW" "$INET"; do
		[ -e "/run/netns/$ns" ] || continue
		pids=$(processes_in "$ns")
		if [ -z "$pids" ]; then
			ip netns delete "$ns"
			continue
		fi
		foreign=1
		for pid in $pids; do
			echo "demo: process $pid is in $ns, and not the demo's:" \
				"$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null || echo "it has just ended")" >&2
		done
	done
	rm -rf "$PINS"
	if [ "$foreign" = 1 ]; then
		echo "demo: end these, then: tools/demo.sh --clean" >&2
		exit 1
	fi
	rm -rf "$DIR"
}
if [ "${1:-}" = --clean ]; then
	remove_kept
	echo "demo: gone"
	exit 0
fi
if [ -d "$DIR" ]; then
	owner=$(cat "$DIR/owner" 2>/dev/null || echo 0)
	if [ -d "/proc/$owner" ]; then
		echo "demo: another one runs (pid $owner)" >&2
		exit 1
	fi
	if [ -e "$DIR/kept" ]; then
		echo "demo: ending the one left running"
	else
		echo "demo: removing what one that was killed left behind"
	fi
	remove_kept
fi

# --- measuring ---------------------------------------------------------------------
#
# A flow is counted three times: where it is sent and where it arrives by
# nftables in the neighbouring namespaces, and by one rule of sluice between.

declare -A m_address m_rule m_direction m_from m_to m_before m_reason m_reason_before m_ids_before
rows=()
bad=0

# begin ID ADDRESS RULE DIRECTION MATCH [REASON]: MATCH is nft's, true at both ends; RULE "-": no session, only drops.
# REASON: everything is to be dropped, and for this reason.
begin() {
	local id=$1
	m_address[$id]=$2 m_rule[$id]=$3 m_direction[$id]=$4 m_reason[$id]=${6:-}
	case $4 in
	uplink) m_from[$id]=$SUB m_to[$id]=$INET ;;
	downlink) m_from[$id]=$INET m_to[$id]=$SUB ;;
	esac
	count_out "${m_from[$id]}" "sent_$id" "$5"
	count_in "${m_to[$id]}" "received_$id" "$5"
	m_before[$id]=$(counted_by_sluice "$id")
	m_ids_before[$id]=$(dropped_by_ids "$4")
	[ -z "${6:-}" ] || m_reason_before[$id]=$(dropped "$6" "$4")
}

counted_by_sluice() {
	local id=$1
	case ${m_rule[$id]}:${m_reason[$id]} in
	-:*) dropped "${m_reason[$id]}" "${m_direction[$id]}" ;;
	*:) used "${m_address[$id]}" "${m_rule[$id]}" "${m_direction[$id]}" ;;
	*) used "${m_address[$id]}" "${m_rule[$id]}" "${m_direction[$id]}_dropped" ;;
	esac
}

# What IDS rules have dropped in a direction: nobody is charged for it.
dropped_by_ids() {
	local limit block
	limit=$(dropped ids-limit "$1")
	block=$(dropped ids-block "$1")
	echo "$((${limit% *} + ${block% *})) $((${limit#* } + ${block#* }))"
}

# end ID SUBSCRIBER TRAFFIC POLICY [shaped|limited NOTE VERDICT]: one row of the table
end() {
	local id=$1 subscriber=$2 traffic=$3 policy=$4 kind=${5:-exact} rate=${6:-} verdict=${7:-ok}
	local sent received counted why="" arrow=up i result
	[ "${m_direction[$id]}" = uplink ] || arrow=down
	for ((i = 0; i < 20; i++)); do # the last packets may still be under way
		# what selftests/tools/send has put on the wire does not pass the neighbour's nftables: it says itself
		sent=$(cat "$DIR/sent_$id" 2>/dev/null || counted "${m_from[$id]}" "sent_$id")
		received=$(counted "${m_to[$id]}" "received_$id")
		counted=$(minus "$(counted_by_sluice "$id")" "${m_before[$id]}")
		result=DIFFERS
		if [ "${sent%% *}" -gt 0 ] && [ "$sent" = "$counted" ]; then
			if [ -n "${m_reason[$id]}" ]; then
				why=${m_reason[$id]}
				[ "$received" = "0 0" ] && [ "$sent" = "$(minus "$(dropped "$why" "${m_direction[$id]}")" \
					"${m_reason_before[$id]}")" ] && result=ok
			elif [ "$kind" = shaped ]; then
				result=ok
				why="" # the verdict let it pass; the queue of the rate had no room for some of it
				[ "$received" = "$sent" ] || why="queue (MBR)"
			else
				[ "$received" = "$sent" ] && result=ok
			fi
		elif [ "$kind" = limited ] && [ "$received" = "$counted" ] && [ "$(minus "$sent" "$received")" = \
			"$(minus "$(dropped_by_ids "${m_direction[$id]}")" "${m_ids_before[$id]}")" ]; then
			result=ok
			why="IDS limit, block"
		fi
		[ "$result" = ok ] && break
		sleep 0.15
	done
	if [ "$verdict" != ok ]; then
		result=DIFFERS
	fi
	[ "$result" = ok ] || bad=$((bad + 1))
	rows+=("$(printf '%-5s %-23s %-4s  %-27s %10s %10s %10s  %-18s %-19s %s' "$subscriber" "$traffic" "$arrow" "$policy" \
		"${sent#* }" "${received#* }" "${counted#* }" "$why" "$rate" "$result")")
}

table() {
	echo
	printf '%-5s %-23s %-4s  %-27s %10s %10s %10s  %-18s %-19s %s\n' WHO TRAFFIC WAY "POLICY SAYS" "SENT" "RECEIVED" "COUNTED" \
		"DROPPED: REASON" "RATE asked/reached" RESULT
	printf '%-5s %-23s %-4s  %-27s %10s %10s %10s\n' "" "" "" "" "IP bytes" "IP bytes" "by sluice"
	printf '%s\n' "${rows[@]}"
	echo
	echo "permitted: sent = received = counted, to the byte (sent, received: beside the gateway; counted: sluice, per rule)"
	echo "dropped:   sent = counted, received 0, with the reason"
	echo "shaped:    sent = counted, the queue discarded the rest after counting, the rate within 2 %"
	echo "limited:   received = counted, sent is more by what the IDS dropped: nobody is charged for that"
	echo
}

expect_success() { # WHAT COMMAND...: what the application saw
	local what=$1
	shift
	"$@" >"$DIR/command.out" 2>&1 || {
		echo "demo: $what failed, though the policy permits it: $(tail -2 "$DIR/command.out")"
		bad=$((bad + 1))
	}
}
expect_failure() {
	local what=$1
	shift
	if "$@" >"$DIR/command.out" 2>&1; then
		echo "demo: $what succeeded, though the policy forbids it"
		bad=$((bad + 1))
	fi
}

rate_note() { awk -v a="$1" -v r="$2" 'BEGIN { printf "%.1f/%.2f Mbit/s", a / 1e6, r / 1e6 }'; }
rate_verdict() { awk -v a="$1" -v r="$2" 'BEGIN { print (r > a * 0.98 && r < a * 1.02) ? "ok" : "off" }'; }

# --- the agent, as a process or in its container -----------------------------------------------

agent_up() {
	if [ -n "$CONTAINER" ]; then
		container_start
	else
		agent_start
		AGENT_MAIN=$AGENT_PID
	fi
}
agent_killed() {
	kill -KILL "$AGENT_MAIN"
	finish "$AGENT_PID"
}

# The capabilities that a process has, by name.
capabilities() { # PID
	local -A names=([12]=CAP_NET_ADMIN [21]=CAP_SYS_ADMIN [24]=CAP_SYS_RESOURCE [38]=CAP_PERFMON [39]=CAP_BPF)
	local mask bit
	mask=$((16#$(awk '/^CapEff:/ { print $2 }' "/proc/$1/status")))
	for ((bit = 0; bit < 63; bit++)); do
		((mask >> bit & 1)) && printf '%s ' "${names[$bit]:-capability-$bit}"
	done
	return 0
}

# Packets that both neighbours have put on their wires.
sent_by_both() {
	{
		ip -n "$SUB" -s -j link show dev sub0
		ip -n "$INET" -s -j link show dev inet0
	} | jq -s 'map(.[0].stats64.tx.packets) | add'
}
microseconds() { echo "${EPOCHREALTIME//[.,]/}"; }

# --- the play -------------------------------------------------------------------------------------

on_keep() {
	touch "$DIR/kept"
	cat <<-END
		demo: left running. To look around, as root:
		  $BUILD/sluicectl --socket $SOCKET status
		    (also: sessions, session $ANNA, rules, usage, drops, redirects, policies, desired, watch --drops,
		    ids rules, ids blocks, ids explain $CARL)
		  $BUILD/sluicectl --socket $SOCKET activate -f $OUT_OF_CREDIT
		    (ben's credit is used up: \`redirects\`, and curl as below with --interface $BEN4;
		    \`deactivate $BEN --ip $BEN4 --rule top-up\` gives him new credit)
		  $BUILD/sluicectl --socket $SOCKET set-rules -f $DIR/set-rules.yaml
		    (ben should have what the base name "extras" stands for: \`desired\`)
		  vi $DIR/policy/extras.yaml
		    (the policy directory, read again when it changes: \`policies\`, \`session $BEN\`)
		  nsenter --net=/run/netns/$GW curl http://$HTTP/metrics
		    (also: /healthz, /readyz)
		  nsenter --net=/run/netns/$SUB ping -I $ANNA4 $WEB4
		  nsenter --net=/run/netns/$SUB curl --interface $ANNA4 http://$WEB4/file -o /dev/null
		  nsenter --net=/run/netns/$SUB iperf3 -c $WEB4 -B $ANNA4 [-R]
		  nsenter --net=/run/netns/$GW tc -s class show dev core0 classid 7ffe:48
		    (a queue of anna's speed test, uplink; ceil is the MBR)
		  bpftool map dump pinned $PINS/maps/endpoints4
		  bpftool map dump pinned $PINS/maps/usage_owners | head -40
		    (an array prints every slot, the empty ones too)
		  jq . $DIR/eve.json
		  less $LOG
		To end it: tools/demo.sh --clean
	END
}

xmpp_here
step "three namespaces: $SUB - $GW - $INET"
net_up
echo $$ >"$DIR/owner"
# so that nftables, which sees what the stack hands over, sees packets as a wire would carry them
no_offload "$SUB" sub0
no_offload "$INET" inet0
mkdir -p "$DIR/www"
head -c 300000 /dev/zero >"$DIR/www/file"
echo "Your credit is used up. Buy some more?" >"$DIR/www/top-up"
spawn in_inet /usr/bin/python3 -m http.server 80 --bind :: --directory "$DIR/www" >/dev/null 2>&1
spawn in_inet iperf3 -s -p 5201 >/dev/null 2>&1
spawn in_inet iperf3 -s -p 5202 >/dev/null 2>&1

step "sluiced in the gateway${CONTAINER:+, in its container}${XDP:+, datapath.mode xdp}"
mkdir -p "$DIR/policy"
cat >"$DIR/policy/extras.yaml" <<-END
	rules:
	  - {id: name-service, precedence: 15, flows: [{protocol: udp, remote_port: 53}]}
	  - {id: pings, precedence: 16, flows: [{protocol: icmp}, {protocol: icmpv6}]}
	base_names: {extras: [name-service, pings]}
END
cat >"$DIR/policy/xmpp.yaml" <<-END
	ids:
	  - name: xmpp-flood
	    match: {direction: uplink, protocol: tcp, remote_port: $XMPP_PORT}
	    track: subscriber
	    count: payload-packets
	    limit: {count: 100, window: 4s, kind: exact}
	    verdict: drop
	    block: {hard: 5s, idle: 30s, extend: true}
	    class: attempted-dos
	END
cat >"$DIR/set-rules.yaml" <<-END
	subscribers:
	  - imsi: $BEN
	    rule_sets:
	      - {apply_subscriber_wide: true, base_names: [extras]}
END
write_config "mode=$([ -n "${XDP:-}" ] && echo xdp || echo tc)" "extra=http: {listen: $HTTP}
policy: {directory: $DIR/policy}
ids: {eve: {file: $DIR/eve.json}}"
sed -i 's/^  level: debug$/  level: info/' "$CONFIG"
agent_up
[ -z "$CONTAINER" ] || echo "  /proc/$AGENT_MAIN/status CapEff: $(capabilities "$AGENT_MAIN")"
step "who is who ($SESSIONS_FILE); a session is one address, so a dual-stack subscriber is two"
cat <<-END
	  anna  IMSI $ANNA   $ANNA4   $ANNA6
	  ben   IMSI $BEN   $BEN4   $BEN6
	  carl  IMSI $CARL   $CARL4
	  dora  no session             $DORA4
END
step "sessions of $SESSIONS_FILE through the gRPC API"
eventually "the pool of queues is built" 20 pool_ready
ctl activate -f "$SESSIONS_FILE" || fail "activation"
for port in 80 5201 5202; do eventually "the server on port $port" 10 listens "$INET" $port; done

step "ping, IPv4 and IPv6"
begin ping4u $ANNA4 ping uplink "ip saddr $ANNA4 icmp type echo-request"
begin ping4d $ANNA4 ping downlink "ip daddr $ANNA4 icmp type echo-reply"
begin ping6u $ANNA6 ping uplink "ip6 saddr $ANNA6 icmpv6 type echo-request"
begin ping6d $ANNA6 ping downlink "ip6 daddr $ANNA6 icmpv6 type echo-reply"
expect_success "anna's ping" in_sub ping -q -c 5 -i 0.2 -I $ANNA4 $WEB4
expect_success "anna's ping over IPv6" in_sub ping -q -c 5 -i 0.2 -I $ANNA6 $WEB6
end ping4u anna "ping" "permit: rule ping"
end ping4d anna "ping" "permit: rule ping"
end ping6u anna "ping, IPv6" "permit: rule ping"
end ping6d anna "ping, IPv6" "permit: rule ping"

step "HTTP by curl, IPv4 and IPv6, permitted and denied"
begin web4u $ANNA4 web uplink "ip saddr $ANNA4 ip daddr $WEB4 tcp dport 80"
begin web4d $ANNA4 web downlink "ip daddr $ANNA4 tcp sport 80"
begin web6u $BEN6 web uplink "ip6 saddr $BEN6 tcp dport 80"
begin web6d $BEN6 web downlink "ip6 daddr $BEN6 tcp sport 80"
begin deny $ANNA4 blocked-host uplink "ip saddr $ANNA4 ip daddr $BLOCKED4" rule-deny
begin nomatch $BEN4 "$DEFAULT_DROP" uplink "ip saddr $BEN4 ip daddr $WEB4 icmp type echo-request" no-rule
begin unknown $DORA4 - uplink "ip saddr $DORA4" unknown-subscriber
expect_success "anna's HTTP" in_sub curl -sS -o /dev/null --max-time 10 --interface $ANNA4 "http://$WEB4/file"
expect_success "ben's HTTP over IPv6" in_sub curl -sS -o /dev/null --max-time 10 --interface $BEN6 "http://[$WEB6]/file"
expect_failure "anna's HTTP to the blocked host" in_sub curl -sS -o /dev/null --max-time 2 --interface $ANNA4 "http://$BLOCKED4/file"
expect_failure "ben's ping" in_sub ping -q -c 3 -i 0.2 -W 1 -I $BEN4 $WEB4
expect_failure "dora's ping" in_sub ping -q -c 3 -i 0.2 -W 1 -I $DORA4 $WEB4
end web4u anna "HTTP, curl" "permit: rule web"
end web4d anna "HTTP, curl" "permit: rule web"
end web6u ben "HTTP, curl, IPv6" "permit: rule web"
end web6d ben "HTTP, curl, IPv6" "permit: rule web"
end deny anna "HTTP to $BLOCKED4" "deny: rule blocked-host"
end nomatch ben "ping" "no rule: default drop"
end unknown dora "ping" "no session: drop"

step "speed test by iperf3: anna's rule says 10 Mbit/s up, 30 Mbit/s down, for IPv4 and IPv6 together"
# shaped WAY RATE [iperf3's option]: IPv4 and IPv6 at once; they are two sessions with one queue
shaped() {
	local way=$1 asked=$2 option=${3:-} letter=${1:0:1} rate4=0 rate6=0 both=0 verdict=off note test4 test6 i
	if [ "$way" = uplink ]; then
		begin s4$letter $ANNA4 speedtest uplink "ip saddr $ANNA4 tcp dport 5201"
		begin s6$letter $ANNA6 speedtest uplink "ip6 saddr $ANNA6 tcp dport 5202"
	else
		begin s4$letter $ANNA4 speedtest downlink "ip daddr $ANNA4 tcp sport 5201"
		begin s6$letter $ANNA6 speedtest downlink "ip6 daddr $ANNA6 tcp sport 5202"
	fi
	# shellcheck disable=SC2086
	spawn in_sub iperf3 -c $WEB4 -p 5201 -B $ANNA4 -t 13 -i 0 $option >"$DIR/iperf4" 2>&1
	test4=$SPAWNED
	# shellcheck disable=SC2086
	spawn in_sub iperf3 -c $WEB6 -p 5202 -B $ANNA6 -t 13 -i 0 $option >"$DIR/iperf6" 2>&1
	test6=$SPAWNED
	sleep 2 # until both have left slow start
	# one of three windows of 3 s: other load on this machine may take a queue's turn away
	for ((i = 0; i < 3; i++)); do
		if [ "$way" = uplink ]; then
			rate_start v4 "$INET" inet0 --from $ANNA4 --port 5201
			rate_start v6 "$INET" inet0 --from $ANNA6 --port 5202
		else
			rate_start v4 "$SUB" sub0 --to $ANNA4 --port 5201
			rate_start v6 "$SUB" sub0 --to $ANNA6 --port 5202
		fi
		rate_done v4
		rate4=$RATE
		rate_done v6
		rate6=$RATE
		both=$(awk -v a="$rate4" -v b="$rate6" 'BEGIN { print a + b }')
		verdict=$(rate_verdict "$asked" "$both")
		[ "$verdict" != ok ] || break
	done
	finish "$test4"
	finish "$test6"
	note=$(rate_note "$asked" "$both")
	end s4$letter anna "iperf3" "permit: rule speedtest" shaped "$note" "$verdict"
	end s6$letter anna "iperf3, IPv6" "permit: rule speedtest" shaped "  (both together)" "$verdict"
}
shaped uplink 10000000
shaped downlink 30000000 -R

step "ben's credit is used up: a redirecting rule (origin GY) from $OUT_OF_CREDIT"
ctl activate -f "$OUT_OF_CREDIT" || fail "activation of the redirect"
begin cut6u $BEN6 top-up uplink "ip6 saddr $BEN6 ip6 daddr $WEB6 tcp dport 443" redirected
captured() { # SOURCE URL: where a web page leads him, and what he reads there
	printf '  curl http://%s: ' "$2"
	expect_success "the redirect of http://$2" in_sub curl -sS --max-time 10 --interface "$1" -o /dev/null \
		-w '%{http_code} to %{redirect_url}\n' "http://$2"
	cat "$DIR/command.out"
	grep -q "^302 to http://$WEB4/top-up\$" "$DIR/command.out" || bad=$((bad + 1))
}
captured $BEN4 "$BLOCKED4/news"
captured $BEN6 "[$WEB6]/news"
printf '  curl --location http://%s: ' "$BLOCKED4/news"
expect_success "the page for topping up" in_sub curl -sS --location --max-time 10 --interface $BEN4 "http://$BLOCKED4/news"
cat "$DIR/command.out"
expect_failure "ben's HTTPS" in_sub curl -sS --max-time 5 --interface $BEN6 "https://[$WEB6]/"
printf '  curl https://[%s]: %s\n' "$WEB6" "$(tail -1 "$DIR/command.out")"
end cut6u ben "HTTPS, no credit, IPv6" "redirect: rule top-up"
begin cut4u $BEN4 top-up uplink "ip saddr $BEN4 ip daddr $BLOCKED4 udp dport 9" redirected
send_up $BEN4 $BLOCKED4 --dport 9 --size 200 --count 3 >"$DIR/sent_cut4u"
end cut4u ben "UDP, no credit" "redirect: rule top-up"
ctl session "$BEN" | sed -n '1,3s/^/  /p'
ctl deactivate "$BEN" --ip $BEN4 --rule top-up >/dev/null && ctl deactivate "$BEN" --ip $BEN6 --rule top-up >/dev/null ||
	fail "new credit"
expect_success "ben's HTTP with new credit" in_sub curl -sS -o /dev/null --max-time 10 --interface $BEN4 "http://$WEB4/file"
echo "  new credit: the rule is taken away, and http://$WEB4/file is his again"

step "XMPP: a real server and real clients; anna and ben chat, carl floods ben with 300 messages in 3 s"
echo "  IDS rule xmpp-flood: 100 packets with payload in 4 s of a subscriber; what is above is dropped, and all of his for 5 s"
alert() { jq -r "select(.sluice.event == \"$1\") | $2" "$DIR/eve.json" 2>/dev/null; }
alerted() { [ -n "$(alert "$1" .timestamp)" ]; }
chatted() { # TO FROM: what of it has come
	tail -1 "$DIR/chat" | jq -r --arg to "$1" --arg from "$2" '"\(.[$to].received[$from].messages // 0) of "
		+ "\(.[$from].sent // 300), \(.[$to].received[$from].out_of_order // 0) out of order, "
		+ "99 % within \(.[$to].received[$from].p99_ms // 0) ms"'
}
xmpp_server anna ben carl
begin chat1 $ANNA4 xmpp uplink "ip saddr $ANNA4 tcp dport $XMPP_PORT"
begin chat2 $BEN4 xmpp uplink "ip saddr $BEN4 tcp dport $XMPP_PORT"
begin flood $CARL4 xmpp uplink "ip saddr $CARL4 tcp dport $XMPP_PORT"
count_payload "$INET" messages "ip saddr $CARL4 tcp dport $XMPP_PORT"
spawn xmpp chat --seconds 12 --every 0.2 anna=$ANNA4 ben=$BEN4 >"$DIR/chat" 2>&1
chat=$SPAWNED
eventually "anna and ben are logged in" 15 grep -q ready "$DIR/chat"
spawn xmpp flood --to ben --rate 100 --count 300 --linger 7 carl=$CARL4 >"$DIR/flood" 2>&1
flood=$SPAWNED
eventually "the alert" 10 alerted block
alert block '"  alert: \(.alert.signature): subscriber \(.sluice.subscriber) at \(.src_ip), \(.alert.action) at packet \(.sluice.observed) of \(.sluice.limit) in \(.sluice.window) s, until \(.sluice.until[11:23])"'
expect_failure "another login of carl while he is blocked" xmpp login --patience 1.5 carl=$CARL4
messages=$(counted "$INET" messages)
echo "  carl logs in again: no way; of his packets with payload ${messages% *} have arrived"
eventually "the release" 7 alerted unblock
alert unblock '"  alert: \(.alert.signature): subscriber \(.sluice.subscriber) is free at \(.timestamp[11:23]), reason: \(.sluice.reason), dropped meanwhile: \(.sluice.hits.packets) packets"'
finish "$chat"
finish "$flood"
echo "  ben's messages from anna: $(chatted ben anna); anna's from ben: $(chatted anna ben)"
echo "  ben's messages from carl: $(chatted ben carl), the rest after his release"
for pair in "ben anna" "anna ben" "ben carl"; do
	# shellcheck disable=SC2086
	[[ $(chatted $pair) =~ ^([1-9][0-9]*)\ of\ ([0-9]+),\ 0\ out ]] && [ "${BASH_REMATCH[1]}" = "${BASH_REMATCH[2]}" ] || bad=$((bad + 1))
done
end chat1 anna "XMPP, chat" "permit: rule xmpp"
end chat2 ben "XMPP, chat" "permit: rule xmpp"
end flood carl "XMPP, flood" "IDS: 100 packets in 4 s" limited "100/${messages% *} packets" \
	"$([ "${messages% *}" = 100 ] && echo ok || echo off)"

step "kill -9 of the agent under traffic, and its next start"
begin kill4u $BEN4 meter uplink "ip saddr $BEN4 udp dport 7000"
begin kill4d $BEN4 meter downlink "ip daddr $BEN4 udp sport 7000"
begin kill6u $BEN6 meter uplink "ip6 saddr $BEN6 udp dport 7000"
begin kill6d $BEN6 meter downlink "ip6 daddr $BEN6 udp sport 7000"
begin killdrop $BEN4 "$DEFAULT_DROP" uplink "ip saddr $BEN4 udp dport 7001" no-rule
# the receivers take it and say nothing, as nobody listens there
for ns in "$SUB" "$INET"; do
	in_ns "$ns" nft 'table inet demo { chain in { type filter hook input priority 0; udp dport { 7000, 7001, 40000 } drop; }; }'
done
senders=()
udp() { # ID send_up|send_down ARGUMENT...
	local id=$1
	shift
	spawn "$@" --size 1000 --count 4500 --rate 900 >"$DIR/sent_$id"
	senders+=("$SPAWNED")
}
udp kill4u send_up $BEN4 $WEB4 --dport 7000
udp kill4d send_down $WEB4 $BEN4 --sport 7000 --dport 40000
udp kill6u send_up $BEN6 $WEB6 --dport 7000
udp kill6d send_down $WEB6 $BEN6 --sport 7000 --dport 40000
udp killdrop send_up $BEN4 $WEB4 --dport 7001
sleep 1.5
agent_killed
dead_since=$(microseconds) dead_packets=$(sent_by_both)
sleep 1.5
alone=$(($(microseconds) - dead_since)) alone_packets=$(($(sent_by_both) - dead_packets))
agent_up
printf '  no agent lived for %d.%02d s; the neighbours sent %d packets meanwhile\n' $((alone / 1000000)) \
	$((alone % 1000000 / 10000)) "$alone_packets"
printf '  the next start: %s\n' "$(grep event=state-adopted "$LOG" | tail -1 | sed 's/^.*event=/event=/')"
for pid in "${senders[@]}"; do finish "$pid"; done
end kill4u ben "UDP across kill -9" "permit: rule meter"
end kill4d ben "UDP across kill -9" "permit: rule meter"
end kill6u ben "UDP across kill -9, v6" "permit: rule meter"
end kill6d ben "UDP across kill -9, v6" "permit: rule meter"
end killdrop ben "UDP to another port" "no rule: default drop"

table
echo "sluicectl status:"
ctl status | sed 's/^/  /'
if [ "$bad" -gt 0 ]; then
	echo "demo: $bad of the results differ from the policy; the agent's log ends:"
	tail -15 "$LOG" | sed 's/^/  /'
else
	echo "demo: ${#rows[@]} flows, all as the policy says, in $((SECONDS - STARTED)) s"
fi
if [ -z "${KEEP:-}" ]; then
	ctl detach >"$DIR/command.out" 2>&1 || {
		echo "demo: detach failed: $(cat "$DIR/command.out")"
		bad=$((bad + 1))
	}
fi
[ "$bad" -eq 0 ]
