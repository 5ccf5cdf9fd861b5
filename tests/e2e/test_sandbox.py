"""What a process of the server can do when somebody else runs code in it: every kind of process is made, from
outside, to try what an attacker would.
"""
import ctypes
import os
import pwd
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time

import pytest

from support import server as support_server
from support.imap import SLOW, TIMEOUT, Closed, Imap, Lit
from support.inject import AVAILABLE, Injector, unix_address
from support.lmtp import Lmtp
from support.server import BUILD_TYPE, PASSWORD, ROOT, SANITIZED, children, free_ports

pytestmark = pytest.mark.martlet('its own processes')

PROGRAMS = os.path.join(ROOT, 'build-' + BUILD_TYPE, 'src', 'daemon')
KINDS = ('martlet-login', 'martlet-auth', 'martlet-mail', 'martlet-metrics')
USERS = {'martlet-login': 'martlet-login', 'martlet-auth': 'martlet-auth', 'martlet-mail': 'martlet',
         'martlet-metrics': 'martlet-metrics'}
FACES_STRANGERS = ('martlet-login', 'martlet-metrics')
needs_root = pytest.mark.skipif(not AVAILABLE, reason='needs root, on x86-64')
AT_FDCWD = -100
SIGCHLD = 17


class Plain:
    """A server without script/server, for any user: what it prints, where it listens, its processes."""

    def __init__(self, user=None, settings=(), wrapper=()):
        self.wrapper = list(wrapper)
        self.dir = tempfile.mkdtemp(prefix='sandbox-')
        os.chmod(self.dir, 0o755)
        self.imap, self.lmtp, self.metrics = free_ports(3)
        self.state = os.path.join(self.dir, 'state')
        self.user, self.programs = user, PROGRAMS
        if user:  # who may not be able to reach the build directory
            self.programs = os.path.join(self.dir, 'bin')
            os.mkdir(self.programs)
            for name in ('martlet',) + KINDS:
                shutil.copy(os.path.join(PROGRAMS, name), self.programs)
            os.mkdir(self.state)
            os.chown(self.state, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        self.etc = os.path.join(self.dir, 'etc')
        os.mkdir(self.etc)
        self.conf = os.path.join(self.etc, 'martlet.conf')
        with open(self.conf, 'w') as f:
            f.write('state_dir = "%s"\nimap.listen = ["127.0.0.1:%d"]\nimaps.listen = []\n'
                    'lmtp.listen = ["127.0.0.1:%d"]\nmetrics.listen = ["127.0.0.1:%d"]\n'
                    'auth { users_file = "%s/users" }\nmail.processes = 2\nlogin.processes = 1\n%s\n'
                    % (self.state, self.imap, self.lmtp, self.metrics, self.etc, '\n'.join(settings)))
        with open(self.etc + '/users', 'w') as f:
            f.write(''.join('user%d:{PLAIN}%s\n' % (i, PASSWORD) for i in range(8)))
        if user:
            os.chown(self.etc + '/users', pwd.getpwnam(user).pw_uid, -1)
        os.chmod(self.etc + '/users', 0o600)
        self.output = []
        self.process = None
        self.attacked = False  # violations are expected

    def start(self):
        command = [os.path.join(self.programs, 'martlet'), '-c', self.conf]
        if self.user:
            command = ['setpriv', '--reuid', self.user, '--regid', str(pwd.getpwnam(self.user).pw_gid),
                       '--clear-groups', '--inh-caps=-all'] + command
        self.process = subprocess.Popen(self.wrapper + command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        cwd='/', errors='replace')
        for line in self.process.stdout:
            self.output.append(line)
            if line == 'ready\n':
                break
        else:
            raise RuntimeError('the server did not start:\n' + ''.join(self.output))
        self.reader = threading.Thread(target=lambda: self.output.extend(self.process.stdout), daemon=True)
        self.reader.start()
        return self

    def text(self):
        return ''.join(self.output)

    def pids(self, name=None):
        found = []
        for pid in children(self.process.pid):
            try:
                with open('/proc/%d/comm' % pid) as f:
                    comm = f.read().strip()
            except OSError:
                continue
            if comm == name or (name is None and comm in KINDS):
                found.append(pid)
        return sorted(found)

    def kinds(self):
        there = [kind for kind in KINDS if self.pids(kind)]
        assert set(there) >= set(KINDS[:3])
        return there

    def connect(self):
        return Imap('127.0.0.1', self.imap)

    def log_in(self, user='user1'):
        c = self.connect()
        c.login(user, PASSWORD)
        return c

    def can_log_in(self, user):
        c = self.connect()
        try:
            return c.cmd('LOGIN %s %s' % (user, PASSWORD)).status == 'OK'
        finally:
            c.close()

    def stop(self):
        if not self.process:
            return
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(60)
        self.reader.join(5)
        shutil.rmtree(self.dir, ignore_errors=True)
        assert code == 0, self.text()[-3000:]
        text = '\n'.join(line for line in self.output if not self.attacked or 'sandbox-violation' not in line)
        assert not support_server.REPORT.search(text), text[-6000:]


@pytest.fixture
def start():
    servers = []

    def make(**more):
        servers.append(Plain(**more))
        return servers[-1].start()
    yield make
    for s in servers:
        s.stop()


def until(condition, what):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def status(pid):
    with open('/proc/%d/status' % pid) as f:
        return dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)


