"""Programs of others, and the bench's own server, under requests on a clock of their own (load.c).

The server has one CPU; the load, and what is behind a proxy, has another. A program gets its
libev by LD_LIBRARY_PATH (Perl: by PERL5LIB) and its backend by LIBEV_FLAGS.
"""

import collections
import glob
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import time

from figures import PEERS, as_text, fields_of, keep, quartiles, system

FLAGS = {"epoll": "4", "64": "64", "68": "68", "4.33 aio": "64"}
GEVENT = {"4": "epoll", "64": "linux_aio", "68": "linux_aio,epoll"}
WSGI = """from gevent.pywsgi import WSGIServer
def hello(environ, start_response):
    start_response('200 OK', [('Content-Length', '6')])
    return [b'Hello\\n']
WSGIServer(('127.0.0.1', 0), hello, log=None).serve_forever()"""
MOJO = """use Mojolicious::Lite; get '/' => {text => "Hello\\n"};
app->start (qw (daemon -l http://127.0.0.1:0 -r 1000000000 -m production))"""

# what is started ({} are filled in), and how it is asked
SERVERS = {
    "own server": (["{program}", "--workload", "server", "--backend", "{backend}", "--busy", "{busy}"], []),
    "nghttpd":    (["nghttpd", "--no-tls", "--address=127.0.0.1", "--htdocs={bench}/www", "0"], ["--http2", "--path", "/100"]),
    "hitch":      (["hitch", "--frontend=[127.0.0.1]:0", "--backend=[127.0.0.1]:{behind}", "--workers=1", "--user=nobody", "{bench}/www/pem"],
                   ["--tls"]),
    "gevent":     (["/usr/bin/python3", "-c", WSGI], []),
    "mojo":       (["/usr/bin/perl", "-e", MOJO], []),
    "lwt":        (["{bench}/hello-lwt"], []),
}
PROGRAMS = ["nghttpd", "nghttpd short", "hitch", "hitch short", "gevent", "gevent short", "mojo", "mojo short", "lwt", "lwt short"]
RATES = [10, 50, 80]
BUSY = [20, 100]


def tree(pid):
    out = [pid]
    for path in glob.glob("/proc/%d/task/*/children" % pid):
        with open(path) as f:
            for child in f.read().split():
                out += tree(int(child))
    return out


def listens_on(pids):
    """the TCP port that one of them listens on; None if there is none yet"""
    shown = subprocess.run(["ss", "-Hltnp"], stdout=subprocess.PIPE, universal_newlines=True).stdout
    return next((int(re.search(r":(\d+) ", line).group(1)) for line in shown.splitlines() if any("pid=%d," % p in line for p in pids)), None)


class Server:
    """a server that listens, until the end of the with statement"""

    def __init__(self, args, name, peer, cpu, behind=None, busy=0):
        self.bench = os.path.join(args.build, "bench")
        ours = "pristine-inst" if peer == "4.33 aio" else "inst"
        flags = FLAGS[peer]
        perl = os.path.join(self.bench, "ev-" + ours, "blib")
        self.where = os.path.join(args.build, ours, "lib") if name != "mojo" else perl
        env = dict(os.environ, LIBEV_FLAGS=flags, LIBEV_BUSY_POLL=str(busy), LD_LIBRARY_PATH=os.path.join(args.build, ours, "lib"),
                   PERL5LIB="%s/lib:%s/arch" % (perl, perl), MOJO_REACTOR="Mojo::Reactor::EV", MOJO_LOG_LEVEL="fatal",
                   GEVENT_LOOP="libev-cext", GEVENT_BACKEND=GEVENT[flags])
        fill = {"program": os.path.join(self.bench, "bench-" + PEERS[peer][0]), "backend": PEERS[peer][1], "busy": busy * 1e-6,
                "bench": self.bench, "behind": behind}
        command = ["taskset", "-c", str(cpu)] + [a if "\n" in a else a.format(**fill) for a in SERVERS[name][0]]
        self.name, self.options, self.out = name, SERVERS[name][1], tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out)

    def __enter__(self):
        for tries in range(200):
            self.pids = tree(self.process.pid)
            self.port = listens_on(self.pids)
            if self.port:
                return self
            time.sleep(.05)
        raise RuntimeError("%s does not listen: %s" % (self.name, self.said()))

    def __exit__(self, *unused):
        self.process.terminate()
        self.process.wait()

    def said(self):
        self.out.seek(0)
        return self.out.read()

    def cpu_ns(self):
        out = 0
        for pid in self.pids:
            for path in glob.glob("/proc/%d/task/*/schedstat" % pid):
                with open(path) as f:
                    out += int(f.read().split()[0])
        return out

    def loaded(self):
        def maps(pid):
            with open("/proc/%d/maps" % pid) as f:
                return f.read()
        return self.name == "own server" or any(self.where in maps(pid) for pid in self.pids)

    def ask(self, args, requests, rate=0., options=(), calls=False):
        """the fields of load, and CPU time (or system calls) of a request"""
        command = ["taskset", "-c", str(args.cpus[-1]), os.path.join(self.bench, "load"), "--port", str(self.port),
                   "--requests", str(requests), "--rate", str(rate)] + self.options + list(options)
        load = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        if load.stdout.readline() != "go\n":
            raise RuntimeError("%s: %s" % (self.name, load.communicate()[1]))
        self.pids = tree(self.process.pid)
        if not self.loaded():
            raise RuntimeError("%s has not loaded %s" % (self.name, self.where))
        if calls:
            counts = tempfile.NamedTemporaryFile(mode="r")
            perf = subprocess.Popen(["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-o", counts.name,
                                     "-p", ",".join(map(str, self.pids))])
            time.sleep(.3)
        before = self.cpu_ns()
        load.stdin.write("\n")
        load.stdin.flush()
        line = load.stdout.readline()
        fields = fields_of(line)
        fields["cpu_us"] = (self.cpu_ns() - before) / 1000 / requests
        if calls:
            perf.send_signal(signal.SIGINT)
            perf.wait()
            fields["calls"] = int([c for c in counts if "sys_enter" in c][0].split(",")[0]) / requests
        error = load.communicate("\n")[1]
        if load.returncode:
            raise RuntimeError("%s: %s" % (self.name, error))
        return fields


