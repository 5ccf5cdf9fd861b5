"""NOTIFY (RFC 5465): its sections' own examples, and what they say beside."""
import pytest

from support import mails
from support.imap import LitPlus, expand, flags, name
from support.server import PASSWORD, children

MESSAGES = '(MessageNew MessageExpunge)'
ALL = '(MessageNew MessageExpunge FlagChange)'


def fill(c, n, mailbox='INBOX'):
    parts = ['APPEND %s' % mailbox]
    for i in range(n):
        parts += [' ', LitPlus(mails.numbered(i))]
    return expand(c.ok(*parts).code_args[1])


def heard(c, n, timeout=None):
    """The next n untagged answers, which come without a command."""
    out = []
    while len(out) < n:
        r = c.read(timeout)
        assert r.tag == '*', r
        out.append(r)
        c.pending.remove(r)
    return out


def silent(c, other=None):
    """Nothing comes by itself, although everything that was done before has long been seen."""
    if other:
        other.noop()
    assert not c.readable(0.15), c.read()


def status(r):
    assert r.kind == 'STATUS'
    return name(r.data[0]).decode(), {k: int(v) for k, v in r.items().items()}


def listed(r):
    assert r.kind == 'LIST'
    return name(r.data[2]).decode(), flags(r.data[0])


@pytest.fixture
def other(session):
    return session()


@pytest.fixture
def boxes(c):
    for box in ('Lists', 'Lists/Lemonade', 'Lists/Im2000', 'misc'):
        c.ok('CREATE ' + box)
    return c


def test_capability(c):
    assert 'NOTIFY' in c.ok('CAPABILITY').one('CAPABILITY').data


# -- the command (section 3.1)

def test_example(boxes, other):
    """Section 3.1, with the events that section 5 requires."""
    fill(other, 2, 'Lists/Lemonade')
    c = boxes
    r = c.ok('notify set status (selected MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge) '
             '(subtree Lists MessageNew MessageExpunge)')
    told = dict(status(x) for x in r.all('STATUS'))
    assert set(told) == {'Lists', 'Lists/Lemonade', 'Lists/Im2000'}
    assert set(told['Lists/Lemonade']) == {'UIDVALIDITY', 'UIDNEXT', 'MESSAGES'}
    assert told['Lists/Lemonade']['UIDNEXT'] == 3 and told['Lists/Lemonade']['MESSAGES'] == 2
    c.select('INBOX')
    fill(other, 1, 'Lists/Lemonade')
    box, items = status(heard(c, 1)[0])
    assert box == 'Lists/Lemonade' and items['MESSAGES'] == 3 and items['UIDNEXT'] == 4
    other.ok('APPEND INBOX ', LitPlus('From: a@x\r\nTo: b@x\r\nSubject: hi\r\nX-Other: no\r\n\r\nbody\r\n'))
    answers = [r for r in heard(c, 3) if r.kind != 'RECENT']
    assert [r.kind for r in answers] == ['EXISTS', 'FETCH']
    items = answers[1].items()
    assert items['UID'] == '1' and b'Subject: hi' in items['BODY[HEADER.FIELDS (FROM TO SUBJECT)]']
    fill(other, 1, 'misc')
    silent(c, other)
    c.ok('notify set (selected MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge) '
         '(subtree Lists MessageNew MessageExpunge) (mailboxes misc MessageNew MessageExpunge)').none('STATUS')
    fill(other, 1, 'misc')
    assert status(heard(c, 1)[0])[0] == 'misc'


