"""URLAUTH (RFC 4467), access identifiers (RFC 5593), URLAUTH=BINARY (RFC 5524), URL-PARTIAL (RFC 5550)."""
import re
import time

import pytest

from support import mails
from support.imap import LitPlus
from support.server import PASSWORD

HOST = 'mail.example.org'
BINARY = (b'From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n'
          b'--b\r\n\r\nhello there\r\n'
          b'--b\r\nContent-Type: image/gif\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwT/\r\n'
          b'--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-unknown\r\n\r\n???\r\n'
          b'--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
          b'Gr=C3=BC=C3=9Fe=00\r\n--b--\r\n')


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def url(user, path, access='anonymous', more=''):
    return 'imap://%s@%s/%s%s;URLAUTH=%s' % (user, HOST, path, more, access)


def sign(c, *rumps):
    r = c.ok('GENURLAUTH ' + ' '.join('"%s" INTERNAL' % x for x in rumps))
    got = [text(x) for x in r.one('GENURLAUTH').data]
    assert len(got) == len(rumps)
    for full, rump in zip(got, rumps):
        assert re.fullmatch(re.escape(rump) + ':internal:[0-9a-f]{32,}', full), full
    return got if len(got) > 1 else got[0]


def fetch(c, *urls):
    """What URLFETCH says of each: {url: data}."""
    r = c.ok('URLFETCH ' + ' '.join('"%s"' % u for u in urls))
    got = {}
    for line in r.all('URLFETCH'):
        assert len(line.data) == 2, line
        got[text(line.data[0])] = line.data[1]
    assert set(got) == set(urls)
    return got[urls[0]] if len(urls) == 1 else got


@pytest.fixture
def mail(c):
    c.append('INBOX', BINARY)
    return c


def test_example(mail, user):
    """RFC 4467 sections 7 and 8: made, fetched; the text in front of the token is as it was given."""
    caps = mail.ok('CAPABILITY').one('CAPABILITY').data
    assert {'URLAUTH', 'URLAUTH=BINARY', 'URL-PARTIAL'} <= set(caps)
    for rump, data in ((url(user, 'INBOX/;uid=1/;section=1', 'user+' + user), b'hello there'),
                       (url(user, 'inbox/;UID=1/;SECTION=HEADER'), BINARY[:BINARY.index(b'--b')]),
                       (url(user, 'INBOX/;UID=1', 'authuser'), BINARY),
                       (url(user, 'INBOX/;UID=1/;SECTION=1/;PARTIAL=1.4'), b'ello'),
                       (url(user, 'INBOX/;UID=1/;SECTION=1/;PARTIAL=6'), b'there'),
                       (url(user, 'INBOX/;UID=1/;SECTION=1/;PARTIAL=600'), b''),
                       (url(user, 'INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(FROM)'), b'From: a@example.org\r\n\r\n'),
                       ('IMAP://%s;AUTH=*@HOST:1143/INBOX/;UiD=1/;section=1;Urlauth=Anonymous' % user, b'hello there')):
        assert fetch(mail, sign(mail, rump)) == data, rump
    mail.select()
    assert '\\seen' not in mail.flags_of(1)


def test_several(mail, user):
    urls = sign(mail, *[url(user, 'INBOX/;UID=%d/;SECTION=1' % n) for n in (1, 2, 3)])
    got = fetch(mail, *urls)
    assert [got[u] for u in urls] == [b'hello there', None, None]


@pytest.mark.parametrize('rump', [
    'imap://%s@h/INBOX/;UID=1', 'imap://%s@h/INBOX;URLAUTH=anonymous', 'imap://%s@h/;URLAUTH=anonymous',
    'imap://h/INBOX/;UID=1;URLAUTH=anonymous', 'imap://other@h/INBOX/;UID=1;URLAUTH=anonymous',
    'imap://%s@h/Nowhere/;UID=1;URLAUTH=anonymous', 'imap://%s@h/INBOX;UIDVALIDITY=1/;UID=1;URLAUTH=anonymous',
    'imap://%s@h/INBOX/;UID=1;URLAUTH=unknown+x', 'imap://%s@h/INBOX/;UID=1;URLAUTH=user',
    'imap://%s@h/INBOX/;UID=1;URLAUTH=anonymous:internal:00112233445566778899aabbccddeeff',
    '/INBOX/;UID=1;URLAUTH=anonymous', 'imap://%s@h/INBOX?ALL;URLAUTH=anonymous', 'x',
    'imap://%s@h/INBOX/;UID=1;EXPIRE=tomorrow;URLAUTH=anonymous'])
