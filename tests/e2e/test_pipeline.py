"""Commands sent without waiting: RFC 9051 section 5.5.

Unlimited pipelining, commands that finish before an earlier long one, and every pair of commands:
pairs that section 5.5 calls ambiguous keep their order, all others give the same answers in any order.
"""
import re

import pytest

from support import mails
from support.imap import LitPlus, flags
from support.server import SANITIZED

M = b'Subject: s\r\n\r\nbody\r\n'


def fill(c, n, mailbox='INBOX', size=200):
    parts = ['APPEND %s' % mailbox]
    for i in range(n):
        parts += [' ', LitPlus(mails.numbered(i, size))]
    c.ok(*parts)


# -- many at once

def test_hundreds_in_one_segment(inbox):
    fill(inbox, 20)
    inbox.select()
    commands = []
    for i in range(300):
        commands += ['NOOP', 'FETCH %d (UID FLAGS)' % (1 + i % 20), 'STATUS INBOX (MESSAGES)',
                     'STORE %d +FLAGS (kw%d)' % (1 + i % 20, i % 5), 'UID SEARCH UID %d' % (1 + i % 20)]
    tags = inbox.pipeline(*commands)
    for tag in tags:
        assert inbox.wait(tag).status == 'OK'
    assert not inbox.pending and not inbox.tagged


def test_ordered_commands_are_answered_in_order(inbox):
    """Commands that depend on each other are answered one after the other."""
    fill(inbox, 5)
    inbox.select()
    tags = inbox.pipeline(*['STORE 1 FLAGS (kw%d)' % i for i in range(200)])
    last = None
    for i, tag in enumerate(tags):
        r = inbox.wait(tag)
        assert r.status == 'OK'
        for x in r.all('FETCH'):
            last = flags(x.items()['FLAGS'])
    assert 'kw199' in last and 'kw198' not in last
    assert inbox.flags_of(1) - {'\\recent'} == {'kw199'}


def test_mixed_with_appends(inbox):
    """Non-synchronising literals in the middle of a pipeline."""
    out = b''
    for i in range(50):
        m = mails.numbered(i)
        inbox.running.update({'p%da' % i: 'APPEND', 'p%db' % i: 'NOOP'})
        out += b'p%da APPEND INBOX (\\Seen) {%d+}\r\n%s\r\np%db NOOP\r\n' % (i, len(m), m, i)
    inbox.send(out)
    for i in range(50):
        r = inbox.wait('p%da' % i)
        assert r.status == 'OK' and r.code_args[1] == str(i + 1), r
        assert inbox.wait('p%db' % i).status == 'OK'


def test_one_byte_segments(inbox):
    out = b''.join(b'q%d NOOP\r\n' % i for i in range(30))
    inbox.running.update({'q%d' % i: 'NOOP' for i in range(30)})
    for i in range(len(out)):
        inbox.send(out[i:i + 1])
    for i in range(30):
        assert inbox.wait('q%d' % i).status == 'OK'


def test_bad_commands_in_a_pipeline(inbox):
    tags = inbox.pipeline('NOOP', 'FROB', 'FETCH 99 FLAGS', 'FETCH', 'NOOP')
    status = [inbox.wait(t).status for t in tags]
    assert status[0] == status[4] == 'OK' and status[1] == status[3] == 'BAD'


def test_whole_session_in_one_segment(connect, user):
    c = connect()
    commands = ['LOGIN %s sesame' % user, 'CREATE a', 'APPEND a {%d+}\r\n%s' % (len(M), M.decode()), 'SELECT a',
                'FETCH 1 BODY[]', 'STORE 1 +FLAGS (\\Deleted)', 'EXPUNGE', 'CLOSE', 'DELETE a', 'LOGOUT']
    tags = c.pipeline(*commands)
    seen = c.closed()
    assert [r.tag for r in seen if r.tag != '*'] == tags
    assert all(r.kind == 'OK' for r in seen if r.tag != '*'), seen


# -- side by side

@pytest.fixture
def heavy(session):
    """A mailbox whose SEARCH TEXT and whole FETCH take long: copies of one large message."""
    c = session()
    size, doublings = (60000, 8) if SANITIZED else (120000, 9)
    c.ok('CREATE heavy')
    c.append('heavy', mails.numbered(1, size))
    c.select('heavy')
    for _ in range(doublings):
        c.ok('COPY 1:* heavy')
        c.noop()
    c.append('INBOX', M)
    c.select('heavy')
    return c


def order(c, tags):
    """The order in which the tags are answered."""
    start = len(c.log)
    for tag in tags:
        c.wait(tag, 60)
    return [r.tag for r in c.log[start:] if r.tag in tags]


