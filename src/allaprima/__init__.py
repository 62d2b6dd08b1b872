"""Alla Prima: one small network per painting, then a photograph becomes a painting in a single pass."""

__all__ = ["Stylizer"]
__version__ = "0.2.0"


def __getattr__(name: str) -> object:
    """Import late: PyTorch takes seconds, and not every command needs it."""
    if name == "Stylizer":
        from allaprima.inference.stylizer import Stylizer

        return Stylizer
    raise AttributeError(f"module 'allaprima' has no attribute '{name}'")
