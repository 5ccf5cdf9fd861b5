"""MULTISEARCH (RFC 7377): ESEARCH over many mailboxes."""
import random
import time

import pytest

from support import mails
from support.imap import expand
from support.server import PASSWORD

from test_acl import give, pair  # noqa: F401

pytestmark = pytest.mark.martlet('MULTISEARCH')


def answers(r):
    """{mailbox: data of its ESEARCH}; everything that section 2.1 demands of each is looked at."""
    out = {}
    for e in r.all('ESEARCH'):
        correlators = {n.upper(): v for n, v in zip(e.data[0][::2], e.data[0][1::2])}
        assert set(correlators) == {'TAG', 'MAILBOX', 'UIDVALIDITY'} and int(correlators['UIDVALIDITY']) > 0
        tag, uid, data = e.esearch()
        assert uid and tag == r.tagged.tag
        box = correlators['MAILBOX']
        box = box.decode() if isinstance(box, bytes) else str(box)
        assert box not in out
        out[box] = data
    r.none('SEARCH')
    return out


def found(r):
    return {box: expand(data['ALL']) for box, data in answers(r).items()}


BOXES = ['INBOX', 'folder1', 'folder2', 'folder2/banana', 'folder2/peach', 'folder2/peach/stone', 'folder2-x', 'folder2x', 'other']


@pytest.fixture
def many(session):
    """In each mailbox three messages; the second is flagged and has the mailbox's name in its Subject."""
    c = session()
    for box in BOXES[1:]:
        c.ok('CREATE ' + box)
    for box in BOXES:
        for i in range(3):
            c.append(box, mails.numbered(i, 300, Subject='chad of %s' % box if i == 1 else 'something'),
                     '(\\Flagged)' if i == 1 else '')
    return c


def test_capability(c):
    assert 'MULTISEARCH' in c.ok('CAPABILITY').one('CAPABILITY').data


def test_examples(many):
    """Section 3: two of them at once."""
    tags = many.pipeline('ESEARCH IN (mailboxes "folder1" subtree "folder2") unseen',
                         'ESEARCH IN (mailboxes "folder1" subtree-one "folder2") subject "chad"')
    every = [1, 2, 3]
    results = {t: many.wait(t) for t in tags}
    both = [r for x in results.values() for r in x.all('ESEARCH')]
    told = {t: {} for t in tags}
    for e in both:
        given = {n.upper(): v for n, v in zip(e.data[0][::2], e.data[0][1::2])}
        told[given['TAG'].decode()][str(given['MAILBOX'] if isinstance(given['MAILBOX'], str) else given['MAILBOX'].decode())] = \
            expand(e.esearch()[2]['ALL'])
    assert all(x.status == 'OK' for x in results.values())
    assert told[tags[0]] == {b: every for b in ('folder1', 'folder2', 'folder2/banana', 'folder2/peach', 'folder2/peach/stone')}
    assert told[tags[1]] == {b: [2] for b in ('folder1', 'folder2', 'folder2/banana', 'folder2/peach')}


@pytest.mark.parametrize('source,boxes', [
    ('personal', BOXES), ('inboxes', BOXES), ('subtree ""', BOXES), ('mailboxes inbox', ['INBOX']), ('mailboxes (other folder2 none)', ['other', 'folder2']),
    ('subtree folder2/peach', ['folder2/peach', 'folder2/peach/stone']), ('subtree-one folder2/banana', ['folder2/banana']),
    ('mailboxes other subtree (folder1 folder2/peach)', ['other', 'folder1', 'folder2/peach', 'folder2/peach/stone']),
    ('subtree none', []), ('mailboxes "a//b"', []), ('mailboxes other mailboxes other personal subtree other', BOXES),
    ('subtree-one (folder2 other)', ['folder2', 'folder2/banana', 'folder2/peach', 'other'])])
def test_sources(many, source, boxes):
    for select in 'INBOX', 'folder2/peach':
        assert found(many.ok('ESEARCH IN (%s) FLAGGED' % source)) == {b: [2] for b in boxes}
        many.select(select)  # section 2.1: it does not matter, and stays
    assert [int(n) for n in many.ok('SEARCH FLAGGED').one('SEARCH').data] == [2]


