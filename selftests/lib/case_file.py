# SPDX-License-Identifier: Apache-2.0
"""Reads a case (selftests/cases/README.md) as strictly as selftests/lib/cases.c.

A mapping becomes a dict with the file's own keys, addresses stay texts, names
of protocols become numbers. Each step is (line, kind, content).
"""
import os

import yaml

PROTOCOLS = {"ICMP": 1, "IGMP": 2, "TCP": 6, "UDP": 17, "GRE": 47, "ICMPV6": 58, "SCTP": 132}
ENGINES = ("unit", "prog", "net")
OWN_FLOW = ("direction", "action", "protocol", "remote", "remote_port", "local", "local_port", "dscp", "tcp_flags",
            "tcp_options", "icmp_type", "fragment", "ip_options")


class BadCase(Exception):
    pass


class Reader:
    def __init__(self, path):
        self.path = path

    def refuse(self, node, what, value):
        raise BadCase("%s:%d: %s '%s'" % (self.path, node.start_mark.line + 1, what, value))

    def text(self, node):
        if not isinstance(node, yaml.ScalarNode):
            self.refuse(node, "a list or mapping where one value belongs, in", self.path)
        return node.value

    def number(self, node):
        text = self.text(node)
        if not (text.isascii() and text.isdigit()) or int(text) > 0xffffffff:
            self.refuse(node, "not a number of 32 bits:", text)
        return int(text)

    def word(self, *words):
        def read(node):
            if self.text(node) not in words:
                self.refuse(node, "unknown word", node.value)
            return node.value
        return read

    def protocol(self, node):
        return PROTOCOLS.get(self.text(node)) or self.number(node)

    def list_of(self, read):
        def read_list(node):
            if not isinstance(node, yaml.SequenceNode):
                self.refuse(node, "not a list where one belongs, in", self.path)
            return [read(item) for item in node.value]
        return read_list

    def mapping(self, required, optional=None):
        """What reads a mapping: each key once, none that is unknown, all that are required."""
        optional = optional or {}

        def read(node):
            if not isinstance(node, yaml.MappingNode):
                self.refuse(node, "not a mapping where one belongs, with", next(iter(required), ""))
            found = {}
            for key, value in node.value:
                name = self.text(key)
                if name in found:
                    self.refuse(key, "a key twice:", name)
                reader = required.get(name) or optional.get(name)
                if not reader:
                    self.refuse(key, "unknown key", name)
                found[name] = reader(value)
            for name in required:
                if name not in found:
                    self.refuse(node, "missing key", name)
            return found
        return read

    def request(self, required, optional=None):
        read_mapping = self.mapping(
            {"imsi": self.text, **required},
            {"ip": self.text, "ipv6": self.text, "origin": self.word("GX", "GY", "WILDCARD"),
             "apn": self.text, "shard": self.number,
             "ambr": self.mapping({}, {"uplink": self.number, "downlink": self.number}), **(optional or {})})

        def read(node):
            found = read_mapping(node)
            if "ip" not in found and "ipv6" not in found:
                self.refuse(node, "neither ip nor ipv6 for", found["imsi"])
            return found
        return read

    def step(self, node):
        if not isinstance(node, yaml.MappingNode) or len(node.value) != 1:
            self.refuse(node, "a step is a mapping of one key, in", self.path)
        key, value = node.value[0]
        read = self.steps().get(self.text(key))
        if not read:
            self.refuse(key, "unknown step", key.value)
        return node.start_mark.line + 1, key.value, read(value)

    def steps(self):
        text, number = self.text, self.number
        direction = self.word("UPLINK", "DOWNLINK")
        flow = self.mapping(
            {"direction": direction, "action": self.word("PERMIT", "DENY")},
            {"ip_proto": self.protocol, "ip_src": text, "ip_dst": text, "tcp_src": number, "tcp_dst": number,
             "udp_src": number, "udp_dst": number})
        own_flow = self.mapping({}, {key: text for key in OWN_FLOW})
        rates = self.mapping({}, {"uplink": number, "downlink": number})
        policies = self.list_of(self.mapping(
            {"id": text, "version": number, "precedence": number},
            {"flows": self.list_of(flow), "own_flows": self.list_of(own_flow), "filters": self.list_of(text),
             "restrict": self.word("true", "false"), "rating_group": number, "mbr": rates, "app_name": text,
             "redirect": self.mapping({}, {"ipv4": text, "ipv6": text, "url": text, "sip_uri": text})}))
        result = self.mapping({"id": text, "version": number, "result": self.word("SUCCESS", "FAILURE")},
                              {"names": self.list_of(text), "note": text})
        count = self.mapping({"packets": number, "bytes": number})
        usage = self.mapping({"imsi": text, "ue": text, "rule": text, "version": number},
                             {"uplink": count, "downlink": count, "uplink_dropped": count,
                              "downlink_dropped": count})
        rule = self.mapping({"imsi": text, "ue": text, "id": text, "version": number},
                            {"origin": self.word("GX", "GY")})
        credit = self.mapping({"imsi": text, "ue": text, "rating_group": number, "uplink": number,
                               "downlink": number})
        queue = self.mapping({"imsi": text, "ue": text, "rule": text}, {"uplink": number, "downlink": number})
        state = self.mapping({"imsi": text, "ue": text, "state": self.word("ACTIVE", "RESTRICTED", "REDIRECTED")})
        activation = self.request({"policies": policies, "results": self.list_of(result)})
        entries = self.list_of(self.request({"policies": policies}))
        deactivation = self.request({}, {
            "policies": self.list_of(self.mapping({"id": text, "version": number})),
            "remove_default_drop": self.word("true", "false")})
        startup = self.word("serve", "wait-for-setup")
        return {
            "activate": activation,
            "setup": entries,
            "deactivate": deactivation,
            "stop": self.word("TERM", "KILL"),
            "start": startup,
            "refuse": self.mapping({"status": text}, {"activate": activation, "deactivate": deactivation}),
            "attempt": self.mapping({"epoch": self.word("own", "other"), "setup": entries,
                                     "result": self.word("SUCCESS", "FAILURE", "OUTDATED_EPOCH")}),
            "heartbeat": self.mapping({"reports": number}),
            "resync": self.word("by-epoch"),
            "forget": self.request({}),
            "attach": self.request({"sessions": number, "shard_size": number, "policies": policies}),
            "pull": self.mapping({"cookie": number, "mask": number},
                                 {"records": self.list_of(usage), "sessions": number}),
            "set_rules": self.list_of(self.mapping(
                {"imsi": text}, {"apn": text, "subscriber_wide": self.word("true", "false"),
                                 "rules": self.list_of(self.mapping(
                                     {"id": text, "precedence": number, "flows": self.list_of(flow)},
                                     {"from": number, "until": number}))})),
            "until": number,
            "pause": number,
            "browse": self.mapping({"ue": text, "remote": text, "rule": text, "status": number},
                                   {"port": number, "path": text, "location": text}),
            "rate": self.mapping(
                {"direction": direction, "ue": text, "remote": text, "protocol": self.protocol, "size": number,
                 "offered": number, "reached": number},
                {"ue_port": number, "remote_port": number}),
            "acknowledge": self.word("everything"),
            "send": self.mapping(
                {"direction": direction, "ue": text, "remote": text, "protocol": self.protocol, "size": number,
                 "passed": number},
                {"ue_port": number, "remote_port": number, "count": number,
                 "fragment": self.word("first", "later"), "dscp": number, "tcp_flags": text, "tcp_options": text,
                 "ip_options": text, "icmp_type": text}),
            "expect": self.mapping({}, {"usage": self.list_of(usage), "rules": self.list_of(rule),
                                        "credit": self.list_of(credit), "queues": self.list_of(queue),
                                        "states": self.list_of(state)}),
        }


class Case:
    def __init__(self, path):
        self.name = os.path.splitext(os.path.basename(path))[0]
        self.path = path
        reader = Reader(path)
        try:
            with open(path, encoding="utf-8") as file:
                root = yaml.compose(file, Loader=yaml.SafeLoader)
        except (yaml.YAMLError, OSError) as error:
            raise BadCase("%s: %s" % (path, error)) from error
        if root is None:
            raise BadCase("%s:1: empty" % path)
        content = reader.mapping(
            {"title": reader.text, "steps": reader.list_of(reader.step)},
            {"source": reader.text, "engines": reader.list_of(reader.word(*ENGINES)), "left_out": reader.text})(root)
        self.title = content["title"]
        self.engines = content.get("engines", ENGINES)
        self.left_out = content.get("left_out")
        if set(self.engines) != set(ENGINES) and not self.left_out:
            raise BadCase("%s:1: engines without left_out, the reason, for '%s'" % (path, self.title))
        self.steps = content["steps"]
        if not self.steps:
            raise BadCase("%s: a case without steps can not fail: '%s'" % (path, self.title))
