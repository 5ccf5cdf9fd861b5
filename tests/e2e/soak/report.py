"""The report of a soak run: one HTML file with its plots drawn as SVG, which needs nothing else."""
import html
import math

COLOURS = ('#1668b0', '#c2410c', '#2e7d32', '#7b1fa2', '#00838f', '#ad1457', '#5d4037')
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 240, 64, 28, 12, 28
STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 820px; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; }
th, td { padding: .2em .7em; border-bottom: 1px solid #8886; text-align: right; }
th:first-child, td:first-child { text-align: left; }
svg { width: 100%; height: auto; } svg text { fill: currentColor; font: 11px system-ui, sans-serif; }
.verdict { font-size: 1.2em; padding: .6em 1em; border-left: 6px solid #2e7d32; background: #2e7d3218; }
.verdict.bad { border-color: #c62828; background: #c6282818; }
figure { margin: 1.5em 0; } figcaption { font-weight: 600; }
pre { overflow-x: auto; background: #8882; padding: 1em; }
"""


def ticks(top, count=5):
    """Round numbers from 0 to the first one that is not below `top`."""
    if top <= 0:
        return [0, 1]
    step = 10 ** math.floor(math.log10(top / count))
    step *= next(k for k in (1, 2, 5, 10) if top / (step * k) <= count)
    return [step * i for i in range(int(math.ceil(top / step - 1e-9)) + 1)]


def short(value):
    return ('%.3g' % value) if value < 1000 else '%d' % round(value)


def plot(title, unit, series, end, warm=None):
    """A figure with lines: [(name, [(minutes, value)])]; the time before `warm` is shaded."""
    top = max((v for _, points in series for _, v in points), default=1)
    scale = ticks(top)
    across = ticks(end, 8)
    span = max(across[-1] if across[-1] - end < 0.05 * end else end, 1e-9)

    def x(t):
        return LEFT + (WIDTH - LEFT - RIGHT) * t / span

    def y(v):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * v / scale[-1]

    out = ['<figure><figcaption>%s</figcaption><svg viewBox="0 0 %d %d" role="img" aria-label="%s">' % (
        html.escape(title), WIDTH, HEIGHT, html.escape(title))]
    if warm:
        out.append('<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="#8883"/><text x="%.1f" y="%d">warm-up</text>' % (
            x(0), TOP, x(warm) - x(0), HEIGHT - TOP - BOTTOM, x(0) + 4, TOP + 12))
    for v in scale:
        out.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#8885"/>' % (LEFT, WIDTH - RIGHT, y(v), y(v)))
        out.append('<text x="%d" y="%.1f" text-anchor="end">%s</text>' % (LEFT - 6, y(v) + 4, short(v)))
    out.append('<text x="4" y="%d">%s</text>' % (HEIGHT - 8, html.escape(unit)))
    for t in across:
        if t <= span:
            out.append('<text x="%.1f" y="%d" text-anchor="middle">%s min</text>' % (x(t), HEIGHT - 8, short(t)))
    for n, (_, points) in enumerate(series):
        path = ' '.join('%.1f,%.1f' % (x(t), y(v)) for t, v in points)
        out.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>' % (path, COLOURS[n % len(COLOURS)]))
    out.append('</svg>')
    out.append(' '.join('<span style="color:%s">&#9632;</span> %s&ensp;' % (COLOURS[n % len(COLOURS)], html.escape(name))
                        for n, (name, _) in enumerate(series)))
    out.append('</figure>')
    return '\n'.join(out)


def table(heads, rows):
    out = ['<table><tr>%s</tr>' % ''.join('<th>%s</th>' % html.escape(h) for h in heads)]
    for row in rows:
        out.append('<tr>%s</tr>' % ''.join('<td>%s</td>' % html.escape(str(cell)) for cell in row))
    return '\n'.join(out + ['</table>'])


def page(title, parts):
    return '<!doctype html><html lang="en"><meta charset="utf-8"><title>%s</title><style>%s</style>\n<h1>%s</h1>\n%s\n</html>\n' % (
        html.escape(title), STYLE, html.escape(title), '\n'.join(parts))
