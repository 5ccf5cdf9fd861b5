"""What an administrator sees: metrics, log lines, protocol traces.

Metrics: OpenMetrics 1.0, and the text form that `promtool check metrics` reads.
"""
import base64
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from support import mails
from support.imap import SLOW
from support.lmtp import Lmtp
from support.server import BUILD_TYPE, PASSWORD, ROOT, children, free_ports

pytestmark = pytest.mark.martlet('metrics and logs')
settings = pytest.mark.settings
METRICS_PORT = free_ports(1)[0]
METRICS = 'metrics.listen="127.0.0.1:%d"' % METRICS_PORT
MARKER = 'Zyzzyva7'


def get(path='/metrics', accept=None, method='GET', port=METRICS_PORT):
    r = urllib.request.Request('http://127.0.0.1:%d%s' % (port, path), method=method,
                               headers={'Accept': accept} if accept else {})
    return urllib.request.urlopen(r, timeout=10)


def scrape():
    """{'name{labels}': value} of the older text form."""
    values = {}
    for line in get().read().decode().splitlines():
        if not line.startswith('#'):
            name, value = line.rsplit(' ', 1)
            values[name] = float(value)
    return values


def wait_for(what, seconds=10):
    deadline = time.monotonic() + seconds * SLOW
    while True:
        r = what()
        if r or time.monotonic() > deadline:
            return r
        time.sleep(0.05)


def login(s, user='joe', password=PASSWORD, **more):
    c = s.connect(**more)
    c.login(user, password)
    return c


def fields(line):
    """A logfmt line as a dict."""
    out = {}
    for key, quoted, plain in re.findall(r'([a-z_0-9-]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))', line):
        out[key] = quoted or plain
    return out


def events(s, name):
    return [fields(x) for x in s.output if ' event=%s ' % name in x + ' ']


def ctl(s, *args):
    return subprocess.run(['%s/build-%s/src/tools/martletctl' % (ROOT, BUILD_TYPE), '--dir', s.dir + '/state', *args],
                          capture_output=True, text=True, timeout=60)


# --- metrics ---

@settings(METRICS)
def test_metrics(own_server):
    s = own_server
    before = scrape()
    c = login(s, tls=True)
    d = login(s, 'jane')
    c.append('INBOX', mails.numbered(1, 2000))
    c.select()
    c.ok('FETCH 1 (FLAGS BODY[])')
    assert c.cmd('SELECT Nowhere').status == 'NO'
    c.ok('SELECT INBOX')
    bad = s.connect()
    assert bad.cmd('LOGIN joe wrong').status == 'NO'
    c.send(b'i1 IDLE\r\n')

    def grown():
        now = scrape()
        assert now.keys() >= before.keys()
        return now if now.get('martlet_connections{state="idle",tls="TLSv1.3"}') == 1 else None
    now = wait_for(grown)
    assert now, 'the IDLE does not show'

    def diff(name):
        return now[name] - before.get(name, 0)
    assert now['martlet_connections{state="authenticated",tls="none"}'] == 1
    assert diff('martlet_appended_messages_total') == 1
    assert diff('martlet_command_duration_seconds_count{command="APPEND"}') == 1
    assert diff('martlet_command_duration_seconds_bucket{command="FETCH",le="+Inf"}') == 1
    assert diff('martlet_command_answers_total{result="no"}') == 1
    assert diff('martlet_received_bytes_total') > 2000
    assert diff('martlet_sent_bytes_total') > 2000
    assert diff('martlet_log_sync_duration_seconds_count') >= 1
    assert diff('martlet_commit_batch_requests_count') >= 1
    assert diff('martlet_account_opens_total{result="miss"}') == 2
    assert diff('martlet_logins_total{mechanism="PLAIN",result="ok"}') == 2
    assert diff('martlet_logins_total{mechanism="PLAIN",result="credentials"}') == 1
    assert diff('martlet_login_duration_seconds_count') == 2
    assert diff('martlet_connections_accepted_total{listener="imaps"}') == 1
    assert diff('martlet_connections_accepted_total{listener="imap"}') == 2
    assert diff('martlet_tls_handshakes_total{tls="TLSv1.3",result="full"}') == 1
    assert now['martlet_accounts_open'] == 2
    c.send(b'DONE\r\n')
    c.close()
    d.close()
    gone = wait_for(lambda: not any(v for k, v in scrape().items() if k.startswith('martlet_connections{state="i')
                                    or k.startswith('martlet_connections{state="a')))
    assert gone, 'connections that have ended are still counted'