def try_everything(pid, inside, outside, victim, only=None):
    """What an attacker in that process would do -> what came of it."""
    buffer = b'\0' * 64
    with Injector(pid) as i:
        assert i.call('getpid') == pid  # the method works
        attempts = {
            'read /etc/passwd': lambda: i.call('openat', AT_FDCWD, b'/etc/passwd', os.O_RDONLY),
            'read outside': lambda: i.call('openat', AT_FDCWD, outside.encode(), os.O_RDONLY),
            'write outside': lambda: i.call('openat', AT_FDCWD, outside.encode() + b'.new', os.O_WRONLY | os.O_CREAT, 0o600),
            'read inside': lambda: i.call('openat', AT_FDCWD, inside.encode(), os.O_RDONLY),
            'memory file': lambda: i.call('openat', AT_FDCWD, b'/proc/%d/mem' % victim, os.O_RDONLY),
            'internet': lambda: i.call('socket', socket.AF_INET, socket.SOCK_STREAM, 0),
            'udp': lambda: i.call('socket', socket.AF_INET6, socket.SOCK_DGRAM, 0),
            'unix': lambda: i.call('socket', socket.AF_UNIX, socket.SOCK_STREAM, 0),
            'raw': lambda: i.call('socket', socket.AF_PACKET, socket.SOCK_RAW, 0),
            'connect': lambda: i.call('connect', 0, unix_address('/run/x'), 10),
            'bind': lambda: i.call('bind', 0, unix_address('/tmp/x'), 10),
            'exec': lambda: i.call('execve', b'/bin/true', 0, 0),
            'fork': lambda: i.call('fork'),
            'clone': lambda: i.call('clone', SIGCHLD, 0, 0, 0, 0),
            'clone3': lambda: i.call('clone3', buffer, 64),
            'ptrace': lambda: i.call('ptrace', 16, victim, 0, 0),
            'memory': lambda: i.call('process_vm_readv', victim, buffer, 1, buffer, 1, 0),
            'kill': lambda: i.call('kill', victim, 0),
            'pidfd': lambda: i.call('pidfd_open', victim, 0),
            'root': lambda: i.call('setuid', 0),
            'chroot': lambda: i.call('chroot', b'/'),
            'namespace': lambda: i.call('unshare', 0x10000000),
            'mount': lambda: i.call('mount', b'none', b'/tmp', b'tmpfs', 0, 0),
            'bpf': lambda: i.call('bpf', 0, buffer, 48),
            'code': lambda: i.call('mmap', 0, 4096, 7, 0x22, -1, 0),
            'unknown': lambda: i.call('unknown'),
        }
        tried = {what: attempt() for what, attempt in attempts.items() if not only or what in only}
        for what in ('read /etc/passwd', 'read outside', 'write outside', 'read inside'):
            if isinstance(tried.get(what), int):
                i.call('close', tried[what])
                tried[what] = 'done'
    return tried


HARMLESS = {'unknown': 'ENOSYS', 'clone3': 'ENOSYS'}
FILES = ('read /etc/passwd', 'read outside', 'write outside', 'read inside', 'memory file')


def expected(kind, what):
    if what in HARMLESS:
        return HARMLESS[what]
    files_by_landlock = kind in ('martlet-auth', 'martlet-mail')
    if what == 'code' and (files_by_landlock or SANITIZED):
        return None  # character set and name service modules are loaded when they are needed
    if SANITIZED:  # see src/daemon/sandbox_int.h
        if what in ('read /etc/passwd', 'read outside', 'read inside', 'memory file', 'ptrace', 'memory', 'kill',
                    'clone'):
            return None
        if what == 'write outside':
            return 'EACCES'
    if what == 'read inside' and kind == 'martlet-mail':
        return 'done'
    if what in FILES and files_by_landlock:
        return 'EACCES'
    return 'EPERM'