def test_refused(mail, user, rump):
    """Section 7: BAD for what cannot be signed."""
    mail.bad('GENURLAUTH "%s" INTERNAL' % rump.replace('%s', user))


def test_grammar(mail, user):
    good = url(user, 'INBOX/;UID=1')
    mail.bad('GENURLAUTH "%s" XSAMPLE' % good)
    mail.bad('GENURLAUTH "%s"' % good)
    mail.bad('GENURLAUTH')
    mail.bad('URLFETCH')
    mail.bad('RESETKEY INBOX XSAMPLE')
    full = sign(mail, good)
    mail.bad('URLFETCH ("%s" BODY BINARY)' % full)
    mail.bad('URLFETCH ("%s" ENVELOPE)' % full)


def test_nil(mail, user):
    """Section 8: NIL and OK for whatever is wrong with a URL."""
    full = sign(mail, url(user, 'INBOX/;UID=1'))
    last = full[-1]
    for bad in (full[:-1] + ('0' if last != '0' else '1'), full.replace('UID=1', 'UID=2'), full.replace(HOST, 'h'),
                full.replace('anonymous', 'authuser'), full.rsplit(':', 2)[0], full.replace('internal', 'XSAMPLE'),
                full.replace(user, 'nobody'), full + '00', full[:-2], 'imap://h/', '/INBOX/;UID=1', 'x',
                full.replace('INBOX', 'inbox'), full.replace('INBOX', 'Nowhere')):
        assert fetch(mail, bad) is None, bad
    upper = full.rsplit(':', 1)[0] + ':' + full.rsplit(':', 1)[1].upper()
    assert fetch(mail, upper) == BINARY, 'hexadecimal digits have no case'


def test_access(mail, user, session, new_user):
    """Section 3: who may redeem it."""
    for access, mine in (('user+' + user, True), ('user+somebody', False), ('authuser', True), ('anonymous', True),
                         ('submit+' + user, False), ('submit+x', False), ('stream', False)):
        got = fetch(mail, sign(mail, url(user, 'INBOX/;UID=1/;SECTION=1', access)))
        assert (got == b'hello there') == mine and (got is None) != mine, access


def test_others(mail, user, session, new_user):
    """What a URL of another user gives: wherever the accounts are (they are on several processes)."""
    urls = sign(mail, *[url(user, 'INBOX/;UID=1/;SECTION=1', x) for x in
                        ('anonymous', 'authuser', 'user+' + user, 'submit+' + user, 'stream')])
    for _ in range(4):
        name = new_user()
        other = session('INBOX', name=name)
        got = fetch(other, *urls)
        assert [got[u] for u in urls] == [b'hello there', b'hello there', None, None, None]
        named = sign(mail, url(user, 'INBOX/;UID=1/;SECTION=2', 'user+' + name))
        assert fetch(other, named) == b'AAECAwT/' and fetch(mail, named) is None
        assert extended(other, named, 'BINARY BODYPARTSTRUCTURE')[1] == ['BINARY', b'\0\1\2\3\4\xff']
        assert fetch(other, urls[0].replace(user, 'no-such-user')) is None
        other.bad('GENURLAUTH "%s" INTERNAL' % url(user, 'INBOX/;UID=1'))
        other.ok('RESETKEY')
        assert fetch(other, urls[0]) == b'hello there'
    mail.ok('RESETKEY')
    assert fetch(other, urls[0]) is None


def test_large_of_others(c, user, session, new_user):
    big = b'Subject: big\r\n\r\n' + b'0123456789abcdef' * 200000
    c.append('INBOX', big)
    full = sign(c, url(user, 'INBOX/;UID=1', 'authuser'))
    for _ in range(3):
        assert fetch(session(name=new_user()), full) == big


@pytest.mark.settings('imap.submit_users=["submit", "submit2"]', 'imap.stream_users=["stream"]')
def test_applications(own_server, user):
    """Section 3, RFC 5593: sessions of the users that the configuration names; what stands behind the plus is theirs
    to check."""
    def login(name):
        c = own_server.connect()
        c.login(name, PASSWORD)
        return c
    c = login(user)
    c.append('INBOX', BINARY)
    submit = sign(c, url(user, 'INBOX/;UID=1/;SECTION=1', 'submit+' + user))
    other = sign(c, url(user, 'INBOX/;UID=1/;SECTION=1', 'SUBMIT+whoever'))
    stream = sign(c, url(user, 'INBOX/;UID=1/;SECTION=1', 'stream'))
    for name, expected in (('submit', (1, 1, 0)), ('submit2', (1, 1, 0)), ('stream', (0, 0, 1)), (user, (0, 0, 0))):
        s = login(name)
        assert tuple(int(fetch(s, u) is not None) for u in (submit, other, stream)) == expected, name


