"""Settings as a user types them: types and limits, checked before anything is done, and one line on what is wrong.

Every command has a class of its own beside it, with a name and a type for each of its settings in `configs/`.
"""

from collections.abc import Collection
from typing import Annotated, Any, Literal, Self

from omegaconf import DictConfig, OmegaConf
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from allaprima.errors import UserError

# Pixels, below which the loss network's deep layers have nothing left.
SMALLEST_SIDE = 32


def one_of(table: Collection[str]) -> AfterValidator:
    """A name in a table."""

    def check(name: str) -> str:
        if name not in table:
            raise ValueError(f"take one of {', '.join(table)}")
        return name

    return AfterValidator(check)


def at_most(limit: float, reason: str) -> AfterValidator:
    """A number up to a limit that has a reason."""

    def check(number: float) -> float:
        if number > limit:
            raise ValueError(f"give {limit} or less: {reason}")
        return number

    return AfterValidator(check)


def increasing(sides: list[int]) -> list[int]:
    """The sides themselves. Raises ValueError unless each is larger than the one before."""
    if sides != sorted(set(sides)):
        raise ValueError("give sides in pixels, rising, [256,512]")
    return sides


def unique(names: list[str]) -> list[str]:
    """The names themselves. Raises ValueError where one comes twice."""
    if len(set(names)) < len(names):
        raise ValueError("name each once")
    return names


def as_text(value: Any) -> Any:
    """A text that looks like a number was meant as a name."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def listed(value: Any) -> Any:
    """One of something as a list of one."""
    return value if isinstance(value, list) else [value]


Words = Annotated[str, BeforeValidator(as_text)]
Text = Annotated[Words, Field(min_length=1)]
Texts = Annotated[list[Text], Field(min_length=1)]
Whole = Annotated[int, Field(ge=1, le=2**31 - 1)]
Number = Annotated[float, Field(ge=0, le=1e30)]
Share = Annotated[float, Field(ge=0, le=1)]
Smooth = Annotated[float, Field(ge=0, le=0.95)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Side = Annotated[int, Field(ge=SMALLEST_SIDE), at_most(8192, "a loss network of a larger picture fits into no memory")]
Sides = Annotated[list[Side], Field(min_length=1), AfterValidator(increasing)]
Depth = Literal[16, 19]


class Settings(BaseModel):
    """Settings as a user types them; every group and every command has its own."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def read(cls, config: DictConfig) -> Self:
        """The settings of a command. Raises UserError with one line on the first that cannot be."""
        return cls.checked(OmegaConf.to_container(config, resolve=True))

    @classmethod
    def checked(cls, values: Any) -> Self:
        """The same from dictionaries, as a network's file keeps them."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise UserError(mistake(error.errors()[0])) from error

    def asdict(self) -> dict[str, Any]:
        """Those that were given, as dictionaries, lists, texts and numbers."""
        return self.model_dump(exclude_unset=True)


# By pydantic's name of a mistake, what to do; of the others it is said in pydantic's own words.
ADVICE = {
    "missing": "give one of those in configs/{name}",
    "model_type": "give one of those in configs/{name}",
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
}
YAML = {None: "null", True: "true", False: "false"}


def mistake(error: Any) -> str:
    """One line on what pydantic found: the setting, its value, what to do."""
    name = ".".join(map(str, error["loc"]))
    limits = {key: f"{limit:g}" if isinstance(limit, float) else limit for key, limit in error.get("ctx", {}).items()}
    advice = ADVICE.get(error["type"], error["msg"]).format(name=name, **limits)
    given = error["input"]
    if isinstance(given, dict):  # of a whole group, whose advice names the setting
        return f"{name}: {advice}" if name else advice
    value = YAML[given] if given is None or isinstance(given, bool) else given
    return f"{name}={value}: {advice}"
