"""Weights into a network, with a report. Every name must be explained: nothing is dropped or left over silently."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from vidrec.models.layers.norm import Affine, fold_statistics
from vidrec.models.weights.layouts import LAYOUTS, UNUSED
from vidrec.models.weights.names import COUNTER, from_reference, our_names
from vidrec.models.weights.read import read_state
from vidrec.utils.errors import WeightsError
from vidrec.utils.say import say

CLASSIFIER = ("head.fc.weight", "head.fc.bias")
OWN_NAMES = "vidrec"


@dataclass(frozen=True)
class LoadReport:
    """What happened to every name.

    Args:
        source: the file.
        layout: whose names the file has: `vidrec`, or a layout of the reference.
        matched: names of the network that were loaded.
        missing: names of the network that kept their fresh values.
        unexpected: our names of what stands in the file and was left aside by a rule: the classifier, where the network keeps its
            own, and what no network of ours has (layouts.UNUSED).
        reshaped: names among `matched` whose tensor was inflated, folded or reshaped.
    """

    source: str
    layout: str
    matched: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    reshaped: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line. Counters of batches, which many files lack and nothing depends on, are left out of it."""
        matched, missing = ([name for name in names if not name.endswith(COUNTER)] for names in (self.matched, self.missing))
        text = f"weights: {len(matched)} of {len(matched) + len(missing)} tensors from {self.source} ({self.layout} names)"
        for what, names in (("reshaped", self.reshaped), ("kept fresh", missing), ("left aside", self.unexpected)):
            text += f"; {what}: {_some(names)}" if names else ""
        return text


def load_weights(model: nn.Module, path: str | Path, *, reset_head: bool = False) -> LoadReport:
    """Loads a weights file, of vidrec or of the reference zoo, into a Recognizer.

    Args:
        path: see read_state.
        reset_head: the classifier keeps its fresh values, whatever the file holds.

    Raises:
        WeightsError: for a file that cannot be read or does not fit; the network is then unchanged.
    """
    return load_state(model, read_state(path), source=str(path), reset_head=reset_head)


def load_state(model: nn.Module, state: Mapping[str, torch.Tensor], *, source: str, reset_head: bool = False) -> LoadReport:
    """The same for a state dict that is already read; its names are ours or a layout's of the reference."""
    layout = _recognize(state, model.state_dict())
    named, unexplained = (dict(state), []) if layout == OWN_NAMES else from_reference(state, layout)
    aside = [name for name in named if name.startswith(UNUSED) or (reset_head and name in CLASSIFIER)]
    named = {name: tensor for name, tensor in named.items() if name not in aside}
    fresh = CLASSIFIER if reset_head else ()
    report = put(model, named, source=source, layout=layout, fresh=fresh, unexplained=unexplained, file_names=state)
    report = replace(report, unexpected=tuple(aside))
    say(str(report))
    return report


def put(
    model: nn.Module,
    named: Mapping[str, torch.Tensor],
    *,
    source: str,
    layout: str,
    fresh: Iterable[str] = (),
    unexplained: Iterable[str] = (),
    file_names: Iterable[str] = (),
) -> LoadReport:
    """Copies tensors under our names into the network, after a check that they fit as a whole.

    Args:
        named: our names -> tensors; BatchNorm statistics are folded where the network has an Affine.
        fresh: names of the network that may be missing.
        unexplained: names of the file that have none of ours; any is an error.
        file_names: the names as they stand in the file, for the message.
    """
    targets = model.state_dict()
    fitted, reshaped = _fit_affine(model, named)
    optional = {*fresh, *(name for name in targets if name.endswith(COUNTER))}  # old files lack this counter
    missing = tuple(name for name in targets if name not in fitted)
    misfit = _Misfit(
        lacking=[name for name in missing if name not in optional],
        unknown=[*(name for name in fitted if name not in targets), *unexplained],
        shapes={name: (fitted[name].shape, targets[name].shape) for name in targets if name in fitted},
        file_names=list(file_names),
    )
    if misfit.lacking or misfit.unknown or misfit.wrong:
        raise WeightsError(misfit.message(source, type(model.backbone).__name__))
    model.load_state_dict(fitted, strict=False)
    return LoadReport(source, layout, tuple(fitted), missing=missing, reshaped=tuple(reshaped))


