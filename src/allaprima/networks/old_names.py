"""The names that older network files and checkpoints have for what is called otherwise today."""

from typing import Any

RENAMED = {"grain": "input_noise", "painting_grain": "painting_noise", "average_decay": "ema_decay"}


def translated(value: Any) -> Any:
    """What JSON can hold, its keys under their names of today."""
    if isinstance(value, dict):
        return {RENAMED.get(key, key): translated(each) for key, each in value.items()}
    return [translated(each) for each in value] if isinstance(value, list) else value
