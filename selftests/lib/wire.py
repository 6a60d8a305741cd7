# SPDX-License-Identifier: Apache-2.0
"""The wire as proto/ describes it, for test programs in Python.

Message classes are made at run time from the descriptor set that protoc writes
out of proto/*.proto, so nothing generated has to be kept in step with it.
"""
import glob
import os
import subprocess
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Wire:
    def __init__(self):
        protos = sorted(glob.glob(os.path.join(ROOT, "proto", "**", "*.proto"), recursive=True))
        with tempfile.NamedTemporaryFile(suffix=".bin") as out:
            subprocess.run(
                ["protoc", "-I", os.path.join(ROOT, "proto"), "--include_imports",
                 "--descriptor_set_out=" + out.name] + protos, check=True)
            files = descriptor_pb2.FileDescriptorSet.FromString(out.read())
        self.pool = descriptor_pool.DescriptorPool()
        for proto in files.file:
            self.pool.Add(proto)
        self.factory = message_factory.MessageFactory(self.pool)

    def message(self, name):
        return self.factory.GetPrototype(self.pool.FindMessageTypeByName(name))

    def method(self, path):
        """'/magma.lte.Pipelined/ActivateFlows' -> (request class, response class)"""
        service, method = path.strip("/").split("/")
        found = self.pool.FindServiceByName(service).methods_by_name[method]
        return self.factory.GetPrototype(found.input_type), self.factory.GetPrototype(found.output_type)

    def unary(self, channel, path):
        request, response = self.method(path)
        return channel.unary_unary(path, request_serializer=request.SerializeToString,
                                   response_deserializer=response.FromString)

    def stream(self, channel, path):
        request, response = self.method(path)
        return channel.unary_stream(path, request_serializer=request.SerializeToString,
                                    response_deserializer=response.FromString)