@settings(METRICS, 'lmtp.domains=["example.org"]')
def test_deliveries(own_server):
    s = own_server
    c = Lmtp(s.host, s.lmtp)
    c.lhlo()
    assert scrape()['martlet_connections{state="lmtp",tls="none"}'] == 1
    for _ in range(2):
        assert c.deliver('a@example.net', ['joe@example.org', 'x@example.com'], mails.numbered(1)) == ([250, 550], [250])
    c.close()
    now = scrape()
    assert [now['martlet_deliveries_total{result="%s"}' % x] for x in ('stored', 'duplicate', 'unknown_user')] == [1, 1, 2]
    assert now['martlet_connections_accepted_total{listener="lmtp"}'] == 1
    assert wait_for(lambda: scrape()['martlet_connections{state="lmtp",tls="none"}'] == 0)
    assert wait_for(lambda: [x['result'] for x in events(s, 'delivery')] == ['stored', 'duplicate'])


@settings(METRICS)
def test_forms(own_server):
    """What Prometheus and others read, and what is refused."""
    c = login(own_server)
    c.append('INBOX', mails.numbered(1))
    with get() as r:
        assert r.headers['Content-Type'].startswith('text/plain; version=0.0.4')
        text = r.read()
    if shutil.which('promtool'):
        p = subprocess.run(['promtool', 'check', 'metrics'], input=text, capture_output=True, timeout=30)
        assert p.returncode == 0 and not p.stderr, p.stderr.decode()
    with get(accept='application/openmetrics-text;version=1.0.0,text/plain;q=0.5') as r:
        assert r.headers['Content-Type'].startswith('application/openmetrics-text; version=1.0.0')
        open_text = r.read().decode()
    assert open_text.endswith('# EOF\n')
    check_openmetrics(open_text)
    with get(method='HEAD') as r:
        assert r.read() == b''
    with get('/') as r:
        assert b'/metrics' in r.read()
    idle = [socket.create_connection(('127.0.0.1', METRICS_PORT)) for _ in range(40)]
    for s, junk in zip(idle, (b'\0\xff' * 100, b'GET /metrics HTTP/1.1\r\nX: ' + b'y' * 100000, b'GET\r\n\r\n',
                              b'POST /metrics HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n')):
        try:
            s.sendall(junk)
        except OSError:
            pass
    for s in idle:
        s.close()
    assert wait_for(lambda: get().status == 200)
    for path, method, code in (('/x', 'GET', 404), ('/metrics/', 'GET', 404), ('/metrics', 'POST', 405)):
        with pytest.raises(urllib.error.HTTPError) as e:
            get(path, method=method)
        assert e.value.code == code


def check_openmetrics(text):
    """The rules of OpenMetrics 1.0 that a writer of it is likely to break."""
    kinds, seen, family = {}, set(), None
    suffixes = {'counter': ('_total',), 'gauge': ('',), 'info': ('_info',),
                'histogram': ('_bucket', '_count', '_sum')}
    for line in text.splitlines()[:-1]:
        if line.startswith('# '):
            word, name, rest = line[2:].split(' ', 2)
            assert word in ('TYPE', 'UNIT', 'HELP')
            if word == 'TYPE':
                assert name not in kinds, 'families are together'
                kinds[name] = rest
                family = name
            assert name == family
            if word == 'UNIT':
                assert name.endswith('_' + rest)
            continue
        m = re.fullmatch(r'([a-z_]+)(\{(?:[a-z_]+="[^"\\]*",?)+\})? (-?[0-9.]+)', line)
        assert m, line
        name, labels, value = m.groups()
        assert name in [family + x for x in suffixes[kinds[family]]], line
        assert line.rsplit(' ', 1)[0] not in seen, line
        seen.add(line.rsplit(' ', 1)[0])
    assert len(kinds) > 20


