"""PREVIEW (RFC 8970): what a message is about, in a line."""
import base64
import email.message
import glob
import os
import shutil

import pytest

from support.imap import LitPlus
from support.server import PASSWORD

LOREM = ('Lorem ipsum dolor sit amet, consectetur adipiscing elit. Curabitur aliquam turpis et ante dictum, et pulvinar dui '
         'congue. Maecenas hendrerit, lorem non imperdiet pellentesque, nulla ligula nullam metus')


def append(c, raw, mailbox='INBOX'):
    c.ok('APPEND %s ' % mailbox, LitPlus(raw))
    c.noop()


def message(body, ctype='text/plain; charset=utf-8', cte=None):
    head = 'From: a@example.com\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: %s\r\n' % ctype
    if cte:
        head += 'Content-Transfer-Encoding: %s\r\n' % cte
    return head.encode() + b'\r\n' + (body if isinstance(body, bytes) else body.encode())


def preview(c, which='*', item='PREVIEW'):
    got = c.ok('FETCH %s (%s)' % (which, item)).fetch()
    return list(got.values())[-1]['PREVIEW']


def of(c, raw):
    append(c, raw)
    return preview(c).decode('utf-8')


def test_capability(c):
    assert 'PREVIEW' in c.ok('CAPABILITY').one('CAPABILITY').data


def test_section_3(inbox):
    append(inbox, message('Preview text!\r\n'))
    r = inbox.ok('FETCH 1 (PREVIEW)')
    assert r.fetch()[1] == {'PREVIEW': b'Preview text!'}  # and no FLAGS: it is not read


def test_example_1(inbox):
    """At most 200 characters, at any rate not more than 256."""
    append(inbox, message(LOREM.replace('elit. ', 'elit.\r\n') + ' ' + LOREM + '\r\n'))
    r = inbox.ok('FETCH 1 (RFC822.SIZE PREVIEW)').fetch()[1]
    assert set(r) == {'RFC822.SIZE', 'PREVIEW'}
    assert (LOREM + ' ' + LOREM).startswith(r['PREVIEW'].decode()) and len(r['PREVIEW']) == 200


def test_example_2(inbox):
    for text in ('Preview text for message 1.', '', 'Message data\r\nfrom message 3.\r\n', '\u017belazny "4"'):
        append(inbox, message(text))
    want = {1: 'Preview text for message 1.', 2: '', 3: 'Message data from message 3.', 4: '\u017belazny "4"'}
    got = inbox.ok('FETCH 1:4 (ENVELOPE PREVIEW (LAZY))').fetch()
    assert {n: got[n]['PREVIEW'].decode() for n in got} == want and all('ENVELOPE' in got[n] for n in got)
    got = inbox.ok('FETCH 3:4 (PREVIEW)').fetch()
    assert {n: got[n]['PREVIEW'].decode() for n in got} == {n: want[n] for n in (3, 4)}
    got = inbox.ok('FETCH 1:4 PREVIEW (LAZY)').fetch()
    assert {n: got[n]['PREVIEW'].decode() for n in got} == want


def test_example_3(inbox):
    for i in range(3):
        append(inbox, message('text %d' % i).replace(b'a@example.com', b'foo@example.com' if i else b'b@example.com'))
    inbox.ok('SEARCH RETURN (SAVE) FROM "FOO"')
    got = inbox.ok('FETCH $ (UID PREVIEW (LAZY))').fetch()
    assert {n: got[n]['PREVIEW'] for n in got} == {2: b'text 1', 3: b'text 2'}
    assert inbox.ok('UID FETCH %s (PREVIEW)' % got[3]['UID']).fetch()[3]['PREVIEW'] == b'text 2'


def test_with_fetch_modifiers(inbox):
    append(inbox, message('a'))
    r = inbox.ok('FETCH 1 PREVIEW (LAZY) (CHANGEDSINCE 1)').fetch()[1]
    assert r['PREVIEW'] == b'a' and 'MODSEQ' in r
    assert inbox.ok('FETCH 1 PREVIEW (CHANGEDSINCE 1)').fetch()[1]['PREVIEW'] == b'a'
    assert inbox.cmd('FETCH 1 (PREVIEW (FAST))').status == 'BAD'


