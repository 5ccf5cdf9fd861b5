"""TLS: versions, certificates by name, resumption, where the private key is, STARTTLS, and strangers."""
import ctypes
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from support import server as support_server
from support.certificates import Certificates, openssl
from support.imap import TIMEOUT
from support.server import BUILD_TYPE, PASSWORD, ROOT, children, free_ports

pytestmark = pytest.mark.martlet('its own TLS')

MARTLET = os.path.join(ROOT, 'build-' + BUILD_TYPE, 'src', 'daemon', 'martlet')


@pytest.fixture(scope='module')
def certs(tmp_path_factory):
    c = Certificates(tmp_path_factory.mktemp('certs'))
    c.ec = c.issue('ec', 'ec', 'DNS:mail.example.org,DNS:example.org')
    c.rsa = c.issue('rsa', 'rsa', 'DNS:mail.example.org,DNS:example.org')
    c.ed = c.issue('ed', 'ed25519', 'DNS:ed.example.net')
    c.wild = c.issue('wild', 'ec384', 'DNS:*.example.net')
    c.named = c.issue('named', 'rsa', '', 'cn.example.com')
    c.alice = c.issue('alice', 'ec', 'email:alice@example.org', 'Alice A')
    c.authority('stranger-ca')
    c.mallory = c.issue('mallory', 'ec', 'email:alice@example.org', ca='stranger-ca')
    return c


def setting(certs, more=(), **settings):
    words = ['--setting', 'tls.certificate="%s"' % certs.ec[0], '--setting', 'tls.key="%s"' % certs.ec[1]]
    if more:
        words += ['--setting', 'tls.certificates { %s }' % ', '.join('"%s" = "%s"' % pair for pair in more)]
    for name, value in settings.items():
        words += ['--setting', 'tls.%s="%s"' % (name, value)]
    return words


@pytest.fixture(scope='module')
def several(certs):
    """A server with all the certificates."""
    s = support_server.make(extra=setting(certs, [certs.rsa, certs.ed, certs.wild, certs.named]))
    s.start()
    yield s
    s.stop()
    s.remove()


@pytest.fixture
def start():
    servers = []

    def make(extra=()):
        s = support_server.make(extra=extra)
        servers.append(s)
        return s.start()
    yield make
    for s in servers:
        if s.process and s.process.poll() is None:
            s.stop()
        s.remove()


def context(certs=None, **settings):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if certs:
        c.load_verify_locations(certs.ca)
    else:
        c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    for name, value in settings.items():
        setattr(c, name, value)
    return c


def connect(server, ctx, name='mail.example.org', session=None, port=None):
    sock = socket.create_connection((server.host, port or server.imaps), TIMEOUT)
    try:
        return ctx.wrap_socket(sock, server_hostname=name, session=session, suppress_ragged_eofs=False)
    except BaseException:
        sock.close()
        raise


def line(sock):
    out = b''
    while not out.endswith(b'\n'):
        data = sock.recv(1)
        if not data:
            break
        out += data
    return out


def command(sock, text):
    """The lines up to the tagged one."""
    sock.sendall(text + b'\r\n')
    out = b''
    while True:
        new = line(sock)
        out += new
        if not new or new.startswith(text.split()[0] + b' '):
            return out


def greeted(server, ctx, **more):
    s = connect(server, ctx, **more)
    assert line(s).startswith(b'* OK ')
    return s


def log_in(sock, user=b'fred'):
    assert b'a OK' in command(sock, b'a LOGIN %s %s' % (user, PASSWORD.encode()))


