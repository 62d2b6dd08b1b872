import json

from .conftest import TOP


def test_notebook(capsys):
    notebook = json.loads((TOP / "docs/first_steps.ipynb").read_text())
    names = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step")]
    totals = [float(line.split("total ")[1].split()[0]) for line in told]
    assert len(totals) == 10 and totals[-1] < 0.7 * totals[0]
