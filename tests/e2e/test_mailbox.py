"""SELECT, EXAMINE, CREATE, DELETE, RENAME and mailbox names.

RFC 9051 sections 5.1, 6.3.2 to 6.3.6, 7.1, appendix A.1; RFC 3501 where it differs.
"""
import re

import pytest

from support.imap import LitPlus, Lit, flags, name, q

MESSAGE = 'From: a@example.org\r\nSubject: s\r\n\r\nbody\r\n'


def uidvalidity(c, mailbox):
    return int(c.ok(b'STATUS ' + q(mailbox) + b' (UIDVALIDITY)').one('STATUS').items()['UIDVALIDITY'])


def attributes(c, mailbox):
    """Attributes by LIST, in lower case; None when it is not listed."""
    found = c.ok(b'LIST "" ' + q(mailbox)).all('LIST')
    return {a.lower() for a in found[0].data[0]} if found else None


# -- SELECT, EXAMINE

def test_select_rev1(c):
    """RFC 3501 section 6.3.1: FLAGS, EXISTS, RECENT, UNSEEN, PERMANENTFLAGS, UIDNEXT, UIDVALIDITY."""
    c.append('INBOX', MESSAGE, '(\\Seen)')
    c.append('INBOX', MESSAGE)
    c.append('INBOX', MESSAGE)
    r = c.ok('SELECT INBOX')
    assert r.code == 'READ-WRITE'
    assert r.one('EXISTS').num == 3
    assert r.one('RECENT').num == 3
    assert flags(r.one('FLAGS').data[0]) >= {'\\answered', '\\flagged', '\\deleted', '\\seen', '\\draft'}
    codes = r.codes()
    assert int(codes['UIDVALIDITY'].code_args[0]) > 0
    assert int(codes['UIDNEXT'].code_args[0]) == 4
    assert int(codes['UNSEEN'].code_args[0]) == 2
    permanent = flags(codes['PERMANENTFLAGS'].code_args[0])
    assert permanent >= {'\\answered', '\\flagged', '\\deleted', '\\seen', '\\draft', '\\*'}
    assert '\\recent' not in permanent


def test_select_all_seen_has_no_unseen_code(c):
    c.append('INBOX', MESSAGE, '(\\Seen)')
    assert 'UNSEEN' not in c.select().codes()


@pytest.mark.martlet('IMAP4rev2')
def test_select_rev2(session):
    """RFC 9051 section 6.3.2: LIST is required; RECENT and UNSEEN are gone (appendix E, 10 to 12)."""
    c = session(rev2=True)
    c.append('INBOX', MESSAGE)
    r = c.ok('SELECT INBOX')
    assert r.one('EXISTS').num == 1
    r.none('RECENT')
    assert 'UNSEEN' not in r.codes()
    listed = r.one('LIST')
    assert name(listed.data[2]) == b'INBOX' and listed.data[1] == b'/'
    assert r.code == 'READ-WRITE'


@pytest.mark.martlet('IMAP4rev2')
def test_select_rev2_list_gives_the_attributes(session):
    c = session(rev2=True)
    attrs = {a.lower() for a in c.select('Sent').one('LIST').data[0]}
    assert '\\sent' in attrs
    c.ok('CREATE p/q')
    r = c.select('p')
    assert '\\haschildren' in {a.lower() for a in r.one('LIST').data[0]}


def test_select_closed_code(c):
    """Section 7.1, CLOSED: it stands between the answers of the old and of the new mailbox."""
    c.ok('CREATE b')
    c.select()
    r = c.select('b')
    closed = [i for i, u in enumerate(r.untagged) if u.code == 'CLOSED']
    if 'CLOSED' not in r.codes():
        pytest.skip('CLOSED is only required in rev2')
    assert closed == [0]


@pytest.mark.martlet('IMAP4rev2')
def test_select_closed_code_rev2(session):
    c = session('INBOX', rev2=True)
    c.ok('CREATE b')
    r = c.select('b')
    assert r.untagged[0].code == 'CLOSED'
    # a failing SELECT closes too (section 6.3.2)
    r = c.no('SELECT nowhere')
    assert r.codes().get('CLOSED')
    c.bad('FETCH 1 FLAGS')
    # and from no mailbox there is nothing to close
    assert 'CLOSED' not in c.select('b').codes()


