"""Paint one picture the slow way, without a network: python scripts/optimize.py content=PHOTO style=kandinsky."""

from allaprima.cli import run

if __name__ == "__main__":
    run("optimize")
