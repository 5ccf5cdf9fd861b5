#!/usr/bin/env python3
"""The reader written from docs/log-format.md and the implementation see the same in the same log:
closed, killed, torn, rotten, with a base, with a second incarnation.

    test_read_log.py path/to/make_log"""
import os
import random
import shutil
import subprocess
import sys
import tempfile

import read_log


def by_c(make_log, directory):
    """Recovery changes the log: on a copy."""
    with tempfile.TemporaryDirectory() as temp:
        copy = os.path.join(temp, 'log')
        shutil.copytree(directory, copy)
        r = subprocess.run([make_log, 'dump', copy], capture_output=True, text=True)
        return r.stdout.splitlines() if r.returncode == 0 else ['not opened']


def by_python(directory):
    try:
        return read_log.dump(directory)
    except read_log.Unreadable:
        return ['not opened']


def compare(make_log, directory, what):
    a, b = by_c(make_log, directory), by_python(directory)
    if a != b:
        for line in sorted(set(a) ^ set(b)):
            print('%s %s' % ('C     ' if line in a else 'Python', line))
        sys.exit('%s: they differ' % what)
    return a


def segments(directory):
    return sorted(n for n in os.listdir(directory) if len(n) == 16)


def mangle(rng, directory):
    """One or two of: flip a byte, cut a file, remove a file."""
    what = []
    for _ in range(rng.randint(1, 2)):
        name = rng.choice(segments(directory))
        path = os.path.join(directory, name)
        size = os.path.getsize(path)
        kind = rng.choice(['flip'] * 6 + ['cut'] * 2 + ['remove'])
        at = rng.randrange(size) if size else 0
        what.append('%s %s %d' % (kind, name, at))
        if kind == 'remove':
            os.unlink(path)
        elif kind == 'cut' and size:
            os.truncate(path, at)
        elif size:
            with open(path, 'r+b') as f:
                f.seek(at)
                byte = f.read(1)[0]
                f.seek(at)
                f.write(bytes([byte ^ 1 << rng.randrange(8)]))
    return ', '.join(what)


def main():
    make_log = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 25
    rng = random.Random(5)
    seen = set()
    for how in ['c', 'k', 'cb', 'kb', 'ci', 'ki', 'kbi']:
        with tempfile.TemporaryDirectory() as temp:
            directory = os.path.join(temp, 'log')
            subprocess.run([make_log, 'write', directory, how], check=True)
            lines = compare(make_log, directory, how)
            assert len(lines) > 15 and not any('damage' in line for line in lines), lines
            for i in range(rounds):
                copy = os.path.join(temp, 'copy')
                shutil.copytree(directory, copy)
                what = mangle(rng, copy)
                lines = compare(make_log, copy, '%s, %s' % (how, what))
                seen.add(any('damage' in line for line in lines))
                shutil.rmtree(copy)
    assert seen == {False, True}
    print('the same in %d logs' % (7 * (rounds + 1)))


if __name__ == '__main__':
    main()