@pytest.mark.parametrize('bad', [
    'NOTIFY', 'NOTIFY MAYBE', 'NOTIFY SET', 'NOTIFY SET STATUS', 'NOTIFY NONE (personal (MailboxName))',
    'NOTIFY SET (personal)', 'NOTIFY SET (personal ())', 'NOTIFY SET (everything (MailboxName))',
    'NOTIFY SET (personal (MessageNew))', 'NOTIFY SET (personal (MessageExpunge))',  # section 5
    'NOTIFY SET (personal (FlagChange))', 'NOTIFY SET (selected (MessageNew MessageExpunge MailboxName))',
    'NOTIFY SET (personal (MessageNew (UID) MessageExpunge))',
    'NOTIFY SET (selected %s) (selected-delayed %s)' % (MESSAGES, MESSAGES),
    'NOTIFY SET (selected %s) (selected NONE)' % MESSAGES, 'NOTIFY SET (mailboxes %s)' % MESSAGES,
    'NOTIFY SET (selected (MessageNew (NOSUCH) MessageExpunge))', 'NOTIFY SET STATUS STATUS (personal NONE)'])
def test_bad(c, bad):
    c.bad(bad)


def test_bad_event(c):
    """Section 3.1: unknown events are answered with those that there are; nothing changes."""
    r = c.no('NOTIFY SET (personal (MessageNew MessageExpunge FlyingPigs))', code='BADEVENT')
    (events,) = r.code_args
    assert {'MessageNew', 'MessageExpunge', 'FlagChange', 'MailboxName', 'SubscriptionChange'} <= set(events)


def test_missing_names_are_ignored(c, other):
    c.ok('NOTIFY SET STATUS (mailboxes (nowhere "&&&" INBOX) %s) (subtree none %s)' % (MESSAGES, ALL))
    fill(other, 1)
    assert status(heard(c, 1)[0])[0] == 'INBOX'


# -- the selected mailbox (sections 3.1, 5.1 to 5.3, 6.1)

def test_selected(inbox, other):
    """Immediately: new messages, flags, expunges."""
    c = inbox
    c.ok('NOTIFY SET (selected (MessageNew (UID FLAGS) MessageExpunge FlagChange))')
    c.check_view = False  # EXPUNGE comes without a command: section 5.3
    fill(other, 2)
    answers = [r for r in heard(c, 4) if r.kind != 'RECENT']
    assert [(r.kind, r.num) for r in answers] == [('EXISTS', 2), ('FETCH', 1), ('FETCH', 2)]
    assert [r.items()['UID'] for r in answers[1:]] == ['1', '2']
    other.select('INBOX')
    other.ok('STORE 1 +FLAGS (\\Flagged)')
    (r,) = heard(c, 1)
    assert r.kind == 'FETCH' and r.items()['UID'] == '1' and '\\flagged' in flags(r.items()['FLAGS'])
    other.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    heard(c, 1)
    other.ok('EXPUNGE')
    (r,) = heard(c, 1)
    assert (r.kind, r.num) == ('EXPUNGE', 1)


def test_selected_qresync(session, other):
    c = session()
    c.ok('ENABLE QRESYNC')
    c.select('INBOX')
    c.check_view = False
    c.ok('NOTIFY SET (selected %s)' % ALL)
    fill(other, 2)
    heard(c, 2)
    other.select('INBOX')
    other.ok('STORE 2 +FLAGS (\\Deleted)')
    (r,) = heard(c, 1)
    assert int(r.items()['MODSEQ'][0]) > 0
    other.ok('EXPUNGE')
    assert heard(c, 1)[0].raw == b'* VANISHED 2\r\n'


def test_selected_delayed(inbox, other):
    """Section 6.1.2: EXPUNGE waits for a command that allows it."""
    c = inbox
    fill(c, 3)
    c.noop()
    c.ok('NOTIFY SET (selected-delayed %s)' % ALL)
    other.select('INBOX')
    other.ok('STORE 2 +FLAGS (\\Deleted)')
    assert '\\deleted' in flags(heard(c, 1)[0].items()['FLAGS'])
    other.ok('EXPUNGE')
    silent(c, other)
    assert c.ok('FETCH 3 UID').fetch()[3]['UID'] == '3'
    assert c.noop().expunged() == [2]
    other.ok('STORE 1 +FLAGS (\\Deleted)')
    heard(c, 1)
    tag = c.start('IDLE')
    c.continuation()
    other.ok('EXPUNGE')
    (r,) = heard(c, 1)
    assert (r.kind, r.num) == ('EXPUNGE', 1)
    c.send('DONE\r\n')
    c.wait(tag)


