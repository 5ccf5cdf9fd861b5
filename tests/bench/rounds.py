"""Runs the operations: round by round, operation by operation, server by server, so that all meet the same machine."""
import statistics
import time

import measure
from operations import OPERATIONS, SUMS, Target, offered, verify_bodies
from packages import say

ENOUGH_CPU = 200_000_000      # nanoseconds every server must have used before an operation counts as measured
MAX_WALL = 8.0                # seconds one server may spend on repeating one operation in one round


class Figures:
    """All samples: (transport, server, operation, "first" or "later") -> [(wall, cpu)] in nanoseconds."""

    def __init__(self):
        self.samples = {}
        self.digests = {}
        self.not_offered = set()

    def add(self, target, operation, when, wall, cpu, answer):
        key = (target.transport, target.server.key, operation.key, when)
        self.samples.setdefault(key, []).append((wall, cpu))
        if operation.compare:
            self.digests.setdefault((target.transport, operation.key), {})[target.server.key] = answer["digest"]

    def of(self, transport, server, operation, when):
        return self.samples.get((transport, server, operation, when), [])

    def cpu_so_far(self, target, operation, when):
        return sum(cpu for _, cpu in self.of(target.transport, target.server.key, operation.key, when))

    def median(self, transport, server, operation, when):
        """(wall, cpu, samples) or None."""
        samples = self.of(transport, server, operation, when)
        if not samples:
            return None
        return (statistics.median(s[0] for s in samples), statistics.median(s[1] for s in samples), len(samples))

    def rows(self, transport, servers):
        """One dict an operation and "first"/"later", in table order, sums after their first part."""
        rows = []
        for operation in OPERATIONS:
            for when in ("first", "later"):
                figures = {s: self.median(transport, s, operation.key, when) for s in servers}
                if any(figures.values()):
                    digests = self.digests.get((transport, operation.key), {})
                    rows.append({"key": operation.key, "title": operation.title, "when": when if operation.twice else "",
                                 "figures": figures, "goal": operation.goal[when == "later"],
                                 "differ": len(set(digests.values())) > 1})
        for key, title, parts in SUMS:
            figures = {s: self._sum(transport, s, parts) for s in servers}
            if any(figures.values()):
                rows.append({"key": key, "title": title, "when": "", "figures": figures, "goal": None, "differ": False})
        return rows

    def _sum(self, transport, server, parts):
        values = [self.median(transport, server, key, when) for key, when in parts]
        if not all(values):
            return None
        return (sum(v[0] for v in values), sum(v[1] for v in values), min(v[2] for v in values))


def timed(target, operation):
    """One repetition: (wall, CPU of the server, answer), the answer checked."""
    if operation.prepare:
        operation.prepare(target)
    before = measure.settled_cpu(target.server.meter)
    answer = operation.run(target)
    cpu = measure.settled_cpu(target.server.meter) - before
    if operation.check:
        operation.check(target, answer)
    return answer["wall"], cpu, answer


class Round:
    """One round over all targets with one transport."""

    def __init__(self, targets, figures, options, number, last):
        self.targets, self.figures, self.options = targets, figures, options
        self.number, self.last = number, last

    def run(self):
        chosen = [o for o in OPERATIONS if self.options.wants(o.key)]
        for target in self.targets:
            target.begin("%s-round%d" % (target.transport, self.number))
        fill = OPERATIONS[0]
        self._repeat(fill, self.targets, keep=fill in chosen)
        for operation in chosen:
            if not operation.selected and operation is not fill:
                self._repeat(operation, self._takers(operation))
        for target in self.targets:
            target.reconnect()
        for operation in chosen:
            if operation.selected:
                self._measure(operation)
        if self.number == 1:
            for target in self.targets:
                verify_bodies(target)
        for target in self.targets:
            for slot in (0, 1):
                target.client.call("close %d" % slot)

    def _takers(self, operation):
        """The targets this operation is measured on."""
        takers = []
        for target in self.targets:
            if target.server.key.endswith("-fsync") and not operation.writes:
                continue
            if not offered(operation, target.capabilities):
                self.figures.not_offered.add((target.server.key, operation.key))
                continue
            takers.append(target)
        return takers

    def _measure(self, operation):
        takers = self._takers(operation)
        if operation.twice:
            for target in takers:
                self._sample(target, operation, "first")
        self._repeat(operation, takers)

    def _sample(self, target, operation, when, keep=True):
        wall, cpu, answer = timed(target, operation)
        if keep:
            self.figures.add(target, operation, when, wall, cpu, answer)
        return wall

    def _repeat(self, operation, takers, keep=True):
        """Servers in turn, until all have used enough CPU (in the last round; once in those before)."""
        limit = min(operation.repeats, self.options.max_repeats) if self.last else 1
        spent = dict.fromkeys((t.server.key for t in takers), 0.0)
        say("  %-9s %s" % (takers[0].transport if takers else "", operation.title))
        for repetition in range(limit):
            busy = [t for t in takers if repetition < 1 or (
                spent[t.server.key] < MAX_WALL and self.figures.cpu_so_far(t, operation, "later") < self.options.enough)]
            for target in busy:
                start = time.monotonic()
                self._sample(target, operation, "later", keep)
                spent[target.server.key] += time.monotonic() - start
            if not busy:
                break


def run(servers, clients, facts, options, figures):
    """All rounds with all transports."""
    for transport, rounds in options.transports:
        for number in range(1, rounds + 1):
            say("round %d of %d, %s" % (number, rounds, transport))
            targets = [Target(server, clients[server.key], transport, facts) for server in servers]
            Round(targets, figures, options, number, number == rounds).run()
