"""I18NLEVEL=1 and 2 (RFC 5255 section 4): COMPARATOR, and what SEARCH, SORT and THREAD compare by."""
import base64

import pytest

from support.imap import LitPlus

pytestmark = pytest.mark.martlet('I18NLEVEL')

UCM = 'i;unicode-casemap'
# Section 4.6, the example: (1) to (4)
EXAMPLE = [('utf-8', 'D0 C0 D0 BD D0 B4 D1 80 D0 B5 D0 B9'), ('utf-8', 'D1 81 D0 95 D0 A0 D0 93 D0 95 D0 99'),
           ('utf-8', 'D0 92 D0 B0 D1 81 D0 B8 D0 BB D0 B8 FF B9'), ('KOI8-R', 'E1 CC C5 CB D3 C5 CA')]


def word(charset, octets):
    return '=?%s?q?%s?=' % (charset, ''.join('=' + x for x in octets.split()))


def encoded(text):
    return '=?utf-8?b?%s?=' % base64.b64encode(text.encode()).decode()


def comparator(r):
    data = r.one('COMPARATOR').data
    return [x.decode() if isinstance(x, bytes) else str(x) for x in data]


def sort(c, what):
    return [int(n) for n in c.ok('SORT (%s) UTF-8 ALL' % what).one('SORT').data]


def test_capability(c, connect):
    assert {'I18NLEVEL=1', 'I18NLEVEL=2'} <= set(c.ok('CAPABILITY').one('CAPABILITY').data)
    assert 'I18NLEVEL=2' not in connect().ok('CAPABILITY').one('CAPABILITY').data


@pytest.mark.parametrize('field,key', [('Subject', 'SUBJECT'), ('From', 'DISPLAYFROM'), ('To', 'DISPLAYTO')])
def test_example_of_order(inbox, field, key):
    """Section 4.6: what is text first, then the rest as octets: (4) (2) (3) (1)."""
    for charset, octets in EXAMPLE:
        value = word(charset, octets) + (' <x@example.org>' if field != 'Subject' else '')
        inbox.append('INBOX', ('%s: %s\r\n\r\nx\r\n' % (field, value)).encode())
    assert sort(inbox, key) == [4, 2, 3, 1]
    assert sort(inbox, 'REVERSE ' + key) == [1, 3, 2, 4]


def test_unknown_charset_sorts_last(inbox):
    for subject in '=?x-none-such?q?abc=E4?=', 'zebra', encoded('ä'), '=?x-none-such?q?ABC=E4?=', encoded('Äpfel'):
        inbox.append('INBOX', ('Subject: %s\r\n\r\nx\r\n' % subject).encode())
    assert sort(inbox, 'SUBJECT') == [3, 5, 2, 4, 1]  # i;octet: capitals first
    inbox.ok('COMPARATOR -i;unicode-casemap')  # and that is not inverted
    assert sort(inbox, 'SUBJECT') == [2, 5, 3, 4, 1] and sort(inbox, 'REVERSE SUBJECT') == [1, 4, 3, 5, 2]


@pytest.mark.parametrize('order', ['', ' default', ' i;unicode-casemap', ' "i;*"', ' "*"', ' "*;unicode*"', ' I;UNICODE-CASEMAP', ' +i;unicode-casemap',
                                   ' "cz;*" i;unicode-casemap', ' i;basic i;none default', ' "*casemap"', ' "i*;*e*-*p"'])
def test_comparator(c, order):
    assert comparator(c.ok('COMPARATOR' + order)) == [UCM]
    assert comparator(c.ok('COMPARATOR')) == [UCM]


@pytest.mark.parametrize('order', ['"cz;*"', 'i;basic', 'i;octet', 'i;ascii-casemap', '"i;unicode"', '"*x"', '"cz;*" i;basic', 'unicode-casemap'])
def test_no_such_comparator(c, order):
    """Section 4.9; the active one stays."""
    c.ok('COMPARATOR -i;unicode-casemap')
    c.no('COMPARATOR ' + order, code='BADCOMPARATOR')
    assert comparator(c.ok('COMPARATOR')) == ['-' + UCM]


