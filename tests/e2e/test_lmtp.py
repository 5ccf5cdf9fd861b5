"""Delivery by LMTP, then read by IMAP. RFC 2033; RFC 2034, RFC 2920, RFC 5321 section 4."""
import time

import pytest

from support import mails
from support.imap import SLOW, LitPlus
from support.lmtp import Lmtp

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
        assert len(c.uids) in (1, 2)
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
    assert len(c.uids) == 40


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
