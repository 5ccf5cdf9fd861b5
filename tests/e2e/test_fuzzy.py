"""SEARCH=FUZZY (RFC 6203)."""
import base64
import random

import pytest

from support import mails
from support.imap import LitPlus, expand

pytestmark = pytest.mark.martlet('SEARCH=FUZZY')

MAILS = [('hello world', 'first'), ('help wanted', 'second'), ('quite another matter', 'hello in the body'), ('Über uns', 'nothing'),
         ('swimming pool', 'straße'), ('world, hello', 'HELLO'), ('none', 'x')]


@pytest.fixture
def box(inbox):
    for i, (subject, body) in enumerate(MAILS):
        inbox.append('INBOX', ('Subject: =?utf-8?b?%s?=\r\nFrom: Dave Barman <dave%d@example.org>\r\nDate: Thu, %d Jan 2009 10:00:00 +0000\r\n'
                               'X-Note: recieved late\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n' %
                               (base64.b64encode(subject.encode()).decode(), i, 10 + i, body)).encode(),
                     '"%d-Jan-2009 10:00:00 +0000"' % (10 + i))
    return inbox


def found(c, what, text=None):
    return c.ok('SEARCH CHARSET UTF-8 ' + what, *([b' ', LitPlus(text.encode())] if text is not None else [])).search()


def relevancy(r):
    """[(number, score)] of RETURN (RELEVANCY ALL)"""
    data = r.one('ESEARCH').esearch()[2]
    scores = [int(x) for x in data['RELEVANCY']]
    assert all(1 <= x <= 100 for x in scores)
    numbers = expand(data['ALL'])
    assert len(numbers) == len(scores)
    return list(zip(numbers, scores))


def test_capability(c):
    assert 'SEARCH=FUZZY' in c.ok('CAPABILITY').one('CAPABILITY').data


def test_examples(box):
    """Sections 3 to 6: what "Helo" is similar to; the order; what is listed."""
    assert found(box, 'FUZZY SUBJECT work FROM dave') == []
    r = relevancy(box.ok('SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT "Helo"'))
    assert [n for n, _ in r] == [1, 2, 3, 6]
    assert [int(n) for n in box.ok('SORT (RELEVANCY) UTF-8 FUZZY SUBJECT "hello"').one('SORT').data] == [1, 6]
    r = relevancy(box.ok('SORT RETURN (RELEVANCY ALL) (RELEVANCY) UTF-8 FUZZY SUBJECT "Hello wrld"'))
    assert [n for n, _ in r] == [1, 6] and r[0][1] < 100
    data = box.ok('SORT RETURN (PARTIAL 1:2 RELEVANCY) (RELEVANCY) UTF-8 FUZZY TEXT "hello"').one('ESEARCH').esearch()[2]
    assert data['PARTIAL'] == ['1:2', '1,3'] and data['RELEVANCY'] == ['100', '100']


@pytest.mark.parametrize('key,text,numbers', [
    ('SUBJECT', 'uber', [4]), ('SUBJECT', 'ÜBER', [4]), ('SUBJECT', 'swim', [5]), ('SUBJECT', 'wolrd', [1, 6]), ('SUBJECT', 'hello world', [1, 6]),
    ('SUBJECT', 'hello pool', []), ('SUBJECT', 'xyzzy', []), ('FROM', 'Dvae', list(range(1, 8))), ('FROM', 'barmann', list(range(1, 8))),
    ('FROM', 'dave3', [1, 2, 3, 4, 5, 6, 7]), ('BODY', 'strasse', [5]), ('BODY', 'helo', [3, 6]), ('TEXT', 'matter body', [3]),
    ('HEADER X-Note', 'received', list(range(1, 8))), ('HEADER X-Note', 'nothing', []), ('SUBJECT', '', list(range(1, 8))),
    ('TEXT', 'a b c d e f g h i j', []), ('SUBJECT', '!?', [])])
def test_text(box, key, text, numbers):
    assert found(box, 'FUZZY ' + key, text) == numbers
    assert set(found(box, key, text)) <= set(numbers)  # what is exact is among them


def test_exact_is_best(box):
    r = dict(relevancy(box.ok('SEARCH RETURN (RELEVANCY ALL) FUZZY SUBJECT "help"')))
    assert r[2] == 100 and all(x < 100 for n, x in r.items() if n != 2)
    r = dict(relevancy(box.ok('SEARCH RETURN (RELEVANCY ALL) FUZZY SUBJECT "hello world"')))
    assert r == {1: 100, 6: 100}


def test_not_forgiving(box):
    """Section 3: FUZZY is about the next key only."""
    assert found(box, 'SUBJECT wolrd') == []
    assert found(box, 'FUZZY SUBJECT wolrd FROM dvae') == []
    assert found(box, 'FUZZY (SUBJECT wolrd FROM dvae)') == [1, 6]
    assert found(box, 'FUZZY OR SUBJECT wolrd SUBJECT pools') == [1, 5, 6]
    assert found(box, 'NOT FUZZY SUBJECT wolrd') == [2, 3, 4, 5, 7]
    assert found(box, 'FUZZY NOT SUBJECT wolrd') == [2, 3, 4, 5, 7]