def test_failed_select_deselects(c):
    """Section 6.3.2: after NO no mailbox is selected."""
    c.select()
    c.no('SELECT nowhere')
    c.bad('FETCH 1 FLAGS')
    c.bad('EXPUNGE')


def test_bad_select_does_not_deselect(c):
    """Section 6: a BAD command never changes the state."""
    c.append('INBOX', MESSAGE)
    c.select()
    c.bad('SELECT')
    c.bad('SELECT a b c')
    c.ok('FETCH 1 FLAGS')


def test_select_nonexistent(c):
    r = c.no('SELECT nowhere')
    assert r.code in (None, 'NONEXISTENT')
    c.no('EXAMINE nowhere')


def test_select_same_mailbox_again(c):
    c.append('INBOX', MESSAGE)
    c.select()
    r = c.select()
    assert r.one('EXISTS').num == 1


def test_inbox_is_case_insensitive(c):
    """Section 5.1: INBOX in any case; inferiors too at the first level."""
    c.append('inbox', MESSAGE)
    for form in ('INBOX', 'inbox', 'InBox'):
        assert c.select(form).one('EXISTS').num == 1
    assert c.ok('STATUS iNBOX (MESSAGES)').one('STATUS').items()['MESSAGES'] == '1'
    assert name(c.ok('LIST "" inbox').one('LIST').data[2]) == b'INBOX'


def test_examine(c):
    """Section 6.3.3: READ-ONLY; nothing changes, no flag is permanent, messages stay recent."""
    c.append('INBOX', MESSAGE)
    r = c.ok('EXAMINE INBOX')
    assert r.code == 'READ-ONLY'
    assert r.codes()['PERMANENTFLAGS'].code_args == [[]]
    c.ok('FETCH 1 BODY[]')
    assert '\\seen' not in c.flags_of(1)
    for command in ('STORE 1 +FLAGS (\\Seen)', 'EXPUNGE', 'UID STORE 1 FLAGS ()', 'MOVE 1 Trash'):
        assert c.cmd(command).status in ('NO', 'BAD'), command
    r = c.select()
    assert r.code == 'READ-WRITE'
    assert c.flags_of(1) == {'\\recent'}


def test_examine_close_keeps_deleted(c):
    """Section 6.4.1: CLOSE of a read-only mailbox removes nothing."""
    c.append('INBOX', MESSAGE, '(\\Deleted)')
    c.ok('EXAMINE INBOX')
    c.ok('CLOSE')
    assert c.select().one('EXISTS').num == 1


def test_new_keyword_is_announced(inbox):
    """Section 7.3.5: FLAGS is sent anew when a keyword comes into being."""
    inbox.append('INBOX', MESSAGE)
    inbox.noop()
    r = inbox.ok('STORE 1 +FLAGS (brandnew)')
    assert 'brandnew' in flags(r.all('FLAGS')[-1].data[0])
    assert 'brandnew' in flags(inbox.select().one('FLAGS').data[0])


# -- CREATE

def test_create_and_delete(c):
    c.ok('CREATE box')
    assert attributes(c, 'box') is not None
    assert c.select('box').one('EXISTS').num == 0
    c.ok('UNSELECT')
    c.ok('DELETE box')
    assert attributes(c, 'box') is None
    c.no('SELECT box')


def test_create_existing(c):
    """Section 6.3.4: NO, with ALREADYEXISTS (section 7.1)."""
    c.ok('CREATE box')
    c.no('CREATE box', code='ALREADYEXISTS')
    assert c.cmd('CREATE INBOX').status == 'NO'
    assert c.cmd('CREATE inbox').status == 'NO'


def test_create_with_trailing_delimiter(c):
    """Section 6.3.4: the delimiter at the end is dropped from the name."""
    c.ok('CREATE folder/')
    assert attributes(c, 'folder') is not None
    c.ok('CREATE folder/leaf')
    assert '\\haschildren' in attributes(c, 'folder')


