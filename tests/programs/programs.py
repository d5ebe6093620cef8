"""Debian's programs, unmodified, on the libev built here: how they are started, loaded and looked at.

All that a program gets is an environment: LD_LIBRARY_PATH, which names that libev, and LIBEV_FLAGS."""

import functools
import itertools
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
LIB = os.path.abspath(os.environ.get('LIBEV_LIB_DIR') or TOP + '/build/inst/lib')
GEVENT = {'4': 'epoll', '64': 'linux_aio', '68': 'linux_aio,epoll'}  # it takes no LIBEV_FLAGS
SMALL = [1, 100, 512, 1000, 1460, 2048, 4096, 5000, 8192, 10000]     # files that the load asks for
LARGE = [65536, 300000, 3000000]

# goes before a command: should its parent be killed, it gets a SIGTERM
MORTAL = ['setpriv', '--pdeathsig', 'TERM']

LD_LIBRARY_PATH = os.environ.get('LD_LIBRARY_PATH')
os.environ.update(LC_ALL='C', PATH=os.environ['PATH'] + ':/usr/sbin:/sbin')
for variable in 'LIBEV_FLAGS', 'LIBEV_BUSY_POLL', 'LD_LIBRARY_PATH', 'MAKEFLAGS', 'MFLAGS', 'MAKELEVEL':
    os.environ.pop(variable, None)
for number in signal.SIGTERM, signal.SIGHUP, signal.SIGINT:
    signal.signal(number, lambda *unused: sys.exit(1))


def content(path, mode='r'):
    """of a file; nothing if it is one of a process that has gone"""
    try:
        with open(path, mode) as file:
            return file.read()
    except OSError:
        return ''


def dead(pid):
    return content('/proc/%d/stat' % pid).rpartition(') ')[2][:1] in ('', 'Z', 'X')


def children(pid):
    return [int(child) for path in glob.glob('/proc/%d/task/*/children' % pid) for child in content(path).split()]


def kill(pid, how=signal.SIGTERM):
    try:
        os.kill(pid, how)
    except ProcessLookupError:  # it has ended
        pass


def tree(pid):
    """the process, and its descendants"""
    return [pid] + [p for child in children(pid) for p in tree(child)]


def links(pid):
    """what its fds are"""
    found = {}
    for path in glob.glob('/proc/%d/fd/*' % pid):
        try:
            found[os.path.basename(path)] = os.readlink(path)
        except OSError:
            pass
    return found


def places(pid):
    """Its sockets in rings, those on epoll, and the entries of its rings. The kernel lists what an epoll fd
    watches in its fdinfo; the sockets that are not there are in rings, if the process has mapped one at all."""
    fds = links(pid)
    watched = {fd for epoll, link in fds.items() if link == 'anon_inode:[eventpoll]'
               for fd in re.findall(r'(?m)^tfd: +(\d+)', content('/proc/%d/fdinfo/%s' % (pid, epoll)))}
    sockets = {fd for fd, link in fds.items() if link.startswith('socket:')}
    sizes = re.findall(r'\[aio\].*\nSize: +(\d+)', content('/proc/%d/smaps' % pid))
    return len(sockets - watched) if sizes else 0, len(sockets & watched), sum(int(size) * 32 - 1 for size in sizes)


def until(true, seconds=10):
    """whether it came true within so many seconds"""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(.05)
    return True


