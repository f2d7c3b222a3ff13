"""The head of SlowFast."""

from vidrec.models.heads.base import Head


class SlowFastHead(Head):
    """Average of each pathway over time and space, joined slow first, dropout, linear layer.

    The classifier keeps PyTorch's default start, as the published networks did.

    Example: [[2, 2048, 4, 7, 7], [2, 256, 32, 7, 7]] -> pool [2, 2304] -> scores [2, K]
    """

    num_features = 2
    fits = "the two pathways of SlowFast, [slow, fast]"

    def __init__(self, in_channels: tuple[int, ...], num_classes: int, *, dropout: float = 0.5, init_std: float = 0.0):
        super().__init__(in_channels, num_classes, dropout=dropout, init_std=init_std)
