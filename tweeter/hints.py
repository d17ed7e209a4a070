"""A word from who stores to who shows: there is something new.

A datagram to each socket in a folder, between processes of one machine. It carries nothing and may
be lost: the database is the truth, and is asked without a hint as well, only later.
"""

import os
import socket
from pathlib import Path


def folder(data_dir: Path) -> Path:
    """Where the sockets are of those who listen."""
    return data_dir / "hints"


def tell(where: Path) -> None:
    """Tell all who listen; never waits."""
    try:
        names = os.listdir(where)
    except OSError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        for name in names:
            path = where / name
            try:
                line.sendto(b"!", str(path))
            except ConnectionRefusedError:  # its process was killed
                path.unlink(missing_ok=True)
            except OSError:  # it has not yet read the last ones
                pass


class Ear:
    """The socket of a process that listens."""

    def __init__(self, where: Path) -> None:
        """Raises OSError where there can be none (a long path, a shared disk)."""
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = where / str(os.getpid())
        self._path.unlink(missing_ok=True)
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.setblocking(False)
        try:
            self._line.bind(str(self._path))
        except OSError:
            self._line.close()
            raise

    def fileno(self) -> int:
        """For a loop: it is readable when somebody has told something."""
        return self._line.fileno()

    def hear(self) -> None:
        """Take what was told."""
        try:
            while self._line.recv(16):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Listen no more."""
        self._path.unlink(missing_ok=True)
        self._line.close()
