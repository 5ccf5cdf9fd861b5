"""Directories of users against the real things: slapd, PostgreSQL, SQLite, PAM, tokens."""
import base64
import itertools
import json
import os
import re
import sqlite3
import subprocess
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from support import server as support_server
from support.certificates import Certificates
from support.directories import PamUser, Postgres, Probe, Slapd, TokenServer, option, scram_keys
from support.imap import SLOW
from support.lmtp import Lmtp
from support.server import BUILD_TYPE, ROOT

pytestmark = pytest.mark.martlet('its own directories')

INJECTIONS = ['*', 'fre*', 'fred)(uid=*', '*)(uid=*))(|(uid=*', 'fred\\', "' OR '1'='1", "fred' --", 'fred"; DROP TABLE users',
              '%u', ':user', '$1', '(|(uid=*))', 'fred,ou=people', 'uid=fred']


@pytest.fixture(scope='module')
def certs(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp('certs'))


# LDAP

@pytest.fixture(scope='module')
def slapd(certs):
    s = Slapd(certs)
    people = [s.person('fred', 'secret', 1001, 'userPassword: {SCRAM-SHA-256}%s\n' % scram_keys('secret')),
              s.person('mary', 'hush', 1002, 'description: left\n'),
              s.person('twin', 'one', 1003).replace('uid=twin', 'cn=twin'),
              s.person('twin', 'two', 1004).replace('uid=twin', 'sn=twin')]
    from support.directories import LDIF
    s.add(LDIF + '\n' + '\n'.join(people))
    s.start()
    yield s
    s.remove()


def ldap_settings(s, certs, **more):
    return dict(dict(directories=['ldap'], ldap__url=s.url, ldap__ca_file=certs.ca, ldap__base='ou=people,dc=example,dc=org',
                     ldap__bind_dn='cn=reader,dc=example,dc=org', ldap__bind_password='readerpw',
                     ldap__disabled_filter='(description=left)', ldap__timeout='3s', app_passwords_file=''), **more)


def test_ldap_checks_passwords(slapd, certs):
    with Probe(**ldap_settings(slapd, certs)) as p:
        for _ in range(3):
            a = p.check('fred', 'secret')
            assert (a.code, a.name, a.directory) == ('ok', 'fred', 'ldap')
            assert p.check('fred', 'Secret').code == 'denied'
        assert p.check('FRED', 'secret').name == 'fred'  # the entry's spelling is the account's
        assert p.check('fred', '').code == 'denied'  # an empty password binds anonymously, and proves nothing
        assert p.check('nobody', 'secret').code == 'not-found'
        assert p.check('nobody', '').code == 'not-found'
        assert p.find('fred').code == 'ok'
        assert p.find('nobody').code == 'not-found'
        a = p.find('mary')
        assert a.code == 'ok' and a.disabled
        a = p.check('mary', 'hush')
        assert a.code == 'denied' and 'disabled' in a.text
        assert p.check('twin', 'one').code == 'busy'  # cannot be told apart
        assert p.find_login('fred').sha256 == ''


@pytest.mark.parametrize('name', INJECTIONS)
def test_ldap_names_are_not_filters(slapd, certs, name):
    with Probe(**ldap_settings(slapd, certs)) as p:
        assert p.check(name, 'secret').code == 'not-found'
        assert p.find(name).code == 'not-found'


def test_ldap_scram_keys(slapd, certs):
    with Probe(**ldap_settings(slapd, certs, ldap__secret_attribute='userPassword')) as p:
        a = p.find_login('fred')
        assert a.sha256 == scram_keys('secret') and a.sha1 == ''
        assert p.check('fred', 'secret').code == 'ok'


