"""Training a network for one painting, or for several."""