class Program:
    """What was started, until the end of the with statement: with flags on the libev in lib, else on Debian's.
    loads is in the name of a file that a server has mapped then."""

    def __init__(self, command, flags='', lib=LIB, env=(), tracer=(), cpus='', loads=''):
        self.name, self.traced = os.path.basename(command[0]), bool(tracer)
        if not shutil.which(command[0]):
            raise RuntimeError('%s not found: install the Debian package that has it' % self.name)
        self.loads = loads or flags and os.path.realpath(lib + '/libev.so.4')
        env = dict(os.environ, **dict(env))
        if flags:
            env.update(LD_LIBRARY_PATH=lib, LIBEV_FLAGS=flags, GEVENT_LOOP='libev-cext', GEVENT_BACKEND=GEVENT[flags],
                       PYTHONDONTWRITEBYTECODE='1')
        self.out = tempfile.TemporaryFile(mode='w+')
        self.process = subprocess.Popen(
            [*MORTAL, *(['taskset', '-c', cpus] if cpus else []), *tracer, *MORTAL, *command],
            env=env, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.end()

    def end(self):
        """who traces it, ends with it; who descends from it, has to end, too"""
        pids = tree(self.process.pid)
        if self.process.poll() is None:
            kill(pids[self.traced and len(pids) > 1])
        if not until(lambda: self.process.poll() is not None and all(map(dead, pids))):
            self.process.kill()
            raise RuntimeError('%s, or a child of it, does not end' % self.name)

    def said(self):
        self.out.seek(0)
        return self.out.read()

    def failed(self, what):
        return RuntimeError('%s %s: %s' % (self.name, what, (self.said().strip() or 'nothing was said').splitlines()[-1]))

    def done(self, seconds=120):
        """waits until it has ended; what it has said"""
        if self.process.wait(seconds):
            raise self.failed('exit status %d' % self.process.returncode)
        return self.said()

    def cpu_ns(self):
        return sum(int((content(path) or '0').split()[0])
                   for pid in tree(self.process.pid) for path in glob.glob('/proc/%d/task/*/schedstat' % pid))

    def check_libev(self, pid):
        if self.loads not in content('/proc/%d/maps' % pid):
            raise self.failed('has not loaded ' + self.loads)

    def listener(self):
        """Who of it and its descendants listens, and on which TCP port: one that is free, picked by the kernel,
        so that no two ever race for one."""
        with open('/proc/net/tcp') as sockets: # those that listen are the first, after a headline
            listeners = list(itertools.takewhile(lambda fields: fields[3] in ('st', '0A'), map(str.split, sockets)))[1:]
        ports = {'socket:[%s]' % fields[9]: int(fields[1].split(':')[1], 16) for fields in listeners}
        return next(((pid, ports[link]) for pid in tree(self.process.pid) for link in links(pid).values() if link in ports), None)

    def listening(self, ready=''):
        """waits until it listens and has said that. Sets pid and port"""
        if not until(lambda: self.process.poll() is not None or ready in self.said() and self.listener()) or not self.listener():
            raise self.failed('does not listen')
        self.pid, self.port = self.listener()
        self.check_libev(self.pid)
        return self


@functools.lru_cache()
def site():
    """a directory with files that differ in every byte, and with a certificate and its key"""
    where = tempfile.TemporaryDirectory(prefix='ev_linuxaio.')
    os.chmod(where.name, 0o755)  # a server that gives up root reads it
    for size in SMALL + LARGE:
        with open('%s/%d' % (where.name, size), 'wb') as file:
            file.write(os.urandom(size))
    subprocess.run('openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -days 2 '
                   '-keyout key -out cert 2>/dev/null && cat key cert >pem', shell=True, cwd=where.name, check=True)
    return where


def nghttpd(flags='', *options, before=(), **how):
    return Program([*before, shutil.which('nghttpd') or 'nghttpd', '--no-tls', '--address=127.0.0.1', '--htdocs=' + site().name, *options, '0'],
                   flags, **how).listening()


def hitch(flags, behind, **how):
    """Its master listens, too, for a moment, before there is a worker, and refuses to let that run as root."""
    user = [] if os.getuid() else ['--user=nobody']
    return Program(['hitch', '--frontend=[127.0.0.1]:0', '--backend=[127.0.0.1]:%d' % behind, '--workers=1', '--alpn-protos=h2',
                    *user, site().name + '/pem'], flags, **how).listening('Process 0 online')


def fetch_all(*command):
    """every file, by this command with its name at the end, is the same to the last byte"""
    for size in SMALL + LARGE:
        *first, url = command
        got = subprocess.run([*first, '%s%d' % (url, size)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        if got.stdout != content('%s/%d' % (site().name, size), 'rb'):
            raise RuntimeError('file of %d bytes: got %d others %s' % (size, len(got.stdout), got.stderr.decode()))


def ask(server, requests, clients, *options, scheme='http', flags='', rate=20000, cpus=''):
    """Has h2load ask, on the libev under test if there are flags: what it says, and the most sockets that were seen.

    Each request must get a 200, and the bodies must add up to the bytes that were asked for; requests is a multiple
    of 10 x clients, so that every client asks for each of the 10 files as often. Unless rate is 0, it asks for no more
    than so many a second, so that it lasts long enough to look often, where the sockets are: h2load's own with flags,
    else the server's. More of them "in rings" than these have entries are accepted and not yet watched: no sample."""
    url, seen = '%s://127.0.0.1:%d/' % (scheme, server.port), (0, 0, 0)
    with Program(['h2load', '-n', str(requests), '-c', str(clients), *(['--rps=%d' % -(-rate // clients)] if rate else []), *options,
                  *(url + str(size) for size in SMALL)], flags, cpus=cpus) as load:
        while rate and load.process.poll() is None:
            now = places(load.process.pid if flags else server.pid)
            seen = max(seen, now if now[0] <= now[2] else seen, key=lambda place: (place[0] + place[1], place[0]))
            time.sleep(.02)
        said = load.done()
    for text in ('requests: %d total, %d started, %d done, %d succeeded, 0 failed, 0 errored, 0 timeout' % ((requests,) * 4),
                 'status codes: %d 2xx, 0 3xx, 0 4xx, 0 5xx' % requests, '(%d) data' % (sum(SMALL) * requests // len(SMALL))):
        if text not in said:
            raise RuntimeError('not %s, but %s' % (text, re.findall('(?m)^(?:requests|status codes|traffic):.*', said)))
    return said, seen


class Calls:
    """Counts system calls, those of children, too, as the tracer of a Program. perf does not slow it by that.
    by says what counts, if anything can."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(mode='r')
        ways = {'perf stat': 'perf stat -x, -o %s -e raw_syscalls:sys_enter -e syscalls:sys_enter_epoll_ctl -e syscalls:sys_enter_io_submit',
                'strace': 'strace -I 2 -f -c -o %s', '': ''}
        self.by = next(by for by, way in ways.items() if subprocess.call('%s true >/dev/null 2>&1' % way.replace('%s', '/dev/null'), shell=True) == 0)
        self.tracer = ways[self.by].replace('%s', self.file.name).split()

    def of(self, name='total', requests=1):
        """of one request, as text"""
        calls = {}
        self.file.seek(0)
        for line in self.file:
            fields = line.replace(',', ' ').split()
            if 'sys_enter' in line:
                calls[fields[1].rpartition('sys_enter')[2].strip('_') or 'total'] = int(fields[0])
            elif len(fields) > 4 and fields[3].isdigit():
                calls[fields[-1]] = int(fields[3])
        return ('%.2f' if requests > 1 else '%d') % (calls.get(name, 0) / requests) if 'total' in calls else '-'
