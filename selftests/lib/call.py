#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One gRPC call from the command line: an independent client (gRPC's C core).

    call.py ADDRESS /package.Service/Method [JSON]

prints the answer as JSON with the proto's field names, one line for each
message of a stream; on an error the status's name and text on standard error,
exit code = number of the status.
"""
import json
import sys

import grpc
from google.protobuf import json_format

sys.dont_write_bytecode = True
from wire import Wire  # noqa: E402


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    address, path = sys.argv[1], sys.argv[2]
    wire = Wire()
    request_class, _ = wire.method(path)
    request = json_format.ParseDict(json.loads(sys.argv[3] if len(sys.argv) == 4 else "{}"), request_class())
    service, method = path.strip("/").split("/")
    streaming = wire.pool.FindServiceByName(service).methods_by_name[method].server_streaming
    with grpc.insecure_channel(address) as channel:
        try:
            if streaming:
                answers = list(wire.stream(channel, path)(request, timeout=20))
            else:
                answers = [wire.unary(channel, path)(request, timeout=20)]
        except grpc.RpcError as error:
            print(error.code().name + ": " + (error.details() or ""), file=sys.stderr)
            sys.exit(error.code().value[0])
    for answer in answers:
        print(json.dumps(json_format.MessageToDict(answer, preserving_proto_field_name=True,
                                                   including_default_value_fields=True)))


if __name__ == "__main__":
    main()
