"""SAVEDATE (RFC 8514): when a message came into the mailbox it is in."""
import re
import time

import pytest

from support import mails
from support.imap import LitPlus

DATE = re.compile(r'([ \d]\d)-([A-Z][a-z]{2})-(\d{4}) (\d\d):(\d\d):(\d\d) \+0000\Z')


def day(seconds):
    return time.strftime('%d-%b-%Y', time.gmtime(seconds))


def saved(c, which='1'):
    r = c.ok('FETCH %s SAVEDATE' % which).fetch()[int(which)]['SAVEDATE'].decode()
    m = DATE.match(r)
    assert m, r
    import calendar
    return calendar.timegm(time.strptime(r[:20], '%d-%b-%Y %H:%M:%S'))


@pytest.fixture
def box(inbox):
    """A message that says that it is of 1999."""
    inbox.ok('APPEND INBOX "01-Jan-1999 12:00:00 +0100" ', LitPlus(mails.numbered(1)))
    inbox.noop()
    return inbox


def test_capability(c):
    assert 'SAVEDATE' in c.ok('CAPABILITY').one('CAPABILITY').data


def test_fetch(box):
    """Section 4.2; the date of APPEND does not count (section 3)."""
    assert abs(saved(box) - time.time()) < 60
    r = box.ok('FETCH 1 (SAVEDATE INTERNALDATE)').fetch()[1]
    assert r['INTERNALDATE'].startswith(b' 1-Jan-1999') and r['SAVEDATE'] != r['INTERNALDATE']
    assert list(box.ok('UID FETCH 1 (savedate)').fetch()[1]) in (['UID', 'SAVEDATE'], ['SAVEDATE', 'UID'])


@pytest.mark.parametrize('command', ['COPY', 'MOVE'])
def test_copies(box, command):
    """Section 3: a copy has a date of its own, which the original's does not become, nor the other way."""
    first = saved(box)
    box.ok('CREATE There')
    time.sleep(1.1)
    box.ok('%s 1 There' % command)
    if command == 'COPY':
        assert saved(box) == first
    box.ok('SELECT There')
    second = saved(box)
    assert second > first
    box.ok('STORE 1 +FLAGS (\\Seen)')
    assert saved(box) == second  # nothing changes it


def test_search(box):
    """Section 4.3."""
    now = time.time()
    today, before, after = day(now), day(now - 2 * 86400), day(now + 2 * 86400)
    assert box.ok('SEARCH SAVEDSINCE %s' % before).search() == [1]
    assert box.ok('SEARCH SAVEDSINCE %s' % after).search() == []
    assert box.ok('SEARCH SAVEDBEFORE %s' % after).search() == [1]
    assert box.ok('SEARCH SAVEDBEFORE %s' % before).search() == []
    assert box.ok('SEARCH SAVEDON %s' % before).search() == []
    assert box.ok('SEARCH OR SAVEDON %s SAVEDON %s' % (today, day(now + 5))).search() == [1] or day(time.time()) != today
    assert box.ok('SEARCH NOT SAVEDON %s' % after).search() == [1]
    assert box.ok('SEARCH BEFORE 1-Jan-2000 SAVEDSINCE 1-Jan-2000').search() == [1]
    assert box.ok('SEARCH SAVEDATESUPPORTED').search() == [1]
    assert box.ok('SEARCH NOT SAVEDATESUPPORTED').search() == []
    assert box.ok('SEARCH RETURN (COUNT) SAVEDATESUPPORTED UNSEEN').one('ESEARCH').esearch()[2]['COUNT'] == '1'


def test_syntax(box):
    for wrong in ('SEARCH SAVEDON', 'SEARCH SAVEDON yesterday', 'FETCH 1 SAVEDATE[]',
                  'SEARCH SAVEDSINCE "1-Foo-2000"'):
        box.bad(wrong)


@pytest.mark.martlet
def test_survives(own_server):
    """A restart, and the index made anew from the log."""
    from support.server import PASSWORD
    c = own_server.connect()
    c.login('keeper', PASSWORD)
    c.append('INBOX', mails.numbered(1))
    c.select()
    first = saved(c)
    c.close()
    time.sleep(1.1)
    own_server.kill()
    own_server.start()
    c = own_server.connect()
    c.login('keeper', PASSWORD)
    c.select()
    assert saved(c) == first
    c.close()
