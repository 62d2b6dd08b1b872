"""Paint pictures with a trained network: python scripts/infer.py input=PHOTO."""

from omegaconf import DictConfig

from allaprima.cli import run


def main(config: DictConfig) -> None:
    """Import late: a wrong option should not wait for PyTorch."""
    from allaprima.commands.infer import paint_files

    paint_files(config)


if __name__ == "__main__":
    run("infer", main)
