"""Every attribute and method of ndarray works on a traced value or is refused clearly."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.program.errors import ChainruleError
from tests.trace.comparing import check, refusal

X = np.array([0.55, 1.45, 2.6])
M = np.arange(6.0).reshape(2, 3) / 4 + 0.31

WORKS = {
    "T": lambda a: a.T,
    "mT": lambda a: a.mT,
    "all": lambda a: a.all(axis=0),
    "any": lambda a: a.any(),
    "argmax": lambda a: a.argmax(axis=1),
    "argmin": lambda a: a.argmin(),
    "argpartition": lambda a: a[0][a[0].argpartition(1)],
    "argsort": lambda a: a.argsort(axis=1),
    "astype": lambda a: a.astype(np.float64),
    "base": lambda a: (a[0].base is a, (a * 1.0).base is None),
    "choose": lambda a: np.array([0, 1, 0]).choose(a),
    "clip": lambda a: a.clip(0.4, 1.2),
    "compress": lambda a: a.compress([True, False, True], axis=1),
    "conj": lambda a: a.conj(),
    "conjugate": lambda a: a.conjugate(),
    "copy": lambda a: a.copy(),
    "cumprod": lambda a: a.cumprod(axis=0),
    "cumsum": lambda a: a.cumsum(axis=1),
    "device": lambda a: a.device == "cpu",
    "diagonal": lambda a: a.diagonal(1),
    "dot": lambda a: a.dot([1.0, 2.0, 3.0]),
    "dtype": lambda a: a.dtype == float,
    "fill": lambda a: (a.fill(2.0), a)[1],
    "flags": lambda a: a.flags.c_contiguous,
    "flat": lambda a: a.flat[2:4],
    "flatten": lambda a: a.flatten("F"),
    "imag": lambda a: a.imag,
    "item": lambda a: (a.item(1, 2) * 2.0, a.item(4) * 2.0, a[0, 0].item() * 2.0),
    "itemsize": lambda a: a.itemsize,
    "max": lambda a: a.max(axis=0),
    "mean": lambda a: a.mean(axis=1, keepdims=True),
    "min": lambda a: a.min(),
    "nbytes": lambda a: a.nbytes,
    "ndim": lambda a: a.ndim,
    "nonzero": lambda a: (a > 0.6).nonzero() + a.nonzero(),
    "partition": lambda a: (a.partition(1, axis=1), a)[1][:, 1],
    "prod": lambda a: a.prod(axis=1),
    "put": lambda a: (a.put([0, 5], [7.0, 8.0]), a)[1],
    "ravel": lambda a: a.ravel(),
    "real": lambda a: a.real,
    "repeat": lambda a: a.repeat(2, axis=0),
    "reshape": lambda a: a.reshape(3, -1),
    "round": lambda a: a.round(1),
    "searchsorted": lambda a: a[0].searchsorted([0.4, 0.7]),
    "shape": lambda a: a.shape,
    "size": lambda a: a.size,
    "sort": lambda a: (a.sort(axis=0), a)[1],
    "squeeze": lambda a: a[:1].squeeze(),
    "std": lambda a: a.std(axis=0),
    "strides": lambda a: a.strides,
    "sum": lambda a: a.sum(axis=(0, 1)),
    "swapaxes": lambda a: a.swapaxes(0, 1),
    "take": lambda a: a.take([2, 0], axis=1),
    "to_device": lambda a: a.to_device("cpu"),
    "tolist": lambda a: [[v * 2.0 for v in row] for row in a.tolist()],
    "trace": lambda a: a.trace(),
    "transpose": lambda a: a.transpose(1, 0),
    "var": lambda a: a.var(axis=1, ddof=1),
    "view": lambda a: a.view(),
}
REFUSED = {
    "byteswap": lambda a: a.byteswap(),
    "ctypes": lambda a: a.ctypes,
    "data": lambda a: a.data,
    "dump": lambda a: a.dump("file"),
    "dumps": lambda a: a.dumps(),
    "getfield": lambda a: a.getfield(np.float32),
    "resize": lambda a: a.resize(3),
    "setfield": lambda a: a.setfield(1.0, np.float64),
    "setflags": lambda a: a.setflags(write=False),
    "tobytes": lambda a: a.tobytes(),
    "tofile": lambda a: a.tofile("file"),
}
OF_OLDER_VERSIONS = {"itemset", "newbyteorder", "ptp", "tostring"}  # they only raise


def test_the_lists_are_complete():
    names = {name for name in dir(np.ndarray) if not name.startswith("_")}
    assert names - set(WORKS) - set(REFUSED) - OF_OLDER_VERSIONS == set()


@pytest.mark.parametrize("name", sorted(WORKS))
def test_works(name):
    if not hasattr(np.ndarray, name):
        pytest.skip("not in this version of NumPy")
    check(WORKS[name], M, exact=name not in ("std", "var"))


@pytest.mark.parametrize("name", sorted(WORKS))
def test_works_on_constants(name):
    if not hasattr(np.ndarray, name):
        pytest.skip("not in this version of NumPy")
    check(lambda x: (WORKS[name](np.array(M)), x), X, exact=name not in ("std", "var"))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name):
    text = refusal(REFUSED[name], M)
    assert f".{name}" in text
    assert "test_attributes.py" in text


@pytest.mark.parametrize("name", ["getfield", "tobytes", "byteswap", "dumps"])
def test_raw_memory_of_constants(name):
    def f(x):
        constant = np.array(M)
        made = REFUSED[name](constant)
        assert np.all(made == REFUSED[name](M))
        return x

    cr.vjp(f, X)


def test_what_is_no_attribute():
    with pytest.raises(AttributeError, match="has no attribute 'shpae'"):
        cr.vjp(lambda x: x.shpae, X)
    assert not cr.vjp(lambda x: x * hasattr(x, "numpy"), X)[0].any()
    with pytest.raises(AttributeError, match="'float' object has no attribute 'shpae'"):
        cr.vjp(lambda x: x.shpae, 2.0)


def test_operators_are_complete():
    operators = {n for n in dir(np.ndarray) if n.startswith("__")}
    ours = set(dir(type(traced())))
    raw = {
        *("__array_finalize__", "__array_interface__", "__array_namespace__", "__array_struct__"),
        *("__array_wrap__", "__dlpack__", "__dlpack_device__", "__buffer__", "__delitem__"),
        *("__class_getitem__", "__setstate__", "__array_prepare__", "__complex__"),
    }
    missing = operators - ours - raw
    assert missing == set()


def traced():
    found = []
    cr.vjp(lambda x: (found.append(x), x)[1], X)
    return found[0]


def test_deleting_elements():
    with pytest.raises((TypeError, ValueError, AttributeError)):
        cr.vjp(lambda x: x.__delitem__(0), X)


def test_dlpack_and_buffers_are_refused():
    for f in (np.from_dlpack, memoryview, lambda a: a.__array_interface__):
        with pytest.raises((TypeError, AttributeError, BufferError)):
            cr.vjp(f, X)


def test_attributes_of_numbers():
    check(lambda x: (x.real, x.imag, x.conjugate(), x.is_integer(), x.hex() == "no"), 2.5)


def test_another_dtype_is_no_view():
    with pytest.raises(ChainruleError, match=r"\.view\(\) with another dtype"):
        cr.vjp(lambda a: a.view(np.int64), M)
    with pytest.raises(ChainruleError, match="matrix"):
        cr.vjp(lambda a: a.view(np.matrix), M)
