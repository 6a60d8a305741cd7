# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Three namespaces for one test, and a real sluiced in the middle one:
#
#   $SUB (subscribers)            $GW (gateway)                       $INET (internet)
#  +--------------------+        +------------------------------+    +---------------------+
#  | sub0               |        | acc0                   core0 |    | inet0               |
#  | UE n:              |--veth--| 10.60.255.254/16             |    | host n:             |
#  |  10.60.0.(10+n)    |        |  fe80::1                     |    |  198.51.100.(10+n)  |
#  |  2001:db8:60:n::1  |        |          198.51.100.1/24     |veth|  2001:db8:ffff::n   |
#  |  default via the   |        |          2001:db8:ffff::fe/64|----|  default via the    |
#  |  gateway           |        |       forwards, no NAT       |    |  gateway            |
#  +--------------------+        +------------------------------+    +---------------------+
#         access side: uplink enters the agent at acc0, downlink leaves through it
#
# Addresses are fixed, names carry the test's pid, so tests run side by side.
# Neighbours are permanent entries (no packet waits for ARP) unless
# NEIGHBOURS=real. Sysctls are set inside the namespaces alone.
#
# A test is a script that sources this file, calls net_up and agent_start and
# then checks; it fails at the first failed check. Everything it started is
# ended by pid, everything it made is removed on every way out.

