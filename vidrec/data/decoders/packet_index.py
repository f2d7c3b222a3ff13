"""Which packet of a file holds which frame, worked out from packet headers alone (numpy only)."""

from typing import NamedTuple

import numpy as np


class PacketInfo(NamedTuple):
    """The header of one compressed packet, in the order of the file."""

    pts: int | None  # time of display, in ticks of the stream
    is_key: bool
    is_discard: bool  # an edit list hides it: decoded because others refer to it, never shown
    is_corrupt: bool


class PacketIndex:
    """Frame number <-> time <-> place in the file, for a stream in which every packet holds one frame.

    Args:
        packets: all packets of the stream, in the order of the file (of decoding).

    Example: packets I0 P3 B1 B2, shown as I0 B1 B2 P3 -> `pts` [0, 1, 2, 3], `position` [0, 2, 3, 1].
    """

    def __init__(self, packets: list[PacketInfo]):
        shown = [(packet.pts, place) for place, packet in enumerate(packets) if not packet.is_discard]
        shown.sort()
        self.pts = np.array([pts for pts, _ in shown], dtype=np.int64)  # [N] in order of display
        self.position = np.array([place for _, place in shown], dtype=np.int64)  # [N] place in the file
        keys = [(place, packet.pts) for place, packet in enumerate(packets) if packet.is_key]
        self.key_position = np.array([place for place, _ in keys], dtype=np.int64)
        self.key_pts = np.array([pts for _, pts in keys], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.pts)

    def frame_at(self, pts: int) -> int | None:
        """The number of the frame shown at `pts`, None where there is none."""
        frame = int(np.searchsorted(self.pts, pts))
        return frame if frame < len(self.pts) and self.pts[frame] == pts else None

    def key_before(self, frame: int) -> int:
        """Number (among the key packets) of the last one from which decoding reaches `frame`; 0 is the file's first packet.

        It must come before the frame in the file and not after it in time: what is shown before a key frame but stored after it
        may refer to frames before the key.
        """
        key = int(np.searchsorted(self.key_position, self.position[frame], side="right")) - 1
        while key > 0 and self.key_pts[key] > self.pts[frame]:
            key -= 1
        return key


def untrusted(packets: list[PacketInfo], *, header_count: int) -> str | None:
    """Why packets cannot be taken for frames one by one, or None where they can.

    Args:
        header_count: number of frames that the file's header gives, 0 where it gives none.
    """
    if not any(not packet.is_discard for packet in packets):
        return "no packet to show"
    if header_count and header_count != len(packets):
        return f"{len(packets)} packets but {header_count} in the header"
    if any(packet.pts is None for packet in packets):
        return "packets without a time"
    if len({packet.pts for packet in packets}) != len(packets):
        return "two packets of one time"
    if any(packet.is_corrupt for packet in packets):
        return "corrupt packets"
    if not packets[0].is_key or packets[0].pts != min(packet.pts for packet in packets):
        return "does not begin with a key frame"
    return None
