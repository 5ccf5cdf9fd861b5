"""SIGHUP: new settings in all processes, no session lost; a mistake changes nothing."""
import os
import re
import signal
import socket
import tempfile
import threading
import time

import pytest

from support import server as support_server
from support.imap import SLOW, TIMEOUT, Imap, LitPlus
from support.lmtp import Lmtp
from support.server import PASSWORD, free_ports
from test_processes import process, until

pytestmark = pytest.mark.martlet('its own settings')


class Reloading:
    """A server whose configuration file the test writes."""

    def __init__(self, extra=()):
        self.server = support_server.make(extra=extra)
        self.server.start()
        with open(self.conf) as f:
            text = f.read()
        # One setting a line, so that each can be replaced: no setting may be there twice.
        self.base = re.sub(r'(?m)^(\w+) \{ (.*) \}$', lambda m: '\n'.join(
            '%s.%s' % (m.group(1), x.strip()) for x in m.group(2).split(';')), text)

    @property
    def conf(self):
        return self.server.dir + '/martlet.conf'

    def write(self, text):
        """These settings in place of, or beside, those that script/server wrote."""
        names = re.findall(r'(?m)^\s*([\w.]+) = ', text)
        base = [x for x in self.base.splitlines() if x.split(' = ')[0] not in names]
        self.text = '\n'.join(base) + '\n' + text
        with open(self.conf, 'w') as f:
            f.write(self.text)

    def count(self, event):
        return sum(' event=%s ' % event in line + ' ' for line in self.server.output)

    def reload(self, text, event='reloaded'):
        """Waits until all processes have taken it; the lines that were logged meanwhile."""
        self.write(text)
        before, mark = self.count(event), len(self.server.output)
        self.server.process.send_signal(signal.SIGHUP)
        until(lambda: self.count(event) > before, 'no event=%s:\n%s' % (event, self.server.text()[-3000:]))
        return '\n'.join(self.server.output[mark:])

    def login(self, name='fred', password=PASSWORD, **more):
        c = self.server.connect(**more)
        c.login(name, password)
        return c

    def processes(self, name):
        return process(self.server, name)


@pytest.fixture
def reloading():
    made = []

    def make(*extra):
        made.append(Reloading(extra))
        return made[-1]
    yield make
    for r in made:
        if r.server.process.poll() is None:
            r.server.stop()
        r.server.remove()


def test_all_processes_take_new_settings(reloading):
    r = reloading()
    plain, tls, idle = r.login(), r.login(tls=True), r.login(tls=True)
    plain.select()
    idle.select()
    tag = idle.idle()
    lmtp = Lmtp('127.0.0.1', r.server.lmtp)
    lmtp.lhlo()
    assert lmtp.cmd('MAIL FROM:<a@b>')[0] == 250
    assert lmtp.cmd('RCPT TO:<fred@elsewhere.example>')[0] == 250
    plain.ok('SEARCH ((((ALL))))')
    mail = r.processes('martlet-mail')

    text = r.reload('''
        imap { nesting_max = 2; literal_max = 1kb }
        lmtp { domains = ["example.org"]; detail_delimiter = "-" }
        mailboxes { Ideas = none; Rubbish = trash }
        auth.any_user_password = other
        login { timeout = 1s; bad_commands = 3 }
        store.open_accounts = 8
        log.level = debug
    ''')
    for name in ('imap.nesting_max', 'lmtp.domains', 'mailboxes', 'login.timeout', 'log.level'):
        assert 'event=setting-changed setting=%s' % name in text, text
    assert 'other' not in text  # names, no values

    # Sessions go on, and follow where that makes sense.
    plain.bad('SEARCH ((((ALL))))')
    plain.no('APPEND INBOX ', LitPlus(b'Subject: x\r\n\r\n' + b'x' * 2000))
    plain.ok('NOOP')
    tls.ok('NOOP')
    idle.done(tag)
    assert lmtp.cmd('RCPT TO:<fred@elsewhere.example>')[0] == 550
    assert lmtp.cmd('RCPT TO:<fred-detail@example.org>')[0] == 250
    assert r.processes('martlet-mail') == mail

    c = r.server.connect()
    c.no('LOGIN fred ' + PASSWORD)
    c.login('newcomer', 'other')
    assert set(c.ok('LIST "" *').names()) == {b'INBOX', b'Ideas', b'Rubbish'}
    began = time.monotonic()
    silent = r.server.connect()
    assert any(x.kind == 'BYE' for x in silent.closed(10 * SLOW))
    assert time.monotonic() - began < 6 * SLOW


