"""benchmark_zoo: which names share a measurement, what its file holds, and how it goes on."""

import json

import pytest

from vidrec.commands import benchmark_zoo
from vidrec.commands.zoo_figures import group_names, key_of, new_figures, write_figures
from vidrec.engine.device import set_switches
from vidrec.model_zoo import specs
from vidrec.utils.killable import Outcome

QUICK = ("--rounds", "1", "--warm-up", "0", "--device", "cpu")


@pytest.fixture(autouse=True)
def switches_of_torch():
    yield
    set_switches(deterministic=False, tf32=True, autotune=False)


def run(out, *arguments):
    return benchmark_zoo.main([*arguments, "--out", str(out)])


def test_names_share_a_measurement_where_their_networks_do_the_same_work():
    groups = group_names(specs.ROWS)
    assert groups["torch/resnet18_v1b_kinetics400"] == [
        "torch/resnet18_v1b_kinetics400",
        "mxnet/resnet18_v1b_kinetics400",
        "mxnet/resnet18_v1b_custom",
        "mxnet/resnet18_v1b_kinetics400_int8",
    ]
    assert groups["torch/slowfast_4x16_resnet50_kinetics400"][1:] == [
        "torch/slowfast_4x16_resnet50_custom",
        "mxnet/slowfast_4x16_resnet50_kinetics400",
        "mxnet/slowfast_4x16_resnet50_custom",
    ]
    assert groups["torch/i3d_resnet50_v1_sthsthv2"] == ["torch/i3d_resnet50_v1_sthsthv2", "mxnet/i3d_resnet50_v1_sthsthv2"]  # 16 frames
    assert sorted(name for names in groups.values() for name in names) == sorted(map(key_of, specs.ROWS))


def test_networks_that_share_a_measurement_cost_the_same():
    from vidrec.model_zoo.costs import read_costs

    costs = read_costs()
    for name, names in group_names(specs.ROWS).items():
        adds = [costs[tuple(each.split("/"))].multiply_adds for each in (name, *names)]
        assert max(adds) <= 1.001 * min(adds), name  # the classifiers differ in size


def test_benchmark_goes_on_where_it_stopped_and_refuses_another_way_of_measuring(tmp_path, capsys):
    out = tmp_path / "zoo.json"
    assert run(out, "torch/resnet18_v1b*", *QUICK) == 0
    printed = capsys.readouterr().out
    assert "1 names, 1 different networks, 0 of them measured before" in printed
    assert "1/1 torch/resnet18_v1b_kinetics400: " in printed and "clips/s" in printed and "eta 0:00:00" in printed
    first = json.loads(out.read_text())
    figures = first["measured"]["torch/resnet18_v1b_kinetics400"]
    assert figures["view"] == [3, 7, 224, 224] and figures["flops_per_clip"] == 25390268416
    assert figures["clips_per_s"] == figures["wall_clips_per_s"] == pytest.approx(1000 / figures["latency_ms"]["median"], rel=0.01)
    assert run(out, "mxnet/resnet18_v1b_kinetics400", *QUICK) == 0
    assert "1 of them measured before" in capsys.readouterr().out
    second = json.loads(out.read_text())
    assert second["measured"] == first["measured"]
    assert second["measured_as"]["mxnet/resnet18_v1b_kinetics400"] == "torch/resnet18_v1b_kinetics400"
    assert '"name": "resnet18_v1b_kinetics400", "short": "resnet18_v1b", "section": "mxnet"' in (tmp_path / "zoo.html").read_text()
    with pytest.raises(SystemExit):
        run(out, "c3d*", *QUICK, "--precision", "bf16")
    error = capsys.readouterr().err
    assert "zoo.json holds figures that were measured otherwise (precision is 'fp32' there and 'bf16' now)" in error
    assert "Give --out another file, or --restart" in error and json.loads(out.read_text()) == second


