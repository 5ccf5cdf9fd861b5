#!/usr/bin/env python3
"""Reads an account log, from docs/log-format.md alone; changes nothing.

    read_log.py DIR      the frames that belong to the log, and damage

Independent of the implementation in C, so that each checks the other and the document."""
import os
import re
import struct
import sys

TABLE = []
for _i in range(256):
    for _ in range(8):
        _i = (_i >> 1) ^ 0x82f63b78 if _i & 1 else _i >> 1
    TABLE.append(_i)

SEGMENT_HEADER, FRAME_HEADER, BOUND = 80, 64, 67108864
LOG, EXTERNAL, BASE = 1, 2, 3
REPLAY = 0


def crc32c(data, crc=0):
    crc ^= 0xffffffff
    table = TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xff] ^ (crc >> 8)
    return crc ^ 0xffffffff


class Unreadable(Exception):
    pass


class Segment:
    def __init__(self, number, kind, role, first, size):
        self.number, self.kind, self.role, self.first, self.size = number, kind, role, first, size
        self.data = None
        self.sealed = size > 0
        self.incarnation = 0

    def load(self, directory):
        try:
            with open(os.path.join(directory, '%016x' % self.number), 'rb') as f:
                self.data = f.read()
        except FileNotFoundError:
            return
        if not self.size:
            self.size = len(self.data)

    def header(self):
        """(kind, first, incarnation) or None; the rest of the header must be intact."""
        d = self.data[:SEGMENT_HEADER]
        if len(d) < SEGMENT_HEADER or d[:8] != b'MARTLOG1' or \
                struct.unpack_from('<I', d, 64)[0] != crc32c(d[:64]):
            return None
        version, kind, incarnation = struct.unpack_from('<HHI', d, 8)
        number, first = struct.unpack_from('<QQ', d, 32)
        if version != 1 or kind not in (LOG, EXTERNAL, BASE):
            raise Unreadable('version')
        return (kind, first, incarnation) if number == self.number else None


class Frame:
    def __init__(self, log, segment, at):
        """ok: '' if the header is intact; then why it is not a frame."""
        self.segment, self.at, self.seq = segment, at, 0
        data = segment.data
        end = min(segment.size, len(data))
        self.resume, self.bad = at + 8, 'header'
        h = data[at:at + FRAME_HEADER]
        if end - at < FRAME_HEADER:
            self.resume = end
            return
        mark, crc = struct.unpack_from('<II', h)
        place = struct.pack('<IQQ', log.key >> 32, segment.number, at)
        if mark != log.key & 0xffffffff or crc != crc32c(place + h[8:]):
            return
        (seq, self.time, self.durable, self.type, self.version, ops_crc, ops, payload,
         payload_crc) = struct.unpack_from('<QQQHHIQQI', h, 8)
        if ops > BOUND or payload > BOUND or self.durable > seq or seq >= 1 << 63:
            return
        self.seq = seq
        after = at + (FRAME_HEADER + ops + payload + 7) // 8 * 8
        if after > end:
            self.resume, self.bad = end, 'length'
            return
        self.resume = after
        self.ops = data[at + FRAME_HEADER:at + FRAME_HEADER + ops]
        self.payload = data[at + FRAME_HEADER + ops:at + FRAME_HEADER + ops + payload]
        self.payload_crc = payload_crc
        self.bad = '' if crc32c(self.ops) == ops_crc else 'operations'

    def payload_ok(self):
        return crc32c(self.payload) == self.payload_crc


