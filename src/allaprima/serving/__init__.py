"""A page to paint and to train on, served by this machine."""
