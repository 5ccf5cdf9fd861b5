"""UIDBATCHES (RFC 10022)."""
import pytest

from support.imap import LitPlus, q


@pytest.fixture(scope='module')
def big(server):
    """2,600 messages; every tenth UID is gone."""
    from support.server import PASSWORD
    c = server.connect()
    c.login('uidbatches', PASSWORD)
    for _ in range(13):
        parts = ['APPEND INBOX']
        for i in range(200):
            parts += [' ', LitPlus(b'Subject: %d\r\n\r\n' % i)]
        c.ok(*parts)
    c.select()
    c.ok('STORE %s +FLAGS.SILENT (\\Deleted)' % ','.join(str(n) for n in range(10, 2601, 10)))
    c.ok('EXPUNGE')
    c.close()
    return [u for u in range(1, 2601) if u % 10]


@pytest.fixture
def box(big, session):
    return session('INBOX', name='uidbatches')


def batches(r, tag=None):
    """[(high, low)] after the correlator"""
    one = r.one('UIDBATCHES')
    assert one.data[0] == ['TAG', r.tagged.tag.encode()] or one.data[0] == ['TAG', r.tagged.tag], one
    if len(one.data) == 1:
        return []
    return [tuple(int(n) for n in part.split(':')) for part in str(one.data[1]).split(',')]


def check(ranges, uids, size):
    """Descending, and exact: each holds `size` messages."""
    last = None
    for i, (hi, lo) in enumerate(ranges):
        assert hi >= lo and (last is None or hi < last)
        last = lo
        assert [u for u in uids if lo <= u <= hi] == uids[max(0, len(uids) - (i + 1) * size):len(uids) - i * size]


def test_capability(c):
    assert 'UIDBATCHES' in c.ok('CAPABILITY').one('CAPABILITY').data


@pytest.mark.parametrize('size', [500, 501, 1000, 2339, 2340, 5000, 4294967295])
def test_all(box, big, size):
    got = batches(box.ok('UIDBATCHES %d' % size))
    check(got, big, size)
    assert len(got) == -(-len(big) // size)
    assert got[-1][1] == 1


def test_range(box, big):
    got = batches(box.ok('UIDBATCHES 500'))
    assert batches(box.ok('UIDBATCHES 500 2:3')) == got[1:3]
    assert batches(box.ok('UIDBATCHES 500 4:9')) == got[3:]  # those that exist
    assert batches(box.ok('UIDBATCHES 500 1:1')) == got[:1]
    assert batches(box.ok('UIDBATCHES 1000 9:12')) == []  # the specification's example


def test_empty(inbox):
    assert batches(inbox.ok('UIDBATCHES 500')) == []


def test_one(inbox):
    inbox.append('INBOX', b'Subject: x\r\n\r\n')
    inbox.noop()
    assert batches(inbox.ok('UIDBATCHES 2000')) == [(1, 1)]


def test_errors(box, c):
    assert box.cmd('UIDBATCHES 499').code == 'TOOFEW'
    assert box.cmd('UIDBATCHES 20').status == 'NO'
    r = box.cmd('UIDBATCHES 500 3:2')
    assert (r.status, r.code) == ('BAD', 'CLIENTBUG')
    for wrong in ('UIDBATCHES', 'UIDBATCHES 0', 'UIDBATCHES 500 1', 'UIDBATCHES 500 1:*', 'UIDBATCHES 500 0:1', 'UIDBATCHES x',
                  'UIDBATCHES 500 1:2 3', 'UID UIDBATCHES 500'):
        box.bad(wrong)
    c.bad('UIDBATCHES 500')  # no mailbox is selected


def test_too_soon(inbox, session):
    """The same question again is refused until the answer can have changed by half a batch."""
    assert batches(inbox.ok('UIDBATCHES 500')) == []
    assert inbox.cmd('UIDBATCHES 500').code == 'LIMIT'
    inbox.ok('UIDBATCHES 600')
    inbox.ok('UIDBATCHES 500')
    parts = ['APPEND INBOX']
    for i in range(251):
        parts += [' ', LitPlus(b'Subject: x\r\n\r\n')]
    session().ok(*parts)
    inbox.noop()
    assert batches(inbox.ok('UIDBATCHES 500')) == [(251, 1)]
    inbox.select()
    inbox.ok('UIDBATCHES 500')


def test_not_saved(box):
    """It is no SEARCH: $ stays."""
    box.ok('UID SEARCH RETURN (SAVE) UID 1:3')
    box.ok('UIDBATCHES 500')
    assert len(box.ok('UID FETCH $ UID').fetch()) == 3


def test_uidonly(box, big):
    """What it is for (RFC 9586)."""
    box.ok('ENABLE UIDONLY')
    check(batches(box.ok('UIDBATCHES 700')), big, 700)
