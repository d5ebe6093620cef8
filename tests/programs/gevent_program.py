# A small gevent program, as users of gevent write them, with Debian's gevent and
# unittest. It runs on LIBEV_FLAGS; with 64 it must have a ring after some thousand events.

import errno
import hashlib
import os
import socket as blocking
import struct
import sys
import unittest

import gevent
import gevent.os
from gevent import socket
from gevent.server import StreamServer

CONNECTIONS = 200
FLAGS = int(os.environ['LIBEV_FLAGS'])


def backend():
    return gevent.get_hub().loop.backend_int


def ring():
    with open('/proc/self/maps') as maps:
        return '/[aio]' in maps.read()


def echo(client, _address):
    while True:
        data = client.recv(65536)
        if not data:
            return
        client.sendall(data)


def proxy_of(port):
    """Nothing is read from a client while its answer is not there."""
    def handle(client, _address):
        with socket.create_connection(('127.0.0.1', port)) as server:
            while True:
                data = client.recv(65536)
                if not data:
                    return
                server.sendall(data)
                left = len(data)
                while left:
                    data = server.recv(left)
                    if not data:
                        return
                    client.sendall(data)
                    left -= len(data)
    return handle


def start_server(handler=echo, listen=('127.0.0.1', 0)):
    server = StreamServer(listen, handler)
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


def see_eof(peer):
    """Waits for the end of a stream without gevent: the loop stands still."""
    peer.setsockopt(blocking.SOL_SOCKET, blocking.SO_RCVTIMEO, struct.pack('ll', 10, 0))
    return peer.recv(1)


class Program(unittest.TestCase):
    def setUp(self):
        """Holds some idle connections."""
        self.server = start_server()
        self.idle = [socket.create_connection(('127.0.0.1', self.server.server_port))
                     for _ in range(64)]
        self.readers = [gevent.spawn(peer.recv, 1) for peer in self.idle]
        gevent.sleep(0.01)

    def tearDown(self):
        gevent.killall(self.readers)
        for peer in self.idle:
            peer.close()
        self.server.stop()

    def test_every_byte_comes_back(self):
        talks = [gevent.spawn(talk, self.server.server_port, n) for n in range(CONNECTIONS)]
        gevent.joinall(talks, timeout=60)
        self.assertEqual([t.value for t in talks], [True] * CONNECTIONS)
        if FLAGS != 68:
            self.assertEqual(ring(), FLAGS == 64 and os.environ['AIO'] == '3')

    def test_proxy_between_two_ends(self):
        listener = socket.socket()
        listener.bind(('127.0.0.1', 0))
        listener.listen(CONNECTIONS)
        proxy = start_server(proxy_of(listener.getsockname()[1]))
        pid = gevent.os.fork_and_watch()
        if pid == 0:
            proxy.close()
            self.server.close()
            gevent.killall(self.readers)
            start_server(listen=listener)
            talks = [gevent.spawn(talk, proxy.server_port, n) for n in range(CONNECTIONS)]
            gevent.joinall(talks, timeout=60)
            os._exit(0 if all(t.value for t in talks) else 1)
        listener.close()
        self.assertEqual(gevent.os.waitpid(pid, 0), (pid, 0))
        proxy.stop()

    def test_stopped_server_refuses_and_its_port_is_free(self):
        for _ in range(20):
            server = start_server()
            port = server.server_port
            self.assertTrue(talk(port, 1))
            server.stop()
            probe = blocking.socket()
            self.assertEqual(probe.connect_ex(('127.0.0.1', port)), errno.ECONNREFUSED)
            probe.close()
            again = blocking.socket()
            again.setsockopt(blocking.SOL_SOCKET, blocking.SO_REUSEADDR, 1)
            again.bind(('127.0.0.1', port))
            again.listen()
            again.close()

    def test_closed_after_a_timeout_is_closed_at_once(self):
        for _ in range(20):
            ours, theirs = socket.socketpair()
            with self.assertRaises(gevent.Timeout):
                with gevent.Timeout(0.001):
                    ours.recv(1)
            peer = blocking.socket(fileno=theirs.detach())
            peer.setblocking(True)
            ours.close()
            self.assertEqual(see_eof(peer), b'')
            peer.close()

    def test_child_and_parent_both_go_on(self):
        port = self.server.server_port
        pid = gevent.os.fork_and_watch()
        if pid == 0:
            self.server.close()  # or it would take connections that are its parent's
            gevent.killall(self.readers)
            here = start_server()
            talks = [gevent.spawn(talk, here.server_port, n) for n in range(CONNECTIONS)]
            gevent.joinall(talks, timeout=60)
            os._exit(0 if all(t.value for t in talks) else 1)
        talks = [gevent.spawn(talk, port, n) for n in range(CONNECTIONS)]
        gevent.joinall(talks, timeout=60)
        self.assertEqual([t.value for t in talks], [True] * CONNECTIONS)
        self.assertEqual(gevent.os.waitpid(pid, 0), (pid, 0))

    def test_processes_and_signals(self):
        from gevent import subprocess, signal_handler
        import signal
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
    wanted = 4 if FLAGS == 4 or os.environ['AIO'] != '3' and backend() == 4 else 64
    if backend() != wanted:
        sys.exit('gevent runs on backend %d, not on %d' % (backend(), wanted))
    unittest.main()
