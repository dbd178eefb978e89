"""Collects the measurements: 569 fine-needle aspirates, 30 numbers each (Wisconsin Diagnostic Breast Cancer data)."""

import csv
import json
from pathlib import Path

from sklearn.datasets import load_breast_cancer

SOURCE = {
    "title": "Breast Cancer Wisconsin (Diagnostic)",
    "uri": "https://doi.org/10.24432/C5DW2B",
    "licence": "CC-BY-4.0",
    "obtained": "from the copy that scikit-learn carries",
}

bunch = load_breast_cancer()
folder = Path("wdbc")
folder.mkdir(exist_ok=True)
with (folder / "measurements.csv").open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["patient", *(name.replace(" ", "_") for name in bunch.feature_names)])
    writer.writerows([number, *row] for number, row in enumerate(bunch.data.tolist()))
(folder / "source.json").write_text(json.dumps(SOURCE, indent=1) + "\n")
print(f"collected {len(bunch.data)} patients with {bunch.data.shape[1]} measurements each")