def test_ldap_ways_to_connect(slapd, certs, tmp_path):
    other = Certificates(tmp_path)
    for url in (slapd.ldaps, slapd.ldapi, 'ldap://127.0.0.1:1 ' + slapd.url):
        with Probe(**ldap_settings(slapd, certs, ldap__url=url)) as p:
            assert p.check('fred', 'secret').code == 'ok', url
            assert p.check('fred', 'wrong').code == 'denied', url
    for url in (slapd.ldaps, slapd.url):  # a server whose certificate nobody vouches for gets no password
        with Probe(**ldap_settings(slapd, certs, ldap__url=url, ldap__ca_file=other.ca)) as p:
            assert p.check('fred', 'secret').code == 'busy'
    with Probe(**ldap_settings(slapd, certs, ldap__starttls=False, ldap__bind_dn='', ldap__bind_password='')) as p:
        assert p.check('fred', 'secret').code == 'ok'  # anonymous search
    with Probe(**ldap_settings(slapd, certs, ldap__bind_password='wrong')) as p:
        a = p.check('fred', 'secret')
        assert a.code == 'busy' and 'cn=reader' in a.text
    with Probe(**ldap_settings(slapd, certs, ldap__name_attribute='', ldap__scope='one')) as p:
        assert p.check('Fred', 'secret').name == 'Fred'


def test_ldap_server_away(slapd, certs):
    with Probe(**ldap_settings(slapd, certs)) as p:
        assert p.check('fred', 'secret').code == 'ok'
        slapd.stop()
        began = time.monotonic()
        assert p.check('fred', 'secret').code == 'busy'
        assert p.find('fred').code == 'busy'
        assert time.monotonic() - began < 3
        slapd.start()
        eventually_ok(p)
        slapd.stop()  # connections that died while nobody looked
        slapd.start()
        assert p.check('fred', 'secret').code == 'ok'


# SQL

ROWS = [('fred', '{PLAIN}secret', 0), ('mary', '{PLAIN}hush', 1), ('paul', None, 0), ('locked', '!{PLAIN}x', 0),
        ('twin', '{PLAIN}a', 0), ('twin', '{PLAIN}b', 0), ('odd', 'what is this', 0),
        ('anne', '{SCRAM-SHA-256}' + scram_keys('pencil'), None)]


@pytest.fixture(scope='module')
def postgres():
    p = Postgres()
    p.start()
    p.sql("CREATE TABLE users (name text, secret text, disabled boolean); CREATE ROLE martlet LOGIN PASSWORD 'pw';"
          'GRANT SELECT ON users TO martlet;' + ''.join(
              'INSERT INTO users VALUES (%s, %s, %s);' % tuple(
                  'NULL' if v is None else ['false', 'true'][v] if v in (0, 1) else "'%s'" % v for v in row) for row in ROWS))
    yield p
    p.remove()


@pytest.fixture
def sqlite(tmp_path):
    path = str(tmp_path / 'users.db')
    with sqlite3.connect(path) as db:
        db.execute('CREATE TABLE users (name TEXT, secret TEXT, disabled INTEGER)')
        db.executemany('INSERT INTO users VALUES (?, ?, ?)', ROWS)
    db.close()
    return path


@pytest.fixture(params=['sqlite', 'postgresql'])
def sql(request):
    base = dict(directories=['sql'], sql__driver=request.param, app_passwords_file='', sql__timeout='3s',
                sql__query='SELECT name, secret, disabled FROM users WHERE name = :user')
    if request.param == 'sqlite':
        return dict(base, sql__database=request.getfixturevalue('sqlite'))
    return dict(base, sql__database=request.getfixturevalue('postgres').conninfo('martlet', 'pw'))


def test_sql_checks_passwords(sql):
    with Probe(**sql) as p:
        a = p.check('fred', 'secret')
        assert (a.code, a.name, a.directory) == ('ok', 'fred', 'sql')
        assert p.check('fred', 'wrong').code == 'denied'
        assert p.check('nobody', 'secret').code == 'not-found'
        assert p.check('mary', 'hush').code == 'denied' and p.find('mary').disabled
        assert p.check('locked', 'x').code == 'denied' and p.find('locked').disabled
        assert p.check('paul', '').code == 'denied' and p.find('paul').code == 'ok'
        assert p.check('twin', 'a').code == 'busy'
        assert p.check('odd', 'what is this').code == 'busy'
        assert p.check('anne', 'pencil').code == 'ok'
        a = p.find_login('anne')
        assert a.sha256 == scram_keys('pencil') and not a.disabled
        assert p.find_login('fred').sha1 != ''
        for name in INJECTIONS:
            assert p.check(name, 'secret').code == 'not-found', name
        assert p.check('fred', 'secret').code == 'ok'


