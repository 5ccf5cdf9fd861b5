"""Mail as it comes: 8-bit, broken, hostile. RFC 9051 section 6.3.12; issue: always stored byte for byte,
always listed, never a crash; nesting beyond the limit is shown as an opaque part.
"""
import random

import pytest

from support.imap import Closed, LitPlus

ITEMS = '(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1])'


def nested(depth):
    """multipart in multipart in ..."""
    head = b''.join(b'Content-Type: multipart/mixed; boundary=b%05d\r\n\r\n--b%05d\r\n' % (i, i) for i in range(depth))
    return b'Subject: deep\r\nMIME-Version: 1.0\r\n' + head + b'\r\nleaf\r\n'


def nested_messages(depth):
    return b'MIME-Version: 1.0\r\n' + b'Content-Type: message/rfc822\r\n\r\n' * depth + b'Subject: leaf\r\n\r\nleaf\r\n'


def many_parts(n):
    return (b'Subject: many\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n' +
            b''.join(b'--x\r\n\r\np%d\r\n' % i for i in range(n)) + b'--x--\r\n')


BROKEN = {
    'no header': b'just a text\r\nwithout any header\r\n',
    'only an empty line': b'\r\n',
    'one byte': b'x',
    'only LF': b'\n',
    'only CR': b'\r',
    'header without end': b'Subject: x\r\nFrom: y',
    'header without body': b'Subject: x\r\n\r\n',
    'bare LF': b'Subject: lf\nFrom: a@b\nContent-Type: multipart/mixed; boundary=q\n\n--q\n\none\n--q\n\ntwo\n--q--\n',
    'bare CR': b'Subject: cr\rFrom: a@b\r\rbody\r',
    'mixed ends': b'Subject: mix\r\nFrom: a@b\nTo: c@d\r\n\n\r\nbody\nmore\r\nend\r',
    '8 bit headers': 'Subject: Grüße\r\nFrom: Jürgen <j@ä.example>\r\n\r\nkörper\r\n'.encode(),
    'latin1 headers': 'Subject: Grüße\r\nFrom: "J\xfcrgen" <j@b>\r\n\r\nk\xf6rper\r\n'.encode('latin-1'),
    'all octets but NUL': b'Subject: ' + bytes(range(1, 256)) + b'\r\n\r\n' + bytes(range(1, 256)) + b'\r\n',
    'missing boundaries': b'Content-Type: multipart/mixed; boundary=never\r\nMIME-Version: 1.0\r\n\r\nnothing\r\n',
    'boundary not closed': b'Content-Type: multipart/mixed; boundary=x\r\nMIME-Version: 1.0\r\n\r\n--x\r\n\r\nopen\r\n',
    'no boundary parameter': b'Content-Type: multipart/mixed\r\nMIME-Version: 1.0\r\n\r\n--\r\n\r\nx\r\n----\r\n',
    'empty boundary': b'Content-Type: multipart/mixed; boundary=""\r\nMIME-Version: 1.0\r\n\r\n--\r\n\r\nx\r\n----\r\n',
    'long boundary': b'Content-Type: multipart/mixed; boundary=' + b'b' * 5000 + b'\r\n\r\n--' + b'b' * 5000 + b'\r\n\r\nx\r\n',
    'boundary is prefix': b'Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=ab'
                          b'\r\n\r\n--ab\r\n\r\nin\r\n--ab--\r\n--a--\r\n',
    'boundary at once': b'Content-Type: multipart/mixed; boundary=x\r\n\r\n--x--\r\n',
    'nested 60': nested(60),
    'nested 10000': nested(10000),
    'nested messages 1000': nested_messages(1000),
    'parts 3000': many_parts(3000),
    'header line of 1 MB': b'Subject: ' + b'x' * (1 << 20) + b'\r\nFrom: a@b\r\n\r\nbody\r\n',
    'header of 20000 fields': b''.join(b'X-F%d: v\r\n' % i for i in range(20000)) + b'Subject: end\r\n\r\nbody\r\n',
    'addresses 5000': b'To: ' + b', '.join(b'"n%d" <u%d@example.org>' % (i, i) for i in range(5000)) + b'\r\n\r\nx\r\n',
    'folded 5000 times': b'Subject: a' + b'\r\n b' * 5000 + b'\r\n\r\nx\r\n',
    'unterminated quote': b'From: "never ends <a@b>\r\nTo: (comment\r\nSubject: x\r\n\r\nx\r\n',
    'comments in depth': b'From: ' + b'(' * 20000 + b'x' + b')' * 20000 + b' a@b\r\n\r\nx\r\n',
    'odd addresses': b'From: <>\r\nTo: @,;:<>\r\nCc: a@b@c, <d@e, f>, g:;\r\nBcc: <@r1,@r2:u@h>\r\nReply-To: ,,,\r\n\r\nx\r\n',
    'bad encoded words': b'Subject: =?x?y?z?= =?utf-8?B?!!!?= =?utf-8?Q?=ZZ?= =?unknown?Q?=FF?= =?utf-8?B?/w==?=\r\n\r\nx\r\n',
    'bad content type': b'Content-Type: ;;;=;\r\nContent-Transfer-Encoding: ???\r\nContent-Disposition: =\r\n\r\nx\r\n',
    'types with NIL': b'Content-Type: NIL/NIL; NIL=NIL\r\nSubject: NIL\r\nFrom: NIL\r\n\r\nNIL\r\n',
    'quotes and backslashes': b'Subject: a"b\\c\r\nFrom: "q\\"u\\\\o" <a@b>\r\nContent-Type: text/plain; name="a\\"b"\r\n\r\nx\r\n',
    'literal-like': b'Subject: {5}\r\nFrom: {3+} <a@b>\r\n\r\n{10}\r\n)\r\na1 OK\r\n',
    'wrong charset': b'Content-Type: text/plain; charset=no-such\r\nMIME-Version: 1.0\r\n\r\n\xff\xfe\xfd\r\n',
    'wrong utf-8': b'Subject: \xc3\x28 \xed\xa0\x80\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xc3\x28\r\n',
    'bad base64': b'Content-Transfer-Encoding: base64\r\nContent-Type: image/png\r\n\r\n!!!! = A == B\r\n',
    'bad qp': b'Content-Transfer-Encoding: quoted-printable\r\n\r\n=\r\n==ZZ=4\r\n=',
    'mbox From line': b'From someone@example.org Mon Jan 1 00:00:00 2001\r\nSubject: x\r\n\r\nbody\r\n',
    'spaces before header': b'  leading: x\r\nSubject: y\r\n\r\nx\r\n',
    'no colon': b'Subject: x\r\nthis is no field\r\nFrom: a@b\r\n\r\nbody\r\n',
    'colon first': b': empty name\r\nSubject : spaced\r\n\r\nx\r\n',
    'double fields': b'Subject: one\r\nSubject: two\r\nFrom: a@b\r\nFrom: c@d\r\nDate: x\r\nDate: y\r\n\r\nz\r\n',
    'bad dates': b'Date: Foo, 99 Bar 99999 99:99:99 +9999\r\n\r\nx\r\n',
    'long parameter list': b'Content-Type: text/plain' + b''.join(b'; p%d=v%d' % (i, i) for i in range(3000)) + b'\r\n\r\nx\r\n',
    'rfc2231 mess': b'Content-Type: text/plain; a*=x; a*0=y; a*99999999999=z; b*1*=q; c*\'\'=; d**=1; n*=utf-8\'\'%FF%\r\n\r\nx\r\n',
    'message/rfc822 empty': b'Content-Type: message/rfc822\r\n\r\n',
    'message/rfc822 base64': b'Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQp4\r\n',
    'message/partial': b'Content-Type: message/partial; number=1; total=2; id="x"\r\n\r\nSubject: inner\r\n\r\nx\r\n',
    'message/delivery-status': b'Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nStatus: 5.0.0\r\n',
    'one line of 5 MB': b'Subject: x\r\n\r\n' + b'y' * (5 << 20),
    'blank lines': b'\r\n' * 100000,
}


