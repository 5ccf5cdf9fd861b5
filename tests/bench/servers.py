"""The servers that can be measured: Martlet, and Dovecot in two configurations.

A server is started on free loopback ports with all its state below one directory, in a session and a control group of
its own, and is ended by process id. Another server to compare with is one more class here.
"""
import os
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import measure
import packages

PASSWORD = "bench-password"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def free_ports(count):
    """Ports nobody listens on now, below the range of outgoing connections (thousands of ours come from there)."""
    ports, candidate = [], 20000 + os.getpid() % 10000
    while len(ports) < count:
        candidate += 1
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", candidate))
                ports.append(candidate)
            except OSError:
                continue
    return ports


class Server:
    """One server process tree. Subclasses say how it is configured and started."""
    key, title = "", ""
    start_timeout = 60

    def __init__(self, directory, key=None):
        self.key = key or self.key
        self.directory = os.path.join(directory, self.key)
        os.makedirs(self.directory, exist_ok=True)
        os.chmod(self.directory, 0o755)
        self.port = {}
        self.process = None
        self.meter = None
        self.ready = threading.Event()
        self.accounts_made = 0      # login0, login1, ... that exist already
        self.idle_accounts = 0      # idle0, idle1, ... that have their mailboxes

    def configure(self):
        """Writes what the server needs; returns its command line."""
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def is_ready(self):
        raise NotImplementedError

    def _enter(self):
        self.meter.enter()
        measure.die_with_parent()
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def start(self):
        """Starts the server and waits until it takes connections."""
        self.ready.clear()
        self.port["plain"], self.port["tls"], self.port["lmtp"] = free_ports(3)
        command = self.configure()
        self.meter = measure.make_meter(self.key)
        log = open(os.path.join(self.directory, "output"), "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                        start_new_session=True, preexec_fn=self._enter, cwd=ROOT)
        self.meter.started(self.process.pid)
        threading.Thread(target=self._read_output, args=(self.process.stdout, log), daemon=True).start()
        deadline = time.monotonic() + self.start_timeout
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise SystemExit("bench: %s did not start:\n%s" % (self.title, self.last_output()))
            time.sleep(0.05)

    def _read_output(self, stream, log):
        for line in stream:
            log.write(line)
            log.flush()
            if line.strip() == b"ready":
                self.ready.set()
        stream.close()
        log.close()

    def last_output(self):
        lines = measure.read(os.path.join(self.directory, "output")).splitlines()
        troubles = [line for line in lines[:-5] if "level=error" in line or "level=warning" in line]
        return "\n".join(troubles[-20:] + lines[-5:])

    def state(self):
        """Whether the process we started runs, in words."""
        status = self.process.poll() if self.process else 0
        if self.process and status is None:
            return "running"
        return "ended by itself or by others, status %s" % status

    def pids(self):
        return self.meter.pids()

    def stop(self):
        """SIGTERM to the process we started; what is left of its processes after ten seconds is killed, each by id."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        for number in (signal.SIGTERM, signal.SIGKILL):
            for _ in range(40):
                if not [pid for pid in self.pids() if pid is not None and self._alive(pid)]:
                    break
                time.sleep(0.05)
            else:
                for pid in self.pids():
                    try:
                        os.kill(pid, number)
                    except OSError:
                        pass
        self.process.wait()
        self.process = None
        self.meter.close()

    def _alive(self, pid):
        if pid == self.process.pid:
            return self.process.poll() is None
        return os.path.exists("/proc/%d" % pid)

    def open_command(self, slot, transport, user):
        return "open %d %d %s %s %s" % (slot, self.port[transport], transport, user, PASSWORD)

    def clone_account(self, template, users):
        """Gives `users` the mailboxes of `template` faster than by IMAP; False when the server has no such way."""
        del template, users
        return False

    def key_kind(self):
        """The kind of key of the TLS certificate, as `openssl req -newkey` names it."""
        pem = ssl.get_server_certificate(("127.0.0.1", self.port["tls"]))
        text = subprocess.run(["openssl", "x509", "-noout", "-text"], input=pem, text=True, check=True,
                              stdout=subprocess.PIPE).stdout
        if "id-ecPublicKey" in text:
            return "ec"
        if "ED25519" in text:
            return "ed25519"
        for bits in (3072, 4096):
            if "Public-Key: (%d bit)" % bits in text:
                return "rsa:%d" % bits
        return "rsa:2048"


class Martlet(Server):
    """The contract: script/server prints `ready`, SIGTERM ends it."""
    key, title = "martlet", "Martlet"
    start_timeout = 1200        # it builds first

    def configure(self):
        return [os.path.join(ROOT, "script", "server"), "--dir", os.path.join(self.directory, "state"),
                "--imap-port", str(self.port["plain"]), "--imaps-port", str(self.port["tls"]),
                "--lmtp-port", str(self.port["lmtp"]), "--any-user-password", PASSWORD, "--build-type", "release"]

    def is_ready(self):
        return self.ready.is_set()

    def version(self):
        result = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], text=True, check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return result.stdout.strip() or "unknown"


class Dovecot(Server):
    """Debian's dovecot-imapd with sdbox. Everything not written here is as Debian's package has it by default; limits
    on the number of processes and connections are raised, because thousands of connections are part of the test."""
    key, title = "dovecot", "Dovecot"
    fsync = "optimized"
    key_kind_wanted = "rsa:2048"

    CONFIGURATION = """
protocols = imap
listen = 127.0.0.1
base_dir = %(dir)s/run
state_dir = %(dir)s/run
log_path = %(dir)s/log
mail_location = sdbox:~/sdbox
mail_fsync = %(fsync)s
ssl = yes
ssl_cert = <%(dir)s/cert.pem
ssl_key = <%(dir)s/key.pem
auth_mechanisms = plain
mail_max_userip_connections = 1000
default_process_limit = 20000
default_client_limit = 19000
passdb {
  driver = static
  args = password={PLAIN}%(password)s
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=%(dir)s/mail/%%u
}
service imap-login {
  inet_listener imap {
    port = %(plain)d
  }
  inet_listener imaps {
    port = %(tls)d
    ssl = yes
  }
}
"""

    def configure(self):
        mail = os.path.join(self.directory, "mail")
        os.makedirs(mail, exist_ok=True)
        os.chown(mail, 65534, 65534)
        if not os.path.exists(os.path.join(self.directory, "cert.pem")):
            self._certificate()
        path = os.path.join(self.directory, "dovecot.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(self.CONFIGURATION % {"dir": self.directory, "fsync": self.fsync, "password": PASSWORD,
                                             "plain": self.port["plain"], "tls": self.port["tls"]})
        return ["/usr/sbin/dovecot", "-F", "-c", path]

    def _certificate(self):
        kind = ["-newkey", self.key_kind_wanted]
        if self.key_kind_wanted == "ec":
            kind += ["-pkeyopt", "ec_paramgen_curve:prime256v1"]
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=localhost", *kind,
                        "-keyout", os.path.join(self.directory, "key.pem"),
                        "-out", os.path.join(self.directory, "cert.pem")],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_ready(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port["plain"]), 5) as probe:
                probe.settimeout(5)
                return probe.recv(512).startswith(b"* OK")
        except OSError:
            return False

    def last_output(self):
        path = os.path.join(self.directory, "log")
        log = measure.read(path).splitlines() if os.path.exists(path) else []
        return super().last_output() + "\n" + "\n".join(log[-20:])

    def version(self):
        output = subprocess.run(["/usr/sbin/dovecot", "--version"], text=True, check=True, stdout=subprocess.PIPE).stdout
        return output.strip()

    def clone_account(self, template, users):
        """Copies the account without its message files: SELECT and IDLE read only the index files."""
        source = os.path.join(self.directory, "mail", template)
        for user in users:
            destination = os.path.join(self.directory, "mail", user)
            shutil.copytree(source, destination, ignore=shutil.ignore_patterns("u.*"))
            for path, _, files in os.walk(destination):
                for name in [path, *(os.path.join(path, name) for name in files)]:
                    os.chown(name, 65534, 65534)
        return True


class DovecotFsync(Dovecot):
    """Syncs every change, as Martlet always does."""
    key, title = "dovecot-fsync", "Dovecot, mail_fsync=always"
    fsync = "always"


CLASSES = {server.key: server for server in (Martlet, Dovecot, DovecotFsync)}


def check_host(keys):
    """Installs what these servers need; refuses what cannot work."""
    if any(key.startswith("dovecot") for key in keys):
        if os.geteuid() != 0:
            sys.exit("bench: Dovecot must be started as root (it changes user for the mail processes): use sudo")
        packages.ensure(packages.DOVECOT)


def make_directory(path):
    """The directory for all state: of the given path, or a new temporary one on a disk."""
    if path is None:
        path = tempfile.mkdtemp(prefix="mb-", dir="/var/tmp")
    os.makedirs(path, exist_ok=True)
    os.chmod(path, 0o755)
    return path