# shellcheck disable=SC2034,SC2120 # variables and arguments are the tests' business
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
BUILD=${BUILD:-build}
[[ $BUILD = /* ]] || BUILD=$ROOT/$BUILD

# shellcheck source=selftests/lib/leftovers.sh
. "$ROOT/selftests/lib/leftovers.sh"

PREFIX=${PREFIX:-slt-$$}
SUB=$PREFIX-sub
GW=$PREFIX-gw
INET=$PREFIX-inet
DIR=${DIR:-/tmp/sluice-test-$$}
PINS=${PINS:-/sys/fs/bpf/sluice-test-$$}
SOCKET=$DIR/api.sock
API=127.0.0.1:50063
CONFIG=$DIR/sluiced.yaml
LOG=$DIR/sluiced.log
AGENT=${AGENT:-$BUILD/sluiced}
AGENT_PID=
MORE_NAMESPACES=() # of one test, removed with it; named $PREFIX-...

UES=8   # subscribers with addresses
HOSTS=4 # hosts on the internet
GW_ACCESS_MAC=02:00:00:00:01:02
GW_CORE_MAC=02:00:00:00:02:02

# --- outcomes ------------------------------------------------------------------

skip() {
	echo "SKIP: $*"
	exit 77
}

fail() {
	exec >&2
	echo "FAILED: $*"
	local frame=1
	while [ -n "${BASH_SOURCE[$frame]:-}" ]; do
		echo "  at ${BASH_SOURCE[$frame]}:${BASH_LINENO[$((frame - 1))]}"
		frame=$((frame + 1))
	done
	if [ -s "$LOG" ]; then
		echo "--- the agent's last lines ---"
		grep -v event=grpc- "$LOG" | tail -25
	fi
	exit 1
}

# expect WHAT WANTED GOT
expect() {
	[ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
}

# expect_text WHAT PATTERN TEXT: an extended regular expression somewhere in the text
expect_text() {
	grep -qE -- "$2" <<<"$3" || fail "$1: expected /$2/ in '$3'"
}

# expect_code WHAT CODE COMMAND...; stdout and stderr are left in $DIR/out, $DIR/err
expect_code() {
	local what=$1 wanted=$2 code=0
	shift 2
	"$@" >"$DIR/out" 2>"$DIR/err" || code=$?
	[ "$code" = "$wanted" ] || fail "$what: expected exit $wanted, got $code: $(cat "$DIR/out" "$DIR/err")"
}

# eventually WHAT SECONDS COMMAND...: until the command succeeds
eventually() {
	local what=$1 until=$((SECONDS + $2))
	shift 2
	while ! "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$until" ] || fail "$what: not within the time"
		sleep 0.1
	done
}

# --- processes -------------------------------------------------------------------

# spawn COMMAND...: in the background and in a process group of its own, ended with the test; the pid is in $SPAWNED
spawn() {
	set -m
	"$@" &
	SPAWNED=$!
	set +m
	echo "$SPAWNED $(started_at "$SPAWNED")" >>"$DIR/pids"
}

# listens NAMESPACE PORT: whether somebody listens on that TCP port
listens() { in_ns "$1" ss -Hltn "sport = :$2" | grep -q .; }

# finish PID: waits for a process of ours, whatever its exit code
finish() {
	wait "$1" 2>/dev/null || true
}

on_keep() {
	echo "kept: namespaces $SUB $GW $INET, $DIR, $PINS"
}

cleanup() {
	local code=$? ns
	trap - EXIT INT TERM ERR
	set +e
	if [ -n "${KEEP:-}" ]; then
		on_keep
		exit "$code"
	fi
	{
		kill_recorded "$DIR"
		wait
	} 2>/dev/null
	for ns in "$SUB" "$GW" "$INET" "${MORE_NAMESPACES[@]}"; do
		[ -e "/run/netns/$ns" ] && ip netns delete "$ns"
	done
	rm -rf "$PINS" "$PINS"-*
	rm -rf "$DIR"
	exit "$code"
}

# --- topology ----------------------------------------------------------------------

in_ns() {
	local ns=$1
	shift
	nsenter --net="/run/netns/$ns" -- "$@"
}
in_sub() { in_ns "$SUB" "$@"; }
in_gw() { in_ns "$GW" "$@"; }
in_inet() { in_ns "$INET" "$@"; }

ue4() { echo "10.60.$(((10 + $1) / 256)).$(((10 + $1) % 256))"; }
ue6() { printf '2001:db8:60:%x::1\n' "$1"; }
host4() { echo "198.51.100.$((10 + $1))"; }
host6() { printf '2001:db8:ffff::%x\n' "$1"; }
imsi() { printf '00101%010d\n' "$1"; }

mount_bpffs() {
	mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf || skip "cannot mount bpffs at /sys/fs/bpf"
}

# QUEUES: transmit queues of the gateway's devices
net_up() {
	local ns n queues=${QUEUES:+numtxqueues $QUEUES numrxqueues $QUEUES}
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	mkdir -p "$DIR"
	set -E
	trap 'fail "$BASH_COMMAND: exit code $?"' ERR
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	mount_bpffs
	for ns in "$SUB" "$GW" "$INET"; do
		ip netns add "$ns" || skip "cannot make a network namespace"
		in_ns "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 \
			net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 \
			net.ipv4.conf.all.promote_secondaries=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
		ip -n "$ns" link set lo up
	done
	in_gw sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	ip -n "$GW" link add acc0 address $GW_ACCESS_MAC $queues type veth peer name sub0 address 02:00:00:00:01:01 netns "$SUB"
	ip -n "$GW" link add core0 address $GW_CORE_MAC $queues type veth peer name inet0 address 02:00:00:00:02:01 netns "$INET"
	ip -n "$SUB" link set sub0 up
	ip -n "$INET" link set inet0 up
	ip -n "$GW" link set acc0 up
	ip -n "$GW" link set core0 up

	ip -n "$GW" -batch - <<-END
		address add 10.60.255.254/16 dev acc0
		address add fe80::1/64 dev acc0 nodad
		route add 2001:db8:60::/48 dev acc0
		address add 198.51.100.1/24 dev core0
		address add 2001:db8:ffff::fe/64 dev core0 nodad
	END
	{
		for ((n = 1; n <= UES; n++)); do
			echo "address add $(ue4 "$n")/16 dev sub0"
			echo "address add $(ue6 "$n")/64 dev sub0 nodad"
		done
		echo "route add default via 10.60.255.254"
		echo "route add default via fe80::1 dev sub0"
	} | ip -n "$SUB" -batch -
	{
		for ((n = 1; n <= HOSTS; n++)); do
			echo "address add $(host4 "$n")/24 dev inet0"
			echo "address add $(host6 "$n")/64 dev inet0 nodad"
		done
		echo "route add default via 198.51.100.1"
		echo "route add default via 2001:db8:ffff::fe"
	} | ip -n "$INET" -batch -
	if [ "${NEIGHBOURS:-static}" = static ]; then
		{
			for ((n = 1; n <= UES; n++)); do
				echo "neigh replace $(ue4 "$n") lladdr 02:00:00:00:01:01 dev acc0 nud permanent"
				echo "neigh replace $(ue6 "$n") lladdr 02:00:00:00:01:01 dev acc0 nud permanent"
			done
			for ((n = 1; n <= HOSTS; n++)); do
				echo "neigh replace $(host4 "$n") lladdr 02:00:00:00:02:01 dev core0 nud permanent"
				echo "neigh replace $(host6 "$n") lladdr 02:00:00:00:02:01 dev core0 nud permanent"
			done
		} | ip -n "$GW" -batch -
		ip -n "$SUB" -batch - <<-END
			neigh replace 10.60.255.254 lladdr $GW_ACCESS_MAC dev sub0 nud permanent
			neigh replace fe80::1 lladdr $GW_ACCESS_MAC dev sub0 nud permanent
		END
		ip -n "$INET" -batch - <<-END
			neigh replace 198.51.100.1 lladdr $GW_CORE_MAC dev inet0 nud permanent
			neigh replace 2001:db8:ffff::fe lladdr $GW_CORE_MAC dev inet0 nud permanent
		END
	fi
}

# The neighbours take packets in, are counted (below), and answer none: no port
# unreachable, no reset. For tests that compare every packet.
silence() {
	local ns
	for ns in "$SUB" "$INET"; do
		in_ns "$ns" nft 'table inet silence { chain in { type filter hook input priority 400; policy drop; }; }'
	done
}

# One packet of the stack for each packet of the wire, so that a counter beside
# the stack counts what a wire would carry. TCP hands over super-packets whatever
# ethtool says (it has no other way since Linux 4.17), hence gso_max_segs.
no_offload() { # namespace device
	in_ns "$1" ethtool -K "$2" tso off gso off gro off >/dev/null
	ip -n "$1" link set dev "$2" gso_max_segs 1
}

# --- counting beside the agent -----------------------------------------------------
#
# Named nftables counters in a neighbouring namespace: before conntrack and
# defragmentation on the way in, last on the way out. They count IP bytes.

count_table() { # namespace
	in_ns "$1" nft list table inet count >/dev/null 2>&1 && return
	in_ns "$1" nft -f - <<-END
		table inet count {
			chain in { type filter hook prerouting priority -450; policy accept; }
			chain out { type filter hook postrouting priority 450; policy accept; }
		}
	END
}

# count_in NAMESPACE NAME MATCH: packets that arrive; count_out: packets that leave
count_in() {
	count_table "$1"
	in_ns "$1" nft "add counter inet count $2; add rule inet count in $3 counter name $2"
}
count_out() {
	count_table "$1"
	in_ns "$1" nft "add counter inet count $2; add rule inet count out $3 counter name $2"
}

# counted NAMESPACE NAME -> "PACKETS BYTES"
counted() {
	in_ns "$1" nft -j list counter inet count "$2" |
		jq -r '.nftables[] | select(.counter) | .counter | "\(.packets) \(.bytes)"'
}

# settled NAMESPACE NAME PACKETS: waits until a counter has that many packets (at most 5 s), then prints it
settled() {
	local i
	for ((i = 0; i < 50; i++)); do
		[ "$(counted "$1" "$2" | cut -d' ' -f1)" -ge "$3" ] && break
		sleep 0.1
	done
	counted "$1" "$2"
}

# --- traffic of an exact shape -------------------------------------------------------

# send_up FROM TO [send's options], send_down likewise: prints "PACKETS BYTES"
send_up() {
	local from=$1 to=$2
	shift 2
	in_sub "$BUILD/tools/send" --dev sub0 --mac $GW_ACCESS_MAC --from "$from" --to "$to" "$@"
}
send_down() {
	local from=$1 to=$2
	shift 2
	in_inet "$BUILD/tools/send" --dev inet0 --mac $GW_CORE_MAC --from "$from" --to "$to" "$@"
}

# --- the agent -------------------------------------------------------------------------

# write_config [KEY=VALUE...]: the keys of the local variables below; extra is YAML to append
write_config() {
	local mode=tc unknown=drop startup=serve session_manager="" interval=1s access=acc0 core=core0 extra=""
	local pool=64 trees=8 link_rate=10Gbit default_rate=10Gbit
	local limits="{sessions: 1024, usage: 16384, rules: 2048, flows: 8192, matches: 4096, bindings: 16384}" setting
	for setting in "$@"; do
		case $setting in
		mode=* | unknown=* | startup=* | session_manager=* | interval=* | access=* | core=* | pool=* | trees=* | \
			link_rate=* | default_rate=* | limits=* | extra=*)
			printf -v "${setting%%=*}" '%s' "${setting#*=}"
			;;
		*) fail "write_config: $setting" ;;
		esac
	done
	{
		echo "access:"
		echo "  - interface: $access"
		echo "core:"
		echo "  - interface: $core"
		echo "api:"
		echo "  tcp: $API"
		echo "  socket: $SOCKET"
		if [ -n "$session_manager" ]; then
			echo "session_manager:"
			echo "  address: $session_manager"
			echo "  report_interval: $interval"
		fi
		echo "pin_path: $PINS"
		echo "startup: $startup"
		echo "unknown_subscriber: $unknown"
		echo "datapath:"
		echo "  mode: $mode"
		echo "log:"
		echo "  level: debug"
		echo "qos:"
		echo "  pool: $pool"
		echo "  trees: $trees"
		echo "  link_rate: $link_rate"
		echo "  default_rate: $default_rate"
		echo "limits: $limits"
		[ -z "$extra" ] || printf '%s\n' "$extra"
	} >"$CONFIG"
}

ctl() {
	"$BUILD/sluicectl" --socket "$SOCKET" "$@"
}

agent_launch() {
	[ -s "$CONFIG" ] || write_config
	[ -x "$AGENT" ] && [ -x "$BUILD/sluicectl" ] || fail "no $AGENT or no $BUILD/sluicectl: make"
	spawn nsenter --net="/run/netns/$GW" -- "$AGENT" --config "$CONFIG" >>"$LOG" 2>&1
	AGENT_PID=$SPAWNED
}

agent_ready() {
	local i
	for ((i = 0; i < 150; i++)); do
		ctl status >/dev/null 2>&1 && return
		[ -d "/proc/$AGENT_PID" ] || fail "the agent ended instead of serving"
		sleep 0.1
	done
	fail "the agent does not answer"
}

agent_start() {
	agent_launch
	agent_ready
}

pool_ready() {
	[ "$(ctl -o json status | jq '[.class_pools[], .tree_pools[] | .size - .ready] | add')" = 0 ]
}

# The agent through the image instead; RUNTIME: podman or runc. $AGENT_MAIN is sluiced itself.
container_start() {
	NAME=$PREFIX spawn "$ROOT/tools/image-run.sh" "/run/netns/$GW" "$DIR" --config "$CONFIG" >>"$LOG" 2>&1
	AGENT_PID=$SPAWNED
	agent_ready
	if [ "${RUNTIME:-podman}" = podman ]; then
		AGENT_MAIN=$(podman --log-level=error --root "$BUILD/image/store" --runroot "$BUILD/image/run" \
			inspect -f '{{.State.Pid}}' "$PREFIX")
	else
		AGENT_MAIN=$(runc --root "$BUILD/image/runc" state "$PREFIX" | jq .pid)
	fi
	echo "$AGENT_MAIN $(started_at "$AGENT_MAIN")" >>"$DIR/pids"
}

# agent_stop [SIGNAL]: and waits for its end; the exit code is in $AGENT_CODE
agent_stop() {
	kill "-${1:-TERM}" "$AGENT_PID"
	AGENT_CODE=0
	wait "$AGENT_PID" 2>/dev/null || AGENT_CODE=$?
	AGENT_PID=
}

# --- policy ---------------------------------------------------------------------------
#
#	session "$(imsi 1)" "$(ue4 1)"
#		rule web 10 20Mbit 40Mbit
#			flow uplink permit tcp 198.51.100.11/32 80
#			flow downlink permit tcp 198.51.100.11/32 80
#	activate

SESSIONS=$DIR/sessions.yaml
DEFAULT_DROP=internal_default_drop_flow_rule

# session IMSI ADDRESS
session() {
	local family=ipv4
	[[ $2 != *:* ]] || family=ipv6
	[ -s "$SESSIONS" ] || echo "sessions:" >"$SESSIONS"
	printf '  - imsi: %s\n    %s: %s\n    rules:\n' "$1" $family "$2" >>"$SESSIONS"
}
# rule ID PRECEDENCE [MBR-UPLINK [MBR-DOWNLINK]]
rule() {
	{
		printf '      - id: %s\n        precedence: %s\n' "$1" "$2"
		[ -z "${3:-}" ] || printf '        mbr: {uplink: %s, downlink: %s}\n' "$3" "${4:-$3}"
		printf '        flows:\n'
	} >>"$SESSIONS"
}
# flow DIRECTION ACTION [PROTOCOL [REMOTE [REMOTE-PORT [LOCAL-PORT]]]]; any = not compared
flow() {
	local text="direction: $1, action: $2"
	[ "${3:-any}" = any ] || text+=", protocol: $3"
	[ "${4:-any}" = any ] || text+=", remote: $4"
	[ "${5:-any}" = any ] || text+=", remote_port: $5"
	[ "${6:-any}" = any ] || text+=", local_port: $6"
	echo "          - {$text}" >>"$SESSIONS"
}
activate() {
	ctl activate -f "$SESSIONS" >"$DIR/activate.out" 2>&1 || fail "activate: $(cat "$DIR/activate.out")"
	rm -f "$SESSIONS"
}

# --- what the agent says ------------------------------------------------------------------
# Each prints "PACKETS BYTES", the form in which send, sink and counted answer.

# used ADDRESS RULE DIRECTION [VERSION]; direction: uplink, downlink, uplink_dropped, downlink_dropped
used() {
	ctl -o json usage | jq -r --arg address "$1" --arg rule "$2" --arg direction "$3" --arg version "${4:-}" '
		[.[] | select(.address == $address and .rule_id == $rule and
			($version == "" or .version == ($version | tonumber))) | .usage]
		| "\(map(.[$direction + "_packets"]) | add // 0) \(map(.[$direction + "_bytes"]) | add // 0)"'
}
# dropped REASON DIRECTION, passed KIND DIRECTION
dropped() { packet_count drops "$@"; }
passed() { packet_count passes "$@"; }
packet_count() {
	ctl -o json drops | jq -r --arg list "$1" --arg name "$2" --arg direction "$3" '
		.[$list][] | select(.name == $name) | "\(.[$direction + "_packets"]) \(.[$direction + "_bytes"])"'
}

# minus A B: difference of two "PACKETS BYTES"
minus() {
	local a b c d
	read -r a b <<<"$1"
	read -r c d <<<"$2"
	echo "$((a - c)) $((b - d))"
}

# status FIELD: one of sluicectl's status fields, as jq names it
status() { ctl -o json status | jq -r ".$1"; }

# call METHOD [JSON]: an independent client (python3-grpcio) over TCP
call() {
	in_gw /usr/bin/python3 "$ROOT/selftests/lib/call.py" "$API" "$@"
}

# The fake session manager in the gateway's namespace; options as in session_manager.py
REPORTS=$DIR/reports.jsonl
session_manager_start() {
	: >"$DIR/session_manager.out"
	spawn nsenter --net="/run/netns/$GW" -- /usr/bin/python3 "$ROOT/selftests/lib/session_manager.py" \
		--record "$REPORTS" "$@" >"$DIR/session_manager.out" 2>&1
	SESSION_MANAGER_PID=$SPAWNED
	eventually "the session manager listens" 10 grep -q ready "$DIR/session_manager.out"
}
session_manager_stop() {
	kill -KILL "$SESSION_MANAGER_PID"
	finish "$SESSION_MANAGER_PID"
}

# --- what is not sluice's -------------------------------------------------------------------------

# foreign_filter DEVICE HOOK: a BPF filter of somebody else in clsact, by the name foreign_filter
foreign_filter() {
	foreign_object classifier foreign_filter 0
	in_gw tc filter add dev "$1" "$2" prio 77 protocol ip bpf da obj "$DIR/foreign_filter.o" sec classifier ||
		skip "this tc cannot load BPF"
}
# foreign_object SECTION NAME RETURNS: a program of nobody here, compiled to $DIR/NAME.o
foreign_object() {
	cat >"$DIR/$2.c" <<-END
		__attribute__((section("$1"), used)) int $2(void *context) { return $3; }
		char terms[] __attribute__((section("license"), used)) = "GPL";
	END
	clang -O2 -target bpf -c "$DIR/$2.c" -o "$DIR/$2.o" || skip "no clang for the BPF target"
}

# --- rates --------------------------------------------------------------------------------------

# rate_start NAME NAMESPACE DEVICE [sink's filter]: measures for 3 s; rate_done NAME puts bit/s of IP into $RATE
declare -A RATE_PID
rate_start() {
	local name=$1 ns=$2 device=$3
	shift 3
	spawn in_ns "$ns" "$BUILD/tools/sink" --dev "$device" --window 3000 --timeout 8 "$@" \
		>"$DIR/rate.$name" 2>"$DIR/rate.$name.err"
	RATE_PID[$name]=$SPAWNED
}
rate_done() {
	wait "${RATE_PID[$1]}" || fail "the sink of $1: $(cat "$DIR/rate.$1.err")"
	RATE=$(awk '{ printf "%.0f", $3 ? $2 * 8e9 / $3 : 0 }' "$DIR/rate.$1")
}
# is_within PERCENT WANTED GOT
is_within() { awk -v p="$1" -v w="$2" -v g="$3" 'BEGIN { d = g - w; if (d < 0) d = -d; exit !(d <= w * p / 100) }'; }

# reaches WHAT WANTED NAME NAMESPACE DEVICE FILTER...: within 2 %, in one of four
# windows: other load on this machine can take a queue's turn away, but it cannot
# make a wrong rate right.
reaches() {
	local what=$1 wanted=$2 tries
	shift 2
	for ((tries = 0; tries < 4; tries++)); do
		rate_start "$@"
		rate_done "$1"
		echo "$what: asked $wanted, reached $RATE"
		is_within 2 "$wanted" "$RATE" && return
	done
	fail "$what: expected $wanted within 2 %, got $RATE at last"
}