@pytest.mark.martlet('Dovecot works off one command after the other')
@pytest.mark.parametrize('later', ['NOOP', 'STATUS INBOX (MESSAGES)', 'FETCH 1 FLAGS', 'FETCH 3 (UID RFC822.SIZE)',
                                   'LIST "" %', 'CAPABILITY'])
@pytest.mark.parametrize('long', ['SEARCH TEXT "not to be found"', 'UID SEARCH BODY "not to be found"'])
def test_later_command_overtakes_a_long_search(heavy, long, later):
    """Section 5.5; issue: a long SEARCH does not hold up a NOOP, STATUS or FETCH behind it.

    Behind a UID SEARCH, which may bring EXPUNGE, message numbers are ambiguous: there it is UID FETCH."""
    if long.startswith('UID') and later.startswith('FETCH'):
        later = 'UID ' + later
    tags = heavy.pipeline(long, later)
    assert order(heavy, tags) == [tags[1], tags[0]]


@pytest.mark.martlet('Dovecot works off one command after the other')
@pytest.mark.parametrize('later', ['NOOP', 'STATUS INBOX (MESSAGES)', 'FETCH 1 (UID RFC822.SIZE)'])
def test_later_command_overtakes_a_long_fetch(heavy, later):
    tags = heavy.pipeline('FETCH 1:* BODY.PEEK[]', later)
    assert order(heavy, tags) == [tags[1], tags[0]]


@pytest.mark.martlet('Dovecot works off one command after the other')
def test_several_overtake(heavy):
    tags = heavy.pipeline('SEARCH TEXT "not to be found"', 'NOOP', 'STATUS INBOX (MESSAGES)', 'FETCH 1 FLAGS', 'NOOP')
    assert order(heavy, tags)[-1] == tags[0]


@pytest.mark.parametrize('later', ['SEARCH ALL', 'STORE 1 +FLAGS (\\Seen)', 'EXPUNGE', 'UID SEARCH SEEN', 'CLOSE',
                                   'SELECT INBOX', 'MOVE 1 Trash', 'UNSELECT'])
def test_nothing_ambiguous_overtakes_a_long_search(heavy, later):
    """What could change the result of the SEARCH, or whose answer looks the same, waits.

    A STORE of \\Seen cannot change SEARCH TEXT; it may overtake or wait: only its effect counts."""
    tags = heavy.pipeline('SEARCH TEXT "not to be found"', later)
    got = order(heavy, tags)
    if not later.startswith('STORE'):
        assert got == tags


def test_expunge_waits_for_a_long_search_by_number(heavy, session):
    """Section 7.5.1: what another session expunges is told only after the SEARCH."""
    other = session('heavy')
    tags = heavy.pipeline('SEARCH TEXT "not to be found"', 'NOOP')
    other.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    other.ok('EXPUNGE')
    heavy.check_view = False
    for tag in tags:
        heavy.wait(tag, 60)
    heavy.noop()
    kinds = [r.kind if r.tag == '*' else r.tag for r in heavy.log]
    assert kinds.index('EXPUNGE') > kinds.index(tags[0])


def test_fetch_sets_seen_then_search_unseen(inbox):
    """Section 5.5: the example of an ambiguity: FETCH that sets \\Seen, then SEARCH UNSEEN."""
    for _ in range(20):
        fill(inbox, 20, size=2000)
        inbox.select()
        tags = inbox.pipeline('FETCH 1:* BODY[]', 'SEARCH UNSEEN')
        inbox.wait(tags[0])
        assert inbox.wait(tags[1]).search() == []
        inbox.ok('STORE 1:* +FLAGS.SILENT (\\Deleted)')
        inbox.ok('EXPUNGE')


# -- every pair

