"""Copies of videos with the prediction drawn in: what stays as it was, and what is drawn where."""

from fractions import Fraction

import av
import numpy as np
import pytest

from vidrec.data.decoders import open_video
from vidrec.data.spans import Span
from vidrec.inference.annotate import annotate
from vidrec.inference.caption import MARK, STRIP_COLORS, Caption, draw_caption
from vidrec.utils.errors import UserError, VideoError

BARS = (("archery", 0.75), ("a class whose name is longer than any room that there is", 0.25))


def plain(second, share):
    return Caption(BARS)


def write(path, *, times, size=(160, 120), codec="libx264", rotation=0, sound="", sound_s=1.0):
    """A gray video with frames at some times in ticks of 1/1000 s, whose upper half is darker; `sound`: a codec, a tone of some seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        tone = container.add_stream(sound, rate=48000) if sound else None
        for number, tick in enumerate(times):
            image = np.full((size[1], size[0], 3), 100 + number, dtype=np.uint8)
            image[: size[1] // 2] = 40
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        for start in range(0, round(sound_s * 48000), 1024) if tone else ():
            wave = np.sin(np.arange(start, start + 1024) / 20).astype(np.float32)
            part = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
            part.sample_rate, part.pts, part.time_base = 48000, start, Fraction(1, 48000)
            resampler = av.AudioResampler(format=tone.codec_context.format or "fltp", layout="stereo", rate=48000)
            for piece in resampler.resample(part):
                container.mux(tone.encode(piece))
        if tone:
            container.mux(tone.encode())
    return str(path)


def times_of(path):
    with av.open(str(path)) as container:
        return [round(1000 * frame.time) for frame in container.decode(video=0)]


def test_frames_keep_their_times_where_the_rate_varies(tmp_path):
    times = [0, 40, 80, 200, 210, 500]
    out = tmp_path / "out.mp4"
    assert annotate(write(tmp_path / "a.mp4", times=times), out, plain).frames == 6
    assert times_of(out) == times
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, stream.width, stream.height) == ("h264", "yuv420p", 160, 120)


def test_turned_video_stands_upright_and_needs_no_turning(tmp_path):
    source = write(tmp_path / "a.mp4", times=[0, 40, 80], rotation=90)
    annotate(source, tmp_path / "out.mp4", plain)
    with open_video(source) as reader, open_video(tmp_path / "out.mp4") as copy:
        before, after = reader.get_frames([1]).numpy()[0].astype(int), copy.get_frames([1]).numpy()[0].astype(int)
    assert after.shape == before.shape == (160, 120, 3)
    below = slice(120, 160)  # of the bars
    assert np.abs(after[below] - before[below]).mean() < 4
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0


def test_odd_side_grows_by_one_pixel(tmp_path):
    source = write(tmp_path / "a.mkv", times=[0, 40], size=(45, 79), codec="ffv1")
    annotate(source, tmp_path / "out.mp4", plain)
    with open_video(tmp_path / "out.mp4") as copy:
        assert tuple(copy.get_frames([0]).shape) == (1, 80, 46, 3)


def sound_of(path):
    with av.open(str(path)) as container:
        stream = next(iter(container.streams.audio), None)
        frames = list(container.decode(stream)) if stream else []
    return stream and stream.codec_context.name, sum(frame.samples / frame.sample_rate for frame in frames)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "pcm_s16le"), ("b.mkv", "libmp3lame")])
def test_sound_is_kept_or_becomes_what_browsers_play(tmp_path, name, codec):
    source = write(tmp_path / name, times=range(0, 1000, 40), sound=codec)
    assert annotate(source, tmp_path / "out.mp4", plain).silent == ""
    kind, seconds = sound_of(tmp_path / "out.mp4")
    assert kind == ("mp3float" if codec == "libmp3lame" else "aac")
    assert seconds == pytest.approx(1.0, abs=0.08)


def test_part_of_a_video_has_its_own_frames_and_sound(tmp_path):
    source = write(tmp_path / "a.mp4", times=range(0, 1000, 40), sound="aac")
    seen = []

    def note(second, share):
        seen.append((round(second, 2), round(share, 2)))
        return Caption(BARS)

    annotate(source, tmp_path / "out.mp4", note, span=Span(5, 15))
    assert times_of(tmp_path / "out.mp4") == list(range(0, 400, 40))
    assert (seen[0], seen[-1]) == ((0.2, 0.0), (0.56, 1.0))
    assert sound_of(tmp_path / "out.mp4")[1] == pytest.approx(0.4, abs=0.08)


def test_bars_are_as_long_as_probable_and_the_rest_is_untouched():
    frame = np.full((240, 320, 3), 200, dtype=np.uint8)
    drawn = draw_caption(frame, Caption(BARS)).astype(int)
    assert (frame == 200).all() and (drawn[30:] == 200).all() and (drawn[:, 160:] == 200).all()
    assert drawn[13, 118, 2] > 140 and drawn[13, 124, 2] < 100  # the first bar ends at 0.75 * 160
    assert drawn[28, 38, 2] > 140 and drawn[28, 44, 2] < 100  # the second at 0.25 * 160


def test_strip_shows_the_stretches_and_where_the_frame_stands():
    frame = np.zeros((240, 320, 3), dtype=np.uint8)
    strip = ((0.0, 0.5, 0), (0.5, 1.0, 1))
    drawn = draw_caption(frame, Caption(BARS, (), strip, 0.25))
    assert tuple(drawn[239, 80]) == MARK
    near = [np.abs(drawn[239, x].astype(int) - np.array(STRIP_COLORS[place]) * 220 // 255).max() for x, place in ((10, 0), (300, 1))]
    assert max(near) <= 1


def test_tiny_frames_are_drawn_on_too():
    assert draw_caption(np.zeros((1, 1, 3), dtype=np.uint8), Caption(BARS, (), ((0.0, 1.0, 0),), 0.5)).shape == (1, 1, 3)
    assert draw_caption(np.zeros((30, 20, 3), dtype=np.uint8), Caption(BARS)).max() > 0


def test_copy_that_cannot_be_made_is_named_and_leaves_nothing(tmp_path):
    source = write(tmp_path / "a.mp4", times=[0, 40])
    with pytest.raises(UserError, match="cannot be written"):
        annotate(source, tmp_path / "none" / "out.mp4", plain)
    (tmp_path / "bad.mp4").write_text("no video")
    with pytest.raises(VideoError, match="cannot be read"):
        annotate(str(tmp_path / "bad.mp4"), tmp_path / "out.mp4", plain)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "bad.mp4"]
