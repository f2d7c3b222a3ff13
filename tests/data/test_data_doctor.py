"""The dataset doctor: each kind of fault is planted in a small data set and found; what hangs or crashes costs itself."""

import csv
import json
import os
import shutil
from pathlib import Path

import av
import pytest
from video_files import write_video

from vidrec.commands.check_dataset import main
from vidrec.data.decoders.base import DECODERS
from vidrec.data.doctor.examine import Header, examine, why_truncated
from vidrec.data.doctor.journal import Journal

CONFIG = """
CONFIG:
  DATA: {TRAIN_ANNO_PATH: DATA/train.txt, VAL_ANNO_PATH: DATA/val.txt, NUM_CLASSES: 4, CLIP_LEN: 4, FRAME_RATE: 2, DECODER: planted,
         CROP_SIZE: 32, SHORT_SIDE_SIZE: 32, KEEP_ASPECT_RATIO: True}
  MODEL: {BACKBONE: {TYPE: C3D}, HEAD: {TYPE: PoolHead}, PRETRAINED_BASE: False}
"""
TRAIN = """# path label
good.mp4 0
"long one.mp4" 1

copy.mp4 0
remuxed.mkv 2
short.mp4 2
blank.mp4 0
still.mp4 1
cut.mp4 1
page.mp4 1
empty.mp4 1
gone.mp4 1
hang.mp4 2
crash.mp4 2
wrong.mp4 2
editlist.mp4 1
label.mp4 7
shared.mp4 1
editlist.mp4 1
"""
VAL = "val.mp4 2\nshared_too.mp4 1\n"


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Path:
    """A data set with every fault, and a config for it."""
    folder = tmp_path_factory.mktemp("planted")
    for frames, name in enumerate(["good", "long one", "hang", "crash", "wrong", "label", "shared", "val"], 10):
        write_video(folder / f"{name}.mp4", frames, marked=True)
    write_video(folder / "short.mp4", 6, marked=True)
    write_video(folder / "blank.mp4", 9)
    write_video(folder / "editlist.mp4", 9, marked=True, hidden=3)
    write_video(folder / "still.mp4", 1, marked=True, width=160)
    repeat_frame(folder / "still.mp4", 8)
    whole = write_video(folder / "whole.mp4", 24, marked=True, noisy=True, faststart=True).read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    (folder / "page.mp4").write_text("<html>not found</html>")
    (folder / "empty.mp4").touch()
    shutil.copy(folder / "good.mp4", folder / "copy.mp4")
    shutil.copy(folder / "shared.mp4", folder / "shared_too.mp4")
    remux(folder / "good.mp4", folder / "remuxed.mkv")
    (folder / "train.txt").write_text(TRAIN)
    (folder / "val.txt").write_text(VAL)
    (folder / "config.yaml").write_text(CONFIG.replace("DATA/", f"{folder}/"))
    return folder


@pytest.fixture(autouse=True, scope="module")
def decoder():
    DECODERS.register("planted", "planted_readers:open_planted")
    yield
    del DECODERS._targets["planted"]


@pytest.fixture(scope="module")
def checked(planted) -> Path:
    """The results of one run over it."""
    assert main(["--config-file", str(planted / "config.yaml"), *options(planted / "out")]) == 3
    return planted / "out"


def options(out, timeout="4"):
    return ["--out", str(out), "--workers", "2", "--timeout", timeout]


def repeat_frame(path: Path, count: int) -> None:
    """Writes a video anew with its first frame shown `count` times."""
    with av.open(str(path)) as source:
        image = next(source.decode(video=0)).to_ndarray(format="rgb24")
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p"
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number
            target.mux(stream.encode(frame))
        target.mux(stream.encode())


