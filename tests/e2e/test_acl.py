"""Sharing: access control lists (RFC 4314), other users' and shared mailboxes (RFC 2342).

Every forbidden act is tried with each right missing, and then with it.
"""
import pytest

from support import mails
from support import server as support_server
from support.accounts import name_of
from support.imap import LitPlus
from support.server import PASSWORD
from test_quota import ctl

pytestmark = pytest.mark.martlet

M = mails.numbered(1, 300)


@pytest.fixture
def pair(server, user):
    """owner, guest: two users' connections, and the box "Other Users/OWNER/box" with three messages."""
    clients = []

    def log_in(name):
        c = server.connect()
        c.login(name, PASSWORD)
        clients.append(c)
        return c
    owner, guest = log_in(user + '-o'), log_in(user + '-g')
    owner.name, guest.name = user + '-o', user + '-g'
    owner.again = lambda: log_in(owner.name)
    owner.ok('CREATE box')
    for i in range(3):
        owner.append('box', mails.numbered(i, 200))
    guest.box = 'Other Users/%s/box' % owner.name
    yield owner, guest
    with server.connect() as c:  # nothing is left that other tests' users would find
        c.login(owner.name, PASSWORD)
        for x in c.ok('LIST "" "*"').all('LIST'):
            if not mailbox(x).startswith('Other Users'):
                c.ok('DELETEACL "%s" anyone' % mailbox(x))
    for c in clients:
        c.close()


def give(pair, rights, box='box'):
    owner, guest = pair
    owner.ok('SETACL %s %s "%s"' % (box, guest.name, rights))


def my_rights(c, box):
    r = c.ok('MYRIGHTS "%s"' % box).one('MYRIGHTS')
    return set(str(r.data[1])) - set('cd')


# -- the list

def test_setacl_getacl(pair):
    owner, guest = pair
    acl = owner.ok('GETACL box').one('ACL').data
    assert str(acl[1]) == owner.name and set(str(acl[2])) >= set('lrswipkxtea') and len(acl) == 3
    give(pair, 'lrs')
    assert [str(x) for x in owner.ok('GETACL box').one('ACL').data[3:]] == [guest.name, 'lrs']
    give(pair, '+i')
    give(pair, '-s')
    assert [str(x) for x in owner.ok('GETACL box').one('ACL').data[3:]] == [guest.name, 'lri']
    owner.ok('DELETEACL box %s' % guest.name)
    assert len(owner.ok('GETACL box').one('ACL').data) == 3
    owner.bad('SETACL box fred lrQ')
    owner.bad('SETACL box fred L')
    owner.no('SETACL nowhere fred lr', code='NONEXISTENT')
    owner.no('SETACL box %s lr' % owner.name)  # nothing takes the owner's rights away
    assert my_rights(owner, 'box') == set('lrswipkxtea')


def test_obsolete_rights(pair):
    """Section 2.1.1: c and d of RFC 2086."""
    owner, guest = pair
    give(pair, 'lrc')
    assert str(owner.ok('GETACL box').one('ACL').data[4]) == 'lrkc'
    give(pair, 'd')
    assert set(str(owner.ok('GETACL box').one('ACL').data[4])) == set('xted')


def test_listrights(pair):
    owner, guest = pair
    data = owner.ok('LISTRIGHTS box %s' % guest.name).one('LISTRIGHTS').data
    assert data[2] in (b'', '') and {str(x) for x in data[3:]} == set('lrswipkxtea')
    data = owner.ok('LISTRIGHTS box %s' % owner.name).one('LISTRIGHTS').data
    assert set(str(data[2])) >= set('lrswipkxtea') and len(data) == 3


def test_negative_rights_and_anyone(pair):
    owner, guest = pair
    owner.ok('SETACL box anyone lrwi')
    assert my_rights(guest, guest.box) == set('lrwi')
    owner.ok('SETACL box -%s wi' % guest.name)
    assert my_rights(guest, guest.box) == set('lr')
    give(pair, 'wt')  # what is taken stays taken
    assert my_rights(guest, guest.box) == set('lrt')


