"""Programs of others, and the bench's own server, under requests on a clock of their own (w_load.c).

The server has one CPU; the load, and what is behind a proxy, has another. A program gets its
libev by LD_LIBRARY_PATH (Perl: by PERL5LIB) and its backend by LIBEV_FLAGS.
"""

import array
import collections
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import time

from figures import HERE, PEERS, fields_of, keep

sys.path.append(HERE + "/../programs")
from programs import Calls, Program, site, tree  # noqa: E402

FLAGS = {"epoll": "4", "64": "64", "68": "68", "4.33 aio": "64"}
WSGI = """from gevent.pywsgi import WSGIServer
def hello(environ, start_response):
    start_response('200 OK', [('Content-Length', '6')])
    return [b'Hello\\n']
WSGIServer(('127.0.0.1', 0), hello, log=None).serve_forever()"""
MOJO = """use Mojolicious::Lite; get '/' => {text => "Hello\\n"};
app->start (qw (daemon -l http://127.0.0.1:0 -r 1000000000 -m production))"""

# what is started (the words in capitals are filled in), and how it is asked
SERVERS = {
    "own server": (["PROGRAM", "server", "0", "ops=1"], []),
    "nghttpd":    (["nghttpd", "--no-tls", "--address=127.0.0.1", "--htdocs=SITE", "0"], ["http2=1"]),
    "hitch":      (["hitch", "--frontend=[127.0.0.1]:0", "--backend=[127.0.0.1]:BEHIND", "--workers=1", "--user=nobody", "SITE/pem"], ["tls=1"]),
    "gevent":     (["/usr/bin/python3", "-c", WSGI], []),
    "mojo":       (["/usr/bin/perl", "-e", MOJO], []),
    "lwt":        (["BENCH/hello-lwt"], []),
    "lua-ev":     (["/usr/bin/lua5.1", HERE + "/hello.lua"], []),
}
PROGRAMS = [name + kind for name in ("nghttpd", "hitch", "gevent", "mojo", "lwt", "lua-ev") for kind in ("", " short")]
RATES = [10, 50, 80]
BUSY = [20, 100]
CLIENTS = 100


class Server(Program):
    """a server that listens, until the end of the with statement"""

    def __init__(self, args, name, peer, cpu, behind=0, busy=0):
        self.bench = os.path.join(args.build, "bench")
        ours = "pristine-inst" if peer == "4.33 aio" else "inst"
        perl = os.path.join(self.bench, "ev-" + ours, "blib")
        lib = os.path.join(args.build, ours, "lib")
        command, self.options = SERVERS[name]
        for word, text in ("BENCH", self.bench), ("PROGRAM", os.path.join(self.bench, "bench-" + PEERS[peer][0])), ("BEHIND", str(behind)), ("SITE", site().name):
            command = [a.replace(word, text) for a in command]
        super().__init__(command, FLAGS[peer], lib, cpus=str(cpu), loads={"own server": "bench-", "mojo": perl}.get(name, lib), env={
            "LIBEV_BUSY_POLL": str(busy), "PERL5LIB": "%s/lib:%s/arch" % (perl, perl), "MOJO_REACTOR": "Mojo::Reactor::EV", "MOJO_LOG_LEVEL": "fatal",
            "LUA_CPATH": self.bench + "/lua-ev/?.so;;"})
        self.listening("Process 0 online" if name == "hitch" else "")

    def ask(self, args, requests, calls=False, **options):
        """quantiles of the latencies and CPU time of a request, us; or system calls of a request"""
        command = ["taskset", "-c", str(args.cpus[-1]), os.path.join(self.bench, "load"), "load", "-", "port=%d" % self.port, "n=%d" % CLIENTS,
                   "ops=%d" % requests] + self.options + ["%s=%d" % o for o in options.items()]
        load = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if load.stdout.readline() != b"go\n":
            raise RuntimeError("%s: %s" % (self.name, load.communicate()[1].decode()))
        if calls:
            counts = Calls()
            counting = subprocess.Popen(counts.tracer + ["-p", ",".join(map(str, tree(self.process.pid)))], stderr=subprocess.DEVNULL)
            time.sleep(.3)
        before = self.cpu_ns()
        load.stdin.write(b"\n")
        load.stdin.flush()
        numbers = array.array("Q", load.stdout.read(8 * requests + 8))
        cpu = self.cpu_ns() - before
        if calls:
            counting.send_signal(signal.SIGINT)
            counting.wait()
        error = load.communicate(b"\n")[1]
        if load.returncode:
            raise RuntimeError("%s: %s" % (self.name, error.decode()))
        if calls:
            return {"calls": float(counts.of(requests=requests))}
        per_second = requests / numbers.pop() * 1e9
        latencies = [n / 1000 for n in sorted(numbers)]
        return {**{"p%g" % q: latencies[int(requests * q / 100)] for q in (50, 99, 99.9)}, "max": latencies[-1],
                "cpu": cpu / 1000 / requests, "per second": per_second}