@pytest.fixture
def inbox(session):
    """Octets above 0x7f in headers are for those who have enabled UTF-8 (RFC 9755 section 4)."""
    c = session()
    c.ok('ENABLE UTF8=ACCEPT')
    c.select()
    return c


def check(c, number, message):
    items = c.ok('FETCH %d %s' % (number, ITEMS)).fetch()[number]
    assert items['RFC822.SIZE'] == str(len(message))
    header, text = items['BODY[HEADER]'] or b'', items['BODY[TEXT]'] or b''
    if header + text != message:  # where no empty line ends the header, HEADER may get one
        assert message.startswith(header.rstrip(b'\r\n')) and message.endswith(text)
    assert c.ok('FETCH %d BODY.PEEK[]' % number).fetch()[number]['BODY[]'] == message
    return items


@pytest.mark.parametrize('kind', BROKEN)
def test_broken(inbox, kind):
    message = BROKEN[kind]
    inbox.append('INBOX', message)
    inbox.noop()
    check(inbox, 1, message)
    for command in ('SEARCH TEXT needle', 'SEARCH BODY x', 'SEARCH SUBJECT x', 'SEARCH FROM a', 'SEARCH HEADER Subject ""',
                    'SEARCH SENTBEFORE 1-Jan-2020', 'FETCH 1 (BODY.PEEK[1.MIME] BODY.PEEK[1.1] BODY.PEEK[2])',
                    'FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]', 'FETCH 1 BODY.PEEK[]<3.20>'):
        r = inbox.cmd(command)
        assert r.status in ('OK', 'NO'), r
    r = inbox.cmd('FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])')
    assert r.status in ('OK', 'NO', 'BAD')


