"""From journals and samples to numbers, a verdict and the report."""
import collections
import json
import os
import platform

from . import report
from .growth import growth

WARM = 0.4  # of the time is warm-up: by then every message has been replaced by another
JUDGED = 10  # minutes, below which growth is shown but does not make a run fail: nothing is steady yet
MB = 1e6


def percentile(ascending, part):
    return ascending[min(len(ascending) - 1, int(len(ascending) * part))] if ascending else 0.0


class Journals:
    def __init__(self, paths, began):
        self.latency = collections.defaultdict(list)  # command -> [(t, seconds)]
        self.stored = collections.defaultdict(dict)  # user -> name -> t
        self.removed = collections.defaultdict(set)
        self.pushed = []  # (t, seconds)
        self.compared = self.compared_rows = self.restless = self.gone = 0
        self.errors = []
        told = []
        for path in paths:
            filling = os.path.basename(path).startswith('fill')
            with open(path) as f:
                for line in f:
                    kind, when, *rest = json.loads(line)
                    t = when - began
                    if kind == 'L' and not filling:
                        self.latency[rest[0]].append((t, rest[1]))
                    elif kind == '+':
                        self.stored[rest[0]][rest[1]] = t
                    elif kind == '-':
                        self.removed[rest[0]].add(rest[1])
                    elif kind == 'P':
                        told.append((rest[0], rest[1], rest[2] - began))
                    elif kind == 'C':
                        self.compared, self.compared_rows = self.compared + 1, self.compared_rows + rest[1]
                    elif kind == 'B':
                        self.restless += 1
                    elif kind == 'X':
                        self.gone += 1
                    elif kind == 'E':
                        self.errors.append('%.1f s, %s: %s' % (t, rest[0], rest[1]))
        for user, name, t in told:
            stored = self.stored[user].get(name)
            if stored is not None:
                self.pushed.append((t, max(0.0, t - stored)))


def balance(journals, found):
    """What is missing or there more than once, of all that was acknowledged and that nobody has removed."""
    out = []
    for user, names in sorted(journals.stored.items()):
        if user not in found:
            continue
        for name in names:
            n = found[user].get(name, 0)
            if n == 0 and name not in journals.removed[user]:
                out.append('%s: %s is lost' % (user, name))
            elif n > 1:
                out.append('%s: %s is there %d times' % (user, name, n))
        for name in found[user].keys() - names.keys():
            out.append('%s: %s is there, but was never acknowledged' % (user, name))
    return out


def series(samples, key, role=None):
    return [(s['t'], sum(s[key].values()) if role is None else s[key].get(role, 0)) for s in samples]


def growths(watch, compacted, warm):
    """name -> (unit, scale, points, what counts as nothing)"""
    disks = [(s['t'], s['disk']) for s in watch.samples if 'disk' in s]
    watched = {'memory of all (PSS)': ('MB', MB, series(watch.samples, 'pss'), 1.0 * MB)}
    watched['memory, anonymous'] = ('MB', MB, series(watch.samples, 'anon'), 1.0 * MB)
    for role in ('mail', 'login', 'auth', 'supervisor'):
        watched['memory, %s' % role] = ('MB', MB, series(watch.samples, 'pss', role), 0.5 * MB)
    watched['descriptors'] = ('', 1, series(watch.samples, 'fds'), 8)
    watched['index'] = ('MB', MB, [(t, d['index']) for t, d in disks], 1.0 * MB)
    watched['log after compaction'] = ('MB', MB, compacted, 1.0 * MB)
    watched['files'] = ('', 1, [(t, d['files']) for t, d in disks], 8)
    out = {}
    for name, (unit, scale, points, least) in watched.items():
        g = growth(points, warm, least)
        if g:
            out[name] = dict({k: v / scale for k, v in g.items()}, unit=unit)
    return out


def latencies(found):
    rows = {}
    for command, points in sorted(found.items()):
        times = sorted(s for _, s in points)
        rows[command] = {'count': len(times), 'p50': percentile(times, 0.5), 'p95': percentile(times, 0.95),
                         'p99': percentile(times, 0.99), 'max': times[-1]}
    return rows


def over_time(points, seconds, buckets=60):
    """[(minute, [values ascending])]"""
    width = max(seconds / buckets, 1)
    parts = collections.defaultdict(list)
    for t, v in points:
        parts[int(t / width)].append(v)
    return [((n + 0.5) * width / 60, sorted(values)) for n, values in sorted(parts.items())]


