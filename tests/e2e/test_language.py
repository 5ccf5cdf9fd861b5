"""LANGUAGE (RFC 5255 section 3): the texts that people read, in English and Russian."""
import os
import re

import pytest

from support import texts
from support.imap import LitPlus
from support.server import PASSWORD

pytestmark = pytest.mark.martlet('LANGUAGE')

CYRILLIC = re.compile('[а-яё]', re.I)


def russian(text):
    return bool(CYRILLIC.search(text))


def spoken(r):
    return r.one('LANGUAGE').data[0]


def test_capability(connect, c):
    """Section 3.1: in the greeting, too; i-default is one of them and what everybody begins with."""
    first = connect()
    assert 'LANGUAGE' in first.greeting.code_args
    assert 'LANGUAGE' in c.ok('CAPABILITY').one('CAPABILITY').data
    for each in first, c:
        r = each.ok('LANGUAGE')
        assert spoken(r) == ['en', 'ru', 'i-default'] and r.text == 'LANGUAGE completed'


def test_examples(c):
    """Section 3.2's examples, in our languages."""
    r = c.no('LANGUAGE MUL')
    assert not russian(r.text)
    r = c.ok('LANGUAGE RU')
    assert spoken(r) == ['ru'] and russian(r.text)  # from the LANGUAGE response on
    assert russian(c.ok('NOOP').text)
    assert russian(c.no('LANGUAGE FR').text) and russian(c.ok('NOOP').text)  # it stays as it was
    assert spoken(c.ok('LANGUAGE RU-Cyrl-RU')) == ['ru']  # RFC 4647 section 3.4
    assert spoken(c.ok('LANGUAGE FR-CA EN-CA')) == ['en'] and c.ok('NOOP').text == 'NOOP completed'
    assert spoken(c.ok('LANGUAGE i-default')) == ['i-default']
    assert spoken(c.ok('LANGUAGE "default"')) == ['en']
    assert spoken(c.ok('LANGUAGE ', LitPlus('ru'))) == ['ru']
    assert spoken(c.ok('LANGUAGE')) == ['en', 'ru', 'i-default'] and russian(c.ok('NOOP').text)


@pytest.mark.parametrize('range_', ['""', '"r u"', 'ru-', '-ru', 'r1', 'toolonglanguage', '"ru--RU"'])
def test_not_a_range(c, connect, range_):
    for each in c, connect():
        each.bad('LANGUAGE ' + range_)
        each.bad('LANGUAGE ru ' + range_)
        assert not russian(each.ok('NOOP').text)


def test_before_login(connect, user):
    """Section 3.1: it tells of failed logins, and stays after the login; not after STARTTLS."""
    c = connect()
    assert spoken(c.ok('LANGUAGE de ru-RU')) == ['ru']
    r = c.no('LOGIN %s wrong' % user)
    assert r.code == 'AUTHENTICATIONFAILED' and russian(r.text)
    assert russian(c.no('AUTHENTICATE NONE').text)
    r = c.login(user, PASSWORD)
    assert r.code == 'CAPABILITY' and russian(r.text) and russian(c.ok('NOOP').text)
    c = connect()
    c.ok('LANGUAGE ru')
    c.starttls()
    assert not russian(c.ok('NOOP').text)


def test_every_kind_of_text(c, session):
    """Tagged and untagged, with codes and without."""
    c.ok('LANGUAGE ru')
    assert c.no('SELECT missing').code == 'NONEXISTENT' and russian(c.no('SELECT missing').text)
    c.ok('CREATE box')
    c.ok('CREATE there')
    c.append('box', 'a\r\n\r\nb')
    r = c.select('box')
    for x in r.untagged:
        if x.kind == 'OK':
            assert russian(x.text), x
    assert r.code == 'READ-WRITE' and russian(r.text)
    assert {'UIDVALIDITY', 'UIDNEXT', 'PERMANENTFLAGS', 'HIGHESTMODSEQ'} <= set(r.codes())
    r = c.ok('MOVE 1 there')
    assert russian(r.text) and all(russian(x.text) for x in r.all('OK'))
    other = session('box', rev2=True)
    assert not russian(other.ok('NOOP').text)
    assert russian(c.ok('LOGOUT').one('BYE').text)


@pytest.mark.settings('sharing.public_user=public')
def test_namespace(own_server):
    """Section 3.4: the prefix stays, its translation comes beside it, in modified UTF-7; LANGUAGE tells."""
    c = own_server.connect()
    c.login('fred', PASSWORD)
    plain = [[[b'', b'/']], [[b'Other Users/', b'/']], [[b'Shared/', b'/']]]
    assert c.ok('NAMESPACE').one('NAMESPACE').data == plain
    for r in c.ok('LANGUAGE ru'), c.ok('NAMESPACE'):
        own, others, shared = r.one('NAMESPACE').data
        assert own == plain[0] and shared == [[b'Shared/', b'/', b'TRANSLATION', [b'&BB4EMQRJBDgENQ-/']]]
        assert others[0][:3] == [b'Other Users/', b'/', b'TRANSLATION'] and others[0][3][0].isascii()
    assert c.ok('LANGUAGE en').one('NAMESPACE').data == plain


def test_names_are_not_texts(c):
    """A mailbox or a flag is never translated."""
    c.ok('LANGUAGE ru')
    c.ok('CREATE "Shared"')
    c.ok('CREATE "NOOP completed"')
    assert set(c.ok('LIST "" *').names()) >= {b'Shared', b'NOOP completed'}


@pytest.mark.settings('imap.language=ru')
def test_default(own_server):
    """The administrator's choice, for whoever asks; nobody else gets it."""
    c = own_server.connect()
    assert not russian(c.ok('NOOP').text)
    assert spoken(c.ok('LANGUAGE default')) == ['ru']
    c.login('fred', PASSWORD)
    assert spoken(c.ok('LANGUAGE en')) == ['en'] and spoken(c.ok('LANGUAGE "*"')) == ['ru']


def translated():
    """English -> Russian, from the source."""
    with open(os.path.join(texts.ROOT, 'src', 'wire', 'language_ru.c')) as f:
        source = f.read().split('language_russian[]')[1]
    return dict(re.findall(r'\{"((?:[^"\\]|\\.)*)",\s*"((?:[^"\\]|\\.)*)"\s*\}',
                           re.sub(r'"\s*\n\s*"', '', source)))


def test_everything_is_translated():
    """The texts that the source sends are in the table; a few may wait for a translator."""
    table, found = translated(), texts.all_texts()
    assert len(found) > 90
    missing = ['%s (%s)' % (t, where) for t, where in found.items() if t not in table]
    assert len(missing) <= len(found) // 5, 'missing:\n' + '\n'.join(missing)
    for english, other in table.items():
        assert russian(other), english
        assert set(re.findall('[A-Z]{4,}', other)) <= set(re.findall('[A-Z]{4,}', english)), english
        assert '[' not in other  # section 3.5
