"""FETCH: all items, sections, partials, ENVELOPE, BODYSTRUCTURE, BINARY, \\Seen.

RFC 9051 sections 6.4.5, 7.5.2; RFC 3501 section 6.4.5; RFC 3516.
"""
import base64
from urllib.parse import unquote_to_bytes

import pytest

from support import mails
from support.imap import Lit, LitPlus, flags, q
from support.mails import ADDRESSES, INNER, MIXED, SIMPLE

FIELDS_ALL = {'FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE'}


@pytest.fixture
def box(inbox):
    """1: SIMPLE, 2: ADDRESSES, 3: MIXED"""
    for m in (SIMPLE, ADDRESSES, MIXED):
        inbox.append('INBOX', m)
    inbox.select()
    return inbox


def one(c, number, items):
    found = c.ok('FETCH %d (%s)' % (number, items)).fetch()
    assert set(found) == {number}
    return found[number]


def body(c, number, section, peek=True):
    """The names of header fields may be answered as atoms or quoted, however they were asked for
    (section 9: header-fld-name = astring)."""
    def plain(key):
        return key.upper().replace('"', '')
    items = one(c, number, ('BODY.PEEK[%s]' if peek else 'BODY[%s]') % section)
    found = [v for k, v in items.items() if plain(k) == plain('BODY[%s]' % section)]
    assert len(found) == 1, items
    return found[0]


# -- sets and macros

def test_sets(box):
    """Section 9: sequence-set; * is the last message, reversed ranges are ranges."""
    for form, expected in (('1', {1}), ('1:3', {1, 2, 3}), ('3:1', {1, 2, 3}), ('*', {3}), ('2:*', {2, 3}),
                           ('*:2', {2, 3}), ('1,3', {1, 3}), ('3,1,2', {1, 2, 3}), ('1:2,2:3', {1, 2, 3}),
                           ('*:*', {3})):
        r = box.ok('FETCH %s FLAGS' % form)
        assert set(r.fetch()) == expected, form
        assert len(r.all('FETCH')) == len(expected), form


@pytest.mark.martlet('Dovecot says OK')
def test_beyond_the_mailbox(box):
    """A message number beyond EXISTS is an error (section 9, seq-number); a UID is not (6.4.9)."""
    for form in ('4', '1:4', '5:9', '1,99'):
        r = box.cmd('FETCH %s FLAGS' % form)
        assert r.status in ('BAD', 'NO'), (form, r)
    box.ok('UID FETCH 4:99 FLAGS').fetch()
    box.ok('NOOP')


def test_empty_mailbox(inbox):
    assert inbox.ok('UID FETCH 1:* FLAGS').fetch() == {}
    assert inbox.cmd('FETCH 1:* FLAGS').status in ('OK', 'BAD', 'NO')
    assert inbox.ok('SEARCH ALL').search() == []
    assert inbox.ok('UID SEARCH UID 1:*').search() == []


def test_uid_sets(box):
    """Section 6.4.9: UIDs that do not exist are ignored; n:* holds at least the last message."""
    box.ok('STORE 2 +FLAGS (\\Deleted)')
    box.ok('EXPUNGE')
    for form, expected in (('1:3', {1, 3}), ('2', set()), ('1:*', {1, 3}), ('*', {3}), ('999:*', {3}),
                           ('2:4', {3}), ('3,1', {1, 3}), ('4294967295', set()), ('*:999', {3})):
        r = box.ok('UID FETCH %s FLAGS' % form)
        assert {int(i['UID']) for i in r.fetch().values()} == expected, form


def test_uid_fetch_always_returns_uid(box):
    """Section 6.4.9."""
    for items in ('FLAGS', '(FLAGS UID)', 'BODY.PEEK[]', 'ALL', 'ENVELOPE'):
        found = box.ok('UID FETCH 2 %s' % items).fetch()
        assert found[2]['UID'] == '2'


@pytest.mark.parametrize('form', ['0', '', 'x', '1:', ':1', '1,,2', ',1', '1,', '1:2:3', '-1', '1.5', '4294967296',
                                  '99999999999999999999', '0:*', '1:0', '(1)', '"1"'])
@pytest.mark.parametrize('uid', ['', 'UID '])
def test_bad_sets(box, form, uid):
    box.bad('%sFETCH %s FLAGS' % (uid, form))
    box.ok('NOOP')