def test_dates_and_sizes(box):
    """Section 5: the further away, the lower; flags and UIDs are exact."""
    r = relevancy(box.ok('SEARCH RETURN (RELEVANCY ALL) FUZZY (FROM "Dave" SINCE 14-Jan-2009 BEFORE 15-Jan-2009)'))
    scores = dict(r)
    assert list(scores) == [1, 2, 3, 4, 5, 6, 7] and scores[5] == 100
    assert scores[1] < scores[2] < scores[3] < scores[4] < 100 and scores[7] < scores[6] < 100
    assert found(box, 'FUZZY ON 25-Jan-2009') == [] and found(box, 'FUZZY SENTON 23-Jan-2009') == [7]
    size = int(box.ok('FETCH 1 RFC822.SIZE').fetch()[1]['RFC822.SIZE'])
    assert found(box, '1 FUZZY LARGER %d' % (size + 10)) == [1] and found(box, '1 LARGER %d' % (size + 10)) == []
    assert found(box, '1 FUZZY LARGER %d' % (size * 2)) == [] and found(box, '1 FUZZY SMALLER %d' % (size - 10)) == [1]
    assert found(box, 'FUZZY UID 3') == [3] and found(box, 'FUZZY FLAGGED') == []


def test_bad(box):
    """Sections 4 and 6: RELEVANCY needs FUZZY."""
    box.bad('SEARCH RETURN (RELEVANCY ALL) TEXT x')
    box.bad('SORT (RELEVANCY) UTF-8 ALL')
    box.bad('SEARCH FUZZY')


def test_relevancy_alone_and_partial(box):
    data = box.ok('SEARCH RETURN (RELEVANCY) FUZZY SUBJECT helo').one('ESEARCH').esearch()[2]
    assert list(data) == ['RELEVANCY'] and len(data['RELEVANCY']) == 3
    data = box.ok('SEARCH RETURN (PARTIAL 2:3 RELEVANCY) FUZZY SUBJECT helo').one('ESEARCH').esearch()[2]
    assert data['PARTIAL'] == ['2:3', '2,6'] and len(data['RELEVANCY']) == 2
    data = box.ok('SEARCH RETURN (ALL RELEVANCY COUNT) FUZZY SUBJECT zzzzzz').one('ESEARCH').esearch()[2]
    assert data == {'COUNT': '0'}
    r = box.ok('SORT RETURN (ALL RELEVANCY) (REVERSE RELEVANCY) UTF-8 FUZZY SUBJECT hell')
    scores = [s for _, s in relevancy(r)]
    assert scores == sorted(scores) and len(scores) == 3


def test_uid_and_esearch(box):
    r = box.ok('ESEARCH IN (personal) RETURN (ALL RELEVANCY) FUZZY SUBJECT help')
    assert dict(relevancy(r))[2] == 100
    box.ok('SETMETADATA "" (/private/filters/values/near "SUBJECT wolrd")')
    assert found(box, 'FUZZY FILTER near') == [1, 6] and found(box, 'FILTER near') == []
    assert [n for n, _ in relevancy(box.ok('SEARCH RETURN (ALL RELEVANCY) FUZZY FILTER near'))] == [1, 6]


def test_context(box, session):
    """RFC 5267: a message that comes later has its place."""
    tag = box.start('SORT RETURN (UPDATE ALL) (RELEVANCY) UTF-8 FUZZY SUBJECT "hello"')
    assert box.wait(tag).one('ESEARCH').esearch()[2]['ALL'] == '1,6'
    session().append('INBOX', mails.numbered(1, Subject='helol'))
    session().append('INBOX', mails.numbered(1, Subject='say hello'))
    news = [e.esearch()[2] for _ in range(3) for e in box.noop().all('ESEARCH')]
    assert any('ADDTO' in x for x in news)


def test_large_and_strange(inbox):
    """Section 8: long words, random octets, long keys."""
    rng = random.Random(8)
    inbox.append('INBOX', b'Subject: a\r\n\r\n' + b'x' * 900000 + b'\r\n')
    inbox.append('INBOX', b'Subject: b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n' +
                 bytes(rng.choice(range(1, 256)) for _ in range(200000)).replace(b'\n', b' ').replace(b'\r', b' ') + b'\r\nneedle\r\n')
    assert found(inbox, 'FUZZY BODY xxxxxxx') == [1]
    assert found(inbox, 'FUZZY BODY needel') == [2]
    assert found(inbox, 'FUZZY BODY', 'y' * 5000) == []
    assert found(inbox, 'FUZZY BODY', 'z ' * 5000) == []
