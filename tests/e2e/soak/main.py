"""script/soak: many people's clients for a long time, while memory, descriptors, files, latency and correctness are watched."""
import argparse
import collections
import glob
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from support import server as support_server

from . import devices, evaluate, workers
from .watch import Watch
from .world import user_name

SETTINGS = ('lmtp.duplicate_window=2min',)  # so that what is remembered of deliveries comes to its steady state


def arguments():
    p = argparse.ArgumentParser(prog='script/soak', description=__doc__)
    p.add_argument('minutes', type=float, metavar='MINUTES')
    p.add_argument('--users', type=int, default=60, help='each with four clients (default: %(default)s)')
    p.add_argument('--workers', type=int, default=3, help='processes that play clients (default: %(default)s)')
    p.add_argument('--pace', type=float, default=3.0, metavar='SECONDS', help='between two actions of a client (default: %(default)s)')
    p.add_argument('--rate', type=float, default=8.0, help='deliveries a second (default: %(default)s)')
    p.add_argument('--seed', default='1', help='of all choices (default: %(default)s)')
    p.add_argument('--report', metavar='FILE', help='the report (default: soak.html)', default='soak.html')
    p.add_argument('--json', metavar='FILE', help='its numbers')
    p.add_argument('--setting', action='append', default=[], metavar='NAME=VALUE', help='of the server; may be repeated')
    p.add_argument('--keep', metavar='DIR', help='keep the server\'s state and the journals there')
    return p.parse_args()


class Run:
    def __init__(self, options):
        self.options = options
        self.context = multiprocessing.get_context('spawn')
        self.stop = self.context.Event()
        self.journals = tempfile.mkdtemp(prefix='soak-')
        extra = [word for s in SETTINGS + tuple(options.setting) for word in ('--setting', s)]
        self.server = support_server.make(options.keep, extra)
        self.processes = []
        self.errors = []
        self.compaction, self.compacted = None, []

    def control(self, *words):
        return [os.path.join(support_server.ROOT, 'build-' + support_server.BUILD_TYPE, 'src/tools/martletctl'), '-c',
                self.server.dir + '/martlet.conf', *words]

    def start(self, kind, n=0):
        s = self.server
        path = os.path.join(self.journals, '%s-%d' % (kind, n))
        p = self.context.Process(target=workers.process, args=(kind, self.options, n, path, (s.host, s.imap, s.imaps, s.lmtp),
                                                               self.stop))
        p.start()
        self.processes.append(p)
        return p

    def say(self, text):
        print('%s  %s' % (time.strftime('%H:%M:%S'), text), flush=True)

    def prepare(self):
        self.say('filling the mailboxes of %d users' % self.options.users)
        for p in [self.start('fill', n) for n in range(self.options.workers)]:
            p.join()

    def maintain(self, watch, now):
        """As an administrator's timers would: what is dead leaves the logs for good; certificates are read again."""
        if self.compaction:
            if self.compaction.poll() is None:
                return
            if self.compaction.returncode:
                self.errors.append('martletctl compact: %s' % self.compaction.stdout.read()[-500:])
            self.compaction = None
            watch.next_disk = 0
            self.compacted.append((watch.sample()['t'], watch.last_disk['log']))
            self.server.process.send_signal(signal.SIGHUP)
        elif now > self.next_compaction:
            self.next_compaction = now + self.every
            self.compaction = subprocess.Popen(self.control('compact', '--all', '--erase'), stdout=subprocess.PIPE,
                                               stderr=subprocess.STDOUT, text=True)

    def play(self):
        seconds = self.options.minutes * 60
        for n in range(self.options.workers):
            self.start('clients', n)
        self.start('deliver')
        self.start('idle')
        self.began = time.monotonic()
        watch = Watch(self.server, self.began)
        self.every = max(8, seconds / 12)
        self.next_compaction = self.began + self.every
        pause = min(5, max(0.5, seconds / 400))
        told = self.began
        while time.monotonic() < self.began + seconds and self.server.process.poll() is None:
            s = watch.sample()
            now = time.monotonic()
            if now - told > max(10, seconds / 30):
                told = now
                self.say('%4.1f min: PSS %.1f MB, %d descriptors, load %.1f' % (
                    s['t'] / 60, sum(s['pss'].values()) / 1e6, sum(s['fds'].values()), s['load']))
            self.maintain(watch, now)
            time.sleep(max(0, pause - (time.monotonic() - now)))
        self.stop.set()
        for p in self.processes:
            p.join(90)
            if p.exitcode is None:
                self.errors.append('a process of the driver does not end')
                p.kill()
        if self.compaction:
            self.compaction.wait()
        return watch

    def examine(self):
        """Everything that was stored and not removed is there, once, and octet for octet; the log and the index are whole."""
        found = {}
        rng = random.Random(self.options.seed)
        self.say('looking at every message')
        for i in range(self.options.users):
            try:
                found[user_name(i)] = devices.everything((self.server.host, self.server.imap, self.server.imaps),
                                                         user_name(i), 20, rng)
            except Exception as e:
                self.errors.append('%s: %r' % (user_name(i), e))
        self.say('martletctl check --all')
        r = subprocess.run(self.control('check', '--all'), capture_output=True, text=True)
        if r.returncode:
            self.errors.append('martletctl check: %s' % (r.stdout + r.stderr)[-2000:])
        return found

    def finish(self):
        if self.server.process is None:
            return []
        if self.server.process.poll() is None:
            try:
                self.server.stop()
            except AssertionError as e:
                self.errors.append(str(e)[-2000:])
        elif self.server.process.returncode:
            self.errors.append('the server has ended: %s' % self.server.text()[-2000:])
        events = collections.Counter()
        for text in self.server.output:
            m = re.search(r'level=(warning|error)\b.*?event=(\S+)', text)
            if m:
                events['%s %s' % m.groups()] += 1
        return sorted(events.items())

    def clean(self):
        if self.options.keep:
            self.say('journals are in %s' % self.journals)
        else:
            shutil.rmtree(self.journals, ignore_errors=True)
            self.server.remove()


def main():
    options = arguments()
    run = Run(options)
    try:
        run.server.start()
        run.prepare()
        run.say('%g minutes' % options.minutes)
        watch = run.play()
        found = run.examine()
        events = run.finish()
        r = evaluate.results(options, sorted(glob.glob(run.journals + '/*')), watch, run.compacted, found, run.errors, events,
                             run.began)
    finally:
        run.stop.set()
        for p in run.processes:
            if p.is_alive():
                p.kill()
        if run.server.process and run.server.process.poll() is None:
            run.server.kill()
        run.clean()
    with open(options.report, 'w') as f:
        f.write(evaluate.html_report(r))
    if options.json:
        with open(options.json, 'w') as f:
            json.dump({k: v for k, v in r.items() if k != 'plots'}, f, indent=1)
    print(evaluate.text_report(r))
    print('report: %s' % options.report)
    sys.exit(0 if r['good'] else 1)


if __name__ == '__main__':
    main()