def test_create_makes_superiors(c):
    """Section 6.3.4: SHOULD create the levels above; \\NonExistent or \\Noselect or real ones."""
    c.ok('CREATE a/b/c')
    assert c.ok('LIST "" "a*"').names() and set(c.ok('LIST "" "a*"').names()) == {b'a', b'a/b', b'a/b/c'}
    assert '\\hasnochildren' in attributes(c, 'a/b/c')
    assert '\\haschildren' in attributes(c, 'a/b')
    c.ok('SELECT a/b/c')


def test_create_below_inbox(c):
    c.ok('CREATE INBOX/child')
    assert b'INBOX/child' in c.ok('LIST "" *').names()
    c.ok('SELECT inbox/child')
    assert '\\haschildren' in attributes(c, 'INBOX')


@pytest.mark.parametrize('bad', ['""', '"/"', '"//"', '"a//b"', '"/a"', '"%"', '"*"', '"a*"'])
def test_create_impossible_names(c, bad):
    r = c.cmd('CREATE %s' % bad)
    assert r.status in ('NO', 'BAD') or bad in ('"/a"', '"a*"', '"%"', '"*"')
    listed = c.ok('LIST "" *').names()
    assert b'' not in listed and b'a//b' not in listed and b'/' not in listed


@pytest.mark.martlet
@pytest.mark.parametrize('bad', [b'a\x01b', b'a\x7fb', b'a\tb', b'a\nb', b'x\xe2\x80\xa8y'])
def test_create_refuses_control_characters(session, bad):
    """Section 5.1: names SHOULD NOT hold control characters or line separators (Net-Unicode)."""
    c = session(rev2=True)
    r = c.cmd('CREATE ', LitPlus(bad))
    assert r.status in ('NO', 'BAD'), r
    c.noop()


@pytest.mark.parametrize('form', ['box', 'with space', 'quo"te', 'back\\slash', 'paren(s)', 'brace{s}', '[x]',
                                  '~tilde', 'a.b', '#news', '&-', "it's", 'x' * 100])
def test_odd_ascii_names(c, form):
    """Section 9: any name comes back as it was created."""
    c.ok(b'CREATE ' + q(form))
    assert form.encode() in c.ok('LIST "" *').names()
    c.append(form, MESSAGE)
    assert c.select(form).one('EXISTS').num == 1
    c.ok('CREATE ', LitPlus(form + '2'))
    c.ok('UNSELECT')
    c.ok(b'DELETE ' + q(form))
    assert form.encode() not in c.ok('LIST "" *').names()


def test_wildcards_in_names_list(c):
    """A name with % or * in it, if it can be created, can be listed and deleted."""
    for form in ('50%', 'st*r'):
        if c.cmd(b'CREATE ' + q(form)).status == 'OK':
            assert form.encode() in c.ok('LIST "" *').names()
            c.ok(b'DELETE ' + q(form))


@pytest.mark.martlet
def test_name_length_limit(c):
    """A name beyond the limit is refused, with a reason; one at the limit works."""
    c.ok('CREATE ' + 'n' * 200)
    c.no('CREATE ' + 'n' * 2000)
    c.no('CREATE ' + '/'.join('n' * 300))
    c.ok('DELETE ' + 'n' * 200)


# -- international names

def test_modified_utf7(c):
    """Appendix A.1, and RFC 3501 section 5.1.3."""
    for form in ('&U,BTFw-', '~peter/mail/&U,BTFw-/&ZeVnLIqe-', 'Entw&APw-rfe', '&2D3cqQ-', 'R&-D'):
        c.ok(b'CREATE ' + q(form))
        assert form.encode() in c.ok('LIST "" *').names()
        c.select(form)


@pytest.mark.parametrize('form', ['&Jjo!', '&U,BTFw-&ZeVnLIqe-', '&AGE-', '&', 'a&b', '&AAA-', '&Jjo', '&2D0-',
                                  '&!!!-'])
