"""SORT (RFC 5256), SORT=DISPLAY (RFC 5957), ESORT (RFC 5267 section 3)."""
import email.utils
import random
import time

import pytest

from support.imap import LitPlus, expand


def order(r):
    return [int(n) for n in r.one('SORT').data if not isinstance(n, list)]


def message(subject='', sender='a@x', to='b@x', date=None, cc=None, body='x'):
    lines = ['From: ' + sender, 'To: ' + to]
    if subject is not None:
        lines.append('Subject: ' + subject)
    if date is not None:
        lines.append('Date: ' + date)
    if cc:
        lines.append('Cc: ' + cc)
    return '\r\n'.join(lines) + '\r\n\r\n' + body + '\r\n'


def fill(c, messages, internal=None):
    for i, m in enumerate(messages):
        stamp = '"%s" ' % internal[i] if internal else ''
        c.ok('APPEND INBOX ' + stamp, LitPlus(m))
    c.noop()


def test_capabilities(c):
    assert {'SORT', 'SORT=DISPLAY', 'ESORT'} <= set(c.ok('CAPABILITY').one('CAPABILITY').data)


def test_subject(inbox):
    """Section 2.1: by base subject, without regard to case; equal ones in the mailbox's order."""
    fill(inbox, [message(s) for s in ('Re: beta', 'alpha', '[list] Gamma', 'BETA (fwd)', None, 'Fwd: ALPHA',
                                      '=?utf-8?Q?=C3=84pfel?=')])
    assert order(inbox.ok('SORT (SUBJECT) UTF-8 ALL')) == [5, 2, 6, 7, 1, 4, 3]
    # "Äpfel" decomposes to "A" and a mark: behind "ALPHA", before "BETA" (RFC 5051)
    assert order(inbox.ok('SORT (REVERSE SUBJECT) UTF-8 ALL')) == [3, 1, 4, 7, 2, 6, 5]
    assert order(inbox.ok('SORT (SUBJECT) UTF-8 SUBJECT alpha')) == [2, 6]
    assert order(inbox.ok('SORT (SUBJECT) US-ASCII SUBJECT "not there"')) == []
    assert order(inbox.ok('UID SORT (SUBJECT) UTF-8 1:3')) == [2, 1, 3]


def test_dates(inbox):
    """Section 2.2: the sent date in UTC, the INTERNALDATE where there is none."""
    fill(inbox, [message(date='Sun, 31 Dec 2000 16:01:33 -0800'), message(date='Mon, 1 Jan 2001 00:01:32 +0000'),
                 message(), message(date='rubbish'), message(date='1 Jan 1970 00:00:00 +0000'),
                 message(date='31 Dec 1969 00:00:00 +0000')],
         ['05-Jan-2020 00:00:0%d +0000' % (9 - i) for i in range(2)]
         + ['01-Jan-2001 00:01:30 +0000', '02-Jan-2001 00:00:00 +0000', '03-Jan-2020 00:00:00 +0000',
            '03-Jan-2020 00:00:00 +0000'])
    assert order(inbox.ok('SORT (DATE) UTF-8 ALL')) == [6, 5, 3, 2, 1, 4]
    assert order(inbox.ok('SORT (REVERSE DATE) UTF-8 ALL')) == [4, 1, 2, 3, 5, 6]
    assert order(inbox.ok('SORT (ARRIVAL) UTF-8 ALL')) == [3, 4, 5, 6, 2, 1]
    assert order(inbox.ok('SORT (REVERSE ARRIVAL) UTF-8 ALL')) == [1, 2, 5, 6, 4, 3]


def test_addresses(inbox):
    """Sections 3 and RFC 5957 section 4: addr-mailbox of the first address; the name that is displayed."""
    fill(inbox, [message(sender='Zoe <anna@z>', to='q@x', cc='c2@x'), message(sender='bert@a', to='p@x, a@x'),
                 message(sender='=?utf-8?B?w4Rubmk=?= <carl@b>', to='"Adam" <z@x>', cc='C1@y')])
    assert order(inbox.ok('SORT (FROM) UTF-8 ALL')) == [1, 2, 3]
    assert order(inbox.ok('SORT (DISPLAYFROM) UTF-8 ALL')) == [3, 2, 1]
    assert order(inbox.ok('SORT (TO) UTF-8 ALL')) == [2, 1, 3]
    assert order(inbox.ok('SORT (DISPLAYTO) UTF-8 ALL')) == [3, 2, 1]
    assert order(inbox.ok('SORT (CC) UTF-8 ALL')) == [2, 3, 1]


def test_several_criteria(inbox):
    """Section 3, second example: each criterion breaks the ties of those before it."""
    fill(inbox, [message('b', date='2 Jan 2001 00:00:00 +0000'), message('b', date='3 Jan 2001 00:00:00 +0000'),
                 message('a', date='1 Jan 2001 00:00:00 +0000'), message('a', date='1 Jan 2001 00:00:00 +0000'),
                 message('a', date='4 Jan 2001 00:00:00 +0000', body='longer' * 9)])
    assert order(inbox.ok('SORT (SUBJECT REVERSE DATE) UTF-8 ALL')) == [5, 3, 4, 2, 1]
    assert order(inbox.ok('SORT (REVERSE SUBJECT DATE) UTF-8 ALL')) == [1, 2, 3, 4, 5]
    assert order(inbox.ok('SORT (REVERSE SIZE SUBJECT DATE) UTF-8 ALL')) == [5, 3, 4, 1, 2]


