"""Trains the tumour model; the lines with `run` are all that ProML needs."""

import joblib
import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tumour import load

import proml

PARAMETERS = {"loss": "log_loss", "alpha": 0.01, "random_state": 7}
EPOCHS = 40

with proml.start_run("train-tumour-model") as run:
    data = run.use("wdbc")
    run.log_params({**PARAMETERS, "epochs": EPOCHS})
    measurements, labels = load(data.path, held_out=False)
    scaler = StandardScaler().fit(measurements)
    classifier = SGDClassifier(**PARAMETERS)
    scaled = scaler.transform(measurements)
    for epoch in range(EPOCHS):
        classifier.partial_fit(scaled, labels, classes=np.array([0, 1]))
        run.log_metric("loss", log_loss(labels, classifier.predict_proba(scaled)), step=epoch)
    joblib.dump(make_pipeline(scaler, classifier), "model.joblib")
    run.publish("tumour-model", "model.joblib", kind="model", action="train")
    print(f"trained on {len(labels)} patients, {EPOCHS} epochs")
