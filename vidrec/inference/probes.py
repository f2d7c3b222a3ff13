"""Probes: simple classifiers on features that are not trained any more, which measure what the features hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import gcd
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidrec.utils.errors import UserError

DECAYS = tuple(10.0**power for power in range(-6, 2))
ATTENTIVE_DECAY = 0.05
RATES = (0.0001, 0.0003, 0.001, 0.003)
WIDTH, HEADS = 256, 8  # of the attention, at the most
BLOCK = 1024  # videos that are compared with all others at a time
Step = Callable[[], None]


def no_step() -> None:
    """Progress that nobody wants to see."""


class Trial(NamedTuple):
    """What a weight decay, or a learning rate, came to on the part of the training features that was held out."""

    value: float
    top1: float
    loss: float


@dataclass(frozen=True)
class ProbeResult:
    """The outcome of a probe.

    Attributes:
        scores: [M, K] float32, of the videos that are tested.
        chosen: the numbers that it was made with.
        tried: which of them was chosen by trials; '': none.
        trials: of each value.
    """

    scores: np.ndarray
    chosen: dict[str, Any]
    tried: str = ""
    trials: list[Trial] = field(default_factory=list)


def hold_out(labels: np.ndarray, *, share: float, seed: int) -> np.ndarray:
    """[N] bool: a random part of each class, rounded, at least one video and never all of them; of a class with one video none.

    Raises:
        UserError: nothing can be held out, since no class has two videos.

    Example: labels [0, 0, 0, 0, 0, 1, 1, 2], share 0.2 -> one of the five, one of the two, not the last
    """
    rng, held = np.random.default_rng(seed), np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        count = min(max(round(share * len(rows)), 1), len(rows) - 1)
        held[rows[:count]] = True
    if not held.any():
        raise UserError(
            f"None of the {len(np.unique(labels))} classes has 2 training videos, so that none can be held out to choose a weight decay"
            " by. Take more videos, or the k-NN probe (--probe knn)."
        )
    return held


def knn_probe(train: Tensor, labels: Tensor, test: Tensor, *, num_classes: int, k: int = 20, temperature: float = 0.07) -> ProbeResult:
    """The vote of the k training vectors that are nearest by cosine, each with the weight exp(cosine / temperature).

    Wu et al., Unsupervised Feature Learning via Non-Parametric Instance Discrimination, CVPR 2018 (arXiv 1805.01978).

    Args:
        train, test: [N, D] and [M, D].
        k: at most N are taken.
    """
    k = min(k, len(train))
    train = F.normalize(train, dim=1)
    parts = []
    for block in test.split(BLOCK):
        nearness, nearest = (F.normalize(block, dim=1) @ train.T).topk(k, dim=1)
        votes = ((nearness - nearness[:, :1]) / temperature).exp()  # relative to the nearest, so that not all can be 0
        parts.append(votes.new_zeros(len(block), num_classes).scatter_add_(1, labels[nearest], votes))
    return ProbeResult(torch.cat(parts).cpu().numpy(), {"k": k, "temperature": temperature})


def linear_probe(
    train: Tensor,
    labels: Tensor,
    test: Tensor,
    *,
    num_classes: int,
    decays: Sequence[float] = DECAYS,
    share: float = 0.2,
    seed: int = 0,
    step: Step = no_step,
) -> ProbeResult:
    """Logistic regression on standardized vectors, its weight decay chosen on a part of the training features that is held out.

    The decay with the lowest loss there is taken; then all training features are fitted.

    Args:
        train, test: [N, D] and [M, D].
        share, seed: of `hold_out`; nothing else is drawn, since the problem is convex and starts at 0.
        step: is called after every fit, len(decays) + 1 times.
    """

    def fit(vectors: Tensor, own: Tensor, tested: Tensor, decay: float) -> Tensor:
        shift, scale = _standard(vectors)
        weight, bias = _regress((vectors - shift) / scale, own, num_classes=num_classes, decay=decay)
        step()
        return ((tested - shift) / scale) @ weight.T + bias

    best, trials = _choose(train, labels, fit, values=decays, share=share, seed=seed)
    return ProbeResult(fit(train, labels, test, best).cpu().numpy(), {"weight_decay": best}, "weight_decay", trials)


def attentive_probe(
    train: Tensor,
    labels: Tensor,
    test: Tensor,
    *,
    num_classes: int,
    rates: Sequence[float] = RATES,
    share: float = 0.2,
    seed: int = 0,
    epochs: int = 30,
    batch_size: int = 32,
    step: Step = no_step,
) -> ProbeResult:
    """Cross-attention from one learned query to the tokens of a video, then a linear classifier; AdamW, the rate falling as a cosine.

    The learning rate is chosen as the weight decay of `linear_probe` is. Tokens are standardized per channel.

    Args:
        train, test: [N, L, D] and [M, L', D] of L views, or points of maps.
        seed: of what is held out, of the first weights and of the batches.
        batch_size: at the most; a short list is cut into 8 batches, for enough steps.
        step: is called after every epoch, epochs * (len(rates) + 1) times.
    """
    batch_size = min(batch_size, -(-len(train) // 8))

    def fit(tokens: Tensor, own: Tensor, tested: Tensor, rate: float) -> Tensor:
        shift, scale = _standard(tokens.flatten(0, 1))
        draw = torch.Generator().manual_seed(seed)
        model = AttentiveClassifier(tokens.shape[2], num_classes, shift=shift, scale=scale, generator=draw)
        optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=ATTENTIVE_DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        for _ in range(epochs):
            _train_epoch(model, optimizer, tokens, own, batches=torch.randperm(len(tokens), generator=draw).split(batch_size))
            schedule.step()
            step()
        return torch.cat([model(block).detach() for block in tested.split(batch_size)])

    best, trials = _choose(train, labels, fit, values=rates, share=share, seed=seed)
    chosen = {"lr": best, "weight_decay": ATTENTIVE_DECAY, "epochs": epochs, "batch_size": batch_size}
    return ProbeResult(fit(train, labels, test, best).cpu().numpy(), chosen, "lr", trials)


class AttentiveClassifier(nn.Module):
    """[B, L, D] tokens -> [B, K] scores.

    Args:
        shift, scale: [D], taken from the tokens, and what they are then divided by; the network is on their device.
        generator: draws the first weights.
    """

    def __init__(self, dim: int, num_classes: int, *, shift: Tensor, scale: Tensor, generator: torch.Generator):
        super().__init__()
        width = min(WIDTH, dim)
        with torch.device("meta"):  # every weight is drawn below, by the generator
            self.attention = nn.MultiheadAttention(width, gcd(width, HEADS), kdim=dim, vdim=dim, batch_first=True)
            self.query = nn.Parameter(torch.empty(1, 1, width))
            self.norm = nn.LayerNorm(width)
            self.classifier = nn.Linear(width, num_classes)
        self.to_empty(device="cpu")
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter, generator=generator)
            else:
                nn.init.zeros_(parameter)
        nn.init.ones_(self.norm.weight)
        self.to(shift.device)
        self.shift, self.scale = shift, scale

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = (tokens - self.shift) / self.scale
        pooled, _ = self.attention(self.query.expand(len(tokens), -1, -1), tokens, tokens, need_weights=False)
        return self.classifier(self.norm(pooled[:, 0]))


def _train_epoch(model: nn.Module, optimizer: torch.optim.Optimizer, tokens: Tensor, labels: Tensor, *, batches: Sequence[Tensor]) -> None:
    for rows in batches:
        rows = rows.to(labels.device)
        optimizer.zero_grad()
        F.cross_entropy(model(tokens[rows]), labels[rows]).backward()
        optimizer.step()


def _choose(
    train: Tensor, labels: Tensor, fit: Callable[..., Tensor], *, values: Sequence[float], share: float, seed: int
) -> tuple[float, list[Trial]]:
    """The value with the lowest loss on what is held out; top-1 is too coarse for that, a video being 2 % of a part of 50."""
    held = torch.from_numpy(hold_out(labels.cpu().numpy(), share=share, seed=seed)).to(labels.device)
    trials = []
    for value in values:
        scores = fit(train[~held], labels[~held], train[held], value)
        hits = (scores.argmax(dim=1) == labels[held]).double().mean().item()
        trials.append(Trial(value, hits, F.cross_entropy(scores, labels[held]).item()))
    return min(trials, key=lambda trial: trial.loss).value, trials


def _standard(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column; 1 for one that does not change."""
    scale = vectors.std(dim=0, correction=0)
    return vectors.mean(dim=0), torch.where(scale > 1e-6 * vectors.abs().amax(dim=0), scale, torch.ones_like(scale))


def _regress(vectors: Tensor, labels: Tensor, *, num_classes: int, decay: float) -> tuple[Tensor, Tensor]:
    """Weight [K, D] and bias [K] that minimize mean cross-entropy + decay / 2 * |weight|^2, by L-BFGS from 0."""
    weight = vectors.new_zeros(num_classes, vectors.shape[1], requires_grad=True)
    bias = vectors.new_zeros(num_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=300, tolerance_grad=1e-6, tolerance_change=1e-9, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(vectors @ weight.T + bias, labels) + decay / 2 * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weight.detach(), bias.detach()
