"""The features of a video: what a layer of a network gives for its views, always the same."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from vidrec.data.multiview import EvalVideo
from vidrec.data.transforms import VideoViews, normalize_views
from vidrec.engine.out_of_memory import naming_views
from vidrec.engine.precision import MemoryFormat, PrecisionName, as_torch_format, autocast
from vidrec.inference.layers import POOLED, Layer, find_layer, layer_output, list_layers
from vidrec.inference.predictor import Predictor
from vidrec.utils.errors import UserError

Pool = Literal["mean", "none"]


class FeatureExtractor:
    """Turns videos into vectors or maps, one at a time, so that no video changes another's.

    Args:
        model: the plain network, on `device`.
        layer: as `find_layer` returns it.
        pool: mean: a map becomes the vector of its means over time and space; none: it stays.
        each_view: keep what every view gives, instead of its mean over the views.
        mean, std: RGB, of values in [0, 1].
        views_per_batch, precision, memory_format: of the forward pass; the features are float32.
    """

    def __init__(
        self,
        model: nn.Module,
        layer: Layer,
        *,
        pool: Pool = "mean",
        each_view: bool = False,
        device: torch.device,
        mean: Sequence[float],
        std: Sequence[float],
        views_per_batch: int,
        precision: PrecisionName = "fp32",
        memory_format: MemoryFormat = "contiguous",
    ):
        self.model, self.layer, self.device, self.mean, self.std = model.eval(), layer, device, mean, std
        self.pool, self.each_view, self.views_per_batch = pool, each_view, views_per_batch
        self.precision, self.memory_format = precision, as_torch_format(memory_format)

    @classmethod
    def of(cls, predictor: Predictor, layer: str = POOLED, *, pool: Pool = "mean", each_view: bool = False) -> "FeatureExtractor":
        """The features of the views that a predictor reads: `extractor(predictor.read(path))`. Raises UserError for an unknown layer.

        Example: `FeatureExtractor.of(vidrec.load("runs/i3d_tiny"), "backbone.stages.2")`
        """
        shape = (predictor.clip_len, predictor.crop_size, predictor.crop_size)
        return cls(
            predictor.model,
            find_layer(list_layers(predictor.model, shape), layer),
            pool=pool,
            each_view=each_view,
            device=predictor.device,
            mean=predictor.mean,
            std=predictor.std,
            views_per_batch=predictor.views_per_batch,
            precision=predictor.precision,
            memory_format=predictor.memory_format,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the feature of one view, or of the mean over the views: (D,), or (C, T, H, W) of a map that is not pooled."""
        return self.layer.shape[:1] if self.pool == "mean" else self.layer.shape

    @torch.inference_mode()
    def __call__(self, video: EvalVideo) -> np.ndarray:
        """float32 of `shape`, with the views before it where each is kept. Raises UserError where values are not finite."""
        with naming_views([video], views=self.views_per_batch, device=self.device):
            found = list(self._views(video)) if self.each_view else self._mean(video)
        feature = np.stack(found) if self.each_view else found
        if not np.isfinite(feature).all():
            raise UserError(
                f"The network gives features that are not finite for {video.path} (layer {self.layer.name}); its weights are damaged or "
                "have diverged, or CONFIG.VAL.PRECISION is too low for it. Use other weights, or fp32."
            )
        return feature

    def seconds(self, video: EvalVideo) -> np.ndarray:
        """What the feature covers, start and end in seconds of the file: [2] or, of each view, [V, 2]; NaN where unknown."""
        seconds = video.views.seconds
        if seconds is None:
            seconds = np.full((len(video.views), 2), np.nan)
        return seconds if self.each_view else np.array([seconds[:, 0].min(), seconds[:, 1].max()])

    def _mean(self, video: EvalVideo) -> np.ndarray:
        """Summed view by view in float64, so that it does not depend on how many views are in a forward, and no map of them is kept."""
        total, count = 0.0, 0
        for feature in self._views(video):
            total, count = total + feature.astype(np.float64), count + 1
        return np.asarray(total / count, dtype=np.float32)

    def _views(self, video: EvalVideo) -> Iterator[np.ndarray]:
        """The feature of each view."""
        cut = VideoViews(video.frames.to(self.device, non_blocking=True), video.views)
        for start in range(0, len(cut), self.views_per_batch):
            slices = [cut[view] for view in range(start, min(start + self.views_per_batch, len(cut)))]
            batch = normalize_views(slices, self.mean, self.std, memory_format=self.memory_format)
            with autocast(self.precision, self.device):
                outputs = layer_output(self.model, self.layer.name, batch)
            yield from self._pooled(outputs.float()).cpu().numpy()

    def _pooled(self, outputs: Tensor) -> Tensor:
        return outputs.mean(dim=(2, 3, 4)) if self.pool == "mean" and outputs.dim() == 5 else outputs


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 of the names, types, shapes and values of a network's weights, wherever the file came from that held them."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {list(values.shape)}\n".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
