"""Greeting, CAPABILITY, LOGIN, AUTHENTICATE, STARTTLS, ID, NOOP, LOGOUT and states.

RFC 9051 sections 3, 6.1, 6.2, 7.1; RFC 4959 (SASL-IR), RFC 2971 (ID), RFC 7888 (literals).
"""
import base64

import pytest

from support.imap import Closed, Lit, LitPlus, ProtocolError
from support.server import PASSWORD

REV2 = ['NAMESPACE', 'UNSELECT', 'UIDPLUS', 'ESEARCH', 'SEARCHRES', 'ENABLE', 'IDLE', 'SASL-IR',
        'LIST-EXTENDED', 'LIST-STATUS', 'MOVE', 'SPECIAL-USE', 'CHILDREN', 'ID', 'MULTIAPPEND']


def capabilities(r):
    return [a.upper() for a in r.one('CAPABILITY').data]


def plain(user, password=PASSWORD, authzid=''):
    return base64.b64encode(('%s\0%s\0%s' % (authzid, user, password)).encode())


def test_greeting(connect):
    """RFC 9051 section 7.1.1: untagged OK; its CAPABILITY code says what CAPABILITY says."""
    c = connect()
    assert c.greeting.kind == 'OK' and c.greeting.tag == '*'
    if c.greeting.code == 'CAPABILITY':
        assert set(a.upper() for a in c.greeting.code_args) == set(capabilities(c.ok('CAPABILITY')))


def test_capability_before_login(connect):
    """Section 6.1.1: IMAP4rev1, AUTH=PLAIN and STARTTLS on a plain port."""
    caps = capabilities(connect().ok('CAPABILITY'))
    assert 'IMAP4REV1' in caps and 'AUTH=PLAIN' in caps and 'STARTTLS' in caps and 'SASL-IR' in caps
    assert len(caps) == len(set(caps))


@pytest.mark.martlet('IMAP4rev2')
def test_capability_rev2(connect, c):
    """Issue: both revisions and all that rev2 takes in; one of LITERAL+ and LITERAL- (RFC 7888, 5)."""
    caps = capabilities(connect().ok('CAPABILITY'))
    assert 'IMAP4REV2' in caps
    caps = capabilities(c.ok('CAPABILITY'))
    for name in ['IMAP4REV1', 'IMAP4REV2', 'BINARY', 'CREATE-SPECIAL-USE', 'STATUS=SIZE'] + REV2:
        assert name in caps, name
    assert ('LITERAL+' in caps) != ('LITERAL-' in caps)
    assert 'STARTTLS' not in caps and 'LOGINDISABLED' not in caps


def test_capability_after_tls(connect):
    """Section 6.2.1: STARTTLS is not listed under TLS."""
    caps = capabilities(connect(tls=True).ok('CAPABILITY'))
    assert 'STARTTLS' not in caps and 'AUTH=PLAIN' in caps


def test_capability_is_case_insensitive(connect):
    c = connect()
    c.ok('capability')
    c.ok('CaPaBiLiTy')
    c.bad('CAPABILITY extra')


def test_login(connect, user):
    c = connect()
    r = c.ok('LOGIN %s %s' % (user, PASSWORD))
    if r.code == 'CAPABILITY':
        assert 'IMAP4REV1' in [a.upper() for a in r.code_args]
    c.ok('SELECT INBOX')


def test_login_forms(connect, new_user):
    """astring: atom, quoted, literals of both kinds (section 9)."""
    for make in (lambda u: (b'LOGIN "%s" "%s"' % (u.encode(), PASSWORD.encode()),),
                 lambda u: ('LOGIN ', Lit(u), ' ', Lit(PASSWORD)),
                 lambda u: ('LOGIN ', LitPlus(u), ' ', LitPlus(PASSWORD)),
                 lambda u: ('lOgIn ', LitPlus(u), ' "%s"' % PASSWORD)):
        c = connect()
        c.ok(*make(new_user()))
        c.ok('NOOP')


