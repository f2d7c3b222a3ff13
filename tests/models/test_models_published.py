"""Published weights by zoo name: the table, the choice of the file, and networks that load it."""

import hashlib
import logging
import re
import zipfile

import pytest
import torch

from vidrec.config.defaults import get_cfg_defaults
from vidrec.model_zoo import specs
from vidrec.model_zoo import weights as zoo_weights
from vidrec.model_zoo.weights import FILES, WeightsFile, published
from vidrec.models.build import build_model, get_model
from vidrec.models.weights.fetch import cache_folder, file_url
from vidrec.models.weights.names import to_reference
from vidrec.models.weights.params import write_params
from vidrec.models.weights.zoo import find_published, load_published
from vidrec.utils.errors import WeightsError

NAME = "resnet18_v1b_kinetics400"


def config(**model):
    cfg = get_cfg_defaults()
    cfg.CONFIG.MODEL.update({"NAME": NAME, **model})
    cfg.CONFIG.DATA.update({"NUM_CLASSES": 400, "NUM_SEGMENT": 7, "CLIP_LEN": 1})
    return cfg


def test_weights_table():
    assert len(FILES) == 72
    assert {(file.section, file.name) for file in FILES} <= {(row.section, row.name) for row in specs.ROWS}
    assert len({(file.section, file.name, file.hashtag) for file in FILES}) == 72
    assert sum(len(file.sha1) == 8 for file in FILES) == 5
    assert all(re.fullmatch("[0-9a-f]{40}|[0-9a-f]{8}", file.sha1) for file in FILES)
    file = published("i3d_resnet50_v1_kinetics400", "torch")[0]
    assert (file.hashtag, file.file_name) == ("18545497", "i3d_resnet50_v1_kinetics400-18545497.pth")
    assert file_url(file) == (
        "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/torch/models/i3d_resnet50_v1_kinetics400-18545497.pth"
    )
    assert published("i3d_resnet50_v1_custom", "torch") == [file]
    twin = published("i3d_resnet50_v1_kinetics400", "mxnet")[0]
    assert (twin.file_name, twin.place) == (f"{twin.stem}.params", f"gluon/models/{twin.stem}.zip")
    assert published("slowfast_16x8_resnet101_kinetics400", "torch") == []


def test_int8_name_has_the_file_of_its_float_network():
    assert find_published(f"{NAME}_int8", "mxnet") == find_published(NAME, "mxnet")
    assert find_published(f"{NAME}_int8", "mxnet").name == NAME


@pytest.mark.parametrize(
    ("hashtag", "found"),
    [("", "2ec6bf01"), ("2ec6bf01", "2ec6bf01"), ("2ec6bf01a55af38579380e6531d0ecc816862abe", "2ec6bf01"), ("0d0ad559", "0d0ad559")],
)
def test_name_alone_means_its_first_file_and_a_hashtag_another(hashtag, found):
    assert find_published("i3d_resnet50_v1_hmdb51", "mxnet", hashtag).hashtag == found


def put(folder, state: dict[str, torch.Tensor], section: str) -> WeightsFile:
    """Publishes a state dict under the name of resnet18 below a mirror folder."""
    raw = folder / "raw.params"
    torch.save(state, raw) if section == "torch" else write_params(raw, state)
    file = WeightsFile(section, NAME, hashlib.sha1(raw.read_bytes()).hexdigest(), "", 7, "1", None)
    (folder / file.place).parent.mkdir(parents=True)
    if section == "torch":
        raw.rename(folder / file.place)
    else:
        with zipfile.ZipFile(folder / file.place, "w") as archive:
            archive.write(raw, file.file_name)
    return file


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """resnet18's file of each section (with weights of its own) in a folder, an empty cache, and the networks of both files."""
    monkeypatch.setenv("VIDREC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VIDREC_MIRROR", f"file://{tmp_path}")
    networks, files = {}, {}
    for seed, (section, layout) in enumerate((("torch", "resnet_v1b"), ("mxnet", "mxnet/resnet_v1b"))):
        torch.manual_seed(seed)
        networks[section] = get_model(NAME, zoo=section)
        files[section] = put(tmp_path, to_reference(networks[section].state_dict(), layout), section)
    monkeypatch.setattr(zoo_weights, "FILES", tuple(files.values()))
    return tmp_path, files, networks


