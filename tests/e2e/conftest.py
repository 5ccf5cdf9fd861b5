"""Fixtures of the end-to-end tests: a server for the whole run, fresh users, connections."""
import itertools
import os
import re
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from support import server as support_server  # noqa: E402
from support.imap import SLOW  # noqa: E402
from support.server import PASSWORD, PEER  # noqa: E402

numbers = itertools.count(1)


def pytest_configure(config):
    config.addinivalue_line('markers', 'martlet(reason): not run against other servers')
    config.addinivalue_line('markers', 'settings(name=value, ...): of the server of own_server')
    config.addinivalue_line('markers', 'slow: takes more than some seconds')


def pytest_collection_modifyitems(config, items):
    if PEER == 'martlet':
        return
    for item in items:
        mark = item.get_closest_marker('martlet')
        if mark:
            reason = mark.args[0] if mark.args else 'Martlet only'
            item.add_marker(pytest.mark.skip(reason='%s: %s' % (PEER, reason)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the server wrote meanwhile."""
    report = (yield).get_result()
    if call.when == 'setup':
        item.server_mark = {}
    for name in ('server', 'own_server'):
        s = getattr(item, 'funcargs', {}).get(name)
        if s is None:
            continue
        if report.failed:
            lines = [x for x in s.output[item.server_mark.get(name, 0):] if 'level=info' not in x]
            report.sections.append((name, '\n'.join(lines[-60:])))
        if call.when == 'setup':
            item.server_mark[name] = len(s.output)


TEST_TIMEOUT = int(120 * SLOW)


@pytest.fixture(autouse=True)
def bounded(request):
    """No test runs for ever (the server's first start, which may build it, has its own bound)."""
    if 'server' in request.fixturenames:
        request.getfixturevalue('server')
    def expired(signum, frame):
        raise TimeoutError('the test takes more than %d s' % TEST_TIMEOUT)
    old = signal.signal(signal.SIGALRM, expired)
    signal.alarm(TEST_TIMEOUT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


@pytest.fixture(scope='session')
def server():
    s = support_server.make()
    try:
        s.start()
        yield s
    except BaseException:
        if s.process and s.process.poll() is None:
            s.kill()
        raise
    s.stop()
    s.remove()


@pytest.fixture
def own_server(request):
    """A server that the test may kill and start again.

    @pytest.mark.settings('imap.literal=minus', ...) gives it other settings."""
    mark = request.node.get_closest_marker('settings')
    extra = [word for setting in (mark.args if mark else ()) for word in ('--setting', setting)]
    s = support_server.make(extra=extra)
    s.start()
    yield s
    if s.process.poll() is None:
        s.stop()
    s.check_output()
    s.remove()


@pytest.fixture(autouse=True)
def alive(request):
    """A test that brings the server down, or makes it complain, is the one that fails."""
    yield
    if 'server' in request.fixturenames:
        s = request.getfixturevalue('server')
        assert s.process.poll() is None, 'the server ended:\n' + s.text()[-4000:]
        if support_server.SANITIZED:
            s.check_output()


@pytest.fixture
def user(request):
    """A user name that no other test uses."""
    base = re.sub(r'[^a-z0-9]+', '-', request.node.name.lower())[:40].strip('-')
    return '%s-%d' % (base, next(numbers))


@pytest.fixture
def new_user(user):
    """Makes further fresh user names."""
    return lambda: '%s-%d' % (user, next(numbers))


@pytest.fixture
def connect(server):
    """connect(...): a connection before login; closed at the end."""
    clients = []

    def make(**more):
        c = server.connect(**more)
        clients.append(c)
        return c
    yield make
    for c in clients:
        c.close()


@pytest.fixture
def session(connect, user):
    """session(mailbox, user=...): a logged-in connection, with the mailbox selected if given."""
    def make(mailbox=None, rev2=False, name=None, **more):
        c = connect(**more)
        c.login(name or user, PASSWORD)
        if rev2:
            c.enable_rev2()
        if mailbox:
            c.select(mailbox)
        return c
    return make


@pytest.fixture
def c(session):
    """One logged-in connection."""
    return session()


@pytest.fixture
def inbox(session):
    """One logged-in connection with INBOX selected."""
    return session('INBOX')
