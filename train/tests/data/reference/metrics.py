"""Writes metrics.json: fixed logits and labels with what scikit-learn says of them.

    pip install scikit-learn && python metrics.py > metrics.json

Labels are leukd's: 0 is all (the positive class), 1 is hem.
"""

import json

import numpy as np
import sklearn
from sklearn import metrics

TEMPERATURE, THRESHOLD = 1.7, 0.45


def calibration_error(p, positive, bins=15):
    """Guo et al. 2017; scikit-learn has none."""
    confidence = np.maximum(p, 1 - p)
    right = (p >= 0.5) == positive
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return sum(
        abs(confidence[place == b].mean() - right[place == b].mean()) * (place == b).mean()
        for b in range(bins)
        if (place == b).any()
    )


def case(all_logits, hem_logits, labels):
    margin = np.array(all_logits) - np.array(hem_logits)
    positive = np.array(labels) == 0
    raw = 1 / (1 + np.exp(-margin))
    p = 1 / (1 + np.exp(-margin / TEMPERATURE))
    decided = p >= THRESHOLD
    fpr, tpr, _ = metrics.roc_curve(positive, p, drop_intermediate=False)
    precision, recall, _ = metrics.precision_recall_curve(positive, p)
    kept_fpr, kept_tpr, _ = metrics.roc_curve(positive, p, drop_intermediate=True)
    expected = {
        "accuracy": metrics.accuracy_score(positive, decided),
        "balanced_accuracy": metrics.balanced_accuracy_score(positive, decided),
        "weighted_f1": metrics.f1_score(positive, decided, average="weighted"),
        "auroc": metrics.roc_auc_score(positive, p),
        "average_precision": metrics.average_precision_score(positive, p),
        "sensitivity": metrics.recall_score(positive, decided),
        "specificity": metrics.recall_score(~positive, ~decided),
        "calibration_error_before": calibration_error(raw, positive),
        "calibration_error": calibration_error(p, positive),
        "brier_before": metrics.brier_score_loss(positive, raw),
        "brier": metrics.brier_score_loss(positive, p),
    }
    for percent in (80, 90, 95):
        share = percent / 100
        expected[f"sensitivity_at_specificity_{percent}"] = tpr[1 - fpr >= share - 1e-12].max()
        expected[f"specificity_at_sensitivity_{percent}"] = (1 - fpr)[tpr >= share - 1e-12].max()
    matrix = metrics.confusion_matrix(~positive, ~decided)
    return {
        "logits": [[float(a), float(h)] for a, h in zip(all_logits, hem_logits)],
        "labels": [int(label) for label in labels],
        "expected": {name: float(value) for name, value in expected.items()},
        "confusion": matrix.ravel().tolist(),
        "roc": [[float(x), float(y)] for x, y in zip(kept_fpr, kept_tpr)],
        "precision_recall": sorted(
            [float(r), float(q)] for r, q in zip(recall[:-1], precision[:-1])
        ),
    }


random = np.random.default_rng(20190415)
labels = (random.random(60) < 0.4).astype(int)
separable = np.where(labels == 0, 1.2, -0.8)
cases = {
    # As a network gives them.
    "smooth": case(
        (separable + random.normal(0, 1.5, 60)).round(4), random.normal(0, 0.5, 60).round(4), labels
    ),
    # Many equal scores.
    "tied": case((separable + random.integers(-2, 3, 60)).round(), np.zeros(60), labels),
    # Worse than chance.
    "inverted": case((-0.4 * separable + random.normal(0, 1, 60)).round(3), np.zeros(60), labels),
}
print(
    json.dumps(
        {
            "scikit_learn": sklearn.__version__,
            "numpy": np.__version__,
            "temperature": TEMPERATURE,
            "threshold": THRESHOLD,
            "cases": cases,
        }
    )
)
