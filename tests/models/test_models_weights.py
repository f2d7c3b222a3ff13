"""Weights files: what loads, what is reported, and one clear message for every file that does not fit."""

import logging

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vidrec.model_zoo import specs
from vidrec.models.build import assemble, build_model, get_model
from vidrec.models.weights.load import _recognize, load_state, load_weights
from vidrec.models.weights.names import from_reference, our_names, their_names, to_reference
from vidrec.models.weights.read import read_state
from vidrec.utils.errors import WeightsError

NARROW = {"STAGE_BLOCKS": [1, 1], "BLOCK": "bottleneck", "WIDTH": 8}
SECTIONS = {
    "resnet_v1b": {"BACKBONE": {"TYPE": "ResNet2D", **NARROW}, "HEAD": {"TYPE": "ConsensusHead"}},
    "i3d_resnet": {
        "BACKBONE": {"TYPE": "I3DResNet", **NARROW, "TEMPORAL_KERNELS": [[3], [1]], "TEMPORAL_POOLS": [2, 1], "NONLOCAL_BLOCKS": [[], [0]]},
        "HEAD": {"TYPE": "PoolHead"},
    },
    "slowfast": {
        "BACKBONE": {"TYPE": "SlowFast", **NARROW, "SLOW_TEMPORAL_KERNELS": [[1], [3]], "FAST_TEMPORAL_KERNELS": [[3], [3]]},
        "HEAD": {"TYPE": "SlowFastHead"},
    },
}


def network(layout: str = "i3d_resnet", num_classes: int = 3, seed: int = 0, **switches) -> nn.Module:
    torch.manual_seed(seed)
    model = assemble(SECTIONS[layout], num_classes=num_classes, **switches)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_mean"):
            tensor.uniform_(-0.1, 0.1)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
    return model


def same(model: nn.Module, other: nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in model.state_dict().items())


@pytest.fixture
def saved(tmp_path):
    """A file of the reference's names for the I3D network with seed 1, and that network."""
    source = network(seed=1)
    path = tmp_path / "weights.pth"
    torch.save(to_reference(source.state_dict(), "i3d_resnet"), path)
    return path, source


@pytest.mark.parametrize(
    ("ours", "layout", "theirs"),
    [
        ("head.fc.weight", "i3d_resnet", ["fc.weight", "head.1.weight"]),
        ("backbone.stages.2.11.after.norm.running_var", "i3d_resnet",
         ["res_layers.2.11.nonlocal_block.bn.running_var", "res_layers.2.11.nonlocal_block.W_bn.1.running_var"]),
        ("backbone.stages.0.2.norms.2.bias", "resnet_v1b", ["layer1.2.bn3.bias"]),
        ("backbone.stages.3.0.shortcut.conv.weight", "resnet_v1b", ["layer4.0.downsample.0.weight"]),
        ("backbone.fast.stages.2.5.convs.0.weight", "slowfast", ["fast_res4.5.conv1.weight"]),
        ("backbone.laterals.3.norm.weight", "slowfast", ["lateral_res4.1.weight"]),
        ("neck.convs.0.weight", "slowfast", []),
    ],
)  # fmt: skip
def test_names_of_a_layout(ours, layout, theirs):
    assert their_names(ours, layout) == theirs
    assert set(our_names(theirs, layout)) == ({ours} if theirs else set())


@pytest.mark.parametrize("layout", SECTIONS)
def test_reference_file_loads_bit_for_bit(layout, tmp_path):
    source, path = network(layout, seed=1), tmp_path / "weights.pth"
    torch.save(to_reference(source.state_dict(), layout), path)
    model = network(layout)
    report = load_weights(model, path)
    assert same(model, source)
    assert (report.layout, report.missing, report.unexpected, report.reshaped) == (layout, (), (), ())
    assert set(report.matched) == set(source.state_dict())


def test_module_prefix_is_taken_off(saved):
    path, source = saved
    torch.save({f"module.{name}": tensor for name, tensor in torch.load(path, weights_only=True).items()}, path)
    model = network()
    load_weights(model, path)
    assert same(model, source)


@pytest.mark.parametrize("kind", ["bare", "model", "state_dict", "safetensors"])
def test_files_of_vidrec_load_bit_for_bit(kind, tmp_path):
    source, model = network(seed=1), network()
    path = tmp_path / ("weights.safetensors" if kind == "safetensors" else "weights.pt")
    state = source.state_dict()
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state if kind == "bare" else {kind: state, "epoch": 3, "optimizer": {"lr": 0.1}}, path)
    assert load_weights(model, path).layout == "vidrec"
    assert same(model, source)


def test_file_without_batch_counters_loads(saved):
    path, source = saved
    state = {name: tensor for name, tensor in torch.load(path, weights_only=True).items() if not name.endswith("num_batches_tracked")}
    model = network()
    report = load_state(model, state, source="old file")
    assert same(model, source)
    assert len(report.missing) == 10 and all(name.endswith("num_batches_tracked") for name in report.missing)


def test_reset_head_keeps_the_fresh_classifier_and_reports_it(saved, caplog):
    path, source = saved
    model = network(num_classes=7)
    fresh = model.head.fc.weight.clone()
    with caplog.at_level(logging.INFO, logger="vidrec"):
        report = load_weights(model, path, reset_head=True)
    assert torch.equal(model.head.fc.weight, fresh)
    assert torch.equal(model.backbone.stem.conv.weight, source.backbone.stem.conv.weight)
    assert report.missing == report.unexpected == ("head.fc.weight", "head.fc.bias")
    assert "kept fresh: head.fc.weight, head.fc.bias; left aside: head.fc.weight, head.fc.bias" in caplog.text


