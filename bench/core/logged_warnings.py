"""Handler of logged warnings: messages of the command, or events of a worker."""

from __future__ import annotations

import logging
from collections.abc import Callable


class _Lines(logging.Handler):
    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self.say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the message on as one line."""
        self.say(" ".join(record.getMessage().split()))


def send_warnings(say: Callable[[str], None]) -> None:
    """Pass each warning of the package to `say`, and to no other handler."""
    logger = logging.getLogger("bench")
    logger.handlers[:] = [_Lines(say)]
    logger.propagate = False
