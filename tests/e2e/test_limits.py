"""Bad input, limits, clients that misbehave.

RFC 9051 sections 2.2, 4, 7.1.3, 7.1.5, 7.1 (BAD, BYE, LIMIT, TOOBIG), 5.4; RFC 7888 section 4. The rule: an
answer with a reason, and the session goes on; memory stays bounded.
"""
import random
import socket
import time

import pytest

from support import mails
from support.imap import Closed, Lit, LitPlus, ProtocolError
from support.server import PASSWORD, SANITIZED

M = b'Subject: s\r\n\r\nbody\r\n'


def answered(c, raw, status=('BAD', 'NO')):
    """raw (with the tag x1) gets an answer with a reason, and the session goes on."""
    c.running['x1'] = None
    c.send(raw)
    while True:
        r = c.read()
        if r.kind == 'BYE':
            raise Closed(repr(r))
        if r.tag == 'x1' or r.tag == '*' and r.kind == 'BAD':
            break
    assert r.kind in status and r.text, r
    c.running.pop('x1', None)
    c.tagged.pop('x1', None)
    c.ok('NOOP')
    return r


@pytest.mark.martlet('limits')
def test_line_too_long(c):
    """A line of 1 MB: refused, thrown away, the next command works."""
    answered(c, b'x1 NOOP ' + b'y' * (1 << 20) + b'\r\n')
    answered(c, b'x1 SEARCH ' + b'ALL ' * 50000 + b'\r\n')
    answered(c, b'x1 LOGIN "' + b'y' * 200000 + b'" z\r\n')


@pytest.mark.martlet('limits')
def test_line_too_long_before_login(connect, user):
    c = connect()
    answered(c, b'x1 NOOP ' + b'y' * (1 << 20) + b'\r\n')
    c.login(user, PASSWORD)


@pytest.mark.martlet('limits')
def test_endless_line(connect):
    """A line that never ends: BYE at some bound, not memory without end."""
    c = connect()
    block = b'z' * (1 << 20)
    ended = False
    try:
        c.send(b'x1 NOOP ')
        for _ in range(300):
            c.send(block, 10)
            while c.readable():
                if c.read().kind == 'BYE':
                    ended = True
                    raise Closed('BYE')
    except (Closed, OSError):
        ended = True
    assert ended, '300 MB of one line were taken'


@pytest.mark.martlet('limits')
def test_literal_beyond_command_limit(c):
    """A large literal where a string belongs: not asked for if synchronising; else read and thrown away."""
    answered(c, b'x1 SELECT {10000000}\r\n')
    answered(c, b'x1 SELECT {2000000+}\r\n' + b'y' * 2000000 + b'\r\n')
    answered(c, b'x1 SEARCH SUBJECT {2000000+}\r\n' + b'y' * 2000000 + b' ALL\r\n')


@pytest.mark.martlet('limits')
def test_large_literal_before_login(connect, user):
    """What a stranger may send is bounded."""
    c = connect()
    answered(c, b'x1 LOGIN {1000000}\r\n')
    answered(c, b'x1 LOGIN x {100000+}\r\n' + b'y' * 100000 + b'\r\n')
    c.login(user, PASSWORD)


def test_many_arguments(inbox):
    """Thousands of list elements: an answer either way."""
    inbox.append('INBOX', M)
    inbox.noop()
    for command in (b'x1 FETCH 1 (' + b'FLAGS ' * 5000 + b'UID)\r\n',
                    b'x1 FETCH 1 BODY.PEEK[HEADER.FIELDS (' + b' '.join(b'H%d' % i for i in range(3000)) + b')]\r\n',
                    b'x1 STORE 1 +FLAGS (' + b' '.join(b'k%d' % i for i in range(3000)) + b')\r\n',
                    b'x1 FETCH ' + b','.join(b'1' for _ in range(20000)) + b' UID\r\n',
                    b'x1 LIST "" (' + b' '.join(b'"p%d"' % i for i in range(3000)) + b')\r\n',
                    b'x1 ENABLE ' + b' '.join(b'X%d' % i for i in range(3000)) + b'\r\n',
                    b'x1 STATUS INBOX (' + b' '.join([b'MESSAGES'] * 3000) + b')\r\n',
                    b'x1 FETCH 1 BODY.PEEK[' + b'.'.join([b'1'] * 3000) + b']\r\n'):
        answered(inbox, command, ('OK', 'NO', 'BAD'))


def test_deep_parentheses(inbox):
    for command in (b'x1 SEARCH ' + b'(' * 10000 + b'ALL' + b')' * 10000 + b'\r\n',
                    b'x1 FETCH 1 ' + b'(' * 10000 + b'\r\n', b'x1 ID ' + b'(' * 10000 + b')' * 10000 + b'\r\n',
                    b'x1 LIST ' + b'(' * 10000 + b'\r\n', b'x1 SEARCH ' + b'NOT ' * 12000 + b'ALL\r\n',
                    b'x1 SEARCH ' + b'OR ' * 10000 + b'\r\n'):
        answered(inbox, command, ('OK', 'NO', 'BAD'))