class Log:
    def __init__(self, directory):
        self.dir = directory
        with open(os.path.join(directory, 'manifest'), 'rb') as f:
            self.read_manifest(f.read())
        for s in self.segments.values():
            s.load(directory)
        self.adopt()
        self.damage = []
        self.end = {}
        self.recover()

    @staticmethod
    def manifest_copy(d):
        """The first copy that is intact: they begin at multiples of 4096."""
        for at in range(0, len(d), 4096):
            if d[at:at + 8] != b'MARTMAN1' or len(d) - at < 104:
                continue
            end = at + 100 + 36 * struct.unpack_from('<I', d, at + 96)[0]
            if end + 4 <= len(d) and struct.unpack_from('<I', d, end)[0] == crc32c(d[at:end]):
                return d[at:end + 4]
        raise Unreadable('manifest')

    def read_manifest(self, d):
        d = self.manifest_copy(d)
        version, self.incarnation = struct.unpack_from('<II', d, 8)
        if version != 1:
            raise Unreadable('version')
        self.id = d[16:32]
        (self.key, self.base_segment, self.base_seq, self.next, self.tail_segment, self.tail_at,
         self.tail_seq, self.durable, count) = struct.unpack_from('<QQQQQQQQI', d, 32)
        self.segments = {}
        for i in range(count):
            number, first, size, kind, role, _ = struct.unpack_from('<QQQHHQ', d, 100 + 36 * i)
            self.segments[number] = Segment(number, kind, role, first, size)

    def adopt(self):
        """Segments that the manifest does not know; headers of those that may have changed."""
        for name in sorted(os.listdir(self.dir)):
            number = int(name, 16) if re.fullmatch('[0-9a-f]{16}', name) else 0
            if number < self.next or number in self.segments:
                continue
            s = Segment(number, LOG, REPLAY, 0, 0)
            s.load(self.dir)
            self.segments[number] = s
            s.found = True
        for s in list(self.segments.values()):
            found = getattr(s, 'found', False)
            header = s.header() if s.data is not None else None
            if header:
                s.incarnation = header[2]
                if found:
                    s.kind, s.first = header[:2]
                    s.role = 2 if s.kind == EXTERNAL else REPLAY
                    if s.kind == BASE:
                        del self.segments[s.number]
            elif s.data is not None and found:
                frame = next((f for f in self.walk(s, SEGMENT_HEADER) if f and not f.bad), None)
                if frame and frame.durable == frame.seq or not frame and s.size <= SEGMENT_HEADER:
                    del self.segments[s.number]
                elif frame:
                    s.first, s.incarnation = frame.seq, self.incarnation
                else:
                    s.kind, s.role = EXTERNAL, 2
            elif s.data is not None and not s.sealed:
                s.incarnation = self.incarnation

    def walk(self, s, at):
        """The frames from `at` on, bad ones included; after a bad one the next intact header."""
        end, f = min(s.size, len(s.data)), None
        while at < end:
            f = Frame(self, s, at)
            yield f
            at = f.resume
            if f.bad:
                while at < end and Frame(self, s, at).bad == 'header':
                    at = at + 8 if at + 8 + FRAME_HEADER <= end else end
        if len(s.data) < s.size and not (f and f.bad):
            yield None  # it is shorter than it was

    def logs(self):
        return [s for _, s in sorted(self.segments.items()) if s.kind == LOG and s.role == REPLAY]

    def recover(self):
        """Where the log ends: self.last, and self.end of each segment."""
        tail = [s for s in self.logs() if s.number >= self.tail_segment and s.data is not None]
        start = {s.number: SEGMENT_HEADER for s in tail}
        if self.tail_segment in start:
            s = self.segments[self.tail_segment]
            if s.size < self.tail_at:
                s.data += bytes(max(SEGMENT_HEADER - s.size, -s.size % 8))
                s.size = len(s.data)
            start[s.number] = min(self.tail_at, s.size)
        self.last, mark = self.tail_seq, max(self.tail_seq, self.durable)
        for s in tail:
            for f in self.walk(s, start[s.number]):
                if f and not f.bad:
                    mark = max(mark, f.durable)
        torn = False
        for s in tail:
            if torn:
                self.end[s.number] = 0
                continue
            if s.number != self.tail_segment:
                if s.incarnation > self.incarnation:
                    self.incarnation = s.incarnation
                    self.last = mark = max(self.last, s.first - 1)
                elif s.first > self.last + 1 and s.first > mark + 1:
                    torn, self.end[s.number] = True, 0
                    continue
                self.last = max(self.last, s.first - 1)
            for f in self.walk(s, start[s.number]):
                if f and not f.bad and (f.seq <= mark or f.payload_ok()) and \
                        self.last < f.seq <= max(mark, self.last) + 1:
                    self.last = f.seq
                elif self.last >= mark or f and f.seq > mark:
                    torn, self.end[s.number] = True, f.at if f else len(s.data)
                    break
        self.last = max(self.last, mark)

    def frames(self):
        """Yields Frame, or (segment, offset) where something is damaged."""
        before = 0 if self.base_seq else 1 << 32
        for s in sorted(self.segments.values(), key=lambda s: s.number):
            if s.kind == BASE and s.role == REPLAY:
                yield from self.segment_frames(s, False)
                before = s.incarnation or before
        self.seq, self.explained = self.base_seq, False
        for s in self.logs():
            yield from self.segment_frames(s, s.incarnation > before)
            before = s.incarnation or before

    def segment_frames(self, s, new):
        end = self.end.get(s.number, 1 << 63)
        if end == 0 and s.number in self.end:
            return
        if s.data is None:
            self.explained = True
            yield s.number, 0
            return
        for f in self.walk(s, SEGMENT_HEADER):
            at = f.at if f else max(SEGMENT_HEADER, len(s.data))
            if at >= end:
                return
            if f is None or f.bad:
                self.explained = True
                yield s.number, at
            elif s.kind == BASE:
                yield f
            elif f.seq > self.seq:
                if f.seq != self.seq + 1 and not self.explained and not (new and f.seq == s.first):
                    yield s.number, at
                self.explained, self.seq = False, f.seq
                yield f


def dump(directory):
    log = Log(directory)
    lines = []
    for f in log.frames():
        if isinstance(f, tuple):
            lines.append('damage %d %d' % f)
        else:
            lines.append('%s %d at %d %d type %d version %d time %d ops %s payload %d %08x' % (
                'base' if f.segment.kind == BASE else 'frame', f.seq, f.segment.number, f.at, f.type,
                f.version, f.time, f.ops.hex(), len(f.payload), crc32c(f.payload)))
    lines.append('log %s incarnation %d last %d' % (log.id.hex(), log.incarnation, log.last))
    return lines


if __name__ == '__main__':
    try:
        print('\n'.join(dump(sys.argv[1])))
    except Unreadable as e:
        sys.exit('%s: %s' % (sys.argv[1], e))
