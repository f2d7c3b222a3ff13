"""The demo data set's videos: a textured sprite moving over a textured background in one of eight ways.

The classes stand in pairs of opposites. The second of a pair is drawn like the first and then played backwards, so both
have the same distribution of single frames: only the order of the frames tells them apart.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

CLASSES = ("left", "right", "up", "down", "clockwise", "counter_clockwise", "zoom_in", "zoom_out")


class Poses(NamedTuple):
    """Where the sprite is in each frame, all [T] float32; the image spans -1 to 1, x to the right, y downwards."""

    x: np.ndarray
    y: np.ndarray
    angle: np.ndarray  # radians, clockwise on the screen
    half_side: np.ndarray  # half the sprite's side; 1 fills the image


def render_motion(label: int, rng: np.random.Generator, *, num_frames: int, size: int) -> Tensor:
    """Draws one video of a class.

    Args:
        label: index into CLASSES.
        rng: the only source of randomness; it is advanced.
        num_frames: length of the video, at least 2.
        size: height and width of a frame, in pixels.

    Returns:
        [num_frames, size, size, 3] uint8 RGB.

    Example: with equal generators, `render_motion(1, ...)` (right) is `render_motion(0, ...)` (left) in reversed order.
    """
    background = texture(rng, cells=6, size=size)
    sprite = torch.cat([texture(rng, cells=4, size=size), _shape(rng, size)])
    frames = compose(sprite, background, draw_poses(CLASSES[label - label % 2], rng, num_frames))
    return frames.flip(0) if label % 2 else frames


def draw_poses(name: str, rng: np.random.Generator, num_frames: int) -> Poses:
    """A random course of the motion `left`, `up`, `clockwise` or `zoom_in`, at constant speed.

    Example: `left` may go from x = 0.4 to x = -0.3 while y, the angle and the size stay.
    """
    time = np.linspace(-0.5, 0.5, num_frames, dtype=np.float32)
    still = np.zeros_like(time)
    travel = rng.uniform(0.6, 1.0)
    turn = rng.uniform(0.5, 1.0) * np.pi
    growth = rng.uniform(1.8, 2.6)
    half_side = rng.uniform(0.3, 0.45)
    along, across = rng.uniform(-0.15, 0.15), rng.uniform(-0.35, 0.35)
    x, y = (across, along) if name == "up" else (along, across)
    return Poses(
        x=x + (-travel * time if name == "left" else still),
        y=y + (-travel * time if name == "up" else still),
        angle=np.float32(rng.uniform(-np.pi, np.pi)) + (turn * time if name == "clockwise" else still),
        half_side=half_side * (growth**time if name == "zoom_in" else still + 1),
    )


def compose(sprite: Tensor, background: Tensor, poses: Poses) -> Tensor:
    """Lays the sprite over the background in each pose.

    Args:
        sprite: [4, size, size] float, RGB in [0, 1] and opacity in [0, 1].
        background: [3, size, size] float in [0, 1].

    Returns:
        [T, size, size, 3] uint8.
    """
    cos, sin, scale = (torch.from_numpy(np.float32(v)) for v in (np.cos(poses.angle), np.sin(poses.angle), poses.half_side))
    x, y = (torch.from_numpy(np.float32(v)) for v in (poses.x, poses.y))
    # affine_grid wants the way back, from a point of the image to a point of the sprite: shift, turn back, shrink.
    rows = [
        torch.stack([cos, sin, -(cos * x + sin * y)], dim=1),
        torch.stack([-sin, cos, sin * x - cos * y], dim=1),
    ]
    to_sprite = torch.stack(rows, dim=1) / scale[:, None, None]  # [T, 2, 3]
    shape = (len(x), *sprite.shape)
    grid = F.affine_grid(to_sprite, shape, align_corners=False)
    layer = F.grid_sample(sprite.expand(shape), grid, align_corners=False)
    opacity = layer[:, 3:]
    image = layer[:, :3] * opacity + background * (1 - opacity)  # [T, 3, H, W]
    return (image * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def texture(rng: np.random.Generator, *, cells: int, size: int) -> Tensor:
    """[3, size, size] float in [0, 1]: random colors, `cells` to a side and three times as many, smoothly interpolated."""
    layers = []
    for count in (cells, 3 * cells):
        noise = torch.from_numpy(rng.random((1, 3, count, count), dtype=np.float32))
        layers.append(F.interpolate(noise, (size, size), mode="bilinear", align_corners=False)[0])
    return 0.7 * layers[0] + 0.3 * layers[1]


def _shape(rng: np.random.Generator, size: int) -> Tensor:
    """[1, size, size] opacity of a rectangle with a soft edge; its height is 0.6 to 1 of its width."""
    steps = (torch.arange(size) + 0.5) / size * 2 - 1
    height = rng.uniform(0.6, 1.0)
    inside = torch.minimum(1 - steps.abs()[None, :], height - steps.abs()[:, None])
    return (inside * 10).clamp(0, 1)[None]