def test_superior_without_mailbox(many):
    """A superior of which there is no mailbox."""
    many.ok('DELETE folder2')
    assert set(found(many.ok('ESEARCH IN (subtree folder2) ALL'))) == {'folder2/banana', 'folder2/peach', 'folder2/peach/stone'}


def test_subscribed(many):
    many.ok('SUBSCRIBE other')
    many.ok('SUBSCRIBE folder2/peach/stone')
    many.ok('SUBSCRIBE gone')
    assert set(found(many.ok('ESEARCH IN (subscribed) ALL'))) >= {'other', 'folder2/peach/stone'}
    assert not set(found(many.ok('ESEARCH IN (subscribed) ALL'))) & {'folder1', 'folder2', 'gone'}


def test_selected(many):
    """Sections 2 and 2.2: by default; needs one; always UIDs, a MAILBOX and an ESEARCH."""
    for command in 'ESEARCH ALL', 'ESEARCH IN (selected) ALL', 'ESEARCH IN (personal selected) ALL', \
            'ESEARCH IN (personal) RETURN (UPDATE) ALL':
        many.bad(command)
    assert set(found(many.ok('ESEARCH IN (personal) ALL'))) == set(BOXES)
    many.select('other')
    many.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    many.ok('EXPUNGE')
    assert found(many.ok('ESEARCH ALL')) == {'other': [2, 3]}
    assert found(many.ok('UID ESEARCH IN (selected) 1')) == {'other': [2]}
    assert found(many.ok('ESEARCH IN (selected mailboxes (other folder1)) ALL')) == {'other': [2, 3], 'folder1': [1, 2, 3]}
    assert found(many.ok('ESEARCH RETURN () FLAGGED')) == {'other': [2]}
    many.ok('DELETE folder1')
    many.bad('ESEARCH IN (selected-delayed) ALL')
    many.bad('ESEARCH IN (personal (deep 1)) ALL')


def test_numbers(many):
    """Section 2: numbers beyond the end are no error; they count in each mailbox."""
    many.select('other')
    assert found(many.ok('ESEARCH IN (mailboxes (other folder1)) 2:100')) == {'other': [2, 3], 'folder1': [2, 3]}
    assert found(many.ok('UID ESEARCH 101:200 FROM "frobozz"')) == {}
    assert found(many.ok('ESEARCH IN (personal) *')) == {b: [3] for b in BOXES}
    many.ok('CREATE empty')
    assert found(many.ok('ESEARCH IN (mailboxes empty) *')) == {}


def test_result_options(many):
    """Section 2.1: what each mailbox has; none that has nothing."""
    r = answers(many.ok('ESEARCH IN (mailboxes (folder1 other)) RETURN (MIN MAX COUNT) OR FLAGGED UID 3'))
    assert r == {b: {'MIN': '2', 'MAX': '3', 'COUNT': '2'} for b in ('folder1', 'other')}
    assert answers(many.ok('ESEARCH IN (personal) RETURN (COUNT) SUBJECT "chad of folder1"')) == {'folder1': {'COUNT': '1'}}
    assert answers(many.ok('ESEARCH IN (personal) RETURN (MIN COUNT ALL) KEYWORD none')) == {}
    r = answers(many.ok('ESEARCH IN (mailboxes (folder1 other)) RETURN (PARTIAL -1:-2 CONTEXT) ALL'))
    assert r == {b: {'PARTIAL': ['-1:-2', '2:3']} for b in ('folder1', 'other')}


def test_modseq(many):
    r = answers(many.ok('ESEARCH IN (mailboxes (folder1 other)) RETURN (ALL) MODSEQ 1 FLAGGED'))
    assert all(d['ALL'] == '2' and int(d['MODSEQ']) > 0 for d in r.values()) and len(r) == 2


def test_save(many):
    """Section 2.2: SAVE with SELECTED alone; "$" is of the selected mailbox."""
    many.select('other')
    for source in 'personal', 'selected personal', 'mailboxes other':
        many.bad('ESEARCH IN (%s) RETURN (SAVE) ALL' % source)
    many.ok('ESEARCH IN (selected) RETURN (SAVE) FLAGGED').none('ESEARCH')
    assert list(many.ok('FETCH $ UID').fetch()) == [2]
    assert found(many.ok('ESEARCH IN (personal) UID $')) == {'other': [2]}
    assert found(many.ok('ESEARCH IN (mailboxes (folder1 other)) UIDAFTER $')) == {'other': [3]}
    tags = many.pipeline('ESEARCH RETURN (SAVE ALL) UID 3', 'ESEARCH IN (mailboxes (folder1 other)) $')
    many.wait(tags[0])
    assert found(many.wait(tags[1])) == {'other': [3]}
    many.ok('ESEARCH RETURN (SAVE) KEYWORD none')
    many.ok('FETCH $ UID').none('FETCH')


