"""SEARCH: every key, charsets, ESEARCH, the saved result.

RFC 9051 sections 6.4.4, 7.3.4; RFC 3501 section 6.4.4; RFC 4731; RFC 5182.
"""
import base64

import pytest

from support.imap import Lit, LitPlus, expand, flags, q

B64 = base64.b64encode
MAILS = [
    # (flags, internal date, message)
    ('(\\Seen \\Answered)', '01-Feb-1994 10:00:00 +0000',
     b'From: "Smith, John" <smith@example.com>\r\nTo: a@example.org\r\nCc: carol@example.org\r\n'
     b'Bcc: hidden@example.org\r\nSubject: Monthly report\r\nDate: Mon, 31 Jan 1994 23:59:00 -0800\r\n'
     b'X-Custom: Some Value\r\n\r\nThe quick brown fox\r\n'),
    ('(\\Flagged $Work)', '05-Mar-2010 23:59:59 +0000',
     'From: =?utf-8?q?J=C3=BCrgen_Gr=C3=B6=C3=9Fe?= <jg@example.net>\r\nTo: b@example.org\r\n'
     'Subject: =?iso-8859-1?Q?Gr=FC=DFe_aus_K=F6ln?=\r\nDate: Fri, 5 Mar 2010 12:00:00 +0100\r\n'
     'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n'
     'Content-Transfer-Encoding: quoted-printable\r\n\r\nSch=F6ne Gr=FC=DFe\r\n'.encode()),
    ('(\\Deleted \\Draft)', '06-Mar-2010 00:00:00 +0000',
     b'From: x@example.org\r\nSubject: base64 here\r\nDate: Sat, 6 Mar 2010 00:30:00 +0000\r\nMIME-Version: 1.0\r\n'
     b'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n'
     b'Content-Transfer-Encoding: base64\r\n\r\n' + B64('Привет мир, hidden needle'.encode()) +
     b'\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: nested subject\r\nFrom: nested@example.org\r\n\r\n'
     b'nested words\r\n--b--\r\n'),
    ('', '07-Mar-2010 12:00:00 +0000',
     b'Subject: long one\r\n folded needle\r\nIn-Reply-To: <abc@example.org>\r\n\r\n' + b'pad ' * 2000 + b'\r\n'),
    ('(\\Seen)', '08-Mar-2010 12:00:00 +0000', b'\r\nno header at all\r\n'),
]


@pytest.fixture
def box(c):
    for f, date, message in MAILS:
        c.append('INBOX', message, ('%s "%s"' % (f, date)).strip())
    c.ok('CREATE none')
    c.select()  # only now, so that the messages are recent here
    return c


