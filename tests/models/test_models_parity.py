"""Every zoo name of both sections against the measured outputs of the reference, through the names of its files."""

import hashlib
import json
import math
from functools import cache
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from models_golden import (
    TOLERANCE,
    TPN_AUX,
    GoldenModel,
    assert_close_to_golden,
    empty_model,
    filled_state,
    float_rows,
    materialize,
    our_shapes,
    read_golden,
    row_id,
    rule_input,
)

from vidrec.model_zoo import specs
from vidrec.models.build import get_model
from vidrec.models.weights.load import load_state, load_weights
from vidrec.models.weights.names import COUNTER, from_reference, is_mxnet, our_names, to_reference
from vidrec.models.weights.params import write_params

ROWS = float_rows()
MEASURED = [row for row in ROWS if read_golden(row)["cases"]]
STEPPED = [row for row in MEASURED if "train_step" in read_golden(row)]
# With the rule's weights a training step of the non-local networks amplifies rounding: the gradient's norm is 2e4 (nl5) and
# 2e8 (nl10). Measured on this implementation, float32 against float64: nl5 moves by 2e-3 in the logits and 1.7 % in the
# gradient of one layer; nl10 by 0.8 and 30 %, as far as either is from the reference. So nl5 has a wider margin, and of
# nl10's step only what comes before the amplification is compared. The 206 BatchNorms of R(2+1)D v2 amplify it too: its logits
# move by 4e-4 between float32 and float64, and the reference's float32 is 2e-4 from our float64.
MARGIN = {"i3d_nl5_resnet50_v1_kinetics400": 10.0, "r2plus1d_v2_resnet152_kinetics400": 5.0}
CHAOTIC_STEPS = ("i3d_nl10_resnet50_v1_kinetics400",)
# The reference's P3D mixes frames and channels for this length; ours does not, on purpose.
LEFT_OUT = ("T32_64_scrambled",)


def is_large(row: specs.Row) -> bool:
    """Networks of over 50 layers, and VGG-16: `make test-slow` runs what takes seconds of them."""
    return any(mark in row.name for mark in ("resnet101", "resnet152", "vgg16"))


def mark_large(rows: list[specs.Row]) -> list:
    return [pytest.param(row, id=row_id(row), marks=[pytest.mark.slow] if is_large(row) else []) for row in rows]


def other_cases() -> list:
    """(row, label) of every case but a row's first one."""
    found = []
    for row in MEASURED:
        for case in read_golden(row)["cases"][1:]:
            slow = is_large(row) or case["label"].startswith(("native", "seg1_160", "seg1_224"))
            marks = [pytest.mark.slow] if slow else []
            if case["label"] not in LEFT_OUT:
                found.append(pytest.param(row, case["label"], id=f"{row_id(row)}-{case['label']}", marks=marks))
    return found


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def loaded(request) -> GoldenModel:
    """One network at a time; pytest groups the tests of this module by its parameter."""
    return GoldenModel(request.param)


class Sizes(NamedTuple):
    """What is compared of a network without numbers: its file's shapes by our names, and its number of trained parameters."""

    shapes: dict[str, tuple[int, ...]]
    num_parameters: int


@cache
def sizes_of(section: str, name: str) -> Sizes:
    row = specs.row(name, section)
    model = empty_model(row)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return Sizes(our_shapes(model, row.layout), trained)


def entry_lines(row: specs.Row) -> list[str]:
    shapes = sizes_of(row.section, row.name).shapes
    entries = to_reference({name: torch.empty(shape, device="meta") for name, shape in shapes.items()}, row.layout)
    kind = {True: "int64", False: "float32"}
    return sorted(f"{key} {list(tensor.shape)} {kind[key.endswith(COUNTER)]}" for key, tensor in entries.items())


def test_the_table_has_all_names_of_both_sections():
    assert {section: len(specs.names(section)) for section in specs.SECTIONS} == {"torch": 46, "mxnet": 59}
    assert len(set(specs.names("torch")) & set(specs.names("mxnet"))) == 23
    assert (len(ROWS), len(MEASURED), len(STEPPED)) == (100, 76, 32)


