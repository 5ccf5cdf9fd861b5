"""Every operation that is timed: what it sends, what must come back, what has to be prepared, what is to be reached.

An operation belongs to a round. A round begins with a new account on every server, filled by MULTIAPPEND, so that what
is done "first" meets a mailbox of which nobody has read anything yet (caches of derived data empty; the files
themselves are in the page cache of the kernel). Within a round the order is that of OPERATIONS below.
"""
from dataclasses import dataclass
from typing import Callable, Optional, Tuple

import corpus
from client import WrongAnswer
from servers import PASSWORD

FIELDS = " ".join(corpus.HEADER_FIELDS)


class Target:
    """One server with its load client and the account of this round. Slot 0 has the mailbox selected, slot 1 none."""

    def __init__(self, server, client, transport, facts):
        self.server, self.client, self.transport, self.facts = server, client, transport, facts
        self.count = facts["messages"]
        self.user = ""
        self.capabilities = set()
        self.fresh = ""
        self.flagged = ""           # the account whose messages flag_some has marked
        self.serial = 0

    def begin(self, user):
        """A new account; both connections logged in."""
        self.user = user
        self.reconnect(select=False)
        answer = self.client.run("CAPABILITY")
        self.capabilities = set(answer["text"].upper().split())

    def reconnect(self, select=True):
        for slot in (0, 1):
            self.client.call("close %d" % slot)
            self.client.call(self.server.open_command(slot, self.transport, self.user))
        if select:
            self.client.run('SELECT "INBOX"')

    def new_mailbox(self):
        """Creates an empty mailbox and remembers it in self.fresh."""
        self.serial += 1
        self.fresh = "fresh%d" % self.serial
        self.client.run('CREATE "%s"' % self.fresh, slot=1)

    def messages_in(self, mailbox):
        text = self.client.run('STATUS "%s" (MESSAGES)' % mailbox, slot=1)["text"]
        return int(text.rpartition("MESSAGES ")[2].rstrip(")"))

    def expect(self, what, got, wanted):
        if got != wanted:
            raise WrongAnswer("%s, %s: %s is %s, not %s" % (self.server.title, self.transport, what, got, wanted))


@dataclass
class Operation:
    key: str
    title: str
    run: Callable                               # (target) -> answer of the load client: the only part that is timed
    check: Optional[Callable] = None            # (target, answer): raises WrongAnswer
    prepare: Optional[Callable] = None          # before every repetition
    twice: bool = False                         # has a "first" and a "later" figure
    writes: bool = False                        # also measured on the peer that syncs every change
    selected: bool = True                       # needs the filled mailbox selected in slot 0
    repeats: int = 200                          # at most; destructive ones fewer
    goal: Tuple[Optional[float], Optional[float]] = (None, None)    # peer CPU / Martlet CPU: first, later
    needs: str = ""                             # capability without which the operation is left out
    compare: bool = False                       # note when the servers' answers differ


