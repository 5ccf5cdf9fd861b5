"""script/bench: Martlet beside Dovecot, operation by operation, in one run on this machine.

Modules: corpus (the messages), servers (what is measured), client and imapload*.c (who sends), operations (what is
sent, and what must be reached), rounds (in which order), special (memory, many clients), measure (CPU, memory, syncs),
report (tables).
"""
import argparse
import json
import os
import shutil
import signal
import statistics
import sys

import client
import corpus
import measure
import packages
import report
import rounds
import servers
import special
from operations import OPERATIONS, Target
from packages import say


def parse(arguments):
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.partition("\n\n")[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--peer", choices=["dovecot"], default="dovecot", help="the server to compare Martlet with")
    parser.add_argument("--server", choices=sorted(servers.CLASSES), action="append",
                        help="measure this server instead (repeatable: the first is compared with the others)")
    parser.add_argument("--self-test", action="store_true",
                        help="Dovecot against itself: all ratios must be near 1 (is the harness fair?)")
    parser.add_argument("--messages", type=int, default=20000, metavar="N", help="size of the mailbox")
    parser.add_argument("--only", metavar="KEYS",
                        help="only these operations (comma-separated prefixes; see --list; also: memory, throughput)")
    parser.add_argument("--list", action="store_true", help="list the operations and what is to be reached, and end")
    parser.add_argument("--transport", choices=["plain", "tls", "both"], default="both")
    parser.add_argument("--tls", action="store_const", const="tls", dest="transport", help="the same as --transport tls")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="fresh mailboxes over plain text (TLS: at most 2)")
    parser.add_argument("--repeats", type=int, default=200, metavar="N", help="at most so many repetitions of anything")
    parser.add_argument("--quick", action="store_true", help="a smoke test: 500 messages, one round, few repetitions")
    parser.add_argument("--no-memory", action="store_true", help="leave out the memory of idle connections")
    parser.add_argument("--no-throughput", action="store_true", help="leave out APPEND by many clients")
    parser.add_argument("--no-syncs", action="store_true", help="do not count sync calls (needs strace)")
    parser.add_argument("--connections", default="1000,8000", metavar="N,N", help="idle connections of Martlet")
    parser.add_argument("--peer-connections", default="1000", metavar="N,N", help="idle connections of the peer")
    parser.add_argument("--memory-messages", type=int, default=10000, metavar="N", help="messages in an idle account")
    parser.add_argument("--settle", type=float, default=15.0, metavar="SECONDS", help="idle time before memory is measured")
    parser.add_argument("--throughput-messages", type=int, default=2000, metavar="N")
    parser.add_argument("--dir", metavar="DIR", help="state of the servers, kept; default: a temporary directory in /var/tmp")
    parser.add_argument("--corpus", metavar="DIR", help="make the corpus here, or use the one that is there")
    parser.add_argument("--json", metavar="FILE", help="all figures")
    parser.add_argument("--markdown", metavar="FILE", help="the tables for the documentation")
    options = parser.parse_args(arguments)
    if options.quick:
        options.messages, options.rounds, options.repeats = min(options.messages, 500), 1, 2
        options.connections = options.peer_connections = "20"
        options.memory_messages, options.settle, options.throughput_messages = 100, 1.0, 64
    if options.messages < 20 or options.rounds < 1 or options.throughput_messages < 64:
        parser.error("at least 20 messages, one round, 64 messages of throughput")
    complete(options, parser)
    return options


def complete(options, parser):
    """What follows from the options."""
    only = [prefix for prefix in (options.only or "").split(",") if prefix]
    for prefix in only:
        if not any(key.startswith(prefix) for key in [*(o.key for o in OPERATIONS), "memory", "throughput"]):
            parser.error("no operation begins with %r" % prefix)
    options.wants = lambda key: not only or any(key.startswith(prefix) for prefix in only)
    options.no_memory |= not options.wants("memory")
    options.no_throughput |= not options.wants("throughput")
    options.no_rounds = not any(options.wants(o.key) for o in OPERATIONS)
    options.transports = [(t, min(options.rounds, 2) if t == "tls" else options.rounds) for t in ("plain", "tls")
                          if options.transport in (t, "both")]
    options.max_repeats, options.enough = options.repeats, rounds.ENOUGH_CPU
    options.count_syncs = not options.no_syncs
    if options.self_test:
        options.keys = ["dovecot", "dovecot"]
        options.no_memory = options.no_throughput = True
    else:
        options.keys = options.server or ["martlet", options.peer, options.peer + "-fsync"]


def list_operations():
    for operation in OPERATIONS:
        goals = ["%s %g" % (when, goal) for when, goal in zip(("first", "later"), operation.goal) if goal]
        if not operation.twice:
            goals = [goal.replace("later ", "") for goal in goals]
        print("%-20s %-58s %s" % (operation.key, operation.title, ", ".join(goals)))


