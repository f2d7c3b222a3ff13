"""Lists and class maps from miniature trees of the true layout and naming of each data set, with small real videos."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from vidrec.commands.prepare import folder, hmdb51, kinetics, sthsthv2, ucf101
from vidrec.commands.prepare import main as prepare
from vidrec.data.annotations import read_table
from vidrec.model_zoo.labels import label_file

CODECS = {".mp4": "libx264", ".avi": "mpeg4", ".webm": "libvpx"}


def write_video(path: Path, *, width: int = 64, height: int = 48, num_frames: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[path.suffix], rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(num_frames):
            image = np.full((height, width, 3), 10 + 8 * number, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def listed(out: Path, split: str) -> list[tuple[str, int]]:
    with (out / f"{split}.csv").open(newline="") as file:
        return [(row["path"], int(row["label"])) for row in csv.DictReader(file)]


def report_of(out: Path) -> dict:
    return json.loads((out / "report.json").read_text())


def failure(main, arguments: list[str], capsys) -> str:
    """The one message of a command that ends with status 1."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 1
    return capsys.readouterr().err


KINETICS_CSV = """label,youtube_id,time_start,time_end,split
"zumba",-0ab_cd-EfG,10,20,{split}
massaging person's head,ABCDEFGHIJ1,5,15,{split}
air drumming,abcdefghij2,100,110,{split}
air drumming,gone_video_,3,13,{split}
"""


@pytest.fixture
def kinetics_tree(tmp_path) -> Path:
    """Class folders for training, flat files for validation; one of them is an HTML page, one is in no list."""
    root = tmp_path / "k"
    (root / "train.csv").parent.mkdir()
    (root / "train.csv").write_text(KINETICS_CSV.format(split="train"))
    (root / "validate.csv").write_text(
        "label,youtube_id,time_start,time_end,split\nair drumming,valvideo123,0,10,validate\nzumba,broken_vide,1,11,validate\n"
    )
    for name in (
        "train/zumba/-0ab_cd-EfG_000010_000020.mp4",
        "train/massaging_person's_head/ABCDEFGHIJ1_000005_000015.mp4",
        "train/air drumming/abcdefghij2_000100_000110.mp4",
        "val/valvideo123_000000_000010.mp4",
        "val/nobody_lists_000000_000010.mp4",
    ):
        write_video(root / "videos" / name)
    (root / "videos" / "val" / "broken_vide_000001_000011.mp4").write_text("<html>not found</html>")
    return root


