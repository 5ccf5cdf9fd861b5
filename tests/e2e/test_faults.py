"""What goes wrong with the disk and the machine: files that rot, an index that is gone or old, a disk that is full, no
descriptors. `martletctl check` finds each planted damage and names the message, `martletctl rebuild` brings back what is
intact; all else of the account, and other accounts, stay as they were.
"""
import glob
import os
import random
import shutil
import subprocess

import pytest

from support import mails
from support.imap import Lit, LitPlus, flags
from support.lmtp import Lmtp
from support import server as support_server
from support.server import PASSWORD, SANITIZED, children, zombie
from test_martletctl import ctl

pytestmark = pytest.mark.martlet('its own files')

BOXES = ('INBOX', 'Trash', 'Made/Here')
MANY = 20


def fill(server, user, rng):
    """Messages of which each is only in one place of the log, in frames of one and of several; one large; copies;
    changes of flags after them. The frames that make mailboxes come first."""
    with server.connect() as c:
        c.login(user, PASSWORD)
        c.ok('CREATE Made/Here')
        for i in range(MANY):
            c.append('INBOX', mails.numbered(i, 1000 + rng.randrange(9000)))
        c.append('INBOX', mails.numbered(99, 1500000))
        c.ok('APPEND Made/Here ', LitPlus(mails.numbered(100, 5000)), ' ', LitPlus(mails.numbered(101, 5000)))
        c.select('INBOX')
        c.ok('COPY 1:5 Trash')
        c.ok('STORE 3:8 +FLAGS.SILENT (\\Flagged $work)')
        c.ok('STORE 2 +FLAGS.SILENT (\\Deleted)')
        c.ok('EXPUNGE')


def look(server, user):
    """{(mailbox, UID): (flags, octets or None if they cannot be had)}, UIDVALIDITYs by mailbox."""
    found, validities = {}, {}
    with server.connect() as c:
        c.login(user, PASSWORD)
        for box in c.ok('LIST "" *').names():
            box = box.decode()
            validities[box] = int(c.ok('EXAMINE "%s"' % box).codes()['UIDVALIDITY'].code_args[0])
            for uid in c.uid_list():
                r = c.cmd('UID FETCH %d (UID FLAGS BODY.PEEK[])' % uid)
                assert r.status == 'OK' or (r.status, r.code) == ('NO', 'CORRUPTION'), r
                items, = r.fetch().values()
                assert ('BODY[]' in items) == (r.status == 'OK'), r
                found[box, uid] = (frozenset(flags(items['FLAGS']) - {'\\recent'}), items.get('BODY[]'))
    return found, validities


class Kept:
    """A stopped server's account, which can be put back byte for byte, in the same files."""

    def __init__(self, server, user):
        self.server, self.user = server, user
        ids = {a['account']: a['id'] for a in ctl(server, 'accounts')}
        self.dir, = glob.glob('%s/state/accounts/*/%s' % (server.dir, ids[user]))
        self.copy = server.dir + '/kept'
        shutil.copytree(self.dir, self.copy)

    def files(self, what='log'):
        return sorted(f for f in glob.glob('%s/%s/*' % (self.dir, what)) if os.path.basename(f) not in ('lock', 'lock.mdb'))

    def put_back(self):
        for what in ('log', 'index'):
            for f in glob.glob('%s/%s/*' % (self.dir, what)):
                if os.path.isdir(f):
                    shutil.rmtree(f)
                elif not os.path.exists('%s/%s/%s' % (self.copy, what, os.path.basename(f))):
                    os.unlink(f)
            for f in glob.glob('%s/%s/*' % (self.copy, what)):
                to = '%s/%s/%s' % (self.dir, what, os.path.basename(f))
                with open(f, 'rb') as source, open(to, 'r+b' if os.path.exists(to) else 'wb') as target:
                    target.truncate(0)
                    target.write(source.read())

    def renew(self):
        """Intact, with an index that was derived from it and closed well."""
        self.put_back()
        shutil.rmtree(self.dir + '/index')
        shown(self.server, self.user)

    def flip(self, file, at, rng):
        with open(file, 'r+b') as f:
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ 1 << rng.randrange(8)]))

    def holder(self, body):
        """(file, offset) of these octets in the log."""
        for f in self.files():
            with open(f, 'rb') as file:
                at = file.read().find(body)
            if at >= 0:
                return f, at
        raise AssertionError('not in the log')

    def check(self, *command):
        r = subprocess_ctl(self.server, *(command or ('check',)), self.user)
        return r


