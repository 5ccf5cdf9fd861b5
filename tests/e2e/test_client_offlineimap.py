"""offlineimap3: two-way synchronisation with a Maildir."""
import os
import re

from support import mails
from support.clients import local, mailbox, maildir, run, write
from support.imap import LitPlus
from support.server import PASSWORD

CONFIG = """
[general]
accounts = t
maxsyncaccounts = 1
ui = basic
metadata = {dir}/meta
socktimeout = 60
[Account t]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {dir}/mail
sep = /
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = {port}
remoteuser = {user}
remotepass = {password}
ssl = no
starttls = no
auth_mechanisms = PLAIN
usecompression = no
maxconnections = 2
"""


def test_two_way_sync(server, session, user, tmp_path):
    n = 150
    c = session()
    parts = ['APPEND INBOX']
    for i in range(n):
        parts += [' (%s) ' % ('', '\\Seen', '\\Flagged', '\\Answered \\Seen')[i % 4], LitPlus(mails.numbered(i, i * 30))]
    c.ok(*parts)
    c.ok('CREATE Work/Plans')
    c.append('Work/Plans', mails.MIXED, '(\\Seen)')
    write(tmp_path / 'rc', CONFIG.format(dir=tmp_path, port=server.imap, user=user, password=PASSWORD))

    def sync():
        return run(['offlineimap', '-o', '-c', str(tmp_path / 'rc')], tmp_path, timeout=90)

    def strip(data):
        return b'\r\n'.join(line for line in data.split(b'\r\n') if not line.lower().startswith(b'x-offlineimap'))

    def compare(*boxes):
        for box in boxes:
            assert sorted((f, strip(d)) for f, d in mailbox(c, box)) == local(tmp_path / 'mail' / box, strip), box
    sync()
    assert len(maildir(tmp_path / 'mail/INBOX')) == n
    compare('INBOX', 'Work/Plans', 'Sent')

    # both sides change
    inbox = tmp_path / 'mail/INBOX'

    def by_uid():
        return sorted(((d, e) for d in ('cur', 'new') for e in os.listdir(str(inbox / d))),
                      key=lambda de: int(re.search(r',U=(\d+)', de[1]).group(1)))
    for d, e in by_uid()[:10]:
        base, _, info = e.partition(':2,')
        os.rename(str(inbox / d / e), str(inbox / 'cur' / (base + ':2,' + ''.join(sorted(set(info) | {'F', 'R'})))))
    for d, e in by_uid()[50:55]:
        os.unlink(str(inbox / d / e))
    write(inbox / 'new/123.456.host', mails.numbered(900).decode().replace('\r\n', '\n'))
    c.select()
    c.ok('STORE 100:110 +FLAGS.SILENT (\\Seen)')
    c.ok('STORE 120:125 +FLAGS.SILENT (\\Deleted)')
    c.ok('EXPUNGE')
    c.append('INBOX', mails.SIMPLE)
    sync()
    compare('INBOX', 'Work/Plans')
    assert c.select().one('EXISTS').num == n - 5 - 6 + 2

    # nothing more to do
    before = [c.ok('STATUS %s (MESSAGES UIDNEXT UNSEEN)' % b).one('STATUS').items() for b in ('INBOX', 'Work/Plans')]
    files = maildir(inbox)
    text = sync()
    assert 'Copy message' not in text and 'Adding flags' not in text and 'Deleting' not in text
    assert maildir(inbox) == files
    assert before == [c.ok('STATUS %s (MESSAGES UIDNEXT UNSEEN)' % b).one('STATUS').items()
                      for b in ('INBOX', 'Work/Plans')]
