"""A disk that is full and a process without descriptors: clear answers, no damage, and on it goes when there is room."""
import os
import resource
import shutil
import subprocess
import tempfile

import pytest

from support import mails
from support import server as support_server
from support.imap import Closed, Lit, LitPlus
from support.lmtp import Lmtp
from support.server import PASSWORD
from crashes.main import names
from test_faults import look
from test_martletctl import ctl
from test_processes import until

pytestmark = pytest.mark.martlet('its own store')

SIZE = 160 << 20  # the server keeps 64 MiB back, for what makes room
CHUNK = 200000


@pytest.fixture
def small_disk():
    """A server whose files are in a file system of their own, which is small."""
    if os.geteuid() != 0:
        pytest.skip('only root can mount a small file system')
    where = tempfile.mkdtemp(prefix='small-')
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=%d' % SIZE, 'tmpfs', where], stderr=subprocess.DEVNULL).returncode:
        os.rmdir(where)
        pytest.skip('this container may not mount')
    s = support_server.make(where, ['--setting', 'mail.processes=1', '--setting', 'mail.quarantine=0s'])
    try:
        yield s.start()
    finally:
        if s.process.poll() is None:
            s.kill()
        subprocess.run(['umount', '-l', where], check=True)
        os.rmdir(where)


def ballast(s):
    """Takes all that is left."""
    path = s.dir + '/ballast'
    with open(path, 'wb', buffering=0) as f:
        try:
            while True:
                f.write(b'x' * 4096)
        except OSError:
            pass
    return path


def room(c):
    """The server looks now and then how much is left."""
    until(lambda: c.cmd('APPEND Drafts ', LitPlus(mails.numbered(0))).status == 'OK', 'still no room')


def test_full_disk(small_disk):
    """What adds is refused, the messages that are there can be read and removed, nothing acknowledged is lost, also not
    when it all dies meanwhile; with room everything goes on."""
    s = small_disk
    with s.connect() as c:
        c.login('anna', PASSWORD)
        kept = {}
        for i in range(8):
            message = mails.numbered(i, CHUNK)
            kept[c.append('INBOX', message)] = message
        path = ballast(s)
        refused = 0
        for i in range(20, 90):
            message = mails.numbered(i, CHUNK if i % 3 else 1500000 if i % 2 else 500)
            r = c.cmd('APPEND INBOX ', (Lit if i % 4 else LitPlus)(message))
            if r.status == 'OK':
                kept[int(r.code_args[1])] = message
            else:
                assert (r.status, r.code) == ('NO', 'OVERQUOTA'), r
                refused += 1
        assert refused > 10
        c.select()
        got = {int(i['UID']): i['BODY[]'] for i in c.ok('UID FETCH 1:* (UID BODY.PEEK[])').fetch().values()}
        assert got == kept
        for command in ('STORE 1 +FLAGS (\\Flagged)', 'CREATE More', 'COPY 2 Trash'):
            r = c.cmd(command)
            assert r.status == 'OK' or r.code in ('OVERQUOTA', 'UNAVAILABLE'), r
        assert c.ok('SEARCH SUBJECT message').search()
    lmtp = Lmtp(s.host, s.lmtp)
    lmtp.lhlo()
    rcpt, data = lmtp.deliver('x@example.org', ['anna@example.org'], mails.numbered(95, CHUNK))
    assert rcpt + data and (rcpt[0] in (452, 451) or data[0] in (452, 451)), (rcpt, data)
    lmtp.close()
    # It dies as it is, and comes back on the full disk, as soon as it can write what a start needs.
    s.kill()
    os.truncate(path, os.path.getsize(path) - (1 << 20))
    s.start()
    found, _ = look(s, 'anna')
    assert {u: v[1] for (box, u), v in found.items() if box == 'INBOX'} == kept
    with s.connect() as c:
        c.login('anna', PASSWORD)
        c.select()
        gone = sorted(kept)[:3]
        c.ok('UID STORE %s +FLAGS.SILENT (\\Deleted)' % ','.join(map(str, gone)))
        c.ok('EXPUNGE')
        for u in gone:
            del kept[u]
        os.unlink(path)
        room(c)
        for i in range(100, 110):
            message = mails.numbered(i, CHUNK)
            kept[c.append('INBOX', message)] = message
    assert {u: v[1] for (box, u), v in look(s, 'anna')[0].items() if box == 'INBOX'} == kept
    r, = ctl(s, 'check', 'anna')
    assert r['result'] == 'ok' and not r['findings'], r
    s.stop()