def subprocess_ctl(server, *words):
    import json
    from test_martletctl import CTL
    done = subprocess.run([CTL, '--json', '-c', server.dir + '/martlet.conf', *words], capture_output=True, text=True, timeout=100)
    lines = [json.loads(x) for x in done.stdout.splitlines()]
    assert len(lines) == 1, (done.stdout, done.stderr)
    return lines[0]


@pytest.fixture(scope='module')
def store():
    """(server, stopped; account that is damaged; what it shows; what another account shows)"""
    s = support_server.make()
    s.start()
    rng = random.Random(5)
    for user in ('anna', 'bert'):
        fill(s, user, rng)
    before = {user: look(s, user) for user in ('anna', 'bert')}
    s.stop()
    kept = Kept(s, 'anna')
    yield s, kept, before['anna'], before['bert']
    if s.process.poll() is None:
        s.stop()
    s.remove()


@pytest.fixture
def stopped(store):
    s, kept, anna, bert = store
    kept.renew()
    yield s, kept, anna, bert
    if s.process.poll() is None:
        s.stop()


def shown(s, user):
    s.start()
    try:
        return look(s, user)
    finally:
        s.stop()


def test_a_damaged_message_is_found_and_named(stopped):
    """A byte of each of some messages: `check` names all places where it is; the rest is as it was, before and after
    `rebuild`."""
    s, kept, (anna, validities), bert = stopped
    rng = random.Random(6)
    for place in rng.sample([p for p in anna if p[0] == 'INBOX'], 2) + [('Made/Here', 2), ('Trash', 2)]:
        kept.put_back()
        body = anna[place][1]
        file, at = kept.holder(body)
        kept.flip(file, at + rng.randrange(len(body)), rng)
        same = {p for p in anna if anna[p][1] == body}
        for command in ('check', 'rebuild', 'check'):
            r = kept.check(command)
            if command == 'check':
                assert r['result'] == 'damaged'
                told = {f['text'] for f in r['findings'] if f['uid']}
                assert told == {'mailbox %s, UID %d: the message is damaged' % p for p in same}, (place, r)
        now, validities_now = shown(s, 'anna')
        assert validities_now == validities
        assert {p for p in now if now[p][1] is None} == same
        assert {p: v for p, v in now.items() if p not in same} == {p: v for p, v in anna.items() if p not in same}
        assert {p: now[p][0] for p in same} == {p: anna[p][0] for p in same}
    assert shown(s, 'bert') == bert


def frames(kept):
    """Offsets of all frames of the first segment; the magic of each is the log's key (docs/log-format.md)."""
    file = kept.files()[0]
    with open(file, 'rb') as f:
        text = f.read()
    key = text[56:60]
    return file, [i for i in range(80, len(text), 8) if text[i:i + 4] == key]


def test_damaged_operations_are_found_and_survive_in_the_index(stopped):
    """A byte of the operations of every frame, one after the other: the index, which was derived when they could be
    read, is kept by `rebuild`, and compaction writes them to the log again."""
    s, kept, anna, bert = stopped
    rng = random.Random(7)
    file, at = frames(kept)
    assert len(at) > MANY
    for frame in at[:1] + rng.sample(at[1:], 3):
        kept.renew()
        kept.flip(file, frame + rng.randrange(72), rng)
        r = kept.check()
        assert r['result'] == 'damaged' and [f for f in r['findings'] if f['offset'] == frame], (frame, r)
        assert kept.check('rebuild')['result'] == 'ok'
        assert shown(s, 'anna') == anna, frame
        assert kept.check()['result'] == 'damaged'
        assert kept.check('compact')['result'] == 'ok'
        r = kept.check('check')
        shutil.rmtree(kept.dir + '/index')
        assert shown(s, 'anna') == anna, (frame, r)
    assert shown(s, 'bert') == bert