def test_sql_query_of_ones_own(sql):
    query = "SELECT lower(name) || '@example.org' AS NAME, secret, 'x' AS more FROM users WHERE name = lower(%u)"
    with Probe(**dict(sql, sql__query=query)) as p:
        assert p.check('FRED', 'secret').name == 'fred@example.org'
    with Probe(**dict(sql, sql__query='SELECT secret FROM nowhere WHERE a = :user')) as p:
        a = p.check('fred', 'secret')
        assert a.code == 'busy' and 'nowhere' in a.text


def test_sqlite_file_replaced(sqlite):
    settings = dict(directories=['sql'], sql__database=sqlite, app_passwords_file='')
    with Probe(**settings) as p:
        assert p.check('fred', 'secret').code == 'ok'
        with sqlite3.connect(sqlite) as db:
            db.execute("UPDATE users SET secret = '{PLAIN}changed' WHERE name = 'fred'")
        db.close()
        assert p.check('fred', 'changed').code == 'ok'
        with sqlite3.connect(sqlite + '.new') as db:
            db.execute('CREATE TABLE users (name TEXT, secret TEXT, disabled INTEGER)')
            db.execute("INSERT INTO users VALUES ('fred', '{PLAIN}new', 0)")
        db.close()
        os.rename(sqlite + '.new', sqlite)
        assert p.check('fred', 'new').code == 'ok'
        os.unlink(sqlite)
        assert p.check('fred', 'new').code == 'busy'
    assert not os.path.exists(sqlite)  # nobody makes an empty one


def test_sqlite_locked(sqlite):
    with Probe(directories=['sql'], sql__database=sqlite, sql__timeout='1s', app_passwords_file='') as p:
        db = sqlite3.connect(sqlite, isolation_level=None)
        db.execute('BEGIN EXCLUSIVE')
        a = p.check('fred', 'secret')
        assert a.code == 'busy' and 'locked' in a.text
        db.execute('ROLLBACK')
        db.close()
        eventually_ok(p)


def eventually_ok(p):
    """After a failure to connect nobody tries again for a second."""
    deadline = time.monotonic() + 10 * SLOW
    while p.check('fred', 'secret').code != 'ok':
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_postgresql_away(postgres):
    settings = dict(directories=['sql'], sql__driver='postgresql', sql__database=postgres.conninfo('martlet', 'pw'),
                    app_passwords_file='', sql__timeout='2s')
    with Probe(**settings) as p:
        assert p.check('fred', 'secret').code == 'ok'
        postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'martlet'")
        assert p.check('fred', 'secret').code == 'ok'  # reconnects
        postgres.stop()
        a = p.check('fred', 'secret')
        assert a.code == 'busy' and 'pw' not in a.text.split()
        postgres.start()
        eventually_ok(p)
        with_lock = subprocess.Popen(['psql', '-q', postgres.conninfo()], stdin=subprocess.PIPE)
        try:
            with_lock.stdin.write(b'BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE; SELECT 1 \\g /dev/null\n')
            with_lock.stdin.write(b"\\! touch %s/locked\n" % postgres.dir.encode())
            with_lock.stdin.flush()
            deadline = time.monotonic() + 10
            while not os.path.exists(postgres.dir + '/locked'):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            began = time.monotonic()
            assert 'in time' in p.check('fred', 'secret').text
            assert time.monotonic() - began < 6
        finally:
            with_lock.stdin.close()
            with_lock.wait(10)
        eventually_ok(p)
    with Probe(**dict(settings, sql__database=postgres.conninfo('martlet', 'wrong'))) as p:
        assert p.check('fred', 'secret').code == 'busy'


# PAM

@pytest.fixture(scope='module')
def pam():
    if os.getuid() != 0:
        pytest.skip('needs root to make a user')
    u = PamUser('martlet-test-%d' % os.getpid(), 'secret', 'martlet-test-%d' % os.getpid(), examples('pam')[0])
    yield u
    u.remove()


