"""`python -m bench` is the command `bench`; here it begins, so that Ctrl-C is quiet while it is imported."""

from __future__ import annotations

import os

try:
    import signal
    from types import FrameType
except KeyboardInterrupt:
    os._exit(130)


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once: nothing has begun, and an exception in the middle of an import is a traceback."""
    os._exit(130)


def main() -> None:
    """Import the command and run it; an interrupt before it has begun ends with exit code 130."""
    # Under nohup and the like interrupts are ignored, and stay so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    from bench.commands.main import main as run

    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
