"""An LMTP client for tests (RFC 2033): exact bytes, parsed replies, deadlines."""
import re
import socket

from .imap import TIMEOUT, Closed


class Lmtp:
    def __init__(self, host, port, timeout=TIMEOUT):
        self.sock = socket.create_connection((host, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b''
        self.greeting = self.reply()

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def line(self):
        while b'\r\n' not in self.buf:
            data = self.sock.recv(65536)
            if not data:
                raise Closed('LMTP server closed')
            self.buf += data
        line, self.buf = self.buf.split(b'\r\n', 1)
        return line.decode()

    def reply(self):
        """(code, [lines without code])"""
        lines = []
        while True:
            line = self.line()
            m = re.fullmatch(r'(\d{3})([- ]?)(.*)', line)
            assert m, 'not a reply: %r' % line
            lines.append(m.group(3))
            if m.group(2) != '-':
                return int(m.group(1)), lines

    def cmd(self, text):
        self.send((text.encode() if isinstance(text, str) else text) + b'\r\n')
        return self.reply()

    def lhlo(self):
        code, lines = self.cmd('LHLO client.example.org')
        assert code == 250, lines
        return {line.split()[0].upper(): line for line in lines[1:]}

    def deliver(self, sender, recipients, message):
        """Replies to each RCPT and, per accepted recipient, to the message."""
        code, lines = self.cmd('MAIL FROM:<%s>' % sender)
        assert code == 250, lines
        rcpt = [self.cmd('RCPT TO:<%s>' % r)[0] for r in recipients]
        code, lines = self.cmd('DATA')
        if code != 354:
            return rcpt, code
        stuffed = re.sub(rb'(?m)^\.', b'..', message)
        if not stuffed.endswith(b'\r\n'):
            stuffed += b'\r\n'
        self.send(stuffed + b'.\r\n')
        return rcpt, [self.reply()[0] for c in rcpt if 200 <= c < 300]

    def close(self):
        self.sock.close()
