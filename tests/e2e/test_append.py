"""APPEND, MULTIAPPEND, literals of every kind.

RFC 9051 sections 4.3, 6.3.12, 7.1; RFC 3502; RFC 7888; RFC 3516 (literal8); RFC 4315.
"""
import re

import pytest

from support.imap import Closed, Lit, LitPlus, flags, q
from support.server import SANITIZED

MESSAGE = b'From: a@example.org\r\nSubject: s\r\n\r\nbody\r\n'


def fetch_one(c, uid, item):
    found = list(c.ok('UID FETCH %d (%s)' % (uid, item)).fetch().values())
    assert len(found) == 1
    return found[0]


def test_append(inbox):
    """Section 6.3.12; APPENDUID of section 7.1; EXISTS follows in the selected mailbox."""
    r = inbox.ok('APPEND INBOX ', Lit(MESSAGE))
    assert r.code == 'APPENDUID' and r.code_args[1] == '1'
    assert r.code_args[0] == inbox.select().codes()['UIDVALIDITY'].code_args[0]
    items = inbox.ok('FETCH 1 (UID FLAGS RFC822.SIZE BODY.PEEK[])').fetch()[1]
    assert items['UID'] == '1' and items['RFC822.SIZE'] == str(len(MESSAGE)) and items['BODY[]'] == MESSAGE
    assert flags(items['FLAGS']) <= {'\\recent'}


def test_append_announces_exists(inbox):
    """Section 7.4.1: the session itself sees the new message, at once or at the next NOOP."""
    r = inbox.ok('APPEND INBOX ', LitPlus(MESSAGE))
    seen = [x.num for x in r.all('EXISTS')] + [x.num for x in inbox.noop().all('EXISTS')]
    assert seen == [1]


def test_append_flags(inbox):
    uid = inbox.append('INBOX', MESSAGE, '(\\Seen \\Answered \\Flagged \\Deleted \\Draft kw1 $Forwarded)')
    inbox.noop()
    assert inbox.flags_of(uid) - {'\\recent'} == {'\\seen', '\\answered', '\\flagged', '\\deleted', '\\draft',
                                                   'kw1', '$forwarded'}
    uid = inbox.append('INBOX', MESSAGE, '()')
    inbox.noop()
    assert inbox.flags_of(uid) <= {'\\recent'}


def test_append_recent_flag_is_not_settable(inbox):
    r = inbox.cmd('APPEND INBOX (\\Recent) ', LitPlus(MESSAGE))
    assert r.status in ('OK', 'BAD', 'NO')
    inbox.noop()


@pytest.mark.parametrize('date', ['17-Jul-1996 02:44:25 -0700', ' 1-Jan-2001 00:00:00 +0000',
                                  '31-Dec-1999 23:59:59 +1400', '29-Feb-2024 12:00:00 +0530',
                                  '01-Feb-2020 03:04:05 -1200', '19-Jan-2038 03:14:08 +0000'])
def test_append_date(inbox, date):
    """Section 6.3.12: the date given becomes INTERNALDATE; the same moment comes back."""
    from email.utils import parsedate_to_datetime
    uid = inbox.append('INBOX', MESSAGE, '"%s"' % date)
    inbox.noop()
    got = fetch_one(inbox, uid, 'INTERNALDATE')['INTERNALDATE'].decode()
    assert re.fullmatch(r'[ \d]\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}', got)

    def moment(text):
        return parsedate_to_datetime(text.strip().replace('-', ' ', 2))
    assert moment(got) == moment(date)


@pytest.mark.parametrize('date', ['32-Jan-2001 00:00:00 +0000', '17-Jul-1996', '1-Foo-2001 00:00:00 +0000',
                                  '17-Jul-1996 25:00:00 +0000', '17-Jul-1996 02:44:25', '',
                                  '17-Jul-1996 02:44:61 +0000', '30-Feb-2001 00:00:00 +0000'])
def test_append_bad_date(c, date):
    r = c.cmd('APPEND INBOX "%s" ' % date, LitPlus(MESSAGE))
    assert r.status in ('BAD', 'NO'), r
    c.ok('NOOP')
    assert c.ok('STATUS INBOX (MESSAGES)').one('STATUS').items()['MESSAGES'] == '0'