@pytest.mark.parametrize('items', ['', '()', 'FROB', '(FLAGS', 'FLAGS)', '(FLAGS FROB)', 'BODY[', 'BODY[]<', 'BODY[]<0>',
                                   'BODY[]<0.0>', 'BODY[]<-1.5>', 'BODY[]<1.>', 'BODY[]<.1>', 'BODY[FROB]',
                                   'BODY[HEADER.FIELDS]', 'BODY[HEADER.FIELDS ()]', 'BODY[0]', 'BODY[1.]',
                                   'BODY[.1]', 'BODY[MIME]', 'BODY[1.0]', 'BODY.PEEK', '(ALL FLAGS)', 'FLAGS UID',
                                   'BINARY[HEADER]', 'BINARY.SIZE[1]<0.5>', 'RFC822.PEEK', '(FLAGS  UID)',
                                   'BODY[]<0.99999999999999999999>', 'BODY[99999999999999999999]'])
def test_bad_items(box, items):
    """Every wrong item is BAD and nothing is sent."""
    r = box.bad('FETCH 1 %s' % items)
    r.none('FETCH')
    box.ok('NOOP')


def test_macros(box):
    """Section 6.4.5: ALL, FAST, FULL."""
    assert set(box.ok('FETCH 1 FAST').fetch()[1]) == FIELDS_ALL - {'ENVELOPE'}
    assert set(box.ok('FETCH 1 ALL').fetch()[1]) == FIELDS_ALL
    full = box.ok('FETCH 1 full').fetch()[1]
    assert set(full) == FIELDS_ALL | {'BODY'}
    assert len(full['BODY']) == 8  # text: with lines, without extension data


def test_items_asked_twice(box):
    """The same item twice is answered once or twice, alike; never an error."""
    r = box.ok('FETCH 1 (UID UID BODY.PEEK[HEADER] BODY.PEEK[TEXT])')
    assert r.all('FETCH')[0].data


def test_one_answer_per_message(box):
    r = box.ok('FETCH 1:3 (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[] '
               'BODY.PEEK[HEADER] BODY.PEEK[TEXT])')
    assert [x.num for x in r.all('FETCH')] == [1, 2, 3]
    for x in r.all('FETCH'):
        assert len(x.items()) == 10


# -- ENVELOPE

def test_envelope_simple(box):
    """Section 7.5.2, with the example of section 8."""
    e = one(box, 1, 'ENVELOPE')['ENVELOPE']
    who = [[b'Fred Foobar', None, b'foobar', b'Blurdybloop.example']]
    assert e == [b'Mon, 7 Feb 1994 21:52:25 -0800 (PST)', b'afternoon meeting', who, who, who,
                 [[None, None, b'mooch', b'owatagu.siam.edu.example']], None, None, None,
                 b'<B27397-0100000@Blurdybloop.example>']


def test_envelope_addresses(box):
    """Section 7.5.2: groups, defaults, quoted names, folded fields."""
    e = one(box, 2, 'ENVELOPE')['ENVELOPE']
    assert e[1] == b'a folded subject'
    assert e[2] == [[b'Joe Q. Public', None, b'john.q.public', b'example.com']]
    assert e[3] == [[None, None, b'secretary', b'example.com']]
    assert e[4] == [[b'Mary Smith: Personal', None, b'smith', b'home.example'], [None, None, b'boss', b'nil.test']]
    assert e[5] == [[None, None, b'A Group', None], [b'Ed Jones', None, b'joe', b'where.test'],
                    [None, None, b'joe', b'where.test'], [b'John', None, b'jdoe', b'one.test'],
                    [None, None, None, None], [None, None, b'x', b'y.test']]
    assert e[6] == [[None, None, b'Undisclosed recipients', None], [None, None, None, None]]
    assert e[7] == [[b'=?utf-8?Q?J=C3=BCrgen?=', None, b'j', b'example.org']]
    assert e[8] == b'<1@example.org> <2@example.org>'
    assert e[9] == b'<testabcd.1234@silly.test>'
    assert b' '.join(e[0].split()) == b'Thu, 13 Feb 1969 23:32 -0330' and b'\r' not in e[0]


def test_envelope_of_nothing(inbox):
    """Section 7.5.2: what is missing is NIL."""
    inbox.append('INBOX', b'\r\nno header\r\n')
    inbox.append('INBOX', b'Subject:\r\nFrom:\r\nTo: \r\n\r\n')
    inbox.noop()
    assert one(inbox, 1, 'ENVELOPE')['ENVELOPE'] == [None] * 10
    e = one(inbox, 2, 'ENVELOPE')['ENVELOPE']
    assert e[1] in (b'', None) and e[2] is None