def test_a_full_disk_can_be_emptied_by_its_users(small_disk):
    """The reserve: with not an octet left for others, messages are flagged and expunged."""
    s = small_disk
    with s.connect() as c:
        c.login('anna', PASSWORD)
        i = 0
        while True:
            r = c.cmd('APPEND INBOX ', LitPlus(mails.numbered(i, CHUNK)))
            if r.status != 'OK':
                assert r.code == 'OVERQUOTA', r
                break
            i += 1
            assert i < 1000
        c.select()
        c.ok('STORE 1:* +FLAGS.SILENT (\\Deleted)')
        c.ok('EXPUNGE')
        assert c.ok('SEARCH ALL').search() == []
    ctl(s, 'compact', '--erase', 'anna')
    with s.connect() as c:
        c.login('anna', PASSWORD)
        room(c)
        c.append('INBOX', mails.numbered(1, CHUNK))
    assert ctl(s, 'check', 'anna')[0]['result'] == 'ok'
    s.stop()


@pytest.mark.parametrize('which', ['martlet-mail', 'martlet-login'])
@pytest.mark.settings('mail.processes=1', 'login.processes=1', 'mail.quarantine=0s')
def test_no_descriptors(own_server, which):
    """Connections beyond what there are descriptors for are told so, or wait, or end; sessions that are there work on; later
    all is well, and nothing is lost."""
    s = own_server
    with s.connect() as c:
        c.login('anna', PASSWORD)
        first = c.append('INBOX', mails.numbered(1))
        c.select()
        pid, = [p for p, n in names(s).items() if n == which]
        used = len(os.listdir('/proc/%d/fd' % pid))
        old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 12, old[1]))
        others, answers = [], []
        for i in range(40):
            try:
                o = s.connect(tls=which == 'martlet-login', timeout=1)
                others.append(o)
                r = o.cmd('LOGIN anna%d %s' % (i % 7, PASSWORD), timeout=1)
                answers.append(r.status)
                assert r.status == 'OK' or (r.status == 'NO' and r.code in ('UNAVAILABLE', 'SERVERBUG', 'LIMIT', 'INUSE')), r
            except (Closed, OSError):
                answers.append('ended')
        assert 'OK' in answers and set(answers) != {'OK'}, answers
        c.ok('NOOP')
        c.ok('FETCH 1 BODY.PEEK[]')
        uids = [first]
        for i in range(5):
            r = c.cmd('APPEND INBOX ', LitPlus(mails.numbered(i, 1500000 if i == 3 else 3000)))
            if r.status == 'OK':
                uids.append(int(r.code_args[1]))
            else:
                assert r.status == 'NO' and r.code in ('UNAVAILABLE', 'SERVERBUG', 'LIMIT', 'OVERQUOTA'), r
        for o in others:
            o.close()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, old)

        def again():
            with s.connect() as n:
                n.login('anna3', PASSWORD)
            return True
        until(again, 'no logins again')
        c.append('INBOX', mails.numbered(9))
        assert set(uids) <= set(c.uid_list())
    assert [p for p, n in names(s).items() if n == which] == [pid], 'the process has ended'
    for r in ctl(s, 'check', '--all'):
        assert r['result'] == 'ok' and not r['findings'], r