def once(args, name, peer, requests, busy=0, **how):
    """a server of its own for these requests; hitch has the bench's own server behind it"""
    program, brief, _ = name.partition(" short")
    if brief:
        how["short"] = 1
    if program != "hitch":
        with Server(args, program, peer, args.cpus[0], busy=busy) as server:
            found = server.ask(args, requests, **how)
            if program == "own server":
                server.process.wait()
                found["longest iteration"] = fields_of(server.said())["user"] / 1000
            return found
    # which lives as long as somebody is connected to it
    with Server(args, "own server", "epoll", args.cpus[-1]) as behind, socket.create_connection(("127.0.0.1", behind.port)), \
            Server(args, "hitch", peer, args.cpus[0], behind.port, busy) as server:
        return server.ask(args, requests, **how)


def chosen(args, names):
    return [n for n in names if not args.rows or n in args.rows.split(",")]


def tried(*what, **how):
    """a server may fail to start, as 4.33 does where others have the quota of AIO: another round will do"""
    try:
        return once(*what, **how)
    except RuntimeError as e:
        print(e)
        return {}


def programs(args):
    """CPU time and system calls of a request, in rounds of all peers in any order"""
    names, peers = chosen(args, PROGRAMS), list(FLAGS)
    left_out = [] if os.environ.get("LUA_EV_SRC") else [n for n in names if n.startswith("lua-ev")]
    names = [n for n in names if n not in left_out]
    count = {n: max(100, int(args.seconds * once(args, n, "epoll", 500)["per second"])) for n in names}
    found = {n: {p: {"values": [], "calls": {"all": tried(args, n, p, count[n], calls=True).get("calls", 0)}} for p in peers} for n in names}
    for number in range(args.rounds):
        for name in names:
            got = {p: tried(args, name, p, count[name]) for p in random.sample(peers, len(peers))}
            if all(got.values()):
                for peer in peers:
                    found[name][peer]["values"].append(got[peer]["cpu"])
    keep(args, "CPU time of a request, us, ratio to epoll: median (quartiles) of %d rounds, = no difference; system calls of a request"
         % args.rounds, {"": found}, ["left out: %s, as LUA_EV_SRC names no directory with its source" % n for n in left_out[:1]])


def latency(args):
    """of requests that come at 10, 50 and 80 % of what epoll can do"""
    names = chosen(args, ["own server", "nghttpd", "hitch"])
    most = {n: statistics.median(once(args, n, "epoll", 20000)["per second"] for k in range(3)) for n in names}
    cells = [(n, r, p, b) for n in names for r in RATES for p, b in [(p, 0) for p in FLAGS] + [(p, b) for p in ("64", "68") for b in BUSY]]
    found = {c: collections.defaultdict(lambda: {"values": []}) for c in cells}
    for number in range(args.rounds):
        for name, percent, peer, busy in random.sample(cells, len(cells)):
            rate = most[name] * percent / 100
            for key, value in tried(args, name, peer, int(rate * args.seconds), rate=rate, busy=busy).items():
                found[name, percent, peer, busy][key]["values"].append(value)
    keep(args, "latency of requests on a clock of their own and CPU time of a request, us: medians of %d rounds of %g s; 100 %% are %s a second" % (
        args.rounds, args.seconds, ", ".join("%.0f (%s)" % (v, n) for n, v in most.items())), {"": {
            "%s at %d %%, %s%s" % (n, r, p, b and " busy %d" % b or ""): entries for (n, r, p, b), entries in found.items()}})
