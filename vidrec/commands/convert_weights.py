"""Turns any readable weights file into one of vidrec, or back to the names of the reference zoo. No value changes."""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from vidrec.commands.cli import new_parser, run_command
from vidrec.utils.errors import WeightsError
from vidrec.utils.text import did_you_mean

if TYPE_CHECKING:
    import torch

    State = Mapping[str, torch.Tensor]

VIDREC, REFERENCE = "vidrec", "reference"
_SUFFIXES = {VIDREC: (".pth", ".safetensors"), REFERENCE: (".pth", ".params")}
_OUR_PARTS = {"backbone", "neck", "head"}
_OUR_LEAVES = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
_SHOWN = 10  # names in a message


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    args = _parser().parse_args(argv)
    return run_command(lambda: convert_weights(args.source, args.target, to=args.to, layout=args.layout, force=args.force))


def convert_weights(source: Path, target: Path, *, to: str = VIDREC, layout: str = "", force: bool = False) -> None:
    """Writes the tensors of `source` to `target` under vidrec's names or the reference's, and prints what was converted.

    Args:
        source: see vidrec.models.weights.read.read_state.
        target: .pth, or .safetensors for vidrec and .params for the reference.
        to: vidrec or reference.
        layout: whose names the reference's are, a layout or a zoo name; '': as the names of `source` tell, or, for a file that this
            command made, as it remembers.
        force: replace a target that exists.

    Raises:
        WeightsError: for a source that cannot be read, a target that must not or cannot be written, or names that no layout explains.
    """
    from vidrec.models.weights.names import is_mxnet
    from vidrec.models.weights.read import read_weights

    _check_target(target, to, force)
    layout = _checked_layout(layout)
    state, origin = read_weights(source)
    source_bytes = source.stat().st_size
    if _are_ours(state):
        named, of_source = state, VIDREC
    else:
        layout = layout or _layout_of(state, source)
        named, of_source = _named_by_us(state, source, layout), layout
    written, of_target = named, VIDREC
    if to == REFERENCE:
        fits = origin and is_mxnet(origin) == (target.suffix == ".params")
        of_target = layout or (origin if fits else "") or _layout_for(named, source, target)
        written = _named_by_them(named, source, of_target)
    _write(target, written, origin="" if to == REFERENCE else origin if of_source == VIDREC else layout)
    print(
        f"{source}: {len(state)} tensors, {of_source} names, {source_bytes:,} bytes\n"
        f"{target}: {len(written)} tensors, {of_target} names, {target.stat().st_size:,} bytes"
    )


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("convert_weights.py", description=__doc__)
    parser.add_argument("source", type=Path, help="weights file: .pth, .pt, .safetensors, .params, or a .zip that holds one .params")
    parser.add_argument("target", type=Path, help="file to write: .pth, or .safetensors (vidrec) or .params (reference)")
    parser.add_argument("--layout", default="", help="layout of the reference's names, or a zoo name, where SOURCE does not tell")
    parser.add_argument("--to", choices=(VIDREC, REFERENCE), default=VIDREC, help="whose names TARGET gets (default: vidrec)")
    parser.add_argument("--force", action="store_true", help="replace a TARGET that exists")
    return parser


def _check_target(target: Path, to: str, force: bool) -> None:
    if target.suffix not in _SUFFIXES[to]:
        allowed = " or ".join(_SUFFIXES[to])
        raise WeightsError(f"TARGET is {target}; a file of --to {to} must end in {allowed}. Name it so, or choose another --to.")
    if not target.parent.is_dir():
        raise WeightsError(f"TARGET is {target}; its folder {target.parent} must exist. Make it, or choose another one.")
    if target.is_dir() or (target.exists() and not force):
        raise WeightsError(f"TARGET {target} exists; only a file is replaced, and only with --force. Choose another name, or add --force.")


def _checked_layout(layout: str) -> str:
    """The layout that is meant by itself or by a zoo name; '' stays."""
    from vidrec.config.zoo import look_up
    from vidrec.model_zoo.specs import Row, names
    from vidrec.models.weights.layouts import LAYOUTS

    if not layout or layout in LAYOUTS:
        return layout
    row = look_up(layout)
    if isinstance(row, Row):
        return row.layout
    hint = did_you_mean(layout, [*LAYOUTS, *names()])
    raise WeightsError(f"--layout is {layout!r}; it must be one of {', '.join(LAYOUTS)}, or a zoo name.{hint} Choose one, or leave it out.")


def _are_ours(state: "State") -> bool:
    return {name.split(".")[0] for name in state} <= _OUR_PARTS


