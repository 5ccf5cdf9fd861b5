"""Makes a failing history as short as it gets."""
import time


def shrink(kinds, steps, fails, seconds=60):
    """fails(kinds, steps) tells whether it still does; the smallest (kinds, steps) found in time."""
    deadline = time.monotonic() + seconds
    size = max(1, len(steps) // 2)
    while size:
        at, removed = 0, False
        while at < len(steps) and time.monotonic() < deadline:
            less = steps[:at] + steps[at + size:]
            if fails(kinds, less):
                steps, removed = less, True
            else:
                at += size
        if not removed or size > 1:
            size = size // 2 if not removed or size > 1 else size
        if time.monotonic() >= deadline:
            break
    for smaller in simpler(kinds, steps):
        if time.monotonic() >= deadline:
            break
        if fails(*smaller):
            kinds, steps = smaller
    return kinds, steps


def simpler(kinds, steps):
    """Fewer sessions, plainer ones."""
    for n in range(len(kinds) - 1, 1, -1):
        yield kinds[:n], [[s[0], s[1] % len(kinds)] + s[2:] for s in steps]
    for n in range(len(kinds)):
        if kinds[n] != 'rev1':
            yield kinds[:n] + ['rev1'] + kinds[n + 1:], steps
