# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What a test that was killed left behind. Everything a test makes carries the
# pid of its shell: namespaces slt-PID-*, folders /tmp/sluice-test-PID, pins
# /sys/fs/bpf/sluice-test-PID*. A living owner's things are left alone.

# The processes named in a run folder, each only if it still is what it was then.
kill_recorded() { # folder
	local pid started
	[ -f "$1/pids" ] || return 0
	while read -r pid started; do
		[ "$(started_at "$pid")" = "$started" ] || continue
		kill -KILL -- "-$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null || true
	done <"$1/pids"
	return 0
}

# A process's start time, so that a pid used again is not mistaken for it.
started_at() { # pid
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
	stat=${stat##*) }
	# shellcheck disable=SC2086
	set -- $stat
	echo "${20}"
}

remove_leftovers() {
	local path name owner
	for path in /tmp/sluice-test-*; do
		[ -d "$path" ] || continue
		owner=${path##*-}
		[ -d "/proc/$owner" ] && continue
		kill_recorded "$path"
		rm -rf "$path"
	done
	for path in /run/netns/slt-*; do
		[ -e "$path" ] || continue
		name=${path##*/}
		owner=${name#slt-}
		owner=${owner%%-*}
		[ -d "/proc/$owner" ] && continue
		ip netns delete "$name"
	done
	for path in /sys/fs/bpf/sluice-test-*; do
		[ -e "$path" ] || continue
		owner=${path##*/sluice-test-}
		owner=${owner%%-*}
		[ -d "/proc/$owner" ] && continue
		rm -rf "$path"
	done
	return 0
}
