"""UIDONLY (RFC 9586): no message numbers in either direction."""
import re

import pytest

from support import mails
from support.imap import LitPlus, expand, flags


def fill(c, n, mailbox='INBOX'):
    parts = ['APPEND %s' % mailbox]
    for i in range(n):
        parts += [' ', LitPlus(mails.numbered(i))]
    return expand(c.ok(*parts).code_args[1])


@pytest.fixture
def box(session, user):
    """UIDs 2, 4, 6, 8, 10 of ten: numbers and UIDs differ."""
    c = session('INBOX')
    fill(c, 10)
    c.ok('STORE 1,3,5,7,9 +FLAGS.SILENT (\\Deleted)')
    c.ok('EXPUNGE')
    c = session()
    assert c.ok('ENABLE UIDONLY').one('ENABLED').data == ['UIDONLY']
    c.select()
    return c


def test_capability(c):
    assert 'UIDONLY' in c.ok('CAPABILITY').one('CAPABILITY').data


def test_example(box):
    """The example of the specification: what is refused, STORE, EXPUNGE."""
    r = box.bad('FETCH 1:3 FLAGS')
    assert r.code == 'UIDREQUIRED' and not r.untagged
    r = box.ok('ENABLE UIDONLY CONDSTORE')
    assert set(r.one('ENABLED').data) == {'UIDONLY', 'CONDSTORE'}
    r = box.ok('UID STORE 8 +FLAGS.SILENT (\\Deleted)')
    assert list(r.uidfetch()) == [8] and list(r.uidfetch()[8]) == ['MODSEQ']
    r = box.ok('UID EXPUNGE 8')
    assert r.vanished() == [8]
    r.none('EXPUNGE')


@pytest.mark.parametrize('command', [
    'FETCH 1 FLAGS', 'FETCH * UID', 'FETCH $ UID', 'STORE 1 +FLAGS (\\Seen)', 'STORE 1:* FLAGS.SILENT ()', 'SEARCH ALL',
    'SEARCH UID 2', 'SEARCH RETURN (COUNT) SEEN', 'COPY 1 There', 'MOVE 1 There', 'SORT (DATE) UTF-8 ALL', 'UID SEARCH 1:3',
    'UID SEARCH NOT 1', 'UID SEARCH OR (SEEN *) DELETED', 'UID SORT (DATE) UTF-8 1:*', 'REPLACE 1 INBOX {3+}\r\nx\r\n',
    'SELECT INBOX (QRESYNC (1 1 1:10 (1:2 2,4)))', 'EXAMINE INBOX (QRESYNC (1 1 1:10 (1:2 2,4)))'])
def test_refused(box, command):
    box.ok('CREATE There')
    box.ok('ENABLE QRESYNC')
    r = box.cmd(command)
    assert (r.status, r.code) == ('BAD', 'UIDREQUIRED')
    assert box.ok('UID SEARCH UNDELETED').search() == [2, 4, 6, 8, 10]  # nothing was done


def test_fetch(box):
    """The number is the UID; UID is an item only where it was asked for."""
    r = box.ok('UID FETCH 1:6 FLAGS')
    assert {u: list(i) for u, i in r.uidfetch().items()} == {2: ['FLAGS'], 4: ['FLAGS'], 6: ['FLAGS']}
    r.none('FETCH')
    r = box.ok('UID FETCH 4,10 (UID RFC822.SIZE)')
    assert {u: int(i['UID']) for u, i in r.uidfetch().items()} == {4: 4, 10: 10}
    r = box.ok('UID FETCH 2 (ENVELOPE BODY.PEEK[TEXT])')
    assert set(r.uidfetch()[2]) == {'ENVELOPE', 'BODY[TEXT]'}
    r = box.ok('UID FETCH 6 BODY[]')  # sets \Seen, which is told
    assert '\\seen' in flags(r.uidfetch()[6]['FLAGS'])
    assert 'UID' not in r.uidfetch()[6]
    r = box.ok('UID FETCH 1:* UID')
    assert sorted(r.uidfetch()) == [2, 4, 6, 8, 10]
    box.ok('UID STORE 4 +FLAGS (own)')
    assert 'own' in flags(box.ok('UID FETCH 4 (FLAGS UID)').uidfetch()[4]['FLAGS'])


def test_store(box, session):
    r = box.ok('UID STORE 2,4 +FLAGS (\\Flagged)')
    assert sorted(r.uidfetch()) == [2, 4]
    r.none('FETCH')
    session('INBOX').ok('STORE 3 +FLAGS (\\Answered)')
    r = box.noop()  # unsolicited
    assert flags(r.uidfetch()[6]['FLAGS']) == {'\\answered'}
    r.none('FETCH')


