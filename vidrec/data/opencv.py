"""OpenCV, imported where it is used, with a remedy where it cannot load."""

import importlib

from vidrec.utils.errors import UserError


def import_cv2():
    """The cv2 module, single-threaded: loader processes are the parallelism. Raises UserError where it cannot be imported."""
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        raise UserError(
            f"OpenCV (cv2) cannot be imported: {error}; frames cannot be resized without it. Install the system libraries with "
            "`apt-get install libgl1 libglib2.0-0`, or use the build that needs none: "
            "`pip uninstall opencv-python; pip install opencv-python-headless`."
        ) from error
    cv2.setNumThreads(0)
    return cv2
