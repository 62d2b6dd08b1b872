"""Settings as a user types them: checks, each of which refuses in one line what no command can work with."""

from omegaconf import DictConfig, OmegaConf

from allaprima.errors import UserError

# Pixels, below which the loss network's deep layers have nothing left.
SMALLEST_SIDE = 32


def check_whole(config: DictConfig, name: str, least: int, most: float = float("inf")) -> None:
    """Raises UserError unless the setting called `name` is a whole number from `least` to `most`."""
    value = OmegaConf.select(config, name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        limit = f"{least} or more" if most == float("inf") else f"from {least} to {most}"
        raise UserError(f"{name}={value}: give a whole number, {limit}")


def check_seed(config: DictConfig) -> None:
    """Raises UserError unless the setting called `seed` is one that every generator of random numbers takes."""
    check_whole(config, "seed", least=0, most=2**32 - 1)


def check_number(config: DictConfig, name: str, most: float = float("inf")) -> None:
    """Raises UserError unless the setting called `name` is a number from 0 to `most`."""
    value = OmegaConf.select(config, name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        limit = "0 or more" if most == float("inf") else f"from 0 to {most:g}"
        raise UserError(f"{name}={value}: give a number, {limit}")


def check_switch(config: DictConfig, name: str) -> None:
    """Raises UserError unless the setting called `name` is true or false: a word like no would count as true."""
    value = OmegaConf.select(config, name)
    if not isinstance(value, bool):
        raise UserError(f"{name}={value}: give true or false")


def check_sides(config: DictConfig, name: str) -> None:
    """Raises UserError unless the setting called `name` is a rising list of sides in pixels."""
    sides = OmegaConf.select(config, name)
    whole = OmegaConf.is_list(sides) and sides and all(type(side) is int and side >= SMALLEST_SIDE for side in sides)
    if not whole or list(sides) != sorted(set(sides)):
        raise UserError(f"{name}={sides}: give sides in pixels, rising from {SMALLEST_SIDE} or more, {name}=[256,512]")


def check_names(config: DictConfig, name: str) -> None:
    """Raises UserError unless the setting called `name` is a list of at least one name."""
    value = OmegaConf.select(config, name)
    if not OmegaConf.is_list(value) or not value or not all(isinstance(item, str) for item in value):
        raise UserError(f"{name}={value}: give a list, {name}=[NAME,NAME]")
