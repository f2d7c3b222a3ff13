"""The demo data set: what the motions look like, and that the files on disk are what was drawn."""

import json
from collections import Counter

import av
import numpy as np
import pytest
import torch

from vidrec.commands.make_demo_data import DemoSet, draw_video, main, make_demo_data
from vidrec.data.demo_motion import CLASSES, Poses, compose, draw_poses, render_motion
from vidrec.utils.errors import DataError

SMALL = DemoSet(num_train=16, num_val=8, seed=3)


def sprite_track(frames):
    """Center (x, y) and area, in pixels, of what differs from the median frame's surroundings; the background stands still."""
    values = frames.float()
    moving = (values - values.median(dim=0).values).abs().sum(dim=-1) > 30  # [T, H, W]
    rows, columns = torch.meshgrid(torch.arange(frames.shape[1]), torch.arange(frames.shape[2]), indexing="ij")
    area = moving.sum(dim=(1, 2)).clamp(min=1)
    return (moving * columns).sum(dim=(1, 2)) / area, (moving * rows).sum(dim=(1, 2)) / area


@pytest.mark.parametrize("label", [0, 2, 4, 6])
def test_opposite_class_is_the_motion_played_backwards(label):
    motion = render_motion(label, np.random.default_rng(7), num_frames=9, size=48)
    opposite = render_motion(label + 1, np.random.default_rng(7), num_frames=9, size=48)
    assert motion.shape == (9, 48, 48, 3) and motion.dtype == torch.uint8
    assert torch.equal(opposite, motion.flip(0))
    assert not torch.equal(opposite, motion)