def check_all(s, tmp_path):
    outside = str(tmp_path / 'outside')
    with open(outside, 'w') as f:
        f.write('mail of somebody else')
    os.chmod(outside, 0o644)
    victim = os.getpid()
    s.attacked = True
    for kind in s.kinds():
        pid = s.pids(kind)[0]
        tried = try_everything(pid, s.state + '/lock', outside, victim)
        wrong = {what: got for what, got in tried.items() if expected(kind, what) not in (None, got)}
        assert not wrong, '%s: %r' % (kind, wrong)
    assert not os.path.exists(outside + '.new')
    # All of it is reported, and nobody has come to harm.
    until(lambda: len(re.findall('event=sandbox-violation', s.text())) >= (5 if SANITIZED else 15) * len(s.kinds()), 'no report')
    text = s.text()
    for name in ('login.0', 'auth', 'mail.0', 'metrics')[:len(s.kinds())]:
        for call in ('socket', 'execve', 'process_vm_readv', 'ptrace', 'setuid') if not SANITIZED else ('execve',):
            assert re.search('prog=%s event=sandbox-violation call=%s' % (re.escape(name), call), text), (name, call)
    if not SANITIZED:
        assert re.search('prog=login.0 event=sandbox-violation call=openat', text)
    assert 'event=process-ended' not in text
    c = s.log_in()
    c.append('INBOX', b'Subject: still here\r\n\r\nx\r\n')
    c.close()
    if 'martlet-metrics' not in s.kinds():
        return
    with socket.create_connection(('127.0.0.1', s.metrics), TIMEOUT) as sock:
        sock.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
        page = sock.makefile('rb').read()
    counts = dict(re.findall(rb'^martlet_sandbox_violations_total{[^}]*="(\w+)"} (\d+)', page, re.M))
    assert all(int(counts[name]) >= (5 if SANITIZED else 15) for name in (b'login', b'auth', b'mail')), counts


def check_status(s, users=None, uid=None):
    for kind in KINDS:
        for pid in s.pids(kind):
            st = status(pid)
            assert (st['NoNewPrivs'], st['Seccomp']) == ('1', '2'), (kind, st)
            # martlet-auth may read what Landlock leaves it, whoever that belongs to: CAP_DAC_READ_SEARCH.
            caps = int(st['CapEff'], 16) | int(st['CapPrm'], 16) | int(st['CapAmb'], 16)
            assert caps & ~(4 if kind == 'martlet-auth' and uid is None else 0) == 0, (kind, st['CapEff'])
            want = pwd.getpwnam(users[kind]).pw_uid if users else uid or 0
            assert st['Uid'].split() == [str(want)] * 4, (kind, st['Uid'])
            assert (st['Gid'].split() != ['0'] * 4 or not (users or uid)) and (
                st['Groups'].strip() in ('', st['Gid'].split()[0]) or not users)
            for tid in os.listdir('/proc/%d/task' % pid):
                with open('/proc/%d/task/%s/status' % (pid, tid)) as f:
                    assert re.search(r'^Seccomp:\t2$', f.read(), re.M)


@needs_root
def test_refused_in_every_process(start, tmp_path):
    s = start(settings=['process.drop_privileges = never'])
    s.log_in().close()
    check_status(s)
    check_all(s, tmp_path)


@needs_root
def test_the_method_finds_what_is_allowed(start, tmp_path):
    """Without the sandbox the same attempts succeed: the tests above can fail."""
    s = start(settings=['process.drop_privileges = never', 'process.sandbox = off'])
    outside = str(tmp_path / 'outside')
    open(outside, 'w').close()
    tried = try_everything(s.pids('martlet-login')[0], s.state + '/lock', outside, os.getpid(),
                           ('read /etc/passwd', 'read outside', 'write outside', 'read inside', 'internet', 'udp',
                            'unix', 'kill', 'code'))
    for what, got in tried.items():
        assert got == 'done' or isinstance(got, int), (what, got)
    assert len(tried) == 9
    assert os.path.exists(outside + '.new')


@pytest.fixture(scope='module')
def users():
    """The users that a package makes."""
    made = shutil.which('systemd-sysusers')
    missing = []
    for name in USERS.values():
        try:
            pwd.getpwnam(name)
        except KeyError:
            missing.append(name)
    if missing and not made:
        pytest.skip('there are no users %s and there is no systemd-sysusers' % missing)
    if missing:
        subprocess.run([made, os.path.join(ROOT, 'conf', 'martlet.sysusers')], check=True,
                       stdout=subprocess.DEVNULL)
    yield USERS
    for name in missing:  # those that something else uses meanwhile stay
        subprocess.run(['userdel', name], stderr=subprocess.DEVNULL)


