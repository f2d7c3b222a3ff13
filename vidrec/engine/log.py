"""Where messages go: the console of the main process, and the log file of the run."""

import logging
import sys
from pathlib import Path

from vidrec.utils.errors import UserError

logger = logging.getLogger("vidrec")
_early: list[tuple[int, str]] = []  # levels and messages from before set-up


def note(message: str, level: int = logging.INFO) -> None:
    """Logs a message now, or, before logging is set up, as soon as it is; the same early message once."""
    if logger.handlers:
        logger.log(level, message)
    elif (level, message) not in _early:
        _early.append((level, message))


def setup_logging(folder: Path, *, level: str = "DEBUG", filename: str = "log.txt", rank: int = 0) -> None:
    """Sends the messages of vidrec to the console and, appended, to a file in the run's folder.

    Processes other than rank 0 send warnings only, marked with their rank. Calling it again replaces the earlier set-up.

    Args:
        level: DEBUG, INFO, WARNING or ERROR.

    Raises:
        UserError: the file cannot be written.
    """
    close_logging()
    try:
        file = logging.FileHandler(folder / filename)
    except OSError as error:
        raise UserError(
            f"The log file {folder / filename} cannot be written ({error.strerror}); "
            "choose a folder that you may write to with CONFIG.LOG.BASE_PATH."
        ) from error
    mark = "" if rank == 0 else f"[rank {rank}] "
    logger.setLevel(level if rank == 0 else logging.WARNING)
    logger.propagate = False
    file.setFormatter(logging.Formatter(f"%(asctime)s %(levelname).1s {mark}%(message)s", "%Y-%m-%d %H:%M:%S"))
    console = _Console(sys.stderr)
    console.setFormatter(logging.Formatter(f"%(asctime)s {mark}%(message)s", "%H:%M:%S"))
    logger.addHandler(file)
    logger.addHandler(console)
    while _early:
        level_of_message, message = _early.pop(0)
        if rank == 0:
            logger.log(level_of_message, message)


def close_logging() -> None:
    """Takes the handlers away and closes their files."""
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True


class _Console(logging.StreamHandler):
    """Writes above a progress bar instead of through it, and leaves out what the bar shows (`extra={"in_bar": True}`)."""

    def emit(self, record: logging.LogRecord) -> None:
        if not self.stream.isatty():
            super().emit(record)
        elif not getattr(record, "in_bar", False):
            from tqdm import tqdm

            tqdm.write(self.format(record), file=self.stream)
