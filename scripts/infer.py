"""Paint pictures with a trained network: python scripts/infer.py input=PHOTO."""

from allaprima.cli import run

if __name__ == "__main__":
    run("infer")
