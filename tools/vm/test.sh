#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs tests on other kernels, each in a machine that QEMU emulates (make test-vm):
#
#   tools/vm/test.sh [WORD...]     only tests whose path contains one of the words;
#                                  default: what is about programs, maps, hooks and queues
#
# Environment: BUILD (build), KERNELS ("6.1 6.12"), PAIRS (of the differential test, 20000).
# Emulated CPUs are some ten times slower: nothing here is about time.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build}

[ $# -gt 0 ] || set -- prog/test_match prog/test_parse prog/test_account prog/test_cases prog/test_terms prog/test_answer prog/test_shape prog/test_xdp \
	prog/test_differential prog/test_datapath_tc prog/test_datapath_xdp prog/test_datapath_maps prog/test_qos
output=$(mktemp -t sluice-vm-test.XXXXXX)
trap 'rm -f "$output"' EXIT
sum=(0 0 0)
for series in ${KERNELS:-6.1 6.12}; do
	if ! tools/vm/kernel.sh "$series" "$BUILD/vm/$series"; then
		echo "FAIL  Linux $series: no kernel"
		sum[1]=$((sum[1] + 1))
		continue
	fi
	echo "== Linux $(cat "$BUILD/vm/$series/release")"
	VM_TIMEOUT=${VM_TIMEOUT:-3600} tools/vm/boot.sh "$BUILD/vm/$series" \
		env TIMEOUT=1200 PAIRS="${PAIRS:-20000}" selftests/run.sh "$@" 2>&1 | tee "$output"
	if [[ $(tail -1 "$output") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		for i in 0 1 2; do
			sum[i]=$((sum[i] + BASH_REMATCH[i + 1]))
		done
	else
		sum[1]=$((sum[1] + 1))
	fi
done
echo "${sum[0]} passed, ${sum[1]} failed, ${sum[2]} skipped"
[ "${sum[1]}" -eq 0 ]
