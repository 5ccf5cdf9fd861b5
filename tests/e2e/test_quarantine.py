"""An account that crashes its mail process again and again is refused, with a clear error; the others
come back at once. And a mail process that is away for a moment fails no login."""
import json
import os
import signal
import subprocess
import threading
import time

import pytest

from support import mails
from support import server as support_server
from support.imap import TIMEOUT, LitPlus
from support.lmtp import Lmtp
from support.server import BUILD_TYPE, PASSWORD, ROOT
from test_processes import process, until

pytestmark = [pytest.mark.martlet('its own processes'),
              pytest.mark.skipif(support_server.SANITIZED, reason='a sanitizer takes SIGSEGV for its own')]
settings = pytest.mark.settings
HEAVY = 'SEARCH ' + ' '.join('NOT BODY nothing%d' % i for i in range(60))


def busy_session(server, user):
    """A session that keeps its process busy with long commands."""
    c = server.connect()
    c.login(user, PASSWORD)
    c.select()
    if not c.uids:
        message = mails.numbered(1, 20000)
        c.ok('APPEND INBOX ', *[LitPlus(message) if i % 2 == 0 else ' ' for i in range(399)])
        c.noop()
    for _ in range(20):
        c.start(HEAVY)
    return c


def crash(server, user):
    """SIGSEGV while the process works for the user; True if it knew for whom."""
    c = busy_session(server, user)
    time.sleep(0.1)
    before, mark = process(server, 'martlet-mail'), len(server.output)
    os.kill(before[0], signal.SIGSEGV)
    c.sock.close()
    until(lambda: any('event=process-ended' in x for x in server.output[mark:]), 'it did not end')
    until(lambda: process(server, 'martlet-mail') not in ([], before), 'not started again')
    return any('event=quarantine ' in x or 'event=crash-suspect' in x for x in server.output[mark:])


def answer(server, user):
    c = server.connect()
    try:
        return c.cmd('LOGIN %s %s' % (user, PASSWORD))
    finally:
        c.close()


def ctl(server, *words):
    """martletctl's objects."""
    tool = os.path.join(ROOT, 'build-' + BUILD_TYPE, 'src', 'tools', 'martletctl')
    r = subprocess.run([tool, '-c', server.dir + '/martlet.conf', '--json', *words], capture_output=True, text=True,
                       timeout=60)
    assert r.returncode == 0, r.stderr
    return [json.loads(x) for x in r.stdout.splitlines()]


def lmtp_answer(server, user):
    c = Lmtp('127.0.0.1', server.lmtp)
    c.lhlo()
    rcpt, data = c.deliver('a@example.org', [user + '@example.org'], mails.numbered(7))
    return data[0] if rcpt == [250] else rcpt[0]


@settings('mail.processes=1', 'mail.quarantine=4s')
def test_an_account_that_crashes_its_process(own_server):
    with own_server.connect() as c:
        c.login('innocent', PASSWORD)
    for _ in range(10):
        crash(own_server, 'culprit')
        if 'event=quarantine ' in own_server.text():
            break
        assert answer(own_server, 'culprit').status == 'OK'  # one crash is no quarantine
    began = time.monotonic()
    until(lambda: answer(own_server, 'innocent').status == 'OK', 'others are refused')
    r = answer(own_server, 'culprit')
    assert (r.status, r.code) == ('NO', 'UNAVAILABLE'), r
    assert 'repeatedly' in repr(r) and 'administrator' in repr(r)
    assert lmtp_answer(own_server, 'culprit') == 451
    assert lmtp_answer(own_server, 'innocent') == 250
    until(lambda: answer(own_server, 'culprit').status == 'OK', 'still refused')
    assert time.monotonic() - began > 2
    # Again: longer.
    for _ in range(10):
        if crash(own_server, 'culprit'):
            break
    lines = [x for x in own_server.output if 'event=quarantine ' in x]
    assert 'crashes=2 seconds=4' in lines[0] and 'crashes=3 seconds=8' in lines[-1], lines
    assert answer(own_server, 'culprit').code == 'UNAVAILABLE'
    listed, = ctl(own_server, 'quarantine', 'list')
    assert (listed['user'], listed['crashes']) == ('culprit', 3) and 0 < listed['seconds'] <= 8, listed
    ctl(own_server, 'quarantine', 'release', 'culprit')
    until(lambda: answer(own_server, 'culprit').status == 'OK', 'not released')
    assert ctl(own_server, 'quarantine', 'list') == []
    own_server.stop()


@settings('mail.processes=1')
def test_sigkill_is_nobodys_fault(own_server):
    """The administrator's, or the kernel's when memory is short."""
    for _ in range(3):
        c = busy_session(own_server, 'fred')
        before = process(own_server, 'martlet-mail')
        os.kill(before[0], signal.SIGKILL)
        c.sock.close()
        until(lambda: process(own_server, 'martlet-mail') not in ([], before), 'not started again')
        until(lambda: answer(own_server, 'fred').status == 'OK', 'refused')
    assert 'event=quarantine ' not in own_server.text()


def user_of(process_index, count):
    """A name whose account belongs to that process."""
    table = []
    for i in range(256):
        c = i
        for _ in range(8):
            c = (c >> 1) ^ (0x82F63B78 if c & 1 else 0)
        table.append(c)

    def crc32c(data):
        c = 0xFFFFFFFF
        for b in data:
            c = (c >> 8) ^ table[(c ^ b) & 255]
        return c ^ 0xFFFFFFFF
    for i in range(1000):
        if crc32c(b'user%d' % i) % count == process_index:
            return 'user%d' % i
    raise AssertionError


@settings('mail.processes=3')
def test_logins_wait_for_the_owner_of_the_site_log(own_server):
    """Mail process 0 knows what account a name has. While it is started again, logins that need it wait."""
    names = [user_of(1, 3), user_of(2, 3)]
    for name in names:
        assert answer(own_server, name).status == 'OK'
    first = sorted(process(own_server, 'martlet-mail'))[0]
    results = []

    def keep_logging_in(name):
        for _ in range(15):
            results.append(answer(own_server, name).status)
    threads = [threading.Thread(target=keep_logging_in, args=(name,)) for name in names]
    for t in threads:
        t.start()
    for _ in range(3):
        time.sleep(0.05)
        pids = sorted(process(own_server, 'martlet-mail'))
        os.kill(first, signal.SIGKILL)
        until(lambda: len(set(process(own_server, 'martlet-mail')) - set(pids)) == 1, 'not started again')
        first = (set(process(own_server, 'martlet-mail')) - set(pids)).pop()
    for t in threads:
        t.join(TIMEOUT)
    assert results == ['OK'] * 30, results
