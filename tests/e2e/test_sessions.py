"""Several sessions on one mailbox, IDLE, NOOP, \\Recent.

RFC 9051 sections 5.2, 5.3, 6.1.2, 6.3.13, 7.4, 7.5; RFC 3501 section 2.3.2 (\\Recent); RFC 2177;
RFC 2180 in spirit: a message expunged elsewhere stays readable while it is shown.
"""
import random
import statistics
import threading
import time

import pytest

from support import mails
from support.imap import SLOW, Closed, LitPlus, expand, flags
from support.server import PASSWORD

M = b'Subject: s\r\n\r\nbody\r\n'


def fill(c, n, mailbox='INBOX', first=0):
    parts = ['APPEND %s' % mailbox]
    for i in range(n):
        parts += [' ', LitPlus(mails.numbered(first + i))]
    return expand(c.ok(*parts).code_args[1])


@pytest.fixture
def two(session):
    """Two sessions on an INBOX of six messages."""
    a = session()
    fill(a, 6)
    a.select()
    return a, session('INBOX')


# -- changes become visible

def test_append_seen_by_noop(two):
    a, b = two
    a.append('INBOX', M)
    r = b.noop()
    assert r.one('EXISTS').num == 7
    assert b.ok('FETCH 7 BODY.PEEK[]').fetch()[7]['BODY[]'] == M


@pytest.mark.parametrize('command', ['NOOP', 'CHECK', 'STATUS INBOX (MESSAGES)', 'CREATE x', 'LIST "" %',
                                     'UID FETCH 1 FLAGS', 'UID SEARCH ALL', 'UID STORE 1 +FLAGS (\\Seen)', 'COPY 1 Trash'])
def test_append_seen_by_any_command(two, command):
    """Section 5.2: EXISTS may come with any command; it must be there after NOOP at the latest."""
    a, b = two
    a.append('INBOX', M)
    r = b.ok(command)
    if not r.all('EXISTS'):
        assert b.noop().one('EXISTS').num == 7
    assert len(b.uids) == 7


def test_flags_seen_by_noop(two):
    a, b = two
    a.ok('STORE 2 FLAGS (\\Flagged kw)')
    found = b.noop().fetch()
    assert set(found) == {2} and flags(found[2]['FLAGS']) - {'\\recent'} == {'\\flagged', 'kw'}
    b.noop().none('FETCH')


def test_own_changes_are_not_told_twice(two):
    a, _ = two
    a.ok('STORE 1 +FLAGS.SILENT (\\Seen)')
    a.noop().none('FETCH')
    a.ok('STORE 1 +FLAGS (\\Flagged)')
    a.noop().none('FETCH')


def test_expunge_seen_by_noop(two):
    a, b = two
    a.ok('STORE 2,4 +FLAGS.SILENT (\\Deleted)')
    a.ok('EXPUNGE')
    b.noop()
    assert len(b.uids) == 4
    assert b.uid_list() == [1, 3, 5, 6]


def test_move_seen_by_others(two):
    a, b = two
    a.ok('MOVE 1:2 Archive')
    r = b.noop()
    assert len(r.expunged()) == 2 and b.uid_list() == [3, 4, 5, 6]


def test_silent_store_still_tells_others(two):
    """Section 6.4.6: .SILENT is about the session's own answer."""
    a, b = two
    a.ok('STORE 1 +FLAGS.SILENT (\\Seen)')
    assert '\\seen' in flags(b.noop().fetch()[1]['FLAGS'])


def test_silent_store_tells_changes_of_others(two):
    """Section 6.4.6, note: a change made elsewhere is told even under .SILENT, at the next chance."""
    a, b = two
    a.ok('STORE 1 +FLAGS (\\Flagged)')
    r = b.ok('STORE 1 +FLAGS.SILENT (\\Seen)')
    seen = [flags(x.items()['FLAGS']) for x in r.all('FETCH') + b.noop().all('FETCH')]
    assert seen and seen[-1] >= {'\\flagged', '\\seen'}


