"""UNAUTHENTICATE (RFC 8437): another login on the same connection."""
import os
import time

import pytest

from support import mails
from support import server as support_server
from support.accounts import name_of
from support.imap import Closed
from support.server import PASSWORD

pytestmark = pytest.mark.martlet


def login(user):
    return 'LOGIN %s %s' % (user, PASSWORD)


@pytest.fixture(params=['plain', 'starttls', 'imaps'])
def c(server, user, request):
    c = server.connect(tls=request.param == 'imaps')
    if request.param == 'starttls':
        c.starttls()
    c.ok(login(user))
    yield c
    c.close()


def test_again(c, user):
    assert 'UNAUTHENTICATE' in [str(x) for x in c.ok('CAPABILITY').one('CAPABILITY').data]
    c.append('INBOX', mails.numbered(1))
    c.select()
    assert not c.ok('UNAUTHENTICATE').untagged
    c.bad('SELECT INBOX')
    c.bad('UNAUTHENTICATE')  # section 3: an invalid state
    assert 'UNAUTHENTICATE' not in [str(x) for x in c.ok('CAPABILITY').one('CAPABILITY').data]
    c.no('LOGIN %s wrong' % user, code='AUTHENTICATIONFAILED')
    c.ok(login(user + '-2'))
    assert int(c.ok('STATUS INBOX (MESSAGES)').one('STATUS').items()['MESSAGES']) == 0
    c.ok('UNAUTHENTICATE')
    c.ok(login(user))
    assert int(c.ok('STATUS INBOX (MESSAGES)').one('STATUS').items()['MESSAGES']) == 1


def test_pipelined(c, user):
    """Section 3: a new login may follow in the same packet, and all that comes after it."""
    tags = [c.tag() for _ in range(6)]
    words = ['APPEND INBOX {4+}\r\nx\r\n\r', 'NOOP', 'UNAUTHENTICATE', login(user + '-3'), 'STATUS INBOX (MESSAGES)', 'NOOP']
    c.send(''.join('%s %s\r\n' % (t, w) for t, w in zip(tags, words)))
    seen = []
    while len([x for x in seen if x.tag in tags]) < len(tags):
        seen.append(c.read(20))
    ends = [x for x in seen if x.tag in tags]
    assert all(x.kind == 'OK' for x in ends)
    assert {x.tag for x in ends[:2]} == set(tags[:2]) and [x.tag for x in ends[2:4]] == tags[2:4]
    assert [x for x in seen if x.kind == 'STATUS'][0].items()['MESSAGES'] in (0, '0', b'0')


def test_everything_is_reset(c, user):
    """Section 4.1: nothing of what was enabled or kept is there for the next one."""
    c.append('INBOX', mails.numbered(1))
    c.ok('ENABLE QRESYNC IMAP4rev2 UTF8=ACCEPT')
    c.ok('LANGUAGE ru')
    c.ok('NOTIFY SET (PERSONAL (MessageNew MessageExpunge))')
    c.select()
    c.ok('SEARCH RETURN (SAVE) ALL')
    c.ok('STORE 1 +FLAGS (\\Deleted)')
    c.ok('UNAUTHENTICATE')
    c.utf8 = False
    assert c.no('LOGIN %s wrong' % user).tagged.text == 'Wrong user name or password'
    c.ok(login(user))
    c.bad('FETCH 1 FLAGS')  # nothing is selected
    r = c.select()
    assert r.one('RECENT') and not any(x.code == 'CLOSED' for x in r.untagged)  # IMAP4rev1, and nothing was expunged
    assert r.one('EXISTS').num == 1
    assert c.ok('FETCH $ FLAGS').fetch() == {}
    assert 'MODSEQ' not in c.ok('FETCH 1 FLAGS').fetch()[1]
    c.bad('UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)')
    assert c.ok('NOOP').tagged.text == 'NOOP completed'


def test_not_while_compressed(server, user):
    from support.deflate import Deflate
    with server.connect() as c:
        c.ok(login(user))
        c.ok('COMPRESS DEFLATE')
        Deflate(c)
        assert 'UNAUTHENTICATE' not in [str(x) for x in c.ok('CAPABILITY').one('CAPABILITY').data]
        c.bad('UNAUTHENTICATE')
        c.ok('NOOP')


@pytest.fixture(scope='module')
def two():
    s = support_server.make(extra=['--setting', 'mail.processes=2'])
    yield s.start()
    s.stop()
    s.remove()


def descriptors(s):
    return sum(len(os.listdir('/proc/%d/fd' % pid)) for pid in s.pids())


@pytest.mark.parametrize('tls', [False, True])
def test_many_times_between_two_processes(two, tls):
    names = [name_of(0, 'aa'), name_of(1, 'bb')]
    with two.connect(tls=tls) as c:
        for i in range(4):
            c.ok(login(names[i % 2]))
            c.ok('UNAUTHENTICATE')
        before = descriptors(two)
        for i in range(300):
            c.ok(login(names[i % 2]))
            c.ok('UNAUTHENTICATE')
        deadline = time.monotonic() + 20  # what accounts had open is closed after a while
        while descriptors(two) > before + 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert descriptors(two) <= before + 2
        c.ok(login(names[0]))
        c.ok('NOOP')


def test_who_has_gone(two):
    """The client goes right after the command; nobody else is hurt."""
    for tls in (False, True):
        for _ in range(20):
            c = two.connect(tls=tls)
            c.ok(login(name_of(0, 'aa')))
            c.send('x UNAUTHENTICATE\r\n')
            c.close()
    with two.connect() as c:
        c.ok(login(name_of(0, 'aa')))
