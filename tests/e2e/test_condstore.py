"""CONDSTORE and QRESYNC (RFC 7162): the sections' own examples, and clients that resynchronise."""
import random

import pytest

from support import mails
from support.imap import LitPlus, expand, flags


def fill(c, n, mailbox='INBOX'):
    parts = ['APPEND %s' % mailbox]
    for i in range(n):
        parts += [' ', LitPlus(mails.numbered(i))]
    return expand(c.ok(*parts).code_args[1])


def highest(r):
    return int(r.codes()['HIGHESTMODSEQ'].code_args[0])


def modseq(item):
    assert len(item['MODSEQ']) == 1
    return int(item['MODSEQ'][0])


@pytest.fixture
def box(inbox):
    """Nine messages, 1:9."""
    fill(inbox, 9)
    inbox.select()
    return inbox


@pytest.fixture
def other(session):
    return session('INBOX')


def test_capability(c):
    assert {'CONDSTORE', 'QRESYNC', 'ENABLE'} <= set(c.ok('CAPABILITY').one('CAPABILITY').data)


# -- CONDSTORE

def test_select_tells_highest(box):
    """Section 3.1.2.1: with every SELECT and EXAMINE; it grows with every change."""
    first = highest(box.select())
    box.ok('STORE 1 +FLAGS (\\Seen)')
    second = highest(box.ok('EXAMINE INBOX'))
    assert second > first
    assert highest(box.ok('SELECT INBOX (CONDSTORE)')) == second
    r = box.ok('STATUS INBOX (UIDNEXT MESSAGES HIGHESTMODSEQ)')  # section 3.1.7, example 17
    assert int(r.one('STATUS').items()['HIGHESTMODSEQ']) == second


@pytest.mark.parametrize('command', [
    'STATUS INBOX (HIGHESTMODSEQ)', 'FETCH 1 (MODSEQ)', 'FETCH 1:* (FLAGS) (CHANGEDSINCE 1)', 'SEARCH MODSEQ 1',
    'STORE 1 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen)', 'ENABLE CONDSTORE', 'ENABLE QRESYNC',
    'LIST "" INBOX RETURN (STATUS (HIGHESTMODSEQ))'])
def test_enabling_commands(box, other, command):
    """Section 3.1: the first one tells HIGHESTMODSEQ, and FETCH has MODSEQ and UID from then on."""
    other.ok('STORE 2 +FLAGS (a)')
    (before,) = box.noop().all('FETCH')
    assert 'MODSEQ' not in before.items()
    assert highest(box.ok(command)) > 0
    assert 'HIGHESTMODSEQ' not in box.ok(command).codes()
    other.ok('STORE 2 +FLAGS (b)')
    (after,) = box.noop().all('FETCH')
    assert modseq(after.items()) > 0 and int(after.items()['UID']) == 2


def test_unaware_client(box, other):
    """Nobody gets MODSEQ unasked."""
    other.ok('ENABLE CONDSTORE')
    other.ok('STORE 1 +FLAGS (\\Seen)')
    assert 'MODSEQ' not in box.noop().fetch()[1]
    assert 'MODSEQ' not in box.ok('STORE 1 -FLAGS (\\Seen)').fetch()[1]


def test_fetch_modseq(box):
    """Section 3.1.4.2, example 13."""
    got = box.ok('FETCH 1:3 (MODSEQ)').fetch()
    assert sorted(got) == [1, 2, 3] and all(modseq(i) > 0 and set(i) == {'MODSEQ'} for i in got.values())
    before = modseq(got[2])
    box.ok('STORE 2 +FLAGS (\\Flagged)')
    got = box.ok('FETCH 1:3 (MODSEQ RFC822.SIZE)').fetch()
    assert modseq(got[2]) > before and set(got[1]) == {'MODSEQ', 'RFC822.SIZE'}


