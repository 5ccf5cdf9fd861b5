"""A private Postfix of Debian's package: its own configuration, queue and ports; loopback only.

Postfix must be started as root; where tests do not run as root, `available()` says why not."""
import os
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile
import time

from .server import free_ports

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       3       1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""

MAIN = {
    'compatibility_level': '3.6',
    'inet_interfaces': '127.0.0.1',
    'inet_protocols': 'ipv4',
    'myhostname': 'mail.example.org',
    'mydomain': 'example.org',
    'mydestination': '',
    'mynetworks': '127.0.0.0/8',
    'alias_maps': '',
    'alias_database': '',
    'local_recipient_maps': '',
    'biff': 'no',
    'smtpd_tls_security_level': 'none',
    'maximal_backoff_time': '2s',
    'minimal_backoff_time': '1s',
    'queue_run_delay': '1s',
    'maillog_file_prefixes': '/tmp',
}


def available():
    """None, or why Postfix cannot be used here."""
    if not shutil.which('postfix'):
        return 'Postfix is not installed'
    if os.geteuid() != 0:
        return 'Postfix must be started as root'
    try:
        pwd.getpwnam('postfix')
    except KeyError:
        return 'there is no user postfix'
    return None


class Postfix:
    """settings: of main.cf, over those above. `port` is where it takes mail by SMTP."""

    def __init__(self, settings=None, master=''):
        self.dir = tempfile.mkdtemp(prefix='postfix-', dir='/tmp')
        os.chmod(self.dir, 0o755)
        self.port = free_ports(1)[0]
        self.settings = dict(MAIN)
        user = pwd.getpwnam('postfix')
        for name in 'queue', 'data', 'etc':
            os.mkdir(os.path.join(self.dir, name), 0o755)
        os.chown(os.path.join(self.dir, 'data'), user.pw_uid, -1)
        self.settings.update(queue_directory=self.dir + '/queue', data_directory=self.dir + '/data',
                             maillog_file=self.dir + '/log', **(settings or {}))
        self.master = MASTER.format(port=self.port) + master

    def configure(self, lines=()):
        """Writes main.cf and master.cf; lines: more text for main.cf, as from the documentation."""
        with open(self.dir + '/etc/main.cf', 'w') as f:
            f.write(''.join('%s = %s\n' % x for x in self.settings.items()))
            f.write(''.join(line + '\n' for line in lines))
        with open(self.dir + '/etc/master.cf', 'w') as f:
            f.write(self.master)

    def command(self, *words, check=True):
        return subprocess.run(['postfix', '-c', self.dir + '/etc', *words], check=check, capture_output=True,
                              text=True, timeout=60)

    def start(self, lines=()):
        self.configure(lines)
        r = self.command('start', check=False)
        if r.returncode:
            raise RuntimeError('postfix start: %s%s%s' % (r.stdout, r.stderr, self.log()))
        deadline = time.monotonic() + 20
        while True:
            try:
                with socket.create_connection(('127.0.0.1', self.port), 5) as s:
                    s.recv(100)
                return self
            except OSError:
                if time.monotonic() > deadline:
                    raise RuntimeError('Postfix does not answer:\n' + self.log())
                time.sleep(0.05)

    def log(self):
        try:
            with open(self.dir + '/log') as f:
                return f.read()
        except OSError:
            return ''

    def queue_empty(self):
        r = subprocess.run(['postqueue', '-c', self.dir + '/etc', '-p'], capture_output=True, text=True, timeout=60)
        return 'Mail queue is empty' in r.stdout

    def flush(self):
        subprocess.run(['postqueue', '-c', self.dir + '/etc', '-f'], timeout=60, check=False)

    def stop(self):
        self.command('stop', check=False)
        deadline = time.monotonic() + 10
        while self.command('status', check=False).returncode == 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        shutil.rmtree(self.dir, ignore_errors=True)


def allow_socket(path):
    """Postfix's processes run as the user postfix."""
    os.chown(path, pwd.getpwnam('postfix').pw_uid, -1)
    return stat.S_ISSOCK(os.stat(path).st_mode)