def plots(j, watch, compacted, seconds, warm):
    samples, end = watch.samples, seconds / 60
    def minutes(points, scale):
        return [(t / 60, v / scale) for t, v in points]
    def drawn(title, unit, lines):
        return report.plot(title, unit, lines, end, warm / 60)
    roles = [r for r in ('mail', 'login', 'auth', 'supervisor') if any(r in s['pss'] for s in samples)]
    disks = [(s['t'], s['disk']) for s in samples if 'disk' in s]
    everything = over_time([p for c, points in j.latency.items() for p in points if not c.startswith('connect')], seconds)
    pushed = over_time(j.pushed, seconds)
    cpu = [(b['t'] / 60, 100 * (b['cpu'] - a['cpu']) / max(b['t'] - a['t'], 1e-3)) for a, b in zip(samples, samples[1:])]
    cpu = [(t, sum(v for _, v in cpu[max(0, i - 5):i + 1]) / len(cpu[max(0, i - 5):i + 1])) for i, (t, _) in enumerate(cpu)]
    return [
        drawn('Memory (PSS)', 'MB', [('all', minutes(series(samples, 'pss'), MB))] +
              [(r, minutes(series(samples, 'pss', r), MB)) for r in roles] +
              [('anonymous, all', minutes(series(samples, 'anon'), MB))]),
        drawn('Descriptors', '', [('all', minutes(series(samples, 'fds'), 1))] +
              [(r, minutes(series(samples, 'fds', r), 1)) for r in roles]),
        drawn('Files on disk', 'MB', [('log', minutes([(t, d['log']) for t, d in disks], MB)),
                                      ('index', minutes([(t, d['index']) for t, d in disks], MB)),
                                      ('log after compaction', minutes(compacted, MB))]),
        drawn('Latency of all commands', 'ms', [(label, [(t, 1e3 * percentile(v, part)) for t, v in everything])
                                                for label, part in (('median', 0.5), ('95 %', 0.95), ('99 %', 0.99))]),
        drawn('From the answer to a delivery until a session in IDLE knows', 'ms',
              [(label, [(t, 1e3 * percentile(v, part)) for t, v in pushed]) for label, part in (('median', 0.5), ('99 %', 0.99))]),
        drawn('Processor time of the server; load of the machine', '%', [
            ('server, of one processor', cpu), ('load x 100', [(s['t'] / 60, 100 * s['load']) for s in samples])]),
        drawn('Processes', '', [(r, minutes(series(samples, 'n', r), 1)) for r in roles])]


def results(options, paths, watch, compacted, found, errors, events, began):
    j = Journals(paths, began)
    seconds = watch.samples[-1]['t']
    warm = seconds * WARM
    wrong = balance(j, found)
    times = sorted(s for _, s in j.pushed)
    g = growths(watch, compacted, warm)
    grown = {name: v for name, v in g.items() if v['grown']}
    errors = errors + j.errors
    commands = sum(map(len, j.latency.values()))
    mail = sum(1 for names in j.stored.values() for n in names if n.startswith('mail-'))
    return {
        'minutes': seconds / 60, 'users': options.users, 'seed': options.seed, 'connections': options.users * 3,
        'machine': '%d processors, Linux %s' % (os.cpu_count(), platform.release()),
        'load': sum(s['load'] for s in watch.samples) / len(watch.samples), 'commands': commands,
        'commands_per_second': commands / seconds, 'delivered': mail, 'announced': len(times),
        'cpu_seconds': watch.samples[-1]['cpu'], 'stored': sum(map(len, j.stored.values())),
        'removed': sum(map(len, j.removed.values())), 'present': sum(sum(f.values()) for f in found.values()),
        'compared': j.compared, 'compared_rows': j.compared_rows, 'restless': j.restless, 'gone': j.gone, 'wrong': wrong, 'errors': errors,
        'push': {'p50': percentile(times, 0.5), 'p99': percentile(times, 0.99), 'max': times[-1] if times else 0},
        'latency': latencies(j.latency), 'growth': g, 'grown': sorted(grown), 'events': events,
        'peak_pss': max(sum(s['pss'].values()) for s in watch.samples),
        'judged': seconds / 60 >= JUDGED * 0.99,
        'good': not wrong and not errors and (not grown or seconds / 60 < JUDGED * 0.99),
        'plots': plots(j, watch, compacted, seconds, warm)}