def test_many_changes_in_one_noop(two):
    a, b = two
    a.ok('STORE 1 +FLAGS (\\Seen)')
    a.ok('STORE 3 +FLAGS.SILENT (\\Deleted)')
    a.ok('EXPUNGE')
    fill(a, 3, first=6)
    a.ok('UID STORE 7 +FLAGS (\\Flagged)')
    b.noop()
    assert len(b.uids) == 8
    found = {int(i['UID']): flags(i['FLAGS']) - {'\\recent'} for i in b.ok('FETCH 1:* (UID FLAGS)').fetch().values()}
    assert found == {1: {'\\seen'}, 2: set(), 4: set(), 5: set(), 6: set(), 7: {'\\flagged'}, 8: set(), 9: set()}


def test_keywords_of_others(two):
    """Section 7.3.5: new keywords are announced by FLAGS before they appear."""
    a, b = two
    a.ok('STORE 1 +FLAGS (fresh-one)')
    r = b.noop()
    kinds = [x.kind for x in r.untagged]
    assert 'FETCH' in kinds
    if 'FLAGS' in kinds:
        assert kinds.index('FLAGS') < kinds.index('FETCH')
        assert 'fresh-one' in flags(r.one('FLAGS').data[0])


# -- sequence numbers never shift under a command

@pytest.mark.parametrize('command', ['FETCH 6 (UID BODY.PEEK[])', 'STORE 6 +FLAGS (\\Seen)', 'SEARCH ALL',
                                     'SEARCH SUBJECT message', 'FETCH 1:* UID', 'SEARCH 5:6'])
def test_no_expunge_under(two, command):
    """Section 7.5.1: no EXPUNGE while FETCH, STORE or SEARCH is in progress; numbers stay as shown."""
    a, b = two
    a.ok('UID STORE 1:2 +FLAGS.SILENT (\\Deleted)')
    a.ok('EXPUNGE')
    for _ in range(3):
        r = b.ok(command)
        r.none('EXPUNGE')
    assert len(b.uids) == 6
    found = b.ok('FETCH 6 UID').fetch()
    assert found[6]['UID'] == '6'
    b.noop()
    assert len(b.uids) == 4
    assert b.ok('FETCH 4 UID').fetch()[4]['UID'] == '6'


def test_expunged_elsewhere_is_still_fetched(two):
    """Issue: a message expunged elsewhere can still be fetched whole by a session that shows it."""
    a, b = two
    a.ok('STORE 2 +FLAGS.SILENT (\\Deleted)')
    a.ok('EXPUNGE')
    for command in ('FETCH 2 (UID FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE INTERNALDATE BODY.PEEK[])',
                    'FETCH 1:3 (UID BODY.PEEK[] ENVELOPE)'):
        r = b.ok(command)
        items = r.fetch()[2]
        assert items['UID'] == '2' and items['BODY[]'] == mails.numbered(1)
        assert items['ENVELOPE'][1] == b'message 1'
    r = b.ok('SEARCH SUBJECT "message 1"')
    assert r.search() in ([2], [])
    b.noop()
    assert len(b.uids) == 5
    assert b.ok('FETCH 2 UID').fetch()[2]['UID'] == '3'


def test_expunged_elsewhere_with_body_that_would_set_seen(two):
    a, b = two
    a.ok('STORE 2 +FLAGS.SILENT (\\Deleted)')
    a.ok('EXPUNGE')
    r = b.cmd('FETCH 1:3 BODY[]')
    assert r.status in ('OK', 'NO')
    assert r.fetch()[1]['BODY[]'] == mails.numbered(0) and r.fetch()[3]['BODY[]'] == mails.numbered(2)
    b.noop()
    assert '\\seen' in a.flags_of(1) and '\\seen' in a.flags_of(3)


