"""Make a style file of a painting: python scripts/read_style.py style=kandinsky style.image=PICTURE."""

from omegaconf import DictConfig

from allaprima.cli import run


def main(config: DictConfig) -> None:
    """Import late: a wrong option should not wait for PyTorch."""
    from allaprima.commands.read_style import write_style

    write_style(config)


if __name__ == "__main__":
    run("read_style", main)
