"""Servers on loopback; one that misbehaves on purpose."""

import http.server
import threading
from email.utils import formatdate


class Loopback:
    """An HTTP server on a free port, in a thread; ``_answer`` answers every request."""

    protocol = "HTTP/1.0"

    def __init__(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = outer.protocol

            def log_message(self, *_):
                pass

            def answer(self):
                outer._answer(self)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # a client that has had enough hangs up
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class Server(Loopback):
    """Serves ``files`` by path; the switches make it break off, lie, forget ranges or change."""

    def __init__(self, files):
        self.files, self.etag = files, '"one"'
        self.ranges = True
        self.cuts = []  # bytes after which the next connections end
        self.states = []  # HTTP states of the next requests
        self.length = None  # what Content-Length claims
        self.seen = []  # (path, Range, If-Range)
        super().__init__()

    def _answer(self, request):
        asked = request.headers.get("Range")
        self.seen.append((request.path, asked, request.headers.get("If-Range")))
        if request.path.startswith("/moved/"):
            request.send_response(302)
            request.send_header("Location", request.path.removeprefix("/moved"))
            request.end_headers()
            return
        state = self.states.pop(0) if self.states else 200
        body = self.files.get(request.path)
        if state != 200 or body is None:
            request.send_error(404 if body is None else state)
            return
        start = 0
        fits = request.headers.get("If-Range") in (None, self.etag)
        if asked and self.ranges and fits:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(body)}")
                request.end_headers()
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            request.send_response(200)
        request.send_header("ETag", self.etag)
        request.send_header("Last-Modified", formatdate(0, usegmt=True))
        rest = body[start:]
        request.send_header("Content-Length", str(self.length or len(rest)))
        request.end_headers()
        request.wfile.write(rest[: self.cuts.pop(0) if self.cuts else None])
        request.close_connection = True
