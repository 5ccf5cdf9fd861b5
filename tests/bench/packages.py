"""What the benchmark needs from Debian, installed when it is missing."""
import os
import shutil
import subprocess
import sys

# A file that shows a package is there -> the package.
TOOLS = {"/usr/bin/gcc": "gcc", "/usr/include/openssl/ssl.h": "libssl-dev", "/usr/include/zlib.h": "zlib1g-dev",
         "/usr/bin/openssl": "openssl", "/usr/bin/strace": "strace"}
DOVECOT = {"/usr/lib/dovecot/imap": "dovecot-imapd"}


def say(text):
    print(text, file=sys.stderr, flush=True)


def ensure(files):
    """Installs the packages whose files are missing; the service that Dovecot's package starts is stopped again."""
    missing = sorted({package for path, package in files.items() if not os.path.exists(path)})
    if not missing:
        return
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
    if os.geteuid() != 0:
        command.insert(0, "sudo")
    say("installing Debian packages: " + " ".join(missing))
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for attempt in range(2):
        result = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
        if result.returncode == 0:
            break
        if attempt == 0:
            update = command[:command.index("apt-get") + 1] + ["update", "-q"]
            subprocess.run(update, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if result.returncode != 0:
        raise SystemExit("bench: cannot install " + " ".join(missing))
    if any(package.startswith("dovecot") for package in missing):
        stop_packaged_dovecot()


def stop_packaged_dovecot():
    """We have just installed it, so nobody relies on it: it must not take part in the measurement."""
    if os.path.isdir("/run/systemd/system"):
        say("stopping the service that came with dovecot-imapd (systemctl disable --now dovecot)")
        subprocess.run(["systemctl", "disable", "--now", "dovecot.service", "dovecot.socket"],
                       stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    elif os.path.exists("/run/dovecot/master.pid") and shutil.which("service"):
        say("stopping the service that came with dovecot-imapd (service dovecot stop)")
        subprocess.run(["service", "dovecot", "stop"], stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
