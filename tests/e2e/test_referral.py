"""LOGIN-REFERRALS (RFC 2221): users whose mail the configuration places on another server."""
import base64
import os
import subprocess

import pytest

from support.server import BUILD_TYPE, PASSWORD, ROOT

pytestmark = [pytest.mark.martlet('its settings'),
              pytest.mark.settings('login.referrals=["mike imap2.example.org", '
                                   '"@example.org imap3.example.org:1143"]')]


def capabilities(c):
    return set(c.ok('CAPABILITY').one('CAPABILITY').data)


def test_capability(own_server, connect):
    """Listed where somebody is elsewhere; not where nobody is."""
    c = own_server.connect()
    assert 'LOGIN-REFERRALS' in capabilities(c) and 'LOGIN-REFERRALS' in c.greeting.code_args
    assert 'LOGIN-REFERRALS' not in capabilities(connect())


def test_example(own_server):
    """Section 4.1: LOGIN and AUTHENTICATE; the connection goes on, and who is here logs in."""
    c = own_server.connect()
    r = c.no('LOGIN mike %s' % PASSWORD, code='REFERRAL')
    assert r.code_args == ['imap://mike;AUTH=*@imap2.example.org/']
    r = c.no('AUTHENTICATE PLAIN ' + base64.b64encode(b'\0mike\0' + PASSWORD.encode()).decode(), code='REFERRAL')
    assert r.code_args == ['imap://mike;AUTH=*@imap2.example.org/']
    c.login('matthew', PASSWORD)
    assert 'LOGIN-REFERRALS' not in capabilities(c)
    c.select()


def test_domain_and_encoding(own_server):
    """A name is percent-encoded, a domain compared without case."""
    c = own_server.connect()
    r = c.no('LOGIN "an na@Example.ORG" %s' % PASSWORD)
    if r.code == 'REFERRAL':  # the name may have been prepared to lower case, or refused for its space
        assert r.code_args[0].lower() == 'imap://an%20na%40example.org;auth=*@imap3.example.org:1143/'
    r = c.no('LOGIN anna@example.org %s' % PASSWORD, code='REFERRAL')
    assert r.code_args == ['imap://anna%40example.org;AUTH=*@imap3.example.org:1143/']
    c.login('anna@example.com', PASSWORD)


def test_strangers_learn_nothing(own_server):
    """Only who has proven himself is told."""
    c = own_server.connect()
    r = c.no('LOGIN mike wrong')
    assert r.code == 'AUTHENTICATIONFAILED'


def test_in_russian(own_server):
    c = own_server.connect()
    c.ok('LANGUAGE ru')
    r = c.no('LOGIN mike %s' % PASSWORD, code='REFERRAL')
    assert r.text == 'Ваша почта на другом сервере'


@pytest.mark.parametrize('entry, good', [('mike imap2.example.org', True), ('mike imap2:143', True), ('@b.org c', True), ('mike', False),
                                         ('mike ', False), ('mike a/b', False), ('mike a:0', False), ('mike a:65536', False),
                                         ('mike a:1:2', False), ('mike a]b', False), ('mike imap://a/', False)])
def test_configuration(tmp_path, entry, good):
    """A name that would not do in a URL is a mistake of the configuration."""
    martlet = os.path.join(ROOT, 'build-' + BUILD_TYPE, 'src', 'daemon', 'martlet')
    r = subprocess.run([martlet, '-c', '/dev/null', '-o', 'imaps.listen=[]', '-o', 'state_dir=' + str(tmp_path), '-o', 'login.referrals=["%s"]' % entry, '--check'],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert ('login.referrals: expected' in r.stdout) != good, r.stdout
