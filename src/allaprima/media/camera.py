"""A camera: its newest frame whenever one is wanted."""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction

import cv2

from allaprima.errors import FileError, UserError
from allaprima.media.frame import Frame

TIME_BASE = Fraction(1, 1000)  # seconds
PATIENCE = 10.0  # seconds to wait for a frame
CAMERA = re.compile(r"camera:(\d{1,3})")


def camera_number(inputs: Sequence[str] | None) -> int | None:
    """Number of a camera that is meant as input, `camera:N`, or None. Raises UserError for one among other inputs."""
    cameras = [found for name in inputs or () if (found := CAMERA.fullmatch(name))]
    if not cameras:
        return None
    if len(inputs) > 1:
        raise UserError(f"input={cameras[0].string} is one of {len(inputs)} inputs: name a camera alone")
    return int(cameras[0][1])


class Camera:
    """A camera of this machine, by its number from 0. Raises FileError if there is none, or another program has it.

    It is read all the time, whatever the frames are used for, since one that is late would be shown late.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        # One line of ours in place of several of OpenCV's.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self.capture = cv2.VideoCapture(number)
        if not self.capture.isOpened():
            raise FileError(f"there is no camera {number}, or another program is using it")
        self.rate = Fraction(round(self.capture.get(cv2.CAP_PROP_FPS)) or 30)  # frames a second, as the camera says
        self.newest: Frame | None = None
        self.arrived = threading.Condition()
        self.ended = False
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        started = time.monotonic()
        while not self.ended:
            there, picture = self.capture.read()
            with self.arrived:
                self.ended = self.ended or not there
                if there:
                    moment = round((time.monotonic() - started) / TIME_BASE)
                    self.newest = Frame(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), moment)
                self.arrived.notify()

    def frames(self) -> Iterator[Frame]:
        """The newest frame each time, none twice, until the camera is unplugged. Raises FileError when no more come."""
        while True:
            with self.arrived:
                if not self.arrived.wait_for(lambda: self.newest or self.ended, PATIENCE):
                    raise FileError(f"camera {self.number} sends no pictures")
                frame, self.newest = self.newest, None
            if frame is None:
                return
            yield frame

    def close(self) -> None:
        """Give the camera back."""
        with self.arrived:
            self.ended = True
        self.reader.join(PATIENCE)
        self.capture.release()
