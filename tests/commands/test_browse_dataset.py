"""The contact sheet: what is drawn, and what it says to bad input."""

import re

import numpy as np
import pytest
from PIL import Image

from vidrec.commands import browse_dataset
from vidrec.engine.contact_sheet import GAP, LINE, Row, draw_sheet


def run(config, tmp_path, *arguments):
    out = tmp_path / "sheet.png"
    assert browse_dataset.main(["--config-file", str(config), "--out", str(out), *arguments]) == 0
    return np.asarray(Image.open(out))


def test_every_clip_is_a_row_of_frames_under_its_text(config, tmp_path, capsys):
    sheet = run(config, tmp_path, "--num", "5")
    assert capsys.readouterr().out == f"5 train clips written to {tmp_path / 'sheet.png'}\n"
    assert sheet.shape == (5 * (2 * LINE + 32 + 2 * GAP), 900, 3)
    frames = sheet[2 * LINE : 2 * LINE + 32, : 4 * (32 + GAP)].reshape(32, 4, 32 + GAP, 3)
    assert frames[:, :, :32].std() > 10 and (frames[:, :, 32:] == 24).all()


def test_the_clips_are_those_of_training(config, tmp_path):
    from vidrec.commands.runs import load_run_config, open_split

    sheet = run(config, tmp_path, "--num", "1", "--epoch", "2")
    train = open_split(load_run_config(str(config), []), "train")
    train.sampler.set_epoch(2)
    clip = next(iter(train.loader)).clips[0].numpy()
    frames = sheet[2 * LINE : 2 * LINE + 32, : 4 * (32 + GAP)].reshape(32, 4, 32 + GAP, 3)[:, :, :32].transpose(1, 0, 2, 3)
    assert np.array_equal(frames, clip)


@pytest.mark.parametrize("device", ["cpu", "device"])
def test_augmentation_stands_over_the_clips(config, tmp_path, device):
    keys = {"RAND_AUGMENT.PROB": "1", "ERASING.PROB": "1", "MIX.MIXUP_ALPHA": "1", "COLOR_JITTER.PROB": "1", "AUGMIX.PROB": "1"}
    settings = [text for key, value in keys.items() for text in (f"CONFIG.DATA.AUG.{key}", value)]
    args = (str(config), [*settings, "CONFIG.DATA.AUG_DEVICE", device])
    from vidrec.commands.runs import load_run_config
    from vidrec.data.build import build_dataset, class_names

    cfg = load_run_config(*args)
    rows = list(browse_dataset.train_rows(cfg, build_dataset(cfg, "train"), class_names(cfg), num=3, epoch=0))
    assert len(rows) == 3 and rows[0].lines[0].startswith("epoch 0 position 0  ")
    assert rows[0].lines[1].startswith("label 0.") and " + 0." in rows[0].lines[1] and " (" in rows[0].lines[1]
    assert all(word in rows[0].lines[2] for word in ("brightness", "mixed with", "erased y", "mixup 0."))
    run(config, tmp_path, "--num", "3", *settings)


def test_cutmix_names_the_box_as_erasing_does(config):
    settings = ["CONFIG.DATA.AUG.MIX.CUTMIX_ALPHA", "1", "CONFIG.DATA.AUG.ERASING.PROB", "1"]
    from vidrec.commands.runs import load_run_config
    from vidrec.data.build import build_dataset

    cfg = load_run_config(str(config), settings)
    rows = list(browse_dataset.train_rows(cfg, build_dataset(cfg, "train"), None, num=2, epoch=0))
    assert all(re.fullmatch(r"erased y \d+:\d+ x \d+:\d+  \|  cutmix y \d+:\d+ x \d+:\d+", row.lines[2]) for row in rows)


def test_multigrid_shows_a_share_of_each_shape(config):
    from vidrec.commands.runs import load_run_config
    from vidrec.data.build import build_dataset

    sizes = ["CONFIG.DATA.CROP_SIZE", "64", "CONFIG.DATA.SHORT_SIDE_SIZE", "64", "CONFIG.TRAIN.BATCH_SIZE", "2"]
    cfg = load_run_config(str(config), ["CONFIG.TRAIN.MULTIGRID.USE_SHORT_CYCLE", "True", *sizes])
    rows = list(browse_dataset.train_rows(cfg, build_dataset(cfg, "train"), None, num=5, epoch=0))
    assert [row.clip.shape[1] for row in rows] == [32, 32, 48, 48, 64]


def test_validation_clips_and_unreadable_ones(config, demo_data, tmp_path):
    (tmp_path / "broken.mp4").write_text("nothing")
    listed = tmp_path / "val.txt"
    listed.write_text(f"{demo_data}/{(demo_data / 'val.txt').read_text().splitlines()[0]}\nbroken.mp4 2\n")
    sheet = run(config, tmp_path, "--split", "val", "CONFIG.DATA.VAL_ANNO_PATH", str(listed))
    assert sheet.shape[0] >= (2 * LINE + 32 + 2 * GAP) + (3 * LINE + 2 * GAP)


def test_frames_are_spread_over_the_clip_and_long_lines_wrapped():
    import torch

    clip = torch.arange(9, dtype=torch.uint8).mul(20)[:, None, None, None].expand(9, 10, 10, 3).contiguous()
    sheet = np.asarray(draw_sheet([Row(["word " * 40, "short"], clip)], frames=3))
    assert sheet[3 * LINE, [0, 13, 26], 0].tolist() == [0, 80, 160]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--num", "0"], "--num is 0; it must be at least 1. Give a larger number."),
        (["--frames", "0"], "--frames is 0; it must be at least 1."),
        (["--epoch", "-1"], "--epoch is -1; it must be at least 0."),
        (["--out", "sheet.jpg"], "--out is sheet.jpg; the sheet is a PNG file: give it a name that ends in .png."),
        (["--out", "/nowhere/sheet.png"], "/nowhere/sheet.png cannot be written (No such file or directory); give --out a file"),
    ],
)
def test_bad_arguments_are_one_message(config, capsys, arguments, words):
    with pytest.raises(SystemExit) as stop:
        browse_dataset.main(["--config-file", str(config), *arguments])
    error = capsys.readouterr().err
    assert stop.value.code == 1 and words in error and "Traceback" not in error
