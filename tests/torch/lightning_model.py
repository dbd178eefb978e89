"""The smallest model that Lightning trains; its tests and the scripts that they start under torchrun use it."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset


class Line(LightningModule):  # type: ignore[misc]  # mypy runs without the frameworks
    """Fits a line, and logs its loss."""

    def __init__(self, rate: float = 0.125, *, fails: bool = False) -> None:
        super().__init__()
        self.save_hyperparameters("rate")
        self.layer = torch.nn.Linear(2, 1)
        self.rate = rate
        self.fails = fails

    def training_step(self, batch: Any, _index: int) -> Any:
        if self.fails:
            raise ZeroDivisionError
        x, y = batch
        loss = ((self.layer(x) - y) ** 2).mean()
        self.log("loss", loss, on_step=True)
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.rate)


def data() -> Any:
    x = torch.arange(16.0).reshape(8, 2) / 16
    return DataLoader(TensorDataset(x, x.sum(dim=1, keepdim=True)), batch_size=2)


def trainer(**options: Any) -> Any:
    settings: dict[str, Any] = {
        "max_epochs": 2,
        "accelerator": "cpu",
        "devices": 1,
        "log_every_n_steps": 1,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return Trainer(**{**settings, **options})
