"""curl, fetchmail, getmail6, mutt, aerc and Python's imaplib at real work."""
import imaplib
import os
import re
import ssl as ssl_module
import time

import pytest

from support import mails
from support.clients import Terminal, mailbox, run, write
from support.imap import LitPlus, flags
from support.server import PASSWORD


def fill(c, n, mailbox='INBOX'):
    parts = ['APPEND ' + mailbox]
    for i in range(n):
        parts += [' ', LitPlus(mails.numbered(i, i * 20))]
    c.ok(*parts)


# -- curl

@pytest.fixture
def curl(server, user, tmp_path):
    def go(path, *arguments, tls=None):
        url = {'imaps': 'imaps://127.0.0.1:%d/' % server.imaps}.get(tls, 'imap://127.0.0.1:%d/' % server.imap)
        more = ['--ssl-reqd', '-k'] if tls == 'starttls' else ['-k'] if tls else []
        return run(['curl', '-sS', '--max-time', '30', '-u', '%s:%s' % (user, PASSWORD)] + more + list(arguments) + [url + path],
                   tmp_path)
    return go


@pytest.mark.parametrize('tls', [None, 'starttls', 'imaps'])
def test_curl(curl, session, tmp_path, tls):
    c = session('INBOX')
    fill(c, 5)
    c.noop()
    with open(str(tmp_path / 'm'), 'wb') as f:
        f.write(mails.MIXED)
    curl('INBOX', '-T', str(tmp_path / 'm'), tls=tls)
    assert c.noop().all('EXISTS')[-1].num == 6
    assert c.ok('FETCH 6 BODY.PEEK[]').fetch()[6]['BODY[]'] == mails.MIXED
    out = tmp_path / 'out'
    curl('INBOX;MAILINDEX=6', '-o', str(out), tls=tls)
    assert out.read_bytes() == mails.MIXED
    curl('INBOX;UID=6;SECTION=TEXT', '-o', str(out), tls=tls)
    assert out.read_bytes() == mails.MIXED.split(b'\r\n\r\n', 1)[1]
    text = curl('', tls=tls)
    assert '"/"' in text and 'INBOX' in text and 'Drafts' in text
    assert re.findall(r'\d+', curl('INBOX?SUBJECT%20%22message%203%22', tls=tls).split('SEARCH')[1]) == ['4']
    curl('INBOX', '-X', 'STORE 2 +FLAGS (\\Flagged)', tls=tls)
    assert '\\flagged' in c.flags_of(2)
    assert 'MESSAGES 6' in curl('INBOX', '-X', 'STATUS INBOX (MESSAGES)', tls=tls)


def test_curl_many_in_one_connection(curl, session, tmp_path):
    """One connection, many transfers."""
    c = session('INBOX')
    fill(c, 40)
    curl('INBOX;MAILINDEX=[1-40]', '-o', str(tmp_path / 'm#1'))
    for i in range(40):
        assert (tmp_path / ('m%d' % (i + 1))).read_bytes() == mails.numbered(i, i * 20)


def test_curl_wrong_password(server, user, tmp_path):
    text = run(['curl', '-sS', '-u', user + ':wrong', 'imap://127.0.0.1:%d/' % server.imap], tmp_path, check=False)
    assert 'denied' in text.lower()


# -- fetchmail

def test_fetchmail(server, session, user, tmp_path):
    """Fetches all unseen mail into files, and deletes it on the server."""
    c = session()
    fill(c, 30)
    os.makedirs(str(tmp_path / 'got'))
    write(tmp_path / 'deliver', '#!/bin/sh\ncat >"$(mktemp %s/got/XXXXXX)"\n' % tmp_path, 0o700)
    write(tmp_path / 'rc', 'poll 127.0.0.1 protocol imap port %d auth password\n  user "%s" password "%s" nokeep fetchall\n'
          '  sslproto ""\n  mda "%s/deliver"\n' % (server.imap, user, PASSWORD, tmp_path))

    def fetch(*more):
        return run(['fetchmail', '-v', '-f', str(tmp_path / 'rc'), '--pidfile', str(tmp_path / 'pid'),
                    '--idfile', str(tmp_path / 'ids')] + list(more), tmp_path, check=False)
    text = fetch()
    got = sorted((p.read_bytes() for p in (tmp_path / 'got').iterdir()))
    assert len(got) == 30, text
    bodies = sorted(m.replace(b'\r\n', b'\n').split(b'\n\n', 1)[1] for m in got)
    assert bodies == sorted(mails.numbered(i, i * 20).replace(b'\r\n', b'\n').split(b'\n\n', 1)[1] for i in range(30))
    assert c.select().one('EXISTS').num == 0
    c.append('INBOX', mails.SIMPLE)
    fetch('--ssl', '--nosslcertck', '--port', str(server.imaps))
    assert len(list((tmp_path / 'got').iterdir())) == 31
    assert 'no mail' in fetch().lower()
    assert c.select().one('EXISTS').num == 0