# name, command, reads, writes. {m}: the selected mailbox, {o}: another one.
# Parts of the state: set (which messages), flags, sel (what is selected), names, subs, var ($), other
# (content of {o}); answer:X is the kind of untagged data that cannot be told apart from another's.
N = 8
APPEND = '{%d+}\r\n%s' % (len(M), M.decode())
DATE = '"01-Feb-2003 04:05:06 +0000"'
COMMANDS = [
    ('NOOP', '', ''),
    ('CHECK', 'sel', ''),
    ('CAPABILITY', '', ''),
    ('NOTIFY NONE', '', 'sel'),
    ('CANCELUPDATE "none"', '', 'sel'),
    ('UID SEARCH RETURN (PARTIAL 2:3) FLAGGED', 'sel set flags', 'answer:search'),
    ('NOTIFY SET STATUS (mailboxes {o} (MessageNew MessageExpunge))', 'names other', 'sel'),
    ('NAMESPACE', '', ''),
    ('FETCH 1:* (UID FLAGS)', 'sel set flags', ''),
    ('FETCH 2:4 BODY.PEEK[]', 'sel set', ''),
    ('FETCH 1:* BODY[TEXT]', 'sel set', 'flags'),
    ('UID FETCH 1:* ENVELOPE', 'sel set', ''),
    ('UID FETCH 1:* (UID RFC822.SIZE) (PARTIAL -1:-2)', 'sel set', ''),
    ('UIDBATCHES 500', 'sel set', ''),
    ('CONVERSIONS "*" "*"', '', ''),
    ('CONVERT 1:* (NIL ("charset" "utf-8")) (UID BINARY[1])', 'sel set', ''),
    ('UID CONVERT 1:3 (NIL) AVAILABLECONVERSIONS[1]', 'sel set', ''),
    ('STORE 1:* +FLAGS (\\Flagged)', 'sel set', 'flags'),
    ('STORE 1:3 -FLAGS.SILENT (\\Seen)', 'sel set', 'flags'),
    ('STORE 2,5 FLAGS (\\Deleted)', 'sel set', 'flags'),
    ('UID STORE 1:* +FLAGS (\\Answered)', 'sel set', 'flags'),
    ('SEARCH SEEN', 'sel set flags', 'answer:search'),
    ('SEARCH 1:3 DELETED', 'sel set flags', 'answer:search'),
    ('SEARCH TEXT "message 3"', 'sel set', 'answer:search'),
    ('UID SEARCH FLAGGED', 'sel set flags', 'answer:search'),
    ('SEARCH RETURN (SAVE) SEEN', 'sel set flags', 'var'),
    ('ESEARCH IN (mailboxes ({m} {o})) SEEN', 'sel set flags names other', ''),
    ('ESEARCH RETURN (SAVE) SEEN', 'sel set flags', 'var'),
    ('FETCH $ UID', 'sel set var', ''),
    ('COPY 1:3 {o}', 'sel set flags names', 'other'),
    ('UID COPY 5 {o}', 'sel set flags names', 'other'),
    ('MOVE 2 {o}', 'sel flags names', 'set other'),
    ('UID MOVE 4:5 {o}', 'sel flags names', 'set other'),
    ('EXPUNGE', 'sel flags', 'set'),
    ('UID EXPUNGE 1:*', 'sel flags', 'set'),
    ('APPEND {m} (\\Seen) %s %s' % (DATE, APPEND.replace('{', '{{').replace('}', '}}')), 'names', 'set'),
    ('APPEND {o} %s %s' % (DATE, APPEND.replace('{', '{{').replace('}', '}}')), 'names', 'other'),
    ('REPLACE 2 {m} (\\Draft) %s %s' % (DATE, APPEND.replace('{', '{{').replace('}', '}}')), 'sel set names', 'set'),
    ('UID REPLACE 7 {o} %s %s' % (DATE, APPEND.replace('{', '{{').replace('}', '}}')), 'sel names', 'set other'),
    ('APPEND {o} %s CATENATE (URL ";UID=1/;SECTION=TEXT" URL "/{m}/;UID=2")' % DATE, 'sel set names', 'other'),
    ('RESETKEY {m}', 'names', ''),
    ('STATUS {m} (MESSAGES UNSEEN UIDNEXT)', 'names set flags', ''),
    ('STATUS {o} (MESSAGES UNSEEN UIDNEXT)', 'names other', ''),
    ('LIST "" {m}*', 'names', 'answer:list'),
    ('LIST (SUBSCRIBED) "" {m}*', 'names subs', 'answer:list'),
    ('LSUB "" {m}*', 'subs', 'answer:lsub'),
    ('GETMETADATA {m} /shared/comment', 'names meta', 'answer:metadata'),
    ('SETMETADATA {m} (/shared/comment "x")', 'names', 'names meta'),
    ('CREATE {m}x', '', 'names'),
    ('DELETE {o}', '', 'names other'),
    ('RENAME {o} {m}y', '', 'names other'),
    ('SUBSCRIBE {m}', '', 'subs'),
    ('UNSUBSCRIBE {o}', '', 'subs'),
    ('CLOSE', 'flags', 'sel set var'),
    ('UNSELECT', '', 'sel var'),
    ('SELECT {o}', 'names other', 'sel var'),
    ('EXAMINE {m}', 'names set flags', 'sel var'),
]
SOLICITED = ('METADATA', 'SEARCH', 'ESEARCH', 'LIST', 'LSUB', 'STATUS', 'FETCH')


def ambiguous(a, b):
    ra, wa, rb, wb = (set(x.split()) for x in (a[1], a[2], b[1], b[2]))
    return bool(wa & (rb | wb) or wb & ra)


