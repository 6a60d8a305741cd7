#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every file of selftests/cases against the real agent: its gRPC API through an
# independent client, real packets through the gateway, a session manager that
# acknowledges when the case says so; in tc mode and in XDP mode side by side,
# each in namespaces of its own. One line a case.
#
#   19_....sh [tc|xdp [FILE or FOLDER of cases]...]
set -euo pipefail

both_modes() {
	local out mode code=0
	out=$(mktemp -d -t sluice-cases.XXXXXX)
	# shellcheck disable=SC2064
	trap "rm -rf '$out'" EXIT
	bash "$1" xdp >"$out/xdp" 2>&1 &
	bash "$1" tc >"$out/tc" 2>&1 || code=$?
	wait $! || code=$?
	for mode in tc xdp; do
		sed '/^[0-9]* passed, /d' "$out/$mode"
	done
	awk '
		/^[0-9]+ passed, [0-9]+ failed, / { ok += $1; bad += $3; skip += $5; both++ }
		END { if (both == 2) print ok " passed, " bad " failed, " skip " skipped" }' "$out/tc" "$out/xdp"
	exit "$code"
}
[ $# -gt 0 ] || both_modes "$0"

# shellcheck source=selftests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
mode=$1
shift
[ $# -gt 0 ] || set -- "$ROOT/selftests/cases"

[ -x "$AGENT" ] || fail "no $AGENT: make"
net_up
silence
# Whatever the addresses of a case: in at one side, out to one neighbour of the
# other; what the gateway itself says, to the subscribers. After the agent's own
# rule for redirected packets.
for family in 4 6; do
	ue=ue$family host=host$family
	ip -$family -n "$GW" -batch - <<-END
		rule add iif acc0 lookup 1001 pref 20001
		rule add iif core0 lookup 1002 pref 20002
		route add default via $($host 1) dev core0 table 1001
		route add default via $($ue 1) dev acc0 table 1002
		route add default via $($ue 1) dev acc0
	END
done
# R01's server
printf 'portal.example A 60 %s\n' 185.128.101.5 185.128.121.4 >"$DIR/records"
echo 'portal.example AAAA 60 2001:db8:101::5' >>"$DIR/records"
spawn nsenter --net="/run/netns/$GW" -- /usr/bin/python3 "$ROOT/selftests/lib/dns_server.py" 127.0.0.1 53 \
	"$DIR/records" >"$DIR/dns.out"
eventually "the name server" 5 grep -q ready "$DIR/dns.out"

config() { # startup
	write_config mode="$mode" pool=16 startup="$1" session_manager=127.0.0.1:50065 interval=100ms \
		extra="redirect: {nameservers: [127.0.0.1]}"
	mv "$CONFIG" "$DIR/$1.yaml"
}
config serve
config wait-for-setup
: >"$LOG"
session_manager_start --refuse
code=0
/usr/bin/python3 "$ROOT/selftests/lib/cases_net.py" --mode "$mode" --agent "$AGENT" --serve "$DIR/serve.yaml" \
	--wait-for-setup "$DIR/wait-for-setup.yaml" --api "$API" --log "$LOG" --pids "$DIR/pids" --reports "$REPORTS" \
	--session-manager "$SESSION_MANAGER_PID" --gateway "$GW" --access "$SUB,sub0,$GW_ACCESS_MAC" \
	--core "$INET,inet0,$GW_CORE_MAC" "$@" || code=$?
exit "$code"