# -- getmail6

@pytest.mark.parametrize('tls', [False, True])
def test_getmail(server, session, user, tmp_path, tls):
    """Retrieves INBOX and another mailbox into a Maildir; a second run gets only what is new."""
    c = session()
    fill(c, 25)
    c.ok('CREATE more')
    c.append('more', mails.MIXED)
    os.makedirs(str(tmp_path / 'got'))
    write(tmp_path / 'deliver', '#!/bin/sh\ncat >"$(mktemp %s/got/XXXXXX)"\n' % tmp_path, 0o700)
    # (its own Maildir delivery refuses to run as root)
    write(tmp_path / '.config/getmail/getmailrc', '[retriever]\ntype = %s\nserver = 127.0.0.1\nport = %d\nusername = %s\n'
          'password = %s\nmailboxes = ("INBOX", "more")\n[destination]\ntype = MDA_external\npath = %s/deliver\n'
          'allow_root_commands = true\n[options]\nread_all = false\ndelete = false\ndelivered_to = false\n'
          'received = false\n'
          % ('SimpleIMAPSSLRetriever' if tls else 'SimpleIMAPRetriever', server.imaps if tls else server.imap, user,
             PASSWORD, tmp_path))

    def get():
        run(['getmail', '--getmaildir', str(tmp_path / '.config/getmail')], tmp_path)
        return sorted(p.read_bytes().replace(b'\r\n', b'\n').split(b'\n\n', 1)[1] for p in (tmp_path / 'got').iterdir())
    expected = [mails.numbered(i, i * 20) for i in range(25)] + [mails.MIXED]
    got = get()
    assert got == sorted(m.replace(b'\r\n', b'\n').split(b'\n\n', 1)[1] for m in expected)
    c.append('INBOX', mails.SIMPLE)
    assert len(get()) == 27
    assert len(get()) == 27


# -- mutt

def test_mutt(server, session, user, tmp_path):
    """Opens INBOX, flags one message, moves another, deletes a third, and quits."""
    c = session()
    fill(c, 6)
    c.ok('CREATE dest')
    write(tmp_path / 'muttrc', 'set imap_user="%s" imap_pass="%s" folder="imap://127.0.0.1:%d/" spoolfile="+INBOX"\n'
          'set ssl_starttls=no ssl_force_tls=no confirmappend=no delete=yes move=no mark_old=no wait_key=no header_cache=""\n'
          'set sort=mailbox-order timeout=1 mail_check=1\nunset imap_passive\n' % (user, PASSWORD, server.imap))
    t = Terminal(['mutt', '-n', '-F', str(tmp_path / 'muttrc'), '-f', 'imap://127.0.0.1:%d/INBOX' % server.imap], tmp_path)
    try:
        t.expect('message 5')
        t.keys('2\nF')          # flag the second
        t.keys('3\ns=dest\n')   # save the third elsewhere, which marks it deleted
        t.keys('5\nd')          # delete the fifth
        t.keys('$')             # write the changes
        t.until(lambda: c.ok('STATUS INBOX (MESSAGES)').one('STATUS').items()['MESSAGES'] == '4')
        c.append('INBOX', b'From: new@example.org\r\nSubject: just arrived\r\n\r\nx\r\n')
        t.until(lambda: b'just arrived' in t.screen)
        t.keys('q')
        t.wait()
    finally:
        t.close()
    c.select()
    assert c.uid_list() == [1, 2, 4, 6, 7]
    assert '\\flagged' in c.flags_of(2)
    assert mailbox(c, 'dest')[0][1] == mails.numbered(2, 40)


def test_mutt_sends_to_a_folder(server, session, user, tmp_path):
    """Batch mode: what is sent is recorded in Sent by APPEND."""
    c = session()
    write(tmp_path / 'muttrc', 'set imap_user="%s" imap_pass="%s" folder="imap://127.0.0.1:%d/" record="+Sent"\n'
          'set ssl_starttls=no ssl_force_tls=no copy=yes sendmail="/bin/true" from="me@example.org"\n'
          % (user, PASSWORD, server.imap))
    run(['mutt', '-n', '-F', str(tmp_path / 'muttrc'), '-s', 'hello there', 'you@example.org'], tmp_path, data=b'the text\n')
    assert c.select('Sent').one('EXISTS').num == 1
    items = c.ok('FETCH 1 (FLAGS ENVELOPE BODY.PEEK[TEXT])').fetch()[1]
    assert items['ENVELOPE'][1] == b'hello there' and items['BODY[TEXT]'] == b'the text\r\n'
    assert '\\seen' in flags(items['FLAGS'])