def same(model, other) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("section", ["torch", "mxnet"])
def test_published_weights_are_fetched_once_and_loaded(section, mirror, caplog):
    folder, files, networks = mirror
    with caplog.at_level(logging.INFO, logger="vidrec"):
        model = build_model(config(ZOO=section, PRETRAINED=True))
    assert same(model, networks[section])
    assert f"102 of 102 tensors from {cache_folder() / files[section].file_name}" in caplog.text
    assert [path.name for path in cache_folder().iterdir() if path.suffix != ".lock"] == [files[section].file_name]
    (folder / files[section].place).unlink()  # the second time it comes from the cache
    assert same(build_model(config(PRETRAINED=files[section].hashtag)), networks[section])


def test_custom_name_takes_the_kinetics_file_and_keeps_its_classifier(mirror, caplog):
    _, _, networks = mirror
    model = get_model(NAME, num_classes=9)
    with caplog.at_level(logging.INFO, logger="vidrec"):
        report = load_published(model, "resnet18_v1b_custom", section="torch")
    assert torch.equal(model.backbone.stem.conv.weight, networks["torch"].backbone.stem.conv.weight)
    assert report.missing == ("head.fc.weight", "head.fc.bias")
    assert "resnet18_v1b_custom starts from resnet18_v1b_kinetics400 and keeps a fresh classifier" in caplog.text


def test_int8_name_loads_the_float_weights_with_their_classifier(mirror, caplog):
    _, _, networks = mirror
    with caplog.at_level(logging.INFO, logger="vidrec"):
        model = get_model(f"{NAME}_int8", pretrained=True)
    assert same(model, networks["mxnet"])
    assert "keeps a fresh classifier" not in caplog.text


def test_other_number_of_classes_keeps_a_fresh_classifier_in_python(mirror):
    _, _, networks = mirror
    model = get_model(NAME, num_classes=9, pretrained=True)
    assert model.head.fc.out_features == 9
    assert torch.equal(model.backbone.stem.conv.weight, networks["torch"].backbone.stem.conv.weight)
    cfg = config(PRETRAINED=True)
    cfg.CONFIG.DATA.NUM_CLASSES = 9
    with pytest.raises(WeightsError, match=r"classifies 400 classes; this network has 9\. .* CONFIG\.MODEL\.RESET_HEAD True"):
        build_model(cfg)


def test_offline_the_error_names_url_and_place(mirror):
    folder, files, _ = mirror
    file = files["torch"]
    (folder / file.place).unlink()
    with pytest.raises(WeightsError) as error:
        get_model(NAME, pretrained=True)
    place = folder / "home" / "weights" / file.file_name
    assert str(error.value).startswith(f"file://{folder}/{file.place} cannot be fetched (")
    assert str(error.value).endswith(f"the weights must be at {place}. Put the file there, or set CONFIG.MODEL.PRETRAINED False.")


@pytest.mark.parametrize(
    ("name", "section", "hashtag", "message"),
    [
        ("", "torch", "", "CONFIG.MODEL.PRETRAINED is set; published weights go by CONFIG.MODEL.NAME, which is ''. Set CONFIG.MODEL.NAME,"),
        (
            "slowfast_16x8_resnet50_sthsthv2",
            "mxnet",
            "",
            "slowfast_16x8_resnet50_sthsthv2 has no published weights in the mxnet section, and torch (CONFIG.MODEL.ZOO) has '05203231'; "
            "CONFIG.MODEL.PRETRAINED must be False for it. Train it, or start from a file of your own with CONFIG.MODEL.LOAD True",
        ),
        (
            "resnet18_v1b_kinetics400",
            "torch",
            "00000000",
            "CONFIG.MODEL.PRETRAINED is '00000000', which fits no file of resnet18_v1b_kinetics400; the torch section has the published "
            "weights '854b23e4', and mxnet (CONFIG.MODEL.ZOO) has '46d5a985'. Use one of those, or True.",
        ),
        (
            "c3d_kinetics400",
            "mxnet",
            "00000000",
            "which fits no file of c3d_kinetics400; the mxnet section has the published weights 'a007b5fa'. Use one of those, or True.",
        ),
    ],
)
def test_names_and_hashtags_without_weights_say_which_exist(name, section, hashtag, message):
    with pytest.raises(WeightsError) as caught:
        find_published(name, section, hashtag)
    assert message in str(caught.value)


def test_digits_with_which_several_files_begin_are_no_choice(monkeypatch):
    files = [WeightsFile("torch", NAME, f"a{digit}" * 20, "", 7, "1", None) for digit in "12"]
    monkeypatch.setattr(zoo_weights, "FILES", tuple(files))
    with pytest.raises(WeightsError, match=r"is 'a', which fits several files of resnet18_v1b_kinetics400; .* 'a1a1a1a1', 'a2a2a2a2'"):
        find_published(NAME, "torch", "a")