def test_a_session_keeps_the_literals_it_was_offered(reloading):
    r = reloading()
    old = r.login()
    r.reload('imap.literal = minus')
    new = r.login()
    message = b'Subject: large\r\n\r\n' + b'x' * 5000 + b'\r\n'
    assert 'LITERAL+' in repr(old.ok('CAPABILITY').one('CAPABILITY'))
    old.ok('APPEND INBOX ', LitPlus(message))
    assert 'LITERAL-' in repr(new.ok('CAPABILITY').one('CAPABILITY'))
    new.bad('APPEND INBOX ', LitPlus(message))


def greeting(port):
    with socket.create_connection(('127.0.0.1', port), TIMEOUT) as s:
        return s.recv(1000)


def refused(port):
    try:
        socket.create_connection(('127.0.0.1', port), TIMEOUT).close()
        return False
    except ConnectionRefusedError:
        return True


def test_listeners_come_and_go(reloading):
    r = reloading()
    old, old_lmtp = r.login(), Lmtp('127.0.0.1', r.server.lmtp)
    imap, imaps = free_ports(2)
    with tempfile.TemporaryDirectory() as d:
        path = d + '/lmtp'
        listen = '''
            imap.listen = ["127.0.0.1:%d"]
            imaps.listen = ["127.0.0.1:%d", "127.0.0.1:%d"]
            lmtp.listen = ["%s"]
        ''' % (imap, r.server.imaps, imaps, path)
        r.reload(listen)
        assert greeting(imap).startswith(b'* OK')
        Imap('127.0.0.1', imaps, True).close()
        r.server.connect(tls=True).close()
        until(lambda: refused(r.server.imap) and refused(r.server.lmtp), 'still open')
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(TIMEOUT)
        s.connect(path)
        assert s.recv(1000).startswith(b'220 ')
        s.close()
        old.ok('NOOP')
        assert old_lmtp.lhlo()
        # A process that is started now has the same ones.
        for pid in r.processes('martlet-login'):
            os.kill(pid, signal.SIGKILL)
        until(lambda: greeting(imap).startswith(b'* OK'), 'not served by the new process')
        assert refused(r.server.imap)
        r.reload('')
        until(lambda: refused(imap), 'still open')
        assert greeting(r.server.imap).startswith(b'* OK')
        assert not os.path.exists(path)


@pytest.mark.parametrize('mistake, message', [
    ('imap {\n idle_timout = 1h\n}', 'there is no setting'),
    ('login.timeout = never', 'not a time'),
    ('imap.listen = ["127.0.0.1:{busy}"]', 'Address already in use'),
    ('imap.listen = ["127.0.0.1:{free}", "127.0.0.1:{busy}"]', 'Address already in use'),
    ('imap.listen = ["0.0.0.0:{free}"]', 'not a loopback address'),
])
def test_a_mistake_changes_nothing(reloading, mistake, message):
    r = reloading()
    old = r.login()
    free, = free_ports(1)
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        mistake = mistake.replace('{busy}', str(s.getsockname()[1])).replace('{free}', str(free))
        text = r.reload('lmtp.domains = ["example.org"]\n' + mistake + '\n', 'reload-failed')
    assert message in text
    if 'listen' not in mistake:
        bad = mistake.splitlines()[-2 if '\n' in mistake else -1]
        assert '%s:%d:' % (r.conf, r.text.splitlines().index(bad) + 1) in text, text
    old.ok('NOOP')
    assert refused(free)
    lmtp = Lmtp('127.0.0.1', r.server.lmtp)
    lmtp.lhlo()
    assert lmtp.cmd('MAIL FROM:<a@b>')[0] == 250
    assert lmtp.cmd('RCPT TO:<fred@elsewhere.example>')[0] == 250
    r.reload('lmtp.domains = ["example.org"]')
    assert lmtp.cmd('RCPT TO:<fred@elsewhere.example>')[0] == 550


