"""Evaluates the tumour model on patients that it has not seen, and publishes the result as an artefact of its own."""

import json
from pathlib import Path

import joblib
from sklearn.metrics import accuracy_score, roc_auc_score
from tumour import load

import proml

with proml.start_run("evaluate-tumour-model") as run:
    run.use("wdbc")
    run.use("model.joblib")
    model = joblib.load(proml.verified("model.joblib", state="trained"))  # not a byte is loaded before it is checked
    measurements, labels = load("wdbc", held_out=True)
    metrics = {
        "accuracy": accuracy_score(labels, model.predict(measurements)),
        "roc_auc": roc_auc_score(labels, model.predict_proba(measurements)[:, 1]),
    }
    run.log_metrics(metrics)
    Path("evaluation.json").write_text(json.dumps({"patients": len(labels), **metrics}, indent=1) + "\n")
    run.publish("tumour-evaluation", "evaluation.json", kind="evaluation", action="report")
    print(f"accuracy {metrics['accuracy']:.3f}, ROC AUC {metrics['roc_auc']:.3f} on {len(labels)} patients")
