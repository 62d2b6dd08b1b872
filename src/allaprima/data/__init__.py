"""Photographs, and pictures that stand in for them."""