def text_of(r, box):
    """An answer without what differs between two runs."""
    raw = r.raw.replace(box.encode(), b'BOX').replace(r.tag.encode() + b' ', b'TAG ', 1)
    raw = re.sub(rb'(UIDVALIDITY|APPENDUID|COPYUID) \d+', rb'\1 V', raw)
    raw = re.sub(rb'\(TAG "[^"]*"', b'(TAG', raw)
    raw = re.sub(rb' ?\\(Un)?Marked', b'', raw, flags=re.I)
    raw = re.sub(rb' [^\]]*\Z', b'', raw) if r.kind == 'OK' and not r.code else raw
    return raw


def bag(answers, box):
    """The data in answers: FETCH by message and item, as a server may spread it over answers."""
    out = set()
    for r in answers:
        if r.kind == 'FETCH':
            for k, v in r.items().items():
                if k == 'FLAGS':
                    v = sorted(flags(v) - {'\\recent'})
                out.add((r.num, k, repr(v)))
        elif r.kind in SOLICITED:
            out.add(text_of(r, box))
    return out


def status_of(r):
    """The tagged answer: condition and code, without text."""
    args = [str(a) for a in r.code_args]
    if r.code in ('MAILBOXID', 'BADURL'):  # random, or with the name of the mailbox
        args = []
    if r.code in ('APPENDUID', 'COPYUID'):
        args = args[1:]
    return r.kind, r.code if r.code in ('APPENDUID', 'COPYUID', 'TRYCREATE', 'NONEXISTENT', 'READ-ONLY') else None, tuple(args)


class Pairs:
    def __init__(self, c):
        self.c = c
        self.count = 0
        c.check_view = False
        fill(c, N, size=3000)
        c.select()
        c.ok('STORE 1,4,6 +FLAGS.SILENT (\\Seen)')
        c.ok('STORE 3,6 +FLAGS.SILENT (\\Deleted)')
        c.ok('STORE 5 +FLAGS.SILENT (\\Flagged)')
        c.ok('CREATE template')
        c.ok('COPY 1:* template')

    def run(self, a, b, together):
        """Runs a and b on a fresh mailbox; answers, tagged answers, final state."""
        c = self.c
        self.count += 1
        box = 'w%05d' % self.count
        other = box + 'o'
        for tag in c.pipeline('SELECT template', 'CREATE ' + box, 'CREATE ' + other, 'SUBSCRIBE ' + other,
                              'COPY 1:* ' + box, 'COPY 8 ' + other, 'SELECT ' + box):
            r = c.wait(tag)
            assert r.status == 'OK', r
        commands = [x[0].format(m=box, o=other) for x in (a, b)]
        start = len(c.log)
        if together:
            tags = c.pipeline(*commands)
            results = [c.wait(t) for t in tags]
        else:
            tags, results = [], []
            for command in commands:
                tags.append(c.start(command))
                results.append(c.wait(tags[-1]))
        log = c.log[start:]
        del c.log[:]
        status = [status_of(r.tagged) for r in results]
        first = [i for i, r in enumerate(log) if r.tag == tags[0]][0]
        second = [i for i, r in enumerate(log) if r.tag == tags[1]][0]
        in_order = first < second
        answers = [bag(log[:first], box), bag(log[first:second], box)] if in_order else None
        everything = bag(log, box)
        # the state that is left
        left = c.pipeline('SELECT ' + box, 'FETCH 1:* (UID)', 'UID SEARCH SEEN', 'UID SEARCH DELETED', 'UID SEARCH FLAGGED',
                          'UID SEARCH ANSWERED', 'STATUS %s (MESSAGES UNSEEN UIDNEXT)' % box,
                          'STATUS %s (MESSAGES UNSEEN UIDNEXT)' % other, 'LIST "" %s*' % box, 'LSUB "" %s*' % box,
                          'UNSELECT')
        state = []
        for tag in left:
            r = c.wait(tag)
            state.append((r.status, sorted(text_of(x, box) for x in r.untagged if x.kind in SOLICITED)))
        for tag in c.pipeline(*['DELETE ' + box + x for x in ('', 'o', 'x', 'y')] + ['UNSUBSCRIBE ' + box + x for x in ('', 'o')]):
            c.wait(tag)
        del c.log[:]
        return in_order, answers, everything, status, state


@pytest.mark.parametrize('first', COMMANDS, ids=lambda c: c[0].split('{{')[0].strip())
def test_pairs(c, first):
    pairs = Pairs(c)
    for second in COMMANDS:
        pair = '%s + %s' % (first[0], second[0])
        _, answers1, all1, status1, state1 = pairs.run(first, second, together=False)
        in_order, answers2, all2, status2, state2 = pairs.run(first, second, together=True)
        assert status2 == status1, pair
        assert state2 == state1, pair
        if ambiguous(first, second):
            assert in_order, '%s: the second was answered first' % pair
            assert answers2 == answers1, pair
        else:
            assert all2 == all1, pair
