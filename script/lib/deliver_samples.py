"""Delivers the sample messages to one user, when the server is up: port, user, folder, file to make then.

Ends silently when the server does not come up, or ends first.
"""
import os
import socket
import sys
import time


def connect(port):
    deadline = time.monotonic() + 60
    parent = os.getppid()
    while time.monotonic() < deadline and os.getppid() == parent:
        try:
            return socket.create_connection(('127.0.0.1', port), 30)
        except OSError:
            time.sleep(0.1)
    sys.exit(1)


class Lmtp:
    def __init__(self, port):
        self.file = connect(port).makefile('rwb')
        self.expect('220')

    def expect(self, code):
        while True:
            line = self.file.readline()
            if not line.startswith(code.encode()):
                sys.exit(1)
            if line[3:4] != b'-':
                return

    def command(self, line, code='250'):
        self.file.write(line.encode() + b'\r\n')
        self.file.flush()
        self.expect(code)

    def deliver(self, user, message):
        self.command('MAIL FROM:<sample@example.org>')
        self.command('RCPT TO:<%s>' % user)
        self.command('DATA', '354')
        lines = message.replace(b'\r\n', b'\n').split(b'\n')
        if lines[-1] == b'':
            lines.pop()
        for line in lines:
            self.file.write((b'.' if line.startswith(b'.') else b'') + line + b'\r\n')
        self.command('.')


def main():
    port, user, folder, marker = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    try:
        lmtp = Lmtp(port)
        lmtp.command('LHLO localhost')
        for name in sorted(os.listdir(folder)):
            if name.endswith('.eml'):
                with open(os.path.join(folder, name), 'rb') as f:
                    lmtp.deliver(user, f.read())
        lmtp.command('QUIT', '221')
        with open(marker, 'w'):
            pass
    except OSError:
        sys.exit(1)


main()
