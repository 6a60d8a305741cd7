# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of redirected subscribers share; sourced after net.sh.

# redirect_request IMSI ADDRESS TYPE SERVER [VERSION]: ActivateFlows of a final unit's redirection, as JSON
redirect_request() {
	jq -nc --arg imsi "IMSI$1" --arg address "$2" --arg type "$3" --arg server "$4" --arg version "${5:-1}" '
		{sid: {id: $imsi}, request_origin: {type: "GY"}, policies: [{version: ($version | tonumber),
			rule: {id: "redirect", priority: 2000, redirect:
				{support: "ENABLED", address_type: $type, server_address: $server}}}]}
		+ (if $address | contains(":") then {ipv6_addr: ($address | @base64)} else {ip_addr: $address} end)'
}

redirect() {
	local answer
	answer=$(call /magma.lte.Pipelined/ActivateFlows "$(redirect_request "$@")")
	expect "the redirect rule of $2" SUCCESS "$(jq -r '.policy_results[0] | .result + .reason' <<<"$answer")"
}

# redirect_end IMSI ADDRESS: new credit; the GY rules go
redirect_end() {
	call /magma.lte.Pipelined/DeactivateFlows "$(jq -nc --arg imsi "IMSI$1" --arg address "$2" '
		{sid: {id: $imsi}, request_origin: {type: "GY"}}
		+ (if $address | contains(":") then {ipv6_addr: ($address | @base64)} else {ip_addr: $address} end)')" >/dev/null
}

# url ADDRESS [PORT]
url() {
	local host=$1
	[[ $host != *:* ]] || host="[$1]"
	echo "http://$host${2:+:$2}/"
}

# fetch FROM URL [curl's options]: the answer with its headers, or curl's exit code as "curl: N"
fetch() {
	local from=$1 url=$2
	shift 2
	in_sub curl -gsi --max-time 5 --interface "$from" "$@" "$url" | tr -d '\r' || echo "curl: ${PIPESTATUS[0]}"
}

# web_server NAMESPACE ADDRESS PORT TEXT
web_server() {
	spawn nsenter --net="/run/netns/$1" -- /usr/bin/python3 "$ROOT/selftests/lib/web_server.py" "$2" "$3" "$4"
	eventually "the web server on $2 port $3" 10 in_ns "$1" curl -gs "$(url "$2" "$3")"
}

# everything open, both families, subscriber N
open_session() {
	local family
	for family in 4 6; do
		session "$(imsi "$1")" "$("ue$family" "$1")"
		rule all 100
		flow uplink permit
		flow downlink permit
	done
}
