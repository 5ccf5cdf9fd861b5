"""Delivery by LMTP, then read by IMAP. RFC 2033; RFC 2034, RFC 2920, RFC 5321 section 4."""
import os
import signal
import subprocess
import time

import pytest

from support import mails
from support.imap import SLOW, Closed, LitPlus
from support.lmtp import Lmtp
from support.server import BUILD_TYPE, PASSWORD, ROOT, children

M = b'From: a@example.org\r\nSubject: delivered\r\n\r\nbody\r\n.leading dot\r\n..two\r\n.\r\nend\r\n'


@pytest.fixture
def lmtp(server):
    c = Lmtp(server.host, server.lmtp)
    yield c
    c.close()


def body_of(message):
    return message.split(b'\r\n\r\n', 1)[1]


def test_lhlo(lmtp):
    """RFC 2033 section 4: LHLO; PIPELINING and ENHANCEDSTATUSCODES are required."""
    assert lmtp.greeting[0] == 220
    extensions = lmtp.lhlo()
    assert {'PIPELINING', 'ENHANCEDSTATUSCODES', '8BITMIME'} <= set(extensions)


def test_helo_is_refused(lmtp):
    """RFC 2033 section 4.1."""
    assert lmtp.cmd('EHLO x')[0] >= 500
    assert lmtp.cmd('HELO x')[0] >= 500
    lmtp.lhlo()


def test_deliver(lmtp, session, user):
    """Delivered to INBOX, whole, dots unstuffed, with Return-Path on top (RFC 5321 section 4.4)."""
    c = session('INBOX')
    lmtp.lhlo()
    assert lmtp.deliver('sender@example.org', [user], M) == ([250], [250])
    c.noop()
    items = c.ok('FETCH 1 (FLAGS ENVELOPE BODY.PEEK[] BODY.PEEK[TEXT])').fetch()[1]
    assert items['BODY[TEXT]'] == body_of(M)
    assert items['BODY[]'].endswith(M)
    head = items['BODY[]'].split(b'\r\n\r\n')[0]
    assert head.startswith(b'Return-Path: <sender@example.org>\r\n')
    assert b'Received:' in head and b'LMTP' in head
    assert items['ENVELOPE'][1] == b'delivered'
    assert '\\Recent' in [str(f) for f in items['FLAGS']] and '\\Seen' not in [str(f) for f in items['FLAGS']]


def test_idle_hears_of_delivery(lmtp, session, user):
    """Issue: IDLE within 50 ms; measured from the reply to the message."""
    c = session('INBOX')
    lmtp.lhlo()
    tag = c.idle()
    times = []
    for n in range(1, 8):
        assert lmtp.deliver('s@example.org', [user], mails.numbered(n))[1] == [250]
        began = time.monotonic()
        c.until(lambda r, n=n: r.kind == 'EXISTS' and r.num == n)
        times.append(time.monotonic() - began)
    c.done(tag)
    assert len(c.uids) == 7
    if c.greeting.text and 'Dovecot' not in c.greeting.text:
        assert sorted(times)[3] < 0.05 * SLOW, times


def test_several_recipients(lmtp, session, new_user):
    """RFC 2033 section 4.2: one reply per accepted RCPT, in order."""
    users = [new_user() for _ in range(5)]
    lmtp.lhlo()
    rcpt, replies = lmtp.deliver('s@example.org', users + [users[0]], M)
    assert rcpt == [250] * 6 and replies == [250] * 6
    for u in users:
        c = session('INBOX', name=u)
        assert len(c.uids) == 1
        assert c.ok('FETCH 1 BODY.PEEK[TEXT]').fetch()[1]['BODY[TEXT]'] == body_of(M)


def test_addresses(lmtp, session, user):
    """Domain and detail are not part of the user's name."""
    lmtp.lhlo()
    rcpt, replies = lmtp.deliver('', ['%s@example.org' % user, '%s+detail@example.org' % user], M)
    assert rcpt == [250, 250] and replies == [250, 250]
    c = session('INBOX')
    assert len(c.uids) == 2
    assert c.ok('FETCH 1 BODY.PEEK[HEADER]').fetch()[1]['BODY[HEADER]'].startswith(b'Return-Path: <>\r\n')


def test_data_without_recipient(lmtp):
    """RFC 2033 section 4.2: 503."""
    lmtp.lhlo()
    assert lmtp.cmd('MAIL FROM:<a@b>')[0] == 250
    assert lmtp.cmd('DATA')[0] == 503
    assert lmtp.cmd('RSET')[0] == 250
    assert lmtp.cmd('DATA')[0] == 503
    assert lmtp.cmd('RCPT TO:<x>')[0] == 503


