"""A client that believes only what the server says, and holds it to what it may say.

Its picture of the selected mailbox is `rows`, made from responses alone; whatever RFC 9051 (and 3501),
7162 and 9586 forbid at that moment raises ProtocolError:

- EXPUNGE and VANISHED while FETCH, STORE, SEARCH or SORT by number run, or no command at all
  (RFC 9051 section 7.5.1, RFC 7162 section 3.2.10), unless NOTIFY asked for them (RFC 5465 section 5.2);
- EXPUNGE to a client that shall get VANISHED, VANISHED to one that did not ask for it or for a UID that it
  was not shown, VANISHED (EARLIER) but for SELECT and UID FETCH (VANISHED);
- EXISTS that shrinks, a number beyond it, a number that stands for another UID than before;
- a mod-sequence that goes back, or new flags with an old one; FLAGS without MODSEQ and UID to a client that
  has enabled CONDSTORE or QRESYNC; MODSEQ to one that has not asked;
- RECENT and SEARCH in IMAP4rev2, answers without numbers of their own (UIDFETCH) outside UIDONLY.
"""
from support.imap import Imap, ProtocolError, expand, flags, name

NUMBERED = {'FETCH', 'STORE', 'SEARCH', 'SORT', 'THREAD'}


class Row:
    __slots__ = ('uid', 'flags', 'modseq')

    def __init__(self, uid=None, flags=None, modseq=None):
        self.uid, self.flags, self.modseq = uid, flags, modseq

    def copy(self):
        return Row(self.uid, self.flags, self.modseq)


class Kept:
    """What a client keeps of a mailbox when it leaves: {uid: Row} as of `known`."""

    def __init__(self, client):
        self.known = (client.uidvalidity, client.highest)
        self.rows = {r.uid: r.copy() for r in client.rows if r.uid}