def test_login_byte_by_byte(connect, user):
    c = connect()
    for b in b'x1 LOGIN {%d}\r\n' % len(user):
        c.send(bytes([b]))
    assert c.continuation('x1')
    for b in b'%s "%s"\r\n' % (user.encode(), PASSWORD.encode()):
        c.send(bytes([b]))
    assert c.wait('x1').status == 'OK'


def test_login_wrong_password(connect, user):
    """RFC 9051 section 7.1: AUTHENTICATIONFAILED; the session goes on."""
    c = connect()
    c.no('LOGIN %s wrong' % user, code='AUTHENTICATIONFAILED')
    c.no('LOGIN %s ""' % user, code='AUTHENTICATIONFAILED')
    c.bad('SELECT INBOX')
    c.ok('LOGIN %s %s' % (user, PASSWORD))


@pytest.mark.parametrize('command', ['LOGIN', 'LOGIN x', 'LOGIN x y z', 'LOGIN  x y', 'LOGIN (x) y',
                                     'LOGIN "x y', 'AUTHENTICATE', 'FROB', 'STARTTLS now', 'SELECT INBOX',
                                     'LIST "" *', 'FETCH 1 FLAGS', 'ENABLE IMAP4rev2', 'IDLE', 'CLOSE',
                                     'APPEND INBOX {3+}\r\nabc', 'STATUS INBOX (MESSAGES)', 'NAMESPACE'])
def test_bad_before_login(connect, user, command):
    """Section 3.1: what does not belong into this state is BAD, and the session goes on."""
    c = connect()
    r = c.bad(command)
    assert r.text
    c.login(user, PASSWORD)


@pytest.mark.parametrize('command', ['LOGIN x y', 'AUTHENTICATE PLAIN', 'STARTTLS', 'FETCH 1 FLAGS',
                                     'SEARCH ALL', 'STORE 1 FLAGS ()', 'COPY 1 INBOX', 'MOVE 1 INBOX',
                                     'CLOSE', 'UNSELECT', 'EXPUNGE', 'UID EXPUNGE 1', 'UID FETCH 1 FLAGS',
                                     'UID SEARCH ALL', 'CHECK'])
def test_bad_in_authenticated_state(c, command):
    c.bad(command)
    c.ok('NOOP')


def test_authenticate_plain(connect, user):
    c = connect()
    tag = c.start('AUTHENTICATE PLAIN')
    cont = c.continuation(tag)
    assert cont.text == b''
    c.send(plain(user) + b'\r\n')
    assert c.wait(tag).status == 'OK'
    c.ok('SELECT INBOX')


def test_authenticate_initial_response(connect, user):
    """RFC 4959; RFC 9051 section 6.2.2."""
    c = connect()
    c.ok(b'AUTHENTICATE PLAIN ' + plain(user))
    c.ok('SELECT INBOX')


def test_authenticate_own_authzid(connect, user):
    c = connect()
    c.ok(b'AUTHENTICATE plain ' + plain(user, authzid=user))


def test_authenticate_failures(connect, user):
    c = connect()
    c.no(b'AUTHENTICATE PLAIN ' + plain(user, 'wrong'), code='AUTHENTICATIONFAILED')
    r = c.cmd(b'AUTHENTICATE PLAIN ' + plain(user, authzid='somebody-else'))
    assert r.status == 'NO', r
    r = c.cmd('AUTHENTICATE NO-SUCH-MECHANISM')
    assert r.status in ('NO', 'BAD')
    # section 6.2.2: "*" cancels, with BAD
    tag = c.start('AUTHENTICATE PLAIN')
    c.continuation(tag)
    c.send('*\r\n')
    assert c.wait(tag).status == 'BAD'
    # not base64
    tag = c.start('AUTHENTICATE PLAIN')
    c.continuation(tag)
    c.send('!!!\r\n')
    assert c.wait(tag).status in ('BAD', 'NO')
    c.ok(b'AUTHENTICATE PLAIN ' + plain(user))


def test_starttls(connect, user):
    c = connect()
    c.starttls()
    assert 'STARTTLS' not in capabilities(c.ok('CAPABILITY'))
    c.bad('STARTTLS')
    c.login(user, PASSWORD)
    c.ok('SELECT INBOX')


