"""REPLACE (RFC 8508)."""
import pytest

from support import mails
from support.imap import Lit, LitPlus

NEW = b'Subject: happy new year !!\r\n\r\nJust saw the best fireworks show.\r\n'


@pytest.fixture
def box(session):
    """INBOX with four messages, selected."""
    c = session('INBOX')
    for i in range(4):
        c.append('INBOX', mails.numbered(i))
    c.noop()
    return c


def kinds(r):
    return [(x.num, x.kind) for x in r.untagged if x.kind in ('EXISTS', 'EXPUNGE')] + \
           [x.code for x in r.untagged if x.kind == 'OK' and x.code]


def test_example(box):
    """Section 3.2: the new message, then the old one's EXPUNGE; no FETCH for \\Deleted."""
    assert 'REPLACE' in box.ok('CAPABILITY').one('CAPABILITY').data
    r = box.ok('REPLACE 4 INBOX (\\Seen \\Draft) ', Lit(NEW))
    assert r.expunged() == [4] and not r.all('FETCH')
    codes = r.codes()['APPENDUID'].code_args
    assert codes[1] == '5'
    order = [x.kind for x in r.untagged]
    assert order.index('OK') < order.index('EXPUNGE'), 'section 4.3: APPENDUID comes first'
    assert len(box.uids) == 4 and box.uid_list() == [1, 2, 3, 5]
    assert box.flags_of(5) - {'\\recent'} == {'\\seen', '\\draft'}
    assert box.ok('UID FETCH 5 BODY.PEEK[]').fetch()[4]['BODY[]'] == NEW


def test_uid_example(box):
    """Section 3.3."""
    r = box.ok('UID REPLACE 2 INBOX (\\Seen \\Draft) "17-Jul-1996 02:44:25 -0700" ', LitPlus(NEW))
    assert r.expunged() == [2] and r.codes()['APPENDUID'].code_args[1] == '5'
    assert box.uid_list() == [1, 3, 4, 5]


def test_catenate(box):
    """Section 4.2: a header put before what is there."""
    r = box.ok('UID REPLACE 3 INBOX CATENATE (TEXT ', Lit(b'To: Mitzy <miss.mitzy@example.org>\r\n'),
               ' URL "/INBOX/;UID=3")')
    assert r.expunged() == [3]
    got = box.ok('UID FETCH 5 BODY.PEEK[]').fetch()[4]['BODY[]']
    assert got == b'To: Mitzy <miss.mitzy@example.org>\r\n' + mails.numbered(2)


def test_other_mailbox(box, session):
    """Section 3.4: the named mailbox need not be the selected one; another session sees both."""
    other = session('INBOX')
    box.ok('CREATE Else')
    r = box.ok('REPLACE 1 Else (\\Seen) ', LitPlus(NEW))
    assert r.expunged() == [1] and not r.all('EXISTS')
    assert other.noop().expunged() == [1]
    assert box.ok('STATUS Else (MESSAGES UNSEEN)').one('STATUS').items() == {'MESSAGES': '1', 'UNSEEN': '0'}


def test_only_that_message(box):
    """Section 3.4: others with \\Deleted stay; nothing is inherited; `*` is the last one."""
    box.ok('STORE 1:4 +FLAGS.SILENT (\\Deleted kw)')
    r = box.ok('REPLACE * INBOX ', LitPlus(NEW))
    assert r.expunged() == [4]
    assert box.uid_list() == [1, 2, 3, 5] and box.flags_of(5) <= {'\\recent'}


def test_ids(box):
    """Section 4.6: another EMAILID."""
    before = box.ok('FETCH 2 EMAILID').fetch()[2]['EMAILID']
    box.ok('REPLACE 2 INBOX ', LitPlus(NEW))
    assert before not in [i['EMAILID'] for i in box.ok('FETCH 1:* EMAILID').fetch().values()]


def test_refused(box, session):
    """Nothing happens: no such message, mailbox, state; a mailbox that is open read-only."""
    box.bad('REPLACE 5 INBOX ', LitPlus(NEW))
    box.no('UID REPLACE 99 INBOX ', LitPlus(NEW))
    r = box.no('REPLACE 1 Nowhere {10}', code='TRYCREATE')
    assert not r.expunged()
    box.no('REPLACE 1 INBOX CATENATE (URL "/INBOX/;UID=9")', code='BADURL')
    for bad in ('1:2', '1,2', '$', '0', 'x'):
        box.bad('REPLACE %s INBOX ' % bad, LitPlus(NEW))
    box.bad('REPLACE 1 INBOX ', LitPlus(NEW), ' ', LitPlus(NEW))
    box.select('INBOX', 'EXAMINE')
    box.no('REPLACE 1 INBOX ', LitPlus(NEW))
    assert box.uid_list() == [1, 2, 3, 4]
    session().bad('REPLACE 1 INBOX ', LitPlus(NEW))


def test_number_stays(box, session):
    """A number means what the client saw when it sent the command: no EXPUNGE until it has run."""
    tag = box.start('REPLACE 4 INBOX {%d}' % len(NEW))
    assert box.continuation(tag)
    other = session('INBOX')
    other.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    other.ok('EXPUNGE')
    box.send(NEW + b'\r\n')
    r = box.wait(tag)
    assert r.status == 'OK'
    box.noop()
    assert box.uid_list() == [2, 3, 5]


def test_gone(box, session):
    """The message was expunged by somebody else, unseen: NO, and nothing is stored."""
    tag = box.start('REPLACE 4 INBOX {%d}' % len(NEW))
    assert box.continuation(tag)
    other = session('INBOX')
    other.ok('STORE 4 +FLAGS.SILENT (\\Deleted)')
    other.ok('EXPUNGE')
    box.send(NEW + b'\r\n')
    assert box.wait(tag).status == 'NO'
    box.noop()
    assert box.uid_list() == [1, 2, 3]


def test_qresync(box):
    """Section 4.5: VANISHED for it; a later session hears of it."""
    box.ok('ENABLE QRESYNC')
    codes = box.select().codes()
    before, validity = codes['HIGHESTMODSEQ'].code_args[0], codes['UIDVALIDITY'].code_args[0]
    r = box.ok('UID REPLACE 2 INBOX ', LitPlus(NEW))
    assert r.vanished() == [2] and r.code == 'HIGHESTMODSEQ'
    box.ok('UNSELECT')
    r = box.ok('SELECT INBOX (QRESYNC (%s %s))' % (validity, before))
    assert r.vanished(earlier=True) == [2] and [int(i['UID']) for i in r.fetch().values()] == [5]