class Client(Imap):
    def __init__(self, *args, **more):
        self.enabled = set()
        self.rows = None
        self.kept = None  # of the SELECT that is running
        self.opening = False  # SELECT was sent, and has not said EXISTS yet
        self.earlier = False  # VANISHED (EARLIER) may come
        self.asked_modseq = False
        self.highest = self.highest_told = self.newest = self.uidvalidity = self.uidnext = 0
        self.unsolicited = False  # NOTIFY (SELECTED ...): expunges may come at any time
        self.statuses = {}  # name -> what was last told of a mailbox that is not selected
        self.notice = lambda uid, modseq, flags: None
        self.script = None
        super().__init__(*args, **more)

    # -- what is on

    def enable(self, *names):
        told = self.ok('ENABLE ' + ' '.join(names)).one('ENABLED').data
        missing = {n.upper() for n in names} - {t.upper() for t in told} - self.enabled
        if missing:
            raise ProtocolError('not enabled: %r' % missing)
        self.enabled |= {n.upper() for n in names}
        self.utf8 |= 'IMAP4REV2' in self.enabled

    @property
    def rev2(self):
        return 'IMAP4REV2' in self.enabled

    @property
    def qresync(self):
        return 'QRESYNC' in self.enabled

    @property
    def condstore(self):
        return self.qresync or 'CONDSTORE' in self.enabled

    @property
    def uidonly(self):
        return 'UIDONLY' in self.enabled

    @property
    def numberless(self):
        """Whether message numbers do not exist, or may change at any moment (RFC 5465 section 5.2)."""
        return self.uidonly or self.unsolicited

    # -- the picture

    def state(self):
        """uid -> flags, of those that are known."""
        return {r.uid: r.flags for r in self.rows if r.uid}

    def row(self, uid):
        return next((r for r in self.rows if r.uid == uid), None)

    def _tagged(self, r):
        command = self.running.get(r.tag)
        super()._tagged(r)
        self.uids = None
        if r.code == 'HIGHESTMODSEQ':
            self._highest(r)
        self.highest, self.newest = max(self.highest, self.newest), 0
        if command in ('SELECT', 'EXAMINE'):
            if r.kind == 'OK':
                self._selected()
            else:
                self.rows = None
        elif command in ('CLOSE', 'UNSELECT', 'LOGOUT') and r.kind == 'OK':
            self.rows = None
        self.earlier = self.asked_modseq = False

    def _selected(self):
        """With kept rows: what was vanished has left them; who had no number in an answer fits in between."""
        if self.rows is None:
            raise ProtocolError('SELECT without EXISTS')
        kept, self.kept = self.kept, None
        if kept is None or kept.known[0] != self.uidvalidity:
            return
        told = {r.uid: (n, r) for n, r in enumerate(self.rows) if r.uid}
        told.update({r.uid: (None, r) for r in self.floating})
        uids = sorted(set(kept.rows) | set(told))
        if len(uids) > len(self.rows):
            raise ProtocolError('%d messages kept and told, EXISTS %d' % (len(uids), len(self.rows)))
        for n, uid in enumerate(uids):
            number, row = told.get(uid, (None, None))
            if row is None:
                row = kept.rows[uid]
            elif number is not None and number != n:
                raise ProtocolError('UID %d is told as number %d, but is %d' % (uid, number + 1, n + 1))
            self.rows[n] = row

    def _highest(self, r):
        """RFC 7162 section 3.2: what to resynchronise from is the greatest mod-sequence that was told, but for a
        HIGHESTMODSEQ after it, which may be less while an expunge is kept back."""
        value = int(r.code_args[0])
        if value < self.highest_told:
            raise ProtocolError('HIGHESTMODSEQ goes back from %d: %r' % (self.highest_told, r))
        self.highest, self.highest_told, self.newest = value, value, 0

    def _follow(self, r):
        running = set(self.running.values())
        selecting = running & {'SELECT', 'EXAMINE'}
        if r.kind == 'OK':
            self._code(r, selecting)
        elif r.kind == 'EXISTS':
            # At the end of SELECT (QRESYNC ...) a second one may tell of new messages.
            if selecting and (self.opening or not self.kept):
                self.rows, self.floating, self.opening = [Row() for _ in range(r.num)], [], False
            elif self.rows is None:
                raise ProtocolError('EXISTS, but no mailbox is selected: %r' % r)
            elif r.num < len(self.rows):
                raise ProtocolError('EXISTS shrinks from %d: %r' % (len(self.rows), r))
            else:
                self.rows += [Row() for _ in range(r.num - len(self.rows))]
        elif r.kind == 'RECENT' and self.rev2:
            raise ProtocolError('RECENT in IMAP4rev2: %r' % r)
        elif r.kind == 'SEARCH' and self.rev2:
            raise ProtocolError('SEARCH in IMAP4rev2: %r' % r)
        elif r.kind == 'STATUS':
            old = self.statuses.setdefault(name(r.data[0]).decode(), {})
            old.pop('UNSEEN', None)  # messages that come or go may change it, and it need not be said
            old.update(r.items())
        elif r.kind == 'ESEARCH':
            tag = r.esearch()[0]
            if tag is not None and tag not in self.running:
                raise ProtocolError('ESEARCH of a command that does not run: %r' % r)
        elif r.kind == 'EXPUNGE':
            if self.qresync or self.uidonly:
                raise ProtocolError('EXPUNGE instead of VANISHED: %r' % r)
            self._may_expunge(r, running)
            del self.rows[self._index(r)]
        elif r.kind == 'VANISHED':
            self._vanished(r, running)
        elif r.kind == 'FETCH':
            if self.uidonly:
                raise ProtocolError('FETCH in a session without numbers: %r' % r)
            self._fetch(self.rows[self._index(r)], r, running)
        elif r.kind == 'UIDFETCH':
            if not self.uidonly:
                raise ProtocolError('UIDFETCH unasked: %r' % r)
            self._fetch(self._by_uid(r.num, r, bool(selecting)), r, running)

    def _code(self, r, selecting):
        if r.code == 'CLOSED':
            self.opening = True
            self.rows, self.highest, self.highest_told, self.newest = None, 0, 0, 0
        elif r.code == 'HIGHESTMODSEQ':
            self._highest(r)
        elif r.code == 'UIDVALIDITY' and selecting:
            self.uidvalidity = int(r.code_args[0])
        elif r.code == 'UIDNEXT' and selecting:
            self.uidnext = int(r.code_args[0])
        elif r.code in ('UNSEEN',) and (self.rev2 or self.uidonly):
            raise ProtocolError('%s in such a session: %r' % (r.code, r))

    def _index(self, r):
        if self.rows is None or not 1 <= r.num <= len(self.rows):
            raise ProtocolError('a number beyond EXISTS %r: %r' % (self.rows and len(self.rows), r))
        return r.num - 1

    def _by_uid(self, uid, r, selecting):
        """A session without numbers: the row of a UID, told or fitting one that was announced."""
        row = self.row(uid)
        if row:
            return row
        row = Row(uid)
        if selecting and self.kept:
            self.floating.append(row)
            return row
        unknown = next((n for n, x in enumerate(self.rows) if x.uid is None), None)
        if unknown is None:
            raise ProtocolError('UID %d was not announced: %r' % (uid, r))
        del self.rows[unknown]
        after = next((n for n, x in enumerate(self.rows) if x.uid is not None and x.uid > uid), len(self.rows))
        self.rows.insert(after, row)
        return row

    def _may_expunge(self, r, running):
        if self.unsolicited:
            return
        if not running or running <= NUMBERED:
            raise ProtocolError('%s while %s runs: %r' % (r.kind, ', '.join(running) or 'no command', r))
        if self.rows is None:
            raise ProtocolError('%s, but no mailbox is selected: %r' % (r.kind, r))

    def _vanished(self, r, running):
        if not (self.qresync or self.uidonly):
            raise ProtocolError('VANISHED unasked: %r' % r)
        uids = expand(r.data[-1])
        if r.data[0] == ['EARLIER']:
            if not self.earlier:
                raise ProtocolError('VANISHED (EARLIER) unasked: %r' % r)
            if self.kept:
                for uid in uids:
                    self.kept.rows.pop(uid, None)
            else:
                known = {x.uid for x in self.rows} & set(uids)
                if known:
                    raise ProtocolError('VANISHED (EARLIER) of messages that are shown: %r' % r)
            return
        self._may_expunge(r, running)
        for uid in uids:
            if self.kept:  # while SELECT is being answered
                self.kept.rows.pop(uid, None)
                self.floating = [x for x in self.floating if x.uid != uid]
            self._vanish(uid, r)

    def _vanish(self, uid, r):
        for n, row in enumerate(self.rows):
            if row.uid == uid:
                del self.rows[n]
                return
        after = next((n for n, x in enumerate(self.rows) if x.uid is not None and x.uid > uid), len(self.rows))
        if self.uidonly:  # without numbers an announced message has no place yet
            after = 1 + next((n for n, x in enumerate(self.rows) if x.uid is None), -1)
        if after == 0 or self.rows[after - 1].uid is not None:
            raise ProtocolError('UID %d vanishes, but was not shown: %r' % (uid, r))
        del self.rows[after - 1]

    def _fetch(self, row, r, running):
        items = r.items()
        uid = int(items['UID']) if 'UID' in items else None
        if uid is not None:
            if row.uid is not None and row.uid != uid:
                raise ProtocolError('was UID %d: %r' % (row.uid, r))
            row.uid = uid
            near = [x.uid for x in self.rows if x.uid]
            if near != sorted(set(near)) and not self.uidonly:
                raise ProtocolError('UIDs do not ascend: %r' % r)
        modseq = int(items['MODSEQ'][0]) if 'MODSEQ' in items else None
        if modseq is not None:
            if not (self.condstore or self.asked_modseq):
                raise ProtocolError('MODSEQ unasked: %r' % r)
            if row.modseq is not None and modseq < row.modseq:
                raise ProtocolError('MODSEQ goes back from %d: %r' % (row.modseq, r))
        if 'FLAGS' in items:
            self._flags(row, items, modseq, r, running)
        if modseq is not None:
            row.modseq = modseq
            self.newest = max(self.newest, modseq)

    def _flags(self, row, items, modseq, r, running):
        told = frozenset(flags(items['FLAGS']))
        if '\\recent' in told and self.rev2:
            raise ProtocolError('\\Recent in IMAP4rev2: %r' % r)
        told -= {'\\recent'}
        solicited = running & {'FETCH', 'UID FETCH'}
        if self.condstore and not solicited and (modseq is None or self.qresync and row.uid is None):
            raise ProtocolError('FLAGS without MODSEQ or UID: %r' % r)
        if modseq is not None and row.modseq == modseq and row.flags is not None and row.flags != told:
            raise ProtocolError('other flags, but not another MODSEQ: %r' % r)
        row.flags = told
        if modseq is not None and row.uid:
            self.notice(row.uid, modseq, told)

    # -- commands

    def open(self, name, kept=None, detail='', command='SELECT'):
        """SELECT, with QRESYNC's parameters if something was kept."""
        self.highest = self.highest_told = self.newest = 0
        parameters = ''
        if kept:
            self.kept, self.earlier = kept, True
            parameters = ' (QRESYNC (%d %d%s))' % (kept.known + (detail and ' ' + detail,))
        return self.ok('%s %s%s' % (command, name, parameters))

    def learn(self):
        """Asks for what EXISTS has announced."""
        items = '(UID FLAGS MODSEQ)' if self.condstore else '(UID FLAGS)'
        def unknown(r):
            return r.uid is None or r.flags is None or self.condstore and r.modseq is None
        for _ in range(10):  # more may come meanwhile
            first = next((n for n, r in enumerate(self.rows) if unknown(r)), None)
            if first is None:
                return
            if self.numberless:
                self.cmd('UID FETCH 1:* ' + items)
            else:
                self.cmd('FETCH %d:%d %s' % (first + 1, len(self.rows), items))
        raise ProtocolError('message %d is not shown' % (first + 1))

    def start(self, *parts):
        if self.script:
            self.script(self, parts)
        if self._command_name(parts[0]) in ('SELECT', 'EXAMINE'):
            self.opening = True
        return super().start(*parts)

    def read(self, timeout=None):
        r = super().read(timeout)
        if self.script:
            self.script(self, r)
        return r