def test_inherited(pair, server):
    """A new mailbox has the list of the one above; renaming keeps it; deleting ends it."""
    owner, guest = pair
    give(pair, 'lr')
    owner.ok('CREATE box/sub/deep')
    assert my_rights(guest, guest.box + '/sub/deep') == set('lr')
    owner.ok('RENAME box/sub other')
    assert my_rights(guest, 'Other Users/%s/other/deep' % owner.name) == set('lr')
    owner.ok('DELETE box')
    owner.ok('CREATE box')
    guest.no('SELECT "%s"' % guest.box, code='NONEXISTENT')


# -- what is not visible is not there

def test_invisible(pair):
    owner, guest = pair
    for command in ('SELECT "%s"', 'EXAMINE "%s"', 'STATUS "%s" (MESSAGES)', 'GETACL "%s"', 'MYRIGHTS "%s"',
                    'LISTRIGHTS "%s" x', 'SETACL "%s" x lr', 'DELETEACL "%s" x', 'DELETE "%s"'):
        text = command % guest.box
        a = guest.no(text)
        b = guest.no(text.replace('/box', '/nothing'))
        assert a.code == b.code and a.tagged.text == b.tagged.text, command
    for name in ('Other Users/nobody-at-all/box', 'Other Users/%s' % owner.name):
        guest.no('SELECT "%s"' % name, code='NONEXISTENT')
    guest.no('APPEND "%s"' % guest.box, ' ', LitPlus(M), code='TRYCREATE')
    assert guest.ok('LIST "" "Other Users/%s/*"' % owner.name).names() == []


# -- each act, with each right missing

def select(c):
    return c.cmd('SELECT "%s"' % c.box)


def flags(c, uid):
    return c.ok('UID FETCH %d FLAGS' % uid)


ALL = 'lrswikxtea'
ACTS = [
    ('r', 'SELECT "{box}"', None),
    ('r', 'STATUS "{box}" (MESSAGES)', None),
    ('k', 'CREATE "{box}/new"', None),
    ('x', 'DELETE "{box}"', None),
    ('a', 'GETACL "{box}"', None),
    ('a', 'SETACL "{box}" fred l', None),
    ('a', 'LISTRIGHTS "{box}" fred', None),
    ('i', 'COPY 1 "{box}"', 'own'),
    ('s', 'STORE 1 +FLAGS (\\Seen)', 'box'),
    ('w', 'STORE 1 +FLAGS (\\Flagged)', 'box'),
    ('w', 'STORE 1 +FLAGS (key)', 'box'),
    ('t', 'STORE 1 +FLAGS (\\Deleted)', 'box'),
    ('e', 'EXPUNGE', 'box'),
    ('e', 'UID EXPUNGE 1:*', 'box'),
    ('t', 'MOVE 1 "{box}"', 'box'),
    ('e', 'MOVE 1 "{box}"', 'box'),
]


@pytest.mark.parametrize('right,command,where', ACTS)
def test_each_right(pair, right, command, where):
    owner, guest = pair
    if where == 'own' and command.startswith('COPY'):
        guest.append('INBOX', M)
        guest.select()
    give(pair, ALL.replace(right, ''))
    if where == 'box':
        assert select(guest).status == 'OK'
    r = guest.cmd(command.format(box=guest.box))
    assert (r.status, r.code) == ('NO', 'NOPERM'), r
    give(pair, ALL)
    if where == 'box':
        assert select(guest).status == 'OK'
    if where == 'own':
        return  # between accounts: test_remote
    assert guest.cmd(command.format(box=guest.box)).status == 'OK'


