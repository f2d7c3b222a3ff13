"""Batches that are on the device when they are asked for."""

from collections.abc import Iterable, Iterator

import torch

from vidrec.data.datasets import ClipBatch


class Prefetched:
    """The batches of a loader with their tensors on a CUDA device, each copied there while the one before it is computed.

    Copies run on a stream of their own; the loader's memory should be pinned. One batch more is in the device's memory.
    """

    def __init__(self, loader: Iterable[ClipBatch], device: torch.device):
        self.loader, self.device = loader, device

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[ClipBatch]:
        stream, coming = torch.cuda.Stream(self.device), None
        for batch in self.loader:
            with torch.cuda.stream(stream):
                copied = _to(batch, self.device)
            done = stream.record_event()
            if coming is not None:
                yield _handed_over(*coming)
            coming = (copied, done)
        if coming is not None:
            yield _handed_over(*coming)


def prefetched(loader: Iterable[ClipBatch], device: torch.device) -> Iterable[ClipBatch]:
    """The loader, ahead by one batch on a CUDA device; as it is on any other, where there is nothing to copy."""
    return Prefetched(loader, device) if device.type == "cuda" else loader


def _to(batch: ClipBatch, device: torch.device) -> ClipBatch:
    """The tensors that the step computes with on the device; the rest stays where it is."""
    on_device = {name: getattr(batch, name).to(device, non_blocking=True) for name in _computed(batch)}
    return batch._replace(**on_device)


def _handed_over(batch: ClipBatch, done: torch.cuda.Event) -> ClipBatch:
    """The batch, safe to compute with on the current stream, which its memory will not be taken from before that is through."""
    current = torch.cuda.current_stream(batch.clips.device)
    current.wait_event(done)
    for name in _computed(batch):
        getattr(batch, name).record_stream(current)
    return batch


def _computed(batch: ClipBatch) -> list[str]:
    return [name for name in ("clips", "labels", "targets") if getattr(batch, name) is not None]