# -- BODYSTRUCTURE

TEXT1 = [b'text', b'plain', [b'charset', b'us-ascii', b'format', b'flowed'], b'<p1@example.org>', None, b'7bit',
         '23']  # then lines: 1 or 2, as the last one has no end


def lower(x):
    """Types, parameter names and encodings compare without case."""
    return [lower(y) for y in x] if isinstance(x, list) else x.lower() if isinstance(x, bytes) else x


def test_bodystructure_simple(box):
    """Section 7.5.2: the example of section 8: 55 octets, 2 lines here."""
    b = lower(one(box, 1, 'BODY')['BODY'])
    assert b == [b'text', b'plain', [b'charset', b'us-ascii'], None, None, b'7bit', '57', '2']
    b = lower(one(box, 1, 'BODYSTRUCTURE')['BODYSTRUCTURE'])
    assert b[:8] == [b'text', b'plain', [b'charset', b'us-ascii'], None, None, b'7bit', '57', '2']
    assert b[8:] == [None] * len(b[8:]) and len(b) <= 12


def test_bodystructure_default(box):
    """Section 7.5.2: no Content-Type means text/plain; charset=us-ascii."""
    b = lower(one(box, 2, 'BODY')['BODY'])
    assert b == [b'text', b'plain', [b'charset', b'us-ascii'], None, None, b'7bit', '10', '1']


def test_bodystructure_mixed(box):
    b = one(box, 3, 'BODYSTRUCTURE')['BODYSTRUCTURE']
    assert isinstance(b[0], list) and isinstance(b[1], list) and isinstance(b[2], list)
    assert lower(b[3]) == b'mixed' and lower(b[4]) == [b'boundary', b'outer limit']
    assert b[5:] == [None] * len(b[5:])
    assert lower(b[0])[:7] == TEXT1 and b[0][7] in ('1', '2')
    image = b[1]
    assert lower(image[:3]) == [b'image', b'png', [b'name', b'dot.png']]
    assert image[3:7] == [None, b'a dot', image[5], str(len(mails.PART2))] and lower(image[5]) == b'base64'
    assert image[7] == b'Q2hlY2sgSW50ZWdyaXR5IQ=='
    assert lower(image[8]) == [b'attachment', [b'filename', b'dot.png']]
    assert image[9] == [b'en', b'de'] and image[10] == b'http://example.org/dot.png'
    message = b[2]
    assert lower(message[:2]) == [b'message', b'rfc822'] and message[2] is None
    assert message[6] == str(len(INNER))
    assert message[7][1] == b'inner message' and message[7][2] == [[None, None, b'inner', b'example.org']]
    inner = message[8]
    assert lower(inner[2]) == b'alternative'
    assert lower(inner[0])[:7] == [b'text', b'plain', [b'charset', b'utf-8'], None, None, b'quoted-printable', '16']
    assert lower(inner[1])[:2] == [b'text', b'html']
    assert message[9] == str(INNER.count(b'\n'))


def test_body_is_bodystructure_without_extension(box):
    """Section 7.5.2: BODY has no extension data."""
    b = one(box, 3, 'BODY')['BODY']
    assert len(b) == 4 and lower(b[0])[:7] == TEXT1 and len(b[1]) == 7 and len(b[2]) == 10


def test_bodystructure_rfc2231(inbox):
    """Section 7.5.2: parameter continuations and charsets are to be decoded (RFC 2231)."""
    inbox.append('INBOX', b'MIME-Version: 1.0\r\nContent-Type: application/x-stuff;\r\n'
                 b' title*0*=us-ascii\'en\'This%20is%20even%20more%20;\r\n title*1*=%2A%2A%2Afun%2A%2A%2A%20;\r\n'
                 b' title*2="isn\'t it!"\r\n'
                 b'Content-Disposition: attachment; filename*0=long; filename*1=name.txt\r\n\r\nx\r\n')
    inbox.noop()
    b = one(inbox, 1, 'BODYSTRUCTURE')['BODYSTRUCTURE']
    params = b[2]
    names = [p.lower() for p in params[::2]]
    assert len(params) == 2 and names[0] in (b'title', b'title*'), params
    # decoded, or in the form of RFC 2231 section 4, which title* means elsewhere
    assert unquote_to_bytes(params[1]).endswith(b"This is even more ***fun*** isn't it!")
    assert b[8] == [b'attachment', [b'filename', b'longname.txt']]


