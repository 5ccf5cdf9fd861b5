#!/usr/bin/env python3
"""What the linker and the compiler have done to the programs, so that a mistake in them is harder to use; a pytest test.

Release builds: sanitizers bring their own ideas of all this."""
import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TYPE = os.environ.get('MARTLET_BUILD_TYPE', 'release')
BUILD = os.path.join(ROOT, 'build-' + TYPE)
PROGRAMS = ['daemon/martlet', 'daemon/martlet-login', 'daemon/martlet-auth', 'daemon/martlet-mail',
            'daemon/martlet-metrics', 'tools/martletctl']

pytestmark = pytest.mark.skipif(TYPE != 'release', reason='release builds only')


def readelf(option, path):
    return subprocess.run(['readelf', '-W', option, path], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize('program', PROGRAMS)
def test_program(program):
    path = os.path.join(BUILD, 'src', program)
    assert re.search(r'Type:\s+DYN', readelf('-h', path)), 'position independent (PIE)'
    dynamic = readelf('-d', path)
    assert re.search(r'FLAGS_1.*\bPIE\b', dynamic)
    assert re.search(r'FLAGS_1.*\bNOW\b', dynamic), 'all symbols are bound at start ...'
    segments = readelf('-l', path)
    assert 'GNU_RELRO' in segments, '... and their table is read-only then (full RELRO)'
    assert re.search(r'GNU_STACK\s.*\sRW\s', segments), 'no code on the stack'
    assert not re.search(r'LOAD\s.*\sRWE\s', segments), 'nothing is writable and code'
    assert 'RPATH' not in dynamic and 'RUNPATH' not in dynamic
    symbols = readelf('--dyn-syms', path)
    assert '__stack_chk_fail' in symbols, 'stack protector'
    # _FORTIFY_SOURCE: bounds are checked where the compiler knows them.
    assert re.search(r'__\w+_chk@', symbols)


def test_code():
    """Control-flow enforcement (x86: CET), where the compiler has it: each of our own objects is marked; what Debian's
    start files say decides about the program. And _FORTIFY_SOURCE is 3."""
    libraries = [os.path.join(directory, f) for directory, _, files in os.walk(os.path.join(BUILD, 'src'))
                 for f in files if f.endswith('.a')]
    assert len(libraries) > 8
    with open(os.path.join(BUILD, 'compile_commands.json')) as f:
        commands = f.read()
    assert '-D_FORTIFY_SOURCE=3' in commands and '-fstack-clash-protection' in commands
    if os.uname().machine == 'x86_64':
        for library in libraries:
            text = readelf('-n', library)
            files = text.count('File: ')
            assert files and len(re.findall(r'x86 feature: IBT, SHSTK', text)) == files, library
