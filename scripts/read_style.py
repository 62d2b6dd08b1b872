"""Make a style file of a painting: python scripts/read_style.py style=kandinsky style.image=PICTURE."""

from allaprima.cli import run

if __name__ == "__main__":
    run("read_style")