@pytest.mark.parametrize('order', ['""', '"i unicode"', '-', '"+"', '1;x', '"i;**"', '"' + 'a' * 300 + '"', '"i;ü"'])
def test_not_a_comparator(c, order):
    c.bad('COMPARATOR ' + order)
    c.bad('COMPARATOR default ' + order)
    assert comparator(c.ok('COMPARATOR')) == [UCM]


def test_states(c, connect):
    """Section 4.7: in the authenticated and the selected state."""
    connect().bad('COMPARATOR')
    c.select('INBOX')
    assert comparator(c.ok('COMPARATOR ', LitPlus('i;unicode-casemap'))) == [UCM]


SUBJECTS = ['straße', 'STRASSE', 'Ångström', 'angstrom', 'ПРИВЕТ', 'привет', 'ｆish', 'Re: привет', 'Zebra', 'apfel']


@pytest.fixture
def box(inbox):
    for i, s in enumerate(SUBJECTS):
        inbox.append('INBOX', ('Subject: %s\r\nFrom: %s <u%d@example.org>\r\nDate: Thu, 1 Jan 2004 00:00:%02d +0000\r\nX-A: %s\r\n'
                               'Content-Type: text/plain; charset=utf-8\r\n\r\nbody %s\r\n' %
                               (('Re: ' if s.startswith('Re: ') else '') + encoded(s.replace('Re: ', '')), encoded(s), i, i, encoded(s), s)).encode())
    return inbox


def found(box, key, text):
    return box.ok('SEARCH CHARSET UTF-8 %s ' % key, LitPlus(text.encode())).search()


@pytest.mark.parametrize('key', ['SUBJECT', 'FROM', 'TEXT', 'BODY', 'HEADER X-A'])
def test_search(box, key):
    """Section 4.2: RFC 5051: titlecase, then decomposed."""
    assert found(box, key, 'приВЕТ') == [5, 6, 8]
    assert found(box, key, 'ÅNG') == [3]
    assert found(box, key, 'A\u030anGSTR') == [3]  # decomposed
    assert found(box, key, 'FISH') == [7]  # a compatibility decomposition
    assert found(box, key, 'STRASSE') == [2] and found(box, key, 'STRAßE') == [1]  # simple mappings
    assert found(box, key, 'ANG') == [4]


def test_sort_and_thread(box):
    """Equal ones stay in their order; THREAD compares by it, too."""
    order = sort(box, 'SUBJECT')
    assert order[:2] == [4, 10] and [order.index(n) for n in (5, 6, 8)] == sorted(order.index(n) for n in (5, 6, 8))
    assert order.index(6) == order.index(5) + 1 and order.index(8) == order.index(6) + 1
    threads = box.ok('THREAD ORDEREDSUBJECT UTF-8 ALL').one('THREAD').raw
    assert b'(5 (6)(8))' in threads or b'(5 6 8)' in threads


def test_inverted(box):
    """RFC 4790 section 3.4: "-" inverts the order, of text only."""
    plain = {k: sort(box, k) for k in ('SUBJECT', 'FROM', 'DISPLAYFROM', 'ARRIVAL', 'DATE', 'SIZE')}
    reverse = {k: sort(box, 'REVERSE ' + k) for k in plain}
    assert comparator(box.ok('COMPARATOR "-i;*"')) == ['-' + UCM]
    for k in 'SUBJECT', 'FROM', 'DISPLAYFROM':
        assert sort(box, k) == reverse[k] and sort(box, 'REVERSE ' + k) == plain[k]
    for k in 'ARRIVAL', 'DATE', 'SIZE':
        assert sort(box, k) == plain[k] and sort(box, 'REVERSE ' + k) == reverse[k]
    assert found(box, 'SUBJECT', 'приВЕТ') == [5, 6, 8]
    box.ok('COMPARATOR default')
    assert sort(box, 'SUBJECT') == plain['SUBJECT']


def test_its_own_session(box, session):
    other = session('INBOX')
    box.ok('COMPARATOR -i;unicode-casemap')
    assert comparator(other.ok('COMPARATOR')) == [UCM]
    assert sort(other, 'SUBJECT') != sort(box, 'SUBJECT')
