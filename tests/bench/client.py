"""The load client (imapload.c): building it, and one running copy of it."""
import os
import selectors
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = ("imapload.c", "imapload_batch.c", "imapload_conn.c")
TEXT_FIELDS = ("text", "digest")


class WrongAnswer(Exception):
    """The server refused a command, closed the connection, or answered what cannot be right."""


def build(directory):
    """Compiles imapload into `directory`; returns its path."""
    path = os.path.join(directory, "imapload")
    command = ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-o", path,
               *(os.path.join(HERE, name) for name in SOURCES), "-lssl", "-lcrypto", "-lz", "-lpthread"]
    subprocess.run(command, check=True)
    return path


class LoadClient:
    """One imapload process. `call` sends it a command (imapload.c lists them) and returns the answer as a dict."""

    def __init__(self, path, corpus, timeout=900):
        self.timeout = timeout
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.buffer = b""
        self.call("corpus " + corpus)

    def _line(self):
        end = time.monotonic() + self.timeout
        while b"\n" not in self.buffer:
            if not self.selector.select(max(0.0, end - time.monotonic())):
                raise WrongAnswer("no answer within %d seconds" % self.timeout)
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise WrongAnswer("the load client ended")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode("utf-8", "replace")

    def call(self, command):
        self.process.stdin.write(command.encode("utf-8") + b"\n")
        self.process.stdin.flush()
        line = self._line()
        kind, _, rest = line.partition(" ")
        if kind != "ok":
            raise WrongAnswer("%s: %s" % (command[:120], rest))
        answer = {}
        fields, _, text = rest.partition(" text=")
        for field in fields.split():
            name, _, value = field.partition("=")
            answer[name] = value if name in TEXT_FIELDS else int(value)
        answer["text"] = text
        return answer

    def run(self, text, slot=0, repeat=1, window=1, start=0, stride=1, modulus=1):
        return self.call("run %d %d %d %d %d %d %s" % (slot, repeat, window, start, stride, modulus, text))

    def append(self, mailbox, first, count, per_command=1, window=1, slot=0, slots=1, flags=""):
        return self.call("append %d %d %d %d %d %d %s %s"
                         % (slot, slots, first, count, per_command, window, mailbox, flags))

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.selector.close()
