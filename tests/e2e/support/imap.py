"""An IMAP client for tests: it sends exactly the bytes it is told and understands every answer.

It never sleeps; each wait has a deadline and ends with the event it waits for. Answers are parsed
strictly (RFC 9051 section 9): what the grammar does not allow raises ProtocolError. Beside that the
client follows the mailbox view of its session and raises ProtocolError for what no server may do:

- EXISTS never shrinks but by EXPUNGE (RFC 9051 section 7.4.1);
- EXPUNGE is not sent while FETCH, STORE or SEARCH is in progress, nor while no command is
  (section 7.5.1);
- no answer names a message beyond EXISTS, and a message number stands for the same UID until an
  EXPUNGE renumbers it (section 2.3.1.2).
"""
import os
import re
import select
import socket
import ssl
import time

SLOW = {'asan': 4.0, 'tsan': 8.0, 'debug': 2.0}.get(os.environ.get('MARTLET_BUILD_TYPE', ''), 1.0)
TIMEOUT = float(os.environ.get('MARTLET_TEST_TIMEOUT', 20)) * SLOW


class ProtocolError(AssertionError):
    """The server sent what the protocol does not allow."""


class Closed(AssertionError):
    """The server closed the connection."""


class Atom(str):
    """An atom, number or flag of an answer; strings are bytes, NIL is None, lists are lists."""

    def __repr__(self):
        return 'Atom(%s)' % str.__repr__(self)


class Lit:
    """A literal argument: synchronising unless plus; binary makes it a literal8 (section 9)."""

    def __init__(self, data, plus=False, binary=False):
        self.data = data.encode() if isinstance(data, str) else data
        self.plus = plus
        self.binary = binary

    def prefix(self):
        return (b'~' if self.binary else b'') + b'{%d%s}\r\n' % (len(self.data), b'+' if self.plus else b'')


def LitPlus(data, binary=False):
    return Lit(data, True, binary)


def q(text):
    """A quoted string."""
    if isinstance(text, str):
        text = text.encode()
    return b'"' + text.replace(b'\\', b'\\\\').replace(b'"', b'\\"') + b'"'


SECTION = re.compile(rb'(?:BODY|BINARY|BINARY\.SIZE|BODYPARTSTRUCTURE|AVAILABLECONVERSIONS)\[[^\[\]()" {]*(?: \((?:[^()"{]|"(?:[^"\\]|\\.)*")*\))?\](?:<\d+>)?',
                     re.I)
