#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Renders the rows of `make bench` as tables:
#
#   tools/bench_report.sh [ROWS]          to standard output; ROWS is build/bench.json if not given
#   tools/bench_report.sh -w FILE [ROWS]  in FILE, in place of what follows its "<!-- bench -->" line
set -euo pipefail
page=
if [ "${1:-}" = -w ]; then
	page=${2:?bench_report: -w needs a file}
	shift 2
fi
rows=${1:-build/bench.json}

if [ ! -r "$rows" ]; then
	echo "bench_report: cannot read '$rows'; run make bench first" >&2
	exit 1
fi
if [ -n "$page" ] && ! grep -q '^<!-- bench -->$' "$page"; then
	echo "bench_report: '$page' has no line <!-- bench -->" >&2
	exit 1
fi

tables=$(jq -r '
def fixed($digits):
	(. * pow(10; $digits) | round | tostring) as $text
	| ([range([0, $digits + 1 - ($text | length)] | max) | "0"] | join("")) + $text
	| if $digits > 0 then .[:-$digits] + "." + .[-$digits:] else . end;
def figure: if . >= 100 then fixed(0) elif . >= 10 then fixed(1) else fixed(2) end;
def share: if . < 0.01 then fixed(4) else fixed(2) end;
def path($title; $bench; $sets):
	map(select(.bench == $bench and .rule_sets == $sets))
	| if length > 0 then
		"### \($title)", "",
		"| sessions | rules | mode | CPU ns per packet | to plain forwarding | the same, net of the generator |",
		"|---:|---:|---|---:|---:|---:|",
		(.[] | "| \(.subscribers) | \(.rules) | \(.mode) | \(.cpu_ns_per_packet | fixed(0)) | \(.ratio_to_plain | fixed(2)) | \(.net_ratio_to_plain | fixed(2)) |"),
		""
	  else empty end;

(.[0] | "Measured on \(.date) by `\(.command)`: kernel \(.kernel), CPU \(.cpu)."),
(map(select(.packets)) | if length > 0 then "Medians of \(.[0].rounds) rounds of \(.[0].packets) packets; load average \(map(.load) | min | figure) to \(map(.load) | max | figure)." else empty end), "",
path("A forwarded packet, sessions sharing their match lists"; "packet_path"; "shared"),
path("A forwarded packet, every session with match lists of its own"; "packet_path"; "own"),
path("A dropped packet, against forwarding it plainly"; "packet_drop"; "shared"),
"### Control plane, counters and classification", "",
"| what | variant | value | baseline | its value | ratio |",
"|---|---|---:|---|---:|---:|",
(.[] | select(.unit) | "| \(.bench) | \(.mode) | \(.value | figure) \(.unit) | \(.baseline) | \(.baseline_value | figure) \(.unit) | \(.ratio | share) |")
' "$rows")

if [ -z "$page" ]; then
	printf '%s\n' "$tables"
else
	kept=$(sed '/^<!-- bench -->$/q' "$page")
	printf '%s\n\n%s\n' "$kept" "$tables" >"$page"
fi
