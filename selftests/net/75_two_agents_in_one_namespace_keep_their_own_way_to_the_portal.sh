#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two agents in one network namespace, with devices, pins and ports of their own:
# neither touches the other's routing rules and table while it lives, and the one
# that is configured with numbers of the other's does not start and says whose they are.
. "$(dirname "$0")/../lib/net.sh"
. "$ROOT/selftests/lib/redirect.sh"

net_up
in_gw ip link add acc9 type veth peer name sub9
in_gw ip link add core9 type veth peer name inet9
for device in acc9 sub9 core9 inet9; do in_gw ip link set $device up; done

both() { # PRIORITY TABLE: the rules of both families and the routes that are there
	local family count=0 version
	for family in 4 6; do
		count=$((count + $(in_gw ip -$family rule | grep -cE "^($1|$(($1 + 1))|$(($1 + 2))):" || true)))
		version=$(in_gw ip -$family route show table "$2" 2>/dev/null | grep -c "^local default" || true)
		count=$((count + version))
	done
	echo "$count"
}
# second PRIORITY TABLE [PORT]: the other agent's configuration
second() {
	# shellcheck disable=SC2034 # write_config reads them
	local CONFIG=$DIR/second.yaml PINS=$PINS-second API=127.0.0.1:50073 SOCKET=$DIR/second.sock
	write_config access=acc9 core=core9 pool=0 \
		extra="redirect: {portal_port: ${3:-8089}, rule_priority: $1, table: $2}"
}
second_launch() {
	spawn nsenter --net="/run/netns/$GW" -- "$AGENT" --config "$DIR/second.yaml" >>"$DIR/second.log" 2>&1
	SECOND=$SPAWNED
}
second_ready() { "$BUILD/sluicectl" --socket "$DIR/second.sock" status; }
second_stop() {
	kill "-${1:-TERM}" "$SECOND"
	finish "$SECOND"
}
second_refused() { # WHAT: it ends by itself; its last line is in $reason
	local code=0
	: >"$DIR/second.log"
	second_launch
	wait "$SECOND" || code=$?
	expect "$1: exit code" 1 "$code"
	reason=$(grep event=start-failed "$DIR/second.log")
}

write_config extra="redirect: {rule_priority: 814, table: 20814}"
agent_start
open_session 1
activate
redirect "$(imsi 1)" "$(ue4 1)" IPv4 "$(host4 2)"
meets_portal() { expect_text "$1" '^HTTP/1.1 302' "$(fetch "$(ue4 1)" "$(url "$(host4 1)")")"; }
meets_portal "the first agent's portal"
expect "the first one's rules and routes" 8 "$(both 814 20814)"

# numbers that the first one has
for taken in "814 20900 redirect.rule_priority: 814" "816 20900 redirect.rule_priority: 816" \
	"812 20900 redirect.rule_priority: 814" "900 20814 redirect.table: 20814"; do
	read -r priority table field <<<"$taken"
	second "$priority" "$table"
	second_refused "$taken"
	expect_text "$taken" "$field belongs to another agent in this network namespace \(process $AGENT_PID\)" "$reason"
	expect "nothing is touched by $taken" 8 "$(both 814 20814)"
done

# numbers of its own
second 900 20900
second_launch
eventually "the second agent serves" 15 second_ready
expect "its own rules and routes" 8 "$(both 900 20900)"
expect "the first one's are still there" 8 "$(both 814 20814)"
meets_portal "beside the second agent"
sleep 11 # both have looked after their own once more
expect "neither sweeps the other's" "8 8" "$(both 814 20814) $(both 900 20900)"
expect "nor repairs anything" 0 "$(cat "$LOG" "$DIR/second.log" | grep -c 'event=repaired' || true)"

# a start without a portal, another configuration of one's own, a detach: all leave the other's alone
second_stop
second 905 20905
second_launch
eventually "the second agent serves again" 15 second_ready
expect "new numbers; those of before are gone" "8 0" "$(both 905 20905) $(both 900 20900)"
expect "not the other's" 8 "$(both 814 20814)"
second_stop
second 905 20905 0
second_launch
eventually "the second agent serves without a portal" 15 second_ready
expect "no portal" "0 8" "$(both 905 20905) $(both 814 20814)"
second_stop KILL
second 905 20905
second_launch
eventually "the second agent serves with a portal" 15 second_ready
"$BUILD/sluicectl" --socket "$DIR/second.sock" detach >/dev/null
finish "$SECOND"
expect "detached" "0 8" "$(both 905 20905) $(both 814 20814)"
in_gw "$AGENT" --config "$DIR/second.yaml" --detach >/dev/null
expect "detached without an agent" 8 "$(both 814 20814)"
meets_portal "after all that"

# what a dead one has left is nobody's
agent_stop KILL
second 814 20814
second_launch
eventually "a dead agent's numbers are free" 15 second_ready
expect "rules and routes" 8 "$(both 814 20814)"
"$BUILD/sluicectl" --socket "$DIR/second.sock" detach >/dev/null
finish "$SECOND"
write_config extra="redirect: {rule_priority: 814, table: 20814}"
agent_start
meets_portal "the first agent, started again"
ctl detach >/dev/null
finish "$AGENT_PID"
expect "nothing is left" "0 0" "$(both 814 20814) $(both 905 20905)"
