"""Write a network for other programs: python scripts/export.py style=kandinsky format=onnx."""

from omegaconf import DictConfig

from allaprima.cli import run


def main(config: DictConfig) -> None:
    """Import late: a wrong option should not wait for PyTorch."""
    from allaprima.commands.export import export

    export(config)


if __name__ == "__main__":
    run("export", main)
