"""What the server takes, from outside: memory, descriptors, files, processor time; sampled."""
import os
import time

ROLES = {'martlet': 'supervisor', 'martlet-login': 'login', 'martlet-auth': 'auth', 'martlet-mail': 'mail',
         'martlet-metrics': 'metrics'}
TICK = os.sysconf('SC_CLK_TCK')


def pss(pid):
    """(all, anonymous) proportional set size in bytes; nothing of a process that has just ended."""
    found = {}
    try:
        with open('/proc/%d/smaps_rollup' % pid) as f:
            for line in f:
                if line.startswith(('Pss:', 'Pss_Anon:')):
                    found[line.split(':')[0]] = int(line.split()[1]) * 1024
    except OSError:
        pass
    return found.get('Pss', 0), found.get('Pss_Anon', 0)


def files(pid):
    try:
        return len(os.listdir('/proc/%d/fd' % pid))
    except OSError:
        return 0


def seconds(pid):
    try:
        with open('/proc/%d/stat' % pid) as f:
            words = f.read().rsplit(')', 1)[1].split()
        return (int(words[11]) + int(words[12])) / TICK
    except OSError:
        return 0.0


def role(pid):
    try:
        with open('/proc/%d/comm' % pid) as f:
            return ROLES.get(f.read().strip())
    except OSError:
        return None


def disk(directory):
    """Bytes in files below accounts/*/log and accounts/*/index, and what is anywhere else."""
    sums = {'log': 0, 'index': 0, 'other': 0, 'files': 0}
    for path, _, names in os.walk(directory):
        words = path.split('/')
        kind = 'log' if 'log' in words else 'index' if 'index' in words else 'other'
        for name in names:
            try:
                sums[kind] += os.lstat(os.path.join(path, name)).st_blocks * 512
                sums['files'] += 1
            except OSError:
                pass
    return sums


class Watch:
    def __init__(self, server, began):
        self.server, self.began = server, began
        self.samples = []
        self.ended = {}  # pid -> last seen seconds of processor time
        self.next_disk = 0.0
        self.last_disk = None

    def sample(self):
        now = time.monotonic()
        s = {'t': now - self.began, 'load': os.getloadavg()[0], 'pss': {}, 'anon': {}, 'fds': {}, 'n': {}}
        for pid in self.server.pids():
            kind = role(pid)
            if kind is None:
                continue
            whole, anonymous = pss(pid)
            s['pss'][kind] = s['pss'].get(kind, 0) + whole
            s['anon'][kind] = s['anon'].get(kind, 0) + anonymous
            s['fds'][kind] = s['fds'].get(kind, 0) + files(pid)
            s['n'][kind] = s['n'].get(kind, 0) + 1
            self.ended[pid] = seconds(pid)
        s['cpu'] = sum(self.ended.values())
        if now >= self.next_disk:
            self.last_disk = disk(os.path.join(self.server.dir, 'state'))
            s['disk'] = self.last_disk
            self.next_disk = now + 10
        self.samples.append(s)
        return s