def test_append_without_date_is_now(inbox):
    import datetime
    from email.utils import parsedate_to_datetime
    uid = inbox.append('INBOX', MESSAGE)
    inbox.noop()
    got = fetch_one(inbox, uid, 'INTERNALDATE')['INTERNALDATE'].decode()
    moment = parsedate_to_datetime(got.strip().replace('-', ' ', 2))
    assert abs((datetime.datetime.now(datetime.timezone.utc) - moment).total_seconds()) < 60


def test_trycreate(c):
    """Section 6.3.12: NO [TRYCREATE] if the mailbox does not exist; nothing is made."""
    c.no('APPEND nowhere ', LitPlus(MESSAGE), code='TRYCREATE')
    assert b'nowhere' not in c.ok('LIST "" *').names()
    c.ok('NOOP')


@pytest.mark.martlet
def test_trycreate_before_the_bytes(c):
    """A synchronising literal for a mailbox that does not exist need not be sent; either way NO."""
    tag = c.start('APPEND nowhere ', Lit(MESSAGE))
    r = c.wait(tag)
    assert r.status == 'NO' and r.code == 'TRYCREATE'
    c.ok('NOOP')


@pytest.mark.parametrize('command', ['APPEND', 'APPEND INBOX', 'APPEND INBOX ()', 'APPEND INBOX "text"',
                                     'APPEND INBOX (\\Seen', 'APPEND INBOX atom'])
def test_bad_syntax(c, command):
    c.bad(command)
    c.ok('NOOP')


def test_bad_flags_with_literal(c):
    """The bytes of a refused APPEND are read and thrown away; the session goes on."""
    r = c.cmd('APPEND INBOX (\\Frobnicated) ', LitPlus(MESSAGE))
    assert r.status in ('BAD', 'NO', 'OK')
    r = c.cmd('APPEND INBOX (\\Seen) (\\Seen) ', LitPlus(MESSAGE))
    assert r.status == 'BAD'
    c.bad('FROB ', LitPlus(MESSAGE))
    c.ok('NOOP')


def test_literal_with_commands_inside(inbox):
    """What is inside a literal is data."""
    evil = b'Subject: x\r\n\r\na1 LOGOUT\r\n{5}\r\n+ go\r\n* OK\r\n'
    uid = inbox.append('INBOX', evil)
    inbox.noop()
    assert fetch_one(inbox, uid, 'BODY.PEEK[]')['BODY[]'] == evil


def test_append_byte_by_byte(inbox):
    message = MESSAGE
    for b in b'z1 APPEND "INBOX" (\\Seen) {%d+}\r\n%s\r\n' % (len(message), message):
        inbox.send(bytes([b]))
    assert inbox.wait('z1').status == 'OK'
    inbox.noop()
    assert fetch_one(inbox, 1, 'BODY.PEEK[]')['BODY[]'] == message


def test_append_in_odd_pieces(inbox):
    """Cuts between CR and LF, within the literal's header, right behind it."""
    message = b'Subject: x\r\n\r\n' + b'y' * 5000 + b'\r\n'
    command = b'z%d APPEND INBOX {%d+}\r\n' % (1, len(message))
    whole = command + message + b'\r\n'
    for cut in (1, len(command) - 4, len(command) - 1, len(command), len(command) + 1, len(whole) - 2,
                len(whole) - 1):
        tag = inbox.tag()
        data = whole.replace(b'z1', tag.encode(), 1)
        at = cut + len(data) - len(whole)
        inbox.send(data[:at])
        inbox.send(data[at:])
        assert inbox.wait(tag).status == 'OK', cut
    assert inbox.noop() and len(inbox.uid_list()) == 7


def test_empty_message(inbox):
    """A literal of no octets: an empty message or a refusal (RFC 3502 reads it as an abort)."""
    r = inbox.cmd('APPEND INBOX ', Lit(b''))
    if r.status == 'OK':
        inbox.noop()
        items = inbox.ok('FETCH 1 (RFC822.SIZE BODY.PEEK[] ENVELOPE BODYSTRUCTURE)').fetch()[1]
        assert items['RFC822.SIZE'] == '0' and items['BODY[]'] in (b'', None)
    inbox.ok('NOOP')


# -- MULTIAPPEND

