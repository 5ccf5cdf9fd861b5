"""MESSAGELIMIT and SAVELIMIT (RFC 9738), and their search keys UIDAFTER and UIDBEFORE."""
import pytest

from support import mails
from support.imap import LitPlus
from support.server import PASSWORD


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


# -- the limits: announced, and nothing is ever cut short

def many(n):
    parts = ['APPEND INBOX']
    for i in range(n):
        parts += [' ', LitPlus(b'Subject: %d\r\n\r\n' % i)]
    return parts


def names(c):
    return c.ok('CAPABILITY').one('CAPABILITY').data


@pytest.mark.martlet
def test_savelimit(c):
    assert 'SAVELIMIT=10000' in names(c)
    assert not [n for n in names(c) if n.startswith('MESSAGELIMIT')]  # one of them only


@pytest.mark.martlet
def test_append_over_the_limit(inbox):
    """As a whole or not at all."""
    r = inbox.cmd(*many(10001), timeout=60)
    assert (r.status, r.code, r.code_args) == ('NO', 'MESSAGELIMIT', ['10000'])
    inbox.noop()
    assert inbox.ok('SEARCH ALL').search() == []
    assert inbox.ok(*many(10000), timeout=60).code == 'APPENDUID'


@pytest.mark.martlet
@pytest.mark.settings('imap.message_limit=1000')
def test_messagelimit(own_server):
    c = own_server.connect()
    c.login('limited', PASSWORD)
    assert 'MESSAGELIMIT=1000' in names(c)
    assert not [n for n in names(c) if n.startswith('SAVELIMIT')]
    c.ok('CREATE There')
    c.select()
    assert c.cmd(*many(1001)).code == 'MESSAGELIMIT'
    for _ in range(2):
        c.ok(*many(900))
    c.noop()
    # A client that does not know of it sees and does everything.
    assert len(c.ok('FETCH 1:* UID').fetch()) == 1800
    assert len(c.ok('UID SEARCH ALL').search()) == 1800
    assert len(c.ok('STORE 1:* +FLAGS (\\Seen)').fetch()) == 1800
    assert c.ok('COPY 1:* There').code == 'COPYUID'
    c.ok('MOVE 1:* There')
    assert c.ok('STATUS There (MESSAGES)').one('STATUS').items()['MESSAGES'] == '3600'
    c.ok('SELECT There')
    c.ok('STORE 1:* +FLAGS.SILENT (\\Deleted)')
    c.ok('UID EXPUNGE 1:*')
    assert c.ok('SEARCH ALL').search() == []
    c.close()
