"""Clients of a soak run: a desktop program that stays connected, a telephone that comes and goes.

Each holds its picture of a mailbox from what the server tells it (model.client, which objects to whatever the
protocol forbids), and compares it now and then with what a fresh session sees."""
import time

from model.client import Client, Kept
from support.deflate import Deflate
from support.imap import LitPlus

from .world import LIMITS, MAILBOXES, PASSWORD, WORDS, message, name_of, pick_size, verify

FIELDS = 'BODY.PEEK[HEADER.FIELDS (X-SOAK)]'
KEYWORDS = ('\\Flagged', '\\Answered', '$Important', '$Work', 'later')
TIMEOUT = 60


class Device:
    def __init__(self, place, account, rng, journal, name):
        self.place, self.account, self.rng, self.journal, self.name = place, account, rng, journal, name
        self.c = None
        self.mailbox = 'INBOX'
        self.kept = {}  # mailbox -> Kept
        self.before = []  # answers of the connection before this one, for reports
        self.made = 0

    # -- connections

    def connect(self, tls, compress):
        host, imap, imaps = self.place[:3]
        began = time.monotonic()
        c = Client(host, imaps if tls else imap, tls, timeout=TIMEOUT)
        self.timed('connect, TLS' if tls else 'connect', began)
        began = time.monotonic()
        c.login(self.account, PASSWORD)
        self.timed('LOGIN', began)
        if compress:
            c.ok('COMPRESS DEFLATE')
            Deflate(c)
        return c

    def timed(self, command, began):
        self.journal.write('L', command, round(time.monotonic() - began, 6))

    def ok(self, label, *parts):
        began = time.monotonic()
        r = self.c.cmd(*parts)
        self.timed(label, began)
        self.good(r)
        return r

    def good(self, r):
        """EXPUNGEISSUED: another client has removed some of the messages while this one still shows them, and the
        server has forgotten them, as it does when nobody uses an account for ten seconds (RFC 5530)."""
        if r.code == 'EXPUNGEISSUED' and r.status == 'NO':
            self.journal.write('X', self.account)
        else:
            assert r.status == 'OK', r

    def open(self, mailbox):
        """SELECT, from what was kept of it if anything was."""
        began = time.monotonic()
        self.c.open(mailbox, self.kept.pop(mailbox, None))
        self.timed('SELECT', began)
        self.mailbox = mailbox
        self.learn()

    def learn(self):
        began = time.monotonic()
        commands = self.c.next_tag
        self.c.learn()
        if self.c.next_tag > commands:
            self.timed('FETCH (UID FLAGS MODSEQ), new ones', began)

    def leave(self):
        self.learn()  # what EXISTS has announced is older than what is resynchronised from
        self.kept[self.mailbox] = Kept(self.c)
        self.before = self.c.log[-80:]

    def told(self):
        """The last answers, and what is kept, for the report of an error."""
        known = {m: k.known for m, k in self.kept.items()}
        kept = self.c and self.c.kept and (self.c.kept.known, sorted(self.c.kept.rows))
        return '\n'.join(['kept %r, of this SELECT %r; before:' % (known, kept)] + [repr(r)[:300] for r in self.before] + ['now:'] +
                         [repr(r)[:300] for r in (self.c.log if self.c else [])])

    def drop(self):
        """After an error: begin anew, and believe nothing that was kept."""
        if self.c:
            self.c.close()
        self.c, self.kept = None, {}

    # -- what people do

    def uids(self):
        return [r.uid for r in self.c.rows if r.uid]

    def some(self, most=1):
        """A few neighbouring messages, the newer ones rather."""
        uids = self.uids()
        if not uids:
            return []
        n = int(len(uids) * max(self.rng.random(), self.rng.random()))
        return uids[n:n + self.rng.randint(1, most)]

    def sync(self):
        self.ok('NOOP', 'NOOP')
        self.learn()

    def look(self):
        """The list of messages: what a screen shows."""
        uids = self.uids()[-30:]
        if uids:
            self.ok('FETCH ENVELOPE, 30', 'UID FETCH %d:%d (ENVELOPE RFC822.SIZE INTERNALDATE BODYSTRUCTURE)' % (uids[0], uids[-1]))

    def read(self):
        for uid in self.some():
            self.ok('FETCH BODYSTRUCTURE', 'UID FETCH %d (BODYSTRUCTURE ENVELOPE)' % uid)
            r = self.ok('FETCH BODY[]', 'UID FETCH %d BODY.PEEK[]' % uid)
            for items in r.fetch().values():
                if 'BODY[]' in items and items['BODY[]'] is not None:
                    verify(items['BODY[]'])
            self.ok('STORE', 'UID STORE %d +FLAGS (\\Seen)' % uid)

    def glance(self):
        """Several commands at once."""
        uids = self.some(5)
        if uids:
            began = time.monotonic()
            tags = self.c.pipeline(*['UID FETCH %d (FLAGS BODY.PEEK[TEXT]<0.2048>)' % uid for uid in uids])
            for tag in tags:
                self.good(self.c.wait(tag))
            self.timed('five FETCHes in a row', began)

    def flag(self):
        uids = self.some(20)
        if uids:
            self.store('%d:%d' % (uids[0], uids[-1]), self.rng.choice('+-'), self.rng.choice(KEYWORDS))

    def store(self, uids, sign, flag):
        """Half the time in silence: then an answer with MODSEQ alone means that it is done (RFC 7162 section 3.1.3)."""
        silent = self.rng.random() < 0.5
        r = self.ok('STORE', 'UID STORE %s %sFLAGS%s (%s)' % (uids, sign, '.SILENT' if silent else '', flag))
        last = {int(x.items()['UID']): x.items() for x in r.all('FETCH')}
        for row in self.c.rows if silent else ():
            if row.flags is not None and row.uid in last and 'FLAGS' not in last[row.uid]:
                row.flags = row.flags | {flag.lower()} if sign == '+' else row.flags - {flag.lower()}

    def search(self):
        word = self.rng.choice(WORDS)
        key = self.rng.choice(('UNSEEN', 'FROM %s' % word, 'SUBJECT %s' % word, 'OR FLAGGED KEYWORD $Work', 'SINCE 1-Jan-2024',
                               'TEXT %s' % word, 'BODY %s' % word, 'LARGER 50000 UNANSWERED', 'NOT (SEEN FROM %s)' % word))
        label = 'SEARCH TEXT' if key.startswith(('TEXT', 'BODY')) else 'SEARCH'
        self.ok(label, 'UID SEARCH RETURN (ALL COUNT) ' + key)

    def arrange(self):
        if self.rng.random() < 0.7:
            self.ok('SORT', 'UID SORT (%s) UTF-8 ALL' % self.rng.choice(('REVERSE DATE', 'SUBJECT', 'FROM SIZE', 'ARRIVAL')))
        else:
            self.ok('THREAD', 'UID THREAD REFERENCES UTF-8 ALL')

    def file(self):
        uids = self.some(4)
        if uids and self.mailbox == 'INBOX':
            self.ok('MOVE', 'UID MOVE %d:%d %s' % (uids[0], uids[-1], self.rng.choice(('Archive', 'Projects', 'Trash'))))
            self.learn()

    def copy(self):
        uids = self.some(3)
        if uids and self.mailbox != 'Copies':
            self.ok('COPY', 'UID COPY %d:%d Copies' % (uids[0], uids[-1]))

    def send(self):
        """Keeps what was sent; now and then with a large attachment."""
        self.made += 1
        name, size = '%s-%d' % (self.name, self.made), pick_size(self.rng, 0.05)
        self.ok('APPEND', 'APPEND Sent (\\Seen) ', LitPlus(message(name, size)))
        self.journal.write('+', self.account, name)

    def overview(self):
        if self.rng.random() < 0.5:
            self.ok('LIST with STATUS', 'LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES UNSEEN UIDNEXT HIGHESTMODSEQ))')
        else:
            self.ok('STATUS', 'STATUS %s (MESSAGES UNSEEN UIDNEXT SIZE)' % self.rng.choice(MAILBOXES))

    def turn(self):
        """Another mailbox, and later back, with what has changed meanwhile."""
        self.leave()
        self.open(self.rng.choice([m for m in MAILBOXES if m != self.mailbox]) if self.mailbox == 'INBOX' else 'INBOX')
        self.tidy()

    def organise(self):
        box = 'tmp-%s-%d' % (self.name, self.rng.randrange(1000))
        self.ok('CREATE', 'CREATE %s' % box)
        self.ok('RENAME', 'RENAME %s %s-b' % (box, box))
        self.ok('DELETE', 'DELETE %s-b' % box)

    def tidy(self):
        """What is too much goes, the oldest first. The journal knows before the server does."""
        uids = self.uids()
        extra = uids[:max(0, len(uids) - LIMITS[self.mailbox])]
        if not extra:
            return
        span = '%d:%d' % (extra[0], extra[-1])
        if self.mailbox != 'Copies':
            for items in self.ok('FETCH header field', 'UID FETCH %s %s' % (span, FIELDS)).fetch().values():
                text = items.get('BODY[HEADER.FIELDS (X-SOAK)]')
                if text:
                    self.journal.write('-', self.account, name_of(text)[0])
        self.store(span, '+', '\\Deleted')
        self.ok('EXPUNGE', 'UID EXPUNGE %s' % span)
        left = set(self.uids()) & set(extra)
        assert not left, 'still there after UID EXPUNGE: %r' % left

    # -- correctness

    def picture(self):
        return {r.uid: (r.flags, r.modseq) for r in self.c.rows}

    def check(self):
        """What this client has put together equals what the server tells one that knows nothing."""
        for _ in range(6):
            self.sync()
            mine = self.picture()
            fresh = self.connect(False, False)
            try:
                fresh.enable('CONDSTORE')
                fresh.open(self.mailbox, command='EXAMINE')
                if fresh.rows:
                    fresh.learn()
                theirs = {r.uid: (r.flags, r.modseq) for r in fresh.rows}
                fresh.ok('LOGOUT')
            finally:
                fresh.close()
            self.sync()
            if self.picture() == mine:  # nobody has changed it meanwhile
                wrong = sorted(u for u in set(mine) | set(theirs) if mine.get(u) != theirs.get(u))
                assert not wrong, '%s of %s: UID %d is %r to this client, %r to a fresh one' % (
                    self.mailbox, self.account, wrong[0], mine.get(wrong[0]), theirs.get(wrong[0]))
                self.journal.write('C', self.account, len(mine))
                return
        self.journal.write('B', self.account)


