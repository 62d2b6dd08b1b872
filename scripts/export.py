"""Write a network for other programs: python scripts/export.py style=kandinsky format=onnx."""

from allaprima.cli import run

if __name__ == "__main__":
    run("export")