def test_multiappend(inbox):
    """RFC 3502: all in one command, consecutive UIDs in one APPENDUID."""
    parts = ['APPEND INBOX']
    for i in range(5):
        parts += [' (kw%d) "0%d-Jan-2010 00:00:00 +0000" ' % (i, i + 1), LitPlus(b'Subject: %d\r\n\r\n' % i)]
    r = inbox.ok(*parts)
    assert r.code == 'APPENDUID' and r.code_args[1] == '1:5'
    inbox.noop()
    found = inbox.ok('FETCH 1:5 (FLAGS INTERNALDATE BODY.PEEK[])').fetch()
    for i in range(5):
        items = found[i + 1]
        assert 'kw%d' % i in flags(items['FLAGS'])
        assert items['BODY[]'] == b'Subject: %d\r\n\r\n' % i


def test_multiappend_synchronising(inbox):
    r = inbox.ok('APPEND INBOX ', Lit(MESSAGE), ' (\\Seen) ', Lit(MESSAGE), ' ', Lit(MESSAGE))
    assert r.code_args[1] == '1:3'


def test_multiappend_is_atomic(inbox):
    """RFC 3502 section 6.3.11: all or none; here the third message is wrong."""
    r = inbox.cmd('APPEND INBOX ', LitPlus(MESSAGE), ' ', LitPlus(MESSAGE), ' "no date" ', LitPlus(MESSAGE))
    assert r.status in ('BAD', 'NO')
    inbox.noop().none('EXISTS')
    assert inbox.uid_list() == []


def test_multiappend_cut_off(inbox, session):
    """The connection breaks in the middle: nothing of it is there."""
    other = session()
    other.send(b'x1 APPEND INBOX {%d+}\r\n%s (\\Seen) {%d+}\r\n%s' % (len(MESSAGE), MESSAGE, 500, MESSAGE))
    other.close()
    inbox.noop().none('EXISTS')
    assert inbox.uid_list() == []


def test_multiappend_of_many(inbox):
    n = 300
    parts = ['APPEND INBOX']
    for i in range(n):
        parts += [' ', LitPlus(b'Subject: m%d\r\n\r\nbody %d\r\n' % (i, i))]
    r = inbox.ok(*parts)
    assert r.code_args[1] == '1:%d' % n
    inbox.noop()
    found = inbox.ok('FETCH 1:* BODY.PEEK[]').fetch()
    assert [found[i + 1]['BODY[]'] for i in range(n)] == [b'Subject: m%d\r\n\r\nbody %d\r\n' % (i, i)
                                                        for i in range(n)]


# -- literals

@pytest.mark.martlet('RFC 3516')
def test_literal8(inbox):
    """RFC 3516 section 4.4: literal8 may hold NUL."""
    message = b'Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\1\2\0\r\n'
    uid = int(inbox.ok('APPEND INBOX ', Lit(message, binary=True)).code_args[1])
    uid2 = int(inbox.ok('APPEND INBOX ', LitPlus(message, binary=True)).code_args[1])
    inbox.noop()
    for u in (uid, uid2):
        items = fetch_one(inbox, u, 'RFC822.SIZE BINARY.PEEK[1] BINARY.SIZE[1]')
        assert items['RFC822.SIZE'] == str(len(message))
        assert items['BINARY[1]'] == b'\0\1\2\0\r\n' and items['BINARY.SIZE[1]'] == '6'


@pytest.mark.martlet('limits')
def test_synchronising_literal_refused_before_the_bytes(c):
    """Section 4.3 and issue: too large a literal is refused instead of '+'; the session goes on."""
    c.running['big'] = 'APPEND'
    c.send(b'big APPEND INBOX {99999999999}\r\n')
    r = c.wait('big')
    assert r.status in ('NO', 'BAD') and r.code in ('TOOBIG', 'LIMIT', None), r
    c.ok('NOOP')
    # the same for a literal in another command
    c.send(b'big2 LOGIN {99999999999}\r\n')
    assert c.wait('big2').status in ('NO', 'BAD')
    c.ok('NOOP')


@pytest.mark.martlet('limits')
def test_non_synchronising_literal_beyond_all_bounds(session):
    """RFC 7888 section 4: refuse and read on, or close with BYE."""
    c = session()
    c.send(b'big APPEND INBOX {999999999999999+}\r\n')
    try:
        while True:
            r = c.read()
            assert r.kind in ('NO', 'BAD', 'BYE'), r
            if r.kind == 'BYE':
                break
    except Closed:
        assert any(r.kind == 'BYE' for r in c.log)


