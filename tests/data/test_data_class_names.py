"""Class names of the config: a file, or a data set of the zoo."""

import re

import pytest

from vidrec.config.defaults import get_cfg_defaults
from vidrec.data.build import class_names
from vidrec.model_zoo.labels import data_sets, label_file
from vidrec.utils.errors import DataError


def names_of(source, num_classes=3):
    cfg = get_cfg_defaults()
    cfg.CONFIG.DATA.CLASS_NAMES, cfg.CONFIG.DATA.NUM_CLASSES = str(source), num_classes
    return class_names(cfg)


def test_class_names_of_a_file_and_of_nothing(tmp_path):
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    assert names_of(tmp_path / "names.txt") == ["a", "b", "c"]
    assert names_of("") is None


@pytest.mark.parametrize(
    ("data_set", "count", "first", "last"),
    [
        ("kinetics400", 400, "abseiling", "zumba"),
        ("kinetics700", 700, "abseiling", "zumba"),
        ("sthsthv2", 174, "Approaching something with your camera", "Wiping something off of something"),
        ("ucf101", 101, "ApplyEyeMakeup", "YoYo"),
        ("hmdb51", 51, "brush_hair", "wave"),
    ],
)
def test_class_names_of_a_data_set_of_the_zoo(data_set, count, first, last):
    names = names_of(data_set, count)
    assert (len(names), names[0], names[-1]) == (count, first, last)
    assert len(set(names)) == count
    with pytest.raises(DataError, match=rf"{data_set}.txt has {count} class names, but CONFIG.DATA.NUM_CLASSES is 3;"):
        names_of(data_set)


def test_class_names_that_are_neither_a_file_nor_a_data_set(tmp_path):
    message = (
        "CONFIG.DATA.CLASS_NAMES is 'kinetic400', which is no file; it must be a text file with one class name a line, or one of hmdb51,"
        " kinetics400, kinetics700, sthsthv2, ucf101. Check the path. Did you mean 'kinetics400' or 'kinetics700'?"
    )
    with pytest.raises(DataError, match=re.escape(message)):
        names_of("kinetic400")
    with pytest.raises(DataError, match="which is no file"):
        names_of(tmp_path)


def test_label_file_of_an_unknown_data_set():
    assert data_sets() == ["hmdb51", "kinetics400", "kinetics700", "sthsthv2", "ucf101"]
    with pytest.raises(KeyError, match="imagenet"):
        label_file("imagenet")
