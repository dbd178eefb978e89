"""What training, evaluation and service share: reading the data set and splitting it the same way every time."""

import csv
from pathlib import Path

import numpy as np

HELD_OUT = 4  # every fourth patient is kept for the evaluation


def load(folder: str | Path, *, held_out: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns measurements (patients by 30) and labels (1 malignant) of one part of the data set."""
    with (Path(folder) / "measurements.csv").open(newline="") as file:
        rows = {row[0]: [float(cell) for cell in row[1:]] for row in list(csv.reader(file))[1:]}
    with (Path(folder) / "labels.csv").open(newline="") as file:
        labels = {row["patient"]: int(row["malignant"]) for row in csv.DictReader(file)}
    chosen = [patient for patient in rows if (int(patient) % HELD_OUT == 0) == held_out]
    return np.array([rows[patient] for patient in chosen]), np.array([labels[patient] for patient in chosen])