class Desktop(Device):
    """Stays connected for long."""

    ACTIONS = ((Device.sync, 20), (Device.look, 10), (Device.read, 18), (Device.glance, 6), (Device.flag, 10),
               (Device.search, 10), (Device.arrange, 4), (Device.file, 7), (Device.copy, 2), (Device.send, 3),
               (Device.overview, 5), (Device.turn, 8), (Device.organise, 1), (Device.tidy, 8), (Device.check, 4))

    def act(self):
        if self.c is None:
            tls = self.rng.random() < 0.6
            self.c = self.connect(tls, self.rng.random() < 0.3)
            self.c.enable('QRESYNC')
            self.open(self.mailbox)
        elif self.rng.random() < 0.03:
            self.leave()
            self.ok('LOGOUT', 'LOGOUT')
            self.c.close()
            self.c = None
        else:
            actions, weights = zip(*self.ACTIONS)
            self.rng.choices(actions, weights)[0](self)


class Phone(Device):
    """Comes, asks what is new since last time, does a little, and is gone."""

    def act(self):
        self.c = self.connect(self.rng.random() < 0.8, self.rng.random() < 0.5)
        self.c.enable('QRESYNC')
        self.open('INBOX')
        self.look()
        for _ in range(self.rng.randrange(3)):
            self.rng.choice((self.read, self.flag, self.glance, self.file, self.search))()
        if self.rng.random() < 0.15:
            self.check()
        self.leave()
        if self.rng.random() < 0.7:
            self.ok('LOGOUT', 'LOGOUT')
        self.c.close()
        self.c = None


def everything(place, account, sample, rng):
    """At the end: how often each message is there, outside Copies; some are read and compared."""
    host, imap = place[:2]
    c = Client(host, imap, timeout=TIMEOUT)
    found = {}
    try:
        c.login(account, PASSWORD)
        for mailbox in MAILBOXES[:-1]:
            c.open(mailbox, command='EXAMINE')
            if not c.rows:
                continue
            uids = []
            for items in c.ok('UID FETCH 1:* (UID %s)' % FIELDS).fetch().values():
                name = name_of(items['BODY[HEADER.FIELDS (X-SOAK)]'])[0]
                found[name] = found.get(name, 0) + 1
                uids.append(int(items['UID']))
            assert len(uids) == len(c.rows)
            for uid in rng.sample(uids, min(sample, len(uids))):
                verify(next(iter(c.ok('UID FETCH %d BODY.PEEK[]' % uid).fetch().values()))['BODY[]'])
        c.ok('LOGOUT')
    finally:
        c.close()
    return found
