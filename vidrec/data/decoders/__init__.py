"""Video decoders: `open_video(path)` gives a reader of exact frames by index; nothing heavy is imported before a video is opened."""

from vidrec.data.decoders.base import DECODERS, VideoReader, decoder_version, open_video
from vidrec.data.decoders.memory import VideoBytes
from vidrec.data.decoders.reading import DEFAULTS, ReadOptions

__all__ = ["DECODERS", "DEFAULTS", "ReadOptions", "VideoBytes", "VideoReader", "decoder_version", "open_video"]
