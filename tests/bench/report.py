"""Tables: for people (aligned text) and for the documentation (Markdown), made from the same rows."""

FAST_SYNC = 200_000       # nanoseconds: below this no operation may be slower than the peer's defaults
GOAL_MESSAGES = 20000     # the mailbox the goals are meant for: in a smaller one fixed costs decide


def seconds(nanoseconds):
    value = nanoseconds / 1e9
    return "%.2f" % value if value >= 1 else "%.3f" % value if value >= 0.01 else "%.4f" % value


def ratio(part, whole):
    if part is None or whole is None or whole <= 0:
        return None
    return part / whole


def ratio_text(value):
    return "–" if value is None else "%.1f" % value if value < 99.95 else "%.0f" % value


class Table:
    """Rows of strings; the first column is aligned left, the others right."""

    def __init__(self, title, columns):
        self.title, self.columns, self.rows, self.notes = title, columns, [], []

    def text(self):
        widths = [max(len(row[i]) for row in [self.columns, *self.rows]) for i in range(len(self.columns))]
        lines = [self.title, "=" * len(self.title)]
        for row in (self.columns, ["-" * width for width in widths], *self.rows):
            cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines + self.notes) + "\n"

    def markdown(self):
        lines = ["## " + self.title, "", "| " + " | ".join(self.columns) + " |",
                 "|" + "|".join([" --- "] + [" ---: "] * (len(self.columns) - 1)) + "|"]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in self.rows]
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines) + "\n"


class Verdicts:
    """Counts what was to be reached."""

    def __init__(self):
        self.reached, self.missed = 0, []

    def judge(self, what, got, goal):
        """"reached", or by how much it was missed."""
        if got is None:
            return "–"
        if got >= goal:
            self.reached += 1
            return "reached"
        self.missed.append("%s: %.2f of %g" % (what, got, goal))
        return "missed (%.2f)" % got

    def line(self):
        lines = ["Goals: %d reached, %d missed%s" % (self.reached, len(self.missed), ":" if self.missed else ".")]
        return "\n".join(lines + ["  " + text for text in self.missed])


def alone_table(title, rows, server):
    """One server: what it used."""
    table = Table(title, ["operation", "wall s", "CPU s", "measured"])
    for row in rows:
        figures = row["figures"][server]
        if figures:
            table.rows.append([name(row), seconds(figures[0]), seconds(figures[1]), "%d times" % figures[2]])
    return table


def name(row):
    return "%s%s%s" % (row["title"], {"first": " #1", "later": " #2"}.get(row["when"], ""), " *" if row["differ"] else "")


def peer_table(title, rows, subject, peer, titles, verdicts, wall_counts):
    """Two servers side by side with ratios; verdicts may be None (a peer for comparison only)."""
    table = Table(title, ["operation", titles[subject] + " wall s", titles[peer] + " wall s", "ratio",
                          titles[subject] + " CPU s", titles[peer] + " CPU s", "ratio", "goal", "CPU", "wall"])
    for row in rows:
        ours, theirs = row["figures"].get(subject), row["figures"].get(peer)
        if not theirs:
            continue
        if not ours:
            table.rows.append([name(row), "not offered", seconds(theirs[0]), "–", "not offered", seconds(theirs[1]), "–",
                               "", "", ""])
            continue
        wall, cpu = ratio(theirs[0], ours[0]), ratio(theirs[1], ours[1])
        goal = row["goal"]
        what = "%s, %s" % (title, name(row))
        cpu_verdict = wall_verdict = ""
        if verdicts is not None and goal is not None:
            cpu_verdict = verdicts.judge(what + ", CPU", cpu, goal)
        if verdicts is not None and wall_counts:
            wall_verdict = verdicts.judge(what + ", wall", wall, 1.0)
        table.rows.append([name(row), seconds(ours[0]), seconds(theirs[0]), ratio_text(wall), seconds(ours[1]),
                           seconds(theirs[1]), ratio_text(cpu), "%g" % goal if goal else "", cpu_verdict, wall_verdict])
    if any(row["differ"] for row in rows):
        table.notes.append("* the servers' answers differ")
    return table


def memory_table(results, titles, subject, verdicts):
    table = Table("Memory per idle connection",
                  ["server", "connections", "transport", "messages", "KiB each (PSS)", "of it anonymous",
                   "KiB each (MemAvailable)", "before MiB",
                   "after MiB", "processes", "opened/s", "CPU ms each", "goal"])
    for r in results:
        goal = ""
        if verdicts is not None and r["server"] == subject and r["transport"] == "plain":
            goal = verdicts.judge("idle connection, %d connections, 16 KiB / PSS" % r["connections"],
                                  16.0 / max(r["each_kib"], 0.001), 1.0)
            goal = "≤ 16 KiB: " + goal.split(" ")[0]
        table.rows.append([titles[r["server"]], str(r["connections"]), r["transport"], str(r["messages"]),
                           "%.1f" % r["each_kib"], "%.1f" % r["anonymous_each_kib"], "%.1f" % r["available_each_kib"], "%.1f" % (r["before_kib"] / 1024),
                           "%.1f" % (r["after_kib"] / 1024), str(r["processes"]),
                           "%.0f" % (r["connections"] * 1e9 / r["open_wall"]),
                           "%.2f" % (r["open_cpu"] / 1e6 / r["connections"]), goal])
    if results:
        table.notes.append("Distinct accounts, INBOX with sparse UIDs (every second message expunged) selected, IDLE; measured "
                           "%g s after the last connection; all processes of the server. Opened: LOGIN, SELECT and IDLE by eight clients. MemAvailable: change of the kernel's "
                           "figure less the growth of the load client (socket buffers and page cache of both sides are in it)."
                           % results[0]["settle"])
        ways = {(titles[r["server"]], r["prepared"]) for r in results}
        table.notes += ["Accounts of %s were prepared %s." % way for way in sorted(ways)]
    return table