CASES = [
    ('ALL', [1, 2, 3, 4, 5]), ('ANSWERED', [1]), ('UNANSWERED', [2, 3, 4, 5]), ('DELETED', [3]),
    ('UNDELETED', [1, 2, 4, 5]), ('DRAFT', [3]), ('UNDRAFT', [1, 2, 4, 5]), ('FLAGGED', [2]),
    ('UNFLAGGED', [1, 3, 4, 5]), ('SEEN', [1, 5]), ('UNSEEN', [2, 3, 4]), ('KEYWORD $Work', [2]),
    ('KEYWORD $work', [2]), ('UNKEYWORD $Work', [1, 3, 4, 5]), ('KEYWORD $None', []), ('UNKEYWORD $None', [1, 2, 3, 4, 5]),
    ('OLD', []), ('NEW', [2, 3, 4]), ('RECENT', [1, 2, 3, 4, 5]),
    ('FROM smith', [1]), ('FROM "Smith, John"', [1]), ('FROM SMITH@EXAMPLE.COM', [1]), ('FROM example.net', [2]),
    ('TO a@example.org', [1]), ('TO example.org', [1, 2]), ('CC carol', [1]), ('BCC hidden', [1]),
    ('SUBJECT report', [1]), ('SUBJECT REPORT', [1]), ('SUBJECT "folded needle"', [4]), ('SUBJECT nested', []),
    ('HEADER X-Custom "some value"', [1]), ('HEADER x-custom ""', [1]), ('HEADER X-None ""', []),
    ('HEADER In-Reply-To abc', [4]), ('HEADER Subject monthly', [1]), ('HEADER MIME-Version ""', [2, 3]),
    ('BODY "quick brown"', [1]), ('BODY QUICK', [1]), ('BODY report', []), ('BODY "hidden needle"', [3]),
    ('BODY "nested words"', [3]), ('TEXT report', [1]), ('TEXT needle', [3, 4]), ('TEXT "nested subject"', [3]),
    ('TEXT "X-Custom"', [1]), ('BODY "no header"', [5]), ('TEXT pad', [4]),
    ('BEFORE 1-Feb-1994', []), ('BEFORE 2-Feb-1994', [1]), ('ON 1-Feb-1994', [1]), ('ON "05-Mar-2010"', [2]),
    ('ON 6-Mar-2010', [3]), ('SINCE 6-Mar-2010', [3, 4, 5]), ('SINCE 5-Mar-2010 BEFORE 7-Mar-2010', [2, 3]),
    ('SENTON 31-Jan-1994', [1]), ('SENTON 1-Feb-1994', []), ('SENTBEFORE 5-Mar-2010', [1]),
    ('SENTSINCE 5-Mar-2010 SENTBEFORE 7-Mar-2010', [2, 3]), ('SENTON 6-Mar-2010', [3]),
    ('LARGER 8000', [4]), ('SMALLER 50', [5]), ('LARGER 4294967295', []), ('SMALLER 0', []), ('LARGER 0', [1, 2, 3, 4, 5]),
    ('1', [1]), ('2:3', [2, 3]), ('1,4:5', [1, 4, 5]), ('*', [5]), ('3:*', [3, 4, 5]), ('UID 2:3', [2, 3]),
    ('UID 4:*', [4, 5]), ('UID 99', []), ('UID 99:*', [5]), ('UID *', [5]), ('1:3 UNSEEN', [2, 3]),
    ('NOT SEEN', [2, 3, 4]), ('NOT NOT SEEN', [1, 5]), ('OR SEEN FLAGGED', [1, 2, 5]),
    ('OR (SEEN ANSWERED) (DELETED DRAFT)', [1, 3]), ('(SEEN) (ANSWERED)', [1]), ('OR OR 1 2 3', [1, 2, 3]),
    ('NOT (OR SEEN FLAGGED)', [3, 4]), ('NOT 1:3', [4, 5]), ('OR UID 1 UID 5', [1, 5]), ('SEEN UNSEEN', []),
    ('ALL ALL', [1, 2, 3, 4, 5]), ('(ALL)', [1, 2, 3, 4, 5]), ('((1) (NOT 2))', [1]), ('seen larger 100', [1]),
    ('NOT FROM smith NOT SUBJECT base64', [2, 4, 5]), ('TEXT ""', [1, 2, 3, 4, 5]),
]


@pytest.mark.parametrize('key, expected', CASES, ids=[k for k, _ in CASES])
def test_keys(box, key, expected):
    assert box.ok('SEARCH ' + key).search() == expected


def test_all_keys_in_one_session(box):
    """The same by UID, after an expunge that shifts the numbers."""
    box.ok('STORE 3 +FLAGS.SILENT (\\Deleted)')
    box.ok('EXPUNGE')
    for key, expected in CASES:
        if any(ch.isdigit() for ch in key.split()[0]) or '*' in key or 'OR ' in key or 'NOT' in key or '(' in key:
            continue
        if key.startswith(('UID', 'RECENT', 'NEW', 'OLD')):
            continue
        uids = box.ok('UID SEARCH ' + key).search()
        assert uids == [n for n in expected if n != 3], key
        numbers = box.ok('SEARCH ' + key).search()
        assert numbers == [n if n < 3 else n - 1 for n in uids], key


@pytest.mark.parametrize('command', ['SEARCH', 'SEARCH FROB', 'SEARCH FROM', 'SEARCH (SEEN', 'SEARCH SEEN)', 'SEARCH ()',
                                     'SEARCH NOT', 'SEARCH OR SEEN', 'SEARCH KEYWORD', 'SEARCH BEFORE x',
                                     'SEARCH ON 31-Feb', 'SEARCH ON 1-Foo-2000', 'SEARCH LARGER x',
                                     'SEARCH LARGER -1', 'SEARCH HEADER x', 'SEARCH UID', 'SEARCH UID x',
                                     'SEARCH CHARSET', 'SEARCH CHARSET UTF-8', 'SEARCH 0', 'SEARCH RETURN (FROB) ALL',
                                     'SEARCH RETURN ALL', 'SEARCH RETURN (ALL', 'SEARCH ON 32-Jan-2000',
                                     'SEARCH KEYWORD \\Seen', 'SEARCH SEEN  UNSEEN', 'SEARCH RETURN (MIN)'])
