"""Running other people's mail programs against the server."""
import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import termios
import time

import pytest

from .imap import SLOW, TIMEOUT


def need(program):
    path = shutil.which(program)
    if not path:
        pytest.fail('%s is missing: run tests/e2e/install-packages' % program)
    return path


def run(arguments, home, timeout=60, check=True, env=None, data=None, cwd=None):
    """Runs a program with its own home directory; returns its output (both kinds)."""
    need(arguments[0])
    environment = {'HOME': str(home), 'PATH': os.environ['PATH'], 'LANG': 'C.UTF-8', 'TERM': 'vt100',
                   'XDG_CONFIG_HOME': str(home) + '/.config', 'XDG_DATA_HOME': str(home) + '/.local/share',
                   'XDG_CACHE_HOME': str(home) + '/.cache', 'USER': 'tester', 'LOGNAME': 'tester'}
    environment.update(env or {})
    p = subprocess.run(arguments, cwd=cwd or str(home), env=environment, timeout=timeout * SLOW,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       input=data, stdin=subprocess.DEVNULL if data is None else None)
    text = p.stdout.decode('utf-8', 'replace')
    if check and p.returncode:
        pytest.fail('%s: exit code %d\n%s' % (' '.join(arguments), p.returncode, text[-4000:]))
    return text


def write(path, text, mode=0o600):
    os.makedirs(os.path.dirname(str(path)), exist_ok=True)
    with open(str(path), 'w') as f:
        f.write(text)
    os.chmod(str(path), mode)


def maildir(path):
    """Files of a Maildir: {name: (flags, bytes with CRLF ends)}"""
    out = {}
    for sub in ('cur', 'new'):
        folder = os.path.join(str(path), sub)
        for entry in os.listdir(folder) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, entry), 'rb') as f:
                data = f.read()
            name, _, info = entry.partition(':2,')
            out[name] = set(info), data.replace(b'\r\n', b'\n').replace(b'\n', b'\r\n')
    return out


FLAGS = {'\\seen': 'S', '\\answered': 'R', '\\flagged': 'F', '\\deleted': 'T', '\\draft': 'D'}


def mailbox(c, box):
    """What the server has, in the same terms: a sorted list of (flags, bytes)."""
    if c.select(box).one('EXISTS').num == 0:
        return []
    found = c.ok('FETCH 1:* (FLAGS BODY.PEEK[])').fetch().values()
    return sorted((''.join(sorted(FLAGS[f.lower()] for f in i['FLAGS'] if f.lower() in FLAGS)), i['BODY[]'])
                  for i in found)


def local(path, drop=None):
    return sorted((''.join(sorted(f)), drop(d) if drop else d) for f, d in maildir(path).values())


class Terminal:
    """A full-screen program in a terminal of its own: keys go in, the screen's bytes come out."""

    def __init__(self, arguments, home, env=None):
        need(arguments[0])
        environment = {'HOME': str(home), 'PATH': os.environ['PATH'], 'LANG': 'C.UTF-8', 'TERM': 'vt100',
                       'XDG_CONFIG_HOME': str(home) + '/.config', 'XDG_DATA_HOME': str(home) + '/.local/share',
                       'XDG_CACHE_HOME': str(home) + '/.cache', 'USER': 'tester', 'LOGNAME': 'tester'}
        environment.update(env or {})
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 50, 150, 0, 0))
        self.master = master
        self.process = subprocess.Popen(arguments, stdin=slave, stdout=slave, stderr=slave, env=environment,
                                        cwd=str(home), start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.screen = b''

    def _read(self, timeout):
        if select.select([self.master], [], [], timeout)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                data = b''
            self.screen += data
            return bool(data)
        return True

    def expect(self, text, timeout=TIMEOUT):
        """Waits until the text has been on the screen since the last keys."""
        text = text.encode() if isinstance(text, str) else text
        deadline = time.monotonic() + timeout
        while text not in self.screen:
            if time.monotonic() > deadline or not self._read(0.2):
                pytest.fail('%r is not on the screen: %r' % (text, self.screen[-3000:]))

    def keys(self, text):
        self.screen = b''
        os.write(self.master, text.encode() if isinstance(text, str) else text)

    def until(self, condition, timeout=TIMEOUT):
        """Feeds the program until the condition, asked again at each output, holds."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail('it does not happen; screen: %r' % self.screen[-3000:])
            self._read(0.05)

    def wait(self, timeout=TIMEOUT):
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                pytest.fail('the program does not end; screen: %r' % self.screen[-3000:])
            self._read(0.05)
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
