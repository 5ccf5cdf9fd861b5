"""CONTEXT=SEARCH and CONTEXT=SORT (RFC 5267), PARTIAL of both that and RFC 9394, UPDATE with FETCH items (RFC 5465)."""
import random

import pytest

from support import mails
from support.imap import LitPlus, expand, flags
from test_notify import heard, silent


def message(subject='x', sender='a@x', body='x'):
    return 'From: %s\r\nTo: b@x\r\nSubject: %s\r\n\r\n%s\r\n' % (sender, subject, body)


def fill(c, n, mailbox='INBOX'):
    parts = ['APPEND %s' % mailbox]
    for i in range(n):
        parts += [' ', LitPlus(mails.numbered(i))]
    c.ok(*parts)


class Follower:
    """What a client makes of ADDTO and REMOVEFROM: strictly, by places."""

    def __init__(self, tag, uid, results, ordered=False):
        self.tag, self.uid, self.results, self.ordered = tag, uid, list(results), ordered

    def hear(self, r):
        """An answer that may be ours; the numbers of a context without UID follow EXPUNGE."""
        if r.kind == 'EXPUNGE' and not self.uid:
            assert r.num not in self.results, 'REMOVEFROM comes before EXPUNGE'
            self.results = [n - (n > r.num) for n in self.results]
        if r.kind != 'ESEARCH':
            return
        data = list(r.data)
        assert data[0][0] == 'TAG'
        if data.pop(0)[1].decode() != self.tag:
            return
        if self.uid:
            assert data.pop(0) == 'UID'
        while data and data[0] in ('ADDTO', 'REMOVEFROM'):
            what, pairs = data.pop(0), data.pop(0)
            for place, numbers in zip(pairs[::2], pairs[1::2]):
                place, numbers = int(place), expand(numbers)
                assert (place > 0) == self.ordered
                if what == 'ADDTO':
                    assert not set(numbers) & set(self.results)
                    at = place - 1 if place else len(self.results)
                    assert at <= len(self.results)
                    self.results[at:at] = numbers
                else:
                    if place:
                        assert self.results[place - 1:place - 1 + len(numbers)] == numbers
                    for n in numbers:
                        self.results.remove(n)
                if not place:
                    self.results.sort()


def follow(c, command):
    """Starts a context: (its Follower, the result of the command)."""
    r = c.ok(command)
    tag, uid, data = r.one('ESEARCH').esearch()
    assert tag == r.tagged.tag and ('UID SE' in command or 'UID SO' in command) == uid
    return Follower(tag, uid, expand(data.get('ALL')), 'SORT' in command), r


def until(c, kind):
    """The untagged answers up to the first of a kind, without RECENT."""
    out = []
    while not out or out[-1].kind != kind:
        out += [r for r in heard(c, 1) if r.kind != 'RECENT']
    return out


def updates(answers, tag):
    return [r for r in answers if r.kind == 'ESEARCH' and r.data[0][1].decode() == tag]


@pytest.fixture
def box(inbox):
    fill(inbox, 9)
    inbox.noop()
    return inbox


@pytest.fixture
def other(session):
    return session('INBOX')


def test_capabilities(c):
    assert {'CONTEXT=SEARCH', 'CONTEXT=SORT', 'ESEARCH', 'ESORT', 'SORT'} <= set(c.ok('CAPABILITY').one('CAPABILITY').data)


# -- the hint (section 4.2)

def test_hint(box):
    r = box.ok('SEARCH RETURN (CONTEXT COUNT) UNDELETED UNKEYWORD $Junk')
    assert r.one('ESEARCH').esearch()[2] == {'COUNT': '9'}
    box.ok('SORT RETURN (CONTEXT) (SUBJECT) UTF-8 ALL').none('ESEARCH')


# -- updates (section 4.3)

def test_example(box, other):
    """Sections 4.3, 4.3.3 and 4.3.4."""
    box.ok('STORE 1 +FLAGS (\\Deleted $Junk)')
    box.prefix = 'B'
    r = box.ok('UID SEARCH RETURN (UPDATE COUNT) DELETED KEYWORD $Junk')
    tag = r.tagged.tag
    assert r.one('ESEARCH').esearch() == (tag, True, {'COUNT': '1'})
    box.send('%s SORT RETURN (UPDATE) (DATE) UTF-8 FLAGGED\r\n' % tag)  # rejected, and has no effect
    assert box.wait(tag).status == 'BAD'
    other.ok('STORE 2:3 +FLAGS (\\Deleted $Junk)')
    answers = heard(box, 3)
    assert {r.num for r in answers[:2]} == {2, 3} and all(r.kind == 'FETCH' for r in answers[:2])
    assert answers[2].raw == ('* ESEARCH (TAG "%s") UID ADDTO (0 2:3)\r\n' % tag).encode()
    other.ok('UID EXPUNGE 2')
    (r,) = heard(box, 1)
    assert r.raw == ('* ESEARCH (TAG "%s") UID REMOVEFROM (0 2)\r\n' % tag).encode()
    assert box.noop().expunged() == [2]
    box.ok('CANCELUPDATE "%s"' % tag)
    other.ok('STORE 4 +FLAGS (\\Deleted $Junk)')
    assert not updates(box.noop().untagged, tag)


