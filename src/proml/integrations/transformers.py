"""Hugging Face Transformers: a call-back that records arguments and logs, and publishes the trained model.

    Trainer(..., callbacks=[Callback(publish="my-model")])

Of several processes the first one records and publishes; under torchrun all of them are ranks of one run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from proml.integrations.session import Session, careful, flat, missing, numbers

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise missing("transformers", error) from error

if TYPE_CHECKING:
    from collections.abc import Mapping


class Callback(TrainerCallback):  # type: ignore[misc]  # mypy runs without the frameworks
    """Records what a Trainer trains in the active run, or in one of its own.

    Recorded are the training arguments (tokens left out), the model's configuration as ``model.NAME``, and every number
    that the Trainer logs, with its global step.

    Args:
        publish: Name of the artefact that the trained model becomes a version of; by default it is not published.
        path: Folder into which the model is saved for that; by default ``NAME`` in the Trainer's output folder.
        action: Transition of the artefact, as for :meth:`proml.Run.publish`.
    """

    def __init__(self, *, publish: str | None = None, path: str | None = None, action: str | None = None) -> None:
        super().__init__()
        self.publish = publish
        self.path = path
        self.action = action
        self._session = Session()

    @careful("record the arguments of a Trainer")
    def on_train_begin(self, args: Any, state: Any, _control: Any, model: Any = None, **_: Any) -> None:
        """Records arguments and configuration."""
        self._session.begin("transformers", rank=0 if state.is_world_process_zero else 1)
        run = self._session.run
        if run is None or not state.is_world_process_zero:
            return
        config = getattr(model, "config", None)
        run.log_params(args.to_sanitized_dict())
        if config is not None:
            run.log_params(flat({"model": config.to_diff_dict()}))

    @careful("record the logs of a Trainer")
    def on_log(self, _args: Any, state: Any, _control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
        """Records what the Trainer logs."""
        run = self._session.run
        if run is not None and state.is_world_process_zero:
            run.log_metrics(numbers(logs or {}), step=state.global_step)

    def on_train_end(self, args: Any, state: Any, _control: Any, model: Any = None, **_: Any) -> None:
        """Publishes the model, if asked to."""
        self._publish(args, state, model)
        self._session.end()

    @careful("publish the model of a Trainer")
    def _publish(self, args: Any, state: Any, model: Any) -> None:
        run = self._session.run
        if run is None or not self.publish or not state.is_world_process_zero:
            return
        path = self.path or Path(args.output_dir) / self.publish.replace("/", "-")
        model.save_pretrained(path)
        run.publish(self.publish, path, kind="model", action=self.action)