def test_append(pair):
    owner, guest = pair
    give(pair, ALL.replace('i', ''))
    guest.no('APPEND "%s"' % guest.box, ' ', LitPlus(M), code='NOPERM')
    give(pair, 'lri')
    r = guest.ok('APPEND "%s"' % guest.box, ' (\\Seen \\Flagged \\Deleted k) ', LitPlus(M))
    assert r.code == 'APPENDUID'
    owner.select('box')
    got = owner.ok('FETCH 4 (FLAGS BODY.PEEK[])').fetch()[4]
    assert got['BODY[]'] == M
    assert {str(f) for f in got['FLAGS']} - {'\\Recent'} == set()  # flags without the right are left out
    give(pair, 'lriw')
    guest.ok('APPEND "%s"' % guest.box, ' (\\Seen \\Flagged k) ', LitPlus(M))
    owner.noop()
    assert {str(f) for f in owner.ok('FETCH 5 FLAGS').fetch()[5]['FLAGS']} - {'\\Recent'} == {'\\Flagged', 'k'}


def test_append_synchronising(pair):
    """The account is opened while the client waits to be asked for its literal."""
    from support.imap import Lit
    owner, guest = pair
    give(pair, 'lri')
    assert guest.ok('APPEND "%s"' % guest.box, ' ', Lit(M)).code == 'APPENDUID'


def test_store_of_several_flags(pair):
    """Section 4: what may be changed is; NO only when nothing of it may."""
    owner, guest = pair
    owner.select('box')
    owner.ok('STORE 1 FLAGS (\\Answered keep)')
    give(pair, 'lrs')
    assert select(guest).status == 'OK'
    guest.ok('STORE 1 +FLAGS (\\Seen \\Flagged \\Deleted)')
    owner.noop()
    now = {str(f) for f in owner.ok('FETCH 1 FLAGS').fetch()[1]['FLAGS']} - {'\\Recent', '\\Seen'}
    assert now == {'\\Answered', 'keep'}
    give(pair, 'lrw')
    assert select(guest).status == 'OK'
    guest.ok('STORE 1 FLAGS (\\Flagged other)')
    owner.noop()
    now = {str(f) for f in owner.ok('FETCH 1 FLAGS').fetch()[1]['FLAGS']} - {'\\Recent', '\\Seen'}
    assert now == {'\\Flagged', 'other'}


def test_read_only_by_rights(pair):
    """Section 5.2: SELECT is READ-ONLY where nothing can be changed."""
    owner, guest = pair
    give(pair, 'lr')
    assert select(guest).code == 'READ-ONLY'
    guest.no('STORE 1 +FLAGS (\\Seen)')
    assert guest.ok('FETCH 1 BODY[]').fetch()[1]['BODY[]']
    owner.select('box')
    assert '\\Seen' not in [str(f) for f in owner.ok('FETCH 1 FLAGS').fetch()[1]['FLAGS']]
    give(pair, 'lrs')
    assert select(guest).code == 'READ-WRITE'


# -- working in a shared mailbox

def test_both_see_changes(pair):
    owner, guest = pair
    give(pair, ALL)
    owner.select('box')
    assert select(guest).status == 'OK'
    guest.ok('STORE 2 +FLAGS (\\Flagged)')
    owner.noop()
    assert '\\Flagged' in [str(f) for f in owner.ok('FETCH 2 FLAGS').fetch()[2]['FLAGS']]
    owner.append('box', M)
    assert guest.ok('NOOP').one('EXISTS').num == 4
    guest.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    guest.ok('EXPUNGE')
    assert owner.ok('NOOP').expunged() == [1]
    got = guest.ok('FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[])').fetch()
    assert len(got) == 3 and got[3]['BODY[]'] == M
    assert guest.ok('UID SEARCH FLAGGED').search() == [2]


