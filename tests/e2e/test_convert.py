"""CONVERT (RFC 5259): texts in another charset, HTML as plain text."""
import base64

import pytest

from support.imap import LitPlus

HTML = '<html><head><title>x</title></head><body><h1>Hello</h1><p>caf\u00e9 <b>\u20ac</b></p><ul><li>one<li>two</ul></body></html>'
TEXT = 'Hello\r\n\r\ncaf\u00e9 \u20ac\r\n\r\n* one\r\n* two\r\n'
PLAIN = 'na\u00efve \u0416\r\n'


def part(ctype, body, cte='8bit', more=''):
    return ('Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n%s\r\n' % (ctype, cte, more)).encode() + body + b'\r\n'


def message():
    """1: plain, KOI8-R; 2: a picture; 3: HTML, UTF-8, base64; 4: no charset that is known; 5: multipart; 6: message."""
    parts = [
        part('text/plain; charset=koi8-r; format=flowed', '\u041f\u0440\u0438\u0432\u0435\u0442\n'.encode('koi8-r'),
             more='Content-ID: <one@example.com>\r\n'),
        part('image/png', b'iVBORw0KGgo=', 'base64'),
        part('text/html; charset=utf-8; x=y', base64.encodebytes(HTML.encode()), 'base64'),
        part('text/plain; charset=x-none', b'abc'),
        part('multipart/alternative; boundary=c', b'--c\r\n' + part('text/plain; charset=utf-8', PLAIN.encode()) + b'--c--', '8bit'),
        part('message/rfc822', b'Subject: =?koi8-r?B?8NLJ18XU?=\r\n\r\ninner', '8bit'),
    ]
    return (b'Date: Mon, 20 Apr 2007 20:05:43 +0200\r\nFrom: Peter <peter@siroe.example.com>\r\n'
            b'To: Alexey <alexey@siroe.example.com>\r\nSubject: =?KOI8-R?Q?=F0=D2=C9=D7=C5=D4?=\r\nMIME-Version: 1.0\r\n'
            b'Content-Type: multipart/mixed; boundary=b\r\n\r\n' + b''.join(b'--b\r\n' + p for p in parts) + b'--b--\r\n')


@pytest.fixture
def box(inbox):
    inbox.ok('APPEND INBOX ', LitPlus(message()))
    inbox.noop()
    return inbox


def items(r):
    one = r.one('CONVERTED')
    assert one.data[0] == ['TAG', r.tagged.tag.encode()], one
    pairs = one.data[1]
    return dict(zip([p.upper() for p in pairs[::2]], pairs[1::2]))


def names(r):
    return [p.upper() for p in r.one('CONVERTED').data[1][::2]]


def convert(c, target, what, which='1'):
    return c.ok('CONVERT %s %s %s' % (which, target, what))


UTF8 = '("text/plain" ("charset" "utf-8"))'
ASCII = '("text/plain" ("charset" "us-ascii"))'


def test_capability(c):
    """Section 3.1."""
    assert {'CONVERT', 'BINARY'} <= set(c.ok('CAPABILITY').one('CAPABILITY').data)


def test_conversions(c):
    """Sections 5.1 and 7.1: text/plain has these parameters."""
    r = c.ok('CONVERSIONS "text/plain" "text/plain"').one('CONVERSION')
    assert r.data[:2] == [b'text/plain', b'text/plain'] and {b'charset', b'unknown-character-replacement'} <= set(r.data[2])
    assert c.ok('CONVERSIONS "image/gif" "image/jpeg"').all('CONVERSION') == []
    assert [x.data[0] for x in c.ok('CONVERSIONS "TEXT/HTML" "*"').all('CONVERSION')] == [b'text/html']
    every = [x.data[:2] for x in c.ok('CONVERSIONS "*" "*"').all('CONVERSION')]
    assert len(every) >= 2 and every == [x.data[:2] for x in c.ok('CONVERSIONS "text/*" "text/*"').all('CONVERSION')]
    assert c.ok('CONVERSIONS "multipart/*" "*"').all('CONVERSION') == []
    for wrong in ('CONVERSIONS', 'CONVERSIONS "*"', 'CONVERSIONS text "*"', 'CONVERSIONS "*/x" "*"', 'CONVERSIONS "*" "*" "*"'):
        c.bad(wrong)


