"""Data in files: memory-mapped arrays, tables and folders of images."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Images", "memory_map", "read_images", "read_table"]

FilePath = str | os.PathLike[str]

_PICTURES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class Images(NamedTuple):
    """What a folder of images holds.

    Attributes
    ----------
    images : array of uint8
        Of shape (n, height, width, 3), or (n, height, width) if they are grey.
    labels : array of int
        Positions in ``names``.
    names : tuple of str
        The subfolders.
    """

    images: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    names: tuple[str, ...]


def memory_map(path: FilePath) -> np.ndarray[Any, Any]:
    """Open a ``.npy`` file without reading it.

    The elements are read when they are used, so that the file may be larger than the memory.
    :class:`Batches` reads just the examples of a batch.

    Examples
    --------
    >>> import tempfile
    >>> file = tempfile.mkdtemp() + "/x.npy"
    >>> np.save(file, np.arange(6).reshape(3, 2))
    >>> memory_map(file)[1]
    memmap([2, 3])
    """
    mapped: np.ndarray[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped


def read_table(path: FilePath) -> dict[str, np.ndarray[Any, Any]]:
    """Read the columns of a CSV or Parquet file, with pandas or polars.

    Returns
    -------
    dict
        From the name of each column to its values. A missing number is NaN.

    Raises
    ------
    ImportError
        If neither package is installed.

    Examples
    --------
    >>> table = read_table("flowers.csv")  # doctest: +SKIP
    >>> x = np.stack([table["length"], table["width"]], axis=1)  # doctest: +SKIP
    """
    kind = Path(path).suffix.lower()
    if kind not in (".csv", ".parquet"):
        raise ValueError(f"{path}: a table is a .csv or .parquet file")
    library = _first_installed("pandas", "polars")
    frame = library.read_csv(path) if kind == ".csv" else library.read_parquet(path)
    return {str(name): np.asarray(frame[name].to_numpy()) for name in frame.columns}


def read_images(
    folder: FilePath, size: tuple[int, int] | None = None, *, grey: bool = False
) -> Images:
    """Read all images in the subfolders of a folder, with Pillow. The subfolders are the classes.

    Parameters
    ----------
    folder : str or Path
        Its subfolders hold the images; files of other kinds are passed over.
    size : pair of int, optional
        Height and width to which images are resized. Without it they must all have one size.
    grey : bool
        Whether to read brightness alone.

    Examples
    --------
    >>> images, labels, names = read_images("flowers", size=(32, 32))  # doctest: +SKIP
    """
    folders = sorted(path for path in Path(folder).iterdir() if path.is_dir())
    found = [
        (label, file)
        for label, below in enumerate(folders)
        for file in sorted(below.iterdir())
        if file.suffix.lower() in _PICTURES
    ]
    if not found:
        raise ValueError(f"{folder}: no images in subfolders, which are the classes")
    images = [_pixels(file, size, grey) for _, file in found]
    for (_, file), image in zip(found, images, strict=True):
        if image.shape != images[0].shape:
            raise ValueError(
                f"{file} is {image.shape[0]} × {image.shape[1]} pixels, others are "
                f"{images[0].shape[0]} × {images[0].shape[1]}; give a size=(height, width)"
            )
    labels = np.array([label for label, _ in found])
    return Images(np.stack(images), labels, tuple(path.name for path in folders))


def _pixels(file: Path, size: tuple[int, int] | None, grey: bool) -> np.ndarray[Any, Any]:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("images are read by Pillow: pip install pillow") from None
    with Image.open(file) as image:
        picture = image.convert("L" if grey else "RGB")
        if size is not None:
            picture = picture.resize((size[1], size[0]))
        return np.array(picture, np.uint8)


def _first_installed(*names: str) -> Any:
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    raise ImportError(f"tables are read by {' or '.join(names)}: pip install {names[0]}")
