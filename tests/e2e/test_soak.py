"""A short run of script/soak, and what it judges by: see soak/."""
import json
import os
import random
import subprocess

import pytest

from soak.evaluate import balance
from soak.growth import growth
from soak.world import message, verify
from support.server import ROOT

pytestmark = pytest.mark.martlet('a server of its own, with its tools')


def test_soak(tmp_path):
    """What nobody may see is seen nowhere: not lost, not doubled, not different, not an error. 30 minutes are in
    docs/reliability.md."""
    r = subprocess.run([os.path.join(ROOT, 'script/soak'), '0.4', '--users', '10', '--pace', '1.5', '--report', tmp_path / 'r.html',
                        '--json', tmp_path / 'r.json'], capture_output=True, text=True, cwd=tmp_path)
    print(r.stdout[-6000:], r.stderr[-2000:])
    assert r.returncode == 0
    with open(tmp_path / 'r.json') as f:
        found = json.load(f)
    assert found['good'] and not found['errors'] and not found['wrong']
    assert found['delivered'] > 50 and found['commands'] > 300 and found['compared'] > 0
    assert found['announced'] > found['delivered'] * 0.8
    assert found["present"] > 500
    page = (tmp_path / 'r.html').read_text()
    assert page.count('<svg') == page.count('</svg>') >= 6 and 'growth after warm-up' in page
    assert 'http' not in page, 'the report needs nothing from elsewhere'


def test_growth_is_told_from_noise():
    rng = random.Random(1)
    times = [i * 5.0 for i in range(360)]
    flat = [(t, 100e6 + rng.gauss(0, 1e6)) for t in times]
    saw = [(t, 100e6 + t % 150 * 1e5) for t in times]
    warming = [(t, 100e6 - 50e6 * 0.99 ** t) for t in times]
    for points in (flat, saw, warming):
        assert growth(points, 600, 1e6)['grown'] == 0
    leak = [(t, v + 10e3 * t) for t, v in flat]  # 36 MB an hour
    g = growth(leak, 600, 1e6)
    assert g['grown'] > 8e6 and 30e6 < g['per_hour'] < 42e6
    step = [(t, v + (20e6 if t > 1300 else 0)) for t, v in flat]
    assert growth(step, 600, 1e6)['grown'] > 5e6
    assert growth(flat[:3], 0, 1) is None


def test_balance_sees_what_is_missing():
    class Journals:
        stored = {'u': {'a': 1.0, 'b': 2.0, 'c': 3.0}}
        removed = {'u': {'b'}}
    assert balance(Journals, {'u': {'a': 1, 'c': 1}}) == []
    assert balance(Journals, {'u': {'a': 1}}) == ['u: c is lost']
    assert balance(Journals, {'u': {'a': 1, 'c': 2}}) == ['u: c is there 2 times']
    assert balance(Journals, {'u': {'a': 1, 'c': 1, 'x': 1}}) == ['u: x is there, but was never acknowledged']


@pytest.mark.parametrize('size', [600, 20000, 2000000])
def test_changed_octets_are_seen(size):
    octets = message('x-1', size)
    assert verify(b'Return-Path: <a@b>\r\n' + octets) == 'x-1'
    with pytest.raises(AssertionError):
        verify(octets[:-100] + b'?' + octets[-99:])
