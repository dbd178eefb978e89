"""Serves the model to one patient; refuses to load anything but the released model."""

import sys

import joblib
from tumour import load

import proml

try:
    path = proml.verified("model.joblib", state="released")
except proml.VerificationError as error:
    print(error)
    sys.exit(error.exit_code)
model = joblib.load(path)
measurements, _ = load("wdbc", held_out=True)
print(f"patient 0: malignant with probability {model.predict_proba(measurements[:1])[0, 1]:.2f}")
