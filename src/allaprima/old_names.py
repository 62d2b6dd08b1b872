"""The names that older network files, style files and checkpoints have for what is called otherwise today."""

from typing import Any

RENAMED = {"grain": "input_noise", "painting_grain": "painting_noise", "average_decay": "ema_decay"}
TERMS = {"teacher_weight": "distillation", "grid_weight": "grid", "stability_weight": "stability"}


def translated(value: Any) -> Any:
    """What JSON can hold, under the names of today."""
    if isinstance(value, list):
        return [translated(each) for each in value]
    if not isinstance(value, dict):
        return value
    renamed = RENAMED if "blocks" in value or "learning_rate" in value else {}  # of a network, of an optimizer
    found = {renamed.get(key, key): translated(each) for key, each in value.items()}
    if "seed" in found and TERMS.keys() & found.keys():  # a run's settings
        found["terms"] = {new: found.pop(old) for old, new in TERMS.items() if old in found}
    if found.get("source") == "public domain" and "name" in found:  # a painting's, which was read from a file
        found["source"] = f"{found['name']}.jpg"
    return found
