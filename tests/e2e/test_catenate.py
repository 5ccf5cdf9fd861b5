"""CATENATE (RFC 4469), also with MULTIAPPEND (RFC 3502), URL-PARTIAL (RFC 5550), literal8 (RFC 3516)."""
import hashlib

import pytest

from support import mails
from support.imap import Lit, LitPlus, q

DRAFT = (b'Subject: About our holiday trip\r\nMIME-Version: 1.0\r\n'
         b'Content-Type: multipart/mixed;\r\n boundary="------------030308070208000400050907"\r\n\r\n'
         b'--------------030308070208000400050907\r\nContent-Type: text/plain; format=flowed\r\n\r\nOld text.\r\n'
         b'--------------030308070208000400050907\r\n'
         b'Content-Type: application/x-zip-compressed\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsDBAoAAAAA\r\n'
         b'--------------030308070208000400050907--\r\n')
BOUNDARY = b'\r\n--------------030308070208000400050907\r\n'
LAST = b'\r\n--------------030308070208000400050907--\r\n'
TEXT_MIME = b'Content-Type: text/plain; format=flowed\r\n\r\n'
ZIP_MIME = b'Content-Type: application/x-zip-compressed\r\nContent-Transfer-Encoding: base64\r\n\r\n'
HEADER = DRAFT[:DRAFT.index(b'\r\n\r\n') + 4]


def drafts(c, message=DRAFT):
    """A mailbox with one message; the beginning of its URL."""
    c.ok('CREATE Work')
    uid = c.append('Work', message)
    validity = c.ok('STATUS Work (UIDVALIDITY)').one('STATUS').items()['UIDVALIDITY']
    return '/Work;UIDVALIDITY=%s/;UID=%d' % (validity, uid)


def whole(c, mailbox, uid):
    c.select(mailbox)
    return list(c.ok('UID FETCH %d BODY.PEEK[]' % uid).fetch().values())[0]['BODY[]']


def test_example_1(c):
    """An attachment is replaced without going over the wire; literals as the example has them."""
    assert 'CATENATE' in c.ok('CAPABILITY').one('CAPABILITY').data
    url = drafts(c)
    other = c.append('Work', mails.SIMPLE)
    new = url.rsplit('=', 1)[0] + '=%d' % other
    r = c.ok('APPEND Work (\\Seen \\Draft $MDNSent) CATENATE (URL "%s/;section=HEADER" TEXT ' % url, Lit(BOUNDARY),
             ' URL "%s/;section=1.MIME" URL "%s/;section=1" TEXT ' % (url, url), Lit(BOUNDARY),
             ' URL "%s" TEXT ' % new, Lit(LAST), ')')
    assert r.code == 'APPENDUID'
    assert whole(c, 'Work', int(r.code_args[1])) == (HEADER + BOUNDARY + TEXT_MIME + b'Old text.' + BOUNDARY +
                                                    mails.SIMPLE + LAST)
    assert c.flags_of(int(r.code_args[1])) - {'\\recent'} == {'\\seen', '\\draft', '$mdnsent'}
    assert '\\seen' not in c.flags_of(other), 'CATENATE sets no \\Seen'


def test_example_2(c):
    """New text in an old message."""
    url = drafts(c)
    head = HEADER.replace(b'About', b'More about') + BOUNDARY + TEXT_MIME + b'Cheers,\r\nBob' + BOUNDARY
    r = c.ok('APPEND Work (\\Seen \\Draft) CATENATE (TEXT ', LitPlus(head),
             ' URL "%s/;Section=2.MIME" URL "%s/;Section=2" TEXT ' % (url, url), LitPlus(LAST), ')')
    uid = int(r.code_args[1])
    assert whole(c, 'Work', uid) == head + ZIP_MIME + b'UEsDBAoAAAAA' + LAST
    items = list(c.ok('UID FETCH %d (BODYSTRUCTURE ENVELOPE RFC822.SIZE)' % uid).fetch().values())[0]
    assert items['BODYSTRUCTURE'][1][:2] == [b'application', b'x-zip-compressed']
    assert items['ENVELOPE'][1] == b'More about our holiday trip'
    assert int(items['RFC822.SIZE']) == len(whole(c, 'Work', uid))


