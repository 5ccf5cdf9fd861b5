"""SASL end to end: mechanisms, channel bindings, authorisation identities, answers, real clients."""
import base64
import hashlib
import hmac
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import time

import pytest

from support import server as support_server
from support.certificates import Certificates
from support.directories import TokenServer, scram_keys
from support.imap import Imap, LitPlus

pytestmark = pytest.mark.martlet('its own users and settings')


def keys(password):
    return '{SCRAM-SHA-256}%s {SCRAM-SHA-1}%s' % (scram_keys(password), scram_keys(password, 'sha1'))


def start(directory, users, *settings):
    path = os.path.join(directory, 'users')
    with open(path, 'w') as f:
        f.write(users)
    words = ['auth.users_file=' + path, 'auth.failure_delay=1ms'] + list(settings)
    s = support_server.make(extra=[w for x in words for w in ('--setting', x)])
    command = s.command

    def without_any_user():
        words = command()
        at = words.index('--any-user-password')
        return words[:at] + ['--user', 'unused:unused'] + words[at + 2:]
    s.command = without_any_user
    s.start()
    return s


@pytest.fixture(scope='module')
def tokens():
    s = TokenServer()
    good = {'active': True, 'username': 'Fred', 'exp': int(time.time()) + 1000}
    s.active = {'t0ken': good, 'stranger': dict(good, username='mary')}
    yield s
    s.stop()


@pytest.fixture(scope='module')
def site(tokens):
    """fred and mary have SCRAM keys, paul a hash alone, anne is disabled; admin may act as others."""
    directory = tempfile.mkdtemp(prefix='e2e-auth-')
    crypt = subprocess.run(['openssl', 'passwd', '-6', '-salt', 'abcdefgh', 'pencil'], capture_output=True, text=True,
                           check=True).stdout.strip()
    users = ''.join('%s:%s\n' % u for u in (('fred', keys('pencil')), ('Mary', keys('hush')), ('paul', crypt),
                                            ('anne', '!' + keys('pencil')), ('admin', keys('root')),
                                            ('jörg', keys('a z'))))
    s = start(directory, users, 'auth.directories=["file","oauth2"]', 'auth.masters=["admin"]', 'auth.scram=on',
              'auth.anonymous_user=guest', 'auth.oauth2.introspection_url=' + tokens.url + '/introspect',
              'auth.oauth2.client_id="mail:1"', 'auth.oauth2.client_secret="s&ecret"', 'auth.oauth2.user_claim=username')
    yield s
    s.stop()
    s.check_output()
    assert 'sandbox-violation' not in s.text()
    s.remove()
    shutil.rmtree(directory)


@pytest.fixture
def connect(site):
    clients = []

    def make(tls=None, **more):
        c = Imap(site.host, site.imaps if tls == 'implicit' else site.imap, tls == 'implicit', **more)
        clients.append(c)
        if tls in ('1.2', '1.3'):
            version = ssl.TLSVersion.TLSv1_2 if tls == '1.2' else ssl.TLSVersion.TLSv1_3
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.minimum_version = context.maximum_version = version
            c.ok('STARTTLS')
            c.sock = context.wrap_socket(c.sock)
        return c
    yield make
    for c in clients:
        c.close()


def b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def authenticate(c, mechanism, *answers, initial=True):
    """(result, challenges): every challenge is answered by the next of answers (bytes, or a function of the challenge)."""
    answers, challenges = list(answers), []
    words = ['AUTHENTICATE', mechanism]
    if initial:
        first = answers.pop(0)
        words.append(b64(first) or '=')
    tag = c.start(' '.join(words))
    while True:
        r = c.continuation(tag)
        if r is None:
            return c.wait(tag), challenges
        challenges.append(base64.b64decode(r.text))
        answer = answers.pop(0)
        if callable(answer):
            answer = answer(challenges[-1])
        c.send((answer if answer == '*' else b64(answer)).encode() + b'\r\n')


