"""CPU, memory and syncs of a server: sums over all its processes and threads.

CPU comes from the scheduler's own nanosecond account, never from clock ticks:
  cpuacct   a control group of our own below the cpuacct hierarchy (version 1): nanoseconds
  cpu.stat  a control group of our own in the unified hierarchy (version 2): microseconds
  clocks    where neither can be made: each live process's CPU clock (nanoseconds, all its threads, ended ones too),
            plus the ticks of children that the server has reaped
A control group also counts processes that came and went between two readings, and names every process of the
server, however it was started.
"""
import ctypes
import os
import re
import signal
import subprocess
import time

SETTLED = 50_000          # nanoseconds of CPU in one look: the server rests
SETTLE_LOOK = 0.004       # seconds between looks
SETTLE_MAX = 3.0          # seconds we wait for a server that does not rest


def read(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


class CgroupMeter:
    """A control group that the server is started in."""

    def __init__(self, directory, counter, parse, name):
        self.directory, self.counter, self.parse, self.name = directory, counter, parse, name

    def enter(self):
        """Called in the child before it becomes the server."""
        with open(os.path.join(self.directory, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write("0")

    def started(self, pid):
        pass

    def cpu(self):
        return self.parse(read(os.path.join(self.directory, self.counter)))

    def pids(self):
        return [int(line) for line in read(os.path.join(self.directory, "cgroup.procs")).split()]

    def close(self):
        for _ in range(100):
            try:
                os.rmdir(self.directory)
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.05)


class ClockMeter:
    """Without control groups: the tree of processes below the one we started."""
    name = "clocks"

    def __init__(self):
        self.root = None

    def enter(self):
        pass

    def started(self, pid):
        self.root = pid

    def pids(self):
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                fields = self._stat(int(entry))
                if fields:
                    children.setdefault(int(fields[1]), []).append(int(entry))
        found, queue = [], [self.root]
        while queue:
            pid = queue.pop()
            if pid is not None:
                found.append(pid)
                queue += children.get(pid, [])
        return found

    @staticmethod
    def _stat(pid):
        try:
            return read("/proc/%d/stat" % pid).rpartition(")")[2].split()
        except OSError:
            return None

    def cpu(self):
        total, tick = 0, 1_000_000_000 // os.sysconf("SC_CLK_TCK")
        for pid in self.pids():
            fields = self._stat(pid)
            try:
                total += time.clock_gettime_ns((~pid << 3) | 2)     # CPUCLOCK_SCHED of the whole process
            except OSError:
                continue
            if fields:
                total += (int(fields[13]) + int(fields[14])) * tick
        return total

    def close(self):
        pass


def make_meter(name):
    """The best meter this machine allows."""
    unique = "martlet-bench-%d-%s" % (os.getpid(), name)
    mounts = [line.split() for line in read("/proc/mounts").splitlines()]
    first = [m[1] for m in mounts if m[2] == "cgroup" and "cpuacct" in m[3].split(",")]
    second = [m[1] for m in mounts if m[2] == "cgroup2"]
    for root, counter, parse, kind in (
            *((path, "cpuacct.usage", int, "cpuacct") for path in first),
            *((path, "cpu.stat", parse_cpu_stat, "cpu.stat") for path in second)):
        directory = os.path.join(root, unique)
        try:
            os.mkdir(directory)
            if os.path.exists(os.path.join(directory, counter)):
                return CgroupMeter(directory, counter, parse, kind)
            os.rmdir(directory)
        except OSError:
            continue
    return ClockMeter()


def parse_cpu_stat(text):
    return int(re.search(r"usage_usec (\d+)", text).group(1)) * 1000


def settled_cpu(meter):
    """CPU used so far, read once the server rests: work it does after its answer is counted too."""
    last, quiet = meter.cpu(), 0
    end = time.monotonic() + SETTLE_MAX
    while quiet < 2 and time.monotonic() < end:
        time.sleep(SETTLE_LOOK)
        now = meter.cpu()
        quiet = quiet + 1 if now - last <= SETTLED else 0
        last = now
    return last


def pss_kib(pids):
    """Proportional set size of these processes together (smaps_rollup): (KiB, of it anonymous, processes)."""
    total, anonymous, count = 0, 0, 0
    for pid in pids:
        try:
            text = read("/proc/%d/smaps_rollup" % pid)
        except OSError:
            continue
        found = dict(re.findall(r"^(Pss|Pss_Anon):\s+(\d+) kB", text, re.MULTILINE))
        if found:
            total += int(found["Pss"])
            anonymous += int(found.get("Pss_Anon", 0))
            count += 1
    return total, anonymous, count


def available_kib():
    return int(re.search(r"^MemAvailable:\s+(\d+) kB", read("/proc/meminfo"), re.MULTILINE).group(1))


def sync_cost(directory, rounds=300):
    """Nanoseconds of one append of 8 KiB with fdatasync in this directory: (median, mean)."""
    path = os.path.join(directory, "sync-cost")
    block, times = b"x" * 8192, []
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        for _ in range(rounds):
            start = time.monotonic_ns()
            os.write(descriptor, block)
            os.fdatasync(descriptor)
            times.append(time.monotonic_ns() - start)
    finally:
        os.close(descriptor)
        os.unlink(path)
    times.sort()
    return times[rounds // 2], sum(times) // rounds


class SyncCounter:
    """Counts the sync calls of a server with strace. It slows the server down: never beside a timed run."""
    CALLS = "fdatasync,fsync,sync_file_range,msync,syncfs"

    def __init__(self, pids, path):
        self.path = path
        command = ["strace", "-f", "-q", "-c", "-o", path, "-e", "trace=" + self.CALLS]
        for pid in pids:
            command += ["-p", str(pid)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 10
        while not all(self._traced(pid) for pid in pids):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                self.process.wait()
                raise RuntimeError("strace cannot attach to the server")
            time.sleep(0.05)

    @staticmethod
    def _traced(pid):
        try:
            return not re.search(r"^TracerPid:\s+0$", read("/proc/%d/status" % pid), re.MULTILINE)
        except OSError:
            return True

    def stop(self):
        """Detaches; {call: count}."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        counts = {}
        for line in read(self.path).splitlines():
            fields = line.split()
            if len(fields) >= 5 and fields[-1] in self.CALLS.split(","):
                counts[fields[-1]] = counts.get(fields[-1], 0) + int(fields[3])
        return counts


def die_with_parent():
    """In a child: be killed when the benchmark is (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


def machine():
    """Facts that a table of figures needs beside it."""
    cpu = re.search(r"^model name\s*:\s*(.*)$", read("/proc/cpuinfo"), re.MULTILINE)
    memory = int(re.search(r"^MemTotal:\s+(\d+)", read("/proc/meminfo")).group(1))
    system = re.search(r'^PRETTY_NAME="?([^"\n]*)', read("/etc/os-release"), re.MULTILINE)
    return {"cpu": cpu.group(1) if cpu else os.uname().machine, "cores": os.cpu_count(),
            "memory_gib": round(memory / 1048576, 1), "kernel": os.uname().release,
            "system": system.group(1) if system else "", "date": time.strftime("%Y-%m-%d %H:%M %Z")}


def file_system(path):
    """The type of the file system that holds path."""
    best, kind = "", "?"
    path = os.path.realpath(path)
    for line in read("/proc/mounts").splitlines():
        fields = line.split()
        point = fields[1].rstrip("/")
        if (path == point or path.startswith(point + "/")) and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind
