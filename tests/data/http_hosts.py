"""HTTP servers for tests: `Plain` answers with whole files only, `Ranges` also with parts of them."""

from __future__ import annotations

import http.server
import re
from pathlib import Path
from typing import Any


class Plain(http.server.SimpleHTTPRequestHandler):
    """Whole files only, like `python -m http.server`."""

    def log_message(self, *_: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # the client closes the connection when it has seen enough
            self.close_connection = True


class Ranges(Plain):
    """Also answers `Range: bytes=first-last`."""

    def do_GET(self) -> None:
        asked = re.match(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if asked is None or not path.is_file():
            super().do_GET()
            return
        content = path.read_bytes()
        first, last = int(asked.group(1)), min(int(asked.group(2)), len(content) - 1)
        if first >= len(content):
            self.send_error(416)
            return
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(content[first : last + 1])