def test_wrong_modified_utf7(c, form):
    """Appendix A.1: SHOULD verify syntax, superfluous shifts and encoded ASCII."""
    assert c.cmd(b'CREATE ' + q(form)).status in ('NO', 'BAD')


@pytest.mark.martlet('IMAP4rev2')
def test_names_are_utf7_in_rev1_and_utf8_in_rev2(session):
    """Section 5.1 and appendix A.1: the same mailbox in both sessions."""
    one, two = session(), session(rev2=True)
    one.ok('CREATE Entw&APw-rfe')
    assert 'Entwürfe'.encode() in two.ok('LIST "" *').names()
    two.ok(b'CREATE ' + q('日本語/Ärger & Co'))
    assert b'&ZeVnLIqe-/&AMQ-rger &- Co' in one.ok('LIST "" *').names()
    two.append('Entwürfe', MESSAGE)
    assert one.select('Entw&APw-rfe').one('EXISTS').num == 1
    assert name(two.select('Entwürfe').one('LIST').data[2]) == 'Entwürfe'.encode()
    two.ok(b'CREATE ', LitPlus('mit Literal é'))
    assert 'mit Literal é'.encode() in two.ok('LIST "" "mit*"').names()
    r = two.ok(b'STATUS ' + q('日本語') + b' (MESSAGES)').one('STATUS')
    assert name(r.data[0]) == '日本語'.encode()
    # in rev2 "&" means itself
    two.ok('CREATE "R&D"')
    assert b'R&-D' in one.ok('LIST "" *').names()


@pytest.mark.martlet('IMAP4rev2')
def test_no_8bit_to_rev1(session):
    """Appendix A: no UTF-8 in quoted strings without ENABLE; the client checks every answer."""
    two, one = session(rev2=True), session()
    two.ok(b'CREATE ' + q('Größe'))
    two.ok(b'SUBSCRIBE ' + q('Größe'))
    two.append('INBOX', 'Subject: Größe\r\nFrom: "Jürgen" <j@example.org>\r\n\r\nx\r\n')
    one.ok('LSUB "" *')
    one.ok('LIST "" *')
    one.select()
    one.ok('FETCH 1 (ENVELOPE BODYSTRUCTURE)')


@pytest.mark.martlet('IMAP4rev2')
def test_names_are_normalised(session):
    """Section 5.1: Net-Unicode; composed and decomposed forms are one mailbox, or the second is refused."""
    c = session(rev2=True)
    c.ok(b'CREATE ' + q('caf\u00e9'))
    r = c.cmd(b'CREATE ' + q('cafe\u0301'))
    assert r.status == 'NO', r
    assert len([n for n in c.ok('LIST "" "caf*"').names()]) == 1


@pytest.mark.martlet('IMAP4rev2')
def test_invalid_utf8_names(session):
    c = session(rev2=True)
    for form in (b'\xff\xfe', b'\xc3', b'\xed\xa0\x80', b'\xc0\xaf', b'a\xf5\x80\x80\x80'):
        assert c.cmd('CREATE ', LitPlus(form)).status in ('NO', 'BAD'), form
    c.noop()


def test_8bit_name_in_rev1(c):
    """RFC 3501 section 5.1: 8-bit names are not allowed; refused, or taken as UTF-8, never echoed raw."""
    c.cmd(b'CREATE "\xc3\xa4"')
    c.cmd(b'CREATE "\xff"')
    c.ok('LIST "" *')
    c.noop()


# -- DELETE

def test_delete_inbox(c):
    assert c.cmd('DELETE INBOX').status == 'NO'
    assert c.cmd('DELETE inbox').status == 'NO'
    c.select()


def test_delete_nonexistent(c):
    c.no('DELETE nowhere', code='NONEXISTENT')