@pytest.mark.martlet('Dovecot is lenient')
def test_bad_syntax(box, command):
    r = box.bad(command)
    r.none('SEARCH')
    r.none('ESEARCH')
    box.bad('UID ' + command)
    box.ok('NOOP')


def test_numbers_beyond_the_mailbox(box):
    """A message number beyond EXISTS is an error as for FETCH; a UID is not."""
    r = box.cmd('SEARCH 99')
    assert r.status in ('BAD', 'NO') or r.search() == []
    assert box.ok('SEARCH UID 99').search() == []


def test_empty_mailbox(box):
    box.select('none')
    for key in ('ALL', 'UID 1:*', 'TEXT x', 'NOT SEEN'):
        assert box.ok('SEARCH ' + key).search() == []
        assert box.ok('UID SEARCH ' + key).search() == []


# -- charsets

def search8(c, text, charset='UTF-8', key=b'SUBJECT'):
    data = text.encode(charset)
    return c.ok(b'SEARCH CHARSET %s %s ' % (charset.encode(), key), Lit(data)).search()


def test_charset_utf8(box):
    """Section 6.4.4: encoded words and transfer encodings are decoded; case is folded beyond ASCII
    (i;unicode-casemap)."""
    assert search8(box, 'Grüße aus Köln') == [2]
    assert search8(box, 'GRÜßE AUS KÖLN') == [2]
    assert search8(box, 'jürgen', key=b'FROM') == [2]
    assert search8(box, 'Schöne Grüße', key=b'BODY') == [2]
    assert search8(box, 'привет', key=b'BODY') == [3]
    assert search8(box, 'ПРИВЕТ МИР', key=b'TEXT') == [3]
    assert search8(box, 'Größe', key=b'TEXT') == [2]
    assert search8(box, 'Ж', key=b'TEXT') == []


def test_charset_others(box):
    """Issue: all charsets through iconv."""
    assert search8(box, 'Grüße', 'ISO-8859-1') == [2]
    assert search8(box, 'Привет', 'KOI8-R', b'BODY') == [3]
    assert search8(box, 'Привет', 'windows-1251', b'BODY') == [3]
    assert box.ok('SEARCH CHARSET US-ASCII SUBJECT report').search() == [1]
    assert box.ok('SEARCH CHARSET "utf-8" SUBJECT report').search() == [1]
    assert box.ok('UID SEARCH CHARSET utf-8 UNSEEN SUBJECT base64').search() == [3]


def test_bad_charset(box):
    """Section 6.4.4: NO [BADCHARSET], with a list of charsets or none."""
    r = box.no('SEARCH CHARSET x-nonexistent SUBJECT a', code='BADCHARSET')
    for a in r.code_args:
        assert isinstance(a, list)
    box.no('UID SEARCH CHARSET x-nonexistent ALL', code='BADCHARSET')
    box.ok('NOOP')


def test_malformed_text_for_charset(box):
    """Octets that are not of the charset: no match or an error, never a crash."""
    r = box.cmd('SEARCH CHARSET UTF-8 SUBJECT ', Lit(b'\xff\xfe'))
    assert r.status in ('NO', 'BAD') or r.search() == []
    box.ok('NOOP')


@pytest.mark.martlet('IMAP4rev2')
def test_rev2_assumes_utf8(session, box):
    c = session('INBOX', rev2=True)
    assert c.ok(b'SEARCH SUBJECT ' + q('Grüße')).search() == [2]
    assert c.ok('SEARCH SUBJECT ', LitPlus('grüße')).search() == [2]


@pytest.mark.parametrize('charset, text', [
    ('iso-8859-15', 'Preis: 10 €'), ('windows-1252', '„quoted“'), ('koi8-r', 'съешь'), ('shift_jis', '日本語'),
    ('iso-2022-jp', '日本語'), ('gb18030', '中文'), ('big5', '中文'), ('euc-kr', '한국어'), ('utf-16', 'wide ünï'),
    ('utf-7', 'sëven')])
def test_body_charsets(inbox, charset, text):
    """Bodies of all charsets match UTF-8 keys."""
    head = 'Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    inbox.append('INBOX', (head % charset).encode() + base64.encodebytes(('start %s end' % text).encode(charset)))
    inbox.append('INBOX', b'Subject: other\r\n\r\nother\r\n')
    inbox.noop()
    assert search8(inbox, text, key=b'BODY') == [1]


