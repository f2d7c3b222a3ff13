"""Files of features: names that never meet, folders that go on, tables that read back equal, and what is said of bad ones."""

import json
import resource

import numpy as np
import pytest

from vidrec.data.spans import Span
from vidrec.inference.feature_names import ListedVideo, file_names, flat_names
from vidrec.inference.feature_reading import read_features
from vidrec.inference.feature_store import FeatureStore, differences
from vidrec.inference.feature_tables import Found, TableHead
from vidrec.utils.errors import DataError, UserError

SETTINGS = {"layer": "head.pool", "protocol": {"num_views": 3}}
FRAMES, SECONDS = Span(30, 60), Span(1.5, 2, True)


@pytest.mark.parametrize(
    ("paths", "root", "names"),
    [
        (["/v/run/a.mp4", "/v/jump/a.mp4"], "/v", ["run/a.npy", "jump/a.npy"]),
        (["/v/a.mp4", "/v/a.avi", "/v/b.avi"], "/v", ["a.mp4.npy", "a.avi.npy", "b.npy"]),
        (["/v/run/a.mp4", "/other/a.mp4"], "/v", ["v/run/a.npy", "other/a.npy"]),
        (["/v/../w/a.mp4", "/v/a.mp4"], "/v", ["w/a.npy", "v/a.npy"]),
        (["http://h/s/0.tar#run/a.mp4", "http://h/s/1.tar#run/b.mp4"], "", ["0.tar/run/a.npy", "1.tar/run/b.npy"]),
        (["/v/frames_1.5"], "/v", ["frames_1.npy"]),
        (["/v/a.mp4", "/v/a.mp4"], "/v", ["a.npy", "a.npy"]),
    ],
)
def test_files_lie_as_the_videos_do(paths, root, names):
    assert file_names([ListedVideo(path) for path in paths], root) == names


def test_parts_of_a_video_have_files_of_their_own():
    rows = [ListedVideo("/v/a.mp4", FRAMES), ListedVideo("/v/a.mp4", SECONDS), ListedVideo("/v/a.mp4")]
    assert file_names(rows, "/v") == ["a_30-60f.npy", "a_1.5-2s.npy", "a.npy"]
    assert flat_names(rows) == ["a_30-60f_feat.npy", "a_1.5-2s_feat.npy", "a_feat.npy"]


def test_flat_names_that_meet_are_refused():
    with pytest.raises(UserError, match=r"/v/run/a.mp4 and /v/jump/a.mp4 would both write a_feat.npy; .* Leave out --flat-names"):
        flat_names([ListedVideo("/v/run/a.mp4"), ListedVideo("/v/jump/a.mp4")])


def test_a_folder_goes_on_with_the_rows_that_it_lacks(tmp_path):
    store = FeatureStore(tmp_path / "out", ["run/a.npy", "b.npy", "run/a.npy"], "npy")
    assert store.begin(SETTINGS) == [0, 1]  # row 2 is row 0 once more
    store.add(Found(0, np.ones(3, np.float32), np.zeros(2)))
    (tmp_path / "out/b.npy.tmp.4194304").touch()  # left by a process that was killed
    again = FeatureStore(tmp_path / "out", ["run/a.npy", "b.npy", "run/a.npy"], "npy")
    assert again.begin(SETTINGS) == [1]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["features.json", "run", "stamps_0.txt"]
    assert not again.finished()


