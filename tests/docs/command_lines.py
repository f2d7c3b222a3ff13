"""Reads command lines without running them: whether the program is there, its parser takes the arguments, and the config is right."""

import argparse
import contextlib
import importlib
import io
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from blocks import ROOT

CONTROL = {"|", "||", "&&", ";", "&", "(", ")"}
# Programs of others whose arguments are not looked at.
TAKEN_ON_TRUST = {
    "cd",
    "export",
    "source",
    "pip",
    "git",
    "apt-get",
    "tensorboard",
    "mkdir",
    "cp",
    "ls",
    "cat",
    "echo",
    "docker",
    "curl",
    "ssh",
}


class Parsed(Exception):
    """Carries what a command's parser made of its arguments, out of the command before it does anything."""

    def __init__(self, namespace: argparse.Namespace):
        self.namespace = namespace


def mistakes_in(text: str) -> list[str]:
    """What is wrong with the command lines of a block, one message each."""
    found = []
    for words in split_lines(text):
        try:
            check_words(words)
        except (ValueError, OSError) as error:
            found.append(f"`{' '.join(words)}`: {error}")
    return found


def split_lines(text: str) -> Iterator[list[str]]:
    """The words of each simple command. Comments, redirections and continued lines are understood; loops are not."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word in CONTROL:
                if words:
                    yield words
                words = []
            else:
                words.append(word)


def help_of(command: str) -> str:
    """What `--help` of a command says, of `vidrec NAME ...` or `tools/NAME.py ...`. Raises ValueError for one that is not there."""
    program, *words = command.split()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        names = [word for word in words[:2] if re.fullmatch(r"[a-z][a-z0-9_-]+", word)]
        main_of(["-m", "vidrec"] if program == "vidrec" else [program])([*(names if program == "vidrec" else ()), "--help"])
    if "usage:" not in said.getvalue():
        raise ValueError(f"`{command}`: no such command")
    return said.getvalue()


def check_words(words: list[str]) -> None:
    """Raises ValueError for a command that could not be run as it is written."""
    while words and re.fullmatch(r"[A-Z_]\w*=.*", words[0]):
        words = words[1:]
    if not words or words[0] in TAKEN_ON_TRUST:
        return
    program, arguments = words[0], words[1:]
    if program == "srun":
        check_words(_after_options(arguments))
    elif program == "make":
        _check_make(arguments)
    elif program == "sbatch" or program.endswith(".sh"):
        script, *rest = _after_options(arguments) if program == "sbatch" else words
        _check_script(script, rest)
    elif program in ("python", "python3", "torchrun", "vidrec"):
        _check_python(program, arguments)
    else:
        raise ValueError(f"{program} is no program that the documentation knows; mend it, or add it to TAKEN_ON_TRUST.")


def _after_options(words: list[str]) -> list[str]:
    """What follows the options of srun and sbatch: from the first word on that is a file of the checkout or a known program."""
    for place, word in enumerate(words):
        if (ROOT / word).is_file() or word in ("python", "torchrun", "vidrec"):
            return words[place:]
    raise ValueError("no script and no program of the checkout is named.")


def _check_make(targets: list[str]) -> None:
    run = subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, capture_output=True, text=True, timeout=60)
    if run.returncode:
        raise ValueError(run.stderr.strip())


def _check_script(script: str, arguments: list[str]) -> None:
    run = subprocess.run(["bash", "-n", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    if run.returncode:
        raise ValueError(run.stderr.strip())
    check_config(parse(["tools/train_ddp_pytorch.py", *arguments]))


def _check_python(program: str, arguments: list[str]) -> None:
    if program == "vidrec":
        arguments = ["-m", "vidrec", *arguments]
    if program == "torchrun":
        arguments = ["-m", "torch.distributed.run", *arguments]
    if arguments[:2] == ["-m", "torch.distributed.run"]:
        from torch.distributed.run import get_args_parser

        args = _parsed(lambda: get_args_parser().parse_args(arguments[2:]))
        arguments = [args.training_script, *args.training_script_args]
    if arguments[0] != "-c" and arguments[:2] not in (["-m", "pip"], ["-m", "pytest"], ["-m", "venv"], ["-m", "sphinx"]):
        check_config(parse(arguments))


def parse(arguments: list[str]) -> argparse.Namespace:
    """What a command's own parser makes of `tools/NAME.py ...` or `-m vidrec NAME ...`. Raises ValueError where it refuses."""
    main = main_of(arguments)
    return _parsed(lambda: main(arguments[2 if arguments[0] == "-m" else 1 :]))


def main_of(arguments: list[str]) -> Callable[[list[str]], int]:
    """The function behind `tools/NAME.py` or `-m vidrec`."""
    if arguments[:2] == ["-m", "vidrec"]:
        return importlib.import_module("vidrec.__main__").main
    found = re.search(r"^from (vidrec\.\S+) import main", (ROOT / arguments[0]).read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise ValueError(f"{arguments[0]} is no command of vidrec.")
    return importlib.import_module(found[1]).main


def _parsed(call: Callable[[], object]) -> argparse.Namespace:
    """What the first parser that is asked inside of a call makes of its arguments; nothing after that happens. Raises ValueError."""
    asked, said = ("parse_args", "parse_intermixed_args"), io.StringIO()
    originals = {name: getattr(argparse.ArgumentParser, name) for name in asked}

    def raising(original: Callable) -> Callable:
        def parse(self, args=None, namespace=None):
            raise Parsed(original(self, args, namespace))

        return parse

    for name, original in originals.items():
        setattr(argparse.ArgumentParser, name, raising(original))
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            status = call()
    except Parsed as parsed:
        return parsed.namespace
    except SystemExit as end:
        if not end.code:  # --help
            return argparse.Namespace()
        status = end.code
    finally:
        for name, original in originals.items():
            setattr(argparse.ArgumentParser, name, original)
    raise ValueError(f"status {status}: {said.getvalue().strip()}")


def check_config(args: argparse.Namespace) -> None:
    """Raises ValueError where a command names a config of the checkout and its keys or values are wrong."""
    from vidrec.commands.runs import load_run_config
    from vidrec.utils.errors import UserError

    file = getattr(args, "config_file", None)
    if file and (ROOT / file).is_file():
        try:
            load_run_config(str(ROOT / file), getattr(args, "overrides", ()))
        except UserError as error:
            raise ValueError(str(error)) from error
    elif file and Path(file).parts[0] == "configs":
        raise ValueError(f"{file} does not exist.")
