"""Accounts that belong to two mail processes: mailboxes of one are used through the other (RFC 4314), messages are copied
and moved between them, processes die meanwhile."""
import os
import signal
import threading
import time

import pytest

from support import server as support_server
from support.accounts import name_of
from support.imap import SLOW, Closed
from support.server import PASSWORD, children

pytestmark = pytest.mark.martlet('its own processes')


@pytest.fixture(scope='module')
def two():
    s = support_server.make(extra=['--setting', 'mail.processes=2', '--setting', 'mail.quarantine=0s'])
    yield s.start()
    if s.process.poll() is None:
        s.stop()
    s.remove()


def mail_processes(s):
    found = []
    for pid in children(s.process.pid):
        try:
            with open('/proc/%d/comm' % pid) as f:
                if f.read().strip() == 'martlet-mail':
                    found.append(pid)
        except OSError:
            pass
    return sorted(found)


numbers = iter(range(1000))


class Pair:
    """Anna, whose account is in process 0, and bert, in process 1, who uses her mailboxes."""

    def __init__(self, server, owner=0):
        n = next(numbers)
        self.server = server
        self.anna, self.bert = name_of(owner, 'anna%dx' % n), name_of(1 - owner, 'bert%dx' % n)
        self.a = self.login(self.anna)
        self.a.ok('CREATE Team')
        self.a.ok('SETACL Team %s lrswipkxtea' % self.bert)
        self.team = '"Other Users/%s/Team"' % self.anna
        self.b = self.login(self.bert)

    def login(self, user):
        deadline = time.monotonic() + 20 * SLOW
        while True:
            c = self.server.connect()
            try:
                c.login(user, PASSWORD)
                return c
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def close(self):
        for c in (self.a, self.b):
            c.close()


@pytest.fixture(params=[0, 1])
def pair(two, request):
    p = Pair(two, request.param)
    yield p
    p.close()


MAIL = b'From: a@example.org\r\nSubject: %s\r\n\r\n%s\r\n'


def mail(subject, text='text'):
    return MAIL % (subject.encode(), text.encode())


def subjects(c):
    """UID -> subject of the selected mailbox."""
    r = c.ok('UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])')
    out = {}
    for items in r.fetch().values():
        header = [v for k, v in items.items() if k.startswith('BODY[')][0]
        out[int(items['UID'])] = header.split(b':', 1)[1].strip().decode()
    return out


def look(c, mailbox):
    c.ok('EXAMINE ' + mailbox)
    return sorted(subjects(c).values())


# -- using it

def test_seen_from_both_sides(pair):
    a, b = pair.a, pair.b
    a.append('Team', mail('one'), '(\\Flagged $work) "01-Jan-2020 10:00:00 +0100"')
    r = b.ok('STATUS %s (MESSAGES UIDNEXT)' % pair.team)
    assert int(r.one('STATUS').items()['MESSAGES']) == 1
    b.select(pair.team.encode())
    got = b.ok('FETCH 1 (FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE BODY.PEEK[])').fetch()[1]
    assert got['BODY[]'] == mail('one')
    assert got['INTERNALDATE'] == b' 1-Jan-2020 10:00:00 +0100'
    assert {'\\Flagged', '$work'} <= set(got['FLAGS'])
    b.append(pair.team[1:-1], mail('two'))
    r = b.ok('NOOP')
    a.select('Team')
    assert subjects(a) == {1: 'one', 2: 'two'} == subjects(b)
    b.ok('STORE 1 +FLAGS (\\Answered $done)')
    assert {'\\answered', '$done'} <= {f.lower() for f in a.ok('FETCH 1 FLAGS').fetch()[1]['FLAGS']}
    assert b.ok('SEARCH SUBJECT two').search() == [2]
    assert b.ok('SEARCH BODY text').search() == [1, 2]


