#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Verdict notify: those who watch the agent's events hear of it among them; alerts of other rules go to those
# who watch alerts. Nothing is dropped for either.
. "$(dirname "$0")/../lib/net.sh"

events() { jq -c "select(.event == \"ids-notify\") | $1" "$DIR/watch"; }
notified() { [ -n "$(events .)" ]; }
watching() { # until the agent has the watcher
	ctl activate -f "$DIR/session.yaml" >/dev/null
	grep -q session- "$DIR/watch"
}
told() { [ "$(jq -r .sluice.rule "$DIR/eve.json" | sort -u | tr '\n' ' ')" = "loud quiet " ]; }

net_up
silence
mkdir "$DIR/policy"
cat >"$DIR/policy/ids.yaml" <<-END
	ids:
	  - {name: quiet, match: {direction: uplink}, track: subscriber, limit: {count: 3, window: 60s}}
	  - {name: loud, match: {direction: uplink}, track: subscriber, limit: {count: 5, window: 60s}, verdict: notify, severity: 1}
END
cat >"$DIR/session.yaml" <<-END
	sessions:
	  - imsi: "$(imsi 1)"
	    ipv4: $(ue4 1)
	    rules: [{id: all, version: 1, precedence: 10, flows: [{direction: uplink}]}]
END
write_config extra="policy: {directory: $DIR/policy}
ids: {eve: {file: $DIR/eve.json}}"
agent_start
spawn ctl -o json watch >"$DIR/watch" 2>"$DIR/watch.err"
eventually "the watcher is there" 10 watching
count_in "$INET" arrived "ip saddr $(ue4 1)"
send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 10 --rate 200 >/dev/null
eventually "the event" 5 notified
eventually "both alerts" 5 told
expect "who and what" "[\"loud\",\"$(imsi 1)\",6,5,1,\"allowed\"]" "$(events '[.rule, .imsi, .observed, .limit, .severity, .action]')"
expect "what arrived" 10 "$(counted "$INET" arrived | cut -d' ' -f1)"
