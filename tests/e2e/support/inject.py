"""Makes a running process do a system call, from outside, with ptrace(2): what an attacker who runs code in
it would do. Needs root (the processes hide their memory from their own user) and x86-64.
"""
import ctypes
import errno
import os
import platform
import signal
import struct

AVAILABLE = platform.machine() == 'x86_64' and os.geteuid() == 0

CALLS = dict(read=0, close=3, mmap=9, getpid=39, socket=41, connect=42, bind=49, clone=56, fork=57, execve=59,
             kill=62, ptrace=101, setuid=105, chroot=161, mount=165, openat=257, unshare=272,
             process_vm_readv=310, bpf=321, pidfd_open=434, clone3=435, unknown=999)

ATTACH, DETACH, CONT, GETREGS, SETREGS = 16, 17, 7, 12, 13
WALL = 0x40000000
R10, R9, R8, RAX, RDX, RSI, RDI, ORIG_RAX, RIP, RSP = 7, 8, 9, 10, 12, 13, 14, 15, 16, 19  # in user_regs_struct
SYSCALL_TRAP = b'\x0f\x05\xcc'  # syscall; int3
STEPS = 100

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, data=None):
    if libc.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), 'ptrace')


class Injector:
    """with Injector(pid) as i: i.call('openat', -100, b'/etc/passwd', 0)"""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        ptrace(ATTACH, self.pid)
        self.wait(signal.SIGSTOP)
        self.saved = (ctypes.c_ulong * 27)()
        ptrace(GETREGS, self.pid, ctypes.cast(self.saved, ctypes.c_void_p))
        self.memory = os.open('/proc/%d/mem' % self.pid, os.O_RDWR)
        self.code = os.pread(self.memory, len(SYSCALL_TRAP), self.saved[RIP])
        os.pwrite(self.memory, SYSCALL_TRAP, self.saved[RIP])
        return self

    def __exit__(self, *_):
        os.pwrite(self.memory, self.code, self.saved[RIP])
        os.close(self.memory)
        ptrace(SETREGS, self.pid, ctypes.cast(self.saved, ctypes.c_void_p))
        ptrace(DETACH, self.pid)

    def wait(self, *wanted):
        """Until one of these signals stops it; others are its own business."""
        for _ in range(STEPS):
            _, status = os.waitpid(self.pid, WALL)
            assert os.WIFSTOPPED(status), 'the process has ended: status %#x' % status
            if os.WSTOPSIG(status) in wanted:
                return
            ptrace(CONT, self.pid, os.WSTOPSIG(status))
        raise AssertionError('the process does not stop')

    def call(self, name, *arguments):
        """The result, or the name of the error ('EPERM')."""
        # Below the red zone and what a signal handler's frame may need is above this.
        room = (self.saved[RSP] - 4096) & ~0xfff
        values, at = [], room
        for a in arguments:
            if isinstance(a, bytes):
                os.pwrite(self.memory, a + b'\0', at)
                values.append(at)
                at += (len(a) + 16) & ~15
            else:
                values.append(a & (2 ** 64 - 1))
        values += [0] * (6 - len(values))
        regs = (ctypes.c_ulong * 27)(*self.saved)
        regs[RAX], regs[ORIG_RAX], regs[RSP] = CALLS[name], 2 ** 64 - 1, room
        for register, value in zip((RDI, RSI, RDX, R10, R8, R9), values):
            regs[register] = value
        ptrace(SETREGS, self.pid, ctypes.cast(regs, ctypes.c_void_p))
        ptrace(CONT, self.pid)
        self.wait(signal.SIGTRAP)
        ptrace(GETREGS, self.pid, ctypes.cast(regs, ctypes.c_void_p))
        assert regs[RIP] == self.saved[RIP] + len(SYSCALL_TRAP)
        result = ctypes.c_long(regs[RAX]).value
        return errno.errorcode.get(-result, result) if -4096 < result < 0 else result


def unix_address(path):
    return struct.pack('=H', 1) + path.encode()
