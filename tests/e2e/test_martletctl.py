"""The administrator's tool on a running server, and on the directory of one that does not run."""
import glob
import json
import os
import subprocess

import pytest

from support import mails
from support.imap import flags
from support.server import BUILD_TYPE, PASSWORD, ROOT

pytestmark = pytest.mark.martlet('has other tools')


def ctl(server, *args, code=0):
    """Runs martletctl --json; one dict an account."""
    done = subprocess.run([os.path.join(ROOT, 'build-' + BUILD_TYPE, 'src', 'tools', 'martletctl'), '--dir',
                           os.path.join(server.dir, 'state'), '--json'] + list(args),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def fill(server, user, count=30):
    with server.connect() as c:
        c.login(user, PASSWORD)
        for i in range(count):
            c.append('INBOX', mails.numbered(i, 20000))
        c.append('INBOX', mails.numbered(count, 2 << 20))
        c.select('INBOX')
        c.ok('STORE 1:%d +FLAGS.SILENT (\\Deleted)' % (count * 2 // 3))
        c.ok('COPY 1:5 Trash')
        c.ok('EXPUNGE')


def contents(server, user):
    with server.connect() as c:
        c.login(user, PASSWORD)
        found = {}
        for box in ('INBOX', 'Trash'):
            validity = c.ok('EXAMINE ' + box).codes()['UIDVALIDITY'].code_args
            r = c.ok('UID FETCH 1:* (UID FLAGS BODY.PEEK[])').fetch()
            found[box] = sorted((i['UID'], sorted(flags(i['FLAGS']) - {'\\recent'}), i['BODY[]']) for i in r.values())
            found[box, 'validity'] = validity
        return found


def sizes(server):
    return sum(os.path.getsize(p) for p in glob.glob(server.dir + '/state/accounts/*/*/log/*'))


def same(a, b, validity=True):
    if not validity:
        a, b = ({k: v for k, v in x.items() if isinstance(k, str)} for x in (a, b))
    return a == b


def test_work_on_a_running_server(own_server, new_user):
    s, names = own_server, [new_user() for _ in range(3)]
    for user in names:
        fill(s, user)
    before = {user: contents(s, user) for user in names}
    assert sorted(a['account'] for a in ctl(s, 'accounts')) == sorted(names)
    with s.connect() as c:  # somebody works meanwhile
        c.login(names[0], PASSWORD)
        c.select('INBOX')
        for command in (['check'], ['compact', '--erase'], ['check'], ['checkpoint'], ['check']):
            r = ctl(s, *command, '--all')
            assert sorted(a['account'] for a in r) == sorted(names)
            assert all(a['result'] == 'ok' and not a['findings'] for a in r), r
            c.ok('NOOP')
    for user in names:
        assert same(contents(s, user), before[user])
    assert ctl(s, 'rebuild', names[1])[0]['result'] == 'ok'
    assert same(contents(s, names[1]), before[names[1]])
    assert sizes(s) < 3 * (2.5 * (1 << 20) + 12 * 20000)
    assert ctl(s, 'check', 'nobody-of-that-name', code=3)[0]['error'] == 'not-found'
    s.kill()
    s.start()
    for user in names:
        assert same(contents(s, user), before[user])


def test_backup_and_restore(own_server, user, tmp_path):
    s, to = own_server, str(tmp_path / 'backup')
    fill(s, user)
    assert ctl(s, 'backup', '--to', to, '--all')[0]['result'] == 'ok'
    before = contents(s, user)
    fill(s, user, 6)
    # Clients have seen more than the backup has.
    assert ctl(s, 'restore', '--from', to, user)[0]['result'] == 'ok'
    restored = contents(s, user)
    assert same(restored, before, validity=False)
    assert restored['INBOX', 'validity'] != before['INBOX', 'validity']
    assert ctl(s, 'check', user)[0]['result'] == 'ok'
    fill(s, user, 6)
    assert ctl(s, 'backup', '--to', to, user)[0]['result'] == 'ok'
    full = contents(s, user)
    # Nothing lost: nothing changes for clients.
    s.stop()
    assert ctl(s, 'restore', '--from', to, user)[0]['result'] == 'ok'
    s.start()
    assert same(contents(s, user), full)
    # Not under a session.
    with s.connect() as c:
        c.login(user, PASSWORD)
        assert ctl(s, 'restore', '--from', to, user, code=3)[0]['error'] == 'busy'
        c.ok('NOOP')


def test_damage_is_found_without_a_server(own_server, user):
    s = own_server
    fill(s, user)
    s.stop()
    assert ctl(s, 'check', '--all')[0]['result'] == 'ok'
    assert ctl(s, 'rebuild', user)[0]['result'] == 'ok'
    segment = max(glob.glob(s.dir + '/state/accounts/*/*/log/*'), key=os.path.getsize)
    with open(segment, 'r+b') as f:
        f.seek(os.path.getsize(segment) // 2)
        byte = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([byte[0] ^ 1]))
    r = ctl(s, 'check', user, code=1)[0]
    assert r['result'] == 'damaged' and any(f['kind'] == 'damage' for f in r['findings'])
    s.start()


def test_usage(own_server):
    for args in (['check'], ['frobnicate', 'x'], ['backup', 'x'], ['check', 'x', '--all'], [], ['accounts', 'x']):
        ctl(own_server, *args, code=2)
    assert any(line['key'] == 'processes' for line in ctl(own_server, 'status'))
