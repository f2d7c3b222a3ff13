"""Video decoders: `open_video(path)` gives a reader of exact frames by index; nothing heavy is imported before a video is opened."""

from vidrec.data.decoders.base import DECODERS, VideoReader, decoder_version, open_video
from vidrec.data.decoders.memory import VideoBytes

__all__ = ["DECODERS", "VideoBytes", "VideoReader", "decoder_version", "open_video"]
