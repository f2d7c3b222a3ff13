"""Heads: features to scores."""
