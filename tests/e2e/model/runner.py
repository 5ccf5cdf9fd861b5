"""Generates, runs, and on failure shrinks histories; the report is a script of what was said."""
import itertools
import json
import time

from support.imap import Response

from .generate import Generator
from .history import History, KINDS, Pool
from .shrink import shrink

PER_ACCOUNT = 100
names = itertools.count(1)


class Runner:
    def __init__(self, server, kinds=None, account='model'):
        self.server = server
        self.kinds = list(kinds or KINDS)
        self.account = account
        self.pool = None
        self.done = 0

    def fresh(self):
        if self.pool is None or self.done % PER_ACCOUNT == 0:
            self.close()
            self.pool = Pool(self.server, '%s-%d' % (self.account, next(names)))
        self.done += 1
        return self.pool

    def close(self):
        if self.pool:
            self.pool.close()
            self.pool = None

    def run(self, kinds, steps, script=None):
        """None, or why it failed."""
        h = History(self.fresh(), 'h%d' % next(names), kinds, steps, script)
        try:
            h.run()
        except (AssertionError, OSError) as e:
            return '%s: %s' % (type(e).__name__, e)
        return None

    def seed(self, seed):
        """None, or the report of a failure."""
        g = Generator(seed, self.kinds)
        why = self.run(g.kinds, g.steps)
        if why is None:
            return None
        kinds, steps = shrink(g.kinds, g.steps, lambda k, s: self.run(k, s) is not None)
        script = []
        last = self.run(kinds, steps, script) or 'not again; ' + why
        return report(seed, why, last, kinds, steps, script)

    def histories(self, first, count, seconds, tell=None):
        """Runs seeds from `first` on; (how many ran, report of the first failure or None)."""
        deadline = time.monotonic() + seconds
        for n in range(count):
            if time.monotonic() > deadline:
                return n, None
            found = self.seed(first + n)
            if found:
                return n + 1, found
            if tell and n % 200 == 199:
                tell(n + 1)
        return count, None


def report(seed, first, why, kinds, steps, script):
    out = ['seed %d fails: %s' % (seed, first), 'shrunk to %d steps of %d sessions: %s' % (len(steps), len(kinds), why),
           'to run it alone: echo %s | script/model --replay' % quoted(json.dumps([kinds, steps])), '']
    for n, kind, what in script:
        if isinstance(what, Response):
            out.append('%d %-10s S: %s' % (n, kind, what.raw.decode('utf-8', 'replace').rstrip()))
        else:
            out.append('%d %-10s C: %s' % (n, kind, ' '.join(p if isinstance(p, str) else repr(getattr(p, 'data', p))
                                                             for p in what)))
    return '\n'.join(out)


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"