class Scram:
    """A client of its own (RFC 5802)."""

    def __init__(self, user, password, digest='sha256', header='n,,', binding=b'', nonce='fyko+d2lbbFgONRv9qkxdawL'):
        self.digest, self.header, self.binding, self.password = digest, header, binding, password.encode()
        self.bare = 'n=%s,r=%s' % (user.replace('=', '=3D').replace(',', '=2C'), nonce)
        self.first = header + self.bare
        self.verified = False

    def hmac(self, key, text):
        return hmac.new(key, text.encode(), self.digest).digest()

    def final(self, challenge):
        server = challenge.decode()
        self.server = dict(p.split('=', 1) for p in server.split(','))
        salted = hashlib.pbkdf2_hmac(self.digest, self.password, base64.b64decode(self.server['s']), int(self.server['i']))
        bare = 'c=%s,r=%s' % (b64(self.header.encode() + self.binding), self.server['r'])
        message = ','.join((self.bare, server, bare))
        key = self.hmac(salted, 'Client Key')
        signature = self.hmac(hashlib.new(self.digest, key).digest(), message)
        self.signature = self.hmac(self.hmac(salted, 'Server Key'), message)
        return '%s,p=%s' % (bare, b64(bytes(a ^ b for a, b in zip(key, signature))))

    def last(self, challenge):
        self.verified = challenge == b'v=' + base64.b64encode(self.signature)
        return b''

    def log_in(self, c, plus=False, **more):
        name = {'sha1': 'SCRAM-SHA-1', 'sha256': 'SCRAM-SHA-256'}[self.digest] + ('-PLUS' if plus else '')
        return authenticate(c, name, self.first, self.final, self.last, **more)[0]




def mechanisms(c):
    return [str(x)[5:] for x in c.ok('CAPABILITY').one('CAPABILITY').data if str(x).upper().startswith('AUTH=')]


def logged(site, pattern, since=0):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = re.findall(pattern, site.text()[since:])
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError('not logged: %s\n%s' % (pattern, site.text()[since:][-2000:]))


# What is offered

def test_mechanisms(connect):
    plain = ['SCRAM-SHA-256', 'SCRAM-SHA-1', 'OAUTHBEARER', 'XOAUTH2', 'PLAIN', 'LOGIN', 'ANONYMOUS']
    c = connect()
    assert mechanisms(c) == plain
    assert mechanisms(connect('1.2')) == ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-1-PLUS'] + plain
    assert mechanisms(connect('implicit')) == ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-1-PLUS'] + plain
    c.no('AUTHENTICATE GSSAPI', code='CANNOT')
    c.no('AUTHENTICATE EXTERNAL =', code='CANNOT')
    c.no('AUTHENTICATE SCRAM-SHA-256-PLUS', code='CANNOT')
    c.bad('AUTHENTICATE PLAIN no*base64')


# SCRAM

@pytest.mark.parametrize('digest', ['sha256', 'sha1'])
@pytest.mark.parametrize('initial', [True, False])
def test_scram(connect, digest, initial):
    c = connect()
    x = Scram('fred', 'pencil', digest)
    if initial:
        r = x.log_in(c)
    else:
        r = authenticate(c, 'SCRAM-SHA-256' if digest == 'sha256' else 'SCRAM-SHA-1', lambda _: x.first, x.final, x.last,
                         initial=False)[0]
    assert r.status == 'OK' and x.verified, r
    c.select()


def test_scram_refuses(connect):
    for user, password in (('fred', 'wrong'), ('nobody', 'pencil'), ('paul', 'pencil'), ('anne', 'pencil')):
        c = connect()
        r = Scram(user, password).log_in(c)
        assert r.status == 'NO' and r.code == 'AUTHENTICATIONFAILED', (user, r)
        assert Scram('mary', 'hush').log_in(c).status == 'OK'


