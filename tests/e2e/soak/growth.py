"""Does a series of measurements grow once the server is warm? A robust line (Theil and Sen) through medians of windows."""
import statistics

WINDOWS = 12
SHARE = 0.03  # of the level; less than this over the time observed is not called growth
NOISE = 3.0  # median absolute deviations from the line


def windows(points, first, last):
    """Medians of equally long parts of the time: [(t, value)]"""
    step = (last - first) / WINDOWS
    out = []
    for n in range(WINDOWS):
        part = [v for t, v in points if first + n * step <= t < first + (n + 1) * step or n == WINDOWS - 1 and t == last]
        if part:
            out.append((first + (n + 0.5) * step, statistics.median(part)))
    return out


def line(points):
    """(slope, value at 0) of the median slope through all pairs."""
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1:] if b[0] > a[0]]
    slope = statistics.median(slopes) if slopes else 0.0
    return slope, statistics.median(v - slope * t for t, v in points)


def growth(points, warm, least):
    """What a series does after `warm` seconds: level, slope per hour, and what it has grown by (0: not beyond noise).

    `least` is what one allocation more or less may cost: less is not growth either."""
    points = [(t, v) for t, v in points if t >= warm]
    if len(points) < 4:
        return None
    parts = windows(points, warm, points[-1][0])
    slope, start = line(parts)
    level = statistics.median(v for _, v in parts)
    noise = statistics.median(abs(v - start - slope * t) for t, v in parts)
    third = max(1, len(parts) // 3)
    ends = statistics.median(v for _, v in parts[-third:]) - statistics.median(v for _, v in parts[:third])
    over = min(slope * (points[-1][0] - warm), 1.5 * ends)  # a step up and down again has a slope, but has not grown
    grown = over > max(SHARE * level, NOISE * noise, least)
    return {'level': level, 'first': parts[0][1], 'last': parts[-1][1], 'per_hour': slope * 3600, 'noise': noise,
            'over': over, 'grown': over if grown else 0}