def test_snapshot(inbox, other):
    """Section 5: without SELECTED the client hears nothing of the selected mailbox; NOTIFY SET tells what there was."""
    c = inbox
    fill(c, 3)
    c.noop()
    for i, none in enumerate(('NOTIFY NONE', 'NOTIFY SET (personal %s)' % ALL, 'NOTIFY SET (selected NONE)',
                              'NOTIFY SET (mailboxes INBOX %s)' % ALL)):
        c.ok(none)
        before = len(c.uids)
        fill(other, 1)
        other.select('INBOX')
        other.ok('STORE 2 +FLAGS (\\Deleted)')
        other.ok('EXPUNGE')
        other.ok('STORE 1 +FLAGS (x%d)' % i)
        silent(c, other)
        r = c.noop()
        r.none('EXISTS'), r.none('FETCH'), r.none('EXPUNGE')
        assert len(c.uids) == before
        r = c.ok('NOTIFY SET (selected-delayed %s)' % ALL)
        assert r.expunged() == [2] and r.one('EXISTS').num == 3 and 1 in r.fetch()


def test_own_changes_come(inbox, other):
    """The answers to the client's own commands are not notifications."""
    c = inbox
    fill(c, 4)
    c.noop()
    c.ok('NOTIFY NONE')
    assert '\\deleted' in flags(c.ok('STORE 1:2 +FLAGS (\\Deleted)').fetch()[1]['FLAGS'])
    assert c.ok('EXPUNGE').expunged() in ([2, 1], [1, 1])
    assert c.ok('MOVE 1 Trash').expunged() == [1]


def test_flag_changes_only_if_asked(inbox, other):
    c = inbox
    fill(c, 1)
    c.noop()
    c.ok('NOTIFY SET (selected %s)' % MESSAGES)
    other.select('INBOX')
    other.ok('STORE 1 +FLAGS (a)')
    silent(c, other)
    c.noop().none('FETCH')
    fill(other, 1)
    assert heard(c, 1)[0].kind == 'EXISTS'


def test_hidden_changes_keep_highestmodseq_low(session, other):
    """A QRESYNC client is not told that it knows what NOTIFY hides from it."""
    c = session()
    c.ok('ENABLE QRESYNC')
    c.select('INBOX')
    fill(c, 2)
    c.noop()
    c.ok('NOTIFY SET (selected %s)' % MESSAGES)
    since = int(c.ok('EXAMINE INBOX').codes()['HIGHESTMODSEQ'].code_args[0])
    c.select('INBOX')
    other.select('INBOX')
    other.ok('STORE 1 +FLAGS (a)')
    r = c.ok('EXPUNGE')
    assert r.code != 'HIGHESTMODSEQ' or int(r.code_args[0]) <= since


def test_no_fetch_for_own_messages(inbox, other):
    """Section 5.2: what the client adds itself is not fetched for it."""
    c = inbox
    c.ok('NOTIFY SET (selected (MessageNew (UID ENVELOPE) MessageExpunge))')
    fill(c, 1)
    c.ok('COPY 1 INBOX')
    c.noop()
    assert not [r for r in c.log if r.kind == 'FETCH']
    fill(other, 1)
    kinds = [r for r in heard(c, 3) if r.kind != 'RECENT']
    assert kinds[0].num == 3 and kinds[1].num == 3 and kinds[1].items()['ENVELOPE']


