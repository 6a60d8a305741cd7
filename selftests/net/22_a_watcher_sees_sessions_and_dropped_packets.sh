#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `sluicectl watch --drops`: who came, who went, and each dropped packet with its
# reason; and the socket it comes over belongs to its owner alone.
. "$(dirname "$0")/../lib/net.sh"

net_up
silence
agent_start
expect "the socket's mode" 600 "$(stat -c %a "$SOCKET")"
spawn ctl -o json watch --drops >"$DIR/watch" 2>"$DIR/watch.err"
watching() { # until the agent has the watcher: packets of nobody show up
	send_up "$(ue4 8)" "$(host4 1)" --dport 1 >/dev/null
	grep -q "$(ue4 8)" "$DIR/watch"
}
eventually "the watcher is there" 10 watching

session "$(imsi 1)" "$(ue4 1)"
rule blocked 10
flow uplink deny udp any 5001
activate
send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 2 --size 300 >/dev/null
send_down "$(host4 1)" "$(ue4 1)" --sport 53 --dport 5002 --count 1 --size 200 >/dev/null
send_up "$(ue6 3)" "$(host6 1)" --dport 7 >/dev/null
expect_code "a rule that the session does not have" 1 ctl deactivate "$(imsi 1)" --ip "$(ue4 1)" --rule blocked --rule nope
expect_text "a rule that the session does not have" 'no rule nope in this session' "$(cat "$DIR/err")"
ctl deactivate "$(imsi 1)" --ip "$(ue4 1)" --end-session >/dev/null

events() { jq -c "select(.source != \"$(ue4 8)\") | $1" "$DIR/watch"; }
ended() { events .event | grep -q session-ended; }
eventually "the end of the session" 10 ended
expect "the order of events" 'session-activated packet-dropped packet-dropped packet-dropped packet-dropped session-ended' \
	"$(events .event | tr -d '"' | tr '\n' ' ' | sed 's/ $//')"
expect "the session" "[\"$(imsi 1)\",\"$(ue4 1)\",1]" "$(events 'select(.event == "session-activated") | [.imsi, .address, .rules]')"
expect "a denied packet" "[\"rule-deny\",\"uplink\",\"$(imsi 1)\",\"blocked\",\"udp\",\"$(ue4 1)\",\"$(host4 1)\",\"5001\",300]" \
	"$(events 'select(.rule_id == "blocked") | [.reason, .direction, .imsi, .rule_id, .protocol, .source, .destination, .destination_port, .bytes]' | uniq)"
expect "a packet without a rule" "[\"downlink\",\"$(host4 1)\",\"53\",\"5002\",200]" \
	"$(events 'select(.reason == "no-rule") | [.direction, .source, .source_port, .destination_port, .bytes]')"
expect "a stranger's packet" "[\"\",\"$(ue6 3)\",\"$(host6 1)\"]" \
	"$(events 'select(.reason == "unknown-subscriber") | [.imsi, .source, .destination]')"