def test_changed_since(box):
    """Section 3.1.4.1, example 12: only what has changed, with MODSEQ unasked."""
    since = highest(box.select())
    box.ok('STORE 4,6 +FLAGS (\\Seen)')
    got = box.ok('UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)' % since).fetch()
    assert sorted(got) == [4, 6] and set(got[4]) == {'UID', 'FLAGS', 'MODSEQ'}
    assert sorted(box.ok('FETCH 5:9 (FLAGS) (CHANGEDSINCE %d)' % since).fetch()) == [6]
    box.ok('FETCH 1:* (FLAGS) (CHANGEDSINCE %d)' % modseq(got[6])).none('FETCH')
    assert sorted(box.ok('FETCH 1:* UID (CHANGEDSINCE 1)').fetch()) == list(range(1, 10))


def test_store_silent_tells_modseq(box):
    """Section 3.1.3: a CONDSTORE-aware client gets the mod-sequence of a silent STORE."""
    box.ok('ENABLE CONDSTORE')
    got = box.ok('STORE 1:2 +FLAGS.SILENT (\\Seen)').fetch()
    assert set(got) == {1, 2} and set(got[1]) == {'UID', 'MODSEQ'}
    box.ok('STORE 1:2 +FLAGS.SILENT (\\Seen)').none('FETCH')  # nothing changed: section 3.1.11
    assert box.ok('FETCH 1:2 MODSEQ').fetch()[1]['MODSEQ'] == got[1]['MODSEQ']
    assert set(box.ok('STORE 1 -FLAGS (\\Seen)').fetch()[1]) == {'UID', 'FLAGS', 'MODSEQ'}


def test_unchanged_since(box, other):
    """Section 3.1.3, examples 3 and 6: what has changed fails, the rest is done."""
    seen = highest(box.ok('SELECT INBOX (CONDSTORE)'))
    r = box.ok('UID STORE 6,4,8 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\\Deleted)' % seen)
    assert r.code is None and sorted(r.fetch()) == [4, 6, 8]
    assert all(modseq(i) > seen for i in r.fetch().values())
    other.ok('STORE 7,9 +FLAGS (\\Answered)')
    r = box.ok('STORE 7,5,9 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\\Deleted)' % seen)
    assert r.code == 'MODIFIED' and expand(r.code_args[0]) == [7, 9]
    assert flags(r.fetch()[7]['FLAGS']) - {'\\recent'} == {'\\answered'} and modseq(r.fetch()[5]) > seen
    assert '\\deleted' in box.flags_of(5) and '\\deleted' not in box.flags_of(7)


def test_unchanged_since_uid(box, other):
    """MODIFIED has UIDs for UID STORE."""
    box.ok('STORE 1:3 +FLAGS.SILENT (\\Deleted)')
    box.ok('EXPUNGE')
    other.noop()
    seen = highest(box.ok('SELECT INBOX (CONDSTORE)'))
    other.ok('UID STORE 7 +FLAGS (\\Seen)')
    r = box.ok('UID STORE 4:9 (UNCHANGEDSINCE %d) +FLAGS (x)' % seen)
    assert r.code == 'MODIFIED' and r.code_args == ['7']
    r = box.ok('STORE 1:* (UNCHANGEDSINCE %d) +FLAGS (y)' % seen)
    assert expand(r.code_args[0]) == [1, 2, 3, 4, 5, 6]


def test_unchanged_since_zero(box):
    """Section 3.1.3, example 8: always fails."""
    r = box.ok('STORE 9 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($MDNSent)')
    assert r.code == 'MODIFIED' and r.code_args == ['9']


def test_unchanged_since_repeated(box):
    """Section 3.1.3, last note: a message named twice fails only if it had changed before."""
    seen = highest(box.select())
    r = box.ok('STORE 7,3:9 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\\Deleted)' % seen)
    assert r.code is None and sorted(r.fetch()) == [3, 4, 5, 6, 7, 8, 9]


