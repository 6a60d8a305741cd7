#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What can be said of the sources without compiling them: each names the licence
# of its place, scripts parse, the guide knows every event of the log.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
complain() {
	echo "$*"
	failed=$((failed + 1))
}

checked=0
while IFS= read -r file; do
	checked=$((checked + 1))
	case $file in
	bpf/* | include/*) licence='GPL-2.0-only OR BSD-2-Clause' ;;
	*) licence=Apache-2.0 ;;
	esac
	{ read -r first && read -r second; } <"$file" || continue
	if [[ "$first$second" != *"SPDX-License-Identifier: $licence"* ]]; then
		# what tests and benchmarks load into the kernel carries the kernel side's licence
		[[ $file == selftests/* && "$first" == *"GPL-2.0-only OR BSD-2-Clause"* ]] ||
			complain "$file:1: no 'SPDX-License-Identifier: $licence' in its first two lines"
	fi
	case $file in
	*.sh | .ci/run) bash -n "$file" || complain "$file: does not parse" ;;
	*.py)
		/usr/bin/python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' "$file" ||
			complain "$file: does not parse"
		;;
	esac
done < <(find Makefile .ci agent bpf include proto selftests tools deploy \( -name '*.[ch]' -o -name '*.sh' -o -name '*.py' \
	-o -name '*.mk' -o -name '*.proto' -o -name Makefile -o -path .ci/run \) -type f | LC_ALL=C sort)

# lib/leftovers.sh takes what comes last for the owner's pid, and removes what has none that lives
while IFS= read -r line; do
	complain "$line: a /tmp/sluice-test- path must end in the pid of its owner"
done < <(grep -rnE 'sluice-test-[^" ]*X{6}' selftests --include='*.[ch]' --include='*.sh' --include='*.py' | grep -v '^selftests/source_lints.sh:')

# what an operator finds in the log he finds in the guide
events=$(grep -rhoE 'sl_log\(SL_LOG_[A-Z]+, "[a-z0-9-]+"' agent --include='*.c' | sed 's/.*"\(.*\)"/\1/' | LC_ALL=C sort -u)
[ -n "$events" ] || complain "found no event of the log"
for event in $events; do
	grep -qF "\`$event\`" docs/operations.md || complain "docs/operations.md: no word of the log's event $event"
done

[ "$checked" -gt 0 ] || complain "found no source file"
[ "$failed" -eq 0 ]
