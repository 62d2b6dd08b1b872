"""Types of settings with their limits, which pydantic checks where a user gives a value."""

from collections.abc import Callable, Collection
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from allaprima.errors import choice_advice

SMALLEST_SIDE = 32  # pixels, below which the loss network's deep layers have nothing left


def one_of(table: Collection[str]) -> AfterValidator:
    """A name in a table."""

    def check(name: str) -> str:
        if name not in table:
            raise ValueError(choice_advice(name, table))
        return name

    return AfterValidator(check)


def at_most(limit: float, reason: str) -> AfterValidator:
    """A number up to a limit that has a reason."""

    def check(number: float) -> float:
        if number > limit:
            raise ValueError(f"give {limit} or less: {reason}")
        return number

    return AfterValidator(check)


def number_or(other: str, most: float, is_other: Callable[[str], bool] = bool, least: float = 0) -> BeforeValidator:
    """A number from `least` to `most`, null, or a text for which `is_other` holds, called `other` in advice."""

    def check(value: Any) -> Any:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (value is None or (number and least <= value <= most) or (isinstance(value, str) and is_other(value))):
            raise ValueError(f"give a number from {least} to {most}, or {other}")
        return value

    return BeforeValidator(check)


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


AnyText = Annotated[str, BeforeValidator(as_text)]
Text = Annotated[AnyText, Field(min_length=1)]
Texts = Annotated[list[Text], Field(min_length=1)]
NonNegativeInt = Annotated[int, Field(ge=0, le=2**31 - 1)]
PositiveInt = Annotated[int, Field(ge=1, le=2**31 - 1)]
NonNegative = Annotated[float, Field(ge=0, le=1e30)]
UnitInterval = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Side = Annotated[int, Field(ge=SMALLEST_SIDE), at_most(8192, "a loss network of a larger picture fits into no memory")]
Sides = Annotated[list[Side], Field(min_length=1), AfterValidator(increasing)]
