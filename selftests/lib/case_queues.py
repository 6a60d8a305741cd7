# SPDX-License-Identifier: Apache-2.0
"""Steps of a case about rates: the HTB classes that the kernel has, the rate that arrives."""
import ipaddress
import re
import subprocess
import time

import case_packet
from case_agent import Unmet, digits, eventually
from case_compare import differ

ENDED = 2
WITHIN = 0.10  # of the rate; other load on the machine can take a queue's turn away
WINDOW = 1.5  # seconds
TRIES = 4


SHAPED = 1  # SessionRule.Rate of sluice.v1

CLASS = re.compile(r"^class htb [0-9a-f]+:([0-9a-f]+) .* ceil (\d+)([KMGT]?)bit ", re.MULTILINE)
THOUSANDS = {"": 1, "K": 10 ** 3, "M": 10 ** 6, "G": 10 ** 9, "T": 10 ** 12}


def kernel_rates(device):
    """Minor number of a class -> its rate in bit/s. (tc's JSON does not have classes.)"""
    text = subprocess.run(["tc", "class", "show", "dev", device], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, check=True, text=True).stdout
    return {int(minor, 16): int(number) * THOUSANDS[unit] for minor, number, unit in CLASS.findall(text)}


def expect_queues(run, queues):
    """Every rule that has a class of its own, with the rate that the kernel enforces. A class that was there at
    the last such step is the same one still. Rules without an MBR below an AMBR share one, which is nobody's own."""
    roles = {"uplink": "core", "downlink": "access"}
    status = run.agent.status()
    rates = {direction: kernel_rates(next(hook.interface for hook in status.hooks if hook.role == role))
             for direction, role in roles.items()}
    found, minors = {}, {}
    used, trees = {"uplink": set(), "downlink": set()}, {"uplink": set(), "downlink": set()}
    for session in run.agent.sessions():
        if session.state == ENDED:
            continue
        for direction in roles:
            if getattr(session, "ambr_%s_rate" % direction) == SHAPED:
                trees[direction].add(session.imsi)
        for rule in session.rules:
            key = session.imsi, ipaddress.ip_address(session.address), rule.rule_id
            for direction in roles:
                minor = getattr(rule, direction + "_class")
                if not minor:
                    continue
                if getattr(session, "ambr_%s_rate" % direction) != SHAPED:
                    used[direction].add(minor)
                if not getattr(rule, "mbr_" + direction):
                    continue
                minors[key + (direction,)] = minor
                found[key + (direction,)] = rates[direction].get(minor, "no such class %x" % minor)
    wanted = {}
    for one in queues:
        for direction in roles:
            if direction in one:
                wanted[digits(one["imsi"]), ipaddress.ip_address(one["ue"]), one["rule"], direction] = one[direction]
    differ("rates of the classes (bit/s)", found, wanted)
    for key, minor in run.minors.items():
        if minors.get(key, minor) != minor:
            raise Unmet("the class of %s was %x and is %x" % (" ".join(map(str, key)), minor, minors[key]))
    run.minors = minors

    def released():
        now = run.agent.status()
        return (all(pool.used == len(used[pool.direction]) for pool in now.class_pools) and
                all(pool.used == len(trees[pool.direction]) for pool in now.tree_pools))

    eventually("no class in use that no rule has", released)


def measure(source, far, version, packet, offered):
    """bit/s of IP that arrive in a window while more than that is offered."""
    out = case_packet.forwarded(packet)
    gap = len(packet) * 8 / offered
    begin = time.monotonic()
    sent, first, last, arrived = 0, None, None, 0
    while (now := time.monotonic()) < begin + 2 * WINDOW:
        while sent * gap <= now - begin:
            source.send(packet)
            sent += 1
        far.wait(version, gap / 2)
        for got in far.receive(version):
            if got == out and time.monotonic() > begin + WINDOW:  # the bucket is empty by now
                last = time.monotonic()
                if first is None:
                    first = last
                else:
                    arrived += 1
    return arrived * len(packet) * 8 / (last - first) if arrived else 0


def rate(run, content):
    direction = ("UPLINK", "DOWNLINK").index(content["direction"])
    version = ipaddress.ip_address(content["ue"]).version
    packet = next(iter(case_packet.packets(content)))
    reached = 0
    for _ in range(TRIES):
        reached = measure(run.ends[direction], run.ends[1 - direction], version, packet, content["offered"])
        if abs(reached - content["reached"]) <= WITHIN * content["reached"]:
            break
    else:
        raise Unmet("%d bit/s arrive, not %d" % (reached, content["reached"]))
    time.sleep(0.5)  # what is queued must not come out in a later step
    for _ in run.ends[1 - direction].receive(version):
        pass


STEPS = {"rate": rate}