def once(args, name, peer, requests, **how):
    """a server of its own for these requests; hitch has the bench's own server behind it"""
    program, _, brief = name.partition(" short")
    if name.endswith(" short"):
        how["options"] = ["--short"]
    busy = how.pop("busy", 0)
    if program != "hitch":
        with Server(args, program, peer, args.cpus[0], busy=busy) as server:
            fields = server.ask(args, requests, **how)
            if program == "own server":
                server.process.wait()
                fields["it_max"] = fields_of(server.said().splitlines()[-1])["it_max"]
    else:
        # which lives as long as somebody is connected to it
        with Server(args, "own server", "epoll", args.cpus[-1]) as behind, socket.create_connection(("127.0.0.1", behind.port)), \
                Server(args, "hitch", peer, args.cpus[0], behind.port, busy) as server:
            fields = server.ask(args, requests, **how)
    return fields


def chosen(args, names):
    return [n for n in names if not args.rows or n in args.rows.split(",")]


def tried(what, *args, **how):
    """a server may fail to start, as 4.33 does where others have the quota of AIO: another round will do"""
    try:
        return what(*args, **how)
    except RuntimeError as e:
        print(e)
        return None


def programs(args):
    """CPU time and system calls of a request, in rounds of all peers in any order"""
    names, peers, first = chosen(args, PROGRAMS), list(FLAGS), system()
    count = {n: max(100, int(args.seconds * once(args, n, "epoll", 500)["persec"])) for n in names}
    found = {n: {p: {"cpu_us": [], "calls": tried(once, args, n, p, count[n], calls=True)} for p in peers} for n in names}
    for number in range(args.rounds):
        for name in names:
            got = {p: tried(once, args, name, p, count[name]) for p in random.sample(peers, len(peers))}
            if all(got.values()):
                for peer in peers:
                    found[name][peer]["cpu_us"].append(got[peer]["cpu_us"])
    body = []
    for name in names:
        base, line = found[name]["epoll"]["cpu_us"], [name]
        for peer in peers:
            entry = found[name][peer]
            entry["calls"] = entry["calls"] and entry["calls"]["calls"]
            entry["ratios"] = [a / b for a, b in zip(entry["cpu_us"], base)]
            line += ["%.2f us" % statistics.median(base) if peer == "epoll" else quartiles(entry["ratios"])[0],
                     "%.2f" % entry["calls"] if entry["calls"] else "-"]
        body.append(line)
    title = "CPU time of a request, ratio to epoll: median (quartiles) of %d rounds, = no difference; system calls of a request" % args.rounds
    keep(args.build, "programs", [first] + as_text(title, [""] + [h for p in peers for h in (p, "calls")], body),
         {"system": first, "title": title, "programs": found})
    return 0


def latency(args):
    """of requests that come at 10, 50 and 80 % of what epoll can do"""
    names, first = chosen(args, ["own server", "nghttpd", "hitch"]), system()
    kinds = [(p, 0) for p in FLAGS] + [(p, b) for p in ("64", "68") for b in BUSY]
    most = {n: statistics.median(once(args, n, "epoll", 20000)["persec"] for k in range(3)) for n in names}
    cells = [(n, r, p, b) for n in names for r in RATES for p, b in kinds]
    found = [collections.defaultdict(list) for c in cells]
    for number in range(args.rounds):
        for k in random.sample(range(len(cells)), len(cells)):
            name, percent, peer, busy = cells[k]
            rate = most[name] * percent / 100
            for key, value in (tried(once, args, name, peer, int(rate * args.seconds), rate=rate, busy=busy) or {}).items():
                found[k][key].append(value)
    figures = [["%s at %d %%, %s%s" % (n, r, p, " busy %d" % b if b else "")]
               + ["%.0f" % statistics.median(f[key]) for key in ("p50", "p99", "p999", "max")]
               + ["%.2f" % statistics.median(f["cpu_us"]), "%.0f" % (max(f["it_max"]) / 1000) if f["it_max"] else "-"]
               for (n, r, p, b), f in zip(cells, found) if f]
    title = "Latency of requests on a clock of their own, us: medians of %d rounds of %g s; 100 %% are %s a second" % (
        args.rounds, args.seconds, ", ".join("%.0f (%s)" % (v, n) for n, v in most.items()))
    head = ["", "p50", "p99", "p99.9", "max", "CPU us/request", "longest iteration"]
    keep(args.build, "latency", [first] + as_text(title, head, figures), {"system": first, "title": title, "head": head, "cells": figures})
    return 0