def test_store_with_one_expunged_elsewhere(two):
    """Issue: the STORE takes effect on the other messages of the command, and all see it."""
    a, b = two
    a.ok('STORE 2 +FLAGS.SILENT (\\Deleted)')
    a.ok('EXPUNGE')
    r = b.cmd('STORE 1:4 +FLAGS (\\Flagged)')
    assert r.status == 'OK' or (r.status == 'NO' and r.code in ('EXPUNGEISSUED', None)), r
    r.none('EXPUNGE')
    b.noop()
    assert b.ok('UID SEARCH FLAGGED').search() == [1, 3, 4]
    found = {int(i['UID']) for i in a.ok('FETCH 1:* (UID FLAGS)').fetch().values() if '\\flagged' in flags(i['FLAGS'])}
    assert found == {1, 3, 4}


def test_copy_of_expunged_elsewhere(two):
    """Either it is copied whole, or COPY fails and copies nothing (section 6.4.7); or the OK names
    what was copied."""
    a, b = two
    a.ok('STORE 2 +FLAGS.SILENT (\\Deleted)')
    a.ok('EXPUNGE')
    b.ok('CREATE target')
    r = b.cmd('COPY 1:3 target')
    n = int(b.ok('STATUS target (MESSAGES)').one('STATUS').items()['MESSAGES'])
    if r.status == 'NO':
        assert n == 0
    else:
        assert n == len(expand(r.code_args[1])) and n in (2, 3)


def test_expunge_of_the_shown_but_gone(two):
    a, b = two
    a.ok('STORE 2 +FLAGS.SILENT (\\Deleted)')
    a.ok('EXPUNGE')
    b.ok('UID EXPUNGE 2')
    b.ok('EXPUNGE')
    b.noop()
    assert len(b.uids) == 5


def test_expunged_message_then_select_again(two):
    a, b = two
    a.ok('STORE 2 +FLAGS.SILENT (\\Deleted)')
    a.ok('EXPUNGE')
    assert b.select().one('EXISTS').num == 5


# -- flags never get lost

def test_concurrent_flag_changes(session):
    """Issue: flag changes by several sessions never overwrite each other."""
    a = session()
    fill(a, 4)
    sessions = [session('INBOX') for _ in range(8)]
    tags = []
    for round_ in range(6):
        for i, s in enumerate(sessions):
            tags.append((s, s.start('STORE 1:4 +FLAGS.SILENT (kw-%d-%d)' % (i, round_))))
            tags.append((s, s.start('STORE %d %sFLAGS.SILENT (\\Flagged)' % (1 + i % 4, '+-'[round_ % 2]))))
    for s, tag in tags:
        assert s.wait(tag).status == 'OK'
    expected = {'kw-%d-%d' % (i, r) for i in range(8) for r in range(6)}
    for s in sessions:
        s.noop()
        for items in s.ok('FETCH 1:4 FLAGS').fetch().values():
            got = flags(items['FLAGS'])
            assert expected <= got, expected - got
            assert '\\flagged' not in got


