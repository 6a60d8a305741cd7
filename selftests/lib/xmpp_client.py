#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
XMPP clients (slixmpp) of the net tests and the demo: each has an address and a
connection of its own, with STARTTLS and a login, as a person's client has.

  xmpp_client.py SERVER chat --seconds S --every S USER=ADDRESS USER=ADDRESS..
      Each writes to the next one, the last to the first. Ends with one line of JSON:
      what each had from whom, how often twice or out of order, and how long it took.
  xmpp_client.py SERVER flood --to USER --count N --rate N [--linger S] USER=ADDRESS
      Messages as fast as said, then stays connected for S seconds.
  xmpp_client.py SERVER receive --seconds S USER=ADDRESS
      Counts what comes, by sender.
  xmpp_client.py SERVER login [--patience S] USER=ADDRESS
      Exit code 0: logged in, 1: not within the time.

--certificate FILE is what the server must show. The domain is xmpp.test and everybody's password is
"secret". A line "ready" says that all are logged in.
"""
import argparse
import asyncio
import functools
import json
import logging
import sys
import time

import slixmpp

DOMAIN = "xmpp.test"
PASSWORD = "secret"


class Client(slixmpp.ClientXMPP):
    """One user: `received` has (sender, number, seconds under way) of each message of these clients."""

    def __init__(self, user, address, server, certificate):
        super().__init__(f"{user}@{DOMAIN}/test", PASSWORD)
        self.user = user
        self.server = server
        self.ca_certs = certificate
        self.logged_in = asyncio.get_event_loop().create_future()
        self.received = []
        # slixmpp has no way to say from where to connect
        self.loop = FromAddress(asyncio.get_event_loop(), address)
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("message", self.on_message)

    def on_start(self, _):
        self.send_presence()
        if not self.logged_in.done():
            self.logged_in.set_result(True)

    def on_message(self, message):
        now = time.monotonic()
        if message["type"] not in ("chat", "normal"):
            return
        number, sent, _ = message["body"].split(" ", 2)
        self.received.append((message["from"].user, int(number), now - float(sent)))

    async def _pick_dns_answer(self, domain, service=None):
        """The server's address is given, and these namespaces have no name server."""
        del domain, service

    def start(self):
        self.connect((self.server, 5222))

    def say(self, to, number):
        body = f"{number} {time.monotonic():.6f} the quick brown fox jumps over the lazy dog"
        self.send_message(mto=f"{to}@{DOMAIN}", mbody=body, mtype="chat")


class FromAddress:
    """An event loop whose connections leave from one address."""

    def __init__(self, loop, address):
        self.real = loop
        self.create_connection = functools.partial(loop.create_connection, local_addr=(address, 0))

    def __getattr__(self, name):
        return getattr(self.real, name)


def summary(clients, sent):
    everybody = {}
    for client in clients:
        by_sender = {}
        for sender in sorted({sender for sender, _, _ in client.received}):
            numbers = [number for who, number, _ in client.received if who == sender]
            times = sorted(seconds for who, _, seconds in client.received if who == sender)
            by_sender[sender] = {
                "messages": len(set(numbers)),
                "twice": len(numbers) - len(set(numbers)),
                "out_of_order": sum(a > b for a, b in zip(numbers, numbers[1:])),
                "p50_ms": round(1000 * times[len(times) // 2], 1),
                "p99_ms": round(1000 * times[min(len(times) - 1, len(times) * 99 // 100)], 1),
                "max_ms": round(1000 * times[-1], 1),
            }
        everybody[client.user] = {"sent": sent.get(client.user, 0), "received": by_sender}
    return everybody


async def log_in(clients, patience):
    for client in clients:
        client.start()
    await asyncio.wait_for(asyncio.gather(*(client.logged_in for client in clients)), patience)
    print("ready", flush=True)


async def chat(options, clients):
    sent = {client.user: 0 for client in clients}
    until = time.monotonic() + options.seconds
    while time.monotonic() < until:
        for place, client in enumerate(clients):
            client.say(clients[(place + 1) % len(clients)].user, sent[client.user])
            sent[client.user] += 1
            await asyncio.sleep(options.every / len(clients))
    await asyncio.sleep(1)  # for what is under way
    print(json.dumps(summary(clients, sent)), flush=True)


async def flood(options, clients):
    begin = time.monotonic()
    for number in range(options.count):
        clients[0].say(options.to, number)
        await asyncio.sleep(max(0, begin + (number + 1) / options.rate - time.monotonic()))
    await asyncio.sleep(options.linger)


async def receive(options, clients):
    await asyncio.sleep(options.seconds)
    print(json.dumps(summary(clients, {})), flush=True)


async def login(_, clients):
    del clients


async def run(options):
    clients = [Client(*who.split("="), options.server, options.certificate) for who in options.who]
    try:
        await log_in(clients, options.patience)
    except asyncio.TimeoutError:
        print(f"not logged in within {options.patience} s", flush=True)
        return 1
    await {"chat": chat, "flood": flood, "receive": receive, "login": login}[options.action](options, clients)
    for client in clients:
        client.abort()
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server")
    parser.add_argument("action", choices=["chat", "flood", "receive", "login"])
    parser.add_argument("--certificate", required=True, help="that the server must show")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--every", type=float, default=0.5)
    parser.add_argument("--to")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--linger", type=float, default=0)
    parser.add_argument("--patience", type=float, default=15)
    parser.add_argument("who", nargs="+", metavar="USER=ADDRESS")
    logging.basicConfig(level=logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    code = loop.run_until_complete(run(parser.parse_args()))
    sys.stdout.flush()
    # tasks of slixmpp that wait for nothing any more
    for task in asyncio.all_tasks(loop):
        task.cancel()
    sys.exit(code)


if __name__ == "__main__":
    main()
