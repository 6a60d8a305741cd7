#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A session manager as far as an enforcement agent sees one: takes usage reports.

Serves magma.lte.LocalSessionManager/ReportRuleStats and writes every report as
one JSON line:

    {"time": 1700000000.1, "epoch": 17.., "update_rule_versions": false,
     "records": [{"sid": "IMSI..", "rule_id": "..", "bytes_tx": 1, ...}, ...]}

SIGUSR1 makes it refuse from then on (UNAVAILABLE), SIGUSR2 accept again: a
refused report is recorded with "refused": true. Prints "ready" when it listens.
"""
import argparse
import json
import signal
import sys
import threading
import time
from concurrent import futures

import grpc

sys.dont_write_bytecode = True
from wire import Wire  # noqa: E402

PATH = "/magma.lte.LocalSessionManager/ReportRuleStats"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listen", default="127.0.0.1:50065")
    parser.add_argument("--record", required=True, help="file for the JSON lines, appended to")
    parser.add_argument("--delay", type=float, default=0, help="seconds before each answer")
    parser.add_argument("--refuse", action="store_true", help="begin by refusing")
    options = parser.parse_args()

    wire = Wire()
    request_class, response_class = wire.method(PATH)
    record = open(options.record, "a", buffering=1)
    lock = threading.Lock()
    refusing = threading.Event()
    if options.refuse:
        refusing.set()
    signal.signal(signal.SIGUSR1, lambda *_: refusing.set())
    signal.signal(signal.SIGUSR2, lambda *_: refusing.clear())

    def report(request, context):
        refused = refusing.is_set()
        line = {
            "time": time.time(),
            "epoch": request.epoch,
            "update_rule_versions": request.update_rule_versions,
            "refused": refused,
            "records": [
                {field.name: getattr(one, field.name) for field in one.DESCRIPTOR.fields}
                for one in request.records
            ],
        }
        with lock:
            record.write(json.dumps(line) + "\n")
        if options.delay:
            time.sleep(options.delay)
        if refused:
            context.abort(grpc.StatusCode.UNAVAILABLE, "refusing as asked")
        return response_class()

    service, method = PATH.strip("/").split("/")
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {
        method: grpc.unary_unary_rpc_method_handler(
            report, request_deserializer=request_class.FromString,
            response_serializer=response_class.SerializeToString),
    }),))
    if not server.add_insecure_port(options.listen):
        sys.exit("session_manager: cannot listen on " + options.listen)
    server.start()
    print("ready", flush=True)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    while not stop.wait(0.2):
        pass
    server.stop(0)


if __name__ == "__main__":
    main()