def test_expire(mail, user):
    def at(seconds):
        when = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + seconds))
        return sign(mail, url(user, 'INBOX/;UID=1/;SECTION=1', more=';EXPIRE=' + when))
    soon, late, long = at(2), at(-5), at(3600)
    assert fetch(mail, soon) == b'hello there' and fetch(mail, late) is None
    time.sleep(3.5)
    assert fetch(mail, soon) is None and fetch(mail, long) == b'hello there'


def test_resetkey(mail, user, session):
    """Section 6: a new key for one mailbox, or none for all of them; others with the mailbox open are told."""
    mail.ok('CREATE Other')
    mail.append('Other', mails.SIMPLE)
    other = session('INBOX')
    inbox, there = sign(mail, url(user, 'INBOX/;UID=1')), sign(mail, url(user, 'Other/;UID=1'))
    r = mail.ok('RESETKEY INBOX INTERNAL')
    assert r.code == 'URLMECH' and 'INTERNAL' in r.code_args
    assert [x.code for x in other.noop().all('OK')].count('URLMECH') == 1
    assert fetch(mail, inbox) is None and fetch(mail, there) == mails.SIMPLE
    again = sign(mail, url(user, 'INBOX/;UID=1'))
    assert again != inbox and fetch(mail, again) == BINARY
    mail.ok('RESETKEY')
    assert fetch(mail, again) is None and fetch(mail, there) is None
    mail.no('RESETKEY Nowhere', code='NONEXISTENT')


def test_select(c):
    """Section 6: SELECT and EXAMINE say which mechanisms there are."""
    for command in 'SELECT', 'EXAMINE':
        assert c.select('INBOX', command).codes()['URLMECH'].code_args == ['INTERNAL']


def test_rename_and_delete(mail, user):
    """The key belongs to the mailbox, the name to the URL."""
    mail.ok('CREATE Out')
    mail.append('Out', mails.SIMPLE)
    old = sign(mail, url(user, 'Out/;UID=1'))
    mail.ok('RENAME Out In')
    assert fetch(mail, old) is None
    assert fetch(mail, sign(mail, url(user, 'In/;UID=1'))) == mails.SIMPLE
    mail.ok('RENAME In Out')
    assert fetch(mail, old) == mails.SIMPLE
    mail.ok('DELETE Out')
    mail.ok('CREATE Out')
    mail.append('Out', mails.SIMPLE)
    assert fetch(mail, old) is None


@pytest.mark.settings('auth.masters=["admin"]')
def test_survives(own_server, user):
    """Keys are in the log: kill -9, a rebuilt index."""
    c = own_server.connect()
    c.login(user, PASSWORD)
    c.append('INBOX', BINARY)
    full = sign(c, url(user, 'INBOX/;UID=1/;SECTION=1'))
    own_server.kill()
    own_server.start()
    c = own_server.connect()
    c.login(user, PASSWORD)
    assert fetch(c, full) == b'hello there'


def extended(c, full, items):
    r = c.ok('URLFETCH ("%s"%s)' % (full, ' ' + items if items else ''))
    data = r.one('URLFETCH').data
    assert text(data[0]) == full
    return data[1:]


def test_binary(mail, user):
    """RFC 5524 section 3: without the transfer encoding, with the structure of that."""
    gif = sign(mail, url(user, 'INBOX/;UID=1/;SECTION=2'))
    assert extended(mail, gif, 'BINARY') == [['BINARY', b'\0\1\2\3\4\xff']]
    assert extended(mail, gif, 'BODY') == [['BODY', b'AAECAwT/']]
    assert extended(mail, gif, '') == [b'AAECAwT/']
    structure, data = extended(mail, gif, 'BINARY BODYPARTSTRUCTURE')
    assert structure == ['BODYPARTSTRUCTURE', [b'image', b'gif', None, None, None, b'BINARY', '6']]
    assert data == ['BINARY', b'\0\1\2\3\4\xff']
    structure, data = extended(mail, gif, 'BODYPARTSTRUCTURE BODY')
    assert structure == ['BODYPARTSTRUCTURE', [b'image', b'gif', None, None, None, b'base64', '8']]
    assert extended(mail, gif, 'BODYPARTSTRUCTURE') == [structure]
    raw = mail.ok('URLFETCH ("%s" BINARY)' % gif).one('URLFETCH').raw
    assert b'~{6}\r\n' in raw


