# A small gevent program, as users of gevent write them, with Debian's gevent and
# unittest. It runs on LIBEV_FLAGS; with 64 it must have a ring after some thousand events.

import hashlib
import os
import signal
import socket as blocking
import struct
import sys
import unittest

import gevent
import gevent.os
from gevent import signal_handler, socket, subprocess
from gevent.server import StreamServer

CONNECTIONS = 200
FLAGS = int(os.environ['LIBEV_FLAGS'])
AIO = os.environ['AIO'] == '3'


def ring():
    with open('/proc/self/maps') as maps:
        return '/[aio]' in maps.read()


def echo(client, _address):
    while True:
        data = client.recv(65536)
        if not data:
            return
        client.sendall(data)


def start_server():
    server = StreamServer(('127.0.0.1', 0), echo)
    server.start()
    return server


def talk(port, seed):
    """Sends blocks of all sizes and wants the same bytes back."""
    block = hashlib.sha256(str(seed).encode()).digest() * 1000
    with socket.create_connection(('127.0.0.1', port)) as peer:
        for turn in range(20):
            sent = block[:1 + (seed * 7919 + turn * 1601) % len(block)]
            peer.sendall(sent)
            got = b''
            while len(got) < len(sent):
                data = peer.recv(65536)
                if not data:
                    return False
                got += data
            if got != sent:
                return False
    return True


def all_talk(port):
    talks = [gevent.spawn(talk, port, n) for n in range(CONNECTIONS)]
    gevent.joinall(talks, timeout=60)
    return all(t.value for t in talks)


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
        self.assertTrue(all_talk(self.server.server_port))
        if FLAGS != 68:
            self.assertEqual(ring(), FLAGS == 64 and AIO)

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
            os._exit(0 if all_talk(start_server().server_port) else 1)
        self.assertTrue(all_talk(self.server.server_port))
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


if __name__ == '__main__':
    backend = gevent.get_hub().loop.backend_int
    if backend not in ((4,) if FLAGS == 4 else (64,) if AIO else (4, 64)):
        sys.exit('gevent runs on backend %d' % backend)
    unittest.main()