def test_charset(box):
    got = items(convert(box, UTF8, 'BINARY[1]'))
    assert got['BINARY[1]'].decode() == '\u041f\u0440\u0438\u0432\u0435\u0442\r\n'
    got = items(convert(box, '("text/plain" ("charset" "windows-1251"))', 'BINARY[1]'))
    assert got['BINARY[1]'].decode('cp1251') == '\u041f\u0440\u0438\u0432\u0435\u0442\r\n'
    got = items(convert(box, '(NIL ("charset" "utf-16"))', '(BINARY[1] BINARY.SIZE[1])'))  # has NUL: a literal8
    assert got['BINARY[1]'].decode('utf-16') == '\u041f\u0440\u0438\u0432\u0435\u0442\r\n'
    assert int(got['BINARY.SIZE[1]']) == len(got['BINARY[1]'])


def test_html(box):
    assert items(convert(box, UTF8, 'BINARY[3]'))['BINARY[3]'].decode() == TEXT
    assert items(convert(box, '(NIL ("CHARSET" "utf-8"))', 'BINARY[3]'))['BINARY[3]'].decode() == TEXT  # default conversion


def test_not_representable(box):
    """The example of section 6."""
    r = box.no('CONVERT 1 %s BINARY[3]' % ASCII)
    assert r.text == 'All conversions failed'
    error = items(r)['BINARY[3]']
    assert error[0] == 'ERROR' and error[1]
    assert error[2:] == ['BADPARAMETERS', b'text/html', b'text/plain', [b'charset', b'us-ascii']]
    r = convert(box, '("text/plain" ("charset" "us-ascii" "unknown-character-replacement" "?"))', 'BINARY[3]')
    assert items(r)['BINARY[3]'] == TEXT.replace('\u00e9', '?').replace('\u20ac', '?').encode()


def test_replacement(box):
    """Section 7.1: the replacement must be representable; section 9: too long."""
    for bad in ('"\u20ac"', '"%s"' % ('x' * 17)):
        value = bad.strip('"').encode()
        r = box.cmd('CONVERT 1 ("TEXT/PLAIN" (CHARSET "US-ASCII" UNKNOWN-CHARACTER-REPLACEMENT ', LitPlus(value), ')) BINARY[3]')
        assert r.status == 'NO'
        error = items(r)['BINARY[3]']
        assert error[2] == 'BADPARAMETERS' and error[5][0] == b'UNKNOWN-CHARACTER-REPLACEMENT' and error[5][1] == value


def test_missing(box):
    """The example of section 9."""
    r = box.no('CONVERT 1 ("TEXT/PLAIN") BINARY[3]')
    assert items(r)['BINARY[3]'][2:] == ['MISSINGPARAMETERS', b'text/html', b'TEXT/PLAIN', [b'charset']]
    r = box.no('CONVERT 1 (NIL) BODY[HEADER]')
    assert items(r)['BODY[HEADER]'][2] == 'MISSINGPARAMETERS'


@pytest.mark.parametrize('params,blamed', [
    ('"charset" "x-none"', [b'charset', b'x-none']), ('"charset" "utf-8" "pix-x" "128"', [b'pix-x', b'128']),
    ('"pix-x" "128" "pix-y" "96"', [b'pix-x', b'128', b'pix-y', b'96']),
    ('"charset" "utf-8" "CHARSET" "utf-8"', [b'CHARSET', b'utf-8'])])
def test_bad_parameters(box, params, blamed):
    """Section 9: all of them are listed."""
    for target in ('"text/plain"', 'NIL'):
        r = box.no('CONVERT 1 (%s (%s)) (BINARY[1] AVAILABLECONVERSIONS[1])' % (target, params))
        for item in ('BINARY[1]', 'AVAILABLECONVERSIONS[1]'):
            assert items(r)[item][2:] == ['BADPARAMETERS', b'text/plain', b'text/plain', blamed]


@pytest.mark.parametrize('section,kind', [('2', b'image/png'), ('4', b'text/plain'), ('5', b'multipart/alternative'),
                                          ('6', b'message/rfc822'), ('', b'message/rfc822'), ('7', None), ('1.2', None)])
def test_impossible(box, section, kind):
    r = box.no('CONVERT 1 %s BINARY[%s]' % (UTF8, section))
    assert items(r)['BINARY[%s]' % section][2:] == ['BADPARAMETERS', kind, b'text/plain']


