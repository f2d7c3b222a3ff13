"""tools/export.py: files that give the network's scores without vidrec, with what one needs to use them, or one message and no file."""

import hashlib
import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from vidrec.commands import export

FRAME_NETWORK = "{TYPE: ResNet2D, STAGE_BLOCKS: [1, 1], BLOCK: basic, WIDTH: 16}"


@pytest.fixture
def frame_config(config):
    """The config with a 2-D network on single frames."""
    text = config.read_text()
    start, end = text.index("{TYPE: I3DResNet"), text.index("    HEAD:")
    config.write_text((text[:start] + FRAME_NETWORK + "\n" + text[end:]).replace("CLIP_LEN: 4", "CLIP_LEN: 1"))
    return config


def run(config, *arguments):
    return export.main(["--config-file", str(config), "--random-weights", *map(str, arguments)])


def test_exported_files_can_be_used_with_numpy_and_their_sidecar_alone(config, tmp_path, capsys):
    assert run(config, "--out", tmp_path / "out") == 0
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["run.onnx", "run.onnx.json", "run.pt2", "run.pt2.json"]
    about = json.loads((out / "run.onnx.json").read_text())
    assert len(about["class_names"]) == 8
    assert (about["input"]["name"], about["input"]["dtype"], about["input"]["shape"]) == ("clips", "float32", ["batch", 3, 4, 32, 32])
    assert [about["clips_of_a_video"][key] for key in ("frame_stride", "num_clips", "num_crops")] == [2, 3, 3]
    assert about["comparison"]["batches"] == [1, 3] and about["comparison"]["clips"].endswith("val.txt")
    assert about["files"][0]["sha256"] == hashlib.sha256((out / "run.onnx").read_bytes()).hexdigest()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 32, 32, 3), dtype=np.uint8)
    clips = ((pixels / 255 - about["mean"]) / about["std"]).transpose(0, 4, 1, 2, 3).astype(np.float32)
    (logits,) = onnxruntime.InferenceSession(out / "run.onnx").run(None, {"clips": clips})
    program = torch.export.load(out / "run.pt2").module()
    np.testing.assert_allclose(logits, program(torch.from_numpy(clips)).detach().numpy(), rtol=1e-3, atol=1e-5)
    metadata = {entry.key: entry.value for entry in onnx.load(out / "run.onnx").metadata_props}
    assert json.loads(metadata["class_names"]) == about["class_names"] and json.loads(metadata["mean"]) == [0.485, 0.456, 0.406]
    printed = capsys.readouterr().out
    assert "8 classes, clips of 4 x 32 x 32" in printed and "run.onnx  0." in printed and "of the logits' std" in printed


def test_file_that_differs_too_much_is_an_error_and_the_earlier_one_stays(config, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.onnx").write_text("earlier")
    with pytest.raises(SystemExit) as stop:
        run(config, "--out", out, "--format", "onnx", "--tolerance", "1e-12")
    assert stop.value.code == 1
    assert "run.onnx differs from the network by up to" in capsys.readouterr().err
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("run.onnx", "earlier")]