def throughput_table(results, titles):
    table = Table("APPEND by many clients", ["server", "clients", "accounts", "messages", "messages/s", "wall s", "CPU s",
                                             "p50 ms", "p99 ms", "syncs", "syncs/message"])
    for r in results:
        syncs = sum(r["syncs"].values()) if "syncs" in r else None
        table.rows.append([titles[r["server"]], str(r["clients"]), str(r["accounts"]), str(r["messages"]),
                           "%.0f" % (r["messages"] * 1e9 / r["wall"]), seconds(r["wall"]), seconds(r["cpu"]),
                           "%.2f" % (r["p50"] / 1e6), "%.2f" % (r["p99"] / 1e6), "–" if syncs is None else str(syncs),
                           "–" if syncs is None else "%.2f" % (syncs / r["messages"])])
    table.notes.append("Each client appends in turn. Syncs (fdatasync, fsync, sync_file_range, msync, syncfs) are counted by strace "
                       "in a second run that is not timed.")
    return table


def facts_lines(report):
    machine, corpus = report["machine"], report["corpus"]
    lines = ["%s, %d cores, %.1f GiB; Linux %s; %s; %s" % (machine["cpu"], machine["cores"], machine["memory_gib"],
                                                          machine["kernel"], machine["system"], machine["date"]),
             "append of 8 KiB + fdatasync: median %.0f µs, mean %.0f µs (%s)" % (
                 report["sync"]["median"] / 1000, report["sync"]["mean"] / 1000, report["sync"]["file_system"]),
             "%d messages, %.1f MB (%d plain, %d multipart/alternative, %d with attachments)" % (
                 corpus["messages"], corpus["bytes"] / 1e6, corpus["plain"], corpus["alternative"], corpus["attachments"])]
    lines += ["%s: %s (CPU counted by %s)" % (s["title"], s["version"], s["meter"]) for s in report["servers"]]
    return lines


def tables(report, judge=True):
    """All tables of a report, and the verdicts."""
    titles = {s["key"]: s["title"] for s in report["servers"]}
    keys = [s["key"] for s in report["servers"]]
    judge = judge and report["corpus"]["messages"] >= GOAL_MESSAGES
    verdicts = Verdicts() if judge and len(keys) > 1 else None
    fast = report["sync"]["median"] < FAST_SYNC
    result = []
    for transport, rows in report["operations"].items():
        where = "plain text" if transport == "plain" else "TLS"
        if len(keys) == 1 or keys[0] != "martlet":
            result.append(alone_table("%s, %s" % (titles[keys[0]], where), rows, keys[0]))
        for peer in keys[1:]:
            strict = peer.endswith("-fsync")
            shown = rows
            if verdicts is not None and strict:
                shown = [dict(row, goal=None) for row in rows]
            table = peer_table("%s and %s, %s" % (titles[keys[0]], titles[peer], where), shown, keys[0], peer, titles,
                               verdicts, fast or strict)
            result += [table] if table.rows else []
    if report.get("memory"):
        result.append(memory_table(report["memory"], titles, keys[0], verdicts))
    if report.get("throughput"):
        result.append(throughput_table(report["throughput"], titles))
    return result, verdicts


HOW = """Ratios are peer / %s: above 1 the peer needs more. Wall: from the first byte sent to the last answer's end, median of
the repetitions; CPU: of all processes and threads of the server, ended ones too. `#1`: the first time after the messages
were stored (the order of operations is the table's); `#2`: again. The commands and checks are in `tests/bench/operations.py`.
Goals are ratios of CPU; they and "no operation slower in wall time" (against the peer's defaults only where a sync takes
less than 0.2 ms) are judged with %d messages or more. With fewer than 5,000 the counts "in turn" are scaled down."""


def human(report, judge=True):
    parts, verdicts = tables(report, judge)
    text = "\n".join(facts_lines(report)) + "\n\n" + "\n".join(table.text() for table in parts)
    if verdicts is not None:
        text += "\n" + verdicts.line() + "\n"
    elif judge:
        text += "\nGoals are judged with %d messages or more.\n" % GOAL_MESSAGES
    return text


def markdown(report, judge=True):
    parts, verdicts = tables(report, judge)
    lines = ["# Benchmark", "", "Written by `script/bench`.", ""]
    lines += ["- " + line for line in facts_lines(report)]
    lines += ["", HOW % (report["servers"][0]["title"], GOAL_MESSAGES), ""]
    lines += [table.markdown() for table in parts]
    if verdicts is not None:
        lines += ["## Goals", "", "%d reached, %d missed." % (verdicts.reached, len(verdicts.missed)), ""]
        lines += ["- " + text for text in verdicts.missed]
    return "\n".join(lines).rstrip() + "\n"