def test_unchanged_since_expunged(box, other):
    """Section 3.1.3, example 11: some are gone, one has changed."""
    seen = highest(box.ok('SELECT INBOX (CONDSTORE)'))
    other.ok('STORE 4:7 +FLAGS.SILENT (\\Deleted)')
    other.ok('EXPUNGE')
    other.ok('STORE 2 +FLAGS (\\Answered)')
    r = box.no('STORE 1:7 (UNCHANGEDSINCE %d) +FLAGS (\\Seen)' % seen, code='MODIFIED')
    assert r.code_args == ['2'] and {1, 3} <= set(r.fetch())
    assert box.noop().expunged() in ([7, 6, 5, 4], [4, 4, 4, 4])


def test_unchanged_since_gap(box, other):
    """Nothing is gone where UIDs have a gap that the client knows of: OK, and no EXPUNGEISSUED."""
    box.ok('STORE 2 +FLAGS.SILENT (\\Deleted)')
    box.ok('EXPUNGE')
    assert box.ok('STORE 1:4 +FLAGS (a)').code is None
    assert box.ok('UID STORE 1:4,500 +FLAGS (a)').code is None
    seen = highest(box.ok('SELECT INBOX (CONDSTORE)'))
    other.ok('UID STORE 3 +FLAGS (b)')
    r = box.ok('STORE 1:4 (UNCHANGEDSINCE %d) +FLAGS.SILENT (c)' % seen)
    assert r.code == 'MODIFIED' and r.code_args == ['2']


def test_search_modseq(box):
    """Sections 3.1.5 and 3.1.6: the answer has the greatest mod-sequence."""
    since = highest(box.select())
    box.ok('STORE 3 +FLAGS (\\Seen)')
    box.ok('STORE 5 +FLAGS (\\Draft)')
    got = {n: modseq(i) for n, i in box.ok('FETCH 1:* MODSEQ').fetch().items()}
    r = box.ok('SEARCH MODSEQ "/flags/\\\\draft" all %d' % (since + 1))
    assert r.search() == [3, 5] and r.one('SEARCH').data[-1] == ['MODSEQ', str(got[5])]
    r = box.ok('SEARCH MODSEQ %d 1:4' % (since + 1))
    assert r.search() == [3] and r.one('SEARCH').data[-1] == ['MODSEQ', str(got[3])]
    assert box.ok('SEARCH OR NOT MODSEQ 1 LARGER 500000').one('SEARCH').data == []  # example 16
    r = box.ok('UID SEARCH NOT MODSEQ %d' % (since + 1))
    assert r.search() == [1, 2, 4, 6, 7, 8, 9]
    box.bad('SEARCH MODSEQ "/flags/\\\\draft" some 1')
    box.bad('SEARCH MODSEQ 9223372036854775808')


def test_esearch_modseq(box):
    """Section 3.1.10, example 19; RFC 4731 section 3.2: of the messages that are told."""
    box.ok('STORE 7 +FLAGS (a)')
    box.ok('STORE 2 +FLAGS (a)')
    box.ok('STORE 4 +FLAGS (a)')
    got = {n: str(modseq(i)) for n, i in box.ok('FETCH 1:* MODSEQ').fetch().items()}

    def told(options):
        return box.ok('SEARCH RETURN (%s) MODSEQ 1 KEYWORD a' % options).one('ESEARCH').esearch()[2]
    assert told('ALL') == {'ALL': '2,4,7', 'MODSEQ': got[4]}
    assert told('MIN') == {'MIN': '2', 'MODSEQ': got[2]}
    assert told('MAX') == {'MAX': '7', 'MODSEQ': got[7]}
    assert told('MIN MAX') == {'MIN': '2', 'MAX': '7', 'MODSEQ': got[2]}
    assert told('COUNT') == {'COUNT': '3', 'MODSEQ': got[4]}
    assert 'MODSEQ' not in box.ok('SEARCH RETURN (ALL) MODSEQ 1 KEYWORD none').one('ESEARCH').esearch()[2]


def test_seen_by_fetch(box):
    """Section 3.2.4: FETCH that sets \\Seen tells UID, FLAGS and MODSEQ."""
    before = highest(box.ok('SELECT INBOX (CONDSTORE)'))
    item = box.ok('FETCH 2 BODY[]').fetch()[2]
    assert set(item) == {'BODY[]', 'UID', 'FLAGS', 'MODSEQ'} and modseq(item) > before
    assert set(box.ok('FETCH 2 BODY[]').fetch()[2]) == {'BODY[]'}