# -- aerc

def test_aerc(server, session, user, tmp_path):
    """Opens INBOX, flags and moves messages."""
    c = session()
    fill(c, 4)
    c.ok('CREATE dest')
    write(tmp_path / '.config/aerc/accounts.conf', '[t]\nsource = imap+insecure://%s:%s@127.0.0.1:%d\ndefault = INBOX\n'
          'from = me <me@example.org>\ncache-headers = false\n' % (user, PASSWORD, server.imap))
    t = Terminal(['aerc'], tmp_path, {'TERM': 'xterm'})
    try:
        t.expect('message 3')
        t.keys(':select 0\r')
        t.keys(':flag -t\r')
        t.until(lambda: c.ok('STATUS INBOX (UNSEEN)') and flagged(c))
        t.keys(':mv dest\r')
        t.until(lambda: c.ok('STATUS dest (MESSAGES)').one('STATUS').items()['MESSAGES'] == '1')
        t.keys(':quit -f\r')
        t.wait()
    finally:
        t.close()
    assert c.select().one('EXISTS').num == 3
    assert mailbox(c, 'dest')[0][1] in [mails.numbered(i, i * 20) for i in range(4)]


def flagged(c):
    c.ok('EXAMINE INBOX')
    found = c.ok('SEARCH FLAGGED').search()
    c.ok('UNSELECT')
    return len(found) == 1


# -- imaplib

@pytest.mark.parametrize('tls', [None, 'starttls', 'imaps'])
def test_imaplib(server, user, tls):
    context = ssl_module.SSLContext(ssl_module.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl_module.CERT_NONE
    if tls == 'imaps':
        m = imaplib.IMAP4_SSL('127.0.0.1', server.imaps, ssl_context=context)
    else:
        m = imaplib.IMAP4('127.0.0.1', server.imap)
        if tls:
            assert m.starttls(context)[0] == 'OK'
    assert m.login(user, PASSWORD)[0] == 'OK'
    for box in ('a', 'a/b', '"with space"'):
        assert m.create(box)[0] == 'OK'
        assert m.subscribe(box)[0] == 'OK'
    assert m.rename('a/b', 'a/c')[0] == 'OK'
    names = [line.decode().split(' "/" ')[1] for line in m.list()[1]]
    assert {'a', 'a/c', '"with space"'} <= {n if ' ' in n else n.strip('"') for n in names}
    assert any(b'a/b' in line for line in m.lsub()[1])
    when = '"01-Feb-2003 04:05:06 +0200"'
    for i in range(10):
        assert m.append('a', '(\\Seen)' if i % 2 else None, when, mails.numbered(i))[0] == 'OK'
    assert m.select('a') == ('OK', [b'10'])
    assert m.search(None, 'SEEN')[1] == [b'2 4 6 8 10']
    assert m.search('UTF-8', 'SUBJECT', '"message 7"')[1] == [b'8']
    ok, data = m.fetch('1:3', '(UID BODY.PEEK[])')
    assert [d[1] for d in data if isinstance(d, tuple)] == [mails.numbered(i) for i in range(3)]
    ok, data = m.uid('FETCH', '5', '(INTERNALDATE)')
    assert imaplib.Internaldate2tuple(data[0]) == time.localtime(1044065106)
    assert m.store('1', '+FLAGS', '(\\Deleted)')[0] == 'OK'
    assert m.copy('2:4', '"with space"')[0] == 'OK'
    assert m.expunge() == ('OK', [b'1'])
    assert m.status('a', '(MESSAGES UIDNEXT)')[1] == [b'a (MESSAGES 9 UIDNEXT 11)']
    assert m.uid('MOVE', '5', '"with space"')[0] == 'OK'
    assert m.namespace()[0] == 'OK'
    assert m.select('"with space"', readonly=True) == ('OK', [b'4'])
    assert m.unselect()[0] == 'OK'
    with pytest.raises(imaplib.IMAP4.error):
        m.fetch('1', '(FLAGS')
    assert m.noop()[0] == 'OK'
    assert m.logout()[0] == 'BYE'


def test_imaplib_authenticate(server, user):
    m = imaplib.IMAP4('127.0.0.1', server.imap)
    with pytest.raises(imaplib.IMAP4.error):
        m.login(user, 'wrong')
    assert m.authenticate('PLAIN', lambda _: b'\0%s\0%s' % (user.encode(), PASSWORD.encode()))[0] == 'OK'
    m.logout()