@settings(METRICS, 'mail.processes=1')
def test_counters_survive_a_crash(own_server):
    """A process that is killed takes nothing along but what it was just doing."""
    s = own_server
    c = login(s)
    for i in range(5):
        c.append('INBOX', mails.numbered(i))
    assert scrape()['martlet_appended_messages_total'] == 5
    mail = [p for p in children(s.process.pid) if 'martlet-mail' in os.readlink('/proc/%d/exe' % p)]
    assert len(mail) == 1
    os.kill(mail[0], signal.SIGKILL)

    def back():
        try:
            d = login(s)
            d.append('INBOX', mails.numbered(9))
            return d
        except Exception:
            return None
    d = wait_for(back)
    assert d
    now = scrape()
    assert now['martlet_appended_messages_total'] == 6
    assert now['martlet_connections{state="authenticated",tls="none"}'] == 1
    assert now['martlet_process_restarts_total{process="mail"}'] == 1
    started = now['martlet_process_start_time_seconds{process="mail.0"}']
    assert abs(time.time() - started) < 60 * SLOW
    assert wait_for(lambda: scrape()['martlet_process_resident_memory_bytes{process="mail.0"}'] > 1e6)
    metrics = [p for p in children(s.process.pid) if 'martlet-metrics' in os.readlink('/proc/%d/exe' % p)]
    os.kill(metrics[0], signal.SIGKILL)

    def again():
        try:
            return scrape()
        except OSError:
            return None
    now = wait_for(again)
    assert now['martlet_appended_messages_total'] == 6
    assert now['martlet_process_restarts_total{process="metrics"}'] == 1


def test_reload(tmp_path):
    """SIGHUP switches metrics on, and moves them."""
    from support import server as support_server
    s = support_server.make()
    s.start()
    try:
        conf = s.dir + '/martlet.conf'
        with open(conf) as f:
            text = f.read()
        c = login(s)
        c.append('INBOX', mails.numbered(1))

        def reload(more):
            with open(conf, 'w') as f:
                f.write(text + more)
            mark = len(s.output)
            s.process.send_signal(signal.SIGHUP)
            assert wait_for(lambda: any(re.search('event"?[=:]"?reloaded', x) for x in s.output[mark:]))
        ports = free_ports(2)
        for port, form in zip(ports, ('json', 'logfmt')):
            reload('\nmetrics { listen = ["127.0.0.1:%d"] }\nlog { format = %s }\n' % (port, form))

            def answered():
                try:
                    with get(port=port) as r:
                        return b'\nmartlet_appended_messages_total 1\n' in r.read()
                except OSError:
                    return False
            assert wait_for(answered), 'what was counted before is there as well'
        with pytest.raises(OSError):
            get(port=ports[0])
        c.noop()
    finally:
        s.stop()
        s.remove()


def test_no_metrics_unless_asked(server):
    names = [os.readlink('/proc/%d/exe' % p) for p in children(server.process.pid) if os.path.exists('/proc/%d/exe' % p)]
    assert not any('martlet-metrics' in x for x in names)


def test_loopback_only():
    p = subprocess.run(['%s/build-%s/src/daemon/martlet' % (ROOT, BUILD_TYPE), '--check', '-c', '/dev/null', '-o',
                        'metrics.listen="192.0.2.1:9143"', '-o', 'imaps.listen=[]'], capture_output=True, text=True, timeout=30)
    assert p.returncode == 2 and 'loopback' in p.stderr


# --- what is shipped for Prometheus and Grafana ---

def known_metrics():
    with get() as r:
        return set(re.findall(r'^# TYPE (\S+) ', r.read().decode(), re.M))


def names_in(text):
    return {re.sub(r'_(bucket|count|sum)$', '', x) for x in re.findall(r'\bmartlet_[a-z0-9_]+', text)}


