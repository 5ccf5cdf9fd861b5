"""Clients that want to hurt (docs/reliability.md has the bounds): whatever they do, memory and CPU stay bounded, and
another user's commands take less than 50 ms, all but one in a hundred.

Each test has a server of its own, a witness who works beside the attack, and a bound on the server's memory. On a
machine where the witness is slower than that with nobody else there, the bound is relative to that."""
import resource
import select
import socket
import time

import pytest

from support import mails
from support.imap import Closed, Imap, LitPlus, q, SLOW
from support.server import PASSWORD, SANITIZED
from support.witness import Witness

pytestmark = pytest.mark.martlet

KB, MB = 1 << 10, 1 << 20
LATENCY = 0.05


class Attack:
    """Measures the server and the witness before, and checks both after."""

    def __init__(self, server, memory):
        self.server, self.bound = server, memory

    def __enter__(self):
        with Witness(self.server, 'alone') as w:
            time.sleep(0.4 * SLOW)
        self.alone = w.worst(0.99)
        self.witness = Witness(self.server, 'witness').__enter__()
        self.before = self.peak = self.server.memory()
        return self

    def look(self):
        self.peak = max(self.peak, self.server.memory())

    def __exit__(self, *args):
        self.look()
        self.witness.__exit__(*args)
        if args[0]:
            return
        took, allowed = self.witness.worst(0.99), max(LATENCY * SLOW, 4 * self.alone)
        print('witness: %d commands, 99 %% within %.1f ms (alone %.1f), all within %.1f ms; memory +%.1f MB' % (
            len(self.witness.times), 1e3 * took, 1e3 * self.alone, 1e3 * self.witness.times[-1],
            (self.peak - self.before) / MB))
        assert took < allowed, 'the witness waits %.0f ms' % (1e3 * took)
        if not SANITIZED:
            assert self.peak - self.before < self.bound, 'the server takes %d kB more' % ((self.peak - self.before) // KB)


def files(n):
    """So many descriptors for this process; how many there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(n, hard)), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def login(server, user):
    c = server.connect()
    c.login(user, PASSWORD)
    return c


def source(i):
    return '127.0.%d.%d' % (1 + i // 250 % 250, 1 + i % 250)


def flood(server, n, port, first=b''):
    """n connections from many addresses that say `first` and nothing more; those that stay."""
    found = []
    for i in range(n):
        s = socket.socket()
        s.bind((source(i), 0))
        s.settimeout(10)
        try:
            s.connect((server.host, port))
            s.setblocking(False)
            if first:
                s.send(first)
            found.append(s)
        except OSError:
            s.close()
    return found


def close_all(sockets):
    for s in sockets:
        s.close()


@pytest.mark.settings('login.unfinished=1000')
def test_connections_that_never_log_in(own_server):
    """10,000 of them: the oldest are closed for new ones; whoever has a password gets in."""
    n = min(10000, files(12000) - 1000) if not SANITIZED else 1500
    with Attack(own_server, 100 * MB) as attack:
        sockets = []
        try:
            for part in range(10):
                sockets += flood(own_server, n // 10, own_server.imap)
                attack.look()
                c = login(own_server, 'fred')
                c.ok('NOOP')
                c.close()
        finally:
            close_all(sockets)
        assert len(sockets) > n * 0.9


@pytest.mark.settings('login.timeout=3s')
def test_half_open_tls(own_server):
    """The beginning of a ClientHello, and then silence: closed in time."""
    hello = bytes.fromhex('16030100c8010000c40303') + bytes(20)
    with Attack(own_server, 60 * MB) as attack:
        sockets = flood(own_server, 500, own_server.imaps, hello)
        try:
            attack.look()
            c = own_server.connect(tls=True)
            c.login('fred', PASSWORD)
            deadline = time.monotonic() + 15 * SLOW
            for s in sockets:  # the server ends them
                assert select.select([s], [], [], max(0, deadline - time.monotonic()))[0]
        finally:
            close_all(sockets)


@pytest.mark.settings('login.timeout=3s')
def test_slow_senders(own_server):
    """An octet now and then does not keep a connection open before login."""
    with Attack(own_server, 60 * MB) as attack:
        sockets = flood(own_server, 300, own_server.imap)
        try:
            deadline = time.monotonic() + 15 * SLOW
            left = list(sockets)
            while left and time.monotonic() < deadline:
                for s in list(left):
                    try:
                        s.send(b'a')
                        while s.recv(4096):
                            pass
                        left.remove(s)
                    except BlockingIOError:
                        pass
                    except OSError:
                        left.remove(s)
                attack.look()
                time.sleep(0.2)
            assert not left, '%d connections are still there' % len(left)
        finally:
            close_all(sockets)


def test_literals_that_never_come(own_server):
    """30 MB announced by each of 100 sessions, with nothing after it."""
    with Attack(own_server, 40 * MB) as attack:
        sessions = [login(own_server, 'user%d' % (i % 20)) for i in range(100)]
        for i, c in enumerate(sessions):
            c.send(b'a APPEND INBOX {30000000}\r\n' if i % 2 else b'a APPEND INBOX {30000000+}\r\nSubject: x\r\n')
        attack.look()
        time.sleep(0.5)
        attack.look()
        for c in sessions:
            c.close()
        login(own_server, 'user0').ok('NOOP')


def test_endless_lines(own_server):
    """Fifty sessions that send a line without end."""
    with Attack(own_server, 60 * MB) as attack:
        sessions = [login(own_server, 'user%d' % i) for i in range(50)]
        block = b'x' * 65536
        for c in sessions:
            c.sock.setblocking(False)
        for _ in range(30):
            for c in sessions:
                try:
                    c.sock.send(block)
                except OSError:
                    pass
            attack.look()
        for c in sessions:
            c.close()


def test_idle_without_done(own_server):
    """Three hundred sessions in IDLE that send another command instead of DONE, or nothing more."""
    with Attack(own_server, 60 * MB) as attack:
        sessions = [login(own_server, 'user%d' % (i % 10)) for i in range(300)]
        for i, c in enumerate(sessions):
            c.ok('SELECT INBOX')
            c.send(b'i IDLE\r\n' + (b'x NOOP\r\n' * 20 if i % 2 else b''))
        attack.look()
        c = login(own_server, 'user0')
        c.append('INBOX', mails.numbered(1, 1000))
        attack.look()
        for c in sessions:
            c.close()


def make_mailboxes(c, names):
    tags = []
    for i in range(0, len(names), 500):
        tags += c.pipeline(*[b'CREATE ' + q(n) for n in names[i:i + 500]])
        while len(tags) > 500:
            assert c.wait(tags.pop(0)).status == 'OK'
    for tag in tags:
        assert c.wait(tag).status == 'OK'


def test_exploding_patterns(own_server):
    """LIST over 5,000 mailboxes with patterns that make a naive matcher try for ever."""
    c = login(own_server, 'fred')
    make_mailboxes(c, [b'a' * 60 + b'/%d' % i for i in range(5000)])
    with Attack(own_server, 60 * MB) as attack:
        for pattern in ('%*' * 100, '*a' * 60, '%a%a*' * 40 + 'b', '*' * 400, '*' * 2000):
            began = time.monotonic()
            assert c.cmd('LIST "" "%s"' % pattern, timeout=60).status in ('OK', 'NO')
            assert time.monotonic() - began < 10 * SLOW, pattern
            attack.look()
        c.cmd('LIST "" (' + ' '.join('%' + 'a*' * 30 + str(i) for i in range(200)) + ')', timeout=60)
        attack.look()


def test_exploding_searches(own_server):
    """Thousands of ORs, nested or in a row, over 20,000 messages."""
    c = login(own_server, 'fred')
    for i in range(20):
        c.ok('APPEND INBOX ', *sum(([' ', LitPlus(mails.numbered(j, 200))] for j in range(1000)), [])[1:], timeout=60)
    c.select()
    with Attack(own_server, 80 * MB) as attack:
        for key in (' '.join('OR SUBJECT x%d' % i for i in range(2000)) + ' ALL',
                    'NOT ' * 3000 + 'SEEN',
                    ' '.join('NOT BODY y%d' % i for i in range(60)),
                    '(' * 200 + 'ALL' + ')' * 200):
            r = c.cmd('SEARCH ' + key, timeout=60 * SLOW)
            assert r.status in ('OK', 'NO', 'BAD')
            attack.look()
        tags = c.pipeline(*['UID SEARCH TEXT "zzz%d"' % i for i in range(30)])
        for tag in tags:
            assert c.wait(tag, 60 * SLOW).status == 'OK'
            attack.look()


@pytest.mark.slow
def test_hundred_thousand_mailboxes(own_server):
    c = login(own_server, 'fred')
    with Attack(own_server, 120 * MB) as attack:
        for i in range(20):
            make_mailboxes(c, [b'box %d/%d' % (i, j) for j in range(5000)])
            attack.look()
        assert len(c.ok('LIST "" "*"', timeout=60).names()) > 100000
        attack.look()


def test_names_of_every_kind(own_server):
    """Mailbox names with each character that there is up to U+04FF, and malformed ones: all of them are taken or
    refused, and those that were taken are listed."""
    c = login(own_server, 'fred')
    c.enable_rev2()
    taken = set()
    with Attack(own_server, 40 * MB):
        for code in range(1, 0x500):
            text = 'n%sx' % chr(code)
            name = text.encode()
            if code in (10, 13):
                continue
            r = c.cmd(b'CREATE ', LitPlus(name))
            assert r.status in ('OK', 'NO', 'BAD'), (code, r)
            if r.status == 'OK':
                taken.add(code)
        for raw in (b'\xff', b'\xc3', b'a\xed\xa0\x80', b'\xf4\x90\x80\x80', b'\xc0\xaf', b'&', b'&AAA', b'a' * 5000):
            r = c.cmd(b'CREATE ', LitPlus(raw))
            assert r.status in ('NO', 'BAD') or raw == b'&' or raw == b'&AAA', raw
        listed = c.ok('LIST "" "*"').names()
        assert len(taken) > 1000 and len(listed) > 1000
        for name in listed:
            assert c.cmd(b'STATUS ', LitPlus(name if isinstance(name, bytes) else name.encode()), ' (MESSAGES)').status == 'OK', name


def test_hundred_thousand_keywords(own_server):
    """There is a limit to how many keywords an account may make; what exists goes on working."""
    c = login(own_server, 'fred')
    c.append('INBOX', mails.numbered(1, 200))
    c.select()
    refused = 0
    with Attack(own_server, 60 * MB) as attack:
        for i in range(0, 100000, 200):
            words = ' '.join('k%d' % j for j in range(i, i + 200))
            r = c.cmd('STORE 1 FLAGS.SILENT (%s)' % words, timeout=60)
            refused += r.status != 'OK'
            if r.status != 'OK':
                assert r.code in ('LIMIT', 'CANNOT'), r
            if refused > 20:
                break
            if i % 4000 == 0:
                attack.look()
    assert refused
    c.ok('STORE 1 FLAGS (k1 \\Seen)')


def test_connections_from_everywhere_in_turn(own_server):
    """Connect, half a login, gone: 2,000 times."""
    with Attack(own_server, 60 * MB) as attack:
        for i in range(2000):
            s = socket.create_connection((own_server.host, own_server.imap))
            if i % 3 == 1:
                s.send(b'a LOGIN fred')
            elif i % 3 == 2:
                s.send(b'a AUTHENTICATE PLAIN\r\n')
            s.close()
            if i % 200 == 0:
                attack.look()
        login(own_server, 'fred').ok('NOOP')
