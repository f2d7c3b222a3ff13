"""Weights: files, names, inflation, download."""
