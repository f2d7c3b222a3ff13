"""ImageNet starts and inflation, without a network."""

import logging

import pytest
import torch
import torchvision

from vidrec.config.defaults import get_cfg_defaults
from vidrec.models.build import build_model, get_model
from vidrec.models.weights.imagenet import load_imagenet
from vidrec.models.weights.inflate import inflate
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


def put_parent(folder, name: str, **options):
    """torchvision's 2-D network with random weights and statistics, saved where its ImageNet file belongs."""
    torch.manual_seed(1)
    parent = torchvision.models.get_model(name, weights=None, **options)
    for key, tensor in parent.state_dict().items():
        if key.endswith("running_mean"):
            tensor.uniform_(-0.1, 0.1)
        elif key.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
    url = torchvision.models.get_model_weights(name).IMAGENET1K_V1.url
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
    parent = put_parent(hub, f"resnet{depth}")
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
    parent = put_parent(hub, "resnet50")
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


@pytest.mark.parametrize("name", ["i3d_slow_resnet50_f8s8_kinetics400", "tpn_resnet50_f8s8_kinetics400"])
def test_still_video_through_the_slow_pathway_gives_the_features_of_both_last_stages(hub, name):
    """The last two stages reach 6 and 3 frames to either side; with 20 frames the middle one sees no padding."""
    parent = put_parent(hub, "resnet50")
    model = get_model(name, pretrained_base=True).eval()
    frame = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        fine = torch.nn.Sequential(*list(parent.children())[:-3])(frame)
        wanted = [fine, parent.layer4(fine)][-len(model.backbone.out_channels) :]
        for features, flat in zip(model.backbone(frame.unsqueeze(2).expand(-1, -1, 20, -1, -1)), wanted, strict=True):
            assert (features[:, :, 10] - flat).abs().max() < 1e-4 * flat.std().item()
            assert (features[:, :, 0] - flat).abs().max() > 0.1 * flat.std().item()


def test_inception_v3_with_imagenet_weights_is_torchvisions_with_its_own_scale_of_inputs(hub):
    parent = put_parent(hub, "inception_v3", transform_input=True, init_weights=False)
    parent.fc = torch.nn.Identity()
    model = get_model("inceptionv3_kinetics400", pretrained_base=True, features_only=True).eval()
    clips = torch.randn(1, 3, 2, 107, 107)
    with torch.inference_mode():
        wanted = parent(clips.transpose(1, 2).flatten(0, 1)).mean(dim=0, keepdim=True)
        torch.testing.assert_close(model(clips), wanted, rtol=1e-4, atol=1e-4 * wanted.std().item())
    assert wanted.std() > 0.01


def test_inception_v1_with_imagenet_weights_is_torchvisions_googlenet(hub, monkeypatch):
    """Without the scale of inputs, for which the padded stem is exact but along its border."""
    parent = put_parent(hub, "googlenet", transform_input=False, init_weights=False)
    parent.fc = torch.nn.Identity()
    clips = torch.randn(1, 3, 2, 64, 64)
    with torch.inference_mode():
        wanted = parent(clips.transpose(1, 2).flatten(0, 1)).mean(dim=0, keepdim=True)
    scaled = get_model("inceptionv1_kinetics400", pretrained_base=True, features_only=True).eval()
    monkeypatch.setattr("vidrec.models.weights.imagenet.rescale_stem", lambda kernels: {})
    model = get_model("inceptionv1_kinetics400", pretrained_base=True, features_only=True).eval()
    with torch.inference_mode():
        torch.testing.assert_close(model(clips), wanted, rtol=1e-4, atol=1e-4 * wanted.std().item())
        inputs = clips * scales(STD) + scales(MEAN)  # in [0, 1] as far as a picture's are
        inside = (slice(None), slice(None), slice(2, -2), slice(2, -2))
        with_scale = scaled.backbone.stem[0](clips[:, :, 0])[inside]
        torch.testing.assert_close(with_scale, model.backbone.stem[0]((inputs[:, :, 0] - 0.5) / 0.5)[inside], rtol=1e-3, atol=1e-4)
    assert wanted.std() > 0.01