@pytest.mark.parametrize('size', ['18446744073709551616', '4294967296', '99999999999999999999999999', '-1', '',
                                  'x', '1x', '+', '01', ' 1'])
def test_odd_literal_sizes(connect, user, size):
    """Overflow and nonsense in a literal's length: an answer, not a crash."""
    c = connect()
    c.send(b'l1 LOGIN {%s}\r\n' % size.encode())
    try:
        while True:
            r = c.read()
            if r.tag in ('+', 'l1') or r.kind in ('BAD', 'BYE'):
                break
    except Closed:
        pass


@pytest.mark.martlet('memory of its own processes')
def test_large_message_costs_little_memory(server, session):
    """Issue: a literal of 50 MB costs no 50 MB of memory; and it comes back whole."""
    c = session('INBOX')
    size = 50 << 20
    block = (b'0123456789abcdef' * 4)[:62] + b'\r\n'
    head = b'Subject: large\r\nContent-Type: text/plain\r\n\r\n'
    body = head + block * ((size - len(head)) // len(block))
    c.ok('NOOP')
    before = server.memory()
    peak = 0
    c.send(b'm1 APPEND INBOX {%d+}\r\n' % len(body))
    step = 1 << 20
    for at in range(0, len(body), step):
        c.send(body[at:at + step])
        if at % (8 * step) == 0:
            peak = max(peak, server.memory())
    peak = max(peak, server.memory())
    c.send(b'\r\n')
    r = c.wait('m1', 60)
    assert r.status == 'OK', r
    peak = max(peak, server.memory())
    if not SANITIZED:
        assert peak - before < 16 << 20, 'APPEND took %d MB' % ((peak - before) >> 20)
    c.noop()
    before = server.memory()
    # reading it back slowly costs nothing either
    c.send(b'm2 FETCH 1 BODY.PEEK[]\r\n')
    c.running['m2'] = 'FETCH'
    assert c.readable(20)
    assert SANITIZED or server.memory() - before < 16 << 20
    r = c.wait('m2', 60)
    assert r.fetch()[1]['BODY[]'] == body


@pytest.mark.martlet
def test_large_upload_delays_nobody(session):
    """Design: an upload on its way holds up no other session of the account."""
    a, b = session('INBOX'), session('INBOX')
    a.send(b'u1 APPEND INBOX {%d+}\r\n' % (10 << 20))
    a.send(b'x' * (5 << 20))
    b.append('INBOX', MESSAGE)
    b.noop()
    assert len(b.uid_list()) == 1
    a.running['u1'] = 'APPEND'
    a.send(b'x' * (5 << 20) + b'\r\n')
    assert a.wait('u1', 30).status == 'OK'
    b.noop()
    assert len(b.uid_list()) == 2


def test_upload_abandoned(session):
    a, b = session('INBOX'), session('INBOX')
    a.send(b'u1 APPEND INBOX {100000+}\r\n' + b'x' * 50000)
    a.close()
    b.noop().none('EXISTS')
    b.append('INBOX', MESSAGE)
    b.noop()
    assert b.uid_list() == [1]


def test_append_to_other_mailbox_than_selected(inbox):
    inbox.ok('CREATE other')
    r = inbox.ok('APPEND other ', LitPlus(MESSAGE))
    r.none('EXISTS')
    inbox.noop().none('EXISTS')
    assert inbox.ok('STATUS other (MESSAGES)').one('STATUS').items()['MESSAGES'] == '1'


def test_concurrent_appends(session):
    """Many sessions append at once: every APPENDUID is different and right."""
    sessions = [session() for _ in range(8)]
    tags = []
    for i, s in enumerate(sessions):
        for j in range(10):
            body = b'Subject: %d-%d\r\n\r\n' % (i, j)
            tags.append((s, s.start('APPEND INBOX ', LitPlus(body)), body))
    uids = {}
    for s, tag, body in tags:
        r = s.wait(tag)
        assert r.status == 'OK', r
        uids[int(r.code_args[1])] = body
    assert len(uids) == 80
    c = session('INBOX')
    for items in c.ok('FETCH 1:* (UID BODY.PEEK[])').fetch().values():
        assert uids.pop(int(items['UID'])) == items['BODY[]']
    assert not uids
