"""What a replica logs, where an operator looks for it."""

import logging
from logging.handlers import MemoryHandler
from typing import Final

_OURS: Final = ("deployments", "recsys")


def log_with_serve() -> None:
    """Write our own warnings into the replica's log file.

    Ray Serve makes that file for its own loggers alone, gathers a thousand lines before it writes any, and
    keeps everything else off the standard error.
    """
    theirs = logging.getLogger("ray.serve").handlers
    handlers = [handler.target if isinstance(handler, MemoryHandler) else handler for handler in theirs]
    for name in _OURS:
        logging.getLogger(name).handlers = [handler for handler in handlers if handler is not None]
        logging.getLogger(name).propagate = False