@pytest.mark.slow
def test_network_that_does_not_fit_is_recorded_with_the_reason_and_the_next_one_measured(tmp_path):
    out = tmp_path / "zoo.json"
    assert run(out, "mxnet/[vi][gn]*[61]_ucf101", *QUICK, "--memory-limit", "1") == 3
    measured = json.loads(out.read_text())["measured"]
    assert list(measured) == ["mxnet/vgg16_ucf101", "mxnet/inceptionv1_ucf101"]
    assert measured["mxnet/vgg16_ucf101"]["failed"].startswith("it does not fit into memory (")
    assert measured["mxnet/inceptionv1_ucf101"]["clips_per_s"] > 0
    assert (
        "<td>vgg16_ucf101</td><td>MXNet</td><td>3 segments of 1 frame, 224 x 224</td><td>it does not fit"
        in (tmp_path / "zoo.html").read_text()
    )
    assert run(out, "mxnet/vgg16_ucf101", *QUICK) == 0  # what failed is tried again
    assert json.loads(out.read_text())["measured"]["mxnet/vgg16_ucf101"]["clips_per_s"] > 0


@pytest.mark.slow
def test_network_that_takes_too_long_is_recorded(tmp_path):
    assert run(tmp_path / "zoo.json", "torch/tpn_resnet101_f32s2_kinetics400", *QUICK, "--time-limit", "1") == 3
    measured = json.loads((tmp_path / "zoo.json").read_text())["measured"]
    assert measured == {"torch/tpn_resnet101_f32s2_kinetics400": {"failed": "it was not done after 1 s"}}


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome("a", "hung"), "it was not done after 5 s"),
        (Outcome("a", "died", exit_code=-9), "its process was killed (signal 9), most often since memory ran out"),
        (Outcome("a", "died", exit_code=-11), "its process ended with exit code -11"),
    ],
)
def test_process_that_hangs_or_dies_is_the_reason(outcome, words):
    assert benchmark_zoo.failure_text(outcome, 5.0) == words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["i3d_resnet5"], "No name of the model zoo matches 'i3d_resnet5'"),
        (["--rounds", "0"], "--rounds is 0; it must be at least 1"),
        (["--memory-limit", "0.5"], "--memory-limit is 0.5; it must be at least 1"),
        (["--time-limit", "nan"], "--time-limit is nan; it must be at least 1"),
        (["--device", "tpu"], "--device is 'tpu'; it must be cpu, cuda or cuda:N"),
        (["--device", "cuda:99"], "--device is 'cuda:99' and this machine has"),
        (["--out", "{tmp}/page.html"], "page.html; the figures are a JSON file, with the page beside it"),
        (["--page-only", "--out", "{tmp}/none.json"], "none.json cannot be read (No such file or directory); it must be a file of figures"),
        (["--page-only", "--out", "{tmp}/broken.json"], "broken.json is no JSON file"),
        (["--page-only", "--out", "{tmp}/other.json"], "other.json holds something other than the figures of benchmark_zoo"),
        (["--page-only", "--out", "{tmp}/names.json"], "names.json has names that are none of this model zoo (torch/c4d)"),
        (["c3d*", "--device", "cpu", "--out", "{tmp}/none/z.json"], "none/z.json cannot be written (No such file or directory)"),
    ],
)
def test_bad_arguments_are_one_message(tmp_path, capsys, arguments, words):
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "other.json").write_text("[1]")
    (tmp_path / "names.json").write_text(json.dumps(new_figures({}, {}) | {"measured_as": {"torch/c4d": "torch/c4d"}}))
    with pytest.raises(SystemExit) as stop:
        benchmark_zoo.main(["--out", str(tmp_path / "zoo.json"), *(argument.format(tmp=tmp_path) for argument in arguments)])
    error = capsys.readouterr().err
    assert stop.value.code == 1 and words in error and "Traceback" not in error


def test_page_without_any_figure_is_written(tmp_path):
    settings = {"clock": "wall", "precision": "fp32", "memory_format": "contiguous", "batch_size": 1, "rounds": 1}
    figures = new_figures({"device": "d", "device_type": "cpu", "threads": 1, "torch": "2", "vidrec": "0"}, settings)
    figures["measured_as"]["mxnet/c3d_kinetics400"] = "mxnet/c3d_kinetics400"
    write_figures(tmp_path / "zoo.json", figures)
    assert run(tmp_path / "zoo.json", "--page-only") == 0
    assert "<td>not measured yet</td>" in (tmp_path / "zoo.html").read_text()