def test_appended_message(box, other):
    """Section 3.1: an appended message has a mod-sequence above all others."""
    before = highest(box.ok('SELECT INBOX (CONDSTORE)'))
    other.append('INBOX', mails.numbered(100))
    assert box.noop().one('EXISTS').num == 10
    assert modseq(box.ok('FETCH 10 MODSEQ').fetch()[10]) > before


@pytest.mark.parametrize('command', [
    'SELECT INBOX (CONDSTOR)', 'SELECT INBOX ()', 'SELECT INBOX (CONDSTORE', 'SELECT INBOX (QRESYNC (1 2)',
    'FETCH 1 FLAGS (CHANGEDSINCE)', 'FETCH 1 FLAGS (CHANGEDSINCE x)', 'FETCH 1 FLAGS (VANISHED)',
    'UID FETCH 1 FLAGS (VANISHED)', 'FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)', 'FETCH 1 FLAGS ()',
    'STORE 1 (UNCHANGEDSINCE) FLAGS ()', 'STORE 1 (UNCHANGEDSINCE 1 FLAGS ()', 'STORE 1 () FLAGS ()',
    'STORE 1 (UNCHANGEDSINCE -1) FLAGS ()', 'STATUS INBOX (HIGHESTMODSEQS)'])
def test_malformed(box, command):
    box.bad(command)
    assert len(box.uid_list()) == 9


# -- QRESYNC

def resync(c, known, seq='', mailbox='INBOX'):
    return c.ok('SELECT %s (QRESYNC (%d %d%s))' % (mailbox, known[0], known[1], seq and ' ' + seq))


def state(r):
    return int(r.codes()['UIDVALIDITY'].code_args[0]), highest(r)


def test_must_be_enabled(box):
    """Sections 3.2.3, 3.2.5, 3.2.6: BAD before ENABLE QRESYNC, and the mailbox stays selected."""
    known = state(box.select())
    box.bad('SELECT INBOX (QRESYNC (%d %d))' % known)
    box.bad('UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)')
    assert len(box.uid_list()) == 9
    assert set(box.ok('ENABLE QRESYNC CONDSTORE').one('ENABLED').data) == {'QRESYNC', 'CONDSTORE'}
    resync(box, known)


def test_expunge_as_vanished(box, other):
    """Sections 3.2.7 and 3.2.9: VANISHED with UIDs, HIGHESTMODSEQ in the tagged answer."""
    box.ok('ENABLE QRESYNC')
    box.ok('STORE 3,4,7 +FLAGS.SILENT (\\Deleted)')
    r = box.ok('UID EXPUNGE 7')
    assert r.vanished() == [7] and r.code == 'HIGHESTMODSEQ'
    r = box.ok('EXPUNGE')
    assert r.vanished() == [3, 4] and r.expunged() == [] and r.code == 'HIGHESTMODSEQ'
    assert int(r.code_args[0]) == highest(box.select())
    assert box.ok('EXPUNGE').code is None  # nothing was expunged
    other.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    other.ok('EXPUNGE')
    assert box.noop().vanished() == [1]
    box.ok('CREATE There')
    r = box.ok('MOVE 1 There')
    assert r.vanished() == [2] and r.code == 'HIGHESTMODSEQ'
    box.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    assert box.ok('CLOSE').code is None  # section 3.2.8: MUST NOT


