"""script/crash: kills the processes of a server under load, again and again, and compares (see record.py, clients.py).

    script/crash [--kills N] [--seed S] [--clients N] [--dir DIR] [--json FILE]

Fails with the first broken promise, says which, and keeps the directory.
"""
import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

from crashes.clients import AWAY, Client, Observer
from crashes.record import Ledger, Violation
from support import server as support_server
from support.imap import SLOW
from support.server import BUILD_TYPE, ROOT, children

# The whole: the supervisor with all others, which it takes along.
VICTIMS = [('martlet-mail', 50), ('all of martlet-mail', 8), ('martlet-login', 10), ('martlet-auth', 8),
           ('martlet-metrics', 2), ('supervisor', 12), ('whole', 10)]
SETTINGS = ('mail.processes=2', 'login.processes=1', 'mail.quarantine=0s', 'auth.masters=["admin"]')
CTL = os.path.join(ROOT, 'build-' + BUILD_TYPE, 'src', 'tools', 'martletctl')


def names(server):
    """pid -> name of what belongs to the server."""
    found = {}
    for pid in children(server.process.pid):
        try:
            with open('/proc/%d/comm' % pid) as f:
                name = f.read().strip()
        except OSError:
            continue
        if name.startswith('martlet-') and not support_server.zombie(pid):
            found[pid] = name
    return found


