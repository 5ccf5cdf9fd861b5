"""Random histories of several sessions, compared with a reference model after every step.

The model is what RFC 9051 sections 2.3, 5.2, 6.3, 6.4 and 7 say of mailboxes, flags and views, in a
few lines of Python. A failing seed is repeated by running its test alone.
"""
import random

import pytest

from support.imap import LitPlus, expand, flags
from support.server import PASSWORD, SANITIZED

SYSTEM = ['\\Seen', '\\Answered', '\\Flagged', '\\Draft', '\\Deleted']
KEYWORDS = ['$Work', 'alpha', 'beta', 'gamma']


class Box:
    def __init__(self):
        self.messages = {}  # uid -> [flags, body]
        self.uidnext = 1


class View:
    """A session, and what it has been told: `known` flags by UID."""

    def __init__(self, c):
        self.c = c
        self.box = None
        self.known = {}

    def learn(self):
        """Asks for the UIDs of messages that EXISTS has just announced."""
        c = self.c
        while c.uids and None in c.uids:
            self._run('FETCH %d:%d UID' % (c.uids.index(None) + 1, len(c.uids)))

    def run(self, *parts):
        r = self._run(*parts)
        if self.c.uids is not None:
            self.learn()
        return r

    def _run(self, *parts):
        """A command; flags of answers are noted under the UID that the number had at that moment."""
        c = self.c
        tag = c.start(*parts)
        shadow = list(c.uids) if c.uids is not None else None
        while tag not in c.tagged:
            r = c.read()
            if shadow is None or r.tag != '*':
                continue
            if r.kind == 'EXPUNGE':
                self.known.pop(shadow.pop(r.num - 1), None)
            elif r.kind == 'EXISTS':
                shadow += [None] * (r.num - len(shadow))
            elif r.kind == 'FETCH':
                items = r.items()
                if 'UID' in items:
                    shadow[r.num - 1] = int(items['UID'])
                uid = shadow[r.num - 1]
                if 'FLAGS' in items and uid is not None:
                    self.known[uid] = flags(items['FLAGS']) - {'\\recent'}
        return c.wait(tag)


