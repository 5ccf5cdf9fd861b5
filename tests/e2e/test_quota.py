"""QUOTA (RFC 9208): usage, limits, exact enforcement, SETQUOTA by an administrator, several roots."""
import base64
import json
import os

import subprocess
import threading

import pytest

from support import mails
from support.imap import LitPlus
from support.lmtp import Lmtp
from support.server import BUILD_TYPE, PASSWORD, ROOT

CTL = os.path.join(ROOT, 'build-' + BUILD_TYPE, 'src', 'tools', 'martletctl')


def ctl(server, *args, code=0):
    done = subprocess.run([CTL, '--json', '-c', server.dir + '/martlet.conf'] + list(args), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=100, stdin=subprocess.DEVNULL, text=True)
    assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def message(size):
    """Of exactly so many octets."""
    head = b'Subject: x\r\n\r\n'
    return head + b'a' * (size - len(head))


def quota(c, mailbox='INBOX'):
    """{root: {resource: (usage, limit)}} of a mailbox."""
    r = c.ok('GETQUOTAROOT ', mailbox)
    assert r.one('QUOTAROOT').data[0] == mailbox or r.one('QUOTAROOT').data[0].decode() == mailbox
    return {text(q.data[0]): triplets(q.data[1]) for q in r.all('QUOTA')}


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def triplets(values):
    values = values or []
    assert len(values) % 3 == 0
    return {str(values[i]): (int(values[i + 1]), int(values[i + 2])) for i in range(0, len(values), 3)}


def login_as(server, user, admin='admin'):
    c = server.connect(tls=True)
    word = base64.b64encode(('%s\0%s\0%s' % (user, admin, PASSWORD)).encode()).decode()
    c.ok('AUTHENTICATE PLAIN ', word)
    return c


def set_limits(server, user, **limits):
    for resource, limit in limits.items():
        ctl(server, 'quota', 'set', user, resource.replace('_', '-'), str(limit))


def test_capabilities(c):
    """Section 5: each resource type is advertised."""
    got = set(c.ok('CAPABILITY').one('CAPABILITY').data)
    assert {'QUOTA', 'QUOTA=RES-STORAGE', 'QUOTA=RES-MESSAGE', 'QUOTA=RES-MAILBOX',
            'QUOTA=RES-ANNOTATION-STORAGE', 'QUOTASET'} <= got


def test_without_limits(c, user):
    """Section 4.2.1: resources that are not limited are not named."""
    r = c.ok('GETQUOTA ', user)
    assert text(r.one('QUOTA').data[0]) == user and not r.one('QUOTA').data[1]
    assert quota(c) == {user: {}}
    c.no('GETQUOTA other', code='NONEXISTENT')
    c.no('GETQUOTA ""', code='NONEXISTENT')
    c.no('GETQUOTAROOT Missing', code='NONEXISTENT')
    c.bad('GETQUOTA')
    c.bad('GETQUOTAROOT')
    c.no('SETQUOTA ', user, ' (STORAGE 512)', code='NOPERM')
    c.bad('SETQUOTA ', user, ' (STORAGE)')
    c.bad('SETQUOTA ', user, ' (STORAGE -1)')
    c.bad('SETQUOTA ', user, ' STORAGE 1')


def test_exact(server, c, user):
    """Not one octet more than the limit; what is expunged makes room; COPY counts, MOVE does not."""
    set_limits(server, user, storage=3000)
    c.append('INBOX', message(1000))
    c.append('INBOX', message(1500))
    assert quota(c)[user]['STORAGE'] == (3, 3)
    c.no('APPEND INBOX ', LitPlus(message(501)), code='OVERQUOTA')
    c.no('APPEND INBOX ', LitPlus(message(300)), ' ', LitPlus(message(201)), code='OVERQUOTA')
    c.append('INBOX', message(500))
    c.no('APPEND INBOX ', LitPlus(message(100)), code='OVERQUOTA')
    c.select()
    c.ok('MOVE 3 Trash')
    c.no('COPY 1 Trash', code='OVERQUOTA')
    c.ok('STORE 2 +FLAGS (\\Deleted)')
    assert c.ok('STATUS INBOX (DELETED DELETED-STORAGE)').one('STATUS').items() == {'DELETED': '1',
                                                                                   'DELETED-STORAGE': '1500'}
    c.ok('EXPUNGE')
    c.ok('COPY 1 Trash')
    assert quota(c)[user]['STORAGE'] == (3, 3)
    c.no('APPEND INBOX ', LitPlus(message(501)), code='OVERQUOTA')
    c.append('INBOX', message(500))


def test_a_refused_literal_is_not_sent(server, c, user):
    """APPEND that cannot fit is refused before the client sends its octets."""
    set_limits(server, user, storage=1000)
    c.send(b'x APPEND INBOX {1001}\r\n')
    assert c.wait('x').status == 'NO'
    c.ok('NOOP')


