"""The processes: starting, refusing to start, restarting what dies, reloading, limits before login."""
import os
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest

from support import server as support_server
from support.imap import SLOW, TIMEOUT, Closed
from support.server import BUILD_TYPE, PASSWORD, ROOT, children, free_ports

pytestmark = pytest.mark.martlet('its own processes')

MARTLET = os.path.join(ROOT, 'build-' + BUILD_TYPE, 'src', 'daemon', 'martlet')


@pytest.fixture
def start():
    """start('--setting', ...): a server of one's own."""
    servers = []

    def make(*extra):
        s = support_server.make(extra=extra)
        servers.append(s)
        return s.start()
    yield make
    for s in servers:
        if s.process and s.process.poll() is None:
            s.stop()
        s.remove()


def process(server, name):
    """The pids of the processes of that name."""
    found = []
    for pid in children(server.process.pid):
        try:
            with open('/proc/%d/comm' % pid) as f:
                if f.read().strip() == name and not support_server.zombie(pid):
                    found.append(pid)
        except OSError:
            pass  # it has ended meanwhile
    return found


def until(condition, what):
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            if condition():
                return
        except (OSError, AssertionError):
            pass
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def can_log_in(server, name='fred'):
    c = server.connect()
    try:
        return c.cmd('LOGIN %s %s' % (name, PASSWORD)).status == 'OK'
    finally:
        c.close()


@pytest.mark.parametrize('name', ['martlet-auth', 'martlet-login', 'martlet-mail'])
def test_a_process_that_dies_is_started_again(start, name):
    s = start()
    assert can_log_in(s)
    before = process(s, name)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(set(process(s, name)) - set(before)) == len(before), 'not started again')
    until(lambda: all(can_log_in(s, 'user%d' % i) for i in range(8)), 'no login afterwards')
    assert 'event=process-ended' in s.text()


def test_supervisor_killed(start):
    """The others notice and end; a new one can start at once."""
    s = start()
    assert can_log_in(s)
    pids = children(s.process.pid)
    s.process.kill()
    s.process.wait()
    until(lambda: not any(os.path.exists('/proc/%d' % p) and not support_server.zombie(p) for p in pids),
          'processes stay behind')
    s.start()
    assert can_log_in(s)


def test_one_martlet_per_directory(start):
    s = start()
    ports = free_ports(3)
    other = subprocess.run([MARTLET, '-c', s.dir + '/martlet.conf', '-o', 'imap.listen=127.0.0.1:%d' % ports[0],
                            '-o', 'imaps.listen=[]', '-o', 'lmtp.listen=[]'], capture_output=True, text=True,
                           timeout=60)
    assert other.returncode == 1
    assert 'in use by another martlet' in other.stderr
    assert can_log_in(s)


def check(*args):
    """With certificate files that are there; --check does not read them."""
    r = subprocess.run([MARTLET, '--check', '-c', '/dev/null', '-o', 'tls.certificate=/dev/null', '-o',
                        'tls.key=/dev/null', *args], capture_output=True, text=True,
                       timeout=30)
    return r.returncode, r.stderr


def test_configuration_mistakes(start, tmp_path):
    start()  # it is built
    assert check()[0] == 0
    f = tmp_path / 'martlet.conf'
    f.write_text('\nimap {\n  idle_timout = 1h\n}\n')
    r = subprocess.run([MARTLET, '--check', '-c', str(f)], capture_output=True, text=True, timeout=30)
    assert r.returncode == 2
    assert '%s:3: there is no setting "imap.idle_timout"; did you mean "imap.idle_timeout"?' % f in r.stderr
    r = subprocess.run([MARTLET, '--check', '-c', str(tmp_path / 'none')], capture_output=True, text=True,
                       timeout=30)
    assert r.returncode == 2 and 'No such file' in r.stderr


@pytest.mark.parametrize('listen', ['0.0.0.0:1143', '*:1143', '192.0.2.1:1143', '[2001:db8::1]:1143'])
@pytest.mark.parametrize('which', ['imap', 'imaps', 'lmtp'])
def test_any_user_password_only_on_loopback(start, which, listen):
    loopback = ['-o', 'imap.listen=[]', '-o', 'imaps.listen="[::1]:1"', '-o', 'lmtp.listen="127.0.0.7:1"',
                '-o', 'auth.any_user_password=x']
    code, text = check(*loopback)
    assert code == 0, text
    code, text = check(*loopback, '-o', '%s.listen="%s"' % (which, listen))
    assert code == 2
    assert listen in text and 'loopback' in text


