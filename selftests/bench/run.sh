#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the benches one after the other and gathers their rows:
#
#   BUILD=build QUICK=1 selftests/bench/run.sh    -> build/bench.json and tables on standard output
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
bin=$build/bench

if [ "$(id -u)" -ne 0 ]; then
	echo "bench: needs root (BPF programs, network namespaces)" >&2
	exit 1
fi

rounds=5 packets=1000000 calls=20000
if [ "${QUICK:-}" = 1 ]; then
	rounds=3 packets=300000 calls=5000
fi

# Namespaces end with the bench; pins do not, if it dies.
child=
cleanup() {
	if [ -n "$child" ]; then
		kill "$child" 2>/dev/null || true
		wait "$child" 2>/dev/null || true
		rm -rf /sys/fs/bpf/sluice-bench-"$child" /sys/fs/bpf/sluice-bench-"$child"-*
	fi
}
trap cleanup EXIT

bench() {
	"$@" &
	child=$!
	wait "$child"
	child=
	echo
}

echo "# $(date -u +%FT%TZ)  kernel $(uname -r)  $(nproc) CPUs  load $(cut -d' ' -f1 /proc/loadavg)"
echo
rm -f "$bin"/*.rows
bench "$bin/packet_path" --rounds $rounds --packets $packets --rows "$bin/path-shared.rows"
bench "$bin/packet_path" --rounds $rounds --packets $packets --modes tc,xdp --own-rule-sets \
	--rows "$bin/path-own.rows"
bench "$bin/activations" --agent "$build/sluiced" --rounds $rounds --calls $calls --rows "$bin/activations.rows"
bench "$bin/latency" --agent "$build/sluiced" --calls $((calls / 2)) --rows "$bin/latency.rows"
bench "$bin/counters" "$bin/counters.rows"
bench "$bin/classify" "$bin/classify.rows"
bench "$bin/meter" "$bin/meter.rows"
bench "$bin/ids" "$bin/ids.rows"
bench "$bin/restart" "$bin/restart.rows"
bench "$bin/teardown" "$bin/teardown.rows"
bench "$bin/queues" "$bin/queues.rows"
bench "$bin/sessions" "$bin/sessions.rows"
bench "$bin/idle" "$bin/idle.rows" "$build/sluiced"
bench selftests/bench/tcp.sh "$bin/tcp.rows"

jq -s --arg date "$(date -u +%F)" --arg kernel "$(uname -r)" \
	--arg cpu "$(awk -F': ' '/^model name/ { name = $2 } /^cpu family/ { family = $2 } /^model\t/ { model = $2 }
		END { print name ", family " family ", model " model }' /proc/cpuinfo)" \
	--arg command "make bench${QUICK:+ QUICK=$QUICK}" \
	'map(. + {date: $date, kernel: $kernel, cpu: $cpu, command: $command})' \
	"$bin"/path-shared.rows "$bin"/path-own.rows "$bin"/activations.rows "$bin"/latency.rows "$bin"/counters.rows \
	"$bin"/classify.rows "$bin"/meter.rows "$bin"/ids.rows "$bin"/restart.rows "$bin"/teardown.rows \
	"$bin"/queues.rows "$bin"/sessions.rows "$bin"/idle.rows "$bin"/tcp.rows >"$build/bench.json"
echo "rows: $build/bench.json"
