"""The client's side of COMPRESS=DEFLATE (RFC 4978)."""
import zlib


class Deflate:
    """Takes the place of a connection's socket once COMPRESS has been answered."""

    def __init__(self, c, flush=zlib.Z_SYNC_FLUSH, level=6):
        self.sock, self.flush = c.sock, flush
        self.out = zlib.compressobj(level, zlib.DEFLATED, -15)
        self.into = zlib.decompressobj(-15)
        self.sent = self.received = self.plain = 0
        c.sock = self

    def encode(self, data):
        return self.out.compress(data) + self.out.flush(self.flush)

    def sendall(self, data):
        data = self.encode(data)
        self.sent += len(data)
        self.sock.sendall(data)

    def recv(self, n):
        while True:
            data = self.sock.recv(n)
            plain = self.into.decompress(data)
            self.received += len(data)
            self.plain += len(plain)
            if plain or not data:
                return plain

    def __getattr__(self, name):
        return getattr(self.sock, name)
