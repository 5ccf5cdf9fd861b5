"""UTF8=ACCEPT and UTF8=ONLY (RFC 9755, RFC 6855)."""
import pytest

from support import mails
from support.imap import LitPlus
from support.server import PASSWORD

EAI = ('From: J\u00f6rg <j\u00f6rg@ex\u00e4mple.org>\r\nSubject: Gr\u00fc\u00dfe\r\n\r\nHallo\r\n').encode()


def capabilities(c):
    return c.ok('CAPABILITY').one('CAPABILITY').data


def enable(c):
    r = c.ok('ENABLE UTF8=ACCEPT')
    assert [d.upper() for d in r.one('ENABLED').data] == ['UTF8=ACCEPT']
    c.utf8 = True
    return c


def names(c, what='LIST "" *'):
    return [n if isinstance(n, bytes) else n.encode() for n in
            (r.data[-1] for r in c.ok(what).all(what.split()[0]))]


def test_capability(c):
    """Section 3: one of the two; ENABLE UTF8=ONLY does not exist."""
    assert 'UTF8=ACCEPT' in capabilities(c) and 'UTF8=ONLY' not in capabilities(c)
    assert c.ok('ENABLE UTF8=ONLY').one('ENABLED').data == []
    enable(c)
    enable(c)


def test_example(c):
    enable(c)
    c.ok('CREATE "Gr\u00fc\u00dfe"')
    c.select()
    c.bad('SEARCH CHARSET UTF-8 SUBJECT "\u00e9"')
    c.ok('SEARCH SUBJECT "\u00e9"')


def test_names_before(c):
    """Sections 3 and 6: UTF-8 in quoted strings is taken, but not sent; modified UTF-7 works."""
    c.ok('CREATE "Gr\u00fc\u00dfe"')
    c.ok('SUBSCRIBE "Gr&APwA3w-e"')
    assert b'Gr&APwA3w-e' in names(c) and b'Gr&APwA3w-e' in names(c, 'LSUB "" *')
    assert names(c, 'LIST "" "Gr\u00fc*"') == [b'Gr&APwA3w-e']
    r = c.ok('STATUS "Gr\u00fc\u00dfe" (MESSAGES)')
    assert all(b < 0x80 for b in r.one('STATUS').raw)
    c.ok('RENAME "Gr\u00fc\u00dfe" "\u65e5\u672c"')
    assert b'&ZeVnLA-' in names(c)


def test_names_after(c):
    """LIST, LSUB, STATUS, SELECT in UTF-8; "&" is itself."""
    c.ok('CREATE "Gr&APwA3w-e"')
    c.ok('SUBSCRIBE "Gr&APwA3w-e"')
    enable(c)
    assert 'Gr\u00fc\u00dfe'.encode() in names(c) and 'Gr\u00fc\u00dfe'.encode() in names(c, 'LSUB "" *')
    c.ok('STATUS "Gr\u00fc\u00dfe" (MESSAGES)')
    c.ok('CREATE "Fish & Chips"')
    c.ok('CREATE "a&AOk-"')
    assert b'Fish & Chips' in names(c) and b'a&AOk-' in names(c)
    c.no('SELECT "Gr&APwA3w-e"')
    c.select('Gr\u00fc\u00dfe')
    c.ok('RENAME "a&AOk-" "\u00e9"')
    assert '\u00e9'.encode() in names(c, 'LIST "" %')


def test_net_unicode(c):
    """Names are NFC, without controls and separators of lines."""
    enable(c)
    c.ok('CREATE "e\u0301"')
    assert '\u00e9'.encode() in names(c)
    for bad in '\u0080', '\u009f', '\u2028', '\u2029', '\u007f':
        c.no('CREATE "a%s"' % bad)


@pytest.mark.parametrize('bad', [b'\xff', b'\xc3', b'\xc0\x80', b'\xed\xa0\x80', b'\xf4\x90\x80\x80', b'a\x80'])
@pytest.mark.parametrize('enabled', [False, True])
def test_not_utf8(inbox, bad, enabled):
    """Section 3: BAD for octets that are not UTF-8, wherever a string can stand."""
    if enabled:
        enable(inbox)
    inbox.bad(b'SEARCH SUBJECT "' + bad + b'"')
    inbox.bad(b'CREATE "' + bad + b'"')
    inbox.bad(b'LIST "" "' + bad + b'*"')