def test_list_and_subscriptions(pair):
    owner, guest = pair
    owner.ok('CREATE box/visible')
    owner.ok('CREATE box/hidden')
    give(pair, 'lr', 'box/visible')
    pattern = 'Other Users/%s/*' % owner.name
    found = listed(guest, pattern)  # box leads to it, and is no more to him
    assert list(found) == [guest.box, guest.box + '/visible']
    assert '\\Noselect' in found[guest.box] and '\\Noselect' not in found[guest.box + '/visible']
    give(pair, 'lr')
    owner.ok('SETACL box/visible %s ""' % guest.name)
    assert '\\HasNoChildren' in listed(guest, pattern)[guest.box]  # RFC 5258 section 4: none that he may see
    give(pair, 'lr', 'box/visible')
    assert '\\HasChildren' in listed(guest, pattern)[guest.box]
    name = guest.box + '/visible'
    assert set(guest.ok('LIST "" "%s"' % pattern).names()) == {guest.box.encode(), name.encode()}
    assert guest.ok('LIST "" "Other Users/%s/%%"' % owner.name).names() == [guest.box.encode()]
    guest.ok('SUBSCRIBE "%s"' % name)
    r = guest.ok('LIST (SUBSCRIBED) "" "%s"' % pattern)
    assert name.encode() in r.names()
    r = guest.ok('LIST "" "%s" RETURN (STATUS (MESSAGES))' % pattern)
    assert any('box' in repr(x) and '3' in repr(x) for x in r.all('STATUS'))


def mailbox(response, at=-1):
    name = response.data[at]
    return name.decode() if isinstance(name, bytes) else str(name)


def listed(c, pattern, command='LIST'):
    """{name: attributes}; no name twice."""
    lines = c.ok('%s "" "%s"' % (command, pattern)).all(command)
    found = {mailbox(x): [str(f) for f in x.data[0]] for x in lines}
    assert len(found) == len(lines)
    return found


def test_appears_by_itself(pair, server):
    """What others share is found without knowing who they are, level by level as clients walk, and goes again."""
    owner, guest = pair
    mine = {'INBOX', 'Sent', 'Drafts', 'Trash', 'Junk', 'Archive'}
    assert set(listed(guest, '*')) <= mine and set(listed(guest, '%')) <= mine
    owner.ok('CREATE deep/er')
    owner.ok('SETACL deep/er %s lr' % guest.name)
    home = 'Other Users/%s' % owner.name
    found = listed(guest, '*')
    assert set(found) - mine == {'Other Users', home, home + '/deep', home + '/deep/er'}
    assert '\\Noselect' in found[home + '/deep'] and '\\Noselect' not in found[home + '/deep/er']
    assert set(listed(guest, '%')) - mine == {'Other Users'} and '\\Noselect' in listed(guest, '%')['Other Users']
    assert set(listed(guest, 'Other Users/%')) == {home}
    assert set(listed(guest, home + '/%')) == {home + '/deep'}
    assert set(listed(guest, '%/%')) - mine == {home}
    guest.enable_rev2()
    assert '\\NonExistent' in listed(guest, '%')['Other Users']
    r = guest.ok('LIST "" ("*" "Other Users/*") RETURN (MYRIGHTS)')
    assert [(mailbox(x, 0), str(x.data[1])) for x in r.all('MYRIGHTS')][-1] == (home + '/deep/er', 'lr')
    owner.ok('SETACL deep/er %s r' % guest.name)  # no l
    assert set(listed(guest, '*')) <= mine
    owner.ok('SETACL deep/er anyone l')
    assert home + '/deep/er' in listed(guest, '*')
    owner.ok('SETACL deep/er -%s l' % guest.name)
    assert set(listed(guest, '*')) <= mine
    owner.ok('DELETEACL deep/er -%s' % guest.name)
    owner.ok('DELETEACL deep/er anyone')
    assert set(listed(guest, '*')) <= mine


def test_notify_of_all_who_share(pair):
    """RFC 5465: a subtree of the other users' namespace."""
    owner, guest = pair
    give(pair, 'lrs')
    guest.ok('NOTIFY SET (SUBTREE "Other Users" (MessageNew MessageExpunge))')
    owner.append('box', M)
    heard = guest.until(lambda r: r.kind == 'STATUS')
    assert mailbox(heard, 0) == guest.box and int(heard.items()['MESSAGES']) == 4


