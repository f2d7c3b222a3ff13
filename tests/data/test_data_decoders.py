"""Readers against videos whose frames tell their number, and the rule that chooses between them."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import av
import numpy as np
import pytest
from video_files import frame_numbers

from vidrec.data.decoders import decoder_version, open_video
from vidrec.data.decoders.pyav_frames import CountedFrames, IndexedFrames
from vidrec.data.decoders.pyav_reader import PyAVReader
from vidrec.utils.errors import ConfigError, VideoError

ANY_ORDER = [7, 0, 19, 19, 3, 0]

FORMS = {
    "wide.mp4": {"width": 256, "height": 192},
    "narrow.mp4": {},
    "narrow48.mp4": {"width": 48},
    "short_gop.mp4": {"gop": 5},
    "short_gop.mkv": {"gop": 5},
    "hidden.mp4": {"hidden": 4, "width": 256, "height": 192},
    "mpeg4.avi": {"codec": "mpeg4"},
    "-dash.mp4": {},
    "with blank \u00e9.mp4": {},
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("decoder", ["auto", "pyav"])
def test_frames_come_by_number_in_any_order(make_video, name, decoder):
    with open_video(make_video(name, 20, **FORMS[name]), decoder) as reader:
        assert len(reader) == 20
        assert reader.fps == 25.0
        frames = reader.get_frames(ANY_ORDER)
        assert tuple(frames.shape) == (6, FORMS[name].get("height", 48), FORMS[name].get("width", 64), 3)
        assert frame_numbers(frames) == ANY_ORDER
        assert frame_numbers(reader.get_frames(range(20))) == list(range(20))


def test_auto_reads_every_file_with_pyav(make_video):
    for options in ({"width": 256, "height": 192}, {"width": 72}, {"width": 256, "height": 192, "hidden": 3}):
        with open_video(make_video(num_frames=20, **options)) as reader:
            assert type(reader) is PyAVReader


def test_decord_itself_reads_any_order(make_video):
    with open_video(make_video(num_frames=20, width=256, height=192), "decord") as reader:
        assert (len(reader), frame_numbers(reader.get_frames(ANY_ORDER))) == (20, ANY_ORDER)


def test_narrow_frames_that_decord_cannot_give_are_an_error_of_the_video(make_video):
    for width in (48, 72):
        path = make_video(width=width, height=128)
        with open_video(path, "decord") as reader, pytest.raises(VideoError, match=r"cannot be read: decord says: (Check|frames of 4)"):
            reader.get_frames([0])


@pytest.mark.parametrize(
    ("rotation", "shape", "dark_corner"),
    [(0, (192, 256), (0, 0)), (90, (256, 192), (-1, 0)), (-90, (256, 192), (0, -1)), (180, (192, 256), (-1, -1))],
)
@pytest.mark.parametrize("decoder", ["pyav", "decord", "auto"])
def test_rotation_is_applied(make_video, rotation, shape, dark_corner, decoder):
    with open_video(make_video(num_frames=3, width=256, height=192, rotation=rotation, marked=True), decoder) as reader:
        frame = reader.get_frames([2])[0]
    assert tuple(frame.shape) == (*shape, 3)
    corners = {(y, x): int(frame[y, x].float().mean()) < 12 for y in (0, -1) for x in (0, -1)}
    assert [corner for corner, dark in corners.items() if dark] == [dark_corner]


def test_key_frames_are_used_for_a_late_frame_and_reading_goes_on_from_there(make_video):
    with PyAVReader(str(make_video(num_frames=30, gop=10))) as reader:
        assert isinstance(reader._frames, IndexedFrames)
        assert frame_numbers(reader.get_frames([25])) == [25]
        assert reader._frames._start == 20
        assert frame_numbers(reader.get_frames([27, 29])) == [27, 29]
        assert reader._frames._start == 20
        assert frame_numbers(reader.get_frames([4])) == [4]
        assert reader._frames._start == 0


def test_seeking_that_does_not_land_is_given_up(make_video):
    with PyAVReader(str(make_video(num_frames=30, gop=10))) as reader:
        reader._frames._index.key_pts[1:] += 1  # as of a file whose table of key frames is wrong
        assert frame_numbers(reader.get_frames([25, 11])) == [25, 11]


def test_frames_are_counted_where_packets_do_not_tell(make_video, monkeypatch):
    path = str(make_video("x.avi", 20, codec="mpeg4"))
    with PyAVReader(path) as reader:
        assert isinstance(reader._frames, CountedFrames)
        assert frame_numbers(reader.get_frames(ANY_ORDER)) == ANY_ORDER
    monkeypatch.setattr("vidrec.data.decoders.pyav_frames.KEEP_BYTES", 20_000)  # four frames: the video is decoded again
    with PyAVReader(path) as reader:
        assert reader._frames._kept is None
        assert frame_numbers(reader.get_frames(ANY_ORDER)) == ANY_ORDER
        assert frame_numbers(reader.get_frames([18])) == [18]


@pytest.mark.parametrize(("name", "options"), [("a.mp4", {"faststart": True}), ("a.mkv", {}), ("a.avi", {"codec": "mpeg4"})])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.97])
def test_a_cut_file_delivers_the_frames_it_has(make_video, name, options, share):
    path = make_video(name, 25, gop=6, width=128, height=128, noisy=True, **options)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    expected, cut_packets = [], 0
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            try:
                expected += [frame.to_ndarray(format="rgb24") for frame in packet.decode()]
            except av.error.InvalidDataError:
                cut_packets += 1
    assert cut_packets <= 1
    with open_video(path) as reader:
        assert len(reader) == len(expected)
        assert np.array_equal(reader.get_frames(range(len(reader))).numpy(), np.stack(expected))


def test_frame_numbers_outside_the_video_are_refused(make_video):
    with open_video(make_video(num_frames=5)) as reader:
        with pytest.raises(IndexError, match=r"frame 5 of .*video.mp4 does not exist; it has 5 frames, 0 to 4"):
            reader.get_frames([0, 5])
        with pytest.raises(IndexError, match="frame -1"):
            reader.get_frames([-1])


def test_unknown_decoder_is_refused_with_the_known_ones(make_video):
    with pytest.raises(ConfigError, match="'decrd' is not a decoder; those known are auto, decord, frames, opencv, pyav, torchcodec"):
        open_video(make_video(), "decrd")


def test_versions_are_named():
    assert decoder_version("pyav") == f"pyav (av {av.__version__})"


def run_with_fake(tmp_path: Path, module: str, code: str) -> str:
    """Runs code in a process where importing `module` fails as it does on a machine without its libraries."""
    (tmp_path / f"{module}.py").write_text('raise ImportError("libGL.so.1: cannot open shared object file")\n')
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_decord_auto_is_pyav_and_decord_says_what_to_do(tmp_path, make_video):
    path = make_video(num_frames=5, width=256, height=192)
    code = f"""
        from vidrec.data.decoders import open_video
        from vidrec.utils.errors import UserError
        print(type(open_video({str(path)!r})).__name__)
        try:
            open_video({str(path)!r}, "decord")
        except UserError as error:
            print(type(error).__name__, error)
    """
    first, second = run_with_fake(tmp_path, "decord", code).splitlines()
    assert first == "PyAVReader"
    assert second.startswith("UserError CONFIG.DATA.DECODER is 'decord', which cannot be imported (libGL.so.1")
    assert second.endswith("Set CONFIG.DATA.DECODER to 'auto' or 'pyav', which need nothing more.")


def test_without_libgl_the_packages_that_help_are_named(tmp_path):
    code = """
        from vidrec.data.opencv import import_cv2
        from vidrec.utils.errors import UserError
        try:
            import_cv2()
        except UserError as error:
            print(error)
    """
    message = run_with_fake(tmp_path, "cv2", code)
    assert "OpenCV (cv2) cannot be imported: libGL.so.1" in message
    assert "apt-get install libgl1 libglib2.0-0" in message
    assert "pip install opencv-python-headless" in message


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.parametrize("decoder", ["pyav", "auto"])
def test_many_opens_leak_neither_files_nor_memory(make_video, decoder):
    path = make_video(num_frames=6, width=256, height=192)

    def read(times: int) -> None:
        for _ in range(times):
            with open_video(path, decoder) as reader:
                reader.get_frames([0, 5])

    read(40)
    files, memory = open_files(), resident_mib()
    read(120)
    assert open_files() == files
    assert resident_mib() - memory < 15  # one decoded frame kept per open would be 17 MiB
