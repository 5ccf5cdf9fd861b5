r"""\Seen of each user of a shared mailbox is his own (RFC 4314 section 4, right "s"), and everybody who looks for
changes finds it (RFC 7162), within one mail process and across two."""
import pytest

from support import server as support_server
from support.accounts import name_of
from support.server import PASSWORD
from test_condstore import state
from test_quota import ctl

pytestmark = pytest.mark.martlet('its own processes')

MAIL = b'From: a@example.org\r\nSubject: %d\r\n\r\nText\r\n'


@pytest.fixture(scope='module')
def two():
    s = support_server.make(extra=['--setting', 'mail.processes=2'])
    yield s.start()
    s.stop()
    s.remove()


class Three:
    """anna, who owns Team with four messages; bert and cleo may use it. All are logged in."""

    def __init__(self, server, n, process):
        self.server = server
        self.anna, self.bert, self.cleo = name_of(0, 'anna%dx' % n), name_of(process, 'bert%dx' % n), name_of(process, 'cleo%dx' % n)
        self.open = []
        self.a, self.b, self.c = (self.login(u) for u in (self.anna, self.bert, self.cleo))
        self.a.ok('CREATE Team')
        for who in self.bert, self.cleo:
            self.a.ok('SETACL Team %s lrswite' % who)
        for i in range(4):
            self.a.append('Team', MAIL % i)
        self.team = 'Other Users/%s/Team' % self.anna

    def login(self, user):
        c = self.server.connect()
        c.login(user, PASSWORD)
        self.open.append(c)
        return c

    def select(self, *clients):
        for c in clients:
            c.select('Team' if c is self.a else self.team)


numbers = iter(range(100))


@pytest.fixture(params=[0, 1], ids=['same', 'other'])
def three(two, request):
    t = Three(two, next(numbers), request.param)
    yield t
    for c in t.open:
        c.close()


def seen(c):
    return c.ok('UID SEARCH SEEN').search()


def status(c, mailbox, item='UNSEEN'):
    return int(c.ok('STATUS "%s" (%s)' % (mailbox, item)).one('STATUS').items()[item])


def test_own(three):
    a, b, c = three.a, three.b, three.c
    three.select(a, b, c)
    r = b.ok('FETCH 1 BODY[]')
    assert r.fetch()[1]['BODY[]'] == MAIL % 0
    assert seen(b) == [1] and seen(a) == [] and seen(c) == []
    a.ok('STORE 2:3 +FLAGS (\\Seen)')
    assert seen(a) == [2, 3] and seen(b) == [1]
    c.ok('STORE 1:4 FLAGS (\\Seen \\Flagged)')
    assert seen(c) == [1, 2, 3, 4] and seen(b) == [1] and seen(a) == [2, 3]
    assert b.ok('SEARCH FLAGGED').search() == [1, 2, 3, 4]  # other flags are everybody's
    b.ok('STORE 1,4 -FLAGS.SILENT (\\Flagged)')
    assert seen(b) == [1]
    got = {x: {n: '\\Seen' in f['FLAGS'] for n, f in x.ok('FETCH 1:4 FLAGS').fetch().items()} for x in (a, b, c)}
    assert got[a] == {1: False, 2: True, 3: True, 4: False}
    assert got[b] == {1: True, 2: False, 3: False, 4: False}
    assert got[c] == {1: True, 2: True, 3: True, 4: True}
    r = b.ok('STORE 1 FLAGS ($x)')
    assert set(r.fetch()[1]['FLAGS']) - {'\\Recent'} == {'$x'} and seen(b) == []
    assert b.ok('SEARCH UNSEEN').search() == [1, 2, 3, 4] and b.ok('SEARCH OR SEEN FLAGGED').search() == [2, 3]
    assert b.ok('SORT (SUBJECT) UTF-8 UNSEEN').untagged[0].kind == 'SORT'


def test_counts(three):
    a, b = three.a, three.b
    three.select(a)
    a.ok('STORE 1:2 +FLAGS (\\Seen)')
    b.ok('EXAMINE "%s"' % three.team)  # nobody may keep anything there
    b.ok('FETCH 1 BODY[]')
    assert status(b, three.team) == 4
    r = b.select(three.team)
    assert int([x for x in r.untagged if x.code == 'UNSEEN'][0].code_args[0]) == 1
    b.ok('STORE 1:3 +FLAGS (\\Seen)')
    r = b.select(three.team)
    assert int([x for x in r.untagged if x.code == 'UNSEEN'][0].code_args[0]) == 4
    assert status(b, three.team) == 1 and status(a, 'Team') == 2
    r = b.ok('LIST "" "Other Users/%s/*" RETURN (STATUS (UNSEEN MESSAGES))' % three.anna)
    assert int(r.one('STATUS').items()['UNSEEN']) == 1
    a.ok('STORE 2 +FLAGS.SILENT (\\Deleted)')
    a.ok('EXPUNGE')
    b.noop()
    assert seen(b) == [1, 3] and status(b, three.team) == 1
    a.append('Team', MAIL % 9)
    assert status(b, three.team) == 2 and status(a, 'Team') == 3


def test_without_the_right(three):
    a, b = three.a, three.b
    a.ok('SETACL Team %s -s' % three.bert)
    three.select(b)
    b.ok('FETCH 1 BODY[]')
    b.ok('STORE 2 +FLAGS (\\Flagged \\Seen)')
    assert seen(b) == [] and b.ok('SEARCH FLAGGED').search() == [2]