def test_conditional_store(box, session):
    box.ok('ENABLE CONDSTORE')
    modseq = int(box.ok('UID FETCH 2 MODSEQ').uidfetch()[2]['MODSEQ'][0])
    session('INBOX').ok('STORE 1 +FLAGS (\\Answered)')
    r = box.ok('UID STORE 2,4 (UNCHANGEDSINCE %d) +FLAGS (\\Flagged)' % modseq)
    assert r.code == 'MODIFIED' and r.code_args == ['2'] or '2' in str(r.code_args)
    assert {2, 4} <= set(r.uidfetch())


def test_search(box):
    assert box.ok('UID SEARCH UID 3:8').search() == [4, 6, 8]
    tag, uid, r = box.ok('UID SEARCH RETURN (MIN MAX COUNT ALL) ALL').one('ESEARCH').esearch()
    assert uid and int(r['COUNT']) == 5
    box.ok('UID SEARCH RETURN (SAVE) UID 3:8')
    assert box.ok('UID SEARCH $').search() == [4, 6, 8]
    assert sorted(box.ok('UID FETCH $ FLAGS').uidfetch()) == [4, 6, 8]
    assert box.ok('UID SORT (REVERSE ARRIVAL) UTF-8 ALL').one('SORT').data
    threads = box.ok('UID THREAD ORDEREDSUBJECT UTF-8 UID 3:8').one('THREAD').raw
    assert sorted(int(n) for n in re.findall(rb'\d+', threads)) == [4, 6, 8]


def test_expunge(box, session):
    """VANISHED without QRESYNC, one answer for all; own and others' expunges."""
    box.ok('UID STORE 2,4 +FLAGS.SILENT (\\Deleted)')
    r = box.ok('EXPUNGE')
    assert r.vanished() == [2, 4]
    other = session('INBOX')
    other.ok('STORE 1:2 +FLAGS.SILENT (\\Deleted)')
    other.ok('EXPUNGE')
    assert box.ok('UID SEARCH ALL').vanished() == [6, 8]
    box.ok('CREATE There')
    r = box.ok('UID MOVE 10 There')
    assert r.vanished() == [10]
    r.none('EXPUNGE')
    assert 'COPYUID' in r.codes() or r.code == 'COPYUID'
    r = box.append('INBOX', mails.numbered(3))
    box.noop()
    assert box.ok('UID SEARCH ALL').search() == [11]


def test_idle(box, session):
    t = box.idle()
    other = session('INBOX')
    other.ok('STORE 1 +FLAGS (\\Flagged)')
    assert box.until(lambda r: r.kind == 'UIDFETCH').num == 2
    other.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    other.ok('EXPUNGE')
    assert box.until(lambda r: r.kind == 'VANISHED').data[0] == '2'
    box.done(t)


def test_unseen_code(box, session):
    """A message number in SELECT's answer is left out; RECENT and EXISTS stay."""
    assert 'UNSEEN' not in box.ok('SELECT INBOX').codes()
    assert 'UNSEEN' in session().ok('SELECT INBOX').codes()
    assert box.ok('EXAMINE INBOX').one('EXISTS').num == 5


def test_qresync(box, session):
    """QRESYNC works, without message numbers to match."""
    box.ok('ENABLE QRESYNC')
    r = box.select()
    validity, modseq = int(r.codes()['UIDVALIDITY'].code_args[0]), int(r.codes()['HIGHESTMODSEQ'].code_args[0])
    other = session('INBOX')
    other.ok('STORE 2 +FLAGS (\\Flagged)')
    other.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    other.ok('EXPUNGE')
    r = box.ok('SELECT INBOX (QRESYNC (%d %d 1:10))' % (validity, modseq))
    assert r.vanished(earlier=True) == [2]
    assert list(r.uidfetch()) == [4]
    r.none('FETCH')


def test_while_selected(session):
    """ENABLE in the selected state counts from the tagged answer on."""
    c = session('INBOX')
    fill(c, 4)
    c.ok('FETCH 1 FLAGS')
    c.ok('ENABLE UIDONLY')
    assert c.cmd('FETCH 1 FLAGS').code == 'UIDREQUIRED'
    assert list(c.ok('UID FETCH 1 FLAGS').uidfetch()) == [1]


def test_pipelined_with_enable(session):
    """What follows ENABLE in one segment is under it."""
    c = session('INBOX')
    fill(c, 2)
    tags = c.pipeline('ENABLE UIDONLY', 'FETCH 1 FLAGS', 'UID FETCH 1 FLAGS')
    assert [c.wait(t).status for t in tags] == ['OK', 'BAD', 'OK']


def test_others_unchanged(session):
    c = session('INBOX')
    fill(c, 2)
    assert sorted(c.ok('UID FETCH 1:* FLAGS').fetch()) == [1, 2]