def test_starttls_discards_plain_text(connect, user):
    """RFC 9051 section 11.1: what was sent in plain text behind STARTTLS must not be run."""
    c = connect()
    c.running['s1'] = 'STARTTLS'
    c.send(b's1 STARTTLS\r\ns2 LOGIN %s %s\r\ns3 NOOP\r\n' % (user.encode(), PASSWORD.encode()))
    assert c.wait('s1').status == 'OK'
    try:
        c._wrap()
    except OSError:
        return  # the handshake got the injected bytes, and failed: good
    c.bad('SELECT INBOX')
    assert 's2' not in c.tagged and 's3' not in c.tagged


def test_tls_session(session):
    c = session('INBOX', tls=True)
    body = b'Subject: tls\r\n\r\n' + b'x' * 70000 + b'\r\n'
    c.append('INBOX', body)
    r = c.ok('FETCH 1 BODY.PEEK[]')
    assert r.fetch()[1]['BODY[]'] == body


@pytest.mark.parametrize('tls', [False, True])
def test_logout(connect, user, tls):
    """Section 6.1.3: BYE, then OK, then the connection is closed."""
    c = connect(tls=tls)
    c.login(user, PASSWORD)
    r = c.ok('LOGOUT')
    r.one('BYE')
    with pytest.raises(Closed):
        c.read(5)


def test_logout_before_login(connect):
    c = connect()
    c.ok('LOGOUT').one('BYE')
    with pytest.raises(Closed):
        c.read(5)


def test_id(connect, user):
    """RFC 2971 section 3: in any state; NIL or a list of pairs."""
    c = connect()
    for _ in range(2):
        data = c.ok('ID NIL').one('ID').data[0]
        assert data is None or len(data) % 2 == 0
        c.ok('ID ("name" "test" "version" NIL)').one('ID')
        c.bad('ID ("name")')
        c.bad('ID')
        if _ == 0:
            c.login(user, PASSWORD)


def test_id_limits(c):
    """RFC 2971 section 3.3: at most 30 pairs, names up to 30 octets, values up to 1024."""
    c.ok('ID (' + ' '.join('"k%d" "v"' % i for i in range(30)) + ')')
    r = c.cmd('ID (' + ' '.join('"k%d" "v"' % i for i in range(31)) + ')')
    assert r.status in ('OK', 'BAD')
    c.ok('NOOP')


@pytest.mark.martlet('Dovecot answers in its own way')
def test_enable(c):
    """RFC 9051 section 6.3.1: ENABLED always, unknown names ignored, only what is new."""
    assert c.ok('ENABLE X-UNKNOWN').one('ENABLED').data == []
    before = capabilities(c.ok('CAPABILITY'))
    c.enable_rev2()
    assert c.ok('ENABLE IMAP4rev2 X-UNKNOWN').one('ENABLED').data in ([], ['IMAP4rev2'])
    assert capabilities(c.ok('CAPABILITY')) == before
    c.bad('ENABLE')


@pytest.mark.martlet('IMAP4rev2')
def test_enable_pipelined_behind_login(connect, user):
    """Section 6.3.1: LOGIN, ENABLE and SELECT may be sent at once."""
    c = connect()
    tags = c.pipeline('LOGIN %s %s' % (user, PASSWORD), 'ENABLE IMAP4rev2', 'SELECT INBOX', 'NOOP')
    for tag in tags[:3]:
        r = c.wait(tag)
        assert r.status == 'OK', r
    r.one('LIST')  # SELECT of rev2
    c.wait(tags[3])


def test_pipelined_login_in_one_segment(connect, user):
    c = connect()
    tags = c.pipeline('CAPABILITY', 'NOOP', 'LOGIN %s %s' % (user, PASSWORD), 'SELECT INBOX', 'NOOP', 'LOGOUT')
    seen = [r.tag for r in c.closed() if r.tag != '*']
    assert seen == tags


def test_unknown_commands_after_login(c):
    for command in ('FROB', 'UID', 'UID FROB 1', 'X', 'UID NOOP'):
        c.bad(command)
    c.ok('NOOP')
    c.bad('NOOP extra')


