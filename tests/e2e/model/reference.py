"""What a mailbox is, in as little as will do (RFC 9051 sections 2.3 and 6): the model of the tests.

It knows nothing of views, numbers or MODSEQs: those belong to a session, and client.py holds a
server to the rules for them.
"""

SYSTEM = ('\\seen', '\\answered', '\\flagged', '\\draft', '\\deleted')
KEYWORDS = ('$forwarded', 'alpha', 'beta')


OWNER, GUEST = 'owner', 'guest'  # whose \\Seen: each user has his own (RFC 4314 section 4), all else is everybody's


class Message:
    def __init__(self, flags, body, eye=OWNER):
        self.flags, self.seen, self.body = frozenset(), frozenset(), body
        self.set(eye, flags)

    def of(self, eye):
        """The flags as that user sees them."""
        return self.flags | {'\\seen'} if eye in self.seen else self.flags

    def set(self, eye, flags):
        self.flags = frozenset(flags) - {'\\seen'}
        self.seen = self.seen | {eye} if '\\seen' in flags else self.seen - {eye}

    def copy(self, eye):
        """What that user has seen he has seen, and the owner, too; others have not."""
        m = Message(self.flags, self.body)
        m.seen = self.seen & {eye, OWNER}
        return m


class Box:
    def __init__(self, name):
        self.name = name
        self.messages = {}  # uid -> Message, in order
        self.gone = {}  # what was expunged, as it last was
        self.uidnext = 1
        self.uidvalidity = None  # the server's choice

    def append(self, message):
        uid = self.uidnext
        self.uidnext += 1
        self.messages[uid] = message
        return uid

    def store(self, uids, op, flags, eye):
        for uid in uids:
            m = self.messages.get(uid)
            if m:
                m.set(eye, changed(m.of(eye), op, flags))

    def expunge(self, uids=None):
        """Removes what is \\Deleted, of those UIDs alone if they are given."""
        for uid in [u for u, m in self.messages.items() if '\\deleted' in m.flags and (uids is None or u in uids)]:
            self.remove(uid)

    def remove(self, uid):
        self.gone[uid] = self.messages.pop(uid)

    def state(self, eye):
        """uid -> flags"""
        return {uid: m.of(eye) for uid, m in self.messages.items()}

    def unseen(self, eye):
        return sum(eye not in m.seen for m in self.messages.values())


def changed(old, op, flags):
    flags = frozenset(flags)
    return old | flags if op == '+' else old - flags if op == '-' else flags