def pam_settings(u, **more):
    return dict(dict(directories=['pam'], pam__service=os.path.basename(u.service), app_passwords_file=''), **more)


def test_pam(pam):
    with Probe(**pam_settings(pam)) as p:
        began = time.monotonic()
        a = p.check(pam.name, 'secret')
        assert (a.code, a.name, a.directory) == ('ok', pam.name, 'pam')
        wrong, empty = p.check(pam.name, 'wrong'), p.check(pam.name, '')
        assert wrong.code == empty.code == 'denied'
        assert p.check('no-such-user', 'secret').code == 'not-found'
        assert time.monotonic() - began < 2 * SLOW  # none of pam_unix's delays
        assert p.find(pam.name).code == 'ok'
        assert p.find('no-such-user').code == 'not-found'
        pam.expire()  # the account's phase
        assert p.check(pam.name, 'secret').code == 'denied'
        assert p.find_login(pam.name).disabled and not p.find(pam.name).disabled
        pam.expire(False)
        assert p.check(pam.name, 'secret').code == 'ok'
        pam.set_password('changed')
        assert p.check(pam.name, 'secret').code == 'denied'
        assert p.check(pam.name, 'changed').code == 'ok'
        pam.set_password('secret')


def test_pam_broken_service(pam):
    with open(pam.service) as f:
        good = f.read()
    with Probe(**pam_settings(pam)) as p:
        with open(pam.service, 'w') as f:
            f.write('auth required pam_no_such_module.so\naccount required pam_unix.so\n')
        assert p.check(pam.name, 'secret').code == 'busy'
        with open(pam.service, 'w') as f:
            f.write(good)
        assert p.check(pam.name, 'secret').code == 'ok'
    with pytest.raises(ValueError, match='a name, not a path'):
        Probe(**pam_settings(pam, pam__service='../pam.d/login'))


# OAuth 2

def b64(number, size):
    return base64.urlsafe_b64encode(number.to_bytes(size, 'big')).rstrip(b'=').decode()


class Key:
    numbers = itertools.count(1)

    def __init__(self, kind):
        self.id = '%s-%d' % (kind, next(Key.numbers))
        if kind == 'rsa':
            self.private = rsa.generate_private_key(65537, 2048)
            n = self.private.public_key().public_numbers()
            self.public = {'kty': 'RSA', 'n': b64(n.n, 256), 'e': 'AQAB'}
        elif kind in ('p256', 'p384'):
            size = {'p256': 32, 'p384': 48}[kind]
            self.private = ec.generate_private_key(ec.SECP256R1() if kind == 'p256' else ec.SECP384R1())
            n = self.private.public_key().public_numbers()
            self.public = {'kty': 'EC', 'crv': {'p256': 'P-256', 'p384': 'P-384'}[kind], 'x': b64(n.x, size), 'y': b64(n.y, size)}
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()
            raw = self.private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            self.public = {'kty': 'OKP', 'crv': 'Ed25519', 'x': b64(int.from_bytes(raw, 'big'), 32)}
        self.public['kid'] = self.id

    def pem(self):
        return self.private.public_key().public_bytes(serialization.Encoding.PEM,
                                                      serialization.PublicFormat.SubjectPublicKeyInfo)

    def token(self, algorithm, header=(), **claims):
        now = int(time.time())
        c = dict(iss='https://issuer.example.org', aud='mail', exp=now + 300, email='fred', scope='openid imap', **{})
        c.update(claims)
        c = {k: v for k, v in c.items() if v is not None}
        return jwt.encode(c, self.private, algorithm, headers=dict({'kid': self.id}, **dict(header)))


@pytest.fixture(scope='module')
def keys():
    return {kind: Key(kind) for kind in ('rsa', 'p256', 'p384', 'ed25519')}


def key_set(*keys):
    return json.dumps({'keys': [{'kty': 'oct', 'k': 'c2VjcmV0', 'kid': 'hmac'}] + [k.public for k in keys]})


def oauth(**more):
    return dict(dict(directories=['oauth2'], oauth2__issuer='https://issuer.example.org', oauth2__audience='mail',
                     oauth2__leeway='10s', app_passwords_file='', oauth2__timeout='2s'), **more)


