"""Which parameters share a learning rate and a weight decay."""

from typing import Any, NamedTuple

from torch import nn, optim


class Place(NamedTuple):
    """Where in the network a parameter lies, and the factor on its learning rate."""

    name: str
    lr_scale: float


EVERYWHERE = Place("all", 1.0)


def make_groups(
    model: nn.Module, *, weight_decay: float, decay_norm_bias: bool = True, layer_decay: float = 1.0, head_lr_mult: float = 1.0
) -> list[dict[str, Any]]:
    """The parameters that are to be trained (`requires_grad`), in groups as optimizers take them, early layers first.

    A group has a `name`, its `lr_scale`, its `weight_decay`, and `adapt`, which LARS reads: False where decay was taken off.

    Args:
        model: a Recognizer, where a rate differs between layers.
        decay_norm_bias: False: scales and biases of norms, and biases of other layers, are not decayed.
        layer_decay: factor on the rate from each layer to the one before it; the head has 1. Layers are the backbone's parts, then the
            neck where there is one, then the head (Clark et al., ELECTRA, ICLR 2020).
        head_lr_mult: factor on the rate of the head, on top.
    """
    differs = layer_decay != 1.0 or head_lr_mult != 1.0
    places = layer_places(model, layer_decay=layer_decay, head_lr_mult=head_lr_mult) if differs else {}
    groups: dict[tuple[Place, bool], dict[str, Any]] = {}
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        place, decayed = places.get(id(parameter), EVERYWHERE), decay_norm_bias or parameter.ndim > 1
        if (place, decayed) not in groups:
            groups[place, decayed] = {
                "params": [],
                "name": place.name if decayed else f"{place.name}, norms and biases",
                "lr_scale": place.lr_scale,
                "weight_decay": weight_decay if decayed else 0.0,
                "adapt": decayed,
            }
        groups[place, decayed]["params"].append(parameter)
    return list(groups.values())


def layer_places(model: nn.Module, *, layer_decay: float, head_lr_mult: float) -> dict[int, Place]:
    """The place of every parameter of a Recognizer, by its id.

    Example: two parts, a head, layer_decay 0.5, head_lr_mult 10 -> backbone 0: 0.25, backbone 1: 0.5, head: 10
    """
    layers = [(f"backbone {index}", part) for index, part in enumerate(model.backbone.parts())]
    if list(model.neck.parameters()):
        layers.append(("neck", (model.neck,)))
    places = {}
    for distance, (name, modules) in enumerate(reversed(layers), start=1):
        place = Place(name, layer_decay**distance)
        places |= {id(parameter): place for module in modules for parameter in module.parameters()}
    return places | {id(parameter): Place("head", head_lr_mult) for parameter in model.head.parameters()}


def set_lr(optimizer: optim.Optimizer, lr: float) -> None:
    """Gives every group of parameters the learning rate, times the group's own factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


def group_table(optimizer: optim.Optimizer, lr: float) -> str:
    """A line for each group: its name, its number of parameters, its rate where the schedule's is `lr`, and its weight decay."""
    rows = [("group", "parameters", "lr", "decay")]
    for group in optimizer.param_groups:
        count = sum(parameter.numel() for parameter in group["params"])
        rows.append((group["name"], f"{count:,}", f"{lr * group['lr_scale']:.6g}", f"{group['weight_decay']:g}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]) for row in rows
    )
