"""A small run of script/idle-connections: all sessions of an account, and a crowd on one mailbox, know of a change in
time. 50,000 are in docs/reliability.md."""
import json
import os
import subprocess

import pytest

from support.server import ROOT, SANITIZED

pytestmark = pytest.mark.martlet('a server of its own')


def test_idle_connections(tmp_path):
    n, crowd = (1500, 1000) if not SANITIZED else (300, 200)
    r = subprocess.run([os.path.join(ROOT, 'script/idle-connections'), str(n), '--crowd', str(crowd), '--probes', '20', '--json',
                        tmp_path / 'r.json'], capture_output=True, text=True, cwd=tmp_path)
    print(r.stdout[-4000:], r.stderr[-2000:])
    with open(tmp_path / 'r.json') as f:
        found = json.load(f)
    assert found['ready'] == n
    assert not found['late'] and not found['late_crowd']
    if not SANITIZED:
        assert found['pss_each'] < 30 * 1024, 'an idle connection costs %.1f KiB' % (found['pss_each'] / 1024)
        assert found['idle_cpu'] < 1, 'idle connections take processor time'
    assert r.returncode == 0
