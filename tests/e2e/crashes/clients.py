"""The clients of a crash run: each changes mailboxes of its own, in its account and in another one that is shared with
it, and knows what was acknowledged. When its connection breaks it connects again and compares (see record.py).
"""
import base64
import random
import threading
import time

from crashes.record import MARKER, Box, State, Violation, compare, digest
from support.imap import SLOW, TIMEOUT, Closed, Lit, LitPlus, ProtocolError, expand, flags as lower, q
from support.lmtp import Lmtp
from support.server import PASSWORD

FLAGS = ('\\Flagged', '\\Answered', '\\Draft', '\\Seen', '$work', '$later')
PAUSE = 0.02
AWAY = 60 * SLOW  # so long a process may be away, or a move in both places
MAX = 40  # messages of a mailbox
FINDERS = ('lookup', 'everybody')
RIGHTS = ('lr', 'lrs', 'lrswi', 'lrswipkxte')
BROKEN = (Closed, OSError)
LATER = ('UNAVAILABLE', 'INUSE', 'SERVERBUG')


class Again(Exception):
    """The server asks for patience."""


def connect(server, user, tls, give_up):
    """A session, as soon as there can be one."""
    while True:
        try:
            c = server.connect(tls=tls)
            if c.cmd('LOGIN %s %s' % (user, PASSWORD)).status == 'OK':
                return c
            c.close()
        except BROKEN:
            pass
        if time.monotonic() > give_up:
            raise Violation('%s cannot log in' % user)
        time.sleep(PAUSE)