def test_delete_with_inferiors(c):
    """Section 6.3.5: inferiors stay; the name stays as one that cannot be selected, or it is refused
    with HASCHILDREN."""
    c.ok('CREATE top/sub')
    c.append('top/sub', MESSAGE)
    if c.cmd('SELECT top').status == 'OK':
        c.ok('UNSELECT')
        c.append('top', MESSAGE)
        r = c.cmd('DELETE top')
        if r.status == 'NO':
            assert r.code in ('HASCHILDREN', 'CANNOT', 'INUSE')
            return
    else:
        return
    attrs = attributes(c, 'top')
    assert attrs and (attrs & {'\\noselect', '\\nonexistent'})
    c.no('SELECT top')
    assert c.select('top/sub').one('EXISTS').num == 1
    # deleting it again is an error (section 6.3.5), creating it anew is not
    assert c.cmd('DELETE top').status == 'NO'
    c.ok('CREATE top')
    assert c.select('top').one('EXISTS').num == 0
    c.ok('UNSELECT')
    c.ok('DELETE top/sub')
    c.ok('DELETE top')
    assert attributes(c, 'top') is None


@pytest.mark.martlet
def test_leftover_name_goes_with_the_last_inferior(c):
    """A name that is only there for its inferiors is not listed without them (section 6.3.9.4)."""
    c.ok('CREATE top/sub')
    c.cmd('DELETE top')
    c.ok('DELETE top/sub')
    attrs = attributes(c, 'top')
    assert attrs is None or not attrs & {'\\noselect', '\\nonexistent'}


def test_uidvalidity_grows_when_recreated(c):
    """Section 2.3.1.1: a mailbox of the same name made later has a new, greater UIDVALIDITY."""
    c.ok('CREATE box')
    first = uidvalidity(c, 'box')
    c.append('box', MESSAGE)
    c.ok('DELETE box')
    c.ok('CREATE box')
    second = uidvalidity(c, 'box')
    assert second > first
    assert c.select('box').one('EXISTS').num == 0


def test_delete_keeps_the_subscription(c):
    """Section 6.3.7: the server MUST NOT unsubscribe on its own."""
    c.ok('CREATE box')
    c.ok('SUBSCRIBE box')
    c.ok('DELETE box')
    assert b'box' in c.ok('LSUB "" *').names('LSUB')


def test_delete_selected_elsewhere(session):
    """Another session has it selected: either NO [INUSE], or that session learns of it and survives."""
    a, b = session(), session()
    a.ok('CREATE box')
    a.append('box', MESSAGE)
    b.select('box')
    b.ok('FETCH 1 FLAGS')
    r = a.cmd('DELETE box')
    if r.status == 'NO':
        assert r.code == 'INUSE'
        return
    try:
        r = b.cmd('FETCH 1 BODY.PEEK[]')
        assert r.status in ('OK', 'NO', 'BAD')
        r = b.cmd('STORE 1 +FLAGS (\\Seen)')
        b.cmd('NOOP')
        b.ok('SELECT INBOX')
    except AssertionError as e:
        assert type(e).__name__ == 'Closed' and 'BYE' in str(e), e
    a.no('SELECT box')


def test_delete_own_selected_mailbox(c):
    c.ok('CREATE box')
    c.select('box')
    r = c.cmd('DELETE box')
    assert r.status in ('OK', 'NO')
    c.ok('NOOP')
    c.ok('SELECT INBOX')


# -- RENAME

def test_rename(c):
    """Section 6.3.6; UIDVALIDITY and messages go along."""
    c.ok('CREATE old')
    uid = c.append('old', MESSAGE, '(\\Flagged kw)')
    validity = uidvalidity(c, 'old')
    c.ok('RENAME old new')
    assert attributes(c, 'old') is None
    assert c.select('new').one('EXISTS').num == 1
    assert c.flags_of(uid) >= {'\\flagged', 'kw'}
    assert uidvalidity(c, 'new') >= validity


def test_rename_with_inferiors(c):
    c.ok('CREATE foo/bar/zap')
    c.append('foo/bar/zap', MESSAGE)
    c.ok('RENAME foo zowie')
    names = c.ok('LIST "" *').names()
    assert b'zowie/bar/zap' in names and not [n for n in names if n.startswith(b'foo')]
    assert c.select('zowie/bar/zap').one('EXISTS').num == 1


def test_rename_does_not_touch_names_with_the_same_beginning(c):
    for box in ('foo', 'foobar', 'foo/x'):
        c.ok('CREATE ' + box)
    c.ok('RENAME foo moo')
    assert {b'moo', b'moo/x', b'foobar'} <= set(c.ok('LIST "" *').names())