def test_scram_hides_who_exists(connect):
    c = connect()
    seen = []
    for user in ('nobody', 'nobody', 'paul', 'paul', 'fred', 'fred'):
        x = Scram(user, 'guess')
        x.log_in(c)
        seen.append((x.server['s'], x.server['i']))
    assert seen[0] == seen[1] and seen[2] == seen[3] and seen[4] == seen[5]
    assert len(set(seen)) == 3 and len({i for _, i in seen}) == 1
    assert len({len(s) for s, _ in seen}) == 1


def test_scram_last_word(connect):
    """RFC 9051 section 6.2.2: to the server's last word the answer is empty."""
    c = connect()
    x = Scram('fred', 'pencil')
    r, _ = authenticate(c, 'SCRAM-SHA-256', x.first, x.final, lambda _: '*')
    assert r.status == 'BAD'
    r, _ = authenticate(c, 'SCRAM-SHA-256', x.first, x.final, lambda _: b'x')
    assert r.status == 'BAD'
    c.bad('SELECT INBOX')
    r, _ = authenticate(c, 'SCRAM-SHA-256', x.first, lambda _: '*')
    assert r.status == 'BAD'
    # what is pipelined behind it is a command of the mail process
    tag = c.start('AUTHENTICATE SCRAM-SHA-256 ' + b64(x.first))
    answer = x.final(base64.b64decode(c.continuation(tag).text))
    c.running['x1'] = 'NOOP'
    c.send(b64(answer).encode() + b'\r\n\r\nx1 NOOP\r\n')
    assert c.wait(tag).status == 'OK'
    assert c.wait('x1').status == 'OK'


def end_point(c):
    """tls-server-end-point (RFC 5929): the certificate's hash, SHA-256 where its own is."""
    der = c.sock.getpeercert(True)
    return hashlib.sha256(der).digest()


@pytest.mark.parametrize('digest', ['sha256', 'sha1'])
def test_scram_plus(connect, digest):
    c = connect('1.2')
    x = Scram('fred', 'pencil', digest, 'p=tls-unique,,', c.sock.get_channel_binding('tls-unique'))
    assert x.log_in(c, plus=True).status == 'OK' and x.verified
    for tls in ('1.2', '1.3'):
        c = connect(tls)
        x = Scram('fred', 'pencil', digest, 'p=tls-server-end-point,,', end_point(c))
        assert x.log_in(c, plus=True).status == 'OK' and x.verified


def test_scram_plus_refuses(connect):
    c = connect('1.2')
    unique = c.sock.get_channel_binding('tls-unique')
    wrong = Scram('fred', 'pencil', header='p=tls-unique,,', binding=bytes(len(unique)))
    assert wrong.log_in(c, plus=True).status == 'NO'
    assert Scram('fred', 'pencil', header='p=tls-exporter,,', binding=unique).log_in(c, plus=True).status == 'NO'
    assert Scram('fred', 'pencil', header='p=tls-none,,', binding=unique).log_in(c, plus=True).status == 'NO'
    assert Scram('fred', 'pencil').log_in(c, plus=True).status == 'NO'
    # RFC 5802 section 6: the client could, and was told that we cannot
    assert Scram('fred', 'pencil', header='y,,').log_in(c).status == 'NO'
    assert Scram('fred', 'pencil').log_in(c).status == 'OK'
    # another connection's binding
    assert Scram('fred', 'pencil', header='p=tls-unique,,', binding=unique).log_in(connect('1.2'), plus=True).status == 'NO'
    # and without TLS there is nothing to downgrade
    assert Scram('fred', 'pencil', header='y,,').log_in(connect()).status == 'OK'


# Tokens

def bearer(token, user='fred'):
    return 'n,a=%s,\1host=localhost\1port=143\1auth=Bearer %s\1\1' % (user, token)


def test_tokens(connect):
    for mechanism, message in (('OAUTHBEARER', bearer('t0ken')), ('OAUTHBEARER', bearer('t0ken', 'FRED')),
                               ('OAUTHBEARER', 'n,,\1auth=bearer t0ken\1\1'),
                               ('XOAUTH2', 'user=fred\1auth=Bearer t0ken\1\1')):
        r, challenges = authenticate(connect(), mechanism, message)
        assert r.status == 'OK' and not challenges, (mechanism, r)


