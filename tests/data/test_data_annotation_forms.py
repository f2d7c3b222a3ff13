"""Spans, several labels, names for labels, headers, JSON, class folders and what Windows writes; and the message about each mistake."""

import json
import os
import re
from pathlib import Path

import pytest
import torch

from vidrec.config.defaults import get_cfg_defaults
from vidrec.data.annotations import VideoTable, read_class_names, read_table
from vidrec.data.build import build_dataset
from vidrec.data.datasets import ClipDataset
from vidrec.data.loaders import make_loader
from vidrec.data.samplers import TrainSampler
from vidrec.data.spans import Span
from vidrec.utils.errors import ConfigError, DataError

NAMES = ["air drumming", "jump", "massaging person's head", "Putting something, then taking it"]


def read(tmp_path: Path, content: str, name: str = "list.txt", *, num_classes: int = 10, class_names=None, **options) -> VideoTable:
    file = tmp_path / name
    file.write_text(content, encoding="utf-8", newline="")
    return read_table(file, num_classes=num_classes, class_names=class_names, **options)


def mistakes(tmp_path: Path, content: str, name: str = "list.txt", **options) -> list[str]:
    with pytest.raises(DataError) as caught:
        read(tmp_path, content, name, **options)
    return str(caught.value).replace(f"{tmp_path}/", "").splitlines()


def rows(table: VideoTable) -> list[tuple]:
    return [(table.listed_path(row), table.label_set(row), int(table.num_frames[row]), table.span(row)) for row in range(len(table))]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a.mp4 10 20 3\nb c.mp4 0 7 4\n", [("a.mp4", (3,), 0, Span(10, 20)), ("b c.mp4", (4,), 0, Span(0, 7))]),
        ("a.mp4,10,20,3\n", [("a.mp4", (3,), 0, Span(10, 20))]),
        ("a.mp4 1.5 20 3\nb.mp4 0 7 4\n", [("a.mp4", (3,), 0, Span(1.5, 20, True)), ("b.mp4", (4,), 0, Span(0, 7, True))]),
        ("frames/one 120 3\n", [("frames/one", (3,), 120, None)]),
        ("a.mp4 20 10 3\n", [("a.mp4 20", (3,), 10, None)]),  # the end is not above the start: a path with a blank and a number
        ('"clip 1" 12 3\n', [("clip 1", (3,), 12, None)]),
    ],
)
def test_spans_of_text_lists(tmp_path, content, expected):
    assert rows(read(tmp_path, content)) == expected


def test_wrong_spans(tmp_path):
    good = "a.mp4 1 2 0\n" * 5
    assert mistakes(tmp_path, good + "b.mp4 5 5 0\nc.mp4 x 5 0\nd.mp4 1.5 -2 0\n") == [
        "list.txt has 3 wrong lines (read as `path start end label`):",
        "  - list.txt:6: end 5 is not above start 5; the end is the first frame or second left out. Correct it.",
        "  - list.txt:7: start 'x' is not a number; it must be frames (whole) or seconds (with a point). Correct it.",
        "  - list.txt:8: end '-2' is not a number; it must be frames (whole) or seconds (with a point). Correct it.",
    ]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("l.txt", "a.mp4 0,3,7\nb.mp4 2\n", [("a.mp4", (0, 3, 7), 0, None), ("b.mp4", (2,), 0, None)]),
        ("l.txt", "frames/one 120 0,3\nframes/two 80 2,2\n", [("frames/one", (0, 3), 120, None), ("frames/two", (2,), 80, None)]),
        ("l.txt", "a.mp4 1 9 0,3\n", [("a.mp4", (0, 3), 0, Span(1, 9))]),
        ("l.txt", "a.mp4 0;3\nb.mp4 4|5\n", [("a.mp4", (0, 3), 0, None), ("b.mp4", (4, 5), 0, None)]),
        ("l.csv", 'a.mp4,"0,3,7"\nb.mp4,2\n', [("a.mp4", (0, 3, 7), 0, None), ("b.mp4", (2,), 0, None)]),
        (
            "l.csv",
            'path,label\na.mp4,"0,3"\nb.mp4,2\nc.mp4,1;2\n',
            [("a.mp4", (0, 3), 0, None), ("b.mp4", (2,), 0, None), ("c.mp4", (1, 2), 0, None)],
        ),
        ("l.json", '[{"path": "a.mp4", "labels": [0, 3]}]', [("a.mp4", (0, 3), 0, None)]),
        ("l.txt", "my clip 1,3\n", [("my clip 1", (3,), 0, None)]),  # no ending and no number before it: commas separate
    ],
)
def test_several_labels(tmp_path, name, content, expected):
    assert rows(read(tmp_path, content, name)) == expected


