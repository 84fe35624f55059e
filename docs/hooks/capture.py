"""What commands print on a terminal of 100 columns: run in a pseudo-terminal, with standard error apart."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

COLUMNS = 100


@dataclass(frozen=True)
class Printed:
    """The end of a run. ansi: standard output with its colours. errors: standard error."""

    code: int
    ansi: str
    errors: str

    @property
    def lines(self) -> list[str]:
        """Return the lines of standard output without colours, blank ones at both ends left out."""
        plain = Text.from_ansi(self.ansi).plain
        return [line.rstrip() for line in plain.strip("\n").splitlines()]


def environment(cache: Path) -> dict[str, str]:
    """Return the environment of a reader: this interpreter's `bench`, and nothing set by BENCH_ variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BENCH_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return {
        **kept,
        "PATH": path,
        "BENCH_CACHE": str(cache),
        "COLUMNS": str(COLUMNS),
        "LINES": "50",
        "TERM": "xterm-256color",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


def run(code: str, folder: Path, environ: dict[str, str]) -> Printed:
    """Run lines of bash in a folder, up to the first that fails."""
    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            ["bash", "-eo", "pipefail", "-c", code],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=inner,
            stderr=errors,
        )
        os.close(inner)
        parts = []
        # At the end of the output Linux raises an error instead of returning nothing.
        while part := _read(terminal):
            parts.append(part)
        os.close(terminal)
        code_ = process.wait()
        errors.seek(0)
        messages = errors.read().decode(errors="replace")
    ansi = b"".join(parts).decode(errors="replace").replace("\r\n", "\n")
    return Printed(code_, ansi, messages)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
