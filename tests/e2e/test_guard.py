"""Against guessing: growing gaps, forgetful clients, nothing that tells names, the line for fail2ban; the
Dovecot authentication protocol that an MTA speaks."""
import base64
import os
import re
import shutil
import socket
import statistics
import subprocess
import time

import pytest

from support import postfix
from support.imap import Imap, SLOW
from support.server import PASSWORD, ROOT


def plain(user, password, authzid=''):
    return base64.b64encode(('%s\0%s\0%s' % (authzid, user, password)).encode()).decode()


def failures(server, user=None):
    return [line for line in server.output
            if 'event=login-failed ' in line and (user is None or ' user=%s ' % user in line)]


def settle(server, n, user=None):
    deadline = time.monotonic() + 20 * SLOW
    while len(failures(server, user)) < n and time.monotonic() < deadline:
        time.sleep(0.02)
    return failures(server, user)


def login(server, user, password):
    c = Imap(server.host, server.imap)
    began = time.monotonic()
    r = c.cmd('LOGIN %s %s' % (user, password))
    c.close()
    return r, time.monotonic() - began


@pytest.fixture
def users(request):
    """A server of its own with the users fred and mary."""
    from support import server as support_server
    mark = request.node.get_closest_marker('settings')
    extra = [w for s in (mark.args if mark else ()) for w in ('--setting', s)]
    s = support_server.make(extra=extra)
    command = s.command

    def without_any_user():
        words = command()
        at = words.index('--any-user-password')
        return words[:at] + ['--user', 'fred:right', '--user', 'mary:right'] + words[at + 2:]
    s.command = without_any_user
    s.start()
    yield s
    s.stop()
    s.check_output()
    s.remove()


# -- guessing

@pytest.mark.settings('auth.failure_delay=200ms', 'auth.failure_delay_max=1s')
def test_gaps_grow(users):
    """Wrong passwords of one account: after a few, attempts come with growing gaps; also the right one from an
    unknown network would, but not where it has logged in before."""
    assert login(users, 'mary', 'right')[0].status == 'OK'
    took = []
    for i in range(7):
        r, seconds = login(users, 'fred', 'guess%d' % i)
        assert r.code == 'AUTHENTICATIONFAILED'
        took.append(seconds)
    assert min(took) > 0.19 and took[-1] > 1.0, took
    # mary is known here, and does not wait
    r, seconds = login(users, 'mary', 'right')
    assert r.status == 'OK' and seconds < 1.0 * SLOW
    r, seconds = login(users, 'fred', 'right')
    assert r.status == 'OK' and seconds > 0.3
    r, seconds = login(users, 'fred', 'right')
    assert r.status == 'OK' and seconds < 1.0 * SLOW


@pytest.mark.settings('auth.failure_delay=1ms', 'auth.failure_delay_max=4s')
def test_parallel_guesses_gain_nothing(users):
    """Many connections at once get as many looks as one; the rest is refused as not possible now."""
    for i in range(16):
        login(users, 'fred', 'guess%d' % i)
    clients = [Imap(users.host, users.imap) for _ in range(20)]
    for i, c in enumerate(clients):
        c.start('LOGIN fred more%d' % i)
    time.sleep(2)
    refused = len([x for x in users.output if 'too many failures' in x])
    assert refused >= 10, users.text()[-2000:]
    assert len(failures(users, 'fred')) - refused <= 16 + 3
    for c in clients:
        c.close()


@pytest.mark.settings('auth.failure_delay=1ms', 'auth.failure_delay_max=4s')
def test_forgetful_client(users):
    """The same wrong password counts once, however often it is tried: the office is not locked out."""
    for _ in range(30):
        r, seconds = login(users, 'fred', 'old')
        assert r.code == 'AUTHENTICATIONFAILED' and seconds < 2 * SLOW
    lines = settle(users, 30, 'fred')
    assert [' counted=yes ' in line for line in lines] == [True] + 29 * [False]
    r, seconds = login(users, 'mary', 'right')
    assert r.status == 'OK' and seconds < 1 * SLOW


@pytest.mark.settings('auth.failure_delay=1ms', 'auth.failure_delay_max=1ms')
def test_names_are_not_told(users):
    """Unknown names and wrong passwords: the same answer, after the same time."""
    known, unknown, texts = [], [], set()
    for i in range(15):
        r, seconds = login(users, 'fred', 'wrong%d' % i)
        known.append(seconds)
        texts.add((r.status, r.code, r.text))
        r, seconds = login(users, 'nobody%d' % i, 'wrong%d' % i)
        unknown.append(seconds)
        texts.add((r.status, r.code, r.text))
    assert len(texts) == 1, texts
    a, b = statistics.median(known), statistics.median(unknown)
    assert abs(a - b) < 0.5 * max(a, b), (a, b)


