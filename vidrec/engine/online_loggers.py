"""Loggers of services: imported only where CONFIG.LOG.LOGGERS names them. Their settings are their own environment variables."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np

from vidrec.engine.files import make_folder
from vidrec.engine.loggers import RunInfo

PARAM_LENGTH, PARAMS_AT_ONCE = 500, 100  # limits of MLflow's servers


class WandbLogger:
    """Weights & Biases: WANDB_PROJECT, WANDB_ENTITY and WANDB_MODE (offline) say where to; a resumed run goes on in its own record."""

    def start(self, run: RunInfo, first_step: int) -> None:
        import wandb

        self._wandb = wandb
        mark = run.folder / "wandb_id.txt"
        self._run = wandb.init(
            id=_kept(mark) or None, resume="allow", name=run.name, dir=str(make_folder(run.log_dir)), config=dict(run.changed)
        )
        mark.write_text(self._run.id)
        # The service's own step only rises; after resuming, ours does not.
        self._run.define_metric("global_step")
        self._run.define_metric("*", step_metric="global_step")

    def scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log({"global_step": step, **numbers})

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._run.log({"global_step": step, name: self._wandb.Image(pixels)})

    def text(self, step: int, name: str, markdown: str) -> None:
        self._run.log({"global_step": step, name: self._wandb.Html(f"<pre>{escape(markdown)}</pre>")})

    def finish(self, metrics: Mapping[str, float], ended: str) -> None:
        self._run.summary.update({**metrics, "ended": ended})
        self._run.finish(exit_code=0 if ended == "finished" else 1)


class MLflowLogger:
    """MLflow: MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME say where to; a resumed run goes on in its own record."""

    def start(self, run: RunInfo, first_step: int) -> None:
        import mlflow

        self._mlflow = mlflow
        mark = run.folder / "mlflow_run_id.txt"
        before = _kept(mark)
        started = mlflow.start_run(run_id=before or None, run_name=None if before else run.name)
        mark.write_text(started.info.run_id)
        if not before:  # parameters can be set once
            params = [(key, str(value)[:PARAM_LENGTH]) for key, value in run.changed.items()]
            for first in range(0, len(params), PARAMS_AT_ONCE):
                mlflow.log_params(dict(params[first : first + PARAMS_AT_ONCE]))
            mlflow.log_text(run.config, "config.yaml")

    def scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(numbers), step=step, synchronous=False)

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._mlflow.log_image(pixels, artifact_file=f"{name}/{step:09d}.png")

    def text(self, step: int, name: str, markdown: str) -> None:
        self._mlflow.log_text(markdown, f"{name}/{step:09d}.md")

    def finish(self, metrics: Mapping[str, float], ended: str) -> None:
        self._mlflow.log_metrics(dict(metrics))
        self._mlflow.set_tag("ended", ended)
        self._mlflow.end_run("FINISHED" if ended == "finished" else "FAILED")


def _kept(mark: Path) -> str:
    """The record's name that an earlier part of the run has left; '' for a new run."""
    return mark.read_text().strip() if mark.exists() else ""
