"""STORE, COPY, MOVE, EXPUNGE, CLOSE, UNSELECT and their UID forms.

RFC 9051 sections 6.4.1, 6.4.2, 6.4.3, 6.4.6 to 6.4.9, 7.1 (COPYUID); RFC 6851; RFC 4315; RFC 3501
section 6.4.1 (CHECK).
"""
import pytest

from support import mails
from support.imap import LitPlus, expand, flags


def fill(c, n, mailbox='INBOX', arguments=''):
    parts = ['APPEND %s' % mailbox]
    for i in range(n):
        parts += [' %s' % (arguments + ' ' if arguments else ''), LitPlus(mails.numbered(i))]
    r = c.ok(*parts)
    return expand(r.code_args[1])


@pytest.fixture
def box(inbox):
    """Five messages, 1:5."""
    fill(inbox, 5)
    inbox.select()
    return inbox


def subjects(c, mailbox):
    c.select(mailbox)
    found = c.ok('UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]').fetch()
    return [found[n]['BODY[HEADER.FIELDS (SUBJECT)]'][9:-4].decode() for n in sorted(found)]


# -- STORE

def test_store_variants(box):
    """Section 6.4.6: FLAGS, +FLAGS, -FLAGS; the new flags come back."""
    def got(command):
        items = box.ok(command).fetch()
        return {n: flags(i['FLAGS']) - {'\\recent'} for n, i in items.items()}
    assert got('STORE 1 FLAGS (\\Seen \\Flagged)') == {1: {'\\seen', '\\flagged'}}
    assert got('STORE 1 +FLAGS (\\Answered kw)') == {1: {'\\seen', '\\flagged', '\\answered', 'kw'}}
    assert got('STORE 1 -FLAGS (\\Seen \\Draft)') == {1: {'\\flagged', '\\answered', 'kw'}}
    assert got('STORE 1 FLAGS ()') == {1: set()}
    assert got('STORE 2:3 +FLAGS \\Deleted') == {2: {'\\deleted'}, 3: {'\\deleted'}}
    assert got('store 4 flags \\Seen \\Draft') == {4: {'\\seen', '\\draft'}}
    assert got('STORE 5 FLAGS (\\seen \\SEEN)') == {5: {'\\seen'}}


def test_store_silent(box):
    """Section 6.4.6: .SILENT: nothing comes back."""
    for op, expected in (('FLAGS.SILENT', {'\\seen'}), ('+FLAGS.SILENT', {'\\seen'}), ('-FLAGS.SILENT', set())):
        r = box.ok('STORE 1:2 %s (\\Seen)' % op)
        r.none('FETCH')
        assert box.flags_of(1) - {'\\recent'} == expected
    box.noop().none('FETCH')


def test_store_without_change(box):
    """A STORE that changes nothing is answered with the flags, not silently."""
    box.ok('STORE 1 +FLAGS (\\Seen)')
    r = box.ok('STORE 1 +FLAGS (\\Seen)')
    for items in r.fetch().values():
        assert '\\seen' in flags(items['FLAGS'])


def test_uid_store(box):
    """Section 6.4.9: UIDs in, UID in the answer; UIDs that are not there are ignored."""
    box.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    box.ok('EXPUNGE')
    r = box.ok('UID STORE 2:3,77 +FLAGS (\\Flagged)')
    found = r.fetch()
    assert {int(i['UID']) for i in found.values()} == {2, 3} and set(found) == {1, 2}
    r = box.ok('UID STORE 99 +FLAGS (\\Flagged)')
    r.none('FETCH')


@pytest.mark.parametrize('command', ['STORE', 'STORE 1', 'STORE 1 FLAGS', 'STORE 1 FROB (\\Seen)', 'STORE 1 FLAGS (\\Seen',
                                     'STORE x FLAGS ()', 'STORE 0 FLAGS ()', 'STORE 1 FLAGS.LOUD ()',
                                     'STORE 1 FLAGS (a(b))', 'STORE 1 FLAGS ("quoted")', 'STORE 1 *FLAGS ()',
                                     'STORE 1 FLAGS (\\)', 'STORE 1 FLAGS (\\*)'])
def test_store_bad_syntax(box, command):
    box.bad(command)
    box.ok('NOOP')


def test_store_recent(box):
    """Section 2.3.2: \\Recent cannot be changed by a client."""
    r = box.cmd('STORE 1 +FLAGS (\\Recent)')
    assert r.status in ('BAD', 'NO', 'OK')
    r = box.cmd('STORE 1 -FLAGS (\\Recent)')
    assert r.status in ('BAD', 'NO', 'OK')


def test_unknown_system_flags(box):
    """Section 9: flag-extension is for the future; not accepted, and no flag of that name appears."""
    r = box.cmd('STORE 1 +FLAGS (\\Frob)')
    assert r.status in ('BAD', 'NO', 'OK')
    assert '\\frob' not in box.flags_of(1)