def test_subscribed_names_of_others(pair):
    """A subscription stays when the mailbox goes out of sight, and says so."""
    owner, guest = pair
    give(pair, 'lr')
    guest.ok('SUBSCRIBE "%s"' % guest.box)
    assert list(listed(guest, 'Other Users/*', 'LSUB')) == [guest.box]
    guest.enable_rev2()
    r = guest.ok('LIST (SUBSCRIBED) "" "Other Users/*"')
    assert [(mailbox(x), '\\NonExistent' in [str(f) for f in x.data[0]]) for x in r.all('LIST')] == [(guest.box, False)]
    owner.ok('DELETE box')
    r = guest.ok('LIST (SUBSCRIBED) "" "Other Users/*"')
    assert [(mailbox(x), '\\NonExistent' in [str(f) for f in x.data[0]]) for x in r.all('LIST')] == [(guest.box, True)]
    guest.ok('UNSUBSCRIBE "%s"' % guest.box)
    assert not guest.ok('LIST (SUBSCRIBED) "" "Other Users/*"').all('LIST')


def test_list_myrights(pair):
    """RFC 8440 section 4."""
    owner, guest = pair
    give(pair, 'lrs')
    r = guest.ok('LIST "" "Other Users/%s/%%" RETURN (MYRIGHTS)' % owner.name)
    assert [(x.data[0], str(x.data[1])) for x in r.all('MYRIGHTS')] == [(guest.box.encode(), 'lrs')]
    r = owner.ok('LIST "" box RETURN (MYRIGHTS STATUS (MESSAGES))')
    assert len(r.all('MYRIGHTS')) == 1 and len(r.all('STATUS')) == 1


def test_permanent_flags(pair):
    """Section 5.1.1: only what this user may change."""
    owner, guest = pair
    owner.select('box')
    owner.ok('STORE 1 +FLAGS (key)')
    for rights, want in (('lrs', {'\\Seen'}), ('lrt', {'\\Deleted'}),
                         ('lrw', {'\\Answered', '\\Flagged', '\\Draft', 'key', '\\*'})):
        give(pair, rights)
        r = select(guest)
        got = [x.code_args for x in r.untagged if x.code == 'PERMANENTFLAGS']
        assert {str(f) for f in got[0][0]} == want, rights


def test_namespace(pair):
    owner, guest = pair
    personal, others, shared = guest.ok('NAMESPACE').one('NAMESPACE').data
    assert personal == [[b'', b'/']] and others == [[b'Other Users/', b'/']] and shared is None


@pytest.mark.settings('sharing.public_user=public')
def test_public_mailboxes(own_server):
    """They appear to clients by themselves."""
    boss = own_server.connect()
    boss.login('public', PASSWORD)
    boss.ok('CREATE News')
    boss.append('News', M)
    boss.ok('CREATE Secret')
    boss.ok('SETACL News anyone lr')
    c = own_server.connect()
    c.login('fred', PASSWORD)
    assert b'Shared/News' in c.ok('LIST "" "*"').names()
    assert b'Shared/Secret' not in c.ok('LIST "" "*"').names()
    assert c.ok('NAMESPACE').one('NAMESPACE').data[2] == [[b'Shared/', b'/']]
    c.ok('SELECT Shared/News')
    assert c.ok('FETCH 1 BODY.PEEK[]').fetch()[1]['BODY[]'] == M
    c.ok('UNSELECT')
    assert my_rights(c, 'Shared/News') == set('lr')
    boss.ok('SETACL News -fred r')
    c.no('SELECT Shared/News', code='NOPERM')


def test_rename(pair):
    owner, guest = pair
    owner.ok('CREATE target')
    give(pair, ALL)
    guest.no('RENAME "%s" "Other Users/%s/target/x"' % (guest.box, owner.name))
    give(pair, 'lk', 'target')
    guest.ok('RENAME "%s" "Other Users/%s/target/x"' % (guest.box, owner.name))
    assert b'target/x' in owner.ok('LIST "" *').names()
    guest.no('RENAME "Other Users/%s/target/x" mine' % owner.name, code='CANNOT')


