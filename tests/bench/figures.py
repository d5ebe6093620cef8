"""What measure, servers and report share: rows, peers, files of figures, and tables of them.

DIR/bench/HOW.json is {"system": .., "title": .., "tables": {TABLE: {ROW: {COLUMN: ENTRY}}}}. An entry has
"values", one of each round; or "user" and "kernel", of an operation; and "calls", {NAME: of an operation};
or the "reason" why there is none.
"""

import collections
import json
import os
import platform
import re
import statistics

HERE = os.path.dirname(os.path.abspath(__file__))

# program and backend; "ring" is ours with all fds in rings that can be there from the start,
# 4.33 is libev as released
PEERS = {
    "epoll":       ("libev", "4"),
    "64":          ("libev", "64"),
    "68":          ("libev", "68"),
    "ring":        ("libev", "64 ring"),
    "4.33 aio":    ("upstream", "64"),
    "4.33 uring":  ("upstream", "128"),
    "libevent":    ("libevent", "epoll"),
    "changelist":  ("libevent", "changelist"),
    "libuv":       ("libuv", "epoll"),
    "bare epoll":  ("bare-epoll", "epoll"),
    "bare aio":    ("bare-aio", "aio"),
    "bare bell":   ("bare-aio", "bell"),
    "bare uring":  ("bare-uring", "oneshot"),
    "bare multi":  ("bare-uring", "multishot"),
}
OURS = list(PEERS)[:5]
BARE = ["bare bell", "bare aio", "bare epoll"]
HOWS = ["instructions", "time", "programs", "latency", "calls"]

Row = collections.namedtuple("Row", "name workload n active counted most marks")


def read_rows():
    out = {}
    with open(os.path.join(HERE, "rows")) as f:
        for line in f:
            fields = line.split("#")[0].split()
            if fields:
                name, counted, most64, most68 = fields[:4]
                workload, size = name.split(":")
                n, _, active = size.partition("/")
                most = {p: float(m) for p, m in (("64", most64), ("68", most68)) if m != "-"}
                out[name] = Row(name, workload, int(n), int(active or 1), counted, most, (fields + [""])[4])
    return out


def fields_of(line):
    """of "name=number ...\""""
    return {key: float(value) for key, value in re.findall(r"(\w+)=(\S+)", line)}


def system():
    with open("/proc/cpuinfo") as f:
        info = dict(re.findall(r"(?m)^(.*?)\s*: (.*)", f.read()))
    return "Linux %s, %d CPUs, %s, %s MHz, load %.1f" % (platform.release(), os.cpu_count(), info.get("model name", platform.machine()),
                                                         info.get("cpu MHz", "?"), os.getloadavg()[0])


def cost(entry):
    return entry["user"] + entry["kernel"] if "user" in entry else None


def ratio(entry, base):
    """of instructions, or of what a workload counts itself"""
    return cost(entry) / cost(base) if "user" in entry and cost(base) else None


def number(x):
    return "%.0f" % x if abs(x) >= 100 else "%.2f" % x


def quartiles(entry, base):
    """text, and the median of the pairs' ratios or None if the quartiles show no difference"""
    ratios = [v / b for v, b in zip(entry["values"], base["values"])]
    if len(ratios) < 2:
        return "-", None
    low, middle, high = statistics.quantiles(ratios, n=4)
    same = low <= 1 <= high
    return "%s%.2f (%.2f-%.2f)" % ("= " if same else "", middle, low, high), None if same else middle


def cell(entry, base):
    """text, and the ratio to epoll"""
    if "reason" in entry:
        return entry["reason"], None
    text, r = [], ratio(entry, base)
    if entry.get("values"):
        words, r = quartiles(entry, base) if base and entry is not base else (number(statistics.median(entry["values"])), None)
        text.append(words)
    elif "user" in entry:
        text.append(("%.2f = " % r if r else "") + "%.0f + %.0f" % (entry["user"], entry["kernel"]))
    if "calls" in entry:
        text.append("%.2f calls" % sum(entry["calls"].values()))
    return "; ".join(text) or "-", r


def in_order(names, order):
    order = list(order)
    return sorted(dict.fromkeys(names), key=lambda n: order.index(n) if n in order else 0)


def columns(rows):
    return in_order((c for r in rows.values() for c in r), PEERS)


def table(title, rows):
    """title, head, rows of (text, ratio)"""
    head = columns(rows)
    return title, [""] + head, [[(name, None)] + [cell(rows[name].get(c, {}), rows[name].get("epoll", {})) for c in head]
                                for name in in_order(rows, read_rows())]


def excess(title, rows, calls):
    """what costs more than epoll: where the instructions go, and how far that is from the least that a loop can do"""
    body = []
    for name in in_order(rows, read_rows()):
        base = rows[name].get("epoll", {})
        for peer in "64", "68":
            entry = rows[name].get(peer, {})
            r = ratio(entry, base)
            if r and r >= 1.005:
                mine, others = (calls.get(name, {}).get(p, {}).get("calls", {}) for p in (peer, "epoll"))
                more = {c: mine.get(c, 0) - others.get(c, 0) for c in sorted({**mine, **others})}
                said = ", ".join("%s %+.2f" % m for m in more.items() if abs(m[1]) >= .005)
                bare = [ratio(entry, rows[name].get(p, {})) for p in BARE]
                line = ["%s, %s" % (name, peer), "%.2f" % r] + ["%+.0f" % (entry[s] - base[s]) for s in ("user", "kernel")]
                line += [said or ("-" if mine else "not counted")] + ["%.2f" % b if b else "-" for b in bare]
                body.append([(t, None) for t in line])
    return title, ["", "of epoll", "user space", "kernel", "system calls"] + ["of " + p for p in BARE], body


def tables(build, how):
    data, out = load(build, how), []
    for name, rows in data.get("tables", {}).items():
        out.append(table("%s%s; %s" % (name and name + ": ", data["title"], data["system"]), rows))
        if how == "instructions":
            out.append(excess("%s: what costs more than epoll: how much, instructions more and system calls more; ratio to bare loops" % name, rows,
                              load(build, "calls").get("tables", {}).get("", {})))
    return out


def as_text(title, head, body):
    """lines; the first column is on the left"""
    lines = [head] + [[t for t, r in line] for line in body]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return [title] + ["  ".join([line[0].ljust(widths[0])] + [t.rjust(w) for t, w in zip(line[1:], widths[1:])]) for line in lines] + [""]


def load(build, how):
    path = os.path.join(build, "bench", how + ".json")
    if not os.path.exists(path):
        return {}
    with open(path) as f:
        return json.load(f)


def keep(args, title, found, notes=()):
    """the figures, beside those that are there already or in their place, and all of them as text"""
    old = load(args.build, args.how).get("tables", {}) if args.add else {}
    for name, rows in found.items():
        for row, entries in rows.items():
            old.setdefault(name, {}).setdefault(row, {}).update(entries)
    path = os.path.join(args.build, "bench", args.how)
    with open(path + ".json", "w") as f:
        json.dump({"system": args.system, "title": title, "tables": old}, f, indent=1)
    text = [line for t in tables(args.build, args.how) for line in as_text(*t)] + list(notes)
    print("\n".join(text))
    with open(path + ".txt", "w") as f:
        f.write("\n".join(text) + "\n")