class History:
    def __init__(self, seed, session, rev2):
        self.rng = random.Random(seed)
        self.boxes = {'INBOX': Box(), 'one': Box(), 'two': Box()}
        self.views = [View(session(rev2=rev2 and i % 2 == 1)) for i in range(3)]
        self.views[0].c.ok('CREATE one')
        self.views[0].c.ok('CREATE two')
        self.serial = 0
        self.trace = []
        for v in self.views:
            self.select(v, 'INBOX')

    def some_flags(self):
        return set(self.rng.sample(SYSTEM + KEYWORDS, self.rng.randint(0, 3)))

    def select(self, v, box):
        r = v.run('SELECT ' + box)
        assert r.status == 'OK'
        v.box, v.known = box, {}
        b = self.boxes[box]
        assert r.one('EXISTS').num == len(b.messages)
        assert int(r.codes()['UIDNEXT'].code_args[0]) == b.uidnext
        self.settle(v)

    def settle(self, v):
        """NOOP, and then the session must have been told everything."""
        r = v.run('NOOP')
        assert r.status == 'OK'
        b = self.boxes[v.box]
        assert v.c.uids == sorted(b.messages), 'view of %s' % v.box
        for uid, known in v.known.items():
            assert known == {f.lower() for f in b.messages[uid][0]}, 'flags of %d were not told' % uid

    def numbers(self, v):
        """A random set of message numbers of the view, as text, and the UIDs it stands for."""
        n = len(v.c.uids)
        picks = sorted({self.rng.randint(1, n) for _ in range(self.rng.randint(1, 4))})
        if self.rng.random() < 0.3:
            a, b = self.rng.randint(1, n), self.rng.randint(1, n)
            return '%d:%d' % (a, b), [v.c.uids[i - 1] for i in range(min(a, b), max(a, b) + 1)]
        return ','.join(map(str, picks)), [v.c.uids[i - 1] for i in picks]

    def step(self):
        rng = self.rng
        v = rng.choice(self.views)
        b = self.boxes[v.box]
        kind = rng.choice(['append'] * 3 + ['store'] * 6 + ['expunge', 'uidexpunge', 'copy', 'move', 'select', 'noop', 'fetch',
                                                           'search', 'status', 'body', 'uidstore', 'check'])
        if kind in ('store', 'copy', 'move', 'fetch', 'body', 'uidstore') and not v.c.uids:
            kind = 'append'
        self.trace.append('%d %s %s' % (self.views.index(v), v.box, kind))
        getattr(self, 'do_' + kind)(v, b)

    def do_append(self, v, b):
        target = self.rng.choice(list(self.boxes))
        t = self.boxes[target]
        parts, uids = ['APPEND ' + target], []
        for _ in range(self.rng.choice([1, 1, 1, 3])):
            self.serial += 1
            f, body = self.some_flags(), b'Subject: m%d\r\n\r\nbody %d\r\n' % (self.serial, self.serial)
            parts += [' (%s) ' % ' '.join(f), LitPlus(body)]
            t.messages[t.uidnext] = [f, body]
            uids.append(t.uidnext)
            t.uidnext += 1
        r = v.run(*parts)
        assert r.status == 'OK' and expand(r.code_args[1]) == uids

    def change(self, b, uids, op, f):
        for uid in uids:
            if uid in b.messages:
                old = b.messages[uid][0]
                b.messages[uid][0] = {'+': old | f, '-': old - f, '': set(f)}[op]

    def do_store(self, v, b, by_uid=False):
        text, uids = self.numbers(v)
        if by_uid:
            text = ','.join(map(str, uids))
        op, f, silent = self.rng.choice(['+', '-', '']), self.some_flags(), self.rng.random() < 0.3
        live = [u for u in uids if u in b.messages]
        r = v.run('%sSTORE %s %sFLAGS%s (%s)' % ('UID ' if by_uid else '', text, op, '.SILENT' if silent else '', ' '.join(f)))
        assert r.status == 'OK' or len(live) < len(set(uids)), r
        self.change(b, live, op, f)
        if silent:
            for u in live:  # the session knows what it did, unless others changed the message, which
                v.known.pop(u, None)  # it must be told; NOOP and FETCH show
        else:
            for u in live:
                if u in v.known:
                    assert v.known[u] == {x.lower() for x in b.messages[u][0]}

    def do_uidstore(self, v, b):
        self.do_store(v, b, by_uid=True)

    def do_expunge(self, v, b):
        for uid in [u for u, m in b.messages.items() if '\\Deleted' in m[0]]:
            del b.messages[uid]
        assert v.run('EXPUNGE').status == 'OK'

    def do_uidexpunge(self, v, b):
        picked = [u for u in range(1, b.uidnext) if self.rng.random() < 0.3]
        if not picked:
            return
        for uid in picked:
            if uid in b.messages and '\\Deleted' in b.messages[uid][0]:
                del b.messages[uid]
        assert v.run('UID EXPUNGE ' + ','.join(map(str, picked))).status == 'OK'

    def do_copy(self, v, b, move=False):
        target = self.rng.choice([x for x in self.boxes if x != v.box])
        t = self.boxes[target]
        _, uids = self.numbers(v)
        uids = sorted(set(uids))
        live = [u for u in uids if u in b.messages]
        r = v.run('UID %s %s %s' % ('MOVE' if move else 'COPY', ','.join(map(str, uids)), target))
        if r.status != 'OK':
            assert len(live) < len(uids), r
            t.uidnext = int(v.run('STATUS %s (UIDNEXT)' % target).one('STATUS').items()['UIDNEXT'])
            return
        codes = [u for u in r.untagged if u.code == 'COPYUID'] if move else [r]
        if not codes or codes[0].code != 'COPYUID':
            assert not live, r
            return
        pairs = list(zip(expand(codes[0].code_args[1]), expand(codes[0].code_args[2])))
        assert set(live) <= {s for s, _ in pairs} <= set(uids)
        for source, uid in pairs:
            assert uid == t.uidnext
            t.uidnext += 1
            if source in b.messages:
                t.messages[uid] = [set(b.messages[source][0]), b.messages[source][1]]
            else:  # a message that only this session still showed
                t.messages[uid] = [set(), None]
            if move:
                b.messages.pop(source, None)
        if any(m[1] is None for m in t.messages.values()):
            self.adopt(t, target)

    def do_move(self, v, b):
        self.do_copy(v, b, move=True)

    def adopt(self, t, target):
        """Copies of messages gone meanwhile: take over what the server shows."""
        c = self.views[0].c
        box = self.views[0].box
        self.select_raw(self.views[0], target)
        for items in c.ok('FETCH 1:* (UID FLAGS BODY.PEEK[])').fetch().values():
            uid = int(items['UID'])
            if t.messages[uid][1] is None:
                names = {f.lower(): f for f in SYSTEM + KEYWORDS}
                t.messages[uid] = [{names[f] for f in flags(items['FLAGS']) - {'\\recent'}}, items['BODY[]']]
        self.select_raw(self.views[0], box)

    def select_raw(self, v, box):
        assert v.run('SELECT ' + box).status == 'OK'
        v.box, v.known = box, {}

    def do_select(self, v, b):
        self.select(v, self.rng.choice(list(self.boxes)))

    def do_noop(self, v, b):
        self.settle(v)

    def do_check(self, v, b):
        assert v.run('CHECK').status == 'OK'

    def do_fetch(self, v, b):
        """Flags of every message that is still there are those of the model."""
        text, uids = self.numbers(v)
        r = v.run('FETCH %s (UID FLAGS)' % text)
        assert r.status == 'OK' or any(u not in b.messages for u in uids)
        r.none('EXPUNGE')
        for items in r.fetch().values():
            uid = int(items.get('UID', 0))
            if uid in b.messages:
                assert flags(items['FLAGS']) - {'\\recent'} == {f.lower() for f in b.messages[uid][0]}
        assert {u for u in uids if u in b.messages} <= {int(i.get('UID', 0)) for i in r.fetch().values()}

    def do_body(self, v, b):
        text, uids = self.numbers(v)
        r = v.run('FETCH %s (UID BODY.PEEK[])' % text)
        for items in r.fetch().values():
            if 'BODY[]' in items and int(items.get('UID', 0)) in b.messages:
                assert items['BODY[]'] == b.messages[int(items['UID'])][1]

    def do_search(self, v, b):
        f = self.rng.choice(SYSTEM)
        un = self.rng.random() < 0.4
        known = dict(v.known)
        r = v.run('UID SEARCH %s%s' % ('UN' if un else '', f[1:].upper()))
        assert r.status == 'OK'
        found = set(r.search())
        for uid in v.c.uids:
            # whose flags the session knows to be as they are: no doubt about it (a search in a view that is
            # behind may go by the old or by the new flags)
            if uid in b.messages and known.get(uid) == {x.lower() for x in b.messages[uid][0]}:
                assert (uid in found) == ((f in b.messages[uid][0]) != un), (uid, f, un)

    def do_status(self, v, b):
        target = self.rng.choice(list(self.boxes))
        t = self.boxes[target]
        r = v.run('STATUS %s (MESSAGES UIDNEXT UNSEEN)' % target)
        items = r.one('STATUS').items()
        if target == v.box:  # the newest state, or that of the view
            assert max(v.c.uids or [0]) < int(items['UIDNEXT']) <= t.uidnext
        else:
            assert int(items['UIDNEXT']) == t.uidnext
            assert int(items['MESSAGES']) == len(t.messages)
            assert int(items['UNSEEN']) == sum('\\Seen' not in m[0] for m in t.messages.values())


@pytest.mark.parametrize('rev2', [False, True], ids=['rev1', 'mixed'])
@pytest.mark.parametrize('seed', range(4 if SANITIZED else 12))
def test_history(session, seed, rev2, server):
    if rev2 and server.name == 'dovecot':
        pytest.skip('no IMAP4rev2')
    h = History(seed, session, rev2)
    try:
        for _ in range(250):
            h.step()
        for v in h.views:
            h.settle(v)
        for box, b in h.boxes.items():
            h.select(h.views[0], box)
            found = {int(i['UID']): [flags(i['FLAGS']) - {'\\recent'}, i['BODY[]']] for i in
                     (h.views[0].c.ok('FETCH 1:* (UID FLAGS BODY.PEEK[])').fetch().values() if b.messages else [])}
            assert found == {u: [{f.lower() for f in m[0]}, m[1]] for u, m in b.messages.items()}
    except AssertionError as e:
        raise AssertionError('seed %d, step %d (%s): %s' % (seed, len(h.trace), h.trace[-6:], e)) from e