QUOTED = re.compile(rb'"((?:[^"\\\r\n\0]|\\["\\])*)"')
LITERAL = re.compile(rb'~?\{(\d+)\}\r\n')
ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){"]+')
LINE_LITERAL = re.compile(rb'~?\{(\d+)\}\r\n\Z')
CODE = re.compile(rb'\[([A-Za-z0-9_.\-]+)')


class Parser:
    """Parses one answer, literals inlined."""

    def __init__(self, raw, utf8=False):
        self.raw = raw
        self.pos = 0
        self.utf8 = utf8

    def fail(self, why):
        near = self.raw[max(0, self.pos - 60):self.pos + 60]
        raise ProtocolError('%s at %d near %r' % (why, self.pos, near))

    def peek(self):
        return self.raw[self.pos:self.pos + 1]

    def expect(self, what):
        if not self.raw.startswith(what, self.pos):
            self.fail('expected %r' % what)
        self.pos += len(what)

    def scalar(self):
        raw, pos = self.raw, self.pos
        first = raw[pos:pos + 1]
        if first == b'"':
            m = QUOTED.match(raw, pos)
            if not m:
                self.fail('bad quoted string')
            self.pos = m.end()
            text = m.group(1)
            if not text.isascii():
                if not self.utf8:
                    self.fail('8-bit octets in a quoted string')
                text.decode('utf-8')
            return re.sub(rb'\\(.)', rb'\1', text) if b'\\' in text else text
        if first in (b'{', b'~'):
            m = LITERAL.match(raw, pos)
            if m:
                n = int(m.group(1))
                self.pos = m.end() + n
                data = raw[m.end():self.pos]
                if len(data) != n:
                    self.fail('short literal')
                if first == b'{' and b'\0' in data:
                    self.fail('NUL in a literal (only literal8 may hold one)')
                return data
        m = SECTION.match(raw, pos) or ATOM.match(raw, pos)
        if not m:
            self.fail('expected a value')
        self.pos = m.end()
        text = m.group().decode()
        return None if text.upper() == 'NIL' else Atom(text)

    def value(self):
        """One value; lists are walked without recursion, as nesting comes from outside."""
        stack = []
        while True:
            if self.peek() == b'(':
                self.pos += 1
                stack.append([])
                if self.peek() != b')':
                    continue
                item = None
            else:
                item = self.scalar()
                if not stack:
                    return item
                stack[-1].append(item)
            # after an item, or at the end of an empty list
            while True:
                c = self.peek()
                if c == b')':
                    self.pos += 1
                    done = stack.pop()
                    if not stack:
                        return done
                    stack[-1].append(done)
                elif c == b' ' and stack[-1]:
                    self.pos += 1
                    break
                elif c == b'(' and self.raw[self.pos - 1:self.pos] == b')':
                    break  # 1*body, 1*address: nothing in between
                else:
                    self.fail('bad list')

    def values(self):
        """SP value ... CRLF"""
        out = []
        while not self.raw.startswith(b'\r\n', self.pos):
            self.expect(b' ')
            out.append(self.value())
        self.expect(b'\r\n')
        if self.pos != len(self.raw):
            self.fail('more than one line')
        return out


STATUS_KINDS = ('OK', 'NO', 'BAD', 'BYE', 'PREAUTH')
NUMBERED = ('EXISTS', 'RECENT', 'EXPUNGE', 'FETCH', 'UIDFETCH', 'CONVERTED')
TEXT = re.compile(rb'[^\r\n\0]+\Z')


class Response:
    """One answer. kind: OK NO BAD BYE PREAUTH, + , or the name of the data; tag '*', '+' or a tag."""

    def __init__(self, raw, utf8=False):
        self.raw = raw
        self.code = None
        self.code_args = []
        self.code_text = None
        self.text = None
        self.num = None
        self.data = []
        p = Parser(raw, utf8)
        if raw.startswith(b'+'):
            self.tag = self.kind = '+'
            if not raw.startswith(b'+ '):
                p.fail('continuation without a space')
            self.text = raw[2:-2]
            return
        m = re.match(rb'(\*|[^\x00-\x20\x7f-\xff(){%*"\\+]+) ', raw)
        if not m:
            p.fail('no tag')
        self.tag = m.group(1).decode()
        p.pos = m.end()
        m = re.compile(rb'(\d+) ').match(raw, p.pos)
        if m and self.tag == '*':
            self.num = int(m.group(1))
            p.pos = m.end()
        m = re.compile(rb'[A-Za-z0-9\-_.]+').match(raw, p.pos)
        if not m:
            p.fail('no name of an answer')
        self.kind = m.group().decode().upper()
        p.pos = m.end()
        if self.tag != '*' and self.kind not in ('OK', 'NO', 'BAD'):
            p.fail('not a tagged answer')
        if (self.num is not None) != (self.kind in NUMBERED):
            p.fail('number where none belongs, or none where one does')
        if self.kind in STATUS_KINDS:
            self._status(p)
        elif self.kind == 'THREAD':
            self.data = raw[p.pos:-2].decode('ascii')  # lists without spaces between them (RFC 5256 section 4)
        else:
            self.data = p.values()

    def _status(self, p):
        p.expect(b' ')
        rest = self.raw[p.pos:-2]
        if rest.startswith(b'['):
            m = CODE.match(rest)
            if not m:
                p.fail('bad response code')
            self.code = m.group(1).decode().upper()
            p.pos += m.end()
            start = p.pos
            while not self.raw.startswith(b']', p.pos):
                p.expect(b' ')
                if p.peek() in b'("~{':
                    self.code_args.append(p.value())
                else:
                    m = re.compile(rb'[^\]\r\n ]+').match(self.raw, p.pos)
                    if not m:
                        p.fail('bad response code')
                    p.pos = m.end()
                    self.code_args.append(Atom(m.group().decode()))
            self.code_text = self.raw[start:p.pos].decode().strip()
            p.pos += 1
            p.expect(b' ')
            rest = self.raw[p.pos:-2]
        if not TEXT.match(rest):
            p.fail('a status answer needs a text')
        self.text = rest.decode('utf-8')

    def __repr__(self):
        return '<%s>' % (self.raw[:300].decode('utf-8', 'replace').rstrip())

    def items(self):
        """FETCH: items by name in capitals. STATUS and others: pairs of a list."""
        pairs = self.data[-1]
        if len(pairs) % 2:
            raise ProtocolError('odd number of items: %r' % self)
        out = {}
        for name, value in zip(pairs[::2], pairs[1::2]):
            name = name.upper()
            if name in out:
                raise ProtocolError('item %s twice: %r' % (name, self))
            out[name] = value
        return out

    def esearch(self):
        """ESEARCH: (tag or None, uid, {name: value})"""
        if self.kind != 'ESEARCH':
            raise ProtocolError('not ESEARCH: %r' % self)
        data = list(self.data)
        tag, uid = None, False
        if data and isinstance(data[0], list):
            given = data.pop(0)
            correlators = {n.upper(): v for n, v in zip(given[::2], given[1::2])}
            if 2 * len(correlators) != len(given) or set(correlators) - {'TAG', 'MAILBOX', 'UIDVALIDITY'}:
                raise ProtocolError('bad correlator: %r' % self)
            tag = correlators['TAG'].decode()
        if data and isinstance(data[0], Atom) and data[0].upper() == 'UID':
            uid = True
            data.pop(0)
        return tag, uid, {n.upper(): v for n, v in zip(data[::2], data[1::2])}


class Result:
    """The tagged answer of a command with the untagged ones that came before it."""

    def __init__(self, tagged, untagged):
        self.tagged = tagged
        self.untagged = untagged
        self.status = tagged.kind
        self.code = tagged.code
        self.code_args = tagged.code_args
        self.text = tagged.text

    def __repr__(self):
        return '%r after %r' % (self.tagged, self.untagged[:20])

    def all(self, kind):
        return [r for r in self.untagged if r.kind == kind]

    def one(self, kind):
        found = self.all(kind)
        if len(found) != 1:
            raise ProtocolError('%d answers %s: %r' % (len(found), kind, self))
        return found[0]

    def none(self, kind):
        if self.all(kind):
            raise ProtocolError('unexpected %s: %r' % (kind, self))

    def codes(self):
        """Response codes of untagged OKs (SELECT): name -> Response"""
        return {r.code: r for r in self.untagged if r.kind == 'OK' and r.code}

    def fetch(self):
        """number -> items, answers for the same message merged"""
        out = {}
        for r in self.all('FETCH'):
            out.setdefault(r.num, {}).update(r.items())
        return out

    def uidfetch(self):
        """UID -> items, all UIDFETCH answers for a message taken together (RFC 9586)."""
        out = {}
        for r in self.all('UIDFETCH'):
            out.setdefault(r.num, {}).update(r.items())
        return out

    def search(self):
        """Numbers of SEARCH, or of ESEARCH's ALL."""
        found = self.all('SEARCH')
        if found:
            if len(found) > 1 or self.all('ESEARCH'):
                raise ProtocolError('several SEARCH answers: %r' % self)
            return [int(n) for n in found[0].data if not isinstance(n, list)]
        return expand(self.one('ESEARCH').esearch()[2].get('ALL'))

    def vanished(self, earlier=False):
        """UIDs of VANISHED, or of VANISHED (EARLIER) (RFC 7162 section 3.2.10)."""
        return [uid for r in self.all('VANISHED') if (r.data[0] == ['EARLIER']) == earlier
                for uid in expand(r.data[-1])]

    def expunged(self):
        return [r.num for r in self.all('EXPUNGE')]

    def names(self, kind='LIST'):
        return [name(r.data[2]) for r in self.all(kind)]


def name(value):
    """A mailbox name of an answer as bytes."""
    if value is None:
        return b'NIL'
    return value.encode() if isinstance(value, str) else value


def expand(text):
    """A sequence set of an answer as a list of numbers."""
    out = []
    for part in (text or '').split(','):
        if ':' in part:
            a, b = map(int, part.split(':'))
            out.extend(range(min(a, b), max(a, b) + 1))
        elif part:
            out.append(int(part))
    return out


def flags(value):
    return {f.lower() for f in value}


class Imap:
    """One connection."""

    def __init__(self, host, port, tls=False, timeout=TIMEOUT, greeting=True, rcvbuf=None):
        self.timeout = timeout
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        self.sock.connect((host, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self._wrap()
        self.buf = bytearray()
        self.next_tag = 0
        self.prefix = 'a'
        self.log = []  # every answer, in order
        self.pending = []  # untagged answers not yet given to a Result
        self.running = {}  # tag -> command name
        self.tagged = {}  # tag -> Response not yet asked for
        self.utf8 = False  # after ENABLE IMAP4rev2
        self.check_view = True
        self.uids = None  # of the selected mailbox by number; None: unknown
        self.greeting = self.read() if greeting else None
        self.pending.clear()

    def _wrap(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock)

    def starttls(self):
        r = self.ok('STARTTLS')
        if self.buf:
            raise ProtocolError('bytes after the answer to STARTTLS')
        self._wrap()
        return r

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()

    # -- bytes

    def send(self, data, timeout=None):
        """Send raw bytes, in one call where the kernel takes them."""
        if isinstance(data, str):
            data = data.encode()
        self.sock.settimeout(timeout or self.timeout)
        self.sock.sendall(data)

    def _fill(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError('nothing from the server in time; last answers: %r, buffered %r'
                               % (self.log[-3:], bytes(self.buf[:200])))
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(1 << 20)
        except (socket.timeout, ssl.SSLWantReadError):
            return
        except ConnectionError as e:
            raise Closed('%s; last answers: %r' % (e, self.log[-3:]))
        if not data:
            raise Closed('server closed; last answers: %r' % self.log[-3:])
        self.buf += data

    def readable(self, timeout=0.0):
        """Whether an answer (or the end) is there now."""
        if self.buf:
            return True
        pending = getattr(self.sock, 'pending', None)  # TLS, also below compression
        if pending and pending():
            return True
        return bool(select.select([self.sock], [], [], timeout)[0])

    def _frame(self, deadline):
        start = 0
        while True:
            end = self.buf.find(b'\n', start)
            if end < 0:
                start = max(start, len(self.buf))
                self._fill(deadline)
                continue
            if end == 0 or self.buf[end - 1:end] != b'\r':
                raise ProtocolError('bare LF in an answer: %r' % bytes(self.buf[:end + 1][-200:]))
            line_start = self.line_start
            m = LINE_LITERAL.search(self.buf, max(line_start, end - 16), end + 1)
            if not m:
                raw = bytes(self.buf[:end + 1])
                del self.buf[:end + 1]
                return raw
            need = end + 1 + int(m.group(1))
            while len(self.buf) < need:
                self._fill(deadline)
            start = self.line_start = need

    def read(self, timeout=None):
        """The next answer of any kind."""
        deadline = time.monotonic() + (timeout or self.timeout)
        self.line_start = 0
        r = Response(self._frame(deadline), self.utf8)
        self.log.append(r)
        if r.tag == '*':
            if self.check_view:
                self._follow(r)
            self.pending.append(r)
        elif r.tag != '+':
            self._tagged(r)
        return r

    def closed(self, timeout=None):
        """Reads until the server closes; returns the untagged answers on the way."""
        seen = []
        try:
            while True:
                seen.append(self.read(timeout))
        except Closed:
            return seen

    # -- the view

    def _tagged(self, r):
        if r.tag in self.tagged:
            raise ProtocolError('second tagged answer: %r' % r)
        command = self.running.pop(r.tag, None)
        self.tagged[r.tag] = r
        if command in ('SELECT', 'EXAMINE'):
            if r.kind == 'OK' and self.uids is None:
                self.uids = []
            elif r.kind == 'NO':
                self.uids = None
        elif command in ('CLOSE', 'UNSELECT') and r.kind == 'OK':
            self.uids = None

    def _follow(self, r):
        running = set(self.running.values())
        selecting = running & {'SELECT', 'EXAMINE', None}
        if r.kind == 'OK' and r.code == 'CLOSED':
            self.uids = None
        elif r.kind == 'EXISTS':
            if selecting or self.uids is None:
                self.uids = [None] * r.num
            elif r.num < len(self.uids):
                raise ProtocolError('EXISTS shrinks from %d: %r' % (len(self.uids), r))
            else:
                self.uids += [None] * (r.num - len(self.uids))
        elif r.kind == 'EXPUNGE':
            if not running:
                raise ProtocolError('EXPUNGE while no command is in progress: %r' % r)
            bad = running & {'FETCH', 'STORE', 'SEARCH'}
            if bad and len(running) == 1:
                raise ProtocolError('EXPUNGE during %s: %r' % (bad, r))
            if self.uids is not None:
                if not 1 <= r.num <= len(self.uids):
                    raise ProtocolError('EXPUNGE beyond EXISTS %d: %r' % (len(self.uids), r))
                del self.uids[r.num - 1]
        elif r.kind == 'VANISHED' and r.data[0] != ['EARLIER']:
            bad = running & {'FETCH', 'STORE', 'SEARCH'}
            if not running or bad and len(running) == 1:
                raise ProtocolError('VANISHED during %s: %r' % (bad, r))
            if self.uids is not None:
                for uid in expand(r.data[0]):
                    self._vanish(uid, r)
        elif r.kind == 'FETCH' and self.uids is not None and not selecting:
            if not 1 <= r.num <= len(self.uids):
                raise ProtocolError('FETCH beyond EXISTS %d: %r' % (len(self.uids), r))
            uid = r.items().get('UID')
            if uid is not None:
                known = self.uids[r.num - 1]
                if known is not None and known != int(uid):
                    raise ProtocolError('message %d was UID %d: %r' % (r.num, known, r))
                self.uids[r.num - 1] = int(uid)

    def _vanish(self, uid, r):
        """Forgets a message whose number may not be known."""
        if uid in self.uids:
            self.uids.remove(uid)
            return
        after = next((i for i, u in enumerate(self.uids) if u is not None and u > uid), len(self.uids))
        if after == 0 or self.uids[after - 1] is not None:
            raise ProtocolError('UID %d vanishes, but is not there: %r' % (uid, r))
        del self.uids[after - 1]

    # -- commands

    def tag(self):
        self.next_tag += 1
        return '%s%d' % (self.prefix, self.next_tag)

    @staticmethod
    def _command_name(first):
        if isinstance(first, Lit):
            return None
        words = (first if isinstance(first, str) else first.decode('utf-8', 'replace')).upper().split()
        if words and words[0] == 'UID' and len(words) > 1:
            return 'UID ' + words[1]
        return words[0] if words else None

    def start(self, *parts):
        """Send one command (str, bytes, Lit) without waiting for its end; returns its tag."""
        tag = self.tag()
        self.running[tag] = self._command_name(parts[0])
        out = bytearray(tag.encode() + b' ')
        for part in parts:
            if isinstance(part, Lit):
                out += part.prefix()
                if not part.plus:
                    self.send(out)
                    out = bytearray()
                    if not self.continuation(tag):
                        return tag
                out += part.data
            else:
                out += part.encode() if isinstance(part, str) else part
        self.send(out + b'\r\n')
        return tag

    def continuation(self, tag=None, timeout=None):
        """Wait for '+'; None if the command was answered instead."""
        while True:
            r = self.read(timeout)
            if r.tag == '+':
                return r
            if tag and r.tag == tag:
                return None

    def wait(self, tag, timeout=None):
        while tag not in self.tagged:
            r = self.read(timeout)
            if r.kind == 'BYE' and self.running.get(tag) != 'LOGOUT':
                raise Closed('%r' % r)
        untagged, self.pending = self.pending, []
        return Result(self.tagged.pop(tag), untagged)

    def cmd(self, *parts, timeout=None):
        return self.wait(self.start(*parts), timeout)

    def _must(self, status, parts, timeout=None, code=None):
        r = self.cmd(*parts, timeout=timeout)
        if r.status != status:
            raise AssertionError('%r: expected %s, got %r' % (parts, status, r))
        if code is not None and r.code != code:
            raise AssertionError('%r: expected [%s], got %r' % (parts, code, r))
        return r

    def ok(self, *parts, timeout=None):
        return self._must('OK', parts, timeout)

    def no(self, *parts, code=None):
        return self._must('NO', parts, code=code)

    def bad(self, *parts):
        return self._must('BAD', parts)

    def pipeline(self, *commands):
        """Several commands (str or bytes, no synchronising literals) in one segment; their tags."""
        out = bytearray()
        tags = []
        for command in commands:
            tag = self.tag()
            tags.append(tag)
            self.running[tag] = self._command_name(command)
            out += tag.encode() + b' ' + (command.encode() if isinstance(command, str) else command) + b'\r\n'
        self.send(out)
        return tags

    def until(self, predicate, timeout=None):
        """Read until an untagged answer fits, those already read included; returns it."""
        for i, r in enumerate(self.pending):
            if predicate(r):
                del self.pending[:i + 1]
                return r
        while True:
            r = self.read(timeout)
            if predicate(r):
                if r.tag == '*':
                    self.pending.clear()
                return r

    # -- frequent sequences

    def login(self, user, password):
        return self.ok(b'LOGIN ' + q(user) + b' ' + q(password))

    def select(self, mailbox='INBOX', command='SELECT'):
        return self.ok(command.encode() + b' ' + (mailbox if isinstance(mailbox, bytes) else q(mailbox)))

    def append(self, mailbox, message, arguments='', plus=True):
        """APPEND; returns the UID from APPENDUID."""
        if isinstance(message, str):
            message = message.encode()
        extra = (arguments + ' ').encode() if arguments else b''
        r = self.ok(b'APPEND ' + q(mailbox) + b' ' + extra, Lit(message, plus))
        assert r.code == 'APPENDUID', r
        return int(r.code_args[1])

    def enable_rev2(self):
        r = self.ok('ENABLE IMAP4rev2')
        assert [d.upper() for d in r.one('ENABLED').data] == ['IMAP4REV2'], r
        self.utf8 = True
        return r

    def idle(self):
        tag = self.start('IDLE')
        assert self.continuation(tag), 'IDLE refused'
        return tag

    def done(self, tag):
        self.send(b'DONE\r\n')
        return self.wait(tag)

    def noop(self):
        return self.ok('NOOP')

    def uid_list(self):
        r = self.ok('UID SEARCH ALL')
        return r.search()

    def flags_of(self, uid):
        items = [i for i in self.ok('UID FETCH %d FLAGS' % uid).fetch().values() if int(i['UID']) == uid]
        assert len(items) == 1, items
        return flags(items[0]['FLAGS'])