class Bench:
    """Everything that has to be ended again, whatever happens."""

    def __init__(self, options):
        self.options = options
        self.directory = servers.make_directory(options.dir)
        self.servers, self.clients = [], {}
        self.report = {"machine": measure.machine()}

    def start(self):
        options = self.options
        servers.check_host(options.keys)
        packages.ensure(packages.TOOLS)
        program = client.build(self.directory)
        corpus_directory = options.corpus or os.path.join(self.directory, "corpus")
        self.facts = corpus.make(corpus_directory, options.messages, say=say)
        for number, key in enumerate(options.keys):
            server = servers.CLASSES[key](self.directory, key + "-again" if key in options.keys[:number] else None)
            if server.key != key:
                server.title += " again"
            if self.servers and isinstance(server, servers.Dovecot):
                server.key_kind_wanted = self.servers[0].key_kind()
            say("starting %s" % server.title)
            self.servers.append(server)
            server.start()
            self.clients[server.key] = client.LoadClient(program, corpus_directory)
        self.report.update(
            corpus=self.facts, sync=self.sync_cost(),
            servers=[{"key": s.key, "title": s.title, "version": s.version(), "meter": s.meter.name} for s in self.servers])

    def sync_cost(self):
        """Of several looks the quietest: what the disk needs when nobody else uses it."""
        median, mean = min([measure.sync_cost(self.directory), self.report.get("sync_first", (1 << 60, 0))])
        self.report["sync_first"] = (median, mean)
        return {"median": median, "mean": mean, "file_system": measure.file_system(self.directory)}

    def run(self):
        options, figures = self.options, rounds.Figures()
        keys = [server.key for server in self.servers]
        if not options.no_rounds:
            rounds.run(self.servers, self.clients, self.facts, options, figures)
        self.report["operations"] = {t: figures.rows(t, keys) for t, _ in options.transports if not options.no_rounds}
        self.report["not_offered"] = sorted(figures.not_offered)
        targets = [Target(s, self.clients[s.key], options.transports[0][0], self.facts) for s in self.servers]
        if not options.no_throughput:
            self.report["throughput"] = special.throughput(targets, options)
        if not options.no_memory:
            self.report["memory"] = self.memory()
        self.report["sync"] = self.sync_cost()
        del self.report["sync_first"]

    def memory(self):
        results = []
        for server in self.servers:
            if server.key.endswith("-fsync"):
                continue
            counts = self.options.connections if server.key == "martlet" else self.options.peer_connections
            for connections in sorted(int(n) for n in counts.split(",")):
                for transport, _ in self.options.transports:
                    if transport == "tls" and connections > 1000:
                        continue
                    target = Target(server, self.clients[server.key], transport, self.facts)
                    results.append(special.idle_memory(target, connections, self.options.memory_messages,
                                                       self.options.settle))
        return results

    def write(self):
        judge = not self.options.self_test and self.options.keys[0] == "martlet"
        print(report.human(self.report, judge))
        if self.options.json:
            with open(self.options.json, "w", encoding="utf-8") as file:
                json.dump(self.report, file, indent=1)
        if self.options.markdown:
            with open(self.options.markdown, "w", encoding="utf-8") as file:
                file.write(report.markdown(self.report, judge))

    def close(self):
        for load in self.clients.values():
            load.close()
        for server in self.servers:
            try:
                server.stop()
            except OSError as error:
                say("bench: ending %s: %s" % (server.title, error))
        if self.options.dir is None:
            shutil.rmtree(self.directory, ignore_errors=True)


def fair(result):
    """Self-test: the geometric mean of the CPU ratios of a server against itself."""
    first, second = (s["key"] for s in result["servers"])
    ratios = [row["figures"][second][1] / row["figures"][first][1] for rows in result["operations"].values() for row in rows]
    mean = statistics.geometric_mean(ratios)
    print("self-test: %d CPU ratios, geometric mean %.3f, from %.2f to %.2f" % (len(ratios), mean, min(ratios), max(ratios)))
    return 0.9 < mean < 1.1


def ended(number, _frame):
    raise SystemExit(128 + number)


def main(arguments):
    options = parse(arguments)
    if options.list:
        list_operations()
        return 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ended)
    bench = Bench(options)
    try:
        bench.start()
        bench.run()
        bench.write()
        return 0 if not options.self_test or fair(bench.report) else 1
    except client.WrongAnswer as error:
        say("bench: wrong answer: %s" % error)
        for server in bench.servers:
            say("--- %s (%s), last output:\n%s" % (server.title, server.state(), server.last_output()))
        return 1
    except KeyboardInterrupt:
        say("bench: interrupted")
        return 130
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        bench.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
