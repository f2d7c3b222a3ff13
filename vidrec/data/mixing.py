"""Mixup and cutmix of the clips of a batch, and all that is left to be done to a batch on the device."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from vidrec.data.augment import AugmentPlan
from vidrec.data.augment_ops import apply_plan


@dataclass(frozen=True)
class BatchAugment:
    """Augments batches on the device of their clips.

    Args:
        num_classes: K.
        clips_per_video: clips of one video stand beside each other; a clip is mixed with the same repeat of the neighbouring video.
        mixes: whether mixup or cutmix is on; labels are then shares [B, K] in every batch.
        mean: as in `apply_plan`.
        whole: apply the whole plans; False where loader processes have done all but the mixing.
    """

    num_classes: int
    clips_per_video: int
    mixes: bool
    mean: tuple[float, ...]
    whole: bool = True

    def __call__(self, clips: Tensor, labels: Tensor, plans: Sequence[AugmentPlan]) -> tuple[Tensor, Tensor]:
        """Clips [B, T, S, S, 3] uint8 and labels [B] int64 or shares [B, K], as they enter normalization and loss."""
        if self.whole:
            clips = torch.stack([apply_plan(clip, plan, self.mean) for clip, plan in zip(clips, plans, strict=True)])
        if not self.mixes:
            return clips, labels
        return mix_pairs(clips, labels, plans, num_classes=self.num_classes, clips_per_video=self.clips_per_video)


def mix_pairs(
    clips: Tensor, labels: Tensor, plans: Sequence[AugmentPlan], *, num_classes: int, clips_per_video: int = 1
) -> tuple[Tensor, Tensor]:
    """Mixes the clips of videos 0 and 1, 2 and 3 ... of a batch, each pair as its plans say.

    Args:
        clips: [B, T, S, S, 3] uint8; B is an even number of videos.
        labels: [B] int64 or [B, K] shares.

    Returns:
        Clips, rounded back to uint8, and shares [B, K] float32, which sum to 1 where the labels are numbers.

    Example: labels 0 and 1 of 3 classes, share 0.75 -> [[0.75, 0.25, 0], [0.25, 0.75, 0]]
    """
    own = labels.to(torch.float32) if labels.ndim == 2 else one_hot(labels, num_classes).to(torch.float32)
    partners = [partner(place, clips_per_video) for place in range(len(clips))]
    mixed = clips.clone()
    for place, plan in enumerate(plans):
        if plan.pair is None:
            continue
        other = clips[partners[place]]
        if plan.pair.box:
            y0, y1, x0, x1 = plan.pair.box
            mixed[place, :, y0:y1, x0:x1] = other[:, y0:y1, x0:x1]
        else:
            blend = clips[place].to(torch.float32).mul_(plan.pair.share).add_(other.to(torch.float32), alpha=1.0 - plan.pair.share)
            mixed[place] = blend.round_().to(torch.uint8)
    shares = own.new_tensor([plan.pair.share if plan.pair else 1.0 for plan in plans])[:, None]  # [B, 1]
    return mixed, own * shares + own[partners] * (1.0 - shares)


def partner(place: int, clips_per_video: int = 1) -> int:
    """Place in the batch of the clip that is mixed with the one at `place`: the same repeat of the other video of the pair.

    Pairs are neighbours in the order of the epoch, so they are the same for any number of processes.

    Example: 1 clip per video: 0 1 2 3 -> 1 0 3 2; 2 clips: 0 1 2 3 -> 2 3 0 1
    """
    video, repeat = divmod(place, clips_per_video)
    return (video ^ 1) * clips_per_video + repeat
