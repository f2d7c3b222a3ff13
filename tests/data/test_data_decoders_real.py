"""Every reader against every real file: the frames of a sequential decode, a refusal, or a row of the table in docs/decoders.md."""

import re
from pathlib import Path

import numpy as np
import pytest
from video_files import need

from vidrec.data.decoders.compare import Comparison, compare, sequential_frames

DOCS = Path(__file__).resolve().parents[2] / "docs" / "decoders.md"
ROW = re.compile(r"\| (?P<file>\S+/\S+) \| (?P<reader>\w+) \| (?P<verdict>refused|count|shape|pixels): (?P<detail>.+) \|")
READERS = ["auto", "decord", "opencv", "torchcodec"]

TRICKY = [
    "hard/-dash-first-name.mp4",
    "hard/basketball_width48_h264.mp4",
    "hard/basketball_width72_hevc_fullrange.mp4",
    "hard/decord_corrupted.mp4",
    "hard/decord_unordered.mov",
    "hard/decord_video_90.mov",
    "hard/gen_audio_only.mp4",
    "hard/gen_truncated60_moov_at_end_or_lost.mp4",
    "hard/moviepy_zero_bytes.webm",
    "hard/torchcodec_discard_first_keyframe.mp4",
    "hard/torchcodec_h264_10bits.mp4",
    "hard/torchcodec_test_non_zero_start.mp4",
    "hard/torchcodec_testsrc2_444_10bit_hevc.mp4",
    "hard/torchcodec_testsrc2_mpeg4.mp4",
    "hard/torchcodec_testsrc2_odd_height_and_width_mpeg2.mp4",
]


def exceptions() -> dict[tuple[str, str], str]:
    """(file, reader) -> verdict, as the documentation shows them."""
    return {(row["file"], row["reader"]): row["verdict"] for row in map(ROW.fullmatch, DOCS.read_text("utf-8").splitlines()) if row}


def unexpected(folder: Path, names: list[str], reader: str) -> list[str]:
    """What a reader does with files that neither the rule nor the table allows.

    Equal to the truth is always right, and a refusal of a file that has no truth; another release of a library may do better than
    the table says.
    """
    table, found = exceptions(), []
    for name in names:
        truth = sequential_frames(str(folder / name))
        verdict, detail = compare(str(folder / name), reader, truth)
        allowed = {"refused"} if truth is None else {"equal", table.get((name, reader), "equal")}
        if verdict not in allowed:
            found.append(f"{name}: {verdict}: {detail}")
    return found


@pytest.mark.parametrize("reader", READERS)
def test_tricky_files_come_as_a_sequential_decode_or_as_the_table_says(shared, reader):
    need(reader)
    assert unexpected(shared / "data", TRICKY, reader) == []


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("folder", ["actions", "singles", "hard"])
def test_every_real_file_comes_as_a_sequential_decode_or_as_the_table_says(shared, folder, reader):
    need(reader)
    found = sorted((shared / "data" / folder).rglob("*"))
    names = [str(path.relative_to(shared / "data")) for path in found if path.is_file() and path.suffix not in (".txt", ".csv", ".md")]
    assert len(names) == {"actions": 367, "singles": 21, "hard": 45}[folder]
    assert unexpected(shared / "data", names, reader) == []


def test_the_table_names_files_that_exist_and_never_the_default_reader(shared):
    table = exceptions()
    assert len(table) == 72
    assert [file for file, _ in table if not (shared / "data" / file).is_file()] == []
    assert {reader for _, reader in table} == {"decord", "opencv", "torchcodec"}


def test_a_comparison_finds_what_differs(make_video):
    path = str(make_video(num_frames=20, width=256, height=192))
    truth = sequential_frames(path)
    assert compare(path, "pyav", truth) == Comparison("equal", "")
    assert compare(path, "pyav", truth[:-1]) == Comparison("count", "20 frames, not 19")
    assert compare(path, "pyav", None) == Comparison("count", "gives 20 frames of a file that cannot be decoded")
    assert compare(path, "pyav", [np.rot90(frame) for frame in truth]).detail.endswith("is 192x256x3, not 256x192x3")
    stale = [*truth[:-1], truth[-2]]
    assert compare(path, "pyav", stale) == Comparison("pixels", "frame 19 differs by 8.0 of 255")
    Path(path).write_bytes(b"<html>")
    assert compare(path, "pyav", None).verdict == "refused"
    assert sequential_frames(path) is None
