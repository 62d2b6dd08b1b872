"""Which trained network a command uses."""

from pathlib import Path

from allaprima.commands.settings import Settings
from allaprima.errors import UserError
from allaprima.limits import Text
from allaprima.losses.objective import StyleSettings
from allaprima.losses.style import ALL
from allaprima.networks.files import GALLERY, network_name, network_path


class NetworkChoice(Settings):
    """Of a command that uses a trained network: a bundled one by its painting, or any other by its file."""

    style: StyleSettings
    model: Text | None

    def network_file(self, style: str | None = None, fast: bool = False) -> Path:
        """The file that `model` names, or else `style`; with `fast` a bundled network made for speed."""
        if self.model and (fast or self.style.name == ALL):
            raise UserError("fast=true and style=all choose among the bundled networks: leave out model=")
        if self.style.shares and not self.model:
            if fast:
                raise UserError("fast=true has no blends: leave out fast=true, or name one painting")
            return network_path(GALLERY)
        if self.style.image and not self.model:
            raise UserError("style.image= is for training: allaprima train style.image=PICTURE, then give model=")
        return network_path(self.model or network_name(style or self.style.name, fast))
