"""Keras 3: a callback that records parameters and metrics, and publishes the model when training ends.

model.fit(x, y, epochs=5, callbacks=[Callback(publish="my-model")])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proml.integrations.session import Session, careful, flat, missing, name_of, numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

try:
    import keras
except ImportError as error:
    raise missing("keras", error) from error


class Callback(keras.callbacks.Callback):  # type: ignore[misc]  # mypy runs without the frameworks
    """Records what Keras trains in the active run, or in one of its own.

    Recorded are the optimizer's settings, the number of parameters, loss, epochs and steps, and what Keras logs at the
    end of each epoch, with the epoch as step.

    Args:
        publish: Name of the artefact that the trained model becomes a version of; by default it is not published.
        path: Where the model is saved for that; by default ``NAME.keras``.
        action: Transition of the artefact, as for :meth:`proml.Run.publish`.
    """

    def __init__(self, *, publish: str | None = None, path: str | None = None, action: str | None = None) -> None:
        super().__init__()
        self.publish = publish
        self.path = path or f"{publish}.keras"
        self.action = action
        self._session = Session()

    @careful("record the settings of Keras")
    def on_train_begin(self, _logs: Mapping[str, Any] | None = None) -> None:
        """Records the settings."""
        self._session.begin("keras")
        run = self._session.run
        if run is None:
            return
        model, optimizer = self.model, self.model.optimizer
        values = {"model": name_of(model), "backend": keras.backend.backend(), "count_params": model.count_params()}
        values |= {"loss": _name(getattr(model, "loss", None))}
        if optimizer is not None:
            values |= flat({"optimizer": optimizer.get_config()})
        run.log_params({**values, **(self.params or {})})

    @careful("record an epoch of Keras")
    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Records the epoch's metrics."""
        run = self._session.run
        if run is not None:
            run.log_metrics(numbers(logs or {}), step=epoch)

    def on_train_end(self, _logs: Mapping[str, Any] | None = None) -> None:
        """Publishes the model, if asked to."""
        self._publish()
        self._session.end()

    @careful("publish the model of Keras")
    def _publish(self) -> None:
        run = self._session.run
        if run is not None and self.publish:
            self.model.save(self.path)
            run.publish(self.publish, self.path, kind="model", action=self.action)


def _name(loss: object) -> str:
    return loss if isinstance(loss, str) else str(getattr(loss, "name", None) or getattr(loss, "__name__", loss))
