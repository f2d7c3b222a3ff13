"""The tools that measure training and inference, and the table made of what they write."""

import json
import shutil
from pathlib import Path

import pytest
from tool_runs import ROOT

from vidrec.commands import benchmark_train, get_fps
from vidrec.commands import make_performance_table as table
from vidrec.engine.device import set_switches

SETTINGS = "fp32,bf16_channels_last"


@pytest.fixture(autouse=True)
def switches_of_torch():
    yield
    set_switches(deterministic=False, tf32=True, autotune=False)


def run(command, config, *arguments):
    return command.main(["--config-file", str(config), *map(str, arguments)])


@pytest.mark.parametrize(("extra", "data"), [([], "random pixels in memory"), (["--real-data"], "training list")])
def test_figures_of_training_agree_with_each_other(config, tmp_path, capsys, extra, data):
    file = tmp_path / "figures.json"
    assert run(benchmark_train, config, "--settings", SETTINGS, "--rounds", 2, "--warm-up", 1, "--json", file, *extra) == 0
    figures = json.loads(file.read_text())
    assert (figures["data"], figures["clips_per_step"], figures["clip"], figures["rounds"]) == (data, 4, [3, 4, 32, 32], 2)
    assert [each["name"] for each in figures["settings"]] == SETTINGS.split(",")
    assert [(each["precision"], each["memory_format"]) for each in figures["settings"]] == [
        ("fp32", "contiguous"),
        ("bf16", "channels_last_3d"),
    ]
    for each in figures["settings"]:
        times = each["ms"]
        assert all(times[part] > 0 for part in ("step", "copy", "forward", "backward", "optimizer"))
        assert each["clips_per_s"] == pytest.approx(4000 / times["step"], rel=0.01)
        used = figures["flops_per_clip"] * 4000 / times["cpu"] / (1e9 * each["product_gflops_per_s"])
        assert each["utilization"] == pytest.approx(used, rel=0.02, abs=1e-4)
    printed = capsys.readouterr().out
    assert "setting" in printed and "bf16_channels_last" in printed and figures["device"] in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--settings", "fp8"], "--settings names 'fp8'; it must be one or more of config, fp32"),
        (["--rounds", "0"], "--rounds is 0"),
        (["--real-data", "--rounds", "50"], "The training list ends before all steps are measured"),
    ],
)
def test_what_cannot_be_measured_is_said(config, capsys, arguments, words):
    with pytest.raises(SystemExit):
        run(benchmark_train, config, *arguments)
    assert words in capsys.readouterr().err


def test_figures_of_inference_agree_with_each_other(config, tmp_path, capsys):
    file = tmp_path / "fps.json"
    assert run(get_fps, config, "--rounds", 2, "--warm-up", 0, "--json", file, "CONFIG.VAL.PRECISION", "bf16") == 0
    figures = json.loads(file.read_text())
    assert (figures["precision"], figures["view"], figures["views_per_pass"], figures["views_per_video"]) == ("bf16", [3, 4, 32, 32], 4, 9)
    assert figures["videos_per_s"] == pytest.approx(figures["clips_per_s"] / 9, rel=0.01)
    assert 0 < figures["latency_ms"]["median"] <= figures["latency_ms"]["worst"]
    assert "latency" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run(get_fps, config, "--rounds", 0)


def has_16_bit_products():
    info = Path("/proc/cpuinfo")
    return info.exists() and bool({"avx512_bf16", "amx_bf16"} & set(info.read_text().split()))


@pytest.mark.slow
@pytest.mark.skipif(not has_16_bit_products(), reason="this CPU has neither AVX512-BF16 nor AMX")
def test_bf16_with_channels_last_3d_trains_slowfast_at_least_twice_as_fast_as_fp32_on_a_cpu(tmp_path):
    file = tmp_path / "figures.json"
    config, overrides = ROOT / table.NETWORKS["SlowFast 4x16"], ["CONFIG.TRAIN.BATCH_SIZE", 1]
    run(benchmark_train, config, "--settings", SETTINGS, "--rounds", 3, "--warm-up", 1, "--json", file, *overrides)
    fp32, bf16 = (each["ms"]["cpu"] for each in json.loads(file.read_text())["settings"])
    assert fp32 / bf16 >= 2.0


def figures_of(config, device_type="cpu"):
    def setting(name, step, mib):
        return {"name": name, "ms": {"step": step, "cpu": step / 2}, "clips_per_s": 1000 / step, "memory_mib": mib, "utilization": 0.5}

    return {
        "config": config,
        "device_type": device_type,
        "device": "a device",
        "threads": 2,
        "torch": "2.14",
        "date": "2026-11-24",
        "clip": [3, 32, 224, 224],
        "clips_per_step": 1,
        "settings": [setting("fp32", 2000, 300), setting("bf16_channels_last", 500, 200)],
    }


def test_table_has_a_row_for_every_network_and_says_what_was_not_measured():
    lines = table.training_table([figures_of(table.NETWORKS["SlowFast 4x16"])]).splitlines()
    assert len(lines) == 2 + 2 * 5
    assert "| a CUDA device | I3D-R50 |  | not measured | not measured | not measured |  |" in lines
    clip, cells = "1 of 32 x 224 x 224", "1, 50%, 300 MiB | 4 (4.0x), 50%, 200 MiB | not measured"
    assert f"| a device, 2 threads, torch 2.14 | SlowFast 4x16 | {clip} | {cells} | 2026-11-24 |" in lines


def test_table_of_the_documentation_is_that_of_the_committed_figures(capsys):
    assert table.main(["--docs", str(ROOT / "docs"), "--check"]) == 0


def test_table_out_of_step_is_said_and_written_anew(tmp_path, capsys):
    docs = tmp_path / "docs"
    (docs / "benchmarks").mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "performance.md", docs)
    (docs / "benchmarks" / "train_one.json").write_text(json.dumps(figures_of(table.NETWORKS["TSN-R50"], "cuda")))
    with pytest.raises(SystemExit):
        table.main(["--docs", str(docs), "--check"])
    assert "is not that of" in capsys.readouterr().err
    assert table.main(["--docs", str(docs)]) == 0
    assert table.main(["--docs", str(docs), "--check"]) == 0
    assert "| a device, torch 2.14 | TSN-R50 |" in (docs / "performance.md").read_text()
    (docs / "performance.md").write_text("nothing")
    with pytest.raises(SystemExit):
        table.main(["--docs", str(docs)])
    assert "has no place for the table" in capsys.readouterr().err
