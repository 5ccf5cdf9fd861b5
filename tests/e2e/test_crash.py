"""Every kind of process is killed while clients work: the others go on, it is started again, clients come back,
and every change that was acknowledged is there.
"""
import os
import random
import signal
import socket
import subprocess
import threading
import time

import pytest

from support import server as support_server
from support.imap import SLOW, TIMEOUT, Closed
from support.server import BUILD_TYPE, PASSWORD, ROOT, children, free_ports

pytestmark = pytest.mark.martlet('its own processes')

CLIENTS = 4
ROUND = 1.2 * SLOW  # seconds between two deaths
VICTIMS = ('martlet-login', 'martlet-auth', 'martlet-mail', 'martlet-metrics', 'martlet-mail')
FLAGS = ('\\Flagged', '\\Answered', '$work')


@pytest.fixture
def busy():
    port, = free_ports(1)
    s = support_server.make(extra=['--setting', 'mail.processes=2', '--setting', 'login.processes=1', '--setting',
                                   'mail.quarantine=0s', '--setting', 'metrics.listen=["127.0.0.1:%d"]' % port])
    s.metrics = port
    yield s.start()
    if s.process.poll() is None:
        s.stop()
    s.remove()


def processes(s):
    """pid -> name, without the supervisor."""
    found = {}
    for pid in children(s.process.pid):
        try:
            with open('/proc/%d/comm' % pid) as f:
                found[pid] = f.read().strip()
        except OSError:
            pass
    return {pid: name for pid, name in found.items() if name.startswith('martlet-')}


class Client(threading.Thread):
    """Appends, flags and fetches until told to stop; remembers what the server has acknowledged."""

    def __init__(self, server, number, tls):
        super().__init__(daemon=True)
        self.server, self.user, self.tls = server, 'crash%d' % number, tls
        self.random = random.Random(number)
        self.stopping = False
        self.appended = {}  # marker -> UID
        self.flags = {}  # UID -> flags acknowledged
        self.unsure = {}  # UID -> flags whose answer was lost
        self.connects, self.longest, self.done, self.trouble = 0, 0.0, 0, None

    def connect(self):
        began = time.monotonic()
        while True:
            try:
                c = self.server.connect(tls=self.tls)
                if c.cmd('LOGIN %s %s' % (self.user, PASSWORD)).status == 'OK':
                    c.select('INBOX')
                    self.connects += 1
                    self.longest = max(self.longest, time.monotonic() - began)
                    return c
                c.close()
            except (Closed, OSError):
                pass
            assert time.monotonic() - began < TIMEOUT, 'cannot connect again'
            time.sleep(0.02)

    def step(self, c):
        what = self.random.random()
        if what < 0.5 or not self.appended:
            marker = '%s-%d-%d' % (self.user, self.connects, self.done)
            body = b'x' * self.random.randrange(20000)
            uid = c.append('INBOX', b'Subject: %s\r\n\r\n%s\r\n' % (marker.encode(), body))
            self.appended[marker] = uid
        elif what < 0.85:
            uid, flag = self.random.choice(list(self.appended.values())), self.random.choice(FLAGS)
            self.unsure.setdefault(uid, set()).add(flag)
            c.ok('UID STORE %d +FLAGS (%s)' % (uid, flag))
            self.flags.setdefault(uid, set()).add(flag)
        else:
            marker, uid = self.random.choice(list(self.appended.items()))
            r = c.ok('UID FETCH %d (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])' % uid)
            assert marker in repr(r.all('FETCH')), (marker, r)
        self.done += 1

    def run(self):
        c = None
        try:
            c = self.connect()
            while not self.stopping:
                try:
                    self.step(c)
                except (Closed, OSError):
                    c.close()
                    c = self.connect()
            c.close()
        except BaseException as e:
            self.trouble = e

    def check(self):
        c = self.connect()
        r = c.ok('UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])')
        found = {}
        for item in r.all('FETCH'):
            text = repr(item)
            fields = item.items()
            found[int(fields['UID'])] = (text, {str(f) for f in fields['FLAGS']})
        for marker, uid in self.appended.items():
            assert uid in found, '%s: acknowledged message %d is lost' % (self.user, uid)
            assert marker in found[uid][0], (marker, found[uid][0][:300])
            flags = found[uid][1] - {'\\Recent', '\\Seen'}
            assert self.flags.get(uid, set()) <= flags, (uid, self.flags[uid], flags)
            assert flags <= self.unsure.get(uid, set()), (uid, flags)
        assert len(found) - len(self.appended) <= self.connects  # at most one unanswered a break
        c.close()


def test_kill_each_process_under_load(busy):
    s = busy
    clients = [Client(s, i, tls=i % 2 == 1) for i in range(CLIENTS)]
    for c in clients:
        c.start()
    for victim in VICTIMS:
        time.sleep(ROUND)
        before = processes(s)
        # Sessions of plain connections are in the mail processes alone: only those of a killed one end.
        idle = []
        if victim != 'martlet-mail':
            for i in range(4):
                c = s.connect()
                c.login('idle%d' % i, PASSWORD)
                idle.append(c)
        pid = random.choice([p for p, name in before.items() if name == victim])
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + TIMEOUT
        while True:
            now = processes(s)
            if pid not in now and sorted(now.values()) == sorted(before.values()):
                break
            assert time.monotonic() < deadline, '%s is not started again: %r' % (victim, now)
            time.sleep(0.02)
        assert set(before) - set(now) == {pid}, 'others ended as well'
        for c in idle:
            c.ok('NOOP')
            c.close()
    time.sleep(ROUND)
    for c in clients:
        c.stopping = True
    for c in clients:
        c.join(TIMEOUT)
        assert not c.is_alive() and c.trouble is None, repr(c.trouble)
        assert c.done > 20 and c.longest < 10 * SLOW, (c.done, c.longest)
    assert sum(c.connects for c in clients) > CLIENTS + 2  # some were cut off
    for c in clients:
        c.check()
    with socket.create_connection((s.host, s.metrics), TIMEOUT) as sock:
        sock.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
        assert b'martlet_appended_messages_total' in sock.makefile('rb').read()
    # What is on disk is whole.
    subprocess.run([os.path.join(ROOT, 'build-' + BUILD_TYPE, 'src', 'tools', 'martletctl'), '--dir',
                    os.path.join(s.dir, 'state'), 'check', '--all'], check=True, stdout=subprocess.DEVNULL)
