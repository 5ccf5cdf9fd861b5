"""strace(1) of running processes, and what its lines say: who called what, on which file, from when until when."""
import os
import re
import shutil
import signal
import subprocess
import time

from .imap import TIMEOUT

AVAILABLE = shutil.which('strace') and os.geteuid() == 0

CALLS = 'fdatasync,fsync,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendfile,read,recvfrom,recvmsg,rename,openat'
LINE = re.compile(r'(\d+) +(\d+\.\d+) (.*)\Z', re.S)
CALL = re.compile(r'(\w+)\((.*)\Z', re.S)
RESUMED = re.compile(r'<\.\.\. (\w+) resumed>(.*)\Z', re.S)
RESULT = re.compile(r'\) += (-?\d+)[^=]*\Z', re.S)
FILE = re.compile(r'\d+<((?:[^<>]|->)*)>')


class Call:
    """name, file (of the first descriptor), text (arguments as strace prints them), result; start and end are places in
    the order of events."""

    def __init__(self, name, text, start):
        self.name, self.text, self.start, self.end, self.result = name, text, start, None, None
        m = FILE.match(text)
        self.file = m.group(1) if m else ''

    def __repr__(self):
        return '%s(%s) = %r [%r..%r]' % (self.name, self.text[:200], self.result, self.start, self.end)


def parse(lines):
    """Calls in the order in which they began. The lines are in the order in which strace saw things happen."""
    calls, running = [], {}
    for at, line in enumerate(lines):
        m = LINE.match(line.rstrip('\n'))
        if not m:
            continue
        pid, rest = m.group(1), m.group(3)
        resumed = RESUMED.match(rest)
        if resumed:
            call = running.pop(pid, None)
            if call is None:
                continue
            call.text += resumed.group(2)
            rest = resumed.group(2)
        else:
            started = CALL.match(rest)
            if not started:
                continue
            call = Call(started.group(1), started.group(2), at)
            calls.append(call)
            if rest.endswith('<unfinished ...>'):
                call.text = call.text[:-len('<unfinished ...>')]
                running[pid] = call
                continue
        result = RESULT.search(rest)
        if result:
            call.end, call.result = at, int(result.group(1))
    return calls


class Strace:
    """with Strace(pids, file) as t: ...          then t.calls()"""

    def __init__(self, pids, file):
        self.file = str(file)
        self.arguments = ['strace', '-f', '-ttt', '-yy', '-s', '100000', '-e', 'trace=' + CALLS, '-e', 'signal=none', '-o', self.file]
        for pid in pids:
            self.arguments += ['-p', str(pid)]
        self.pids = pids

    def __enter__(self):
        self.process = subprocess.Popen(self.arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + TIMEOUT
        while not all(self.traced(pid) for pid in self.pids):
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < deadline, 'strace does not attach'
            time.sleep(0.02)
        return self

    @staticmethod
    def traced(pid):
        for task in os.listdir('/proc/%d/task' % pid):
            with open('/proc/%d/task/%s/status' % (pid, task)) as f:
                if 'TracerPid:\t0\n' in f.read():
                    return False
        return True

    def __exit__(self, *args):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=TIMEOUT)

    def lines(self):
        with open(self.file, errors='backslashreplace') as f:
            return f.readlines()
