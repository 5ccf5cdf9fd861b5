"""Login processes serve a bounded group each; then a fresh one takes their place."""
import os
import signal
import socket
import threading
import time

import pytest

from support.imap import SLOW, TIMEOUT
from support.server import PASSWORD
from test_processes import process, until

pytestmark = pytest.mark.martlet('its own processes')
settings = pytest.mark.settings


def logins(server):
    """The pids of the login processes, oldest first."""
    return sorted(process(server, 'martlet-login'))


def login(server, tls=True):
    c = server.connect(tls=tls)
    c.login('fred', PASSWORD)
    return c


@settings('login.group=8', 'login.processes=1', 'login.generations=10')
def test_a_group_is_bounded_and_nobody_waits(own_server):
    first = logins(own_server)
    assert len(first) == 1
    clients, slowest = [], 0.0
    for _ in range(30):
        began = time.monotonic()
        clients.append(login(own_server))
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 2 * SLOW, slowest
    until(lambda: len(logins(own_server)) in (4, 5), 'not four groups: %r' % logins(own_server))
    assert own_server.text().count('event=retired') >= 3
    for c in clients:
        c.ok('NOOP')
    # The first process ends with its last connection, not before.
    for c in clients[:7]:
        c.close()
    time.sleep(0.3)
    for c in clients[8:]:
        c.ok('NOOP')
    for c in clients[7:10]:
        c.close()
    until(lambda: first[0] not in logins(own_server), 'the first one does not end')
    for c in clients[10:]:
        c.ok('NOOP')
        c.close()
    until(lambda: len(logins(own_server)) == 1, 'the retired ones do not end')
    login(own_server).ok('NOOP')


@settings('login.group=4', 'login.processes=1', 'login.generations=2')
def test_retired_processes_are_bounded(own_server):
    """Beyond login.generations the one with the fewest sessions ends; the others keep theirs."""
    clients = [login(own_server) for _ in range(4)]
    until(lambda: own_server.text().count('event=retired') == 1, 'not retired')
    clients[0].close()
    time.sleep(1.5)  # it tells the supervisor once a second
    for _ in range(3):
        clients += [login(own_server) for _ in range(4)]
        time.sleep(0.2)
    until(lambda: 'event=generation-ended' in own_server.text(), 'none was ended')
    until(lambda: len(logins(own_server)) <= 3, 'more than 1 + login.generations')
    alive = 0
    for c in clients[1:]:
        try:
            c.ok('NOOP')
            alive += 1
        except (AssertionError, OSError):
            pass
    assert alive >= 8, alive  # of 15: the group of three, and one of four
    login(own_server).ok('NOOP')


@settings('login.group=4', 'login.processes=1', 'login.generations=3', 'login.unfinished=100',
          'login.timeout=60s')
def test_a_flood_of_strangers_makes_no_processes(own_server):
    """Ten thousand connections that never log in: bounded processes, bounded connections, and a
    client gets in meanwhile."""
    session = login(own_server)
    open_sockets, stop, made = [], threading.Event(), [0]
    most = [0]

    def flood():
        mine = []
        while not stop.is_set() and made[0] < 10000:
            s = socket.create_connection(('127.0.0.1', own_server.imap), TIMEOUT)
            made[0] += 1
            mine.append(s)
            if len(mine) > 60:
                mine.pop(0).close()
        open_sockets.extend(mine)
    threads = [threading.Thread(target=flood) for _ in range(3)]
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        most[0] = max(most[0], len(logins(own_server)))
        time.sleep(0.1)
    stop.set()
    assert made[0] >= 10000
    assert most[0] <= 1 + 3 + 2, most  # one starting, one ending
    c = login(own_server, tls=False)
    c.ok('NOOP')
    session.ok('NOOP')
    for s in open_sockets:
        s.close()
    until(lambda: len(logins(own_server)) <= 2, 'processes stay behind')


@settings('login.group=3', 'login.processes=1')
def test_retired_processes_hear_of_everything(own_server):
    """Reload, a new auth process, and the end reach them."""
    clients = [login(own_server) for _ in range(3)]
    waiting = own_server.connect(tls=True)
    clients += [login(own_server) for _ in range(3)]
    until(lambda: len(logins(own_server)) >= 2, 'not retired')
    own_server.process.send_signal(signal.SIGHUP)
    until(lambda: 'event=reloaded' in own_server.text(), 'not reloaded')
    for c in clients:
        c.ok('NOOP')
    os.kill(process(own_server, 'martlet-auth')[0], signal.SIGKILL)

    def gets_in():
        return waiting.cmd('LOGIN fred ' + PASSWORD).status == 'OK'
    until(gets_in, 'who connected before retirement cannot log in')
    waiting.ok('NOOP')
    own_server.stop()
