#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the tests and ends with one line: N passed, N failed, N skipped.
#
#   selftests/run.sh [WORD...]      only tests whose path contains one of the words
#
#   selftests/*.sh                  about the sources: lints
#   build/unit/test_*               units under ASan and UBSan
#   build/prog/test_*               the BPF programs on the running kernel
#   selftests/net/*.sh              namespaces, real traffic; exit 77 after "SKIP: reason" = cannot run here
#                                   one that runs many cases says so in its last line, in the words of ours, and
#                                   each case counts; what it skips begins with "SKIP "
#
# Two tests run at a time, on two processors or more: they have namespaces, folders and pins of their own. One
# that measures time or rates in a way that others could spoil has a line "# alone: WHY" (in C "/* alone: WHY */")
# in its source; these run after the others, one by one.
#
# Environment: BUILD (build), TIMEOUT (seconds for one test, 300), VERBOSE=1 (show all output), LANES (2).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export BUILD=${BUILD:-build}
TIMEOUT=${TIMEOUT:-300}
VERBOSE=${VERBOSE:-}
processors=$(nproc)
LANES=${LANES:-$((processors < 2 ? 1 : 2))}

passed=0
failed=0
skipped=0
failures=()
folder=$(mktemp -d -t sluice-run.XXXXXX)
declare -A running=()
trap 'finish' EXIT

# Tests that still run when this ends early are ended with it.
finish() {
	local pid
	for pid in "${!running[@]}"; do
		kill -TERM -- "-$pid" 2>/dev/null
	done
	rm -rf "$folder"
}

# shellcheck source=selftests/lib/leftovers.sh
. selftests/lib/leftovers.sh
remove_leftovers

wanted() {
	[ ${#words[@]} -eq 0 ] && return 0
	local word
	for word in "${words[@]}"; do
		[[ $1 == *"$word"* ]] && return 0
	done
	return 1
}

# source_of TEST: the file that may say that it runs alone
source_of() {
	case $1 in
	*.sh) echo "$1" ;;
	*) echo "selftests/${1#"$BUILD"/}.c" ;;
	esac
}

is_alone() { grep -qE '^(#|/\*| \*) alone: ' "$(source_of "$1")"; }

# count_of WORD FILE: how many cmocka says; a program may run several groups
count_of() {
	sed -nE "s/^\[ *$1 *\] ([0-9]+) test\(s\).*/\1/p" "$2" | awk '{ n += $1 } END { print n + 0 }'
}

report() { # result, name, note
	printf '%-5s %s%s\n' "$1" "$2" "${3:+  ($3)}"
}

# judge_cmocka PROGRAM CODE SECONDS OUTPUT
judge_cmocka() {
	local program=$1 code=$2 took=$3 output=$4 ok bad skip
	ok=$(count_of PASSED "$output")
	bad=$(count_of FAILED "$output")
	skip=$(count_of SKIPPED "$output")
	if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then
		# died before its summary, or after it (a leak): what it says of itself does not hold
		[ "$ok" -gt 0 ] || ok=$(grep -c '^\[ *OK *\]' "$output")
		bad=1
	elif [ $((ok + bad + skip)) -eq 0 ]; then
		echo "no cmocka summary" >>"$output"
		bad=1
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	skipped=$((skipped + skip))
	if [ "$bad" -gt 0 ]; then
		failures+=("$program")
		report FAIL "$program" "$ok passed, $bad failed, exit $code, $took s"
		sed 's/^/    /' "$output"
	else
		report ok "$program" "$ok passed$([ "$skip" -gt 0 ] && echo ", $skip skipped"), $took s"
		[ -z "$VERBOSE" ] || sed 's/^/    /' "$output"
	fi
}

# judge_script SCRIPT CODE SECONDS OUTPUT
judge_script() {
	local script=$1 code=$2 took=$3 output=$4 ok=1 bad=1 skip=0 many=""
	if [[ $(tail -1 "$output") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		ok=${BASH_REMATCH[1]} bad=${BASH_REMATCH[2]} skip=${BASH_REMATCH[3]}
		many="$ok passed$([ "$skip" -gt 0 ] && echo ", $skip skipped"), "
	fi
	case $code in
	0)
		passed=$((passed + ok))
		skipped=$((skipped + skip))
		report ok "$script" "$many$took s"
		if [ -n "$VERBOSE" ]; then
			sed 's/^/    /' "$output"
		elif [ "$skip" -gt 0 ]; then
			sed -n 's/^SKIP /    &/p' "$output"
		fi
		;;
	77)
		skipped=$((skipped + 1))
		report skip "$script" "$(sed -n 's/^SKIP: //p' "$output" | tail -1)"
		;;
	*)
		[ -z "$many" ] || passed=$((passed + ok)) skipped=$((skipped + skip))
		failed=$((failed + (bad > 0 ? bad : 1)))
		failures+=("$script")
		report FAIL "$script" "${many}exit $code$([ "$code" -eq 124 ] && echo ": over $TIMEOUT s"), $took s"
		sed 's/^/    /' "$output"
		;;
	esac
}

# Starts a test in a process group of its own.
start() {
	local test=$1 output
	output=$folder/${test//\//_}
	set -m
	case $test in
	*.sh) timeout -k 15 "$TIMEOUT" bash "$test" >"$output" 2>&1 </dev/null & ;;
	*) timeout -k 5 "$TIMEOUT" "$test" >"$output" 2>&1 </dev/null & ;;
	esac
	set +m
	running[$!]="$SECONDS $test"
}

# Waits for one of those that run and judges it.
collect() {
	local pid code began test
	wait -n -p pid "${!running[@]}"
	code=$?
	read -r began test <<<"${running[$pid]}"
	unset "running[$pid]"
	case $test in
	*.sh) judge_script "$test" $code $((SECONDS - began)) "$folder/${test//\//_}" ;;
	*) judge_cmocka "$test" $code $((SECONDS - began)) "$folder/${test//\//_}" ;;
	esac
	rm -f "$folder/${test//\//_}"
}

# run_all LANES TEST...
run_all() {
	local lanes=$1 test
	shift
	for test in "$@"; do
		[ ${#running[@]} -lt "$lanes" ] || collect
		start "$test"
	done
	while [ ${#running[@]} -gt 0 ]; do
		collect
	done
}

# a function, so that the shell has read all of it before the first test runs
main() {
	local test together=() alone=()
	words=("$@")
	shopt -s nullglob
	for test in selftests/*.sh "$BUILD"/unit/test_* "$BUILD"/prog/test_* selftests/net/*.sh; do
		[ -f "$test" ] && [[ $test != *.d && $test != selftests/run.sh ]] && wanted "$test" || continue
		if is_alone "$test"; then
			alone+=("$test")
		else
			together+=("$test")
		fi
	done
	run_all "$LANES" "${together[@]}"
	run_all 1 "${alone[@]}"

	if [ $((passed + failed + skipped)) -eq 0 ]; then
		echo "run.sh: no test has '${words[*]:-}' in its path" >&2
		failed=1
	fi
	if [ ${#failures[@]} -gt 0 ]; then
		echo "failed: ${failures[*]}"
	fi
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
}

main "$@"
exit
