"""PARTIAL (RFC 9394): pages of SEARCH and of UID FETCH."""
import random

import pytest

from support import mails
from support.imap import LitPlus, expand


@pytest.fixture
def box(inbox):
    """UIDs 2, 4, ..., 40: numbers and UIDs differ."""
    parts = ['APPEND INBOX']
    for i in range(40):
        parts += [' ', LitPlus(mails.numbered(i))]
    inbox.ok(*parts)
    inbox.noop()
    inbox.ok('STORE %s +FLAGS.SILENT (\\Deleted)' % ','.join(str(n) for n in range(1, 40, 2)))
    inbox.ok('EXPUNGE')
    return inbox


UIDS = list(range(2, 41, 2))


def fetched(r):
    return [int(x.items()['UID']) for x in r.all('FETCH')]


def partial(r):
    """(range, UIDs) of PARTIAL in an ESEARCH"""
    where, found = r.one('ESEARCH').esearch()[2]['PARTIAL']
    return where, expand(found) if found is not None else None


def test_capability(c):
    assert 'PARTIAL' in c.ok('CAPABILITY').one('CAPABILITY').data


@pytest.mark.parametrize('places,found', [
    ('-1:-3', [36, 38, 40]), ('1:5', [2, 4, 6, 8, 10]), ('-3:-1', [36, 38, 40]), ('5:1', [2, 4, 6, 8, 10]), ('3:3', [6]),
    ('18:100', [36, 38, 40]), ('21:30', []), ('-21:-30', []), ('-19:-4294967295', [2, 4]), ('1:4294967295', UIDS), ('-1:-20', UIDS)])
def test_fetch(box, places, found):
    """Section 3.3."""
    assert fetched(box.ok('UID FETCH 1:* (UID FLAGS) (PARTIAL %s)' % places)) == found


def test_fetch_of_a_set(box):
    """The examples' sets: their ends need not exist."""
    assert fetched(box.ok('UID FETCH 5:19 (UID FLAGS) (PARTIAL -1:-3)')) == [14, 16, 18]
    assert fetched(box.ok('UID FETCH 5:19 (UID FLAGS) (PARTIAL 1:5)')) == [6, 8, 10, 12, 14]
    assert fetched(box.ok('UID FETCH 1,3,5 UID (PARTIAL 1:5)')) == []
    assert fetched(box.ok('UID FETCH 2:3,7:8,30:* UID (PARTIAL 2:4)')) == [8, 30, 32]


def test_fetch_random(box):
    rng = random.Random(9394)
    for _ in range(150):
        uids = sorted(rng.sample(range(1, 45), rng.randint(1, 20)))
        hit = [u for u in uids if u in UIDS]
        a, b = rng.randint(1, 25), rng.randint(1, 25)
        lo, hi = min(a, b), max(a, b)
        sign = rng.choice(['', '-'])
        want = hit[lo - 1:hi] if not sign else hit[max(0, len(hit) - hi):max(0, len(hit) - lo + 1)]
        got = fetched(box.ok('UID FETCH %s UID (PARTIAL %s%d:%s%d)' % (','.join(map(str, uids)), sign, a, sign, b)))
        assert got == want, (uids, sign, a, b)


def test_unannounced_expunge(box, session):
    """Places count what the client is shown."""
    other = session('INBOX')
    other.ok('UID STORE 4 +FLAGS.SILENT (\\Deleted)')
    other.ok('EXPUNGE')
    box.ok('STORE 1 +FLAGS.SILENT (\\Seen)')
    r = box.cmd('UID FETCH 1:* UID (PARTIAL 1:3)')
    assert fetched(r) in ([2, 4, 6], [2, 6, 8], [2, 6])


def test_changedsince(box, session):
    """Section 3.4: first the last messages, of these the changed ones; in either order."""
    modseq = int(box.ok('SELECT INBOX (CONDSTORE)').codes()['HIGHESTMODSEQ'].code_args[0])
    session('INBOX').ok('UID STORE 2,36,40 +FLAGS (\\Flagged)')
    for modifiers in ('PARTIAL -1:-3 CHANGEDSINCE %d', 'CHANGEDSINCE %d PARTIAL -1:-3'):
        r = box.ok('UID FETCH 1:* (UID FLAGS) (%s)' % (modifiers % modseq))
        assert {int(x.items()['UID']) for x in r.all('FETCH')} >= {36, 40}
        modseqs = [int(x.items()['UID']) for x in r.all('FETCH') if 'MODSEQ' in x.items()]
        assert set(modseqs) <= {2, 36, 40}


@pytest.mark.parametrize('wrong', [
    'FETCH 1:* FLAGS (PARTIAL 1:2)', 'UID FETCH 1:* FLAGS (PARTIAL 0:2)', 'UID FETCH 1:* FLAGS (PARTIAL 1:-2)',
    'UID FETCH 1:* FLAGS (PARTIAL 1)', 'UID FETCH 1:* FLAGS (PARTIAL 1:*)', 'UID FETCH 1:* FLAGS (PARTIAL 1:2 PARTIAL 3:4)',
    'UID FETCH 1:* FLAGS (PARTIAL)', 'UID SEARCH RETURN (PARTIAL 1:2 ALL) ALL', 'UID SEARCH RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL',
    'UID SEARCH RETURN (PARTIAL) ALL', 'UID SEARCH RETURN (PARTIAL 0:1) ALL', 'UID SEARCH RETURN (PARTIAL 1:4294967296) ALL'])
def test_syntax(box, wrong):
    box.bad(wrong)


@pytest.mark.parametrize('places,found', [
    ('-1:-3', [36, 38, 40]), ('1:5', [2, 4, 6, 8, 10]), ('19:40', [38, 40]), ('21:30', None), ('-21:-22', None)])
def test_search(box, places, found):
    """Section 3.1, its four examples; the range comes back as it was sent."""
    assert partial(box.ok('UID SEARCH RETURN (PARTIAL %s) UNDELETED UNKEYWORD $Junk' % places)) == (places, found)


@pytest.mark.parametrize('options,saved', [
    ('PARTIAL 3:4', [6, 8]), ('PARTIAL 3:4 MIN', [2, 6, 8]), ('PARTIAL 3:4 MAX', [6, 8, 40]), ('PARTIAL 3:4 MIN MAX', [2, 6, 8, 40]),
    ('PARTIAL 3:4 COUNT', UIDS), ('PARTIAL 3:4 COUNT MIN', UIDS)])
def test_save(box, options, saved):
    """Section 3.2, table 1."""
    box.ok('UID SEARCH RETURN (SAVE %s) ALL' % options)
    assert fetched(box.ok('UID FETCH $ UID')) == saved
