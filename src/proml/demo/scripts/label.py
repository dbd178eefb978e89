"""Adds the batch of labels that the labelling contractor delivered: 1 malignant, 0 benign."""

import csv
from pathlib import Path

from sklearn.datasets import load_breast_cancer

labels = [int(target == 0) for target in load_breast_cancer().target]
with (Path("wdbc") / "labels.csv").open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["patient", "malignant"])
    writer.writerows(enumerate(labels))
print(f"labelled {len(labels)} patients, {sum(labels)} of them malignant")