def test_large_messages_go_as_files(pair):
    text = mail('large', '0123456789abcdef' * (3 << 16))
    pair.b.append(pair.team[1:-1], text)
    pair.b.select(pair.team.encode())
    assert pair.b.ok('FETCH 1 BODY.PEEK[]').fetch()[1]['BODY[]'] == text
    pair.a.select('Team')
    assert pair.a.ok('FETCH 1 BODY.PEEK[]').fetch()[1]['BODY[]'] == text


def test_idle_hears_of_the_other_process(pair):
    pair.b.select(pair.team.encode())
    tag = pair.b.idle()
    pair.a.append('Team', mail('news'))
    pair.b.until(lambda r: r.kind == 'EXISTS')
    pair.b.done(tag)
    pair.a.select('Team')
    tag = pair.a.idle()
    pair.b.append(pair.team[1:-1], mail('more'))
    pair.a.until(lambda r: r.kind == 'EXISTS' and r.num == 2)
    pair.a.done(tag)


def test_expunged_messages_stay_readable(pair):
    """Until the client has been told: it is shown a state that is no more, through the other process."""
    a, b = pair.a, pair.b
    for i in range(5):
        a.append('Team', mail('m%d' % i))
    b.select(pair.team.encode())
    b.ok('FETCH 1:* FLAGS')
    a.select('Team')
    a.ok('STORE 2,4 +FLAGS.SILENT (\\Deleted)')
    a.ok('EXPUNGE')
    a.ok('CREATE Elsewhere')  # more commits, which could sweep
    a.ok('DELETE Elsewhere')
    got = b.ok('FETCH 1:5 (BODY.PEEK[HEADER.FIELDS (SUBJECT)])').fetch()
    assert sorted(got) == [1, 2, 3, 4, 5]
    r = b.ok('NOOP')
    assert len(r.expunged()) == 2
    assert sorted(subjects(b).values()) == ['m0', 'm2', 'm4']


def test_mailboxes_are_made_and_removed(pair):
    b = pair.b
    sub = pair.team[:-1] + '/Sub"'
    b.ok('CREATE ' + sub)
    assert b'Team/Sub' in pair.a.ok('LIST "" "Team/*"').names()
    b.no('CREATE ' + sub)
    b.append(sub[1:-1], mail('x'))
    b.ok('DELETE ' + sub)
    assert pair.a.ok('LIST "" "Team/*"').names() == []


def test_rename_across_accounts(pair):
    pair.b.ok('CREATE Mine')
    pair.b.no('RENAME Mine ' + pair.team[:-1] + '/Mine"', code='CANNOT')
    pair.b.no('RENAME %s Mine2' % pair.team, code='CANNOT')


# -- COPY and MOVE

def fill(c, mailbox, n, prefix='m'):
    for i in range(n):
        c.append(mailbox, mail('%s%d' % (prefix, i)), '(\\Flagged $k%d) "0%d-Feb-2021 01:02:03 -0300"' % (i % 3, i % 9 + 1))


def state(c, mailbox):
    """What must be the same on both sides, by subject."""
    c.ok('EXAMINE ' + mailbox)
    by_uid = subjects(c)
    out = {}
    for items in c.ok('UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)').fetch().values():
        flags = frozenset(f for f in items['FLAGS'] if f.lower() != '\\recent')
        out[by_uid[int(items['UID'])]] = (flags, items['INTERNALDATE'], items['RFC822.SIZE'])
    return out


def copyuid(args):
    return int(args[0]), str(args[1]), str(args[2])


