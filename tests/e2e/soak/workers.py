"""The processes of a soak run: clients, deliveries, sessions in IDLE. Each writes its own journal."""
import heapq
import random
import selectors
import signal
import time
import traceback

from support.deflate import Deflate
from support.imap import Imap, LitPlus
from support.lmtp import Lmtp

from .devices import TIMEOUT, Desktop, Phone
from .world import LIMITS, PASSWORD, Journal, message, name_of, pick_size, user_name

KEEP_LOG = 80  # answers that a connection remembers, for reports


def guarded(run):
    """A process whose unexpected end is an error in its journal."""
    def process(options, n, path, place, stop):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        journal = Journal(path)
        try:
            run(options, n, journal, place, stop)
        except Exception:
            journal.write('E', '%s-%d' % (run.__name__, n), traceback.format_exc())
        finally:
            journal.close()
    return process


def fill(options, n, journal, place, stop):
    """Every mailbox of some of the users begins full, so that it does not grow later."""
    rng = random.Random('%s fill %d' % (options.seed, n))
    made = 0
    for i in range(n, options.users, options.workers):
        c = Imap(place[0], place[1], timeout=TIMEOUT)
        c.login(user_name(i), PASSWORD)
        for mailbox, limit in LIMITS.items():
            if mailbox != 'INBOX' and mailbox not in ('Sent', 'Trash', 'Archive'):
                c.ok('CREATE', ' ' + mailbox)
            names = []
            parts = []
            for _ in range(limit if mailbox != 'Copies' else 0):
                made += 1
                names.append('fill-%d-%d' % (n, made))
                parts += [' ', LitPlus(message(names[-1], pick_size(rng, 0.004)))]
            if parts:
                c.ok('APPEND %s' % mailbox, *parts, timeout=300)
            for name in names:
                journal.write('+', user_name(i), name)
        c.ok('LOGOUT')
        c.close()
        del c


def clients(options, n, journal, place, stop):
    """Desktops and telephones, one action at a time: what is measured is not this process itself."""
    rng = random.Random('%s clients %d' % (options.seed, n))
    queue = []
    for i in range(options.users):
        # An account's devices are in different processes, so that they meet.
        for k, kind in enumerate((Desktop, Desktop, Phone)):
            if (i + k) % options.workers == n:
                name = 'w%d-u%d-%d' % (n, i, k)
                device = kind(place, user_name(i), random.Random('%s %s' % (options.seed, name)), journal, name)
                queue.append((time.monotonic() + rng.expovariate(1 / options.pace), len(queue), device))
    heapq.heapify(queue)
    while queue and not stop.is_set():
        due, k, device = queue[0]
        now = time.monotonic()
        if due > now:
            stop.wait(min(due - now, 0.5))
            continue
        try:
            device.act()
            if device.c:
                del device.c.log[:-KEEP_LOG]
        except Exception:
            journal.write('E', '%s (%s)' % (device.name, device.account), traceback.format_exc() + device.told())
            device.drop()
        heapq.heapreplace(queue, (time.monotonic() + rng.expovariate(1 / options.pace), k, device))
    for _, _, device in queue:
        device.drop()


def deliver(options, n, journal, place, stop):
    """Mail by LMTP, some of it for several at once; a connection serves for a while."""
    rng = random.Random('%s deliver %d' % (options.seed, n))
    host, port = place[0], place[3]
    lmtp, left, made = None, 0, 0
    due = time.monotonic()
    while not stop.is_set():
        now = time.monotonic()
        if due > now:
            stop.wait(min(due - now, 0.5))
            continue
        due = max(due, now - 5) + rng.expovariate(options.rate)
        try:
            if left == 0:
                if lmtp:
                    lmtp.close()
                lmtp, left = Lmtp(host, port, TIMEOUT), rng.randrange(1, 40)
                lmtp.lhlo()
            left -= 1
            made += 1
            name = 'mail-%d-%d' % (n, made)
            to = rng.sample(range(options.users), min(options.users, 1 if rng.random() < 0.8 else rng.randrange(2, 6)))
            octets = message(name, pick_size(rng))
            began = time.monotonic()
            accepted, stored = lmtp.deliver('sender@example.org', [user_name(i) for i in to], octets)
            journal.write('L', 'LMTP', round(time.monotonic() - began, 6))
            for i, first, last in zip(to, accepted, stored):
                assert first == 250 and last == 250, (name, accepted, stored)
                journal.write('+', user_name(i), name)
        except Exception:
            journal.write('E', 'deliver-%d' % n, traceback.format_exc())
            left = 0
    if lmtp:
        lmtp.close()


class Idler:
    """A session of each user in IDLE: how soon is it told of what has been delivered?"""

    def __init__(self, i, place, journal):
        self.account, self.journal = user_name(i), journal
        host, imap, imaps = place[:3]
        tls, compress = i % 3 > 0, i % 3 == 2
        self.c = Imap(host, imaps if tls else imap, tls, timeout=TIMEOUT)
        self.c.login(self.account, PASSWORD)
        if compress:
            self.c.ok('COMPRESS DEFLATE')
            Deflate(self.c)
        self.c.select()
        self.seen = len(self.c.uids)
        self.tag = self.c.idle()

    def told(self):
        """Answers are there. EXISTS: looks what has come, and goes back to IDLE."""
        c = self.c
        while c.readable():
            c.read()
        when = time.monotonic()
        if len(c.uids) > self.seen:
            began = when
            c.done(self.tag)
            self.journal.write('L', 'DONE after IDLE', round(time.monotonic() - began, 6))
            # Numbers may have moved; what is new is at the end.
            r = c.ok('FETCH %d:* (UID BODY.PEEK[HEADER.FIELDS (X-SOAK)])' % min(self.seen + 1, max(1, len(c.uids))))
            for items in r.fetch().values():
                text = items.get('BODY[HEADER.FIELDS (X-SOAK)]')
                if text:
                    self.journal.write('P', self.account, name_of(text)[0], round(when, 6))
            c.noop()
            self.tag = c.idle()
        self.seen = len(c.uids)
        c.pending.clear()
        del c.log[:-KEEP_LOG]


def idle(options, n, journal, place, stop):
    watched = selectors.DefaultSelector()

    def begin(i):
        idler = Idler(i, place, journal)
        watched.register(idler.c.sock.fileno(), selectors.EVENT_READ, (i, idler))

    for i in range(options.users):
        begin(i)
    while not stop.is_set():
        for key, _ in watched.select(0.5):
            i, idler = key.data
            try:
                idler.told()
            except Exception:
                journal.write('E', 'idle (%s)' % idler.account, traceback.format_exc())
                watched.unregister(key.fd)
                idler.c.close()
                begin(i)


PROCESSES = {run.__name__: run for run in (fill, clients, deliver, idle)}


def process(kind, options, n, path, place, stop):
    guarded(PROCESSES[kind])(options, n, path, place, stop)
