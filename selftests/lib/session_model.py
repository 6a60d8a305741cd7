# SPDX-License-Identifier: Apache-2.0
"""What a session manager computes from an agent's reports, as Magma's sessiond does.

It knows what it has asked for (requests as the cases write them), takes reports
and keeps for each session what each rating group has used. Records are of
absolute counts, so usage is a difference, and whose it is follows from the
rule's version:

    version above the one asked for    ignored: not the session manager's rule
    version below the last one counted ignored: late
    the same version                   what was added since; nothing if any count went back
    a newer version                    all of it

`faults` says what no agent may do, whatever the session manager makes of it.
"""
import ipaddress

DEFAULT_DROP = "internal_default_drop_flow_rule"
COUNTS = ("bytes_tx", "bytes_rx", "dropped_tx", "dropped_rx")


def endpoint(text):
    """What identifies a session's address: an IPv4 address, an IPv6 /64."""
    address = ipaddress.ip_address(text)
    return address if address.version == 4 else ipaddress.ip_network((address, 64), strict=False)


def digits(imsi):
    return imsi[4:] if imsi.startswith("IMSI") else imsi


class Rule:
    def __init__(self, rating_group):
        self.rating_group = rating_group
        self.version = 0  # the last one asked for: of an activation or of a removal
        self.last_version = 0  # the last one counted
        self.last = (0, 0, 0, 0)  # and its counts


class Session:
    def __init__(self):
        self.rules = {}  # by id
        self.requests = {}  # (origin, id) -> (request without policies, policy): what a setup repeats
        self.head = None  # the last request, for a setup of a session without rules
        self.credit = {}  # rating group -> [uplink, downlink] bytes
        self.released = False
        self.absences = 0


class SessionModel:
    def __init__(self):
        self.sessions = {}  # (imsi, endpoint) -> Session, the same one for both addresses of a request
        self.strangers = set()  # (imsi, address) of records of sessions that it does not know
        self.epoch = None
        self.faults = []
        self.counts = {}  # all counts of the last report that was accepted, by record
        self.over = {}  # sessions that have ended, by key

    # --- what it asks for ---

    def keys(self, request):
        return [(digits(request["imsi"]), endpoint(request[key])) for key in ("ip", "ipv6") if key in request]

    def find(self, request):
        for key in self.keys(request):
            if key in self.sessions and not self.sessions[key].released:
                return self.sessions[key]
        return None

    def activated(self, request):
        session = self.find(request) or Session()
        for key in self.keys(request):
            self.sessions[key] = session
        head = {key: value for key, value in request.items() if key not in ("policies", "results", "origin")}
        session.head = {**(session.head or {}), **head}
        for policy in request["policies"]:
            rule = session.rules.setdefault(policy["id"], Rule(policy.get("rating_group", 0)))
            rule.version = policy["version"]
            rule.rating_group = policy.get("rating_group", rule.rating_group)
            session.requests[request.get("origin", "GX"), policy["id"]] = head, policy

    def deactivated(self, request):
        session = self.find(request)
        if not session:
            return
        origin = request.get("origin", "GX")
        named = {policy["id"]: policy["version"] for policy in request.get("policies", [])}
        for key in list(session.requests):
            if origin in ("WILDCARD", key[0]) and (not named or key[1] in named):
                session.rules[key[1]].version = max(session.rules[key[1]].version, named.get(key[1], 0))
                del session.requests[key]
        if request.get("remove_default_drop") == "true" and not session.requests:
            session.released = True
            session.absences = 0

    def set_up(self, entries):
        """The whole desired state: what it does not name is over."""
        wanted = {}
        for entry in entries:
            for key in self.keys(entry):
                wanted.setdefault(key, set()).update(
                    (entry.get("origin", "GX"), policy["id"]) for policy in entry["policies"])
        for key, session in self.sessions.items():
            session.released = session.released or key not in wanted
            for rule in list(session.requests):
                if rule not in wanted.get(key, ()):
                    del session.requests[rule]
        for entry in entries:
            self.activated(entry)

    def entries(self):
        """All sessions as a setup repeats them."""
        found, seen = [], set()
        for session in self.sessions.values():
            if session.released or id(session) in seen:
                continue
            seen.add(id(session))
            found.append({**session.head, "policies": []})
            for (origin, _), (head, policy) in session.requests.items():
                found.append({**head, "origin": origin, "policies": [policy]})
        return found

    def forget(self, request):
        """As after a crash in which this session was lost."""
        for key in self.keys(request):
            del self.sessions[key]

    # --- what it is told ---

    def take(self, report):
        if report["update_rule_versions"]:
            self.faults.append("a report says that counters were reset")
        self.epoch = report["epoch"]
        if report["refused"]:
            return
        present, counts = set(), {}
        for record in report["records"]:
            key = digits(record["sid"]), endpoint(record["ue_ipv4"] or record["ue_ipv6"])
            present.add(key)
            counts[key + (record["rule_id"], record["rule_version"])] = tuple(record[field] for field in COUNTS)
            if key in self.sessions:
                self.count(self.sessions[key], record)
            else:
                self.strangers.add((key[0], record["ue_ipv4"] or record["ue_ipv6"]))
        self.compare(counts)
        self.complete(present)

    def compare(self, counts):
        """No count goes back while it is reported, not even over a restart of the agent."""
        for name, now in counts.items():
            before = self.counts.get(name, now)
            if any(new < old for new, old in zip(now, before)):
                self.faults.append("counts of %s went back from %s to %s" % (" ".join(map(str, name)), before, now))
        self.counts = counts

    def count(self, session, record):
        rule = session.rules.get(record["rule_id"])
        version = record["rule_version"]
        if not rule or version > rule.version or version < rule.last_version:
            return
        counts = tuple(record[field] for field in COUNTS)
        base = rule.last if version == rule.last_version else (0, 0, 0, 0)
        if any(new < old for new, old in zip(counts, base)):
            return
        used = session.credit.setdefault(rule.rating_group, [0, 0])
        used[0] += counts[0] - base[0]
        used[1] += counts[1] - base[1]
        rule.last_version, rule.last = version, counts

    def complete(self, present):
        """A released session is over when a report has no record of it. The first report after the release
        may have been made before it."""
        keys = {}
        for key, session in self.sessions.items():
            if session.released:
                keys.setdefault(session, []).append(key)
        for session, its in keys.items():
            if not present.isdisjoint(its):
                continue
            session.absences += 1
            if session.absences >= 2:
                for key in its:
                    self.over[key] = self.sessions.pop(key)

    # --- what comes of it ---

    def credit(self, imsi, ue):
        """Rating group -> (uplink, downlink) bytes of the session with this address; of one it never knew, nothing."""
        key = digits(imsi), endpoint(ue)
        session = self.sessions.get(key) or self.over.get(key) or Session()
        return {group: tuple(used) for group, used in session.credit.items()}