def remux(source_path: Path, target_path: Path) -> None:
    with av.open(str(source_path)) as source, av.open(str(target_path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_fault_is_found_by_its_kind(checked, planted):
    found = [(row["kind"], Path(row["path"]).name) for row in read_csv(checked / "findings.csv")]
    assert found == [
        ("missing", "gone.mp4"),
        ("unreadable", "empty.mp4"),
        ("unreadable", "page.mp4"),
        ("unreadable", "wrong.mp4"),
        ("truncated", "cut.mp4"),
        ("blank", "blank.mp4"),
        ("hung", "hang.mp4"),
        ("crashed", "crash.mp4"),
        ("label out of range", "label.mp4"),
        ("in train and val", "shared.mp4"),
        ("one video, several labels", "good.mp4"),
        ("duplicate", "copy.mp4"),
        ("duplicate", "remuxed.mkv"),
        ("duplicate", "editlist.mp4"),
        ("wrong header", "editlist.mp4"),
        ("too short", "short.mp4"),
        ("still", "still.mp4"),
        ("class without videos", ""),
        ("class without videos", ""),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gone.mp4", "gone.mp4 does not exist"),
        ("hang.mp4", "the decoder did not end within 4 seconds and was killed"),
        ("crash.mp4", "the decoder's process ended with exit code 139"),
        ("wrong.mp4", "wrong.mp4: ZeroDivisionError: frames per second"),
        ("label.mp4", "label 7 in the train list is outside [0, 4)"),
        ("editlist.mp4", "the header says 12 frames, 9 can be shown (an edit list hides 3)"),
        ("short.mp4", "6 frames, a clip of this config spans 7; the rest is filled up"),
        ("shared.mp4", "shared.mp4 (train row 16)"),
        ("remuxed.mkv", "remuxed.mkv (train row 3) is"),
        ("still.mp4", "all 8 frames are alike"),
    ],
)
def test_findings_say_what_is_wrong(checked, name, text):
    assert any(text in row["what"] for row in read_csv(checked / "findings.csv") if Path(row["path"]).name == name)


def test_duplicates_of_bytes_are_told_from_those_of_frames(checked):
    what = {row["kind"]: row["what"] for row in read_csv(checked / "findings.csv")}
    assert what["one video, several labels"].startswith("labels 0, 2, same frames, other files: ")
    assert what["in train and val"].startswith("same bytes: ")
    assert what["duplicate"].endswith("listed more than once")


def test_manifest_has_the_true_properties(checked, planted):
    rows = {Path(row["path"]).name: row for row in read_csv(checked / "manifest.csv")}
    assert len(rows) == 19
    assert rows["good.mp4"] == {
        "path": str(planted / "good.mp4"), "status": "ok", "frames": "10", "fps": "25.0", "width": "64", "height": "48", "rotation": "0",
        "codec": "h264", "notes": "one video, several labels", "reason": "",
    }  # fmt: skip
    assert (rows["editlist.mp4"]["frames"], rows["editlist.mp4"]["notes"]) == ("9", "duplicate; wrong header")
    assert (rows["hang.mp4"]["status"], rows["hang.mp4"]["frames"]) == ("hung", "0")
    assert rows["cut.mp4"]["status"] == "truncated" and 0 < int(rows["cut.mp4"]["frames"]) < 24


def test_cleaned_lists_keep_the_lines_as_they_were(checked):
    assert (checked / "train_clean.txt").read_text() == '# path label\n"long one.mp4" 1\n\nshort.mp4 2\nstill.mp4 1\neditlist.mp4 1\n'
    assert (checked / "val_clean.txt").read_text() == VAL
    removed = {row["row"]: row["kind"] for row in read_csv(checked / "removed.csv")}
    assert (removed["0"], removed["2"], removed["3"]) == ("one video, several labels",) * 3
    assert (removed["16"], removed["17"], removed["11"]) == ("in train and val", "duplicate", "hung")


def test_summary_says_counts_and_what_to_do(checked, planted):
    lines = (checked / "summary.txt").read_text().splitlines()
    assert lines[0].startswith("19 videos (18 rows in train, 2 rows in val), ")
    assert "PROBLEMS: 11" in lines and "NOTES: 8" in lines
    assert lines[-3] == f"manifest: CONFIG.DATA.MANIFEST {checked}/manifest.csv"
    assert lines[-2] == (
        f"train: 4 of 18 rows are left in the cleaned list: CONFIG.DATA.TRAIN_ANNO_PATH {checked}/train_clean.txt "
        f"CONFIG.DATA.TRAIN_DATA_PATH {planted}"
    )


def test_a_second_run_examines_only_what_has_changed(checked, planted, tmp_path):
    out = shutil.copytree(checked, tmp_path / "out")
    journal, config = out / "examined.jsonl", str(planted / "config.yaml")
    before = journal.read_text().splitlines()
    assert len(before) == 19
    assert main(["--config-file", config, *options(out, "3")]) == 3
    again = [json.loads(line)["path"] for line in journal.read_text().splitlines()[19:]]
    assert [Path(path).name for path in again] == ["gone.mp4"]  # what is missing may have come
    assert (out / "findings.csv").read_text() == (checked / "findings.csv").read_text()
    journal.write_text("\n".join(before[:-1]) + "\n" + before[-1][:40])  # killed in the middle of a line
    os.utime(planted / "val.mp4", (1, 1))
    assert main(["--config-file", config, *options(out, "3")]) == 3
    lines = journal.read_text().splitlines()
    cut = json.loads(before[-1])["path"]
    assert {Path(json.loads(line)["path"]).name for line in lines[18:]} == {"gone.mp4", "val.mp4", Path(cut).name}


def test_bad_videos_are_examined_again_on_request_or_with_more_time(checked, planted, tmp_path):
    with Journal(checked / "examined.jsonl") as journal:
        hung = next(record for record in journal.records() if record.status == "hung")
        asked = {"stamp": (hung.size, hung.changed), "decoder": "planted"}
        assert journal.known(hung.path, **asked, timeout=4.0) == hung
        assert journal.known(hung.path, **asked, timeout=4.1) is None
        assert journal.known(hung.path, stamp=(hung.size, 0), decoder="planted", timeout=4.0) is None
        assert journal.known(hung.path, stamp=(hung.size, hung.changed), decoder="auto (av 1)", timeout=4.0) is None
    (tmp_path / "list.txt").write_text(f"{planted}/crash.mp4 0\n{planted}/val.mp4 1\n")
    arguments = ["--config-file", str(planted / "config.yaml"), *options(tmp_path / "out"), "--retry"]
    lists = ["CONFIG.DATA.TRAIN_ANNO_PATH", str(tmp_path / "list.txt"), "CONFIG.DATA.VAL_ANNO_PATH", ""]
    for lines in (2, 3):
        assert main(["CONFIG.DATA.CLIP_LEN", "2", *lists, *arguments]) == 3
        assert len((tmp_path / "out/examined.jsonl").read_text().splitlines()) == lines


@pytest.mark.parametrize(
    ("fields", "frames", "why"),
    [
        ({"header_frames": 100}, 100, None),
        ({"header_frames": 49}, 48, None),  # AVI headers that count one too many
        ({"header_frames": 100}, 97, "the header promises 100 frames, 97 can be shown"),
        ({"header_frames": 94, "hidden_frames": 41}, 53, None),
        ({"missing_bytes": 1000, "header_frames": 60}, 40, "the file ends 1,000 bytes before its last packet; 40 frames can be shown"),
        ({"promised": 10.0, "present": 8.0}, 200, "the header promises 10.00 seconds, 8.00 are there"),
        ({"promised": 10.0, "present": 9.4}, 235, None),
        ({"promised": 0.4, "present": 0.0}, 1, None),
        ({"promised": 0.0, "present": 3.0}, 75, None),
    ],
)
def test_a_cut_is_told_from_headers_that_are_only_inexact(fields, frames, why):
    header = Header("h264", 64, 48, 0, 25.0, 0, 0, 0.0, 0.0, 0)
    assert why_truncated(header._replace(**fields), frames) == why


def test_a_cut_matroska_file_is_truncated(tmp_path):
    path = write_video(tmp_path / "whole.mkv", 28, noisy=True)
    assert examine(str(path), "auto")["frames"] == 28
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 4 // 10])
    found = examine(str(path), "auto")
    assert found["status"] == "truncated" and found["reason"].startswith("the header promises 1.12 seconds, ")


def test_a_rotated_video_and_a_folder_of_files(tmp_path):
    found = examine(str(write_video(tmp_path / "turned.mp4", 3, marked=True, rotation=90)), "auto")
    assert (found["rotation"], found["width"], found["height"], found["frames"]) == (90, 64, 48, 3)
    (tmp_path / "folder").mkdir()
    assert examine(str(tmp_path / "folder"), "auto")["status"] == "unreadable"


def test_shards_are_examined_like_files(planted, tmp_path, capsys):
    from vidrec.commands.make_shards import make_shards

    (tmp_path / "list.txt").write_text(f"{planted}/good.mp4 0\n{planted}/page.mp4 1\n{planted}/crash.mp4 2\n")
    make_shards(str(tmp_path / "list.txt"), tmp_path / "shards")
    lists = ["CONFIG.DATA.TRAIN_ANNO_PATH", f"{tmp_path}/shards/index.json", "CONFIG.DATA.VAL_ANNO_PATH", "", "CONFIG.DATA.DECODER", "auto"]
    assert main(["--config-file", str(planted / "config.yaml"), *options(tmp_path / "out"), *lists]) == 3
    rows = read_csv(tmp_path / "out/manifest.csv")
    assert [(row["path"].split("#")[1], row["status"], row["frames"]) for row in rows] == [
        ("00000000-good.mp4", "ok", "10"), ("00000001-page.mp4", "unreadable", "0"), ("00000002-crash.mp4", "ok", "13")
    ]  # fmt: skip
    assert "1 of 3 rows would go; a list of shards is not cleaned, use the manifest" in capsys.readouterr().out


def test_a_list_without_problems_gives_exit_code_0(planted, tmp_path, capsys):
    (tmp_path / "list.txt").write_text(f"{planted}/good.mp4 0\n{planted}/short.mp4 1\n")
    lists = ["CONFIG.DATA.TRAIN_ANNO_PATH", str(tmp_path / "list.txt"), "CONFIG.DATA.VAL_ANNO_PATH", ""]
    assert main(["--config-file", str(planted / "config.yaml"), *options(tmp_path / "out"), *lists]) == 0
    assert "PROBLEMS: none" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--timeout", "0"], "--timeout is 0 and --workers 0; give seconds above 0 and at least 0 processes."),
        (["--workers", "-1"], "--timeout is 120 and --workers -1; give seconds above 0"),
        (["--out", "/proc/nowhere"], "/proc/nowhere cannot be written: "),
        (["CONFIG.DATA.DECODER", "vlc"], "CONFIG.DATA.DECODER is 'vlc'; it must be one of"),
        (["CONFIG.DATA.TRAIN_ANNO_PATH", "", "CONFIG.DATA.VAL_ANNO_PATH", ""], "The config names no list: "),
    ],
)
def test_wrong_options_are_said_in_one_message(planted, arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--config-file", str(planted / "config.yaml"), *arguments])
    assert caught.value.code == 1
    assert message in capsys.readouterr().err


def test_real_difficult_files_have_these_statuses(shared):
    """Of shared/data/hard, some small ones; the whole folder is in docs/check_dataset.md."""
    unreadable = ["gen_text_as_mp4.mp4", "gen_audio_only.mp4", "moviepy_zero_bytes.webm"]
    whole = {"hmdb_avi_nonmonotonic_pts.avi": 48, "torchcodec_discard_first_keyframe.mp4": 25, "gen_1frame.mp4": 1}
    expected = dict.fromkeys(unreadable, ("unreadable", 0)) | {name: ("ok", frames) for name, frames in whole.items()}
    expected |= {"gen_truncated60_faststart.mp4": ("truncated", 39), "moviepy_1x1_1fps.mp4": ("blank", 5)}
    found = {name: examine(str(shared / "data/hard" / name), "auto") for name in expected}
    assert {name: (record.get("status", "ok"), record.get("frames", 0)) for name, record in found.items()} == expected
