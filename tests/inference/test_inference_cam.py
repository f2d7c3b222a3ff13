"""Grad-CAM: maps computed by hand, where planted evidence is, every architecture of the zoo, and what is said to bad layers."""

import json

import pytest
import torch
from torch import nn

from vidrec.inference.cam import LayerMap, default_layers, grad_cam
from vidrec.model_zoo import specs
from vidrec.models.backbones.base import Backbone
from vidrec.models.build import assemble
from vidrec.models.heads.pool import PoolHead
from vidrec.models.recognizer import Recognizer
from vidrec.utils.errors import UserError

TINY = {"STAGE_BLOCKS": [1, 1], "BLOCK": "basic", "WIDTH": 8}
SLOW = {"STEM_TEMPORAL_KERNEL": 1, "STEM_STRIDE": [1, 2, 2], "POOL_STRIDE": [], "TEMPORAL_KERNELS": [[3], [3]], "TEMPORAL_POOLS": [1, 1]}
I3D = {"BACKBONE": {"TYPE": "I3DResNet", **TINY, **SLOW}, "HEAD": {"TYPE": "PoolHead", "DROPOUT": 0.0}}
VGG = {"BACKBONE": {"TYPE": "VGG16", "WIDTH": 4, "HIDDEN": 16}, "HEAD": {"TYPE": "ConsensusHead", "INIT_STD": 1.0}}
ONE_STAGE = {**I3D, "BACKBONE": {**I3D["BACKBONE"], "STAGE_BLOCKS": [1], "TEMPORAL_KERNELS": [[3]], "TEMPORAL_POOLS": [1]}}
SLOWFAST = {
    "BACKBONE": {"TYPE": "SlowFast", **TINY, "ALPHA": 4, "SLOW_TEMPORAL_KERNELS": [[1], [3]], "FAST_TEMPORAL_KERNELS": [[3], [3]]},
    "HEAD": {"TYPE": "SlowFastHead"},
}


class Average(Backbone):
    """Feature maps that are averages of the pixels of a clip, for which everything can be computed by hand."""

    def __init__(self, step: tuple[int, int, int]):
        super().__init__()
        self.average = nn.AvgPool3d(step)
        self.out_channels = (3,)

    def forward(self, clips: torch.Tensor) -> list[torch.Tensor]:
        return [self.average(clips)]


def averaging(step: tuple[int, int, int]) -> Recognizer:
    """Class 0 is red minus blue plus 5, class 1 is green."""
    head = PoolHead((3,), 2, dropout=0.0)
    head.fc.weight.data = torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    head.fc.bias.data = torch.tensor([5.0, 0.0])
    return Recognizer(Average(step), head)


def made(sections: dict, num_classes: int = 3) -> Recognizer:
    torch.manual_seed(0)
    return assemble(sections, num_classes=num_classes)


