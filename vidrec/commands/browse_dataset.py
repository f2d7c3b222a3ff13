"""Draws clips as the network sees them: `browse_dataset --config-file F [--split train|val] [--num N] [--out FILE.png]`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vidrec.commands.cli import config_parser, run_command
from vidrec.engine.contact_sheet import Row, class_text, label_text, save_sheet
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from torch.utils.data import Dataset
    from yacs.config import CfgNode

    from vidrec.data.datasets import ClipBatch
    from vidrec.data.samplers import SampleKey, TrainSampler

DESCRIPTION = "Draw clips as the network sees them, a row of frames each, with path, label and augmentation, into a PNG file."


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = config_parser("browse_dataset.py", DESCRIPTION)
    parser.add_argument("--split", choices=("train", "val"), default="train", help="train (with augmentation) or val; train if not given")
    parser.add_argument("--num", type=int, default=8, metavar="N", help="clips; 8 if not given")
    parser.add_argument("--frames", type=int, default=8, metavar="N", help="frames shown of each, spread over the clip; 8 if not given")
    parser.add_argument(
        "--epoch", type=int, default=0, metavar="E", help="epoch from 0 whose first training clips are shown; 0 if not given"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="PNG file to write; browse_<split>.png if not given")
    args = parser.parse_args(argv)
    out = args.out or Path(f"browse_{args.split}.png")
    return run_command(
        lambda: browse(args.config_file, args.overrides, split=args.split, num=args.num, frames=args.frames, epoch=args.epoch, out=out)
    )


def browse(config_file: str, overrides: Sequence[str], *, split: str, num: int, frames: int, epoch: int, out: Path) -> None:
    """Writes the sheet. Raises UserError for a mistake in the config, the list or the arguments, or a file that cannot be written."""
    for option, value, low in (("--num", num, 1), ("--frames", frames, 1), ("--epoch", epoch, 0)):
        if value < low:
            raise UserError(f"{option} is {value}; it must be at least {low}. Give a larger number.")
    if out.suffix.lower() != ".png":
        raise UserError(f"--out is {out}; the sheet is a PNG file: give it a name that ends in .png.")
    from vidrec.commands.runs import load_run_config
    from vidrec.data.build import build_dataset, class_names

    cfg = load_run_config(config_file, overrides)
    names = class_names(cfg)
    dataset = build_dataset(cfg, split)
    rows = list(train_rows(cfg, dataset, names, num=num, epoch=epoch) if split == "train" else val_rows(dataset, names, num=num))
    save_sheet(rows, out, frames=frames)
    print(f"{len(rows)} {split} clips written to {out}")


def train_rows(cfg: "CfgNode", dataset: "Dataset", names: list[str] | None, *, num: int, epoch: int) -> Iterator[Row]:
    """The first clips of an epoch, of each shape where multigrid training has several, made as in training."""
    from vidrec.data.build import build_batch_augment, build_sampler
    from vidrec.data.datasets import collate_clips

    sampler = build_sampler(cfg, dataset, "train", rank=0, world_size=1)
    sampler.set_epoch(epoch)
    augment = build_batch_augment(cfg, "cpu") or build_batch_augment(cfg, "device")
    for keys, shown in _first_keys(sampler, num):
        batch = collate_clips(dataset.__getitems__(keys))
        if augment is not None:
            clips, labels = augment(batch.clips, batch.labels, batch.plans)
            batch = batch._replace(clips=clips, labels=labels)
        for place, key in enumerate(keys[:shown]):
            lines = [_place_text(key, dataset.table.path(int(batch.indices[place]))), *_clip_lines(batch, place, names)]
            yield Row(lines, batch.clips[place])


def val_rows(dataset: "Dataset", names: list[str] | None, *, num: int) -> Iterator[Row]:
    """The first videos of the list, each in its one center view."""
    from vidrec.data.transforms import cut_views

    for index in range(min(num, len(dataset.table))):
        video = dataset[index]
        labels = " + ".join(class_text(label, names) for label in dataset.table.label_set(index))
        lines = [f"{index}  {video.path}", f"label {labels}"]
        if video.failure:
            yield Row([*lines, f"cannot be read: {video.failure.reason}"], video.frames)
        else:
            yield Row(lines, cut_views(video.frames, video.views, 0, 1)[0])


def _first_keys(sampler: "TrainSampler", num: int) -> Iterator[tuple[list["SampleKey"], int]]:
    """Keys of the epoch's first batches and how many of them to show, `num` in all; where these have different shapes, a share of each.

    There may be more keys than are shown, since pairs of videos that are mixed stay whole.
    """
    shapes = len(sampler.multigrid.cycle(0)) if sampler.multigrid else 1
    share, pair = -(-num // shapes), 2 * sampler.clips_per_video
    for keys in sampler.batches():
        shown = min(share, num, len(keys))
        if not shown:
            return
        yield keys[: -(-shown // pair) * pair], shown
        num -= shown


def _place_text(key: "SampleKey", path: str) -> str:
    repeat = f" clip {key.repeat}" if key.repeat else ""
    return f"epoch {key.epoch} position {key.position}{repeat}  {path}"


def _clip_lines(batch: "ClipBatch", place: int, names: list[str] | None) -> list[str]:
    """Label, shape and crop in one line, the augmentation in another where there is any."""
    crop, plan, label = batch.crops[place], batch.plans[place], batch.labels[place]
    size = " x ".join(map(str, batch.clips.shape[1:3]))
    flip = ", flipped" if crop.flip else ""
    lines = [f"label {label_text(label, names)}  |  {size}^2 from y {crop.y0}:{crop.y1} x {crop.x0}:{crop.x1}{flip}"]
    ops = " > ".join(_op_text(op) for op in plan.ops)
    chains = [f"{chain.share:.2f} of {' > '.join(_op_text(op) for op in chain.ops)}" for chain in plan.chains]
    parts = [ops] if ops else []
    parts += [f"mixed with {' + '.join(chains)}"] if chains else []
    parts += [f"erased {_box_text(plan.erase[:4])}"] if plan.erase else []
    if plan.pair:
        parts.append(f"cutmix {_box_text(plan.pair.box)}" if plan.pair.box else f"mixup {plan.pair.share:.2f}")
    return [*lines, "  |  ".join(parts)] if parts else lines


def _op_text(op: tuple[str, float]) -> str:
    return f"{op[0]} {op[1]:.3g}" if op[1] else op[0]


def _box_text(box: tuple[int, int, int, int]) -> str:
    """Example: (15, 37, 10, 31) -> `y 15:37 x 10:31`"""
    return f"y {box[0]}:{box[1]} x {box[2]}:{box[3]}"
