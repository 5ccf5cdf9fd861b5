"""Runs a history: a list of steps, each plain data, several sessions of different kinds, one model.

A step names what it works on by random numbers that are taken modulo whatever is there when it runs, so
that a history from which steps were removed is still one (shrink.py lives on that). After each step the
answers must fit the model; at the end (`settle`) the picture of every client must be the model exactly.
"""
import time

from support.deflate import Deflate
from support.imap import Closed, LitPlus, ProtocolError, expand, flags
from support.server import PASSWORD

from .client import Client, Kept
from .reference import GUEST, OWNER, Box, Message, changed

# What a session enables after login; the order does not matter.
KINDS = {
    'rev1': (),
    'rev2': ('IMAP4rev2',),
    'condstore': ('CONDSTORE',),
    'condstore2': ('CONDSTORE', 'IMAP4rev2'),
    'qresync': ('QRESYNC',),
    'qresync2': ('QRESYNC', 'IMAP4rev2'),
    'uidonly': ('UIDONLY',),
    'uidonly2': ('UIDONLY', 'QRESYNC', 'IMAP4rev2'),
    'deflate': ('CONDSTORE',),
    'notify': (),
    'delayed2': ('IMAP4rev2',),
    'notifyqresync': ('QRESYNC',),
    # of another user, who has all rights but to make, rename and remove mailboxes
    'guest': (),
    'guest2': ('CONDSTORE', 'IMAP4rev2'),
    'guestqresync': ('QRESYNC',),
    'guestuidonly2': ('UIDONLY', 'QRESYNC', 'IMAP4rev2'),
}
EVENTS = 'MessageNew %sMessageExpunge FlagChange'
NOTIFY = {
    'notify': '(selected (%s)) (personal (%s))' % (EVENTS % '(UID FLAGS) ', EVENTS % ''),
    'delayed2': '(selected-delayed (%s)) (personal (%s))' % (EVENTS % '', EVENTS % ''),
    'notifyqresync': '(selected (%s)) (personal (%s))' % (EVENTS % '(UID FLAGS MODSEQ) ', EVENTS % ''),
}
TIMEOUT = 10


class Failed(AssertionError):
    pass


def check(fact, text, *values):
    if not fact:
        raise Failed(text % values)


def spell(f):
    return ' '.join(sorted(f))


def uid_set(uids):
    return ','.join(map(str, uids))


class Pool:
    """Logged-in sessions that histories of one account share, and a server to make more."""

    def __init__(self, server, user):
        self.server, self.user, self.guest = server, user, user + '-guest'
        self.idle = {}
        self.owner = server.connect()
        self.owner.login(user, PASSWORD)

    def create(self, name):
        self.owner.ok('CREATE ' + name)
        self.owner.ok('SETACL %s %s lrswite' % (name, self.guest))

    def take(self, kind):
        free = self.idle.setdefault(kind, [])
        return free.pop() if free else self.make(kind)

    def make(self, kind):
        c = self.server.connect(maker=Client, timeout=TIMEOUT)
        c.kind = kind
        c.login(self.guest if kind.startswith('guest') else self.user, PASSWORD)
        if KINDS[kind]:
            c.enable(*KINDS[kind])
        if kind == 'deflate':
            c.ok('COMPRESS DEFLATE')
            Deflate(c)
        if kind in NOTIFY:
            c.ok('NOTIFY SET STATUS ' + NOTIFY[kind])
            c.unsolicited = '(selected (' in NOTIFY[kind]
        return c

    def give(self, c):
        if c.kind in NOTIFY:  # what it is told would pile up
            c.close()
            return
        c.notice, c.script = (lambda *a: None), None
        self.idle[c.kind].append(c)

    def close(self):
        for c in sum(self.idle.values(), [self.owner]):
            c.close()
        self.idle = {}


class Session:
    def __init__(self, client):
        self.client = client
        self.box = None
        self.kept = []  # (box, Kept): what may be used to resynchronise
        self.idling = None

    @property
    def eye(self):
        return GUEST if self.client.kind.startswith('guest') else OWNER