def test_sighup_reloads_users_and_certificate(start):
    s = start('--user', 'mary:first')
    c = s.connect()
    c.login('mary', 'first')
    tls = s.connect(tls=True)

    def certificate():
        return ssl.get_server_certificate((s.host, s.imaps))
    old = certificate()
    with open(s.dir + '/users', 'w') as f:
        f.write('mary:{PLAIN}second\n')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj',
                    '/CN=new', '-keyout', s.dir + '/key.pem', '-out', s.dir + '/cert.pem'], check=True,
                   stderr=subprocess.DEVNULL)
    s.process.send_signal(signal.SIGHUP)
    until(lambda: certificate() != old, 'the old certificate is still in use')

    def accepts(password):
        d = s.connect()
        try:
            return d.cmd('LOGIN mary %s' % password).status == 'OK'
        finally:
            d.close()
    until(lambda: accepts('second'), 'the old users are still in use')
    assert not accepts('first')
    c.ok('NOOP')  # sessions go on
    tls.login('mary', 'second')
    c.close()
    tls.close()


def test_users_file(start):
    s = start('--user', 'mary:with:colons', '--user', 'j\u00f6rg:p\u00e4ss')
    for name, password, kind in (('mary', 'with:colons', 'OK'), ('mary', 'with', 'NO'), ('mary', '', 'NO'),
                                 ('mary', PASSWORD, 'OK')):
        c = s.connect()
        assert c.cmd('LOGIN "%s" "%s"' % (name, password)).status == kind
        c.close()


def greeting_of(port):
    sock = socket.create_connection(('127.0.0.1', port), TIMEOUT)
    return sock, sock.recv(1000)


def read_all(sock):
    out = b''
    while True:
        try:
            data = sock.recv(4096)
        except ConnectionResetError:
            return out
        if not data:
            return out
        out += data


def test_login_timeout(start):
    s = start('--setting', 'login.timeout=1s')
    began = time.monotonic()
    plain, greeting = greeting_of(s.imap)
    assert greeting.startswith(b'* OK ')
    silent_tls = socket.create_connection((s.host, s.imaps), TIMEOUT)  # no handshake
    busy, _ = greeting_of(s.imap)
    busy.sendall(b'a LOGIN fred {1000}\r\n')
    assert b'* BYE ' in read_all(plain)
    assert b'* BYE ' in read_all(busy)
    assert read_all(silent_tls) == b''
    assert 0.8 < time.monotonic() - began < 6 * SLOW
    c = s.connect()
    c.login('fred', PASSWORD)
    time.sleep(1.5)
    c.ok('NOOP')  # no login timeout after login
    c.close()


def test_unfinished_logins_are_bounded(start):
    s = start('--setting', 'login.unfinished=10', '--setting', 'login.processes=1')
    socks = [greeting_of(s.imap)[0] for _ in range(30)]
    assert can_log_in(s)
    closed = 0
    for sock in socks[:15]:
        assert b'* BYE ' in read_all(sock)
        closed += 1
    for sock in socks:
        sock.close()


def test_connection_limit_lets_others_wait(start):
    s = start('--setting', 'login.connections=10', '--setting', 'login.processes=1')
    socks = [greeting_of(s.imap)[0] for _ in range(10)]
    waiting = socket.create_connection((s.host, s.imap), TIMEOUT)
    waiting.settimeout(0.3)
    with pytest.raises(socket.timeout):
        waiting.recv(100)
    socks.pop().close()
    waiting.settimeout(TIMEOUT)
    assert waiting.recv(100).startswith(b'* OK ')
    waiting.close()
    for sock in socks:
        sock.close()



