"""What all tests of the Python package share, and which run where.

An environment has one of the two AG2s, classic (`autogen`) or 1.x (`ag2`).
"""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import pytest

# In Python's development mode what AG2 imports warns on the standard error of the programs that tests run.
os.environ.setdefault("PYTHONWARNINGS", "ignore::ImportWarning")


def is_installed(package: str) -> bool:
    """A folder of tests that has a package's name does not count: it has no `__init__.py`."""
    spec = find_spec(package)
    return spec is not None and spec.origin is not None


collect_ignore = [folder for folder, package in (("ag2", "autogen"), ("ag2_v1", "ag2")) if not is_installed(package)]


@pytest.fixture
def collector():
    """A collector that takes everything, as JSON."""
    taken = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            taken.append((self.path, self.headers, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", taken
        server.shutdown()
        thread.join()
