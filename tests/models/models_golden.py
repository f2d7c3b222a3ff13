"""The measured outputs of the reference zoo that these tests compare with, and the weights that they were measured for.

golden/NAME.json holds, for one name: num_classes, param_count, num_entries and state_dict_sha256 (of its sorted `key shape
dtype` lines), `cases` (input shape; logits and features: first 16 values per sample, mean, standard deviation, argmax and
l2 norm per sample) and `train_step` (loss, gradient norms, running statistics after one forward pass in training mode).
"""

import json
import math
import re
import zlib
from pathlib import Path

import numpy as np
import torch

from vidrec.models.build import get_model
from vidrec.models.weights.load import load_state
from vidrec.models.weights.names import their_names, to_reference

FOLDER = Path(__file__).parent / "golden"
TOLERANCE = 1e-4  # of the logits' standard deviation


def read_golden(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text())


def layout_of(name: str) -> str:
    return {"resnet": "resnet_v1b", "i3d": "i3d_resnet", "slowfast": "slowfast"}[re.match("resnet|i3d|slowfast", name).group()]


def rule_value(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The weight that a parameter of the reference has by its name and shape alone."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    owner, leaf = ["", *key.split(".")][-2:]
    fan_in = math.prod(shape[1:]) if len(shape) > 1 else 1
    if leaf == "num_batches_tracked":
        return torch.tensor(0)
    if leaf == "running_var":
        value = 0.5 + rng.random(shape)
    elif leaf in ("running_mean", "bias"):
        value = 0.1 * rng.standard_normal(shape)
    elif fan_in == 1:
        value = (0.5 + rng.random(shape)) * (0.4 if owner in ("bn", "bn2", "bn3", "bn4") else 1.0)
    else:
        value = rng.standard_normal(shape) * math.sqrt(2 / fan_in) * (0.2 if owner in ("theta", "phi") else 1.0)
    return torch.from_numpy(np.asarray(value, dtype=np.float32))


def reference_state(model: torch.nn.Module, layout: str) -> dict[str, torch.Tensor]:
    """A state dict under the reference's names, filled by the rule; the later of two names of one tensor repeats the first."""
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    filled = {name: rule_value(their_names(name, layout)[0], tuple(shape)) for name, shape in shapes.items()}
    return to_reference(filled, layout)


def rule_input(shape: list[int]) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


class GoldenModel:
    """A zoo network with the rule's weights, loaded under the reference's names through the public loader."""

    def __init__(self, name: str):
        self.name = name
        self.golden = read_golden(name)
        with torch.device("meta"):
            model = get_model(name, num_classes=self.golden["num_classes"])
        self.model = model.to_empty(device="cpu")
        self.reference = reference_state(self.model, layout_of(name))
        self.report = self.reload()

    def reload(self):
        """The rule's weights and statistics again; gradients gone."""
        self.model.zero_grad(set_to_none=True)
        return load_state(self.model, self.reference, source=self.name)

    def case(self, label: str) -> dict:
        return next(case for case in self.golden["cases"] if case["label"] == label)

    @torch.inference_mode()
    def outputs(self, label: str) -> tuple[torch.Tensor, torch.Tensor]:
        """(logits, features) in eval mode."""
        self.reload()
        self.model.eval()
        features = self.model.head.pool(self.model.backbone(rule_input(self.case(label)["input"])))
        return self.model.head.fc(features), features


def assert_close_to_golden(output: torch.Tensor, golden: dict, tolerance: float = TOLERANCE) -> None:
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