def test_sequence_and_syntax(lmtp, user):
    assert lmtp.cmd('MAIL FROM:<a@b>')[0] in (503, 250)
    lmtp.lhlo()
    lmtp.cmd('RSET')
    for bad in ('FROB', 'MAIL', 'MAIL FROM', 'MAIL FROM:a', 'MAIL FROM:<a@b> FROB=1', 'RCPT TO:<x>', 'LHLO', 'x' * 5000):
        code, _ = lmtp.cmd(bad)
        assert 500 <= code < 600, (bad, code)
    assert lmtp.cmd('NOOP')[0] == 250
    assert lmtp.cmd('VRFY someone')[0] in (250, 252, 502)
    assert lmtp.cmd('MAIL FROM:<a@b> BODY=8BITMIME SIZE=1000')[0] == 250
    assert lmtp.cmd('MAIL FROM:<c@d>')[0] == 503
    for bad in ('RCPT TO:<>', 'RCPT', 'RCPT TO:<%s> FROB=x' % user, 'RCPT TO:<@>'):
        assert lmtp.cmd(bad)[0] >= 500, bad
    assert lmtp.cmd('QUIT')[0] == 221


@pytest.mark.martlet
def test_size_limit(lmtp, user):
    """RFC 1870: too large a SIZE is refused at MAIL."""
    extensions = lmtp.lhlo()
    assert 'SIZE' in extensions
    assert lmtp.cmd('MAIL FROM:<a@b> SIZE=999999999999')[0] == 552
    assert lmtp.cmd('MAIL FROM:<a@b> SIZE=1000')[0] == 250


def test_pipelined(lmtp, session, user):
    """RFC 2920: everything up to DATA in one segment; several transactions in one connection."""
    lmtp.lhlo()
    for i in range(20):
        lmtp.send('MAIL FROM:<s@example.org>\r\nRCPT TO:<%s>\r\nRCPT TO:<%s@x>\r\nDATA\r\n' % (user, user))
        assert [lmtp.reply()[0] for _ in range(4)] == [250, 250, 250, 354]
        lmtp.send(mails.numbered(i) + b'.\r\n')
        assert [lmtp.reply()[0] for _ in range(2)] == [250, 250]
    c = session('INBOX')
    assert len(c.uids) == 20  # the same user twice: delivered once


def test_byte_by_byte(lmtp, session, user):
    lmtp.lhlo()
    lmtp.cmd('MAIL FROM:<s@example.org>')
    lmtp.cmd('RCPT TO:<%s>' % user)
    lmtp.cmd('DATA')
    for b in b'Subject: slow\r\n\r\n..\r\n.x\r\n\r\n.\r\n':
        lmtp.send(bytes([b]))
    assert lmtp.reply()[0] == 250
    c = session('INBOX')
    assert c.ok('FETCH 1 BODY.PEEK[TEXT]').fetch()[1]['BODY[TEXT]'] == b'.\r\nx\r\n\r\n'


def test_8bit_and_large(lmtp, session, user):
    lmtp.lhlo()
    message = 'Subject: Größe\r\n\r\n'.encode() + bytes(range(128, 256)) * 40000 + b'\r\n'
    assert lmtp.deliver('s@example.org', [user], message)[1] == [250]
    c = session('INBOX')
    assert c.ok('FETCH 1 BODY.PEEK[]').fetch()[1]['BODY[]'].endswith(message)


def test_cut_off_delivery_leaves_nothing(server, session, user):
    c = session('INBOX')
    d = Lmtp(server.host, server.lmtp)
    d.lhlo()
    d.cmd('MAIL FROM:<s@example.org>')
    d.cmd('RCPT TO:<%s>' % user)
    d.cmd('DATA')
    d.send(b'Subject: half\r\n\r\nhalf a message\r\n')
    d.close()
    c.noop().none('EXISTS')
    c.append('INBOX', b'Subject: whole\r\n\r\n')
    c.noop()
    assert len(c.uids) == 1


def test_delivery_while_sessions_work(lmtp, session, user):
    """Deliveries between changes of sessions: everything arrives once."""
    c = session('INBOX')
    lmtp.lhlo()
    for i in range(30):
        tag = c.start('APPEND INBOX ', LitPlus(mails.numbered(1000 + i)))
        assert lmtp.deliver('s@example.org', [user], mails.numbered(i))[1] == [250]
        assert c.wait(tag).status == 'OK'
    c.noop()
    assert len(c.uids) == 60
    assert c.uid_list() == list(range(1, 61))


