"""ImageNet starts, inflation and published weights, without a network."""

import hashlib
import logging
import re

import pytest
import torch
import torchvision

from vidrec.config.defaults import get_cfg_defaults
from vidrec.model_zoo import specs
from vidrec.model_zoo import weights as zoo_weights
from vidrec.model_zoo.weights import FILES, WeightsFile, published
from vidrec.models.build import build_model, get_model
from vidrec.models.weights import zoo
from vidrec.models.weights.imagenet import load_imagenet
from vidrec.models.weights.inflate import inflate
from vidrec.models.weights.names import to_reference
from vidrec.utils.errors import WeightsError


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty torch hub folder; nothing can be reached over a network."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("urllib.request.OpenerDirector.open", _no_network)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder


def _no_network(*args, **kwargs):
    raise OSError("no route to host")


def put_parent(folder, depth: int):
    """torchvision's 2-D network with random weights and statistics, saved where its ImageNet file belongs."""
    torch.manual_seed(depth)
    parent = torchvision.models.get_model(f"resnet{depth}")
    for name, tensor in parent.state_dict().items():
        if name.endswith("running_mean"):
            tensor.uniform_(-0.1, 0.1)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
    url = torchvision.models.get_model_weights(f"resnet{depth}").IMAGENET1K_V1.url
    torch.save(parent.state_dict(), folder / url.rsplit("/", 1)[1])
    return parent.eval()


@pytest.mark.parametrize(
    ("kernel", "shape"), [((2, 3, 1, 1), (2, 3, 3, 1, 1)), ((4, 3, 7, 7), (4, 3, 5, 7, 7)), ((2, 3, 3, 3), (2, 3, 1, 3, 3)), ((2,), (2,))]
)
def test_inflated_kernel_sums_to_the_flat_one(kernel, shape):
    flat = torch.randn(kernel)
    inflated = inflate(flat, torch.Size(shape))
    assert inflated.shape == shape
    torch.testing.assert_close(inflated.sum(2) if len(shape) == 5 else inflated, flat)


def test_inflation_by_hand_and_its_limits():
    assert inflate(torch.full((1, 1, 1, 1), 6.0), torch.Size((1, 1, 3, 1, 1))).flatten().tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(WeightsError, match=r"shape \[2, 3, 3, 3\] cannot be inflated to \[2, 4, 3, 3, 3\]; only the time axis may be new"):
        inflate(torch.zeros(2, 3, 3, 3), torch.Size((2, 4, 3, 3, 3)))


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_2d_network_with_imagenet_weights_is_torchvisions(depth, hub):
    parent = put_parent(hub, depth)
    model = get_model(f"resnet{depth}_v1b_kinetics400", pretrained_base=True, features_only=True).eval()
    clips = torch.randn(1, 3, 2, 40, 40)
    parent.fc = torch.nn.Identity()
    with torch.inference_mode():
        wanted = parent(clips.transpose(1, 2).flatten(0, 1)).mean(dim=0, keepdim=True)
        torch.testing.assert_close(model(clips), wanted, rtol=1e-4, atol=1e-4 * wanted.std().item())
    assert wanted.std() > 0.01


def test_still_video_through_the_inflated_network_gives_the_2d_features(hub):
    """On the middle time step: convolutions pad time with zeros, so that steps near the ends see less than a still video.

    Step j of the last stage is computed from frames 8j - 62 to 8j + 66 (the stem's, the first stage's and the later stages'
    convolutions reach 2, 12 and 48 frames to either side, the temporal pool 4 more to the right). With 144 frames, step 9
    sees frames 10 to 138 and no padding.
    """
    parent = put_parent(hub, 50)
    model = get_model("i3d_resnet50_v1_kinetics400", pretrained_base=True).eval()
    frame = torch.randn(1, 3, 32, 32)
    body = torch.nn.Sequential(*list(parent.children())[:-2])
    with torch.inference_mode():
        features = model.backbone(frame.unsqueeze(2).expand(-1, -1, 144, -1, -1))[0]
        assert features.shape == (1, 2048, 18, 1, 1)
        wanted = body(frame)
    spread = wanted.std().item()
    assert spread > 0.01
    assert (features[:, :, 9] - wanted).abs().max() < 1e-4 * spread
    assert (features[:, :, 0] - wanted).abs().max() > 0.1 * spread