def test_keywords_keep_their_case_and_compare_without(box):
    """Section 2.3.2: keywords are case-insensitive."""
    box.ok('STORE 1 +FLAGS (MixedCase)')
    box.ok('STORE 2 +FLAGS (mixedcase)')
    assert box.ok('SEARCH KEYWORD MIXEDCASE').search() == [1, 2]
    box.ok('STORE 1 -FLAGS (MIXEDCASE)')
    assert box.ok('SEARCH KEYWORD MixedCase').search() == [2]


def test_odd_keywords(box):
    for kw in ('$MDNSent', '$Forwarded', '$Junk', '$NonJunk', '$Phishing', 'a.b', "it's", '!#&', 'k' * 64):
        box.ok('STORE 1 +FLAGS (%s)' % kw)
        assert kw.lower() in box.flags_of(1), kw


def test_many_keywords(box):
    kws = ['kw%03d' % i for i in range(100)]
    box.ok('STORE 1 +FLAGS (%s)' % ' '.join(kws))
    assert set(kws) <= box.flags_of(1)
    box.ok('STORE 1 -FLAGS (%s)' % ' '.join(kws[:99]))
    assert box.flags_of(1) - {'\\recent'} == {'kw099'}


@pytest.mark.martlet('limits')
def test_too_many_keywords(box):
    """Beyond the limit NO with a reason; nothing of it is stored."""
    kws = ['x%04d' % i for i in range(400)]
    r = box.cmd('STORE 2 +FLAGS (%s)' % ' '.join(kws))
    assert r.status in ('NO', 'BAD'), r
    assert box.flags_of(2) - {'\\recent'} == set()
    r = box.cmd('STORE 2 +FLAGS (%s)' % ('y' * 2000))
    assert r.status in ('NO', 'BAD')
    box.ok('STORE 2 +FLAGS (fine)')


def test_store_of_all(box):
    fill(box, 500)
    box.select()
    r = box.ok('STORE 1:* +FLAGS (\\Seen)')
    assert len(r.fetch()) == 505
    assert box.ok('SEARCH UNSEEN').search() == []
    box.ok('STORE 1:* -FLAGS.SILENT (\\Seen)')
    assert len(box.ok('SEARCH UNSEEN').search()) == 505


# -- COPY

def test_copy(box):
    """Section 6.4.7: flags and internal date go along; COPYUID (section 7.1)."""
    box.ok('CREATE other')
    box.ok('STORE 2 +FLAGS (\\Flagged kw)')
    before = box.ok('FETCH 2:3 (INTERNALDATE)').fetch()
    validity = box.ok('STATUS other (UIDVALIDITY)').one('STATUS').items()['UIDVALIDITY']
    r = box.ok('COPY 2:3 other')
    assert r.code == 'COPYUID'
    assert [str(a) for a in r.code_args] == [validity, '2:3', '1:2']
    assert len(box.uid_list()) == 5
    assert subjects(box, 'other') == ['message 1', 'message 2']
    found = box.ok('FETCH 1:2 (FLAGS INTERNALDATE)').fetch()
    assert flags(found[1]['FLAGS']) >= {'\\flagged', 'kw'}
    assert found[1]['INTERNALDATE'] == before[2]['INTERNALDATE']


def test_copy_order(box):
    """COPYUID pairs source and destination UIDs (RFC 4315 section 3), whatever order was asked."""
    box.ok('CREATE other')
    r = box.ok('UID COPY 5,1,3 other')
    source, target = expand(r.code_args[1]), expand(r.code_args[2])
    assert sorted(source) == [1, 3, 5] and len(target) == 3
    pairs = dict(zip(target, source))
    box.select('other')
    found = box.ok('UID FETCH 1:* BODY.PEEK[]').fetch()
    for items in found.values():
        assert items['BODY[]'] == mails.numbered(pairs[int(items['UID'])] - 1)


def test_copy_to_missing_mailbox(box):
    """Section 6.4.7: NO [TRYCREATE]; nothing created."""
    box.no('COPY 1 nowhere', code='TRYCREATE')
    box.no('UID COPY 1 nowhere', code='TRYCREATE')
    box.no('MOVE 1 nowhere', code='TRYCREATE')
    box.no('UID MOVE 1 nowhere', code='TRYCREATE')
    assert b'nowhere' not in box.ok('LIST "" *').names()
    assert len(box.uid_list()) == 5


def test_copy_into_the_same_mailbox(box):
    r = box.ok('COPY 1:2 INBOX')
    assert r.code_args[2] == '6:7'
    box.noop()
    assert len(box.uid_list()) == 7


def test_uid_copy_of_nothing(box):
    """Section 6.4.9: no such UID is no error, and no COPYUID is given for nothing."""
    box.ok('CREATE other')
    r = box.ok('UID COPY 99 other')
    assert r.code != 'COPYUID'
    r = box.ok('UID MOVE 99 other')
    assert r.code != 'COPYUID' and not [u for u in r.untagged if u.code == 'COPYUID']


def test_copied_messages_are_recent(box):
    """RFC 3501 section 6.4.7: \\Recent SHOULD be set on copies."""
    box.ok('CREATE other')
    box.ok('COPY 1:2 other')
    assert box.select('other').one('RECENT').num == 2