def verdict(r):
    if not r['grown']:
        text = 'growth after warm-up: none'
    else:
        text = 'growth after warm-up: ' + ', '.join('%s %+.3g %s' % (n, r['growth'][n]['over'], r['growth'][n]['unit'])
                                                    for n in r['grown'])
    if not r['judged']:
        text += ' (too short a run to judge)'
    return text + '; lost or doubled messages: %s; errors: %s' % (len(r['wrong']) or 'none', len(r['errors']) or 'none')


def summary(r):
    return [('minutes', '%.1f' % r['minutes']), ('users, connections that stay', '%d, %d' % (r['users'], r['connections'])),
            ('machine', '%s; load %.1f on average' % (r['machine'], r['load'])),
            ('commands and deliveries', '%d (%.0f a second)' % (r['commands'], r['commands_per_second'])),
            ('delivered by LMTP', '%d' % r['delivered']),
            ('until IDLE knows: median, 99 %, worst', '%.1f, %.1f, %.1f ms' % tuple(1e3 * r['push'][k] for k in ('p50', 'p99', 'max'))),
            ('messages stored, removed, there at the end', '%d, %d, %d' % (r['stored'], r['removed'], r['present'])),
            ('pictures compared (messages in them)', '%d (%d); %d times it changed meanwhile' % (
                r['compared'], r['compared_rows'], r['restless'])),
            ('NO [EXPUNGEISSUED]', '%d' % r['gone']),
            ('processor time of the server', '%.1f s (%.1f %% of one)' % (r['cpu_seconds'], r['cpu_seconds'] / r['minutes'] / 0.6)),
            ('most memory', '%.1f MB' % (r['peak_pss'] / MB))]


def tables(r):
    ms = ['%.1f', '%.1f', '%.1f', '%.1f']
    growth_rows = [(n, '%.2f %s' % (g['level'], g['unit']), '%.2f' % g['first'], '%.2f' % g['last'], '%+.3f' % g['per_hour'],
                    '%+.2f' % g['over'] if g['grown'] else 'none') for n, g in r['growth'].items()]
    latency_rows = [(n, v['count']) + tuple(f % (1e3 * v[k]) for f, k in zip(ms, ('p50', 'p95', 'p99', 'max')))
                    for n, v in r['latency'].items()]
    return [(('after warm-up', 'level', 'first', 'last', 'slope per hour', 'growth'), growth_rows),
            (('command', 'count', 'median ms', '95 %', '99 %', 'worst'), latency_rows)]


def text_report(r):
    out = []
    for heads, rows in [(('', ''), summary(r))] + tables(r):
        rows = [heads] + [tuple(map(str, row)) for row in rows]
        sizes = [max(len(row[n]) for row in rows) for n in range(len(heads))]
        out += ['  '.join(cell.ljust(size) if n == 0 or len(heads) == 2 else cell.rjust(size)
                          for n, (cell, size) in enumerate(zip(row, sizes))).rstrip() for row in rows] + ['']
    for event, n in r['events']:
        out.append('log: %s: %d' % (event, n))
    out += (r['wrong'] + r['errors'])[:20]
    return '\n'.join(out + [verdict(r)])


def html_report(r):
    good = r['good'] and not (r['judged'] and r['grown'])
    parts = ['<p class="verdict%s">%s</p>' % ('' if good else ' bad', report.html.escape(verdict(r))),
             report.table(('', ''), summary(r))]
    found = tables(r)
    parts += ['<h2>Growth</h2>', report.table(*found[0])] + r['plots'][:3]
    parts += ['<h2>Latency</h2>'] + r['plots'][3:5] + [report.table(*found[1])] + ['<h2>Machine</h2>'] + r['plots'][5:]
    if r['events']:
        parts += ['<h2>Warnings and errors in the log</h2>', report.table(('event', 'count'), r['events'])]
    if r['wrong'] or r['errors']:
        parts += ['<h2>Errors</h2>', '<pre>%s</pre>' % report.html.escape('\n'.join((r['wrong'] + r['errors'])[:100]))]
    return report.page('Martlet: %.0f minutes, %d users' % (r['minutes'], r['users']), parts)
