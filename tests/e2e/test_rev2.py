"""What ENABLE IMAP4rev2 switches, and sessions of both revisions side by side.

RFC 9051 appendices A and E; sections 2.3.2, 5.1, 6.3.1, 6.3.4, 6.3.6, 7.3, 7.4. (SELECT, SEARCH, FETCH and names
have their rev2 cases in test_mailbox.py, test_search.py and test_fetch.py.)
"""
import pytest

from support import mails
from support.imap import LitPlus, flags, name, q

pytestmark = pytest.mark.martlet('IMAP4rev2')
M = b'Subject: s\r\n\r\nbody\r\n'


def test_enable_case_and_repetition(c):
    """Section 6.3.1: names are case-insensitive; a second ENABLE changes nothing."""
    r = c.ok('enable imap4REV2 imap4rev2')
    assert [d.upper() for d in r.one('ENABLED').data] == ['IMAP4REV2']
    c.utf8 = True
    c.ok('ENABLE IMAP4rev2').one('ENABLED')
    assert c.select().one('LIST')


def test_enable_is_per_connection(session):
    a = session(rev2=True)
    a.append('INBOX', M)
    b = session()
    b.select().one('RECENT')
    a.select().none('RECENT')


def test_enable_while_selected(inbox):
    """Section 6.3.1: not for this state; the server may accept it. It must not break the session."""
    r = inbox.cmd('ENABLE IMAP4rev2')
    assert r.status in ('OK', 'BAD', 'NO')
    inbox.utf8 = True
    inbox.append('INBOX', M)
    inbox.noop()
    assert len(inbox.uids) == 1


def test_no_recent_anywhere(session):
    """Appendix E, 12: no RECENT response, no \\Recent flag; \\Recent is not taken from rev1 sessions... or is,
    but consistently: a rev2 session that looks first may or may not consume it."""
    c = session(rev2=True)
    c.append('INBOX', M)
    c.select().none('RECENT')
    c.append('INBOX', M)
    c.noop().none('RECENT')
    tag = c.idle()
    other = session()
    other.append('INBOX', M)
    c.until(lambda r: r.kind == 'EXISTS' and r.num == 3)
    c.done(tag)
    for items in c.ok('FETCH 1:* FLAGS').fetch().values():
        assert '\\recent' not in flags(items['FLAGS'])
    assert not [r for r in c.log if r.kind == 'RECENT']


def test_recent_items_of_rev1_do_not_crash(session):
    """Appendix E, 12: the items are gone; BAD, or an answer for old clients."""
    c = session('INBOX', rev2=True)
    for command in ('STATUS INBOX (RECENT)', 'SEARCH NEW', 'SEARCH OLD', 'SEARCH RECENT', 'CHECK', 'LSUB "" *',
                    'FETCH 1:* RFC822'):
        assert c.cmd(command).status in ('OK', 'BAD', 'NO')
    c.ok('NOOP')


def test_search_saves_and_returns_esearch(session):
    c = session('INBOX', rev2=True)
    for i in range(4):
        c.append('INBOX', mails.numbered(i))
    c.noop()
    tag = c.start('UID SEARCH RETURN (SAVE COUNT) ALL')
    assert c.wait(tag).one('ESEARCH').esearch() == (tag, True, {'COUNT': '4'})
    assert len(c.ok('FETCH $ UID').fetch()) == 4
    tags = c.pipeline('SEARCH 1', 'SEARCH 2:3', 'UID SEARCH UID 4')
    got = {}
    for tag in tags:
        for r in c.wait(tag).all('ESEARCH'):
            answer = r.esearch()
            got[answer[0]] = answer[2]
    assert got == {tags[0]: {'ALL': '1'}, tags[1]: {'ALL': '2:3'}, tags[2]: {'ALL': '4'}}


def test_sessions_of_both_revisions(session):
    """The same mailbox in both kinds of session: all changes of one are seen in the other."""
    one, two = session('INBOX'), session('INBOX', rev2=True)
    two.append('INBOX', 'Subject: Grüße\r\n\r\nx\r\n')
    one.noop()
    two.noop()
    two.ok('STORE 1 +FLAGS (\\Flagged kw)')
    items = one.noop().fetch()[1]
    assert {'\\flagged', 'kw'} <= flags(items['FLAGS'])
    two.ok(b'CREATE ' + q('Ünï'))
    two.ok(b'COPY 1 ' + q('Ünï'))
    assert one.select('&ANw-n&AO8-').one('EXISTS').num == 1
    one.ok('STORE 1 +FLAGS (\\Deleted)')
    two.select('Ünï')
    assert '\\deleted' in two.flags_of(1)
    two.ok('EXPUNGE')
    assert one.noop().expunged() == [1]


def test_utf8_everywhere_a_name_goes(session):
    """Section 5.1: names in UTF-8, quoted or literal, in every command and answer."""
    c = session(rev2=True)
    box = 'Пример/Ящик'
    c.ok(b'CREATE ' + q(box))
    c.ok(b'SUBSCRIBE ' + q(box))
    c.append(box, M)
    assert name(c.ok(b'STATUS ' + q(box) + b' (MESSAGES)').one('STATUS').data[0]) == box.encode()
    assert name(c.ok(b'LIST "" ' + q('Пример/%')).one('LIST').data[2]) == box.encode()
    assert box.encode() in c.ok('LIST (SUBSCRIBED) "" *').names()
    c.ok(b'EXAMINE ', LitPlus(box))
    c.ok(b'SELECT ' + q(box))
    c.ok(b'UID COPY 1 ' + q(box))
    c.ok(b'RENAME ' + q(box) + b' ' + q('Пример/Новый'))
    assert 'Пример/Новый'.encode() in c.ok('LIST "" *').names()
    c.ok('UNSELECT')
    c.ok(b'DELETE ' + q('Пример/Новый'))
    c.ok(b'UNSUBSCRIBE ' + q(box))


def test_utf8_flags_are_refused(session):
    """Section 9: flag-keyword is an atom: ASCII."""
    c = session('INBOX', rev2=True)
    c.append('INBOX', M)
    c.noop()
    c.bad('STORE 1 +FLAGS (k\xe4)'.encode('latin-1'))
    c.bad('STORE 1 +FLAGS (kä)'.encode())
    c.ok('NOOP')


def test_envelope_strings_with_broken_utf8(session):
    """Section 9: quoted strings are UTF-8; octets that are not come as literals (or repaired), never raw
    (the client checks)."""
    c = session('INBOX', rev2=True)
    for subject in (b'\xff\xfe', b'a\xc3', b'\xed\xa0\x80', 'gut ü'.encode(), b'\xc0\xaf', 'ü'.encode('latin-1')):
        c.append('INBOX', b'Subject: ' + subject + b'\r\nFrom: "' + subject + b'" <a@b>\r\nContent-Type: text/plain; name="'
                 + subject + b'"\r\n\r\nx\r\n')
    c.noop()
    found = c.ok('FETCH 1:* (ENVELOPE BODYSTRUCTURE)').fetch()
    assert found[4]['ENVELOPE'][1] == 'gut ü'.encode()


def test_oldname_or_normalised_list(session):
    """Section 6.3.9.7: creating under a denormalised name either is refused or announces the real name."""
    c = session(rev2=True)
    r = c.cmd(b'CREATE ' + q('cafe\u0301 new'))
    if r.status == 'OK':
        assert 'caf\u00e9 new'.encode() in c.ok('LIST "" "caf*"').names()
        r = c.select('cafe\u0301 new')
        assert name(r.one('LIST').data[2]) == 'caf\u00e9 new'.encode()
