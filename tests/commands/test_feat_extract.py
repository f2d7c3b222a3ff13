"""tools/feat_extract_pytorch.py as a user runs it: the same features in every form, however it was started and stopped."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from tool_runs import ROOT, make_run, run_tool, write_config

from vidrec.commands.feat_extract import UNREADABLE, main
from vidrec.inference.feature_reading import read_features

ALL = ("--views", "all", "--each-view")


@pytest.fixture(scope="module")
def made(demo_data, tmp_path_factory):
    """(config file, folder of its run)"""
    place = tmp_path_factory.mktemp("made")
    config = write_config(place / "tiny.yaml", demo_data, place / "runs")
    return config, make_run(config)


@pytest.fixture(scope="module")
def extracted(made, tmp_path_factory):
    """Features of all views of the validation list, by form."""
    folder = tmp_path_factory.mktemp("extracted")
    for form in ("npy", "npz", "parquet"):
        assert extract(made[0], folder / form, *ALL, "--format", form) == 0
    return {form: folder / form for form in ("npy", "npz", "parquet")}


def extract(config, output, *options):
    """The exit code of the command, in this process."""
    try:
        return main(["--config-file", str(config), "--output", str(output), *map(str, options)])
    except SystemExit as stop:
        return stop.code


def content(folder):
    """Relative path -> bytes of every file."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_features_are_what_the_network_pools_of_each_view(made, extracted):
    from vidrec import build_model, load_config
    from vidrec.data.build import build_dataset
    from vidrec.data.transforms import cut_views, normalize_clips
    from vidrec.models.weights.load import load_weights

    config, run = made
    cfg = load_config(config, ["CONFIG.INFERENCE.FEAT", "True"])
    model, dataset = build_model(cfg).eval(), build_dataset(cfg, "test")
    load_weights(model, run / "checkpoints" / "best.pth")
    found = read_features(extracted["npy"])
    assert (found.values.shape, len(found.class_names)) == ((10, 9, 8), 8)
    assert found.paths == [dataset.table.path(row) for row in range(10)]
    assert found.labels == [(label,) for label in dataset.table.labels.tolist()]
    for row in (0, 7):
        video = dataset[row]
        with torch.inference_mode():
            expected = model(normalize_clips(cut_views(video.frames, video.views, 0, 9), cfg.CONFIG.DATA.MEAN, cfg.CONFIG.DATA.STD))
        np.testing.assert_allclose(found.values[row], expected.numpy(), rtol=1e-5, atol=1e-6)


def test_every_form_holds_the_same(extracted):
    npy, npz, parquet = (read_features(extracted[form]) for form in ("npy", "npz", "parquet"))
    for other in (npz, parquet):
        np.testing.assert_array_equal(npy.values, other.values)
        assert (npy.labels, npy.paths, npy.class_names) == (other.labels, other.paths, other.class_names)
    assert sorted(path.name for path in extracted["npz"].iterdir()) == ["features.json", "features.npz"]
    with np.load(extracted["npz"] / "features.npz") as arrays:
        np.testing.assert_allclose(arrays["start"][0], np.repeat([0, 2 / 30, 4 / 30], 3))  # of 12 frames at 30 a second
        np.testing.assert_allclose(arrays["end"][0] - arrays["start"][0], 7 / 30)
    about = json.loads((extracted["npy"] / "features.json").read_text())
    assert (about["complete"], about["videos"], about["extracted"], about["failed"]) == (True, 10, 10, [])
    assert (about["settings"]["layer"], about["settings"]["shape"], len(about["settings"]["weights_sha256"])) == ("head.pool", [8], 64)


