"""The logger that writes TensorBoard's event files."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vidrec.engine.files import make_folder, room_text
from vidrec.engine.loggers import RunInfo
from vidrec.utils.errors import UserError


class TensorBoardLogger:
    """Event files in the run's log folder. What a run that was resumed measures again takes the place of the earlier values."""

    def start(self, run: RunInfo, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes seconds to import

        try:
            self._events = SummaryWriter(str(make_folder(run.log_dir)), purge_step=first_step)
        except OSError as error:
            raise UserError(
                f"{run.log_dir} cannot be written ({error.strerror}; {room_text(run.log_dir.parent)}); "
                "make room, or choose a folder that you may write to with CONFIG.LOG.BASE_PATH."
            ) from error
        self._hyper = {key: _plain(value) for key, value in run.changed.items()}
        self._events.add_text("config", f"```yaml\n{run.config}\n```", first_step)

    def scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        for tag, number in numbers.items():
            self._events.add_scalar(tag, number, step)

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._events.add_image(name, pixels, step, dataformats="HWC")

    def text(self, step: int, name: str, markdown: str) -> None:
        self._events.add_text(name, markdown, step)

    def finish(self, metrics: Mapping[str, float], ended: str) -> None:
        """The table of hyper-parameters stands beside the curves and not in a run of its own, as `add_hparams` would have it."""
        from torch.utils.tensorboard.summary import hparams

        if metrics:
            for summary in hparams({**self._hyper, "ended": ended}, dict(metrics)):
                self._events.file_writer.add_summary(summary)
            self.scalars(0, metrics)
        self._events.close()


def _plain(value: Any) -> str | bool | int | float:
    """What the table of hyper-parameters can hold."""
    return value if isinstance(value, (str, bool, int, float)) else str(value)