@pytest.mark.martlet('BDAT')
def test_bdat(lmtp, session, user):
    """RFC 3030 with RFC 2033 section 4.3: replies per recipient after the last chunk only."""
    if 'CHUNKING' not in lmtp.lhlo():
        pytest.skip('no CHUNKING')
    lmtp.cmd('MAIL FROM:<s@example.org>')
    lmtp.cmd('RCPT TO:<%s>' % user)
    one, two = b'Subject: chunks\r\n\r\n.', b'\r\n.\r\nend\r\n'
    lmtp.send(b'BDAT %d\r\n%s' % (len(one), one))
    assert lmtp.reply()[0] == 250
    lmtp.send(b'BDAT %d LAST\r\n%s' % (len(two), two))
    assert lmtp.reply()[0] == 250
    c = session('INBOX')
    assert c.ok('FETCH 1 BODY.PEEK[TEXT]').fetch()[1]['BODY[TEXT]'] == b'.\r\n.\r\nend\r\n'


def processes(s, name):
    found = []
    for pid in children(s.process.pid):
        try:
            with open('/proc/%d/comm' % pid) as f:
                if f.read().strip() == name:
                    found.append(pid)
        except OSError:
            pass
    return found


def own_lmtp(s):
    c = Lmtp(s.host, s.lmtp)
    c.lhlo()
    return c


def uids(s, user, mailbox='INBOX'):
    c = s.connect()
    c.login(user, PASSWORD)
    c.select(mailbox)
    found = list(c.uids)
    c.close()
    return found


@pytest.mark.martlet('exactly once')
def test_a_repeated_delivery_is_stored_once(lmtp, server, session, user):
    """Another connection, the same envelope and content: confirmed, not stored."""
    lmtp.lhlo()
    assert lmtp.deliver('s@example.org', [user], M)[1] == [250]
    again = own_lmtp(server)
    assert again.deliver('s@example.org', ['%s@example.org' % user], M)[1] == [250]
    again.cmd('MAIL FROM:<s@example.org>')
    again.cmd('RCPT TO:<%s>' % user)
    again.send(b'BDAT %d LAST\r\n%s' % (len(M), M))
    assert again.reply() == (250, ['2.0.0 Delivered before'])
    assert again.deliver('t@example.org', [user], M)[1] == [250]
    assert again.deliver('s@example.org', [user], M + b'.\r\n')[1] == [250]
    again.close()
    c = session('INBOX')
    assert len(c.uids) == 3
    text = server.text()
    assert 'event=delivery result=stored user=%s ' % user in text
    assert 'event=delivery result=duplicate user=%s ' % user in text


@pytest.mark.martlet('exactly once')
def test_simultaneous_deliveries_are_stored_once(server, session, user):
    large = M + b'x' * 70 + b'\r\n' * 3000
    clients = [own_lmtp(server) for _ in range(8)]
    for c in clients:
        c.send('MAIL FROM:<s@example.org>\r\nRCPT TO:<%s>\r\nBDAT %d LAST\r\n' % (user, len(large)))
    for c in clients:
        c.send(large)
    answers = [[c.reply() for _ in range(3)][2] for c in clients]
    assert sorted(a[1][0] for a in answers) == ['2.0.0 Delivered'] + ['2.0.0 Delivered before'] * 7
    for c in clients:
        c.close()
    assert len(session('INBOX').uids) == 1


@pytest.mark.martlet('exactly once')
@pytest.mark.settings('mail.quarantine=0')
def test_killed_between_store_and_answer(own_server):
    """kill -9 of the mail processes while answers are under way; the sender repeats what was not answered."""
    users = ['k%d' % i for i in range(6)]
    sent = 0
    for round in range(4):
        clients = []
        for n, u in enumerate(users):
            c = own_lmtp(own_server)
            c.send('MAIL FROM:<s@example.org>\r\nRCPT TO:<%s>\r\nDATA\r\n' % u)
            assert [c.reply()[0] for _ in range(3)] == [250, 250, 354]
            clients.append(c)
        message = mails.numbered(round)
        for c in clients:
            c.send(message + b'.\r\n')
        time.sleep(0.002 * round * SLOW)
        for pid in processes(own_server, 'martlet-mail'):
            os.kill(pid, signal.SIGKILL)
        answered = 0
        for c in clients:
            try:
                answered += c.reply()[0] == 250
            except (OSError, Closed):
                pass
            c.close()
        deadline = time.monotonic() + 20 * SLOW
        left = set(users)  # whatever was answered: the answer may have been lost on the way
        while left:
            assert time.monotonic() < deadline
            try:
                c = own_lmtp(own_server)
                for u in sorted(left):
                    if c.deliver('s@example.org', [u], message) == ([250], [250]):
                        left.discard(u)
                c.close()
            except (OSError, Closed, AssertionError):
                time.sleep(0.1)
        sent += 1
        for u in users:
            assert len(uids(own_server, u)) == sent, (u, round, answered)