class Client(threading.Thread):
    def __init__(self, run, number, accounts):
        super().__init__(daemon=True, name='client%d' % number)
        self.run_, self.number = run, number
        self.user, self.owner = accounts[number % len(accounts)], accounts[(number + 1) % len(accounts)]
        self.tree = 'w%d' % number
        self.away = 'Other Users/%s/%s' % (self.owner, self.tree)
        self.random = random.Random('%s %d' % (run.seed, number))
        self.sets_quota = number < len(accounts)
        self.state, self.maybe, self.moving = State(), None, None
        self.stopping = False
        self.trouble = None
        self.made = 0
        self.done = self.acknowledged = self.connects = self.whole = self.none = self.refused = 0
        self.longest = 0.0
        self.kinds = {}
        self.c = None

    # -- connections

    def reconnect(self):
        if self.c:
            self.c.close()
        began = time.monotonic()
        self.c = connect(self.run_.server, self.user, self.random.random() < 0.5, began + AWAY)
        self.longest = max(self.longest, time.monotonic() - began)
        self.connects += 1

    def prepare(self):
        """Before anything is killed."""
        with connect(self.run_.server, self.owner, False, time.monotonic() + AWAY) as o:
            for name in (self.tree, self.tree + '/a'):
                o.ok('CREATE ' + name)
                o.ok('SETACL %s %s lrswipkxtea' % (name, self.user))
        self.reconnect()
        self.c.ok('CREATE ' + self.tree)
        for name in ('/a', '/b', '/lmtp'):
            self.c.ok('CREATE ' + self.tree + name)
        self.state = self.look()
        self.settle()

    # -- looking

    def want(self, *parts):
        r = self.c.cmd(*parts)
        if r.status == 'NO' and r.code in LATER:
            raise Again('%r: %r' % (parts, r.tagged))
        if r.status != 'OK':
            raise Violation('%r: %r' % (parts, r))
        return r

    def look(self):
        """The State that the server shows."""
        state = State()
        for root in (self.tree, self.away):
            names = sorted(n.decode() for n in self.want('LIST "" ("%s" "%s/*")' % (root, root)).names())
            for name in names:
                state.boxes[name] = self.look_at(name)
        if self.sets_quota:
            r = self.want('GETQUOTAROOT ', q(self.tree + '/a'))
            limits = r.all('QUOTA')[0].data[1] or []
            state.quota = {str(limits[i]): int(limits[i + 2]) for i in range(0, len(limits), 3)}.get('MESSAGE')
        return state

    def look_at(self, name):
        box = Box()
        r = self.want(b'EXAMINE ' + q(name), ' (CONDSTORE)')
        codes = r.codes()
        box.validity = int(codes['UIDVALIDITY'].code_args[0])
        box.uidnext = int(codes['UIDNEXT'].code_args[0])
        box.id = str(codes['MAILBOXID'].code_args[0][0])
        self.run_.ledger.mailbox(self.user, name, box.validity, box.id, box.uidnext,
                                 int(codes['HIGHESTMODSEQ'].code_args[0]))
        if self.c.uids is None or self.c.uids:
            r = self.want('UID FETCH 1:* (UID FLAGS MODSEQ BODY.PEEK[])')
            for items in r.fetch().values():
                uid, marks = int(items['UID']), frozenset(lower(items['FLAGS']) - {'\\recent'})
                text, at = digest(items['BODY[]'])
                if at and '/lmtp' not in name:
                    raise Violation('%s: UID %d does not begin as it did' % (name, uid))
                self.run_.ledger.message(box.id, uid, int(items['MODSEQ'][0]), marks, text)
                box.messages[uid] = (text, marks)
        # Without what RFC 4314 section 2.1.1 has for clients of RFC 2086.
        pairs = self.want(b'GETACL ' + q(name)).one('ACL').data[1:]
        pairs = [x.decode() if isinstance(x, bytes) else str(x) for x in pairs]
        box.rights = {k: ''.join(sorted(set(v) - {'c', 'd'})) for k, v in zip(pairs[::2], pairs[1::2]) if k in FINDERS}
        for x in self.want(b'GETMETADATA ' + q(name), ' (/shared/comment)').all('METADATA'):
            box.notes = {str(k): v for k, v in zip(x.data[1][::2], x.data[1][1::2]) if v is not None}
        return box

    def settle(self):
        """After a break: all that was acknowledged, and what was under way as a whole or not at all."""
        deadline = time.monotonic() + AWAY
        while True:
            try:
                seen = self.look()
                problem = compare(self.state, seen)
                if problem is None:
                    self.none += self.maybe is not None
                elif self.maybe is not None:
                    second = compare(self.maybe, seen)
                    if second is None:
                        self.whole += 1
                        problem = None
                    elif self.moving is not None and compare(self.moving, seen) is None and time.monotonic() < deadline:
                        raise Again('a move is in both places')
                    else:
                        problem = 'before: %s; after: %s' % (problem, second)
                if problem:
                    raise Violation('%s after %s: %s' % (self.name, self.kind, problem))
                self.state, self.maybe, self.moving = seen, None, None
                return
            except Again as e:
                if time.monotonic() > deadline:
                    raise Violation('%s after %s: still %s' % (self.name, self.kind, e))
                time.sleep(PAUSE)
            except BROKEN:
                self.reconnect()

    # -- changing

    kind = 'start'

    def change(self, after, *parts, moving=None):
        """Sends a command of which `after` is the result; its answer, or None if it is refused."""
        self.maybe, self.moving = after, moving
        r = self.c.cmd(*parts)
        if r.status == 'OK':
            self.state, self.maybe, self.moving = after, None, None
            self.acknowledged += 1
            self.kinds[self.kind] = self.kinds.get(self.kind, 0) + 1
            return r
        if r.status != 'NO' or r.code not in LATER:
            raise Violation('%r: %r' % (parts[0], r))
        self.refused += 1
        self.maybe, self.moving = None, None  # refused: nothing of it may be there
        self.settle()
        return None

    def message(self, big=False):
        self.made += 1
        size = 1300000 if big else self.random.choice((200, 2000, 12000))
        line = bytes(self.random.choices(b'abcdefghijklmnopqrstuvwxyz ', k=60)) + b'\r\n'
        mail = MARKER + b'%s-%d\r\nSubject: crash %d\r\n\r\n%s' % (
            self.tree.encode(), self.made, self.made, line * (self.random.randrange(1, size) // len(line) + 1))
        return mail

    def boxes(self, away=None, filled=False):
        found = [n for n, b in self.state.boxes.items() if n not in (self.tree, self.away) and '/lmtp' not in n
                 and (away is None or n.startswith(self.away) == away) and (not filled or b.messages)]
        return sorted(found)

    def pick(self, **how):
        names = self.boxes(**how)
        return self.random.choice(names) if names else None

    def marks(self):
        return frozenset(f.lower() for f in self.random.sample(FLAGS, self.random.randrange(3)))

    def uids(self, name):
        uids = sorted(self.state.boxes[name].messages)
        return sorted(self.random.sample(uids, self.random.randrange(1, min(len(uids), 6) + 1)))

    def select(self, name):
        self.want(b'SELECT ' + q(name))

    def do_append(self, count=1, big=False):
        name = self.pick()
        after = self.state.copy()
        box = after.boxes[name]
        parts = [b'APPEND ' + q(name)]
        for _ in range(count):
            mail, marks = self.message(big), self.marks()
            box.new.append((digest(mail)[0], marks))
            parts += [' (%s) ' % ' '.join(sorted(marks)), (Lit if self.random.random() < 0.2 else LitPlus)(mail)]
        r = self.change(after, *parts)
        if r:
            if r.code != 'APPENDUID' or int(r.code_args[0]) != (box.validity or int(r.code_args[0])):
                raise Violation('APPEND: %r' % r)
            box.assign(expand(r.code_args[1]))

    def do_multiappend(self):
        self.do_append(self.random.randrange(2, 6))

    def do_big(self):
        self.do_append(big=True)

    def do_store(self):
        name = self.pick(filled=True)
        if not name:
            return
        self.select(name)
        uids, marks = self.uids(name), self.marks()
        sign = self.random.choice(('+', '-', ''))
        after = self.state.copy()
        messages = after.boxes[name].messages
        for u in uids:
            text, old = messages[u]
            messages[u] = (text, old | marks if sign == '+' else old - marks if sign == '-' else marks)
        self.change(after, 'UID STORE %s %sFLAGS (%s)' % (','.join(map(str, uids)), sign, ' '.join(sorted(marks))))

    def transfer(self, command, source_away=None, target_away=None):
        source, target = self.pick(away=source_away, filled=True), self.pick(away=target_away)
        if not source or source == target:
            return
        self.select(source)
        uids = self.uids(source)
        after = self.state.copy()
        a, b = after.boxes[source], after.boxes[target]
        b.new = [a.messages[u] for u in uids]
        both = None
        if command == 'MOVE':
            if source_away != target_away:
                both = after.copy()
            for u in uids:
                del a.messages[u]
        r = self.change(after, 'UID %s %s ' % (command, ','.join(map(str, uids))), q(target), moving=both)
        if r:
            codes = [x for x in r.untagged + [r.tagged] if x.code == 'COPYUID']
            moved = {}
            for x in codes:
                if int(x.code_args[0]) != (b.validity or int(x.code_args[0])):
                    raise Violation('%s: UIDVALIDITY %r, not %d' % (command, x, b.validity))
                moved.update(zip(expand(x.code_args[1]), expand(x.code_args[2])))
            if sorted(moved) != uids:
                raise Violation('%s %r: %r' % (command, uids, codes))
            b.assign([moved[u] for u in uids])

    def do_copy(self):
        away = self.random.random() < 0.3
        self.transfer('COPY', away, away)

    def do_move(self):
        away = self.random.random() < 0.3
        self.transfer('MOVE', away, away)

    def do_copy_across(self):
        away = self.random.random() < 0.5
        self.transfer('COPY', away, not away)

    def do_move_across(self):
        away = self.random.random() < 0.5
        self.transfer('MOVE', away, not away)

    def do_expunge(self, least=1):
        name = max(self.state.boxes, key=lambda n: len(self.state.boxes[n].messages))
        if len(self.state.boxes[name].messages) < least:
            return
        self.select(name)
        uids = sorted(self.state.boxes[name].messages)[:max(1, least // 2)]
        text = ','.join(map(str, uids))
        after = self.state.copy()
        messages = after.boxes[name].messages
        for u in uids:
            messages[u] = (messages[u][0], messages[u][1] | {'\\deleted'})
        if self.change(after, 'UID STORE %s +FLAGS.SILENT (\\Deleted)' % text):
            after = self.state.copy()
            for u in uids:
                del after.boxes[name].messages[u]
            self.change(after, 'UID EXPUNGE ' + text)

    def do_replace(self):
        source = self.pick(filled=True)
        if not source:
            return
        away = source.startswith(self.away)
        target = source if self.random.random() < 0.6 else self.pick(away=away)
        self.select(source)
        uid = self.uids(source)[0]
        mail, marks = self.message(), self.marks()
        after = self.state.copy()
        del after.boxes[source].messages[uid]
        box = after.boxes[target]
        box.new = [(digest(mail)[0], marks)]
        r = self.change(after, 'UID REPLACE %d ' % uid, q(target), ' (%s) ' % ' '.join(sorted(marks)), LitPlus(mail))
        if r:
            code, = [x for x in r.untagged + [r.tagged] if x.code == 'APPENDUID']
            box.assign(expand(code.code_args[1]))

    def spare(self):
        """Mailboxes that may be deleted and renamed."""
        return sorted(n for n in self.state.boxes if '/x' in n)

    def do_create(self):
        if len(self.spare()) > 3:
            return
        self.made += 1
        root = self.random.choice((self.tree, self.away))
        name = '%s/x%d' % (root, self.random.randrange(5))  # names come back, with other UIDVALIDITYs
        if name in self.state.boxes:
            return
        after = self.state.copy()
        box = after.boxes[name] = Box(after.boxes[root])
        r = self.change(after, b'CREATE ' + q(name))
        if r and r.code == 'MAILBOXID':
            box.id = str(r.code_args[0][0])

    def do_delete(self):
        names = self.spare()
        if not names:
            return
        name = self.random.choice(names)
        after = self.state.copy()
        del after.boxes[name]
        self.change(after, b'DELETE ' + q(name))

    def do_rename(self):
        names = self.spare()
        if not names:
            return
        name = self.random.choice(names)
        target = '%s/x%d' % (name.rsplit('/', 1)[0], self.random.randrange(5))
        if target in self.state.boxes:
            return
        after = self.state.copy()
        after.boxes[target] = after.boxes.pop(name)
        self.change(after, b'RENAME ' + q(name) + b' ' + q(target))

    def do_setacl(self):
        name, who, rights = self.pick(), self.random.choice(FINDERS), self.random.choice(RIGHTS)
        after = self.state.copy()
        if who in self.state.boxes[name].rights and self.random.random() < 0.4:
            del after.boxes[name].rights[who]
            self.change(after, b'DELETEACL ' + q(name), ' ' + who)
        else:
            after.boxes[name].rights[who] = ''.join(sorted(rights))
            self.change(after, b'SETACL ' + q(name), ' %s %s' % (who, rights))

    def do_setmetadata(self):
        name = self.pick()
        after = self.state.copy()
        if self.state.boxes[name].notes and self.random.random() < 0.3:
            after.boxes[name].notes = {}
            self.change(after, b'SETMETADATA ' + q(name), ' (/shared/comment NIL)')
        else:
            value = b'%d ' % self.made + bytes(self.random.choices(b'abcdef', k=self.random.randrange(1500)))
            after.boxes[name].notes = {'/shared/comment': value}
            self.change(after, b'SETMETADATA ' + q(name), ' (/shared/comment ', LitPlus(value), ')')

    def do_setquota(self):
        """By an administrator, in a session of its own; the limit is the account's, so one client of it does this."""
        if not self.sets_quota:
            return
        limit = self.random.randrange(5000, 9000)
        after = self.state.copy()
        after.quota = limit
        admin = self.run_.server.connect(tls=True)
        mine = self.c
        try:
            word = base64.b64encode(('%s\0admin\0%s' % (self.user, PASSWORD)).encode()).decode()
            if admin.cmd('AUTHENTICATE PLAIN ', word).status != 'OK':
                return
            self.c = admin
            self.change(after, 'SETQUOTA %s (MESSAGE %d)' % (self.user, limit))
        finally:
            admin.close()
            self.c = mine

    def do_deliver(self):
        """LMTP; what was not confirmed is sent again, as an MTA does, and must be there once."""
        name = self.tree + '/lmtp'
        mail = self.message()
        after = self.state.copy()
        after.boxes[name].new = [(digest(mail)[0], frozenset())]
        self.maybe = after
        deadline = time.monotonic() + AWAY
        while True:
            try:
                lmtp = Lmtp(self.run_.server.host, self.run_.server.lmtp)
                try:
                    lmtp.lhlo()
                    got = lmtp.deliver('sender@example.org', ['%s+%s.lmtp@example.org' % (self.user, self.tree)], mail)
                finally:
                    lmtp.close()
                if got == ([250], [250]):
                    break
            except (OSError, AssertionError):
                pass  # cut off, or told to come again
            if time.monotonic() > deadline:
                raise Violation('%s: no delivery' % self.name)
            time.sleep(PAUSE)
        self.state, self.maybe = after, None
        self.acknowledged += 1
        self.kinds[self.kind] = self.kinds.get(self.kind, 0) + 1
        self.settle()

    KINDS = [('append', 8), ('multiappend', 6), ('big', 0.4), ('store', 12), ('copy', 4), ('move', 4), ('copy_across', 4),
             ('move_across', 6), ('expunge', 4), ('replace', 6), ('create', 3), ('delete', 2), ('rename', 3), ('setacl', 2),
             ('setmetadata', 3), ('setquota', 2), ('deliver', 4)]

    def step(self):
        self.kind, = self.random.choices([k for k, _ in self.KINDS], [w for _, w in self.KINDS])
        if any(len(b.messages) > MAX for b in self.state.boxes.values()):
            self.kind = 'expunge'
            self.do_expunge(MAX)
        else:
            getattr(self, 'do_' + self.kind)()
        self.done += 1

    def run(self):
        try:
            while not self.stopping:
                try:
                    self.step()
                except Again:
                    time.sleep(PAUSE)
                except BROKEN:
                    self.reconnect()
                    self.settle()
            self.settle()
        except BaseException as e:
            self.trouble = e
            self.run_.failed.set()


class Observer(threading.Thread):
    """Another session of an account, which looks all the time and enters what it is shown into the ledger."""

    def __init__(self, run, user, trees):
        super().__init__(daemon=True, name='observer of ' + user)
        self.run_, self.user, self.trees = run, user, trees
        self.random = random.Random(user)
        self.stopping, self.trouble = False, None

    def look(self, c):
        name = self.random.choice(self.trees) + '/' + self.random.choice('ab')
        r = c.cmd('EXAMINE %s (CONDSTORE)' % name)
        if r.status != 'OK':
            return
        box = str(r.codes()['MAILBOXID'].code_args[0][0])
        if c.uids is None or c.uids:
            for items in c.ok('UID FETCH 1:* (UID FLAGS MODSEQ)').fetch().values():
                if len(items) == 3:
                    self.run_.ledger.message(box, int(items['UID']), int(items['MODSEQ'][0]),
                                             frozenset(lower(items['FLAGS']) - {'\\recent'}), ordered=False)

    def run(self):
        c = None
        try:
            while not self.stopping:
                try:
                    if c is None:
                        c = connect(self.run_.server, self.user, False, time.monotonic() + AWAY)
                    self.look(c)
                    time.sleep(PAUSE * 2)
                except BROKEN:
                    if c:
                        c.close()
                    c = None
            if c:
                c.close()
        except BaseException as e:
            self.trouble = e
            self.run_.failed.set()
