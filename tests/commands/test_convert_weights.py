"""Weights files turned into vidrec's and back: nothing changes but the names, and bad input is one message."""

import subprocess
import sys
import zipfile

import pytest
import torch
from tool_runs import ROOT, run_tool

from vidrec.commands.convert_weights import _layout_of, convert_weights
from vidrec.model_zoo import specs
from vidrec.models.build import assemble, get_model
from vidrec.models.weights.layouts import LAYOUTS
from vidrec.models.weights.load import load_weights
from vidrec.models.weights.names import from_reference, to_reference
from vidrec.models.weights.params import read_params, write_params
from vidrec.models.weights.read import read_state, read_weights
from vidrec.utils.errors import WeightsError

NARROW = {"STAGE_BLOCKS": [1, 1], "BLOCK": "bottleneck", "WIDTH": 8}
I3D = {"TYPE": "I3DResNet", **NARROW, "TEMPORAL_KERNELS": [[3], [1]], "TEMPORAL_POOLS": [2, 1], "NONLOCAL_BLOCKS": [[], [0]]}
ROW_OF_LAYOUT = {row.layout: row for row in specs.ROWS}


def network(seed=0):
    torch.manual_seed(seed)
    return assemble({"BACKBONE": I3D, "HEAD": {"TYPE": "PoolHead"}}, num_classes=3)


def same(found, wanted) -> bool:
    """Equal names, types and bits; both are dicts of tensors."""
    return found.keys() == wanted.keys() and all(
        found[name].dtype == tensor.dtype and torch.equal(found[name], tensor) for name, tensor in wanted.items()
    )


@pytest.fixture
def published(tmp_path):
    """(file of the reference's names, the network in it), both of a narrow I3D network with a non-local block."""
    model = network(seed=1)
    path = tmp_path / "published.pth"
    torch.save({f"module.{name}": tensor for name, tensor in to_reference(model.state_dict(), "i3d_resnet").items()}, path)
    return path, model


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_published_file_becomes_vidrecs_and_comes_back_bit_for_bit(suffix, published, tmp_path, capsys):
    path, model = published
    ours, back = tmp_path / f"ours{suffix}", tmp_path / "back.pth"
    convert_weights(path, ours)
    assert same(read_state(ours), model.state_dict())
    fresh = network()
    assert load_weights(fresh, ours).layout == "vidrec"
    assert same(fresh.state_dict(), model.state_dict())
    convert_weights(ours, back, to="reference", layout="i3d_resnet")
    assert same(read_state(back), read_state(path))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{path}: 78 tensors, i3d_resnet names, {path.stat().st_size:,} bytes"
    assert lines[1] == f"{ours}: 69 tensors, vidrec names, {ours.stat().st_size:,} bytes"
    assert lines[3] == f"{back}: 78 tensors, i3d_resnet names, {back.stat().st_size:,} bytes"


