"""Stochastic depth of the residual backbones."""

import pytest
import torch
from models_narrow import FAMILIES, clip_shape, narrow
from torch import nn
from torchvision.ops import StochasticDepth

from vidrec.models.build import assemble
from vidrec.models.layers.residual import ResidualBlock, drop_path_rates
from vidrec.utils.errors import ConfigError

RATES = {  # of the blocks in order, for DROP_PATH 0.6
    "2-D": [0.2, 0.4, 0.6],
    "I3D": [0.2, 0.4, 0.6],
    "SlowFast": [0.2, 0.4, 0.6] * 2,
    "P3D": [0.2, 0.4, 0.6],
    "R2Plus1D": [0.2, 0.4, 0.6],
    "IRCSN": [0.2, 0.4, 0.6],
    "TPN": [0.3, 0.6],
}


def with_drop_path(family: str, rate: float) -> nn.Module:
    torch.manual_seed(0)
    sections = FAMILIES[family]
    return assemble({**sections, "BACKBONE": {**sections["BACKBONE"], "DROP_PATH": rate}}, num_classes=3)


@pytest.mark.parametrize(
    ("blocks", "rate", "expected"),
    [
        ((1, 3), 0.2, [[0.05], [0.1, 0.15, 0.2]]),
        ((2, 2), 0.0, [[0, 0], [0, 0]]),
        ((1,), 0.3, [[0.3]]),
    ],
)
def test_rates_grow_in_a_line(blocks, rate, expected):
    assert [pytest.approx(rates) for rates in expected] == drop_path_rates(blocks, rate)


@pytest.mark.parametrize("family", RATES)
def test_every_block_of_a_family_has_its_rate(family):
    found = [module.p for module in with_drop_path(family, 0.6).modules() if isinstance(module, StochasticDepth)]
    assert found == pytest.approx(RATES[family])


@pytest.mark.parametrize("family", RATES)
def test_drop_path_changes_neither_weights_nor_scores_of_a_test(family):
    plain, dropping = narrow(family).eval(), with_drop_path(family, 0.6).eval()
    assert not [module for module in plain.modules() if isinstance(module, StochasticDepth)], "off by default"
    assert list(plain.state_dict()) == list(dropping.state_dict())
    clips = torch.randn(clip_shape(plain), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(plain(clips), dropping(clips))


def test_a_clip_keeps_its_shortcut_or_twice_its_branch():
    """Branch 3 x and shortcut x with rate 0.5: 1 where dropped, 1 + 2 * 3 = 7 where kept."""
    conv = nn.Conv3d(1, 1, 1, bias=False)
    nn.init.constant_(conv.weight, 3.0)
    block = ResidualBlock([conv], shortcut=nn.Identity(), dims=3, drop_path=0.5)
    block.norms[0] = nn.Identity()
    torch.manual_seed(0)
    found = block(torch.ones(64, 1, 2, 2, 2)).flatten(1)
    assert torch.equal(found, found[:, :1].expand(-1, 8)), "the whole clip or nothing"
    assert sorted(set(found[:, 0].tolist())) == [1.0, 7.0]
    assert 20 <= int((found[:, 0] == 1.0).sum()) <= 44


def test_what_is_dropped_follows_from_the_seed():
    model = with_drop_path("R2Plus1D", 0.6)
    model.head.dropout.p = 0.0
    clips = torch.randn(clip_shape(model), generator=torch.Generator().manual_seed(0)).repeat(4, 1, 1, 1, 1)
    scores = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        scores.append(model(clips).detach())
    assert torch.equal(scores[0], scores[1]) and not torch.equal(scores[0], scores[2])


@pytest.mark.parametrize("family", RATES)
@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_rate_outside_its_range_is_a_mistake(family, rate):
    with pytest.raises(ConfigError, match=rf"CONFIG.MODEL.BACKBONE.DROP_PATH is {rate}; it must be from 0 to below 1"):
        with_drop_path(family, rate)
