#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A foreign client (python3-grpcio, gRPC's C core) against selftests/net/grpc_echo.c.

grpc_clients.py TARGET STUBS    TARGET: 127.0.0.1:PORT or unix:PATH; STUBS: a folder of protoc --python_out
Prints one line a case and exits with 1 if any failed.
"""
import os
import sys
import threading
import time

import grpc

target, stubs = sys.argv[1:3]
sys.path.insert(0, stubs)
from google.protobuf import descriptor_pb2  # noqa: E402
from health.v1 import health_pb2  # noqa: E402
from reflection.v1 import reflection_pb2  # noqa: E402
from reflection.v1alpha import reflection_pb2 as reflection_alpha_pb2  # noqa: E402

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1),
           ("grpc.max_metadata_size", 1 << 20)]
cases = []


def case(function):
    cases.append(function)
    return function


def unary(channel, method, message=b"", **more):
    return channel.unary_unary("/test.Echo/" + method)(message, **{"timeout": 20, **more})


def stream(channel, method, message=b"", **more):
    return channel.unary_stream("/test.Echo/" + method)(message, **{"timeout": 20, **more})


def fails_with(code, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()}, expected {code}: {error.details()}"
        return error
    raise AssertionError(f"succeeded, expected {code}")


@case
def a_message_comes_back(channel):
    assert unary(channel, "Unary", b"hello") == b"hello"


@case
def an_empty_message_comes_back(channel):
    assert unary(channel, "Unary", b"") == b""


@case
def eight_mebibytes_go_both_ways(channel):
    message = os.urandom(1 << 20) * 8
    assert unary(channel, "Unary", message) == message


@case
def a_message_above_the_limit_is_refused(channel):
    error = fails_with(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: unary(channel, "Unary", bytes(17 << 20)))
    assert "16777216" in error.details(), error.details()


@case
def a_status_text_in_utf8_arrives(channel):
    error = fails_with(grpc.StatusCode.INVALID_ARGUMENT, lambda: unary(channel, "Fail", "3 Übel: 100 % ☂".encode()))
    assert error.details() == "Übel: 100 % ☂", error.details()


@case
def every_status_arrives(channel):
    for code in grpc.StatusCode:
        if code is not grpc.StatusCode.OK:
            fails_with(code, lambda: unary(channel, "Fail", b"%d text" % code.value[0]))


@case
def an_unknown_method_is_unimplemented(channel):
    fails_with(grpc.StatusCode.UNIMPLEMENTED, lambda: unary(channel, "Nothing"))


@case
def the_deadline_of_a_unary_call_holds(channel):
    fails_with(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: unary(channel, "Never", timeout=0.2))


@case
def the_deadline_of_a_stream_holds(channel):
    got = []

    def read():
        for message in stream(channel, "Watch", b"tick", timeout=0.3):
            got.append(message)

    fails_with(grpc.StatusCode.DEADLINE_EXCEEDED, read)
    assert got and set(got) == {b"tick"}


@case
def a_stream_ends_after_its_last_message(channel):
    assert list(stream(channel, "Count", b"50")) == [b"%d" % i for i in range(50)]


@case
def a_cancelled_stream_leaves_the_connection_usable(channel):
    call = stream(channel, "Watch", b"tick")
    assert next(call) == b"tick"
    call.cancel()
    assert unary(channel, "Unary", b"after") == b"after"


@case
def a_thousand_calls_at_once_are_answered(channel):
    method = channel.unary_unary("/test.Echo/Later")
    calls = [method.future(b"%d" % i, timeout=60) for i in range(1000)]
    assert [c.result() for c in calls] == [b"%d" % i for i in range(1000)]


@case
def gzip_and_deflate_requests_are_read(channel):
    message = b"sluice " * 10000
    assert unary(channel, "Unary", message, compression=grpc.Compression.Gzip) == message
    assert unary(channel, "Unary", message, compression=grpc.Compression.Deflate) == message


@case
def a_gzip_bomb_is_refused(channel):
    fails_with(grpc.StatusCode.RESOURCE_EXHAUSTED,
               lambda: unary(channel, "Unary", bytes(64 << 20), compression=grpc.Compression.Gzip))


@case
def metadata_of_six_kilobytes_passes_and_of_forty_is_refused(channel):
    assert unary(channel, "Unary", b"x", metadata=[("x-pad", "p" * 6000)]) == b"x"
    fails_with(grpc.StatusCode.RESOURCE_EXHAUSTED,
               lambda: unary(channel, "Unary", b"x", metadata=[(f"x-pad-{i}", "p" * 4000) for i in range(10)]))
    assert unary(channel, "Unary", b"x") == b"x"


@case
def messages_of_a_chat_come_back_one_by_one(channel):
    ready = threading.Semaphore(0)

    def ask():
        for i in range(20):
            ready.acquire()
            yield b"%d" % i

    answers = channel.stream_stream("/test.Echo/Chat")(ask(), timeout=20)
    for i in range(20):
        ready.release()
        assert next(answers) == b"%d" % i
    assert list(answers) == []


@case
def the_server_knows_its_peer(channel):
    peer = unary(channel, "Peer").decode()
    if target.startswith("unix:"):
        assert peer == f"local unix:uid={os.getuid()},pid={os.getpid()}", peer
    else:
        assert peer.startswith("remote 127.0.0.1:"), peer


@case
def health_answers_check_and_watch(channel):
    check = channel.unary_unary("/grpc.health.v1.Health/Check",
                                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                                response_deserializer=health_pb2.HealthCheckResponse.FromString)
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch",
                                 request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                                 response_deserializer=health_pb2.HealthCheckResponse.FromString)
    serving = health_pb2.HealthCheckResponse.SERVING
    unknown = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    assert check(health_pb2.HealthCheckRequest(), timeout=10).status == serving
    assert check(health_pb2.HealthCheckRequest(service="test.Echo"), timeout=10).status == serving
    fails_with(grpc.StatusCode.NOT_FOUND, lambda: check(health_pb2.HealthCheckRequest(service="no"), timeout=10))
    for name, state in (("test.Echo", serving), ("no", unknown)):
        call = watch(health_pb2.HealthCheckRequest(service=name), timeout=10)
        assert next(call).status == state
        call.cancel()


def reflection(channel, version, module, **question):
    ask = channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
                                request_serializer=module.ServerReflectionRequest.SerializeToString,
                                response_deserializer=module.ServerReflectionResponse.FromString)
    answers = list(ask(iter([module.ServerReflectionRequest(host="h", **question)]), timeout=10))
    assert len(answers) == 1 and answers[0].valid_host == "h"
    return answers[0]


@case
def reflection_lists_services_and_serves_descriptors(channel):
    for version, module in (("v1", reflection_pb2), ("v1alpha", reflection_alpha_pb2)):
        answer = reflection(channel, version, module, list_services="*")
        names = [s.name for s in answer.list_services_response.service]
        assert "test.Echo" in names and "grpc.health.v1.Health" in names, names
        for question in ({"file_containing_symbol": "grpc.health.v1.Health.Check"},
                         {"file_by_filename": "grpc/health/v1/health.proto"},
                         {"file_containing_symbol": "grpc.health.v1.HealthCheckResponse.ServingStatus"}):
            answer = reflection(channel, version, module, **question)
            file = descriptor_pb2.FileDescriptorProto.FromString(
                answer.file_descriptor_response.file_descriptor_proto[0])
            assert file.name == "grpc/health/v1/health.proto", file.name
        answer = reflection(channel, version, module, file_containing_symbol="no.such.Thing")
        assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


@case
def a_file_comes_with_all_its_imports(channel):
    answer = reflection(channel, "v1", reflection_pb2, file_containing_symbol="magma.lte.Pipelined")
    files = [descriptor_pb2.FileDescriptorProto.FromString(f)
             for f in answer.file_descriptor_response.file_descriptor_proto]
    have = {f.name for f in files}
    assert {d for f in files for d in f.dependency} <= have, have
    assert any(s.name == "Pipelined" for s in files[0].service)


failed = 0
for function in cases:
    start = time.monotonic()
    try:
        with grpc.insecure_channel(target, options=OPTIONS) as a_channel:
            function(a_channel)
        outcome = "ok"
    except Exception as error:  # pylint: disable=broad-except
        outcome = f"FAILED: {error!r}"
        failed += 1
    print(f"{function.__name__}: {outcome} ({(time.monotonic() - start) * 1000:.0f} ms)", flush=True)
print(f"{len(cases) - failed} of {len(cases)} on {target}")
sys.exit(1 if failed else 0)