def test_several_labels_become_the_labels_of_a_batch_and_none_of_a_softmax(tmp_path, make_video):
    for number in range(4):
        make_video(f"v{number}.mp4", 10)
    table = read(tmp_path, "v0.mp4 0,2\nv1.mp4 1\nv2.mp4 2,1\nv3.mp4 0\n", num_classes=3)
    assert (table.multi_label, table.first_multi_label(), table.labels.tolist()) == (True, 0, [0, 1, 2, 0])
    dataset = ClipDataset(table, clip_len=2, frame_stride=1, short_side=40, crop_size=32)
    (batch,) = make_loader(dataset, TrainSampler(4, 4), batch_size=4, num_workers=0)
    expected = torch.tensor([[1.0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0]])
    assert torch.equal(batch.labels, expected[batch.indices])
    assert (table.label_counts(4).tolist(), table.targets(3).tolist()) == ([2, 2, 2, 0], expected.bool().tolist())
    cfg = get_cfg_defaults()
    cfg.CONFIG.DATA.TRAIN_ANNO_PATH = cfg.CONFIG.DATA.VAL_ANNO_PATH = str(tmp_path / "list.txt")
    cfg.CONFIG.DATA.NUM_CLASSES = 3
    for split, key in (("train", "TRAIN_ANNO_PATH"), ("test", "VAL_ANNO_PATH")):
        message = (
            rf"CONFIG.DATA.{key} is '.*list.txt', whose row 0 \(counted from 0\) has the labels \(0, 2\); CONFIG.TRAIN.LOSS softmax takes"
        )
        with pytest.raises(ConfigError, match=message):
            build_dataset(cfg, split)
    single = read(tmp_path, "v0.mp4 0\n")
    assert (single.multi_label, single.label_set(0), single.label_counts(2).tolist(), single.targets(2)) == (False, (0,), [1, 0], None)
    with pytest.raises(ValueError, match="every row has one label"):
        single.first_multi_label()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("l.txt", "a.mp4 jump\nb c.mp4 air drumming\nc.mp4 air_drumming\nd.mp4 2\n"),
        ("l.txt", 'a.mp4 "jump"\n"b c.mp4" "air drumming"\nc.mp4 "Air drumming"\nd.mp4 "massaging person\'s head"\n'),
        ("l.csv", "a.mp4,jump\nb c.mp4,air drumming\nc.mp4,air_drumming\nd.mp4,massaging person-s head\n"),
        ("l.tsv", "a.mp4\tjump\nb c.mp4\tair drumming\nc.mp4\tair drumming\nd.mp4\t2\n"),
        ("l.csv", "Class,Video\njump,a.mp4\nair drumming,b c.mp4\n0,c.mp4\nmassaging_person's_head,d.mp4\n"),
        ("l.tsv", "path\tlabel\na.mp4\tjump\nb c.mp4\tair drumming\nc.mp4\tair drumming\nd.mp4\t2\n"),
    ],
)
def test_names_for_labels(tmp_path, name, content):
    expected = [("a.mp4", (1,), 0, None), ("b c.mp4", (0,), 0, None), ("c.mp4", (0,), 0, None), ("d.mp4", (2,), 0, None)]
    assert rows(read(tmp_path, content, name, num_classes=4, class_names=NAMES)) == expected


