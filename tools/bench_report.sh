#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Renders the rows of `make bench` as the tables of docs/numbers.md:
#
#   tools/bench_report.sh [build/bench.json]
set -euo pipefail
rows=${1:-build/bench.json}

if [ ! -r "$rows" ]; then
	echo "bench_report: cannot read '$rows'; run make bench first" >&2
	exit 1
fi

jq -r '
def fixed($digits): (. * pow(10; $digits) | round) / pow(10; $digits) | tostring;
def path($bench; $sets): map(select(.bench == $bench and .rule_sets == $sets));
def path_table:
	"| sessions | rules | mode | CPU ns per packet | to plain forwarding | net of the generator |",
	"|---:|---:|---|---:|---:|---:|",
	(.[] | "| \(.subscribers) | \(.rules) | \(.mode) | \(.cpu_ns_per_packet | round) | \(.ratio_to_plain | fixed(2)) | \(.net_ratio_to_plain | fixed(2)) |"),
	"";

(.[0] | "Measured \(.date) by `\(.command)` on kernel \(.kernel), \(.cpu).", ""),
"### CPU per forwarded packet, sessions sharing their rules", "",
(path("packet_path"; "shared") | path_table),
"### CPU per forwarded packet, every session with match lists of its own", "",
(path("packet_path"; "own") | path_table),
"### CPU per dropped packet, against forwarding it", "",
(path("packet_drop"; "shared") | path_table),
"### Control plane and counters", "",
"| what | mode | value | baseline | its value | ratio |",
"|---|---|---:|---|---:|---:|",
(.[] | select(.unit) | "| \(.bench) | \(.mode) | \(.value) \(.unit) | \(.baseline) | \(.baseline_value) \(.unit) | \(.ratio) |")
' "$rows"