def test_many_new_messages_and_a_slow_reader(session, other):
    """Large attributes: nothing is lost, and nothing stands in the way of commands."""
    c = session('INBOX', rcvbuf=4096)
    c.ok('NOTIFY SET (selected (MessageNew (UID BODY.PEEK[]) MessageExpunge))')
    for i in range(40):
        other.ok('APPEND INBOX ', LitPlus('Subject: %d\r\n\r\n' % i + 'x' * 70 * 1000))
    seen = set()
    while len(seen) < 40:
        for r in heard(c, 1):
            if r.kind == 'FETCH':
                assert len(r.items()['BODY[]']) > 70000
                seen.add(r.num)
    assert seen == set(range(1, 41))
    c.noop().none('FETCH')


def test_fetch_that_sets_seen(inbox, other):
    c = inbox
    c.ok('NOTIFY SET (selected (MessageNew (BODY[TEXT]) MessageExpunge))')
    fill(other, 1)
    while heard(c, 1)[0].kind != 'FETCH':
        pass
    assert '\\seen' in flags(c.ok('FETCH 1 FLAGS').fetch()[1]['FLAGS'])


def test_mailbox_changes_while_fetching(boxes, other):
    c = boxes
    c.select('INBOX')
    c.ok('NOTIFY SET (selected (MessageNew (BODY.PEEK[]) MessageExpunge))')
    for _ in range(10):
        fill(other, 3)
        c.select('misc')
        c.select('INBOX')
    c.ok('NOTIFY NONE')


# -- other mailboxes (sections 5.1 to 5.3)

def test_counts(boxes, other):
    c = boxes
    c.ok('NOTIFY SET (personal %s)' % MESSAGES)
    fill(other, 3, 'misc')
    box, items = status(heard(c, 1)[0])
    assert box == 'misc' and items['MESSAGES'] == 3 and items['UIDNEXT'] == 4 and 'HIGHESTMODSEQ' not in items
    other.select('misc')
    other.ok('STORE 1:2 +FLAGS (\\Deleted)')
    silent(c, other)  # FlagChange was not asked for
    other.ok('EXPUNGE')
    assert status(heard(c, 1)[0])[1]['MESSAGES'] == 1
    other.ok('COPY 1 Lists')
    assert status(heard(c, 1)[0])[0] == 'Lists'
    other.ok('MOVE 1 Lists')
    assert dict(status(r) for r in heard(c, 2)).keys() == {'misc', 'Lists'}


@pytest.mark.parametrize('condstore', [False, True])
def test_flag_change(boxes, other, condstore):
    """Section 5.1: HIGHESTMODSEQ for who has enabled CONDSTORE, UNSEEN for everybody."""
    c = boxes
    fill(other, 2, 'misc')
    if condstore:
        c.ok('ENABLE CONDSTORE')
    r = c.ok('NOTIFY SET STATUS (mailboxes misc %s)' % ALL)
    _, first = status(r.one('STATUS'))
    assert {'UIDVALIDITY', 'HIGHESTMODSEQ', 'MESSAGES', 'UIDNEXT'} == set(first)
    other.select('misc')
    other.ok('STORE 1 +FLAGS (\\Seen)')
    _, items = status(heard(c, 1)[0])
    assert items['UIDVALIDITY'] == first['UIDVALIDITY'] and items['UNSEEN'] == 1
    assert ('HIGHESTMODSEQ' in items) == condstore
    if condstore:
        assert items['HIGHESTMODSEQ'] > first['HIGHESTMODSEQ']
    assert 'MODSEQ' not in c.select('misc').fetch()


def test_not_told_of_own_changes(boxes):
    """Section 5."""
    c = boxes
    c.ok('NOTIFY SET (personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))')
    fill(c, 1, 'misc')
    c.ok('CREATE mine')
    c.ok('SUBSCRIBE mine')
    c.ok('RENAME mine yours')
    c.ok('DELETE yours')
    silent(c)
    assert not [r for r in c.log if r.kind in ('LIST', 'STATUS')]


