#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# File, line and the allowed values; nothing is touched.
. "$(dirname "$0")/../lib/net.sh"

net_up
write_config
expect_code "a good configuration" 0 in_gw "$AGENT" --check --config "$CONFIG"
cp "$CONFIG" "$DIR/good.yaml"

bad() { # WHAT PATTERN SED-EXPRESSION
	sed -E "$3" "$DIR/good.yaml" >"$CONFIG"
	! cmp -s "$DIR/good.yaml" "$CONFIG" || fail "$1: the file is not changed"
	local run
	for run in "--check" ""; do
		# shellcheck disable=SC2086
		expect_code "$1 $run" 2 timeout 20 nsenter --net="/run/netns/$GW" -- "$AGENT" $run --config "$CONFIG"
		expect "$1 $run: one line" 1 "$(cat "$DIR/out" "$DIR/err" | wc -l)"
		expect_text "$1 $run: where" "${CONFIG##*/}:[0-9]+:" "$(cat "$DIR/out" "$DIR/err")"
		expect_text "$1 $run" "$2" "$(cat "$DIR/out" "$DIR/err")"
	done
}
bad "an unknown key" 'acces.*allowed' 's/^access:/acces:/'
bad "an unknown key below" 'levle.*allowed' 's/^  level:/  levle:/'
bad "a bad choice" 'maybe.*drop.*pass' 's/^unknown_subscriber: .*/unknown_subscriber: maybe/'
bad "a bad mode" 'fast.*(auto|tc|xdp)' 's/^  mode: .*/  mode: fast/'
bad "a bad rate" '10 apples' 's/^  link_rate: .*/  link_rate: 10 apples/'
bad "a number that looks octal" '010' 's/^  pool: .*/  pool: 010/'
bad "a number out of range" '99999' 's/^  pool: .*/  pool: 99999/'
bad "an interface twice" 'acc0' 's/core0/acc0/'
bad "a bad address" '127.0.0.1:99999' 's/^  tcp: .*/  tcp: 127.0.0.1:99999/'
bad "a pin path elsewhere" '/tmp/pins' 's|^pin_path: .*|pin_path: /tmp/pins|'
bad "a key twice" 'pin_path|startup' 's|^startup: .*|pin_path: /sys/fs/bpf/other|'
# the interfaces may be there only when the agent starts: the file alone is checked
sed 's/acc0/acc77/' "$DIR/good.yaml" >"$CONFIG"
expect_code "a missing interface, checked" 0 in_gw "$AGENT" --check --config "$CONFIG"
expect_text "says what was not checked" 'is good; its interfaces were not looked for' "$(cat "$DIR/out")"
expect_code "a missing interface, at the start" 2 in_gw "$AGENT" --config "$CONFIG"
expect_text "names it, and those that there are" \
	"${CONFIG##*/}:[0-9]+: access\\[0\\].interface: there is no interface \"acc77\" here; allowed: .*acc0.*core0" "$(cat "$DIR/err")"
sed "\$apolicy: {directory: $DIR/nowhere}" "$DIR/good.yaml" >"$CONFIG"
expect_code "a missing policy directory, checked" 2 in_gw "$AGENT" --check --config "$CONFIG"
expect_text "names the key and the value" "policy.directory: $DIR/nowhere: No such file or directory" "$(cat "$DIR/out" "$DIR/err")"
expect_code "no file" 2 in_gw "$AGENT" --config "$DIR/nothing.yaml"
expect_text "no file" nothing.yaml "$(cat "$DIR/out" "$DIR/err")"
expect_code "an unknown option" 2 in_gw "$AGENT" --nonsense
expect_code "the version" 0 "$AGENT" --version
expect_text "the version" '[0-9]+\.[0-9]+\.[0-9]+' "$(cat "$DIR/out")"
[ ! -e "$PINS" ] || fail "a refused configuration left pins"
expect "qdiscs" "" "$(in_gw tc qdisc show | grep -v noqueue || true)"

# sluicectl's exit codes
expect_code "no agent" 3 ctl status
expect_code "an unknown command" 2 ctl frobnicate
expect_code "no address" 2 ctl deactivate "$(imsi 1)"
expect_text "no address" '--ip is missing' "$(cat "$DIR/err")"
echo "sessions: [{imsi: x}]" >"$DIR/bad.yaml"
expect_code "a bad file of sessions" 2 ctl activate -f "$DIR/bad.yaml"
