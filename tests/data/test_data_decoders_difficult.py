"""Readers against files that are broken, and against difficult real ones, compared with a sequential decode."""

from pathlib import Path

import av
import numpy as np
import pytest

from vidrec.data.decoders import open_video
from vidrec.utils.errors import VideoError


def broken(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind == "audio":
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=8000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 8000, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    elif kind != "missing":
        path.write_bytes({"empty": b"", "html": b"<html>404 Not Found</html>" * 40}[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "No such file or directory"),
        ("empty", r"it is empty \(0 bytes\)"),
        ("folder", "it is not a regular file"),
        ("html", "Invalid data found"),
        ("audio", "it has no video stream that can be decoded, it holds audio"),
    ],
)
@pytest.mark.parametrize("decoder", ["auto", "pyav", "decord"])
def test_unreadable_files_are_named_with_the_reason(tmp_path, kind, reason, decoder):
    path = broken(tmp_path, kind)
    wanted = reason if decoder != "decord" or kind in ("missing", "empty", "folder") else "decord says"
    with pytest.raises(VideoError, match=wanted) as caught:
        open_video(path, decoder)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["http://127.0.0.1:9/a.mp4", "concat:a.mp4", "pipe:0", "file:a.mp4"])
def test_addresses_and_protocols_are_taken_for_file_names(name):
    with pytest.raises(VideoError, match="No such file or directory"):
        open_video(name)


def test_a_playlist_does_not_reach_the_network(tmp_path):
    playlist = tmp_path / "a.mp4"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(VideoError, match="cannot be read"):
        open_video(playlist)


def sequential(path: Path) -> list[np.ndarray]:
    """What PyAV shows from start to end, turned upright: the truth about a file."""
    with av.open(f"file:{path}", metadata_errors="ignore") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return [np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90)) for frame in container.decode(stream)]


def check_against_sequential(path: Path) -> None:
    """Count, shape and pixels of `auto` equal the sequential decode, read in order and at random places."""
    try:
        expected = sequential(path)
    except (av.error.FFmpegError, IndexError):
        with pytest.raises(VideoError, match="cannot be read"), open_video(path) as reader:
            reader.get_frames(range(len(reader)))
        return
    rng = np.random.default_rng(0)
    with open_video(path) as reader:
        assert len(reader) == len(expected), path
        some = rng.integers(len(expected), size=4)
        orders = [some, [len(expected) - 1, 0], *np.array_split(np.arange(len(expected)), -(-len(expected) // 32))]
        for order in orders:
            for number, frame in zip(order, reader.get_frames(order).numpy(), strict=True):
                assert frame.shape == expected[number].shape, path
                assert np.abs(frame.astype(np.int16) - expected[number]).mean() <= 2, (path, number)


TRICKY = [
    "hard/-dash-first-name.mp4",
    "hard/basketball_width48_h264.mp4",
    "hard/basketball_width72_hevc_fullrange.mp4",
    "hard/decord_corrupted.mp4",
    "hard/decord_unordered.mov",
    "hard/decord_video_90.mov",
    "hard/gen_audio_only.mp4",
    "hard/gen_truncated60_faststart.mp4",
    "hard/gen_truncated60_moov_at_end_or_lost.mp4",
    "hard/hmdb_avi_nonmonotonic_pts.avi",
    "hard/moviepy_zero_bytes.webm",
    "hard/torchcodec_av1_video.mkv",
    "hard/torchcodec_discard_first_keyframe.mp4",
    "hard/torchcodec_testsrc2_444_10bit_hevc.mp4",
    "singles/playing_basketball/basketball.mp4",
]


@pytest.mark.parametrize("name", TRICKY)
def test_tricky_files_equal_a_sequential_decode(shared, name):
    check_against_sequential(shared / "data" / name)


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["actions", "singles", "hard"])
def test_every_real_file_equals_a_sequential_decode(shared, folder):
    found = sorted((shared / "data" / folder).rglob("*"))
    files = [path for path in found if path.is_file() and path.suffix not in (".txt", ".csv", ".md")]
    assert len(files) == {"actions": 367, "singles": 21, "hard": 45}[folder]
    for path in files:
        check_against_sequential(path)
