"""INPROGRESS (RFC 9585): what a client is told while a long command is in progress."""
import pytest

from support import mails
from support.imap import LitPlus
from support.server import PASSWORD

settings = pytest.mark.settings


def reports(r):
    return [x.code_args[0] if x.code_args else None for x in r.untagged if x.code == 'INPROGRESS']


def fill(c, n):
    parts = ['APPEND INBOX']
    for i in range(n):
        parts += [' ', LitPlus(mails.numbered(i))]
    c.ok(*parts)
    c.noop()


def test_capability(c):
    assert 'INPROGRESS' in c.ok('CAPABILITY').one('CAPABILITY').data


def test_short_commands_say_nothing(inbox):
    fill(inbox, 20)
    for command in ('SEARCH BODY x', 'SORT (SUBJECT) UTF-8 ALL', 'STORE 1:* +FLAGS (\\Seen)', 'COPY 1:* Trash'):
        assert reports(inbox.ok(command)) == []


@settings('imap.progress_interval=1ms')
def test_search(own_server, user):
    """The tag, messages looked at, and how many there are; never more than that, never less than before."""
    with own_server.connect() as c:
        c.login(user, PASSWORD)
        c.select('INBOX')
        for _ in range(6):
            fill(c, 1000)
        r = c.ok('SEARCH NOT BODY "nowhere to be found"')
        told = reports(r)
        assert told and len(r.search()) == 6000
        last = 0
        for tag, progress, goal in told:
            assert tag.decode() == r.tagged.tag
            assert last <= int(progress) <= 6000 and goal in (None, '6000') and int(progress) != int(goal or 0)
            last = int(progress)
        assert any(goal == '6000' for _, _, goal in told)


@settings('imap.progress_interval=1ms')
def test_waiting_for_the_writer(own_server, user):
    """COPY, STORE and the like, while the store works on them; a tag with "]" is not told."""
    with own_server.connect() as c:
        c.login(user, PASSWORD)
        c.select('INBOX')
        for _ in range(3):
            fill(c, 1000)
        told = []
        for _ in range(5):  # long enough for some tick of the timers
            c.ok('COPY 1:* INBOX')
            c.noop()
        c.prefix = 'x]'
        for _ in range(5):
            told = told or reports(c.ok('UID COPY 1:* Trash'))
        assert told and all(tag is None and goal is None for tag, _, goal in told)