def test_tokens_refused(connect, site):
    c = connect()
    since = len(site.text())
    r, challenges = authenticate(c, 'OAUTHBEARER', bearer('made-up'), b'\1')
    assert r.status == 'NO' and r.code == 'AUTHENTICATIONFAILED'
    assert challenges == [b'{"status":"invalid_token"}']
    r, _ = authenticate(c, 'OAUTHBEARER', bearer('made-up2'), '*')
    assert r.status in ('NO', 'BAD')
    assert len(logged(site, 'event=login-failed.*user=fred mechanism=OAUTHBEARER reason=credentials', since)) >= 1
    r, challenges = authenticate(c, 'XOAUTH2', 'user=fred\1auth=Bearer made-up\1\1', b'')
    assert r.status == 'NO' and challenges == [b'{"status":"401","schemes":"bearer"}']
    r, challenges = authenticate(c, 'OAUTHBEARER', 'nonsense', b'\1')
    assert r.status == 'NO' and challenges == [b'{"status":"invalid_request"}']
    r, _ = authenticate(c, 'OAUTHBEARER', bearer('stranger'))  # mary's, for fred
    assert r.status == 'NO' and r.code == 'AUTHORIZATIONFAILED'
    assert 'made-up' not in site.text() and 't0ken' not in site.text()


# Who acts as whom

def test_authorisation(connect, site):
    c = connect()
    since = len(site.text())
    r, _ = authenticate(c, 'PLAIN', b'mary\0fred\0pencil')
    assert r.status == 'NO' and r.code == 'AUTHORIZATIONFAILED'
    r, _ = authenticate(c, 'PLAIN', b'nobody\0admin\0root')
    assert r.status == 'NO' and r.code == 'AUTHORIZATIONFAILED'
    r, _ = authenticate(c, 'PLAIN', b'mary\0admin\0wrong')
    assert r.status == 'NO' and r.code == 'AUTHENTICATIONFAILED'
    x = Scram('fred', 'pencil', header='n,a=mary,')
    assert x.log_in(c).code == 'AUTHORIZATIONFAILED'
    mary = connect()
    mary.login('mary', 'hush')
    mary.ok('CREATE of-mary')
    r, _ = authenticate(c, 'PLAIN', b'Mary\0admin\0root')
    assert r.status == 'OK'
    assert 'of-mary' in str(c.ok('LIST "" *').names())
    logged(site, 'event=login-as .*login=admin user=mary', since)
    logged(site, 'event=login .*user=mary .*login=admin', since)
    c = connect()
    x = Scram('admin', 'root', header='n,a=mary,')
    assert x.log_in(c).status == 'OK'
    assert 'of-mary' in str(c.ok('LIST "" *').names())
    r, _ = authenticate(connect(), 'PLAIN', b'fred\0fred\0pencil')
    assert r.status == 'OK'


def test_anonymous(connect, site):
    c = connect()
    since = len(site.text())
    r, _ = authenticate(c, 'ANONYMOUS', 'sirhc')
    assert r.status == 'OK'
    c.select()
    logged(site, 'event=anonymous .*trace=sirhc', since)


# Names and passwords as they are prepared

def test_prepared(connect):
    for user, password in (('FRED', 'pencil'), ('mary', 'hush'), ('MARY', 'hush')):
        connect().login(user, password)
    for user in ('jörg', 'JÖRG', 'jo\u0308rg', 'ｊörg'):
        r, _ = authenticate(connect(), 'PLAIN', ('\0%s\0a\u00a0z' % user).encode())
        assert r.status == 'OK', user
    for user in ('jörg\u2163', 'jö\u00adrg', 'fr\ted', ''):
        r, _ = authenticate(connect(), 'PLAIN', ('\0%s\0a z' % user).encode())
        assert r.status == 'NO' and r.code == 'AUTHENTICATIONFAILED', user


