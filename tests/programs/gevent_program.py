"""A small gevent program, as users of gevent write them, with Debian's gevent.

gevent_program.py                    tests, which run on LIBEV_FLAGS
gevent_program.py REQUESTS CLIENTS   many short connections, server and clients in one loop: prints requests
                                     a second, the slowest in ms, and us of processor time a request"""

import hashlib
import os
import signal
import socket as blocking
import struct
import sys
import time
import unittest

import gevent
import gevent.os
from gevent import signal_handler, socket, subprocess
from gevent.pool import Pool
from gevent.server import StreamServer

FLAGS = int(os.environ['LIBEV_FLAGS'])
AIO = os.environ.get('AIO') == '3'


def echo(client, _address):
    with gevent.Timeout(60):
        while data := client.recv(65536):
            client.sendall(data)


def start_server(backlog=256):
    server = StreamServer(('127.0.0.1', 0), echo, backlog=backlog)
    server.start()
    return server


def talk(port, blocks):
    """Sends them, one after the other, in a connection of its own, and wants the same bytes back."""
    with gevent.Timeout(60), socket.create_connection(('127.0.0.1', port)) as peer:
        for block in blocks:
            peer.sendall(block)
            got = b''
            while len(got) < len(block) and (data := peer.recv(65536)):
                got += data
            if got != block:
                sys.exit('wrong answer')


def all_talk(port, connections=200):
    """Blocks of all sizes."""
    def blocks(seed):
        block = hashlib.sha256(str(seed).encode()).digest() * 1000
        return [block[:1 + (seed * 7919 + turn * 1601) % len(block)] for turn in range(20)]
    gevent.joinall([gevent.spawn(talk, port, blocks(n)) for n in range(connections)], raise_error=True)


def many(requests, clients):
    def client(number):
        begin = time.perf_counter()
        talk(server.server_port, [hashlib.sha256(b'%d' % number).digest()])
        return time.perf_counter() - begin

    server = start_server(clients)
    start, cpu = time.perf_counter(), time.process_time()
    slowest = max(Pool(clients).imap_unordered(client, range(requests)))
    print('%.0f %.2f %.2f' % (requests / (time.perf_counter() - start), slowest * 1e3,
                              (time.process_time() - cpu) * 1e6 / requests))


class Program(unittest.TestCase):
    def setUp(self):
        """Holds some idle connections."""
        self.server = start_server()
        self.idle = [socket.create_connection(('127.0.0.1', self.server.server_port)) for _ in range(64)]
        self.readers = [gevent.spawn(peer.recv, 1) for peer in self.idle]
        gevent.sleep(0.01)

    def tearDown(self):
        gevent.killall(self.readers)
        for peer in self.idle:
            peer.close()
        self.server.stop()

    def test_every_byte_comes_back(self):
        all_talk(self.server.server_port)
        if FLAGS != 68:
            with open('/proc/self/maps') as maps:
                self.assertEqual('/[aio]' in maps.read(), FLAGS == 64 and AIO)

    def test_closed_after_a_timeout_is_closed_at_once(self):
        for _ in range(20):
            ours, theirs = socket.socketpair()
            with self.assertRaises(gevent.Timeout), gevent.Timeout(0.001):
                ours.recv(1)
            peer = blocking.socket(fileno=theirs.detach())
            peer.setblocking(True)
            ours.close()
            # waits for the end of the stream without gevent: the loop stands still
            peer.setsockopt(blocking.SOL_SOCKET, blocking.SO_RCVTIMEO, struct.pack('ll', 10, 0))
            self.assertEqual(peer.recv(1), b'')
            peer.close()

    def test_child_and_parent_both_go_on(self):
        pid = gevent.os.fork_and_watch()
        if pid == 0:
            self.server.close()  # or it would take connections that are its parent's
            gevent.killall(self.readers)
            all_talk(start_server().server_port)
            os._exit(0)
        all_talk(self.server.server_port)
        self.assertEqual(gevent.os.waitpid(pid, 0), (pid, 0))

    def test_processes_and_signals(self):
        got = []
        watcher = signal_handler(signal.SIGUSR2, got.append, 1)
        for n in range(10):
            self.assertEqual(subprocess.check_output(['echo', str(n)]), b'%d\n' % n)
            os.kill(os.getpid(), signal.SIGUSR2)
            with gevent.Timeout(10):
                while len(got) <= n:
                    gevent.sleep(0.001)
        watcher.cancel()


if len(sys.argv) == 3:
    many(int(sys.argv[1]), int(sys.argv[2]))
else:
    backend = gevent.get_hub().loop.backend_int
    if backend not in ((4,) if FLAGS == 4 else (64,) if AIO else (4, 64)):
        sys.exit('gevent runs on backend %d' % backend)
    unittest.main()
