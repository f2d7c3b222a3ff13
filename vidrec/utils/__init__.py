"""Helpers that know nothing of video: errors, processes, seeds."""