def test_several_names_and_names_with_commas(tmp_path):
    content = 'path,labels\na.mp4,"Putting [something], then taking it"\nb.mp4,jump;air drumming\nc.mp4,"jump,air drumming"\n'
    table = read(tmp_path, content, "l.csv", num_classes=4, class_names=NAMES)
    assert [table.label_set(row) for row in range(3)] == [(3,), (1, 0), (1, 0)]


def test_names_that_are_unknown_get_a_suggestion(tmp_path):
    message = "label 'jmp' is neither an integer in [0, 4) nor one of the 4 class names. Did you mean 'jump'? Correct it."
    assert mistakes(tmp_path, "a.mp4 1\nb.mp4 jmp\n", class_names=NAMES, num_classes=4)[1] == f"  - list.txt:2: {message}"
    assert mistakes(tmp_path, "path,label\nb.mp4,jmp\n", "l.csv", class_names=NAMES, num_classes=4)[1] == f"  - l.csv:2: {message}"
    assert mistakes(tmp_path, "path,label\nb.mp4,jump\n", "l.csv", num_classes=4)[1] == (
        "  - l.csv:2: label 'jump' is not an integer; it must be an integer in [0, 4). Correct it."
    )


def test_class_names_that_end_in_digits_are_told_from_numbers(tmp_path):
    table = read(tmp_path, "a.mp4 level 1\nb.mp4 level 0\nc.mp4 1\n", num_classes=2, class_names=["level 1", "level 0"])
    assert rows(table) == [("a.mp4", (0,), 0, None), ("b.mp4", (1,), 0, None), ("c.mp4", (1,), 0, None)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("path,num_frames,label\na.mp4,12,3\nb.mp4,,4\n", [("a.mp4", (3,), 12, None), ("b.mp4", (4,), 0, None)]),
        ("\ufefflabel,video_path\r\n3,a.mp4\r\n4,b.mp4\r\n", [("a.mp4", (3,), 0, None), ("b.mp4", (4,), 0, None)]),
        ("# made by hand\n\nPATH,Label\n# none\na.mp4,3\n\n", [("a.mp4", (3,), 0, None)]),
        ('file;class\n"a;b.mp4";3\n', [("a;b.mp4", (3,), 0, None)]),
        ("filename\tlabel\na, b.mp4\t3\n", [("a, b.mp4", (3,), 0, None)]),
        ("path,start,end,label\na.mp4,10,20,3\nb.mp4,,,4\n", [("a.mp4", (3,), 0, Span(10, 20)), ("b.mp4", (4,), 0, None)]),
        ("path,start,end,label\na.mp4,10,20.5,3\n", [("a.mp4", (3,), 0, Span(10, 20.5, True))]),
        ("path,time_start,time_end,label\na.mp4,10,20,3\n", [("a.mp4", (3,), 0, Span(10, 20, True))]),
        ("path,start_frame,end_frame,label\na.mp4,10,20,3\n", [("a.mp4", (3,), 0, Span(10, 20))]),
        ("class_id,path,label\n3,a.mp4,5\n", [("a.mp4", (5,), 0, None)]),
    ],
)
def test_tables_with_a_header(tmp_path, content, expected):
    for name in ("l.csv", "l.tsv"):
        assert rows(read(tmp_path, content, name)) == expected


def test_wrong_rows_of_a_table_with_a_header(tmp_path):
    content = 'path,num_frames,label\na.mp4,1\n,1,2\nb.mp4,x,2\nc.mp4,1,99\n"d.mp4,1,2\ne.mp4,1,\n'
    assert mistakes(tmp_path, content, "l.csv") == [
        "l.csv has 6 wrong lines (read as `path,num_frames,label` by its header):",
        "  - l.csv:2: the row has 2 of 3 fields; put fields that hold a delimiter in quotes. Correct it.",
        "  - l.csv:3: the row has no path; wanted is `path,num_frames,label` by its header.",
        "  - l.csv:4: num_frames 'x' is not an integer; it must be an integer, 0 where it is unknown. Correct it.",
        "  - l.csv:5: label 99 is outside [0, 10); labels count from 0. Correct it, or set CONFIG.DATA.NUM_CLASSES.",
        "  - l.csv:6: the row has 1 of 3 fields; put fields that hold a delimiter in quotes. Correct it.",
        "  - l.csv:7: label '' is not an integer; it must be an integer in [0, 10). Correct it.",
    ]
    assert mistakes(tmp_path, "path,label\n# none\n", "l.csv") == [
        "The annotation file l.csv lists no video; at least 1 line below the header is needed. Check the file."
    ]


