"""Readers against files that are broken or not what they seem."""

from pathlib import Path

import av
import numpy as np
import pytest
from video_files import need

from vidrec.commands.prepare._work import header_problem
from vidrec.data.decoders import open_video
from vidrec.utils.errors import VideoError


def broken(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.mp4"
    if kind == "audio":
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
        ("html", "Invalid data found"),
        ("audio", "it has no video stream that can be decoded, it holds audio"),
    ],
)
@pytest.mark.parametrize("decoder", ["auto", "pyav", "decord", "opencv", "torchcodec"])
def test_unreadable_files_are_named_with_the_reason(tmp_path, kind, reason, decoder):
    path = broken(tmp_path, kind)
    need(decoder)
    wanted = reason if decoder != "decord" or kind in ("missing", "empty") else "decord says"
    with pytest.raises(VideoError, match=wanted) as caught:
        open_video(path, decoder)
    assert str(path) in str(caught.value)


def test_title_in_a_broken_encoding_is_no_reason_to_refuse(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "QQQQ"
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    content = path.read_bytes()
    assert content.count(b"QQQQ") == 1
    path.write_bytes(content.replace(b"QQQQ", b"\xff\xfe\xe9\xff"))
    with open_video(path) as reader:
        assert len(reader) == 1
    assert header_problem(str(path)) == ""


@pytest.mark.parametrize("name", ["http://127.0.0.1:9/a.mp4", "concat:a.mp4", "pipe:0", "file:a.mp4"])
def test_addresses_and_protocols_are_taken_for_file_names(name):
    with pytest.raises(VideoError, match="No such file or directory"):
        open_video(name)


def test_a_playlist_does_not_reach_the_network(tmp_path):
    playlist = tmp_path / "a.mp4"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(VideoError, match="cannot be read"):
        open_video(playlist)
