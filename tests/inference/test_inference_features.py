"""Features of any layer: which tensor it is, in which form, and that nothing but the video decides it."""

import numpy as np
import pytest
import torch

from vidrec.data.multiview import EvalVideo
from vidrec.data.transforms import cut_views, normalize_clips
from vidrec.data.views import crop_boxes, make_views
from vidrec.inference.features import FeatureExtractor, weights_sha256
from vidrec.inference.layers import POOLED, canonical, find_layer, layer_output, list_layers
from vidrec.models.build import assemble
from vidrec.utils.errors import UserError

SHAPE = (4, 16, 16)
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
THREE_D = {"TYPE": "I3DResNet", "STAGE_BLOCKS": [1, 1], "BLOCK": "basic", "WIDTH": 4, "STEM_TEMPORAL_KERNEL": 3, "STEM_STRIDE": [1, 2, 2]}
THREE_D |= {"POOL_STRIDE": [], "TEMPORAL_KERNELS": [[3], [3]], "TEMPORAL_POOLS": [1, 1]}
TWO_D = {"TYPE": "ResNet2D", "STAGE_BLOCKS": [1, 1], "BLOCK": "basic", "WIDTH": 4}


def network(backbone=THREE_D, head="PoolHead"):
    torch.manual_seed(0)
    model = assemble({"BACKBONE": backbone, "NECK": {}, "HEAD": {"TYPE": head, "DROPOUT": 0.5}}, num_classes=3)
    for norm in (module for module in model.modules() if hasattr(module, "running_mean")):
        torch.nn.init.uniform_(norm.running_mean)
    return model.eval()


@pytest.fixture(scope="module")
def clips():
    return torch.randn(2, 3, *SHAPE, generator=torch.Generator().manual_seed(1))


def extractor(model, layer=POOLED, **options):
    options = {"device": torch.device("cpu"), "mean": MEAN, "std": STD, "views_per_batch": 4} | options
    return FeatureExtractor(model, find_layer(list_layers(model, SHAPE), layer), **options)