def exercise(s):
    c = s.log_in('user2')
    c.append('INBOX', b'Subject: a\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B4A;z\x1b(B\r\n')
    lmtp = Lmtp('127.0.0.1', s.lmtp)
    lmtp.lhlo()
    lmtp.deliver('a@example.org', ['user2'], b'Subject: big\r\n\r\n' + b'x' * 70 + b'\r\n' * 60000)
    lmtp.close()
    c.select('INBOX')
    until(lambda: c.ok('STATUS INBOX (MESSAGES)') and len(c.ok('UID SEARCH ALL').search()) == 2, 'not delivered')
    # A character set whose module is loaded now.
    assert c.ok('SEARCH CHARSET UTF-8 BODY ', Lit('漢字'.encode())).search() == [1]
    assert c.ok('FETCH 1:* (ENVELOPE BODY.PEEK[])').all('FETCH')
    c.close()


@needs_root
def test_users_of_their_own(start, users, tmp_path):
    s = start()
    assert 'root-without-users' not in s.text()
    check_status(s, users)
    mail = pwd.getpwnam(users['martlet-mail']).pw_uid
    exercise(s)
    for folder, names, files in os.walk(s.state):
        for name in names + files:
            assert os.lstat(os.path.join(folder, name)).st_uid == mail, os.path.join(folder, name)
    check_all(s, tmp_path)
    if not SANITIZED:
        for kind in FACES_STRANGERS:
            for pid in s.pids(kind):
                assert os.readlink('/proc/%d/root' % pid).endswith(' (deleted)')
                assert os.listdir('/proc/%d/root' % pid) == []
    # New passwords, from a file that root alone may read, and that was replaced.
    with open(s.etc + '/users.new', 'w') as f:
        f.write('new:{PLAIN}%s\n' % PASSWORD)
    os.chmod(s.etc + '/users.new', 0o600)
    os.rename(s.etc + '/users.new', s.etc + '/users')
    s.process.send_signal(signal.SIGHUP)
    until(lambda: s.can_log_in('new'), 'the users file was not read again')


@needs_root
def test_capabilities_of_the_systemd_unit(start, users):
    """What the unit leaves to root is enough."""
    with open(os.path.join(ROOT, 'conf', 'martlet.service.in')) as f:
        names = ' '.join(re.findall(r'^CapabilityBoundingSet=(.*)$', f.read(), re.M)).split()
    assert len(names) > 5
    bounding = ','.join(['-all'] + ['+' + name[len('CAP_'):].lower() for name in names])
    s = start(wrapper=['setpriv', '--no-new-privs', '--bounding-set', bounding, '--inh-caps=-all'])
    assert int(status(s.process.pid)['CapEff'], 16) == int(status(s.process.pid)['CapBnd'], 16) < 2 ** 20
    check_status(s, users)
    exercise(s)
    before = s.pids('martlet-mail')
    os.kill(before[0], signal.SIGKILL)
    until(lambda: len(set(s.pids('martlet-mail')) - set(before)) == 1, 'not started again')
    until(lambda: all(s.can_log_in('user%d' % i) for i in range(8)), 'no login afterwards')


@needs_root
def test_backup_of_another_user(start, users, tmp_path):
    s = start()
    exercise(s)
    ctl = [os.path.join(ROOT, 'build-' + BUILD_TYPE, 'src', 'tools', 'martletctl'), '-c', s.conf]
    to = str(tmp_path / 'backup')
    subprocess.run(ctl + ['backup', '--to', to, '--all'], check=True, stdout=subprocess.DEVNULL)
    c = s.log_in('user2')
    c.select('INBOX')
    c.ok('UID STORE 1:* +FLAGS (\\Deleted)')
    c.ok('EXPUNGE')
    c.ok('LOGOUT')
    c.close()
    until(lambda: subprocess.run(ctl + ['restore', '--from', to, 'user2'], stdout=subprocess.DEVNULL).returncode == 0,
          'not restored')
    c = s.log_in('user2')
    assert c.select('INBOX').one('EXISTS').num == 2
    c.close()
    assert not [x for x in os.listdir(s.state + '/run') if x.startswith('stage')]


@needs_root
def test_ordinary_user_keeps_all_that_needs_no_root(start, tmp_path):
    s = start(user='nobody')
    nobody = pwd.getpwnam('nobody').pw_uid
    check_status(s, uid=nobody)
    exercise(s)
    check_all(s, tmp_path)


