"""The README.md of a model folder: what the network is, what it was trained on, how accurate it is and by which protocol, how to use it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.commands.hub_folder import CLASSES, CONFIG, WEIGHTS, import_hub
from vidrec.config.protocols import resolve_protocol

if TYPE_CHECKING:
    from yacs.config import CfgNode

_METRICS = {"top1": "top-1", "top5": "top-5", "mean_class": "mean class accuracy", "map": "mAP"}
_PROTOCOL = ("name", "num_clips", "num_crops", "clip_len", "frame_stride", "crop_size", "crops", "average", "decoder")


class CardFacts(NamedTuple):
    """What a card says beside the config.

    Attributes:
        name: of the model.
        network: its zoo name, or its components.
        parameters: how many.
        class_names: of its classes; None where they are numbers.
        license: an identifier of the hub (apache-2.0, cc-by-4.0 ...), `unknown` where nobody said.
        trained: where the weights are from, in words.
        result: of `test`, see result.json; None where these weights were not tested.
        published: the accuracy that the reference zoo states for these weights, in words; '' for none.
        repo: OWNER/NAME on the hub; '' where it is not known.
    """

    name: str
    network: str
    parameters: int
    class_names: Sequence[str] | None
    license: str
    trained: str
    result: Mapping[str, Any] | None = None
    published: str = ""
    repo: str = ""


def card_text(cfg: "CfgNode", facts: CardFacts) -> str:
    """The card, with the metadata by which the hub finds models."""
    hub = import_hub()
    tested = _results(hub, facts) if facts.result else None
    data = hub.ModelCardData(
        license=facts.license,
        library_name="vidrec",
        pipeline_tag="video-classification",
        tags=["video-classification", "action-recognition", "pytorch"],
        model_name=facts.name if tested else None,
        eval_results=tested,
    )
    parts = [f"---\n{data.to_yaml()}\n---\n", f"# {facts.name}\n", _network(cfg, facts), _data(cfg, facts), _accuracy(facts), _use(facts)]
    return "\n".join(parts)


def save_card(text: str, path: Path) -> None:
    """Writes the card the way the hub reads it back. Raises ValueError where its metadata is not what the hub takes."""
    import_hub().ModelCard(text).save(path)


def _network(cfg: "CfgNode", facts: CardFacts) -> str:
    data, test = cfg.CONFIG.DATA, resolve_protocol(cfg.CONFIG)
    clip = f"{data.NUM_SEGMENT} segments of {data.CLIP_LEN} frames" if data.NUM_SEGMENT > 1 else f"{data.CLIP_LEN} frames"
    names = f", such as {', '.join(facts.class_names[:3])} (all of them: `{CLASSES}`)" if facts.class_names else ", as numbers"
    rows = {
        "network": f"`{facts.network}`",
        "parameters": f"{facts.parameters:,}",
        "input": f"{clip}, frame stride {data.FRAME_RATE}, {data.CROP_SIZE} x {data.CROP_SIZE} pixels in training",
        "test views": f"{test.num_views} ({test.num_clips} x {test.num_crops}) of {test.crop_size} x {test.crop_size} pixels",
        "classes": f"{data.NUM_CLASSES}{names}",
    }
    return f"A video classification network, saved with vidrec. `{CONFIG}` says how it is built, trained and tested.\n\n{_table(rows)}"


def _data(cfg: "CfgNode", facts: CardFacts) -> str:
    train = cfg.CONFIG.TRAIN
    text = f"## Training data\n\n{facts.trained}"
    if cfg.CONFIG.DATA.TRAIN_ANNO_PATH:
        name, epochs = Path(cfg.CONFIG.DATA.TRAIN_ANNO_PATH).name, f"{train.EPOCH_NUM} epoch{'s' * (train.EPOCH_NUM != 1)}"
        text += f" List: `{name}`, {epochs}, {train.OPTIMIZER}, learning rate {train.LR:g}, {train.BATCH_SIZE} clips per step and process."
    text += " A network repeats what its videos hold, one-sidedness included, and knows no class beside its own."
    if facts.license == "unknown":
        text += " The license of this model has not been stated: ask its author before you use it."
    return f"{text}\n"


def _accuracy(facts: CardFacts) -> str:
    if facts.result is None:
        said = facts.published or "Not measured."
        return f"## Accuracy\n\n{said}\n"
    result, protocol = facts.result, facts.result["protocol"]
    counts = result["counts"]
    rows = {_METRICS[key]: f"{value:.4f}" for key, value in result["accuracy"].items() if key in _METRICS}
    interval = result.get("top1_interval")
    if interval and "top-1" in rows:
        rows["top-1"] += f" ({interval['low']:.4f} to {interval['high']:.4f}, bootstrap, {interval['level']:.0%})"
    used = {key: protocol[key] for key in _PROTOCOL if key in protocol}
    changed = f" (changed: {', '.join(protocol['overridden'])})" if protocol.get("overridden") else ""
    told = ", ".join(f"{key} {value}" for key, value in used.items()) + changed
    where = f"`{Path(result['annotation']['path']).name}`, {counts['videos']} videos, {counts['failed']} unreadable (counted as wrong)"
    return f"## Accuracy\n\n{_table(rows)}\nOn {where}; {result['accuracy']['views']} views per video. Protocol: {told}.\n"


def _use(facts: CardFacts) -> str:
    own = sorted({part.split(":")[0] for part in facts.network.split(" + ") if ":" in part})
    needs = f"\nThe network is made of classes outside vidrec, whose code is not here: install {' and '.join(own)}, and" if own else ""
    needs += f" `export VIDREC_COMPONENTS={','.join(own)}` before.\n" if own else ""
    source = f"hf://{facts.repo}" if facts.repo else "path/to/this/folder"
    return f"""## How to use it

```
pip install 'vidrec[hub]'
```
{needs}
```python
import vidrec

model = vidrec.load("{source}")
print(model.predict("video.mp4"))
```

Fine-tune it on other classes with `CONFIG.MODEL.LOAD True CONFIG.MODEL.PRETRAINED_PATH {WEIGHTS} CONFIG.MODEL.RESET_HEAD True` beside a
copy of `{CONFIG}` with your lists. The weights are safetensors: nothing in this folder is executed.
"""


def _table(rows: Mapping[str, str]) -> str:
    return "".join(["| | |\n|---|---|\n", *(f"| {name} | {value} |\n" for name, value in rows.items())])


def _results(hub: Any, facts: CardFacts) -> list[Any]:
    """The accuracies as the hub's metadata has them, in percent of the videos."""
    views, data = facts.result["accuracy"]["views"], Path(facts.result["annotation"]["path"]).stem
    return [
        hub.EvalResult(
            task_type="video-classification",
            dataset_type="video",
            dataset_name=data,
            metric_type="accuracy" if key != "map" else "mAP",
            metric_name=f"{name}, {views} views",
            metric_value=round(100 * facts.result["accuracy"][key], 2),
        )
        for key, name in _METRICS.items()
        if key in facts.result["accuracy"]
    ]