def test_something_something_finds_its_labels_beside_it(tmp_path):
    (tmp_path / "labels.json").write_text(json.dumps({"Holding something": "1", "Moving something up": "0"}))
    (tmp_path / "videos").mkdir()
    records = [
        {
            "id": "78687",
            "label": "holding potato next to vicks vaporub bottle",
            "template": "Holding [something]",
            "placeholders": ["potato"],
        },
        {"id": "42326", "label": "moving it up", "template": "Moving [something] up", "placeholders": ["it"]},
    ]
    table = read(tmp_path, json.dumps(records), "train.json", num_classes=2, data_folder=tmp_path / "videos")
    assert rows(table) == [("78687.webm", (1,), 0, None), ("42326.webm", (0,), 0, None)]
    (tmp_path / "videos" / "78687.mp4").touch()
    table = read(tmp_path, json.dumps(records), "train.json", num_classes=2, data_folder=tmp_path / "videos")
    assert table.path(1) == str(tmp_path / "videos" / "42326.mp4")
    assert read_class_names(tmp_path / "labels.json", num_classes=2) == ["Moving something up", "Holding something"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('[{"path": "a.mp4", "label": 3, "num_frames": 12}]', [("a.mp4", (3,), 12, None)]),
        ('[{"video": "a.mp4", "label": "3", "start": 2, "end": 9}]', [("a.mp4", (3,), 0, Span(2, 9))]),
        ('[{"video": "a.mp4", "label": 3, "start_time": 2, "end_time": 9}]', [("a.mp4", (3,), 0, Span(2, 9, True))]),
        (
            '{"a.mp4": {"label": 3}, "b.mp4": 4, "c": [1, 2]}',
            [("a.mp4", (3,), 0, None), ("b.mp4", (4,), 0, None), ("c.webm", (1, 2), 0, None)],
        ),
    ],
)
def test_json_lists_and_objects(tmp_path, content, expected):
    assert rows(read(tmp_path, content, "l.json")) == expected


def test_wrong_json(tmp_path):
    assert mistakes(tmp_path, '[{"path": "a.mp4"}, 7, {"label": 3}, {"path": "b.mp4", "label": 10}]', "l.json") == [
        'l.json has 4 wrong records (read as records such as {"path": ..., "label": ...} or {"id": ..., "template": ...}):',
        "  - l.json:1: {'path': 'a.mp4'} has no label; wanted are records such as {\"path\": ..., \"label\": ...} or "
        '{"id": ..., "template": ...}. Correct it.',
        '  - l.json:2: 7 is no record; wanted are records such as {"path": ..., "label": ...} or {"id": ..., "template": ...}. Correct it.',
        '  - l.json:3: {\'label\': 3} has neither path nor id; wanted are records such as {"path": ..., "label": ...} or '
        '{"id": ..., "template": ...}. Correct it.',
        "  - l.json:4: label 10 is outside [0, 10); labels count from 0. Correct it, or set CONFIG.DATA.NUM_CLASSES.",
    ]
    assert mistakes(tmp_path, "[1", "l.json")[0].startswith(
        "l.json is not JSON (Expecting ',' delimiter: line 1 column 3 (char 2)); wanted are"
    )
    assert mistakes(tmp_path, '"a"', "l.json")[0].startswith("l.json holds a JSON str; wanted are records")
    assert mistakes(tmp_path, "[]", "l.json")[0].startswith("The annotation file l.json lists no video; at least 1 record is needed")