def test_selected_mailbox_is_not_told_as_another(boxes, other):
    """Section 3.1: there SELECTED counts, also where the mailbox is named elsewhere."""
    c = boxes
    c.select('misc')
    c.ok('NOTIFY SET (selected %s) (mailboxes (misc Lists) %s)' % (MESSAGES, ALL))
    fill(other, 1, 'misc')
    assert {r.kind for r in heard(c, 2)} == {'EXISTS', 'RECENT'}
    c.ok('UNSELECT')
    fill(other, 1, 'misc')
    assert status(heard(c, 1)[0])[1]['MESSAGES'] == 2


def test_filters(boxes, other):
    """Section 6: subscribed is looked up anew each time, subtree includes its root, groups add up, NONE takes away."""
    c = boxes
    c.ok('NOTIFY SET (subscribed %s)' % MESSAGES)
    fill(other, 1, 'misc')
    silent(c, other)
    other.ok('SUBSCRIBE misc')
    fill(other, 1, 'misc')
    assert status(heard(c, 1)[0])[0] == 'misc'
    other.ok('UNSUBSCRIBE misc')
    fill(other, 1, 'misc')
    silent(c, other)
    c.ok('NOTIFY SET (subtree (Lists) %s)' % MESSAGES)
    for box in ('Lists', 'Lists/Im2000', 'misc', 'INBOX'):
        fill(other, 1, box)
    assert [status(r)[0] for r in heard(c, 2)] == ['Lists', 'Lists/Im2000']
    silent(c, other)
    c.ok('NOTIFY SET (mailboxes (Lists misc) %s) (mailboxes misc (MailboxName))' % MESSAGES)
    for box in ('Lists/Im2000', 'misc', 'INBOX'):
        fill(other, 1, box)
    assert [status(r)[0] for r in heard(c, 1)] == ['misc']
    silent(c, other)
    c.ok('NOTIFY SET (inboxes %s) (subtree Lists NONE)' % MESSAGES)
    for box in ('Lists/Im2000', 'Lists', 'INBOX'):
        fill(other, 1, box)
    assert [status(r)[0] for r in heard(c, 1)] == ['INBOX']
    silent(c, other)
    c.ok('NOTIFY SET (mailboxes "L*" %s)' % MESSAGES)  # section 6.6: no wildcards
    fill(other, 1, 'Lists')
    silent(c, other)


def test_renamed_mailboxes_are_found_by_their_new_name(boxes, other):
    c = boxes
    c.ok('NOTIFY SET (subtree Lists %s)' % MESSAGES)
    other.ok('RENAME misc Lists/misc')
    fill(other, 1, 'Lists/misc')
    assert status(heard(c, 1)[0])[0] == 'Lists/misc'


# -- names (sections 5.4 and 5.5)

def test_names(boxes, other):
    c = boxes
    c.ok('NOTIFY SET (personal (MailboxName))')
    other.ok('CREATE NewMailbox')
    box, attributes = listed(heard(c, 1)[0])
    assert box == 'NewMailbox' and '\\nonexistent' not in attributes and '\\hasnochildren' in attributes
    other.ok('RENAME NewMailbox OldMailbox')
    (r,) = heard(c, 1)
    assert listed(r)[0] == 'OldMailbox'
    tag, value = r.data[3]
    assert tag == b'OLDNAME' and [name(v) for v in value] == [b'NewMailbox']
    other.ok('DELETE OldMailbox')
    box, attributes = listed(heard(c, 1)[0])
    assert box == 'OldMailbox' and '\\nonexistent' in attributes


