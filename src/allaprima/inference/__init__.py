"""Trained networks at work: the stylizer, engines, files for other programs."""