def s_client(server, *words, stdin=b'a LOGOUT\r\n'):
    p = subprocess.Popen(['openssl', 's_client', '-connect', '%s:%d' % (server.host, server.imaps), '-ign_eof', *words],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out = b''
    try:
        while b'Martlet ready' not in out:
            data = os.read(p.stdout.fileno(), 65536)
            if not data:
                break
            out += data
        return (out + p.communicate(stdin, timeout=TIMEOUT)[0]).decode('latin-1')
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()


# -- what is spoken

@pytest.mark.parametrize('version', ['TLSv1.2', 'TLSv1.3'])
def test_versions(several, certs, version):
    v = {'TLSv1.2': ssl.TLSVersion.TLSv1_2, 'TLSv1.3': ssl.TLSVersion.TLSv1_3}[version]
    s = greeted(several, context(certs, minimum_version=v, maximum_version=v))
    assert s.version() == version and 'AES' in s.cipher()[0]
    log_in(s)
    s.close()


@pytest.mark.parametrize('words', [
    ['-tls1'], ['-tls1_1'], ['-tls1_2', '-cipher', 'AES128-GCM-SHA256'],  # no forward secrecy
    ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA256'],  # CBC
    ['-tls1_2', '-cipher', 'ADH-AES128-SHA256:@SECLEVEL=0'],
    ['-sigalgs', 'RSA+SHA1:ECDSA+SHA1', '-cipher', 'DEFAULT:@SECLEVEL=0', '-tls1_2'],
])
def test_weak_is_refused(several, words):
    if words[0] in ('-tls1', '-tls1_1'):
        words = words + ['-cipher', 'DEFAULT:@SECLEVEL=0']
    out = s_client(several, *words)
    assert 'Martlet ready' not in out and re.search('alert|handshake failure|no protocols|no ciphers', out), out


def test_minimum(start, certs):
    s = start(setting(certs, minimum='1.3'))
    greeted(s, context(certs)).close()
    with pytest.raises(ssl.SSLError):
        connect(s, context(certs, maximum_version=ssl.TLSVersion.TLSv1_2))
    until(lambda: re.search('event=tls-failed .*peer=127.0.0.1 .*msg="unsupported protocol"', s.text()), 'no line in the log')


def subject(sock):
    names = sock.getpeercert()['subjectAltName'] if 'subjectAltName' in sock.getpeercert() else ()
    return dict(x[0] for x in sock.getpeercert()['subject'])['commonName'], names


@pytest.mark.parametrize('name,expected', [
    ('mail.example.org', 'ec'), ('MAIL.example.ORG', 'ec'), ('ed.example.net', 'ed'), ('a.example.net', 'wild')])
@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_certificate_by_name(several, certs, name, expected, version):
    """The client checks the name and the chain."""
    s = greeted(several, context(certs, maximum_version=version), name=name)
    assert subject(s)[0] == expected
    s.close()


@pytest.mark.parametrize('name,expected', [
    ('cn.example.com', 'cn.example.com'), ('unknown.example', 'ec'), ('a.b.example.net', 'ec'), (None, 'ec'),
    ('example.net', 'ec')])
def test_certificate_for_other_names(several, certs, name, expected):
    c = context(certs)
    c.check_hostname = False
    s = greeted(several, c, name=name)
    assert subject(s)[0] == expected
    s.close()


@pytest.mark.parametrize('words,expected', [
    (['-sigalgs', 'RSA-PSS+SHA256', '-tls1_3'], 'RSA-PSS'), (['-sigalgs', 'RSA-PSS+SHA512', '-tls1_2'], 'RSA-PSS'),
    (['-sigalgs', 'RSA+SHA256', '-tls1_2'], 'RSA'), (['-sigalgs', 'RSA+SHA512', '-tls1_2'], 'RSA'),
    (['-sigalgs', 'ECDSA+SHA256'], 'ECDSA'), (['-tls1_2', '-cipher', 'ECDHE-RSA-AES256-GCM-SHA384'], 'RSA-PSS'),
    (['-tls1_2', '-cipher', 'ECDHE-ECDSA-CHACHA20-POLY1305', '-sigalgs', 'ECDSA+SHA512'], 'ECDSA')])
def test_kinds_of_keys_for_one_name(several, certs, words, expected):
    out = s_client(several, *words, '-CAfile', certs.ca, '-verify_return_error', '-verify_hostname', 'mail.example.org',
                   '-servername', 'mail.example.org')
    assert 'Verify return code: 0 (ok)' in out
    assert re.search(r'^Peer signature type: (.*)$', out, re.M).group(1) == expected
    assert 'Martlet ready' in out and '* BYE' in out


@pytest.mark.parametrize('offered,chosen', [(['imap'], 'imap'), (['h2', 'imap'], 'imap'), (None, None)])
def test_alpn(several, certs, offered, chosen):
    c = context(certs)
    if offered:
        c.set_alpn_protocols(offered)
    s = greeted(several, c)
    assert s.selected_alpn_protocol() == chosen
    s.close()


@pytest.mark.parametrize('offered', [['http/1.1'], ['imaps'], ['ima', 'pop3']])
def test_alpn_of_another_protocol(several, certs, offered):
    c = context(certs)
    c.set_alpn_protocols(offered)
    with pytest.raises(ssl.SSLError, match='(?i)no.application.protocol'):
        connect(several, c)


def test_curl(several, certs):
    out = subprocess.run(['curl', '-sS', '--cacert', certs.ca, '--connect-to', 'mail.example.org:993:%s:%d' % (
        several.host, several.imaps), 'imaps://mail.example.org/', '-u', 'curl:' + PASSWORD], capture_output=True, text=True,
        timeout=TIMEOUT)
    assert out.returncode == 0 and 'INBOX' in out.stdout, out.stderr


# -- resumption

def resumable(server, ctx):
    s = greeted(server, ctx)
    log_in(s)  # TLS 1.3: the ticket comes after the handshake
    session = s.session
    assert not s.session_reused
    s.close()
    return session


def reused(server, ctx, session):
    s = greeted(server, ctx, session=session)
    log_in(s)
    r = s.session_reused
    s.close()
    return r


@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_resumption(start, certs, version):
    """By every login process, after a reload, and never without the key."""
    s = start(setting(certs) + ['--setting', 'login.processes=2'])
    c = context(certs, maximum_version=version)
    session = resumable(s, c)
    assert session.has_ticket and session.ticket_lifetime_hint in (12 * 3600, 7200)
    for _ in range(12):
        assert reused(s, c, session)
    s.process.send_signal(signal.SIGHUP)
    until(lambda: 'event=reloaded' in s.text(), 'no reload')
    for _ in range(12):
        assert reused(s, c, session)
    os.kill(process(s, 'martlet-auth')[0], signal.SIGKILL)
    until(lambda: not reused(s, c, session), 'the keys of tickets outlive the process that made them')
    assert reused(s, c, resumable(s, c))


def test_no_tickets(start, certs):
    s = start(setting(certs, ticket_lifetime='0'))
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        c = context(certs, maximum_version=version)
        session = resumable(s, c)
        assert not (session and session.has_ticket)
        assert not session or not reused(s, c, session)


def test_ticket_keys_change(start, certs):
    s = start(setting(certs, ticket_lifetime='1s'))
    c = context(certs)
    session = resumable(s, c)
    time.sleep(2.6)
    assert not reused(s, c, session)


def test_no_early_data(several):
    out = s_client(several, '-tls1_3', stdin=b'a NOOP\r\nb LOGOUT\r\n')
    assert 'Max Early Data: 0' in out or 'Early data was not sent' in out


# -- the private key

def process(server, name):
    found = []
    for pid in children(server.process.pid):
        with open('/proc/%d/comm' % pid) as f:
            if f.read().strip() == name:
                found.append(pid)
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


def memory_has(pid, patterns):
    found = set()
    with open('/proc/%d/maps' % pid) as maps, open('/proc/%d/mem' % pid, 'rb', 0) as mem:
        for entry in maps:
            m = re.match(r'([0-9a-f]+)-([0-9a-f]+) r', entry)
            begin, end = (int(x, 16) for x in m.groups()) if m else (0, 0)
            if not m or end - begin > 1 << 30 or begin >= 1 << 63:
                continue
            try:
                mem.seek(begin)
                data = mem.read(end - begin)
            except (OSError, ValueError):
                continue
            found |= {name for name, p in patterns.items() if p in data}
    return found


@pytest.mark.skipif(support_server.SANITIZED, reason='terabytes of address space')
def test_private_keys_are_in_auth_only(several, certs):
    """The bytes of the keys, as OpenSSL holds them (its big numbers are little-endian words)."""
    patterns = {}
    ec = openssl('ec', '-in', certs.ec[1], '-noout', '-text')
    number = bytes.fromhex(re.sub(r'[^0-9a-f]', '', re.search(r'priv:(.*?)pub:', ec, re.S).group(1)))[-32:]
    patterns['ec'], patterns['ec, as read'] = number[::-1], number
    rsa = openssl('rsa', '-in', certs.rsa[1], '-noout', '-text')
    for field, after in (('prime1', 'prime2'), ('privateExponent', 'prime1')):
        number = bytes.fromhex(re.sub(r'[^0-9a-f]', '', re.search(field + r':(.*?)' + after, rsa, re.S).group(1)))
        patterns[field], patterns[field + ', as read'] = number[::-1][:96], number[-96:]
    for _ in range(4):
        greeted(several, context(certs)).close()
    auth = process(several, 'martlet-auth')
    assert {'ec', 'prime1'} <= memory_has(auth[0], patterns)
    others = [several.process.pid] + process(several, 'martlet-login') + process(several, 'martlet-mail')
    assert len(others) >= 3
    for pid in others:
        assert not memory_has(pid, patterns)


@pytest.mark.parametrize('how', ['killed', 'stopped'])
def test_handshakes_without_auth(start, certs, how):
    """They wait; whoever is connected already notices nothing."""
    s = start(setting(certs) + ['--setting', 'login.processes=1'])
    c = context(certs)
    tls = greeted(s, c)
    log_in(tls)
    pid = process(s, 'martlet-auth')[0]
    os.kill(pid, signal.SIGSTOP)
    results = []

    def handshake():
        try:
            results.append(line(connect(s, c)))
        except OSError as e:
            results.append(e)
    threads = [threading.Thread(target=handshake) for _ in range(12)]
    for t in threads:
        t.start()
    time.sleep(0.5)
    assert not results
    began = time.monotonic()
    plain = socket.create_connection((s.host, s.imap), TIMEOUT)
    assert line(plain).startswith(b'* OK ')
    assert b'x OK' in command(plain, b'x NOOP')
    assert b'y OK' in command(tls, b'y NOOP')
    assert time.monotonic() - began < 0.4 * support_server_slow()
    os.kill(pid, signal.SIGKILL if how == 'killed' else signal.SIGCONT)
    for t in threads:
        t.join(TIMEOUT)
    assert len(results) == 12 and all(isinstance(r, bytes) and r.startswith(b'* OK ') for r in results), results
    assert b'z OK' in command(tls, b'z NOOP')
    tls.close()
    plain.close()


def test_flood_of_handshakes_without_auth(start, certs):
    """What waits for signatures is bounded as all that has not logged in; it goes when its client goes."""
    s = start(setting(certs) + ['--setting', 'login.unfinished=20', '--setting', 'login.processes=1'])
    login, auth = process(s, 'martlet-login')[0], process(s, 'martlet-auth')[0]
    before = len(os.listdir('/proc/%d/fd' % login))
    os.kill(auth, signal.SIGSTOP)
    c = context(certs)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    socks = []
    for _ in range(100):
        sock = socket.create_connection((s.host, s.imaps), TIMEOUT)
        tls = c.wrap_socket(sock, do_handshake_on_connect=False)
        tls.setblocking(False)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        socks.append(tls)
    # Three descriptors each: 20 that are not logged in, and those that a thread has in its hands.
    until(lambda: len(os.listdir('/proc/%d/fd' % login)) <= before + 3 * (20 + 8), 'descriptors pile up')
    plain = socket.create_connection((s.host, s.imap), TIMEOUT)
    assert line(plain).startswith(b'* OK ')
    for tls in socks:
        tls.close()
    os.kill(auth, signal.SIGCONT)
    greeted(s, context(certs)).close()
    plain.close()
    until(lambda: len(os.listdir('/proc/%d/fd' % login)) <= before, 'descriptors stay open')


def support_server_slow():
    return TIMEOUT / 20


def test_reload_of_several_certificates(start, certs):
    """A broken file changes nothing; sessions stay; the new ones are used."""
    work = certs.path('reload')
    os.makedirs(work, exist_ok=True)

    def put(pair):
        for source, name in zip(pair, ('cert.pem', 'key.pem')):
            with open(source, 'rb') as f, open(work + '/' + name + '.new', 'wb') as to:
                to.write(f.read())
            os.rename(work + '/' + name + '.new', work + '/' + name)
    put(certs.wild)
    s = start(setting(certs, [(work + '/cert.pem', work + '/key.pem')]))
    c = context(certs)
    session = greeted(s, c, name='x.example.net')
    log_in(session)
    with open(work + '/key.pem', 'w') as f:
        f.write('nonsense')
    s.process.send_signal(signal.SIGHUP)
    until(lambda: 'event=reload-failed' in s.text(), 'not noticed')
    assert work + '/key.pem' in s.text()
    other = greeted(s, c, name='x.example.net')
    assert subject(other)[0] == 'wild'
    other.close()
    put(certs.ed)
    s.process.send_signal(signal.SIGHUP)

    def uses_new():
        d = greeted(s, c, name='ed.example.net')
        d.close()
        return True
    until(uses_new, 'the new certificate is not used')
    assert b'b OK' in command(session, b'b NOOP')
    session.close()


@pytest.mark.parametrize('wrong,complaint', [
    (lambda c: (c.ec[0], c.rsa[1]), 'does not belong'), (lambda c: ('/nonexistent', c.ec[1]), 'No such file'),
    (lambda c: (c.ec[1], c.ec[1]), 'no certificate'), (lambda c: (c.ec[0], c.ec[0]), 'no private key')])
def test_wrong_files(certs, tmp_path, wrong, complaint):
    cert, key = wrong(certs)
    ports = free_ports(2)
    r = subprocess.run([MARTLET, '-c', '/dev/null', '-o', 'state_dir="%s"' % tmp_path, '-o', 'imap.listen="127.0.0.1:%d"'
                        % ports[0], '-o', 'imaps.listen="127.0.0.1:%d"' % ports[1], '-o', 'lmtp.listen=[]', '-o',
                        'tls.certificate="%s"' % cert, '-o', 'tls.key="%s"' % key, '-o', 'auth.users_file=""'],
                       capture_output=True, text=True, timeout=60)
    assert r.returncode != 0 and complaint in r.stderr, r.stderr


# -- client certificates

def with_certificate(certs, pair):
    c = context(certs)
    c.load_cert_chain(*pair)
    return c


@pytest.mark.parametrize('mode', ['optional', 'required'])
def test_client_certificates(start, certs, mode):
    s = start(setting(certs, client_certificates=mode, client_ca=certs.ca))
    good = with_certificate(certs, certs.alice)
    session = resumable(s, good)
    assert reused(s, good, session)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        line(connect(s, with_certificate(certs, certs.mallory)))
    if mode == 'optional':
        greeted(s, context(certs)).close()
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            line(connect(s, context(certs)))


def test_reload_of_settings(start, certs):
    """All or nothing: what cannot be read changes nothing, and locks nobody out."""
    s = start(setting(certs))
    conf = s.dir + '/martlet.conf'

    def put(text):
        with open(conf) as f:
            old = f.read()
        with open(conf, 'w') as f:
            f.write(re.sub(r'(?m)^# tls:.*\n(.*\n)*', '', old) + '# tls: by the test\n' + text)
        s.process.send_signal(signal.SIGHUP)
    greeted(s, context(certs)).close()
    put('tls { minimum = "1.3"; client_certificates = required; client_ca = "/nonexistent" }\n')
    until(lambda: 'event=reload-failed' in s.text() and '/nonexistent' in s.text(), 'not noticed')
    greeted(s, context(certs, maximum_version=ssl.TLSVersion.TLSv1_2)).close()
    put('tls { minimum = "1.3"; client_certificates = required; client_ca = "%s" }\n' % certs.ca)

    def asks():
        greeted(s, with_certificate(certs, certs.alice)).close()
        try:
            greeted(s, context(certs)).close()
        except (OSError, AssertionError):
            return True
        return False
    until(asks, 'no certificate is asked for')
    with pytest.raises(ssl.SSLError):
        connect(s, context(certs, maximum_version=ssl.TLSVersion.TLSv1_2))


# -- STARTTLS

def test_nothing_is_injected_by_starttls(several, certs):
    """RFC 9051 section 6.2.1: what comes with STARTTLS in plain text is not executed, and nothing that
    was said in plain text has an answer within TLS."""
    for injected in (b'b NOOP\r\n', b'b LOGIN fred sesame\r\nc LIST "" *\r\n', b'b LOGIN {4+}\r\nfred {6+}\r\n', b'b NO'):
        sock = socket.create_connection((several.host, several.imap), TIMEOUT)
        line(sock)
        sock.sendall(b'a STARTTLS\r\n' + injected)
        assert line(sock).startswith(b'a OK ')
        tls = context(certs).wrap_socket(sock, server_hostname='mail.example.org')
        out = command(tls, b'x CAPABILITY')
        assert re.match(rb'\* CAPABILITY [^\r\n]*\r\nx OK [^\r\n]*\r\n$', out), out
        assert b'STARTTLS' not in out
        out = command(tls, b'y LIST "" *')  # nobody is logged in
        assert out.startswith(b'y BAD') or out.startswith(b'y NO'), out
        tls.close()


def test_starttls_in_the_middle(several, certs):
    """Neither twice, nor within TLS, nor during a SASL exchange."""
    sock = socket.create_connection((several.host, several.imap), TIMEOUT)
    line(sock)
    sock.sendall(b'a AUTHENTICATE PLAIN\r\n')
    assert line(sock).startswith(b'+')
    sock.sendall(b'b STARTTLS\r\n')
    assert line(sock).startswith(b'a BAD')
    assert command(sock, b'c STARTTLS').startswith(b'c OK')
    tls = context(certs).wrap_socket(sock, server_hostname='mail.example.org')
    assert command(tls, b'd STARTTLS').startswith(b'd BAD')
    log_in(tls)
    assert command(tls, b'e STARTTLS').startswith(b'e BAD')
    tls.close()


def in_namespace(pid, call):
    """call() in a thread that sees the network of pid; a socket made there stays usable."""
    libc = ctypes.CDLL(None, use_errno=True)
    result = []

    def run():
        with open('/proc/%d/ns/net' % pid) as ns:
            if libc.setns(ns.fileno(), 0x40000000) != 0:
                result.append(OSError(ctypes.get_errno(), 'setns'))
                return
        try:
            result.append(call())
        except OSError as e:
            result.append(e)
    t = threading.Thread(target=run)
    t.start()
    t.join(TIMEOUT)
    if isinstance(result[0], OSError):
        raise result[0]
    return result[0]


@pytest.mark.skipif(os.geteuid() != 0, reason='makes a network namespace')
def test_no_password_in_plain_text_from_elsewhere(certs, tmp_path):
    """In a network of its own with an address that is not loopback."""
    with open(tmp_path / 'users', 'w') as f:
        f.write('fred:{PLAIN}%s\n' % PASSWORD)
    with open(tmp_path / 'martlet.conf', 'w') as f:
        f.write('state_dir = "%s/state"\nimap.listen = ["192.0.2.1:143", "127.0.0.1:143"]\n'
                'imaps.listen = ["192.0.2.1:993"]\nlmtp.listen = []\ntls { certificate = "%s"; key = "%s" }\n'
                'auth.users_file = "%s/users"\n' % (tmp_path, *certs.ec, tmp_path))
    p = subprocess.Popen(['unshare', '-n', 'sh', '-c', 'ip link set lo up && ip addr add 192.0.2.1/32 dev lo && exec %s -c %s'
                          % (MARTLET, tmp_path / 'martlet.conf')], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert p.stdout.readline() == b'ready\n'

        def dial(host, port=143):
            return in_namespace(p.pid, lambda: socket.create_connection((host, port), TIMEOUT))
        sock = dial('192.0.2.1')
        greeting = line(sock)
        assert b'LOGINDISABLED' in greeting and b'STARTTLS' in greeting
        assert not re.search(rb'AUTH=(PLAIN|LOGIN|XOAUTH2|OAUTHBEARER)', greeting)
        out = command(sock, b'a CAPABILITY')
        assert b'LOGINDISABLED' in out and b'AUTH=PLAIN' not in out
        assert command(sock, b'b LOGIN fred ' + PASSWORD.encode()).startswith(b'b NO [PRIVACYREQUIRED]')
        assert command(sock, b'c AUTHENTICATE PLAIN AGZyZWQAc2VzYW1l').startswith(b'c NO')
        assert command(sock, b'd AUTHENTICATE LOGIN').startswith(b'd NO')
        assert command(sock, b'e STARTTLS').startswith(b'e OK')
        tls = context(certs).wrap_socket(sock, server_hostname='mail.example.org')
        out = command(tls, b'f CAPABILITY')
        assert b'LOGINDISABLED' not in out and b'AUTH=PLAIN' in out and b'STARTTLS' not in out
        log_in(tls)
        tls.close()
        tls = context(certs).wrap_socket(dial('192.0.2.1', 993), server_hostname='mail.example.org')
        assert b'LOGINDISABLED' not in line(tls)
        log_in(tls)
        tls.close()
        sock = dial('127.0.0.1')
        assert b'LOGINDISABLED' not in line(sock)
        log_in(sock)
        sock.close()
    finally:
        p.terminate()
        assert p.wait(30) == 0


# -- data

def test_much_data_both_ways(several, certs):
    """More than all buffers on the way; a client that reads late; the bytes arrive as they were."""
    message = b'Subject: much\r\n\r\n' + b''.join(b'%015d\r\n' % i for i in range(600000))
    s = greeted(several, context(certs))
    log_in(s, b'much')
    s.sendall(b'b APPEND INBOX {%d+}\r\n' % len(message))
    s.sendall(message + b'\r\n')
    assert line(s).startswith(b'b OK') or line(s).startswith(b'b OK')
    assert b'c OK' in command(s, b'c SELECT INBOX')
    s.sendall(b'd UID FETCH 1:* BODY.PEEK[]\r\n')
    time.sleep(0.5)
    head = line(s)
    while b'BODY[]' not in head:
        head = line(s)
    size = int(re.search(rb'\{(\d+)\}', head).group(1))
    out = b''
    while len(out) < size:
        data = s.recv(65536)
        assert data
        out += data
    assert out[:size] == message
    s.close()


def test_close_notify(several, certs):
    s = greeted(several, context(certs))
    out = command(s, b'a LOGOUT')
    assert b'a OK' in out
    assert s.recv(100) == b''  # with suppress_ragged_eofs off this raises where close_notify is missing
    s.close()


def test_cut_off_connection(several, certs):
    """Without close_notify: a command that has not come to its end is not executed."""
    s = greeted(several, context(certs))
    log_in(s, b'cut')
    s.sendall(b'b CREATE Half')
    os.close(s.detach())
    t = greeted(several, context(certs))
    log_in(t, b'cut')
    assert b'Half' not in command(t, b'c LIST "" *')
    t.close()


def test_renegotiation_and_key_update(several):
    def dialogue(words, letter):
        p = subprocess.Popen(['openssl', 's_client', '-connect', '%s:%d' % (several.host, several.imaps), *words],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out = b''
        while b'Martlet ready' not in out:
            data = os.read(p.stdout.fileno(), 65536)
            assert data
            out += data
        for words in (letter, b'a NOOP\r\n', b'b LOGOUT\r\n'):
            try:
                p.stdin.write(words)
                p.stdin.flush()
            except BrokenPipeError:
                break
            time.sleep(0.2)
        return p.communicate(timeout=TIMEOUT)[0]
    out = dialogue(['-tls1_2'], b'R\n')
    assert b'RENEGOTIATING' in out and b'no renegotiation' in out
    out = dialogue(['-tls1_3'], b'K\n')
    assert b'KEYUPDATE' in out and b'a OK' in out and b'b OK' in out


def pss(server):
    """Memory of all processes in KiB, shared pages divided among their users."""
    total = 0
    for pid in [server.process.pid] + children(server.process.pid):
        with open('/proc/%d/smaps_rollup' % pid) as f:
            total += int(re.search(r'^Pss:\s+(\d+) kB', f.read(), re.M).group(1))
    return total


@pytest.mark.skipif(support_server.SANITIZED, reason='sanitizers need memory of their own')
@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_memory_of_idle_connections(start, certs, version):
    """At most 48 KiB over all processes, logged in and idle."""
    s = start(setting(certs))
    c = context(certs, maximum_version=version)
    before, socks = None, []
    for i in range(440):
        if i == 40:  # what the first ones bring with them is not theirs
            before = pss(s)
        sock = greeted(s, c)
        log_in(sock, b'idle%d' % (i % 40))
        assert b'b OK' in command(sock, b'b SELECT INBOX')
        sock.sendall(b'c IDLE\r\n')
        assert line(sock).startswith(b'+')
        socks.append(sock)
    each = (pss(s) - before) / 400
    for sock in socks:
        sock.close()
    assert each < 48, '%.1f KiB each' % each


# -- strangers

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


def hello(size):
    """A ClientHello of that size, in records, with one padding extension."""
    extension = struct.pack('>HH', 21, size) + bytes(size)
    body = b'\3\3' + bytes(32) + b'\0' + struct.pack('>H', 2) + b'\x13\1' + b'\1\0' + struct.pack('>H', len(extension)) + extension
    message = b'\1' + struct.pack('>I', len(body))[1:] + body
    out = b''
    for i in range(0, len(message), 16384):
        part = message[i:i + 16384]
        out += b'\x16\3\1' + struct.pack('>H', len(part)) + part
    return out


@pytest.mark.parametrize('data', [
    b'a LOGIN fred sesame\r\n', b'GET / HTTP/1.1\r\n\r\n', b'\0' * 1000, b'\xff' * 70000, b'\x16\3\1\xff\xff' + b'x' * 65535,
    b'\x16\3\1\0\5\1\xff\xff\xff\xff', b'\x15\3\3\0\2\2\x28', b'\x17\3\3\0\1x', hello(60000), hello(10),
    b'\x80\x2e\1\0\2' + b'\0' * 43, b'\x14\3\3\0\1\1' * 100], ids=lambda data: '%d-%02x' % (len(data), data[0]))
def test_garbage_instead_of_a_handshake(several, data):
    sock = socket.create_connection((several.host, several.imaps), TIMEOUT)
    try:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    out = read_all(sock)
    assert b'Martlet' not in out and len(out) < 100
    sock.close()


def test_bytes_within_a_handshake(several, certs):
    """A good handshake with one byte changed at each place of the first flight that matters."""
    good = hello(10)
    for i in range(0, len(good), 7):
        sock = socket.create_connection((several.host, several.imaps), TIMEOUT)
        sock.sendall(good[:i] + bytes([good[i] ^ 0x55]) + good[i + 1:])
        sock.close()
    greeted(several, context(certs)).close()


def test_half_handshakes_are_bounded(start, certs):
    s = start(setting(certs) + ['--setting', 'login.unfinished=10', '--setting', 'login.processes=1', '--setting',
                                'login.timeout=2s'])
    socks = []
    for i in range(40):
        sock = socket.create_connection((s.host, s.imaps), TIMEOUT)
        sock.sendall(hello(10)[:5 + i % 40])
        socks.append(sock)
    greeted(s, context(certs)).close()
    began = time.monotonic()
    for sock in socks:
        assert b'Martlet' not in read_all(sock)
        sock.close()
    assert time.monotonic() - began < 8 * support_server_slow()


def test_rush_of_handshakes(several, certs):
    """More at once than threads that shake hands."""
    results = []

    def client():
        for _ in range(5):
            s = greeted(several, context(certs))
            results.append(command(s, b'a NOOP'))
            s.close()
    threads = [threading.Thread(target=client) for _ in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(TIMEOUT)
    assert len(results) == 120 and all(r.startswith(b'a OK') for r in results)