def video(num_clips=3, num_crops=2):
    """Frames of noise, 16 x 20, of which each clip has 4."""
    starts = np.arange(num_clips) * 2
    seconds = np.stack([starts / 10, (starts + 4) / 10], axis=1)
    unique, grid = make_views(
        starts[:, None] + np.arange(4), crop_boxes(16, 20, crop_size=16, num_crops=num_crops), seconds=seconds
    )
    frames = torch.randint(0, 256, (len(unique), 16, 20, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    return EvalVideo(0, 1, "v.mp4", frames, grid, None)


def test_layers_are_listed_with_what_they_give_for_a_clip():
    layers = {layer.name: layer for layer in list_layers(network(), SHAPE)}
    assert next(iter(layers)) == POOLED
    assert (layers[POOLED].shape, layers["head.fc"].shape, layers["backbone"].shape) == ((8,), (3,), (8, 4, 4, 4))
    assert (layers["backbone.stem.conv"].shape, layers["backbone.stem.conv"].kind) == ((4, 4, 8, 8), "Conv3d")
    assert layers["backbone.stages.0.0.relu"].calls == 2
    frames = {layer.name: layer.shape for layer in list_layers(network(TWO_D, "ConsensusHead"), SHAPE)}
    assert frames["backbone.stages.0"] == (4, 4, 4, 4)  # [B * T, C, H, W] inside
    assert frames["head.dropout"] == (8, 4, 1, 1)  # [B, T, C] inside
    assert frames[POOLED] == (8,)


def test_a_layer_gives_its_own_output_before_what_follows_changes_it_in_place(clips):
    model = network()
    stem = model.backbone.stem
    assert torch.equal(layer_output(model, "backbone.stem.norm", clips), stem.norm(stem.conv(clips)))
    assert (layer_output(model, "backbone.stem.norm", clips) < 0).any()
    assert (layer_output(model, "backbone.stem.relu", clips) >= 0).all()
    assert torch.equal(layer_output(model, "head.fc", clips), model(clips))
    pooled = layer_output(model, POOLED, clips)
    assert torch.equal(model.head.fc(pooled), model(clips))
    assert torch.equal(pooled, layer_output(model, "backbone", clips).mean(dim=(2, 3, 4)))
    assert not any(module._forward_hooks for module in model.modules())


def test_frames_of_a_2d_network_are_put_together_to_clips(clips):
    model = network(TWO_D, "ConsensusHead")
    maps = layer_output(model, "backbone.stages.1", clips)
    assert maps.shape == (2, 8, 4, 2, 2)
    assert torch.allclose(maps.mean(dim=(2, 3, 4)), layer_output(model, POOLED, clips), atol=1e-6)
    assert torch.equal(maps, model.backbone(clips)[0])
    per_frame = layer_output(model, "head.dropout", clips)
    assert torch.allclose(per_frame[..., 0, 0], maps.mean(dim=(3, 4)))


@pytest.mark.parametrize(
    ("shape", "batch", "expected"),
    [
        ((2, 5), 2, (2, 5)),
        ((6, 5), 2, (2, 5, 3, 1, 1)),
        ((2, 7, 5), 2, (2, 5, 7, 1, 1)),
        ((6, 5, 4, 3), 2, (2, 5, 3, 4, 3)),
        ((2, 5, 3, 4, 4), 2, (2, 5, 3, 4, 4)),
    ],
)
def test_every_form_of_output_becomes_vectors_or_maps(shape, batch, expected):
    assert canonical(torch.zeros(shape), batch).shape == expected
    assert canonical([torch.zeros(shape)], batch).shape == expected


@pytest.mark.parametrize("outputs", [torch.zeros(3, 5), torch.zeros(4), torch.zeros(4, 1, 2, 2, 2), [torch.zeros(2, 5)] * 2, None])
def test_other_outputs_are_refused(outputs):
    with pytest.raises(ValueError, match="the layer gives"):
        canonical(outputs, 2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("backbone.stage.0", "--layer is 'backbone.stage.0', and no layer .* has this name; the closest are .*backbone.stages.0"),
        ("stage.0", "the closest are backbone.stages.0,"),
        ("stem", "the closest are backbone.stem. Take one of the names that --list-layers shows."),
        ("backbone.stages.0.0.relu", "runs 2 times in a forward, so that it has no one output; a layer that runs once is wanted"),
        ("", "the closest are head.pool, "),
    ],
)
def test_a_layer_that_cannot_be_taken_is_said(name, message):
    with pytest.raises(UserError, match=message):
        find_layer(list_layers(network(), SHAPE), name)


def test_the_feature_is_the_mean_over_the_views_whatever_the_batch():
    model, one = network(), video()
    each = extractor(model, each_view=True)
    found = each(one)
    expected = model.head.pool(model.backbone(normalize_clips(cut_views(one.frames, one.views, 0, 6), MEAN, STD))).detach().numpy()
    assert found.shape == (6, 8) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(extractor(model)(one), found.astype(np.float64).mean(0).astype(np.float32))
    np.testing.assert_allclose(extractor(model, views_per_batch=1)(one), extractor(model)(one), rtol=1e-5, atol=1e-6)
    assert np.array_equal(extractor(model)(one), extractor(model)(one))
    assert each.shape == (8,)


def test_maps_are_pooled_or_kept():
    model, one = network(), video()
    kept, pooled = extractor(model, "backbone.stages.0", pool="none"), extractor(model, "backbone.stages.0")
    assert (kept.shape, pooled.shape) == ((4, 4, 8, 8), (4,))
    assert kept(one).shape == (4, 4, 8, 8)
    np.testing.assert_allclose(kept(one).mean(axis=(1, 2, 3)), pooled(one), rtol=1e-5, atol=1e-6)


def test_seconds_are_those_of_each_view_or_of_all():
    assert extractor(network())(video()).shape == (8,)
    np.testing.assert_allclose(extractor(network()).seconds(video()), [0.0, 0.8])
    each = extractor(network(), each_view=True).seconds(video())
    np.testing.assert_allclose(each, [[0, 0.4], [0, 0.4], [0.2, 0.6], [0.2, 0.6], [0.4, 0.8], [0.4, 0.8]])


def test_features_that_are_not_finite_name_the_video():
    model = network()
    torch.nn.init.constant_(model.backbone.stem.norm.weight, float("inf"))
    with pytest.raises(UserError, match=r"features that are not finite for v.mp4 \(layer head.pool\); its weights are damaged"):
        extractor(model)(video())


def test_the_hash_of_weights_is_that_of_their_values():
    first, again = weights_sha256(network()), weights_sha256(network())
    changed = network()
    changed.head.fc.bias.data[0] += 1e-7
    assert first == again and len(first) == 64
    assert weights_sha256(changed) != first
