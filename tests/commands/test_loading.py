"""vidrec.load: what a source may be, and what is said of one that is nothing."""

import shutil

import numpy as np
import pytest
import torch
from tool_runs import ROOT, make_run, write_config

import vidrec
from vidrec.commands import loading
from vidrec.commands import test as test_command
from vidrec.commands.zoo_config import zoo_config
from vidrec.config.load import read_config_text
from vidrec.config.protocols import resolve_protocol
from vidrec.config.zoo import find_row
from vidrec.model_zoo import specs
from vidrec.model_zoo.labels import label_file
from vidrec.model_zoo.weights import FILES, published
from vidrec.utils.errors import UserError


@pytest.fixture(scope="module")
def made(demo_data, tmp_path_factory):
    """(config file, folder of its run)"""
    place = tmp_path_factory.mktemp("made")
    config = write_config(place / "tiny.yaml", demo_data, place / "runs")
    return config, make_run(config)


def videos_of(demo_data):
    return [str(demo_data / line.split()[0]) for line in (demo_data / "val.txt").read_text().splitlines()]


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["CONFIG.TEST.PROTOCOL", "reference_mxnet", "CONFIG.VAL.BATCH_SIZE", "5"],
        ["CONFIG.TEST.PROTOCOL", "pyslowfast", "CONFIG.TRAIN.LOSS", "bce"],
    ],
)
def test_prediction_has_the_scores_that_a_test_writes(made, demo_data, overrides, capsys):
    config, run = made
    assert test_command.main(["--config-file", str(config), *overrides]) == 0
    tested = np.load(run / "eval" / "scores.npz")["scores"]
    model = vidrec.load(run, overrides=overrides)
    predictions = list(model.predict_many(videos_of(demo_data)))
    assert [p.path for p in predictions] == videos_of(demo_data) and [p.index for p in predictions] == list(range(10))
    assert np.array_equal(np.stack([p.score for p in predictions]), tested)
    assert np.array_equal(model.predict(videos_of(demo_data)[3]).score, tested[3])
    sums = [float(p.probabilities.sum()) for p in predictions]
    if "bce" in overrides:
        assert [p.probabilities.max() <= 1 for p in predictions] == [True] * 10 and max(sums) > 1.5
    else:
        assert sums == pytest.approx([1] * 10, abs=1e-5)


def test_run_checkpoint_and_config_mean_the_same_network(made, demo_data):
    config, run = made
    video = videos_of(demo_data)[0]
    scores = [vidrec.load(source).predict(video).score for source in (run, run / "checkpoints" / "best.pth", config)]
    assert np.array_equal(scores[0], scores[1]) and np.array_equal(scores[0], scores[2])


def test_predictor_knows_its_classes_views_and_weights(made, demo_data):
    model = vidrec.load(made[1])
    assert model.class_names == (demo_data / "classes.txt").read_text().split("\n")[:8]
    assert (model.clip_len, model.crop_size, model.num_views, model.device.type) == (4, 32, 9, "cpu")
    assert repr(model) == f"Predictor({made[1]}: 8 classes; 9 views (3 x 3) of 4 frames, 32 x 32; cpu)"
    assert model.weights.endswith("best.pth") and not model.model.training
    prediction = model.predict(videos_of(demo_data)[0], top_k=3)
    assert prediction.view_logits.shape == (9, 8) and prediction.logits == pytest.approx(prediction.view_logits.mean(0), abs=1e-5)
    assert [top.probability for top in prediction.top] == sorted(prediction.probabilities.tolist(), reverse=True)[:3]
    assert prediction.top[0].name == model.class_names[prediction.top[0].label]
    assert repr(prediction).startswith(f"Prediction({videos_of(demo_data)[0]}: {prediction.top[0].name} ")


def test_unreadable_video_is_a_failure_among_many_and_an_error_alone(made, demo_data, tmp_path):
    (tmp_path / "bad.mp4").write_text("<html>404</html>")
    model, good = vidrec.load(made[1]), videos_of(demo_data)[0]
    first, second, third = model.predict_many([good, tmp_path / "bad.mp4", good])
    assert second.path == str(tmp_path / "bad.mp4") and "cannot be read" in second.reason
    assert np.array_equal(first.score, third.score)
    with pytest.raises(UserError, match="cannot be read"):
        model.predict(tmp_path / "bad.mp4")
    with pytest.raises(UserError, match="top_k is 0; it must be a whole number of at least 1"):
        model.predict(good, top_k=0)


def test_classes_without_names_are_numbers(made):
    assert vidrec.load(made[1], overrides=["CONFIG.DATA.CLASS_NAMES", ""]).class_names == [str(label) for label in range(8)]