def test_names_and_their_superiors(boxes, other):
    """Section 5.4: the direct superior is affected by creation and deletion; inferiors go along with a renaming."""
    c = boxes
    c.ok('NOTIFY SET (personal (MailboxName))')
    other.ok('CREATE misc/below')
    got = dict(listed(r) for r in heard(c, 2))
    assert set(got) == {'misc', 'misc/below'} and '\\haschildren' in got['misc']
    other.ok('RENAME misc other')
    assert listed(heard(c, 1)[0])[0] == 'other'
    other.ok('DELETE other/below')
    got = dict(listed(r) for r in heard(c, 2))
    assert '\\hasnochildren' in got['other'] and '\\nonexistent' in got['other/below']
    other.ok('CREATE deep/er/est')
    assert {listed(r)[0] for r in heard(c, 3)} == {'deep', 'deep/er', 'deep/er/est'}
    silent(c, other)


def test_subscriptions(boxes, other):
    c = boxes
    c.ok('NOTIFY SET (subtree (misc notthere) (SubscriptionChange))')
    other.ok('SUBSCRIBE misc')
    assert listed(heard(c, 1)[0]) == ('misc', {'\\subscribed', '\\hasnochildren'})
    other.ok('SUBSCRIBE Lists')
    other.ok('UNSUBSCRIBE misc')
    assert listed(heard(c, 1)[0]) == ('misc', {'\\hasnochildren'})
    other.ok('SUBSCRIBE notthere')
    assert listed(heard(c, 1)[0])[1] >= {'\\subscribed', '\\nonexistent'}
    c.ok('NOTIFY SET (subscribed (SubscriptionChange))')
    other.ok('UNSUBSCRIBE Lists')
    assert listed(heard(c, 1)[0])[0] == 'Lists'


def test_names_in_the_session_s_form(session, other):
    c = session(rev2=True)
    c.ok('NOTIFY SET (personal (MailboxName))')
    other.ok('CREATE "Entw&APw-rfe"')
    assert listed(heard(c, 1)[0])[0] == 'Entwürfe'


# -- with everything else

def test_idle(boxes, other):
    """Section 4: the same events."""
    c = boxes
    c.select('INBOX')
    c.ok('NOTIFY SET (selected (MessageNew (UID) MessageExpunge)) (personal (MessageNew MessageExpunge MailboxName))')
    tag = c.start('IDLE')
    c.continuation()
    fill(other, 1)
    assert {r.kind for r in heard(c, 3)} == {'EXISTS', 'RECENT', 'FETCH'}
    fill(other, 1, 'misc')
    assert heard(c, 1)[0].kind == 'STATUS'
    other.ok('CREATE idling')
    assert heard(c, 1)[0].kind == 'LIST'
    other.select('INBOX')
    other.ok('STORE 1 +FLAGS (\\Flagged)')
    silent(c, other)
    c.send('DONE\r\n')
    c.wait(tag).none('FETCH')


def test_replaced_and_ended(boxes, other):
    c = boxes
    c.ok('NOTIFY SET (personal %s)' % MESSAGES)
    c.ok('NOTIFY SET (personal (MailboxName))')
    fill(other, 1, 'misc')
    silent(c, other)
    c.ok('NOTIFY NONE')
    other.ok('CREATE more')
    silent(c, other)


def test_pipelined(boxes, other):
    """Nothing of another answer is torn apart, whatever comes in between."""
    c = boxes
    fill(c, 50, 'misc')
    c.select('misc')
    c.ok('NOTIFY SET (selected-delayed (MessageNew (UID BODY.PEEK[HEADER]) MessageExpunge FlagChange)) (personal %s)' % ALL)
    for i in range(20):
        tags = c.pipeline('UID FETCH 1:* (FLAGS BODY.PEEK[])', 'NOOP', 'STATUS INBOX (MESSAGES)', 'UID SEARCH TEXT x')
        fill(other, 1, 'misc')
        fill(other, 1)
        for tag in tags:
            assert c.wait(tag).status == 'OK'


