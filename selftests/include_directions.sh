#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The includes point one way (docs/architecture.md, "Tree"):
#
#   include <- bpf
#   include <- base <- {config, policy} <- {datapath, qos, usage, redirect, catalog}
#           <- control <- desired <- ids <- {api, http} <- run <- main.c
#
# Siblings do not see each other, but for datapath and redirect, which may see
# policy, and catalog, which may see config (YAML) and policy: those are below
# them. Policy sees no libbpf; protobuf is seen by api alone, and api sees
# neither libbpf nor a map.
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

declare -A allowed=(
	[include]="include"
	[bpf]="include bpf"
	[base]="include base"
	[config]="include base config"
	[policy]="include base policy"
	[datapath]="include base policy datapath"
	[qos]="include base policy qos"
	[usage]="include base policy usage"
	[redirect]="include base policy redirect"
	[catalog]="include base config policy catalog"
	[control]="include base config policy datapath qos usage redirect catalog control"
	[desired]="include base config policy usage redirect catalog control desired"
	[ids]="include base config policy datapath qos usage redirect catalog control desired ids"
	[api]="include base config policy usage redirect catalog control desired ids api"
	[http]="include base http"
	[run]="include base config policy datapath qos usage redirect catalog control desired ids api http run"
	[main.c]="include base config run"
)

checked=0
failed=0
complain() {
	echo "$1:$2: $3"
	failed=$((failed + 1))
}

# file -> $noun, its name in the table above
noun_of() {
	case $1 in
	agent/*/*)
		noun=${1#agent/}
		noun=${noun%%/*}
		;;
	agent/main.[ch]) noun=main.c ;;
	*) noun=${1%%/*} ;;
	esac
}

while IFS= read -r file; do
	noun_of "$file"
	if [ -z "${allowed[$noun]:-}" ]; then
		complain "$file" 1 "agent/$noun is not in the list of $0: say what it may include"
		continue
	fi
	checked=$((checked + 1))
	while IFS=: read -r line text; do
		[[ $text =~ [\<\"]([^\>\"]+)[\>\"] ]] || continue
		header=${BASH_REMATCH[1]}
		case $header in
		*.pb-c.h | protobuf-c/*)
			[ "$noun" = api ] || complain "$file" "$line" "protobuf is seen by agent/api alone: $header"
			continue
			;;
		*.skel.h)
			[ "$noun" = datapath ] || complain "$file" "$line" "skeletons are seen by agent/datapath alone: $header"
			continue
			;;
		bpf/* | xdp/* | linux/bpf.h)
			case $noun in
			datapath | bpf) ;;
			include) complain "$file" "$line" "include/ is shared with programs that have no libbpf: $header" ;;
			*) complain "$file" "$line" "BPF is seen by agent/datapath alone: $header" ;;
			esac
			continue
			;;
		esac
		if [[ $text == *\<* ]]; then
			continue # the system's
		fi
		if [[ $noun = api && $header = sluice/maps.h ]]; then
			complain "$file" "$line" "agent/api touches no map: $header"
			continue
		fi
		case $header in
		vmlinux.h | descriptors.h) continue ;;
		sluice/*) target=include ;;
		*/*) target=${header%%/*} ;;
		*) target=$noun ;; # beside the file itself
		esac
		if [[ " ${allowed[$noun]} " != *" $target "* ]]; then
			complain "$file" "$line" "$noun may include {${allowed[$noun]// /, }}, not $target: $header"
		fi
	done < <(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]' "$file")
done < <(find agent include bpf -name '*.[ch]' | LC_ALL=C sort)

if [ "$checked" -eq 0 ]; then
	echo "include_directions: found no source file" >&2
	exit 1
fi
[ "$failed" -eq 0 ] || { echo "include_directions: $failed of the includes in $checked files point the wrong way"; exit 1; }
echo "include_directions: $checked files"
