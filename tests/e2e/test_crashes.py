"""A short run of script/crash (a long one: script/crash --kills 300), and whether it would see what it looks for."""
import signal

import pytest

from crashes.clients import Client
from crashes.main import crash
from crashes.record import Box, Ledger, State, Violation, compare, digest
from support import server as support_server

pytestmark = pytest.mark.martlet('its own processes')


def test_killed_again_and_again():
    """Every acknowledged change is there, whatever was under way is there whole or not at all, and no number comes
    back for something else. Figures of long runs are in docs/reliability.md."""
    kills = 6 if support_server.SANITIZED else 16
    figures = crash(kills, 'test', clients=5, accounts=3, say=print)
    assert figures['kills'] == kills and figures['acknowledged'] > kills * 10
    assert figures['connections_lost'] > 0 and figures['mailboxes_compared'] > 20
    assert figures['cut_off_whole'] + figures['cut_off_none'] > 0, 'no change was cut off'


@pytest.mark.slow
def test_killed_three_hundred_times():
    signal.alarm(3600)  # longer than other tests
    figures = crash(100 if support_server.SANITIZED else 300, 'slow', say=print)
    assert set(figures['kinds']) == {kind for kind, _ in Client.KINDS}


def picture():
    s = State()
    b = s.boxes['w/a'] = Box()
    b.id, b.validity, b.uidnext = 'F1', 7, 4
    b.messages = {1: ('x', frozenset()), 3: ('y', frozenset({'$work'}))}
    s.quota = 100
    return s


def change(what):
    s = picture()
    what(s, s.boxes['w/a'])
    return s


@pytest.mark.parametrize('what', [
    lambda s, b: b.messages.pop(3),
    lambda s, b: b.messages.update({3: ('z', frozenset({'$work'}))}),
    lambda s, b: b.messages.update({3: ('y', frozenset())}),
    lambda s, b: b.messages.update({4: ('new', frozenset())}),
    lambda s, b: setattr(b, 'validity', 8),
    lambda s, b: setattr(b, 'id', 'F2'),
    lambda s, b: setattr(b, 'uidnext', 3),
    lambda s, b: b.rights.update(lookup='lr'),
    lambda s, b: b.notes.update({'/shared/comment': b'x'}),
    lambda s, b: setattr(s, 'quota', None),
    lambda s, b: s.boxes.pop('w/a'),
    lambda s, b: s.boxes.update({'w/b': Box()}),
])
def test_differences_are_seen(what):
    assert compare(picture(), picture()) is None
    assert compare(picture(), change(what))


def test_half_of_a_change_is_seen():
    def two(s, b):
        b.new = [('n1', frozenset()), ('n2', frozenset())]
    after = change(two)
    assert compare(after, change(lambda s, b: b.messages.update({4: ('n1', frozenset()), 5: ('n2', frozenset())}))) is None
    for half in ({4: ('n1', frozenset())}, {4: ('n2', frozenset()), 5: ('n1', frozenset())},
                 {2: ('n1', frozenset()), 5: ('n2', frozenset())}):
        assert compare(after, change(lambda s, b: b.messages.update(half)))


def test_numbers_that_come_back_are_seen():
    ledger = Ledger()
    ledger.mailbox('u', 'w/a', 7, 'F1', 5, 20)
    ledger.message('F1', 4, 20, frozenset(), 'x')
    for again in (lambda: ledger.mailbox('u', 'w/a', 7, 'F2', 5, 20), lambda: ledger.mailbox('u', 'w/a', 7, 'F1', 4, 20),
                  lambda: ledger.mailbox('u', 'w/a', 7, 'F1', 5, 19), lambda: ledger.message('F1', 4, 20, frozenset(), 'y'),
                  lambda: ledger.message('F1', 4, 20, frozenset({'$a'})), lambda: ledger.message('F1', 4, 19, frozenset())):
        with pytest.raises(Violation):
            again()
    ledger.mailbox('u', 'w/a', 8, 'F2', 1, 1)
    ledger.message('F1', 4, 21, frozenset({'$a'}), 'x')


def test_changed_octets_are_seen():
    assert digest(b'X-Crash: m-1\r\n\r\nabc')[0] != digest(b'X-Crash: m-1\r\n\r\nabd')[0]
    assert digest(b'Received: x\r\nX-Crash: m-1\r\n\r\nabc') == (digest(b'X-Crash: m-1\r\n\r\nabc')[0], 13)
