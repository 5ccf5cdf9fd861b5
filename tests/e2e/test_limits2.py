"""UIDAFTER and UIDBEFORE, the search keys of MESSAGELIMIT (RFC 9738 section 3.4)."""
import pytest

from support import mails
from support.imap import LitPlus


@pytest.fixture
def box(inbox):
    """UIDs 2, 4, 6, 8, 10."""
    parts = ['APPEND INBOX']
    for i in range(10):
        parts += [' ', LitPlus(mails.numbered(i))]
    inbox.ok(*parts)
    inbox.noop()
    inbox.ok('STORE 1,3,5,7,9 +FLAGS.SILENT (\\Deleted)')
    inbox.ok('EXPUNGE')
    return inbox


@pytest.mark.parametrize('keys,found', [
    ('UIDAFTER 4', [6, 8, 10]), ('UIDAFTER 5', [6, 8, 10]), ('UIDAFTER 10', []), ('UIDAFTER 4294967295', []),
    ('UIDBEFORE 1', []), ('UIDBEFORE 2', []), ('UIDBEFORE 7', [2, 4, 6]), ('UIDAFTER 2 UIDBEFORE 10', [4, 6, 8]),
    ('NOT UIDAFTER 4', [2, 4]), ('OR UIDBEFORE 3 UIDAFTER 8', [2, 10])])
def test_keys(box, keys, found):
    assert box.ok('UID SEARCH ' + keys).search() == found


def test_saved(box):
    """Searches may be pipelined with the result of the one before."""
    tags = box.pipeline('UID SEARCH RETURN (SAVE MIN) UID 5:*', 'UID SEARCH UIDAFTER $', 'UID SEARCH UIDBEFORE $')
    found = [r for t in tags for r in box.wait(t).all('SEARCH')]
    assert sorted([int(n) for n in r.data] for r in found) == [[2, 4], [8, 10]]


def test_nothing_saved(box):
    box.ok('UID SEARCH RETURN (SAVE) UID 77')
    assert box.ok('UID SEARCH UIDAFTER $').search() == []
    assert box.ok('UID SEARCH UIDBEFORE $').search() == []


@pytest.mark.parametrize('wrong', ['UIDAFTER', 'UIDAFTER 0', 'UIDAFTER 1:2', 'UIDAFTER *', 'UIDBEFORE 1,3', 'UIDBEFORE x'])
def test_syntax(box, wrong):
    box.bad('UID SEARCH ' + wrong)