def test_numbers(box, other):
    """Without UID: message numbers, valid where they stand."""
    f, _ = follow(box, 'SEARCH RETURN (ALL UPDATE) UNSEEN')
    assert f.results == list(range(1, 10))
    other.ok('STORE 2,5 +FLAGS (\\Seen)')
    other.ok('STORE 7 +FLAGS (\\Deleted)')
    other.ok('EXPUNGE')
    fill(other, 2)
    box.noop(), box.noop()
    for r in box.log:
        f.hear(r)
    assert f.results == box.ok('SEARCH UNSEEN').search()


def test_nothing_at_all(box, other):
    """What does not change membership is not told; changes of other kinds keep their own answers."""
    f, r = follow(box, 'UID SEARCH RETURN (ALL UPDATE) FLAGGED')
    other.ok('STORE 1 +FLAGS (\\Seen)')
    assert heard(box, 1)[0].kind == 'FETCH'
    silent(box, other)


def test_keyword_that_comes_later(box, other):
    f, _ = follow(box, 'UID SEARCH RETURN (ALL UPDATE) KEYWORD later')
    g, _ = follow(box, 'UID SEARCH RETURN (ALL UPDATE) UNKEYWORD later')
    other.ok('STORE 3 +FLAGS (later)')
    box.noop(), box.noop()
    for r in box.log:
        f.hear(r), g.hear(r)
    assert f.results == [3] and g.results == [1, 2, 4, 5, 6, 7, 8, 9]


def test_body_and_open_end(box, other):
    """New messages are judged by all keys; "5:*" grows with the mailbox, numbers stand for what they stood for."""
    f, _ = follow(box, 'UID SEARCH RETURN (ALL UPDATE) BODY needle UID 5:*')
    g, _ = follow(box, 'UID SEARCH RETURN (ALL UPDATE) 5:*')
    other.ok('APPEND INBOX ', LitPlus(message(body='a needle')))
    other.ok('APPEND INBOX ', LitPlus(message(body='hay')))
    box.noop(), box.noop()
    for r in box.log:
        f.hear(r), g.hear(r)
    assert f.results == [10] and g.results == [5, 6, 7, 8, 9]


def test_ends_with_the_mailbox(box, other):
    """Section 4.3."""
    f, _ = follow(box, 'UID SEARCH RETURN (ALL UPDATE) SEEN')
    box.ok('SELECT Trash')
    box.ok('SELECT INBOX')
    other.ok('STORE 1 +FLAGS (\\Seen)')
    assert not updates(box.noop().untagged, f.tag)
    box.no('CANCELUPDATE "%s"' % f.tag)
    box.bad('CANCELUPDATE')
    box.bad('CANCELUPDATE 1')
    box.ok('UNSELECT')
    box.bad('CANCELUPDATE "%s"' % f.tag)


def test_refused(box, other):
    """Section 4.3.1: there is a limit; the rest of the command is done all the same."""
    tags = []
    for _ in range(100):
        r = box.ok('UID SORT RETURN (COUNT UPDATE) (SUBJECT) UTF-8 ALL')
        assert r.one('ESEARCH').esearch()[2] == {'COUNT': '9'}
        refused = [x for x in r.untagged if x.kind == 'NO']
        if refused:
            assert refused[0].code == 'NOUPDATE' and refused[0].code_args == [r.tagged.tag.encode()]
            break
        tags.append(r.tagged.tag)
    assert 0 < len(tags) < 100
    follow(box, 'UID SEARCH RETURN (ALL UPDATE) ALL')  # a SEARCH costs less
    box.ok('CANCELUPDATE ' + ' '.join('"%s"' % t for t in tags))
    follow(box, 'UID SORT RETURN (ALL UPDATE) (SUBJECT) UTF-8 ALL')


def test_in_idle(box, other):
    f, _ = follow(box, 'UID SEARCH RETURN (ALL UPDATE) DELETED')
    tag = box.start('IDLE')
    box.continuation()
    other.ok('STORE 4 +FLAGS (\\Deleted)')
    for r in heard(box, 2):
        f.hear(r)
    assert f.results == [4]
    other.ok('EXPUNGE')
    got = heard(box, 2)
    assert [r.kind for r in got] == ['ESEARCH', 'EXPUNGE']
    f.hear(got[0])
    assert f.results == []
    box.send('DONE\r\n')
    box.wait(tag)