def test_what_needs_a_restart_is_said_and_stays(reloading):
    """The rest of the file counts: a new certificate is not to wait for a restart."""
    r = reloading()
    old = r.login()
    mail = r.processes('martlet-mail')
    text = r.reload('''
        state_dir = "/nowhere"
        mail.processes = 5
        store.threads = 3
        imap.nesting_max = 2
    ''')
    for name in ('state_dir', 'mail.processes', 'store.threads'):
        assert 'event=restart-needed setting=%s' % name in text, text
    assert r.processes('martlet-mail') == mail
    old.select()
    old.bad('SEARCH ((((ALL))))')
    r.login('someone').close()
    assert not os.path.exists('/nowhere')
    # Taken back: nothing to say.
    assert 'restart-needed' not in r.reload('imap.nesting_max = 2')


@pytest.mark.skipif(os.geteuid() != 0, reason='as root')
def test_auth_is_replaced_without_a_gap(reloading, tmp_path):
    """Its sandbox has no way to another directory: a fresh martlet-auth is started, and only when that one
    is ready does it take the place of the old one. If it cannot start, the old one goes on."""
    r = reloading()
    auth = r.processes('martlet-auth')
    session, over, answers = r.login(), threading.Event(), []

    def keep_logging_in():
        while not over.is_set():
            with r.server.connect() as c:
                answers.append(c.cmd('LOGIN fred ' + PASSWORD))
    t = threading.Thread(target=keep_logging_in)
    t.start()
    try:
        users = tmp_path / 'etc' / 'users'
        users.parent.mkdir()
        users.write_text('mary:{PLAIN}first\n')
        r.reload('auth.users_file = "%s"' % users)
        assert r.processes('martlet-auth') != auth
        r.login('mary', 'first').close()
        auth = r.processes('martlet-auth')
        r.write('auth.users_file = "/nowhere/users"')
        r.server.process.send_signal(signal.SIGHUP)
        until(lambda: r.count('start-failed') or r.count('reload-failed'), 'no complaint')
        time.sleep(0.5)
        assert auth[0] in r.processes('martlet-auth')
        r.login('mary', 'first').close()
        r.reload('auth.users_file = "%s"' % users)
    finally:
        over.set()
        t.join()
    session.ok('NOOP')
    # Who is being checked at that very moment is told to try again.
    bad = [x for x in answers if x.status != 'OK']
    assert len(answers) > 20 and len(bad) <= 2 and all(x.code == 'UNAVAILABLE' for x in bad), bad


def test_login_processes_come_and_go(reloading):
    r = reloading('--setting', 'store.threads=2')
    r.reload('login.processes = 1')
    until(lambda: len(r.processes('martlet-login')) == 1, 'not one')
    tls = [r.login(tls=True)]
    r.reload('login.processes = 3')
    until(lambda: len(r.processes('martlet-login')) == 3, 'not three')
    tls += [r.login(tls=True) for _ in range(12)]
    r.reload('login.processes = 1')
    for c in tls:
        c.ok('NOOP')
    for c in tls[1:]:
        c.close()
    until(lambda: len(r.processes('martlet-login')) == 1, 'the others do not end')
    tls[0].ok('NOOP')


def test_systemd_is_told(reloading):
    """sd_notify(3)."""
    with tempfile.TemporaryDirectory() as d:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.settimeout(TIMEOUT)
        s.bind(d + '/notify')
        os.environ['NOTIFY_SOCKET'] = d + '/notify'
        try:
            r = reloading()
        finally:
            del os.environ['NOTIFY_SOCKET']
        assert s.recv(1000) == b'READY=1'
        r.reload('imap.nesting_max = 2')
        told = s.recv(1000)
        assert told.startswith(b'RELOADING=1\nMONOTONIC_USEC=')
        assert abs(int(told.split(b'=')[-1]) / 1e6 - time.monotonic()) < 60
        assert s.recv(1000) == b'READY=1'
        r.reload('imap.nesting_max = many', 'reload-failed')
        assert s.recv(1000).startswith(b'RELOADING=1')
        assert s.recv(1000) == b'READY=1'
        r.server.stop()
        assert s.recv(1000) == b'STOPPING=1'
        s.close()
