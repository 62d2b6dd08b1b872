"""A window on the screen that shows one picture after another."""

import os
import subprocess
import sys

import cv2
import numpy as np

from allaprima.errors import UserError

LEAVE = {ord("q"), 27}  # and Escape
PROBE = "import cv2; cv2.namedWindow('')"


def has_display() -> bool:
    """Whether there is a screen to open a window on.

    A process of its own tries it, since a screen that is named but not there ends the process.
    """
    if sys.platform != "linux":
        return True
    named = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(named) and not subprocess.run([sys.executable, "-c", PROBE], capture_output=True).returncode


class Window:
    """A window that is closed by its cross, by q or by Escape. Raises UserError if there is no screen."""

    def __init__(self, title: str) -> None:
        if not has_display():
            raise UserError("there is no screen to show the camera on: give output=FILE.mp4 to record it instead")
        self.title = title
        self.sized = False
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)

    def show(self, picture: np.ndarray, note: str) -> bool:
        """Show a picture, (H, W, 3) uint8, with a note in the title; whether the window is to stay open."""
        if not self.sized:
            cv2.resizeWindow(self.title, picture.shape[1], picture.shape[0])
            self.sized = True
        cv2.imshow(self.title, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        cv2.setWindowTitle(self.title, f"{self.title}: {note}")
        key = cv2.waitKey(1) & 0xFF
        return key not in LEAVE and cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) >= 1

    def close(self) -> None:
        """Close it."""
        cv2.destroyWindow(self.title)
