"""The PROXY protocol (HAProxy's specification): the client's real address behind a proxy."""
import socket
import ssl
import struct
import time

import pytest

from support.imap import Imap
from support.server import PASSWORD, free_ports

SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'


def v2(client='192.0.2.7', local='198.51.100.1', command=1, tlvs=b''):
    body = socket.inet_aton(client) + socket.inet_aton(local) + struct.pack('>HH', 40000, 143) + tlvs
    return SIGNATURE + bytes([0x20 | command, 0x11]) + struct.pack('>H', len(body)) + body


class Ports:
    imap, imaps = free_ports(2)


PORTS = Ports()
SETTINGS = ('proxy.imap_listen=127.0.0.1:%d' % PORTS.imap, 'proxy.imaps_listen=127.0.0.1:%d' % PORTS.imaps,
            'proxy.trusted=127.0.0.0/8', 'auth.failure_delay=1ms')


class Through:
    """An Imap client on a connection that begins with a header."""

    def __init__(self, server):
        self.server = server
        self.open = []

    def raw(self, port=None):
        s = socket.create_connection(('127.0.0.1', port or PORTS.imap), 10)
        s.settimeout(10)
        self.open.append(s)
        return s

    def greeted(self, header, port=None):
        s = self.raw(port)
        s.sendall(header)
        return s, s.makefile('rb').readline().decode()


@pytest.fixture
def proxy(own_server):
    p = Through(own_server)
    yield p
    for s in p.open:
        s.close()


def ask(s, line):
    s.sendall(line + b'\r\n')
    f = s.makefile('rb')
    out = b''
    while not out.startswith(line.split()[0] + b' '):
        out = f.readline()
        assert out, 'closed'
    return out.decode()


def ended(s, sent):
    """The server closes without a word; with a reset, as what was sent has not been read."""
    try:
        s.sendall(sent)
        return s.recv(100) == b''
    except (ConnectionResetError, BrokenPipeError):
        return True


def wait_line(server, *words):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for line in server.output:
            if all(w in line for w in words):
                return line
        time.sleep(0.02)
    raise AssertionError('%r not in:\n%s' % (words, server.text()[-3000:]))


@pytest.mark.settings(*SETTINGS)
def test_address_of_client(proxy, own_server, user):
    """Versions 1 and 2; the log has the client's address; a remote client without TLS may not log in."""
    for header, address in ((b'PROXY TCP4 192.0.2.33 198.51.100.1 4000 143\r\n', '192.0.2.33'),
                            (b'PROXY TCP6 2001:db8::33 2001:db8::1 4000 143\r\n', '2001:db8::33'),
                            (v2('192.0.2.34'), '192.0.2.34')):
        s, greeting = proxy.greeted(header)
        assert 'LOGINDISABLED' in greeting and 'STARTTLS' in greeting
        assert 'PRIVACYREQUIRED' in ask(s, b'a LOGIN %s %s' % (user.encode(), PASSWORD.encode()))
        # the other end of TLS is the proxy's client all the same
        assert 'a2 OK' in ask(s, b'a2 STARTTLS')
        context = ssl._create_unverified_context()
        tls = context.wrap_socket(s)
        assert 'a3 NO [AUTHENTICATIONFAILED]' in ask(tls, b'a3 LOGIN %s wrong' % user.encode())
        wait_line(own_server, 'login-failed', 'peer=' + address)
        assert 'a4 OK' in ask(tls, b'a4 LOGIN %s %s' % (user.encode(), PASSWORD.encode()))
        tls.close()


@pytest.mark.settings(*SETTINGS)
def test_tls_ended_at_proxy(proxy, user):
    """Version 2 can say that the client speaks TLS with the proxy: then passwords are safe."""
    ssl_tlv = b'\x20' + struct.pack('>HBI', 5, 1, 0)
    s, greeting = proxy.greeted(v2(tlvs=ssl_tlv))
    assert 'LOGINDISABLED' not in greeting and 'STARTTLS' not in greeting
    assert ' OK' in ask(s, b'a LOGIN %s %s' % (user.encode(), PASSWORD.encode()))


@pytest.mark.settings(*SETTINGS)
def test_header_before_handshake(proxy, own_server, user):
    s = proxy.raw(PORTS.imaps)
    s.sendall(v2('192.0.2.35'))
    tls = ssl._create_unverified_context().wrap_socket(s)
    assert b'* OK' in tls.makefile('rb').readline()
    assert ' OK' in ask(tls, b'a LOGIN %s %s' % (user.encode(), PASSWORD.encode()))
    wait_line(own_server, 'event=login ', 'peer=192.0.2.35')


@pytest.mark.settings(*SETTINGS)
def test_in_pieces_and_with_commands(proxy, user):
    """The header octet by octet; then a command in the same segment as its end."""
    s = proxy.raw()
    header = v2(command=0)  # LOCAL: a health check, or the proxy itself
    for i in range(len(header) - 1):
        s.sendall(header[i:i + 1])
        time.sleep(0.002)
    s.sendall(header[-1:] + b'a CAPABILITY\r\n')
    f = s.makefile('rb')
    lines = [f.readline().decode() for _ in range(3)]
    assert lines[0].startswith('* OK') and 'AUTH=PLAIN' in lines[1] and lines[2].startswith('a OK')


@pytest.mark.settings(*SETTINGS)
def test_refused(proxy, own_server):
    """Without a header, with a broken one, or with none at all in time: closed without a word."""
    for bad in (b'a NOOP\r\n', b'PROXY TCP4 192.0.2.1\r\n', SIGNATURE + b'\x31\x11\0\0', b'PROXY ' + b'x' * 200):
        s = proxy.raw()
        assert ended(s, bad), bad
    wait_line(own_server, 'proxy-refused', 'reason="not a PROXY header"')
    s = proxy.raw()
    assert ended(s, b'PROXY TCP4')  # after 5 seconds
    wait_line(own_server, 'proxy-refused', 'reason="no header in time"')


@pytest.mark.settings('proxy.imap_listen=127.0.0.1:%d' % PORTS.imap, 'proxy.trusted=192.0.2.0/24')
def test_untrusted(proxy, own_server):
    s = proxy.raw()
    assert ended(s, v2())
    wait_line(own_server, 'proxy-refused', 'reason="not in proxy.trusted"')


@pytest.mark.settings(*SETTINGS)
def test_no_header_elsewhere(own_server):
    """On other addresses nobody can claim to be someone else."""
    c = Imap(own_server.host, own_server.imap)
    c.send(b'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n')
    assert c.read().kind == 'BAD'
    c.close()