def sized(target, wanted):
    """How many commands "in turn": as in BASELINE's table, fewer when the mailbox is small."""
    return max(10, min(wanted, wanted * target.count // 5000))


def stride(target):
    """A step that visits messages all over the mailbox without repeating one soon."""
    return 7919 if target.count % 7919 else 7907


def fill(target):
    return target.client.append("INBOX", 0, target.count, per_command=200)


def filled(target, _answer):
    target.expect("messages after MULTIAPPEND", target.messages_in("INBOX"), target.count)


def append_some(window):
    def run(target):
        return target.client.append(target.fresh, target.serial * 997, sized(target, 500), window=window)
    return run


def appended(target, _answer):
    target.expect("messages after APPEND", target.messages_in(target.fresh), sized(target, 500))


def fetch(items, keyword):
    """FETCH of all messages; every response must hold the keyword."""
    def run(target):
        target.client.call("keyword " + keyword)
        try:
            return target.client.run("FETCH 1:* (%s)" % items)
        finally:
            target.client.call("keyword ")
    return run


def all_fetched(target, answer):
    target.expect("FETCH responses", answer["fetch"], target.count)
    target.expect("FETCH responses with what was asked for", answer["keyword"], target.count)


def headers_fetched(target, answer):
    all_fetched(target, answer)
    if answer["literals"] == target.count:
        target.expect("bytes of header fields", answer["literal_bytes"], target.facts["header_fields_bytes"])


def bodies_fetched(target, answer):
    all_fetched(target, answer)
    target.expect("bytes of messages", answer["literal_bytes"], target.facts["bytes"])


def fetch_each(target):
    return target.client.run("FETCH % (BODY.PEEK[])", repeat=sized(target, 2000), start=target.serial,
                             stride=stride(target), modulus=target.count)


def numbers_are(wanted):
    def check(target, answer):
        target.expect("numbers found", answer["numbers"], wanted(target))
    return check


def unflag(flag):
    def prepare(target):
        target.client.run("STORE 1:* -FLAGS.SILENT (%s)" % flag)
    return prepare


def store_each(target):
    return target.client.run("STORE % +FLAGS (\\Flagged)", repeat=sized(target, 1000), stride=stride(target),
                             modulus=target.count)


def flag_some(target):
    """All are \\Seen, one in twenty, all over the mailbox, is \\Flagged; once a round."""
    if target.flagged != target.user:
        target.flagged = target.user
        target.client.run("STORE 1:* FLAGS.SILENT (\\Seen)")
        target.client.run("STORE % +FLAGS.SILENT (\\Flagged)", repeat=max(1, target.count // 20), stride=stride(target),
                          modulus=target.count)


def copied(target, _answer):
    target.expect("messages after COPY", target.messages_in(target.fresh), target.count)


def fill_copy(target):
    """A mailbox of its own for every EXPUNGE, filled by COPY and selected."""
    target.client.run('SELECT "INBOX"')
    target.new_mailbox()
    target.client.run('COPY 1:* "%s"' % target.fresh)
    target.client.run('SELECT "%s"' % target.fresh)


def expunge(target):
    return target.client.run("STORE %d:%d +FLAGS.SILENT (\\Deleted) ;; EXPUNGE"
                             % (target.count // 4 + 1, target.count // 4 + target.count // 2))


def expunged(target, answer):
    target.expect("EXPUNGE responses", answer["expunge"], target.count // 2)
    target.expect("messages left", target.messages_in(target.fresh), target.count - target.count // 2)
    target.client.run('SELECT "INBOX"')


def status_check(target, answer):
    target.expect("STATUS responses", answer["status"], sized(target, 2000))
    if "MESSAGES %d" % target.count not in answer["text"]:
        raise WrongAnswer("%s: wrong STATUS: %s" % (target.server.title, answer["text"]))


def logins(count, clients, accounts):
    def run(target):
        server = target.server
        return target.client.call("logins %d %s %d %d %d %s %s" % (
            server.port[target.transport], target.transport, max(10, min(count, count * target.count // 2000)), clients,
            accounts, "login", PASSWORD))
    return run


def make_accounts(count):
    """Logs in once everywhere: the first login of a name makes its account."""
    def prepare(target):
        if target.server.accounts_made < count:
            target.server.accounts_made = count
            target.client.call("logins %d plain %d 1 %d login %s"
                               % (target.server.port["plain"], count, count, PASSWORD))
    return prepare


def every_message(target):
    return target.count


OPERATIONS = [
    Operation("multiappend", "MULTIAPPEND, 200 a command", fill, filled, writes=True, selected=False, repeats=1,
              goal=(None, 3.0)),
    Operation("append", "APPEND, one after another, 500", append_some(1), appended, Target.new_mailbox, writes=True,
              selected=False, repeats=8, goal=(None, 3.0)),
    Operation("append-pipelined", "APPEND, pipelined, 500", append_some(1 << 30), appended, Target.new_mailbox,
              writes=True, selected=False, repeats=8, goal=(None, 3.0)),
    Operation("select", "SELECT + UNSELECT, 200 in turn",
              lambda t: t.client.run('SELECT "INBOX" ;; UNSELECT', slot=1, repeat=sized(t, 200)), repeats=20),
    Operation("fetch-flags", "FETCH 1:* (UID FLAGS)", fetch("UID FLAGS", "FLAGS ("), all_fetched, twice=True,
              goal=(6.0, 6.0)),
    Operation("fetch-envelope", "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)",
              fetch("UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE", "ENVELOPE ("), all_fetched, twice=True,
              goal=(40.0, 8.0)),
    Operation("fetch-bodystructure", "FETCH 1:* (UID BODYSTRUCTURE)", fetch("UID BODYSTRUCTURE", "BODYSTRUCTURE ("),
              all_fetched, twice=True, goal=(40.0, 3.0)),
    Operation("fetch-headers", "FETCH 1:* BODY.PEEK[HEADER.FIELDS (7 fields)]",
              fetch("BODY.PEEK[HEADER.FIELDS (%s)]" % FIELDS, "HEADER.FIELDS"), headers_fetched, twice=True,
              goal=(10.0, 3.0)),
    Operation("fetch-bodies", "FETCH 1:* (BODY.PEEK[])", fetch("BODY.PEEK[]", "BODY[]"), bodies_fetched, repeats=10,
              goal=(None, 1.5)),
    Operation("fetch-each", "FETCH n (BODY.PEEK[]), 2,000 in turn", fetch_each,
              lambda t, a: t.expect("FETCH responses", a["fetch"], sized(t, 2000))),
    Operation("search-from", "SEARCH FROM", lambda t: t.client.run("SEARCH FROM %s" % corpus.FROM_WORD),
              numbers_are(lambda t: t.facts["from_hits"]), twice=True, goal=(5.0, 5.0)),
    Operation("search-text", "SEARCH TEXT (a rare word)", lambda t: t.client.run("SEARCH TEXT %s" % corpus.RARE_WORD),
              numbers_are(lambda t: t.facts["rare_hits"]), twice=True, repeats=3, goal=(1.2, 1.2)),
    Operation("search-body", "SEARCH BODY (no match)", lambda t: t.client.run("SEARCH BODY %s" % corpus.ABSENT_WORD),
              numbers_are(lambda t: 0), twice=True, repeats=3),
    Operation("sort-subject", "SORT (SUBJECT)", lambda t: t.client.run("SORT (SUBJECT) UTF-8 ALL"),
              numbers_are(every_message), twice=True, needs="SORT", compare=True),
    Operation("sort-date", "SORT (REVERSE DATE)", lambda t: t.client.run("SORT (REVERSE DATE) UTF-8 ALL"),
              numbers_are(every_message), twice=True, needs="SORT", compare=True),
    Operation("thread", "THREAD REFERENCES", lambda t: t.client.run("THREAD REFERENCES UTF-8 ALL"),
              numbers_are(every_message), twice=True, needs="THREAD=REFERENCES", compare=True),
    Operation("store-all", "STORE 1:* +FLAGS", lambda t: t.client.run("STORE 1:* +FLAGS (\\Answered)"),
              lambda t, a: t.expect("FETCH responses", a["fetch"], t.count), unflag("\\Answered"), writes=True,
              repeats=30, goal=(None, 3.0)),
    Operation("store-each", "STORE n +FLAGS, 1,000 in turn", store_each,
              lambda t, a: t.expect("FETCH responses", a["fetch"], sized(t, 1000)), unflag("\\Flagged"), writes=True,
              repeats=20, goal=(None, 2.0)),
    Operation("search-flagged", "SEARCH FLAGGED SEEN", lambda t: t.client.run("SEARCH FLAGGED SEEN"),
              numbers_are(lambda t: max(1, t.count // 20)), flag_some, repeats=60, goal=(None, 5.0)),
    Operation("copy", "COPY 1:*", lambda t: t.client.run('COPY 1:* "%s"' % t.fresh), copied, Target.new_mailbox,
              writes=True, repeats=5, goal=(None, 12.0)),
    Operation("status", "STATUS, 2,000 in turn",
              lambda t: t.client.run('STATUS "INBOX" (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)', slot=1,
                                     repeat=sized(t, 2000)), status_check, repeats=30, goal=(None, 2.0)),
    Operation("noop", "NOOP, 5,000 in turn", lambda t: t.client.run("NOOP", repeat=sized(t, 5000)), repeats=30,
              goal=(None, 2.0)),
    Operation("expunge", "STORE \\Deleted on half of them + EXPUNGE", expunge, expunged, fill_copy, writes=True,
              repeats=5, goal=(None, 4.0)),
    Operation("login", "LOGIN + LOGOUT, 300 in turn", logins(300, 1, 1),
              lambda t, a: None, make_accounts(1), repeats=10, goal=(None, 5.0)),
    Operation("login-many", "LOGIN + LOGOUT, 500, 16 clients, 100 accounts", logins(500, 16, 100), None,
              make_accounts(100), repeats=6),
]

# Sums of rows above: what parsing at arrival saves and costs. Dovecot does at the first FETCH what Martlet does then.
SUMS = [
    ("append-fetch", "MULTIAPPEND plus first FETCH of ENVELOPE",
     (("multiappend", "later"), ("fetch-envelope", "first"))),
    ("append-fetch-all", "MULTIAPPEND plus first FETCH of ENVELOPE, BODYSTRUCTURE, header fields",
     (("multiappend", "later"), ("fetch-envelope", "first"), ("fetch-bodystructure", "first"),
      ("fetch-headers", "first"))),
]


def offered(operation, capabilities):
    if not operation.needs:
        return True
    return any(c == operation.needs or (operation.needs == "SORT" and c.startswith("SORT")) for c in capabilities)


def verify_bodies(target):
    """Untimed: every byte of every message is what was stored."""
    target.client.call("crc 1")
    try:
        answer = target.client.run("FETCH 1:* (BODY.PEEK[])")
    finally:
        target.client.call("crc 0")
    target.expect("CRC-32 of all messages", answer["crc"], target.facts["crc32"])
