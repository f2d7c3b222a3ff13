"""From packet headers to frame numbers."""

import pytest

from vidrec.data.decoders.packet_index import PacketIndex, PacketInfo, untrusted


def packets(*times, keys=(0,), hidden=(), corrupt=()):
    return [PacketInfo(pts, place in keys, place in hidden, place in corrupt) for place, pts in enumerate(times)]


def test_frames_are_in_order_of_display():
    index = PacketIndex(packets(0, 30, 10, 20))
    assert (index.pts.tolist(), index.position.tolist(), len(index)) == ([0, 10, 20, 30], [0, 2, 3, 1], 4)
    assert [index.frame_at(pts) for pts in (0, 20, 5, 40)] == [0, 2, None, None]


def test_hidden_packets_are_no_frames_but_keys_to_start_from():
    index = PacketIndex(packets(-20, -10, 0, 10, keys=(0,), hidden=(0, 1)))
    assert (index.pts.tolist(), index.key_before(0), index.key_pts.tolist()) == ([0, 10], 0, [-20])


def test_leading_frames_of_a_key_are_reached_from_the_key_before():
    # I0 P2 B1 | I5 B3 B4 P6: frames 3 and 4 are stored after the key 5 and refer to 2
    index = PacketIndex(packets(0, 2, 1, 5, 3, 4, 6, keys=(0, 3)))
    assert [index.key_before(frame) for frame in range(7)] == [0, 0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("found", "header_count", "reason"),
    [
        (packets(0, 20, 10), 3, None),
        (packets(0, 20, 10), 0, None),
        (packets(0, 20, 10), 5, "3 packets but 5 in the header"),
        (packets(), 0, "no packet to show"),
        (packets(0, 1, hidden=(0, 1)), 2, "no packet to show"),
        (packets(0, None), 2, "packets without a time"),
        (packets(0, 10, 10), 3, "two packets of one time"),
        (packets(0, 10, corrupt=(1,)), 2, "corrupt packets"),
        (packets(0, 10, keys=(1,)), 2, "does not begin with a key frame"),
        (packets(10, 0), 2, "does not begin with a key frame"),
    ],
)
def test_when_packets_are_not_taken_for_frames(found, header_count, reason):
    assert untrusted(found, header_count=header_count) == reason