def _recognize(state: Mapping[str, torch.Tensor], targets: Mapping[str, torch.Tensor]) -> str:
    """Whose names a file has: those that meet most of the network's, then those that leave least of the file; ours in doubt."""
    met = {OWN_NAMES: (len(targets.keys() & state.keys()), len(state))}
    for layout in LAYOUTS:
        ours = our_names(state, layout)
        met[layout] = (len(targets.keys() & set(ours)), len(ours))
    return max(met, key=lambda layout: met[layout])


def _fit_affine(model: nn.Module, named: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Folds BatchNorm statistics, and flattens the reference's (C, 1, 1, 1), where the network has an Affine."""
    fitted, reshaped = dict(named), []
    for name, module in model.named_modules():
        weight, bias, mean, var = (f"{name}.{leaf}" for leaf in ("weight", "bias", "running_mean", "running_var"))
        if not isinstance(module, Affine) or weight not in fitted or bias not in fitted:
            continue
        if mean in fitted and var in fitted:
            statistics = (fitted[weight], fitted[bias], fitted.pop(mean), fitted.pop(var))
            fitted[weight], fitted[bias] = fold_statistics(*statistics, eps=module.eps)
            fitted.pop(f"{name}.num_batches_tracked", None)
            reshaped += [weight, bias]
        elif fitted[weight].dim() > 1:
            fitted[weight], fitted[bias] = fitted[weight].flatten(), fitted[bias].flatten()
            reshaped += [weight, bias]
    return fitted, reshaped


@dataclass(frozen=True)
class _Misfit:
    """What keeps a file out of a network.

    Args:
        lacking: names of the network that the file does not have.
        unknown: names of the file that the network does not have.
        shapes: (in the file, in the network) of every name that both have.
        file_names: the names as they stand in the file.
    """

    lacking: list[str]
    unknown: list[str]
    shapes: dict[str, tuple[torch.Size, torch.Size]]
    file_names: list[str]

    @property
    def wrong(self) -> list[str]:
        return [name for name, (theirs, ours) in self.shapes.items() if theirs != ours]

    def message(self, source: str, network: str) -> str:
        only_classifier = not self.unknown and {*self.lacking, *self.wrong} <= set(CLASSIFIER)
        theirs, ours = self.shapes.get(CLASSIFIER[0], ((0,), (0,)))
        if only_classifier and self.wrong and theirs[1:] == ours[1:]:
            return (
                f"{source} classifies {theirs[0]} classes; this network has {ours[0]}. Set CONFIG.DATA.NUM_CLASSES {theirs[0]} to use "
                "its classifier, or CONFIG.MODEL.RESET_HEAD True to train a new one."
            )
        if only_classifier and self.lacking:
            return (
                f"{source} has no classifier; the network needs {_some(self.lacking)}. Set CONFIG.MODEL.RESET_HEAD True to train a new one."
            )
        if self.lacking and not self.unknown and all(name.endswith(("running_mean", "running_var")) for name in self.lacking):
            return f"{source} was saved with USE_AFFINE; this network needs BatchNorm statistics. Set CONFIG.MODEL.USE_AFFINE True."
        return self._another_network(source, network)

    def _another_network(self, source: str, network: str) -> str:
        total, wrong = len(self.lacking) + len(self.shapes), self.wrong
        reasons = [f"{len(self.lacking)} missing ({_some(self.lacking)})"] if self.lacking else []
        reasons += [f"{len(self.unknown)} unknown ({_some(self.unknown)})"] if self.unknown else []
        if wrong:
            theirs, ours = (list(shape) for shape in self.shapes[wrong[0]])
            reasons.append(f"{len(wrong)} of another shape ({wrong[0]} is {theirs} in the file, {ours} here)")
        return (
            f"{source} does not fit this {network}: {len(self.shapes) - len(wrong)} of its {total} tensors match, {', '.join(reasons)}. "
            f"{_looks_like(self.file_names)}Give the file of this network, or the CONFIG.MODEL.NAME or CONFIG.MODEL.BACKBONE of the file."
        )


def _looks_like(names: list[str]) -> str:
    """Which layout explains most of a file's names, if any explains half of them."""
    count = {layout: len(our_names(names, layout)) for layout in LAYOUTS}
    best = max(count, key=lambda layout: count[layout])
    return f"Its names are those of {best}. " if 2 * count[best] > len(names) else ""


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
