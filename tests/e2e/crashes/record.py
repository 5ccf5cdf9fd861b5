"""What a client knows the server has acknowledged, and what the server shows: whether the two agree.

A State is a picture of the mailboxes that one client alone changes. A change that is under way is a second State, in
which new messages have no UIDs yet (Box.new). After a break the server must show either the one or the other, whole.

The Ledger is common to all clients and observers of a run: whatever any of them was ever shown. There a UID stands for
one content, a MODSEQ of a message for one set of flags, a UIDVALIDITY of a name for one mailbox, and nothing counts
backwards; whether or not the change was acknowledged.
"""
import copy
import hashlib
import threading

MARKER = b'X-Crash: '


def digest(body):
    """Of a message from its marker on: what LMTP puts before it is not ours. (digest, octets before)"""
    at = body.find(MARKER)
    if at < 0:
        return hashlib.sha1(body).hexdigest() + ' without a marker', 0
    return '%s %s' % (body[at + len(MARKER):].split(b'\r', 1)[0].decode(), hashlib.sha1(body[at:]).hexdigest()), at


class Box:
    def __init__(self, parent=None):
        self.id = None  # MAILBOXID; None: made by a change whose answer was not heard
        self.validity = None
        self.uidnext = 1  # the least it can be
        self.messages = {}  # UID -> (digest, flags)
        self.new = []  # (digest, flags): what a change adds, in order of their UIDs to be
        self.rights = dict(parent.rights) if parent else {}
        self.notes = {}  # metadata: entry -> value

    def assign(self, uids):
        assert len(uids) == len(self.new), (uids, self.new)
        assert list(uids) == sorted(uids) and (not uids or uids[0] >= self.uidnext), (uids, self.uidnext)
        self.messages.update(zip(uids, self.new))
        self.uidnext = max([self.uidnext] + [u + 1 for u in uids])
        self.new = []


class State:
    def __init__(self):
        self.boxes = {}  # name as the client says it -> Box
        self.quota = None  # limits of the client's resource

    def copy(self):
        return copy.deepcopy(self)


def compare(expected, seen):
    """What of the State `seen` cannot be, if `expected` is so; None if all can."""
    if set(expected.boxes) != set(seen.boxes):
        return 'mailboxes are missing %r, or too many %r' % (sorted(set(expected.boxes) - set(seen.boxes)),
                                                            sorted(set(seen.boxes) - set(expected.boxes)))
    if expected.quota != seen.quota:
        return 'quota is %r, not %r' % (seen.quota, expected.quota)
    for name, e in expected.boxes.items():
        s = seen.boxes[name]
        for what in ('id', 'validity'):
            if getattr(e, what) is not None and getattr(e, what) != getattr(s, what):
                return '%s: %s is %r, not %r' % (name, what, getattr(s, what), getattr(e, what))
        if e.rights != s.rights or e.notes != s.notes:
            return '%s: rights or metadata are %r %r, not %r %r' % (name, s.rights, s.notes, e.rights, e.notes)
        lost = sorted(set(e.messages) - set(s.messages))
        if lost:
            return '%s: lost UIDs %r: %r' % (name, lost, [e.messages[u] for u in lost][:5])
        for uid, message in e.messages.items():
            if s.messages[uid] != message:
                return '%s: UID %d is %r, not %r' % (name, uid, s.messages[uid], message)
        more = sorted(set(s.messages) - set(e.messages))
        if [s.messages[u] for u in more] != e.new:
            return '%s: added are %r, not %r' % (name, [(u,) + s.messages[u] for u in more], e.new)
        if more and more[0] < e.uidnext:
            return '%s: new UID %d, but UIDNEXT was %d' % (name, more[0], e.uidnext)
        if s.uidnext < e.uidnext:
            return '%s: UIDNEXT is %d, was %d' % (name, s.uidnext, e.uidnext)
    return None


class Violation(AssertionError):
    """The server has broken its promise."""


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.contents = {}  # (mailbox, UID) -> digest
        self.changes = {}  # (mailbox, UID, MODSEQ) -> flags
        self.newest = {}  # (mailbox, UID) -> MODSEQ
        self.floors = {}  # mailbox -> (UIDNEXT, HIGHESTMODSEQ)
        self.names = {}  # (account, name, UIDVALIDITY) -> mailbox
        self.looks = 0

    def mailbox(self, account, name, validity, box, uidnext, highest):
        with self.lock:
            if self.names.setdefault((account, name, validity), box) != box:
                raise Violation('%s of %s: UIDVALIDITY %d had another mailbox before' % (name, account, validity))
            floor = self.floors.get(box, (0, 0))
            if uidnext < floor[0] or highest < floor[1]:
                raise Violation('%s of %s: UIDNEXT %d HIGHESTMODSEQ %d after %r' % (name, account, uidnext, highest, floor))
            self.floors[box] = (uidnext, highest)
            self.looks += 1

    def message(self, box, uid, modseq, flags, content=None, ordered=True):
        """ordered: nobody else can have seen something newer meanwhile."""
        with self.lock:
            if content and self.contents.setdefault((box, uid), content) != content:
                raise Violation('UID %d of %s is %s, and was %s' % (uid, box, content, self.contents[box, uid]))
            if self.changes.setdefault((box, uid, modseq), flags) != flags:
                raise Violation('UID %d MODSEQ %d of %s has %r, and had %r' % (
                    uid, modseq, box, sorted(flags), sorted(self.changes[box, uid, modseq])))
            if modseq < self.newest.get((box, uid), 0) and ordered:
                raise Violation('UID %d of %s: MODSEQ %d after %d' % (uid, box, modseq, self.newest[box, uid]))
            self.newest[box, uid] = max(modseq, self.newest.get((box, uid), 0))