def test_plain_text_login_needs_tls_where_it_is_not_loopback(start):
    """A listener on another address of this machine: the container's or host's own."""
    addresses = re.findall(r'inet (\d+\.\d+\.\d+\.\d+)', subprocess.run(
        ['ip', '-4', 'addr'], capture_output=True, text=True).stdout) if os.path.exists('/sbin/ip') else []
    addresses = [a for a in addresses if not a.startswith('127.')]
    if not addresses:
        pytest.skip('this machine has only loopback addresses')
    s = start()
    port, = free_ports(1)
    conf = s.dir + '/other.conf'
    with open(conf, 'w') as f:
        f.write('state_dir = "%s/other"\nimap.listen = ["%s:%d"]\nimaps.listen = []\nlmtp.listen = []\n'
                'tls { certificate = "%s/cert.pem"; key = "%s/key.pem" }\nauth.users_file = "%s/users2"\n'
                % (s.dir, addresses[0], port, s.dir, s.dir, s.dir))
    with open(s.dir + '/users2', 'w') as f:
        f.write('fred:{PLAIN}%s\n' % PASSWORD)
    p = subprocess.Popen([MARTLET, '-c', conf], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert p.stdout.readline() == b'ready\n'
        c = support_server.Imap(addresses[0], port)
        r = c.greeting
        assert 'LOGINDISABLED' in repr(r) and not re.search('AUTH=(PLAIN|LOGIN|OAUTHBEARER|XOAUTH2)', repr(r)) and 'STARTTLS' in repr(r)
        r = c.cmd('LOGIN fred %s' % PASSWORD)
        assert (r.status, r.code) == ('NO', 'PRIVACYREQUIRED')
        assert c.cmd('AUTHENTICATE PLAIN AGZyZWQAc2VzYW1l').status == 'NO'
        c.starttls()
        c.login('fred', PASSWORD)
        c.close()
    finally:
        p.terminate()
        assert p.wait(30) == 0


def test_bad_commands_before_login_end_the_connection(start):
    s = start('--setting', 'login.bad_commands=5')
    sock, _ = greeting_of(s.imap)
    sock.sendall(b'x FOO\r\n' * 20)
    answer = read_all(sock)
    assert answer.count(b' BAD ') == 5 and b'* BYE ' in answer


def test_idle_tls_connection_notices_shutdown(start):
    s = start()
    c = s.connect(tls=True)
    c.login('fred', PASSWORD)
    s.stop()
    with pytest.raises(Closed):
        c.cmd('NOOP')
    c.close()


def test_demo_account(tmp_path):
    """What a person gets who types the one command."""
    ports = free_ports(3)
    p = subprocess.Popen(['script/server', '--dir', str(tmp_path / 'state'), '--imap-port', str(ports[0]),
                          '--imaps-port', str(ports[1]), '--lmtp-port', str(ports[2]), '--build-type',
                          BUILD_TYPE], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        text = ''
        for line in p.stdout:
            text += line
            if line == 'ready\n':
                break
        password = re.search(r'password\s+(\S+)', text).group(1)
        until(lambda: (tmp_path / 'state' / 'samples-delivered').exists(), 'no sample messages')
        c = support_server.Imap('127.0.0.1', ports[0])
        c.login('demo', password)
        assert c.select('INBOX').one('EXISTS').num == 12
        c.close()
    finally:
        p.terminate()
        assert p.wait(30) == 0


def test_a_client_that_sends_in_pieces_does_not_wait(server, user):
    """Python's imaplib writes a literal and the line end after it apart: with Nagle's algorithm the second
    waits until the first is acknowledged, which must not take a delayed acknowledgement's 40 ms."""
    sock = socket.create_connection((server.host, server.imap), TIMEOUT)
    f = sock.makefile('rb')

    def answer(tag):
        while True:
            line = f.readline()
            assert line
            if line.startswith(tag + b' '):
                return line
    f.readline()
    sock.sendall(b'a LOGIN %s %s\r\n' % (user.encode(), PASSWORD.encode()))
    assert answer(b'a').startswith(b'a OK')
    message = b'Subject: pieces\r\n\r\n' + b'x' * 500 + b'\r\n'
    began = time.monotonic()
    for i in range(30):
        sock.sendall(b'b APPEND INBOX {%d}\r\n' % len(message))
        assert answer(b'+').startswith(b'+ ')
        sock.sendall(message)
        sock.sendall(b'\r\n')
        assert answer(b'b').startswith(b'b OK')
    assert time.monotonic() - began < 30 * 0.035 * SLOW
    sock.close()