@pytest.mark.parametrize('line', [
    b'x1 SELECT "unterminated\r\n', b'x1 SELECT "bad\\escape"\r\n', b'x1 SELECT "a\0b"\r\n', b'x1 SELECT\0 INBOX\r\n',
    b'x1\r\n', b'x1 \r\n', b'x1  NOOP\r\n', b'x1 NOOP \r\n', b'x1\tNOOP\r\n', b'x1 \xff\xfe\r\n',
    b'x1 SELECT \xc3\xa4\r\n', b'x1 SELECT {abc}\r\n', b'x1 SELECT {1\r\n', b'x1 FETCH (((((\r\n',
    b'x1 LIST "" "\\\r\n', b'x1 SELECT "a\rb"\r\n', b'x1 NO\rOP\r\n', b'x1 UID\r\n', b'x1 UID FETCH\r\n', b'x1 ]\r\n',
    b'x1 {0+}\r\n\r\n', b'x1 {3+}\r\nabc\r\n'])
def test_bad_lines(inbox, line):
    try:
        answered(inbox, line, ('OK', 'NO', 'BAD'))
    except TimeoutError:
        raise ProtocolError('no answer to %r' % line)


def test_bare_lf(inbox):
    """RFC 9051 section 2.2: lines end with CRLF; a bare LF is taken as an end or refused, not waited on."""
    inbox.running.update({'n1': 'NOOP', 'n2': 'NOOP'})
    inbox.send(b'n1 NOOP\nn2 NOOP\r\n')
    tags = []
    while 'n2' not in tags:
        r = inbox.read()
        tags.append(r.tag)
        if r.kind == 'BAD' and r.tag == '*':
            break
    inbox.running.clear()
    inbox.ok('NOOP')


def test_random_bytes(connect, user):
    """Noise of all kinds: the server answers or closes, and others are not touched."""
    rng = random.Random(5)
    witness = connect()
    witness.login(user, PASSWORD)
    pieces = [b'a1 ', b'FETCH ', b'1:* ', b'(', b')', b'"', b'{5}\r\n', b'{3+}\r\n', b'\r\n', b'\\Seen', b'BODY[', b']',
              b'SEARCH ', b'APPEND INBOX ', b'~{2+}\r\n', b'\0', b'\xff', b'LOGIN ', b'*', b'AUTHENTICATE PLAIN\r\n', b'IDLE\r\n',
              b'DONE\r\n', b' ', b'<0.5>', b'STARTTLS\r\n'[:4], b'%', b'&AAA-', b'NIL', b'99999999999', b'UID ']
    for i in range(60):
        c = connect()
        c.check_view = False
        if i % 2:
            c.login(user, PASSWORD)
            c.ok('SELECT INBOX')
        data = b''.join(rng.choice(pieces) for _ in range(rng.randint(5, 80))) + b'\r\n'
        try:
            c.send(data)
            c.sock.shutdown(socket.SHUT_WR)
            while c._fill(time.monotonic() + 10) is None:
                c.buf.clear()
        except (Closed, OSError):
            pass
        c.close()
    witness.ok('NOOP')


def test_half_closed(inbox):
    """A client that sends its last commands and closes its side still gets the answers."""
    tags = inbox.pipeline('NOOP', 'UID SEARCH ALL', 'LOGOUT')
    inbox.sock.shutdown(socket.SHUT_WR)
    seen = [r.tag for r in inbox.closed() if r.tag != '*']
    assert seen == tags or seen == []


def test_disconnect_at_any_point(server, connect, user):
    """Connections cut at every point of a session leave the server well."""
    script = (b'a LOGIN %s %s\r\nb SELECT INBOX\r\nc APPEND INBOX {%d+}\r\n%s\r\nd FETCH 1:* BODY[]\r\ne IDLE\r\n'
              % (user.encode(), PASSWORD.encode(), len(M), M))
    for cut in range(0, len(script), 3):
        with server.connect() as c:
            c.send(script[:cut])
    c = connect()
    c.login(user, PASSWORD)
    c.select()
    c.ok('FETCH 1:* UID') if c.uids else c.noop()


@pytest.mark.martlet('limits')
def test_many_bad_commands_end_the_session(connect):
    """Nothing but nonsense: BYE at last (before login rather soon)."""
    c = connect()
    with pytest.raises(Closed):
        for _ in range(200):
            c.cmd('FROB')
    assert any(r.kind == 'BYE' for r in c.log)


