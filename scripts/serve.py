"""Paint and train on a page in the browser: python scripts/serve.py."""

from allaprima.cli import run

if __name__ == "__main__":
    run("serve")
