"""The measured outputs of the reference zoo that these tests compare with, and the weights that they were measured for.

golden/SECTION/NAME.json holds, for one name: num_classes, param_count, num_entries and state_dict_sha256 (of its sorted `key
shape dtype` lines), `flops` (multiply-adds at the published clip), `cases` (input shape; logits, features and the classifier's
input: first 16 values per sample, mean, standard deviation, argmax and l2 norm per sample) and `train_step` (loss, gradient
norms, running statistics after one forward pass in training mode).
"""

import json
import math
import re
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from vidrec.model_zoo import specs
from vidrec.models.build import get_model
from vidrec.models.weights.load import load_state
from vidrec.models.weights.names import COUNTER, their_names, to_reference

FOLDER = Path(__file__).parent / "golden"
TOLERANCE = {"torch": 1e-4, "mxnet": 1e-3}  # of the logits' standard deviation

# The reference builds an auxiliary classifier into TPN and never runs it; files have it, our network has not.
TPN_AUX = {
    "neck.aux.conv.weight": (2048, 1024, 1, 3, 3),
    "neck.aux.norm.weight": (2048,),
    "neck.aux.norm.bias": (2048,),
    "neck.aux.norm.running_mean": (2048,),
    "neck.aux.norm.running_var": (2048,),
    "neck.aux.norm.num_batches_tracked": (),
    "neck.aux.fc.weight": (400, 2048),
    "neck.aux.fc.bias": (400,),
}


def float_rows() -> list[specs.Row]:
    """Every row with a golden file of its own: all but the int8 names, which stand for float ones."""
    return [row for row in specs.ROWS if not row.name.endswith("_int8")]


def row_id(row: specs.Row) -> str:
    return f"{row.section}/{row.name}"


def read_golden(row: specs.Row, suffix: str = "") -> dict:
    return json.loads((FOLDER / row.section / f"{row.name}{suffix}.json").read_text())


def rule_value(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The weight that a parameter of the reference has by its name and shape alone."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    owner, leaf = ["", *key.split(".")][-2:]
    fan_in = math.prod(shape[1:]) if len(shape) > 1 else 1
    if leaf == COUNTER:
        return torch.tensor(0)
    if leaf == "running_var":
        value = 0.5 + rng.random(shape)
    elif leaf in ("running_mean", "bias", "beta"):
        value = 0.1 * rng.standard_normal(shape)
    elif fan_in == 1:
        damped = owner in ("bn", "bn2", "bn3", "bn4") or re.search(r"(^|\.)bottleneck\.[47]\.gamma$", key)
        value = (0.5 + rng.random(shape)) * (0.4 if damped else 1.0)
    else:
        value = rng.standard_normal(shape) * math.sqrt(2 / fan_in) * (0.2 if owner in ("theta", "phi") else 1.0)
    return torch.from_numpy(np.asarray(value, dtype=np.float32))


def our_shapes(model: torch.nn.Module, layout: str) -> dict[str, tuple[int, ...]]:
    """The shapes of a file under our names: those of the network, and what stands in files only."""
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    return shapes | (TPN_AUX if layout == "tpn" else {})


def filled_state(shapes: dict[str, tuple[int, ...]], layout: str) -> dict[str, torch.Tensor]:
    """A state dict under the reference's names, filled by the rule; the later of two names of one tensor repeats the first.

    Args:
        shapes: of a file's tensors, by our names.
    """
    first = {name: their_names(name, layout)[0] for name in shapes if their_names(name, layout)}
    return to_reference({name: rule_value(theirs, shapes[name]) for name, theirs in first.items()}, layout)


def rule_input(shape: list[int]) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def empty_model(row: specs.Row, **options) -> torch.nn.Module:
    """The network of a row on the meta device, with the class count of its golden file."""
    with torch.device("meta"):
        return get_model(row.name, zoo=row.section, num_classes=read_golden(row)["num_classes"], **options)


def materialize(model: torch.nn.Module) -> torch.nn.Module:
    """A network from the meta device with memory behind it: whatever stands there, and counters of batches at 0."""
    model = model.to_empty(device="cpu")
    for name, tensor in model.state_dict().items():
        if name.endswith(COUNTER):
            tensor.zero_()
    return model


class Outputs(NamedTuple):
    logits: torch.Tensor
    features: torch.Tensor
    last_dense_input: torch.Tensor


class GoldenModel:
    """A zoo network with the rule's weights, loaded under the reference's names through the public loader."""

    def __init__(self, row: specs.Row):
        self.row = row
        self.golden = read_golden(row)
        self.model = materialize(empty_model(row))
        self.reference = filled_state(our_shapes(self.model, row.layout), row.layout)
        self.report = self.reload()

    def reload(self):
        """The rule's weights and statistics again; gradients gone."""
        self.model.zero_grad(set_to_none=True)
        return load_state(self.model, self.reference, source=self.row.name)

    def case(self, label: str) -> dict:
        return next(case for case in self.golden["cases"] if case["label"] == label)

    @torch.inference_mode()
    def outputs(self, label: str) -> Outputs:
        """What the network gives in eval mode for the input of a case."""
        self.reload()
        seen = []
        hook = self.model.eval().head.fc.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        maps = self._maps(self.case(label))
        logits = self.model.head(maps)
        hook.remove()
        return Outputs(logits, self.model.head.pool(maps), seen[0])

    def _maps(self, case: dict) -> list[torch.Tensor]:
        """Feature maps of a case's input. The mxnet section has segments in the batch, and slow frames after the fast ones."""
        model, frames, segments = self.model, rule_input(case["input"]), case.get("num_segments", 1)
        if frames.dim() == 4:  # [B*S, 3, H, W] -> [B, 3, S, H, W], the frames of one video together
            return model.neck(model.backbone(frames.unflatten(0, (-1, segments)).transpose(1, 2)))
        if self.row.layout == "mxnet/slowfast":
            fast = self.row.clip.num_frames
            maps = model.backbone.join(frames[:, :, fast:], frames[:, :, :fast])
        else:
            maps = model.neck(model.backbone(frames))
        return [x.unflatten(0, (-1, segments)).mean(dim=1) for x in maps]  # the average over a video's segments


def assert_close_to_golden(output: torch.Tensor, golden: dict, tolerance: float = TOLERANCE["torch"]) -> None:
    """Within `tolerance` of the golden standard deviation; norms and the argmax as well."""
    values = output.detach().double()
    limit = tolerance * golden["std"]
    assert list(values.shape) == golden["shape"]
    assert (values[:, :16] - torch.tensor(golden["first16"], dtype=torch.float64)).abs().max() < limit
    assert abs(values.mean() - golden["mean"]) < limit
    assert abs(values.std(correction=0) - golden["std"]) < limit
    # A norm over n values moves by at most sqrt(n) times the largest difference.
    assert (values.norm(dim=1) - torch.tensor(golden["l2"])).abs().max() < limit * math.sqrt(values.shape[1])
    assert values.argmax(dim=1).tolist() == golden["argmax"]