def test_esort(inbox):
    """RFC 5267 section 3.1: ALL in the order of the sort, MIN the first of it, MAX the last."""
    fill(inbox, [message(s) for s in 'dcabe'])
    got = inbox.ok('SORT RETURN (ALL) (SUBJECT) UTF-8 ALL').one('ESEARCH').esearch()
    assert got[1] is False and expand(got[2]['ALL']) == [3, 4, 2, 1, 5] and ':' in got[2]['ALL']
    got = inbox.ok('UID SORT RETURN (MIN MAX COUNT) (REVERSE SUBJECT) UTF-8 ALL').one('ESEARCH').esearch()
    assert got[1] is True and got[2] == {'MIN': '5', 'MAX': '3', 'COUNT': '5'}
    assert inbox.ok('SORT RETURN () (SUBJECT) UTF-8 1:2').one('ESEARCH').esearch()[2] == {'ALL': '2,1'}
    assert inbox.ok('SORT RETURN (ALL) (SUBJECT) UTF-8 KEYWORD no').one('ESEARCH').esearch()[2] == {}


def test_modseq(inbox):
    """RFC 7162 sections 3.1.9 and 3.1.10, example 20."""
    fill(inbox, [message(s) for s in 'ba'])
    inbox.ok('STORE 1 +FLAGS.SILENT (x)')
    modseqs = {n: i['MODSEQ'][0] for n, i in inbox.ok('FETCH 1:2 MODSEQ').fetch().items()}
    r = inbox.ok('SORT (SUBJECT) UTF-8 MODSEQ 1').one('SORT')
    assert r.data == ['2', '1', ['MODSEQ', modseqs[1]]]
    got = inbox.ok('SORT RETURN (MIN) (SUBJECT) UTF-8 MODSEQ 1').one('ESEARCH').esearch()[2]
    assert got == {'MIN': '2', 'MODSEQ': modseqs[2]}


@pytest.mark.parametrize('command', [
    'SORT', 'SORT SUBJECT UTF-8 ALL', 'SORT () UTF-8 ALL', 'SORT (SUBJECT)', 'SORT (SUBJECT) UTF-8', 'SORT (X) UTF-8 ALL',
    'SORT (REVERSE) UTF-8 ALL', 'SORT (REVERSE REVERSE DATE) UTF-8 ALL', 'SORT (SUBJECT) ALL',
    'SORT RETURN (X) (DATE) UTF-8 ALL'])
def test_malformed(inbox, command):
    inbox.bad(command)


def test_charset(inbox):
    inbox.no('SORT (SUBJECT) KLINGON ALL', code='BADCHARSET')


def test_random(inbox):
    """Against a reference, with ties, over more than one slice of work."""
    rng = random.Random(5)
    words = ['apple', 'Pear', 'fig', 'Re: fig', '[x] apple', 'kiwi (fwd)']
    rows = []
    parts = ['APPEND INBOX']
    for i in range(3000):
        when = 1000000000 + rng.randrange(50) * 3600
        row = (rng.choice(words), rng.choice('abcdef') + '@x', when, rng.randrange(4))
        rows.append(row)
        parts += [' ', LitPlus(message(row[0], row[1], date=email.utils.formatdate(when), body='y' * row[3]))]
    inbox.ok(*parts)
    inbox.noop()
    base = {'Re: fig': 'FIG', '[x] apple': 'APPLE', 'kiwi (fwd)': 'KIWI'}
    keys = {'SUBJECT': lambda i: base.get(rows[i][0], rows[i][0].upper()), 'FROM': lambda i: rows[i][1][0].upper(),
            'DATE': lambda i: rows[i][2]}
    for _ in range(8):
        criteria = [(rng.choice(['', 'REVERSE ']), k) for k in rng.sample(sorted(keys), rng.randint(1, 3))]
        want = list(range(3000))
        for reverse, k in reversed(criteria):
            want.sort(key=keys[k], reverse=False) if not reverse else want.sort(key=Reversed(keys[k]))
        text = ' '.join(r + k for r, k in criteria)
        assert order(inbox.ok('SORT (%s) UTF-8 ALL' % text)) == [i + 1 for i in want], text


class Reversed:
    """A sort key in descending order that keeps ties in place."""

    def __init__(self, key):
        self.key = key

    def __call__(self, i):
        return Descending(self.key(i))


class Descending:
    def __init__(self, value):
        self.value = value

    def __lt__(self, other):
        return other.value < self.value


def test_side_by_side(inbox):
    """SORT answers do not tell their tag: two of them are not run together, and stay in order."""
    fill(inbox, [message(s) for s in 'cab'])
    tags = inbox.pipeline('SORT (SUBJECT) UTF-8 ALL', 'SORT (REVERSE SUBJECT) UTF-8 ALL')
    began = time.monotonic()
    results = [inbox.wait(t) for t in tags]
    assert time.monotonic() - began < 10
    assert [order(r) for r in results] == [[2, 3, 1], [1, 3, 2]]