def test_overflow(session, other, user):
    """Section 5.8: a client that does not read while very much happens is told that it has missed something."""
    c = session('INBOX', rcvbuf=4096)
    c.ok('NOTIFY SET (selected %s) (personal (MailboxName MessageNew MessageExpunge))' % ALL)
    for i in range(30):
        c.send('f%d FETCH 1:* BODY.PEEK[]\r\n' % i)
    other.ok('APPEND INBOX ', LitPlus('Subject: x\r\n\r\n' + 'x' * 5000000))
    c.send('g FETCH 1 BODY.PEEK[]\r\n')
    other.noop()
    for chunk in range(13):
        tags = other.pipeline(*['CREATE over/flow%d-%d' % (chunk, i) for i in range(100)])
        for tag in tags:
            other.wait(tag)
    c.check_view = False
    while True:
        r = c.read()
        if r.kind == 'OK' and r.code == 'NOTIFICATIONOVERFLOW':
            break
    other.ok('CREATE later')
    silent(c, other) if not c.running else None


def test_uidonly(session, other):
    """RFC 9586: UIDs instead of numbers here, too."""
    c = session()
    c.ok('ENABLE UIDONLY')
    c.select('INBOX')
    c.check_view = False
    c.ok('NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge FlagChange))')
    other.ok('APPEND INBOX ', LitPlus(mails.numbered(1)))
    got = []
    while not got or b'FETCH' not in got[-1]:
        got.append(c.read().raw)
    assert got[0] == b'* 1 EXISTS\r\n' and got[-1].startswith(b'* 1 UIDFETCH (')


def cpu_of(server):
    """Seconds that this server's processes have worked."""
    total = 0
    for pid in children(server.process.pid):
        try:
            with open('/proc/%d/schedstat' % pid) as f:
                total += int(f.read().split()[0])
        except OSError:
            continue
    return total / 1e9


@pytest.mark.martlet('looks at its processes')
def test_a_change_costs_the_same_with_many_mailboxes(own_server, user):
    """Watching a thousand mailboxes, a change costs what it costs with ten."""
    cost = {}
    with own_server.connect() as a, own_server.connect() as b:
        a.login(user, PASSWORD), b.login(user, PASSWORD)
        for i in range(0, 1000, 50):
            for tag in a.pipeline(*['CREATE box%d' % n for n in range(i, i + 50)]):
                a.wait(tag)
        a.ok('APPEND box3 ', LitPlus(mails.numbered(1)))
        a.select('box3')
        for n in (10, 1000, 10, 1000):
            b.ok('NOTIFY SET (mailboxes (%s) %s)' % (' '.join('box%d' % i for i in range(n)), ALL))
            before = cpu_of(own_server)
            for i in range(200):
                a.ok('STORE 1 %sFLAGS.SILENT (\\Flagged)' % '+-'[i % 2])
                assert status(heard(b, 1)[0])[0] == 'box3'
            spent = cpu_of(own_server) - before
            cost[n] = min(cost.get(n, spent), spent)
    assert cost[1000] < 2.5 * cost[10], cost


def test_metadata(boxes, other, session, new_user):
    """Sections 5.6 and 5.7: names of changed entries, removed ones too; not those of others' private ones."""
    c = boxes
    c.ok('NOTIFY SET (mailboxes misc (MailboxMetadataChange)) (personal (ServerMetadataChange))')
    other.ok('SETMETADATA misc (/shared/comment "x")')
    assert heard(c, 1)[0].raw == b'* METADATA misc /shared/comment\r\n'
    other.ok('SETMETADATA misc (/shared/comment NIL /private/comment "y")')
    assert sorted(r.raw for r in heard(c, 2)) == [b'* METADATA misc /private/comment\r\n',
                                                  b'* METADATA misc /shared/comment\r\n']
    other.ok('SETMETADATA Lists (/shared/comment "x")')
    other.ok('SETMETADATA "" (/private/comment "x")')
    assert heard(c, 1)[0].raw == b'* METADATA "" /private/comment\r\n'
    c.ok('SETMETADATA misc (/shared/comment "mine")')
    silent(c, other)