def test_copy_there_and_back(pair):
    b = pair.b
    fill(b, 'INBOX', 4)
    b.select('INBOX')
    r = b.ok('COPY 1:3 ' + pair.team)
    assert r.code == 'COPYUID'
    validity, source, target = copyuid(r.code_args)
    assert source == '1:3' and target == '1:3'
    before = state(b, 'INBOX')
    assert len(before) == 4
    there = state(b, pair.team)
    assert there == {k: v for k, v in before.items() if k != 'm3'}
    assert state(pair.a, 'Team') == there
    assert int(pair.a.ok('STATUS Team (UIDVALIDITY)').one('STATUS').items()['UIDVALIDITY']) == validity
    b.ok('CREATE Back')
    b.select(pair.team.encode())
    r = b.ok('UID COPY 2,3 Back')
    assert copyuid(r.code_args)[1:] == ('2:3', '1:2')
    assert state(b, 'Back') == {k: before[k] for k in ('m1', 'm2')}
    b.no('COPY 1 %s/Missing"' % pair.team[:-1], code='TRYCREATE')


def test_move_there_and_back(pair):
    b = pair.b
    fill(b, 'INBOX', 4)
    before = state(b, 'INBOX')
    b.select('INBOX')
    r = b.ok('MOVE 2:3 ' + pair.team)
    code, = [x for x in r.all('OK') if x.code == 'COPYUID']
    assert copyuid(code.code_args)[1:] == ('2:3', '1:2')
    assert len(r.expunged()) == 2
    assert sorted(subjects(b).values()) == ['m0', 'm3']
    assert state(pair.a, 'Team') == {k: before[k] for k in ('m1', 'm2')}
    b.select(pair.team.encode())
    b.ok('UID MOVE 1 INBOX')
    assert sorted(state(b, 'INBOX')) == ['m0', 'm1', 'm3']
    assert sorted(state(pair.a, 'Team')) == ['m2']
    b.select('INBOX')
    r = b.no('MOVE 1 %s/Missing"' % pair.team[:-1], code='TRYCREATE')
    assert r.expunged() == []
    assert len(state(b, 'INBOX')) == 3


def test_a_large_copy_is_refused_whole_and_a_move_goes_in_parts(pair):
    b = pair.b
    text = 'x' * 900000
    for i in range(20):
        b.append('INBOX', mail('big%d' % i, text))
    b.select('INBOX')
    b.no('COPY 1:* ' + pair.team, code='LIMIT')
    assert look(pair.a, 'Team') == []
    r = b.ok('MOVE 1:* ' + pair.team)
    codes = [copyuid(x.code_args) for x in r.all('OK') if x.code == 'COPYUID']
    assert len(codes) > 1
    assert len(r.expunged()) == 20
    assert len(look(pair.a, 'Team')) == 20


# -- deaths



def reached(c, command):
    """The first OK of a command while a process comes back; an end of the session is not expected."""
    deadline = time.monotonic() + 30 * SLOW
    while True:
        r = c.cmd(command)
        if r.status == 'OK':
            return r
        assert r.status == 'NO' and r.code in ('UNAVAILABLE', 'SERVERBUG'), r
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def own():
    s = support_server.make(extra=['--setting', 'mail.processes=2', '--setting', 'mail.quarantine=0s'])
    yield s.start()
    if s.process.poll() is None:
        s.stop()
    s.remove()


def process_of(s, c):
    """The mail process that serves a session."""
    for pid in mail_processes(s):
        try:
            sockets = [os.readlink('/proc/%d/fd/%s' % (pid, fd)) for fd in os.listdir('/proc/%d/fd' % pid)]
        except OSError:
            continue
        port = c.sock.getsockname()[1]
        with open('/proc/net/tcp') as f:
            for line in f.read().splitlines()[1:]:
                words = line.split()
                if int(words[2].rsplit(':', 1)[1], 16) == port and 'socket:[%s]' % words[9] in sockets:
                    return pid
    raise AssertionError('no process has that session')


def kill(s, pid):
    """And its successor is there."""
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20 * SLOW
    while pid in mail_processes(s) or len(mail_processes(s)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.3)