# -- groups

def test_groups(pair, server):
    owner, guest = pair
    group = 'g-' + owner.name
    owner.ok('SETACL box group:%s lrs' % group)
    guest.no('SELECT "%s"' % guest.box, code='NONEXISTENT')
    ctl(server, 'group', 'add', group, guest.name, 'somebody')
    rows = [(r['group'], r['user']) for r in ctl(server, 'group', 'list', group)]
    assert sorted(rows) == [(group, 'somebody'), (group, guest.name)] or set(rows) == {(group, 'somebody'), (group, guest.name)}
    assert guest.box in listed(guest, '*')  # asks anew
    assert my_rights(guest, guest.box) == set('lrs')
    owner.ok('SETACL box -group:%s s' % group)
    assert my_rights(guest, guest.box) == set('lr')
    ctl(server, 'group', 'remove', group, guest.name)
    assert guest.box not in listed(guest, '*')
    guest.no('SELECT "%s"' % guest.box, code='NONEXISTENT')
    ctl(server, 'group', 'remove', group, guest.name, code=3)
    assert [(r['group'], r['user']) for r in ctl(server, 'group', 'list', group)] == [(group, 'somebody')]
    ctl(server, 'group', 'add', 'bad\nname', 'x', code=3)


def test_lists_of_the_administrator(pair, server):
    owner, guest = pair
    ctl(server, 'acl', 'set', owner.name, 'box', guest.name, 'lrsw')
    ctl(server, 'acl', 'set', '--', owner.name, 'box', guest.name, '-w')
    ctl(server, 'acl', 'set', '--', owner.name, 'box', '-anyone', '+i')
    assert guest.box in listed(guest, '*')
    rows = {r['identifier']: set(r['rights']) for r in ctl(server, 'acl', 'get', owner.name, 'box')}
    assert rows[guest.name] == set('lrs') and rows['-anyone'] == set('i') and rows[owner.name] >= set('lrswipkxtea')
    ctl(server, 'acl', 'delete', owner.name, 'box', guest.name)
    ctl(server, 'acl', 'delete', '--', owner.name, 'box', '-anyone')
    assert [r['identifier'] for r in ctl(server, 'acl', 'get', owner.name, 'box')] == [owner.name]
    guest.no('SELECT "%s"' % guest.box, code='NONEXISTENT')
    ctl(server, 'acl', 'set', owner.name, 'nothing', guest.name, 'lr', code=3)
    ctl(server, 'acl', 'set', owner.name, 'box', guest.name, 'lr?', code=3)
    ctl(server, 'acl', 'set', owner.name, 'box', owner.name, 'lr', code=3)


@pytest.mark.parametrize('process', [0, 1])
def test_groups_and_grants_of_other_processes(two, process):
    """The one that has the site's log is asked by the others, and has it after it was started again."""
    owner, guest = (name_of(p, '%sx%d' % (n, process)) for n, p in (('own', process), ('gue', 1 - process)))
    with two.connect() as a, two.connect() as b:
        a.login(owner, PASSWORD)
        b.login(guest, PASSWORD)
        a.ok('CREATE box')
        a.ok('SETACL box group:club%d lr' % process)
        ctl(two, 'group', 'add', 'club%d' % process, guest)
        assert 'Other Users/%s/box' % owner in listed(b, '*')
    two.stop()
    two.start()
    with two.connect() as b:
        b.login(guest, PASSWORD)
        assert 'Other Users/%s/box' % owner in listed(b, '*')
        b.ok('SELECT "Other Users/%s/box"' % owner)


@pytest.fixture(scope='module')
def two():
    s = support_server.make(extra=['--setting', 'mail.processes=2'])
    yield s.start()
    s.stop()
    s.remove()