def test_fail2ban(users, tmp_path):
    """The shipped filter reads the log: addresses of counted failures, and none that a client makes up."""
    tool = shutil.which('fail2ban-regex')
    assert tool, 'fail2ban-regex is not installed (tests/e2e/install-packages)'
    login(users, 'fred', 'guess')
    login(users, 'fred', 'guess')
    c = Imap(users.host, users.imap)
    c.cmd(b'LOGIN "x event=login-failed session=aa peer=192.0.2.66 service=imap counted=yes" y')
    c.close()
    settle(users, 3)
    log = tmp_path / 'log'
    log.write_text('\n'.join(users.output) + '\n')
    out = subprocess.run([tool, '-v', str(log), os.path.join(ROOT, 'share/fail2ban/filter.d/martlet.conf')],
                         capture_output=True, text=True, timeout=60).stdout
    assert '192.0.2.66' not in out.split('Failregex')[1].split('Ignoreregex')[0], out
    assert re.search(r'Failregex: 2 total', out), out
    assert out.count('127.0.0.1') >= 2, out


# -- for an MTA

class Mta:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20 * SLOW)
        self.sock.connect(path)
        self.file = self.sock.makefile('rb')
        self.greeting = []
        while not self.greeting or self.greeting[-1] != 'DONE':
            self.greeting.append(self.line())
        self.send('VERSION\t1\t2', 'CPID\t%d' % os.getpid())

    def line(self):
        line = self.file.readline().decode()
        assert line.endswith('\n'), 'closed'
        return line[:-1]

    def send(self, *lines):
        self.sock.sendall(''.join(x + '\n' for x in lines).encode())

    def ask(self, *lines):
        self.send(*lines)
        return self.line().split('\t')

    def close(self):
        self.file.close()
        self.sock.close()


@pytest.fixture
def mta(users):
    m = Mta(MTA_SOCKET)
    yield m
    m.close()


MTA_SOCKET = '/tmp/martlet-test-auth-%d' % os.getpid()
WITH_MTA = ('auth.mta_listen=' + MTA_SOCKET, 'auth.failure_delay=1ms')


@pytest.mark.settings(*WITH_MTA)
def test_mta_handshake(mta):
    names = [x.split('\t')[1] for x in mta.greeting if x.startswith('MECH\t')]
    assert mta.greeting[0] == 'VERSION\t1\t2' and {'PLAIN', 'LOGIN'} <= set(names)
    assert not any(n.endswith('-PLUS') for n in names)
    keys = [x.split('\t')[0] for x in mta.greeting]
    assert {'SPID', 'CUID', 'COOKIE'} <= set(keys)
    assert os.stat(MTA_SOCKET).st_mode & 0o777 == 0o660


@pytest.mark.settings(*WITH_MTA)
def test_mta_plain(mta, users):
    common = 'service=smtp\tlip=192.0.2.1\trip=198.51.100.7\tsecured'
    assert mta.ask('AUTH\t1\tPLAIN\t%s\tresp=%s' % (common, plain('fred', 'right'))) == ['OK', '1', 'user=fred']
    assert mta.ask('AUTH\t2\tPLAIN\t%s\tresp=%s' % (common, plain('fred', 'wrong')))[:2] == ['FAIL', '2']
    (line,) = settle(users, 1, 'fred')
    assert ' peer=198.51.100.7 service=smtp ' in line
    # without an initial response
    assert mta.ask('AUTH\t3\tPLAIN\tservice=smtp') == ['CONT', '3', '']
    assert mta.ask('CONT\t3\t' + plain('mary', 'right')) == ['OK', '3', 'user=mary']
    # nobody may become somebody else
    assert mta.ask('AUTH\t4\tPLAIN\tservice=smtp\tresp=' + plain('fred', 'right', 'mary')) == ['FAIL', '4', 'authz']


@pytest.mark.settings(*WITH_MTA)
def test_mta_login(mta):
    def say(text):
        return base64.b64encode(text.encode()).decode()
    assert mta.ask('AUTH\t7\tLOGIN\tservice=smtp')[0] == 'CONT'
    assert mta.ask('CONT\t7\t' + say('fred'))[0] == 'CONT'
    assert mta.ask('CONT\t7\t' + say('right')) == ['OK', '7', 'user=fred']


