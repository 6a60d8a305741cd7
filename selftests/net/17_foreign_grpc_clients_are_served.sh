#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A foreign gRPC client and a load generator against our transport, over TCP on
# loopback and over a Unix socket. No namespace is needed: the port is a free one.
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}

if ! /usr/bin/python3 -c 'import grpc, google.protobuf' 2>/dev/null; then
	echo "SKIP: python3-grpcio or python3-protobuf is not installed"
	exit 77
fi
if [ ! -x "$BUILD/net/grpc_echo" ]; then
	echo "$BUILD/net/grpc_echo is not built" >&2
	exit 1
fi

work=$(mktemp -d -t sluice-grpc.XXXXXX)
server=
cleanup() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

# rooted at proto/grpc, or the package "grpc" of the stubs would hide the client library's
protoc -Iproto/grpc --python_out="$work" proto/grpc/health/v1/health.proto \
	proto/grpc/reflection/v1/reflection.proto proto/grpc/reflection/v1alpha/reflection.proto

"$BUILD/net/grpc_echo" 0 "$work/api.sock" >"$work/port" 2>"$work/log" &
server=$!
for _ in $(seq 100); do
	[ -s "$work/port" ] && break
	sleep 0.05
done
port=$(cat "$work/port")

/usr/bin/python3 selftests/net/grpc_clients.py "127.0.0.1:$port" "$work"
/usr/bin/python3 selftests/net/grpc_clients.py "unix:$work/api.sock" "$work"

if command -v h2load >/dev/null; then
	printf '\0\0\0\0\x10sixteen bytes :)' >"$work/message"
	h2load -n 20000 -c 4 -m 100 -d "$work/message" -H 'content-type: application/grpc' -H 'te: trailers' \
		"http://127.0.0.1:$port/test.Echo/Unary" >"$work/load"
	grep -E '^(finished|requests:)' "$work/load"
	grep -q '^requests:.* 20000 succeeded' "$work/load"
fi

# told to stop, it leaves with 0 and takes its socket file along
kill -TERM "$server"
wait "$server" || { echo "grpc_echo ended with $?"; cat "$work/log"; exit 1; }
server=
[ ! -e "$work/api.sock" ] || { echo "the socket file is still there"; exit 1; }