@pytest.mark.parametrize("form", ["npy", "npz"])
def test_a_video_that_was_replaced_lacks_its_feature_again(tmp_path, form):
    names = ["a.npy", "b.npy", "c.npy", "d.npy", "e.npy"]
    then = [(100, 7), (100, 7), (100, 7), (0, 0), (100, 7)]
    now = [(100, 7), (101, 7), (100, 8), (100, 7), (0, 0)]  # the same, another size, another time, unknown then, unknown now
    store = FeatureStore(tmp_path, names, form)
    store.begin(SETTINGS, then.__getitem__)
    for row, stamp in enumerate(then):
        store.add(Found(row, np.ones(3, np.float32), np.zeros(2)), stamp)
    (tmp_path / "stamps_1.txt").write_text("1 100 7\n4 9")  # of another process, cut by a kill
    again = FeatureStore(tmp_path, names, form)
    assert (again.begin(SETTINGS, now.__getitem__), again.replaced) == ([1, 2], [1, 2])
    again.add(Found(1, np.ones(3, np.float32), np.zeros(2)), now[1])
    last = FeatureStore(tmp_path, names, form)
    assert (last.begin(SETTINGS, now.__getitem__), last.replaced) == ([2], [])
    last.drop_unfinished()
    assert not list(tmp_path.glob("stamps_*"))


def test_features_of_videos_in_a_folder_named_parts_stay(tmp_path):
    store = FeatureStore(tmp_path / "out", ["parts/a.npy"], "npy")
    store.begin(SETTINGS)
    store.add(Found(0, np.ones(3, np.float32), np.zeros(2)))
    store.drop_unfinished()
    assert np.load(tmp_path / "out/parts/a.npy").tolist() == [1.0, 1.0, 1.0]


def test_a_folder_of_other_settings_is_refused_with_what_differs(tmp_path):
    FeatureStore(tmp_path, ["a.npy"], "npy").begin(SETTINGS)
    other = {"layer": "head.fc", "protocol": {"num_views": 1}, "pool": "none"}
    with pytest.raises(UserError) as caught:
        FeatureStore(tmp_path, ["a.npy"], "npy").begin(other)
    assert str(caught.value).splitlines()[1:] == [
        "  - layer: head.pool there, head.fc here",
        "  - protocol.num_views: 3 there, 1 here",
        "  - pool: nothing there, none here",
    ]
    assert differences(dict.fromkeys(map(str, range(12)), 1), {})[-1] == "and 2 more"


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match=r"holds files and no features.json; an empty folder, .* Choose another with --output"):
        FeatureStore(tmp_path, ["a.npy"], "npy").begin(SETTINGS)
    (tmp_path / "features.json").write_text("{")
    with pytest.raises(UserError, match=r"features.json is no JSON"):
        FeatureStore(tmp_path, ["a.npy"], "npy").begin(SETTINGS)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written \(Not a directory; [\d,]+ bytes are free there\); .* another folder"):
        FeatureStore(tmp_path / "file" / "out", ["a.npy"], "npy").begin(SETTINGS)


