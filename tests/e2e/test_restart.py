"""What was acknowledged is there after SIGTERM and after kill -9. The one rule above all."""
import threading

import pytest

from support import mails
from support.imap import LitPlus, expand, flags, name
from support.lmtp import Lmtp
from support.server import PASSWORD


def state(server, user):
    """All that a user can see, by mailbox."""
    out = {}
    with server.connect() as c:
        c.login(user, PASSWORD)
        boxes = [(name(r.data[2]), sorted(a.lower() for a in r.data[0] if 'marked' not in a.lower()))
                 for r in c.ok('LIST "" * RETURN (SPECIAL-USE SUBSCRIBED CHILDREN)').all('LIST')]
        out[''] = sorted(boxes), sorted(c.ok('LSUB "" *').names('LSUB'))
        for box, attrs in boxes:
            if '\\noselect' in attrs or '\\nonexistent' in attrs:
                continue
            r = c.ok(b'EXAMINE "' + box + b'"')
            codes = r.codes()
            messages = {}
            if r.one('EXISTS').num:
                found = c.ok('UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[])').fetch()
                for n, i in found.items():
                    i['FLAGS'] = sorted(flags(i['FLAGS']) - {'\\recent'})
                    messages[n] = i
            out[box] = codes['UIDVALIDITY'].code_args, codes['UIDNEXT'].code_args, messages
    return out


def work(server, user):
    """A session that does some of everything."""
    with server.connect() as c:
        c.login(user, PASSWORD)
        for box in ('one', 'two/three', 'gone', 'renamed'):
            c.ok('CREATE ' + box)
        c.ok('SUBSCRIBE one')
        c.ok('UNSUBSCRIBE Junk')
        c.ok('DELETE gone')
        c.ok('RENAME renamed four')
        parts = ['APPEND one']
        for i in range(30):
            parts += [' (kw%d \\Seen) "01-Jan-2001 00:00:00 +0100" ' % (i % 3), LitPlus(mails.numbered(i))]
        c.ok(*parts)
        c.append('INBOX', mails.MIXED)
        c.append('INBOX', mails.numbered(99, 3 << 20))
        c.select('one')
        c.ok('STORE 3:9 +FLAGS.SILENT (\\Flagged)')
        c.ok('STORE 4 FLAGS (\\Deleted)')
        c.ok('COPY 1:5 two/three')
        c.ok('MOVE 10:12 four')
        c.ok('EXPUNGE')


@pytest.mark.parametrize('how', ['SIGTERM', 'SIGKILL'])
def test_everything_is_there_again(own_server, how):
    s = own_server
    users = ['restart-%s-%d' % (how.lower(), i) for i in range(3)]
    for u in users:
        work(s, u)
    before = {u: state(s, u) for u in users}
    for _ in range(2):
        if how == 'SIGTERM':
            s.stop()
        else:
            s.kill()
        s.start()
        for u in users:
            assert state(s, u) == before[u]
    with s.connect() as c:
        c.login(users[0], PASSWORD)
        assert c.append('one', mails.numbered(1)) == int(str(before[users[0]][b'one'][1][0]))


