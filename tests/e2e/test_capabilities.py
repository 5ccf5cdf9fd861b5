"""docs/capabilities.md has the whole registry, and says of each capability what the server does."""
import os
import re

import pytest

from support.server import PASSWORD, ROOT

pytestmark = pytest.mark.martlet('its documentation')

REGISTRY = '''ACL ANNOTATE-EXPERIMENT-1 APPENDLIMIT= AUTH= BINARY CATENATE CHILDREN COMPRESS=DEFLATE CONDSTORE CONTEXT=SEARCH
CONTEXT=SORT CONVERT CREATE-SPECIAL-USE ENABLE ESEARCH ESORT FILTERS I18NLEVEL=1 I18NLEVEL=2 ID IDLE IMAP4rev1 IMAP4rev2
IMAPSIEVE= INPROGRESS JMAPACCESS LANGUAGE LIST-EXTENDED LIST-METADATA LIST-MYRIGHTS LIST-STATUS LITERAL+ LITERAL-
LOGIN-REFERRALS LOGINDISABLED MAILBOX-REFERRALS MESSAGELIMIT= METADATA METADATA-SERVER MOVE MULTIAPPEND MULTISEARCH NAMESPACE
NOTIFY OBJECTID PARTIAL PREVIEW QRESYNC QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE QUOTA=RES-MAILBOX
QUOTA=RES-ANNOTATION-STORAGE QUOTASET REPLACE RIGHTS= SASL-IR SAVEDATE SAVELIMIT= SEARCH=FUZZY SEARCHRES SORT SORT=DISPLAY
SPECIAL-USE STARTTLS STATUS=SIZE THREAD=ORDEREDSUBJECT THREAD=REFERENCES UIDBATCHES UIDONLY UIDPLUS UNAUTHENTICATE UNSELECT
URL-PARTIAL URLAUTH URLAUTH=BINARY UTF8=ACCEPT UTF8=ALL UTF8=APPEND UTF8=ONLY UTF8=USER WITHIN'''.split()


def rows():
    """name -> (since, shown, specification, tests, remarks)"""
    out = {}
    with open(os.path.join(ROOT, 'docs', 'capabilities.md')) as f:
        for line in f:
            cells = [c.strip() for c in line.strip().strip('|').split('|')]
            if line.startswith('| `'):
                for name in re.findall('`([^`]+)`', cells[0]):
                    assert name not in out, name
                    out[name] = (cells[1], cells[2], cells[3], re.findall('`([^`]+)`', cells[4]), cells[5])
    return out


def documented(shown):
    return {name for name, row in rows().items() if row[1] in shown}


def listed(answer):
    """The names as the page has them: those that end with "=" may be followed by anything."""
    prefixes = [n for n in rows() if n.endswith('=')]
    return {next((p for p in prefixes if n.startswith(p)), n) for n in answer}


def capabilities(c):
    return listed(c.ok('CAPABILITY').one('CAPABILITY').data)


def test_whole_registry():
    assert set(REGISTRY) <= set(rows())


def test_rows_are_complete():
    """Who offers something names tests, which exist; who does not says why."""
    for name, (since, shown, spec, tests, remarks) in rows().items():
        if since == '–':
            assert shown == '–' and not tests and remarks, name
            continue
        assert shown in ('always', 'before login', 'after login', 'setting') and tests, name
        assert shown != 'setting' or remarks, name
        for test in tests:
            path = os.path.join(ROOT, 'tests', 'e2e', test)
            assert os.path.exists(path), '%s: %s' % (name, test)
        text = ''.join(open(os.path.join(ROOT, 'tests', 'e2e', t)).read() for t in tests).lower()
        words = {name.rstrip('=').lower(), name.split('=')[-1].lower()} - {''}
        rfc = re.search(r'RFC (\d+)', spec)
        assert any(w in text for w in words) or rfc and rfc.group(1) in text, '%s is not in its tests' % name


def test_before_login(connect):
    got = capabilities(connect())
    assert got == documented(('always', 'before login')), 'docs/capabilities.md'
    assert capabilities(connect(tls=True)) == got - {'STARTTLS'}
    c = connect()
    assert listed(c.greeting.code_args) == got
    c.starttls()
    assert capabilities(c) == got - {'STARTTLS'}


def test_after_login(connect, user):
    c = connect()
    r = c.login(user, PASSWORD)
    assert capabilities(c) == documented(('always', 'after login')), 'docs/capabilities.md'
    assert listed(r.code_args) == capabilities(c)


@pytest.mark.settings('imap.literal=minus')
def test_literal_minus(own_server):
    with own_server.connect() as c:
        got = capabilities(c)
        assert 'LITERAL-' in got and 'LITERAL+' not in got