def test_update(many, session):
    """Section 2.2 and RFC 5267: UPDATE applies to the selected mailbox only."""
    many.select('other')
    tag = many.start('ESEARCH IN (personal) RETURN (UPDATE ALL) FLAGGED')
    assert found(many.wait(tag)) == {b: [2] for b in BOXES}
    second = session()
    second.select('other')
    second.ok('UID STORE 3 +FLAGS (\\Flagged)')
    second.select('folder1')
    second.ok('UID STORE 3 +FLAGS (\\Flagged)')
    news = [e for _ in range(2) for e in many.noop().all('ESEARCH')]
    assert [e.esearch() for e in news] == [(tag, True, {'ADDTO': ['0', '3']})]
    many.ok('CANCELUPDATE "%s"' % tag)
    r = many.ok('ESEARCH IN (mailboxes folder1) RETURN (UPDATE ALL) FLAGGED')
    assert found(r) == {'folder1': [2, 3]} and b'NOUPDATE "%s"' % r.tagged.tag.encode() in r.one('NO').raw


def test_filters(many):
    """RFC 5466."""
    many.ok('SETMETADATA "" (/private/filters/values/mine "SUBJECT chad FLAGGED")')
    assert found(many.ok('ESEARCH IN (mailboxes (folder1 other)) FILTER mine')) == {'folder1': [2], 'other': [2]}
    many.no('ESEARCH IN (personal) FILTER none', code='UNDEFINED-FILTER')


def test_charsets_and_bytes(many):
    many.append('folder2x', 'Subject: =?utf-8?q?=D0=9F=D1=80?=\r\n\r\nжук\r\n'.encode())
    many.no('ESEARCH IN (personal) CHARSET none ALL', code='BADCHARSET')
    assert found(many.ok('ESEARCH IN (personal) CHARSET UTF-8 BODY "ЖУК"')) == {'folder2x': [4]}
    assert found(many.ok('ESEARCH IN (personal) TEXT "chad of other"')) == {'other': [2]}


def test_unseen_names(many, session):
    """Modified UTF-7 to rev1, UTF-8 to rev2."""
    many.ok('CREATE "&BBYEQwQ6-"')
    many.append('&BBYEQwQ6-', mails.numbered(1))
    assert set(found(many.ok('ESEARCH IN (mailboxes "&BBYEQwQ6-") ALL'))) == {'&BBYEQwQ6-'}
    many.enable_rev2()
    assert set(found(many.ok('ESEARCH IN (mailboxes "Жук") ALL'))) == {'Жук'}


def test_uidonly(many):
    many.ok('ENABLE UIDONLY')
    assert found(many.ok('ESEARCH IN (mailboxes other) UID 2:9')) == {'other': [2, 3]}
    many.bad('ESEARCH IN (mailboxes other) 2:9')


def test_own_store_is_seen(many):
    """RFC 9051 section 5.5: what is pipelined before has happened."""
    many.select('other')
    tags = many.pipeline('UID STORE 1 +FLAGS.SILENT (\\Answered)', 'ESEARCH IN (personal) ANSWERED', 'CREATE late',
                         'ESEARCH IN (personal) ANSWERED')
    for t in tags:
        r = many.wait(t)
        assert r.status == 'OK'
    assert found(r) == {'other': [1]}


# -- other accounts

