"""docs/postfix.md, followed step by step with a real Postfix: private, on loopback, below a temporary directory.

Exchanged in the page's blocks are directories (/var/spool/postfix), the LMTP port 24, and smtpd_tls_auth_only, as this
Postfix has no certificate. Added are a smaller retry interval and Postfix's own directories. Postfix logs to syslog, if there is one: its
postlogd and master can wait for each other for ever on a reload."""
import os
import pwd
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from support import server as support_server
from support.imap import SLOW, Imap
from support.server import BUILD_TYPE, PASSWORD, ROOT, children, free_ports

MASTER = '/usr/share/postfix/master.cf.dist'
SPOOL = '/var/spool/postfix'
USERS = ['user%02d' % n for n in range(50)]
MESSAGES = 1000
BUILD = os.path.join(ROOT, 'build-' + BUILD_TYPE, 'src')

pytestmark = [
    pytest.mark.martlet('its own page'),
    pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists(MASTER), reason='needs root and Postfix'),
    pytest.mark.slow,
]


def blocks():
    """The page's blocks: (kind, text)."""
    with open(os.path.join(ROOT, 'docs', 'postfix.md')) as f:
        return re.findall(r'^```([\w.]+)\n(.*?)^```$', f.read(), re.M | re.S)


class Site:
    """Martlet and Postfix as the page says."""

    def __init__(self):
        self.base = support_server.make()
        self.base.start()  # builds, and writes a configuration
        self.base.stop()
        self.dir = tempfile.mkdtemp(prefix='postfix-')
        os.chmod(self.dir, 0o755)
        self.conf = self.base.dir + '/martlet.conf'
        self.smtp, self.lmtp = free_ports(2)
        self.processes = []
        self.postfix_runs = False
        self.martlet = None

    # --- Martlet

    def write_martlet(self, block):
        with open(self.conf) as f:
            lines = [re.sub(r'any_user_password = ".*?"', 'any_user_password = ""', line) for line in f
                     if not line.startswith('lmtp.listen')]
        with open(self.conf, 'w') as f:
            f.writelines(lines)
            f.write('mail.quarantine = 0\n' + self.exchange(block))
        hashed = subprocess.run(['openssl', 'passwd', '-6', '-stdin'], input=PASSWORD.encode(),
                                check=True, stdout=subprocess.PIPE).stdout.decode().strip()
        with open(self.base.dir + '/users', 'w') as f:
            f.writelines('%s:%s\n' % (u, hashed) for u in USERS)

    def exchange(self, text):
        return text.replace(SPOOL, self.dir + '/spool').replace('127.0.0.1:24', '127.0.0.1:%d' % self.lmtp) \
            .replace('smtpd_tls_auth_only = yes', 'smtpd_tls_auth_only = no')

    def start_martlet(self):
        self.log = open(self.dir + '/martlet.log', 'ab')
        self.martlet = subprocess.Popen([BUILD + '/daemon/martlet', '-c', self.conf], stdout=subprocess.PIPE,
                                        stderr=self.log)
        assert self.martlet.stdout.readline() == b'ready\n', self.text('martlet.log')

    def mail_processes(self):
        found = []
        for pid in children(self.martlet.pid):
            try:
                with open('/proc/%d/comm' % pid) as f:
                    if f.read().strip() == 'martlet-mail' and not support_server.zombie(pid):
                        found.append(pid)
            except OSError:
                pass
        return found

    def martletctl(self, *arguments, stdin=b''):
        return subprocess.run([BUILD + '/tools/martletctl', '-c', self.conf, *arguments], input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    # --- Postfix

    def make_postfix(self):
        etc, queue = self.dir + '/etc', self.dir + '/spool'
        for path in (etc, queue, self.dir + '/data'):
            os.mkdir(path, 0o755)
        os.chown(self.dir + '/data', pwd.getpwnam('postfix').pw_uid, -1)
        with open(MASTER) as f:
            master = f.read()
        master, n = re.subn(r'(?m)^smtp +inet ', '127.0.0.1:%d inet ' % self.smtp, master)
        assert n == 1
        with open(etc + '/master.cf', 'w') as f:
            f.write(master)
        with open(etc + '/main.cf', 'w') as f:
            f.write('''compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
myhostname = mx.example.org
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
smtpd_peername_lookup = no
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
'''.format(dir=self.dir))

    def add_to_main(self, text):
        with open(self.dir + '/etc/main.cf', 'a') as f:
            f.write(self.exchange(text))

    def postfix(self, *command):
        with open(self.dir + '/commands.log', 'ab') as log:  # daemons that it starts may keep it open
            r = subprocess.run([command[0], '-c', self.dir + '/etc', *command[1:]], stdin=subprocess.DEVNULL,
                               stdout=log, stderr=log, timeout=30 * SLOW)
        assert r.returncode == 0, (command, self.text('commands.log'))

    def start_postfix(self):
        self.postfix('postfix', 'start')
        self.postfix_runs = True

    def queued(self):
        return [name for d in ('maildrop', 'incoming', 'active', 'deferred')
                for _, _, names in os.walk(os.path.join(self.dir, 'spool', d)) for name in names]

    def deferred(self):
        return sum(len(names) for _, _, names in os.walk(self.dir + '/spool/deferred'))

    def queue(self):
        """What waits, and why."""
        return subprocess.run(['postqueue', '-c', self.dir + '/etc', '-p'], stdout=subprocess.PIPE,
                              timeout=30).stdout.decode()[-5000:]

    def drain(self):
        """Until Postfix has delivered everything."""
        deadline = time.monotonic() + 40 * SLOW
        while self.queued():
            assert time.monotonic() < deadline, self.queue()
            self.postfix('postqueue', '-f')
            time.sleep(0.5)

    def whole(self, name):
        with open(os.path.join(self.dir, name), errors='replace') as f:
            return f.read()

    def text(self, name):
        return self.whole(name)[-5000:] if os.path.exists(os.path.join(self.dir, name)) else ''

    def stop_postfix(self):
        with open(self.dir + '/spool/pid/master.pid') as f:
            master = int(f.read())
        try:
            self.postfix('postfix', 'stop')
        except subprocess.TimeoutExpired:
            for pid in [master] + children(master):
                os.kill(pid, signal.SIGKILL)
            raise

    def stop(self):
        try:
            if self.postfix_runs:
                self.stop_postfix()
        finally:
            if self.martlet and self.martlet.poll() is None:
                self.martlet.terminate()
                assert self.martlet.wait(30) == 0, self.text('martlet.log')
        self.base.remove()
        shutil.rmtree(self.dir)


@pytest.fixture(scope='module')
def site():
    """The page's steps, in its order."""
    s = Site()
    s.make_postfix()
    try:
        s.postfix('postfix', 'check')  # makes what is missing: the directory for the sockets
        todo = blocks()
        assert [kind for kind, _ in todo] == ['martlet.conf', 'sh', 'main.cf', 'main.cf', 'main.cf', 'main.cf',
                                              'main.cf', 'sh', 'main.cf']
        s.write_martlet(todo.pop(0)[1])
        s.start_postfix()
        s.start_martlet()
        for command in todo.pop(0)[1].splitlines():
            words = command.split()
            assert words[0] == 'martletctl'
            more = ['--password-stdin'] if words[1:3] == ['user', 'add'] else []
            r = s.martletctl(*words[1:], *more, stdin=b'sesame\n')
            assert r.returncode == 0, (command, r.stdout)
        while todo[0][0] == 'main.cf':
            s.add_to_main(todo.pop(0)[1])
        for command in todo.pop(0)[1].splitlines():
            s.postfix(*command.split())
        s.left = todo
        yield s
    finally:
        s.stop()


def message(number, user):
    return ('From: Sender <sender@example.com>\r\nTo: %s@example.org\r\nSubject: message %d\r\n'
            'Message-ID: <%d@test.example.com>\r\n\r\n.a line\r\n%s\r\n' % (user, number, number, 'x' * 60)).encode()


def send(smtp, recipient, data, sender='sender@example.com'):
    """Until it is taken: an address may not be verified yet."""
    deadline = time.monotonic() + 30 * SLOW
    while True:
        try:
            smtp.sendmail(sender, [recipient], data)
            return
        except smtplib.SMTPRecipientsRefused as e:
            ((code, _),) = e.recipients.values()
            assert code == 450 and time.monotonic() < deadline, e.recipients
            time.sleep(0.2)


def send_all(site, first, count, clients=10):
    failures = []

    def run(n):
        try:
            with smtplib.SMTP('127.0.0.1', site.smtp, timeout=60) as smtp:
                for number in range(first + n, first + count, clients):
                    user = USERS[number % len(USERS)]
                    send(smtp, '%s@example.org' % user, message(number, user))
        except Exception as e:  # noqa: B902 (told by the test's own thread)
            failures.append(repr(e))
    threads = [threading.Thread(target=run, args=(n,)) for n in range(clients)]
    for t in threads:
        t.start()
    return threads, failures


def message_ids(site, user):
    with open(site.conf) as f:
        port = int(re.search(r'(?m)^imap.listen = \["127.0.0.1:(\d+)"\]', f.read()).group(1))
    c = Imap('127.0.0.1', port)
    c.login(user, PASSWORD)
    c.select('INBOX')
    found = []
    if c.uids:
        rows = c.ok('FETCH 1:* BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]').fetch()
        found = [re.search(rb'<(.*)>', b''.join(v for k, v in sorted(row.items()) if k.startswith('BODY'))).group(1)
                 for row in rows.values()]
    c.close()
    return sorted(int(x.split(b'@')[0]) for x in found)


def expect(site, count):
    for n, user in enumerate(USERS):
        assert message_ids(site, user) == list(range(n, count, len(USERS))), user


def test_thousand_messages_with_kills(site):
    """All delivered, none twice, though mail processes are killed in the middle; then the rest by TCP."""
    tcp = 100
    threads, failures = send_all(site, 0, MESSAGES - tcp)
    kills, deferred = 0, 0
    while any(t.is_alive() for t in threads):
        time.sleep(0.7)
        deferred = max(deferred, site.deferred())
        victims = site.mail_processes()
        if kills < 6 and victims:
            os.kill(victims[kills % len(victims)], signal.SIGKILL)
            kills += 1
    assert not failures, (failures, site.queue())
    assert kills >= 3
    site.drain()
    expect(site, MESSAGES - tcp)
    deliveries = re.findall(r'event=delivery .* peer=(\S+)', site.whole('martlet.log'))
    assert set(deliveries) == {'unix'} and len(deliveries) >= MESSAGES - tcp
    print('%d kills, up to %d deferred, %d delivered again' % (
        kills, deferred, site.whole('martlet.log').count('result=duplicate')))
    assert deferred, 'no kill hit a delivery'

    ((kind, text),) = site.left  # section 6
    site.add_to_main(text)
    site.postfix('postfix', 'reload')
    threads, failures = send_all(site, MESSAGES - tcp, tcp)
    for t in threads:
        t.join()
    assert not failures, (failures, site.queue())
    site.drain()
    expect(site, MESSAGES)
    assert 'peer=127.0.0.1' in site.whole('martlet.log')


class Forgetful:
    """Stands between Postfix and Martlet, and cuts the line when the first answers that something is stored go by."""

    def __init__(self, target, count):
        self.target, self.left, self.lock = target, count, threading.Lock()
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(('127.0.0.1', self.target))
            for a, b, watched in ((client, server, False), (server, client, True)):
                threading.Thread(target=self.pump, args=(a, b, watched), daemon=True).start()

    def pump(self, source, target, watched):
        try:
            while data := source.recv(65536):
                if watched and b'250 2.0.0 Delivered' in data:
                    with self.lock:
                        self.left -= 1
                        if self.left >= 0:
                            break
                target.sendall(data)
        except OSError:
            pass
        for s in (source, target):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


def test_lost_answers(site):
    """Stored, but Postfix does not hear of it and delivers again."""
    lost, count = 10, 50
    before = {user: len(message_ids(site, user)) for user in USERS}
    duplicates = site.whole('martlet.log').count('result=duplicate')
    proxy = Forgetful(site.lmtp, lost)
    site.add_to_main('virtual_transport = lmtp:inet:127.0.0.1:%d\n' % proxy.port)
    site.postfix('postfix', 'reload')
    threads, failures = send_all(site, 5000, count)
    for t in threads:
        t.join()
    assert not failures, (failures, site.queue())
    site.drain()
    site.add_to_main('virtual_transport = lmtp:unix:private/martlet-lmtp\n')
    site.postfix('postfix', 'reload')
    proxy.close()
    assert proxy.left < 0
    assert site.whole('martlet.log').count('result=duplicate') - duplicates == lost
    for user in USERS:
        ids = message_ids(site, user)
        assert len(ids) == before[user] + 1 and len(set(ids)) == len(ids), user


def test_unknown_users_are_refused(site):
    with smtplib.SMTP('127.0.0.1', site.smtp, timeout=60) as smtp:
        smtp.ehlo()
        deadline = time.monotonic() + 20 * SLOW
        code = 450
        while code == 450:
            assert time.monotonic() < deadline
            smtp.rset()
            smtp.mail('sender@example.com')
            code, text = smtp.rcpt('nobody-here@example.org')
        assert code == 550, text
        assert smtp.rcpt('somebody@elsewhere.example')[0] == 554


def test_senders_log_in(site):
    with smtplib.SMTP('127.0.0.1', site.smtp, timeout=60) as smtp:
        smtp.ehlo()
        with pytest.raises(smtplib.SMTPAuthenticationError) as e:
            smtp.login('anna', 'wrong')
        assert e.value.smtp_code == 535
        assert smtp.login('anna', 'sesame')[0] == 235
        smtp.mail('anna@example.org')
        assert smtp.rcpt('somebody@elsewhere.example')[0] == 250
        smtp.rset()
        send(smtp, 'anna+sent.away@example.org', message(7, 'anna'), sender='anna@example.org')
    site.drain()
    assert message_ids(site, 'anna') == [7]