def test_int8_file_is_smaller_loads_again_and_says_how_much_of_it_is_int8(frame_config, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("vidrec.engine.progress.LINE_EVERY_S", 0.0)
    assert run(frame_config, "--out", tmp_path, "--format", "torch") == 0
    assert run(frame_config, "--out", tmp_path, "--format", "torch", "--int8", "--calibration-clips", "9999") == 0
    about = json.loads((tmp_path / "run_int8.pt2.json").read_text())
    assert [about["int8"][key] for key in ("convs", "convs_int8", "conv_macs_share", "linears_int8")] == [6, 6, 1.0, 1]
    assert about["comparison"]["largest_difference"] == 0 and 0 < about["int8"]["from_float"]["rms_over_std"] < 0.25
    assert about["load"].startswith("import torch.ao.quantization.fx._decomposed")
    weights = sum(size for name, size in _weights(tmp_path / "run.pt2"))
    int8 = _weights(tmp_path / "run_int8.pt2")
    assert sum(size for name, size in int8) < 0.4 * weights and any(name == torch.int8 for name, _ in int8)
    shares = "6 of 6 convolutions (100.0 % of their multiply-adds) and 1 of 1 linear layers in int8"
    assert about["int8"]["calibration_clips"] == 24  # all that there are
    printed = capsys.readouterr()
    assert f"{shares}, calibrated on 24 clips of " in printed.out and "calibration 5/6, " in printed.err


@pytest.mark.slow
def test_report_compares_decisions_sizes_and_speed_of_both_networks(frame_config, tmp_path, capsys):
    assert run(frame_config, "--out", tmp_path, "--int8", "--report", "--rounds", "2", "--with-normalization") == 0
    figures = json.loads((tmp_path / "run_int8_report.json").read_text())
    assert figures["clips_of_a_video"]["num_views"] == 9 and figures["clips_of_a_video"]["average"] == "logits_mean"
    assert figures["not_measured"] == {} and figures["rounds"] == 2 and figures["clip"] == [1, 32, 32]
    assert set(figures["latency_ms"]) == {
        "float, eager",
        "float, torch.compile (inductor)",
        "int8, torch.compile (inductor)",
        "float, onnxruntime",
        "int8, onnxruntime",
    }
    for kind in ("torch", "onnx"):
        assert figures["agreement"][kind]["videos"] == 10 and 0 < figures["agreement"][kind]["rms_over_std"] < 0.25
        assert figures["bytes"][f"int8 {kind}"] < figures["bytes"][f"float {kind}"]
    assert "of 10 videos with 9 views; logits differ" in capsys.readouterr().out


def _weights(path):
    import torch.ao.quantization.fx._decomposed

    return [(tensor.dtype, tensor.nbytes) for tensor in torch.export.load(path).state_dict.values()]


def test_video_that_cannot_be_read_is_listed_and_the_exit_code_says_so(config, demo_data, tmp_path, capsys):
    rows = (demo_data / "val.txt").read_text().splitlines()
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "val.txt").write_text("\n".join([f"{tmp_path}/broken.mp4 0", *(f"{demo_data}/{row}" for row in rows)]) + "\n")
    arguments = ("--out", tmp_path / "out", "--format", "torch", "CONFIG.DATA.VAL_ANNO_PATH", tmp_path / "val.txt")
    assert run(config, *arguments) == 3
    assert f"Another video takes the place of {tmp_path}/broken.mp4: " in capsys.readouterr().out
    assert (tmp_path / "out" / "run.pt2").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--report"], "--report is given without --int8; it compares the int8 network with the float one. Add --int8."),
        (["--opset", "9"], "--opset is 9; it must lie in 18 to 23. Leave it out for the one that torch chooses."),
        (["--format", "torch", "--opset", "20"], "--opset is 20 and --format is torch; an opset belongs to ONNX. Leave it out."),
        (["--tolerance", "-1"], "--tolerance is -1.0; it must be more than 0."),
        (["--int8", "--calibration-clips", "1"], "--calibration-clips is 1; it must be at least 2."),
        (["--int8"], "quantizes none of the 6 convolutions of this network; it takes 1-D and 2-D ones"),
        (["--int8", "CONFIG.DATA.TRAIN_ANNO_PATH", "nowhere.txt"], "TRAIN_ANNO_PATH is 'nowhere.txt', which is not there; --int8 cal"),
        (["CONFIG.INFERENCE.FEAT", "True"], "CONFIG.INFERENCE.FEAT is True; a network that returns features has no scores to export."),
    ],
)
def test_what_cannot_be_exported_is_one_message_and_no_file(config, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        run(config, "--out", tmp_path / "out", *arguments)
    assert stop.value.code == 1
    assert message in capsys.readouterr().err and not list((tmp_path).glob("out/*"))


def test_out_that_is_a_file_is_said_before_anything_is_done(config, capsys):
    with pytest.raises(SystemExit):
        run(config, "--out", config)
    assert f"--out is {config}, and {config} is no folder; it must be one, or a new one." in capsys.readouterr().err


def test_missing_package_is_one_message_that_says_how_to_install_it(config, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SystemExit):
        run(config, "--out", tmp_path / "out")
    message = "Export to ONNX needs onnxruntime, which this environment lacks. Install what export needs with pip install 'vidrec[export]'"
    assert message in capsys.readouterr().err


def test_name_that_is_no_source_gets_close_ones(capsys):
    with pytest.raises(SystemExit):
        export.main(["--name", "i3d_resnet5_v1_kinetics400", "--random-weights"])
    assert "Did you mean 'i3d_resnet50_v1_kinetics400'" in capsys.readouterr().err