def test_does_not_read(inbox):
    append(inbox, message('a'))
    preview(inbox)
    assert b'\\Seen' not in inbox.ok('FETCH 1 FLAGS').fetch()[1]['FLAGS']


@pytest.mark.parametrize('codec,charset', [
    ('gb2312', 'gb2312'), ('iso2022_jp', 'iso-2022-jp'), ('koi8_r', 'koi8-r'), ('shift_jis', 'Shift_JIS'),
    ('cp1251', 'windows-1251'), ('utf_16', 'utf-16'), ('big5', 'big5')])
@pytest.mark.parametrize('cte', ['base64', '8bit'])
def test_charsets(inbox, codec, charset, cte):
    text = {'gb2312': '\u4f60\u597d\uff0c\u4e16\u754c', 'iso2022_jp': '\u3053\u3093\u306b\u3061\u306f', 'big5': '\u4f60\u597d',
            'shift_jis': '\u3053\u3093\u306b\u3061\u306f', 'utf_16': 'a\u0416'}.get(codec, '\u041f\u0440\u0438\u0432\u0435\u0442')
    if codec == 'utf_16' and cte == '8bit':
        pytest.skip('has NUL and line breaks of its own')
    raw = text.encode(codec)
    body = base64.encodebytes(raw) if cte == 'base64' else raw
    assert of(inbox, message(body, 'text/plain; charset=%s' % charset, cte)) == text


def test_cut_in_a_character(inbox):
    """Broken UTF-8 is never sent, whoever broke it."""
    assert of(inbox, message('caf=C3=A9 =E2=82=\r\n=AC caf=C3', cte='quoted-printable')) == 'caf\u00e9 \u20ac caf\ufffd'
    assert of(inbox, message(('\u00e9' * 300).encode()[:-1])) == '\u00e9' * 200


def newsletter():
    """As the big senders make them."""
    m = email.message.EmailMessage()
    m['From'], m['To'], m['Subject'] = 'shop@example.com', 'jo@example.com', 'Sale'
    m.set_content('Your mail program does not show HTML.\n\nhttps://shop.example/view?id=1\n')
    m.add_alternative('''<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">
<html xmlns="http://www.w3.org/1999/xhtml"><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8" />
<!--[if mso]><noscript><xml><o:OfficeDocumentSettings/></xml></noscript><![endif]--><title>Sale</title>
<style type="text/css">%s</style></head><body style="margin:0">
<div style="display:none;font-size:1px;line-height:1px;max-height:0px;opacity:0;overflow:hidden;">
%s</div><table width="100%%"><tr><td style="font-size:0px"><a href="https://shop.example/t?x=1"><img src="https://shop.example/l.png"
 alt="Shop"></a></td></tr><tr><td><h1>Winter is&nbsp;coming</h1><p>Everything 20&thinsp;%% off &ndash; until Sunday.</p></td></tr></table>
</body></html>''' % ('.a { color: #fff }\n' * 2000, '&#847;&zwnj;&nbsp;&#8199;&shy;' * 150), subtype='html')
    return m.as_bytes().replace(b'\n', b'\r\n')


def test_newsletter(inbox):
    assert of(inbox, newsletter()) == 'Winter is coming Everything 20 % off \u2013 until Sunday.'


def test_alternative_prefers_plain(inbox):
    m = email.message.EmailMessage()
    m.set_content('The plain text\n')
    m.add_alternative('<p>The HTML</p>', subtype='html')
    assert of(inbox, m.as_bytes()) == 'The plain text'


def test_attachments_only(inbox):
    m = email.message.EmailMessage()
    m.add_attachment(b'%PDF', maintype='application', subtype='pdf', filename='a.pdf')
    m.add_attachment('not this', filename='a.txt')
    assert of(inbox, m.as_bytes()) == ''


