"""Settings that change what clients meet: LITERAL-, order of commands, limits, timeouts, users.

RFC 7888 section 5 (LITERAL-), RFC 9051 sections 5.4 and 5.5.
"""
import subprocess
import time

import pytest

from support import mails
from support.imap import SLOW, Closed, Lit, LitPlus
from support.server import PASSWORD, ROOT, BUILD_TYPE

pytestmark = pytest.mark.martlet('settings')
settings = pytest.mark.settings


def login(s, user='u', mailbox=None, **more):
    c = s.connect(**more)
    c.login(user, PASSWORD)
    if mailbox:
        c.select(mailbox)
    return c


def heavy(c):
    """INBOX with a search that takes a while."""
    c.append('INBOX', mails.numbered(1, 120000))
    c.select()
    for _ in range(8):
        c.ok('COPY 1:* INBOX')
        c.noop()


def order(c, tags):
    start = len(c.log)
    for tag in tags:
        c.wait(tag, 60)
    return [r.tag for r in c.log[start:] if r.tag in tags]


@settings('imap.literal=minus')
def test_literal_minus(own_server):
    """RFC 7888 section 5: up to 4096 octets; beyond that BAD or BYE; LITERAL+ is not advertised."""
    c = login(own_server)
    caps = [a.upper() for a in c.ok('CAPABILITY').one('CAPABILITY').data]
    assert 'LITERAL-' in caps and 'LITERAL+' not in caps
    message = b'Subject: x\r\n\r\n' + b'y' * 4080 + b'\r\n'
    assert len(message) <= 4096
    c.append('INBOX', message)
    c.ok('APPEND INBOX ', Lit(message + b'z' * 5000))
    try:
        r = c.cmd('APPEND INBOX ', LitPlus(message + b'z' * 5000))
        assert r.status in ('BAD', 'NO')
        c.ok('NOOP')
    except Closed:
        assert c.log[-1].kind == 'BYE'
    assert login(own_server).select().one('EXISTS').num == 2


@settings('imap.side_by_side=false')
def test_in_order(own_server):
    """Issue: a setting turns the side-by-side running off."""
    c = login(own_server)
    heavy(c)
    for _ in range(3):
        tags = c.pipeline('SEARCH TEXT "not to be found"', 'NOOP', 'STATUS INBOX (MESSAGES)', 'FETCH 1 FLAGS')
        assert order(c, tags) == tags


@settings('imap.in_order_clients=["Careless Mail"]')
def test_in_order_for_a_named_client(own_server):
    """Issue: ... also for named clients (by ID, before or after login)."""
    c = login(own_server)
    heavy(c)
    tags = c.pipeline('SEARCH TEXT "not to be found"', 'NOOP')
    assert order(c, tags) == tags[::-1]
    for before in (True, False):
        c = own_server.connect()
        if before:
            c.ok('ID ("name" "Careless Mail")')
        c.login('u', PASSWORD)
        if not before:
            c.ok('ID ("name" "Careless Mail" "version" "1.0")')
        c.select()
        tags = c.pipeline('SEARCH TEXT "not to be found"', 'NOOP')
        assert order(c, tags) == tags


@settings('imap.line_max=8kb', 'imap.literal_max=100kb', 'imap.nesting_max=5', 'imap.search_nodes_max=10',
          'imap.arguments_max=10', 'imap.bad_commands=5', 'lmtp.message_max=100kb')
def test_limits(own_server):
    """Each limit: an answer with a reason; the session goes on; what is within works."""
    c = login(own_server, mailbox='INBOX')
    c.append('INBOX', mails.numbered(1, 90000))
    c.noop()

    def refused(*parts):
        r = c.cmd(*parts)
        assert r.status in ('BAD', 'NO') and r.text, r
        c.ok('NOOP')
        return r
    refused('SEARCH ' + 'UNSEEN ' * 3000 + 'ALL')
    tag = c.start('APPEND INBOX ', Lit(b'x' * 200000))
    r = c.wait(tag)
    assert r.status == 'NO' and r.code in ('TOOBIG', 'LIMIT')
    c.ok('NOOP')
    r = refused('APPEND INBOX ', LitPlus(b'x' * 200000))
    c.ok('SEARCH ((((ALL))))')
    refused('SEARCH ' + '(' * 20 + 'ALL' + ')' * 20)
    c.ok('SEARCH SEEN UNSEEN ALL')
    refused('SEARCH ' + ' '.join(['SEEN'] * 30))
    refused('FETCH 1 BODY.PEEK[HEADER.FIELDS (%s)]' % ' '.join('H%d' % i for i in range(30)))
    with pytest.raises(Closed):
        for _ in range(20):
            c.cmd('FROB')
    assert c.log[-1].kind == 'BYE' or any(x.kind == 'BYE' for x in c.log[-3:])