def test_int8_names_stand_for_the_float_network():
    quantized = [row for row in specs.ROWS if row.name.endswith("_int8")]
    assert len(quantized) == 5
    for row in quantized:
        assert row._replace(name=specs.float_name(row.name)) == specs.row(specs.float_name(row.name), "mxnet")


@pytest.mark.parametrize("row", ROWS, ids=row_id)
def test_names_shapes_and_sizes_are_those_of_the_reference(row):
    golden, lines = read_golden(row), entry_lines(row)
    assert len(lines) == golden["num_entries"]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == golden["state_dict_sha256"]
    unused = [math.prod(shape) for name, shape in TPN_AUX.items() if name.endswith(("weight", "bias"))] if row.layout == "tpn" else []
    assert sizes_of(row.section, row.name).num_parameters + sum(unused) == golden["param_count"]


@pytest.mark.parametrize("row", ROWS, ids=row_id)
def test_names_and_shapes_equal_the_whole_measured_list(row, shared):
    measured = json.loads((shared / "golden" / row.section / f"{row.name}.json").read_text())
    entries = measured["state_dict" if row.section == "torch" else "params"]
    assert entry_lines(row) == sorted(f"{key} {shape} {dtype}" for key, shape, dtype, *_ in entries)


@pytest.mark.parametrize("row", ROWS, ids=row_id)
def test_names_translate_back_to_ours(row):
    names = sizes_of(row.section, row.name).shapes
    ours = [name for name in names if not (is_mxnet(row.layout) and name.endswith(COUNTER))]  # MXNet has no counters of batches
    theirs = to_reference(dict.fromkeys(ours, torch.zeros(())), row.layout)
    assert set(our_names(theirs, row.layout)) == set(ours)
    back, unexplained = from_reference(theirs, row.layout)
    assert (sorted(back), unexplained) == (sorted(ours), [])


@pytest.mark.parametrize("row", specs.ROWS, ids=row_id)
def test_runs_at_its_true_clip_size(row):
    clip, num_classes = row.clip, row.num_classes or 9
    with torch.device("meta"):
        model = get_model(row.name, zoo=row.section, num_classes=num_classes).eval()
        frames = torch.empty(2, 3, clip.num_frames, clip.crop_size, clip.crop_size)
    assert model(frames).shape == (2, num_classes)
    model.features_only = True
    name = row.name.removeprefix("r2plus1d_v1_").removeprefix("r2plus1d_")
    widths = {"resnet18": 512, "resnet34": 512, "slowfast": 2304, "vgg16": 4096, "c3d": 4096, "inceptionv1": 1024, "i3d_inceptionv1": 1024}
    assert model(frames).shape == (2, next((width for start, width in widths.items() if name.startswith(start)), 2048))


@pytest.mark.parametrize("loaded", mark_large(MEASURED), indirect=True)
class TestMeasured:
    def test_the_loader_explains_every_name(self, loaded):
        report, names = loaded.report, set(loaded.model.state_dict())
        counters = {name for name in names if name.endswith(COUNTER)} if is_mxnet(loaded.row.layout) else set()
        assert set(report.matched) == names - counters
        assert set(report.missing) == counters
        assert report.reshaped == ()
        assert set(report.unexpected) == (set(TPN_AUX) if loaded.row.layout == "tpn" else set())

    def test_outputs_are_those_of_the_reference(self, loaded):
        check_case(loaded, loaded.golden["cases"][0]["label"])

    def test_state_goes_to_the_reference_and_back_bit_for_bit(self, loaded):
        loaded.reload()
        ours = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
        for parameter in loaded.model.state_dict().values():
            parameter.zero_()
        load_state(loaded.model, to_reference(ours, loaded.row.layout), source="round trip")
        assert all(torch.equal(tensor, ours[name]) for name, tensor in loaded.model.state_dict().items())