def test_match_across_line_and_block_borders(inbox):
    """A match may lie anywhere, across any buffer border of the decoder."""
    for pad in (4090, 4095, 8190, 16380, 65530):
        inbox.append('INBOX', b'Subject: x\r\n\r\n' + b'z' * pad + b'NeedleInHay' + b'z' * 100 + b'\r\n')
    inbox.noop()
    assert inbox.ok('SEARCH BODY needleinhay').search() == [1, 2, 3, 4, 5]
    inbox.append('INBOX', b'Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n'
                 b'Content-Transfer-Encoding: quoted-printable\r\n\r\nsplit nee=\r\ndle here\r\n')
    inbox.noop()
    assert inbox.ok('SEARCH BODY "split needle"').search() == [6]


# -- ESEARCH

def test_esearch(box):
    """RFC 9051 section 6.4.4, RFC 4731."""
    def esearch(command):
        tag = box.start(command)
        r = box.wait(tag)
        assert r.status == 'OK', r
        r.none('SEARCH')
        got_tag, uid, data = r.one('ESEARCH').esearch()
        assert got_tag == tag
        return uid, data
    assert esearch('SEARCH RETURN (MIN) UNSEEN') == (False, {'MIN': '2'})
    assert esearch('SEARCH RETURN (MAX) UNSEEN') == (False, {'MAX': '4'})
    assert esearch('SEARCH RETURN (COUNT) UNSEEN') == (False, {'COUNT': '3'})
    assert esearch('SEARCH RETURN (ALL) UNSEEN') == (False, {'ALL': '2:4'})
    assert esearch('SEARCH RETURN () UNSEEN') == (False, {'ALL': '2:4'})
    assert esearch('SEARCH RETURN (MIN MAX COUNT ALL) OR 1 5') == (False, {'MIN': '1', 'MAX': '5', 'COUNT': '2',
                                                                            'ALL': '1,5'})
    assert esearch('UID SEARCH RETURN (MIN MAX) ALL') == (True, {'MIN': '1', 'MAX': '5'})
    assert esearch('SEARCH RETURN (MIN MAX ALL) KEYWORD none') == (False, {})
    assert esearch('SEARCH RETURN (COUNT MIN) KEYWORD none') == (False, {'COUNT': '0'})
    assert esearch('SEARCH RETURN (COUNT) CHARSET UTF-8 SUBJECT report') == (False, {'COUNT': '1'})


@pytest.mark.martlet('IMAP4rev2')
def test_rev2_search_answers_esearch(session, box):
    """Appendix E, 4: ESEARCH always; with no matches, an ESEARCH without ALL."""
    c = session('INBOX', rev2=True)
    r = c.ok('SEARCH UNSEEN')
    r.none('SEARCH')
    tag, uid, data = r.one('ESEARCH').esearch()
    assert tag and not uid and data == {'ALL': '2:4'}
    tag, uid, data = c.ok('UID SEARCH KEYWORD none').one('ESEARCH').esearch()
    assert uid and data == {}


def test_rev1_search_answers_search(box):
    """RFC 3501 section 7.2.5: SEARCH, also when nothing was found."""
    assert box.ok('SEARCH KEYWORD none').one('SEARCH').data == []


# -- SEARCHRES

def saved(c, item='UID'):
    return sorted(int(i['UID']) for i in c.ok('FETCH $ %s' % item).fetch().values())


def test_save(box):
    """Section 6.4.4.1; RFC 5182."""
    r = box.ok('SEARCH RETURN (SAVE) UNSEEN')
    r.none('ESEARCH')
    r.none('SEARCH')
    assert saved(box) == [2, 3, 4]
    assert box.ok('SEARCH $ FLAGGED').search() == [2]
    assert box.ok('UID SEARCH UID $ SMALLER 4096').search() == [2, 3]
    assert box.ok('SEARCH OR $ 1').search() == [1, 2, 3, 4]
    assert box.ok('SEARCH NOT $').search() == [1, 5]
    # a search without SAVE does not change it; nor does a BAD one
    box.ok('SEARCH SEEN')
    box.bad('SEARCH RETURN (SAVE) FROB')
    assert saved(box) == [2, 3, 4]
    box.ok('UID STORE $ +FLAGS.SILENT (saved)')
    assert box.ok('SEARCH KEYWORD saved').search() == [2, 3, 4]
    r = box.ok('COPY $ none')
    assert r.code_args[1] == '2:4'


