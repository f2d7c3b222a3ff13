"""3-D max pooling whose gradient is the same in every run.

The backward pass of torch's own adds with atomics on a CUDA device, in any order, and is refused there by deterministic algorithms; that of
2-D max pooling is not. A maximum over time and space is one over time, then one over space.
"""

from torch import Tensor, nn
from torch.nn.functional import max_pool2d


class FixedMaxPool3d(nn.MaxPool3d):
    """The same values as MaxPool3d. Of several equal maxima another one may get the gradient where the kernel spans time and space."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride, padding = (_triple(size) for size in (self.kernel_size, self.stride, self.padding))
        height, options = x.shape[3], {"ceil_mode": self.ceil_mode}
        if (kernel[0], stride[0]) != (1, 1):
            rows = max_pool2d(x.flatten(3), (kernel[0], 1), (stride[0], 1), (padding[0], 0), **options)  # [B, C, T, H*W]
            x = rows.unflatten(3, (height, -1))
        if (kernel[1:], stride[1:]) == ((1, 1), (1, 1)):
            return x
        batch_and_time = (x.shape[0], x.shape[2])
        frames = max_pool2d(x.transpose(1, 2).flatten(0, 1), kernel[1:], stride[1:], padding[1:], **options)  # [B*T, C, h, w]
        return frames.unflatten(0, batch_and_time).transpose(1, 2)


def fix_pools(model: nn.Module) -> None:
    """Makes every MaxPool3d of a network, without dilation, a FixedMaxPool3d, in place."""
    for module in model.modules():
        if type(module) is nn.MaxPool3d and _triple(module.dilation) == (1, 1, 1) and not module.return_indices:
            module.__class__ = FixedMaxPool3d


def _triple(size: int | tuple[int, ...]) -> tuple[int, ...]:
    return (size,) * 3 if isinstance(size, int) else tuple(size)
