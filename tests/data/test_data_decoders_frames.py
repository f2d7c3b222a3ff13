"""Folders of numbered images as videos."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from video_files import frame_numbers

from vidrec.data.decoders import ReadOptions, open_video
from vidrec.data.decoders.frames_reader import FramesReader
from vidrec.utils.errors import VideoError


def write_frames(folder: Path, numbers, template: str = "img_%05d.jpg", *, first: int = 1, size: tuple[int, int] = (64, 48)) -> Path:
    """Image `number` is gray of the value that tells frame `number - first`."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        Image.new("RGB", size, (10 + 8 * (number - first),) * 3).save(folder / (template % number), quality=95)
    return folder


@pytest.mark.parametrize("decoder", ["auto", "frames"])
def test_a_folder_is_read_by_number_in_any_order(tmp_path, decoder):
    folder = write_frames(tmp_path / "clip", range(1, 13))
    (folder / "thumbs.db").write_text("no frame")
    (folder / "img_1.jpg").write_text("of another template")
    with open_video(folder, decoder) as reader:
        assert (type(reader), len(reader), reader.fps) == (FramesReader, 12, 0.0)
        frames = reader.get_frames([7, 0, 11, 11, 3])
    assert tuple(frames.shape) == (5, 48, 64, 3)
    assert frame_numbers(frames) == [7, 0, 11, 11, 3]


@pytest.mark.parametrize(
    ("template", "offset", "numbers"),
    [("frame%d.png", 0, range(0, 11)), ("%06d.jpg", 10, range(8, 21)), ("img_%05d.jpg", 99_995, range(99_995, 100_006))],
)
def test_template_and_offset_name_the_frames(tmp_path, template, offset, numbers):
    folder = write_frames(tmp_path / "clip", numbers, template, first=offset)
    with open_video(folder, reading=ReadOptions(frame_template=template, frame_offset=offset)) as reader:
        assert len(reader) == 11
        assert frame_numbers(reader.get_frames([0, 10])) == [0, 10]


def test_colors_are_red_green_blue_and_turned_upright(tmp_path):
    image = Image.new("RGB", (40, 20), (200, 100, 0))
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    image.save(tmp_path / "img_00001.jpg", exif=exif, quality=100, subsampling=0)
    frame = open_video(tmp_path).get_frames([0])[0].numpy()
    assert frame.shape == (40, 20, 3)
    assert np.abs(frame.reshape(-1, 3).mean(0) - [200, 100, 0]).max() < 3


def test_frames_come_at_the_size_asked_for(tmp_path):
    with open_video(write_frames(tmp_path / "clip", range(1, 4)), size=lambda height, width: (height // 2, width // 2)) as reader:
        frames = reader.get_frames([2, 0])
    assert (tuple(frames.shape), frame_numbers(frames)) == ((2, 24, 32, 3), [2, 0])


def test_a_folder_without_the_first_frame_is_refused(tmp_path):
    folder = write_frames(tmp_path / "clip", range(2, 5))
    message = r"clip cannot be read: it has no img_00001.jpg, and 3 frames of higher numbers; .* Set it and CONFIG.DATA.FRAME_TEMPLATE"
    with pytest.raises(VideoError, match=message):
        open_video(folder)
    with pytest.raises(VideoError, match=r"it has no img_00000.jpg"):
        open_video(folder, reading=ReadOptions(frame_offset=0))


def test_a_missing_frame_is_named(tmp_path):
    folder = write_frames(tmp_path / "clip", [1, 2, 4, 5])
    with pytest.raises(VideoError, match=r"img_00003.jpg is missing before img_00005.jpg; .* without a gap. Extract them again"):
        open_video(folder)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>not found</html>", "cannot identify image file"),
        (b"", "cannot identify image file"),
        ("cut", "image file is truncated|broken data stream|Truncated"),
        ("deep", "its pixels are I;16; 8 bit gray or color is wanted"),
        ("small", "its frames have several sizes, 64x48 and 32x48"),
    ],
)
def test_a_frame_that_is_no_image_is_named_with_the_reason(tmp_path, content, reason):
    folder = write_frames(tmp_path / "clip", range(1, 4), "%d.png")
    path = folder / "2.png"
    if content == "cut":
        Image.effect_noise((64, 48), 50).convert("RGB").save(path)
        content = path.read_bytes()[:900]
    if content == "deep":
        Image.fromarray(np.full((48, 64), 40_000, np.uint16)).save(path)
    elif content == "small":
        Image.new("RGB", (32, 48)).save(path)
    else:
        path.write_bytes(content)
    with open_video(folder, reading=ReadOptions(frame_template="%d.png")) as reader:
        assert len(reader) == 3
        with pytest.raises(VideoError, match=f"cannot be read: ({reason})") as caught:
            reader.get_frames([0, 1, 2])
    assert str(folder) in str(caught.value)


def test_the_decoder_of_folders_refuses_a_file(make_video):
    with pytest.raises(VideoError, match=r"video.mp4 cannot be read: it is a file; the decoder 'frames' wants a folder of numbered images"):
        open_video(make_video(), "frames")


def test_a_template_without_a_number_is_refused():
    with pytest.raises(ValueError, match=r"frame_template is 'a.jpg'; it must be a file name with one place for a number"):
        ReadOptions(frame_template="a.jpg")
