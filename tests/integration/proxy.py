"""A TCP proxy that can be cut: what is behind it is then away, and all lines break."""

import socket
import threading
from contextlib import suppress
from typing import Self


class Proxy:
    """`with Proxy("127.0.0.1", 6379) as proxy:`; port is where it listens."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._lines: set[socket.socket] = set()
        self._is_cut = False
        self.refused = 0  # connects while it was cut

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._listening.close()

    def cut(self) -> None:
        """Break all lines, and those that come."""
        self._is_cut = True
        for line in list(self._lines):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let lines through again."""
        self._is_cut = False

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                if self._is_cut:
                    self.refused += 1
                    near.close()
                    continue
                far = socket.create_connection(self._target)
                self._lines |= {near, far}
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for line in (source, sink):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        source.close()
        self._lines.discard(source)
