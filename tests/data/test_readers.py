import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from chainrule import data


class TestIdx:
    def test_a_file_as_the_format_describes_it(self, tmp_path):
        file = tmp_path / "x"
        file.write_bytes(struct.pack(">HBBII", 0, 0x0D, 2, 2, 1) + struct.pack(">ff", 1.5, -2))
        assert np.array_equal(data.read_idx(file), np.array([[1.5], [-2]], np.float32))

    @pytest.mark.parametrize("kind", ["u1", "i1", "i2", "i4", "f4", "f8"])
    @pytest.mark.parametrize("end", ["", ".gz"])
    def test_what_was_written_is_read(self, tmp_path, kind, end):
        array = np.arange(-4, 20).reshape(2, 3, 4).astype(kind)
        file = tmp_path / f"x{end}"
        data.write_idx(file, array)
        found = data.read_idx(file)
        assert np.array_equal(found, array)
        assert found.dtype == array.dtype
        assert found.dtype.isnative

    def test_every_truncation_is_noticed(self, tmp_path):
        file = tmp_path / "x"
        data.write_idx(file, np.arange(6, dtype=np.int16).reshape(2, 3))
        whole = file.read_bytes()
        for length in range(len(whole)):
            file.write_bytes(whole[:length])
            with pytest.raises(ValueError, match=f"{file}"):
                data.read_idx(file)
        file.write_bytes(whole + b"x")
        with pytest.raises(ValueError, match=r"25 bytes, but an array of shape \(2, 3\) takes 24"):
            data.read_idx(file)

    def test_a_truncated_gzip_file(self, tmp_path):
        file = tmp_path / "x.gz"
        file.write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\x01\x05")[:-3])
        with pytest.raises(ValueError, match="compressed file is damaged"):
            data.read_idx(file)

    def test_a_file_of_another_kind(self, tmp_path):
        file = tmp_path / "x"
        file.write_text("not at all")
        with pytest.raises(ValueError, match="not an IDX file"):
            data.read_idx(file)

    def test_mnist_is_read_from_its_four_files(self, tmp_path):
        images = np.arange(3 * 28 * 28).reshape(3, 28, 28).astype(np.uint8)
        labels = np.array([3, 1, 2], np.uint8)
        for part, end in (("train", ".gz"), ("t10k", "")):
            data.write_idx(tmp_path / f"{part}-images-idx3-ubyte{end}", images)
            data.write_idx(tmp_path / f"{part}-labels-idx1-ubyte{end}", labels)
        (x, y), test = data.mnist(tmp_path)
        assert x.dtype == np.float32
        assert np.array_equal(np.rint(x * 255), images)
        assert y.tolist() == [3, 1, 2]
        assert np.array_equal(test[0], x)

    def test_missing_mnist_says_that_it_is_on_the_internet(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"nothing is downloaded.*internet"):
            data.mnist(tmp_path)


class TestImages:
    def make(self, folder, sizes):
        for name, size in sizes.items():
            (folder / name).parent.mkdir(exist_ok=True)
            Image.new("RGB", size, (200, 100, 0)).save(folder / name)
        return folder

    def test_subfolders_are_classes(self, tmp_path):
        self.make(tmp_path, {"b/1.png": (4, 3), "a/2.png": (4, 3), "a/1.png": (4, 3)})
        (tmp_path / "a" / "notes.txt").write_text("not an image")
        images, labels, names = data.read_images(tmp_path)
        assert images.shape == (3, 3, 4, 3)
        assert images.dtype == np.uint8
        assert images[0, 0, 0].tolist() == [200, 100, 0]
        assert labels.tolist() == [0, 0, 1]
        assert names == ("a", "b")

    def test_sizes_that_differ_are_named_or_made_one(self, tmp_path):
        self.make(tmp_path, {"a/1.png": (4, 3), "a/2.png": (5, 3)})
        with pytest.raises(ValueError, match=r"2\.png is 3 × 5 pixels, others are 3 × 4"):
            data.read_images(tmp_path)
        images, _, _ = data.read_images(tmp_path, size=(6, 7), grey=True)
        assert images.shape == (2, 6, 7)

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(ValueError, match="no images in subfolders"):
            data.read_images(tmp_path)


class TestTables:
    @pytest.mark.parametrize("library", ["pandas", "polars"])
    @pytest.mark.parametrize("kind", ["csv", "parquet"])
    def test_columns_by_name(self, tmp_path, monkeypatch, library, kind):
        installed = pytest.importorskip(library)
        if kind == "parquet" and library == "pandas":
            pytest.importorskip("pyarrow")
        from chainrule.data import files

        monkeypatch.setattr(files, "_first_installed", lambda *names: installed)
        frame = installed.DataFrame({"x": [1.5, None], "n": [1, 2], "name": ["a", "b"]})
        file = tmp_path / f"table.{kind}"
        if library == "pandas":
            frame.to_csv(file, index=False) if kind == "csv" else frame.to_parquet(file)
        else:
            frame.write_csv(file) if kind == "csv" else frame.write_parquet(file)
        table = data.read_table(file)
        assert table["x"][0] == 1.5
        assert np.isnan(table["x"][1])
        assert table["n"].dtype == np.int64
        assert table["name"].tolist() == ["a", "b"]

    def test_without_either_package_the_error_names_both(self, tmp_path, monkeypatch):
        from chainrule.data import files

        def none(name):
            raise ImportError(name)

        monkeypatch.setattr(files, "import_module", none)
        with pytest.raises(ImportError, match="pandas or polars: pip install pandas"):
            data.read_table(tmp_path / "x.csv")

    def test_a_file_of_another_kind(self):
        with pytest.raises(ValueError, match=r"\.csv or \.parquet"):
            data.read_table("x.xlsx")


def test_a_memory_map_with_objects_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"pickle|Python objects"):
        data.memory_map(tmp_path / "x.npy")