def test_unknown_target(box):
    r = box.no('CONVERT 1 ("APPLICATION/PDF") BINARY[3]')
    assert items(r)['BINARY[3]'][2:] == ['BADPARAMETERS', b'text/html', b'APPLICATION/PDF']


def test_some_fail(box):
    """Section 9: if one succeeds, OK."""
    r = box.ok('CONVERT 1 %s (BINARY[3] BODYPARTSTRUCTURE[3] BINARY[5.1] BINARY[1])' % ASCII.replace('us-ascii', 'koi8-r'))
    got = items(r)
    assert got['BINARY[3]'][0] == 'ERROR' and got['BODYPARTSTRUCTURE[3]'][0] == 'ERROR'
    assert got['BINARY[1]'].decode('koi8-r').startswith('\u041f') and got['BINARY[5.1]'][0] == 'ERROR'
    assert r.text == 'Some conversions failed'


def test_size_and_partial(box):
    """Section 8.3: exact; <partial> is of what was converted."""
    text = TEXT.encode()
    got = items(convert(box, UTF8, '(BINARY.SIZE[3] BINARY[3]<5.7> BINARY[3]<1000.1>)'))
    assert int(got['BINARY.SIZE[3]']) == len(text)
    assert got['BINARY[3]<5>'] == text[5:12] and got['BINARY[3]<1000>'] == b''
    whole = b''.join(items(convert(box, UTF8, 'BINARY[3]<%d.4>' % at))['BINARY[3]<%d>' % at] for at in range(0, len(text), 4))
    assert whole == text


def test_structure(box):
    """Section 8.2: as the part is after the conversion; before the text."""
    r = convert(box, UTF8, '(BINARY[3] BODYPARTSTRUCTURE[3] BODYPARTSTRUCTURE[1] UID)')
    assert names(r) == ['UID', 'BODYPARTSTRUCTURE[3]', 'BODYPARTSTRUCTURE[1]', 'BINARY[3]']
    got = items(r)
    s = got['BODYPARTSTRUCTURE[3]']
    assert s[:6] == [b'text', b'plain', [b'charset', b'utf-8'], None, None, b'8bit']
    assert int(s[6]) == len(got['BINARY[3]']) and int(s[7]) == got['BINARY[3]'].count(b'\n')
    s = got['BODYPARTSTRUCTURE[1]']  # what else was said of it is still true
    assert s[2] == [b'charset', b'utf-8', b'format', b'flowed'] and s[3] == b'<one@example.com>'


def test_available(box):
    """Section 8.4."""
    got = items(convert(box, '(NIL)', '(AVAILABLECONVERSIONS[3] AVAILABLECONVERSIONS[1] AVAILABLECONVERSIONS[2])'))
    assert got['AVAILABLECONVERSIONS[3]'] == got['AVAILABLECONVERSIONS[1]'] == [[b'text/plain']]
    assert got['AVAILABLECONVERSIONS[2]'] == [[]]
    assert items(convert(box, UTF8, 'AVAILABLECONVERSIONS[3]'))['AVAILABLECONVERSIONS[3]'] == [[b'text/plain']]
    assert items(box.no('CONVERT 1 %s AVAILABLECONVERSIONS[2]' % UTF8))['AVAILABLECONVERSIONS[2]'][0] == 'ERROR'