def raw_token(header, claims, signature=b''):
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return '.'.join(base64.urlsafe_b64encode(x).rstrip(b'=').decode() for x in parts)


def test_tokens(keys, tmp_path):
    path = tmp_path / 'keys.json'
    path.write_text(key_set(*keys.values()))
    now = int(time.time())
    with Probe(**oauth(oauth2__keys=path, oauth2__scope='imap')) as p:
        for kind, algorithm in (('rsa', 'RS256'), ('rsa', 'RS512'), ('rsa', 'PS256'), ('p256', 'ES256'), ('p384', 'ES384'),
                                ('ed25519', 'EdDSA')):
            a = p.token(keys[kind].token(algorithm))
            assert (a.code, a.name, a.directory) == ('ok', 'fred', 'oauth2'), algorithm
        k = keys['p256']
        assert p.token(k.token('ES256', exp=now - 5)).code == 'ok'
        bad = dict(exp=now - 60), dict(exp=None), dict(nbf=now + 60), dict(aud='other'), dict(aud=None), \
            dict(scope='openid'), dict(scope=None), dict(email=None), dict(email='a\nb'), dict(email_verified=False)
        for claims in bad:
            assert p.token(k.token('ES256', **claims)).code == 'denied', claims
        assert p.token(k.token('ES256', iss='https://other.example.org')).code == 'not-found'
        # confusions (RFC 8725 section 2): no signature, a public key as a shared one, another kind of key
        claims = jwt.decode(k.token('ES256'), options={'verify_signature': False})
        assert p.token(raw_token({'alg': 'none', 'kid': k.id}, claims)).code == 'denied'
        assert p.token(raw_token({'alg': 'None'}, claims)).code == 'denied'
        from support.directories import hashlib, hmac
        for key in (keys['rsa'].pem(), keys['rsa'].public['n'].encode(), b'secret'):
            for kid in (keys['rsa'].id, 'hmac'):
                unsigned = raw_token({'alg': 'HS256', 'kid': kid}, claims)[:-1]
                mac = hmac.new(key, unsigned.encode(), hashlib.sha256).digest()
                assert p.token(unsigned + '.' + base64.urlsafe_b64encode(mac).rstrip(b'=').decode()).code == 'denied'
        assert p.token(k.token('ES256', header={'kid': keys['rsa'].id})).code == 'denied'
        assert p.token(Key('p256').token('ES256', header={'kid': k.id})).code == 'denied'
        token = k.token('ES256')
        assert p.token(token[:-4] + ('AAAA' if token[-4:] != 'AAAA' else 'BBBB')).code == 'denied'
        assert p.token('not a token').code == 'denied'
        # it has no passwords, and cannot say who exists
        assert p.check('fred', 'x').code == 'not-found'
        assert p.find('fred').code == 'not-found'
        # a key set that is replaced counts at once
        new = Key('ed25519')
        assert p.token(new.token('EdDSA')).code == 'denied'
        (tmp_path / 'new').write_text(key_set(new))
        os.rename(tmp_path / 'new', path)
        assert p.token(new.token('EdDSA')).code == 'ok'
        assert p.token(token).code == 'denied'
    with pytest.raises(ValueError, match='not a key set'):
        Probe(**oauth(oauth2__keys='/dev/null'))


def test_disabled_elsewhere(keys, tmp_path):
    (tmp_path / 'keys.json').write_text(key_set(keys['rsa']))
    (tmp_path / 'users').write_text('fred:!{PLAIN}x\nanne:*\n')
    with Probe(**oauth(directories=['file', 'oauth2'], users_file=tmp_path / 'users', oauth2__keys=tmp_path / 'keys.json')) as p:
        assert p.token(keys['rsa'].token('RS256')).code == 'denied'
        assert p.token(keys['rsa'].token('RS256', email='anne')).code == 'ok'
        assert p.token(keys['rsa'].token('RS256', email='somebody')).code == 'ok'


