"""Necks: between backbone and head. There is none yet."""