def test_bodystructure_rfc2231_charset(inbox):
    """RFC 2231 sections 4 and 4.1: converted to UTF-8; 8-bit strings are literals (section 4.3)."""
    inbox.append('INBOX', b"MIME-Version: 1.0\r\nContent-Type: application/pdf;\r\n name*=iso-8859-1''%FCber.pdf\r\n"
                 b"Content-Disposition: attachment; filename=x; filename*0*=utf-8'de'gr%C3;\r\n"
                 b' filename*1*=%BC%C3%9Fe; filename*2=".pdf"\r\n\r\nx\r\n')
    inbox.noop()
    b = one(inbox, 1, 'BODYSTRUCTURE')['BODYSTRUCTURE']
    assert b[2][0].rstrip(b'*') == b'name' and b[2][1] == 'über.pdf'.encode()
    assert b[8][1][-2].rstrip(b'*') == b'filename' and b[8][1][-1] == 'grüße.pdf'.encode()


def test_bodystructure_empty_multipart(inbox):
    """A multipart without parts must still have one body in its structure (section 9: 1*body)."""
    inbox.append('INBOX', b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\nno boundary\r\n')
    inbox.append('INBOX', b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed\r\n\r\n--x\r\n\r\na\r\n--x--\r\n')
    inbox.noop()
    for n in (1, 2):
        b = one(inbox, n, 'BODYSTRUCTURE')['BODYSTRUCTURE']
        assert isinstance(b[0], (list, bytes)) and len(b) >= 2, b


# -- sections

def test_whole(box):
    for n, m in ((1, SIMPLE), (2, ADDRESSES), (3, MIXED)):
        items = one(box, n, 'RFC822.SIZE BODY.PEEK[]')
        assert items['BODY[]'] == m and items['RFC822.SIZE'] == str(len(m))


def test_header_and_text(box):
    for n, m in ((1, SIMPLE), (2, ADDRESSES), (3, MIXED)):
        head, text = m.split(b'\r\n\r\n', 1)
        assert body(box, n, 'HEADER') == head + b'\r\n\r\n'
        assert body(box, n, 'TEXT') == text


def test_rfc822_items(box):
    """RFC 3501 section 6.4.5: RFC822, RFC822.HEADER (which does not set \\Seen), RFC822.TEXT."""
    head, text = SIMPLE.split(b'\r\n\r\n', 1)
    items = one(box, 1, 'RFC822.HEADER')
    assert items['RFC822.HEADER'] == head + b'\r\n\r\n'
    assert '\\seen' not in box.flags_of(1)
    assert one(box, 1, 'RFC822.TEXT')['RFC822.TEXT'] == text
    assert '\\seen' in box.flags_of(1)
    assert one(box, 2, 'RFC822')['RFC822'] == ADDRESSES
    assert '\\seen' in box.flags_of(2)


def test_header_fields(box):
    """Section 6.4.5.1: named fields in their order, folding kept, an empty line at the end."""
    assert body(box, 2, 'HEADER.FIELDS (SUBJECT)') == b'Subject: a folded\r\n subject\r\n\r\n'
    assert body(box, 2, 'HEADER.FIELDS (subject sender)') == (b'Sender: secretary@example.com\r\n'
                                                              b'Subject: a folded\r\n subject\r\n\r\n')
    assert body(box, 1, 'HEADER.FIELDS (X-NONE)') == b'\r\n'
    quoted = one(box, 1, 'BODY.PEEK[HEADER.FIELDS ("Date" "To")]')
    assert list(quoted.values())[0].startswith(b'Date: Mon,')
    left = body(box, 1, 'HEADER.FIELDS.NOT (Date From To Subject)')
    assert left == (b'Message-Id: <B27397-0100000@Blurdybloop.example>\r\nMIME-Version: 1.0\r\n'
                    b'Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n')


def test_header_fields_as_literals(box):
    r = box.ok('FETCH 1 BODY.PEEK[HEADER.FIELDS (', LitPlus('Subject'), ' ', LitPlus('To'), ')]')
    value = [v for k, v in r.fetch()[1].items() if k.startswith('BODY[HEADER.FIELDS')][0]
    assert value == b'Subject: afternoon meeting\r\nTo: mooch@owatagu.siam.edu.example\r\n\r\n'


def test_repeated_header_fields(inbox):
    inbox.append('INBOX', b'Received: one\r\nX-A: 1\r\nReceived: two\r\n\tfolded\r\nrEceived : three\r\nX-A: 2\r\n\r\n')
    inbox.noop()
    got = body(inbox, 1, 'HEADER.FIELDS (RECEIVED)')
    assert got in (b'Received: one\r\nReceived: two\r\n\tfolded\r\nrEceived : three\r\n\r\n',
                   b'Received: one\r\nReceived: two\r\n\tfolded\r\n\r\n')
    assert body(inbox, 1, 'HEADER.FIELDS.NOT (RECEIVED)').startswith(b'X-A: 1\r\n')


def test_parts(box):
    """Section 6.4.5.1: part numbers; MIME; nested message."""
    assert body(box, 3, '1') == mails.PART1
    assert body(box, 3, '2') == mails.PART2
    assert body(box, 3, '3') == INNER
    assert body(box, 3, '1.MIME') == mails.MIME1
    assert body(box, 3, '2.MIME') == mails.MIME2
    assert body(box, 3, '3.MIME') == mails.MIME3
    head, text = INNER.split(b'\r\n\r\n', 1)
    assert body(box, 3, '3.HEADER') == head + b'\r\n\r\n'
    assert body(box, 3, '3.TEXT') == text
    assert body(box, 3, '3.HEADER.FIELDS (SUBJECT)') == b'Subject: inner message\r\n\r\n'
    assert body(box, 3, '3.HEADER.FIELDS.NOT (SUBJECT FROM MIME-VERSION)').startswith(b'Content-Type: multi')
    assert body(box, 3, '3.1') == b'inner pl=C3=A4in'
    assert body(box, 3, '3.2') == b'<p>inner html</p>'
    assert body(box, 3, '3.1.MIME').startswith(b'Content-Type: text/plain; charset=utf-8\r\n')


def test_part_1_of_a_plain_message(box):
    """Section 6.4.5.1: every message has at least one part; 1 is the text of a non-multipart."""
    text = SIMPLE.split(b'\r\n\r\n', 1)[1]
    assert body(box, 1, '1') == text
    assert b'text/plain' in body(box, 1, '1.MIME').lower()


def test_absent_parts(box):
    """A part that is not there gives NIL or the empty string, never an error of the connection."""
    for section in ('4', '9.9', '1.2', '3.3', '1.HEADER', '2.TEXT', '3.9.MIME', '4294967295'):
        r = box.cmd('FETCH 3 BODY.PEEK[%s]' % section)
        if r.status == 'OK':
            for v in r.fetch()[3].values():
                assert v in (None, b''), (section, v)
        else:
            assert r.status in ('NO', 'BAD')
    r = box.cmd('FETCH 1 BODY.PEEK[2]')
    assert r.status != 'OK' or r.fetch()[1]['BODY[2]'] in (None, b'')


def test_partial(box):
    """Section 6.4.5: <start.count>; the answer names the start only; beyond the end is empty."""
    for start, count in ((0, 10), (5, 1), (0, 1 << 31), (len(MIXED) - 3, 10), (len(MIXED), 1), (len(MIXED) + 99, 5),
                         (0, len(MIXED)), (4294967294, 4294967294)):
        items = one(box, 3, 'BODY.PEEK[]<%d.%d>' % (start, count))
        assert items['BODY[]<%d>' % start] == MIXED[start:start + count]
    items = one(box, 3, 'BODY.PEEK[3.TEXT]<2.5> BODY.PEEK[HEADER.FIELDS (SUBJECT)]<3.6>')
    assert items['BODY[3.TEXT]<2>'] == INNER.split(b'\r\n\r\n', 1)[1][2:7]
    assert items['BODY[HEADER.FIELDS (SUBJECT)]<3>'] == b'ject: '


def test_partials_assemble_to_the_whole(box):
    tags = box.pipeline(*['FETCH 3 BODY.PEEK[]<%d.7>' % i for i in range(0, len(MIXED), 7)])
    whole = b''
    for tag in tags:
        r = box.wait(tag)
        assert r.status == 'OK'
        for items in r.fetch().values():
            whole += b''.join(v for k, v in items.items() if k.startswith('BODY'))
    assert len(whole) == len(MIXED)


# -- BINARY

def test_binary(box):
    """Section 6.4.5: decoded parts."""
    if 'BINARY' not in [a.upper() for a in box.ok('CAPABILITY').one('CAPABILITY').data]:
        pytest.skip('no BINARY')
    items = one(box, 3, 'BINARY.PEEK[2] BINARY.SIZE[2]')
    assert items['BINARY[2]'] == mails.PART2_DECODED
    assert items['BINARY.SIZE[2]'] == str(len(mails.PART2_DECODED))
    assert '\\seen' not in box.flags_of(3)
    assert one(box, 3, 'BINARY.PEEK[2]<3.4>')['BINARY[2]<3>'] == mails.PART2_DECODED[3:7]
    assert one(box, 3, 'BINARY.PEEK[3.1]')['BINARY[3.1]'] == 'inner pläin'.encode()
    assert one(box, 3, 'BINARY.PEEK[1]')['BINARY[1]'] == mails.PART1
    box.ok('FETCH 3 BINARY[2]')
    assert '\\seen' in box.flags_of(3)


def test_binary_of_whole_message(box):
    """BINARY[]: the message as it is."""
    r = box.cmd('FETCH 1 (BINARY.PEEK[] BINARY.SIZE[])')
    if r.status == 'OK':
        assert r.fetch()[1]['BINARY[]'] == SIMPLE


@pytest.mark.martlet
def test_binary_unknown_cte(inbox):
    """Section 6.4.5, UNKNOWN-CTE (section 7.1): NO."""
    inbox.append('INBOX', b'MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-unknown\r\n\r\nx\r\n')
    inbox.noop()
    inbox.no('FETCH 1 BINARY[1]', code='UNKNOWN-CTE')
    inbox.no('FETCH 1 BINARY.SIZE[1]', code='UNKNOWN-CTE')
    inbox.ok('FETCH 1 BODY.PEEK[1]')


def test_binary_with_nul(inbox):
    """Decoded NULs come as literal8 (the client refuses them in a literal)."""
    raw = bytes(range(256)) * 5
    inbox.append('INBOX', b'MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n'
                 b'Content-Transfer-Encoding: base64\r\n\r\n' + base64.encodebytes(raw).replace(b'\n', b'\r\n'))
    inbox.noop()
    items = one(inbox, 1, 'BINARY.PEEK[1] BINARY.SIZE[1]')
    assert items['BINARY[1]'] == raw and items['BINARY.SIZE[1]'] == str(len(raw))


@pytest.mark.parametrize('encoded', [b'=', b'AAA', b'A===', b'!!!!', b'AAAA=BBBB', b'AAAA\r\n====\r\n', b'\xff\xfe'])
def test_binary_of_broken_base64(inbox, encoded):
    """Broken encodings: some answer, and SIZE agrees with the data."""
    inbox.append('INBOX', b'MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n'
                 b'Content-Transfer-Encoding: base64\r\n\r\n' + encoded)
    inbox.noop()
    r = inbox.cmd('FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])')
    if r.status == 'OK':
        items = r.fetch()[1]
        assert len(items['BINARY[1]'] or b'') == int(items['BINARY.SIZE[1]'])
    else:
        assert r.status == 'NO'
    inbox.ok('NOOP')


# -- \Seen

@pytest.mark.parametrize('item', ['BODY[]', 'BODY[TEXT]', 'BODY[HEADER]', 'BODY[1]', 'BODY[]<0.1>', 'RFC822',
                                  'RFC822.TEXT', 'BODY[HEADER.FIELDS (SUBJECT)]'])
def test_seen_is_set(inbox, item):
    """Section 6.4.5: BODY[...] sets \\Seen, and the change is told."""
    inbox.append('INBOX', SIMPLE)
    inbox.noop()
    items = inbox.ok('FETCH 1 %s' % item).fetch()[1]
    assert 'FLAGS' in items and '\\seen' in flags(items['FLAGS'])
    assert '\\seen' in inbox.flags_of(1)
    # already seen: nothing to tell
    again = inbox.ok('FETCH 1 %s' % item).fetch()[1]
    assert 'FLAGS' not in again or '\\seen' in flags(again['FLAGS'])


@pytest.mark.parametrize('item', ['BODY.PEEK[]', 'BODY.PEEK[TEXT]', 'ENVELOPE', 'BODYSTRUCTURE', 'BODY', 'RFC822.HEADER',
                                  'RFC822.SIZE', 'INTERNALDATE', 'BODY.PEEK[1]<0.1>', 'FULL'])
def test_seen_is_not_set(inbox, item):
    inbox.append('INBOX', SIMPLE)
    inbox.noop()
    inbox.ok('FETCH 1 %s' % item)
    assert '\\seen' not in inbox.flags_of(1)


def test_flags_and_body_together(inbox):
    """FLAGS asked together with BODY[]: the flags told at last hold \\Seen."""
    inbox.append('INBOX', SIMPLE)
    inbox.noop()
    r = inbox.ok('FETCH 1 (FLAGS BODY[])')
    last = [x.items()['FLAGS'] for x in r.all('FETCH') if 'FLAGS' in x.items()][-1]
    assert '\\seen' in flags(last)


def test_seen_of_many_in_one_fetch(inbox):
    for i in range(50):
        inbox.append('INBOX', mails.numbered(i))
    inbox.select()
    r = inbox.ok('FETCH 1:* BODY[]')
    assert len(r.fetch()) == 50
    for n, items in r.fetch().items():
        assert items['BODY[]'] == mails.numbered(n - 1)
        assert '\\seen' in flags(items['FLAGS'])
    assert inbox.ok('SEARCH UNSEEN').search() == []


# -- many

def test_fetch_many(inbox):
    """All answers, in any order, each exactly right."""
    n = 500
    parts = ['APPEND INBOX']
    for i in range(n):
        parts += [' ', LitPlus(mails.numbered(i, 50 * (i % 40)))]
    inbox.ok(*parts)
    inbox.select()
    r = inbox.ok('FETCH 1:* (UID RFC822.SIZE ENVELOPE BODY.PEEK[HEADER.FIELDS (SUBJECT)])')
    found = r.fetch()
    assert len(found) == n == len(r.all('FETCH'))
    for i in range(n):
        items = found[i + 1]
        assert items['RFC822.SIZE'] == str(len(mails.numbered(i, 50 * (i % 40))))
        assert items['ENVELOPE'][1] == b'message %d' % i
        assert items['BODY[HEADER.FIELDS (SUBJECT)]'] == b'Subject: message %d\r\n\r\n' % i


def test_long_set(inbox):
    """A set of hundreds of single numbers in one command."""
    parts = ['APPEND INBOX']
    for i in range(600):
        parts += [' ', LitPlus(b'Subject: %d\r\n\r\n' % i)]
    inbox.ok(*parts)
    inbox.select()
    odd = list(range(1, 600, 2))
    r = inbox.ok('FETCH %s UID' % ','.join(map(str, odd)))
    assert sorted(r.fetch()) == odd


# -- rev2

@pytest.mark.martlet('IMAP4rev2')
def test_rev2_strings(session):
    """Appendix A: UTF-8 may come in quoted strings now; the values are the same."""
    c = session('INBOX', rev2=True)
    c.append('INBOX', 'From: "Jürgen Größe" <j@example.org>\r\nSubject: Ärger im Büro\r\n\r\nx\r\n')
    c.noop()
    e = one(c, 1, 'ENVELOPE')['ENVELOPE']
    assert e[1] == 'Ärger im Büro'.encode() and e[2][0][0] == 'Jürgen Größe'.encode()


@pytest.mark.martlet('IMAP4rev2')
def test_rev2_has_no_recent_flag(session):
    """Appendix E, 12."""
    c = session('INBOX', rev2=True)
    c.append('INBOX', SIMPLE)
    c.noop().none('RECENT')
    assert '\\recent' not in c.flags_of(1)


@pytest.mark.martlet('IMAP4rev2')
def test_rev2_unsolicited_fetch_has_uid(session):
    """Section 7.5.2 and appendix E, 21."""
    a, b = session('INBOX', rev2=True), session('INBOX')
    b.append('INBOX', SIMPLE)
    a.noop()
    b.noop()
    b.ok('STORE 1 +FLAGS (\\Flagged)')
    items = a.noop().fetch()[1]
    assert '\\flagged' in flags(items['FLAGS']) and items['UID'] == '1'
    items = a.ok('STORE 1 +FLAGS (\\Seen)').fetch()[1]
    assert '\\seen' in flags(items['FLAGS'])
    items = a.ok('FETCH 1 BODY[]').fetch()[1]
    assert items['BODY[]'] == SIMPLE
