"""A redis-server of one's own, for benchmarks and tests."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tfrec.errors import TfrecError

_START_SECONDS = 60.0
_ATTEMPTS = 5


def redis_server_missing() -> str | None:
    """Returns why no server can be started, None when one can."""
    return None if shutil.which("redis-server") else "redis-server is not installed (`make redis` installs it)"


class PrivateRedis:
    """Runs redis-server on a free port of this machine and on a Unix socket, by default without persistence.

    A context manager; the server ends with it.

    Args:
        directory: Where log, socket and, with persistence, data lie. The path of a Unix socket has at most 107 bytes.
        options: Further options of redis-server, e.g. `--maxmemory`, `4mb`.

    Raises:
        TfrecError: The server does not start; the end of its log is in the message.
    """

    def __init__(self, directory: str | Path, *options: str) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = 0
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """URL over TCP."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """URL over the Unix socket."""
        return f"unix://{self.directory / 'socket'}"

    def __enter__(self) -> PrivateRedis:
        for attempt in range(_ATTEMPTS):
            self.port = _free_port()
            try:
                self.start()
                break
            except TfrecError:  # another process may have taken the port
                if attempt == _ATTEMPTS - 1:
                    raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Starts the server, on the same port as before, and waits until it answers."""
        log = self.directory / "log"
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command += ["--unixsocket", str(self.directory / "socket"), "--dir", str(self.directory), "--logfile", str(log)]
        self._process = subprocess.Popen([*command, *self._options], stdout=subprocess.DEVNULL)
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            if self._answers():
                return
            time.sleep(0.02)
        self.kill()
        lines = log.read_text(errors="replace").splitlines()[-3:] if log.exists() else []
        raise TfrecError(f"redis-server did not start: {' | '.join(lines)}")

    def kill(self) -> None:
        """Ends the server as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self, **options: Any) -> Any:
        """Returns a `redis.Redis` connected over TCP."""
        import redis

        return redis.Redis(host="127.0.0.1", port=self.port, **options)

    def _answers(self) -> bool:
        """Whether it accepts connections and has loaded its data; a refused password is an answer too."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1.0)
                connection.connect(str(self.directory / "socket"))
                connection.sendall(b"PING\r\n")
                reply = connection.recv(100)
        except OSError:
            return False
        return reply.startswith((b"+PONG", b"-NOAUTH"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