def test_login_command(connect):
    c = connect()
    c.no('LOGIN fred wrong', code='AUTHENTICATIONFAILED')
    c.no('LOGIN anne pencil', code='AUTHENTICATIONFAILED')
    c.no('LOGIN fred ""', code='AUTHENTICATIONFAILED')
    c.ok('LOGIN ', LitPlus('fred'), ' ', LitPlus('pencil'))


def test_login_mechanism(connect):
    c = connect()
    r, challenges = authenticate(c, 'LOGIN', 'fred', 'pencil', initial=False)
    assert r.status == 'OK' and challenges == [b'Username:', b'Password:']


# A certificate instead of a password

def test_external(tmp_path):
    certs = Certificates(tmp_path)
    alice = certs.issue('alice', 'ec', 'email:Fred@example.org')
    other = certs.issue('other', 'ec', 'email:nobody@example.org')
    s = start(str(tmp_path), 'fred@example.org:%s\nmary:%s\n' % (keys('pencil'), keys('hush')),
              'tls.client_certificates=optional', 'tls.client_ca=' + certs.ca)
    try:
        def tls(pair):
            c = Imap(s.host, s.imap)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if pair:
                context.load_cert_chain(*pair)
            c.ok('STARTTLS')
            c.sock = context.wrap_socket(c.sock)
            return c
        c = tls(None)
        assert 'EXTERNAL' not in mechanisms(c)
        c.no('AUTHENTICATE EXTERNAL =', code='CANNOT')
        c = tls(alice)
        assert mechanisms(c)[0] == 'EXTERNAL'
        r, _ = authenticate(c, 'EXTERNAL', 'mary')
        assert r.status == 'NO' and r.code == 'AUTHORIZATIONFAILED'
        r, challenges = authenticate(c, 'EXTERNAL', '', initial=False)
        assert r.status == 'OK' and challenges == [b'']
        r, _ = authenticate(tls(alice), 'EXTERNAL', 'fred@example.org')
        assert r.status == 'OK'
        r, _ = authenticate(tls(other), 'EXTERNAL', '')
        assert r.status == 'NO' and r.code == 'AUTHENTICATIONFAILED'
        # the greeting does not claim to know before the handshake has come to its end
        with Imap(s.host, s.imaps, True) as c:
            assert 'CAPABILITY' not in repr(c.greeting)
    finally:
        s.stop()
        s.check_output()
        s.remove()


# Real clients

@pytest.mark.skipif(not shutil.which('gsasl'), reason='gsasl is not installed')
@pytest.mark.parametrize('mechanism', ['SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN', 'LOGIN'])
def test_gsasl(site, mechanism):
    r = subprocess.run(['gsasl', '--imap', '--connect', '%s:%d' % (site.host, site.imap), '--no-starttls', '-m', mechanism,
                        '-a', 'fred', '-z', '', '-p', 'pencil', '--quiet', '--no-cb'],
                       input='', capture_output=True, text=True, timeout=30)
    assert r.returncode == 0, r.stdout + r.stderr


@pytest.mark.parametrize('mechanism', ['SCRAM-SHA-256', 'SCRAM-SHA-1', 'OAUTHBEARER', 'XOAUTH2', 'PLAIN', 'LOGIN'])
def test_curl(site, mechanism):
    secret = ['--oauth2-bearer', 't0ken', '-u', 'fred:'] if 'OAUTH' in mechanism else ['-u', 'fred:pencil']
    r = subprocess.run(['curl', '-sS', '-k', '--login-options', 'AUTH=' + mechanism, *secret,
                        'imap://%s:%d/' % (site.host, site.imap)], capture_output=True, text=True, timeout=30)
    if 'SCRAM' in mechanism and r.returncode in (67, 4) and 'gsasl' not in subprocess.run(
            ['curl', '-V'], capture_output=True, text=True).stdout.lower():
        pytest.skip('this curl has no SCRAM')
    assert r.returncode == 0 and 'INBOX' in r.stdout, r.stdout + r.stderr