def test_binary_others(mail, user):
    unknown, text_part, whole, part, header = sign(mail, *[
        url(user, 'INBOX/;UID=1' + x) for x in ('/;SECTION=3', '/;SECTION=4', '', '/;SECTION=4/;PARTIAL=2.4',
                                                '/;SECTION=2.MIME')])
    assert extended(mail, unknown, 'BINARY') == [['BINARY', None]]
    assert extended(mail, text_part, 'BINARY') == [['BINARY', 'Gr\u00fc\u00dfe\0'.encode()]]
    assert extended(mail, part, 'BINARY') == [['BINARY', 'Gr\u00fc\u00dfe\0'.encode()[2:6]]]
    assert extended(mail, whole, 'BINARY') == [['BINARY', BINARY]]
    structure = extended(mail, whole, 'BODYPARTSTRUCTURE')[0]
    assert structure[0] == 'BODYPARTSTRUCTURE' and structure[1][-1] == b'mixed' and len(structure[1]) == 5
    assert extended(mail, header, 'BODY')[0][1].startswith(b'Content-Type: image/gif')
    assert extended(mail, header.replace('2.MIME', '9'), 'BINARY BODYPARTSTRUCTURE') == [None]


def test_large(c, user):
    """A large message goes out as a file range; two sessions at once."""
    big = b'Subject: big\r\n\r\n' + b'0123456789abcdef' * 200000
    c.append('INBOX', big)
    full = sign(c, url(user, 'INBOX/;UID=1'))
    tags = c.pipeline('URLFETCH "%s"' % full, 'NOOP', 'URLFETCH "%s"' % full)
    for tag in tags[::2]:
        assert c.wait(tag).one('URLFETCH').data[1] == big


def test_nul(c, user):
    """RFC 5524: a NUL needs a literal8; the old form cannot have one."""
    c.ok('APPEND INBOX ', LitPlus(b'Subject: x\r\n\r\na\0b', binary=True))
    full = sign(c, url(user, 'INBOX/;UID=1/;SECTION=TEXT'))
    assert fetch(c, full) == b'a\x80b'
    assert extended(c, full, 'BINARY') == [['BINARY', b'a\0b']]


def test_connection_lost(mail, user, session, new_user):
    """While another user's account is looked for."""
    full = sign(mail, url(user, 'INBOX/;UID=1'))
    for _ in range(10):
        other = session(name=new_user())
        other.send(b'a URLFETCH "%s" "%s"\r\n' % (full.encode(), full.replace(user, 'nobody').encode()))
        other.close()
    assert fetch(mail, full) == BINARY


def test_mailbox_of_another(mail, user, session, new_user):
    """A URL for a mailbox that somebody shares is as good as the rights of who signed it, when it is redeemed."""
    mail.bad('GENURLAUTH "%s" INTERNAL' % url(user, 'Other%20Users/' + new_user() + '/INBOX/;UID=1'))
    mail.bad('GENURLAUTH "%s" INTERNAL' % url(user, 'Shared/x/;UID=1'))
    mail.ok('CREATE Team')
    mail.append('Team', mails.SIMPLE)
    signer, third = new_user(), new_user()
    s, t = session(name=signer), session(name=third)
    rump = url(signer, 'Other%%20Users/%s/Team/;UID=1' % user)
    s.bad('GENURLAUTH "%s" INTERNAL' % rump)
    mail.ok('SETACL Team %s lr' % signer)
    full = sign(s, rump)
    for c in s, t, mail:
        assert fetch(c, full) == mails.SIMPLE
    mail.ok('RESETKEY Team')  # of the owner: another key
    assert fetch(t, full) == mails.SIMPLE
    mail.ok('SETACL Team %s l' % signer)
    for c in s, t, mail:
        assert fetch(c, full) is None
    mail.ok('SETACL Team %s lr' % signer)
    assert fetch(t, full) == mails.SIMPLE
    s.ok('RESETKEY')
    assert fetch(t, full) is None
