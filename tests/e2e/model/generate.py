"""Random histories. The same seed gives the same history, whatever happens when it runs."""
import random

from .reference import KEYWORDS, SYSTEM

# name -> weight
STEPS = {'append': 10, 'store': 18, 'cstore': 6, 'expunge': 4, 'uidexpunge': 4, 'copy': 4, 'move': 4, 'noop': 5, 'learn': 3,
         'fetch': 5, 'search': 3, 'status': 2, 'select': 3, 'close': 1, 'unselect': 1, 'check': 1, 'idle': 4, 'watch': 4,
         'keep': 4, 'drop': 5, 'resync': 3, 'rename': 1, 'delete': 1, 'race': 8}
RACED = ['append', 'store', 'expunge', 'uidexpunge', 'copy', 'move']


class Generator:
    def __init__(self, seed, kinds, steps=(4, 24), sessions=(2, 4)):
        self.rng = random.Random(seed)
        self.kinds = [self.rng.choice(kinds) for _ in range(self.rng.randint(*sessions))]
        n = self.rng.randint(*steps)
        # something to work on
        self.steps = [['append', 0, 0, [self.flags() for _ in range(self.rng.randint(1, 6))]]]
        names, weights = list(STEPS), list(STEPS.values())
        for name in self.rng.choices(names, weights, k=n):
            self.steps.append(self.step(name))

    def number(self):
        return self.rng.randrange(1 << 10)

    def flags(self):
        return sorted(self.rng.sample(SYSTEM + KEYWORDS, self.rng.choice([0, 1, 1, 2, 3])))

    def picks(self):
        return [self.rng.choice([',', ',', ':'])] + [self.number() for _ in range(self.rng.randint(1, 4))]

    def coin(self, p=0.5):
        return self.rng.random() < p

    def step(self, name):
        who = self.number()
        return getattr(self, 'make_' + name, lambda w: [name, w])(who)

    def make_append(self, who):
        return ['append', who, self.number() if self.coin(.4) else 0,
                [self.flags() for _ in range(self.rng.choice([1, 1, 1, 3]))]]

    def make_store(self, who):
        f = ['\\deleted'] if self.coin(.3) else self.flags()
        return ['store', who, self.coin(), self.picks(), self.rng.choice(['+', '+', '-', '']), f, self.coin(.3)]

    def make_cstore(self, who):
        return self.make_store(who) + [self.rng.choice(['newest', 'old', 'middle'])]

    def make_uidexpunge(self, who):
        return ['uidexpunge', who, [self.number() for _ in range(self.rng.randint(1, 8))]]

    def make_copy(self, who):
        return ['copy', who, self.coin(), self.picks(), self.number()]

    def make_move(self, who):
        return ['move', who, self.coin(), self.picks(), self.number()]

    def make_fetch(self, who):
        return ['fetch', who, self.coin(), self.picks(), self.coin(.3)]

    def make_search(self, who):
        return ['search', who, self.coin(.7), self.rng.choice(SYSTEM + KEYWORDS), self.coin(.3)]

    def make_status(self, who):
        return ['status', who, self.number()]

    def make_select(self, who):
        return ['select', who, self.number()]

    def make_close(self, who):
        return ['close', who, self.number()]

    def make_unselect(self, who):
        return ['unselect', who, self.number()]

    def make_rename(self, who):
        return ['rename', who, self.number()]

    def make_delete(self, who):
        return ['delete', who, self.number()]

    def make_drop(self, who):
        return ['drop', who, self.coin(.6), self.age(), self.coin(.3), self.matches(), self.coin(.3)]

    def make_resync(self, who):
        return ['resync', who, self.age(), self.coin(.3), self.matches()]

    def age(self):
        return 0 if self.coin(.6) else self.number()

    def matches(self):
        return [self.number() for _ in range(self.rng.randint(1, 4))] if self.coin(.3) else []

    def make_race(self, who):
        return ['race', who, self.rng.choice(['noop', 'search', 'uidfetch', 'fetch']), self.step(self.rng.choice(RACED))]
