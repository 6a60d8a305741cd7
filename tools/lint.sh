#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Formats, static analysis of C and of shell: make lint. Every finding is an error.
#
#   tools/lint.sh [format|tidy|cppcheck|shell]...     default: all of them
#
# Environment: BUILD (build), where the generated headers are.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
JOBS=${JOBS:-$(nproc)}

DEFINES=(-D_GNU_SOURCE '-DSLUICE_VERSION="lint"')
INCLUDES=(-Iagent -Iinclude "-I$BUILD/gen")

sources() { # directories: their .c and .h
	find "$@" -name '*.[ch]' -type f | LC_ALL=C sort
}

# vmlinux.h is the kernel's
lint_format() {
	sources agent bpf include selftests tools | xargs clang-format --dry-run -Werror
}

# One file a run: clang-tidy 14 misjudges va_list from the second file on. A file
# without findings is not looked at again until it, a header that it includes
# (the system's too), the checks or clang-tidy has changed.
tidy_file() { # file, flags...
	local file=$1 stamp=$BUILD/lint/tidy/$1 sum
	shift
	sum=$(
		clang -M "$@" "$file" | tr -s ' \\\n' '\n' | sed '1d; /^$/d' | LC_ALL=C sort -u |
			xargs cat -- .clang-tidy "$TIDY" | sha256sum
		echo "$*"
	)
	[ "$(cat "$stamp" 2>/dev/null)" != "$sum" ] || return 0
	clang-tidy --quiet "$file" -- "$@" 2> >(grep -v 'warnings\? \(generated\|treated\)' >&2) || return 1
	mkdir -p "${stamp%/*}"
	echo "$sum" >"$stamp"
}
lint_tidy() {
	TIDY=$(readlink -f "$(command -v clang-tidy)")
	export TIDY BUILD
	export -f tidy_file
	sources agent tools | grep '\.c$' |
		xargs -P "$JOBS" -I{} bash -o pipefail -c 'tidy_file "$@"' tidy {} -std=gnu11 "${DEFINES[@]}" "${INCLUDES[@]}"
}

# With the system's headers, because uthash, queue.h and libbpf are macros that it has to know.
#   memleak         does not know the cleanup attribute; ASan does
#   autoVariables   a message under construction points to its parts on the stack
#   varFuncNullUB   NULL is a pointer constant in C
lint_cppcheck() {
	mkdir -p "$BUILD/lint/cppcheck" # what has not changed is not analysed again
	cppcheck --quiet --cppcheck-build-dir="$BUILD/lint/cppcheck" --std=c11 --enable=warning,performance,portability --error-exitcode=1 --inline-suppr -j "$JOBS" \
		--suppress=memleak --suppress=autoVariables --suppress=varFuncNullUB \
		--suppress='*:/usr/*' "--suppress=*:$BUILD/*" \
		-D__STDC__=1 -D__STDC_VERSION__=201112L -D__GNUC__=12 -D__x86_64__ -D__LP64__ "${DEFINES[@]}" "${INCLUDES[@]}" \
		-I/usr/include "-I/usr/include/$(gcc -print-multiarch)" "-I$(gcc -print-file-name=include)" agent tools
}

# Info and style are left out: word splitting of lists is meant where it is used.
lint_shell() {
	find selftests tools deploy .ci -name '*.sh' -type f | LC_ALL=C sort |
		xargs shellcheck --severity=warning --external-sources --source-path=SCRIPTDIR
}

[ $# -gt 0 ] || set -- format tidy cppcheck shell
failed=()
for part in "$@"; do
	case $part in
	format | tidy | cppcheck | shell) ;;
	*)
		echo "lint: unknown part '$part'; allowed: format tidy cppcheck shell" >&2
		exit 2
		;;
	esac
	echo "lint: $part"
	"lint_$part" || failed+=("$part")
done
if [ ${#failed[@]} -gt 0 ]; then
	echo "lint: findings of ${failed[*]}" >&2
	exit 1
fi
echo "lint: nothing found"
