"""Starting and stopping the server under test.

MARTLET_TEST_SERVER=dovecot starts Debian's Dovecot instead (as root, below a temporary directory),
to develop the tests themselves against another server.
"""
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from .imap import Imap, SLOW

ROOT = os.environ.get('MARTLET_TEST_ROOT') or os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..', '..'))
PASSWORD = 'sesame'
BUILD_TYPE = os.environ.get('MARTLET_BUILD_TYPE') or 'release'
SANITIZED = BUILD_TYPE in ('asan', 'tsan')
PEER = os.environ.get('MARTLET_TEST_SERVER', 'martlet')
START_TIMEOUT = 900 if PEER == 'martlet' else 20  # the first start may build
STOP_TIMEOUT = 2.0 * (1 if not SANITIZED else 10)
REPORT = re.compile(r'ERROR: \w*Sanitizer|WARNING: \w*Sanitizer|runtime error:|invariant failed|'
                    r'LeakSanitizer|event=sandbox-violation')


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    try:
        for s in sockets:
            s.bind(('127.0.0.1', 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def children(pid):
    """All descendants of a process."""
    parents = {}
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                with open('/proc/%s/stat' % entry) as f:
                    parents.setdefault(int(f.read().rsplit(')', 1)[1].split()[1]), []).append(int(entry))
            except OSError:
                pass
    found, todo = [], [pid]
    while todo:
        for child in parents.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return found


class Server:
    """One running server; `host`, `imap`, `imaps`, `lmtp` say where."""

    host = '127.0.0.1'

    def __init__(self, directory=None, extra=()):
        self.keep = directory is not None
        self.dir = directory or tempfile.mkdtemp(prefix='e2e-')
        self.extra = list(extra)
        self.process = None
        self.output = []
        self.users = 0

    def start(self):
        self.imap, self.imaps, self.lmtp = free_ports(3)
        self.output = []
        self.checked = 0
        self.ready = threading.Event()
        self.process = subprocess.Popen(self.command(), cwd=ROOT, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        deadline = time.monotonic() + START_TIMEOUT
        while not self.ready.wait(0.1):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError('the server did not start:\n' + self.text()[-4000:])
        return self

    def _read(self):
        for line in self.process.stdout:
            line = line.decode('utf-8', 'replace').rstrip('\n')
            self.output.append(line)
            if self.is_ready(line):
                self.ready.set()

    def text(self):
        return '\n'.join(self.output)

    def pids(self):
        return [self.process.pid] + children(self.process.pid)

    def memory(self):
        """Anonymous and shared memory of all processes, in bytes."""
        total = 0
        for pid in self.pids():
            try:
                with open('/proc/%d/status' % pid) as f:
                    for line in f:
                        if line.startswith(('RssAnon:', 'RssShmem:')):
                            total += int(line.split()[1]) * 1024
            except OSError:
                pass
        return total

    def cpu(self):
        """Seconds of processor time of all processes, ended ones included."""
        total = 0
        for pid in self.pids():
            try:
                with open('/proc/%d/stat' % pid) as f:
                    words = f.read().rsplit(')', 1)[1].split()
                total += sum(map(int, words[11:15] if pid == self.process.pid else words[11:13]))
            except OSError:
                pass
        return total / os.sysconf('SC_CLK_TCK')

    def kill(self):
        """Kill -9 all of it."""
        pids = self.pids()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(20)
        deadline = time.monotonic() + 20
        while any(os.path.exists('/proc/%d' % pid) and not zombie(pid) for pid in pids):
            assert time.monotonic() < deadline, 'processes survive SIGKILL'
            time.sleep(0.01)

    def stop(self, check=True):
        """SIGTERM; checks that it ends in time, cleanly, and complained of nothing."""
        pids = self.pids()
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_TIMEOUT + 30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError('the server does not end on SIGTERM:\n' + self.text()[-2000:])
        took = time.monotonic() - began
        self.reader.join(5)
        if check:
            assert took < STOP_TIMEOUT, 'took %.1f s to end' % took
            assert code == 0, 'exit code %d:\n%s' % (code, self.text()[-2000:])
            left = [pid for pid in pids if os.path.exists('/proc/%d' % pid) and not zombie(pid)]
            assert not left, 'processes stay behind: %r' % left
            self.check_output()

    def check_output(self):
        """No report of a sanitizer, nor of a broken invariant, since the last look."""
        text = '\n'.join(x for x in self.output[self.checked:] if 'level=info' not in x)
        self.checked = len(self.output)
        m = REPORT.search(text)
        assert not m, 'the server complains:\n' + text[max(0, m.start() - 500):m.start() + 6000]

    def remove(self):
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def connect(self, tls=False, maker=Imap, **more):
        return maker(self.host, self.imaps if tls else self.imap, tls, **more)


def zombie(pid):
    try:
        with open('/proc/%d/stat' % pid) as f:
            return f.read().rsplit(')', 1)[1].split()[0] == 'Z'
    except OSError:
        return True


class Martlet(Server):
    name = 'martlet'

    def command(self):
        return ['script/server', '--dir', self.dir, '--imap-port', str(self.imap), '--imaps-port',
                str(self.imaps), '--lmtp-port', str(self.lmtp), '--any-user-password', PASSWORD,
                '--build-type', BUILD_TYPE] + self.extra

    def is_ready(self, line):
        return line == 'ready'


DOVECOT = """
base_dir = {dir}/run
state_dir = {dir}/state
log_path = /dev/stderr
protocols = imap lmtp
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
first_valid_uid = 1
mail_uid = {uid}
mail_gid = {gid}
mail_home = {dir}/mail/%u
mail_location = sdbox:~/mail
mail_fsync = optimized
imap_capability = +IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ SPECIAL-USE CREATE-SPECIAL-USE
recipient_delimiter = +
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {imaps}
    ssl = yes
  }}
  service_count = 0
}}
service imap {{
  service_count = 100
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service anvil {{
  chroot =
}}
mail_max_userip_connections = 1000
imap_literal_minus = no
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={dir}/mail/%u allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = /
{mailboxes}
}}
protocol imap {{
  imap_idle_notify_interval = 2 mins
}}
"""


class Dovecot(Server):
    name = 'dovecot'

    def command(self):
        nobody = pwd.getpwnam('nobody')
        for name in ('run', 'state', 'mail'):
            os.makedirs('%s/%s' % (self.dir, name), exist_ok=True)
        os.chmod(self.dir, 0o755)
        os.chown(self.dir + '/mail', nobody.pw_uid, nobody.pw_gid)
        if not os.path.exists(self.dir + '/cert.pem'):
            subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2',
                            '-subj', '/CN=localhost', '-keyout', self.dir + '/key.pem', '-out',
                            self.dir + '/cert.pem'], check=True, stderr=subprocess.DEVNULL)
        boxes = ''.join('  mailbox %s {\n    auto = subscribe\n    special_use = \\%s\n  }\n' % (n, n)
                        for n in ('Drafts', 'Sent', 'Junk', 'Trash', 'Archive'))
        with open(self.dir + '/dovecot.conf', 'w') as f:
            f.write(DOVECOT.format(dir=self.dir, uid=nobody.pw_uid, gid=nobody.pw_gid, imap=self.imap,
                                   imaps=self.imaps, lmtp=self.lmtp, password=PASSWORD, mailboxes=boxes))
        return ['/usr/sbin/dovecot', '-F', '-c', self.dir + '/dovecot.conf']

    def is_ready(self, line):
        return 'starting up' in line


def make(directory=None, extra=()):
    return (Dovecot if PEER == 'dovecot' else Martlet)(directory, extra)
