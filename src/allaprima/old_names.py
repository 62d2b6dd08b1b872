"""What older network files, style files and checkpoints call otherwise, or keep elsewhere, than those of today."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

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
    if isinstance(found.get("style"), dict) and "network" in found:  # what is said of a network for one painting
        style, names = found.pop("style"), found.pop("styles", None)
        unknown = {"artist": "", "year": "", "source": "", "sha256": ""}
        found["paintings"] = [unknown | {"name": name, "title": name} for name in names] if names else [style]
    if isinstance(weights := found.get("content_weights"), dict):  # of one level
        found["content_weights"] = {
            name: [weight] if isinstance(weight, float) else weight for name, weight in weights.items()
        }
    if found.get("source") == "public domain" and "name" in found:  # a painting's, which was read from a file
        found["source"] = f"{found['name']}.jpg"
    return found


def with_codes(state: Mapping[str, Tensor], norms: Sequence[str], paintings: Sequence[str]) -> dict[str, Tensor]:
    """A network's weights, by name, with a table of codes in the place of instance norms that had scales and shifts.

    `norms` are their names. A network of several paintings had the others of its weights below `network`.
    """
    if "codes" in state:
        return dict(state)
    pairs = [f"{norm}.{part}" for norm in norms for part in ("weight", "bias")]
    several = {name.removeprefix("network."): weight for name, weight in state.items() if name.startswith("network.")}
    if several:
        rows = [[state[f"norms.{name}.{number}"] for number in range(len(pairs))] for name in paintings]
    else:
        rows = [[state[name] for name in pairs]]
    kept = {name: weight for name, weight in (several or state).items() if name not in pairs}
    return kept | {"codes": torch.stack([torch.cat(row) for row in rows])[:, None]}
