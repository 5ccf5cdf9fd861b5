"""METADATA (RFC 5464), LIST-METADATA (RFC 9590), /private/specialuse (RFC 6154), FILTERS (RFC 5466)."""
import json
import os
import subprocess

import pytest

from support import mails
from support.imap import Lit, LitPlus, q
from support.server import BUILD_TYPE, PASSWORD, ROOT

CTL = os.path.join(ROOT, 'build-' + BUILD_TYPE, 'src', 'tools', 'martletctl')


def ctl(server, *args):
    done = subprocess.run([CTL, '--json', '-c', server.dir + '/martlet.conf'] + list(args), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=100, stdin=subprocess.DEVNULL, text=True)
    assert done.returncode == 0, (args, done.returncode, done.stdout, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def entries(result, mailbox='INBOX'):
    """{entry: value} of all METADATA answers, which must be for this mailbox."""
    got = {}
    for r in result.all('METADATA'):
        assert text(r.data[0]) == mailbox
        assert len(r.data) == 2
        got.update({str(text(k)): v for k, v in zip(r.data[1][::2], r.data[1][1::2])})
    return got


def changed(result):
    """[(mailbox, entry)] of METADATA answers without values (section 4.4.2)."""
    return sorted((text(r.data[0]), str(text(e))) for r in result.all('METADATA') for e in r.data[1:])


def get(c, entry, mailbox='INBOX', options=''):
    return entries(c.ok('GETMETADATA ', options, q(mailbox), ' ', entry), mailbox)


# -- METADATA

def test_capabilities(c):
    """Section 5: METADATA includes METADATA-SERVER, which is not listed beside it."""
    got = set(c.ok('CAPABILITY').one('CAPABILITY').data)
    assert {'METADATA', 'LIST-METADATA', 'FILTERS'} <= got and 'METADATA-SERVER' not in got


def test_examples(c):
    """The examples of sections 4.2 to 4.4."""
    c.ok('SETMETADATA INBOX (/private/comment ', Lit(b'My new comment across\r\ntwo lines.\r\n'), ')')
    assert get(c, '/private/comment') == {'/private/comment': b'My new comment across\r\ntwo lines.\r\n'}
    c.ok('SETMETADATA INBOX (/private/comment NIL)')
    assert get(c, '/private/comment') == {'/private/comment': None}
    c.ok('SETMETADATA INBOX (/private/comment "My own comment" /shared/comment "Its sunny outside!")')
    both = {'/private/comment': b'My own comment', '/shared/comment': b'Its sunny outside!'}
    assert get(c, '(/shared/comment /private/comment)') == both
    assert get(c, '/private/comment /shared/comment') == both
    c.ok('SETMETADATA INBOX (/shared/comment ', LitPlus(b'x' * 2199), ')')
    for command in ('GETMETADATA "INBOX" (MAXSIZE 1024) (/shared/comment /private/comment)',
                    'GETMETADATA (MAXSIZE 1024) "INBOX" (/shared/comment /private/comment)'):
        r = c.ok(command)
        assert entries(r) == {'/private/comment': b'My own comment'}
        assert r.code == 'METADATA' and [str(a) for a in r.code_args] == ['LONGENTRIES', '2199']
    assert get(c, '/shared/comment', options='(MAXSIZE 2199) ')['/shared/comment'] == b'x' * 2199
    c.ok('SETMETADATA "INBOX" (/private/filters/values/small "SMALLER 5000"'
         ' /private/filters/values/boss "FROM \\"boss@example.com\\"" /private/filters/values/boss/deep "x")')
    below = {'/private/filters/values/small': b'SMALLER 5000',
             '/private/filters/values/boss': b'FROM "boss@example.com"'}
    r = c.ok('GETMETADATA "INBOX" (DEPTH 1) (/private/filters/values)')
    assert entries(r) == below
    below['/private/filters/values/boss/deep'] = b'x'
    assert get(c, '/private/filters/values', options='(DEPTH infinity) ') == below
    assert get(c, '/private/filters/values/boss', options='(DEPTH 0) ') == {
        '/private/filters/values/boss': b'FROM "boss@example.com"'}
    assert get(c, '/private', options='(MAXSIZE 20 DEPTH infinity) ') == {
        '/private/comment': b'My own comment', '/private/filters/values/small': b'SMALLER 5000',
        '/private/filters/values/boss/deep': b'x'}


def test_binary(c):
    """Any octets, literal8 included; empty is not NIL; entries are without regard to case."""
    every = bytes(range(256))
    c.ok('SETMETADATA INBOX (/Private/Vendor/X/Y ', Lit(every, binary=True), ' /shared/vendor/x/empty "")')
    assert get(c, '(/private/vendor/x/Y /SHARED/vendor/x/empty)') == {'/private/vendor/x/y': every,
                                                                    '/shared/vendor/x/empty': b''}
    c.ok('SETMETADATA INBOX (/private/vendor/x/y ', LitPlus('grün'.encode()), ')')
    assert get(c, '/private/vendor/x/y')['/private/vendor/x/y'] == 'grün'.encode()


def test_grammar(c):
    for command in ('GETMETADATA', 'GETMETADATA INBOX', 'GETMETADATA INBOX ()', 'GETMETADATA INBOX comment',
                    'GETMETADATA INBOX "/shared/%"', 'GETMETADATA INBOX "/shared/*"', 'GETMETADATA INBOX /shared//x',
                    'GETMETADATA INBOX /shared/x/', 'GETMETADATA (DEPTH 2) INBOX /shared/x',
                    'GETMETADATA (MAXSIZE x) INBOX /shared/x', 'GETMETADATA (WHAT 1) INBOX /shared/x',
                    'GETMETADATA () INBOX /shared/x', 'SETMETADATA INBOX', 'SETMETADATA INBOX ()',
                    'SETMETADATA INBOX (/shared/x)', 'SETMETADATA INBOX (/shared/x atom)',
                    'SETMETADATA INBOX (/shared "x")', 'SETMETADATA INBOX (/other/x "x")',
                    'GETMETADATA INBOX "/shared/%s"' % ('x' * 300)):
        c.bad(command)
    c.no('GETMETADATA Missing /shared/x', code='NONEXISTENT')
    c.no('SETMETADATA Missing (/shared/x "")', code='NONEXISTENT')


def test_all_or_none(c):
    """Section 4.3: MAXSIZE, TOOMANY; if one entry fails, none changes."""
    limit = 64 * 1024
    r = c.no('SETMETADATA INBOX (/shared/a "1" /shared/b ', LitPlus(b'x' * (limit + 1)), ')', code='METADATA')
    assert [str(a) for a in r.code_args] == ['MAXSIZE', str(limit)]
    assert get(c, '/shared', options='(DEPTH infinity) ') == {}
    c.ok('SETMETADATA INBOX (/shared/b ', LitPlus(b'x' * limit), ')')
    for base in range(0, 500, 100):
        c.ok('SETMETADATA INBOX (%s)' % ' '.join('/private/vendor/x/%d "v"' % n for n in range(base, base + 100)))
    r = c.no('SETMETADATA INBOX (/private/vendor/x/500 "v" /private/vendor/x/1 "new")', code='METADATA')
    assert [str(a) for a in r.code_args] == ['TOOMANY']
    assert get(c, '/private/vendor/x/1')['/private/vendor/x/1'] == b'v'
    c.ok('SETMETADATA INBOX (/private/vendor/x/500 "v" /private/vendor/x/1 NIL)')
    c.ok('SETMETADATA INBOX (/shared/c "another owner")')
    assert len(get(c, '/private/vendor', options='(DEPTH infinity) ')) == 500


def test_rename_and_delete(server, user, c):
    """Section 4.1: annotations follow the mailbox and go with it; a rename of INBOX copies them. They
    survive compaction and come back from the log."""
    c.ok('CREATE a')
    c.ok('SETMETADATA a (/shared/comment "of a" /private/comment "mine")')
    c.ok('RENAME a b')
    both = {'/shared/comment': b'of a', '/private/comment': b'mine'}
    assert get(c, '(/shared/comment /private/comment)', 'b') == both
    c.ok('CREATE a')
    assert get(c, '/shared/comment', 'a') == {'/shared/comment': None}
    c.ok('SETMETADATA INBOX (/shared/comment "in")')
    c.ok('RENAME INBOX old')
    assert get(c, '/shared/comment', 'old') == get(c, '/shared/comment') == {'/shared/comment': b'in'}
    c.ok('SETMETADATA "" (/private/comment "own")')
    for command in 'compact', 'check', 'rebuild', 'check':
        ctl(server, command, user)
    c.close()
    with server.connect() as c:
        c.login(user, PASSWORD)
        assert get(c, '(/shared/comment /private/comment)', 'b') == both
        assert get(c, '/private/comment', '') == {'/private/comment': b'own'}
        c.ok('DELETE b')
        c.ok('CREATE b')
        assert get(c, '(/shared/comment /private/comment)', 'b') == dict.fromkeys(both)
        used = {r['resource']: r['used'] for r in ctl(server, 'quota', 'show', user)}
        assert used['annotation-storage'] == 2 * len('/shared/commentin') + len('/private/commentown')
        ctl(server, 'check', user)


def test_quota(server, user, c):
    """RFC 9208 section 5.4: names and values count."""
    ctl(server, 'quota', 'set', user, 'annotation-storage', '1000')
    c.ok('SETMETADATA INBOX (/shared/a ', LitPlus(b'x' * 491), ')')
    c.no('SETMETADATA INBOX (/shared/b ', LitPlus(b'x' * 492), ')', code='OVERQUOTA')
    c.ok('SETMETADATA INBOX (/shared/b ', LitPlus(b'x' * 491), ')')
    c.no('SETMETADATA "" (/private/c "")', code='OVERQUOTA')
    c.no('RENAME INBOX old', code='OVERQUOTA')
    c.ok('SETMETADATA INBOX (/shared/b NIL /shared/c "x")')
    r = c.ok('GETQUOTA ', user).one('QUOTA').data[1]
    assert [str(x) for x in r] == ['ANNOTATION-STORAGE', '1', '1']


def test_server(c, session, new_user):
    """Entries of "": private ones are each user's own; shared ones are the administrator's."""
    c.ok('SETMETADATA "" (/private/comment "me" /private/vendor/x "1")')
    assert get(c, '(/private/comment /shared/comment)', '') == {'/private/comment': b'me', '/shared/comment': None}
    c.no('SETMETADATA "" (/private/comment "x" /shared/comment "x")', code='NOPERM')
    assert get(c, '/private', '', '(DEPTH 1) ') == {'/private/comment': b'me'}
    assert get(session(name=new_user()), '/private/comment', '') == {'/private/comment': None}


@pytest.mark.settings('metadata.server=["/shared/admin=mailto:postmaster@example.org",'
                      '"/shared/filters/values/big=LARGER 1000"]')
def test_server_settings(own_server):
    with own_server.connect() as c:
        c.login('fred', PASSWORD)
        assert get(c, '/shared/admin', '') == {'/shared/admin': b'mailto:postmaster@example.org'}
        assert get(c, '/shared', '', '(DEPTH infinity) ') == {
            '/shared/admin': b'mailto:postmaster@example.org', '/shared/filters/values/big': b'LARGER 1000'}
        c.append('INBOX', mails.numbered(1, 2000))
        c.append('INBOX', mails.numbered(2, 500))
        c.select()
        assert c.ok('SEARCH FILTER big').search() == [1]
        c.ok('SETMETADATA "" (/private/filters/values/big "SMALLER 1000")')
        assert c.ok('SEARCH FILTER big').search() == [2]  # the private one goes first


def test_unsolicited(session):
    """Section 4.4.2: what others change is told after ENABLE METADATA, names alone, once; not one's own."""
    c, other = session(), session()
    c.ok('CREATE a')
    other.ok('SETMETADATA a (/shared/comment "1")')
    c.noop().none('METADATA')
    assert 'METADATA' in c.ok('ENABLE METADATA').one('ENABLED').data
    c.noop().none('METADATA')
    other.ok('SETMETADATA INBOX (/shared/comment "1" /private/comment "2")')
    other.ok('SETMETADATA "" (/private/comment "2")')
    other.ok('SETMETADATA a (/shared/comment NIL)')
    assert changed(c.noop()) == [('', '/private/comment'), ('INBOX', '/private/comment'),
                                 ('INBOX', '/shared/comment'), ('a', '/shared/comment')]
    c.noop().none('METADATA')
    c.ok('SETMETADATA a (/private/comment "mine")').none('METADATA')
    c.noop().none('METADATA')
    tag = c.idle()
    other.ok('SETMETADATA a (/shared/comment "3")')
    r = c.read()
    assert r.kind == 'METADATA' and [str(text(d)) for d in r.data] == ['a', '/shared/comment']
    c.done(tag)


# -- RFC 6154 section 4

def test_special_use(c):
    """/private/specialuse is the mailbox's special use, and can be set."""
    c.ok('CREATE MySent')
    assert get(c, '/private/specialuse', 'Sent') == {'/private/specialuse': b'\\Sent'}
    assert get(c, '/private/specialuse', 'MySent') == {'/private/specialuse': None}
    c.ok('SETMETADATA MySent (/private/specialuse "\\\\Sent \\\\Flagged" /private/comment "x")')
    assert set(get(c, '/private/specialuse', 'MySent')['/private/specialuse'].split()) == {b'\\Sent', b'\\Flagged'}
    attributes = {str(a) for a in c.ok('LIST "" MySent RETURN (SPECIAL-USE)').one('LIST').data[0]}
    assert {'\\Sent', '\\Flagged'} <= attributes
    assert get(c, '/private', 'MySent', '(DEPTH 1) ').keys() == {'/private/specialuse', '/private/comment'}
    c.no('SETMETADATA MySent (/private/specialuse "\\\\Unknown")', code='CANNOT')
    c.no('SETMETADATA "" (/private/specialuse "\\\\Sent")', code='CANNOT')
    c.ok('SETMETADATA MySent (/private/specialuse NIL)')
    assert get(c, '/private/specialuse', 'MySent') == {'/private/specialuse': None}


# -- LIST-METADATA

def test_list_metadata(c):
    """RFC 9590: METADATA behind the LIST line of each mailbox that was selected itself; NIL without a value."""
    c.ok('CREATE Team/Sub')
    c.ok('SETMETADATA Team (/shared/comment "shared by all")')
    c.ok('SUBSCRIBE Team')
    c.ok('SUBSCRIBE Gone')
    r = c.ok('LIST (SUBSCRIBED) "" (Team% Gone) RETURN (METADATA (/shared/comment) STATUS (UNSEEN))')
    lines = [(u.kind, text(u.data[0] if u.kind != 'LIST' else u.data[2])) for u in r.untagged]
    assert lines == [('LIST', 'Gone'), ('LIST', 'Team'), ('METADATA', 'Team'), ('STATUS', 'Team')]
    assert r.one('METADATA').data[1] == ['/shared/comment', b'shared by all']
    r = c.ok('LIST "" Team* RETURN (METADATA ("/shared/Comment" /private/comment))')
    assert {text(m.data[0]): m.data[1][1::2] for m in r.all('METADATA')} == {'Team': [b'shared by all', None],
                                                                          'Team/Sub': [None, None]}
    c.ok('UNSUBSCRIBE Team')
    c.ok('SUBSCRIBE Team/Sub')
    r = c.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" Team% RETURN (METADATA (/shared/comment))')
    assert len(r.all('LIST')) == 1
    r.none('METADATA')  # it is there for its child alone
    c.bad('LIST "" * RETURN (METADATA ())')
    c.bad('LIST "" * RETURN (METADATA (comment))')


# -- FILTERS

def set_filter(c, name, value):
    c.ok('SETMETADATA "" (/private/filters/values/%s ' % name, LitPlus(value), ')')


def test_filters(inbox):
    """RFC 5466 section 3.1, its example; filters in filters; by name without regard to case."""
    inbox.append('INBOX', b'From: boss@example.com\r\nSubject: big\r\n\r\n' + b'x' * 6000)
    inbox.append('INBOX', b'From: joe@example.com\r\nSubject: small\r\n\r\nx')
    inbox.append('INBOX', b'From: joe@example.com\r\nSubject: big\r\n\r\n' + b'x' * 6000)
    inbox.noop()
    inbox.ok('SETMETADATA "" ("/private/filters/values/on-the-road" "OR SMALLER 5000 FROM \\"boss@example.com\\"")')
    assert inbox.ok('SEARCH UID 1:900 FILTER on-the-road SINCE "3-Dec-2002"').search() == [1, 2]
    assert inbox.ok('SEARCH NOT FILTER On-The-Road').search() == [3]
    assert inbox.ok('UID SEARCH OR FILTER on-the-road UID 3').search() == [1, 2, 3]
    set_filter(inbox, 'a', b'FILTER b SUBJECT big')
    set_filter(inbox, 'b', b'(FILTER c)')
    set_filter(inbox, 'c', b'OR FILTER on-the-road SUBJECT nothing')
    assert inbox.ok('SEARCH FILTER a').search() == [1]
    assert inbox.ok('SEARCH FILTER a FILTER c').search() == [1]
    assert inbox.ok('SEARCH CHARSET UTF-8 FILTER a').search() == [1]
    if 'SORT' in inbox.ok('CAPABILITY').one('CAPABILITY').data:
        r = inbox.ok('SORT (SIZE) UTF-8 FILTER on-the-road').one('SORT')
        assert [str(n) for n in r.data] == ['2', '1']
    inbox.bad('SEARCH CHARSET ISO-8859-1 FILTER a')
    set_filter(inbox, 'word', 'SUBJECT "größe"'.encode())
    inbox.append('INBOX', 'Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=\r\n\r\nx'.encode())
    inbox.noop()
    assert inbox.ok('SEARCH FILTER word').search() == [4]


def test_undefined_filters(inbox):
    """Section 3.1: NO [UNDEFINED-FILTER name]; loops end; what is no search is refused."""
    r = inbox.no('SEARCH FILTER Nothing', code='UNDEFINED-FILTER')
    assert [str(a) for a in r.code_args] == ['Nothing']
    set_filter(inbox, 'loop', b'FILTER pool')
    set_filter(inbox, 'pool', b'NOT FILTER loop')
    assert str(inbox.no('SEARCH FILTER loop', code='UNDEFINED-FILTER').code_args[0]) in ('loop', 'pool')
    set_filter(inbox, 'twice', b'FILTER twice FILTER twice')
    inbox.no('SEARCH FILTER twice')
    set_filter(inbox, 'ends', b'ALL FILTER missing')
    assert str(inbox.no('SEARCH FILTER ends', code='UNDEFINED-FILTER').code_args[0]) == 'missing'
    inbox.no('SETMETADATA "" (/private/filters/values/x "OR SMALLER")', code='CANNOT')
    inbox.no('SETMETADATA "" (/private/filters/values/x "")', code='CANNOT')
    inbox.ok('SETMETADATA "" (/private/filters/descriptions/x "OR SMALLER")')
    inbox.ok('SETMETADATA "" (/private/filters/values/loop NIL)')
    assert str(inbox.no('SEARCH FILTER pool', code='UNDEFINED-FILTER').code_args[0]) == 'loop'
    inbox.bad('SEARCH FILTER')
    inbox.bad('SEARCH FILTER a/b')
    inbox.bad('SEARCH FILTER "a"')


# -- mailboxes of others

def test_rights(c, user, session, new_user):
    """Section 3.3: l and one of r, s, w, i, p; private entries are each user's own; special uses the owner's."""
    if 'ACL' not in c.ok('CAPABILITY').one('CAPABILITY').data:
        pytest.skip('no ACL')
    name = new_user()
    other = session(name=name)
    c.ok('CREATE Team')
    c.ok('SETMETADATA Team (/shared/comment "all" /private/comment "mine" /private/specialuse "\\\\Archive")')
    box = 'Other Users/%s/Team' % user
    for rights in '', 'r', 'i':
        if rights:
            c.ok('SETACL Team %s %s' % (name, rights))
        other.no('GETMETADATA ', q(box), ' /shared/comment', code='NONEXISTENT')
        other.no('SETMETADATA ', q(box), ' (/shared/comment "x")', code='NONEXISTENT')
    c.ok('SETACL Team %s l' % name)
    other.no('GETMETADATA ', q(box), ' /shared/comment', code='NOPERM')
    other.no('SETMETADATA ', q(box), ' (/shared/comment "x")', code='NOPERM')
    for right in 'rswip':
        c.ok('SETACL Team %s l%s' % (name, right))
        assert get(other, '/shared/comment', box) == {'/shared/comment': b'all'}
    assert get(other, '/private', box, '(DEPTH infinity) ') == {}
    other.no('SETMETADATA ', q(box), ' (/private/specialuse "\\\\Sent")', code='CANNOT')
    other.ok('SETMETADATA ', q(box), ' (/private/comment "hers" /shared/comment "changed")')
    both = '(/private/comment /shared/comment)'
    assert get(other, both, box) == {'/private/comment': b'hers', '/shared/comment': b'changed'}
    assert get(c, both, 'Team') == {'/private/comment': b'mine', '/shared/comment': b'changed'}