@pytest.mark.parametrize('tail', ['/;UID=99', '/;UID=1/;section=1.5.9', ';UIDVALIDITY=1/;UID=1', '',
                                  '/;UID=1/;section=HEAD', '?ALL', '/;UID=1;URLAUTH=anonymous'])
def test_example_4(c, tail):
    """BADURL with the first URL that cannot be resolved; nothing is stored."""
    drafts(c)
    good, bad = '/Work/;UID=1/;SECTION=HEADER', '/Work' + tail
    r = c.no('APPEND Work (\\Seen $MDNSent) CATENATE (TEXT ', LitPlus(b'Subject: x\r\n\r\n'),
             ' URL "%s" URL "%s" URL "/Nowhere/;UID=1" TEXT ' % (good, bad), LitPlus(b'end'), ')', code='BADURL')
    assert r.tagged.raw.split(b'[BADURL ')[1].startswith(q(bad) + b']')
    assert c.ok('STATUS Work (MESSAGES)').one('STATUS').items()['MESSAGES'] == '1'


@pytest.mark.parametrize('url', ['/Nowhere/;UID=1', 'imap://localhost/Work/;UID=1', 'http://x/', '//other/Work/;UID=1',
                                 'Work/;UID=1', ';UID=1', '/Work/../Work/;UID=1', '/a"]b/;UID=1', '/x%zz/;UID=1'])
def test_other_urls(c, url):
    """Section 3: relative URLs alone; ";UID=1" means nothing without a selected mailbox."""
    drafts(c)
    r = c.no(b'APPEND Work CATENATE (URL ' + q(url) + b')', code='BADURL')
    assert b'"]' in r.tagged.raw
    assert c.ok('STATUS Work (MESSAGES)').one('STATUS').items()['MESSAGES'] == '1'


def test_relative_to_selected(c):
    drafts(c)
    c.select('Work')
    r = c.ok('APPEND INBOX CATENATE (URL ";UID=1/;SECTION=HEADER" URL ";UID=1/;SECTION=2")')
    assert whole(c, 'INBOX', int(r.code_args[1])) == HEADER + b'UEsDBAoAAAAA'


def test_partial(c):
    """URL-PARTIAL (RFC 5550 section 5.7.1, RFC 5092 section 11)."""
    assert 'URL-PARTIAL' in c.ok('CAPABILITY').one('CAPABILITY').data
    url = drafts(c)
    r = c.ok('APPEND Work CATENATE (URL "%s/;PARTIAL=0.10" URL "%s/;PARTIAL=5" URL "%s/;SECTION=1/;PARTIAL=4.100" '
             'URL "%s/;PARTIAL=100000.5")' % (url, url, url, url))
    assert whole(c, 'Work', int(r.code_args[1])) == DRAFT[:10] + DRAFT[5:] + b'text.'


def test_header_fields(c):
    url = drafts(c)
    r = c.ok('APPEND Work CATENATE (URL "%s/;SECTION=HEADER.FIELDS%%20(subject)" '
             'URL "%s/;SECTION=HEADER.FIELDS.NOT%%20(content-type%%20mime-version)/;PARTIAL=0.7" TEXT ' % (url, url),
             LitPlus(b'!'), ')')
    assert whole(c, 'Work', int(r.code_args[1])) == b'Subject: About our holiday trip\r\n\r\nSubject!'


def test_names(c):
    """RFC 5092: mailboxes in URLs are percent-encoded UTF-8."""
    c.ok('CREATE "Gr&APwA3w-e"')
    c.append('Gr&APwA3w-e', DRAFT)
    r = c.ok('APPEND INBOX CATENATE (URL "/Gr%c3%bc%c3%9fe/;UID=1")')
    assert whole(c, 'INBOX', int(r.code_args[1])) == DRAFT


def test_literal_urls(c):
    """An astring: also a literal, also an atom."""
    drafts(c)
    r = c.ok('APPEND INBOX CATENATE (URL ', LitPlus('/Work/;UID=1'), ' TEXT ', LitPlus(b'x'), ' URL ',
             Lit('/Work/;UID=1'), ' TEXT ', Lit(b''), ' URL /Work/;UID=1)')
    assert whole(c, 'INBOX', int(r.code_args[1])) == DRAFT + b'x' + DRAFT + DRAFT