def test_concurrent_changes_of_all_kinds(session, user, server):
    """Sessions in threads change, expunge and append at random; in the end all see the same, and the
    client has checked every answer on the way."""
    a = session()
    fill(a, 40)
    failures = []
    until = time.monotonic() + 3.0

    def run(seed):
        rng = random.Random(seed)
        try:
            with server.connect() as c:
                c.login(user, PASSWORD)
                c.select()
                for _ in range(400):
                    if time.monotonic() > until:
                        break
                    n = len(c.uids)
                    k = rng.random()
                    if k < 0.25:
                        fill(c, rng.randint(1, 3), first=seed * 1000)
                    elif k < 0.5 and n:
                        c.cmd('STORE %d %sFLAGS (\\Seen kw%d)' % (rng.randint(1, n), rng.choice('+-'), seed))
                    elif k < 0.6 and n > 10:
                        c.cmd('STORE %d +FLAGS.SILENT (\\Deleted)' % rng.randint(1, n))
                        c.ok('EXPUNGE')
                    elif k < 0.8 and n:
                        m = rng.randint(1, n)
                        r = c.ok('FETCH %d:%d (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])' % (m, min(n, m + 5)))
                        assert len(r.fetch()) >= 1
                    elif k < 0.9:
                        c.ok('UID SEARCH SEEN')
                    else:
                        c.noop()
                c.noop()
        except Exception as e:  # noqa: B902 the thread's failure is the test's
            failures.append('%d: %r' % (seed, e))
    threads = [threading.Thread(target=run, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not failures, failures[0]
    b, c = session('INBOX'), session('INBOX')
    state = [{int(i['UID']): sorted(flags(i['FLAGS']) - {'\\recent'}) for i in
              x.ok('FETCH 1:* (UID FLAGS)').fetch().values()} for x in (b, c)]
    assert state[0] == state[1]
    uids = b.uid_list()
    assert uids == sorted(set(uids))
    status = b.ok('STATUS INBOX (MESSAGES UNSEEN)').one('STATUS').items()
    assert int(status['MESSAGES']) == len(uids)
    assert int(status['UNSEEN']) == len(b.ok('SEARCH UNSEEN').search())


# -- \Recent

def test_recent_goes_to_one_session(session):
    """RFC 3501 section 2.3.2: exactly one session sees a message as recent."""
    a = session()
    fill(a, 3)
    b, c = session(), session()
    assert b.select().one('RECENT').num == 3
    assert c.select().one('RECENT').num == 0
    assert b.ok('SEARCH RECENT').search() == [1, 2, 3]
    assert c.ok('SEARCH RECENT').search() == []
    assert '\\recent' in b.flags_of(2) and '\\recent' not in c.flags_of(2)
    # those who select later see none
    assert session().select().one('RECENT').num == 0
    assert b.select().one('RECENT').num == 0


def test_examine_does_not_take_recent(session):
    a = session()
    fill(a, 2)
    assert a.ok('EXAMINE INBOX').one('RECENT').num == 2
    b = session()
    assert b.select().one('RECENT').num == 2


def test_recent_of_new_arrivals(session):
    """New messages are recent in exactly one of the sessions that have it selected."""
    sessions = [session('INBOX') for _ in range(4)]
    for _ in range(5):
        sessions[0].append('INBOX', M)
    for s in sessions:
        s.noop()
    count = [len(s.ok('SEARCH RECENT').search()) for s in sessions]
    assert sum(count) == 5, count


def test_recent_race(session):
    """Sessions that select at the same moment share the recent messages out."""
    a = session()
    fill(a, 10)
    sessions = [session() for _ in range(6)]
    tags = [(s, s.start('SELECT INBOX')) for s in sessions]
    total = 0
    for s, tag in tags:
        total += s.wait(tag).one('RECENT').num
    assert total == 10


@pytest.mark.martlet('IMAP4rev2')
def test_rev2_session_gets_no_recent(session):
    c = session(rev2=True)
    fill(c, 2)
    r = c.select()
    r.none('RECENT')
    assert '\\recent' not in c.flags_of(1)


# -- IDLE

def latency(idle, act, event):
    began = time.monotonic()
    act()
    idle.until(event)
    return time.monotonic() - began


def test_idle_append(session):
    """Issue: IDLE within 50 ms. Measured from before the change is sent: median of ten."""
    a, b = session(), session('INBOX')
    tag = b.idle()
    times = [latency(b, lambda: a.append('INBOX', M), lambda r, n=n: r.kind == 'EXISTS' and r.num == n)
             for n in range(1, 11)]
    r = b.done(tag)
    assert r.status == 'OK'
    assert len(b.uids) == 10
    assert statistics.median(times) < 0.05 * SLOW, times


def test_idle_flags_and_expunge(session):
    a, b = session(), session()
    fill(a, 4)
    a.select()
    b.select()
    tag = b.idle()
    t1 = latency(b, lambda: a.ok('STORE 3 +FLAGS (\\Flagged)'), lambda r: r.kind == 'FETCH' and r.num == 3)
    a.ok('STORE 2 +FLAGS.SILENT (\\Deleted)')
    t2 = latency(b, lambda: a.ok('EXPUNGE'), lambda r: r.kind == 'EXPUNGE' and r.num == 2)
    t3 = latency(b, lambda: a.ok('MOVE 1 Trash'), lambda r: r.kind == 'EXPUNGE' and r.num == 1)
    assert b.done(tag).status == 'OK'
    assert b.uid_list() == [3, 4]
    assert min(t1, t2, t3) < 0.05 * SLOW and max(t1, t2, t3) < 1 * SLOW


def test_idle_tells_what_was_waiting(session):
    """What happened before IDLE is told when IDLE begins."""
    a, b = session(), session('INBOX')
    a.append('INBOX', M)
    tag = b.idle()
    if not any(r.kind == 'EXISTS' for r in b.log):
        b.until(lambda r: r.kind == 'EXISTS' and r.num == 1)
    assert b.done(tag).status == 'OK' and len(b.uids) == 1


def test_idle_without_mailbox(c):
    """Section 6.3.13: IDLE is allowed in the authenticated state."""
    tag = c.idle()
    assert c.done(tag).status == 'OK'
    c.ok('NOOP')


def test_idle_ends_on_done_only(inbox):
    """Section 6.3.13: anything but DONE ends it with BAD, and the session goes on."""
    tag = inbox.idle()
    inbox.send('done\r\n')
    assert inbox.wait(tag).status == 'OK'
    tag = inbox.idle()
    inbox.send('FROB\r\n')
    r = inbox.wait(tag)
    assert r.status == 'BAD'
    while inbox.readable(0.05):
        inbox.read()
    inbox.ok('NOOP')


def test_idle_pipelined(inbox):
    """DONE and the next command in one segment with IDLE."""
    inbox.running.update({'i1': 'IDLE', 'i2': 'NOOP'})
    inbox.send(b'i1 IDLE\r\nDONE\r\ni2 NOOP\r\n')
    assert inbox.wait('i1').status == 'OK'
    assert inbox.wait('i2').status == 'OK'


def test_idle_of_many_sessions(session):
    """All idle sessions of an account hear of a change."""
    a = session()
    idlers = [session('INBOX') for _ in range(20)]
    tags = [s.idle() for s in idlers]
    began = time.monotonic()
    a.append('INBOX', M)
    for s in idlers:
        s.until(lambda r: r.kind == 'EXISTS' and r.num == 1)
    assert time.monotonic() - began < 1 * SLOW
    for s, tag in zip(idlers, tags):
        assert s.done(tag).status == 'OK'


def test_idle_in_other_mailbox_is_quiet(session):
    a, b = session(), session('Sent')
    tag = b.idle()
    a.append('INBOX', M)
    assert b.done(tag).status == 'OK'
    assert not [r for r in b.log if r.kind == 'EXISTS' and r.num == 1]


def test_idle_dropped(session):
    """A client that goes away in IDLE leaves nothing behind."""
    a, b = session(), session('INBOX')
    b.idle()
    b.close()
    for _ in range(3):
        a.append('INBOX', M)
    assert a.select().one('EXISTS').num == 3


def test_rename_and_delete_of_the_selected_mailbox(session):
    """A session whose mailbox is renamed or deleted elsewhere goes on or is told BYE; never wrong data."""
    for command in ('RENAME box box2', 'DELETE box2'):
        a, b = session(), session()
        if command.startswith('RENAME'):
            a.ok('CREATE box')
            fill(a, 2, 'box')
        b.select(command.split()[1])
        r = a.cmd(command)
        if r.status == 'NO':
            continue
        try:
            b.cmd('NOOP')
            r = b.cmd('FETCH 1 BODY.PEEK[]')
            if r.status == 'OK' and r.fetch():
                assert r.fetch()[1]['BODY[]'] == mails.numbered(0)
            b.ok('SELECT INBOX')
        except Closed:
            pass