def test_bad_tags(c):
    """A line without a usable tag gets an untagged BAD (section 7.1.3)."""
    lines = (b'\r\n', b'+ NOOP\r\n', b'* NOOP\r\n', b'NOOP\r\n', b' x NOOP\r\n', b'(a NOOP\r\n')
    for i, line in enumerate(lines):
        c.send(line + b'z%d NOOP\r\n' % i)
        while True:
            r = c.read()
            if r.tag.startswith('z'):
                break
            assert r.kind == 'BAD', r
        assert r.kind == 'OK'


def test_tag_characters(c):
    """Section 9: tag is any ASTRING-CHAR except "+"; it comes back as it was."""
    for tag in ('A', '0001', 'a.b-c_d', 'x]y', '!#$&\'', 'T' * 60):
        c.send('%s NOOP\r\n' % tag)
        assert c.wait(tag).status == 'OK'


def test_nothing_is_shared_between_users(session, new_user):
    a, b = session('INBOX', name=new_user()), session('INBOX', name=new_user())
    a.append('INBOX', 'Subject: mine\r\n\r\n')
    a.ok('CREATE Private')
    assert b'Private' not in b.ok('LIST "" *').names()
    assert b.ok('STATUS INBOX (MESSAGES)').one('STATUS').items()['MESSAGES'] == '0'
    b.noop().none('EXISTS')


def test_user_names_with_odd_characters(connect, user):
    """Names must not be able to leave the place where accounts live."""
    for name in ('../%s' % user, '%s/../../etc' % user, '%s\\x' % user, '.%s' % user, '%s@example.org' % user,
                 '%s%%n' % user, 'Ä%s' % user):
        c = connect()
        try:
            r = c.cmd('LOGIN ', LitPlus(name), ' ', PASSWORD)
            if r.status == 'OK':
                c.ok('SELECT INBOX')
        except Closed:
            raise ProtocolError('closed on user name %r' % name)


def test_noise_on_the_tls_port(server, connect, user):
    """What is no handshake on the TLS port, half of one, or none at all, harms nobody."""
    import socket
    sockets = []
    for data in (b'', b'a1 NOOP\r\n', b'\x16\x03\x01', b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + b'x' * 100, b'\0' * 1000,
                 b'GET / HTTP/1.1\r\n\r\n', bytes(range(256)) * 100):
        s = socket.create_connection((server.host, server.imaps))
        try:
            s.sendall(data)
        except OSError:
            pass
        sockets.append(s)
    c = connect(tls=True)
    c.login(user, PASSWORD)
    c.ok('SELECT INBOX')
    for s in sockets:
        s.close()
    c.ok('NOOP')


def test_tls_closed_without_notice(server, connect, user):
    """A TLS connection cut without close_notify, before and after login."""
    for login in (False, True):
        c = connect(tls=True)
        if login:
            c.login(user, PASSWORD)
            c.select()
        c.close()
    d = connect(tls=True)
    d.login(user, PASSWORD)


def test_many_tls_logins(connect, user):
    for _ in range(20):
        c = connect(tls=True)
        c.login(user, PASSWORD)
        c.ok('LOGOUT')
        c.close()


def test_pipelined_login_over_tls(connect, user):
    """Bytes read ahead by the login process reach the mail process in order."""
    c = connect(tls=True)
    message = b'Subject: x\r\n\r\n' + b'y' * 100000 + b'\r\n'
    c.running.update({'p1': 'LOGIN', 'p2': 'APPEND', 'p3': 'SELECT', 'p4': 'FETCH'})
    c.send(b'p1 LOGIN %s %s\r\np2 APPEND INBOX {%d+}\r\n%s\r\np3 SELECT INBOX\r\np4 FETCH 1 BODY[]\r\n'
           % (user.encode(), PASSWORD.encode(), len(message), message))
    for tag in ('p1', 'p2', 'p3'):
        assert c.wait(tag).status == 'OK'
    assert c.wait('p4').fetch()[1]['BODY[]'] == message
