"""What a mailbox is, in as little as will do (RFC 9051 sections 2.3 and 6): the model of the tests.

It knows nothing of views, numbers or MODSEQs: those belong to a session, and client.py holds a
server to the rules for them.
"""

SYSTEM = ('\\seen', '\\answered', '\\flagged', '\\draft', '\\deleted')
KEYWORDS = ('$forwarded', 'alpha', 'beta')


class Message:
    def __init__(self, flags, body):
        self.flags = frozenset(flags)
        self.body = body


class Box:
    def __init__(self, name):
        self.name = name
        self.messages = {}  # uid -> Message, in order
        self.gone = {}  # what was expunged, as it last was
        self.uidnext = 1
        self.uidvalidity = None  # the server's choice

    def append(self, flags, body):
        uid = self.uidnext
        self.uidnext += 1
        self.messages[uid] = Message(flags, body)
        return uid

    def store(self, uids, op, flags):
        for uid in uids:
            m = self.messages.get(uid)
            if m:
                m.flags = changed(m.flags, op, flags)

    def expunge(self, uids=None):
        """Removes what is \\Deleted, of those UIDs alone if they are given."""
        for uid in [u for u, m in self.messages.items() if '\\deleted' in m.flags and (uids is None or u in uids)]:
            self.remove(uid)

    def remove(self, uid):
        self.gone[uid] = self.messages.pop(uid)

    def state(self):
        """uid -> flags"""
        return {uid: m.flags for uid, m in self.messages.items()}


def changed(old, op, flags):
    flags = frozenset(flags)
    return old | flags if op == '+' else old - flags if op == '-' else flags
