"""Settings as a user types them: checked before anything is done, and one line on what is wrong.

The groups are dataclasses of the packages that use them; every command has a class beside it, with a name and a type
for each of its settings in `configs/`.
"""

import json
from collections.abc import Sequence
from typing import Any, Self

from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, ConfigDict, ValidationError

from allaprima.errors import UserError


class Settings(BaseModel):
    """The settings of a command."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def read(cls, config: DictConfig) -> Self:
        """The settings of a command. Raises UserError with one line on the first that is invalid."""
        if missing := [name for name in config if OmegaConf.is_missing(config, name)]:
            raise UserError(f"{missing[0]} is missing: give {missing[0]}=")
        return cls.checked(OmegaConf.to_container(config, resolve=True))

    @classmethod
    def checked(cls, values: Any) -> Self:
        """The same from dictionaries."""
        try:
            return cls.model_validate_json(json.dumps(values))  # where pydantic takes dictionaries for dataclasses
        except ValidationError as error:
            raise UserError(mistake(error.errors()[0], values)) from error


# By pydantic's name of a mistake, what to do; of the others it is said in pydantic's own words.
ADVICE = {
    "missing": "give one of those in configs/{name}",
    "model_type": "give one of those in configs/{name}",
    "dataclass_type": "give one of those in configs/{name}",
    "int_type": "give a whole number",
    "float_type": "give a number",
    "finite_number": "give a number that is finite",
    "bool_type": "give true or false",
    "string_type": "give a name or a path",
    "string_too_short": "give a name or a path",
    "list_type": "give a list, {name}=[A,B]",
    "too_short": "give a list of one or more, {name}=[A,B]",
    "greater_than": "give more than {gt}",
    "greater_than_equal": "give {ge} or more",
    "less_than_equal": "give {le} or less",
    "literal_error": "take {expected}",
    "value_error": "{error}",
    "json_invalid": "a name that is no text: rename the file, or name its folder",
}


def mistake(error: Any, values: Any) -> str:
    """One line on what pydantic found in values: the setting, its value, what to do."""
    name = ".".join(map(str, error["loc"] if error["type"] == "missing" else setting_place(error["loc"], values)))
    limits = {key: f"{limit:g}" if isinstance(limit, float) else limit for key, limit in error.get("ctx", {}).items()}
    given = error["input"]
    kind = "string_too_short" if given == "" and error["type"] == "too_short" else error["type"]  # pydantic's for both
    advice = ADVICE.get(kind, error["msg"]).format(name=name, **limits)
    if isinstance(given, dict) or not name:  # of a whole group, whose advice names the setting
        return f"{name}: {advice}" if name else advice
    value = json.dumps(given) if given is None or isinstance(given, bool) else given
    return f"{name}={value}: {advice}"


def setting_place(place: Sequence[str | int], values: Any) -> list[str | int]:
    """A place in values, without pydantic's names for one of several types at its end."""
    known: list[str | int] = []
    for part in place:
        if not (isinstance(part, int) if isinstance(values, list) else isinstance(values, dict) and part in values):
            break
        known.append(part)
        values = values[part]
    return known