@pytest.mark.parametrize("packed", [False, True])
def test_mxnet_file_becomes_vidrecs_and_comes_back_bit_for_bit(packed, tmp_path, capsys):
    model = network(seed=2)
    path, ours, back = tmp_path / "published.params", tmp_path / "ours.safetensors", tmp_path / "back.params"
    write_params(path, to_reference(model.state_dict(), "mxnet/i3d_resnet"))
    if packed:
        with zipfile.ZipFile(tmp_path / "published.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, "published.params")
    convert_weights(tmp_path / "published.zip" if packed else path, ours)
    counters = {name for name in model.state_dict() if name.endswith("num_batches_tracked")}
    assert same(read_state(ours), {name: tensor for name, tensor in model.state_dict().items() if name not in counters})
    fresh = network()
    assert set(load_weights(fresh, ours).missing) == counters
    assert same(fresh.state_dict(), model.state_dict())
    convert_weights(ours, back, to="reference", layout="mxnet/i3d_resnet")
    assert same(read_params(back), read_params(path))
    assert "counters" not in capsys.readouterr().out


def test_counters_that_mxnet_has_no_name_for_are_left_out_and_said(tmp_path, capsys):
    torch.save(network().state_dict(), tmp_path / "a.pth")
    convert_weights(tmp_path / "a.pth", tmp_path / "a.params", to="reference", layout="mxnet/i3d_resnet")
    assert "10 counters of batches (num_batches_tracked) are left out: MXNet has none." in capsys.readouterr().out
    convert_weights(tmp_path / "a.pth", tmp_path / "torch.params", to="reference", layout="i3d_resnet")
    assert read_params(tmp_path / "torch.params")["first_stage.1.num_batches_tracked"].shape == ()


def test_layout_of_the_source_is_kept_on_the_way_to_the_reference(published, tmp_path):
    path, _ = published
    convert_weights(path, tmp_path / "a.params", to="reference")
    assert same(read_params(tmp_path / "a.params"), read_state(path))


def test_checkpoint_of_vidrec_becomes_a_file_of_weights_only(tmp_path):
    model = network(seed=3)
    torch.save({"model": model.state_dict(), "optimizer": {"state": {}}, "epoch": 3}, tmp_path / "epoch_0003.pth")
    convert_weights(tmp_path / "epoch_0003.pth", tmp_path / "a.safetensors")
    assert same(read_state(tmp_path / "a.safetensors"), model.state_dict())


def test_auxiliary_classifier_that_no_network_uses_is_kept_there_and_back(tmp_path):
    aux = {f"TPN_neck.aux_head.{name}": torch.rand(2) for name in ("convs.conv.weight", "convs.bn.running_var", "fc.bias")}
    torch.save({"conv1.weight": torch.rand(2), **aux}, tmp_path / "tpn.pth")
    convert_weights(tmp_path / "tpn.pth", tmp_path / "ours.pth")
    assert list(read_state(tmp_path / "ours.pth"))[1:] == ["neck.aux.conv.weight", "neck.aux.norm.running_var", "neck.aux.fc.bias"]
    convert_weights(tmp_path / "ours.pth", tmp_path / "back.pth", to="reference")
    assert same(read_state(tmp_path / "back.pth"), read_state(tmp_path / "tpn.pth"))


def test_views_are_written_without_what_they_are_views_of(tmp_path):
    large = torch.zeros(1_000_000)
    torch.save({"head.fc.weight": large[:6].view(2, 3).T, "head.fc.bias": large[:3]}, tmp_path / "views.pth")
    for suffix in (".pth", ".safetensors"):
        convert_weights(tmp_path / "views.pth", tmp_path / f"a{suffix}")
        assert (tmp_path / f"a{suffix}").stat().st_size < 10_000
        assert read_state(tmp_path / f"a{suffix}")["head.fc.weight"].shape == (3, 2)


@pytest.mark.parametrize("layout", ROW_OF_LAYOUT)
def test_layout_of_every_family_is_told_by_its_names_and_nothing_is_lost(layout, tmp_path):
    row = ROW_OF_LAYOUT[layout]
    with torch.device("meta"):
        ours = get_model(row.name, zoo=row.section).state_dict()
    theirs = to_reference(ours, layout)
    assert _layout_of(theirs, tmp_path) == layout
    named, unexplained = from_reference({name: torch.zeros(()) for name in theirs}, layout)
    assert unexplained == []
    assert {name for name in ours if not layout.startswith("mxnet/") or not name.endswith("num_batches_tracked")} == named.keys()


def test_every_layout_of_the_zoo_is_in_the_table():
    assert set(ROW_OF_LAYOUT) <= set(LAYOUTS)
    assert len(ROW_OF_LAYOUT) == 19


def message_of(*arguments, **options) -> str:
    with pytest.raises(WeightsError) as caught:
        convert_weights(*arguments, **options)
    return str(caught.value)


def test_missing_source_is_one_message(tmp_path):
    assert message_of(tmp_path / "none.pth", tmp_path / "a.pth").startswith(f"there is no weights file '{tmp_path / 'none.pth'}'; ")


def test_source_of_another_kind_is_one_message_and_leaves_no_target(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"<html>404</html>")
    assert "it begins with b'<html>40' and holds no state dict" in message_of(tmp_path / "a.pth", tmp_path / "b.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


@pytest.mark.parametrize(
    ("name", "to", "allowed"),
    [
        ("a.params", "vidrec", ".pth or .safetensors"),
        ("a", "vidrec", ".pth or .safetensors"),
        ("a.safetensors", "reference", ".pth or .params"),
    ],
)
def test_target_of_an_unknown_suffix_is_refused(name, to, allowed, published, tmp_path):
    wanted = f"TARGET is {tmp_path / name}; a file of --to {to} must end in {allowed}. Name it so, or choose another --to."
    assert message_of(published[0], tmp_path / name, to=to) == wanted


def test_target_in_a_missing_folder_is_refused(published, tmp_path):
    wanted = f"TARGET is {tmp_path / 'none' / 'a.pth'}; its folder {tmp_path / 'none'} must exist. Make it, or choose another one."
    assert message_of(published[0], tmp_path / "none" / "a.pth") == wanted


def test_existing_target_is_replaced_only_with_force(published, tmp_path):
    path, model = published
    target = tmp_path / "a.pth"
    target.write_bytes(b"mine")
    wanted = f"TARGET {target} exists; only a file is replaced, and only with --force. Choose another name, or add --force."
    assert message_of(path, target) == wanted
    assert target.read_bytes() == b"mine"
    convert_weights(path, target, force=True)
    assert same(read_state(target), model.state_dict())
    (tmp_path / "folder.pth").mkdir()
    assert message_of(path, tmp_path / "folder.pth", force=True).startswith(f"TARGET {tmp_path / 'folder.pth'} exists; only a file")


def test_source_may_be_replaced_by_its_own_conversion(published):
    path, model = published
    convert_weights(path, path, force=True)
    assert same(read_state(path), model.state_dict())


def test_target_that_cannot_be_written_is_one_message(published, tmp_path):
    target = tmp_path / f"{'a' * 250}.pth"
    assert message_of(published[0], target) == (
        f"{target} cannot be written (File name too long); nothing was changed. Make room, or choose a folder that you may write to."
    )


def test_unknown_layout_names_the_close_ones(published, tmp_path):
    message = message_of(published[0], tmp_path / "a.pth", layout="i3d_resnett")
    assert message.startswith("--layout is 'i3d_resnett'; it must be one of resnet_v1b, i3d_resnet, slowfast, ")
    assert " Did you mean 'i3d_resnet' or 'mxnet/i3d_resnet'" in message
    assert message.endswith("Choose one, or leave it out.")


def test_names_that_no_layout_explains_are_listed(published, tmp_path):
    path, _ = published
    torch.save({**read_state(path), "ema.decay": torch.zeros(1), "fc.scale": torch.zeros(1)}, path)
    wanted = (
        f"{path} has 80 names, and no layout explains them all: i3d_resnet 78 and mxnet/i3d_resnet 45; i3d_resnet lacks ema.decay, "
        "fc.scale. Every name must be explained. Give a file of the reference zoo, or one with the names of vidrec."
    )
    assert message_of(path, tmp_path / "a.pth") == wanted
    wanted = (
        f"{path} has 80 names, and the layout i3d_resnet does not explain 2: ema.decay, fc.scale. Every name must be explained. "
        "Leave --layout out to have it found, or choose another one."
    )
    assert message_of(path, tmp_path / "a.pth", layout="i3d_resnet") == wanted


def test_names_that_two_layouts_explain_in_different_ways_need_a_choice(tmp_path):
    torch.save({"layer1.0.conv3.weight": torch.zeros(1)}, tmp_path / "part.pth")
    message = message_of(tmp_path / "part.pth", tmp_path / "a.pth")
    assert message.startswith(f"{tmp_path / 'part.pth'} has names that resnet_v1b and ircsn and ")
    assert message.endswith(" explain in different ways; only one can be right. Choose it with --layout.")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", ["resnet18_v1b_kinetics400", "mxnet/resnet18_v1b_kinetics400", "tpn_resnet50_f8s8_kinetics400"])
def test_converted_file_remembers_its_layout_for_the_way_back(name, suffix, tmp_path):
    torch.manual_seed(0)
    kind, layout = (".params", "mxnet/resnet_v1b") if name.startswith("mxnet") else (".pth", "tpn" if "tpn" in name else "resnet_v1b")
    state = to_reference(get_model(name, num_classes=2).state_dict(), layout)
    source, ours, back = tmp_path / f"a{kind}", tmp_path / f"b{suffix}", tmp_path / f"c{kind}"
    write_params(source, state) if kind == ".params" else torch.save(state, source)
    convert_weights(source, ours)
    convert_weights(ours, back, to="reference")
    assert same(read_state(back), state)
    assert read_weights(ours).layout == layout


def test_layout_may_be_a_zoo_name(tmp_path):
    state = get_model("resnet18_v1b_kinetics400", num_classes=2).state_dict()
    torch.save(state, tmp_path / "ours.pth")
    convert_weights(tmp_path / "ours.pth", tmp_path / "a.pth", to="reference", layout="resnet18_v1b_kinetics400")
    assert same(read_state(tmp_path / "a.pth"), to_reference(state, "resnet_v1b"))


def test_our_names_need_a_layout_where_several_fit(tmp_path):
    torch.save(get_model("resnet18_v1b_kinetics400", num_classes=2).state_dict(), tmp_path / "ours.pth")
    assert message_of(tmp_path / "ours.pth", tmp_path / "a.pth", to="reference") == (
        f"{tmp_path / 'ours.pth'} has the names of vidrec, and 4 layouts fit: resnet_v1b, i3d_resnet, ircsn, tpn. One must be meant: "
        "choose it with --layout."
    )
    torch.save({"head.score.weight": torch.zeros(1)}, tmp_path / "mine.pth")
    assert "has the names of vidrec, and no layout for .params fits." in message_of(
        tmp_path / "mine.pth", tmp_path / "a.params", to="reference"
    )
    assert message_of(tmp_path / "mine.pth", tmp_path / "a.pth", to="reference", layout="tpn") == (
        f"{tmp_path / 'mine.pth'} has 1 names, and the layout tpn has none for 1: head.score.weight. Every name must have one. "
        "Choose the layout of this network with --layout."
    )


def test_only_fitting_layout_needs_no_choice(tmp_path):
    sections = {"BACKBONE": {"TYPE": "SlowFast", "WIDTH": 8, "DEPTH": 18}, "HEAD": {"TYPE": "SlowFastHead"}}
    state = assemble(sections, num_classes=2).state_dict()
    torch.save(state, tmp_path / "ours.pth")
    convert_weights(tmp_path / "ours.pth", tmp_path / "a.pth", to="reference")
    assert same(read_state(tmp_path / "a.pth"), to_reference(state, "slowfast"))


def test_tool_and_command_convert_and_end_bad_input_with_one_line(published, tmp_path):
    path, model = published
    done = run_tool("convert_weights.py", path, tmp_path / "a.safetensors")
    assert "78 tensors, i3d_resnet names" in done.stdout
    assert same(read_state(tmp_path / "a.safetensors"), model.state_dict())
    command = [sys.executable, "-m", "vidrec", "convert_weights", str(path), str(tmp_path / "a.safetensors")]
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert again.returncode == 1
    assert "exists; only a file is replaced, and only with --force." in again.stderr
    assert "Traceback" not in again.stderr