def _layout_of(state: "State", source: Path) -> str:
    """The layout that explains every name; of several, the one that expects least beside them.

    Raises:
        WeightsError: where none does, or several do equally well in different ways.
    """
    from vidrec.models.weights.layouts import LAYOUTS

    explained = {layout: _explained(state, layout) for layout in LAYOUTS}
    whole = {layout: ours for layout, ours in explained.items() if len(ours) == len(state)}
    if not whole:
        best = sorted(explained, key=lambda layout: len(explained[layout]), reverse=True)[:2]
        counts, rest = " and ".join(f"{layout} {len(explained[layout])}" for layout in best), _rest(state, explained[best[0]])
        raise WeightsError(
            f"{source} has {len(state)} names, and no layout explains them all: {counts}; {best[0]} lacks {_some(rest)}. Every name must "
            "be explained. Give a file of the reference zoo, or one with the names of vidrec."
        )
    expected = {layout: _expected_beside(state, layout, ours) for layout, ours in whole.items()}
    best = [layout for layout in whole if expected[layout] == min(expected.values())]
    if any(whole[layout] != whole[best[0]] for layout in best):
        raise WeightsError(
            f"{source} has names that {' and '.join(best)} explain in different ways; only one can be right. Choose it with --layout."
        )
    return best[0]


def _expected_beside(state: "State", layout: str, explained: Mapping[str, str]) -> tuple[int, int]:
    """(layers of every network of a layout that a file lacks, other names of its own layers that it lacks)."""
    from vidrec.models.weights.layouts import LAYOUTS
    from vidrec.models.weights.names import their_names

    layers = {name.rpartition(".")[0] for name in state}
    lacking = sum("*" not in theirs and theirs not in layers for _, theirs in LAYOUTS[layout])
    return lacking, sum(name not in state for ours in explained.values() for name in their_names(ours, layout))


def _layout_for(named: "State", source: Path, target: Path) -> str:
    """The only layout that has all of our names, among MXNet's for a `.params` file and among the others for a `.pth` file."""
    from vidrec.models.weights.layouts import LAYOUTS
    from vidrec.models.weights.names import is_mxnet

    kind = [layout for layout in LAYOUTS if is_mxnet(layout) == (target.suffix == ".params")]
    fitting = [layout for layout in kind if not _without_name(named, layout)]
    if len(fitting) != 1:
        which = f"{len(fitting)} layouts fit: {', '.join(fitting)}" if fitting else f"no layout for {target.suffix} fits"
        raise WeightsError(f"{source} has the names of vidrec, and {which}. One must be meant: choose it with --layout.")
    return fitting[0]


def _named_by_us(state: "State", source: Path, layout: str) -> "State":
    from vidrec.models.weights.names import from_reference

    if rest := _rest(state, _explained(state, layout)):
        raise WeightsError(
            f"{source} has {len(state)} names, and the layout {layout} does not explain {len(rest)}: {_some(rest)}. Every name must be "
            "explained. Leave --layout out to have it found, or choose another one."
        )
    return from_reference(state, layout)[0]


def _named_by_them(named: "State", source: Path, layout: str) -> "State":
    from vidrec.models.weights.names import COUNTER, is_mxnet, to_reference

    if rest := _without_name(named, layout):
        raise WeightsError(
            f"{source} has {len(named)} names, and the layout {layout} has none for {len(rest)}: {_some(rest)}. Every name must have one. "
            "Choose the layout of this network with --layout."
        )
    counters = [name for name in named if is_mxnet(layout) and name.endswith(COUNTER)]
    if counters:
        print(f"{len(counters)} counters of batches ({COUNTER}) are left out: MXNet has none.")
    return to_reference(named, layout)


def _explained(names: Iterable[str], layout: str) -> dict[str, str]:
    """Name in the file -> ours, for those that the layout gives back as they are: gamma only in MXNet's, weight only in the others."""
    from vidrec.models.weights.names import our_names, their_names

    found = {name: ours for name in names for ours in our_names([name], layout)}
    return {name: ours for name, ours in found.items() if ours.rpartition(".")[2] in _OUR_LEAVES and name in their_names(ours, layout)}


def _without_name(named: Iterable[str], layout: str) -> list[str]:
    from vidrec.models.weights.names import COUNTER, is_mxnet, their_names

    return [name for name in named if not their_names(name, layout) and not (is_mxnet(layout) and name.endswith(COUNTER))]


def _rest(names: Iterable[str], explained: Mapping[str, str]) -> list[str]:
    return [name for name in names if name not in explained]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _write(target: Path, state: "State", *, origin: str) -> None:
    """Writes tensors; `origin`, where it is not '', is kept in the file for the way back."""
    from vidrec.engine.files import atomic_file

    try:
        with atomic_file(target) as file:
            _writer(target.suffix, origin)(file, state)
    except OSError as error:
        raise WeightsError(
            f"{target} cannot be written ({error.strerror}); nothing was changed. Make room, or choose a folder that you may write to."
        ) from error


def _writer(suffix: str, origin: str) -> Callable[[BinaryIO, "State"], None]:
    import torch
    from safetensors.torch import save

    from vidrec.models.weights.params import write_params

    def own(state: "State") -> dict[str, "torch.Tensor"]:
        """Tensors with memory of their own, without what a view drags along; two names of one tensor keep sharing it in a .pth."""
        copies = {id(tensor): tensor.contiguous().clone() for tensor in state.values()}
        return {name: copies[id(tensor)] for name, tensor in state.items()}

    metadata = {"layout": origin} if origin else None
    return {
        ".pth": lambda file, state: torch.save({"model": own(state), **metadata} if metadata else own(state), file),
        ".safetensors": lambda file, state: file.write(save(own(state), metadata)),
        ".params": write_params,
    }[suffix]
