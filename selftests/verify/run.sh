#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Searches every state of the models beside it with Spin. For each: the search must end, with no error; and
# with the flags of a known mistake it must find one. Environment: BUILD (build), MEMORY (MiB, 4000).
set -uo pipefail
cd "$(dirname "$0")" || exit 1
build=$(cd ../.. && mkdir -p "${BUILD:-build}/verify" && cd "${BUILD:-build}/verify" && pwd) || exit 1
models=$PWD
failed=0

# search MODEL [FLAG...]: the output of the search in $build/output
search() {
	local model=$models/$1
	shift
	cd "$build" || exit 1
	rm -f pan pan.* ./*.trail
	spin -a "$@" "$model" >output 2>&1 && cc -O2 -w -DSAFETY -DCOLLAPSE "-DMEMLIM=${MEMORY:-4000}" -o pan pan.c >>output 2>&1 &&
		./pan -m100000 >>output 2>&1
}

report() { # result, what
	printf '%-5s %s\n' "$1" "$2"
	[ "$1" = ok ] && return
	failed=$((failed + 1))
	sed 's/^/    /' "$build/output"
}

holds() {
	if search "$@" && grep -q 'errors: 0' "$build/output" &&
		! grep -qE 'Search not completed|out of memory|max search depth too small' "$build/output"; then
		report ok "$* ($(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' "$build/output") states)"
	else
		report FAIL "$*"
	fi
}

finds_the_mistake() {
	search "$@"
	if grep -q 'assertion violated' "$build/output"; then
		report ok "$*: found wrong, as it is"
	else
		report FAIL "$*: a known mistake was not found"
	fi
}

holds meter.pml -DPACKETS=2 -DHORIZON=4
holds meter.pml -DPACKETS=3
finds_the_mistake meter.pml -DPACKETS=2 -DNO_SWAP
finds_the_mistake meter.pml -DPACKETS=3 -DADD_BACK
holds meter_change.pml
finds_the_mistake meter_change.pml -DRATE_FIRST
finds_the_mistake meter_change.pml -DNO_MARK
holds ids_bucket.pml
finds_the_mistake ids_bucket.pml -DNO_SWAP
finds_the_mistake ids_bucket.pml -DRENEW_LATE
finds_the_mistake ids_bucket.pml -DRENEW_NOW
holds ids_log.pml
finds_the_mistake ids_log.pml -DNO_LOCK
finds_the_mistake ids_log.pml -DAS_READ
finds_the_mistake ids_log.pml -DONE_MORE
holds ids_place.pml
for mistake in NO_LOCK NO_LOOK NO_SWAP FREE_AT_ONCE; do
	finds_the_mistake ids_place.pml -D$mistake
done
holds quota.pml
for mistake in LOOK_THEN_ADD KEEP LIMIT_FIRST BLIND; do
	finds_the_mistake quota.pml -D$mistake
done
[ "$failed" -eq 0 ]