def test_multiappend(c):
    """RFC 4469 section 3 with RFC 3502: all or none."""
    url = drafts(c)
    r = c.ok('APPEND INBOX (\\Seen) CATENATE (URL "%s")' % url, ' (\\Flagged) "17-Jul-1996 02:44:25 -0700" ',
             LitPlus(mails.SIMPLE), ' CATENATE (TEXT ', LitPlus(b'Subject: 3\r\n\r\n'), ' URL "%s/;SECTION=1")' % url)
    assert r.code_args[1] == '1:3'
    c.select()
    got = c.ok('FETCH 1:3 (FLAGS INTERNALDATE BODY.PEEK[])').fetch()
    assert [got[n]['BODY[]'] for n in (1, 2, 3)] == [DRAFT, mails.SIMPLE, b'Subject: 3\r\n\r\nOld text.']
    assert got[2]['INTERNALDATE'] in (b'17-Jul-1996 02:44:25 -0700', b'17-Jul-1996 09:44:25 +0000')
    c.no('APPEND INBOX ', LitPlus(mails.SIMPLE), ' CATENATE (URL "/Work/;UID=7")', code='BADURL')
    assert c.ok('STATUS INBOX (MESSAGES)').one('STATUS').items()['MESSAGES'] == '3'


def test_large(c):
    """Parts far larger than what is kept in memory; the sum of them is bounded."""
    block = hashlib.sha256(b'x').hexdigest().encode() + b'\r\n'
    big = b'Subject: big\r\n\r\n' + block * 50000
    c.append('INBOX', big)
    text = block * 30000
    r = c.ok('APPEND INBOX CATENATE (URL "/INBOX/;UID=1" TEXT ', LitPlus(text), ' TEXT ', LitPlus(text),
             ' URL "/INBOX/;UID=1/;SECTION=TEXT")')
    got = whole(c, 'INBOX', int(r.code_args[1]))
    assert got == big + text + text + block * 50000


