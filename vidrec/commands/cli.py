"""What the commands share: their command line, and one clear message for what a user can mend."""

import argparse
import signal
import sys
from collections.abc import Callable

from vidrec.utils.errors import Interrupted, UserError

UNREADABLE = 3  # exit code where the work is done and some videos could not be read; 1 is that of errors, 2 that of a wrong command line

def config_parser(prog: str, description: str, *, source: str = "YAML file of the run") -> argparse.ArgumentParser:
    """`--config-file F [KEY VALUE ...]`, as the tools of this field have it.

    Args:
        source: what F may be.
    """
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--config-file", required=True, metavar="F", help=source)
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY VALUE",
        help="config keys that win over the file, for example CONFIG.TRAIN.LR 0.02",
    )
    return parser


def run_command(command: Callable[[], int | None], *, going_on: str = "") -> int:
    """Runs a command and returns its exit code, 0 where it returns none.

    Args:
        going_on: a sentence for whoever stops the command, where what it has done so far is not lost.

    Raises:
        SystemExit: with status 1, after an error that the user can mend was printed without a traceback; with 130 after Ctrl-C.
    """
    from vidrec.engine.launch import exit_with
    from vidrec.engine.log import close_logging

    try:
        return command() or 0
    except UserError as error:
        exit_with(error)
    except (KeyboardInterrupt, Interrupted) as stopped:
        print(f"Stopped. {going_on}".strip(), file=sys.stderr, flush=True)
        raise SystemExit(stopped.code if isinstance(stopped, Interrupted) else 128 + signal.SIGINT) from None
    finally:
        close_logging()
