"""Train one network for one painting: python scripts/train.py style=kandinsky."""

from allaprima.cli import run

if __name__ == "__main__":
    run("train")
