"""Clients that want to hurt (docs/reliability.md has the bounds): whatever they do, memory and CPU stay bounded, and
another user's commands take less than 50 ms, all but one in a hundred.

Each test has a server of its own, a witness who works beside the attack, and bounds on what memory and processor time
the server takes. On a machine that has other work to do, or where the witness is slower than that with nobody else
there, the bound is in proportion."""
import os
import resource
import select
import socket
import ssl
import time
import zlib

import pytest

from support import mails
from support.deflate import Deflate
from support.imap import Closed, Imap, LitPlus, q, SLOW
from support.lmtp import Lmtp
from support.server import PASSWORD, SANITIZED
from support.witness import Witness

pytestmark = pytest.mark.martlet

KB, MB = 1 << 10, 1 << 20
LATENCY = 0.05
LASTS = 2


class Attack:
    """Measures the server and the witness before, and checks both after: octets of memory, seconds of processor time."""

    def __init__(self, server, memory, cpu):
        self.server, self.bound, self.cpu_bound = server, memory, cpu

    def __enter__(self):
        self.busy = max(1.0, os.getloadavg()[0] / os.cpu_count())
        with Witness(self.server, 'alone') as w:
            time.sleep(0.7 * SLOW)
        self.alone = w.worst(0.99)
        self.witness = Witness(self.server, 'witness').__enter__()
        self.before = self.peak = self.server.memory()
        self.cpu_before = self.server.cpu()
        return self

    def look(self):
        self.peak = max(self.peak, self.server.memory())

    def rounds(self):
        """Again and again for a while: a hundredth of the witness's commands must be more than one of them."""
        until = time.monotonic() + LASTS * SLOW
        yield 0
        n = 1
        while time.monotonic() < until:
            yield n
            n += 1

    def __exit__(self, *args):
        self.look()
        cpu = self.server.cpu() - self.cpu_before
        self.witness.__exit__(*args)
        if args[0]:
            return
        took, allowed = self.witness.worst(0.99), max(LATENCY * SLOW * self.busy, 4 * self.alone)
        print('witness: %d commands, 99 %% within %.1f ms (alone %.1f), all within %.1f ms; memory +%.1f MB; cpu %.2f s' % (
            len(self.witness.times), 1e3 * took, 1e3 * self.alone, 1e3 * self.witness.times[-1],
            (self.peak - self.before) / MB, cpu))
        assert took < allowed, 'the witness waits %.0f ms' % (1e3 * took)
        if not SANITIZED:
            assert self.peak - self.before < self.bound, 'the server takes %d kB more' % ((self.peak - self.before) // KB)
            assert cpu < self.cpu_bound, 'the server takes %.1f s of processor time' % cpu


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
    with Attack(own_server, 60 * MB, 10) as attack:
        for _ in attack.rounds():
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
    with Attack(own_server, 60 * MB, 5) as attack:
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
    with Attack(own_server, 20 * MB, 5) as attack:
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
    with Attack(own_server, 20 * MB, 5) as attack:
        sessions = [login(own_server, 'user%d' % (i % 20)) for i in range(100)]
        for i, c in enumerate(sessions):
            c.send(b'a APPEND INBOX {30000000}\r\n' if i % 2 else b'a APPEND INBOX {30000000+}\r\nSubject: x\r\n')
        for _ in attack.rounds():
            attack.look()
            time.sleep(0.2)
        for c in sessions:
            c.close()
        login(own_server, 'user0').ok('NOOP')


def test_endless_lines(own_server):
    """Fifty sessions that send a line without end."""
    with Attack(own_server, 30 * MB, 5) as attack:
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
    with Attack(own_server, 20 * MB, 5) as attack:
        sessions = [login(own_server, 'user%d' % (i % 10)) for i in range(300)]
        for i, c in enumerate(sessions):
            c.ok('SELECT INBOX')
            c.send(b'i IDLE\r\n' + (b'x NOOP\r\n' * 20 if i % 2 else b''))
        attack.look()
        c = login(own_server, 'user0')
        for n in attack.rounds():
            c.append('INBOX', mails.numbered(n, 1000))
            attack.look()
        for c in sessions:
            c.close()


def client_hello():
    """A whole one, as a client would send it first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    out = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def until_closed(sockets, deadline):
    """Reads until the server has ended all of them."""
    left = set(sockets)
    while left and time.monotonic() < deadline:
        for s in select.select(left, [], [], 0.2)[0]:
            try:
                if not s.recv(65536):
                    left.remove(s)
            except BlockingIOError:
                pass
            except OSError:
                left.remove(s)
    return len(left)


@pytest.mark.settings('login.timeout=3s')
def test_tls_that_stops_half_way(own_server):
    """A handshake that is begun and not gone on with, STARTTLS and then silence, or something else than TLS."""
    with Attack(own_server, 60 * MB, 5) as attack:
        sockets = flood(own_server, 250, own_server.imaps, client_hello())
        sockets += flood(own_server, 100, own_server.imap, b'a STARTTLS\r\n')
        sockets += flood(own_server, 100, own_server.imap, b'a STARTTLS\r\n' + client_hello())
        for s in flood(own_server, 100, own_server.imap, b'a STARTTLS\r\n'):
            time.sleep(0.002)
            try:
                s.send(b'\x16\x03\x01' + b'x' * 5000)
            except OSError:
                pass
            sockets.append(s)
        try:
            attack.look()
            c = own_server.connect(tls=True)
            c.login('fred', PASSWORD)
            assert until_closed(sockets, time.monotonic() + 15 * SLOW) == 0
        finally:
            close_all(sockets)


def test_slow_readers(own_server):
    """Sixty sessions ask for 100 MB each, plain, over TLS and compressed, and hardly read."""
    c = login(own_server, 'fred')
    c.ok('APPEND INBOX ', *sum(([' ', LitPlus(mails.numbered(j, 200000))] for j in range(100)), [])[1:], timeout=60)
    with Attack(own_server, 40 * MB, 10) as attack:
        sessions = []
        for i in range(60):
            s = own_server.connect(tls=i % 3 == 1, rcvbuf=4096)
            s.login('fred', PASSWORD)
            if i % 3 == 2:
                s.ok('COMPRESS DEFLATE')
                Deflate(s)
            s.ok('SELECT INBOX')
            sessions.append(s)
        for s in sessions:
            s.send(b''.join(b'x%d FETCH 1:* BODY.PEEK[]\r\n' % n for n in range(5)))
        for _ in range(20):
            for s in sessions:
                s.sock.recv(1)
            attack.look()
            time.sleep(0.1)
        for s in sessions:
            s.close()
        c.ok('NOOP')


@pytest.mark.settings('mail.processes=1')
def test_greedy_readers(own_server):
    """Forty sessions, half of them compressed, that read 100 MB each as fast as they can."""
    c = login(own_server, 'fred')
    c.ok('APPEND INBOX ', *sum(([' ', LitPlus(mails.numbered(j, 200000))] for j in range(100)), [])[1:], timeout=60)
    sockets = []
    for i in range(40):
        s = login(own_server, 'fred')
        if i % 2:
            s.ok('COMPRESS DEFLATE')
            Deflate(s)
        s.ok('SELECT INBOX')
        sockets.append((s, s.sock.sock if i % 2 else s.sock))
    with Attack(own_server, 40 * MB, 10) as attack:
        for s, _ in sockets:
            s.send(b'x FETCH 1:* BODY.PEEK[]\r\n' * 5)
        sockets = [raw for _, raw in sockets]
        until = time.monotonic() + 3
        while time.monotonic() < until:
            for s in select.select(sockets, [], [], 0.1)[0]:
                s.recv(1 << 20)
            attack.look()
    close_all(sockets)
    c.ok('NOOP')


def test_slow_senders_after_login(own_server):
    """Two hundred sessions whose commands and literals come one octet at a time."""
    text = b'a APPEND INBOX {100000+}\r\nSubject: slow\r\n\r\n' + b'x' * 100
    with Attack(own_server, 20 * MB, 5) as attack:
        sessions = [login(own_server, 'user%d' % (i % 20)) for i in range(200)]
        for octet in text:
            for c in sessions:
                c.sock.send(bytes([octet]))
            attack.look()
            time.sleep(0.01)
        for c in sessions:
            c.close()
        login(own_server, 'user0').ok('NOOP')


def bomb(start, size, end=b''):
    """start, `size` zeros and end, compressed as well as it can be done."""
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = b'0' * (1 << 20)
    return z.compress(start) + b''.join(z.compress(zeros) for _ in range(size >> 20)) + z.compress(end) + z.flush(zlib.Z_SYNC_FLUSH)


def test_compression_bombs(own_server):
    """128 KB that become 128 MB: as a line, as a literal of a command, as a message, from twenty sessions."""
    size = 128 * MB
    bombs = [bomb(b'a NOOP ', size, b'\r\n'), bomb(b'a SEARCH SUBJECT {%d+}\r\n' % size, size, b'\r\n'),
             bomb(b'a APPEND INBOX {%d+}\r\n' % (3 * size), size), bomb(b'a CREATE "', size, b'"\r\n')]
    with Attack(own_server, 40 * MB, 15) as attack:
        for _ in attack.rounds():
            sessions = []
            for i in range(20):
                c = login(own_server, 'user%d' % (i % 5))
                c.ok('COMPRESS DEFLATE')
                c.sock.setblocking(False)
                sessions.append(c)
            left = [(c.sock, memoryview(bombs[i % len(bombs)])) for i, c in enumerate(sessions)]
            deadline = time.monotonic() + 60 * SLOW
            while left and time.monotonic() < deadline:
                attack.look()
                still = []
                for s, rest in left:
                    try:
                        n = s.send(rest)
                        if n < len(rest):
                            still.append((s, rest[n:]))
                    except BlockingIOError:
                        still.append((s, rest))
                    except OSError:
                        pass  # BYE, and closed
                left = still
                time.sleep(0.02)
            assert not left
            for _ in range(20):
                attack.look()
                time.sleep(0.05)
            for c in sessions:
                c.close()
        login(own_server, 'user0').ok('NOOP')


def test_literals_for_everything(own_server):
    """Literals of any announced size where none of that size belongs, before and after login: refused, not waited for
    in memory."""
    sizes = (b'4294967296', b'99999999999999999999', b'2147483647', b'100000000')
    commands = (b'LOGIN', b'AUTHENTICATE', b'SELECT', b'SEARCH SUBJECT', b'ID', b'CREATE', b'STORE 1 FLAGS', b'XYZZY')
    with Attack(own_server, 20 * MB, 10) as attack:
        for n in attack.rounds():
            logged_in = n % 2 == 0
            for command in commands:
                for size in sizes:
                    for plus in (b'', b'+'):
                        c = login(own_server, 'fred') if logged_in else own_server.connect()
                        c.send(b'a ' + command + b' {' + size + plus + b'}\r\n' + b'x' * 50000)
                        r = c.read()
                        assert r.kind in ('BAD', 'NO', 'BYE'), r
                        c.close()
            attack.look()


def test_endless_lines_before_login(own_server):
    """A hundred connections that never end their first line."""
    with Attack(own_server, 20 * MB, 5) as attack:
        for _ in attack.rounds():
            left = flood(own_server, 100, own_server.imap)
            sockets, block, sent = list(left), b'x' * 65536, 0
            deadline = time.monotonic() + 20 * SLOW
            while left and time.monotonic() < deadline and sent < 400 * MB:
                for s in list(left):
                    try:
                        sent += s.send(block)
                    except BlockingIOError:
                        pass
                    except OSError:
                        left.remove(s)
                attack.look()
            close_all(sockets)
        login(own_server, 'fred').ok('NOOP')


def test_names_of_every_octet(own_server):
    """IMAP4rev1, raw octets 1 to 255, as a literal and in a quoted string: an answer to each, and LIST goes on."""
    c = login(own_server, 'fred')
    with Attack(own_server, 20 * MB, 5) as attack:
        for _ in attack.rounds():
            for octet in range(1, 256):
                for name in (b'o' + bytes([octet]), b'a' + bytes([octet]) + b'b', bytes([octet]) * 3 + b'/x'):
                    r = c.cmd(b'CREATE ', LitPlus(name))
                    assert r.status in ('OK', 'NO', 'BAD'), (name, r)
                    exists = r.status == 'OK' or r.code == 'ALREADYEXISTS'
                    if exists:
                        assert c.cmd(b'STATUS ', LitPlus(name), ' (MESSAGES)').status == 'OK', name
                    if octet not in b'\r\n"\\' and octet < 128:
                        again = c.cmd(b'STATUS "' + name + b'" (MESSAGES)').status
                        assert again == 'OK' if exists else again in ('NO', 'BAD'), (name, r)
        assert len(c.ok('LIST "" "*"').names()) > 100


def test_deliveries_that_never_end(own_server):
    """Hundreds of LMTP connections: silent, with lines without end, with thousands of recipients, with messages that
    are never finished; an ordinary delivery goes through beside them."""
    block = b'x' * 65536
    begin = b'LHLO x\r\nMAIL FROM:<a@example.org>\r\n'
    with Attack(own_server, 80 * MB, 15) as attack:
        sockets = flood(own_server, 100, own_server.lmtp)
        sockets += flood(own_server, 50, own_server.lmtp, begin + b'RCPT TO:<' + b'y' * 5000)
        sockets += flood(own_server, 50, own_server.lmtp, begin + b'RCPT TO:<fred>\r\n' * 3000)
        sockets += flood(own_server, 100, own_server.lmtp, begin + b'RCPT TO:<fred>\r\nDATA\r\nSubject: endless\r\n\r\n')
        try:
            for n in attack.rounds():
                for s in sockets:
                    try:
                        s.send(block if n % 2 else b'z\r\n')
                        s.recv(65536)
                    except OSError:
                        pass
                attack.look()
                c = Lmtp(own_server.host, own_server.lmtp)
                c.lhlo()
                assert c.deliver('a@example.org', ['user%d' % n], mails.numbered(n)) == ([250], [250])
                c.close()
        finally:
            close_all(sockets)
    c = login(own_server, 'fred')
    assert c.select().codes() and c.uids == [], 'nothing of what was not finished is delivered'


def test_certain_passwords(own_server):
    """A thousand wrong passwords from everywhere at once, on the witness's own account too: he stays connected, and
    others get in."""
    with Attack(own_server, 40 * MB, 10) as attack:
        for _ in attack.rounds():
            sockets = flood(own_server, 500, own_server.imap, b'a LOGIN witness wrong\r\nb LOGIN fred wrong\r\n')
            attack.look()
            began = time.monotonic()
            c = login(own_server, 'somebody')
            c.ok('NOOP')
            c.close()
            assert time.monotonic() - began < 5 * SLOW
            close_all(sockets)


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
    with Attack(own_server, 30 * MB, 60) as attack:
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
    with Attack(own_server, 40 * MB, 15) as attack:
        for key in (' '.join('OR SUBJECT x%d' % i for i in range(2000)) + ' ALL',
                    'NOT ' * 3000 + 'SEEN',
                    ' '.join('NOT BODY y%d' % i for i in range(60)),
                    '(' * 200 + 'ALL' + ')' * 200,
                    'OR ' * 5000 + 'ALL ' * 5001,
                    '(' + 'OR (' * 3000 + 'ALL' + ') SEEN' * 3000 + ')',
                    ','.join('%d:*' % (i % 20000 + 1) for i in range(10000)),
                    'UID ' + ','.join('*:%d' % i for i in range(1, 9000))):
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
    with Attack(own_server, 60 * MB, 90) as attack:
        for i in range(20):
            make_mailboxes(c, [b'box %d/%d' % (i, j) for j in range(5000)])
            attack.look()
        assert len(c.ok('LIST "" "*"', timeout=60).names()) > 100000
        for pattern in ('%*' * 100, '*1' * 50, '%' * 500):
            assert c.cmd('LIST "" "%s"' % pattern, timeout=60 * SLOW).status in ('OK', 'NO')
            attack.look()
        c.ok('LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN) SUBSCRIBED)', timeout=60 * SLOW)
        attack.look()


def test_names_of_every_kind(own_server):
    """Mailbox names with each character that there is up to U+04FF, and malformed ones: all of them are taken or
    refused, and those that were taken are listed."""
    c = login(own_server, 'fred')
    c.enable_rev2()
    taken = set()
    with Attack(own_server, 20 * MB, 5):
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
    with Attack(own_server, 20 * MB, 5) as attack:
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
        for _ in attack.rounds():
            assert c.cmd('STORE 1 FLAGS.SILENT (%s)' % words, timeout=60).status == 'NO'
    assert refused
    c.ok('STORE 1 FLAGS (k1 \\Seen)')


def test_connections_from_everywhere_in_turn(own_server):
    """Connect, half a login, gone: 2,000 times."""
    with Attack(own_server, 20 * MB, 5) as attack:
        for _ in attack.rounds():
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