@settings(METRICS)
def test_dashboard_and_alerts(own_server):
    """Every metric that the dashboard and the alerts name exists."""
    known = known_metrics()
    with open(ROOT + '/share/grafana/martlet.json') as f:
        dashboard = json.load(f)
    panels = [p for p in dashboard['panels'] if p['type'] != 'row']
    assert len(panels) > 10
    for p in panels:
        for t in p['targets']:
            names = names_in(t['expr'])
            assert names and names <= known, (p['title'], names - known)
    with open(ROOT + '/share/prometheus/martlet.rules.yml') as f:
        names = names_in(''.join(x for x in f if 'expr' in x or x.startswith('          ')))
    assert names and names <= known, names - known
    if shutil.which('promtool'):
        p = subprocess.run(['promtool', 'check', 'rules', ROOT + '/share/prometheus/martlet.rules.yml'],
                           capture_output=True, text=True, timeout=30)
        assert p.returncode == 0, p.stdout + p.stderr


@settings(METRICS)
@pytest.mark.skipif(not shutil.which('prometheus'), reason='no prometheus')
def test_prometheus(own_server, tmp_path):
    """A real Prometheus scrapes it and answers the dashboard's queries."""
    login(own_server).append('INBOX', mails.numbered(1))
    port = free_ports(1)[0]
    (tmp_path / 'p.yml').write_text(
        'global: {scrape_interval: 250ms}\n'
        'rule_files: ["%s/share/prometheus/martlet.rules.yml"]\n'
        'scrape_configs:\n- job_name: martlet\n  static_configs: [{targets: ["127.0.0.1:%d"]}]\n' % (ROOT, METRICS_PORT))
    p = subprocess.Popen(['prometheus', '--config.file=%s' % (tmp_path / 'p.yml'), '--storage.tsdb.path=%s' % (tmp_path / 'db'),
                          '--web.listen-address=127.0.0.1:%d' % port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def ask(expression):
            url = '/api/v1/query?query=' + urllib.request.quote(expression)
            try:
                with get(url, port=port) as r:
                    answer = json.load(r)
            except urllib.error.HTTPError as e:
                if e.code == 503:  # it is starting
                    return None
                raise AssertionError('%s: %s' % (expression, e.read()))
            except OSError:
                return None
            assert answer['status'] == 'success'
            return answer['data']['result']
        r = wait_for(lambda: ask('martlet_appended_messages_total'), 30)
        assert r and r[0]['value'][1] == '1'
        with open(ROOT + '/share/grafana/martlet.json') as f:
            for panel in json.load(f)['panels']:
                for t in panel.get('targets', []):
                    assert ask(t["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")) is not None
    finally:
        p.send_signal(signal.SIGTERM)
        p.wait(20)


@settings(METRICS)
def test_documented(own_server):
    """docs/logging.md names every event of the program and every metric."""
    with open(ROOT + '/docs/logging.md') as f:
        doc = f.read()
    called = set()
    call = re.compile(r'\b(?:log_event|log_text|child_log|give_up)\((?:\s*[^;"]*?)"([a-z_-]+)"')
    for path in glob.glob(ROOT + '/src/**/*.c', recursive=True):
        if '/tools/' not in path:
            with open(path) as f:
                called |= set(call.findall(f.read()))
    assert len(called) > 50
    missing = {x for x in called if '`%s`' % x not in doc}
    assert not missing, missing
    missing = {x for x in known_metrics() if '`%s`' % x not in doc}
    assert not missing, missing


# --- the log ---

@settings('log.level=debug', 'mail.processes=1')
def test_session_id(own_server):
    """One id in the lines of all processes about a connection."""
    s = own_server
    c = login(s)
    c.append('INBOX', mails.numbered(1))
    c.ok('LOGOUT')
    assert wait_for(lambda: events(s, 'disconnect'))
    end = events(s, 'disconnect')[0]
    sid = end['session']
    assert re.fullmatch('[0-9a-f]{16}', sid)
    assert (end['user'], end['reason'], end['commands']) == ('joe', 'logout', '2')
    assert int(end['in']) > 100 and int(end['out']) > 50 and end['peer'] == '127.0.0.1'
    lines = {}
    for line in s.output:
        f = fields(line)
        if f.get('session') == sid:
            lines[f['event']] = f['prog'].split('.')[0]
    assert lines == {'connect': 'login', 'login': 'login', 'handover': 'mail', 'disconnect': 'mail'}
    f = events(s, 'login')[0]
    assert (f['user'], f['mechanism'], f['peer'], f['tls']) == ('joe', 'PLAIN', '127.0.0.1', 'none')


@settings('auth.failure_delay=1ms')
def test_login_failed(own_server):
    """The line that a fail2ban filter reads."""
    s = own_server
    c = s.connect()
    assert c.cmd('LOGIN "joe x\\"y" wrong').status == 'NO'
    assert c.cmd('LOGIN joe wrong').status == 'NO'
    assert wait_for(lambda: len(events(s, 'login-failed')) == 2)
    a, b = events(s, 'login-failed')
    assert b['user'] == 'joe' and b['peer'] == '127.0.0.1' and b['service'] == 'imap'
    assert b['mechanism'] == 'PLAIN' and b['reason'] == 'credentials' and b['counted'] == 'yes'
    assert re.fullmatch('[0-9a-f]{16}', b['session']) and a['session'] == b['session']
    assert a['user'] == 'joe x\\"y'


@settings('log.format=json', 'log.level=debug')
def test_json(own_server):
    """Every line is a JSON object, whatever clients send."""
    s = own_server
    c = s.connect()
    c.send(b'a ID ("name" "x\\"} {\\"event\\":\\"login\\"}")\r\n')
    c.send(b'b LOGIN {9+}\r\nj\xff\xc3\x9b[\x1b"\\z wrong\r\n')
    assert c.wait('b').status in ('NO', 'BAD')
    login(s, 'j\u00f6rg "x"').ok('LOGOUT')
    assert wait_for(lambda: any('"disconnect"' in x for x in s.output))
    lines = [x for x in s.output if x.startswith('{')]
    seen = [json.loads(x) for x in lines]
    assert {'login', 'disconnect'} <= {x['event'] for x in seen}
    assert any(x.get('user') == 'j\u00f6rg "x"' for x in seen)
    for x in seen:
        assert all(isinstance(v, str) for v in x.values()) and {'t', 'level', 'prog', 'event'} <= x.keys()


@pytest.mark.parametrize('kind', ['syslog', 'journald'])
def test_sockets(kind, tmp_path):
    """All processes write to syslog or journald, though none but the supervisor can connect."""
    from support import server as support_server
    path = str(tmp_path / 'log')
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(path)
    listening.settimeout(10)
    s = support_server.make(extra=['--setting', 'log.to=' + kind, '--setting', 'log.socket=' + path])
    s.start()
    try:
        login(s).ok('LOGOUT')
        got = []
        while not any(b'disconnect' in x for x in got):
            got.append(listening.recv(65536))
        assert any(b'event=login ' in x for x in got)
        if kind == 'syslog':
            assert all(re.match(rb'<2[0-3]>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d martlet\[\d+\]: level=', x) for x in got)
        else:
            assert all(b'\nPRIORITY=' in x and b'MARTLET_EVENT\n' in x for x in got)
        assert not any('event=login ' in x for x in s.output)
    finally:
        s.stop()
        s.remove()
        listening.close()


@settings('log.to=syslog', 'log.socket=/nonexistent/log')
def test_unreachable(own_server):
    """Without the syslog daemon nothing is lost: standard error has it."""
    login(own_server).ok('LOGOUT')
    assert wait_for(lambda: events(own_server, 'disconnect'))
    assert events(own_server, 'log-unreachable')


# --- secrets ---

@settings('log.level=debug', 'auth.failure_delay=1ms')
def test_secrets(own_server):
    """No password and no message content, in the log or in a trace, at the highest level."""
    s = own_server
    assert ctl(s, 'trace', 'on', 'joe', '--minutes', '5').returncode == 0
    secret = 'pw' + MARKER
    bad = s.connect()
    bad.cmd('LOGIN joe %s' % secret)
    bad.cmd('LOGIN %s' % secret)
    bad.cmd('LOGIN joe %s extra' % secret)
    bad.send(b'x AUTHENTICATE PLAIN ' + secret.encode() + b'\r\n')
    c = login(s)
    c.cmd('LOGIN joe %s' % secret)  # a careless client
    c.cmd('AUTHENTICATE PLAIN %s' % secret)
    c.close()
    raw = login(s)
    for i, line in enumerate(('%s', 'x%d  LOGIN joe %%s', 'x%d\tLOGIN joe %%s', 'x%d LOGON joe %%s', 'x%d %%s')):
        raw.send((line % i if '%d' in line else line).replace('%%', '%') % secret + '\r\n')
    raw.noop()
    raw.close()
    c = login(s)
    body = b'Subject: hello\r\n\r\nbody%s\r\n' % MARKER.encode()
    c.append('INBOX', body)
    c.append('INBOX', body + b'x' * 100000)
    encoded = base64.encodebytes(MARKER.encode() * 20000)  # decoded while it is sent
    c.append('INBOX', b'Content-Transfer-Encoding: base64\r\n\r\n' + encoded.replace(b'\n', b'\r\n'))
    c.append('INBOX', b'Content-Transfer-Encoding: base64\r\n\r\n' + base64.b64encode(MARKER.encode()) + b'\r\n')
    c.select()
    for item in ('BODY[]', 'BODY[TEXT]', 'BODY[1]<0.1000>', 'BINARY[1]', 'BINARY[1]<3.100>', 'RFC822', 'ENVELOPE'):
        c.ok('FETCH 1:* (%s)' % item)
    c.ok('LOGOUT')
    c.close()
    assert wait_for(lambda: events(s, 'disconnect'))
    files = glob.glob(s.dir + '/state/trace/*')
    assert len(files) == 3 and os.stat(files[0]).st_mode & 0o777 == 0o600
    trace = ''.join(open(x).read() for x in sorted(files, key=os.path.getmtime))
    assert MARKER.lower() not in (trace + s.text()).lower()
    assert 'S: * 1 FETCH' in trace and 'S: * 4 FETCH' in trace and '"hello"' in trace and re.search(r'C: \S+ FETCH 1:\* \(BODY\[\]\)', trace)
    assert re.search(r'C: \S+ APPEND .*\{\d+', trace) and 'not shown' in trace
    assert all(re.match(r'\d{4}-\d\d-\d\dT[0-9:.]+Z [CS#]:? ', x) for x in trace.splitlines())


def test_trace(own_server):
    """Switched on and off while sessions live, for one user only."""
    s = own_server
    c, other = login(s), login(s, 'jane')
    assert ctl(s, 'trace', 'list').stdout.strip() == 'Nobody is traced.'
    assert ctl(s, 'trace', 'on', 'joe').returncode == 0
    c.noop()
    other.noop()
    files = glob.glob(s.dir + '/state/trace/*')
    assert len(files) == 1 and os.path.basename(files[0]).startswith('joe-')
    listed = json.loads(ctl(s, 'trace', 'list', '--json').stdout)
    assert listed['user'] == 'joe' and listed['files'] == 1 and 800 < listed['seconds_left'] <= 900
    assert ctl(s, 'trace', 'off', 'joe').returncode == 0
    with open(files[0]) as f:
        before = f.read()
    assert re.search(r'C: \S+ NOOP\n.*S: \S+ OK', before)
    c.noop()
    with open(files[0]) as f:
        assert f.read() == before
    assert ctl(s, 'trace', 'off', 'joe').returncode == 3
    assert ctl(s, 'trace', 'on', 'joe', '--minutes', '0').returncode == 2
    # a name is never a path
    assert ctl(s, 'trace', 'on', '../x/y').returncode == 0
    login(s, '../x/y').noop()
    assert len(glob.glob(s.dir + '/state/trace/%2e.%2fx%2fy-*')) == 1
