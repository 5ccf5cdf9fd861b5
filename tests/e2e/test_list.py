"""LIST with all its options, LSUB, SUBSCRIBE, NAMESPACE, STATUS, special uses.

RFC 9051 sections 6.3.7 to 6.3.11, 7.3; RFC 3501 section 6.3.9 (LSUB); RFC 5258, RFC 5819, RFC 6154,
RFC 8438.
"""
import pytest

from support.imap import name, q

DEFAULTS = {b'INBOX', b'Drafts', b'Sent', b'Junk', b'Trash', b'Archive'}
CHILD = {'\\haschildren', '\\hasnochildren'}
ABSENT = {'\\nonexistent', '\\noselect'}


class Listed(dict):
    """Names -> (attributes in lower case, extended data by name), the default mailboxes left out."""


def listed(r, kind='LIST', defaults=False):
    out = Listed()
    for x in r.all(kind):
        box = name(x.data[2])
        assert box not in out, 'two answers for %r: section 6.3.9.3' % box
        attrs = {a.lower() for a in x.data[0]}
        assert x.data[1] == b'/', x
        assert not attrs >= CHILD, x
        extended = {}
        if len(x.data) > 3:
            pairs = x.data[3]
            extended = {name(k).upper(): v for k, v in zip(pairs[::2], pairs[1::2])}
        if defaults or box not in DEFAULTS:
            out[box] = (attrs, extended)
    return out


@pytest.fixture
def fresh(c):
    """Only INBOX subscribed."""
    for box in DEFAULTS - {b'INBOX'}:
        c.cmd(b'UNSUBSCRIBE ' + box)
    c.ok('SUBSCRIBE INBOX')
    return c


@pytest.fixture
def fruit(fresh):
    """The hierarchy of RFC 9051 section 6.3.9.8, examples 1 to 6."""
    for box in ('Fruit', 'Fruit/Apple', 'Fruit/Banana', 'Tofu', 'Vegetable', 'Vegetable/Broccoli',
                'Vegetable/Corn', 'Fruit/Peach'):
        fresh.ok('CREATE ' + box)
    for box in ('Fruit/Banana', 'Fruit/Peach', 'Vegetable', 'Vegetable/Broccoli'):
        fresh.ok('SUBSCRIBE ' + box)
    fresh.ok('DELETE Fruit/Peach')
    return fresh


# -- basic LIST

def test_delimiter(c):
    """Section 6.3.9: an empty pattern asks for the delimiter."""
    x = c.ok('LIST "" ""').one('LIST')
    assert x.data[1] == b'/' and name(x.data[2]) == b'' and '\\noselect' in {a.lower() for a in x.data[0]}


def test_patterns(fruit):
    """Section 6.3.9: * matches anything, % stops at the delimiter."""
    def names(pattern, reference=''):
        return set(listed(fruit.ok(b'LIST ' + q(reference) + b' ' + q(pattern))))
    all_names = {b'Fruit', b'Fruit/Apple', b'Fruit/Banana', b'Tofu', b'Vegetable', b'Vegetable/Broccoli',
                 b'Vegetable/Corn'}
    assert names('*') == all_names
    assert names('%') == {b'Fruit', b'Tofu', b'Vegetable'}
    assert names('%/%') == {n for n in all_names if b'/' in n}
    assert names('Fruit/%') == {b'Fruit/Apple', b'Fruit/Banana'}
    assert names('F*') == {b'Fruit', b'Fruit/Apple', b'Fruit/Banana'}
    assert names('*o*') == {b'Tofu', b'Vegetable/Broccoli', b'Vegetable/Corn'}
    assert names('%r%t') == {b'Fruit'}
    assert names('*a') == {b'Fruit/Banana'}
    assert names('%a') == set()
    assert names('Tofu') == {b'Tofu'}
    assert names('tofu') == set()
    assert names('Tof') == set()
    assert names('%', 'Fruit/') == {b'Fruit/Apple', b'Fruit/Banana'}
    assert names('*', 'Vegetable/') == {b'Vegetable/Broccoli', b'Vegetable/Corn'}
    assert names('Corn', 'Vegetable/') == {b'Vegetable/Corn'}
    assert names('*nana') == {b'Fruit/Banana'}
    assert names('**') == all_names and names('%%') == names('%')
    assert names('*/') == set() or names('*/') == {b'Fruit/', b'Vegetable/'}


