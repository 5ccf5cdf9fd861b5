"""script/model: random histories against a server of its own."""
import argparse
import json
import random
import sys

from support import server as support_server

from .history import KINDS
from .runner import Runner


def main():
    p = argparse.ArgumentParser(prog='script/model', description=__doc__)
    p.add_argument('--seed', type=int, help='the first seed; with --histories 1 (its default then) this one alone')
    p.add_argument('--histories', type=int, help='how many (default: no end)')
    p.add_argument('--minutes', type=float, help='for how long (default: no end)')
    p.add_argument('--kinds', help='sessions to choose from, of: %s' % ','.join(KINDS))
    p.add_argument('--replay', action='store_true', help='runs the history that stands on standard input')
    a = p.parse_args()
    server = support_server.make()
    server.start()
    runner = Runner(server, a.kinds and a.kinds.split(','))
    try:
        if a.replay:
            kinds, steps = json.load(sys.stdin)
            print(runner.run(kinds, steps) or 'passed')
            return
        first = a.seed if a.seed is not None else random.SystemRandom().randrange(1 << 32)
        count = a.histories or (1 if a.seed is not None and not a.minutes else 1 << 60)
        print('seeds from %d on' % first, flush=True)
        ran, found = runner.histories(first, count, (a.minutes or 1e9) * 60,
                                      lambda n: print('%d histories' % n, flush=True))
        print(found or '%d histories passed' % ran)
        if found:
            sys.exit(1)
    except KeyboardInterrupt:
        print('%d histories passed' % runner.done)
    finally:
        runner.close()
        server.stop()
        server.remove()


if __name__ == '__main__':
    main()
