"""What the commands share: their command line, and one clear message for what a user can mend."""

import argparse
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vidrec.utils.errors import Interrupted, UserError

UNREADABLE = 3  # exit code where the work is done and some videos could not be read; 1 is that of errors, 2 that of a wrong command line
_KEY = re.compile(r"(DDP_)?CONFIG(\.[A-Z][A-Z0-9_]*)+")


def new_parser(tool: str, **arguments: Any) -> argparse.ArgumentParser:
    """A command's parser. After `usage:` stands what was typed: the file in tools/, or `vidrec COMMAND`.

    Args:
        arguments: those of argparse.ArgumentParser, but for `prog`.
    """
    script = Path(sys.argv[0])
    by_name = len(sys.argv) > 1 and (script.stem == "vidrec" or script.parts[-2:] == ("vidrec", "__main__.py"))
    return argparse.ArgumentParser(" ".join(["vidrec", sys.argv[1], *tool.split()[1:]]) if by_name else tool, **arguments)


def config_parser(tool: str, description: str, *, source: str = "YAML file of the run") -> argparse.ArgumentParser:
    """`--config-file F [KEY VALUE ...]`, as the tools of this field have it.

    Args:
        source: what F may be.
    """
    parser = new_parser(tool, description=description)
    parser.add_argument("--config-file", required=True, metavar="F", help=source)
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY VALUE",
        help="config keys that win over the file, for example CONFIG.TRAIN.LR 0.02",
    )
    return parser


def add_source(parser: argparse.ArgumentParser, *, run_flags: Sequence[str] = ("--run",), metavar: str = "RUN") -> None:
    """`--config-file F`, or `--run RUN` for whatever else `vidrec.load` takes; one of them must be given."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--config-file", metavar="F", help="YAML file: the best checkpoint of its run, or the weights that it names")
    source.add_argument(*run_flags, metavar=metavar, help="in its place: a run's folder, a checkpoint, or a name of the model zoo")


def add_device(parser: argparse.ArgumentParser) -> None:
    """`--device D`, '' where it is not given."""
    parser.add_argument("--device", default="", metavar="D", help="cpu, cuda, cuda:1 ...; if not given, CUDA where there is some")


def split_overrides(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Inputs, and the `KEY VALUE` pairs that stand among them. Raises UserError for a key without a value.

    Every key of the schema begins with CONFIG. or DDP_CONFIG. and is in upper case throughout, which file names are not, having a suffix
    or a folder; so no mark is needed between the two, and pairs are written as for the other tools.
    """
    inputs, overrides, rest = [], [], iter(words)
    for word in rest:
        if not _KEY.fullmatch(word):
            inputs.append(word)
            continue
        value = next(rest, None)
        if value is None:
            raise UserError(f"The command line ends with {word!r}, which has no value; overrides are pairs KEY VALUE. Add the value.")
        overrides += [word, value]
    return inputs, overrides


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