def test_select_qresync(box, session, other):
    """Section 3.2.5.1: VANISHED (EARLIER), then FETCH with UID, FLAGS and MODSEQ, all at once."""
    known = state(box.select())
    box.ok('LOGOUT')
    other.ok('STORE 2,3 +FLAGS.SILENT (\\Deleted)')
    other.ok('EXPUNGE')
    other.ok('UID STORE 5 +FLAGS (\\Flagged)')
    other.append('INBOX', mails.numbered(50))
    c = session()
    c.ok('ENABLE QRESYNC')
    r = resync(c, known)
    assert r.vanished(earlier=True) == [2, 3] and not r.vanished()
    got = {int(i['UID']): i for i in r.fetch().values()}
    assert set(got) == {5, 10} and all(set(i) == {'UID', 'FLAGS', 'MODSEQ'} for i in got.values())
    assert {n: int(i['UID']) for n, i in r.fetch().items()} == {3: 5, 8: 10}
    kinds = [x.kind for x in r.untagged]
    assert kinds.index('EXISTS') < kinds.index('VANISHED') < kinds.index('FETCH')
    # only what the client knows
    r = resync(c, known, '1:2,5')
    assert r.codes().get('CLOSED') and r.vanished(earlier=True) == [2] and set(r.fetch()) == {3}
    # nothing has changed since
    r = resync(c, state(r))
    assert not r.vanished(earlier=True) and not r.fetch()
    # of another incarnation nothing is said
    r = resync(c, (known[0] + 1, known[1]))
    assert not r.vanished(earlier=True) and not r.fetch()


def test_match_data(box, session):
    """Section 3.2.5.2: accepted; the expunges are known exactly, so nothing is left out or added."""
    known = state(box.select())
    box.ok('STORE 2,8 +FLAGS.SILENT (\\Deleted)')
    box.ok('EXPUNGE')
    c = session()
    c.ok('ENABLE QRESYNC')
    assert resync(c, known, '1:9 (1,3,9 1,3,9)').vanished(earlier=True) == [2, 8]
    assert resync(c, known, '(1:9 1:9)').vanished(earlier=True) == [2, 8]
    for bad in ('1:* (1 1)', '1:9 (1,2 1)', '1:9 (* 1)', '1:9 ()', '$'):
        c.bad('SELECT INBOX (QRESYNC (%d %d %s))' % (known + (bad,)))


def test_fetch_vanished(box, other):
    """Section 3.2.6, example 1."""
    box.ok('ENABLE QRESYNC')
    since = highest(box.select())
    other.ok('STORE 3:4,9 +FLAGS.SILENT (\\Deleted)')
    other.ok('EXPUNGE')
    other.ok('UID STORE 6,7 +FLAGS (\\Seen)')
    assert box.noop().vanished() == [3, 4, 9]
    r = box.ok('UID FETCH 4:500 (FLAGS) (CHANGEDSINCE %d VANISHED)' % since)
    assert r.vanished(earlier=True) == [4, 9] and set(r.fetch()) == {4, 5}
    assert r.untagged[0].kind == 'VANISHED'
    r = box.ok('UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)' % since)
    assert r.vanished(earlier=True) == [3, 4, 9]  # "*" reaches what was last


def test_withheld_expunge(box, other):
    """Section 3.2: while an expunge is kept back, HIGHESTMODSEQ stays below it."""
    box.ok('ENABLE QRESYNC')
    seen = highest(box.select())
    other.ok('STORE 5 +FLAGS.SILENT (\\Deleted)')
    other.ok('EXPUNGE')
    expunged = highest(other.select())
    other.ok('STORE 1 +FLAGS (\\Flagged)')
    r = box.ok('FETCH 1 (FLAGS MODSEQ)')  # EXPUNGE may not be told here
    assert modseq(r.fetch()[1]) > expunged and not r.vanished()
    assert seen <= highest(r) < expunged
    assert box.noop().vanished() == [5]


def test_idle(box, other):
    box.ok('ENABLE QRESYNC')
    tag = box.idle()
    other.ok('STORE 1,3 +FLAGS (\\Deleted)')
    other.ok('EXPUNGE')
    got = box.until(lambda r: r.kind == 'VANISHED')
    assert got.data == ['1,3']
    box.done(tag)


def test_deleted_mailbox(c, session):
    """VANISHED would need UIDs that are gone: the session ends."""
    c.ok('CREATE Gone')
    fill(c, 2, 'Gone')
    d = session()
    d.ok('ENABLE QRESYNC')
    d.select('Gone')
    c.ok('DELETE Gone')
    d.start('NOOP')
    assert d.closed()[-1].kind == 'BYE'


