"""A proxy on loopback for an HTTP service: slow, now and then out of order, as far stores are."""

import http.client
import random
import socket
import threading
import time
from collections import Counter

from loopback import Loopback

BUSY = (
    b'<?xml version="1.0"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)


class Unsteady(Loopback):
    """Hands requests on to ``port``, but for a share that go wrong.

    ``faults``: drop (the connection, unanswered), busy (503), cut (the answer in its middle), lost
    (handed on, and the connection dropped instead of an answer).
    """

    protocol = "HTTP/1.1"
    FAULTS = ("drop", "busy", "cut", "lost")

    def __init__(self, port, rate=0.3, delay=0.05, seed=0):
        self.port, self.rate, self.delay = port, rate, delay
        self.random, self.lock = random.Random(seed), threading.Lock()
        self.done, self.methods = Counter(), Counter()
        super().__init__()

    def _body(self, request):
        if "chunked" not in request.headers.get("Transfer-Encoding", ""):
            return request.rfile.read(int(request.headers.get("Content-Length") or 0))
        parts = []
        while size := int(request.rfile.readline().split(b";")[0], 16):
            parts.append(request.rfile.read(size))
            request.rfile.readline()
        request.rfile.readline()
        return b"".join(parts)

    def _answer(self, request):
        if request.headers.get("Expect"):
            request.send_response_only(100)
            request.end_headers()
        body = self._body(request)
        with self.lock:
            fault = "none"
            if self.random.random() < self.rate:
                fault = self.random.choice(self.FAULTS)
            self.done[fault] += 1
            self.methods[request.command] += 1
            wait = self.random.expovariate(1 / self.delay) if self.delay else 0
        time.sleep(min(wait, 1))
        if fault == "drop":
            return self._hang_up(request)
        if fault == "busy":
            status, headers, data = 503, [("Content-Type", "application/xml")], BUSY
        else:
            status, headers, data = self._upstream(request, body)
        if fault == "lost":
            return self._hang_up(request)
        request.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                request.send_header(name, value)
        length = dict(headers).get("Content-Length") if request.command == "HEAD" else len(data)
        request.send_header("Content-Length", str(length or 0))
        request.end_headers()
        if request.command == "HEAD":
            return None
        if fault == "cut":
            request.wfile.write(data[: len(data) // 2])
            return self._hang_up(request)
        request.wfile.write(data)
        return None

    def _upstream(self, request, body):
        upstream = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        left = ("transfer-encoding", "content-length", "expect", "connection")
        headers = {k: v for k, v in request.headers.items() if k.lower() not in left}
        headers["Content-Length"] = str(len(body))
        upstream.request(request.command, request.path, body, headers)
        response = upstream.getresponse()
        data = response.read()
        upstream.close()
        return response.status, response.getheaders(), data

    @staticmethod
    def _hang_up(request):
        request.close_connection = True
        request.wfile.flush()
        request.connection.shutdown(socket.SHUT_RDWR)