def test_keys_from_a_url(keys, certs):
    s = TokenServer(certs.issue('issuer', 'ec', 'IP:127.0.0.1'))
    try:
        s.keys = key_set(keys['rsa'])
        with Probe(**oauth(oauth2__keys=s.url + '/keys', oauth2__ca_file=certs.ca)) as p:
            assert s.requests == []
            for _ in range(5):
                assert p.token(keys['rsa'].token('RS256')).code == 'ok'
            assert len(s.requests) == 1
            # a new key is fetched when a token names it, but strangers cannot make us fetch on and on
            s.keys = key_set(keys['rsa'], keys['p256'])
            assert p.token(keys['p256'].token('ES256')).code == 'ok'
            assert len(s.requests) == 2
            for i in range(20):
                assert p.token(keys['p256'].token('ES256', header={'kid': 'made-up-%d' % i})).code == 'denied'
            assert len(s.requests) <= 4
            assert p.token(keys['p256'].token('ES256')).code == 'ok'
        with Probe(**oauth(oauth2__keys=s.url + '/keys', oauth2__ca_file=certs.authority('other'))) as p:
            a = p.token(keys['rsa'].token('RS256'))
            assert a.code == 'busy' and 'certificate' in a.text
        with Probe(**oauth(oauth2__keys=s.url + '/elsewhere', oauth2__ca_file=certs.ca)) as p:
            assert 'status 302' in p.token(keys['rsa'].token('RS256')).text
    finally:
        s.stop()
    with Probe(**oauth(oauth2__keys=s.url + '/keys', oauth2__ca_file=certs.ca)) as p:
        assert p.token(keys['rsa'].token('RS256')).code == 'busy'


def test_introspection():
    s = TokenServer()
    try:
        settings = dict(directories=['oauth2'], oauth2__introspection_url=s.url + '/introspect', oauth2__client_id='mail:1',
                        oauth2__client_secret='s&ecret', oauth2__scope='imap', oauth2__user_claim='username',
                        oauth2__timeout='1s', app_passwords_file='')
        good = {'active': True, 'scope': 'imap smtp', 'username': 'fred', 'exp': int(time.time()) + 100}
        s.active = {'opaque+/=': good, 'late': dict(good, exp=1), 'narrow': dict(good, scope='smtp'),
                    'nobody': {'active': True, 'scope': 'imap'}, 'odd': {'active': 'yes'}}
        with Probe(**settings) as p:
            assert p.token('opaque+/=').name == 'fred'
            assert s.requests[-1][2] == {'token': ['opaque+/='], 'token_type_hint': ['access_token']}
            for token in ('unknown', 'late', 'narrow', 'nobody'):
                assert p.token(token).code == 'denied', token
            assert p.token('odd').code == 'busy'
            s.delay = 3
            assert p.token('opaque+/=').code == 'busy'
            s.delay = 0
            assert p.token('opaque+/=').code == 'ok'
        with Probe(**dict(settings, oauth2__client_secret='wrong')) as p:
            a = p.token('opaque+/=')
            assert a.code == 'busy' and 'wrong' not in a.text and 'opaque' not in a.text
        with Probe(**dict(settings, oauth2__audience='mail')) as p:
            assert p.token('opaque+/=').code == 'denied'
    finally:
        s.stop()


# Several, and the whole server around them.

def test_in_order(slapd, certs, sqlite, tmp_path):
    """The first that knows the name decides; one that cannot say stops the search."""
    users = tmp_path / 'users'
    users.write_text('fred:{PLAIN}from-file\nkate:{PLAIN}kate\n')
    settings = ldap_settings(slapd, certs, directories=['file', 'ldap', 'sql'], users_file=users, sql__database=sqlite)
    with Probe(**settings) as p:
        assert p.check('fred', 'from-file').directory == 'file'
        assert p.check('fred', 'secret').code == 'denied'
        assert p.check('anne', 'pencil').directory == 'sql'
        assert p.check('nobody', 'x').code == 'not-found'
        slapd.stop()
        try:
            assert p.check('kate', 'kate').code == 'ok'
            assert p.check('anne', 'pencil').code == 'busy'
            assert p.find('anne').code == 'busy'
        finally:
            slapd.start()


