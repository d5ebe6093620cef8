"""Many short connections, server and clients in one gevent: coroutines.py REQUESTS CLIENTS

Prints requests a second, the slowest in ms, and us of processor time a request."""

import hashlib
import sys
import time

import gevent
from gevent import socket
from gevent.server import StreamServer

REQUESTS, CLIENTS = int(sys.argv[1]), int(sys.argv[2])
slowest = 0


def answer(client, _address):
    with gevent.Timeout(10):
        client.sendall(hashlib.sha256(client.recv(100)).digest())


def ask(port, numbers):
    global slowest
    for number in numbers:
        begin = time.perf_counter()
        with gevent.Timeout(10), socket.create_connection(('127.0.0.1', port)) as peer:
            question = b'%d' % number
            peer.sendall(question)
            got = b''
            while len(got) < 32:
                data = peer.recv(100)
                if not data:
                    break
                got += data
        slowest = max(slowest, time.perf_counter() - begin)
        if got != hashlib.sha256(question).digest():
            sys.exit('wrong answer')


server = StreamServer(('127.0.0.1', 0), answer, backlog=CLIENTS)
server.start()
start, cpu = time.perf_counter(), time.process_time()
clients = [gevent.spawn(ask, server.server_port, range(n, REQUESTS, CLIENTS)) for n in range(CLIENTS)]
gevent.joinall(clients, raise_error=True)
print('%.0f %.2f %.2f' % (REQUESTS / (time.perf_counter() - start), slowest * 1e3,
                          (time.process_time() - cpu) * 1e6 / REQUESTS))