@needs_root
def test_reload_that_needs_more_than_the_sandbox_allows(start):
    """A users file somewhere else: martlet-auth starts anew, sessions go on."""
    s = start(settings=['process.drop_privileges = never'])
    other = os.path.join(s.dir, 'other')
    os.mkdir(other)
    with open(other + '/users', 'w') as f:
        f.write('new:{PLAIN}%s\n' % PASSWORD)
    session, before = s.log_in(), s.pids()
    with open(s.conf) as f:
        text = f.read()
    with open(s.conf, 'w') as f:
        f.write(text.replace(s.etc + '/users', other + '/users'))
    s.process.send_signal(signal.SIGHUP)
    until(lambda: s.can_log_in('new'), 'the new file is not read')
    assert not s.can_log_in('user1')
    session.ok('NOOP')
    session.close()
    assert 'prog=auth event=restarting' in s.text()
    assert len(set(s.pids()) - set(before)) == 1


def test_sqlite_directory(start):
    """martlet-auth writes beside a database, and nowhere else."""
    folder = tempfile.mkdtemp(prefix='sqlite-')
    try:
        db = sqlite3.connect(folder + '/users.db')
        db.execute('PRAGMA journal_mode=WAL')
        db.execute('CREATE TABLE users (name TEXT, secret TEXT, disabled INTEGER)')
        db.execute("INSERT INTO users VALUES ('sqluser', '{PLAIN}%s', 0)" % PASSWORD)
        db.commit()
        s = start(settings=['auth { directories = [sql, file]; sql { driver = sqlite; database = "%s/users.db" } }'
                            % folder, 'process.drop_privileges = never'])
        assert s.can_log_in('sqluser') and s.can_log_in('user1')
        db.execute("INSERT INTO users VALUES ('later', '{PLAIN}%s', 0)" % PASSWORD)
        db.commit()
        assert s.can_log_in('later')
        db.close()
    finally:
        shutil.rmtree(folder)


@needs_root
def test_pam_directory(start, users):
    """The system's own passwords: martlet-auth is not root, but may read what Landlock leaves it."""
    name, service = 'martlet-pam-test', '/etc/pam.d/martlet-sandbox-test'
    subprocess.run(['useradd', '--system', '--no-create-home', name], check=True)
    try:
        subprocess.run(['chpasswd'], input='%s:%s\n' % (name, PASSWORD), text=True, check=True)
        with open(service, 'w') as f:
            f.write('auth required pam_unix.so\naccount required pam_unix.so\n')
        s = start(settings=['auth { directories = [pam]; pam { service = martlet-sandbox-test } }'])
        check_status(s, users)
        assert s.can_log_in(name)
        assert not s.can_log_in('root')
        c = s.connect()
        assert c.cmd('LOGIN %s wrong' % name).code == 'AUTHENTICATIONFAILED'
        c.close()
    finally:
        os.path.exists(service) and os.unlink(service)
        subprocess.run(['userdel', name], check=True)


@needs_root
@pytest.mark.parametrize('url', ['ldap://127.0.0.1:%d', 'ldap://localhost:%d'])
def test_directory_on_the_network(start, url):
    """With LDAP configured martlet-auth may connect, and resolve names; it still may do nothing else."""
    listener = socket.create_server(('127.0.0.1', 0))
    listener.settimeout(TIMEOUT)
    s = start(settings=['auth { directories = [ldap]; ldap { url = "%s"; base = "dc=example"; starttls = false; '
                        'timeout = 1s } }' % (url % listener.getsockname()[1]), 'process.drop_privileges = never'])
    c = s.connect()
    tag = c.start('LOGIN user1 x')
    sock, _ = listener.accept()
    sock.close()
    listener.close()
    assert c.wait(tag).status == 'NO'
    c.close()
    s.attacked = True
    with Injector(s.pids('martlet-auth')[0]) as i:
        assert i.call('socket', socket.AF_PACKET, socket.SOCK_RAW, 0) in ('EPERM', 'ENOSYS')
        assert i.call('execve', b'/bin/true', 0, 0) == 'EPERM'
        assert i.call('openat', AT_FDCWD, s.state.encode() + b'/lock', os.O_RDONLY) == 'EACCES' or SANITIZED
        assert i.call('openat', AT_FDCWD, b'/tmp/x', os.O_WRONLY | os.O_CREAT, 0o600) == 'EACCES'


@needs_root
def test_users_must_exist_when_they_are_asked_for():
    s = Plain(settings=['process.drop_privileges = always', 'process.login_user = nobody-has-this-name'])
    try:
        with pytest.raises(RuntimeError, match='there is no user nobody-has-this-name'):
            s.start()
    finally:
        s.process.wait(20)
        shutil.rmtree(s.dir)
