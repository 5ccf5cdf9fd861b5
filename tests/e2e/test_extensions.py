"""Small extensions: OBJECTID (RFC 8474), WITHIN (RFC 5032), APPENDLIMIT (RFC 7889)."""
import re
import time

import pytest

from support import mails
from support.imap import LitPlus


def capabilities(c):
    return set(c.ok('CAPABILITY').one('CAPABILITY').data)


def objectid(value):
    assert len(value) == 1 and re.fullmatch('[A-Za-z0-9_-]{1,255}', value[0]), value
    return value[0]


def mailbox_id(c, mailbox):
    return objectid(c.ok('STATUS %s (MAILBOXID)' % mailbox).one('STATUS').items()['MAILBOXID'])


# -- OBJECTID

def test_mailboxid(c):
    """Sections 4.1 to 4.3: CREATE, SELECT, EXAMINE, STATUS and LIST-STATUS; kept by RENAME."""
    assert 'OBJECTID' in capabilities(c)
    r = c.ok('CREATE foo')
    assert r.code == 'MAILBOXID'
    foo, bar = objectid(r.code_args[0]), objectid(c.ok('CREATE bar').code_args[0])
    assert foo != bar
    for command in 'SELECT', 'EXAMINE':
        assert objectid(c.select('foo', command).codes()['MAILBOXID'].code_args[0]) == foo
    c.ok('RENAME foo renamed')
    assert (mailbox_id(c, 'renamed'), mailbox_id(c, 'bar')) == (foo, bar)
    assert objectid(c.ok('CREATE foo').code_args[0]) not in (foo, bar)
    got = {r.data[0]: objectid(r.items()['MAILBOXID'])
           for r in c.ok('LIST "" * RETURN (STATUS (MAILBOXID))').all('STATUS')}
    assert got['renamed'] == foo and len(set(got.values())) == len(got)
    c.ok('DELETE bar')
    assert objectid(c.ok('CREATE bar').code_args[0]) != bar
    inbox = mailbox_id(c, 'INBOX')
    c.ok('RENAME INBOX old')
    assert mailbox_id(c, 'old') != inbox and mailbox_id(c, 'INBOX') == inbox


def test_emailid(inbox):
    """Section 5: the same for copies, before and after; never the same for two messages."""
    for i in range(3):
        inbox.append('INBOX', mails.numbered(i))
    inbox.noop()
    got = inbox.ok('FETCH 1:* (EMAILID THREADID)').fetch()
    ids = {n: objectid(i['EMAILID']) for n, i in got.items()}
    assert len(set(ids.values())) == 3 and all(i['THREADID'] is None for i in got.values())
    inbox.ok('CREATE There')
    inbox.ok('COPY 2 There')
    inbox.ok('MOVE 3 There')
    inbox.select('There')
    there = {n: objectid(i['EMAILID']) for n, i in inbox.ok('UID FETCH 1:* EMAILID').fetch().items()}
    assert there == {1: ids[2], 2: ids[3]}
    assert inbox.ok('SEARCH EMAILID %s' % ids[3]).search() == [2]  # section 6
    assert inbox.ok('SEARCH NOT EMAILID %s' % ids[3]).search() == [1]
    assert inbox.ok('SEARCH EMAILID %s' % ids[1]).search() == []
    assert inbox.ok('SEARCH EMAILID %s' % ids[3].swapcase()).search() == []
    assert inbox.ok('SEARCH THREADID T1').search() == []
    inbox.bad('SEARCH EMAILID a.b')
    inbox.bad('SEARCH EMAILID %s' % ('a' * 256))


# -- WITHIN

def test_within(inbox):
    """Sections 3 and 5: by INTERNALDATE, to the second, against the time of the search."""
    assert 'WITHIN' in capabilities(inbox)
    for age in (10, 3600, 3 * 86400):
        stamp = time.strftime('%d-%b-%Y %H:%M:%S +0000', time.gmtime(time.time() - age))
        inbox.ok('APPEND INBOX "%s" ' % stamp, LitPlus(mails.numbered(age)))
    inbox.noop()
    assert inbox.ok('SEARCH YOUNGER 1800').search() == [1]
    assert inbox.ok('SEARCH YOUNGER 86400').search() == [1, 2]
    assert inbox.ok('SEARCH OLDER 1800').search() == [2, 3]
    assert inbox.ok('SEARCH OLDER 86400 YOUNGER 604800').search() == [3]
    assert inbox.ok('SEARCH NOT OLDER 4294967295').search() == [1, 2, 3]
    # exactly one of the two holds, or both at the very second
    assert inbox.ok('SEARCH OR OLDER 7200 YOUNGER 7200').search() == [1, 2, 3]
    for bad in ('YOUNGER 0', 'OLDER', 'OLDER x', 'YOUNGER -1', 'YOUNGER 4294967296'):
        inbox.bad('SEARCH ' + bad)


# -- APPENDLIMIT

@pytest.mark.settings('imap.literal_max=64kb')
def test_appendlimit(own_server, user):
    """Sections 2 to 4: what is announced is what is taken, to the octet."""
    from support.server import PASSWORD
    c = own_server.connect()
    c.login(user, PASSWORD)
    assert 'APPENDLIMIT=65536' in capabilities(c)
    assert int(c.ok('STATUS INBOX (APPENDLIMIT)').one('STATUS').items()['APPENDLIMIT']) == 65536
    whole = mails.numbered(1)
    whole += b'x' * (65536 - len(whole)) if isinstance(whole, bytes) else 'x' * (65536 - len(whole))
    c.append('INBOX', whole)
    longer = whole + (b'x' if isinstance(whole, bytes) else 'x')
    c.no('APPEND INBOX ', LitPlus(longer), code='TOOBIG')
    got = {r.data[0]: int(r.items()['APPENDLIMIT'])
           for r in c.ok('LIST "" % RETURN (STATUS (APPENDLIMIT))').all('STATUS')}
    assert got and set(got.values()) == {65536}
    c.close()