class Run:
    def __init__(self, seed, clients, accounts, directory=None):
        self.seed, self.accounts = seed, accounts
        self.random = random.Random('%s kills' % seed)
        self.ledger, self.failed = Ledger(), threading.Event()
        port, = support_server.free_ports(1)
        extra = [w for s in SETTINGS + ('metrics.listen=["127.0.0.1:%d"]' % port,) for w in ('--setting', s)]
        self.server = support_server.make(directory, extra)
        users = ['crash%d' % i for i in range(accounts)]
        self.clients = [Client(self, i, users) for i in range(clients)]
        self.observers = [Observer(self, u, [c.tree for c in self.clients if c.user == u]) for u in users]
        self.kills = {}
        self.maintained = 0
        self.tool = None

    def start(self):
        self.server.start()
        for c in self.clients:
            c.prepare()
        self.expected = sorted(names(self.server).values())
        for t in self.clients + self.observers:
            t.start()

    def check(self):
        for t in self.clients + self.observers:
            if t.trouble:
                raise t.trouble

    def acknowledged(self):
        return sum(c.acknowledged for c in self.clients)

    def complete(self):
        return sorted(names(self.server).values()) == self.expected

    def until(self, condition, what):
        deadline = time.monotonic() + AWAY
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise Violation('%s; processes: %r' % (what, names(self.server)))
            time.sleep(0.01)

    def maintain(self):
        """An administrator's work, which may be cut off as well."""
        if self.tool and self.tool.poll() is None:
            return
        words = self.random.choice((['compact', '--erase'], ['compact'], ['checkpoint'], ['check']))
        self.tool = subprocess.Popen([CTL, '-q', '-c', self.server.dir + '/martlet.conf'] + words + ['--all'],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.maintained += 1

    def kill(self):
        victim, = self.random.choices([v for v, _ in VICTIMS], [w for _, w in VICTIMS])
        self.kills[victim] = self.kills.get(victim, 0) + 1
        if victim in ('supervisor', 'whole'):
            old = self.server.pids()
            if victim == 'whole':
                self.server.kill()
            else:
                os.kill(self.server.process.pid, signal.SIGKILL)
                self.server.process.wait(AWAY)
                self.until(lambda: all(support_server.zombie(p) for p in old), 'processes stay without a supervisor')
            self.server.start()
            return
        found = names(self.server)
        wanted = victim.split()[-1]
        pids = [p for p, name in found.items() if name == wanted]
        for pid in pids if victim.startswith('all') else self.random.sample(pids, min(1, len(pids))):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def campaign(self, kills, say):
        for n in range(kills):
            again = n and self.random.random() < 0.12
            if not again:
                # Everybody is at work again, and has been for a random while.
                self.until(self.complete, 'not all processes are there again')
                before, work = {c: c.done for c in self.clients}, self.random.randrange(1, 6)
                self.until(lambda: all(c.done >= before[c] + work for c in self.clients), 'the clients do not get on')
                if self.random.random() < 0.3:
                    self.maintain()
            # Otherwise: while it is coming back, and opens the logs.
            time.sleep(self.random.random() * (0.4 if again else 0.05) * SLOW)
            self.kill()
            self.check()
            if n % 25 == 24:
                say('%d kills, %d changes acknowledged, %d cut off' % (n + 1, self.acknowledged(), sum(c.whole + c.none for c in self.clients)))
        self.until(self.complete, 'not all processes are there again')

    def end(self):
        for t in self.clients + self.observers:
            t.stopping = True
        for t in self.clients + self.observers:
            t.join(AWAY)
            if t.is_alive():
                raise Violation('%s does not end' % t.name)
        self.check()
        self.whole_on_disk(['check'])
        self.whole_on_disk(['rebuild'])
        for c in self.clients:
            c.kind = 'rebuild'
            c.settle()
        self.whole_on_disk(['check'])
        for c in self.clients:
            c.c.close()
        self.server.stop()

    def whole_on_disk(self, words):
        done = subprocess.run([CTL, '--json', '-c', self.server.dir + '/martlet.conf'] + words + ['--all'],
                              capture_output=True, text=True, timeout=AWAY * 2)
        lines = [json.loads(x) for x in done.stdout.splitlines()]
        if done.returncode or len(lines) < self.accounts or any(x['result'] != 'ok' or x['findings'] for x in lines):
            raise Violation('martletctl %s: %d %s %s' % (words, done.returncode, done.stdout, done.stderr))

    def figures(self):
        kinds = {}
        for c in self.clients:
            for k, n in c.kinds.items():
                kinds[k] = kinds.get(k, 0) + n
        return {
            'seed': self.seed, 'clients': len(self.clients), 'kills': sum(self.kills.values()), 'victims': self.kills,
            'acknowledged': self.acknowledged(), 'kinds': kinds, 'maintained': self.maintained,
            'connections_lost': sum(c.connects - 1 for c in self.clients),
            'cut_off_whole': sum(c.whole for c in self.clients), 'cut_off_none': sum(c.none for c in self.clients),
            'refused': sum(c.refused for c in self.clients), 'longest_away': round(max(c.longest for c in self.clients), 2),
            'mailboxes_compared': self.ledger.looks, 'contents': len(self.ledger.contents), 'modseqs': len(self.ledger.changes)}


def crash(kills, seed, clients=6, accounts=4, directory=None, say=lambda text: None):
    """A whole run; its figures. Keeps the server's directory if it fails."""
    run = Run(seed, clients, accounts, directory)
    try:
        run.start()
        run.campaign(kills, say)
        run.end()
        run.server.check_output()
    except BaseException:
        if run.server.process.poll() is None:
            run.server.kill()
        say('kept: %s' % run.server.dir)
        with open(run.server.dir + '/output', 'w') as f:
            f.write(run.server.text())
        raise
    run.server.remove()
    return run.figures()


def main():
    parser = argparse.ArgumentParser(prog='script/crash', description=__doc__.split('\n')[0])
    parser.add_argument('--kills', type=int, default=300)
    parser.add_argument('--seed', default=str(int(time.time())))
    parser.add_argument('--clients', type=int, default=6)
    parser.add_argument('--accounts', type=int, default=4)
    parser.add_argument('--dir')
    parser.add_argument('--json')
    o = parser.parse_args()
    print('seed %s' % o.seed, flush=True)
    began = time.monotonic()
    figures = crash(o.kills, o.seed, o.clients, o.accounts, o.dir, lambda text: print(text, flush=True))
    figures['seconds'] = round(time.monotonic() - began)
    if o.json:
        with open(o.json, 'w') as f:
            json.dump(figures, f, indent=1)
    print(json.dumps(figures, indent=1))
    print('nothing is lost')


if __name__ == '__main__':
    sys.exit(main())