class Cache:
    """A disconnected client: what it keeps of a mailbox, from answers only."""

    def __init__(self):
        self.known = None
        self.messages = {}
        self.modseq = 0

    def open(self, c):
        c.ok('ENABLE QRESYNC')
        r = resync(c, self.known) if self.known else c.ok('SELECT INBOX (CONDSTORE)')
        first = self.known is None
        self.take(r)
        self.known = state(r)
        self.modseq = self.known[1]
        if first:
            self.take(c.ok('UID FETCH 1:* (FLAGS)'))
        self.learn(c, r)

    def learn(self, c, r):
        """The answers of a command; new messages are asked for."""
        self.take(r)
        while r.all('EXISTS'):
            r = c.ok('UID FETCH %d:* (FLAGS MODSEQ)' % (max(self.messages, default=0) + 1))
            self.take(r)

    def take(self, r):
        told = None
        for x in r.untagged:
            if x.kind == 'VANISHED':
                for uid in expand(x.data[-1]):
                    self.messages.pop(uid, None)
            elif x.kind == 'FETCH':
                item = x.items()
                if 'FLAGS' in item:
                    self.messages[int(item['UID'])] = flags(item['FLAGS']) - {'\\recent'}
                if 'MODSEQ' in item:
                    told = max(told or 0, modseq(item))
            elif x.kind == 'OK' and x.code == 'HIGHESTMODSEQ':
                told = None
                self.modseq = int(x.code_args[0])
        # RFC 7162 section 3.2: the greatest mod-sequence counts, but for a later HIGHESTMODSEQ.
        if told:
            self.modseq = max(self.modseq, told)
        if r.code == 'HIGHESTMODSEQ':
            self.modseq = int(r.code_args[0])
        if self.known:
            self.known = (self.known[0], self.modseq)


@pytest.mark.parametrize('seed', range(12))
def test_resynchronisation(session, seed):
    """Random changes by two sessions; a client with QRESYNC that drops its connection at random ends with
    exactly what the server has."""
    rng = random.Random(seed)
    print('seed', seed)
    a, b = session('INBOX'), session('INBOX')
    fill(a, 20)
    a.noop(), b.noop()
    cache, c = Cache(), session()
    cache.open(c)

    def change(who):
        uids = who.uid_list()
        some = ','.join(str(u) for u in rng.sample(uids, min(len(uids), rng.randint(1, 4)))) or '1'
        what = rng.randrange(6)
        if what == 0 or len(uids) < 5:
            fill(who, rng.randint(1, 4))
        elif what == 1:
            who.ok('UID STORE %s +FLAGS.SILENT (\\Deleted)' % some)
            who.ok('UID EXPUNGE %s' % some)
        else:
            who.ok('UID STORE %s %sFLAGS.SILENT (%s)' % (some, rng.choice('+-'),
                                                         rng.choice(['\\Seen', '\\Flagged', 'k1', 'k2'])))
        who.noop()

    for _ in range(60):
        for _ in range(rng.randrange(4)):
            change(rng.choice([a, b]))
        what = rng.randrange(5)
        if what == 0:
            c.close()
            c = session()
            cache.open(c)
        elif what == 1:
            cache.learn(c, c.noop())
        elif what == 2 and cache.messages:
            uid = rng.choice(sorted(cache.messages))
            cache.learn(c, c.cmd('UID STORE %d +FLAGS (mine)' % uid))
        elif what == 3 and cache.messages:  # EXPUNGE cannot be told in it
            cache.learn(c, c.cmd('FETCH 1 (UID FLAGS MODSEQ)'))
    c.close()
    c = session()
    cache.open(c)
    a.noop()
    actual = {int(i['UID']): flags(i['FLAGS']) - {'\\recent'}
              for i in a.ok('UID FETCH 1:* FLAGS').fetch().values()}
    assert cache.messages == actual
