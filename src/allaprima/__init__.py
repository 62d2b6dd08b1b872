"""Alla Prima: train one small network per painting, then paint photographs in a single pass."""