# -- mailboxes of others (RFC 5465 sections 3.1, 5, 5.4 and 5.9; RFC 4314)

@pytest.fixture
def owner(session, new_user):
    """Somebody else, who has a mailbox "box"; guest_box(): what others call it."""
    c = session(name=new_user())
    c.ok('CREATE box')
    return c


@pytest.fixture
def guest(session, owner, request):
    """Who watches; .box is what he calls the owner's."""
    c = session()
    name_of = owner.ok('GETACL box').one('ACL').data[1]
    c.box = 'Other Users/%s/box' % name(name_of).decode()
    c.user = request.getfixturevalue('user')
    return c


EVERYTHING = '(MessageNew MessageExpunge FlagChange MailboxName)'


def test_shared(owner, guest):
    """With l and r, by name, subtree or subscription; personal leaves them out."""
    owner.ok('SETACL box %s lr' % guest.user)
    fill(owner, 1, 'box')
    r = guest.ok('NOTIFY SET STATUS (mailboxes "%s" %s)' % (guest.box, EVERYTHING))
    assert status(r.one('STATUS'))[0] == guest.box
    fill(owner, 1, 'box')
    box, items = status(heard(guest, 1)[0])
    assert box == guest.box and items['MESSAGES'] == 2
    owner.select('box')
    owner.ok('STORE 1 +FLAGS (\\Flagged)')
    assert status(heard(guest, 1)[0])[0] == guest.box
    fill(owner, 1)  # his INBOX is nobody's business
    silent(guest, owner)
    r = guest.ok('NOTIFY SET STATUS (personal %s)' % EVERYTHING)
    assert guest.box not in dict(status(x) for x in r.all('STATUS'))
    fill(owner, 1, 'box')
    silent(guest, owner)
    guest.ok('NOTIFY SET STATUS (subtree "%s" %s)' % (guest.box.rsplit('/', 1)[0], EVERYTHING))
    fill(owner, 1, 'box')
    assert status(heard(guest, 1)[0])[0] == guest.box
    guest.ok('SUBSCRIBE "%s"' % guest.box)
    guest.ok('NOTIFY SET (subscribed %s)' % EVERYTHING)
    fill(owner, 1, 'box')
    assert status(heard(guest, 1)[0])[0] == guest.box


def test_shared_without_rights(owner, guest):
    """Without r, \\NoAccess; without l, nothing, as if it were not there."""
    for rights, expected in (('r', 0), ('l', 1), ('', 0)):
        owner.ok('SETACL box %s "%s"' % (guest.user, rights))
        r = guest.ok('NOTIFY SET STATUS (mailboxes "%s" %s)' % (guest.box, ALL))
        r.none('STATUS')
        assert [listed(x) for x in r.all('LIST')] == [(guest.box, {'\\noaccess'})] * expected
        fill(owner, 1, 'box')
        silent(guest, owner)


def test_shared_rights_come_and_go(owner, guest):
    owner.ok('SETACL box %s lr' % guest.user)
    guest.ok('NOTIFY SET (mailboxes "%s" %s)' % (guest.box, EVERYTHING))
    owner.ok('DELETEACL box %s' % guest.user)
    box, attributes = listed(heard(guest, 1)[0])
    assert box == guest.box and attributes == {'\\nonexistent', '\\noaccess'}
    fill(owner, 1, 'box')
    silent(guest, owner)
    owner.ok('SETACL box %s lr' % guest.user)
    box, attributes = listed(heard(guest, 1)[0])
    assert box == guest.box and not attributes & {'\\nonexistent', '\\noaccess'}
    fill(owner, 1, 'box')
    assert status(heard(guest, 1)[0])[0] == guest.box
    owner.ok('SETACL box someoneelse lr')
    owner.ok('CREATE hidden')
    silent(guest, owner)