def test_unquoted_patterns(fruit):
    """Section 9: list-mailbox may hold wildcards without quotes."""
    assert set(listed(fruit.ok('LIST "" Fr%'))) == {b'Fruit'}
    assert set(listed(fruit.ok('LIST "" *o*'))) == {b'Tofu', b'Vegetable/Broccoli', b'Vegetable/Corn'}
    assert b'INBOX' in listed(fruit.ok('LIST "" *'), defaults=True)


def test_pathological_pattern_is_quick(c):
    """A pattern of many wildcards must not cost exponential time."""
    c.ok('CREATE ' + 'a' * 150)
    for pattern in ('*a' * 60 + 'b', '%a' * 60 + 'b', '*' * 300, '*%' * 100 + 'x'):
        c.ok(b'LIST "" ' + q(pattern), timeout=5)


def test_inbox_in_list(c):
    assert b'INBOX' in c.ok('LIST "" INBOX').names()
    assert b'INBOX' in c.ok('LIST "" inbox').names()
    assert b'INBOX' in c.ok('LIST "" "IN*"').names()
    assert b'INBOX' in c.ok('LIST "" %').names()


def test_missing_level_is_listed_by_percent(c):
    """Section 6.3.9: with % at the end the levels above are listed, \\Noselect unless real."""
    c.ok('CREATE x/y/z')
    found = listed(c.ok('LIST "" %'))
    assert b'x' in found and '\\haschildren' in found[b'x'][0]


@pytest.mark.parametrize('command', ['LIST', 'LIST ""', 'LIST "" * FROB', 'LIST "" * RETURN', 'LIST (FROB) "" *',
                                     'LIST "" * RETURN (FROB)', 'LIST (RECURSIVEMATCH) "" *',
                                     'LIST (REMOTE RECURSIVEMATCH) "" *', 'LIST "" (a', 'LIST "" ()',
                                     'LIST "" * RETURN (STATUS)', 'LIST "" * RETURN (STATUS (FROB))', 'LSUB ""',
                                     'NAMESPACE x', 'STATUS INBOX', 'STATUS INBOX ()', 'STATUS INBOX (FROB)',
                                     'SUBSCRIBE', 'UNSUBSCRIBE', 'SUBSCRIBE a b'])
def test_bad_syntax(c, command):
    """Section 6.3.9.1: unknown options and lone RECURSIVEMATCH are BAD."""
    c.bad(command)
    c.ok('NOOP')


# -- extended LIST: the examples

def test_example_2_subscribed(fruit):
    found = listed(fruit.ok('LIST (SUBSCRIBED) "" "*"'), defaults=True)
    assert set(found) == {b'INBOX', b'Fruit/Banana', b'Fruit/Peach', b'Vegetable', b'Vegetable/Broccoli'}
    for box, (attrs, _) in found.items():
        assert '\\subscribed' in attrs
        assert ('\\nonexistent' in attrs) == (box == b'Fruit/Peach')


def test_example_3_children(fruit):
    found = listed(fruit.ok('LIST () "" "%" RETURN (CHILDREN)'))
    assert {k: v[0] & CHILD for k, v in found.items()} == {
        b'Fruit': {'\\haschildren'}, b'Tofu': {'\\hasnochildren'}, b'Vegetable': {'\\haschildren'}}


def test_example_5_remote_subscribed(fruit):
    assert set(listed(fruit.ok('LIST (REMOTE SUBSCRIBED) "" "*"'))) == {
        b'Fruit/Banana', b'Fruit/Peach', b'Vegetable', b'Vegetable/Broccoli'}


