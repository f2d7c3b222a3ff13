"""The head of 3-D networks with one pathway."""

from vidrec.models.heads.base import Head


class PoolHead(Head):
    """Average over time and space, dropout, linear layer.

    Example: [[2, 2048, 4, 7, 7]] -> pool [2, 2048] -> scores [2, K]
    """
