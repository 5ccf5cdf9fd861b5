"""Random histories of sessions of many kinds against a reference model: see model/.

script/model runs more of them, and a single seed again. A failure is shrunk and shown as a script.
"""
import random

import pytest

from model import history
from model.runner import Runner
from support.server import SANITIZED

COUNT, SECONDS = (100, 30) if SANITIZED else (500, 20)
CHUNKS = 4  # tests, so that one test stays short; half of them with the same seeds every time


@pytest.mark.martlet('the model knows its choices where the protocol leaves one')
@pytest.mark.parametrize('chunk', range(CHUNKS))
def test_histories(server, user, chunk):
    first = chunk * COUNT + 1 if chunk < CHUNKS // 2 else random.SystemRandom().randrange(1 << 32)
    print('seeds from', first)
    runner = Runner(server, account=user)
    try:
        ran, failure = runner.histories(first, COUNT, SECONDS)
        print(ran, 'histories')
        assert failure is None, failure
        assert ran >= COUNT // 20, 'only %d histories in %d s' % (ran, SECONDS)
    finally:
        runner.close()


@pytest.mark.martlet('as above')
@pytest.mark.parametrize('kind', history.KINDS)
def test_each_kind_alone(server, user, kind):
    """Four sessions of one kind: what only they can see."""
    runner = Runner(server, [kind], account=user)
    try:
        ran, failure = runner.histories(1, 25, 6)
        assert failure is None, failure
        assert ran
    finally:
        runner.close()
