"""The administrator's tool on a running server, and on the directory of one that does not run."""
import datetime
import glob
import json
import os
import pty
import pwd
import re
import subprocess
import time

import pytest

from support import mails
from support.imap import Closed, Lit, flags
from support.server import BUILD_TYPE, PASSWORD, ROOT

pytestmark = pytest.mark.martlet('has other tools')


CTL = os.path.join(ROOT, 'build-' + BUILD_TYPE, 'src', 'tools', 'martletctl')


def run(server, *args, code=0, stdin=None):
    """Runs martletctl as a person does; what it prints."""
    where = ['-c', server.dir + '/martlet.conf', '-o', 'auth.app_passwords_file=' + server.dir + '/app-passwords']
    done = subprocess.run([CTL] + where + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100,
                          input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL, text=True)
    assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
    assert bool(done.stderr) == (code != 0 and not (code == 1 and done.stdout)), (args, done.stderr)
    return done.stdout if code in (0, 1) else done.stderr


def ctl(server, *args, code=0, stdin=None):
    """Runs martletctl --json; one dict a line."""
    where = ['-c', server.dir + '/martlet.conf', '-o', 'auth.app_passwords_file=' + server.dir + '/app-passwords']
    done = subprocess.run([CTL, '--json'] + where + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=100, input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL, text=True)
    assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def fill(server, user, count=30):
    with server.connect() as c:
        c.login(user, PASSWORD)
        for i in range(count):
            c.append('INBOX', mails.numbered(i, 20000))
        c.append('INBOX', mails.numbered(count, 2 << 20))
        c.select('INBOX')
        c.ok('STORE 1:%d +FLAGS.SILENT (\\Deleted)' % (count * 2 // 3))
        c.ok('COPY 1:5 Trash')
        c.ok('EXPUNGE')


def contents(server, user):
    with server.connect() as c:
        c.login(user, PASSWORD)
        found = {}
        for box in ('INBOX', 'Trash'):
            validity = c.ok('EXAMINE ' + box).codes()['UIDVALIDITY'].code_args
            r = c.ok('UID FETCH 1:* (UID FLAGS BODY.PEEK[])').fetch()
            found[box] = sorted((i['UID'], sorted(flags(i['FLAGS']) - {'\\recent'}), i['BODY[]']) for i in r.values())
            found[box, 'validity'] = validity
        return found


def sizes(server):
    return sum(os.path.getsize(p) for p in glob.glob(server.dir + '/state/accounts/*/*/log/*'))


def same(a, b, validity=True):
    if not validity:
        a, b = ({k: v for k, v in x.items() if isinstance(k, str)} for x in (a, b))
    return a == b


def test_work_on_a_running_server(own_server, new_user):
    s, names = own_server, [new_user() for _ in range(3)]
    for user in names:
        fill(s, user)
    before = {user: contents(s, user) for user in names}
    assert sorted(a['account'] for a in ctl(s, 'accounts')) == sorted(names)
    with s.connect() as c:  # somebody works meanwhile
        c.login(names[0], PASSWORD)
        c.select('INBOX')
        for command in (['check'], ['compact', '--erase'], ['check'], ['checkpoint'], ['check']):
            r = ctl(s, *command, '--all')
            assert sorted(a['account'] for a in r) == sorted(names)
            assert all(a['result'] == 'ok' and not a['findings'] for a in r), r
            c.ok('NOOP')
    for user in names:
        assert same(contents(s, user), before[user])
    assert ctl(s, 'rebuild', names[1])[0]['result'] == 'ok'
    assert same(contents(s, names[1]), before[names[1]])
    assert sizes(s) < 3 * (2.5 * (1 << 20) + 12 * 20000)
    assert ctl(s, 'check', 'nobody-of-that-name', code=3)[0]['error'] == 'not-found'
    s.kill()
    s.start()
    for user in names:
        assert same(contents(s, user), before[user])


def test_backup_and_restore(own_server, user, tmp_path):
    s, to = own_server, str(tmp_path / 'backup')
    fill(s, user)
    assert ctl(s, 'backup', '--to', to, '--all')[0]['result'] == 'ok'
    before = contents(s, user)
    fill(s, user, 6)
    # Clients have seen more than the backup has.
    assert ctl(s, 'restore', '--from', to, user)[0]['result'] == 'ok'
    restored = contents(s, user)
    assert same(restored, before, validity=False)
    assert restored['INBOX', 'validity'] != before['INBOX', 'validity']
    assert ctl(s, 'check', user)[0]['result'] == 'ok'
    fill(s, user, 6)
    assert ctl(s, 'backup', '--to', to, user)[0]['result'] == 'ok'
    full = contents(s, user)
    # Nothing lost: nothing changes for clients.
    s.stop()
    assert ctl(s, 'restore', '--from', to, user)[0]['result'] == 'ok'
    s.start()
    assert same(contents(s, user), full)
    # Not under a session.
    with s.connect() as c:
        c.login(user, PASSWORD)
        assert ctl(s, 'restore', '--from', to, user, code=3)[0]['error'] == 'busy'
        c.ok('NOOP')


def test_damage_is_found_without_a_server(own_server, user):
    s = own_server
    fill(s, user)
    s.stop()
    assert ctl(s, 'check', '--all')[0]['result'] == 'ok'
    assert ctl(s, 'rebuild', user)[0]['result'] == 'ok'
    segment = max(glob.glob(s.dir + '/state/accounts/*/*/log/*'), key=os.path.getsize)
    with open(segment, 'r+b') as f:
        f.seek(os.path.getsize(segment) // 2)
        byte = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([byte[0] ^ 1]))
    r = ctl(s, 'check', user, code=1)[0]
    assert r['result'] == 'damaged' and any(f['kind'] == 'damage' for f in r['findings'])
    s.start()


def test_usage(own_server):
    for args in (['check'], ['frobnicate', 'x'], ['backup', 'x'], ['check', 'x', '--all'], [], ['accounts', 'x']):
        ctl(own_server, *args, code=2)
    assert any(line['key'] == 'processes' for line in ctl(own_server, 'status'))


# --- the command line ---

def test_every_command_is_documented(server):
    """The table of commands is the usage, the help and (checked here) the manual page."""
    commands = ctl(server, 'help')
    names = [c['command'] for c in commands]
    assert {'user app-password add', 'sessions', 'kick', 'mailbox stat', 'config show', 'stats'} <= set(names)
    usage = run(server, '--help')
    with open(os.path.join(ROOT, 'man', 'martletctl.1'), encoding='utf-8') as f:
        page = f.read().replace('\\-', '-')
    for c in commands:
        assert re.search(r'^  %s +%s$' % (re.escape(c['command']), re.escape(c['help'])), usage, re.M)
        assert re.search(r'^\.B %s\b' % re.escape(c['command']), page, re.M), 'not in the manual: ' + c['command']
        text = run(server, 'help', *c['command'].split())
        assert text.startswith('martletctl ' + c['command']) and c['help'] in text
        assert run(server, *c['command'].split(), '--help') == text
    # ... and the manual has no other.
    listed = re.findall(r'^\.TP\n\.B ([a-z-]+(?: [a-z][a-z-]*)*)', page[page.index('.SH COMMANDS'):page.index('.SH OPTIONS')],
                        re.M)
    assert len(listed) >= len(names) and set(listed) <= set(names)


def test_every_setting_is_documented(server, tmp_path):
    """In martlet.conf(5), which is made from the commented file; the file is compared by a unit test."""
    made = tmp_path / 'martlet.conf.5'
    subprocess.run(['python3', ROOT + '/man/make_conf_page.py', ROOT + '/conf/martlet.conf', str(made)], check=True)
    page = made.read_text().replace('\\-', '-')
    settings = [s['setting'] for s in ctl(server, 'config', 'show', '--all')]
    assert len(settings) > 60
    for name in settings:
        assert '\n.TP\n.BR "%s" " = ' % name in page, name


def test_mistakes_on_the_command_line(server):
    for args, why in ((['frob'], 'there is no command "frob"'), (['user'], 'which one: user add'),
                      (['user', 'add'], 'an argument is missing'), (['mailbox', 'list', 'a', 'b'], 'one argument too many'),
                      (['status', '--erase'], 'status does not take --erase'), (['check'], 'either names or --all'),
                      (['kick', '--frob', 'x'], 'unrecognized option'), (['backup', 'x'], 'backup needs --to DIR')):
        text = run(server, *args, code=2)
        assert why in text and 'Try martletctl' in text
        assert ctl(server, *args, code=2) == []


def complete(server, line):
    script = os.path.join(ROOT, 'share', 'completion', 'martletctl.bash')
    line = line.replace('martletctl', 'martletctl -c %s/martlet.conf' % server.dir, 1)
    r = subprocess.run(['bash', '-c', 'source "$1"; COMP_LINE=$2 COMP_POINT=${#2}; COMPREPLY=(); _martletctl; '
                        'printf "%s\\n" "${COMPREPLY[@]}"', 'bash', script, line], stdout=subprocess.PIPE, text=True,
                       timeout=20, env=dict(os.environ, PATH=os.path.dirname(CTL) + ':' + os.environ['PATH']))
    return r.stdout.split('\n')[:-1]


def test_completion(server, user):
    user += '@example.org'
    with server.connect() as c:
        c.login(user, PASSWORD)
        c.ok('CREATE "Old letters"')
        session = ctl(server, 'sessions', user)[0]['session']
        assert 'user' in complete(server, 'martletctl ') and 'kick' in complete(server, 'martletctl k')
        assert complete(server, 'martletctl user app-password ') == ['add', 'list', 'revoke']
        assert complete(server, 'martletctl compact --er') == ['--erase']
        assert complete(server, 'martletctl config show imap.idle') == ['imap.idle_timeout']
        assert complete(server, 'martletctl config show log') >= ['log.format', 'log.level']
        assert complete(server, 'martletctl mailbox stat ' + user + ' Old') == ['Old\\ letters']
        # bash replaces only what follows the "@".
        assert complete(server, 'martletctl mailbox list ' + user[:-3]) == ['example.org']
        assert complete(server, 'martletctl kick ' + session[:8]) == [session]
        assert complete(server, 'martletctl help mailbox ') == ['list', 'stat', 'create', 'rename', 'delete']


# --- sessions ---

def test_sessions_and_kick(server, new_user):
    anna, bernd = new_user(), new_user()
    with server.connect() as a, server.connect(tls=True) as b, server.connect() as other:
        a.ok('ID ("name" "Mutt \x7e" "version" "2")')
        a.login(anna, PASSWORD)
        a.ok('EXAMINE INBOX')
        idle = a.start('IDLE')
        a.read()
        b.login(bernd, PASSWORD)
        other.login(anna, PASSWORD)
        both = ctl(server, 'sessions')
        assert {anna, bernd} <= {s['user'] for s in both}
        one, two = sorted(ctl(server, 'sessions', anna), key=lambda s: s['mailbox'], reverse=True)
        assert one['command'] == 'IDLE' and one['commands'] == 1 and one['mailbox'] == 'INBOX' and one['read_only']
        assert one['client'] == 'Mutt ~' and one['address'] == '127.0.0.1' and one['login'] == anna
        assert one['tls'] == '' and one['mechanism'] == 'PLAIN' and one['idle_seconds'] < 60
        assert one['bytes_in'] > 10 and one['bytes_out'] > 100 and re.fullmatch('[0-9a-f]{16}', one['session'])
        since = datetime.datetime.strptime(one['since'], '%Y-%m-%dT%H:%M:%SZ')
        assert abs((datetime.datetime.utcnow() - since).total_seconds()) < 120
        assert two['command'] == '' and two['mailbox'] == '' and two['session'] != one['session']
        assert ctl(server, 'sessions', bernd)[0]['tls'] in ('TLSv1.2', 'TLSv1.3')
        table = run(server, 'sessions', anna).splitlines()
        assert len(table) == 3 and table[0].split()[:4] == ['SESSION', 'USER', 'FROM', 'SINCE']
        assert table[0].index('DOING') == [x for x in table if ' IDLE ' in x[50:]][-1].index('IDLE')

        assert ctl(server, 'kick', one['session'])[0]['result'] == 'ok'
        assert bye(a)
        other.ok('NOOP')
        assert run(server, 'kick', anna) == '1 session ended\n'
        assert bye(other)
        b.ok('NOOP')
        assert ctl(server, 'kick', anna, code=3)[0]['error'] == 'not-found'
        assert run(server, 'sessions', anna) == 'There are no sessions.\n'
        assert idle


def bye(c):
    """The server says BYE, with a reason, and closes."""
    with pytest.raises(Closed):
        while True:
            c.read(10)
    said = [r for r in c.log if r.kind == 'BYE']
    return said and 'administrator' in said[-1].text


def test_many_sessions_are_all_listed(server, user):
    """More than one packet, and more than what a socket takes at once."""
    clients = [server.connect() for _ in range(150)]
    for c in clients:
        c.login(user, PASSWORD)
    assert len({s['session'] for s in ctl(server, 'sessions', user)}) == 150
    assert run(server, 'kick', user) == '150 sessions ended\n'
    for c in clients:
        c.close()


def test_without_a_server(own_server):
    s = own_server
    with s.connect() as c:
        c.login('somebody', PASSWORD)
    s.stop()
    for args in (['sessions'], ['kick', 'x'], ['stats'], ['mailbox', 'list', 'somebody']):
        assert 'no server runs' in run(s, *args, code=4)
        assert ctl(s, *args, code=4)[0]['result'] == 'failed'
    assert ctl(s, 'status') == [{'key': 'server', 'value': 'does not run'}]
    assert 'No such file' in run(s, '-c', '/nowhere/martlet.conf', 'accounts', code=4)
    assert ctl(s, 'user', 'delete', 'somebody', '--with-mail', '--yes')[0]['result'] == 'ok'
    assert ctl(s, 'accounts') == []
    assert not glob.glob(s.dir + '/state/accounts/*/*')
    s.start()


@pytest.mark.skipif(os.geteuid() != 0, reason='needs root')
def test_root_works_as_the_owner_of_the_directory(own_server, user, tmp_path, monkeypatch):
    """Nothing that root does while the server is down keeps the server's user from going on."""
    s, to = own_server, str(tmp_path / 'backup')
    fill(s, user)
    s.stop()
    monkeypatch.setenv('ASAN_OPTIONS', 'detect_leaks=0')  # that cannot be done after a change of user
    nobody = pwd.getpwnam('nobody')
    os.chmod(s.dir, 0o711)
    for folder, _, files in os.walk(s.dir + '/state'):
        for path in [folder] + [os.path.join(folder, f) for f in files]:
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
    for command in (['check'], ['rebuild'], ['compact'], ['checkpoint'], ['backup', '--to', to], ['restore', '--from', to],
                    ['check']):
        assert ctl(s, *command, user)[0]['result'] == 'ok', command
    owners = {os.lstat(os.path.join(folder, f)).st_uid for folder, _, files in os.walk(s.dir + '/state') for f in files}
    assert owners == {nobody.pw_uid}
    assert os.stat(to).st_uid == 0 and not glob.glob(s.dir + '/state/run/stage*')
    for folder, _, files in os.walk(s.dir + '/state'):
        for path in [folder] + [os.path.join(folder, f) for f in files]:
            os.chown(path, 0, 0)
    s.start()
    assert contents(s, user)['INBOX']


# --- mailboxes ---

def test_mailboxes(server, user):
    with server.connect() as c:
        c.login(user, PASSWORD)
        c.append('INBOX', mails.numbered(1, 5000))
        c.append('INBOX', mails.numbered(2, 5000))
        assert ctl(server, 'mailbox', 'create', user, 'Work/2026')[0]['result'] == 'ok'
        assert ctl(server, 'mailbox', 'create', user, 'Work/2026', code=3)[0]['error'] == 'exists'
        assert ctl(server, 'mailbox', 'create', user, 'a//b', code=3)[0]['error'] == 'invalid'
        names = [m['mailbox'] for m in ctl(server, 'mailbox', 'list', user)]
        assert 'INBOX' in names and 'Work' in names and 'Work/2026' in names
        c.select('INBOX')
        c.ok('STORE 1 +FLAGS (\\Seen)')
        stat, = ctl(server, 'mailbox', 'stat', user, 'inbox')
        assert (stat['mailbox'], stat['messages'], stat['unseen'], stat['uidnext']) == ('INBOX', 2, 1, 3)
        assert stat['size'] > 9000 and stat['exists'] and stat['subscribed'] and stat['highestmodseq'] > 1
        assert [str(stat['uidvalidity'])] == c.ok('EXAMINE INBOX').codes()['UIDVALIDITY'].code_args
        assert re.fullmatch('[0-9a-f]{32}', stat['id'])
        sent = [m for m in ctl(server, 'mailbox', 'list', user) if m['mailbox'] == 'Sent'][0]
        assert sent['special_use'] == ['\\Sent'] and sent['messages'] == 0
        text = run(server, 'mailbox', 'list', user)
        assert re.search(r'^INBOX +2 +1 +\d', text, re.M) and text.startswith('MAILBOX')
        assert re.search(r'^UIDNEXT +3$', run(server, 'mailbox', 'stat', user, 'INBOX'), re.M)
        # The client's selected mailbox goes on; a renamed one keeps what it is.
        before, = ctl(server, 'mailbox', 'stat', user, 'Work/2026')
        run(server, 'mailbox', 'rename', user, 'Work', 'Past')
        after, = ctl(server, 'mailbox', 'stat', user, 'Past/2026')
        assert after['id'] == before['id'] and 'Work' not in run(server, 'mailbox', 'list', user)
        assert 'say --yes' in run(server, 'mailbox', 'delete', user, 'Past/2026', code=2)
        run(server, 'mailbox', 'delete', user, 'Past/2026', '--yes')
        assert ctl(server, 'mailbox', 'stat', user, 'Past/2026', code=3)[0]['error'] == 'not-found'
        assert 'INBOX cannot be deleted' in run(server, 'mailbox', 'delete', user, 'INBOX', '--yes', code=3)
        c.ok('NOOP')
    assert 'no such account' in run(server, 'mailbox', 'list', 'nobody-' + user, code=3)


def test_stats(server, user):
    with server.connect() as c:
        c.login(user, PASSWORD)
        c.append('INBOX', mails.numbered(1, 5000))
        of, = ctl(server, 'stats', user)
        assert of['account'] == user and of['messages'] == 1 and of['mailboxes'] == 6 and of['size'] > 4000
        assert of['log_bytes'] >= of['size'] - 4096 and of['index_bytes'] > 0
        objects = ctl(server, 'stats')
        whole, = [o for o in objects if o['kind'] == 'server']
        processes = [o for o in objects if o['kind'] == 'process']
        assert whole['sessions'] >= 1 and whole['accounts'] >= 1 and whole['appends'] >= 1
        assert whole['log_bytes'] >= of['log_bytes'] and whole['bytes_in'] > 5000
        names = sorted(p['process'] for p in processes)
        assert 'martlet' in names and 'martlet-auth' in names and 'martlet-mail' in names and 'martlet-login' in names
        assert all(p['memory'] > 50000 and os.path.exists('/proc/%d' % p['pid']) for p in processes)
        assert whole['memory'] == sum(p['memory'] for p in processes)
        text = run(server, 'stats')
        assert re.search(r'^sessions +\d+$', text, re.M) and re.search(r'^martlet-mail +\d+ +[0-9.]+ [KM]B', text, re.M)
        assert re.search(r'^%s +6 +1 +1 ' % re.escape(user), run(server, 'stats', '--all'), re.M)
    assert ctl(server, 'stats', 'nobody-' + user, code=3)[-1]['error'] == 'not-found'


# --- configuration ---

def test_config_check_and_show(server, tmp_path):  # the server: what is run is built
    f = tmp_path / 'martlet.conf'

    def tool(*args, code=0):
        r = subprocess.run([CTL] + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20)
        assert r.returncode == code, (r.returncode, r.stdout, r.stderr)
        return r.stdout
    f.write_text('imaps.listen = []\nlog.level = debug\nimap {\n  line_max = 100kb\n}\nauth.any_user_password = hush\n')
    text = tool('config', 'check', str(f), code=1)
    assert '%s:6: auth.any_user_password: it is for tests, and refused because *:143' % f in text
    problem, = map(json.loads, tool('config', 'check', str(f), '--json', code=1).splitlines())
    assert (problem['severity'], problem['setting'], problem['line']) == ('mistake', 'auth.any_user_password', 6)
    listen = ['-o', 'imap.listen="127.0.0.1:143"']
    assert tool('config', 'check', str(f), *listen) == 'The configuration is good.\n'
    assert tool('config', 'check', str(f), *listen, '-q') == tool('config', 'check', str(f), *listen, '--json') == ''
    # A warning is no mistake.
    assert tool('config', 'check', '-c', str(f), *listen, '-o', 'login.plaintext=on').startswith('warning: -o: login.')

    shown = {x['setting']: x for x in map(json.loads, tool('config', 'show', '-c', str(f), *listen, '--json').splitlines())}
    assert set(shown) == {'imaps.listen', 'log.level', 'imap.line_max', 'auth.any_user_password', 'imap.listen'}
    assert shown['log.level']['value'] == 'debug' and shown['log.level']['line'] == 2 and shown['log.level']['file'] == str(f)
    assert shown['imap.listen']['from'] == 'option' and shown['imap.line_max']['value'] == '100kb'
    assert 'hush' not in tool('config', 'show', '-c', str(f), '--all', '--json')
    every = tool('config', 'show', '-c', str(f), '--all')
    assert re.search(r'^imap.line_max +100kb +%s:4$' % re.escape(str(f)), every, re.M)
    assert re.search(r'^imap.idle_timeout +30min +default$', every, re.M)
    section = tool('config', 'show', '-c', str(f), 'lmtp', '--json').splitlines()
    assert len(section) > 3 and all(json.loads(x)['setting'].startswith('lmtp.') for x in section)
    tool('config', 'show', '-c', str(f), 'lmtp.foo', code=3)

    for text, why in (('log.lvel = info', '1: there is no setting "log.lvel"; did you mean "log.level"?'),
                      ('\nlogin.timeout = 5mins', '2: login.timeout: "5mins" is not a time (a number with ms, s, min, h, d or '
                                                  'w); did you mean "5min"?'),
                      ('log.level = info\nlog.level = debug', '2: log.level is set already in line 1; one of the two has to go'),
                      ('.include "other"', '1: macros such as .include are not read: one file has all settings'),
                      ('imaps.listen = "127.0.0.1:993"\ntls.certificate = /nowhere/c.pem',
                       '2: tls.certificate: /nowhere/c.pem: No such file or directory, but imaps.listen needs a')):
        f.write_text(text)
        assert '%s:%s' % (f, why) in tool('config', 'check', str(f), code=1)
        problem = json.loads(tool('config', 'check', '-c', str(f), '--json', code=1).splitlines()[0])
        assert (problem['severity'], problem['file'], problem['line']) == ('mistake', str(f), int(why[0]))
    tool('config', 'check', str(tmp_path / 'none'), code=4)


# --- users ---

def can_log_in(server, user, password):
    with server.connect() as c:
        return c.cmd('LOGIN "%s" "%s"' % (user, password)).status == 'OK'


def type_at_a_terminal(server, args, *lines):
    """martletctl with a terminal, at which somebody types."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(CTL, [CTL, '-c', server.dir + '/martlet.conf'] + args)
    seen = b''
    try:
        for line in lines:
            while not seen.endswith(b': '):
                seen += os.read(fd, 1000)
            os.write(fd, line.encode() + b'\n')
            seen += os.read(fd, 1)
        while True:
            seen += os.read(fd, 1000)
    except OSError:
        pass
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()


@pytest.mark.settings('auth.failure_delay=1ms', 'auth.failure_delay_max=2ms')
def test_users(own_server, tmp_path):
    s = own_server
    assert run(s, 'user', 'list') == 'There are no users.\n'
    assert run(s, 'user', 'add', 'anna', '--password-stdin', stdin='correct horse\n') == 'anna is added\n'
    made, = ctl(s, 'user', 'add', 'bernd', '--generate')
    assert made['user'] == 'bernd' and len(made['password']) > 20
    assert 'already' in run(s, 'user', 'add', 'anna', '--generate', code=3)
    assert 'say --password-stdin or --generate' in run(s, 'user', 'add', 'carla', code=2)
    assert 'empty' in run(s, 'user', 'add', 'carla', '--password-stdin', stdin='\n', code=3)
    assert 'no scheme "rot13"' in run(s, 'user', 'add', 'carla', '--generate', '--scheme', 'rot13', code=2)
    assert ctl(s, 'user', 'passwd', 'nobody', '--generate', code=3)[0]['error'] == 'not-found'
    users = {u['user']: u for u in ctl(s, 'user', 'list')}
    assert set(users) == {'anna', 'bernd'} and users['anna'] == {'user': 'anna', 'disabled': False, 'password': True,
                                                                'scram': True, 'app_passwords': 0}
    with open(s.dir + '/users') as f:
        assert 'horse' not in f.read()
    assert os.stat(s.dir + '/users').st_mode & 0o077 == 0
    # The server knows without being told.
    assert can_log_in(s, 'anna', 'correct horse') and can_log_in(s, 'bernd', made['password'])
    assert not can_log_in(s, 'anna', made['password'])
    # Names are prepared as those of clients are (RFC 8265).
    assert run(s, 'user', 'add', 'Dora', '--password-stdin', stdin='pass word\n') == 'dora is added\n'
    assert can_log_in(s, 'DORA', 'pass word')
    assert 'cannot be the name' in run(s, 'user', 'add', 'a\tb', '--generate', code=3)
    assert 'cannot be a password' in run(s, 'user', 'passwd', 'dora', '--password-stdin', stdin='a\tb\n', code=3)
    run(s, 'user', 'passwd', 'dora', '--password-stdin', stdin='bu\u0308cher\n')
    with s.connect(tls=True) as c:
        c.ok('LOGIN dora ', Lit('b\u00fccher'.encode()))
    assert run(s, 'user', 'delete', 'DORA').startswith('dora is deleted')
    # Typed: twice, without echo.
    code, seen = type_at_a_terminal(s, ['user', 'passwd', 'anna'], 'new one', 'new one')
    assert code == 0 and 'new one' not in seen and 'changed' in seen
    code, seen = type_at_a_terminal(s, ['user', 'passwd', 'anna'], 'this', 'that')
    assert code == 3 and 'not the same' in seen
    assert can_log_in(s, 'anna', 'new one') and not can_log_in(s, 'anna', 'correct horse')

    with s.connect() as c:
        c.login('anna', 'new one')
        assert run(s, 'user', 'disable', 'anna') == 'anna is disabled; 1 session ended\n'
        assert bye(c)
    assert not can_log_in(s, 'anna', 'new one')
    assert 'yes' in re.search(r'^anna .*$', run(s, 'user', 'list'), re.M).group()
    run(s, 'user', 'enable', 'anna')
    assert can_log_in(s, 'anna', 'new one')
    with s.connect() as c:
        c.login('anna', 'new one')
        assert ctl(s, 'user', 'passwd', 'anna', '--generate', '--kick')[0]['sessions_ended'] == 1
    assert run(s, 'user', 'delete', 'anna') == 'anna is deleted; the mail is still there\n'
    assert 'anna' in [a['account'] for a in ctl(s, 'accounts')]
    assert 'no user anna' in run(s, 'user', 'delete', 'anna', code=3)


def test_app_passwords(own_server):
    s = own_server
    ctl(s, 'user', 'add', 'anna', '--generate')
    phone, = ctl(s, 'user', 'app-password', 'add', 'anna', 'my phone', '--protocols', 'imap,smtp', '--expires', '30d')
    tv, = ctl(s, 'user', 'app-password', 'add', 'anna', 'tv', '--expires', '2099-12-31')
    assert phone['user'] == 'anna' and phone['name'] == 'my phone' and len(phone['password']) >= 20
    assert 'already' in run(s, 'user', 'app-password', 'add', 'anna', 'tv', code=3)
    for when in ('soon', '0d', '2001-01-01', '5min', ''):
        assert 'allowed are such as 90d' in run(s, 'user', 'app-password', 'add', 'anna', 'x', '--expires', when, code=2)
    found = {p['name']: p for p in ctl(s, 'user', 'app-password', 'list')}
    assert set(found) == {'my phone', 'tv'} and found['my phone']['protocols'] == ['imap', 'smtp']
    assert found['tv']['protocols'] == [] and found['tv']['expires'].startswith('2099-12-31') or found['tv']['expires'][:4] == '2100'
    expires = datetime.datetime.strptime(found['my phone']['expires'], '%Y-%m-%dT%H:%M:%SZ')
    assert 29 <= (expires - datetime.datetime.utcnow()).days <= 30
    assert 'password' not in found['tv'] and phone['password'] not in run(s, 'user', 'app-password', 'list')
    assert ctl(s, 'user', 'list')[0]['app_passwords'] == 2
    assert 'revoked' in run(s, 'user', 'app-password', 'revoke', 'anna', phone['id'])
    assert ctl(s, 'user', 'app-password', 'revoke', 'anna', phone['id'], code=3)[0]['error'] == 'not-found'
    assert [p['id'] for p in ctl(s, 'user', 'app-password', 'list', 'anna')] == [tv['id']]
    ctl(s, 'user', 'delete', 'anna')
    assert ctl(s, 'user', 'app-password', 'list') == []


def test_delete_with_mail(own_server, new_user):
    """Sessions end, the directory goes, the name is free: whatever its clients are doing."""
    s, user, other = own_server, new_user(), new_user()
    run(s, 'user', 'add', user, '--generate')
    with s.connect() as idle, s.connect() as busy, s.connect() as bystander:
        for c in (idle, busy):
            c.login(user, PASSWORD)
            c.select()
        bystander.login(other, PASSWORD)
        for i in range(20):
            busy.append('INBOX', mails.numbered(i, 100000))
        idle.start('IDLE')
        busy.start('FETCH 1:* BODY.PEEK[]')  # and does not read
        assert 'say --yes' in run(s, 'user', 'delete', user, '--with-mail', code=2)
        account = [a['id'] for a in ctl(s, 'accounts') if a['account'] == user][0]
        assert run(s, 'user', 'delete', user, '--with-mail', '--yes') == user + ' and its mail are deleted\n'
        bystander.ok('NOOP')
    assert not glob.glob(s.dir + '/state/accounts/*/%s*' % account)
    assert user not in [a['account'] for a in ctl(s, 'accounts')]
    with s.connect() as c:
        c.login(user, PASSWORD)
        assert c.select().one('EXISTS').num == 0
    # Of a user that the file does not know; and once more.
    text = run(s, 'user', 'delete', user, '--with-mail', '--yes')
    assert 'was not in' in text
    assert 'neither a user nor an account' in run(s, 'user', 'delete', user, '--with-mail', '--yes', code=3)
    s.kill()
    s.start()
    assert [a['account'] for a in ctl(s, 'accounts')] == [other]


def test_delete_that_was_interrupted(own_server, new_user):
    """The directory has been moved, nothing else was done: the next start finishes."""
    s, user = own_server, new_user()
    with s.connect() as c:
        c.login(user, PASSWORD)
        c.append('INBOX', mails.numbered(1, 1000))
    s.stop()
    path, = glob.glob(s.dir + '/state/accounts/??/*')
    os.makedirs(s.dir + '/state/accounts/discarded', exist_ok=True)
    os.rename(path, s.dir + '/state/accounts/discarded/' + os.path.basename(path))
    s.start()
    deadline = time.monotonic() + 20
    while glob.glob(s.dir + '/state/accounts/discarded/*') or ctl(s, 'accounts'):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with s.connect() as c:
        c.login(user, PASSWORD)
        assert c.select().one('EXISTS').num == 0


def test_erased_while_a_session_shows_it(server, connect, user):
    """compact --erase takes the octets of what has been expunged, also from sessions that still show it: they are told that
    it has been expunged (RFC 5530 EXPUNGEISSUED), or are given it, but hear nothing of damage."""
    c = connect()
    c.login(user, PASSWORD)
    for i in range(30):
        c.append('INBOX', mails.numbered(i, 20000))
    c.select()
    other = connect()
    other.login(user, PASSWORD)
    other.select()
    other.ok('STORE 1:29 +FLAGS.SILENT (\\Deleted)')
    other.ok('EXPUNGE')
    for _ in range(2):
        run(server, 'compact', user, '--erase')
        for items in ('BODY.PEEK[]', 'BODY.PEEK[TEXT]<0.2048>', '(FLAGS ENVELOPE)', '(BODYSTRUCTURE BODY.PEEK[HEADER])'):
            r = c.cmd('FETCH 1:30 ' + items)
            assert r.status == 'OK' or r.code == 'EXPUNGEISSUED', r
            assert 30 in r.fetch(), 'the one that is left is complete'
    c.ok('NOOP')
    assert len(c.uids) == 1
