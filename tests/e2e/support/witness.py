"""Another user, who does small things all the time, in a process of its own, and tells how long each took.

    with Witness(server, name) as w: ...          then w.times: seconds, ascending; w.worst(0.99)
"""
import os
import subprocess
import sys

from support.server import PASSWORD


class Witness:
    def __init__(self, server, user, pause=0.005):
        self.arguments = [sys.executable, os.path.abspath(__file__), server.host, str(server.imap), user, PASSWORD, str(pause)]
        self.times = []

    def __enter__(self):
        env = dict(os.environ, PYTHONPATH=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        self.process = subprocess.Popen(self.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        assert self.process.stdout.readline() == 'ready\n'
        return self

    def __exit__(self, *args):
        out, _ = self.process.communicate('stop\n', 60)
        self.times = sorted(float(line) for line in out.split())
        if not args[0]:
            assert self.process.returncode == 0 and self.times

    def worst(self, part):
        """All but so many were faster."""
        return self.times[min(len(self.times) - 1, int(len(self.times) * part))]


def main():
    import select
    import time
    from support.imap import Imap
    host, port, user, password, pause = sys.argv[1:]
    c = Imap(host, int(port))
    c.login(user, password)
    c.append('INBOX', b'Subject: witness\r\n\r\nhello\r\n')
    c.select()
    commands = ['NOOP', 'FETCH 1 (FLAGS BODY.PEEK[])', 'STATUS INBOX (MESSAGES)', 'STORE 1 +FLAGS (\\Seen)', 'STORE 1 -FLAGS (\\Seen)']
    print('ready', flush=True)
    times, n = [], 0
    while not select.select([sys.stdin], [], [], float(pause))[0]:
        began = time.monotonic()
        c.ok(commands[n % len(commands)])
        times.append(time.monotonic() - began)
        n += 1
    print('\n'.join('%.6f' % t for t in times))


if __name__ == '__main__':
    main()