def test_damaged_operations_without_an_index(stopped):
    """Index and operations both gone: what other frames tell is there, no message is shown as what it is not, and
    messages of a mailbox that nothing tells of are in one that says so."""
    s, kept, (anna, _), _ = stopped
    rng = random.Random(8)
    file, at = frames(kept)
    octets = {v[1] for v in anna.values()}
    for frame in at[:1] + rng.sample(at[1:], 3):
        kept.put_back()
        shutil.rmtree(kept.dir + '/index')
        kept.flip(file, frame + rng.randrange(72), rng)
        assert kept.check()['result'] == 'damaged'
        now, validities = shown(s, 'anna')
        assert {v[1] for v in now.values()} <= octets
        lost = octets - {v[1] for v in now.values()}
        assert len(lost) <= 2, (frame, 'a frame holds at most two messages', len(lost))
        assert all(b in BOXES or b.startswith('Recovered-') or b in ('Drafts', 'Sent', 'Junk', 'Archive', 'Made') for b in validities)
        if frame == at[0]:
            assert 'INBOX' in validities and not lost
    kept.put_back()


def test_a_damaged_manifest(stopped):
    """It is there twice: found, no harm done, and whole again after `compact`."""
    s, kept, anna, bert = stopped
    rng = random.Random(10)
    file, = [f for f in kept.files() if f.endswith('/manifest')]
    size = os.path.getsize(file)
    assert size > 4096
    for at in [rng.randrange(size - 4096) for _ in range(2)] + [4096 + rng.randrange(size - 4096)]:
        kept.renew()
        kept.flip(file, at, rng)
        r = kept.check()
        assert r['result'] == 'damaged'
        assert [f['text'] for f in r['findings']] == ['a copy of the manifest is damaged: compact the account'], at
        assert shown(s, 'anna') == anna
        assert kept.check('compact')['result'] == 'ok'
        assert kept.check()['result'] == 'ok'
    assert shown(s, 'bert') == bert


@pytest.mark.parametrize('what', ['deleted', 'emptied', 'random', 'flipped', 'cut', 'old'])
def test_an_index_that_is_wrong_while_stopped(stopped, what):
    """It is derived again."""
    s, kept, anna, bert = stopped
    rng = random.Random(9)
    index = [f for f in kept.files('index') if os.path.isfile(f)]
    if what == 'deleted':
        shutil.rmtree(kept.dir + '/index')
    elif what == 'old':
        old = kept.dir + '.old-index'
        shutil.copytree(kept.dir + '/index', old)
        s.start()
        with s.connect() as c:
            c.login('anna', PASSWORD)
            c.append('INBOX', mails.numbered(500))
        anna = look(s, 'anna')
        s.stop()
        shutil.rmtree(kept.dir + '/index')
        os.rename(old, kept.dir + '/index')
    for f in index if what not in ('deleted', 'old') else []:
        size = os.path.getsize(f)
        new = {'emptied': b'', 'random': rng.randbytes(size), 'cut': None, 'flipped': None}[what]
        if what == 'cut':
            os.truncate(f, size // 2)
        elif what == 'flipped':
            if not f.endswith('data.mdb'):
                continue
            for _ in range(3):  # in what LMDB and the trees go by: the beginnings of pages
                kept.flip(f, rng.randrange(size // 4096) * 4096 + rng.randrange(24), rng)
        else:
            with open(f, 'r+b') as file:
                file.truncate(0)
                file.write(new)
    for _ in range(3):  # a page that is wrong may cost a process; then the index is not trusted any more
        if kept.check('rebuild')['result'] == 'ok':
            break
    assert shown(s, 'anna') == anna
    assert kept.check()['result'] == 'ok'
    assert shown(s, 'bert') == bert
