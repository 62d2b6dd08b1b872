"""Networks compared with the optimizer."""