@pytest.mark.parametrize('options, expected', [('SAVE MIN', [2]), ('SAVE MAX', [4]), ('SAVE MIN MAX', [2, 4]),
                                               ('SAVE COUNT', [2, 3, 4]), ('SAVE ALL', [2, 3, 4]),
                                               ('MIN SAVE COUNT', [2, 3, 4]), ('SAVE', [2, 3, 4])])
def test_save_combinations(box, options, expected):
    """Section 6.4.4.1, table 4."""
    box.ok('SEARCH RETURN (%s) UNSEEN' % options)
    assert saved(box) == expected


def test_saved_is_empty_at_first(box):
    """Section 6.4.4.1: reset by SELECT; $ is then a set that matches nothing."""
    assert saved(box) == []
    box.ok('SEARCH RETURN (SAVE) ALL')
    box.select()
    assert saved(box) == []
    for command in ('STORE $ +FLAGS (\\Seen)', 'UID FETCH $ FLAGS', 'COPY $ none', 'SEARCH $'):
        r = box.ok(command)
        r.none('FETCH')
        assert r.code != 'COPYUID'


def test_saved_after_failed_search(box):
    """A SEARCH (SAVE) answered with NO empties it."""
    box.ok('SEARCH RETURN (SAVE) ALL')
    box.no('SEARCH RETURN (SAVE) CHARSET x-nonexistent SUBJECT a', code='BADCHARSET')
    assert saved(box) == []


def test_saved_follows_expunge(box):
    """Expunged messages leave it; the others keep their identity though their numbers change."""
    box.ok('SEARCH RETURN (SAVE) UNSEEN')
    box.ok('STORE 1,3 +FLAGS.SILENT (\\Deleted)')
    box.ok('EXPUNGE')
    assert saved(box) == [2, 4]
    assert box.ok('SEARCH $').search() == [1, 2]


def test_saved_pipelined(box):
    """Section 6.4.4.2: the server must keep the order of the dependent commands."""
    for _ in range(10):
        tags = box.pipeline('SEARCH RETURN (SAVE) UNSEEN', 'FETCH $ UID', 'SEARCH RETURN (SAVE) SEEN', 'FETCH $ (UID FLAGS)')
        box.wait(tags[0])
        r = box.wait(tags[1])
        assert sorted(int(i['UID']) for i in r.fetch().values()) == [2, 3, 4]
        box.wait(tags[2])
        r = box.wait(tags[3])
        assert sorted(int(i['UID']) for i in r.fetch().values()) == [1, 5]


def test_move_and_expunge_with_saved(box):
    box.ok('SEARCH RETURN (SAVE) UNSEEN')
    r = box.ok('MOVE $ none')
    assert len(r.expunged()) == 3
    assert saved(box) == []
    assert len(box.uid_list()) == 2


# -- complexity

def test_deep_nesting(box):
    """Issue: a limit on nesting, with a clear answer; the session goes on. 10 levels always work."""
    assert box.ok('SEARCH ' + '(' * 10 + 'SEEN' + ')' * 10).search() == [1, 5]
    assert box.ok('SEARCH ' + 'NOT ' * 10 + 'SEEN').search() == [1, 5]
    for command in ('SEARCH ' + '(' * 3000 + 'SEEN' + ')' * 3000, 'SEARCH ' + 'NOT ' * 3001 + 'SEEN',
                    'SEARCH ' + 'OR ' * 1500 + 'SEEN ' * 1500 + 'SEEN'):
        r = box.cmd(command)
        assert r.status in ('BAD', 'NO', 'OK') and r.text
        box.ok('NOOP')


def test_many_keys(box):
    """Many keys either work or are refused with a reason."""
    r = box.cmd('SEARCH ' + ' '.join('NOT SUBJECT "k%d"' % i for i in range(500)))
    if r.status == 'OK':
        assert r.search() == [1, 2, 3, 4, 5]
    else:
        assert r.code in ('LIMIT', None)
    assert box.ok('SEARCH ' + ' '.join(['UNDELETED'] * 50)).search() == [1, 2, 4, 5]
    box.ok('NOOP')


def test_search_does_not_set_seen(box):
    box.ok('SEARCH TEXT needle')
    assert '\\seen' not in box.flags_of(4)
