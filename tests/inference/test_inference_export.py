"""A network as an exported program: the same scores for any number of clips, and a clear message where that cannot be."""

import json
import math
import resource

import onnx
import pytest
import torch
from models_narrow import FAMILIES, PLAIN, clip_shape, narrow
from torch import nn

from vidrec.inference.export import Difference, Exportable, capture, check_difference, compare, load_program, without_traces, write_program
from vidrec.inference.export_onnx import check_opset, load_onnx, write_onnx
from vidrec.utils.errors import UserError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
QUICK_ONNX = ("2-D", "SlowFast", "TPN", "C3D")  # the slow tests of every architecture write the others


def exportable(model: nn.Module, **options) -> Exportable:
    return Exportable(model.eval(), MEAN, STD, **options)


def four_clips(shape: tuple[int, ...]) -> torch.Tensor:
    _, _, frames, height, width = shape
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (4, frames, height, width, 3), dtype=torch.uint8, generator=generator)


class WithLayer(nn.Module):
    """Clips to 4 scores, with a layer of one's own in between."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.stages = nn.Sequential(nn.Conv3d(3, 4, 1), layer)

    def forward(self, clips):
        return self.stages(clips).mean(dim=(2, 3, 4))


class Bessel(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)


class Choosing(nn.Module):
    def forward(self, x):
        return 2 * x if x.sum() > 0 else x


@pytest.mark.parametrize("family", FAMILIES | PLAIN)
def test_program_of_every_family_takes_any_number_of_clips_and_gives_the_scores_of_the_network(family):
    model = narrow(family)
    network, clips = exportable(model), four_clips(clip_shape(model))
    program = capture(network.module, network.inputs(clips[:2]))
    difference = compare(torch.no_grad()(program.module()), network.inputs(clips), network.logits(clips))
    assert difference.std > 0 and difference.over_std < 1e-5


@pytest.mark.parametrize("family", QUICK_ONNX)
def test_onnx_file_of_a_family_gives_the_scores_of_the_network(family, tmp_path):
    model = narrow(family)
    network, clips = exportable(model), four_clips(clip_shape(model))
    program = capture(network.module, network.inputs(clips[:2]))
    opset = write_onnx(without_traces(program), tmp_path / "a.onnx", facts={"class_names": '["a", "b"]'})
    difference = compare(load_onnx(tmp_path / "a.onnx"), network.inputs(clips), network.logits(clips))
    assert difference.std > 0 and difference.over_std < 1e-4
    model = onnx.load(tmp_path / "a.onnx")
    assert [(entry.domain, entry.version) for entry in model.opset_import][:1] == [("", opset)]
    assert {entry.key: entry.value for entry in model.metadata_props} == {"class_names": '["a", "b"]'}
    (clips_in,), (logits,) = model.graph.input, model.graph.output
    assert (clips_in.name, clips_in.type.tensor_type.shape.dim[0].dim_param) == ("clips", "batch")
    assert (logits.name, [size.dim_param or size.dim_value for size in logits.type.tensor_type.shape.dim]) == ("logits", ["batch", 3])
    assert str(clips.shape[2]) and "/tests/" not in str(model) and "site-packages" not in str(model)


def test_normalization_goes_into_the_file_and_pixels_come_in(tmp_path):
    network = exportable(narrow("2-D"), takes_pixels=True)
    clips = four_clips((2, 3, 4, 32, 40))
    program = capture(network.module, network.inputs(clips[:2]))
    write_program(program, tmp_path / "a.pt2", facts=json.dumps({"mean": MEAN}))
    write_onnx(program, tmp_path / "a.onnx", facts={})
    for run in (load_program(tmp_path / "a.pt2"), load_onnx(tmp_path / "a.onnx")):
        assert compare(run, clips, network.logits(clips)).over_std < 1e-4
    (entry,) = onnx.load(tmp_path / "a.onnx").graph.input
    assert entry.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [size.dim_param or size.dim_value for size in entry.type.tensor_type.shape.dim] == ["batch", 4, 32, 40, 3]
    extra = {"vidrec.json": ""}
    torch.export.load(tmp_path / "a.pt2", extra_files=extra)
    assert json.loads(extra["vidrec.json"]) == {"mean": list(MEAN)}


def test_weights_over_the_limit_go_into_a_file_beside_the_onnx_file(tmp_path):
    network = exportable(narrow("VGG16"))
    clips = four_clips((2, 3, 1, 32, 32))
    program = capture(network.module, network.inputs(clips[:2]))
    write_onnx(program, tmp_path / "a.onnx", facts={}, external_over=100_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "a.onnx.data"]
    assert (tmp_path / "a.onnx").stat().st_size < 100_000 < (tmp_path / "a.onnx.data").stat().st_size
    assert compare(load_onnx(tmp_path / "a.onnx"), network.inputs(clips), network.logits(clips)).over_std < 1e-4


def test_file_of_a_program_holds_no_clips(tmp_path):
    network = exportable(narrow("C3D"))
    clips = four_clips((2, 3, 16, 96, 96))
    write_program(capture(network.module, network.inputs(clips[:2])), tmp_path / "a.pt2", facts="{}")
    weights = sum(tensor.nbytes for tensor in network.model.state_dict().values())
    assert weights < (tmp_path / "a.pt2").stat().st_size < weights + 200_000 < network.inputs(clips[:2]).nbytes


def test_full_disk_is_an_error_of_the_program_file(tmp_path):
    program = capture(nn.Linear(64, 64).eval(), torch.zeros(2, 64))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # writing beyond 1000 bytes fails, as on a full disk
    try:
        with pytest.raises(OSError, match="File too large"):
            write_program(program, tmp_path / "a.pt2", facts="{}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_operator_that_onnx_lacks_is_named_with_its_module(tmp_path):
    program = capture(WithLayer(Bessel()).eval(), torch.zeros(2, 3, 2, 4, 4))
    message = r"The operator prims\.bessel_j0 of module stages\.1 cannot be exported to ONNX: .* Use --format torch"
    with pytest.raises(UserError, match=message):
        write_onnx(program, tmp_path / "a.onnx", facts={})
    assert not list(tmp_path.iterdir())


def test_choice_that_depends_on_values_is_named_with_its_module_and_line(capfd):
    line = Choosing.forward.__code__.co_firstlineno + 1
    with pytest.raises(UserError) as caught:
        capture(WithLayer(Choosing()).eval(), torch.zeros(2, 3, 2, 4, 4))
    expected = f"torch.export cannot capture this network: module stages.1 (Choosing, test_inference_export.py:{line}): "
    assert str(caught.value).startswith(expected)
    assert "data-dependent" in str(caught.value) and capfd.readouterr().err == ""


@pytest.mark.parametrize(("opset", "allowed"), [(17, False), (18, True), (23, True), (24, False), (None, True)])
def test_opset_that_the_exporter_does_not_write_is_refused(opset, allowed):
    if allowed:
        check_opset(opset)
    else:
        with pytest.raises(UserError, match=rf"--opset is {opset}; it must lie in 18 to 23\. Leave it out"):
            check_opset(opset)


def test_difference_is_the_largest_one_over_the_standard_deviation_of_the_scores():
    logits = torch.tensor([[0.0, 2.0], [0.0, 2.0], [0.0, 2.0], [0.0, 2.0]])
    found = compare(lambda clips: logits[clips] + torch.tensor([0.0, 0.5]) * (clips == 3)[:, None], torch.arange(4), logits)
    assert found.largest == 0.5 and math.isclose(found.over_std, 0.5 / logits.std().item())
    assert math.isclose(found.rms, math.sqrt(0.25 / 8), rel_tol=1e-6)
    check_difference(found, "a.onnx", 0.47)
    check_difference(found, "a.onnx", 0.17, in_int8=True)
    with pytest.raises(UserError, match=r"differs from the network by an RMS of 0\.177, 0\.17 of .* or allow more with --int8-tolerance\."):
        check_difference(found, "a.onnx", 0.16, in_int8=True)
    with pytest.raises(UserError, match=r"a\.onnx differs from the network by up to 0\.5, 0\.47 of the logits' standard dev"):
        check_difference(found, "a.onnx", 0.46)
    with pytest.raises(UserError, match=r"a\.onnx differs from the network by up to nan"):
        check_difference(Difference(math.nan, math.nan, 1.0), "a.onnx", 0.5)


def test_scores_that_are_not_finite_are_an_error_before_anything_is_written():
    model = narrow("2-D")
    nn.init.constant_(model.head.fc.bias, math.inf)
    with pytest.raises(UserError, match=r"The network gives scores that are not finite; its weights are damaged or have diverged\."):
        exportable(model).logits(four_clips((2, 3, 1, 32, 32)))