def clip_of(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_map_is_the_weighted_sum_of_the_features_without_what_speaks_against_the_class():
    clip = torch.zeros(1, 3, 2, 2, 2)
    clip[0, 0, 0, 0, 1], clip[0, 0, 1, 1, 1], clip[0, 2, 1, 0, 0] = 8.0, 2.0, 6.0  # red, red, blue
    cam = grad_cam(averaging((1, 1, 1)), clip)
    assert cam.label == 0 and cam.logits.tolist() == [[5.5, 0.0]]  # (8 + 2 - 6) / 8 points + 5
    assert cam.evidence.tolist() == [[[[0, 8], [0, 0]], [[0, 0], [0, 2]]]]
    assert cam.layers == (LayerMap("backbone", (2, 2, 2)),)
    assert not grad_cam(averaging((1, 1, 1)), clip, label=1).evidence.any()


def test_coarse_map_is_spread_over_frames_and_pixels_trilinearly():
    clip = torch.zeros(1, 3, 4, 4, 4)
    clip[0, 1, :2, :, :2] = 4.0  # green, in the first half in time, on the left
    cam = grad_cam(averaging((2, 4, 2)), clip, label=1)
    assert cam.layers == (LayerMap("backbone", (2, 1, 2)),)
    assert cam.evidence[0, :, 0].tolist() == [[4, 3, 1, 0], [3, 2.25, 0.75, 0], [1, 0.75, 0.25, 0], [0, 0, 0, 0]]


def test_mean_of_what_speaks_for_and_against_is_the_score_without_its_bias():
    for sections in (I3D, SLOWFAST):
        model = made(sections)
        nn.init.uniform_(model.head.fc.weight, 0.0, 1.0)  # features are not negative: nothing is cut off
        cam = grad_cam(model, clip_of(2, 3, 8, 32, 32), label=1)
        score = cam.logits[:, 1] - model.head.fc.bias[1].detach()
        torch.testing.assert_close(cam.evidence.mean(dim=(1, 2, 3)), score, rtol=1e-4, atol=1e-4)


def test_map_of_a_clip_of_frames_is_the_maps_of_its_frames():
    model, clip = made(VGG), clip_of(1, 3, 3, 64, 64)
    frames = [grad_cam(model, clip[:, :, place : place + 1], label=0).evidence for place in range(3)]
    together = grad_cam(model, clip, label=0)
    assert together.layers == (LayerMap("backbone.stages.4.5", (3, 4, 4)),)
    torch.testing.assert_close(together.evidence, torch.cat(frames, dim=1), rtol=1e-4, atol=1e-6)


def test_pathways_are_added_and_can_be_shown_alone():
    model, clip = made(SLOWFAST), clip_of(1, 3, 8, 32, 32)
    nn.init.uniform_(model.head.fc.weight, 0.0, 1.0)
    both = grad_cam(model, clip, label=0)
    slow, fast = (grad_cam(model, clip, label=0, layers=[f"backbone.{name}.stages.1"]) for name in ("slow", "fast"))
    assert [layer.size for layer in both.layers] == [(2, 4, 4), (8, 4, 4)]
    assert [layer.size for layer in slow.layers + fast.layers] == [(2, 4, 4), (8, 4, 4)]
    torch.testing.assert_close(both.evidence, slow.evidence + fast.evidence)


def test_layers_one_after_the_other_can_be_added():
    model, clip = made(I3D), clip_of(1, 3, 4, 32, 32)
    single = [grad_cam(model, clip, label=0, layers=[f"backbone.stages.{place}"]) for place in (0, 1)]
    cam = grad_cam(model, clip, label=0, layers=["backbone.stages.1", "backbone.stages.0"])
    assert [layer.size for layer in cam.layers] == [(4, 8, 8), (4, 16, 16)]
    assert cam.evidence.sum() > max(part.evidence.sum() for part in single) * 0.5
    assert cam.evidence.shape == (1, 4, 32, 32)


def test_surroundings_change_nothing_and_the_network_stays_as_it_was():
    model, clip = made(I3D), clip_of(1, 3, 8, 32, 32)
    with torch.no_grad():
        model(clip_of(2, 3, 8, 32, 32))  # statistics that are not those of a fresh network
    wanted = grad_cam(model, clip).evidence
    assert model.training and all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    model.requires_grad_(False)
    assert torch.equal(grad_cam(model, clip).evidence, wanted)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        inside = grad_cam(model, clip.clone()).evidence
        born_inside = made(I3D)
        born_inside.load_state_dict(model.state_dict())
        assert torch.equal(inside, wanted)
        assert torch.equal(grad_cam(born_inside, clip).evidence, wanted)
    assert not any(module._forward_hooks for module in model.modules())


def square_clips(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noise; in every second clip a bright square moves to the right for 3 of 12 frames. Clips, labels, where it is [N, T, H, W]."""
    generator = torch.Generator().manual_seed(seed)
    clips = torch.randn((count, 3, 12, 32, 32), generator=generator) * 0.3
    where = torch.zeros(count, 12, 32, 32, dtype=torch.bool)
    for clip in range(1, count, 2):
        first, y, x = (int(torch.randint(high, (), generator=generator)) for high in (9, 24, 18))
        for step in range(3):
            where[clip, first + step, y : y + 8, x + 2 * step : x + 2 * step + 8] = True
    clips += 2.0 * where[:, None]
    return clips, torch.arange(count) % 2, where


def test_map_is_highest_where_and_when_a_bright_square_moves():
    model = made(ONE_STAGE, num_classes=2).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
    for step in range(20):
        clips, labels, _ = square_clips(16, step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(clips), labels).backward()
        optimizer.step()
    clips, labels, where = square_clips(16, 1000)
    cam = grad_cam(model, clips, label=1)
    assert cam.logits.argmax(1).tolist() == labels.tolist()
    places = torch.stack(torch.meshgrid(torch.arange(12), torch.arange(32), torch.arange(32), indexing="ij"), -1).float()
    for evidence, square in zip(cam.evidence[1::2], where[1::2], strict=True):
        assert square.flatten()[evidence.argmax()]  # the highest point lies in the square, in one of its 3 frames
        assert evidence[square].mean() > 10 * evidence[~square].mean()
        center = (places * evidence[..., None]).sum((0, 1, 2)) / evidence.sum()
        assert (center - places[square].mean(0)).abs().max() < 2  # frames, pixels


@pytest.mark.parametrize(
    ("sections", "layers"),
    [(I3D, ("backbone",)), (SLOWFAST, ("backbone",)), (VGG, ("backbone.stages.4.5",))],
)
def test_default_layer_is_what_the_head_pools_or_the_last_convolution(sections, layers):
    assert default_layers(made(sections)) == layers


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("backbone.stage.1", r"The layer is 'backbone.stage.1'; it must be the name .* Did you mean 'backbone.stages.1'"),
        ("conv1", r"must be the name of a module of this network\. The layer before the classifier is backbone\."),
        ("backbone.stages", r"The layer is backbone.stages, which is not called as a whole; .* It holds backbone.stages.0, backbone"),
        ("head.fc", r"The layer head.fc gives \[1, 3\]; it must give maps .* Take backbone, or a layer before it\."),
    ],
)
def test_layer_without_a_map_is_one_clear_message(layer, message):
    with pytest.raises(UserError, match=message):
        grad_cam(made(I3D), clip_of(1, 3, 4, 32, 32), layers=[layer])


def test_frames_too_small_for_a_map_are_one_clear_message():
    with pytest.raises(UserError, match=r"The layer backbone gives \[1, 16, 4, 1, 1\]; .* Take a layer before it, or larger frames\."):
        grad_cam(made(I3D), clip_of(1, 3, 4, 4, 4))


def test_scores_that_are_not_finite_are_one_clear_message():
    with pytest.raises(UserError, match=r"The scores of this clip are not finite; they must be numbers\. Check the weights"):
        grad_cam(averaging((1, 1, 1)), torch.full((1, 3, 2, 2, 2), torch.inf))


def architectures() -> dict[str, tuple[str, specs.Model]]:
    """One zoo name for each architecture, whatever its dropout and start of the classifier, by what its backbone and neck are."""
    rows = {}
    for row in specs.matching("*"):
        numbers = {key: value for part in ("BACKBONE", "NECK") for key, value in row.model.get(part, {}).items() if key != "DROPOUT"}
        rows.setdefault(json.dumps([numbers, row.model["HEAD"]["TYPE"]], sort_keys=True), (f"{row.section}/{row.name}", row.model))
    return dict(rows.values())


def narrowed(model: specs.Model) -> specs.Model:
    """The same architecture with fewer channels, where the backbone has a width."""
    backbone = dict(model["BACKBONE"])
    if "Inception" not in backbone["TYPE"]:
        backbone["WIDTH"] = 16
    hidden = {"HIDDEN": 64} if backbone["TYPE"] == "C3D" else {}
    if backbone["TYPE"] == "VGG16":
        backbone["HIDDEN"] = 64
    return {**model, "BACKBONE": backbone, "HEAD": {**model["HEAD"], **hidden, "INIT_STD": 0.5}}


def check_map(name: str, model: specs.Model) -> None:
    torch.manual_seed(0)
    network = assemble(narrowed(model), num_classes=10).eval()
    frames = max(16 if "slowfast" in name or "i3d" in name else 8, network.backbone.min_frames)
    size = 140 if "inceptionv3" in name else max(64, network.backbone.min_size)
    clip = clip_of(1, 3, frames, size, size)
    cam = grad_cam(network, clip)
    evidence = cam.evidence[0]
    assert evidence.shape == (frames, size, size)
    assert evidence.isfinite().all() and evidence.min() >= 0 and evidence.std() > 0.01 * evidence.mean() > 0
    with torch.no_grad():
        torch.testing.assert_close(cam.logits, network(clip))
    single = [layer.size[0] for layer in cam.layers] == [1]  # P3D, TPN: one step in time stands for all frames
    assert single == bool((evidence[0] == evidence[-1]).all())


def test_there_are_architectures_of_every_family_in_the_zoo():
    names = architectures()
    assert len(names) == 48
    assert len({model["BACKBONE"]["TYPE"] for model in names.values()}) == 12


@pytest.mark.slow
@pytest.mark.parametrize("name", architectures())
def test_every_architecture_of_the_zoo_has_a_map_over_its_clip(name):
    check_map(name, architectures()[name])