def test_messages_and_mailboxes(server, c, user):
    """Sections 5.2 and 5.3."""
    before = len(c.ok('LIST "" *').all('LIST'))
    set_limits(server, user, messages=2, mailboxes=before + 2)
    assert quota(c)[user] == {'MESSAGE': (0, 2), 'MAILBOX': (before, before + 2)}
    c.no('CREATE a/b/c', code='OVERQUOTA')
    c.ok('CREATE a/b')
    c.no('CREATE c', code='OVERQUOTA')
    c.no('RENAME a/b c/d/e', code='OVERQUOTA')
    c.no('RENAME INBOX c', code='OVERQUOTA')
    c.ok('DELETE a/b')
    c.ok('CREATE c')
    c.no('APPEND INBOX ', LitPlus(b'a'), ' ', LitPlus(b'b'), ' ', LitPlus(b'c'), code='OVERQUOTA')
    c.ok('APPEND INBOX ', LitPlus(b'a'), ' ', LitPlus(b'b'))
    c.no('APPEND INBOX ', LitPlus(b'c'), code='OVERQUOTA')
    assert quota(c)[user] == {'MESSAGE': (2, 2), 'MAILBOX': (before + 2, before + 2)}


def test_many_at_once(server, user, session, c):
    """64 clients append at once; together they never exceed the limit by an octet."""
    size, room = 1000, 41
    set_limits(server, user, storage=size * room + size - 1)
    answers = []

    def work(i):
        with server.connect() as c:
            c.login(user, PASSWORD)
            for _ in range(3):
                answers.append(c.cmd('APPEND INBOX ', LitPlus(message(size))))
    threads = [threading.Thread(target=work, args=(i,)) for i in range(64)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(answers) == 192
    assert sum(a.status == 'OK' for a in answers) == room
    assert all(a.code == 'OVERQUOTA' for a in answers if a.status == 'NO')
    c = session()
    assert c.ok('STATUS INBOX (MESSAGES SIZE)').one('STATUS').items() == {'MESSAGES': str(room),
                                                                          'SIZE': str(room * size)}


def test_roots(server, c, user):
    """A mailbox with a root of its own counts there alone; new ones below it, too; a copy counts in
    its target's root, and so does a move between roots."""
    for name in 'Archive/2025', 'Other':
        c.ok('CREATE ', name)
    c.append('Archive', message(700))
    ctl(server, 'quota', 'root', user, 'Archive', 'archive')
    set_limits(server, user, storage=2000)
    ctl(server, 'quota', 'set', user, 'storage', '2kb', 'archive')
    assert quota(c) == {user: {'STORAGE': (0, 2)}}
    assert quota(c, 'Archive/2025') == {'archive': {'STORAGE': (1, 2)}}
    assert triplets(c.ok('GETQUOTA archive').one('QUOTA').data[1]) == {'STORAGE': (1, 2)}
    c.ok('CREATE Archive/2026/May')
    assert list(quota(c, 'Archive/2026/May')) == ['archive']
    c.append('INBOX', message(1000))
    c.append('INBOX', message(900))
    c.select()
    c.ok('COPY 1 Archive/2025')
    c.no('MOVE 2 Archive/2026/May', code='OVERQUOTA')
    c.ok('MOVE 2 Other')
    c.no('COPY 1 Other', code='OVERQUOTA')
    rows = {(r['root'], r['resource']): r for r in ctl(server, 'quota', 'show', user)}
    assert rows[('archive', 'storage')]['used'] == 1700 and rows[('archive', 'storage')]['limit'] == 2048
    assert rows[('archive', 'mailboxes')]['used'] == 4 and rows[('archive', 'messages')]['used'] == 2
    assert rows[(user, 'storage')]['used'] == 1900 and rows[(user, 'messages')]['used'] == 2
    # all of it survives compaction, and comes back from the log alone
    for command in 'compact', 'check', 'rebuild', 'check':
        ctl(server, command, user)
    assert ctl(server, 'quota', 'show', user) == [rows[k] for k in rows]
    c.close()
    with server.connect() as c:
        c.login(user, PASSWORD)
        c.ok('DELETE Archive/2025')
        assert quota(c, 'Archive') == {'archive': {'STORAGE': (1, 2)}}
        ctl(server, 'quota', 'root', user, 'Archive')
        c.no('GETQUOTA archive', code='NONEXISTENT')
        assert list(quota(c, 'Archive/2026')) == [user]
        assert {r['root'] for r in ctl(server, 'quota', 'show', user)} == {user}
        c.no('APPEND Archive ', LitPlus(message(100)), code='OVERQUOTA')
        ctl(server, 'check', user)
    ctl(server, 'quota', 'set', user, 'storage', '1', 'archive', code=3)
    ctl(server, 'quota', 'set', user, 'nothing', '1', code=3)
    ctl(server, 'quota', 'set', user, 'storage', '1x', code=2)
    ctl(server, 'quota', 'root', user, 'Missing', 'x', code=3)


def test_replace(server, c, user):
    """What REPLACE (RFC 8508) replaces makes room."""
    if 'REPLACE' not in c.ok('CAPABILITY').one('CAPABILITY').data:
        pytest.skip('no REPLACE')
    set_limits(server, user, storage=1000, messages=1)
    c.append('INBOX', message(900))
    c.select()
    c.no('REPLACE 1 INBOX ', LitPlus(message(1001)), code='OVERQUOTA')
    c.ok('REPLACE 1 INBOX ', LitPlus(message(1000)))


def test_delivery(server, user, session, c):
    """LMTP: 452 4.2.2 while there is no room."""
    set_limits(server, user, storage=15000)
    lmtp = Lmtp(server.host, server.lmtp)
    lmtp.lhlo()
    assert lmtp.deliver('a@example.org', [user], mails.numbered(1, 10000))[1] == [250]
    assert lmtp.deliver('a@example.org', [user], mails.numbered(2, 10000))[1] == [452]
    session().ok('APPEND INBOX ', LitPlus(message(100)))
    lmtp.close()


@pytest.mark.settings('auth.masters=["admin"]', 'quota.storage=100kb', 'quota.messages=50', 'quota.warn_percent=90',
                      'lmtp.over_quota=permanent')
def test_settings_and_administrator(own_server):
    """Defaults from the configuration; SETQUOTA (section 4.1.3) by an administrator replaces them all; a warning
    once little is left (section 4.3.1); 552 where that is configured."""
    with own_server.connect() as c, login_as(own_server, 'fred') as admin:
        c.login('fred', PASSWORD)
        assert quota(c) == {'fred': {'STORAGE': (0, 100), 'MESSAGE': (0, 50)}}
        c.no('SETQUOTA fred (STORAGE 512)', code='NOPERM')
        r = admin.ok('SETQUOTA fred (STORAGE 10 MAILBOX 30)')
        assert set(triplets(r.one('QUOTA').data[1])) == {'STORAGE', 'MAILBOX'}
        assert triplets(c.ok('GETQUOTA fred').one('QUOTA').data[1])['STORAGE'] == (0, 10)
        admin.no('SETQUOTA fred (STORAGE 10 X 1)', code='CANNOT')
        admin.no('SETQUOTA fred (STORAGE 9000000000000000000)', code='LIMIT')
        admin.no('SETQUOTA mary (STORAGE 10)', code='NONEXISTENT')
        assert triplets(admin.ok('SETQUOTA fred ()').one('QUOTA').data[1]) == {}
        admin.ok('SETQUOTA fred (STORAGE 10)')
        # a session that has selected the mailbox is warned once
        c.select()
        admin.append('INBOX', message(9000))
        assert 'OVERQUOTA' not in c.noop().codes()
        admin.append('INBOX', message(300))
        r = c.noop()
        assert [u.code for u in r.untagged if u.kind == 'NO'] == ['OVERQUOTA']
        assert 'OVERQUOTA' not in c.noop().codes()
        assert [u.code for u in admin.select().untagged if u.kind == 'NO'] == ['OVERQUOTA']
        lmtp = Lmtp(own_server.host, own_server.lmtp)
        lmtp.lhlo()
        assert lmtp.deliver('a@example.org', ['fred'], message(2000))[1] == [552]
        lmtp.close()
        ctl(own_server, 'quota', 'set', 'fred', 'storage', 'default')
        assert quota(c)['fred']['STORAGE'][1] == 100


def test_others(server, c, user, session, new_user):
    """Sections 6 and 8: what is put into another one's mailbox counts there; GETQUOTAROOT takes the right r."""
    if 'ACL' not in c.ok('CAPABILITY').one('CAPABILITY').data:
        pytest.skip('no ACL')
    name = new_user()
    other = session(name=name)
    c.ok('CREATE Team')
    set_limits(server, user, storage=2000)
    box = 'Other Users/%s/Team' % user
    c.ok('SETACL Team %s li' % name)
    other.no('GETQUOTAROOT "%s"' % box, code='NOPERM')
    other.append(box, message(1500))
    other.no('APPEND "%s" ' % box, LitPlus(message(501)), code='OVERQUOTA')
    c.ok('SETACL Team %s lr' % name)
    r = other.ok('GETQUOTAROOT "%s"' % box)
    root = 'Other Users/' + user
    assert [text(x) for x in r.one('QUOTAROOT').data] == [box, root]
    assert text(r.one('QUOTA').data[0]) == root and triplets(r.one('QUOTA').data[1]) == {'STORAGE': (2, 2)}
    other.no('GETQUOTA "%s"' % root, code='NONEXISTENT')
    other.no('SETQUOTA "%s" ()' % root, code='NOPERM')
    assert quota(other) == {name: {}}