def scales(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values).view(1, 3, 1, 1, 1)


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.slow
def test_vgg16_with_imagenet_weights_is_torchvisions(hub):
    parent = put_parent(hub, "vgg16", init_weights=False)
    parent.classifier[6] = torch.nn.Identity()
    model = get_model("vgg16_ucf101", pretrained_base=True, features_only=True).eval()
    clips = torch.randn(1, 3, 2, 64, 64)
    with torch.inference_mode():
        wanted = parent(clips.transpose(1, 2).flatten(0, 1)).mean(dim=0, keepdim=True)
        torch.testing.assert_close(model(clips), wanted, rtol=1e-4, atol=1e-4 * wanted.std().item())
    assert wanted.std() > 1e-4


@pytest.mark.parametrize(
    ("version", "parent", "num_frames", "size"),
    [(1, "googlenet", 144, 33), pytest.param(3, "inception_v3", 800, 75, marks=pytest.mark.slow)],
)
def test_still_video_through_the_inflated_inception_gives_the_2d_features(hub, version, parent, num_frames, size):
    """On the middle time step of a clip so long that it sees no padding in time; v1's parent is given the 3-D network's padded pools."""
    put_parent(hub, parent, init_weights=False)
    model = get_model(f"i3d_inceptionv{version}_kinetics400", pretrained_base=True).eval()
    flat = get_model(f"inceptionv{version}_kinetics400", pretrained_base=True).eval()
    for module in flat.modules():
        if isinstance(module, torch.nn.MaxPool2d) and module.ceil_mode:
            module.ceil_mode, module.padding = False, 1
    frame = torch.randn(1, 3, 1, size, size)
    with torch.inference_mode():
        wanted = flat.backbone(frame)[0][:, :, 0]
        features = model.backbone(frame.expand(-1, -1, num_frames, -1, -1))[0]
    middle, spread = features.shape[2] // 2, wanted.std().item()
    assert spread > 1e-3
    assert (features[:, :, middle] - wanted).abs().max() < 1e-4 * spread
    assert (features[:, :, 0] - wanted).abs().max() > 0.1 * spread


def test_imagenet_start_of_tpn_leaves_its_neck(hub):
    put_parent(hub, "resnet50")
    torch.manual_seed(0)
    model = get_model("tpn_resnet50_f8s8_kinetics400")
    before = model.neck.fuse.conv.weight.clone()
    report = load_imagenet(model)
    assert torch.equal(model.neck.fuse.conv.weight, before)
    assert {name.split(".")[0] for name in report.missing} == {"neck", "head"}


@pytest.mark.parametrize("name", ["p3d_resnet50_kinetics400", "r2plus1d_v1_resnet18_kinetics400", "slowfast_4x16_resnet50_kinetics400"])
def test_families_without_a_2d_parent_start_from_scratch(name):
    with torch.device("meta"):
        assert load_imagenet(get_model(name)) is None


def test_imagenet_start_inflates_and_leaves_classifier_and_nonlocal_blocks(hub, caplog):
    parent = put_parent(hub, "resnet50")
    with torch.device("meta"):
        model = get_model("i3d_nl5_resnet50_v1_kinetics400")
    with caplog.at_level(logging.INFO, logger="vidrec"):
        report = load_imagenet(model.to_empty(device="cpu"))
    assert len(report.matched) == 318
    assert {name.split(".")[0] if name.startswith("head") else name.split(".")[4] for name in report.missing} == {"head", "after"}
    assert len(report.reshaped) == 53  # every convolution, the stem and the four shortcuts included
    assert "265 of 327 tensors from resnet50-0676ba61.pth" in caplog.text  # counters of batches are not counted
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
        match=r"PRETRAINED_BASE is True, and this I3DResNet has no 2-D parent .* and VGG-16\)\. Set CONFIG\.MODEL\.PRETRAINED_BASE False",
    ):
        build_model(cfg)
    assert build_model(cfg, load_weights=False).backbone.out_channels == (128,)


def test_slowfast_starts_from_scratch_and_says_so(hub, caplog):
    cfg = config(BACKBONE={"TYPE": "SlowFast", "WIDTH": 8, "DEPTH": 18}, HEAD={"TYPE": "SlowFastHead"})
    with caplog.at_level(logging.INFO, logger="vidrec"):
        build_model(cfg)
    assert "SlowFast starts from scratch" in caplog.text