@pytest.mark.parametrize(("name", "axis", "sign"), [("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)])
def test_sprite_moves_the_way_its_class_says(name, axis, sign):
    for seed in range(5):
        frames = render_motion(CLASSES.index(name), np.random.default_rng(seed), num_frames=12, size=80)
        centers = sprite_track(frames)
        travelled = [float(center[-3:].mean() - center[:3].mean()) for center in centers]
        assert sign * travelled[axis] > 8  # pixels
        assert abs(travelled[1 - axis]) < abs(travelled[axis]) / 2


def test_poses_change_one_quantity_at_constant_speed():
    for name, field in (("left", "x"), ("up", "y"), ("clockwise", "angle")):
        poses = draw_poses(name, np.random.default_rng(1), 30)
        steps = {key: np.diff(value) for key, value in poses._asdict().items()}
        assert np.allclose(steps[field], steps[field][0], atol=1e-5) and abs(steps[field][0]) > 0.01
        assert all(np.allclose(value, 0) for key, value in steps.items() if key != field)
    growing = draw_poses("zoom_in", np.random.default_rng(1), 30).half_side
    assert growing[-1] / growing[0] > 1.79
    assert np.allclose(growing[1:] / growing[:-1], growing[1] / growing[0], atol=1e-5)


def test_compose_turns_clockwise_on_the_screen_and_scales():
    sprite = torch.zeros(4, 64, 64)
    sprite[3] = 1.0  # opaque black ...
    sprite[0, :32, :32] = 1.0  # ... with a red upper left quarter
    zeros = np.zeros(2, dtype=np.float32)
    quarter_turn = np.array([0.0, np.pi / 2], dtype=np.float32)
    frames = compose(sprite, torch.ones(3, 64, 64), Poses(x=zeros, y=zeros, angle=quarter_turn, half_side=zeros + 0.5))
    red, black, white = [255, 0, 0], [0, 0, 0], [255, 255, 255]
    assert [frames[0, y, x].tolist() for y, x in ((24, 24), (24, 40), (40, 40), (40, 24))] == [red, black, black, black]
    assert [frames[1, y, x].tolist() for y, x in ((24, 24), (24, 40), (40, 40), (40, 24))] == [black, red, black, black]
    assert frames[0, 8, 8].tolist() == white  # outside of the half-size sprite


def test_compose_moves_right_and_down_for_positive_x_and_y():
    sprite = torch.zeros(4, 64, 64)
    sprite[3] = 1.0
    pose = Poses(*(np.array([value], dtype=np.float32) for value in (0.5, -0.25, 0.0, 0.25)))
    frame = compose(sprite, torch.ones(3, 64, 64), pose)[0, :, :, 0]
    rows, columns = torch.nonzero(frame == 0, as_tuple=True)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (40, 55, 16, 31)


def test_videos_depend_on_seed_split_and_index_only():
    first = draw_video("train", 5, SMALL)
    assert torch.equal(first, draw_video("train", 5, DemoSet(num_train=999, num_val=1, seed=3)))
    for other in (draw_video("val", 5, SMALL), draw_video("train", 13, SMALL), draw_video("train", 5, DemoSet(seed=4))):
        assert not torch.equal(first, other)


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "demo data"
    make_demo_data(out, SMALL, workers=1)
    return out


def decode(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_annotation_files_list_balanced_classes_and_existing_files(demo_folder):
    assert (demo_folder / "classes.txt").read_text().split() == list(CLASSES)
    for split, count in (("train", 16), ("val", 8)):
        rows = [line.rsplit(" ", 1) for line in (demo_folder / f"{split}.txt").read_text().splitlines()]
        assert Counter(int(label) for _, label in rows) == dict.fromkeys(range(8), count // 8)
        assert all((demo_folder / path).is_file() and CLASSES[int(label)] in path for path, label in rows)
    assert (demo_folder / "train.txt").read_text().splitlines()[9] == "train/00009_right.mp4 1"


def test_file_holds_thirty_frames_of_eighty_pixels_close_to_what_was_drawn(demo_folder):
    frames = decode(demo_folder / "train" / "00009_right.mp4")
    assert frames.shape == (30, 80, 80, 3)
    drawn = draw_video("train", 9, SMALL).numpy()
    assert np.abs(frames.astype(int) - drawn).mean() < 12  # H.264 halves the color resolution
    assert np.abs(frames.astype(int) - drawn[::-1]).mean() > 1.5 * np.abs(frames.astype(int) - drawn).mean()


def test_number_of_workers_does_not_change_the_files(demo_folder, tmp_path):
    make_demo_data(tmp_path / "two", SMALL, workers=2)
    for path in sorted(demo_folder.rglob("*.*")):
        assert (tmp_path / "two" / path.relative_to(demo_folder)).read_bytes() == path.read_bytes(), path.name


def test_complete_equal_set_is_kept_and_said(demo_folder, capsys):
    before = {path: path.stat().st_mtime_ns for path in demo_folder.rglob("*.mp4")}
    assert main(["--out", str(demo_folder), "--num-train", "16", "--num-val", "8", "--seed", "3"]) == 0
    assert "holds this demo data set already (16 + 8 videos); kept." in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in demo_folder.rglob("*.mp4")} == before


def test_interrupted_set_is_made_anew(tmp_path):
    tiny = DemoSet(num_train=2, num_val=1, frames=2, size=32)
    make_demo_data(tmp_path / "set", tiny, workers=1)
    video = tmp_path / "set" / "train" / "00001_right.mp4"
    whole = video.read_bytes()
    video.unlink()
    make_demo_data(tmp_path / "set", tiny, workers=1)
    assert video.read_bytes() == whole
    manifest = tmp_path / "set" / "manifest.json"
    assert json.loads(manifest.read_text())["complete"] is True
    manifest.write_text(manifest.read_text().replace("true", "false"))
    video.write_bytes(b"half")
    make_demo_data(tmp_path / "set", tiny, workers=1)
    assert video.read_bytes() == whole


def exit_status(arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


def test_other_parameters_need_force_or_another_folder(demo_folder, tmp_path, capsys):
    tiny = ["--num-train", "2", "--num-val", "1", "--frames", "2", "--size", "32", "--workers", "1"]
    assert exit_status(["--out", str(demo_folder), *tiny]) == 1
    message = capsys.readouterr().err
    assert "'num_train': 16" in message and "'num_train': 2" in message
    assert "--force replaces it, --out names another folder." in message
    assert main(["--out", str(tmp_path), *tiny]) == 0
    assert main(["--out", str(tmp_path), *tiny, "--seed", "1", "--force"]) == 0
    assert json.loads((tmp_path / "manifest.json").read_text())["seed"] == 1


def test_folder_of_something_else_is_never_touched(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("mine")
    assert exit_status(["--out", str(tmp_path), "--force"]) == 1
    assert "exists and is no demo data set (it has no manifest.json)" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    (tmp_path / "manifest.json").write_text("[1]")
    with pytest.raises(DataError, match=r"manifest\.json is damaged .* delete"):
        make_demo_data(tmp_path, DemoSet())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-val", "0"], "--num-train is 1200 and --num-val 0; give at least 1 video each."),
        (["--seed", "-1"], "--seed is -1; it must be at least 0."),
        (["--frames", "1"], "--frames is 1; a motion needs at least 2 frames."),
        (["--size", "81"], "--size is 81; H.264 needs an even number of pixels, here at least 32."),
    ],
)
def test_senseless_parameters_are_refused(arguments, message, tmp_path, capsys):
    assert exit_status(["--out", str(tmp_path / "new"), *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_place_that_cannot_be_written_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert exit_status(["--out", str(tmp_path / "file" / "below")]) == 1
    assert "cannot be written to" in capsys.readouterr().err