def test_too_big(c):
    """Section 4.2: TOOBIG where the parts are more than APPENDLIMIT together, as they are announced or fetched."""
    limit = int(c.ok('STATUS INBOX (APPENDLIMIT)').one('STATUS').items()['APPENDLIMIT'])
    c.no('APPEND INBOX CATENATE (TEXT ', LitPlus(b'x'), ' TEXT {%d}' % limit, code='TOOBIG')
    c.append('INBOX', b'Subject: x\r\n\r\n' + b'0123456789abcdef' * (1 << 17))
    urls = ' '.join(['URL "/INBOX/;UID=1"'] * (limit // (2 << 20) + 1))
    assert limit < 1 << 30, 'this test is not for such a limit'
    c.no('APPEND INBOX CATENATE (%s)' % urls, code='TOOBIG', )
    assert c.ok('STATUS INBOX (MESSAGES)').one('STATUS').items()['MESSAGES'] == '1'


def test_grammar(c):
    drafts(c)
    for bad in ('()', '(URL)', '(URL "/Work/;UID=1"', '(TEXT "x")', '(URL "/Work/;UID=1" )', '("x")', ''):
        c.bad('APPEND INBOX CATENATE ' + bad)
    c.bad('APPEND INBOX CATENATE (TEXT ', LitPlus(b'x'))
    c.bad('APPEND INBOX CATENATE (TEXT ', LitPlus(b'x'), ' x)')
    c.no('APPEND INBOX CATENATE (TEXT ', LitPlus(b''), ')')
    c.no('APPEND Nowhere CATENATE (TEXT {5}', code='TRYCREATE')
    assert c.ok('STATUS INBOX (MESSAGES)').one('STATUS').items()['MESSAGES'] == '0'


def test_pipelined(c):
    """RFC 9051 section 5.5: URLs are looked up at the command's turn, not before."""
    drafts(c)
    tags = c.pipeline('SELECT Work', 'APPEND INBOX CATENATE (URL ";UID=1/;SECTION=1")',
                      'UID STORE 1 +FLAGS.SILENT (\\Deleted)', 'EXPUNGE',
                      'APPEND INBOX CATENATE (URL "/Work/;UID=1")')
    assert [c.wait(t).status for t in tags] == ['OK', 'OK', 'OK', 'OK', 'NO']


def test_literal8(c):
    """RFC 3516 section 4.4: NUL octets come back as they were, in a part of a CATENATE as well."""
    message = b'Subject: nul\r\nContent-Transfer-Encoding: binary\r\n\r\na\0b\0\xff\r\n'
    c.ok('APPEND INBOX ', LitPlus(message, binary=True))
    c.ok('APPEND INBOX CATENATE (URL "/INBOX/;UID=1/;SECTION=HEADER" TEXT ', LitPlus(b'\0\0', binary=True),
         ' URL "/INBOX/;UID=1/;SECTION=TEXT")')
    c.select()
    got = c.ok('FETCH 1:2 (BINARY.PEEK[1] BINARY.SIZE[1] BINARY.PEEK[] RFC822.SIZE)').fetch()
    assert got[1]['BINARY[1]'] == b'a\0b\0\xff\r\n' and got[1]['BINARY[]'] == message
    assert got[1]['BINARY.SIZE[1]'] == '7' and got[1]['RFC822.SIZE'] == str(len(message))
    assert got[2]['BINARY[1]'] == b'\0\0a\0b\0\xff\r\n'
    assert b'\0' not in c.ok('FETCH 1 BODY.PEEK[]').fetch()[1]['BODY[]'], 'BODY[] is no literal8'


def test_connection_lost(session):
    """In the middle of a part, or while the parts are put together: nothing is stored."""
    c = session()
    c.append('INBOX', b'Subject: x\r\n\r\n' + b'0123456789abcdef' * (1 << 16))
    for n in (0, 100, 3 << 20):
        other = session()
        other.send(b'a APPEND INBOX CATENATE (URL "/INBOX/;UID=1" TEXT {4000000+}\r\n' + b'x' * n)
        other.close()
    for _ in range(5):
        other = session()
        other.send(b'a APPEND INBOX CATENATE (%s URL "/INBOX/;UID=9")\r\n' % b' '.join([b'URL "/INBOX/;UID=1"'] * 60))
        other.close()
    c.noop()
    assert c.ok('STATUS INBOX (MESSAGES)').one('STATUS').items()['MESSAGES'] == '1'


def test_nobody_elses(c, new_user):
    """Mailboxes of others that this user cannot see are as if they were not there."""
    for name in 'Other%20Users/' + new_user() + '/INBOX', 'Other%20Users/x', 'Other%20Users/', 'Shared/x':
        c.no('APPEND INBOX CATENATE (URL "/%s/;UID=1")' % name, code='BADURL')


def test_other_users(c, user, session, new_user):
    """From mailboxes of others, and into them; for that it takes the rights r and i (RFC 4314)."""
    drafts(c)
    for _ in range(3):
        name = new_user()
        other = session(name=name)
        url, box = '/Other%%20Users/%s/Work/;UID=1' % user, 'Other Users/%s/Work' % user
        c.ok('SETACL Work %s li' % name)
        other.no('APPEND INBOX CATENATE (URL "%s")' % url, code='BADURL')
        other.ok('APPEND "%s" CATENATE (TEXT ' % box, LitPlus(b'Subject: x\r\n\r\nx'), ')')
        c.ok('SETACL Work %s lr' % name)
        r = other.ok('APPEND INBOX CATENATE (URL "%s/;SECTION=1" TEXT ' % url, LitPlus(b'!'), ')')
        assert whole(other, 'INBOX', int(r.code_args[1])) == b'Old text.!'
        other.select(box, 'EXAMINE')
        other.ok('APPEND INBOX CATENATE (URL ";UID=1/;SECTION=2")')
        other.no('APPEND "%s" CATENATE (URL ";UID=1")' % box, code='NOPERM')
        c.ok('DELETEACL Work ' + name)
        other.no('APPEND INBOX CATENATE (URL "%s")' % url, code='BADURL')
