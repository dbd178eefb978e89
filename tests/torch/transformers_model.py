"""A language model of a few hundred parameters, made at random, and something to train it on."""

from __future__ import annotations

from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments


def model() -> Any:
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=11, n_positions=8, n_embd=4, n_layer=1, n_head=1))


def rows() -> list[dict[str, Any]]:
    ids = torch.arange(8) % 11
    return [{"input_ids": ids, "labels": ids} for _ in range(8)]


def trainer(trained: Any, *callbacks: Any, **options: Any) -> Any:
    settings: dict[str, Any] = {
        "output_dir": "out",
        "per_device_train_batch_size": 2,
        "max_steps": 4,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "seed": 1,
    }
    arguments = TrainingArguments(**{**settings, **options})
    return Trainer(model=trained, args=arguments, train_dataset=rows(), callbacks=list(callbacks))