def test_all_broken_in_one_mailbox(inbox):
    """All of them stand in one listing; each comes back byte for byte."""
    parts = ['APPEND INBOX']
    kinds = [k for k in BROKEN if len(BROKEN[k]) < 100000]
    for kind in kinds:
        parts += [' ', LitPlus(BROKEN[kind])]
    inbox.ok(*parts)
    inbox.select()
    found = inbox.ok('FETCH 1:* (ENVELOPE BODYSTRUCTURE BODY.PEEK[])').fetch()
    assert [found[i + 1]['BODY[]'] for i in range(len(kinds))] == [BROKEN[k] for k in kinds]


@pytest.mark.martlet('literal8')
def test_nul_bytes(inbox):
    """NUL bytes: stored and given back byte for byte. BODY[] cannot carry a NUL (literal); BINARY[] can."""
    message = b'Subject: nul\0l\r\nContent-Type: application/octet-stream\r\n\r\na\0b\0\0c\r\n'
    r = inbox.cmd('APPEND INBOX ', LitPlus(message, binary=True))
    assert r.status == 'OK', r
    inbox.noop()
    items = inbox.ok('FETCH 1 (RFC822.SIZE ENVELOPE BODYSTRUCTURE)').fetch()[1]
    assert items['RFC822.SIZE'] == str(len(message))
    r = inbox.cmd('FETCH 1 BINARY.PEEK[]')
    if r.status == 'OK':
        assert r.fetch()[1]['BINARY[]'] == message
    assert inbox.ok('FETCH 1 BINARY.PEEK[1]').fetch()[1]['BINARY[1]'] == b'a\0b\0\0c\r\n'
    inbox.ok('SEARCH TEXT b')


@pytest.mark.martlet
def test_nul_in_plain_literal(inbox):
    """A NUL inside an ordinary literal, as some clients send: stored as it is or refused."""
    message = b'Subject: x\r\n\r\na\0b\r\n'
    r = inbox.cmd('APPEND INBOX ', LitPlus(message))
    assert r.status in ('OK', 'NO', 'BAD')
    if r.status == 'OK':
        inbox.noop()
        assert inbox.ok('FETCH 1 BINARY.PEEK[1]').fetch()[1]['BINARY[1]'] == b'a\0b\r\n'
    inbox.ok('NOOP')


@pytest.mark.martlet
def test_nesting_beyond_the_limit_is_opaque(inbox):
    """Issue: MIME nesting beyond the limit is shown as an opaque part."""
    inbox.append('INBOX', nested(10000))
    inbox.noop()
    b = inbox.ok('FETCH 1 BODYSTRUCTURE').fetch()[1]['BODYSTRUCTURE']
    depth = 0
    while isinstance(b[0], list):
        b = b[0]
        depth += 1
    assert 5 < depth < 1000
    assert isinstance(b[0], bytes) and isinstance(b[1], bytes) and int(b[6]) > 100000


def test_random_mutations(inbox):
    """Mail with random damage: byte for byte back, and always listed."""
    rng = random.Random(11)
    bases = [BROKEN[k] for k in ('bare LF', '8 bit headers', 'boundary not closed', 'odd addresses', 'nested 60',
                                 'rfc2231 mess', 'bad encoded words')]
    messages = []
    for i in range(150):
        m = bytearray(rng.choice(bases))
        for _ in range(rng.randint(1, 12)):
            at = rng.randrange(len(m))
            k = rng.random()
            if k < 0.4:
                m[at] = rng.randrange(1, 256)
            elif k < 0.6:
                del m[at:at + rng.randint(1, 20)]
            elif k < 0.8:
                m[at:at] = rng.choice([b'\r\n', b'\n', b'"', b'(', b'--x\r\n', b'\\', b'<', b'=?', b';', b'\r\n\r\n'])
            else:
                m[at:at] = m[:rng.randint(1, 40)]
            if not m:
                m = bytearray(b'x')
        messages.append(bytes(m))
    parts = ['APPEND INBOX']
    for m in messages:
        parts += [' ', LitPlus(m)]
    inbox.ok(*parts)
    inbox.select()
    found = inbox.ok('FETCH 1:* (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[])').fetch()
    assert [found[i + 1]['BODY[]'] for i in range(len(messages))] == messages
    for n in range(1, len(messages) + 1, 10):
        assert inbox.cmd('FETCH %d (BINARY.PEEK[1] BINARY.SIZE[1])' % n).status in ('OK', 'NO', 'BAD')
    inbox.ok('SEARCH OR TEXT x FROM y')