def test_imagenet_start_inflates_and_leaves_classifier_and_nonlocal_blocks(hub, caplog):
    parent = put_parent(hub, 50)
    with torch.device("meta"):
        model = get_model("i3d_nl5_resnet50_v1_kinetics400")
    with caplog.at_level(logging.INFO, logger="vidrec"):
        report = load_imagenet(model.to_empty(device="cpu"))
    assert len(report.matched) == 318
    assert {name.split(".")[0] if name.startswith("head") else name.split(".")[4] for name in report.missing} == {"head", "after"}
    assert len(report.reshaped) == 53  # every convolution, the stem and the four shortcuts included
    assert "318 of " in caplog.text and "resnet50-0676ba61.pth" in caplog.text
    stem = model.backbone.stem.conv.weight
    torch.testing.assert_close(stem[:, :, 0] * 5, parent.conv1.weight)
    torch.testing.assert_close(model.backbone.stages[2][4].convs[0].weight.sum(2), parent.layer3[4].conv1.weight)
    assert torch.equal(model.backbone.stages[3][2].norms[2].running_var, parent.layer4[2].bn3.running_var)


def test_without_network_the_error_names_the_file_its_place_and_the_way_without(hub):
    with pytest.raises(WeightsError) as error:
        get_model("resnet18_v1b_kinetics400", pretrained_base=True)
    assert str(error.value) == (
        f"the ImageNet weights resnet18-f37072fd.pth are not in {hub}, and https://download.pytorch.org/models/resnet18-f37072fd.pth "
        "cannot be reached (no route to host). Put the file there, or set CONFIG.MODEL.PRETRAINED_BASE False to train from scratch."
    )


def test_damaged_imagenet_file_is_named(hub):
    (hub / "resnet18-f37072fd.pth").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(WeightsError, match=r"resnet18-f37072fd\.pth cannot be read .* Delete it and get it again"):
        get_model("resnet18_v1b_kinetics400", pretrained_base=True)


def config(**model):
    cfg = get_cfg_defaults()
    for key, value in model.items():
        if isinstance(value, dict):
            cfg.CONFIG.MODEL[key].update(value)
        else:
            cfg.CONFIG.MODEL[key] = value
    return cfg


def test_narrow_network_has_no_2d_parent(hub):
    cfg = config(BACKBONE={"TYPE": "I3DResNet", "DEPTH": 18, "WIDTH": 16}, HEAD={"TYPE": "PoolHead"})
    with pytest.raises(
        WeightsError,
        match=r"PRETRAINED_BASE is True, and this I3DResNet has no 2-D parent .* of width 64\. Set CONFIG\.MODEL\.PRETRAINED_BASE False",
    ):
        build_model(cfg)
    assert build_model(cfg, load_weights=False).backbone.out_channels == (128,)


def test_slowfast_starts_from_scratch_and_says_so(hub, caplog):
    cfg = config(BACKBONE={"TYPE": "SlowFast", "WIDTH": 8, "DEPTH": 18}, HEAD={"TYPE": "SlowFastHead"})
    with caplog.at_level(logging.INFO, logger="vidrec"):
        build_model(cfg)
    assert "SlowFast starts from scratch" in caplog.text


