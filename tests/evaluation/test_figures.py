import pytest
import torch

from allaprima.evaluation.figures import contact_sheet


@pytest.mark.parametrize(("height", "width"), [(90, 120), (120, 90), (40, 120)])
def test_contact_sheet_has_the_photographs_shape(height, width):
    figure = contact_sheet({str(number): torch.rand(1, 3, height, width) for number in range(6)}, columns=3)
    figure.draw_without_rendering()
    cells = [axes.get_position() for axes in figure.axes]
    filled = sum(cell.width * cell.height for cell in cells)
    assert filled > 0.7  # of the sheet, whatever the photograph's shape