# -- order (section 4.3.2)

def test_sorted(inbox, other):
    c = inbox
    for subject in ('m', 'c', 't'):
        c.ok('APPEND INBOX ', LitPlus(message(subject)))
    c.noop()
    f, _ = follow(c, 'UID SORT RETURN (ALL UPDATE) (SUBJECT) UTF-8 UNDELETED')
    assert f.results == [2, 1, 3]
    tell = lambda: until(c, 'ESEARCH')[-1].raw.decode().split(') UID ')[1].strip()  # noqa: E731
    other.ok('APPEND INBOX ', LitPlus(message('d')))
    assert tell() == 'ADDTO (2 4)'
    other.ok('APPEND INBOX ', LitPlus(message('z')))
    assert tell() == 'ADDTO (5 5)'
    other.noop()
    other.ok('STORE 1 +FLAGS (\\Deleted)')
    assert tell() == 'REMOVEFROM (3 1)'
    other.ok('STORE 1 -FLAGS (\\Deleted)')
    assert tell() == 'ADDTO (3 1)'


@pytest.mark.parametrize('uid', ['UID ', ''])
@pytest.mark.parametrize('how', ['SEARCH RETURN (ALL UPDATE)', 'SORT RETURN (ALL UPDATE) (SUBJECT REVERSE FROM) UTF-8',
                                 'SORT RETURN (ALL UPDATE) (REVERSE SIZE) UTF-8'])
def test_random_histories(inbox, other, uid, how):
    """Whatever happens, a client that follows the updates has what a new command answers."""
    rng = random.Random(uid + how)
    c = inbox
    words = ['alpha', 'beta', 'Gamma', 'delta', 'Re: alpha', 'omega']
    def add(n):
        for _ in range(n):
            other.ok('APPEND INBOX %s' % rng.choice(['', '(\\Flagged) ', '(\\Seen) ']),
                     LitPlus(message(rng.choice(words), rng.choice(['a@x', 'b@x']), 'x' * rng.randrange(9))))
    add(12)
    c.noop()
    searched = ' OR FLAGGED SUBJECT alpha'
    f, r = follow(c, uid + how + searched)
    start = len(c.log)
    for _ in range(25):
        other.noop()
        n = len(other.uids)
        at = ','.join(str(rng.randrange(1, n + 1)) for _ in range(3)) if n else '1'
        act = rng.randrange(6)
        if act == 0:
            add(rng.randrange(1, 4))
        elif act == 1 and n:
            other.ok('STORE %s +FLAGS (\\Flagged)' % at)
        elif act == 2 and n:
            other.ok('STORE %s -FLAGS (\\Flagged)' % at)
        elif act == 3 and n > 4:
            other.ok('STORE %s +FLAGS (\\Deleted)' % at)
            other.ok('EXPUNGE')
        elif act == 4:
            c.noop()
        elif n:
            c.cmd('STORE 1 %sFLAGS (\\Flagged)' % rng.choice('+-'))
        while c.readable(0.01):
            c.read()
    c.noop(), c.noop()
    while c.readable(0.1):
        c.read()
    for r in c.log[start:]:
        f.hear(r)
    now = c.ok(uid + how.replace(' UPDATE', '') + searched).one('ESEARCH').esearch()[2]
    assert f.results == expand(now.get('ALL'))


# -- with NOTIFY (RFC 5465 sections 5 and 7)

def test_items_for_new_messages(inbox, other):
    """Section 7's example: EXISTS, FETCH, ESEARCH; not for others, nor for changed flags."""
    c = inbox
    c.ok('NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))')
    tag = c.ok('SEARCH RETURN (COUNT UPDATE (UID BODY[HEADER.FIELDS (TO FROM SUBJECT)])) FROM "boss"').tagged.tag
    other.ok('APPEND INBOX ', LitPlus(message(sender='myboss@example.org')))
    got = until(c, 'ESEARCH')
    kinds = [r.kind for r in got]
    assert kinds[0] == 'EXISTS' and kinds[-1] == 'ESEARCH' and 'FETCH' in kinds
    fetched = [r for r in got if r.kind == 'FETCH'][0].items()
    assert fetched['UID'] == '1' and b'myboss' in fetched['BODY[HEADER.FIELDS (TO FROM SUBJECT)]']
    assert got[-1].raw == ('* ESEARCH (TAG "%s") ADDTO (0 1)\r\n' % tag).encode()
    other.ok('APPEND INBOX ', LitPlus(message(sender='nobody@example.org')))
    assert [r.kind for r in until(c, 'EXISTS')] == ['EXISTS']
    while c.readable(0.1):
        assert c.read().kind == 'RECENT'