@pytest.mark.parametrize('rights', ['', 'l', 'r', 'lr', 'lrs', 'lswipkxtea'])
def test_rights(pair, rights):
    """Section 2.2: r; and l, where the mailbox was not named. Nothing shows what is missing."""
    owner, guest = pair
    owner.ok('CREATE box/deep')
    owner.append('box/deep', mails.numbered(1))
    give(pair, 'lr', 'box/deep')
    give(pair, rights) if rights else owner.ok('DELETEACL box %s' % guest.name)
    deep = guest.box + '/deep'
    named = {guest.box: [1, 2, 3]} if 'r' in rights else {}
    guest.ok('SUBSCRIBE "%s"' % guest.box)
    assert found(guest.ok('ESEARCH IN (mailboxes "%s") ALL' % guest.box)) == named
    assert found(guest.ok('ESEARCH IN (subtree "%s") ALL' % guest.box)) == {**named, deep: [1]}
    unnamed = named if 'l' in rights else {}
    assert found(guest.ok('ESEARCH IN (subscribed) ALL')) == unnamed
    assert found(guest.ok('ESEARCH IN (subtree "Other Users/%s") ALL' % owner.name)) == {**unnamed, deep: [1]}
    assert found(guest.ok('ESEARCH IN (subtree-one "Other Users/%s") ALL' % owner.name)).keys() <= {guest.box, deep}
    assert found(guest.ok('ESEARCH IN (personal) ALL')) == {}
    assert found(guest.ok('ESEARCH IN (mailboxes ("Other Users/%s-none/box" "Other Users") subtree "Other Users") ALL' % owner.name)) == {}


def test_selected_of_another(pair):
    owner, guest = pair
    give(pair, 'lr')
    guest.select(guest.box)
    assert found(guest.ok('ESEARCH ALL')) == {guest.box: [1, 2, 3]}
    guest.append('INBOX', mails.numbered(7))
    assert found(guest.ok('ESEARCH IN (selected personal) ALL')) == {guest.box: [1, 2, 3], 'INBOX': [1]}


# -- many

def test_against_single_searches(many):
    """Random programs: the same as SEARCH in each mailbox."""
    rng = random.Random(7377)
    keys = ['FLAGGED', 'UID 2:3', 'NOT UID 1', 'SUBJECT chad', 'SUBJECT other', '1', '2:*', 'LARGER 100', 'BODY "x"', 'UNSEEN', 'TEXT folder']
    for _ in range(25):
        program = ' '.join(rng.sample(keys, rng.randint(1, 3)))
        program = rng.choice(['%s', 'NOT (%s)', 'OR (%s) FLAGGED']) % program
        want = {}
        got = found(many.ok('ESEARCH IN (personal) %s' % program))
        for box in BOXES:
            many.select(box, 'EXAMINE')
            hits = many.ok('UID SEARCH %s' % program).search()
            if hits:
                want[box] = hits
        assert got == want, program


def test_many_mailboxes_hold_nobody_up(session):
    """1,000 mailboxes, in slices: another session is answered meanwhile."""
    c, other = session(), session('INBOX')
    for t in c.pipeline(*['CREATE b/%d' % i for i in range(1000)]):
        assert c.wait(t).status == 'OK'
    for i in range(0, 1000, 10):
        c.append('b/%d' % i, mails.numbered(i))
    tag = c.start('ESEARCH IN (subtree b) TEXT "message"')
    longest = 0
    for _ in range(20):
        t = time.monotonic()
        other.noop()
        longest = max(longest, time.monotonic() - t)
    assert len(found(c.wait(tag))) in (0, 100) and longest < 2
    assert len(found(c.ok('ESEARCH IN (subtree b) ALL'))) == 100


def test_disconnect_meanwhile(session):
    """A client that goes while its search runs."""
    c = session()
    for t in c.pipeline(*['CREATE b/%d' % i for i in range(100)]):
        c.wait(t)
    for i in range(100):
        c.append('b/%d' % i, mails.numbered(i, 20000))
    for _ in range(5):
        d = session()
        d.start('ESEARCH IN (personal) TEXT "not to be found"')
        d.close()
    assert len(found(c.ok('ESEARCH IN (personal) ALL'))) == 100


def test_seen_of_each_user(pair):
    """What is unseen is the searcher's own, whether the mailbox is selected or not."""
    owner, guest = pair
    give(pair, 'lrs')
    owner.select('box')
    owner.ok('STORE 1 +FLAGS.SILENT (\\Seen)')
    guest.select(guest.box)
    guest.ok('STORE 2 +FLAGS.SILENT (\\Seen)')
    for c, box, unseen in (owner, 'box', [2, 3]), (guest, guest.box, [1, 3]):
        assert found(c.ok('ESEARCH IN (mailboxes "%s") UNSEEN' % box)) == {box: unseen}
        c.ok('UNSELECT')
        assert found(c.ok('ESEARCH IN (mailboxes "%s") UNSEEN' % box)) == {box: unseen}