@settings('login.timeout=1s')
def test_login_timeout(own_server):
    """Issue: unfinished logins end, with BYE; those that logged in stay."""
    c = login(own_server)
    began = time.monotonic()
    waiting = [own_server.connect(), own_server.connect(tls=True)]
    for w in waiting:
        seen = w.closed(10 * SLOW)
        assert any(r.kind == 'BYE' for r in seen)
    assert time.monotonic() - began < 8 * SLOW
    c.ok('NOOP')


@pytest.mark.slow
@settings('imap.idle_timeout=60s')
def test_idle_timeout(own_server):
    """Section 5.4: a session without commands ends with BYE (here sooner than allowed)."""
    c = login(own_server)
    began = time.monotonic()
    assert any(r.kind == 'BYE' for r in c.closed(90 * SLOW))
    assert time.monotonic() - began > 55


@settings('login.unfinished=20', 'login.processes=1')
def test_too_many_unfinished_logins(own_server):
    """Issue: beyond the limit the oldest unfinished connection goes; a real client comes in."""
    waiting = [own_server.connect() for _ in range(40)]
    c = login(own_server, mailbox='INBOX')
    c.ok('NOOP')
    gone = 0
    for w in waiting:
        if w.readable(0.2):
            try:
                while True:
                    w.read(0.5)
            except (Closed, TimeoutError) as e:
                gone += isinstance(e, Closed)
    assert gone >= 15, gone


@settings('mailboxes={ Ideas = none, Rubbish = trash }')
def test_default_mailboxes(own_server):
    """Issue: the mailboxes of new accounts are configurable."""
    c = login(own_server)
    names = c.ok('LIST "" *').names()
    assert set(names) == {b'INBOX', b'Ideas', b'Rubbish'}
    r = c.ok('LIST (SPECIAL-USE) "" *')
    assert r.names() == [b'Rubbish']


def test_any_user_password_needs_loopback():
    """Issue: --any-user-password is refused unless every listener is on a loopback address."""
    p = subprocess.run(['script/server', '--dir', '/tmp/never', '--any-user-password', 'x', '--build-type', BUILD_TYPE,
                        '--setting', 'imap.listen=["*:0"]'], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=600)
    assert p.returncode != 0
    assert b'loopback' in p.stdout and b'\nready\n' not in p.stdout


def test_users(tmp_path):
    """--user NAME:PASSWORD, repeatable."""
    from support import server as support_server

    class Named(support_server.Martlet):
        def command(self):
            words = super().command()
            at = words.index('--any-user-password')
            return words[:at] + ['--user', 'ann:one', '--user', 'bob:two:three'] + words[at + 2:]
    s = Named()
    s.start()
    try:
        for user, password, good in (('ann', 'one', True), ('bob', 'two:three', True), ('ann', 'two', False),
                                     ('eve', 'one', False), ('ann', '', False)):
            c = s.connect()
            r = c.cmd('LOGIN %s "%s"' % (user, password))
            assert r.status == ('OK' if good else 'NO'), (user, r)
    finally:
        s.stop()
        s.remove()


def test_demo_account(tmp_path):
    """Without options there is a demo account, whose password is printed, with sample messages."""
    import re
    from support import server as support_server

    class Demo(support_server.Martlet):
        def command(self):
            words = super().command()
            at = words.index('--any-user-password')
            return words[:at] + words[at + 2:]
    s = Demo()
    s.start()
    try:
        text = s.text()
        password = re.search(r'password\s+(\S+)', text).group(1)
        c = s.connect(tls=True)
        c.login('demo', password)
        c.select()
        deadline = time.monotonic() + 15 * SLOW
        while len(c.uids) < 10:
            assert time.monotonic() < deadline, 'sample messages do not arrive'
            c.noop()
        found = c.ok('FETCH 1:* (ENVELOPE BODYSTRUCTURE BODY.PEEK[])').fetch()
        assert len(found) >= 10
    finally:
        s.stop()
        s.remove()