def test_example_6_return_subscribed(fruit):
    found = listed(fruit.ok('LIST (REMOTE) "" "*" RETURN (SUBSCRIBED)'))
    assert {k for k, v in found.items() if '\\subscribed' in v[0]} == {b'Fruit/Banana', b'Vegetable',
                                                                        b'Vegetable/Broccoli'}
    assert b'Fruit/Peach' not in found
    assert len(found) == 7


@pytest.fixture
def foo(fresh):
    for box in ('Foo', 'Foo/Bar', 'Foo/Baz', 'Moo'):
        fresh.ok('CREATE ' + box)
    return fresh


def test_example_7a_recursivematch(foo):
    foo.ok('SUBSCRIBE Foo/Baz')
    assert set(listed(foo.ok('LIST (SUBSCRIBED) "" "*"'))) == {b'Foo/Baz'}
    assert set(listed(foo.ok('LIST (SUBSCRIBED) "" "%"'))) == set()
    found = listed(foo.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"'))
    assert set(found) == {b'Foo'}
    attrs, extended = found[b'Foo']
    assert '\\subscribed' not in attrs and not attrs & ABSENT
    assert extended == {b'CHILDINFO': [b'SUBSCRIBED']}
    # A1: Foo subscribed, too
    foo.ok('SUBSCRIBE Foo')
    attrs, extended = listed(foo.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"'))[b'Foo']
    assert '\\subscribed' in attrs and extended == {b'CHILDINFO': [b'SUBSCRIBED']}


def test_example_7b_nothing_subscribed(foo):
    assert set(listed(foo.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"'))) == set()


def test_example_7c_children_not_subscribed(foo):
    foo.ok('SUBSCRIBE Foo')
    foo.ok('SUBSCRIBE Moo')
    found = listed(foo.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%" RETURN (CHILDREN)'))
    assert found == {b'Foo': ({'\\subscribed', '\\haschildren'}, {}),
                     b'Moo': ({'\\subscribed', '\\hasnochildren'}, {})}


@pytest.mark.martlet
def test_example_8_childinfo_outside_the_pattern(fresh):
    for box in ('foo2', 'foo2/bar1', 'foo2/bar2', 'baz2', 'baz2/bar2', 'baz2/bar22', 'baz2/bar222', 'eps2',
                'eps2/mamba', 'qux2/bar2'):
        fresh.ok('CREATE ' + box)
    for box in ('foo2/bar1', 'foo2/bar2', 'baz2/bar2', 'baz2/bar22', 'baz2/bar222', 'eps2', 'eps2/mamba',
                'qux2/bar2'):
        fresh.ok('SUBSCRIBE ' + box)
    found = listed(fresh.ok('LIST (RECURSIVEMATCH SUBSCRIBED) "" "*2"'))
    for redundant in (b'baz2', b'qux2'):
        if redundant in found:
            assert found.pop(redundant)[1] == {b'CHILDINFO': [b'SUBSCRIBED']}
    assert set(found) == {b'foo2', b'foo2/bar2', b'baz2/bar2', b'baz2/bar22', b'baz2/bar222', b'eps2',
                          b'qux2/bar2'}
    assert {k for k, v in found.items() if v[1]} == {b'foo2', b'eps2'}
    assert {k for k, v in found.items() if '\\subscribed' not in v[0]} == {b'foo2'}
    found = listed(fresh.ok('LIST (RECURSIVEMATCH SUBSCRIBED) "" "*"'))
    assert {b'foo2/bar1', b'foo2/bar2', b'baz2/bar2', b'baz2/bar22', b'baz2/bar222', b'eps2', b'eps2/mamba',
            b'qux2/bar2'} <= set(found)


def test_example_9_childinfo_without_children(fresh):
    fresh.ok('CREATE foo')
    fresh.ok('CREATE foo/bar')
    fresh.ok('SUBSCRIBE foo/bar')
    fresh.ok('DELETE foo/bar')
    assert set(listed(fresh.ok('LIST "" ("foo")'))) == {b'foo'}
    found = listed(fresh.ok('LIST (SUBSCRIBED) "" "foo/*"'))
    assert set(found) == {b'foo/bar'} and {'\\subscribed', '\\nonexistent'} <= found[b'foo/bar'][0]
    found = listed(fresh.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" foo RETURN (CHILDREN)'))
    assert found[b'foo'] == ({'\\hasnochildren'}, {b'CHILDINFO': [b'SUBSCRIBED']})


def test_example_11_status_of_children_matches(fresh):
    """Section 6.3.9.8, example 11: no STATUS for a name listed for its children only."""
    fresh.ok('CREATE foo/bar')
    fresh.ok('SUBSCRIBE foo/bar')
    r = fresh.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (STATUS (MESSAGES))')
    assert set(listed(r)) == {b'foo'}
    assert {name(x.data[0]) for x in r.all('STATUS')} == {b'INBOX'}


def test_several_patterns(fruit):
    """Section 6.3.9: a list of patterns; a name that matches several is listed once."""
    assert set(listed(fruit.ok('LIST "" ("Fr%" Tofu "*nana" F*)'))) == {b'Fruit', b'Tofu', b'Fruit/Banana',
                                                                         b'Fruit/Apple'}
    # empty names are ignored in the extended syntax
    assert set(listed(fruit.ok('LIST "" ("" Tofu)'))) == {b'Tofu'}


def test_options_given_twice(fruit):
    """Section 6.3.9: an option given twice counts once."""
    found = listed(fruit.ok('LIST (SUBSCRIBED SUBSCRIBED) "" "V*" RETURN (CHILDREN SUBSCRIBED CHILDREN)'))
    assert found == {b'Vegetable': ({'\\subscribed', '\\haschildren'}, {}),
                     b'Vegetable/Broccoli': ({'\\subscribed', '\\hasnochildren'}, {})}


def test_empty_options(fruit):
    assert set(listed(fruit.ok('LIST () "" "T%" RETURN ()'))) == {b'Tofu'}


def test_list_status(fruit):
    """Section 6.3.9.2; RFC 5819: STATUS follows its LIST."""
    fruit.append('Fruit/Apple', 'Subject: a\r\n\r\n')
    fruit.append('Fruit/Apple', 'Subject: a\r\n\r\n', '(\\Seen)')
    r = fruit.ok('LIST "" "F*" RETURN (STATUS (MESSAGES UNSEEN UIDNEXT UIDVALIDITY) CHILDREN)')
    found = {name(x.data[0]): x.items() for x in r.all('STATUS')}
    assert set(found) == set(listed(r)) == {b'Fruit', b'Fruit/Apple', b'Fruit/Banana'}
    assert found[b'Fruit/Apple']['MESSAGES'] == '2' and found[b'Fruit/Apple']['UNSEEN'] == '1'
    assert found[b'Fruit/Apple']['UIDNEXT'] == '3'
    order = [(x.kind, name(x.data[2 if x.kind == 'LIST' else 0])) for x in r.untagged]
    for kind, box in order:
        if kind == 'STATUS':
            assert order.index(('LIST', box)) < order.index((kind, box))


def test_list_status_of_unselectable(fruit):
    """Section 6.3.9.2: no STATUS for a name that cannot be selected."""
    fruit.ok('CREATE top/sub')
    r = fruit.cmd('DELETE top')
    if r.status == 'NO':
        pytest.skip('the server refuses to delete a mailbox with inferiors')
    r = fruit.ok('LIST "" "top*" RETURN (STATUS (MESSAGES))')
    found = listed(r)
    assert found.get(b'top', ({'\\noselect'}, {}))[0] & ABSENT
    assert {name(x.data[0]) for x in r.all('STATUS')} == {b'top/sub'}


# -- subscriptions

def test_subscribe(c):
    c.ok('CREATE box')
    assert b'box' not in c.ok('LSUB "" *').names('LSUB')
    c.ok('SUBSCRIBE box')
    c.ok('SUBSCRIBE box')
    assert b'box' in c.ok('LSUB "" *').names('LSUB')
    c.ok('UNSUBSCRIBE box')
    assert b'box' not in c.ok('LSUB "" *').names('LSUB')
    r = c.cmd('UNSUBSCRIBE box')
    assert r.status in ('OK', 'NO')


def test_subscribe_inbox_in_any_case(fresh):
    fresh.ok('UNSUBSCRIBE inbox')
    assert b'INBOX' not in fresh.ok('LSUB "" *').names('LSUB')
    fresh.ok('SUBSCRIBE iNbOx')
    assert b'INBOX' in fresh.ok('LSUB "" *').names('LSUB')


def test_lsub_of_a_level(fresh):
    """RFC 3501 section 6.3.9: LSUB % lists foo as \\Noselect if foo/bar is subscribed and foo is not."""
    fresh.ok('CREATE foo/bar')
    fresh.ok('SUBSCRIBE foo/bar')
    found = listed(fresh.ok('LSUB "" %'), 'LSUB')
    assert set(found) == {b'foo'} and '\\noselect' in found[b'foo'][0]
    assert set(listed(fresh.ok('LSUB "" *'), 'LSUB')) == {b'foo/bar'}
    fresh.ok('SUBSCRIBE foo')
    found = listed(fresh.ok('LSUB "" %'), 'LSUB')
    assert set(found) == {b'foo'} and '\\noselect' not in found[b'foo'][0]


def test_subscription_follows_nothing(c):
    """Sections 6.3.5 and 6.3.6: a subscription belongs to the name; a deleted name stays subscribed."""
    c.ok('CREATE box')
    c.ok('SUBSCRIBE box')
    c.ok('DELETE box')
    assert b'box' in c.ok('LSUB "" *').names('LSUB')
    c.ok('UNSUBSCRIBE box')
    assert b'box' not in c.ok('LSUB "" *').names('LSUB')


# -- NAMESPACE

def test_namespace(c):
    """Section 6.3.10."""
    personal, others, shared = c.ok('NAMESPACE').one('NAMESPACE').data
    assert personal == [[b'', b'/']]
    assert others in (None, [[b'Other Users/', b'/']]) and shared is None


# -- special use

def test_special_use_selection(c):
    """RFC 6154 section 5.2."""
    c.ok('CREATE ordinary')
    found = listed(c.ok('LIST (SPECIAL-USE) "" "*"'), defaults=True)
    assert set(found) == DEFAULTS - {b'INBOX'}
    for box, (attrs, _) in found.items():
        assert '\\' + box.decode().lower() in attrs


def test_special_use_return(c):
    found = listed(c.ok('LIST "" "%" RETURN (SPECIAL-USE)'), defaults=True)
    assert '\\trash' in found[b'Trash'][0]
    assert not found[b'INBOX'][0] & {'\\trash', '\\sent', '\\junk', '\\drafts', '\\archive'}


@pytest.mark.martlet('CREATE-SPECIAL-USE')
def test_create_special_use(c):
    """RFC 6154 section 3 and example 5.3."""
    c.ok('CREATE MySpecial (USE (\\Drafts \\Sent))')
    found = listed(c.ok('LIST "" MySpecial RETURN (SPECIAL-USE)'))
    assert {'\\drafts', '\\sent'} <= found[b'MySpecial'][0]
    r = c.no('CREATE Odd (USE (\\Nosuchuse))', code='USEATTR')
    assert b'Odd' not in c.ok('LIST "" *').names()
    c.ok('CREATE None (USE ())')
    c.bad('CREATE Bad (USE \\Sent)')
    c.bad('CREATE Bad (FROB (\\Sent))')
    c.ok('CREATE flagged (USE (\\Flagged))') if r else None


@pytest.mark.martlet('CREATE-SPECIAL-USE')
def test_special_use_survives_rename(c):
    c.ok('CREATE s1 (USE (\\Archive))')
    c.ok('RENAME s1 s2')
    assert '\\archive' in listed(c.ok('LIST "" s2 RETURN (SPECIAL-USE)'))[b's2'][0]


@pytest.mark.martlet
def test_special_use_with_recursivematch(c):
    """Section 6.3.9.6: CHILDINFO names the criteria that a descendant meets."""
    c.ok('CREATE top')
    c.ok('CREATE top/sub (USE (\\Flagged))')
    found = listed(c.ok('LIST (SPECIAL-USE RECURSIVEMATCH) "" top'))
    assert found[b'top'][1] == {b'CHILDINFO': [b'SPECIAL-USE']}


# -- STATUS

def test_status_items(c):
    """Section 6.3.11; RECENT of RFC 3501; SIZE of RFC 8438."""
    c.ok('CREATE box')
    sizes = []
    for i, f in enumerate(['', '(\\Seen)', '(\\Seen \\Deleted)', '(\\Deleted)']):
        message = 'Subject: %d\r\n\r\n%s\r\n' % (i, 'x' * i * 10)
        sizes.append(len(message))
        c.append('box', message, f)
    r = c.ok('STATUS box (MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT)').one('STATUS')
    assert name(r.data[0]) == b'box'
    items = r.items()
    assert items['MESSAGES'] == '4' and items['UIDNEXT'] == '5' and items['UNSEEN'] == '2'
    assert items['RECENT'] == '4' and int(items['UIDVALIDITY']) > 0
    assert c.ok('STATUS box (MESSAGES)').one('STATUS').items() == {'MESSAGES': '4'}
    size = int(c.ok('STATUS box (SIZE)').one('STATUS').items()['SIZE'])
    assert size >= sum(sizes)


@pytest.mark.martlet('DELETED')
def test_status_deleted(c):
    for f in ('', '(\\Deleted)', '(\\Deleted \\Seen)'):
        c.append('INBOX', 'Subject: x\r\n\r\n', f)
    items = c.ok('STATUS INBOX (DELETED SIZE MESSAGES)').one('STATUS').items()
    assert items['DELETED'] == '2' and items['MESSAGES'] == '3' and items['SIZE'] == str(3 * 14)
    c.select()
    c.ok('EXPUNGE')
    items = c.ok('STATUS INBOX (DELETED SIZE)').one('STATUS').items()
    assert items['DELETED'] == '0' and items['SIZE'] == '14'


def test_status_of_selected_mailbox(inbox):
    """Section 6.3.11: servers MUST be able to; it shows the newest state or that of the view."""
    inbox.append('INBOX', 'Subject: x\r\n\r\n')
    items = inbox.ok('STATUS INBOX (MESSAGES UIDNEXT)').one('STATUS').items()
    assert items['MESSAGES'] == '1' and items['UIDNEXT'] == '2'


def test_status_does_not_take_recent(session):
    a = session()
    a.append('INBOX', 'Subject: x\r\n\r\n')
    a.ok('STATUS INBOX (RECENT)')
    assert a.select().one('RECENT').num == 1


def test_status_errors(c):
    r = c.no('STATUS nowhere (MESSAGES)')
    assert r.code in (None, 'NONEXISTENT')
    assert c.cmd('STATUS "*" (MESSAGES)').status == 'NO'


def test_status_keeps_selection(c):
    c.ok('CREATE other')
    c.append('INBOX', 'Subject: x\r\n\r\n')
    c.select()
    c.ok('STATUS other (MESSAGES)')
    assert len(c.ok('FETCH 1 FLAGS').fetch()) == 1


def test_status_seen_counts_follow(inbox):
    for _ in range(5):
        inbox.append('INBOX', 'Subject: x\r\n\r\n')
    inbox.noop()

    def unseen():
        return int(inbox.ok('STATUS INBOX (UNSEEN)').one('STATUS').items()['UNSEEN'])
    assert unseen() == 5
    inbox.ok('STORE 1:3 +FLAGS (\\Seen)')
    assert unseen() == 2
    inbox.ok('STORE 1 -FLAGS (\\Seen)')
    assert unseen() == 3
    inbox.ok('STORE 4,5 FLAGS (\\Deleted)')
    inbox.ok('EXPUNGE')
    assert unseen() == 1