def test_header(box):
    """The example of section 6."""
    got = items(convert(box, '(NIL ("CHARSET" "utf-8"))', '(BODY[HEADER] BODY[6.HEADER] BODY[7.HEADER])'))
    assert got['BODY[HEADER]'] == (
        b'Date: Mon, 20 Apr 2007 20:05:43 +0200\r\nFrom: Peter <peter@siroe.example.com>\r\n'
        b'To: Alexey <alexey@siroe.example.com>\r\nSubject: =?utf-8?Q?=D0=9F=D1=80=D0=B8=D0=B2=D0=B5=D1=82?=\r\n'
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n')
    assert got['BODY[6.HEADER]'] == b'Subject: =?utf-8?Q?=D0=9F=D1=80=D0=B8=D0=B2=D0=B5=D1=82?=\r\n\r\n'
    assert got['BODY[7.HEADER]'] is None
    r = box.no('CONVERT 1 (NIL ("CHARSET" "us-ascii")) BODY[HEADER]')
    assert items(r)['BODY[HEADER]'][2] == 'BADPARAMETERS'
    box.bad('CONVERT 1 %s BODY[HEADER]' % UTF8)  # no destination type


def test_mime_header(inbox):
    """The second example of section 6, without its comments: characters that were split are joined."""
    raw = (b'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8;\r\n'
           b" foo*0*=utf-8'fr'tr%c3;\r\n foo*1*=%a0s_m%c3;\r\n foo*2*=%a9chant\r\n\r\nx\r\n--b--\r\n")
    inbox.ok('APPEND INBOX ', LitPlus(raw))
    inbox.noop()
    for target in ('(NIL)', '(NIL ("charset" "utf-8"))'):
        got = items(convert(inbox, target, 'BODY[1.MIME]'))['BODY[1.MIME]']
        assert got == b"Content-Type: text/plain;\r\n charset=utf-8;\r\n foo*=utf-8''tr%C3%A0s_m%C3%A9chant\r\n\r\n"


def test_uid(box):
    r = box.ok('UID CONVERT 1:* %s BINARY[1]' % UTF8)
    assert names(r) == ['UID', 'BINARY[1]'] and r.one('CONVERTED').num == 1
    assert names(box.ok('CONVERT 1 (NIL) UID')) == ['UID']
    assert box.ok('UID CONVERT 4711 %s BINARY[1]' % UTF8).all('CONVERTED') == []
    box.bad('CONVERT 9 %s BINARY[1]' % UTF8)


def test_never_seen(box):
    convert(box, UTF8, 'BINARY[1]')
    assert b'\\Seen' not in box.ok('FETCH 1 FLAGS').fetch()[1]['FLAGS']


def test_too_many_parts(box):
    """Section 8.5."""
    r = box.no('CONVERT 1 %s (BINARY[1] BINARY[2] BINARY[3] BINARY[4] BINARY[5])' % UTF8)
    assert r.code == 'MAXCONVERTPARTS' and r.code_args == ['4'] and r.all('CONVERTED') == []


def test_large(inbox):
    """Up to 2 MiB, and a mailbox full of them: one at a time."""
    body = ('\u0416' * 70 + '\r\n').encode() * 10000
    assert len(body) < 2 << 20
    for n in (1, 2):
        inbox.ok('APPEND INBOX ', LitPlus(part('text/plain; charset=utf-8', body * n)))
    inbox.noop()
    r = inbox.ok('CONVERT 1:2 ("text/plain" ("charset" "koi8-r")) BINARY[1]')
    got = [dict(zip(x.data[1][::2], x.data[1][1::2]))['BINARY[1]'] for x in r.all('CONVERTED')]
    assert got[0].decode('koi8-r').encode() == body + b'\r\n'
    assert got[1][0] == 'ERROR' and got[1][2] == 'BADPARAMETERS'


def test_many_messages(box):
    for i in range(30):
        box.ok('APPEND INBOX ', LitPlus(message()))
    box.noop()
    r = box.ok('CONVERT 1:* %s (BINARY[3] BINARY[1])' % UTF8)
    assert [x.num for x in r.all('CONVERTED')] == list(range(1, 32))
    assert all(x.data[1][1].decode() == TEXT for x in r.all('CONVERTED'))


def test_pipelined(box):
    tags = box.pipeline('CONVERT 1 %s BINARY[1]' % UTF8, 'CONVERT 1 %s BINARY[3]' % UTF8, 'UID CONVERT 1 (NIL) AVAILABLECONVERSIONS[1]')
    found = {}
    for t in tags:
        for x in box.wait(t).all('CONVERTED'):
            found[x.data[0][1].decode()] = x.data[1]
    assert set(found) == set(tags) and found[tags[1]][1].decode() == TEXT


def test_after_expunge(box, session):
    other = session('INBOX')
    other.ok('STORE 1 +FLAGS (\\Deleted)')
    other.ok('EXPUNGE')
    r = box.cmd('CONVERT 1 %s BINARY[1]' % UTF8)
    assert r.expunged() == []  # section 6
    assert r.status == 'OK' and items(r)['BINARY[1]'] or r.code == 'EXPUNGEISSUED'


def test_states(c):
    c.bad('CONVERT 1 %s BINARY[1]' % UTF8)
    c.ok('CONVERSIONS "*" "*"')


def test_uidonly(box):
    box.ok('ENABLE UIDONLY')
    assert box.cmd('UID CONVERT 1 %s BINARY[1]' % UTF8).code == 'UIDREQUIRED'


def test_russian(box):
    """RFC 5255: what people read."""
    box.ok('LANGUAGE ru')
    r = box.no('CONVERT 1 %s BINARY[2]' % UTF8)
    assert items(r)['BINARY[2]'][1].decode() == '\u0422\u0430\u043a\u043e\u0433\u043e \u043f\u0440\u0435\u043e\u0431\u0440\u0430\u0437\u043e\u0432\u0430\u043d\u0438\u044f \u043d\u0435\u0442'


@pytest.mark.parametrize('wrong', [
    'CONVERT', 'CONVERT 1', 'CONVERT 1 (NIL)', 'CONVERT 1 NIL BINARY[1]', 'CONVERT 1 (text/plain) BINARY[1]',
    'CONVERT 1 ("text") BINARY[1]', 'CONVERT 1 ("text/*") BINARY[1]', 'CONVERT 1 (NIL ()) BINARY[1]', 'CONVERT 1 (NIL ("charset")) BINARY[1]',
    'CONVERT 1 (NIL) ()', 'CONVERT 1 (NIL) FLAGS', 'CONVERT 1 (NIL) BODY[1]', 'CONVERT 1 (NIL) BODY[TEXT]', 'CONVERT 1 (NIL) BINARY'])
def test_syntax(box, wrong):
    box.bad(wrong)


def test_several_large_parts(inbox):
    """More than one slice for one message, while another session expunges it."""
    body = ('\u0416' * 70 + '\r\n').encode() * 10000
    raw = (b'Content-Type: multipart/mixed; boundary=b\r\n\r\n' +
           b'--b\r\n'.join([b''] + [part('text/plain; charset=utf-8', body)] * 4) + b'--b--\r\n')
    for i in range(2):
        inbox.ok('APPEND INBOX ', LitPlus(raw))
    inbox.noop()
    r = inbox.ok('UID CONVERT 1:* ("text/plain" ("charset" "koi8-r")) (BINARY[1] BINARY[2] BINARY[3] BINARY[4])')
    for x in r.all('CONVERTED'):
        assert x.data[1][::2] == ['UID', 'BINARY[1]', 'BINARY[2]', 'BINARY[3]', 'BINARY[4]']
        assert all(len(v) == 72 * 10000 for v in x.data[1][3::2])
    assert [x.num for x in r.all('CONVERTED')] == [1, 2]


def test_cache(inbox):
    """Section 8.5: piece by piece; what another charset, replacement, part or message has is another text."""
    def text(n):
        return ''.join('line %d of %d \u0416\r\n' % (i, n) for i in range(2000))
    raw = (b'Content-Type: multipart/mixed; boundary=b\r\n\r\n' +
           b'--b\r\n'.join([b''] + [part('text/plain; charset=utf-8', text(n).encode()) for n in (1, 2)]) + b'--b--\r\n')
    for i in range(6):
        inbox.ok('APPEND INBOX ', LitPlus(raw.replace(b'line', b'text' if i % 2 else b'word')))
    inbox.noop()
    for again in range(2):
        for m in range(1, 7):
            for n in (1, 2):
                want = text(n).replace('line', 'word' if m % 2 else 'text')
                for params, codec, replaced in (('"charset" "koi8-r"', 'koi8-r', want), ('"charset" "utf-8"', 'utf-8', want),
                        ('"charset" "us-ascii" "unknown-character-replacement" "?"', 'ascii', want.replace('\u0416', '?')),
                        ('"charset" "us-ascii" "unknown-character-replacement" "!!"', 'ascii', want.replace('\u0416', '!!'))):
                    r = convert(inbox, '(NIL (%s))' % params, '(BINARY.SIZE[%d] BINARY[%d]<100.5000>)' % (n, n), m)
                    got = items(r)
                    assert int(got['BINARY.SIZE[%d]' % n]) == len(replaced.encode(codec))
                    assert got['BINARY[%d]<100>' % n] == replaced.encode(codec)[100:5100]
                r = inbox.no('CONVERT %d %s BINARY[%d]' % (m, ASCII, n))
                assert items(r)['BINARY[%d]' % n][0] == 'ERROR'