@pytest.mark.parametrize("loaded", mark_large(STEPPED), indirect=True)
def test_one_training_step_is_that_of_the_reference(loaded):
    step, layout, margin = loaded.golden["train_step"], loaded.row.layout, MARGIN.get(loaded.row.name, 1.0)
    loaded.reload()
    model = loaded.model.train()
    model.head.dropout.p = 0.0
    logits = model(rule_input(step["input"]))
    loss = F.cross_entropy(logits, torch.tensor(step["labels"]))
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    in_model = {name: golden for name, golden in step["running_stats"].items() if "aux_head" not in name}
    if loaded.row.name in CHAOTIC_STEPS:
        check_running_statistics(model, layout, *next(iter(in_model.items())))
        return
    assert_close_to_golden(logits, step["logits"], tolerance=TOLERANCE["torch"] * margin)
    assert loss.item() == pytest.approx(step["loss"], rel=1e-5 * margin)
    norms = {name: parameter.grad.norm().item() for name, parameter in model.named_parameters()}
    assert math.hypot(*norms.values()) == pytest.approx(step["grad_l2_total"], rel=5e-3 * margin)
    for theirs, norm in step["grad_l2"].items():
        assert norms[our_names([theirs], layout)[0]] == pytest.approx(norm, rel=5e-3 * margin)
    for name, golden in in_model.items():
        check_running_statistics(model, layout, name, golden)


@pytest.mark.parametrize(("row", "label"), other_cases())
def test_other_sizes_are_those_of_the_reference(row, label):
    check_case(GoldenModel(row), label)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r2plus1d_v2_resnet152_kinetics400", "ircsn_v2_resnet152_f32s2_kinetics400"])
def test_affine_networks_are_those_of_the_reference(name):
    row = specs.row(name)
    golden = read_golden(row, "__use_affine")
    model = materialize(empty_model(row, use_affine=True))
    scales = {id(module.weight) for module in model.modules() if type(module).__name__ == "Affine"}
    affine = {key for key, tensor in model.named_parameters() if id(tensor) in scales}
    affine |= {key.removesuffix("weight") + "bias" for key in affine}
    shapes = {key: (*tensor.shape, 1, 1, 1) if key in affine else tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    state = filled_state(shapes, row.layout)
    assert len(state) == golden["num_entries"]
    report = load_state(model, state, source=name)
    assert (report.missing, set(report.reshaped)) == ((), affine)
    case = golden["cases"][0]
    with torch.inference_mode():
        assert_close_to_golden(model.eval()(rule_input(case["input"])), case["logits"])


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=row_id)
def test_file_in_the_layout_of_the_reference_gives_the_same_logits_bit_for_bit(row, tmp_path):
    torch.manual_seed(0)
    model = get_model(row.name, zoo=row.section, num_classes=7).eval()
    size = {"mxnet/c3d": 112, "mxnet/inception_v3": 96, "mxnet/i3d_inception_v3": 96}.get(row.layout, 64)
    clips = torch.randn(1, 3, min(row.clip.num_frames, 16), size, size)
    with torch.inference_mode():
        wanted = model(clips)
    state, path = to_reference(model.state_dict(), row.layout), tmp_path / ("w.params" if is_mxnet(row.layout) else "w.pth")
    write_params(path, state) if is_mxnet(row.layout) else torch.save(state, path)
    with torch.device("meta"):
        other = get_model(row.name, zoo=row.section, num_classes=7)
    load_weights(materialize(other), path)
    with torch.inference_mode():
        assert torch.equal(other.eval()(clips), wanted)


def check_case(model: GoldenModel, label: str) -> None:
    """Logits, and features and the classifier's input where they were measured, of one case."""
    case, tolerance = model.case(label), TOLERANCE[model.row.section]
    outputs = model.outputs(label)._asdict()
    measured = [what for what in outputs if what in case]
    assert "logits" in measured and len(measured) >= 2
    for what in measured:
        assert_close_to_golden(outputs[what], case[what], tolerance=tolerance)


def check_running_statistics(model: torch.nn.Module, layout: str, norm_name: str, golden: dict) -> None:
    norm = model.get_submodule(our_names([f"{norm_name}.weight"], layout)[0].removesuffix(".weight"))
    assert norm.running_mean[:4].tolist() == pytest.approx(golden["mean_first4"], rel=1e-3, abs=1e-5)
    assert norm.running_var[:4].tolist() == pytest.approx(golden["var_first4"], rel=1e-4)
    assert norm.num_batches_tracked.item() == golden["num_batches_tracked"]
