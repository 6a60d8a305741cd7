#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# In a container with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON alone the portal
# answers in the name of any server, and its routes are made and removed.
. "$(dirname "$0")/../lib/net.sh"
. "$ROOT/selftests/lib/redirect.sh"

for tool in runc mmdebstrap; do
	command -v $tool >/dev/null || skip "no $tool (tools/deps.sh image)"
done
net_up
"$ROOT/tools/image.sh" >"$DIR/image.out" 2>&1 || {
	grep -qE "Could not resolve|Failed to fetch|Unable to connect|no apt source" "$DIR/image.out" &&
		skip "the packages for the image cannot be fetched: $(tail -1 "$DIR/image.out")"
	fail "image.sh: $(tail -5 "$DIR/image.out")"
}
works=
for RUNTIME in podman runc; do
	export RUNTIME
	command -v $RUNTIME >/dev/null || continue
	if NAME=$PREFIX-probe "$ROOT/tools/image-run.sh" "/run/netns/$GW" "$DIR" --version >"$DIR/probe.out" 2>&1; then
		works=$RUNTIME
		break
	fi
done
[ -n "$works" ] || skip "neither podman nor runc works here: $(tail -1 "$DIR/probe.out")"

write_config
container_start
for family in 4 6; do
	session "$(imsi 1)" "$("ue$family" 1)"
	echo "      - {id: top-up, precedence: 10, redirect: {ipv$family: \"$("host$family" 2)\"}}" >>"$SESSIONS"
done
activate
for family in 4 6; do
	answer=$(fetch "$("ue$family" 1)" "$(url "$("host$family" 1)")")
	expect_text "IPv$family" '^HTTP/1.1 302 ' "$answer"
	expect "IPv$family: where to" "$(url "$("host$family" 2)")" "$(sed -n 's/^Location: //p' <<<"$answer")"
	expect "IPv$family: TLS" "curl: 7" "$(fetch "$("ue$family" 1)" "$(url "$("host$family" 1)" 443)")"
done
expect_code "detach" 0 ctl detach
finish "$AGENT_PID"
expect "nothing is left" "0 0" "$(in_gw ip rule | grep -c 0xfffe || true) $(in_gw ip -6 rule | grep -c 0xfffe || true)"