def test_append(c, session):
    """Section 4: 8-bit headers only after ENABLE; the message is then as it was sent, for everybody."""
    c.no('APPEND INBOX ', LitPlus(EAI), code='CANNOT')
    c.no('APPEND INBOX UTF8 (', LitPlus(EAI, binary=True), ')')
    c.no('APPEND INBOX ', LitPlus(mails.SIMPLE), ' ', LitPlus(EAI))
    c.ok('APPEND INBOX ', LitPlus('Subject: ascii\r\n\r\nGr\u00fc\u00dfe\r\n'))
    enable(c)
    c.ok('APPEND INBOX ', LitPlus(EAI))
    c.ok('APPEND INBOX (\\Seen) UTF8 (', LitPlus(EAI, binary=True), ')')
    c.ok('APPEND INBOX CATENATE (UTF8 (', LitPlus(EAI, binary=True), ') TEXT ', LitPlus(b'more'), ')')
    c.select()
    got = c.ok('FETCH 2:4 (BODY.PEEK[] ENVELOPE)').fetch()
    assert [got[n]['BODY[]'] for n in (2, 3, 4)] == [EAI, EAI, EAI + b'more']
    assert got[2]['ENVELOPE'][1] == 'Gr\u00fc\u00dfe'.encode()
    assert session('INBOX').ok('FETCH 2 BODY.PEEK[]').fetch()[2]['BODY[]'] == EAI


def test_append_rev2(session):
    """IMAP4rev2 has it built in."""
    c = session(rev2=True)
    c.ok('APPEND INBOX ', LitPlus(EAI))


def test_search(c):
    """Sections 3 and 9755: CHARSET is gone from SEARCH, and only UTF-8 for SORT."""
    enable(c)
    c.ok('APPEND INBOX ', LitPlus(EAI))
    c.ok('APPEND INBOX ', LitPlus('Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n.\r\n'))
    c.select()
    assert c.ok('SEARCH SUBJECT "gr\u00fc\u00df"').search() == [1, 2]
    assert c.ok('UID SEARCH FROM "j\u00f6rg"').search() == [1]
    for command in 'SEARCH', 'UID SEARCH', 'SEARCH RETURN (COUNT)':
        c.bad(command + ' CHARSET US-ASCII ALL')
    c.ok('SORT (SUBJECT) UTF-8 SUBJECT "gr\u00fc\u00df"')
    c.bad('SORT (SUBJECT) US-ASCII ALL')


@pytest.mark.settings('imap.utf8=only')
def test_only(own_server, user):
    """Section 6: NO [CANNOT] for what has to do with mail until UTF-8 is enabled; no modified UTF-7."""
    c = own_server.connect()
    c.login(user, PASSWORD)
    assert 'UTF8=ONLY' in capabilities(c) and 'UTF8=ACCEPT' not in capabilities(c)
    for command in ('SELECT INBOX', 'EXAMINE INBOX', 'CREATE x', 'LIST "" *', 'LSUB "" *', 'STATUS INBOX (MESSAGES)',
                    'SUBSCRIBE x', 'DELETE x', 'RENAME x y', 'APPEND INBOX {5}', 'NAMESPACE'):
        c.no(command, code='CANNOT')
    for command in 'NOOP', 'CAPABILITY', 'ID NIL':
        c.ok(command)
    enable(c)
    c.ok('CREATE "Gr&APwA3w-e"')
    assert b'Gr&APwA3w-e' in names(c)
    c.ok('APPEND INBOX ', LitPlus(EAI))
    c.select()


@pytest.mark.settings('imap.utf8=off')
def test_off(own_server, user):
    c = own_server.connect()
    c.login(user, PASSWORD)
    assert not [x for x in capabilities(c) if x.startswith('UTF8=')]
    assert c.ok('ENABLE UTF8=ACCEPT').one('ENABLED').data == []
    c.ok('APPEND INBOX ', LitPlus(EAI))
