"""Refuses and records what no command may do: reach another machine, write outside the folders it was given.

Python imports this module at the start of every process that finds this folder on PYTHONPATH, worker
processes included. A line of the file GUARD_LOG is one attempt.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

LOOPBACK = ("127.0.0.1", "::1", "localhost", "")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

if "GUARD_LOG" in os.environ:
    _log = os.environ["GUARD_LOG"]
    _allowed = tuple(os.path.realpath(folder) for folder in os.environ["GUARD_FOLDERS"].split(os.pathsep))

    def _record(what: str) -> None:
        # Opened each time: a forked process may have closed what it inherited.
        handle = os.open(_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        os.write(handle, f"{what}\n".encode("utf-8", "backslashreplace"))
        os.close(handle)

    def _remote(address: Any) -> bool:
        return isinstance(address, tuple) and str(address[0]) not in LOOPBACK

    def _outside(path: Any) -> bool:
        if path is None or isinstance(path, int):
            return False
        place = os.path.abspath(os.fsdecode(path))
        return (
            not place.startswith(("/dev/", "/proc/"))
            and place != _log
            and not any(
                place == folder or place.startswith(folder + os.sep)
                for folder in (*_allowed, *map(os.path.realpath, _allowed))
            )
        )

    def _hook(event: str, args: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg") and _remote(args[1]):
            _record(f"{event} {args[1]}")
            raise OSError(errno.ENETUNREACH, "refused by the test")
        if event.startswith("socket.get") and event != "socket.gethostname":
            host = args[0]
            name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
            if name is not None and str(name) not in LOOPBACK:
                _record(f"{event} {name}")
                raise OSError(errno.ENETUNREACH, "refused by the test")
        if event == "open" and isinstance(args[2], int) and args[2] & WRITES and _outside(args[0]):
            _record(f"write {args[0]!r}")
        if (event == "os.mkdir" and _outside(args[0])) or (event == "os.rename" and _outside(args[1])):
            _record(f"{event} {args[:2]}")

    sys.addaudithook(_hook)