def test_files_lie_as_the_videos_do_and_the_index_names_them(extracted, demo_data):
    with (extracted["npy"] / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    listed = [line.split() for line in (demo_data / "val.txt").read_text().splitlines()]
    assert [row["path"] for row in rows] == [str(demo_data / words[0]) for words in listed]
    assert [row["label"] for row in rows] == [words[-1] for words in listed]
    assert [row["file"] for row in rows] == [words[0].replace(".mp4", ".npy") for words in listed]
    assert np.load(extracted["npy"] / rows[0]["file"]).shape == (9, 8)


@pytest.mark.parametrize("form", ["npy", "npz"])
def test_a_second_start_makes_what_is_missing_and_ends_with_the_same_files(made, extracted, tmp_path, capsys, form):
    """What a kill leaves: whole files of some videos, a temporary one, and no index or table."""
    before = content(extracted[form])
    arguments = (*ALL, "--format", form)
    assert extract(made[0], extracted[form], *arguments) == 0
    assert "is complete: the features of all 10 videos are there" in capsys.readouterr().err
    assert extract(made[0], tmp_path / "out", *arguments) == 0
    started = json.loads((tmp_path / "out/features.json").read_text())
    (tmp_path / "out/features.json").write_text(json.dumps({"complete": False, "settings": started["settings"]}))
    (tmp_path / "out" / ("index.csv" if form == "npy" else "features.npz")).unlink()
    if form == "npy":
        files = sorted((tmp_path / "out").rglob("*.npy"))
        files[3].rename(files[3].with_name(f"{files[3].name}.tmp.4194304"))
        assert extract(made[0], tmp_path / "out", *arguments) == 0
        assert "1 of 10 videos are left" in capsys.readouterr().err
    assert extract(made[0], tmp_path / "out", *arguments) == 0
    assert content(tmp_path / "out") == before


def test_one_center_clip_of_another_layer_and_list(made, demo_data, tmp_path):
    arguments = ("--layer", "backbone.stages.0", "--split", "train", "CONFIG.INFERENCE.FEAT", "True")
    assert extract(made[0], tmp_path / "maps", "--pool", "none", *arguments) == 0
    assert extract(made[0], tmp_path / "means", *arguments) == 0
    maps, means = read_features(tmp_path / "maps"), read_features(tmp_path / "means")
    assert (maps.values.shape, means.values.shape) == ((24, 4, 4, 16, 16), (24, 4))
    np.testing.assert_allclose(maps.values.mean(axis=(2, 3, 4)), means.values, rtol=1e-5, atol=1e-6)
    assert maps.settings["protocol"]["num_views"] == 1
    (tmp_path / "some.txt").write_text(f"{demo_data}/{(demo_data / 'val.txt').read_text().splitlines()[1]}\n")
    assert extract(made[0], tmp_path / "some", "--list", tmp_path / "some.txt", "--flat-names") == 0
    assert [path.name[-9:] for path in (tmp_path / "some").glob("*.npy")] == ["_feat.npy"]


def test_paths_alone_and_folders_have_no_labels(made, extracted, demo_data, tmp_path):
    expected = read_features(extracted["npy"])
    (tmp_path / "paths.txt").write_text("".join(f"{path}\n" for path in expected.paths[:2]))
    assert extract(made[0], tmp_path / "paths", *ALL, "--list", tmp_path / "paths.txt") == 0
    found = read_features(tmp_path / "paths")
    np.testing.assert_array_equal(found.values, expected.values[:2])
    assert found.labels == [(), ()]
    assert json.loads((tmp_path / "paths/features.json").read_text())["settings"]["annotation_sha256"] != ""
    assert extract(made[0], tmp_path / "folder", *ALL, "--list", demo_data / "val") == 0
    assert sorted(read_features(tmp_path / "folder").paths) == sorted(expected.paths)


def test_in_python_a_predictor_reads_what_an_extractor_takes(made, extracted):
    import vidrec
    from vidrec.inference.features import FeatureExtractor

    predictor, expected = vidrec.load(made[1]), read_features(extracted["npy"])
    extractor = FeatureExtractor.of(predictor, each_view=True)
    np.testing.assert_array_equal(extractor(predictor.read(expected.paths[4])), expected.values[4])
    assert FeatureExtractor.of(predictor, "backbone.stages.0", pool="none").shape == (4, 4, 16, 16)


def test_unreadable_videos_are_listed_and_the_rest_is_done(made, demo_data, tmp_path, capsys):
    paths = [demo_data / line.split()[0] for line in (demo_data / "val.txt").read_text().splitlines()[:3]]
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    (tmp_path / "list.txt").write_text("".join(f"{path} 0\n" for path in (tmp_path / "bad.mp4", *paths)))
    arguments = ("--list", tmp_path / "list.txt", "--format", "npz")
    assert extract(made[0], tmp_path / "out", *arguments) == UNREADABLE
    assert f"cannot be read, left out: {tmp_path}/bad.mp4" in capsys.readouterr().err
    assert len(read_features(tmp_path / "out").paths) == 3
    assert [each["path"] for each in json.loads((tmp_path / "out/features.json").read_text())["failed"]] == [f"{tmp_path}/bad.mp4"]
    shutil.copy(paths[0], tmp_path / "bad.mp4")
    assert extract(made[0], tmp_path / "out", *arguments) == 0
    assert "1 of 4 videos are left" in capsys.readouterr().err
    found = read_features(tmp_path / "out")
    np.testing.assert_array_equal(found.values[0], found.values[1])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["features.json", "features.npz"]


@pytest.mark.parametrize("form", ["npy", "npz"])
def test_a_video_that_is_replaced_before_all_are_done_is_extracted_again(made, demo_data, tmp_path, capsys, form):
    first, second = (demo_data / line.split()[0] for line in (demo_data / "val.txt").read_text().splitlines()[:2])
    shutil.copy(first, tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_bytes(b"no video")
    (tmp_path / "list.txt").write_text("a.mp4 0\nb.mp4 0\n")
    arguments = ("--list", tmp_path / "list.txt", "--format", form, "CONFIG.DATA.VAL_DATA_PATH", tmp_path)
    assert extract(made[0], tmp_path / "out", *arguments) == UNREADABLE
    shutil.copy(second, tmp_path / "a.mp4")
    shutil.copy(second, tmp_path / "b.mp4")
    capsys.readouterr()
    assert extract(made[0], tmp_path / "out", *arguments) == 0
    said = f"1 of the videos that were done have another size or time of change than then, and are done again; the first: {tmp_path}/a.mp4"
    assert said in capsys.readouterr().err
    assert extract(made[0], tmp_path / "undisturbed", *arguments) == 0
    assert content(tmp_path / "out") == content(tmp_path / "undisturbed")


def test_a_new_extraction_of_a_list_with_repeats_does_not_say_that_it_goes_on(made, demo_data, tmp_path, capsys):
    path = (demo_data / "val.txt").read_text().split()[0]
    (tmp_path / "list.txt").write_text(f"{demo_data}/{path} 0\n" * 2)
    assert extract(made[0], tmp_path / "out", "--list", tmp_path / "list.txt") == 0
    said = capsys.readouterr().err
    assert "2 of 2 videos, features of" in said and "going on" not in said


def test_weights_drawn_from_the_seed_and_a_run_named_by_the_config(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--config-file", str(made[0]), "--untrained", "CONFIG.LOG.BASE_PATH", "runs", "CONFIG.LOG.EXP_NAME", "use_time"]
    assert main(arguments) == 0
    first = content(tmp_path / "runs/tiny/features/val")
    assert json.loads(first["features.json"])["weights"] == "untrained, seed 3"
    assert extract(made[0], tmp_path / "again", *arguments[2:]) == 0
    assert content(tmp_path / "again") == first


def test_a_run_and_its_checkpoint_are_sources_too(made, extracted, tmp_path):
    run = made[1]
    expected = read_features(extracted["npy"]).values
    assert main(["--config-file", str(run), *ALL]) == 0
    np.testing.assert_array_equal(read_features(run / "features/val").values, expected)
    arguments = ("CONFIG.VAL.BATCH_SIZE", "4", *ALL, "CONFIG.LOG.LEVEL", "INFO")  # options and keys in any order
    assert extract(run / "checkpoints/best.pth", tmp_path / "out", *arguments) == 0
    np.testing.assert_array_equal(read_features(tmp_path / "out").values, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--each-view"], "--each-view is given with --views one"),
        (["--flat-names", "--format", "npz"], "--flat-names is given with --format npz"),
        (["--layer", "backbone.stagse.0"], "the closest are backbone.stages.0"),
        (["--list", "nowhere.txt"], "nowhere.txt does not exist"),
        (["--untrained"], "weights_sha256: "),
        (["--views", "one"], "protocol.num_clips: 3 there, 1 here"),
        (["CONFIG.DATA.MEAN", "[0.5, 0.5, 0.5]"], "protocol.mean: [0.485, 0.456, 0.406] there, [0.5, 0.5, 0.5] here"),
        (["CONFIG.LOG.EXP_NAME", "other"], "There are no weights to test"),
    ],
)
def test_what_does_not_fit_is_said_and_nothing_lost(made, extracted, capsys, arguments, message):
    before = content(extracted["npy"])
    options = [] if arguments[0].startswith("--") and arguments[0] != "--untrained" else list(ALL)
    assert extract(made[0], extracted["npy"], *options, *arguments) == 1
    assert message in capsys.readouterr().err
    assert content(extracted["npy"]) == before


def test_no_readable_video_is_an_error(made, tmp_path, capsys):
    (tmp_path / "list.txt").write_text(f"{tmp_path}/none.mp4 0\n")
    assert extract(made[0], tmp_path / "out", "--list", tmp_path / "list.txt") == 1
    assert "None of the 1 videos could be read" in capsys.readouterr().err


def test_layers_are_listed(made, capsys):
    assert main(["--config-file", str(made[0]), "--list-layers"]) == 0
    out = capsys.readouterr().out
    assert "of a clip of 4 frames, 32 x 32 pixels" in out
    assert [line.split()[-1] for line in out.splitlines() if line.startswith("head.pool")] == ["8"]
    assert "backbone.stages.0.0.relu" in out and "runs 2 times: cannot be taken" in out


@pytest.mark.slow
def test_two_processes_write_the_same_files(made, extracted, tmp_path):
    arguments = ("--config-file", made[0], "--output", tmp_path / "two", *ALL, "--format", "parquet", "DDP_CONFIG.NPROC_PER_NODE", 2)
    run_tool("feat_extract_pytorch.py", *arguments)
    assert content(tmp_path / "two") == content(extracted["parquet"])


@pytest.mark.slow
@pytest.mark.parametrize("form", ["npy", "npz"])
def test_a_killed_run_goes_on_and_ends_with_the_same_files(made, extracted, tmp_path, form):
    tool = [sys.executable, str(ROOT / "tools/feat_extract_pytorch.py"), "--config-file", str(made[0])]
    command = [*tool, "--output", str(tmp_path / "out"), *ALL, "--format", form]
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE) as process:
        parts = tmp_path / "out" if form == "npy" else tmp_path / "out" / "parts"
        while process.poll() is None and len(list(parts.rglob("*.np[yz]"))) < 2:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"
    assert not json.loads((tmp_path / "out/features.json").read_text())["complete"]
    done = run_tool(tool[1], *command[2:])
    assert "videos are left" in done.stderr
    assert content(tmp_path / "out") == content(extracted[form])
