"""Data to learn from: batches in a reproducible order, readers, and small real data sets.

Examples
--------
>>> from chainrule import data
>>> train, test = data.digits()
>>> batches = data.Batches(train, 32, key=0)
>>> images, labels = next(batches.epoch(0))
>>> images.shape, labels.shape
((32, 8, 8), (32,))
"""

from .augment import random_flip, random_shift
from .batches import Batches
from .bundled import breast_cancer, diabetes, digits, mnist_sample, wine
from .files import Images, memory_map, read_images, read_table
from .idx import mnist, read_idx, write_idx
from .prefetch import Prefetch, Prefetched
from .split import Split, hold_out
from .stream import Stream, stack

__all__ = [
    "Batches",
    "Images",
    "Prefetch",
    "Prefetched",
    "Split",
    "Stream",
    "breast_cancer",
    "diabetes",
    "digits",
    "hold_out",
    "memory_map",
    "mnist",
    "mnist_sample",
    "random_flip",
    "random_shift",
    "read_idx",
    "read_images",
    "read_table",
    "stack",
    "wine",
    "write_idx",
]
