"""Every reader gives frames by number, at the size asked for, and says what is missing on this machine."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import av
import numpy as np
import pytest
from video_files import frame_numbers, need

from vidrec.data.decoders import DECODERS, decoder_version, open_video
from vidrec.data.decoders.compare import compare, sequential_frames
from vidrec.data.decoders.opencv_reader import OpenCVReader
from vidrec.data.transforms import resize_clip
from vidrec.utils.errors import UserError, VideoError

FILE_DECODERS = ["decord", "opencv", "pyav", "torchcodec"]
ANY_ORDER = [7, 0, 19, 19, 3, 0]


@pytest.mark.parametrize("decoder", FILE_DECODERS)
def test_frames_come_by_number_in_any_order_from_every_reader(make_video, decoder):
    need(decoder)
    with open_video(make_video(num_frames=20, width=256, height=192), decoder) as reader:
        assert (len(reader), reader.fps) == (20, 25.0)
        assert frame_numbers(reader.get_frames(ANY_ORDER)) == ANY_ORDER
        assert frame_numbers(reader.get_frames(range(20))) == list(range(20))
        assert tuple(reader.get_frames([4]).shape) == (1, 192, 256, 3)
        assert len(reader.get_frames([])) == 0
        with pytest.raises(IndexError, match="frame 20 of"):
            reader.get_frames([20])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("h264.mkv", {"gop": 5}),
        ("hidden.mp4", {"hidden": 4}),
        ("mpeg4.avi", {"codec": "mpeg4"}),
        ("turned.mp4", {"rotation": 90, "marked": True}),
        ("wide.webm", {"codec": "libvpx-vp9", "width": 256, "height": 192}),
        ("one.mp4", {"num_frames": 1}),
    ],
)
@pytest.mark.parametrize("decoder", ["auto", "opencv", "torchcodec"])
def test_readers_equal_a_sequential_decode(make_video, decoder, name, options):
    need(decoder)
    path = str(make_video(name, **{"num_frames": 20} | options))
    assert compare(path, decoder, sequential_frames(path)) == ("equal", "")


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize("decoder", ["auto", *FILE_DECODERS])
def test_frames_at_a_size_equal_those_resized_afterwards(make_video, decoder, rotation):
    need(decoder)
    path = make_video(num_frames=20, width=256, height=192, noisy=True, marked=True, rotation=rotation)
    with open_video(path, decoder) as reader:
        whole = reader.get_frames(ANY_ORDER).numpy()
    seen = []
    with open_video(path, decoder, size=lambda height, width: seen.append((height, width)) or (70, 100)) as reader:
        sized = reader.get_frames(ANY_ORDER).numpy()
    assert seen[0] == ((256, 192) if rotation else (192, 256))
    assert np.array_equal(sized, resize_clip(whole, 70, 100))


def test_opencv_starts_anew_for_an_earlier_frame(make_video):
    with OpenCVReader(str(make_video(num_frames=20))) as reader:
        assert frame_numbers(reader.get_frames([12])) == [12]
        assert reader._next == 13
        assert frame_numbers(reader.get_frames([15, 16])) == [15, 16]
        assert frame_numbers(reader.get_frames([2])) == [2]
        assert reader._next == 3


def test_an_early_end_of_opencv_is_an_error(make_video):
    path = make_video("damaged.mkv", 30, gop=30, width=128, height=128, noisy=True)
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for position, size in places[10:]:
        content[position + 8 : position + size] = bytes(size - 8)
    path.write_bytes(content)
    with OpenCVReader(str(path)) as reader:
        assert len(reader) == 30
        with pytest.raises(VideoError, match=r"damaged.mkv cannot be read: OpenCV ends after \d+ of 30 frames without saying why"):
            reader.get_frames(range(30))


def test_a_count_that_torchcodec_cannot_deliver_is_lowered_to_what_comes(make_video):
    need("torchcodec")
    from vidrec.data.decoders.torchcodec_reader import TorchCodecReader

    with TorchCodecReader(str(make_video("x.avi", 20, codec="mpeg4"))) as reader:
        assert not reader._seeks
        decoder, frames = reader._decoder, list(range(18))
        reader._decoder = CountsTooMany(decoder, frames)
        assert reader._count_in_order() == 18
        reader._decoder = CountsTooMany(decoder, frames[:15])
        with pytest.raises(RuntimeError, match="no more frames"):
            reader._count_in_order()


class CountsTooMany:
    """A decoder as those of over-counting AVI files: it raises for its last frames."""

    def __init__(self, decoder, frames):
        self.decoder, self.frames = decoder, frames

    def __len__(self):
        return len(self.decoder)

    def __getitem__(self, number):
        if number not in self.frames:
            raise RuntimeError("Requested next frame while there are no more frames left to decode.")
        return self.decoder[number]


class PathOnly:
    """A reader of a user's own, which takes the path alone."""

    fps = 0.0

    def __init__(self, path: str):
        self.path = path


def test_a_reader_of_ones_own_may_take_the_path_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(DECODERS, "_targets", dict(DECODERS._targets))
    DECODERS.register("mine", f"{__name__}:PathOnly")
    (tmp_path / "a.bin").write_bytes(b"x")
    assert open_video(tmp_path / "a.bin", "mine").path == str(tmp_path / "a.bin")
    assert decoder_version("mine") == "mine"


@pytest.mark.parametrize("decoder", FILE_DECODERS)
def test_a_folder_is_no_file_for_a_named_decoder(tmp_path, decoder):
    with pytest.raises(VideoError, match=f"it is a folder, and the decoder '{decoder}' reads video files. Set"):
        open_video(tmp_path, decoder)


def test_versions_are_of_all_libraries_that_decide():
    assert decoder_version("auto").startswith(f"auto (av {av.__version__}, pillow ")
    assert decoder_version("opencv").startswith("opencv (opencv-python")
    need("torchcodec")
    assert decoder_version("torchcodec").startswith("torchcodec (torchcodec ") and "FFmpeg" in decoder_version("torchcodec")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ('raise ImportError("No module named x")', r"cannot be imported \(No module named x\)"),
        ('raise RuntimeError("Could not load libtorchcodec\\nlong story")', r"cannot be imported \(Could not load libtorchcodec\)"),
        ("ffmpeg_major_version = None", "finds no shared libraries of FFmpeg"),
    ],
)
def test_without_torchcodec_or_ffmpeg_it_says_what_to_install(tmp_path, make_video, source, reason):
    package = tmp_path / "fake" / "torchcodec"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(source + "\n")
    (package / "decoders.py").write_text("")
    code = f"""
        from vidrec.data.decoders import decoder_version, open_video
        from vidrec.utils.errors import UserError
        path = {str(make_video(num_frames=5))!r}
        print(len(open_video(path)))
        try:
            open_video(path, "torchcodec")
        except UserError as error:
            print(type(error).__name__, error)
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(package.parent), str(Path(__file__).resolve().parents[2])])}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    count, message = done.stdout.splitlines()
    assert count == "5"
    with pytest.raises(UserError, match=f"^CONFIG.DATA.DECODER is 'torchcodec', which {reason}; it needs a version made for the"):
        raise UserError(message.removeprefix("UserError "))
    assert "pip install 'vidrec[torchcodec]'" in message and "apt-get install ffmpeg" in message
