"""Every family as narrow as it gets, for tests of what is trained and what is updated."""

import torch
from torch import nn

from vidrec.models.build import assemble
from vidrec.models.layers.norm import batch_norms

NARROW = {"STAGE_BLOCKS": [1, 2], "BLOCK": "bottleneck", "WIDTH": 8}
SLOW = {
    "STEM_TEMPORAL_KERNEL": 1,
    "STEM_STRIDE": [1, 2, 2],
    "POOL_STRIDE": [1, 2, 2],
    "TEMPORAL_KERNELS": [[1], [3]],
    "TEMPORAL_POOLS": [1, 1],
}
FAMILIES = {
    "2-D": {"BACKBONE": {"TYPE": "ResNet2D", **NARROW}, "HEAD": {"TYPE": "ConsensusHead"}},
    "I3D": {
        "BACKBONE": {
            "TYPE": "I3DResNet",
            **NARROW,
            "TEMPORAL_KERNELS": [[3], [1, 3]],
            "TEMPORAL_POOLS": [2, 1],
            "NONLOCAL_BLOCKS": [[], [1]],
        },
        "HEAD": {"TYPE": "PoolHead"},
    },
    "SlowFast": {
        "BACKBONE": {
            "TYPE": "SlowFast",
            **NARROW,
            "WIDTH": 16,
            "ALPHA": 4,
            "SLOW_TEMPORAL_KERNELS": [[1], [3]],
            "FAST_TEMPORAL_KERNELS": [[3], [3]],
        },
        "HEAD": {"TYPE": "SlowFastHead"},
    },
    "P3D": {"BACKBONE": {"TYPE": "P3D", "STAGE_BLOCKS": [2, 1], "WIDTH": 8}, "HEAD": {"TYPE": "PoolHead"}},
    "R2Plus1D": {"BACKBONE": {"TYPE": "R2Plus1D", **NARROW}, "HEAD": {"TYPE": "PoolHead"}},
    "IRCSN": {"BACKBONE": {"TYPE": "IRCSN", "STAGE_BLOCKS": [1, 2], "WIDTH": 8}, "HEAD": {"TYPE": "PoolHead"}},
    "TPN": {
        "BACKBONE": {"TYPE": "I3DResNet", **SLOW, "WIDTH": 8, "STAGE_BLOCKS": [1, 1], "OUT_STAGES": 2},
        "NECK": {"TYPE": "TPN", "TEMPORAL_POOLS": [4, 8], "DOWN_POOL": 2, "FUSION_POOLS": [2, 1], "WIDTH": 16, "GROUPS": 4},
        "HEAD": {"TYPE": "PoolHead"},
    },
    "InceptionV1": {"BACKBONE": {"TYPE": "InceptionV1"}, "HEAD": {"TYPE": "ConsensusHead"}},
    "InceptionV3": {"BACKBONE": {"TYPE": "InceptionV3"}, "HEAD": {"TYPE": "ConsensusHead"}},
    "I3DInceptionV1": {"BACKBONE": {"TYPE": "I3DInceptionV1"}, "HEAD": {"TYPE": "PoolHead"}},
    "I3DInceptionV3": {"BACKBONE": {"TYPE": "I3DInceptionV3"}, "HEAD": {"TYPE": "PoolHead"}},
}
# Families without BatchNorm.
PLAIN = {
    "VGG16": {"BACKBONE": {"TYPE": "VGG16", "WIDTH": 4, "HIDDEN": 16}, "HEAD": {"TYPE": "ConsensusHead"}},
    "C3D": {"BACKBONE": {"TYPE": "C3D", "WIDTH": 4}, "HEAD": {"TYPE": "C3DHead", "HIDDEN": 16, "INIT_STD": 0.1}},
}


def narrow(family: str, **switches) -> nn.Module:
    torch.manual_seed(0)
    return assemble((FAMILIES | PLAIN)[family], num_classes=3, **switches)


def clip_shape(model: nn.Module) -> tuple[int, ...]:
    """Of two small clips that the network can take."""
    size = max(32, model.backbone.min_size)
    return (2, 3, max(8, model.backbone.min_frames), size, size)


def one_step(model: nn.Module) -> set[str]:
    """Names of the parameters that one step of SGD moves."""
    model.train()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.SGD([parameter for parameter in model.parameters() if parameter.requires_grad], lr=0.1)
    generator = torch.Generator().manual_seed(1)
    loss = nn.functional.cross_entropy(model(torch.randn(clip_shape(model), generator=generator)), torch.tensor([0, 1]))
    loss.backward()
    optimizer.step()
    return {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}


def updated_statistics(model: nn.Module) -> set[str]:
    return {name for name, norm in batch_norms(model).items() if norm.num_batches_tracked.item() == 1}


def norm_parameters(model: nn.Module) -> set[str]:
    return {f"{name}.{leaf}" for name in batch_norms(model) for leaf in ("weight", "bias")}