class History:
    def __init__(self, pool, prefix, kinds, steps, script=None):
        self.pool, self.prefix, self.kinds, self.steps = pool, prefix, kinds, steps
        self.script = script
        self.serial = 0
        self.boxes = [Box(prefix + '-a'), Box(prefix + '-b')]
        self.told = {}  # (box, uid, MODSEQ) -> flags: one mod-sequence is one state
        self.sessions = []
        self.racing = False

    # -- running

    def run(self):
        try:
            for kind in self.kinds:
                s = Session(None)
                self.sessions.append(s)
                self.attach(s, self.pool.take(kind))
            for b in self.boxes:
                self.pool.create(b.name)
            for s in self.sessions:
                self.select(s, self.boxes[0])
            for self.at, step in enumerate(self.steps):
                self.step(step)
            self.settle()
            for s in self.sessions:
                s.client.ok('UNSELECT')
                self.pool.give(s.client)
        except BaseException:
            for s in self.sessions:
                if s.client:
                    s.client.close()
            raise

    def attach(self, s, client):
        s.client, s.box, s.idling = client, None, None
        number = self.sessions.index(s)
        if self.script is not None:
            client.script = lambda c, what: self.script.append((number, c.kind, what))
        client.notice = lambda uid, modseq, f: self.notice(s, uid, modseq, f)

    def notice(self, s, uid, modseq, f):
        if s.box:
            old = self.told.setdefault((id(s.box), s.eye, uid, modseq), f)
            check(old == f, 'UID %d with MODSEQ %d had the flags (%s), now (%s)', uid, modseq, spell(old), spell(f))

    def step(self, step):
        name, who, args = step[0], step[1] % len(self.sessions), step[2:]
        s = self.sessions[who]
        if name not in ('watch', 'race'):
            self.wake(s)
        getattr(self, 'do_' + name)(s, *args)

    def name(self, s, box):
        """As this user calls it."""
        return box.name if s.eye == OWNER else 'Other Users/%s/%s' % (self.pool.user, box.name)

    def untold(self, s, box):
        s.client.statuses.pop(self.name(s, box), None)

    def cmd(self, s, *parts):
        return s.client.cmd(*parts)

    def wake(self, s):
        if s.idling:
            tag, s.idling = s.idling, None
            r = s.client.done(tag)
            check(r.status == 'OK', 'IDLE ends with %r', r)

    def select(self, s, box, kept=None, detail=''):
        if s.box:
            self.untold(s, s.box)
        r = s.client.open('"%s"' % self.name(s, box), kept, detail)
        self.untold(s, box)
        s.box, box.uidvalidity = box, s.client.uidvalidity
        told = {(id(box), x.uid, x.modseq): x.flags for x in s.client.rows if x.uid and x.modseq and x.flags is not None}
        for (_, uid, modseq), f in told.items():
            self.notice(s, uid, modseq, f)
        if not self.racing:
            check(len(s.client.rows) == len(box.messages), 'EXISTS %d, not %d', len(s.client.rows), len(box.messages))
            check(s.client.uidnext == box.uidnext, 'UIDNEXT %d, not %d', s.client.uidnext, box.uidnext)
        return r

    # -- the end

    def settle(self):
        for s in self.sessions:
            self.wake(s)
            self.settle_one(s)
        modseqs = {}
        for s in self.sessions:
            if s.client.condstore:
                for r in s.client.rows:
                    if r.modseq:
                        old = modseqs.setdefault((id(s.box), r.uid), r.modseq)
                        check(old == r.modseq, 'UID %d: MODSEQ %d to one client, %d to another', r.uid, old, r.modseq)
        for b in self.boxes:
            self.verify(self.sessions[0], b)

    def settle_one(self, s):
        r = self.cmd(s, 'NOOP')
        check(r.status == 'OK', 'NOOP: %r', r)
        s.client.learn()
        self.compare(s)
        if s.client.kind in NOTIFY:
            self.hear(s)

    def hear(self, s):
        """RFC 5465 section 5: what was told of the other mailboxes is how they are, at once."""
        c, deadline = s.client, time.monotonic() + TIMEOUT
        for b in self.boxes:
            if b is s.box:
                continue
            want = {'MESSAGES': len(b.messages), 'UIDNEXT': b.uidnext,
                    'UNSEEN': b.unseen(s.eye)}
            told = c.statuses.get(self.name(s, b), {})
            if int(told.get('UIDVALIDITY', 0)) not in (0, b.uidvalidity or 0):
                continue  # of one that had this name before
            while any(int(v) != want[k] for k, v in c.statuses.get(self.name(s, b), {}).items() if k in want):
                check(time.monotonic() < deadline, '%s is told to have %s, not %s', b.name, c.statuses[self.name(s, b)], want)
                if c.readable(0.1):
                    c.read()

    def compare(self, s):
        if s.client.unsolicited:
            self.watch(s)
        mine, b = s.client.state(), s.box
        check(None not in [r.uid for r in s.client.rows], 'a message without UID')
        check(list(mine) == sorted(b.messages), 'the picture of %s has the UIDs %s, the model %s', b.name,
              list(mine), sorted(b.messages))
        for uid, f in mine.items():
            if f is not None:
                check(f == b.messages[uid].of(s.eye), 'the picture of UID %d is (%s), the model (%s)', uid, spell(f),
                      spell(b.messages[uid].of(s.eye)))

    def verify(self, s, b):
        """What a look at everything shows."""
        self.select(s, b)
        c = s.client
        if not b.messages:
            return
        found = {}
        for r in c.ok('%sFETCH 1:* (UID FLAGS BODY.PEEK[])' % ('UID ' if c.uidonly else '')).untagged:
            if r.kind in ('FETCH', 'UIDFETCH'):
                i = r.items()
                found[int(i.get('UID') or r.num)] = (frozenset(flags(i['FLAGS'])) - {'\\recent'}, i['BODY[]'])
        check(found == {u: (m.of(s.eye), m.body) for u, m in b.messages.items()}, '%s is not the model: %s', b.name, found)

    # -- steps: reading

    def do_noop(self, s):
        self.settle_one(s)

    def do_learn(self, s):
        s.client.learn()

    def do_check(self, s):
        check(self.cmd(s, 'CHECK').status == 'OK', 'CHECK')

    def do_idle(self, s):
        s.idling = s.client.idle()

    def do_watch(self, s):
        """A client in IDLE, or one that said NOTIFY, is told by itself."""
        if not s.idling and s.client.kind not in NOTIFY:
            s.idling = s.client.idle()
        if not s.idling and not s.client.unsolicited:
            return  # SELECTED-DELAYED keeps expunges back
        self.watch(s)

    def watch(self, s):
        deadline = time.monotonic() + TIMEOUT
        while not self.fits(s):
            left = deadline - time.monotonic()
            check(left > 0, 'nothing tells: has %s, the model %s', s.client.state(), s.box.state(s.eye))
            if s.client.readable(min(left, 0.2)):
                s.client.read(left)

    def fits(self, s):
        c, b = s.client, s.box
        return len(c.rows) == len(b.messages) and all(
            r.uid is None or r.uid in b.messages and r.flags in (None, b.messages[r.uid].of(s.eye)) for r in c.rows)

    def do_select(self, s, n):
        self.select(s, self.boxes[n % len(self.boxes)])

    def do_close(self, s, n):
        s.box.expunge()
        check(self.cmd(s, 'CLOSE').status == 'OK', 'CLOSE')
        self.select(s, self.boxes[n % len(self.boxes)])

    def do_unselect(self, s, n):
        check(self.cmd(s, 'UNSELECT').status == 'OK', 'UNSELECT')
        self.select(s, self.boxes[n % len(self.boxes)])

    def pick(self, s, picks, by_uid):
        """(text of a set, its UIDs) of messages that the client shows; None if it shows none."""
        s.client.learn()
        uids = [r.uid for r in s.client.rows]
        if not uids:
            return None
        at = sorted({p % len(uids) for p in picks[1:]})
        if picks[0] == ':':
            at = list(range(at[0], at[-1] + 1))
            text = '%d:%d' % ((uids[at[-1]], uids[at[0]]) if by_uid else (at[-1] + 1, at[0] + 1))
        else:
            text = uid_set([uids[n] for n in at] if by_uid else [n + 1 for n in at])
        return text, [uids[n] for n in at]

    def live(self, s, uids):
        return [u for u in uids if u in s.box.messages]

    def gone(self, s, uids):
        return [u for u in uids if u not in s.box.messages]

    def do_fetch(self, s, by_uid, picks, seen):
        by_uid |= s.client.numberless
        picked = self.pick(s, picks, by_uid)
        if not picked:
            return
        text, uids = picked
        live, b = self.live(s, uids), s.box
        if seen:
            b.store(live, '+', {'\\seen'}, s.eye)
        r = self.cmd(s, '%sFETCH %s (UID FLAGS%s%s)' % ('UID ' if by_uid else '', text, ' BODY[]' if seen else '',
                                                       ' MODSEQ' if s.client.condstore else ''))
        check(r.status == 'OK' or self.gone(s, uids), 'FETCH: %r', r)
        if self.racing:
            return
        shown = [int(x.items().get('UID') or x.num) for x in r.untagged if x.kind in ('FETCH', 'UIDFETCH')
                 and (x.kind == 'UIDFETCH' or len(x.items()) > 1)]
        check(set(live) <= set(shown), 'FETCH shows %s, not %s', shown, live)
        for uid in live:
            row = s.client.row(uid)
            check(row.flags == b.messages[uid].of(s.eye), 'FETCH of UID %d shows (%s), the model has (%s)', uid,
                  spell(row.flags), spell(b.messages[uid].of(s.eye)))

    def do_search(self, s, by_uid, flag, un):
        by_uid |= s.client.numberless
        before = s.client.state()
        key = flag[1:].upper() if flag[0] == '\\' else 'KEYWORD ' + flag
        r = self.cmd(s, '%sSEARCH %s%s' % ('UID ' if by_uid else '', 'UN' if un else '', key))
        check(r.status == 'OK', 'SEARCH: %r', r)
        if self.racing or not by_uid:
            return
        found = set(r.search())
        for uid, f in before.items():
            m = s.box.messages.get(uid)
            if m and f == m.of(s.eye):  # the client knows the newest state: there is no doubt
                check((uid in found) == ((flag in f) != un), 'SEARCH %s%s: %s', 'UN' if un else '', key, sorted(found))

    def do_status(self, s, n):
        b = self.boxes[n % len(self.boxes)]
        r = self.cmd(s, 'STATUS "%s" (MESSAGES UIDNEXT UNSEEN)' % self.name(s, b))
        items = [x.items() for x in r.all('STATUS') if 'UNSEEN' in x.items()][-1]
        if b is not s.box:
            got = tuple(int(items[x]) for x in ('MESSAGES', 'UIDNEXT', 'UNSEEN'))
            want = (len(b.messages), b.uidnext, b.unseen(s.eye))
            check(self.racing or got == want, 'STATUS %s %s, not %s', b.name, got, want)

    # -- steps: changing

    def do_append(self, s, n, several):
        b = self.boxes[n % len(self.boxes)]
        parts, uids = ['APPEND "%s"' % self.name(s, b)], []
        for f in several:
            self.serial += 1
            body = b'Subject: m%d\r\n\r\nbody %d\r\n' % (self.serial, self.serial)
            parts += [' (%s) ' % spell(f), LitPlus(body)]
            uids.append(b.append(Message(f, body, s.eye)))
        r = self.cmd(s, *parts)
        self.untold(s, b)  # nobody is told of his own changes
        check(r.status == 'OK' and r.code == 'APPENDUID' and expand(r.code_args[1]) == uids, 'APPEND of %s: %r', uids, r)

    def do_store(self, s, by_uid, picks, op, f, silent, unchanged=None):
        by_uid |= s.client.numberless
        if unchanged == 'newest':
            self.settle_one(s)
        picked = self.pick(s, picks, by_uid)
        if not picked:
            return
        text, uids = picked
        since, must, must_not = '', set(), False
        if unchanged is not None and s.client.condstore:
            base, must, must_not = self.base(s, uids, unchanged)
            since = ' (UNCHANGEDSINCE %d)' % base
        live = self.live(s, uids)
        r = self.cmd(s, '%sSTORE %s%s %sFLAGS%s (%s)' % ('UID ' if by_uid else '', text, since, op,
                                                        '.SILENT' if silent else '', spell(f)))
        check(r.status == 'OK' or self.gone(s, uids), 'STORE: %r', r)
        modified = set()
        if r.code == 'MODIFIED':
            check(since, 'MODIFIED: %r', r)
            numbers = expand(r.code_args[0])
            at = dict(zip(self.numbers_of(text, by_uid, uids), uids))
            check(set(numbers) <= set(at), 'MODIFIED names others: %r', r)
            modified = {at[n] for n in numbers}
            check(not must_not, 'MODIFIED, though nothing has changed: %r', r)
        check(must & set(live) <= modified, 'UIDs %s have changed, MODIFIED has %s', sorted(must), sorted(modified))
        done = [u for u in live if u not in modified]
        s.box.store(done, op, f, s.eye)
        for uid in live:
            row = s.client.row(uid)
            if row is None:
                continue
            if silent and uid in done and row.flags is not None:
                row.flags = changed(row.flags, op, f)  # as every client does
            elif not silent and uid in done and not self.racing:
                check(row.flags == s.box.messages[uid].of(s.eye), 'after STORE UID %d is shown as (%s), the model has (%s)',
                      uid, row.flags and spell(row.flags), spell(s.box.messages[uid].of(s.eye)))

    def numbers_of(self, text, by_uid, uids):
        if by_uid:
            return uids
        return expand(text)

    def base(self, s, uids, mode):
        """UNCHANGEDSINCE: (value, UIDs that must fail, whether none may)"""
        rows = [s.client.row(u) for u in uids]
        if mode == 'newest':
            return max([s.client.highest] + [r.modseq or 0 for r in s.client.rows]), set(), True
        known = sorted(r.modseq for r in rows if r and r.modseq)
        value = (known[len(known) // 2] if known else 1) - (mode == 'old')
        return value, {r.uid for r in rows if r and r.modseq and r.modseq > value}, False

    def do_expunge(self, s):
        s.box.expunge()
        check(self.cmd(s, 'EXPUNGE').status == 'OK', 'EXPUNGE')

    def do_uidexpunge(self, s, picks):
        uids = sorted({1 + p % max(1, s.box.uidnext - 1) for p in picks})
        if s.client.kind in NOTIFY:
            self.settle_one(s)
        s.client.learn()  # by UID a session reaches what was announced to it, no more
        s.box.expunge(set(uids) & set(s.client.state()))
        check(self.cmd(s, 'UID EXPUNGE ' + uid_set(uids)).status == 'OK', 'UID EXPUNGE')

    def do_copy(self, s, by_uid, picks, n, move=False):
        by_uid |= s.client.numberless
        picked = self.pick(s, picks, by_uid)
        target = self.boxes[n % len(self.boxes)]
        if not picked or (move and target is s.box):
            return
        text, uids = picked
        live = self.live(s, uids)
        r = self.cmd(s, '%s%s %s "%s"' % ('UID ' if by_uid else '', 'MOVE' if move else 'COPY', text, self.name(s, target)))
        self.untold(s, target)
        if r.status != 'OK':
            check(self.gone(s, uids), 'COPY: %r', r)
            return
        codes = [u for u in r.untagged if u.code == 'COPYUID'] if move else [r]
        if not codes or codes[0].code != 'COPYUID':
            check(not live, 'no COPYUID: %r', r)
            return
        pairs = list(zip(expand(codes[0].code_args[1]), expand(codes[0].code_args[2])))
        check(set(live) <= {u for u, _ in pairs} <= set(uids), 'COPYUID names others than %s: %r', live, r)
        for source, uid in pairs:
            m = s.box.messages.get(source) or s.box.gone[source]
            check(target.append(m.copy(s.eye)) == uid, 'COPYUID %d is not the next UID: %r', uid, r)
            if move and source in s.box.messages:
                s.box.remove(source)

    def do_move(self, s, by_uid, picks, n):
        self.do_copy(s, by_uid, picks, n, move=True)

    def do_rename(self, s, n):
        b = self.boxes[n % len(self.boxes)]
        self.serial += 1
        new = '%s-%d' % (self.prefix, self.serial)
        if s.eye == GUEST:
            self.pool.owner.ok('RENAME %s %s' % (b.name, new))
        else:
            check(self.cmd(s, 'RENAME %s %s' % (b.name, new)).status == 'OK', 'RENAME')
        for x in self.sessions:
            self.untold(x, b)
        b.name = new

    def do_delete(self, s, n):
        """The mailbox goes, its name is used anew; who had it selected is told."""
        n %= len(self.boxes)
        old = self.boxes[n]
        if s.box is old:
            check(self.cmd(s, 'UNSELECT').status == 'OK', 'UNSELECT')
            s.box = None
        self.boxes[n] = Box(old.name)
        if s.eye == GUEST:
            self.pool.owner.ok('DELETE ' + old.name)
        else:
            check(self.cmd(s, 'DELETE ' + old.name).status == 'OK', 'DELETE')
        self.pool.create(old.name)
        for x in self.sessions:
            if x.box is old:
                self.bereave(x, self.boxes[n])
            x.kept = [k for k in x.kept if k[0] is not old]
            self.untold(x, old)
        if s.box is None:
            self.select(s, self.boxes[n])

    def bereave(self, x, new):
        """VANISHED would need UIDs, which are gone: such a session ends (BYE); others see EXPUNGEs."""
        c = x.client
        try:
            self.wake(x)
            self.cmd(x, 'NOOP')
            check(not c.rows, 'a deleted mailbox has %d messages', len(c.rows))
            check(not (c.qresync or c.uidonly), 'no BYE')
        except Closed:
            check(c.qresync or c.uidonly, 'the connection was closed')
            self.reconnect(x)
        self.select(x, new)

    # -- steps: leaving and coming back

    def reconnect(self, s):
        kind = s.client.kind
        s.client.close()
        self.attach(s, self.pool.make(kind))

    def do_keep(self, s):
        """Notes what a client would write to its disk; a later resync may start from there, however old."""
        if s.client.qresync and s.client.rows is not None:
            s.client.learn()
            s.kept.append((s.box, Kept(s.client)))

    def do_drop(self, s, keep, age, known, matches, unheard):
        """The connection is lost, with answers under way; the client comes back and resynchronises."""
        if keep:
            self.do_keep(s)
        if unheard:
            s.client.send('zz NOOP\r\nzy UID FETCH 1:* FLAGS\r\n')
        box = s.box
        self.reconnect(s)
        if not s.client.qresync or not s.kept:
            self.select(s, box)
            return
        box, kept = s.kept[-1 - age % len(s.kept)]
        self.resync(s, box, kept, known, matches)

    def do_resync(self, s, age, known, matches):
        """The same without losing the connection."""
        if s.client.qresync and s.kept:
            box, kept = s.kept[-1 - age % len(s.kept)]
            self.resync(s, box, kept, known, matches)

    def resync(self, s, box, kept, known, matches):
        fresh = Kept.__new__(Kept)
        fresh.known, fresh.rows = kept.known, {u: r.copy() for u, r in kept.rows.items()}
        uids, detail = sorted(fresh.rows), []
        if known and uids:
            detail.append(uid_set(uids))
        if matches and uids and not s.client.uidonly:
            at = sorted({m % len(uids) for m in matches})
            detail.append('(%s %s)' % (uid_set([n + 1 for n in at]), uid_set([uids[n] for n in at])))
        s.box = box
        self.select(s, box, fresh, ' '.join(detail))
        if self.racing:
            return
        c = s.client
        check(known or all(r.uid for r in c.rows), 'QRESYNC leaves %d messages untold', sum(not r.uid for r in c.rows))
        c.learn()
        self.compare(s)

    # -- two at a time

    def do_race(self, s, kind, step):
        """While a command of this session runs, another session does something; only then it reads on."""
        other = self.sessions[step[1] % len(self.sessions)]
        self.wake(s)
        self.wake(other)
        if other is s:
            return
        if kind == 'noop':
            tag = s.client.start('NOOP')
        elif kind == 'search':
            tag = s.client.start('UID SEARCH ALL')
        elif s.client.numberless or kind == 'uidfetch':
            tag = s.client.start('UID FETCH 1:* (FLAGS%s)' % (' MODSEQ' if s.client.condstore else ''))
        else:
            tag = s.client.start('FETCH 1:* (UID FLAGS)') if s.client.rows else s.client.start('NOOP')
        self.racing = True
        try:
            getattr(self, 'do_' + step[0])(other, *step[2:])
        finally:
            self.racing = False
        s.client.wait(tag)