@pytest.mark.parametrize("content", ['{"a": 0, "b": 2}', "[1, 2]", "3", '{"a": "x"}'])
def test_json_that_holds_no_class_names(tmp_path, content):
    (tmp_path / "names.json").write_text(content)
    with pytest.raises(
        DataError, match=r"names.json does not hold class names: wanted is a list of names, or an object from name to number"
    ):
        read_class_names(tmp_path / "names.json", num_classes=2)
    (tmp_path / "names.json").write_text("{")
    with pytest.raises(DataError, match=r"names.json is not JSON .*; class names are a list, or an object"):
        read_class_names(tmp_path / "names.json", num_classes=2)


def test_class_names_of_json(tmp_path):
    for content in ('["a", "b"]', '{"b": 1, "a": 0}', '{"1": "b", "0": "a"}'):
        (tmp_path / "names.json").write_text(content)
        assert read_class_names(tmp_path / "names.json", num_classes=2) == ["a", "b"]


@pytest.fixture
def class_tree(tmp_path) -> Path:
    root = tmp_path / "train"
    for name in (
        "run/b.mp4",
        "run/a.AVI",
        "jump/sub/c.webm",
        "jump/notes.txt",
        "walk/frames/img_1.jpg",
        "walk/frames/img_2.jpg",
        ".hidden/d.mp4",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_folder_of_class_folders(class_tree):
    table = read_table(class_tree, num_classes=3)
    expected = [("jump/sub/c.webm", (0,), 0), ("run/a.AVI", (1,), 0), ("run/b.mp4", (1,), 0), ("walk/frames", (2,), 2)]
    assert [row[:3] for row in rows(table)] == expected
    assert table.path(0) == str(class_tree / "jump/sub/c.webm")
    assert len(table.sha256) == 64 and table.sha256 == read_table(f"{class_tree}/", num_classes=3).sha256
    named = read_table(class_tree, num_classes=4, class_names=["walk", "sit", "run", "jump"])
    assert named.labels.tolist() == [3, 2, 2, 0]
    assert named.sha256 != table.sha256


def test_class_folders_that_do_not_fit_the_classes(class_tree, tmp_path):
    with pytest.raises(DataError, match=r"train has 3 class folders, but CONFIG.DATA.NUM_CLASSES is 2; without CONFIG.DATA.CLASS_NAMES"):
        read_table(class_tree, num_classes=2)
    message = (
        "has 1 folders that are none of the 3 class names, the first 'jump'; each must be one of CONFIG.DATA.CLASS_NAMES."
        " Did you mean 'jumps'?"
    )
    with pytest.raises(DataError, match=re.escape(message)):
        read_table(class_tree, num_classes=3, class_names=["jumps", "run", "walk"])
    (tmp_path / "empty" / "a").mkdir(parents=True)
    with pytest.raises(DataError, match=r"The class folders in .*empty hold no video; files ending in .*\.mp4.* or folders of images"):
        read_table(tmp_path / "empty", num_classes=1)


def test_windows_separators(tmp_path):
    assert rows(read(tmp_path, "jump\\a.mp4 3\r\nrun/sub\\b.mp4 4\r\n")) == [
        ("jump/a.mp4", (3,), 0, None),
        ("run/sub/b.mp4", (4,), 0, None),
    ]
    (tmp_path / "odd\\name.mp4").touch()
    assert rows(read(tmp_path, "plain.mp4 1\nodd\\name.mp4 3\n"))[1][0] == "odd\\name.mp4"


def test_config_gives_names_to_the_list(tmp_path, make_video):
    make_video("a.mp4", 10)
    (tmp_path / "names.txt").write_text("run\njump\n")
    (tmp_path / "list.csv").write_text("path,label\na.mp4,jump\n")
    cfg = get_cfg_defaults()
    data = cfg.CONFIG.DATA
    data.VAL_ANNO_PATH, data.CLASS_NAMES, data.NUM_CLASSES = str(tmp_path / "list.csv"), str(tmp_path / "names.txt"), 2
    assert build_dataset(cfg, "test").table.labels.tolist() == [1]
    assert os.path.samefile(build_dataset(cfg, "test").table.path(0), tmp_path / "a.mp4")