def test_rename_errors(c):
    c.ok('CREATE a')
    c.ok('CREATE b')
    c.no('RENAME a b', code='ALREADYEXISTS')
    c.no('RENAME nowhere c', code='NONEXISTENT')
    assert c.cmd('RENAME a INBOX').status == 'NO'
    assert c.cmd('RENAME a a').status in ('NO', 'OK')
    assert c.cmd('RENAME a a/below').status == 'NO'
    assert c.cmd('RENAME a ""').status in ('NO', 'BAD')
    c.bad('RENAME a')
    assert {b'a', b'b'} <= set(c.ok('LIST "" *').names())


def test_rename_makes_superiors(c):
    """Section 6.3.6: SHOULD create the superior names."""
    c.ok('CREATE one')
    c.ok('RENAME one deep/er/one')
    assert attributes(c, 'deep/er/one') is not None
    assert attributes(c, 'deep') is not None


def test_rename_inbox(c):
    """Section 6.3.6: messages move, INBOX stays empty, inferiors of INBOX stay."""
    c.ok('CREATE INBOX/child')
    for i in range(3):
        c.append('INBOX', MESSAGE, '(\\Flagged)')
    before = int(c.ok('STATUS INBOX (UIDNEXT)').one('STATUS').items()['UIDNEXT'])
    c.ok('RENAME INBOX old-mail')
    assert c.select('old-mail').one('EXISTS').num == 3
    assert {'\\flagged'} <= c.flags_of(c.uid_list()[0])
    assert c.select('INBOX').one('EXISTS').num == 0
    assert b'INBOX/child' in c.ok('LIST "" *').names()
    uid = c.append('INBOX', MESSAGE)
    assert uid >= before or c.ok('NOOP')


def test_rename_selected_mailbox(c):
    c.ok('CREATE box')
    c.append('box', MESSAGE)
    c.select('box')
    r = c.cmd('RENAME box moved')
    if r.status == 'OK':
        r = c.cmd('FETCH 1 BODY.PEEK[]')
        assert r.status in ('OK', 'NO', 'BAD')
        assert c.select('moved').one('EXISTS').num == 1


@pytest.mark.martlet
def test_rename_then_create_gets_new_uidvalidity(c):
    """Section 2.3.1.1: name, UIDVALIDITY and UID never stand for two messages."""
    c.ok('CREATE x')
    c.append('x', MESSAGE)
    first = uidvalidity(c, 'x')
    c.ok('RENAME x y')
    c.ok('CREATE x')
    assert uidvalidity(c, 'x') > first
    second = uidvalidity(c, 'x')
    c.ok('DELETE x')
    c.ok('RENAME y x')
    assert uidvalidity(c, 'x') != second


def test_many_mailboxes(c):
    names = ['m%03d' % i for i in range(300)]
    for tag in c.pipeline(*['CREATE ' + n for n in names]):
        assert c.wait(tag).status == 'OK'
    listed = set(c.ok('LIST "" *').names())
    assert {n.encode() for n in names} <= listed
    for tag in c.pipeline(*['DELETE ' + n for n in names]):
        assert c.wait(tag).status == 'OK'


def test_default_mailboxes(c):
    """Issue: new accounts get subscribed Drafts, Sent, Junk, Trash and Archive with their uses."""
    listed = {name(r.data[2]): {a.lower() for a in r.data[0]} for r in c.ok('LIST "" *').all('LIST')}
    subscribed = set(c.ok('LSUB "" *').names('LSUB'))
    for box in (b'Drafts', b'Sent', b'Junk', b'Trash', b'Archive'):
        assert box in listed and box in subscribed
    r = c.ok('LIST "" * RETURN (SPECIAL-USE)')
    listed = {name(x.data[2]): {a.lower() for a in x.data[0]} for x in r.all('LIST')}
    for box in ('Drafts', 'Sent', 'Junk', 'Trash', 'Archive'):
        assert '\\' + box.lower() in listed[box.encode()]
