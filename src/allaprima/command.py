"""How every command ends: a user's mistake in one line with exit status 2, a programming error with its traceback."""

import os
import sys
from collections.abc import Callable

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from allaprima.errors import UserError


def run(main: Callable[[], None]) -> None:
    """Run a function decorated with hydra.main."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors come here instead of being printed by Hydra
    try:
        main()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        line = " ".join(part.strip() for part in str(error).splitlines() if part.strip())
        print(f"error: {line}", file=sys.stderr)
        sys.exit(2)