@pytest.mark.settings(*WITH_MTA)
def test_mta_side_by_side(mta):
    """Answers carry their numbers; a cancelled request has none."""
    mta.send(*['AUTH\t%d\tPLAIN\tservice=smtp\tresp=%s' % (i, plain('fred', 'right' if i % 2 else 'wrong'))
               for i in range(1, 9)])
    got = dict(reversed(mta.line().split('\t')[:2]) for _ in range(8))
    assert got == {str(i): 'OK' if i % 2 else 'FAIL' for i in range(1, 9)}
    assert mta.ask('AUTH\t20\tPLAIN\tservice=smtp')[0] == 'CONT'
    mta.send('CANCEL\t20')
    assert mta.ask('AUTH\t21\tPLAIN\tresp=' + plain('mary', 'right')) == ['OK', '21', 'user=mary']


@pytest.mark.settings(*WITH_MTA)
def test_mta_malformed(users, mta):
    assert mta.ask('AUTH\t1\tNOSUCH\tservice=smtp')[:2] == ['FAIL', '1']
    assert mta.ask('AUTH\t2\tPLAIN\tresp=!!!')[:2] == ['FAIL', '2']
    assert mta.ask('SOMETHING\tnew', 'AUTH\t3\tPLAIN\tresp=' + plain('fred', 'right'))[0] == 'OK'
    for bad in ('AUTH\tx\tPLAIN', 'VERSION\t2\t0', 'x' * 40000):
        m = Mta(MTA_SOCKET)
        try:
            m.send(bad)
            assert m.file.readline() == b'', bad
        except (BrokenPipeError, ConnectionResetError):
            pass
        m.close()
    assert mta.ask('AUTH\t4\tPLAIN\tresp=' + plain('fred', 'right'))[0] == 'OK'


# -- a real MTA

@pytest.mark.settings(*WITH_MTA, 'auth.mta_group=' + ('postfix' if postfix.available() is None else ''))
def test_postfix_authenticates_senders(users):
    """Postfix (smtpd_sasl_type = dovecot) and swaks: who is right may relay, who is wrong may not."""
    if postfix.available():
        pytest.skip(postfix.available())
    assert shutil.which('swaks'), 'swaks is not installed (tests/e2e/install-packages)'
    p = postfix.Postfix({
        'smtpd_sasl_auth_enable': 'yes', 'smtpd_sasl_type': 'dovecot', 'smtpd_sasl_path': MTA_SOCKET,
        'smtpd_sasl_security_options': 'noanonymous', 'smtpd_relay_restrictions': 'permit_sasl_authenticated, reject',
        'mynetworks': '', 'default_transport': 'discard:', 'smtpd_sasl_authenticated_header': 'yes'})
    try:
        p.start()

        def send(mechanism, password):
            return subprocess.run(
                ['swaks', '--server', '127.0.0.1:%d' % p.port, '--from', 'fred@example.org', '--to', 'x@example.net',
                 '--auth', mechanism, '--auth-user', 'fred', '--auth-password', password, '--timeout', '20'],
                capture_output=True, text=True, timeout=60)
        for mechanism in 'PLAIN', 'LOGIN':
            r = send(mechanism, 'right')
            assert r.returncode == 0 and '235 2.7.0' in r.stdout, r.stdout + r.stderr + p.log()
            r = send(mechanism, 'wrong')
            assert r.returncode != 0 and '535 5.7.8' in r.stdout, r.stdout + p.log()
        assert 'sasl_username=fred' in p.log()
        lines = settle(users, 2, 'fred')
        assert all(' peer=127.0.0.1 service=smtp ' in line for line in lines)
    finally:
        p.stop()


# -- what is offered

def test_scram_is_for_everybody(users):
    """auth.scram = auto: clients take the strongest mechanism and try no other; so SCRAM is offered only while
    each password has keys for it."""
    def offered():
        c = Imap(users.host, users.imap)
        caps = set(c.ok('CAPABILITY').one('CAPABILITY').data)
        c.close()
        return 'AUTH=SCRAM-SHA-256' in caps
    assert not offered()  # fred and mary have crypt hashes only
    path = os.path.join(users.dir, 'users')
    with open(path) as f:
        before = f.read()
    keys = '{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,' \
           'wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU='
    for text, want in ((''.join(line + ' ' + keys + '\n' for line in before.splitlines()), True), (before, False)):
        with open(path + '.new', 'w') as f:
            f.write(text)
        os.rename(path + '.new', path)
        deadline = time.monotonic() + 15 * SLOW
        while offered() != want:
            assert time.monotonic() < deadline
            time.sleep(0.2)