def test_copy_of_many(box):
    fill(box, 495)
    box.select()
    box.ok('CREATE other')
    r = box.ok('COPY 1:* other')
    assert expand(r.code_args[1]) == list(range(1, 501)) and expand(r.code_args[2]) == list(range(1, 501))
    assert box.ok('STATUS other (MESSAGES)').one('STATUS').items()['MESSAGES'] == '500'


# -- MOVE

@pytest.mark.parametrize('uid', ['', 'UID '])
def test_move(box, uid):
    """Section 6.4.8, RFC 6851: COPYUID untagged before the EXPUNGEs; the rest stays."""
    box.ok('CREATE other')
    box.ok('STORE 2 +FLAGS (\\Flagged kw)')
    r = box.ok('%sMOVE 2,4 other' % uid)
    copyuid = [i for i, u in enumerate(r.untagged) if u.kind == 'OK' and u.code == 'COPYUID']
    assert len(copyuid) == 1
    args = r.untagged[copyuid[0]].code_args
    assert args[1] == '2,4' and args[2] == '1:2'
    first_expunge = min(i for i, u in enumerate(r.untagged) if u.kind == 'EXPUNGE')
    assert copyuid[0] < first_expunge
    assert sorted(box.uid_list()) == [1, 3, 5]
    assert len(box.uids) == 3
    assert subjects(box, 'other') == ['message 1', 'message 3']
    assert box.flags_of(1) >= {'\\flagged', 'kw'}


def test_move_does_not_expunge_others(box):
    """Section 6.4.8: messages with \\Deleted that were not named stay."""
    box.ok('CREATE other')
    box.ok('STORE 1:3 +FLAGS.SILENT (\\Deleted)')
    box.ok('MOVE 2 other')
    assert box.uid_list() == [1, 3, 4, 5]
    assert subjects(box, 'other') == ['message 1']
    assert '\\deleted' in box.flags_of(1)


def test_move_into_the_same_mailbox(box):
    r = box.cmd('MOVE 1 INBOX')
    assert r.status in ('OK', 'NO')
    box.noop()
    assert len(box.uid_list()) == 5


# -- EXPUNGE and friends

def test_expunge(box):
    """Section 6.4.3 and 7.5.1: numbers shift with each EXPUNGE."""
    box.ok('STORE 1,3,5 +FLAGS.SILENT (\\Deleted)')
    r = box.ok('EXPUNGE')
    left = [1, 2, 3, 4, 5]
    for n in r.expunged():
        left.pop(n - 1)
    assert left == [2, 4]
    assert box.uid_list() == [2, 4]
    box.ok('EXPUNGE').none('EXPUNGE')
    box.bad('EXPUNGE 1')


def test_uid_expunge(box):
    """Section 6.4.9, RFC 4315 section 2.1: only what is both in the set and \\Deleted."""
    box.ok('STORE 1:3 +FLAGS.SILENT (\\Deleted)')
    r = box.ok('UID EXPUNGE 2:4')
    assert len(r.expunged()) == 2
    assert box.uid_list() == [1, 4, 5]
    box.ok('UID EXPUNGE 99').none('EXPUNGE')
    box.bad('UID EXPUNGE')
    box.bad('UID EXPUNGE x')


def test_close(box):
    """Section 6.4.1: removes silently, and deselects."""
    box.ok('STORE 1:2 +FLAGS.SILENT (\\Deleted)')
    r = box.ok('CLOSE')
    r.none('EXPUNGE')
    box.bad('FETCH 1 FLAGS')
    assert box.select().one('EXISTS').num == 3


def test_unselect(box):
    """Section 6.4.2: deselects, removes nothing."""
    box.ok('STORE 1:2 +FLAGS.SILENT (\\Deleted)')
    box.ok('UNSELECT').none('EXPUNGE')
    box.bad('FETCH 1 FLAGS')
    assert box.select().one('EXISTS').num == 5


def test_check(box):
    """RFC 3501 section 6.4.1."""
    box.ok('CHECK')
    box.bad('CHECK x')


def test_expunge_every_other_of_many(box):
    fill(box, 395)
    box.select()
    box.ok('STORE %s +FLAGS.SILENT (\\Deleted)' % ','.join(map(str, range(1, 400, 2))))
    r = box.ok('EXPUNGE')
    left = list(range(1, 401))
    for n in r.expunged():
        left.pop(n - 1)
    assert left == list(range(2, 401, 2))
    assert box.uid_list() == left
    found = box.ok('FETCH 1:* UID').fetch()
    assert [int(found[n]['UID']) for n in sorted(found)] == left


def test_uids_are_not_reused(box):
    """Section 2.3.1.1."""
    box.ok('STORE 4:5 +FLAGS.SILENT (\\Deleted)')
    box.ok('EXPUNGE')
    assert fill(box, 1) == [6]
    box.noop()
    box.ok('STORE 1:* +FLAGS.SILENT (\\Deleted)')
    box.ok('EXPUNGE')
    assert fill(box, 1) == [7]
    assert box.ok('STATUS INBOX (UIDNEXT)').one('STATUS').items()['UIDNEXT'] == '8'