def test_encrypted(inbox):
    """Section 3.2: zero length."""
    assert of(inbox, message(base64.encodebytes(os.urandom(300)), 'application/pkcs7-mime; smime-type=enveloped-data', 'base64')) == ''
    parts = (b'--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\n'
             b'Content-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nabc\r\n--b--\r\n')
    assert of(inbox, message(parts, 'multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b')) == ''
    assert of(inbox, message('-----BEGIN PGP MESSAGE-----\r\n\r\nabc\r\n-----END PGP MESSAGE-----\r\n')) == ''


@pytest.mark.parametrize('kind', ['pkcs7-signature', 'pgp-signature'])
def test_signed(inbox, kind):
    parts = (b'--b\r\nContent-Type: text/plain\r\n\r\nSigned\r\n--b\r\nContent-Type: application/%s\r\n\r\nabc\r\n--b--\r\n'
             % kind.encode())
    assert of(inbox, message(parts, 'multipart/signed; protocol="application/%s"; boundary=b' % kind)) == 'Signed'


def test_many(inbox):
    """The same for all ways a message comes in, and for a copy."""
    raw = message('One for all')
    inbox.ok('APPEND INBOX ', LitPlus(raw), ' ', LitPlus(raw))
    inbox.ok('CREATE There')
    inbox.ok('COPY 1 There')
    got = inbox.ok('FETCH 1:2 (PREVIEW)').fetch()
    assert [got[n]['PREVIEW'] for n in (1, 2)] == [b'One for all'] * 2
    inbox.ok('SELECT There')
    assert preview(inbox) == b'One for all'


def test_pipelined_and_uidonly(inbox):
    append(inbox, message('a'))
    tags = inbox.pipeline('FETCH 1 PREVIEW', 'FETCH 1 (PREVIEW (LAZY) UID)', 'NOOP')
    assert [inbox.wait(t).status for t in tags] == ['OK'] * 3
    inbox.ok('ENABLE UIDONLY')
    r = inbox.ok('UID FETCH 1 (PREVIEW)')
    assert r.all('UIDFETCH')


@pytest.mark.martlet('its index')
def test_lazy_without_index(own_server):
    """Section 4: what is not at hand is NIL for LAZY, and worked out for everybody else; then it is at hand."""
    with own_server.connect() as c:
        c.login('lazy', PASSWORD)
        c.select()
        for i in range(3):
            append(c, message('Text %d' % i))
    own_server.stop()
    found = glob.glob(own_server.dir + '/**/index', recursive=True)
    assert found
    for path in found:
        shutil.rmtree(path)
    own_server.start()
    with own_server.connect() as c:
        c.login('lazy', PASSWORD)
        c.select()
        got = c.ok('FETCH 1:3 (PREVIEW (LAZY) UID)').fetch()
        assert [got[n]['PREVIEW'] for n in (1, 2, 3)] == [None] * 3
        assert c.ok('FETCH 2 PREVIEW').fetch()[2]['PREVIEW'] == b'Text 1'
        c.noop()
        got = c.ok('FETCH 1:3 (PREVIEW (LAZY))').fetch()
        assert [got[n]['PREVIEW'] for n in (1, 2, 3)] == [None, b'Text 1', None]
        got = c.ok('FETCH 1:3 (ENVELOPE PREVIEW (LAZY))').fetch()  # for ENVELOPE it is read anyway
        assert [got[n]['PREVIEW'] for n in (1, 2, 3)] == [b'Text 0', b'Text 1', b'Text 2']


def test_notify(inbox, session):
    """As an item that new messages are told of with (RFC 5465 section 5.2)."""
    inbox.ok('NOTIFY SET (selected (MessageNew (UID PREVIEW (LAZY)) MessageExpunge))')
    session('INBOX').ok('APPEND INBOX ', LitPlus(message('New')))
    inbox.until(lambda r: r.kind == 'FETCH' and r.items().get('PREVIEW') == b'New')
