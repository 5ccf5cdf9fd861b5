"""The real counterparts of the directories of users: slapd, PostgreSQL, PAM, an issuer of tokens."""
import base64
import collections
import hashlib
import hmac
import http.server
import json
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

from .imap import SLOW
from .server import BUILD_TYPE, ROOT, free_ports

PROBE = os.path.join(ROOT, 'build-' + BUILD_TYPE, 'tests', 'unit', 'auth', 'directory_probe')

Answer = collections.namedtuple('Answer', 'code name directory disabled sha1 sha256 app text')


def option(name, value):
    """NAME=VALUE as martlet.conf has it."""
    if isinstance(value, list):
        return '%s = [%s]' % (name, ', '.join(value))
    value = str(value).lower() if isinstance(value, bool) else str(value)
    return '%s = "%s"' % (name, value.replace('\\', '\\\\').replace('"', '\\"'))


class Probe:
    """tests/unit/auth/directory_probe.c: directories without a server around them."""

    def __init__(self, **settings):
        options = [option('auth.' + k.replace('__', '.'), v) for k, v in settings.items()]
        self.process = subprocess.Popen([PROBE] + options, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        first = self.process.stdout.readline().decode().strip()
        if first != 'ready':
            self.process.wait(10)
            raise ValueError(first)

    def ask(self, *fields):
        self.process.stdin.write('\t'.join(fields).encode() + b'\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline().decode()
        assert line, 'the probe ended'
        a = Answer(*line.rstrip('\n').split('\t'))
        return a._replace(disabled=a.disabled == '1')

    def find(self, name):
        return self.ask('find', name)

    def find_login(self, name):
        return self.ask('login', name)

    def check(self, name, password, service='imap'):
        return self.ask('check', name, password, service)

    def token(self, token):
        return self.ask('token', token)

    def many(self, count, *fields):
        """How many of count times 8 were ok, in eight threads."""
        return int(self.ask('many', str(count), *fields).name)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.read()
        assert self.process.wait(20) == 0

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()


def wait_for(what, ready, process=None, seconds=30 * SLOW):
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, what + ' does not start'
        assert process is None or process.poll() is None, what + ' ended'
        time.sleep(0.02)


def connects(address):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as s:
        try:
            s.connect(address)
            return True
        except OSError:
            return False


def end(process):
    if process and process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def scram_keys(password, digest='sha256', salt=b'0123456789abcdef', iterations=4096):
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations)
    stored = hashlib.new(digest, hmac.new(salted, b'Client Key', digest).digest()).digest()
    server = hmac.new(salted, b'Server Key', digest).digest()
    return '%d,%s' % (iterations, ','.join(base64.b64encode(x).decode() for x in (salt, stored, server)))


SLAPD = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {dir}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile {ca}
TLSCertificateFile {cert}
TLSCertificateKeyFile {key}
password-hash {{CLEARTEXT}}
database mdb
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw adminpw
directory {dir}/db
maxsize 10485760
access to attrs=userPassword
    by dn.exact="cn=reader,dc=example,dc=org" read
    by anonymous auth
access to * by * read
"""

LDIF = """
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: example
dc: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: cn=reader,dc=example,dc=org
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: readerpw
"""


class Slapd:
    def __init__(self, certs):
        self.dir = tempfile.mkdtemp(prefix='slapd-')
        os.mkdir(self.dir + '/db')
        cert, key = certs.issue('slapd', 'ec', 'IP:127.0.0.1')
        with open(self.dir + '/slapd.conf', 'w') as f:
            f.write(SLAPD.format(dir=self.dir, ca=certs.ca, cert=cert, key=key))
        self.port, self.tls_port = free_ports(2)
        self.url = 'ldap://127.0.0.1:%d' % self.port
        self.ldaps = 'ldaps://127.0.0.1:%d' % self.tls_port
        self.socket = self.dir + '/ldapi'
        self.ldapi = 'ldapi://' + urllib.parse.quote(self.socket, safe='')
        self.process = None
        self.people = 0

    def add(self, text):
        subprocess.run(['/usr/sbin/slapadd', '-f', self.dir + '/slapd.conf', '-q'], input=text.encode(), check=True,
                       capture_output=True)

    @staticmethod
    def person(uid, password, number, more=''):
        return ('dn: uid={0},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\n'
                'uid: {0}\ncn: {0}\nsn: {0}\nuidNumber: {1}\ngidNumber: 1\nhomeDirectory: /\n'
                'userPassword: {2}\n{3}\n').format(uid, number, password, more)

    def start(self):
        self.process = subprocess.Popen(
            ['/usr/sbin/slapd', '-f', self.dir + '/slapd.conf', '-d', '0', '-h',
             '%s/ %s/ %s' % (self.url, self.ldaps, self.ldapi)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for('slapd', lambda: connects(('127.0.0.1', self.port)) and connects(('127.0.0.1', self.tls_port)),
                 self.process)
        return self

    def stop(self):
        end(self.process)

    def remove(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class Postgres:
    BIN = '/usr/lib/postgresql/15/bin/'

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='pg-')
        self.as_user = {}
        if os.getuid() == 0:  # it refuses to run as root
            who = pwd.getpwnam('postgres')
            os.chown(self.dir, who.pw_uid, who.pw_gid)
            self.as_user = {'user': who.pw_uid, 'group': who.pw_gid, 'extra_groups': []}
        os.chmod(self.dir, 0o755)
        self.password = self.dir + '/superpw'
        with open(self.password, 'w') as f:
            f.write('superpw\n')
        os.chmod(self.password, 0o644)
        if not os.path.isdir(self.BIN):
            versions = sorted(os.listdir('/usr/lib/postgresql'))
            self.BIN = '/usr/lib/postgresql/%s/bin/' % versions[-1]
        subprocess.run([self.BIN + 'initdb', '-D', self.dir + '/data', '-U', 'super', '-A', 'scram-sha-256',
                        '--pwfile', self.password, '-E', 'UTF8', '--locale', 'C', '-N'], check=True,
                       capture_output=True, cwd='/', **self.as_user)
        self.process = None

    def conninfo(self, user='super', password='superpw'):
        return 'host=%s dbname=postgres user=%s password=%s' % (self.dir, user, password)

    def start(self):
        self.process = subprocess.Popen(
            [self.BIN + 'postgres', '-D', self.dir + '/data', '-k', self.dir, '-c', 'listen_addresses=', '-c',
             'fsync=off', '-c', 'shared_buffers=1MB', '-c', 'max_connections=20'],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd='/', **self.as_user)

        def ready():
            return subprocess.run(['psql', self.conninfo(), '-c', 'SELECT 1'], capture_output=True).returncode == 0
        wait_for('PostgreSQL', ready, self.process)
        return self

    def sql(self, text):
        subprocess.run(['psql', '-q', '-v', 'ON_ERROR_STOP=1', self.conninfo()], input=text.encode(), check=True,
                       capture_output=True)

    def stop(self):
        end(self.process)

    def remove(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class PamUser:
    """A user of the system, and a service of PAM's."""

    def __init__(self, name, password, service, text):
        self.name, self.service = name, '/etc/pam.d/' + service
        with open(self.service, 'w') as f:
            f.write(text)
        subprocess.run(['useradd', '-M', '-N', '-s', '/usr/sbin/nologin', name], check=True, capture_output=True)
        self.set_password(password)

    def set_password(self, password):
        subprocess.run(['chpasswd'], input=('%s:%s\n' % (self.name, password)).encode(), check=True,
                       capture_output=True)

    def expire(self, yes=True):
        subprocess.run(['chage', '-E', '0' if yes else '-1', self.name], check=True, capture_output=True)

    def remove(self):
        os.unlink(self.service)
        subprocess.run(['userdel', self.name], capture_output=True)


class TokenServer:
    """Key sets and introspection over HTTP, or HTTPS with a certificate."""

    def __init__(self, cert=None):
        self.keys, self.active, self.requests, self.delay = '{"keys": []}', {}, [], 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def answer(self, text, status=200):
                time.sleep(outer.delay)
                self.send_response(status)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_GET(self):
                outer.requests.append(self.path)
                if self.path == '/elsewhere':
                    self.send_response(302)
                    self.send_header('Location', '/keys')
                    self.end_headers()
                else:
                    self.answer(outer.keys)

            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers['Content-Length'])).decode())
                outer.requests.append((self.path, self.headers.get('Authorization'), form))
                if self.headers.get('Authorization') != 'Basic ' + base64.b64encode(b'mail%3A1:s%26ecret').decode():
                    self.answer('{"error": "invalid_client"}', 401)
                else:
                    self.answer(json.dumps(outer.active.get(form['token'][0], {'active': False})))

        class Threads(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a client that does not like our certificate

        self.httpd = Threads(('127.0.0.1', 0), Handler)
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*cert)
            self.httpd.socket = context.wrap_socket(self.httpd.socket, server_side=True)
        self.url = '%s://127.0.0.1:%d' % ('https' if cert else 'http', self.httpd.server_address[1])
        self.thread = threading.Thread(target=self.httpd.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def stop(self):
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join(10)
