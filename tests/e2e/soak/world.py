"""What the processes of a soak run share: messages that can be made again from their name, and a journal.

A message's header X-Soak has its name and size; the rest follows from these, so that whoever reads it anywhere can
tell whether each octet is right. What happens is written to a journal, one file a process, one JSON list a line:

    ["L", when, command, seconds]               a command and how long it took
    ["+", when, user, name]                     stored: LMTP's or APPEND's OK has come
    ["-", when, user, name]                     about to be removed by a client
    ["P", when, user, name]                     an IDLE session has been told of it
    ["C", when, user, rows]                     a picture was compared, and the same
    ["B", when, user]                           not compared: it changed each time
    ["X", when, user]                           told that another client has removed a message
    ["E", when, who, text]                      an error

Times are those of the monotonic clock, which is the same for all processes of a machine.
"""
import base64
import json
import random
import re
import time

MAILBOXES = ('INBOX', 'Archive', 'Projects', 'Sent', 'Trash', 'Copies')
LIMITS = {'INBOX': 50, 'Archive': 20, 'Projects': 20, 'Sent': 12, 'Trash': 12, 'Copies': 15}
WORDS = ('meeting budget report invoice holiday weather garden project release server harbour swallow river '
         'mountain coffee letter station ticket concert recipe window bicycle library museum').split()
HEADER = re.compile(rb'X-Soak: (\S+) (\d+)\r\n')
PASSWORD = 'sesame'


def user_name(i):
    return 'soak%d' % i


class Journal:
    def __init__(self, path):
        self.file = open(path, 'a', buffering=1 << 16)
        self.flushed = 0.0

    def write(self, kind, *rest):
        now = time.monotonic()
        self.file.write(json.dumps((kind, round(now, 6)) + rest, separators=(',', ':')) + '\n')
        if kind == 'E' or now - self.flushed > 1:
            self.file.flush()
            self.flushed = now

    def close(self):
        self.file.close()


def pick_size(rng, big=0.01):
    """Most mail is small; some has pictures; a little is large."""
    dice = rng.random()
    if dice < big:
        return rng.randrange(1 << 20, 4 << 20)
    if dice < 0.10:
        return rng.randrange(50000, 300000)
    return rng.randrange(500, 15000)


def message(name, size):
    """The message of this name and (about) this size."""
    rng = random.Random(name)
    words = ' '.join(rng.choice(WORDS) for _ in range(40))
    head = ('From: %s %s <%s@example.org>\r\nTo: soak@example.org\r\nSubject: %s %s %d\r\nMessage-ID: <%s@soak.example>\r\n'
            'Date: Mon, %d Jan 2024 %02d:%02d:00 +0000\r\nX-Soak: %s %d\r\nMIME-Version: 1.0\r\n' % (
                rng.choice(WORDS).title(), rng.choice(WORDS).title(), rng.choice(WORDS), rng.choice(('Re:', 'On', 'The')),
                rng.choice(WORDS), rng.randrange(50), name, rng.randrange(1, 29), rng.randrange(24), rng.randrange(60),
                name, size))
    text = '%s\r\n\r\nThis is %s.\r\n' % (words, name)
    if size < 4000:
        fill = (words + '\r\n') * (size // (len(words) + 2))
        return (head + 'Content-Type: text/plain; charset=us-ascii\r\n\r\n' + text + fill).encode()
    attachment = base64.encodebytes(rng.randbytes(size * 3 // 4)).replace(b'\n', b'\r\n')
    return b''.join((
        head.encode(), b'Content-Type: multipart/mixed; boundary="soak"\r\n\r\n--soak\r\n'
        b'Content-Type: text/plain; charset=us-ascii\r\n\r\n', text.encode(), b'\r\n--soak\r\n'
        b'Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n'
        b'Content-Disposition: attachment; filename="data.bin"\r\n\r\n', attachment, b'\r\n--soak--\r\n'))


def name_of(text):
    """(name, size) from octets that have the header."""
    m = HEADER.search(text)
    assert m, 'a message that nobody has made: %r' % text[:300]
    return m.group(1).decode(), int(m.group(2))


def verify(octets):
    """A message as it was fetched is the one that was sent, with no more than trace headers on top."""
    name, size = name_of(octets[:4000])
    want = message(name, size)
    assert octets.endswith(want), '%s has changed: %d octets instead of %d' % (name, len(octets), len(want))
    return name
