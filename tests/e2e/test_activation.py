"""Sockets that are handed over by whoever starts Martlet (sd_listen_fds(3)): no connection attempt is
lost while one Martlet ends and the next one starts."""
import fcntl
import os
import socket
import ssl
import subprocess
import tempfile
import threading
import time

import pytest

from support import server as support_server
from support.imap import SLOW, TIMEOUT, Imap
from support.server import BUILD_TYPE, PASSWORD, ROOT, free_ports
from test_reload import refused

pytestmark = pytest.mark.martlet('its own processes')
MARTLET = os.path.join(ROOT, 'build-' + BUILD_TYPE, 'src', 'daemon', 'martlet')


def listening(address='127.0.0.1', port=0, path=None):
    s = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(path or (address, port))
    s.listen(1024)
    high = socket.socket(fileno=fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 100))
    s.close()
    return high


class Activated:
    """Starts Martlet as systemd does: sockets from descriptor 3 on."""

    def __init__(self, server, sockets, names, extra=()):
        self.server, self.sockets, self.names, self.extra = server, sockets, names, list(extra)
        self.process = None

    def start(self):
        fds = [s.fileno() for s in self.sockets]
        moves = ' '.join('%d<&%d' % (3 + i, fd) for i, fd in enumerate(fds))
        script = 'exec %s; export LISTEN_PID=$$ LISTEN_FDS=%d LISTEN_FDNAMES=%s; exec "$@"' % (
            moves, len(fds), ':'.join(self.names))
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            ['/bin/bash', '-c', script, 'bash', MARTLET, '-c', self.server.dir + '/martlet.conf'] + self.extra,
            pass_fds=fds, stdout=subprocess.PIPE, stderr=self.log)
        assert self.process.stdout.readline() == b'ready\n', self.text()
        return self

    def text(self):
        self.log.seek(0)
        return self.log.read().decode()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(30) == 0, self.text()


@pytest.fixture
def activated():
    """activated(sockets, names): a Martlet on these sockets; its own directory."""
    base = support_server.make()
    base.start()  # makes the configuration and builds
    base.stop()
    made = []

    def make(sockets, names, *extra):
        made.append(Activated(base, sockets, names, extra))
        return made[-1].start()
    yield make
    for a in made:
        if a.process.poll() is None:
            a.stop()
        for s in a.sockets:
            s.close()
    base.remove()


def test_sockets_by_name(activated):
    """The names take the place of the settings."""
    with tempfile.TemporaryDirectory() as d:
        sockets = [listening(), listening(), listening(path=d + '/lmtp')]
        a = activated(sockets, ['imap', 'imaps', 'lmtp'])
        imap, imaps = sockets[0].getsockname()[1], sockets[1].getsockname()[1]
        c = Imap('127.0.0.1', imap)
        c.login('fred', PASSWORD)
        Imap('127.0.0.1', imaps, True).login('fred', PASSWORD)
        s = socket.socket(socket.AF_UNIX)
        s.connect(d + '/lmtp')
        assert s.recv(1000).startswith(b'220 ')
        s.close()
        assert refused(a.server.imap) and refused(a.server.imaps) and refused(a.server.lmtp)
        a.stop()
        assert os.path.exists(d + '/lmtp')


def test_sockets_by_address(activated):
    """A socket without a name of ours serves the setting that names its address; the others are opened."""
    port, = free_ports(1)
    sockets = [listening(port=port), listening()]
    a = activated(sockets, ['martlet.socket', 'connection'], '-o', 'imap.listen=["127.0.0.1:%d"]' % port)
    Imap('127.0.0.1', port).login('fred', PASSWORD)
    Imap('127.0.0.1', a.server.imaps, True).close()
    assert 'event=socket-unused' in a.text() and str(sockets[1].getsockname()[1]) in a.text()


def test_not_for_us(activated):
    """LISTEN_PID names another process: the variables are not ours."""
    base = activated([listening()], ['imap']).server
    env = dict(os.environ, LISTEN_PID='1', LISTEN_FDS='1', LISTEN_FDNAMES='imap')
    ports = free_ports(3)
    with tempfile.TemporaryDirectory() as d:
        p = subprocess.Popen([MARTLET, '-c', base.dir + '/martlet.conf', '-o', 'state_dir=' + d, '-o',
                              'imap.listen=["127.0.0.1:%d"]' % ports[0], '-o', 'imaps.listen=[]', '-o',
                              'lmtp.listen=[]'], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert p.stdout.readline() == b'ready\n'
        Imap('127.0.0.1', ports[0]).close()
        p.terminate()
        assert p.wait(30) == 0


class Knocking(threading.Thread):
    """Connects again and again, and expects a greeting each time."""

    def __init__(self, port, tls):
        super().__init__(daemon=True)
        self.port, self.context = port, None
        if tls:
            self.context = ssl.create_default_context()
            self.context.check_hostname = False
            self.context.verify_mode = ssl.CERT_NONE
        self.over, self.greeted, self.failed, self.slowest = threading.Event(), 0, [], 0.0

    def once(self):
        s = socket.create_connection(('127.0.0.1', self.port), TIMEOUT)
        if self.context:
            s = self.context.wrap_socket(s)
        with s:
            return s.recv(1000)

    def run(self):
        while not self.over.is_set():
            began = time.monotonic()
            try:
                text = self.once()
                assert text.startswith(b'* OK '), text
                self.greeted += 1
            except (OSError, AssertionError) as e:
                self.failed.append(repr(e))
            self.slowest = max(self.slowest, time.monotonic() - began)


def test_no_connection_attempt_is_lost(activated):
    """Old one ends, new one starts, three times, while clients connect all the time."""
    sockets = [listening(), listening()]
    a = activated(sockets, ['imap', 'imaps'])
    ports = [s.getsockname()[1] for s in sockets]
    clients = [Knocking(ports[0], False) for _ in range(3)] + [Knocking(ports[1], True)]
    for c in clients:
        c.start()
    for _ in range(3):
        time.sleep(0.4)
        a.stop()
        time.sleep(0.2)  # nobody is there: they wait in the sockets
        a.start()
    time.sleep(0.4)
    for c in clients:
        c.over.set()
    for c in clients:
        c.join(TIMEOUT)
    assert not [c.failed for c in clients if c.failed]
    assert all(c.greeted > 10 for c in clients), [c.greeted for c in clients]
    assert max(c.slowest for c in clients) < 5 * SLOW
