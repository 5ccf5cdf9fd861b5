"""isync: two-way synchronisation of 1,000 messages with a Maildir."""
import os
import re

import pytest

from support import mails
from support.clients import local, mailbox, maildir, run, write
from support.imap import LitPlus
from support.server import PASSWORD

CONFIG = """
CopyArrivalDate yes
IMAPAccount m
Host {host}
Port {port}
User {user}
Pass {password}
SSLType {ssl}
{more}

IMAPStore far
Account m

MaildirStore near
Path {dir}/mail/
Inbox {dir}/mail/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
"""


def without_tuid(data):
    return re.sub(rb'X-TUID: [^\r]*\r\n', b'', data)


def compare(c, tmp_path, boxes):
    for box in boxes:
        far = sorted((f, without_tuid(d)) for f, d in mailbox(c, box))
        near = local(tmp_path / 'mail' / box, without_tuid)
        assert [f for f, _ in far] == [f for f, _ in near], box
        assert far == near, box


@pytest.mark.parametrize('ssl', ['None', 'IMAPS'])
def test_two_way_sync(server, session, user, tmp_path, ssl):
    n = 1000 if ssl == 'None' else 100
    c = session()
    parts = ['APPEND INBOX']
    for i in range(n):
        parts += [' (%s) ' % ('', '\\Seen', '\\Flagged \\Answered', '\\Draft')[i % 4], LitPlus(mails.numbered(i, i % 50 * 100))]
    c.ok(*parts)
    c.ok('CREATE lists/far')
    c.append('lists/far', mails.MIXED)
    more = ''
    if ssl == 'IMAPS':
        with open(str(tmp_path / 'cert.pem'), 'w') as f:
            f.write(run(['openssl', 's_client', '-connect', '127.0.0.1:%d' % server.imaps], tmp_path, check=False))
        more = 'CertificateFile %s/cert.pem' % tmp_path
    os.makedirs(str(tmp_path / 'mail'))
    plain = ssl == 'None'
    write(tmp_path / 'rc', CONFIG.format(host='127.0.0.1' if plain else 'localhost', user=user, ssl=ssl, more=more,
                                         port=server.imap if plain else server.imaps, password=PASSWORD, dir=tmp_path))

    def sync():
        return run(['mbsync', '-V', '-c', str(tmp_path / 'rc'), '-a'], tmp_path, timeout=120)
    sync()
    near = maildir(tmp_path / 'mail/INBOX')
    assert len(near) == n
    boxes = ['INBOX', 'lists/far', 'Drafts', 'Sent']
    compare(c, tmp_path, boxes)

    # changes on both sides
    cur = tmp_path / 'mail/INBOX'
    names = sorted(((d, e) for d in ('cur', 'new') for e in os.listdir(str(cur / d))),
                   key=lambda de: int(re.search(r',U=(\d+)', de[1]).group(1)))
    for d, e in names[:20]:
        base, _, info = e.partition(':2,')
        os.rename(str(cur / d / e), str(cur / 'cur' / (base + ':2,' + ''.join(sorted(set(info) | {'F', 'S'})))))
    for d, e in names[20:30]:
        base, _, info = e.partition(':2,')
        os.rename(str(cur / d / e), str(cur / 'cur' / (base + ':2,' + ''.join(sorted(set(info) | {'T'})))))
    for i in range(15):
        write(cur / 'new' / ('1000%d.local.host' % i), mails.numbered(5000 + i).decode().replace('\r\n', '\n'))
    for sub in ('cur', 'new', 'tmp'):
        os.makedirs(str(tmp_path / 'mail/near-made' / sub))
    write(tmp_path / 'mail/near-made/new/1.local.host', 'Subject: near\n\nnear\n')
    c.select()
    flags_before = {int(i['UID']) for i in c.ok('FETCH 1:* (UID)').fetch().values()}
    c.ok('STORE 40:60 +FLAGS.SILENT (\\Answered)')
    c.ok('STORE 61:70 +FLAGS.SILENT (\\Deleted)')
    c.ok('EXPUNGE')
    for i in range(12):
        c.append('INBOX', mails.numbered(7000 + i))
    c.ok('CREATE far-made')
    c.append('far-made', mails.SIMPLE, '(\\Seen)')
    sync()
    boxes += ['near-made', 'far-made']
    compare(c, tmp_path, boxes)
    assert len(maildir(cur)) == n - 10 - 10 + 15 + 12
    assert c.select().one('EXISTS').num == n + 7
    assert flags_before - set(c.uid_list())

    # a second sync transfers nothing
    before = {box: c.ok('STATUS %s (MESSAGES UIDNEXT UNSEEN)' % box).one('STATUS').items() for box in boxes}
    files = {box: maildir(tmp_path / 'mail' / box) for box in boxes}
    sync()
    assert {box: maildir(tmp_path / 'mail' / box) for box in boxes} == files
    assert {box: c.ok('STATUS %s (MESSAGES UIDNEXT UNSEEN)' % box).one('STATUS').items() for box in boxes} == before