def test_client_that_stops_reading(server, session):
    """Issue: a client that stops reading costs a bounded buffer, and holds up nobody."""
    size = 1 << 20
    a = session(rcvbuf=4096)
    a.append('INBOX', mails.numbered(1, size))
    a.select()
    for _ in range(5):
        a.ok('COPY 1:* INBOX')
        a.noop()
    before = server.memory()
    a.send(b'f1 FETCH 1:* BODY.PEEK[]\r\n')
    a.running['f1'] = 'FETCH'
    b = session('INBOX')
    began = time.monotonic()
    peak = before
    while time.monotonic() - began < 0.5:
        b.ok('STORE 1 +FLAGS (\\Seen)')
        b.ok('STORE 1 -FLAGS (\\Seen)')
        peak = max(peak, server.memory())
    if not SANITIZED and server.name == 'martlet':
        assert peak - before < 8 << 20, 'a stopped reader costs %d kB' % ((peak - before) >> 10)
    r = a.wait('f1', 60)
    assert len(r.fetch()) == 32
    for items in r.fetch().values():
        assert items['BODY[]'] == mails.numbered(1, size)


def test_client_that_stops_reading_while_pipelining(server, session):
    """Sends without end and never reads: the server stops taking more, and memory stays bounded."""
    a = session('INBOX', rcvbuf=4096)
    before = server.memory()
    block = b''.join(b'z%d LIST "" *\r\n' % i for i in range(3000))
    sent = 0
    a.sock.settimeout(0.5)
    try:
        for _ in range(200):
            sent += a.sock.send(block)
    except (socket.timeout, OSError):
        pass
    peak = server.memory()
    session().ok('NOOP')
    if not SANITIZED and server.name == 'martlet':
        assert peak - before < 16 << 20, 'costs %d kB' % ((peak - before) >> 10)
    assert sent < 200 * len(block), 'the server took everything'


def test_client_that_stops_reading_and_goes(server, session):
    a = session(rcvbuf=4096)
    a.append('INBOX', mails.numbered(1, 1 << 20))
    a.select()
    for _ in range(4):
        a.ok('COPY 1:* INBOX')
        a.noop()
    a.send(b'f1 FETCH 1:* BODY.PEEK[]\r\n')
    a.readable(10)
    a.close()
    session().ok('NOOP')


@pytest.mark.parametrize('tls', [False, True])
def test_slow_reader_gets_everything(session, tls):
    """Read in small pieces: every byte arrives, in order."""
    a = session(tls=tls, rcvbuf=4096)
    bodies = [mails.numbered(i, 50000) for i in range(10)]
    for m in bodies:
        a.append('INBOX', m)
    a.select()
    a.send(b'f1 FETCH 1:* BODY.PEEK[]\r\n')
    a.running['f1'] = 'FETCH'
    a.sock.settimeout(20)
    while len(a.buf) < 400000:
        a.buf += a.sock.recv(1000)
    r = a.wait('f1')
    assert [r.fetch()[i + 1]['BODY[]'] for i in range(10)] == bodies


@pytest.mark.martlet
def test_unfinished_logins_do_not_block_others(server, connect, user):
    """Issue: many connections that never log in leave room for those that do."""
    idle = []
    try:
        for _ in range(300):
            s = socket.create_connection((server.host, server.imap))
            idle.append(s)
        c = connect()
        c.login(user, PASSWORD)
        c.ok('SELECT INBOX')
    finally:
        for s in idle:
            s.close()


def test_many_sessions_of_one_user(session):
    """Two hundred sessions at once, all of them answering."""
    sessions = [session('INBOX') for _ in range(200)]
    sessions[0].append('INBOX', M)
    tags = [s.start('NOOP') for s in sessions]
    for s, tag in zip(sessions, tags):
        assert s.wait(tag).status == 'OK'
        assert len(s.uids) == 1


def test_unusual_literals_in_commands(c):
    """Literals wherever a string may be (section 9)."""
    c.ok('CREATE ', Lit('lit box'))
    c.ok('SUBSCRIBE ', LitPlus('lit box'))
    assert b'lit box' in c.ok('LIST ', LitPlus(''), ' ', Lit('lit*')).names()
    c.ok('STATUS ', Lit('lit box'), ' (MESSAGES)')
    c.ok('RENAME ', LitPlus('lit box'), ' ', Lit('lit2'))
    c.ok('SELECT ', Lit('lit2'))
    c.ok('SEARCH HEADER ', Lit('Subject'), ' ', Lit('x'), ' OR FROM ', LitPlus('y'), ' TO ', Lit('z'))
    c.ok('SELECT ', LitPlus('INBOX'))
    c.ok('DELETE ', LitPlus('lit2'))


def test_empty_literals(c):
    for command in (('SELECT ', LitPlus('')), ('LIST ', LitPlus(''), ' ', LitPlus('')), ('SEARCH TEXT ', LitPlus(''))):
        r = c.cmd(*command)
        assert r.status in ('OK', 'NO', 'BAD')
    c.ok('NOOP')


def test_nul_in_literal(c):
    """Section 9: a literal holds CHAR8, never NUL."""
    r = c.cmd('SELECT ', LitPlus(b'a\0b'))
    assert r.status in ('BAD', 'NO')
    c.ok('NOOP')