def test_weights_table():
    assert len(FILES) == 17
    assert {file.name for file in FILES} <= set(specs.names())
    assert all(re.fullmatch("[0-9a-f]{40}", file.sha1) for file in FILES)
    file = published("i3d_resnet50_v1_kinetics400")[0]
    assert (file.hashtag, file.file_name) == ("18545497", "i3d_resnet50_v1_kinetics400-18545497.pth")
    assert file.url == "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/torch/models/i3d_resnet50_v1_kinetics400-18545497.pth"
    assert published("i3d_resnet50_v1_custom") == [file]
    assert published("slowfast_16x8_resnet101_kinetics400") == []


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder that stands for the server (file:// URLs), a cache folder, and resnet18's published file on the server."""
    monkeypatch.setenv("VIDREC_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(zoo_weights._URLS, "torch", f"file://{tmp_path}/{{}}")
    torch.manual_seed(1)
    source = get_model("resnet18_v1b_kinetics400")
    raw = tmp_path / "raw.pth"
    torch.save(to_reference(source.state_dict(), "resnet_v1b"), raw)
    file = WeightsFile("torch", "resnet18_v1b_kinetics400", hashlib.sha1(raw.read_bytes()).hexdigest())
    raw.rename(tmp_path / file.file_name)
    monkeypatch.setattr(zoo_weights, "FILES", (file,))
    return tmp_path, file, source


def test_published_weights_are_fetched_once_and_loaded(server):
    folder, file, source = server
    model = build_model(config(NAME=file.name, PRETRAINED=True))
    assert torch.equal(model.head.fc.weight, source.head.fc.weight)
    assert [path.name for path in zoo.cache_folder().iterdir()] == [file.file_name]
    (folder / file.file_name).unlink()  # the second time it comes from the cache
    again = build_model(config(NAME=file.name, PRETRAINED=file.hashtag))
    assert torch.equal(again.backbone.stem.conv.weight, source.backbone.stem.conv.weight)


def test_custom_name_takes_the_kinetics_file_and_keeps_its_classifier(server, caplog):
    _, _, source = server
    model = get_model("resnet18_v1b_kinetics400", num_classes=9)
    with caplog.at_level(logging.INFO, logger="vidrec"):
        report = zoo.load_published(model, "resnet18_v1b_custom")
    assert torch.equal(model.backbone.stem.conv.weight, source.backbone.stem.conv.weight)
    assert report.missing == ("head.fc.weight", "head.fc.bias")
    assert "resnet18_v1b_custom starts from resnet18_v1b_kinetics400 and keeps a fresh classifier" in caplog.text


def test_other_number_of_classes_keeps_a_fresh_classifier_in_python(server):
    _, file, source = server
    model = get_model(file.name, num_classes=9, pretrained=True)
    assert model.head.fc.out_features == 9
    assert torch.equal(model.backbone.stem.conv.weight, source.backbone.stem.conv.weight)
    cfg = config(NAME=file.name, PRETRAINED=True)
    cfg.CONFIG.DATA.NUM_CLASSES = 9
    with pytest.raises(WeightsError, match=r"classifies 400 classes; this network has 9\. .* CONFIG\.MODEL\.RESET_HEAD True"):
        build_model(cfg)


def test_offline_the_error_names_url_and_place(server):
    folder, file, _ = server
    (folder / file.file_name).unlink()
    with pytest.raises(WeightsError) as error:
        get_model(file.name, pretrained=True)
    place = folder / "home" / "weights" / file.file_name
    assert str(error.value).startswith(f"{file.url} cannot be fetched (")
    assert str(error.value).endswith(f"the weights must be at {place}. Put the file there, or set CONFIG.MODEL.PRETRAINED False.")
    assert list(zoo.cache_folder().iterdir()) == []


def test_file_with_another_sha1_is_not_taken(server):
    folder, file, _ = server
    whole = (folder / file.file_name).read_bytes()
    (folder / file.file_name).write_bytes(whole[:-1] + b"x")
    with pytest.raises(WeightsError, match=f"gave a file with SHA-1 [0-9a-f]{{40}}; the published one has {file.sha1}"):
        get_model(file.name, pretrained=True)
    assert list(zoo.cache_folder().iterdir()) == []
    (zoo.cache_folder() / file.file_name).write_bytes(whole[:-1])
    with pytest.raises(WeightsError, match=f"is not the published file: its SHA-1 is not {file.sha1}. Delete it"):
        get_model(file.name, pretrained=True)


@pytest.mark.parametrize(
    ("name", "hashtag", "message"),
    [
        ("", "", "CONFIG.MODEL.PRETRAINED is set; published weights go by CONFIG.MODEL.NAME, which is ''."),
        ("slowfast_16x8_resnet101_kinetics400", "", "has no published weights; CONFIG.MODEL.PRETRAINED must be False for it."),
        ("resnet18_v1b_kinetics400", "00000000", "is '00000000'; resnet18_v1b_kinetics400 has the published weights '854b23e4'."),
    ],
)
def test_names_and_hashtags_without_weights(name, hashtag, message):
    with pytest.raises(WeightsError, match=re.escape(message)):
        zoo.find_published(name, hashtag)


def test_cache_folder_is_in_the_home_folder_unless_told(monkeypatch):
    monkeypatch.delenv("VIDREC_HOME", raising=False)
    assert zoo.cache_folder().parts[-3:] == (".cache", "vidrec", "weights")
