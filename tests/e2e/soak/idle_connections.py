"""script/idle-connections: very many sessions in IDLE, what they cost, and how soon they are told of a change.

The connections come from several loopback addresses (an address has some 28,000 ports) and are held by several
processes, as each may have so many descriptors. Most accounts have ten sessions; one, the crowd, has a thousand."""
import argparse
import json
import multiprocessing
import random
import resource
import selectors
import socket
import sys
import time

from support import server as support_server
from support.imap import Imap, LitPlus, SLOW

from .evaluate import percentile
from .watch import files, pss, role, seconds
from .world import PASSWORD

EACH = 10  # sessions of an account
OWN, CROWD = 0.2 * SLOW, 1.0 * SLOW  # seconds within which all sessions must know
SPARE = 500  # descriptors that a process needs for anything else
AT_A_TIME = 100  # logins of one process under way


def arguments():
    p = argparse.ArgumentParser(prog='script/idle-connections', description=__doc__)
    p.add_argument('connections', type=int, metavar='N')
    p.add_argument('--crowd', type=int, default=1000, help='sessions that watch one mailbox (default: %(default)s)')
    p.add_argument('--probes', type=int, default=100, help='changes of each kind in single accounts (default: %(default)s)')
    p.add_argument('--seed', default='1')
    p.add_argument('--json', metavar='FILE')
    p.add_argument('--setting', action='append', default=[], metavar='NAME=VALUE', help='of the server; may be repeated')
    return p.parse_args()