def test_other_number_of_classes_names_both_and_the_remedies(saved):
    path, _ = saved
    with pytest.raises(WeightsError) as error:
        load_weights(network(num_classes=7), path)
    assert str(error.value) == (
        f"{path} classifies 3 classes; this network has 7. Set CONFIG.DATA.NUM_CLASSES 3 to use its classifier, "
        "or CONFIG.MODEL.RESET_HEAD True to train a new one."
    )


def test_file_without_classifier_needs_reset_head(saved):
    path, _ = saved
    state = {name: tensor for name, tensor in read_state(path).items() if not name.startswith(("fc.", "head."))}
    with pytest.raises(WeightsError, match=r"custom\.pth has no classifier; .* Set CONFIG\.MODEL\.RESET_HEAD True"):
        load_state(network(), state, source="custom.pth")
    assert load_state(network(), state, source="custom.pth", reset_head=True).unexpected == ()


@pytest.mark.parametrize("row", [row for row in specs.ROWS if not row.name.endswith("_int8")], ids=lambda row: f"{row.section}/{row.name}")
def test_layout_of_every_file_is_recognized_for_its_network(row):
    with torch.device("meta"):
        targets = get_model(row.name, zoo=row.section).state_dict()
    assert _recognize(to_reference(targets, row.layout), targets) == row.layout


def test_file_of_another_family_says_which(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(to_reference(network("slowfast").state_dict(), "slowfast"), path)
    model = network("i3d_resnet")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError) as error:
        load_weights(model, path)
    assert f"{path} does not fit this I3DResNet: 1 of its 59 tensors match" in str(error.value)
    remedy = "Give the file of this network, or the CONFIG.MODEL.NAME or CONFIG.MODEL.BACKBONE of the file."
    assert f"Its names are those of slowfast. {remedy}" in str(error.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_file_of_another_width_names_a_shape(saved):
    wide = {**SECTIONS["i3d_resnet"], "BACKBONE": {**SECTIONS["i3d_resnet"]["BACKBONE"], "WIDTH": 16}}
    message = r"backbone\.stem\.conv\.weight is \[8, 3, 5, 7, 7\] in the file, \[16, 3, 5, 7, 7\] here"
    with pytest.raises(WeightsError, match=message):
        load_weights(assemble(wide, num_classes=3), saved[0])


def test_file_of_the_same_family_with_more_blocks_names_what_is_unknown(saved):
    plain = {**SECTIONS["i3d_resnet"], "BACKBONE": {**SECTIONS["i3d_resnet"]["BACKBONE"], "NONLOCAL_BLOCKS": []}}
    with pytest.raises(
        WeightsError, match=r"56 of its 56 tensors match, 13 unknown \(backbone\.stages\.1\.0\.after\.theta\.weight, .* and 10 more\)"
    ):
        load_weights(assemble(plain, num_classes=3), saved[0])


def test_unexplained_name_is_an_error(saved):
    state = {**read_state(saved[0]), "aux.fc.weight": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"1 unknown \(aux\.fc\.weight\)"):
        load_state(network(), state, source="file")


def test_two_names_with_different_values_are_an_error(saved):
    state = {**read_state(saved[0]), "head.1.bias": torch.ones(3)}
    with pytest.raises(WeightsError, match=r"head\.1\.bias differs from the other name of the same tensor"):
        load_state(network(), state, source="file")


def test_to_reference_refuses_a_name_that_the_layout_lacks():
    with pytest.raises(WeightsError, match=r"backbone\.fast\.stem\.conv\.weight has no name in the layout i3d_resnet"):
        to_reference(network("slowfast").backbone.fast.state_dict(prefix="backbone.fast."), "i3d_resnet")
    assert from_reference({"x.weight": torch.zeros(1)}, "i3d_resnet") == ({}, ["x.weight"])


def test_batch_norm_file_is_folded_into_an_affine_network(saved):
    path, source = saved
    model, clips = network(use_affine=True), torch.randn(1, 3, 8, 32, 32)
    report = load_weights(model, path)
    assert len(report.reshaped) == 2 * 10
    wanted = source.eval()(clips)
    assert wanted.std() > 0.001
    torch.testing.assert_close(model.eval()(clips), wanted, rtol=1e-4, atol=1e-6)


def test_affine_file_loads_into_an_affine_network_and_no_other(tmp_path):
    source, path = network(seed=1, use_affine=True), tmp_path / "affine.pth"
    torch.save({name: tensor.view(-1, 1, 1, 1) if "norm" in name else tensor for name, tensor in source.state_dict().items()}, path)
    model = network(use_affine=True)
    assert len(load_weights(model, path).reshaped) == 2 * 10
    assert same(model, source)
    torch.save(source.state_dict(), path)
    with pytest.raises(WeightsError, match=r"was saved with USE_AFFINE; .* Set CONFIG\.MODEL\.USE_AFFINE True"):
        load_weights(network(), path)


def test_config_loads_its_file(saved):
    from vidrec.config.defaults import get_cfg_defaults

    path, source = saved
    cfg = get_cfg_defaults()
    cfg.CONFIG.MODEL.BACKBONE.update(SECTIONS["i3d_resnet"]["BACKBONE"])
    cfg.CONFIG.MODEL.HEAD.update(SECTIONS["i3d_resnet"]["HEAD"])
    cfg.CONFIG.DATA.NUM_CLASSES = 3
    cfg.CONFIG.MODEL.LOAD, cfg.CONFIG.MODEL.PRETRAINED_PATH = True, str(path)
    assert same(build_model(cfg), source)
    assert not same(build_model(cfg, load_weights=False), source)
    cfg.CONFIG.DATA.NUM_CLASSES, cfg.CONFIG.MODEL.RESET_HEAD = 5, True
    assert torch.equal(build_model(cfg).backbone.stem.conv.weight, source.backbone.stem.conv.weight)
