"""2-D kernels to 3-D ones."""

import torch

from vidrec.utils.errors import WeightsError


def inflate(kernel: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """A 2-D network's tensor in the shape of its 3-D counterpart.

    A kernel is repeated along time and divided by the number of copies, so that a video that stands still gives what the
    2-D network gives (Carreira and Zisserman, CVPR 2017). The reference's I3D does not divide; published files are not
    affected, they are loaded as they are.

    Args:
        kernel: [O, I, h, w], or anything whose shape is already right.
        shape: [O, I, t, h, w], any t of at least 1.

    Raises:
        WeightsError: when more than the time axis differs.

    Example: [[[[6]]]] to [1, 1, 3, 1, 1] -> 2, 2, 2
    """
    if kernel.shape == shape:
        return kernel
    if len(shape) != 5 or kernel.dim() != 4 or kernel.shape != (*shape[:2], *shape[3:]):
        raise WeightsError(
            f"a tensor of shape {list(kernel.shape)} cannot be inflated to {list(shape)}; only the time axis may be new. "
            "Choose the 2-D network of the same depth and width."
        )
    copies = shape[2]
    return (kernel / copies).unsqueeze(2).expand(shape).contiguous()
