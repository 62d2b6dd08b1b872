"""What is said where something goes wrong: a sentence to the visitor, without Python's words, and a line to the log."""

import logging
import math
import sys
from typing import Any

import gradio as gr

from allaprima.errors import UserError

UNREADABLE = "This page cannot make sense of that. Reload it and try again."
CHOICES = gr.Dropdown, gr.Radio, gr.Slider, gr.Checkbox
FAILED = "Something went wrong on the server, whose log says what."


class Answer(gr.Error):
    """A sentence for the visitor, for whom Gradio is to print no traceback."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, print_exception=False)


class Page(gr.Blocks):
    """Gradio's page, on which every error is an `Answer`; only a programming error leaves a traceback in the log."""

    async def preprocess_data(self, block_fn: Any, *args: Any, **options: Any) -> list[Any]:
        """What one of the page's functions is called with. Raises Answer for what no page of this kind would send."""
        try:
            values = await super().preprocess_data(block_fn, *args, **options)
            chosen = [value for block, value in zip(block_fn.inputs, values, strict=True) if isinstance(block, CHOICES)]
            if not all(is_chosen(value) for value in chosen):  # which Gradio lets through
                raise ValueError(f"no choices: {chosen}")
        except Exception as error:  # nothing of ours has run yet: whoever wrote the request is mistaken
            raise Answer(UNREADABLE) from error
        return values

    async def process_api(self, *args: Any, **options: Any) -> dict[str, Any]:
        """Call one of the page's functions. Raises Answer for anything that goes wrong."""
        try:
            return await super().process_api(*args, **options)
        except Answer as error:
            log(f"refused: {one_line(error.__cause__ or error.message)}")
            raise
        except UserError as error:
            log(f"refused: {one_line(error)}")
            raise Answer(f"{error}.") from error
        except OSError as error:  # a full disk, as a rule
            log(f"error: {one_line(error)}")
            raise Answer(FAILED) from error
        except Exception as error:
            logging.exception("error:")
            raise Answer(FAILED) from error


def is_chosen(value: Any) -> bool:
    """Whether a value is one that a visitor can choose: a name, a number, yes or no."""
    return isinstance(value, str) or (isinstance(value, int | float) and math.isfinite(value))


def log(line: str) -> None:
    """Add a line to the log, which is standard error."""
    print(line, file=sys.stderr)


def one_line(text: object) -> str:
    """A text in one line of at most 200 characters, none of which moves a terminal's cursor."""
    return "".join(each for each in " ".join(str(text).split()) if each.isprintable())[:200]


def without_traceback(record: logging.LogRecord) -> bool:
    """For the loggers of the web server, whose errors come from requests that no browser sends: make each a line."""
    error = record.exc_info[1] if record.exc_info else None
    text = f"refused: {type(error).__name__}: {error}" if error else record.getMessage()
    record.msg, record.args = one_line(text), None
    record.exc_info = record.exc_text = None
    return True