def test_kill_while_working(own_server):
    """kill -9 in the midst of APPEND, STORE, EXPUNGE and LMTP: what was acknowledged is there; a
    MULTIAPPEND is there whole or not at all; nothing appears twice."""
    s = own_server
    user = 'killed'
    with s.connect() as c:
        c.login(user, PASSWORD)
    for round_ in range(4):
        acknowledged, sent, stop = {}, {}, threading.Event()
        flagged = []

        def appender(k):
            try:
                with s.connect() as c:
                    c.login(user, PASSWORD)
                    i = 0
                    while not stop.is_set():
                        group = ['%d-%d-%d-%d' % (round_, k, i, j) for j in range(3)]
                        parts = ['APPEND INBOX']
                        for g in group:
                            sent[g] = group
                            parts += [' ', LitPlus(b'Subject: %s\r\n\r\nbody of %s\r\n' % (g.encode(), g.encode()))]
                        r = c.ok(*parts)
                        for g, uid in zip(group, expand(r.code_args[1])):
                            acknowledged[g] = uid
                        i += 1
            except (AssertionError, OSError):
                pass

        def flagger():
            try:
                with s.connect() as c:
                    c.login(user, PASSWORD)
                    c.select()
                    i = 0
                    while not stop.is_set():
                        c.noop()
                        if c.uids:
                            n, kw = len(c.uids), 'f%d-%d' % (round_, i % 50)
                            c.ok('STORE %d +FLAGS (%s)' % (n, kw))
                            uid = c.ok('FETCH %d UID' % n).fetch()[n]['UID']
                            flagged.append((int(uid), kw))
                            i += 1
            except (AssertionError, OSError):
                pass

        def deliverer():
            try:
                d = Lmtp(s.host, s.lmtp)
                d.lhlo()
                i = 0
                while not stop.is_set():
                    g = '%d-lmtp-%d' % (round_, i)
                    sent[g] = [g]
                    if d.deliver('s@example.org', [user], b'Subject: %s\r\n\r\nbody of %s\r\n'
                                 % (g.encode(), g.encode()))[1] == [250]:
                        acknowledged[g] = None
                    i += 1
            except (AssertionError, OSError):
                pass
        threads = [threading.Thread(target=appender, args=(k,)) for k in range(4)]
        threads += [threading.Thread(target=flagger), threading.Thread(target=deliverer)]
        for t in threads:
            t.start()
        stop.wait(0.3 + 0.17 * round_)
        s.kill()
        stop.set()
        for t in threads:
            t.join(30)
        assert acknowledged
        s.start()
        with s.connect() as c:
            c.login(user, PASSWORD)
            c.select()
            found = {}
            for items in c.ok('FETCH 1:* (UID FLAGS ENVELOPE BODY.PEEK[TEXT])').fetch().values():
                subject = items['ENVELOPE'][1].decode()
                assert subject not in found, 'twice: ' + subject
                found[subject] = items
                assert items['BODY[TEXT]'] == b'body of %s\r\n' % subject.encode()
            mine = {g: i for g, i in found.items() if g.startswith('%d-' % round_)}
            lost = [g for g in acknowledged if g not in mine]
            assert not lost, 'acknowledged and lost: %r' % lost[:5]
            for g, uid in acknowledged.items():
                assert uid is None or int(mine[g]['UID']) == uid
            for g in mine:
                assert all(h in mine for h in sent[g]), 'half a MULTIAPPEND: %r' % sent[g]
            by_uid = {int(i['UID']): flags(i['FLAGS']) for i in found.values()}
            for uid, kw in flagged:
                assert kw in by_uid[uid], 'flag lost: %d %s' % (uid, kw)


@pytest.mark.martlet
def test_index_can_be_deleted(own_server):
    """Design: the log is the only truth; everything else comes back by replay."""
    import glob
    import shutil
    s = own_server
    work(s, 'indexless')
    before = state(s, 'indexless')
    s.stop()
    found = glob.glob(s.dir + '/**/index', recursive=True)
    assert found, 'no index directory below %s' % s.dir
    for path in found:
        shutil.rmtree(path)
    s.start()
    assert state(s, 'indexless') == before


def test_sigterm_with_sessions(own_server):
    """SIGTERM ends sessions with BYE (section 7.1.5) and the server within two seconds (checked by stop)."""
    s = own_server
    idle = s.connect()
    idle.login('term', PASSWORD)
    idle.select()
    idle.idle()
    fresh = s.connect()
    tls = s.connect(tls=True)
    tls.login('term', PASSWORD)
    with s.connect() as c:
        c.login('term', PASSWORD)
        c.append('INBOX', mails.SIMPLE)
    s.stop()
    for c in (idle, fresh, tls):
        c.closed(5)
    assert any(r.kind == 'BYE' for r in idle.log), idle.log[-3:]


def test_recent_after_restart(own_server):
    """\\Recent: after a clean restart nobody sees again as recent what another session saw."""
    s = own_server
    with s.connect() as c:
        c.login('recent', PASSWORD)
        c.append('INBOX', mails.SIMPLE)
        assert c.select().one('RECENT').num == 1
        c.ok('LOGOUT')
    s.stop()
    s.start()
    with s.connect() as c:
        c.login('recent', PASSWORD)
        c.append('INBOX', mails.SIMPLE)
        assert c.select().one('RECENT').num == 1