def raise_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Holder:
    """One process with many connections: logs each in, and notes when which of them is told what."""

    KINDS = (b' EXISTS\r\n', b' FETCH (', b' EXPUNGE\r\n')

    def __init__(self, n, host, port):
        self.n, self.host, self.port = n, host, port
        self.poll = selectors.DefaultSelector()
        self.told = []  # (account, kind, when)
        self.ready = 0
        self.failed = []

    def connect(self, account, i):
        s = socket.socket()
        s.setsockopt(socket.SOL_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        s.bind(('127.0.%d.%d' % (1 + self.n, 1 + i // 20000), 0))
        s.setblocking(False)
        s.connect_ex((self.host, self.port))
        self.poll.register(s, selectors.EVENT_READ, [account, b'', 'greeting'])

    def open(self, accounts):
        todo = list(enumerate(accounts))[::-1]
        count, deadline = len(todo), time.monotonic() + 60 + len(todo) / 50
        under_way = 0
        while self.ready + len(self.failed) < count and time.monotonic() < deadline:
            while todo and under_way < AT_A_TIME:
                i, account = todo.pop()
                self.connect(account, i)
                under_way += 1
            before = self.ready + len(self.failed)
            self.turn(1)
            under_way -= self.ready + len(self.failed) - before

    def turn(self, timeout):
        for key, _ in self.poll.select(timeout):
            s, state = key.fileobj, key.data
            try:
                data = s.recv(16384)
            except BlockingIOError:
                continue
            except OSError as e:
                data, reason = b'', str(e)
            else:
                reason = 'closed by the server'
            now = time.monotonic()
            if not data:
                self.poll.unregister(s)
                s.close()
                self.failed.append('%s (%s): %s' % (state[0], state[2], reason))
                self.ready -= state[2] == 'idle'
            elif state[2] == 'idle':
                for n, kind in enumerate(self.KINDS):
                    if kind in data:
                        self.told.append((state[0], n, now))
            else:
                self.login(s, state, data)

    def login(self, s, state, data):
        state[1] += data
        if state[2] == 'greeting' and state[1].endswith(b'\r\n'):
            state[1], state[2] = b'', 'login'
            s.send(b'a LOGIN %s %s\r\nb SELECT INBOX\r\nc IDLE\r\n' % (state[0].encode(), PASSWORD.encode()))
        elif b'\r\n+ ' in state[1] and state[1].endswith(b'\r\n'):
            assert b'a OK' in state[1] and b'b OK' in state[1], state[1]
            state[1], state[2] = b'', 'idle'
            self.ready += 1


def hold(n, place, accounts, pipe):
    raise_limit()
    h = Holder(n, *place)
    h.open(accounts)
    pipe.send((h.ready, h.failed[:5]))
    h.poll.register(pipe, selectors.EVENT_READ, None)
    h.failed = []
    while True:
        wanted = pipe.poll(0)
        if wanted:
            if pipe.recv() == 'end':
                return
            pipe.send((h.told, h.ready, h.failed[:5]))
            h.told = []
        h.poll.unregister(pipe)
        h.turn(0.002)
        h.poll.register(pipe, selectors.EVENT_READ, None)
        h.poll.select(0.05)


class Crowd:
    """The holders, seen from the process that makes the changes."""

    def __init__(self, server, accounts, hard):
        context = multiprocessing.get_context('spawn')
        self.processes, self.pipes = [], []
        share = max(1, min(hard - SPARE, -(-len(accounts) // 3)))
        # An account's sessions are spread over the processes.
        parts = -(-len(accounts) // share)
        for n in range(parts):
            mine, theirs = context.Pipe()
            p = context.Process(target=hold, args=(n, (server.host, server.imap), accounts[n::parts], theirs), daemon=True)
            p.start()
            self.processes.append(p)
            self.pipes.append(mine)

    def opened(self):
        found = [p.recv() for p in self.pipes]
        return sum(n for n, _ in found), [text for _, failed in found for text in failed]

    def told(self):
        """[(account, kind, when)] since the last look; raises if a connection has gone."""
        out = []
        for p in self.pipes:
            p.send('told')
        for p in self.pipes:
            told, _, failed = p.recv()
            assert not failed, failed
            out += told
        return out

    def end(self):
        for p in self.pipes:
            try:
                p.send('end')
            except OSError:
                pass
        for p in self.processes:
            p.join(20)
            if p.is_alive():
                p.kill()


class Probe:
    """Makes one change after the other in an account; how long its sessions take to know, from the command's first octet."""

    CHANGES = ('new message', 'flags', 'expunge')

    def __init__(self, server, crowd):
        self.server, self.crowd = server, crowd

    def account(self, account, sessions, patience):
        """[(change, seconds until the tagged OK, [seconds until each session knew])]"""
        c = Imap(self.server.host, self.server.imap)
        try:
            c.login(account, PASSWORD)
            c.select()
            commands = (('APPEND INBOX ', LitPlus('Subject: probe\r\n\r\nhello\r\n')), ('UID STORE * +FLAGS (\\Flagged)',),
                        None)
            out = []
            for kind, change in enumerate(self.CHANGES):
                if change == 'expunge':
                    c.ok('STORE * +FLAGS.SILENT (\\Deleted)')
                    self.wait(account, 1, sessions, time.monotonic(), patience)
                command = commands[kind] or ('EXPUNGE',)
                began = time.monotonic()
                c.ok(*command)
                took = time.monotonic() - began
                out.append((change, took, self.wait(account, kind, sessions, began, patience)))
            c.ok('LOGOUT')
            return out
        finally:
            c.close()

    def wait(self, account, kind, sessions, began, patience):
        times = []
        while len(times) < sessions and time.monotonic() < began + patience:
            times += [when - began for a, k, when in self.crowd.told() if a == account and k == kind]
            if len(times) < sessions:
                time.sleep(0.002)
        return times + [float('inf')] * (sessions - len(times))


def memory(server):
    return sum(pss(pid)[0] for pid in server.pids() if role(pid))


def available():
    with open('/proc/meminfo') as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith('MemAvailable:'))


def judge(name, bound, found):
    """found: [(change, seconds to OK, [seconds])]"""
    out = {}
    for change in Probe.CHANGES:
        worst = sorted(max(times) for c, _, times in found if c == change)
        first = sorted(took for c, took, _ in found if c == change)
        out[change] = {'changes': len(worst), 'ok_p50': percentile(first, 0.5), 'p50': percentile(worst, 0.5),
                       'p99': percentile(worst, 0.99), 'max': worst[-1]}
        r = out[change]
        print('%s, %-11s  %4d changes; all sessions know after %.1f ms (median), %.1f (99 %%), %.1f (worst)' % (
            name, change, r['changes'], 1e3 * r['p50'], 1e3 * r['p99'], 1e3 * r['max']))
    late = sum(max(times) > bound for _, _, times in found)
    print('%s: %d of %d changes took more than %d ms until all sessions knew' % (name, late, len(found), 1e3 * bound))
    return out, late


def main():
    options = arguments()
    hard = raise_limit()
    ordinary = max(0, options.connections - options.crowd)
    accounts = ['crowd'] * min(options.crowd, options.connections)
    accounts += ['idle%d' % (i // EACH) for i in range(ordinary - ordinary % EACH)]
    random.Random(options.seed).shuffle(accounts)
    n = len(accounts)
    mail = max(2, -(-n * 5 // 4 // (hard - SPARE)))  # accounts are not spread quite evenly
    print('%d connections; a process may have %d descriptors here, so there are %d mail processes' % (n, hard, mail), flush=True)
    settings = ['mail.processes=%d' % mail] + options.setting
    server = support_server.make(extra=[word for s in settings for word in ('--setting', s)])
    server.start()
    crowd = None
    r = {'connections': n, 'descriptors_hard': hard, 'mail_processes': mail}
    try:
        before, free_before = memory(server), available()
        began = time.monotonic()
        crowd = Crowd(server, accounts, hard)
        r['ready'], failed = crowd.opened()
        r['open_seconds'] = time.monotonic() - began
        print('%d in IDLE after %.0f s (%.0f logins a second)' % (r['ready'], r['open_seconds'], r['ready'] / r['open_seconds']),
              flush=True)
        for text in failed:
            print('failed:', text)
        time.sleep(15)  # files of accounts that nobody has used for ten seconds are closed
        crowd.told()
        r['pss_each'] = (memory(server) - before) / max(1, r['ready'])
        r['available_each'] = (free_before - available()) / max(1, r['ready'])
        pids = [pid for pid in server.pids() if role(pid)]
        r['descriptors'] = sorted(files(pid) for pid in pids)[::-1]
        used = sum(map(seconds, pids))
        time.sleep(10)
        r['idle_cpu'] = sum(map(seconds, pids)) - used
        print('%.1f KiB each (PSS of all processes), %.1f KiB less available; most descriptors of a process: %s; '
              '%.2f s of processor time in 10 s' % (r['pss_each'] / 1024, r['available_each'] / 1024, r['descriptors'][:4],
                                                    r['idle_cpu']), flush=True)
        probe = Probe(server, crowd)
        rng = random.Random(options.seed)
        names = sorted(set(accounts) - {'crowd'})
        found = [x for name in rng.sample(names, min(options.probes, len(names))) for x in probe.account(name, EACH, 10)]
        late = late_crowd = 0
        if found:
            r['own'], late = judge('account', OWN, found)
        if options.crowd:
            found = [x for _ in range(max(5, options.probes // 5))
                     for x in probe.account('crowd', min(options.crowd, n), 20)]
            r['crowd'], late_crowd = judge('crowd of %d' % min(options.crowd, n), CROWD, found)
        r['late'], r['late_crowd'] = late, late_crowd
        crowd.end()
        crowd = None
        server.stop()
    finally:
        if crowd:
            crowd.end()
        if server.process.poll() is None:
            server.kill()
        server.remove()
    if options.json:
        with open(options.json, 'w') as f:
            json.dump(r, f, indent=1)
    sys.exit(0 if r['ready'] == n and not r['late'] and not r['late_crowd'] else 1)


if __name__ == '__main__':
    main()