def test_without_best_the_newest_epoch_is_taken(made, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(made[1], run)
    (run / "checkpoints" / "best.pth.json").unlink()
    best = (run / "checkpoints" / "best.pth").rename(run / "checkpoints" / "epoch_0002.pth")
    (run / "checkpoints" / "epoch_0001.pth").write_bytes(b"")
    assert vidrec.load(run).weights == str(best)


def test_config_of_features_predicts_too(made, demo_data):
    model = vidrec.load(made[1], overrides=["CONFIG.INFERENCE.FEAT", "True"])
    assert model.predict(videos_of(demo_data)[0]).score.shape == (8,)


def refusal(source, **arguments):
    with pytest.raises(UserError) as caught:
        vidrec.load(source, **arguments)
    return str(caught.value)


def test_source_that_is_nothing_gets_the_closest_names(made, monkeypatch):
    what = "is neither a run's folder, a checkpoint, a YAML config nor a name of the model zoo; one of these is wanted."
    assert refusal("i3d_resnet5_v1_kinetics400") == (
        f"'i3d_resnet5_v1_kinetics400' {what} Did you mean 'i3d_resnet50_v1_kinetics400' or 'i3d_resnet101_v1_kinetics400'"
        " or 'i3d_nl5_resnet50_v1_kinetics400'?"
    )
    assert refusal(made[1].parent / "rum").endswith(f"{what} Did you mean '{made[1]}'?")
    monkeypatch.chdir(made[1].parent.parent)
    assert refusal("run").endswith("Did you mean 'runs/run'?")
    assert refusal("mxnet/tpn_resnet50_f8s8_kinetics400").endswith("the torch section has it. Ask for that.")


def test_folder_without_config_or_checkpoint_is_refused(made, tmp_path):
    assert "is a folder without config.yaml" in refusal(tmp_path)
    assert "Below it are the runs run: give one of those." in refusal(made[1].parent)
    shutil.copy(made[1] / "config.yaml", tmp_path / "config.yaml")
    assert f"has no checkpoint in {tmp_path / 'checkpoints'}; best.pth or epoch_*.pth is wanted there" in refusal(tmp_path)


def test_checkpoint_without_config_is_refused_and_its_weights_fit_a_config(made, demo_data, tmp_path):
    state = torch.load(made[1] / "checkpoints" / "best.pth", weights_only=True)["model"]
    torch.save(state, tmp_path / "bare.pth")
    error = refusal(tmp_path / "bare.pth")
    assert "is a weights file: it holds no config" in error and "CONFIG.MODEL.PRETRAINED_PATH" in error
    video = videos_of(demo_data)[0]
    expected = vidrec.load(made[1]).predict(video).score
    assert np.array_equal(vidrec.load(made[0], weights=tmp_path / "bare.pth").predict(video).score, expected)
    (tmp_path / "video.mp4").write_bytes(b"\0" * 100)
    assert "is no checkpoint: it holds no config" in refusal(tmp_path / "video.mp4")


def test_class_map_of_another_length_is_refused_with_both_numbers(made, tmp_path):
    (tmp_path / "classes.txt").write_text("a\nb\n")
    error = refusal(made[1], overrides=["CONFIG.DATA.CLASS_NAMES", str(tmp_path / "classes.txt")])
    assert "has 2 class names, but CONFIG.DATA.NUM_CLASSES is 8" in error


def test_unknown_device_is_refused(made):
    assert "this machine has cpu" in refusal(made[1], device="quantum")


def test_names_without_published_classifier_are_refused():
    assert "have no classifier for the classes of this config, and no checkpoint is given" in refusal("i3d_resnet50_v1_custom")
    assert "slowfast_16x8_resnet101_kinetics400 has no published weights" in refusal("slowfast_16x8_resnet101_kinetics400")


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.section}-{file.stem}")
def test_zoo_name_means_what_its_config_file_says(file):
    row = specs.row(file.name, file.section)
    first = published(file.name, file.section)[0]
    hashtag = "" if file is first else file.hashtag
    folder = ROOT / "configs" / row.data_set / ("mxnet" if file.section == "mxnet" else "")
    shipped = vidrec.load_config(folder / f"{file.name}{f'-{hashtag}' if hashtag else ''}.yaml").CONFIG
    cfg, mistakes = read_config_text(zoo_config(row, hashtag), source="zoo")
    made = cfg.CONFIG
    assert mistakes == []
    assert resolve_protocol(made) == resolve_protocol(shipped)
    for key in ("CLIP_LEN", "FRAME_RATE", "NUM_SEGMENT", "CROP_SIZE", "SHORT_SIDE_SIZE", "NUM_CLASSES", "CLASS_NAMES"):
        assert made.DATA[key] == shipped.DATA[key]
    assert [made.MODEL[part] for part in ("BACKBONE", "NECK", "HEAD")] == [shipped.MODEL[part] for part in ("BACKBONE", "NECK", "HEAD")]
    assert made.VAL.BATCH_SIZE == shipped.VAL.BATCH_SIZE
    chosen = hashtag or True
    assert chosen == made.MODEL.PRETRAINED


def test_sections_and_hashtags_choose_the_row():
    chosen = [loading.find_source(name) for name in ("i3d_resnet50_v1_kinetics400", "mxnet/i3d_resnet50_v1_kinetics400")]
    assert [found.cfg.CONFIG.TEST.PROTOCOL for found in chosen] == ["reference", "reference_mxnet"]
    tagged = loading.find_source("resnet50_v1b_hmdb51-ba66ee4b")
    assert tagged.cfg.CONFIG.MODEL.PRETRAINED == "ba66ee4b" and tagged.name == "resnet50_v1b_hmdb51-ba66ee4b"
    assert find_row(tagged.cfg.CONFIG.MODEL.NAME).num_classes == len(label_file("hmdb51").read_text().splitlines())