def test_in_threads(slapd, certs, sqlite, pam, keys, tmp_path):
    """Eight threads at a time, as martlet-auth has them, with fewer connections than that."""
    users, path = tmp_path / 'users', tmp_path / 'keys.json'
    users.write_text('kate:{PLAIN}kate\n')
    path.write_text(key_set(keys['p256']))
    settings = ldap_settings(slapd, certs, **pam_settings(pam, **oauth(
        directories=['file', 'pam', 'ldap', 'sql', 'oauth2'], users_file=users, sql__database=sqlite, oauth2__keys=path,
        ldap__connections=3, sql__connections=2, ldap__timeout='20s', sql__timeout='20s')))
    with Probe(**settings) as p:
        assert p.many(20, 'check', 'kate', 'kate') == 160
        assert p.many(2, 'check', pam.name, 'secret') == 16
        assert p.many(2, 'login', pam.name) == 16
        assert p.many(10, 'check', 'fred', 'secret') == 80
        assert p.many(3, 'check', 'fred', 'wrong') == 0
        assert p.many(3, 'check', 'anne', 'pencil') == 24
        assert p.many(20, 'token', keys['p256'].token('ES256', email='kate')) == 160


def test_postgresql_in_threads(postgres):
    with Probe(directories=['sql'], sql__driver='postgresql', sql__database=postgres.conninfo('martlet', 'pw'),
               sql__connections=3, sql__timeout='20s', app_passwords_file='') as p:
        assert p.many(5, 'check', 'fred', 'secret') == 40


@pytest.fixture
def everything(slapd, postgres, pam, keys, certs, tmp_path):
    os.chmod(tmp_path, 0o755)
    (tmp_path / 'users').write_text('filer:{PLAIN}file\n')
    issuer = TokenServer(certs.issue('issuer2', 'ec', 'IP:127.0.0.1'))
    issuer.keys = key_set(keys['rsa'])
    settings = ldap_settings(slapd, certs, **pam_settings(pam, **oauth(
        directories=['file', 'pam', 'ldap', 'sql', 'oauth2'], users_file=tmp_path / 'users', sql__driver='postgresql',
        sql__database=postgres.conninfo('martlet', 'pw'), oauth2__keys=issuer.url + '/keys', oauth2__ca_file=certs.ca,
        app_passwords_file=tmp_path / 'app-passwords', any_user_password='', failure_delay='0ms')))
    extra = [w for k, v in settings.items() for w in ('--setting', option('auth.' + k.replace('__', '.'), v))]
    s = support_server.make(extra=extra)
    s.start()
    s.tmp = tmp_path
    yield s
    if s.process.poll() is None:
        s.stop()
    s.remove()
    issuer.stop()


def log_in(s, user, password, tls=False):
    with s.connect(tls=tls) as c:
        return c.cmd('LOGIN %s %s' % (user, password))


