"""Make a style file of a painting: python scripts/read_style.py style=kandinsky style.image=PICTURE."""

import hydra
from omegaconf import DictConfig

from allaprima.command import run


@hydra.main(version_base="1.3", config_path="../configs", config_name="read_style")
def main(config: DictConfig) -> None:
    """Import late: a wrong option should not wait for PyTorch."""
    from allaprima.style import write_style

    write_style(config)


if __name__ == "__main__":
    run(main)