def test_kinetics(kinetics_tree, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--videos", str(kinetics_tree / "videos"), "--out", str(out)]
    assert kinetics.main([*arguments, "--csv", str(kinetics_tree / "train.csv"), str(kinetics_tree / "validate.csv")]) == 0
    assert (out / "classes.txt").read_text().splitlines() == ["air drumming", "massaging person's head", "zumba"]
    assert listed(out, "train") == [
        ("train/zumba/-0ab_cd-EfG_000010_000020.mp4", 2),
        ("train/massaging_person's_head/ABCDEFGHIJ1_000005_000015.mp4", 1),
        ("train/air drumming/abcdefghij2_000100_000110.mp4", 0),
    ]
    assert listed(out, "val") == [("val/valvideo123_000000_000010.mp4", 0)]
    report = report_of(out)
    assert report["splits"] == {"train": {"listed": 3, "written": 3}, "val": {"listed": 2, "written": 1}}
    assert report["missing"] == ["train: gone_video__000003_000013 (air drumming)"]
    assert report["broken"] == [{"path": "val/broken_vide_000001_000011.mp4", "reason": "Invalid data found when processing input"}]
    assert report["notes"] == [
        "The 3 classes, which are not those of the zoo's kinetics400 or kinetics700 labels, have alphabetical order.",
        "1 files are in no csv file and are left out.",
    ]
    printed = capsys.readouterr().out
    assert f"val    1 videos in {out}/val.csv" in printed
    assert "  val/broken_vide_000001_000011.mp4: Invalid data found" in printed
    assert f"CONFIG.DATA.NUM_CLASSES 3 CONFIG.DATA.CLASS_NAMES {out}/classes.txt" in printed
    table = read_table(out / "train.csv", data_folder=kinetics_tree / "videos", num_classes=3)
    assert all(os.path.isfile(table.path(row)) for row in range(3))


@pytest.mark.parametrize("data_set", ["kinetics400", "kinetics700"])
def test_kinetics_classes_of_the_zoo_have_the_zoos_order(tmp_path, data_set):
    zoo = label_file(data_set).read_text().splitlines()
    spelled = [name.replace("_", " ").replace(" -", " (") for name in reversed(zoo)]  # much as the csv files have them
    rows = [f'"{name}",id{number:09d},0,10,train' for number, name in enumerate(spelled)]
    (tmp_path / "train.csv").write_text("\n".join(["label,youtube_id,time_start,time_end,split", *rows]))
    write_video(tmp_path / "videos" / "id000000000_000000_000010.mp4")
    arguments = ["--videos", str(tmp_path / "videos"), "--out", str(tmp_path / "out"), "--csv", str(tmp_path / "train.csv")]
    assert kinetics.main(arguments) == 0
    assert (tmp_path / "out" / "classes.txt").read_text().splitlines() == spelled[::-1]
    assert listed(tmp_path / "out", "train") == [("id000000000_000000_000010.mp4", len(zoo) - 1)]
    assert report_of(tmp_path / "out")["notes"] == [f"The {len(zoo)} classes have the order of the zoo's {data_set} labels."]


def test_kinetics_test_clips_without_labels_are_left_out(kinetics_tree, tmp_path):
    (kinetics_tree / "test.csv").write_text("youtube_id,time_start,time_end,split\nvalvideo123,0,10,test\n")
    arguments = ["--videos", str(kinetics_tree / "videos"), "--out", str(tmp_path / "out"), "--check", "none"]
    assert kinetics.main([*arguments, "--csv", str(kinetics_tree / "validate.csv"), str(kinetics_tree / "test.csv")]) == 0
    assert report_of(tmp_path / "out")["notes"][1] == "1 rows have no label and are left out."
    assert len(listed(tmp_path / "out", "val")) == 2  # nothing was checked


def test_kinetics_files_that_are_wrong(kinetics_tree, tmp_path, capsys):
    wrong = tmp_path / "train.csv"
    arguments = ["--videos", str(kinetics_tree / "videos"), "--out", str(tmp_path / "out"), "--csv", str(wrong)]
    assert "train.csv cannot be read (No such file or directory); it must be a csv file of Kinetics." in failure(
        kinetics.main, arguments, capsys
    )
    wrong.write_text("path label\n")
    assert "train.csv has no column youtube_id, time_start, time_end, but path label; wanted are label," in failure(
        kinetics.main, arguments, capsys
    )
    wrong.write_text("label,youtube_id,time_start,time_end,split\nzumba,abc,ten,20,train\n")
    assert "train.csv:2: 'zumba,abc,ten,20,train' is no clip; times are seconds and the split is one of train, val" in failure(
        kinetics.main, arguments, capsys
    )
    wrong.write_text("label,youtube_id,time_start,time_end,split\nzumba,abc,1,20,train\n")
    assert "No video of kinetics could be listed; " in failure(kinetics.main, arguments, capsys)


@pytest.fixture
def sthsth_tree(tmp_path) -> Path:
    root = tmp_path / "ss"
    root.mkdir()
    names = label_file("sthsthv2").read_text().splitlines()
    labels = {name: str(number) for number, name in enumerate(names)}
    (root / "something-something-v2-labels.json").write_text(json.dumps(labels))
    train = [
        {
            "id": "78687",
            "label": "holding potato next to vicks vaporub bottle",
            "template": "Holding [something] next to [something]",
            "placeholders": [],
        },
        {"id": "42326", "label": "putting a pen", "template": "Putting [something] on a surface", "placeholders": ["a pen"]},
    ]
    (root / "something-something-v2-train.json").write_text(json.dumps(train))
    (root / "something-something-v2-validation.json").write_text(
        json.dumps([{"id": "151201", "label": "x", "template": "Folding [something]"}])
    )
    for video in ("78687", "151201"):
        write_video(root / "20bn-something-something-v2" / f"{video}.webm")
    return root


def test_something_something_v2(sthsth_tree, tmp_path):
    out, names = tmp_path / "out", label_file("sthsthv2").read_text().splitlines()
    assert sthsthv2.main(["--videos", str(sthsth_tree), "--annotations", str(sthsth_tree), "--out", str(out)]) == 0
    assert listed(out, "train") == [("20bn-something-something-v2/78687.webm", names.index("Holding something next to something"))]
    assert listed(out, "val") == [("20bn-something-something-v2/151201.webm", names.index("Folding something"))]
    assert (out / "classes.txt").read_text().splitlines() == names
    assert report_of(out)["missing"] == ["train: 42326"]
    assert report_of(out)["notes"] == [
        "The 174 classes have the order of labels.json, as the zoo's sthsthv2 labels.",
        "There is no test-answers.csv beside the json files, so there is no list of the test videos.",
    ]
    (sthsth_tree / "test-answers.csv").write_text("78687;Folding something\n")
    assert sthsthv2.main(["--videos", str(sthsth_tree), "--annotations", str(sthsth_tree), "--out", str(out)]) == 0
    assert listed(out, "test") == [("20bn-something-something-v2/78687.webm", names.index("Folding something"))]


def test_something_something_files_that_are_wrong(sthsth_tree, tmp_path, capsys):
    arguments = ["--videos", str(sthsth_tree), "--annotations", str(sthsth_tree), "--out", str(tmp_path / "out")]
    labels, train = sthsth_tree / "something-something-v2-labels.json", sthsth_tree / "something-something-v2-train.json"
    train.write_text('[{"id": "1", "template": "Flying [something]"}]')
    assert "Video 1 of train has the template 'Flying [something]', which is not in labels.json;" in failure(
        sthsthv2.main, arguments, capsys
    )
    train.write_text('[{"id": "1"}]')
    assert "train.json in" in (said := failure(sthsthv2.main, arguments, capsys)) and "is no list of records with id and template" in said
    train.write_text("[")
    assert "something-something-v2-train.json is not JSON (" in failure(sthsthv2.main, arguments, capsys)
    train.unlink()
    assert "which holds neither something-something-v2-train.json nor train.json; it must hold" in failure(sthsthv2.main, arguments, capsys)
    (sthsth_tree / "test-answers.csv").write_text("1,2\n")
    train.write_text("[]")
    assert "test-answers.csv is no list of `id;class name`;" in failure(sthsthv2.main, arguments, capsys)
    labels.write_text('{"a": "0", "b": "2"}')
    assert "are not 0 to 1, each once; take it as it was published." in failure(sthsthv2.main, arguments, capsys)
    labels.write_text('["a"]')
    assert "is no object from class name to number" in failure(sthsthv2.main, arguments, capsys)


@pytest.fixture
def ucf_tree(tmp_path) -> Path:
    """The class index has the published order, where Hammering comes before HammerThrow."""
    root = tmp_path / "ucf"
    lists = root / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    names = sorted(label_file("ucf101").read_text().splitlines(), key=str.lower)
    (lists / "classInd.txt").write_text("".join(f"{number} {name}\r\n" for number, name in enumerate(names, 1)))
    assert names.index("Hammering") < names.index("HammerThrow")
    (lists / "trainlist01.txt").write_text(
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\r\nHammering/v_Hammering_g08_c01.avi 35\r\n"
        "HammerThrow/v_HammerThrow_g08_c01.avi 36\r\n"
    )
    (lists / "testlist01.txt").write_text("HandstandPushups/v_HandStandPushups_g01_c01.avi\r\nYoYo/v_YoYo_g01_c01.avi\r\n")
    for name in ("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01", "Hammering/v_Hammering_g08_c01", "HammerThrow/v_HammerThrow_g08_c01"):
        write_video(root / "UCF-101" / f"{name}.avi")
    write_video(root / "UCF-101" / "HandstandPushups" / "v_HandstandPushups_g01_c01.avi")  # spelled otherwise than in the list
    return root


def test_ucf101(ucf_tree, tmp_path):
    out = tmp_path / "out"
    arguments = ["--videos", str(ucf_tree / "UCF-101"), "--annotations", str(ucf_tree / "ucfTrainTestlist"), "--out", str(out)]
    assert ucf101.main(arguments) == 0
    names = label_file("ucf101").read_text().splitlines()
    assert (out / "classes.txt").read_text().splitlines() == names
    assert listed(out, "train") == [
        ("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", 0),
        ("Hammering/v_Hammering_g08_c01.avi", names.index("Hammering")),
        ("HammerThrow/v_HammerThrow_g08_c01.avi", names.index("HammerThrow")),
    ]
    assert listed(out, "val") == [("HandstandPushups/v_HandstandPushups_g01_c01.avi", names.index("HandstandPushups"))]
    assert report_of(out)["missing"] == ["val: YoYo/v_YoYo_g01_c01.avi"]


def test_ucf101_files_that_are_wrong(ucf_tree, tmp_path, capsys):
    lists = ucf_tree / "ucfTrainTestlist"
    arguments = ["--videos", str(ucf_tree / "UCF-101"), "--annotations", str(lists), "--out", str(tmp_path / "out")]
    assert "trainlist02.txt cannot be read (No such file or directory)" in failure(ucf101.main, [*arguments, "--split", "2"], capsys)
    (lists / "testlist01.txt").write_text("Flying/v_Flying_g01_c01.avi\n")
    message = "testlist01.txt:1: 'Flying/v_Flying_g01_c01.avi' is not `class/name.avi` of a class of classInd.txt. Take the file as it was"
    assert message in failure(ucf101.main, arguments, capsys)
    (lists / "classInd.txt").write_text("1 Apply Eye Makeup\n")
    assert "classInd.txt:1: '1 Apply Eye Makeup' is not `number name`." in failure(ucf101.main, arguments, capsys)


@pytest.fixture
def hmdb_tree(tmp_path) -> Path:
    root = tmp_path / "hmdb"
    splits = root / "testTrainMulti_7030_splits"
    splits.mkdir(parents=True)
    for name in label_file("hmdb51").read_text().splitlines():
        (splits / f"{name}_test_split1.txt").write_text("")
    (splits / "brush_hair_test_split1.txt").write_text(
        "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1 \r\nApril_09_brush_hair_u_nm_np1_ba_goo_1.avi 2 \n"
        "unused_brush_hair_u_cm_np2_ri_goo_2.avi 0 \n"
    )
    (splits / "ride_bike_test_split1.txt").write_text(
        "#437_How_To_Ride_A_Bike_ride_bike_f_cm_np1_le_med_0.avi 1 \n[IM]_a;b&c_ride_bike_l_cm_np1_ri_med_1.avi 2 \n"
    )
    for name in (
        "brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi",
        "brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_1.avi",
        "brush_hair/unused_brush_hair_u_cm_np2_ri_goo_2.avi",
        "#437_How_To_Ride_A_Bike_ride_bike_f_cm_np1_le_med_0.avi",
        "ride_bike/[IM]_a;b&c_ride_bike_l_cm_np1_ri_med_1.avi",
    ):
        write_video(root / "hmdb51_org" / name)
    return root


def test_hmdb51(hmdb_tree, tmp_path, capsys):
    out, bike = tmp_path / "out", label_file("hmdb51").read_text().splitlines().index("ride_bike")
    splits = hmdb_tree / "testTrainMulti_7030_splits"
    arguments = ["--videos", str(hmdb_tree / "hmdb51_org"), "--annotations", str(splits), "--out", str(out)]
    assert hmdb51.main(arguments) == 0
    assert listed(out, "train") == [
        ("brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi", 0),
        ("./#437_How_To_Ride_A_Bike_ride_bike_f_cm_np1_le_med_0.avi", bike),  # without the folder it would be a comment
    ]
    assert listed(out, "val") == [
        ("brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_1.avi", 0),
        ("ride_bike/[IM]_a;b&c_ride_bike_l_cm_np1_ri_med_1.avi", bike),
    ]
    assert report_of(out)["notes"] == [
        "The 51 classes have the order of the zoo's hmdb51 labels.",
        "1 files are in neither part of split 1 and are left out.",
    ]
    table = read_table(out / "train.csv", data_folder=hmdb_tree / "hmdb51_org", num_classes=51)
    assert [os.path.isfile(table.path(row)) for row in range(2)] == [True, True]
    (splits / "wave_test_split1.txt").write_text("a.avi 7\n")
    assert "wave_test_split1.txt:1: 'a.avi 7' is not `name.avi 0`, 1 or 2. Take" in failure(hmdb51.main, arguments, capsys)
    assert "which holds no file <class>_test_split3.txt; it must be" in failure(hmdb51.main, [*arguments, "--split", "3"], capsys)


def test_class_folders_are_split_the_same_way_every_time(tmp_path):
    for name, count in (("walk", 10), ("run", 5), ("sit", 1)):
        for number in range(count):
            path = tmp_path / "v" / name / f"{number}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    arguments = ["--videos", str(tmp_path / "v"), "--check", "none", "--test-share", "0.1"]
    for out, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        assert folder.main([*arguments, "--out", str(tmp_path / out), "--seed", seed]) == 0
    first = {split: listed(tmp_path / "a", split) for split in ("train", "val", "test")}
    assert first == {split: listed(tmp_path / "b", split) for split in first}
    assert first != {split: listed(tmp_path / "c", split) for split in first}
    assert {split: sorted(label for _, label in rows) for split, rows in first.items()} == {
        "train": [0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 2],
        "val": [0, 2, 2],
        "test": [0, 2],
    }
    assert len({path for rows in first.values() for path, _ in rows}) == 16
    assert "val has no video of 1 classes: sit." in report_of(tmp_path / "a")["notes"]
    assert (tmp_path / "a" / "classes.txt").read_text() == "run\nsit\nwalk\n"


def test_folders_train_and_val_are_kept(tmp_path, capsys):
    for name in ("train/run/a.mp4", "train/walk/b.mp4", "validation/walk/deep/c.mp4"):
        write_video(tmp_path / "v" / name)
    arguments = ["--videos", str(tmp_path / "v"), "--out", str(tmp_path / "out")]
    assert folder.main(arguments) == 0
    assert listed(tmp_path / "out", "train") == [("train/run/a.mp4", 0), ("train/walk/b.mp4", 1)]
    assert listed(tmp_path / "out", "val") == [("validation/walk/deep/c.mp4", 1)]
    write_video(tmp_path / "v" / "train" / "loose.mp4")
    assert "holds 1 videos outside of class folders, the first train/loose.mp4; each must be in train/CLASS/. Move them." in failure(
        folder.main, arguments, capsys
    )
    assert "--val-share is 0.9 and --test-share 0.2; each must be at least 0 and both together below 1." in failure(
        folder.main, [*arguments, "--val-share", "0.9", "--test-share", "0.2"], capsys
    )


def test_folders_of_videos_that_are_not(tmp_path, capsys):
    arguments = ["--out", str(tmp_path / "out"), "--videos"]
    assert f"--videos is {tmp_path}/none, which is no folder; it must hold" in failure(
        folder.main, [*arguments, f"{tmp_path}/none"], capsys
    )
    assert f"--videos is {tmp_path}, which holds no video; files ending in" in failure(folder.main, [*arguments, str(tmp_path)], capsys)


def test_links_back_up_are_not_followed_for_ever(tmp_path):
    write_video(tmp_path / "v" / "run" / "a.mp4")
    (tmp_path / "v" / "run" / "back").symlink_to(tmp_path / "v")
    assert folder.main(["--videos", str(tmp_path / "v"), "--out", str(tmp_path / "out"), "--val-share", "0"]) == 0
    assert listed(tmp_path / "out", "train") == [("run/a.mp4", 0)]


def test_headers_of_every_kind_of_wrong_file(tmp_path):
    write_video(tmp_path / "v" / "a" / "good.mp4")
    (tmp_path / "v" / "a" / "empty.mp4").touch()
    whole = (tmp_path / "v" / "a" / "good.mp4").read_bytes()
    (tmp_path / "v" / "a" / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with av.open(str(tmp_path / "v" / "a" / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (tmp_path / "v" / "a" / "line\nbreak.mp4").write_bytes(whole)
    assert folder.main(["--videos", str(tmp_path / "v"), "--out", str(tmp_path / "out"), "--val-share", "0"]) == 0
    assert listed(tmp_path / "out", "train") == [("a/good.mp4", 0)]
    assert {entry["path"]: entry["reason"] for entry in report_of(tmp_path / "out")["broken"]} == {
        "a/cut.mp4": "it has no video stream",  # the header stood at the end
        "a/empty.mp4": "it is empty (0 bytes)",
        "a/line\nbreak.mp4": "its name holds a line break",
        "a/sound.mp4": "it has no video stream",
    }


def test_prepare_lists_its_data_sets_and_runs_one_by_name(tmp_path, capsys):
    assert prepare(["--help"]) == 0
    assert "kinetics   Kinetics-400, 600 and 700" in capsys.readouterr().out
    assert prepare(["imagenet"]) == 2
    assert "'imagenet' is not a data set that prepare knows." in capsys.readouterr().err
    write_video(tmp_path / "v" / "run" / "-a.mp4")
    command = [sys.executable, "-m", "vidrec", "prepare", "folder", "--videos", "v", "--out", "out", "--val-share", "0"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (run.returncode, listed(tmp_path / "out", "train")) == (0, [("run/-a.mp4", 0)])
    assert "read headers: 100%" in run.stderr
