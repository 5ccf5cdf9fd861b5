"""No tagged OK of a changing command leaves before a sync that covers its change has returned: seen from outside, in the
system calls of the mail processes (strace, as root).

What a command changed is found in what is written to the account's log after the command was read: by a word that only
this command has where its frame has one, else by the log grown at all. Covered is a write if fdatasync or fsync of that
file began after the write had returned, and has itself returned 0 before the OK is sent. A file that is new in the log
also needs its directory synced, from after it was made.
"""
import os
import re
import threading

import pytest

from crashes.main import names
from support import server as support_server
from support.imap import Lit, LitPlus
from support.lmtp import Lmtp
from support.server import PASSWORD
from support.strace import AVAILABLE, Strace, parse

pytestmark = [pytest.mark.martlet('its own log'),
              pytest.mark.skipif(not AVAILABLE, reason='needs strace, and root to trace other users'),
              pytest.mark.skipif(support_server.SANITIZED, reason='a sanitizer may be a tracer itself')]

SYNCS = ('fdatasync', 'fsync')
WRITES = ('write', 'writev', 'pwrite64', 'pwritev', 'pwritev2')
SENDS = ('sendto', 'sendmsg', 'write', 'writev')
READS = ('read', 'recvfrom', 'recvmsg')
LOG = re.compile(r'/accounts/.*/log/[0-9a-f]{16}\Z')


def done(calls, names):
    return [c for c in calls if c.name in names and c.end is not None and c.result is not None and c.result >= 0]


def covered(calls, write, until):
    """Whether that write is on the disk, as far as syncs can tell, when the call number `until` begins."""
    def synced(file, after):
        return any(c.file == file and c.start > after and c.end < until for c in done(calls, SYNCS))
    made = [c for c in calls if c.name == 'openat' and 'O_CREAT|O_EXCL' in c.text and '= ' in c.text and write.file in c.text
            and c.end is not None and c.end < write.start]
    return synced(write.file, write.end) and all(synced(os.path.dirname(write.file), c.end) for c in made)


class Command:
    """What the test says a tag was for. marks: words in its frames, each of which must be covered."""

    def __init__(self, tag, text, marks=(), answer='OK'):
        self.tag, self.text, self.marks, self.answer = tag, text, marks, answer


def judge(calls, commands):
    """The commands whose OK came too early, with why; fails if the trace does not show them at all."""
    wrong = []
    writes = [c for c in done(calls, WRITES) if LOG.search(c.file)]
    for command in commands:
        read = [c for c in done(calls, READS) if '"%s ' % command.tag in c.text or '\\n%s ' % command.tag in c.text]
        sent = [c for c in calls if c.name in SENDS and c.file.startswith('TCP')
                and re.search(r'["n]%s %s' % (command.tag, command.answer), c.text)]
        assert read and sent, 'not in the trace: %s %s' % (command.tag, command.text)
        since, until = read[0].start, sent[0].start
        if command.marks:
            mine = [w for w in writes if since < w.start < until and any(m in w.text for m in command.marks)]
            missing = [m for m in command.marks if not any(m in w.text for w in mine)]
            if missing:
                wrong.append((command, 'no frame with %r was written before' % missing))
            wrong += [(command, 'not synced before the answer: %r' % w) for w in mine if not covered(calls, w, until)]
        elif not any(covered(calls, w, until) for w in writes if since < w.start < until):
            wrong.append((command, 'no frame was written and synced in between'))
    return wrong


class Traced:
    """A client whose tags are its own, and who notes what they were for."""

    def __init__(self, server, user, prefix, commands):
        self.c = server.connect()
        self.c.prefix = prefix
        self.prefix, self.commands = prefix, commands
        self.c.login(user, PASSWORD)

    def ok(self, *parts, marks=()):
        r = self.c.ok(*parts)
        first = parts[0] if isinstance(parts[0], str) else repr(parts[0])
        self.commands.append(Command(r.tagged.tag, first, marks))
        return r


def mail(word, n=1):
    return b'Subject: %s\r\n\r\n' % word.encode() + b'text of it\r\n' * n


def work(t, shared):
    """Every kind of change. shared: a mailbox of another account, in the other process."""
    p = t.prefix
    t.ok('CREATE %s' % p, marks=[p])
    t.ok('CREATE %sother' % p, marks=[p + 'other'])
    t.ok('APPEND %s ' % p, LitPlus(mail(p + 'one')), marks=[p + 'one'])
    t.ok('APPEND %s ' % p, LitPlus(mail(p + 'two')), ' ', Lit(mail(p + 'three')), marks=[p + 'two', p + 'three'])
    t.ok('APPEND %s ' % p, LitPlus(mail(p + 'big', 120000)), marks=[p + 'big'])
    t.c.select(p)
    t.ok('STORE 1 +FLAGS (%sflag)' % p, marks=[p + 'flag'])
    t.ok('STORE 1:3 +FLAGS.SILENT (\\Flagged)')
    t.ok('UID COPY 1:2 %sother' % p)
    t.ok('UID MOVE 2 %sother' % p)
    t.ok('UID REPLACE 3 %s ' % p, LitPlus(mail(p + 'four')), marks=[p + 'four'])
    t.ok('STORE 1 +FLAGS (\\Deleted)')
    t.ok('EXPUNGE')
    t.ok('COPY 1 %s' % shared, marks=[p + 'big'])  # to another account go the octets
    t.ok('MOVE 1 %s' % shared, marks=[p + 'big'])
    t.ok('APPEND %s ' % shared, LitPlus(mail(p + 'five')), marks=[p + 'five'])
    t.ok('RENAME %sother %snew' % (p, p), marks=[p + 'new'])
    t.ok('SETACL %snew %swho lr' % (p, p), marks=[p + 'who'])
    t.ok('SETMETADATA %snew (/shared/comment "%snote")' % (p, p), marks=[p + 'note'])
    t.ok('SUBSCRIBE %ssub' % p, marks=[p + 'sub'])
    t.ok('DELETE %snew' % p)


