"""DATA.CONFINE: a list from elsewhere cannot name files outside its folder."""

from pathlib import Path

import pytest

from vidrec.config.defaults import get_cfg_defaults
from vidrec.data.annotations import VideoTable
from vidrec.data.annotations.confine import check_confined
from vidrec.data.build import build_dataset
from vidrec.utils.errors import DataError


@pytest.fixture
def folder(tmp_path) -> Path:
    """A data folder with good and bad links, beside a secret."""
    root = tmp_path / "data"
    (root / "sub").mkdir(parents=True)
    (root / "frames").mkdir()
    (root / "leaking").mkdir()
    (tmp_path / "secret").mkdir()
    for path in (
        tmp_path / "secret" / "s.mp4",
        tmp_path / "secret" / "1.jpg",
        root / "a.mp4",
        root / "sub" / "b.mp4",
        root / "frames/1.jpg",
    ):
        path.write_bytes(b"x")
    (root / "inside.mp4").symlink_to("sub/b.mp4")
    (root / "outside.mp4").symlink_to(tmp_path / "secret" / "s.mp4")
    (root / "door").symlink_to(tmp_path / "secret")
    (root / "leaking" / "1.jpg").symlink_to(tmp_path / "secret" / "1.jpg")
    (tmp_path / "database.mp4").write_bytes(b"x")  # its path begins like the folder's
    return root


def test_files_in_the_folder_pass(folder, tmp_path):
    good = ["a.mp4", "sub/b.mp4", "sub/../a.mp4", "inside.mp4", "frames", "missing.mp4", "gone/../a.mp4", "./a.mp4", "../data/a.mp4"]
    check_confined(VideoTable.from_paths(good, folder=str(folder)), "list.txt")
    (tmp_path / "link").symlink_to(folder)  # the folder itself may be reached by a link
    check_confined(VideoTable.from_paths(["a.mp4", "inside.mp4"], folder=str(tmp_path / "link")), "list.txt")


def test_everything_else_is_listed(folder, tmp_path):
    bad = [
        f"{folder}/a.mp4",
        "../secret/s.mp4",
        "outside.mp4",
        "door/s.mp4",
        "leaking",
        "..",
        "../database.mp4",
        "sub/../../secret/none.mp4",
    ]
    table = VideoTable.from_paths(["a.mp4", *bad], folder=str(folder))
    with pytest.raises(DataError) as caught:
        check_confined(table, "list.txt")
    assert str(caught.value).splitlines() == [
        f"8 rows of list.txt leave the data folder {folder}; with CONFIG.DATA.CONFINE True every file must lie in it. Correct the list, or "
        "set CONFIG.DATA.CONFINE False if you trust it:",
        f"  - row 1 (counted from 0), '{folder}/a.mp4': an absolute path",
        f"  - row 2 (counted from 0), '../secret/s.mp4': leads to {tmp_path}/secret/s.mp4",
        f"  - row 3 (counted from 0), 'outside.mp4': leads to {tmp_path}/secret/s.mp4",
        f"  - row 4 (counted from 0), 'door/s.mp4': leads to {tmp_path}/secret/s.mp4",
        f"  - row 5 (counted from 0), 'leaking': its 1.jpg leads to {tmp_path}/secret/1.jpg",
        f"  - row 6 (counted from 0), '..': leads to {tmp_path}",
        f"  - row 7 (counted from 0), '../database.mp4': leads to {tmp_path}/database.mp4",
        f"  - row 8 (counted from 0), 'sub/../../secret/none.mp4': leads to {tmp_path}/secret/none.mp4",
    ]


def test_at_most_20_are_shown(folder):
    with pytest.raises(DataError, match=r"30 rows of l leave .* if you trust it; the first 20 are:") as caught:
        check_confined(VideoTable.from_paths(["../x.mp4"] * 30, folder=str(folder)), "l")
    assert len(str(caught.value).splitlines()) == 21


def test_key_of_the_config_turns_it_on(folder):
    (folder / "list.txt").write_text("a.mp4 0\noutside.mp4 1\n")
    cfg = get_cfg_defaults()
    data = cfg.CONFIG.DATA
    data.TRAIN_ANNO_PATH = data.VAL_ANNO_PATH = str(folder / "list.txt")
    assert len(build_dataset(cfg, "train").table) == 2
    data.CONFINE = True
    for split in ("train", "val", "test"):
        with pytest.raises(DataError, match=r"1 rows of .*list.txt leave the data folder"):
            build_dataset(cfg, split)