@pytest.mark.martlet('the rules are ours')
def test_detail_is_a_folder(lmtp, session, user):
    """user+detail: the mailbox as it is spelled, with '.' for '/', in other case; else INBOX."""
    c = session()
    for name in ('lists/Martlet', 'Work', 'work'):
        c.ok('CREATE "%s"' % name)
    lmtp.lhlo()

    def messages(name):
        return int(c.ok('STATUS "%s" (MESSAGES)' % name).one('STATUS').items()['MESSAGES'])

    def where(address, number):
        assert lmtp.deliver('s@example.org', [address], mails.numbered(number)) == ([250], [250])
        boxes = {}
        for name in ('INBOX', 'lists/Martlet', 'Work', 'work', 'Junk'):
            boxes[name] = messages(name)
        return boxes

    before = where('%s@example.org' % user, 0)
    for number, (detail, name) in enumerate([('lists.martlet', 'lists/Martlet'), ('lists/Martlet', 'lists/Martlet'),
                                             ('Work', 'Work'), ('work', 'work'), ('WORK', 'Work'),
                                             ('junk', 'Junk'), ('nowhere', 'INBOX'), ('inbox', 'INBOX')], 1):
        after = where('%s+%s@example.org' % (user, detail), number)
        assert {k for k in after if after[k] != before[k]} == {name}, detail
        before = after
    assert lmtp.cmd('MAIL FROM:<s@example.org>')[0] == 250
    assert lmtp.cmd('RCPT TO:<%s+nowhere> XMAILBOX=Work' % user)[0] == 250
    assert lmtp.cmd('RCPT TO:<%s> XMAILBOX=+zz' % user)[0] == 501
    assert lmtp.cmd('DATA')[0] == 354
    lmtp.send(M + b'.\r\n')
    assert lmtp.reply()[0] == 250
    assert messages('Work') == before['Work'] + 1


@pytest.mark.martlet('settings')
@pytest.mark.settings('lmtp.detail_create=true', 'lmtp.duplicate_window=0')
def test_detail_makes_a_folder(own_server):
    c = own_lmtp(own_server)
    assert c.deliver('s@example.org', ['anna+new/one@example.org'], M) == ([250], [250])
    assert c.deliver('s@example.org', ['anna+new/one@example.org'], M) == ([250], [250])
    assert c.deliver('s@example.org', ['anna+NEW.one@example.org'], M) == ([250], [250])
    assert len(uids(own_server, 'anna', 'new/one')) == 3  # no window: every one counts
    c.close()


@pytest.mark.martlet('settings')
@pytest.mark.settings('lmtp.detail_folder=false', 'lmtp.message_max=2kb', 'lmtp.recipients_max=100')
def test_limits(own_server):
    c = own_lmtp(own_server)
    imap = own_server.connect()
    imap.login('anna', PASSWORD)
    imap.ok('CREATE folder')
    imap.close()
    assert c.deliver('s@example.org', ['anna+folder'], M) == ([250], [250])
    assert c.deliver('s@example.org', ['anna', 'bert'], M * 30) == ([250, 250], [552, 552])
    rcpt, replies = c.deliver('s@example.org', ['user%d' % i for i in range(102)], M)
    assert rcpt == [250] * 100 + [452] * 2 and replies == [250] * 100
    assert len(uids(own_server, 'anna')) == 1 and uids(own_server, 'anna', 'folder') == []
    c.close()


@pytest.mark.martlet('processes')
def test_no_auth_process(own_server):
    """Nobody can say who has that address: temporary."""
    c = own_lmtp(own_server)
    for pid in processes(own_server, 'martlet-auth'):
        os.kill(pid, signal.SIGSTOP)
    try:
        assert c.cmd('MAIL FROM:<s@example.org>')[0] == 250
        c.send('RCPT TO:<anna>\r\n')
        time.sleep(0.2)
        for pid in processes(own_server, 'martlet-auth'):
            os.kill(pid, signal.SIGKILL)
        assert c.reply()[0] in (250, 451)  # asked again, as it is started again
    finally:
        for pid in processes(own_server, 'martlet-auth'):
            os.kill(pid, signal.SIGCONT)
    assert c.cmd('RSET')[0] == 250
    assert c.deliver('s@example.org', ['anna'], M) == ([250], [250])
    c.close()


