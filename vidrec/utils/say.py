"""Messages of library code that a user must see, whether a command runs it or a few lines of Python."""

import logging
import os
import sys

logger = logging.getLogger("vidrec")


def say(message: str) -> None:
    """Logs a message; prints it on standard error where nobody listens to the log, as in a script that calls `get_model`."""
    if logger.hasHandlers():
        logger.info("%s", message)
    else:
        print(message, file=sys.stderr)


def show(text: str) -> None:
    """Prints a text, of which a reader such as `head` may take a part only; what the console cannot show comes as `\\xe9`."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter flushes once more at its end, and complains
