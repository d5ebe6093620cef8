"""What measure, servers and report share: rows, peers, files of figures, ratios as text."""

import collections
import json
import os
import platform
import re
import statistics

HERE = os.path.dirname(os.path.abspath(__file__))

# program and backend; "ring" is ours with all fds in rings that can be there from the start,
# 4.33 is libev as released
PEERS = collections.OrderedDict([
    ("epoll",       ("libev", "epoll")),
    ("64",          ("libev", "linuxaio")),
    ("68",          ("libev", "both")),
    ("ring",        ("libev", "ring")),
    ("4.33 aio",    ("upstream", "linuxaio")),
    ("4.33 uring",  ("upstream", "iouring")),
    ("libevent",    ("libevent", "epoll")),
    ("changelist",  ("libevent", "changelist")),
    ("libuv",       ("libuv", "epoll")),
    ("bare epoll",  ("bare-epoll", "epoll")),
    ("bare aio",    ("bare-aio", "aio")),
    ("bare bell",   ("bare-aio", "bell")),
    ("bare uring",  ("bare-uring", "oneshot")),
    ("bare multi",  ("bare-uring", "multishot")),
])
OURS = list(PEERS)[:5]

Row = collections.namedtuple("Row", "name workload n active counted most marks")


def read_rows():
    out = collections.OrderedDict()
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
    """of "name key=value ..."; numbers as such"""
    out = {}
    for f in line.split()[1:]:
        key, equals, value = f.partition("=")
        if equals:
            try:
                out[key] = float(value)
            except ValueError:
                out[key] = value
    return out


def system():
    with open("/proc/cpuinfo") as f:
        info = f.read()
    model = re.search("model name\\s*: (.*)", info)
    mhz = re.findall("cpu MHz\\s*: (.*)", info)
    return "Linux %s, %d CPUs, %s, %s MHz, load %.1f" % (
        platform.release(), os.cpu_count(), model.group(1) if model else platform.machine(),
        mhz[0] if mhz else "?", os.getloadavg()[0])


def cost(name, entry):
    """of an operation: instructions or bytes; of growth the longest iteration, in ns, which are instructions there"""
    if name.startswith("growth:"):
        return entry.get("it_max")
    return entry["user"] + entry["kernel"] if "user" in entry else None


def ratio(name, entry, base):
    c, b = cost(name, entry), cost(name, base)
    return c / b if b and c is not None else None


def peers_in(rows):
    """of a file of figures, in their order"""
    return [p for p in PEERS if any(p in r for r in rows.values())]


def quartiles(ratios):
    """text, and the median or None if the quartiles show no difference"""
    if not ratios or len(ratios) < 2:
        return "-", None
    low, middle, high = statistics.quantiles(ratios, n=4)
    same = low <= 1 <= high
    return "%s%.2f (%.2f-%.2f)" % ("= " if same else "", middle, low, high), None if same else middle


def as_text(title, head, body):
    """lines; the first column is on the left"""
    widths = [max([len(h)] + [len(r[k]) for r in body]) for k, h in enumerate(head)]
    return ([title] if title else []) + ["  ".join(
        [r[0].ljust(widths[0])] + [t.rjust(w) for t, w in zip(r[1:], widths[1:])]) for r in [head] + body]


def keep(build, how, text, figures):
    """prints the text, and keeps it and the figures"""
    path = os.path.join(build, "bench", how)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    print("\n".join(text))
    with open(path + ".txt", "w") as f:
        f.write("\n".join(text) + "\n")
    with open(path + ".json", "w") as f:
        json.dump(figures, f, indent=1, sort_keys=True)


def load(build, how):
    path = os.path.join(build, "bench", how + ".json")
    if not os.path.exists(path):
        return {}
    with open(path) as f:
        return json.load(f)