@pytest.mark.martlet('SMTPUTF8')
def test_smtputf8(lmtp, session, user):
    """RFC 6531: addresses in UTF-8, if MAIL said so."""
    lmtp.lhlo()
    assert lmtp.cmd('MAIL FROM:<jürgen@exämple.org>'.encode())[0] == 553
    assert lmtp.cmd('MAIL FROM:<jürgen@exämple.org> SMTPUTF8'.encode())[0] == 250
    assert lmtp.cmd(('RCPT TO:<%s+ärger@exämple.org>' % user).encode())[0] == 250
    assert lmtp.cmd('DATA')[0] == 354
    lmtp.send(M + b'.\r\n')
    assert lmtp.reply()[0] == 250
    c = session('INBOX')
    head = c.ok('FETCH 1 BODY.PEEK[HEADER]').fetch()[1]['BODY[HEADER]'].decode()
    assert head.startswith('Return-Path: <jürgen@exämple.org>\r\nDelivered-To: %s+ärger@exämple.org\r\n' % user)
    assert 'with UTF8LMTP' in head


class Tool:
    def __init__(self, s):
        self.program = os.path.join(ROOT, 'build-' + BUILD_TYPE, 'src', 'tools', 'martletctl')
        self.common = ['-c', s.dir + '/martlet.conf']

    def __call__(self, *words, stdin=b'', code=0):
        r = subprocess.run([self.program, *self.common, 'deliver', *words], input=stdin, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=60)
        assert r.returncode == code, (r.returncode, r.stderr)
        return r.stderr.decode()


TEMPFAIL, NOUSER, NOINPUT, CANTCREAT, USAGE = 75, 67, 66, 73, 64


@pytest.mark.martlet('martletctl')
def test_martletctl_deliver(server, session, user):
    tool = Tool(server)
    c = session('INBOX')
    c.ok('CREATE "a b+=c/sub"')
    message = b'From somebody Mon Nov 23 00:00:00 2026\nSubject: piped\n\n.dot\n..\n.\nend'
    tool(user, stdin=message)
    tool('-f', '<>', '--mailbox', 'a b+=c/sub', user + '@example.org', stdin=message.replace(b'\n', b'\r\n'))
    tool('--sender', 'jürgen@exämple.org', '--mailbox', 'nowhere', user, stdin=message)
    c.noop()
    items = c.ok('FETCH 1:2 BODY.PEEK[]').fetch()
    want = b'Subject: piped\r\n\r\n.dot\r\n..\r\n.\r\nend\r\n'
    assert items[1]['BODY[]'].endswith(b'\r\n' + want) and b'From somebody' not in items[1]['BODY[]']
    assert items[1]['BODY[]'].startswith(b'Return-Path: <')
    assert items[2]['BODY[]'].startswith('Return-Path: <jürgen@exämple.org>\r\n'.encode())
    c.select('a b+=c/sub')
    body = c.ok('FETCH 1 BODY.PEEK[]').fetch()[1]['BODY[]']
    assert body.startswith(b'Return-Path: <>\r\n') and body.endswith(b'\r\n' + want)


@pytest.mark.martlet('martletctl')
@pytest.mark.settings('lmtp.message_max=2kb', 'auth.any_user_password=""', 'lmtp.socket_mode=0600')
def test_martletctl_deliver_fails(own_server):
    """sysexits(3), for mailers."""
    with open(own_server.dir + '/users', 'w') as f:
        f.write('anna:{PLAIN}x\nbert:{PLAIN}x\n')
    own_server.process.send_signal(signal.SIGHUP)
    tool = Tool(own_server)
    deadline = time.monotonic() + 10 * SLOW
    while 'event=reloaded' not in own_server.text() and time.monotonic() < deadline:
        time.sleep(0.05)
    tool('anna', stdin=M)
    assert 'nobody: 550 5.1.1' in tool('nobody', stdin=M, code=NOUSER)
    assert 'nobody: 550 5.1.1' in tool('anna', 'nobody', 'bert', stdin=M, code=NOUSER)  # the others got it
    assert '552 5.3.4' in tool('anna', stdin=M * 30, code=CANTCREAT)
    tool('anna', stdin=b'', code=NOINPUT)
    tool('a>b', stdin=M, code=USAGE)
    own_server.stop()
    tool('anna', stdin=M, code=TEMPFAIL)
