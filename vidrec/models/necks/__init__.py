"""Necks: between backbone and head."""
