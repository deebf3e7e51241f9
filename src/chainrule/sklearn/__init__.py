"""Networks as scikit-learn estimators, for its pipelines, searches and scores.

Examples
--------
>>> from sklearn.datasets import load_wine
>>> from sklearn.model_selection import cross_val_score
>>> from chainrule.sklearn import MLPClassifier
>>> x, y = load_wine(return_X_y=True)
>>> model = MLPClassifier(hidden_layer_sizes=(16,), learning_rate=0.02, random_state=0)
>>> bool(cross_val_score(model, x, y, cv=3).mean() > 0.95)
True
"""

try:
    import sklearn  # noqa: F401 - the rooms below need it
except ImportError:  # pragma: no cover - only where it is not installed
    raise ImportError(
        "chainrule.sklearn needs scikit-learn: pip install 'chainrule[sklearn]'"
    ) from None

from .estimators import (
    CNNClassifier,
    MLPClassifier,
    MLPRegressor,
    NeuralEstimator,
    RNNClassifier,
)
from .networks import pad_sequences

__all__ = [
    "CNNClassifier",
    "MLPClassifier",
    "MLPRegressor",
    "NeuralEstimator",
    "RNNClassifier",
    "pad_sequences",
]