def test_a_disk_without_room_is_said_and_leaves_no_half_file(tmp_path):
    store = FeatureStore(tmp_path, ["a.npy"], "npy")
    store.begin(SETTINGS)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # bytes in a file, as a full disk would have room for
    try:
        with pytest.raises(UserError, match=r"cannot be written \(File too large; .* start the same command again, which goes on"):
            store.add(Found(0, np.ones(1000, np.float32), np.zeros(2)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features.json", "stamps_0.txt"]


def table_of(folder, form, *, views, labels, shape=(2,)):
    """Writes a table of two videos."""
    store = FeatureStore(folder, ["", ""], form)
    assert store.begin(SETTINGS) == [0, 1]
    values = np.arange(2 * max(views, 1) * np.prod(shape), dtype=np.float32).reshape(2, *((views,) if views else ()), *shape)
    seconds = np.array([[0.5, 1.5], [np.nan, np.nan]])
    for row in (1, 0):  # the order in which they come does not matter
        store.add(Found(row, values[row], np.repeat(seconds[row : row + 1], views, axis=0) if views else seconds[row]))
    head = TableHead(["run/a.mp4", "b\udcff.mp4"], labels, values.shape[1:], views, SETTINGS | {"class_names": ["run", "jump"]})
    return store.write_table([0, 1], head), values


@pytest.mark.parametrize("form", ["npz", "parquet"])
@pytest.mark.parametrize(("views", "shape"), [(0, (2,)), (3, (2,)), (3, (2, 2, 1, 1)), (0, (2, 2, 1, 1))])
@pytest.mark.parametrize("labels", [[(1,), ()], [(1, 0), (1,)]])
def test_a_table_reads_back_equal(tmp_path, form, views, shape, labels):
    file, values = table_of(tmp_path / "out", form, views=views, labels=labels, shape=shape)
    found = read_features(file)
    np.testing.assert_array_equal(found.values, values)
    assert found.labels == labels and found.paths[0] == "run/a.mp4"
    assert (found.settings, found.class_names) == (SETTINGS, ["run", "jump"])
    assert file.read_bytes() == table_of(tmp_path / "again", form, views=views, labels=labels, shape=shape)[0].read_bytes()
    assert read_features(tmp_path / "out").paths == found.paths


def test_a_parquet_table_has_a_row_for_each_view(tmp_path):
    from pyarrow import parquet

    table = parquet.read_table(table_of(tmp_path, "parquet", views=3, labels=[(1,), ()])[0])
    assert table.column_names == ["path", "label", "start", "end", "view", "feature"]
    assert str(table.schema.field("feature").type) == "fixed_size_list<element: float>[2]"
    assert table["path"].to_pylist() == ["run/a.mp4"] * 3 + ["b\\xff.mp4"] * 3
    assert table["label"].to_pylist() == [1] * 3 + [None] * 3
    assert table["view"].to_pylist() == [0, 1, 2] * 2
    assert table["start"].to_pylist() == [0.5] * 3 + [None] * 3 and table["end"].to_pylist() == [1.5] * 3 + [None] * 3
    assert table["feature"].to_pylist()[3] == [6.0, 7.0]


def test_an_npz_table_needs_nothing_but_numpy(tmp_path):
    with np.load(table_of(tmp_path, "npz", views=3, labels=[(1, 0), ()])[0]) as arrays:
        assert arrays["features"].shape == (2, 3, 2) and arrays["features"].dtype == np.float32
        assert arrays["labels"].tolist() == [1, -1]
        assert (arrays["label_offsets"].tolist(), arrays["label_values"].tolist()) == ([0, 2, 2], [1, 0])
        np.testing.assert_array_equal(arrays["start"], [[0.5] * 3, [np.nan] * 3])
        assert json.loads(str(arrays["settings"]))["layer"] == "head.pool"


def test_a_damaged_part_is_named(tmp_path):
    store = FeatureStore(tmp_path, ["", ""], "npz")
    store.begin(SETTINGS)
    store.file(0).write_bytes(b"PK damaged")
    with pytest.raises(UserError, match=r"parts/0000/00000000.npz is damaged .* Remove it and start the command again"):
        store.write_table([0], TableHead(["a"], [(0,)], (2,), 0, SETTINGS))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none", None, r"There are no features at .*none; a folder of features .* is wanted"),
        ("list.txt", b"a.mp4 1", r"list.txt is no table of features"),
        ("bad.npz", b"PK", r"bad.npz cannot be read as a table of features"),
        ("bad.parquet", b"PAR1", r"bad.parquet cannot be read as a table of features"),
        ("folder/other.txt", b"", r"There are no features in .*folder;"),
        ("folder/features.json", b'{"complete": false}', r"The features in .*folder are not complete; all of them are wanted"),
        ("folder/features.json", b"[", r"The features in .*folder cannot be read"),
    ],
)
def test_what_is_no_features_is_said(tmp_path, name, content, message):
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_features(place.parent if "/" in name else place)


def test_arrays_of_other_making_are_taken(tmp_path):
    np.savez(tmp_path / "mine.npz", features=np.eye(3, dtype=np.float32), labels=[0, 1, 1])
    found = read_features(tmp_path / "mine.npz")
    assert (found.labels, found.settings, found.class_names) == ([(0,), (1,), (1,)], {}, None)
    assert found.paths[2] == f"row 2 of {tmp_path}/mine.npz"
    np.savez(tmp_path / "short.npz", features=np.eye(3), labels=[0, 1])
    with pytest.raises(DataError, match="it has 3 features and 2 labels"):
        read_features(tmp_path / "short.npz")