def test_server_with_all_directories(everything, slapd, pam, keys):
    s = everything
    for user, password in (('filer', 'file'), (pam.name, 'secret'), ('anne', 'pencil')):
        assert log_in(s, user, password).status == 'OK', (user, s.text()[-3000:])
        assert log_in(s, user, 'wrong').status == 'NO', user
    # fred is in LDAP before SQL
    assert log_in(s, 'fred', 'secret').status == 'OK'
    assert log_in(s, 'mary', 'hush').status == 'NO'
    assert log_in(s, 'no-such-user', 'x').status == 'NO'
    for mechanism, text in (('OAUTHBEARER', 'n,,\x01auth=Bearer %s\x01\x01'), ('XOAUTH2', 'user=olga\x01auth=Bearer %s\x01\x01')):
        for key, want in ((keys['rsa'], 'OK'), (Key('rsa'), 'NO')):
            with s.connect(tls=True) as c:
                tag = c.start('AUTHENTICATE %s %s' % (mechanism, base64.b64encode(
                    (text % key.token('RS256', email='olga')).encode()).decode()))
                if want == 'NO':  # RFC 7628 section 3.2.3: why, then an answer, then the failure
                    assert json.loads(base64.b64decode(c.continuation().text))['status']
                    c.send(b'AQ==\r\n')
                assert c.wait(tag).status == want, s.text()[-2000:]
    with s.connect() as c:  # SCRAM is not offered (auth.scram = auto): it would not work for all
        assert 'AUTH=SCRAM-SHA-256' not in str(c.ok('CAPABILITY').untagged)
    lmtp = Lmtp(s.host, s.lmtp)
    lmtp.lhlo()
    rcpt, _ = lmtp.deliver('a@example.org', ['filer', pam.name, 'fred', 'mary', 'anne', 'no-such-user', 'olga'], b'Subject: x\r\n\r\nx\r\n')
    assert [code // 100 for code in rcpt] == [2, 2, 2, 2, 2, 5, 5]
    slapd.stop()
    try:
        assert log_in(s, 'filer', 'file').status == 'OK'
        r = log_in(s, 'fred', 'secret')
        assert (r.status, r.code) == ('NO', 'UNAVAILABLE')
        rcpt, _ = lmtp.deliver('a@example.org', ['fred', 'filer'], b'Subject: x\r\n\r\nx\r\n')
        assert [code // 100 for code in rcpt] == [4, 2]
    finally:
        slapd.start()
    # a new user, no signal
    with open(s.tmp / 'next', 'w') as f:
        f.write('filer:{PLAIN}other\nnew:{PLAIN}new\n')
    os.rename(s.tmp / 'next', s.tmp / 'users')
    assert log_in(s, 'new', 'new').status == 'OK'
    assert log_in(s, 'filer', 'file').status == 'NO'
    lmtp.sock.close()
    for secret in ('readerpw', 'pw', 'pencil', 'hush'):
        assert not any(secret in line.replace('=', ' ').replace('"', ' ').split() for line in s.output)


# docs/authentication.md is true.

def examples(kind):
    with open(os.path.join(ROOT, 'docs', 'authentication.md'), encoding='utf-8') as f:
        return re.findall(r'(?ms)^```%s\n(.*?)^```$' % re.escape(kind), f.read())


def test_documented_settings(certs, tmp_path):
    martlet = os.path.join(ROOT, 'build-' + BUILD_TYPE, 'src', 'daemon', 'martlet')
    cert, key = certs.issue('doc', 'ec', 'DNS:localhost')
    found = examples('martlet.conf')
    assert len(found) >= 7
    tls = '\ntls { certificate = "%s"; key = "%s" }\n' % (cert, key)

    def check(text):
        (tmp_path / 'martlet.conf').write_text(text + tls)
        return subprocess.run([martlet, '-c', str(tmp_path / 'martlet.conf'), '--check'], capture_output=True, text=True)
    for text in found:
        r = check(text)
        assert r.returncode == 0, (text, r.stdout, r.stderr)
        broken = text.replace('(&(objectClass=posixAccount)(uid=%u))', '(uid=fred)')
        if broken != text:
            r = check(broken)
            assert r.returncode != 0 and ':9: auth.ldap.filter: without %u' in r.stderr, r.stderr


def test_documented_users_file(tmp_path):
    (tmp_path / 'users').write_text(examples('users')[0])
    with Probe(directories=['file'], users_file=tmp_path / 'users', app_passwords_file='') as p:
        assert p.check('demo', 'a password with spaces').code == 'ok'
        assert p.find('mary').disabled and not p.find('paul').disabled
        assert p.check('paul', '*').code == p.check('fred', 'wrong').code == 'denied'
        assert p.find_login('fred').sha256.startswith('4096,W22Z')


def test_documented_sql(tmp_path):
    with sqlite3.connect(tmp_path / 'users.db') as db:
        db.execute(examples('sql')[0])
        db.execute("INSERT INTO users VALUES ('fred', '{PLAIN}secret', NULL)")
    db.close()
    query = re.search(r'query = "(.*lower.*)"', ''.join(examples('martlet.conf'))).group(1)
    with Probe(directories=['sql'], sql__database=tmp_path / 'users.db', sql__query=query, app_passwords_file='') as p:
        assert p.check('Fred', 'secret').name == 'fred'
