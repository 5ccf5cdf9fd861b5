"""COMPRESS=DEFLATE (RFC 4978), with Python's zlib as the client."""
import os
import time
import zlib

import pytest

from support import mails
from support.deflate import Deflate
from support.imap import Closed, Lit, LitPlus

FLUSHES = [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH]


def compress(c, **more):
    r = c.ok('COMPRESS DEFLATE')
    assert not c.buf, 'bytes after the answer that the client has not asked for'
    c.deflate = Deflate(c, **more)
    return r


@pytest.fixture
def z(c):
    compress(c)
    return c


def test_capability(c, connect):
    assert 'COMPRESS=DEFLATE' in c.ok('CAPABILITY').one('CAPABILITY').data
    assert 'COMPRESS=DEFLATE' not in connect().ok('CAPABILITY').one('CAPABILITY').data


def test_example(connect, user):
    """Section 3, first example: TLS, then login, then COMPRESS in any case of letters."""
    from support.server import PASSWORD
    c = connect()
    c.starttls()
    c.login(user, PASSWORD)
    c.ok('compress deflate')
    Deflate(c)
    c.select()
    c.append('INBOX', mails.numbered(1))
    c.noop()
    assert c.ok('FETCH 1 BODY[]').fetch()[1]['BODY[]'] == mails.numbered(1)
    c.ok('LOGOUT')


def test_twice(z):
    """Section 3: BAD when COMPRESS is active already; nothing changes by it."""
    assert z.bad('COMPRESS DEFLATE').code == 'COMPRESSIONACTIVE'
    z.ok('NOOP')


def test_refused(c):
    for wrong in ('COMPRESS', 'COMPRESS LZ4', 'COMPRESS DEFLATE x', 'COMPRESS "DEFLATE"'):
        c.bad(wrong)
    c.ok('NOOP')  # still plain


@pytest.mark.parametrize('tls', [False, True])
@pytest.mark.parametrize('flush', FLUSHES)
def test_everything(session, flush, tls):
    """Commands, literals, large bodies both ways, however the client flushes."""
    c = session(tls=tls)
    compress(c, flush=flush)
    c.select()
    noise = os.urandom(150000).hex().encode()
    big = b'Subject: big\r\n\r\n' + b'\r\n'.join(noise[i:i + 70] for i in range(0, len(noise), 70)) + b'\r\n'
    for i in range(40):
        c.append('INBOX', mails.numbered(i))
    c.append('INBOX', big)
    c.ok('APPEND INBOX ', Lit(mails.numbered(99)))
    c.noop()
    assert c.ok('FETCH 41 BODY.PEEK[]').fetch()[41]['BODY[]'] == big
    fetched = c.ok('FETCH 1:40 (FLAGS BODY.PEEK[])').fetch()
    assert [fetched[i + 1]['BODY[]'] for i in range(40)] == [mails.numbered(i) for i in range(40)]
    t = c.idle()
    c.done(t)
    assert c.deflate.received < c.deflate.plain


def test_efficiency(z):
    """Section 4: answers shrink to a quarter or so."""
    for i in range(50):
        z.append('INBOX', mails.numbered(i))
    z.select()
    before = z.deflate.received, z.deflate.plain
    z.ok('FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)')
    assert (z.deflate.received - before[0]) * 4 < z.deflate.plain - before[1]


def test_pipelined(z):
    """Compressed commands may be pipelined, and arrive in any pieces."""
    data = z.deflate.encode(b''.join(b'p%d NOOP\r\n' % i for i in range(200)))
    for i in range(0, len(data), 3):
        z.deflate.sock.sendall(data[i:i + 3])
    tags = set()
    while len(tags) < 200:
        tags.add(z.read().tag)


def test_too_early(c):
    """A client must wait for the answer; one that sends compressed commands at once is understood."""
    d = Deflate(c)
    d.sock.sendall(b'a0 NOOP\r\nz1 COMPRESS DEFLATE\r\n' + d.encode(b'z2 NOOP\r\n' * 1) + d.encode(b'z3 CAPABILITY\r\n'))
    c.sock = d.sock
    raw = b''
    while b'z1 OK' not in raw or not raw.split(b'z1 OK')[1].count(b'\r\n'):
        raw += c.sock.recv(65536)
    rest = raw[raw.index(b'\r\n', raw.index(b'z1 OK')) + 2:]
    plain = d.into.decompress(rest)
    while b'z3 OK' not in plain:
        plain += d.into.decompress(c.sock.recv(65536))
    assert plain.startswith(b'z2 OK')


def test_pipelined_after_refusal(c):
    """After NO or BAD what follows is plain."""
    assert [c.wait(tag).status for tag in c.pipeline('COMPRESS LZ4', 'NOOP', 'CAPABILITY')] == ['BAD', 'OK', 'OK']


def test_other_session_sees_news(z, session):
    """A quiet connection's answers are flushed: nothing waits in the compressor."""
    z.select()
    t = z.idle()
    other = session()
    for i in range(3):
        other.append('INBOX', mails.numbered(i))
        assert z.until(lambda r: r.kind == 'EXISTS').num == i + 1
        time.sleep(0.05)
    z.done(t)


def test_rest(z):
    """After a while the codecs' memory goes; both streams go on where they were."""
    z.select()
    for i in range(20):
        z.append('INBOX', mails.numbered(i))
    z.noop()
    for _ in range(2):
        time.sleep(4)
        assert len(z.ok('FETCH 1:* (FLAGS ENVELOPE)').fetch()) == 20
        z.append('INBOX', mails.numbered(7))  # refers back to what was sent before the rest
        z.ok('EXPUNGE')
        z.ok('UID STORE 21:* +FLAGS.SILENT (\\Deleted)')
        z.ok('EXPUNGE')


def test_garbage(c):
    """What is no DEFLATE ends the connection, and nothing else."""
    c.ok('COMPRESS DEFLATE')
    c.sock.sendall(b'\x07NOOP\r\n')
    with pytest.raises((Closed, OSError)):
        for _ in range(10):
            c.read()


def test_end_of_stream(z):
    """The client ends its stream with its connection: what it sent is done."""
    d = z.deflate
    d.sock.sendall(d.out.compress(b'e1 CREATE made\r\n') + d.out.flush(zlib.Z_FINISH))
    plain = b''
    while True:
        data = d.sock.recv(65536)
        if not data:
            break
        plain += d.into.decompress(data)
    assert b'e1 OK' in plain


def test_bomb(z, server, session):
    """A line of a gigabyte in a megabyte: the limit of a line holds for what it becomes, the server
    neither keeps it nor stops for others."""
    d = z.deflate
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    other = session()
    chunk = b'x' * (1 << 20)
    d.out = bomb
    try:
        d.sock.sendall(bomb.compress(b'b1 NOOP '))
        worst = 0
        for _ in range(256):
            d.sock.sendall(bomb.compress(chunk))
            begin = time.monotonic()
            if _ % 32 == 0:
                other.ok('NOOP')
                worst = max(worst, time.monotonic() - begin)
        assert worst < 5
    except OSError:
        pass  # it has said BYE
    other.ok('NOOP')


def test_bomb_literal(z):
    """A literal is as large as it says, however small it came."""
    data = b'Subject: zeros\r\n\r\n' + b'0' * 5_000_000 + b'\r\n'
    before = z.deflate.sent
    z.ok('APPEND INBOX ', LitPlus(data))
    assert z.deflate.sent - before < 50_000
    z.select()
    assert z.ok('FETCH 1 RFC822.SIZE').fetch()[1]['RFC822.SIZE'] in (len(data), str(len(data)))
