#!/usr/bin/env python3
"""Checks who includes whom (ARCHITECTURE.md, "Layers"); a pytest test and a program.

A folder of src/ includes only folders of lower layers, private headers (x_int.h) stay in their
folder, and each outside library is seen by the folders named here alone.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

LAYERS = [
    {'base'},
    {'conf', 'wire', 'message', 'sasl', 'io'},
    {'ipc', 'log', 'index'},
    {'text'},
    {'store', 'auth'},
    {'imap', 'lmtp'},
    {'daemon', 'tools'},
]
LEVEL = {folder: level for level, folders in enumerate(LAYERS) for folder in folders}

# header -> folders that may include it; nobody else
LIBRARIES = {
    r'uv\.h|uv/.*': {'io', 'daemon'},
    r'lmdb\.h': {'index', 'text'},
    r'openssl/(?!evp\.h|hmac\.h|crypto\.h).*': {'io', 'sasl', 'auth'},
    r'openssl/(?:hmac|crypto)\.h': {'io', 'sasl', 'auth', 'imap'},  # imap: what signs URLs (RFC 4467)
    r'openssl/evp\.h': {'io', 'sasl', 'auth', 'lmtp'},  # lmtp: the hash that tells a delivery from another
    r'security/.*': {'auth'},
    r'unicode/.*': {'auth'},
    r'crypt\.h|argon2\.h|jansson\.h|curl/.*': {'auth'},
    r'ldap\.h|libpq-fe\.h|sqlite3\.h': {'auth'},
    r'microhttpd\.h': {'daemon'},
    r'seccomp\.h|linux/seccomp\.h': {'io', 'daemon'},
    r'iconv\.h': {'message'},
    r'zlib\.h|zstd\.h': {'io', 'log', 'tools'},
    r'rados/.*': {'log'},
    r'ucl\.h': {'conf'},
    r'cmocka\.h': set(),
}

# These take what they need from the caller, so that tests of them are exact.
PURE = {'wire', 'message', 'sasl'}
IMPURE = r'base/(clock|random|logline)\.h|sys/socket\.h'

# Programs that may not be able to reach stored mail: file name prefix in src/daemon -> folders.
PROGRAMS = {
    'login': {'base', 'conf', 'wire', 'sasl', 'io', 'ipc', 'daemon'},
    'auth': {'base', 'conf', 'wire', 'sasl', 'io', 'ipc', 'auth', 'daemon'},  # wire: an MTA's requests
    'metrics': {'base', 'conf', 'io', 'ipc', 'daemon'},
    'supervisor': {'base', 'conf', 'io', 'ipc', 'daemon'},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.M)


def sources(root):
    for folder, _, names in os.walk(os.path.join(root, 'src')):
        for name in sorted(names):
            if name.endswith(('.c', '.h')):
                yield os.path.relpath(os.path.join(folder, name), root)


def check_file(path, text):
    """Complaints about one file, path relative to the root."""
    parts = path.split(os.sep)
    folder = parts[1]
    if len(parts) < 3:
        return ['%s: a source file directly in src' % path]
    if folder not in LEVEL:
        return ['%s: folder %s has no layer' % (path, folder)]
    out = []
    for own, outside in INCLUDE.findall(text):
        header = own or outside
        target = header.split('/')[0]
        for pattern, allowed in LIBRARIES.items():
            if re.fullmatch(pattern, header) and folder not in allowed:
                out.append('%s: includes %s; only %s may' % (path, header, sorted(allowed) or 'tests'))
        if folder in PURE and re.fullmatch(IMPURE, header):
            out.append('%s: includes %s, but %s touches no clock, log or descriptor' % (path, header, folder))
        if not own:
            continue
        if target not in LEVEL or '/' not in own:
            out.append('%s: "%s" does not name its folder' % (path, own))
            continue
        if target != folder and LEVEL[target] >= LEVEL[folder]:
            out.append('%s: includes %s of the same or a higher layer' % (path, own))
        if target != folder and own.endswith('_int.h'):
            out.append('%s: includes the private header %s' % (path, own))
        if folder == 'daemon':
            program = parts[2].split('_')[0].split('.')[0]
            if program in PROGRAMS and target not in PROGRAMS[program]:
                out.append('%s: %s must not reach %s' % (path, program, own))
    return out


def check(root=ROOT):
    out = []
    for path in sources(root):
        with open(os.path.join(root, path), encoding='utf-8') as f:
            out += check_file(path, f.read())
    return out


def test_layers():
    assert check() == []


def test_sources_are_found():
    assert sum(1 for _ in sources(ROOT)) > 10


def test_check_finds_violations():
    bad = {
        'src/wire/a.c': '#include "message/message.h"\n',
        'src/base/a.c': '#include "wire/frame.h"\n',
        'src/store/a.c': '#include <lmdb.h>\n',
        'src/imap/a.c': '#include <uv.h>\n',
        'src/store/b.c': '#include "log/log_int.h"\n',
        'src/wire/b.h': '#include "base/clock.h"\n',
        'src/daemon/login.c': '#include "store/account.h"\n',
        'src/imap/b.c': '#include "session.h"\n',
    }
    for path, text in bad.items():
        assert len(check_file(path, text)) == 1, path
    assert check_file('src/store/c.c', '#include "log/log.h"\n#include "store/store_int.h"\n') == []


if __name__ == '__main__':
    complaints = check()
    for line in complaints:
        print(line)
    sys.exit(1 if complaints else 0)