def deliver(server, user, words):
    """LMTP; the answers have no tags, so each delivery is a conversation of its own."""
    for word in words:
        lmtp = Lmtp(server.host, server.lmtp)
        lmtp.lhlo()
        assert lmtp.deliver(word + '@example.org', [user + '@example.org'], mail(word)) == ([250], [250])
        lmtp.close()


@pytest.fixture(scope='module')
def trace(tmp_path_factory):
    """(calls, commands, words delivered) of some sessions at a time, of which three share an account."""
    s = support_server.make(extra=['--setting', 'mail.processes=2', '--setting', 'mail.quarantine=0s'])
    s.start()
    commands, threads, failed = [], [], []
    file = tmp_path_factory.mktemp('trace') / 'trace'
    words = ['delivered%d' % i for i in range(4)]
    try:
        pids = [p for p, n in names(s).items() if n == 'martlet-mail']
        with Strace(pids, file) as t:
            sessions = [Traced(s, user, prefix, commands) for user, prefix in
                        (('anna', 'cranea'), ('anna', 'craneb'), ('anna', 'cranec'), ('bert', 'craned'), ('carl', 'cranee'))]
            for user in ('anna', 'bert', 'carl'):
                o = s.connect()
                o.login(user, PASSWORD)
                o.ok('CREATE Team')
                for other in ('anna', 'bert', 'carl'):
                    if other != user:
                        o.ok('SETACL Team %s lrswi' % other)
                o.close()

            def run(what, *arguments):
                try:
                    what(*arguments)
                except BaseException as e:
                    failed.append(e)
            for t_ in sessions:
                shared = '"Other Users/%s/Team"' % {'cranea': 'bert', 'craneb': 'carl', 'cranec': 'bert', 'craned': 'carl', 'cranee': 'anna'}[t_.prefix]
                threads.append(threading.Thread(target=run, args=(work, t_, shared)))
            threads.append(threading.Thread(target=run, args=(deliver, s, 'anna', words)))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for t_ in sessions:
                t_.c.close()
        if failed:
            raise failed[0]
        return t.lines(), commands, words
    finally:
        s.stop()
        s.remove()


def test_no_ok_before_its_sync(trace):
    lines, commands, _ = trace
    assert len(commands) == 100
    assert judge(parse(lines), commands) == []


def test_no_delivery_is_confirmed_before_its_sync(trace):
    lines, _, words = trace
    calls = parse(lines)
    for word in words:
        writes = [c for c in done(calls, WRITES) if LOG.search(c.file) and word in c.text]
        assert writes, word
        # Its connection is the one where the word was read; its answers after that are in order.
        file = [c for c in done(calls, READS) if word in c.text and c.file.startswith('TCP')][0].file
        sent = [c for c in calls if c.name in SENDS and c.file == file and c.start > writes[0].start and '"250 ' in c.text][0]
        assert all(covered(calls, w, sent.start) for w in writes), word


def test_a_missing_sync_is_seen(trace):
    """The same trace without syncs, with syncs that fail, and with those of one file missing."""
    lines, commands, _ = trace
    assert len(judge([c for c in parse(lines) if c.name not in SYNCS], commands)) >= len(commands)
    calls = parse(lines)
    for c in calls:
        if c.name in SYNCS:
            c.result = -1
    assert len(judge(calls, commands)) >= len(commands)
    calls = parse(lines)
    segments = sorted({c.file for c in calls if c.name == 'fdatasync' and LOG.search(c.file)})
    assert len(segments) > 10
    for file in segments[::5]:
        kept = [c for c in calls if not (c.name in SYNCS and c.file == file)]
        used = [c for c in calls if c.name in WRITES and c.file == file]
        assert not used or judge(kept, commands) or not any('crane' in c.text for c in used)


def test_an_early_answer_is_seen(trace):
    """The same trace in which each OK is sent just before the sync that it waited for has returned."""
    lines, commands, _ = trace
    for number in range(0, len(commands), 7):
        calls = parse(lines)
        command = commands[number]
        read, = [c for c in calls if c.name in READS and ('"%s ' % command.tag in c.text or '\\n%s ' % command.tag in c.text)][:1]
        sent = [c for c in calls if c.name in SENDS and c.file.startswith('TCP') and
                re.search(r'["n]%s OK' % command.tag, c.text)][0]
        first = min(c.end for c in done(calls, SYNCS) if c.end > read.start)
        sent.start = min(sent.start, first) - 0.5
        assert [w for w, _ in judge(calls, [command])] , command.text
