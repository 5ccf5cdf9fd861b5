"""Which mail process serves whom."""


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def name_of(process, prefix):
    """A user whose account belongs to that mail process, of two (ipc: route_user)."""
    for i in range(100):
        name = '%s%d' % (prefix, i)
        if crc32c(name.encode()) % 2 == process:
            return name
    raise AssertionError('no such name')