def test_items_of_both_are_one_fetch(inbox, other):
    """Section 5.2."""
    c = inbox
    c.ok('NOTIFY SET (selected (MessageNew (UID RFC822.SIZE) MessageExpunge))')
    c.ok('UID SEARCH RETURN (COUNT UPDATE (UID ENVELOPE)) SUBJECT both')
    other.ok('APPEND INBOX ', LitPlus(message('both')))
    (r,) = [r for r in until(c, 'ESEARCH') if r.kind == 'FETCH']
    assert set(r.items()) == {'UID', 'RFC822.SIZE', 'ENVELOPE'}
    other.ok('APPEND INBOX ', LitPlus(message('one')))
    r = until(c, 'FETCH')[-1]
    assert set(r.items()) == {'UID', 'RFC822.SIZE'}
    silent(c, other)


def test_immediate_removal(box, other):
    """Appendix A.3: a context tells at once of expunged messages, EXPUNGE when it is allowed."""
    f, _ = follow(box, 'UID SEARCH RETURN (ALL UPDATE) ALL')
    other.ok('STORE 3 +FLAGS.SILENT (\\Deleted)')
    heard(box, 1)
    other.ok('EXPUNGE')
    f.hear(heard(box, 1)[0])
    assert 3 not in f.results and len(f.results) == 8
    assert '4' == box.ok('FETCH 4 UID').fetch()[4]['UID']
    assert box.noop().expunged() == [3]


# -- PARTIAL (section 4.4; RFC 9394 section 3)

@pytest.mark.parametrize('what,places,expected', [
    ('1:3', None, [1, 3, 4]), ('3:1', None, [1, 3, 4]), ('4:100', None, [6, 7, 8, 9]), ('2:2', None, [3]),
    ('8:10', None, None), ('1:4294967295', None, [1, 3, 4, 6, 7, 8, 9]), ('-1:-2', None, [8, 9]),
    ('-2:-1', None, [8, 9]), ('-7:-100', None, [1]), ('-8:-9', None, None)])
def test_partial(box, what, places, expected):
    box.ok('STORE 2,5 +FLAGS (\\Deleted)')
    for command in ('SEARCH', 'UID SEARCH'):
        r = box.ok('%s RETURN (PARTIAL %s) UNDELETED' % (command, what)).one('ESEARCH').esearch()
        ((asked, got),) = r[2].values()
        assert asked == what and (expand(got) if got else None) == expected


def test_partial_of_sort(inbox):
    for subject in 'cabed':
        inbox.ok('APPEND INBOX ', LitPlus(message(subject)))
    inbox.noop()
    for what, expected in (('1:2', [2, 3]), ('-1:-2', [5, 4]), ('4:9', [5, 4]), ('6:7', None)):
        r = inbox.ok('UID SORT RETURN (PARTIAL %s COUNT) (SUBJECT) UTF-8 ALL' % what).one('ESEARCH').esearch()[2]
        asked, got = r['PARTIAL']
        assert asked == what and (expand(got) if got else None) == expected and r['COUNT'] == '5'


@pytest.mark.parametrize('bad', ['PARTIAL', 'PARTIAL 0:1', 'PARTIAL 1', 'PARTIAL 1:*', 'PARTIAL 1:-1', 'PARTIAL -0:-1',
                                 'ALL PARTIAL 1:2', 'PARTIAL 1:2 ALL', 'PARTIAL 1:2 PARTIAL 3:4', 'UPDATE ()',
                                 'UPDATE (NOSUCH)', 'PARTIAL 1:4294967296'])
def test_partial_bad(box, bad):
    box.bad('SEARCH RETURN (%s) ALL' % bad)


@pytest.mark.parametrize('options,saved', [
    ('SAVE PARTIAL 2:3', [3, 4]), ('SAVE PARTIAL 2:3 MIN', [1, 3, 4]), ('SAVE PARTIAL 2:3 MAX', [3, 4, 9]),
    ('SAVE PARTIAL 2:3 MIN MAX', [1, 3, 4, 9]), ('SAVE PARTIAL 2:3 COUNT', [1, 3, 4, 6, 7, 8, 9])])
def test_partial_saved(box, options, saved):
    """RFC 9394 section 3.2, table 1."""
    box.ok('STORE 2,5 +FLAGS (\\Deleted)')
    box.ok('UID SEARCH RETURN (%s) UNDELETED' % options)
    assert sorted(box.ok('FETCH $ UID').fetch()) == saved


def test_partial_with_update(box, other):
    """They do not interact: updates are about all results."""
    r = box.ok('UID SEARCH RETURN (PARTIAL 1:2 UPDATE) UNDELETED')
    other.ok('STORE 8 +FLAGS (\\Deleted)')
    assert heard(box, 2)[1].raw.endswith(b'UID REMOVEFROM (0 8)\r\n')
    assert '\\deleted' in flags(box.ok('UID FETCH 8 FLAGS').fetch()[8]['FLAGS']) and r.tagged.tag
