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
# Environment: BUILD (build), TIMEOUT (seconds for one test, 300), VERBOSE=1 (show all output).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export BUILD=${BUILD:-build}
TIMEOUT=${TIMEOUT:-300}
VERBOSE=${VERBOSE:-}

passed=0
failed=0
skipped=0
failures=()
output=$(mktemp -t sluice-run.XXXXXX)
trap 'rm -f "$output"' EXIT

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

# count_of WORD: how many cmocka says; a program may run several groups
count_of() {
	sed -nE "s/^\[ *$1 *\] ([0-9]+) test\(s\).*/\1/p" "$output" | awk '{ n += $1 } END { print n + 0 }'
}

show() {
	sed 's/^/    /' "$output"
}

report() { # result, name, note
	printf '%-5s %s%s\n' "$1" "$2" "${3:+  ($3)}"
}

run_cmocka() {
	local program=$1 code ok bad skip start=$SECONDS
	timeout -k 5 "$TIMEOUT" "$program" >"$output" 2>&1 </dev/null
	code=$?
	ok=$(count_of PASSED)
	bad=$(count_of FAILED)
	skip=$(count_of SKIPPED)
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
		report FAIL "$program" "$ok passed, $bad failed, exit $code, $((SECONDS - start)) s"
		show
	else
		report ok "$program" "$ok passed$([ "$skip" -gt 0 ] && echo ", $skip skipped"), $((SECONDS - start)) s"
		[ -z "$VERBOSE" ] || show
	fi
}

run_script() {
	local script=$1 code ok=1 bad=1 skip=0 many="" start=$SECONDS
	timeout -k 15 "$TIMEOUT" bash "$script" >"$output" 2>&1 </dev/null
	code=$?
	if [[ $(tail -1 "$output") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		ok=${BASH_REMATCH[1]} bad=${BASH_REMATCH[2]} skip=${BASH_REMATCH[3]}
		many="$ok passed$([ "$skip" -gt 0 ] && echo ", $skip skipped"), "
	fi
	case $code in
	0)
		passed=$((passed + ok))
		skipped=$((skipped + skip))
		report ok "$script" "$many$((SECONDS - start)) s"
		if [ -z "$VERBOSE" ]; then
			[ "$skip" -eq 0 ] || sed -n 's/^SKIP /    &/p' "$output"
		else
			show
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
		report FAIL "$script" "${many}exit $code$([ $code -eq 124 ] && echo ": over $TIMEOUT s"), $((SECONDS - start)) s"
		show
		;;
	esac
}

# a function, so that the shell has read all of it before the first test runs
main() {
	local test
	words=("$@")
	shopt -s nullglob
	for test in selftests/*.sh; do
		[ "$test" != selftests/run.sh ] && wanted "$test" && run_script "$test"
	done
	for test in "$BUILD"/unit/test_* "$BUILD"/prog/test_*; do
		[ -x "$test" ] && [[ $test != *.d ]] && wanted "$test" && run_cmocka "$test"
	done
	for test in selftests/net/*.sh; do
		wanted "$test" && run_script "$test"
	done

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
