"""Compare a network with the optimizer on the same objective: python scripts/compare.py style=kandinsky."""

from allaprima.cli import run

if __name__ == "__main__":
    run("compare")