def test_added_and_taken(three):
    """APPEND, COPY and MOVE, within the account and from one to another."""
    a, b, c = three.a, three.b, three.c
    a.ok('CREATE Team/Sub')  # has the list of Team
    b.append(three.team, MAIL % 5, '(\\Seen $five)')
    three.select(a, b, c)
    assert seen(b) == [5] and seen(a) == [] and seen(c) == []
    assert a.ok('SEARCH KEYWORD $five').search() == [5]
    b.ok('STORE 2 +FLAGS (\\Seen)')
    a.ok('STORE 1 +FLAGS (\\Seen)')
    b.ok('COPY 1:3 "%s/Sub"' % three.team)
    b.select('%s/Sub' % three.team)
    a.select('Team/Sub')
    assert seen(b) == [2] and seen(a) == [1]  # each has seen the copy of what he had seen
    b.ok('MOVE 1:2 INBOX')  # into an account of his own: his \Seen
    b.select()
    assert b.ok('SEARCH SEEN').search() == [2] and b.ok('SEARCH UNSEEN').search() == [1]
    b.ok('MOVE 1:2 "%s"' % three.team)
    three.select(a, b, c)
    assert seen(b) == [2, 5, 7] and seen(a) == [1] and seen(c) == []
    b.ok('UID MOVE 5 "%s/Sub"' % three.team)
    b.select('%s/Sub' % three.team)
    assert seen(b) == [4]


def test_everybody_finds_changes(three):
    """CONDSTORE and QRESYNC: whoever was away learns of his own changes, from whatever client; idling ones hear."""
    b = three.b
    three.select(b)
    other = three.login(three.bert)
    other.ok('ENABLE QRESYNC')
    r = other.select(three.team)
    known = state(r)
    other.ok('CLOSE')
    b.ok('STORE 2 +FLAGS (\\Seen)')
    r = other.ok('SELECT "%s" (QRESYNC (%d %d))' % ((three.team,) + known))
    got = {int(i['UID']): i['FLAGS'] for i in r.fetch().values()}
    assert set(got) == {2} and '\\Seen' in got[2]
    highest = state(r)[1]
    assert highest > known[1]
    tag = other.idle()
    b.ok('STORE 3 +FLAGS (\\Seen)')
    heard = other.until(lambda r: r.kind == 'FETCH')
    assert '\\Seen' in heard.items()['FLAGS']
    other.done(tag)
    r = other.ok('UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)' % highest)
    assert [int(i['UID']) for i in r.fetch().values()] == [3]
    r = other.ok('UID STORE 2:3 (UNCHANGEDSINCE %d) -FLAGS (\\Seen)' % highest)
    assert r.code == 'MODIFIED' and seen(other) == [3]
    b.noop()
    assert seen(b) == [3]
    three.c.ok('ENABLE QRESYNC')  # cleo hears that something has changed, and it is as it was for her
    r = three.c.ok('SELECT "%s" (QRESYNC (%d %d))' % ((three.team,) + known))
    assert all('\\Seen' not in i['FLAGS'] for i in r.fetch().values())


def test_kept(three):
    """Through whatever rewrites log and index; with the mailbox through RENAME; gone with it."""
    a, b = three.a, three.b
    three.select(b)
    b.ok('STORE 1,3 +FLAGS (\\Seen)')
    b.ok('STORE 3 -FLAGS (\\Seen)')
    b.ok('STORE 4 +FLAGS (\\Seen)')
    b.ok('UNSELECT')
    for command in 'compact', 'check', 'rebuild', 'check':
        ctl(three.server, command, three.anna)
    a, b = three.login(three.anna), three.login(three.bert)
    b.select(three.team)
    assert seen(b) == [1, 4]
    b.ok('UNSELECT')
    a.ok('RENAME Team Staff')
    b.select('Other Users/%s/Staff' % three.anna)
    assert seen(b) == [1, 4]
    b.ok('UNSELECT')
    a.ok('DELETE Staff')
    a.ok('CREATE Staff')
    a.ok('SETACL Staff %s lrs' % three.bert)
    a.append('Staff', MAIL % 1)
    assert status(b, 'Other Users/%s/Staff' % three.anna) == 1
    ctl(three.server, 'check', three.anna)


def test_rename_of_inbox(three):
    """RFC 9051 section 6.3.6: its messages go into a new mailbox; who had seen them has seen them."""
    a, b = three.a, three.b
    a.ok('SETACL INBOX %s lrs' % three.bert)
    for i in range(5):
        a.append('INBOX', MAIL % i)
    a.select()
    a.ok('STORE 1,3 +FLAGS.SILENT (\\Deleted)')
    a.ok('EXPUNGE')
    b.select('Other Users/%s/INBOX' % three.anna)
    b.ok('STORE 2:3 +FLAGS (\\Seen)')
    assert seen(b) == [4, 5]
    b.ok('UNSELECT')
    a.ok('RENAME INBOX Old')
    a.ok('SETACL Old %s lrs' % three.bert)
    b.select('Other Users/%s/Old' % three.anna)
    assert seen(b) == [2, 3] and b.ok('SEARCH UNSEEN').search() == [1]
    a.ok('DELETEACL INBOX %s' % three.bert)
    ctl(three.server, 'check', three.anna)


def test_notify(three):
    """RFC 5465: a change of another of his clients, in a mailbox that is not selected."""
    b = three.b
    other = three.login(three.bert)
    other.ok('NOTIFY SET (MAILBOXES "%s" (MessageNew MessageExpunge FlagChange))' % three.team)
    three.select(b)
    b.ok('STORE 1 +FLAGS (\\Seen)')
    heard = other.until(lambda r: r.kind == 'STATUS')
    assert 'HIGHESTMODSEQ' in heard.items() or 'UNSEEN' in heard.items()
    if 'UNSEEN' in heard.items():
        assert int(heard.items()['UNSEEN']) == 3
