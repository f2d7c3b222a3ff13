"""The first epochs of fine-tuning, in which only the head trains."""

import torch
from torch import nn

from vidrec.engine.head_warmup import HeadWarmup
from vidrec.models.build import assemble

SECTIONS = {"BACKBONE": {"TYPE": "R2Plus1D", "STAGE_BLOCKS": [1, 1], "BLOCK": "basic", "WIDTH": 4}, "HEAD": {"TYPE": "PoolHead"}}


def network(**options) -> nn.Module:
    torch.manual_seed(0)
    return assemble(SECTIONS, num_classes=3, **options)


def moved_by_a_step(model: nn.Module) -> set[str]:
    """The first parts of the names of what an update of everything that has a gradient changes, statistics too."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    model(torch.randn(2, 3, 4, 16, 16, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    optimizer.step()
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    return {".".join(name.split(".")[:3]) if name.startswith("backbone.stages") else ".".join(name.split(".")[:2]) for name in moved}


STEM, FIRST, SECOND, HEAD = "backbone.stem", "backbone.stages.0", "backbone.stages.1", "head.fc"


def test_only_the_head_moves_until_the_warm_up_ends():
    model = network()
    warmup = HeadWarmup(model, 2)
    found = []
    for epoch in range(4):
        changed = warmup.begin_epoch(epoch)
        found.append((changed, moved_by_a_step(model)))
    everything = {STEM, FIRST, SECOND, HEAD}
    assert found == [(True, {HEAD}), (False, {HEAD}), (True, everything), (False, everything)]


def test_run_that_goes_on_after_the_warm_up_trains_everything():
    model = network()
    assert HeadWarmup(model, 2).begin_epoch(2) is False
    assert moved_by_a_step(model) == {STEM, FIRST, SECOND, HEAD}


def test_frozen_stages_stay_frozen_after_the_warm_up():
    model = network(frozen_stages=1)
    warmup = HeadWarmup(model, 1)
    warmup.begin_epoch(0)
    assert moved_by_a_step(model) == {HEAD}
    warmup.begin_epoch(1)
    assert moved_by_a_step(model) == {SECOND, HEAD}


def test_without_epochs_nothing_is_touched():
    model = network(bn_eval=True)
    held = model.held_norms
    assert not any(HeadWarmup(model, 0).begin_epoch(epoch) for epoch in range(3))
    assert model.held_norms == held
