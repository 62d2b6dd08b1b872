"""Download COCO 2017, or go on with it: python scripts/download.py root=data/coco."""

from allaprima.cli import run

if __name__ == "__main__":
    run("download")