def test_the_owner_dies(own):
    """Sessions of the other process live on: NO while it is away, then everything is there."""
    p = Pair(own)
    p.a.append('Team', mail('kept'))
    p.b.select(p.team.encode())
    assert list(subjects(p.b).values()) == ['kept']
    kill(own, process_of(own, p.a))
    reached(p.b, 'UID FETCH 1:* FLAGS')
    assert list(subjects(p.b).values()) == ['kept']
    reached(p.b, 'CREATE %s/New"' % p.team[:-1])
    p.b.append(p.team[1:-1], mail('again'))
    a = p.login(p.anna)
    assert look(a, 'Team') == ['again', 'kept']
    tag = p.b.idle()
    a.append('Team', mail('news'))
    p.b.until(lambda r: r.kind == 'EXISTS' and r.num == 3)
    p.b.done(tag)


def test_the_reader_dies(own):
    """The owner forgets what it showed, and goes on."""
    p = Pair(own)
    for i in range(3):
        p.a.append('Team', mail('m%d' % i))
    p.b.select(p.team.encode())
    kill(own, process_of(own, p.b))
    p.a.select('Team')
    p.a.ok('STORE 1 +FLAGS (\\Deleted)')
    p.a.ok('EXPUNGE')
    p.b = p.login(p.bert)
    assert look(p.b, p.team) == ['m1', 'm2']


def test_lists_are_whole_or_refused(own):
    """While the owner's process is away: no OK for a list without its mailboxes, by which clients that keep copies
    would throw these away."""
    p = Pair(own)
    assert p.b.ok('LIST "" "Other Users/%s/*"' % p.anna).names() == [p.team[1:-1].encode()]
    os.kill(process_of(own, p.a), signal.SIGKILL)
    statuses = []
    deadline = time.monotonic() + 20 * SLOW
    while time.monotonic() < deadline:
        r = p.b.cmd('LIST "" ("Other Users/%s/*" "*")' % p.anna)
        statuses.append(r.status)
        assert b'INBOX' in r.names()
        if r.status == 'OK':
            assert p.team[1:-1].encode() in r.names(), statuses
            if mail_processes(own) and statuses[-3:] == ['OK'] * 3:
                break
        else:
            assert r.code == 'UNAVAILABLE', r
    assert 'NO' in statuses


@pytest.mark.parametrize('victims', ['source', 'target', 'both'])
def test_moves_survive_deaths(own, victims):
    """A message that is moved to and fro is never lost, and in the end in one place alone."""
    p = Pair(own)
    names = ['m%d' % i for i in range(40)]
    for n in names:
        p.b.append('INBOX', mail(n))
    stop = threading.Event()

    def killer():
        while not stop.wait(0.5 * SLOW):
            for c in {'source': [p.bert], 'target': [p.anna], 'both': [p.bert, p.anna]}[victims]:
                try:
                    x = own.connect()
                    x.login(c, PASSWORD)
                    os.kill(process_of(own, x), signal.SIGKILL)
                    x.close()
                except (AssertionError, OSError):
                    pass

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        deadline = time.monotonic() + 6 * SLOW
        forth = True
        while time.monotonic() < deadline:
            try:
                p.b.select(b'INBOX' if forth else p.team.encode())
                if subjects(p.b):
                    p.b.cmd('MOVE 1:3 ' + (p.team if forth else 'INBOX'))
                forth = not forth
            except (AssertionError, OSError):
                p.b.close()
                p.b = p.login(p.bert)
    finally:
        stop.set()
        thread.join()
    deadline = time.monotonic() + 40 * SLOW
    while True:
        try:
            p.b = p.login(p.bert)
            a = p.login(p.anna)
            here, there = look(p.b, 'INBOX'), look(a, 'Team')
            assert set(names) <= set(here + there), 'in neither: %s' % (set(names) - set(here + there))
            if sorted(here + there) == sorted(names):
                return
        except (Closed, OSError):
            pass
        assert time.monotonic() < deadline, 'in both: %s' % sorted(here + there)
        time.sleep(0.5)
