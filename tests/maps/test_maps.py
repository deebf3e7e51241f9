"""Every kind of linear map: its transpose, its matrix, its gain, its label, its masks."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import maps
from chainrule.maps import LinearMap, Masked, bare, push
from chainrule.program.program import Program
from chainrule.trace.program import trace_program

REAL, COMPLEX = np.dtype(float), np.dtype(complex)


def shapes(min_dims=0, max_dims=3, min_side=1):
    return st.lists(st.integers(min_side, 3), min_size=min_dims, max_size=max_dims).map(tuple)


def values(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal(shape)
    return a + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else np.asarray(a)


class Draw:
    """Draws a map; a builder returns it with the shape of what it takes."""

    def __init__(self, draw, dtype):
        self.draw = draw
        self.dtype = dtype

    def shape(self, *args, **kwargs):
        return self.draw(shapes(*args, **kwargs))

    def array(self, shape):
        return values(shape, self.dtype, self.draw(st.integers(0, 1000)))

    def some(self, *choices):
        return self.draw(st.sampled_from(choices))

    def axes(self, shape, min_size=0):
        return tuple(
            sorted(self.draw(st.sets(st.sampled_from(range(len(shape))), min_size=min_size)))
        )

    def number(self, low, high):
        return self.draw(st.integers(low, high))


def zero(d):
    shape = d.shape()
    return maps.Zero(shape, d.shape()), shape


def identity(d):
    return maps.IDENTITY, d.shape()


def scale(d):
    shape = d.shape()
    small = d.some(shape, (), tuple(1 for _ in shape))
    c = d.array(small)
    return maps.Scale(c if small or d.number(0, 1) else c.item()), shape


def select(d):
    shape = d.shape()
    return maps.Select(d.array(shape).real > d.some(-9, 0, 9)), shape


def conjugate(d):
    return maps.Conjugate(), d.shape()


def cast(d):
    target = d.some("float32", "float64", "complex64", "complex128")
    return maps.Cast(d.dtype, np.dtype(target)), d.shape()


def broadcast(d):
    shape = d.shape()
    small = tuple(d.some(1, n) for n in shape)
    return maps.broadcast(small, (*d.shape(max_dims=1), *shape)), small


def reduce(d):
    shape = d.shape()
    axes = d.axes(shape) if shape else ()
    return maps.reduce(shape, axes, d.some(True, False)), shape


def reshape(d):
    shape = d.shape()
    return maps.Reshape(shape, d.some((-1,), shape[::-1], (1, *shape))), shape


def reshape_known(d):
    map, shape = reshape(d)
    size = int(np.prod(shape))
    return maps.Reshape(shape, (size,) if map.out_shape == (-1,) else map.out_shape), shape


def permute(d):
    shape = d.shape()
    return maps.Permute(tuple(d.draw(st.permutations(range(len(shape)))))), shape


def basic_index(d, shape):
    parts = [
        d.some(0, -1, slice(None), slice(1, None), slice(None, None, -1), slice(0, 0), slice(0, 1))
        for _ in shape[: d.number(0, len(shape))]
    ]
    parts.insert(d.number(0, len(parts)), d.some(None, Ellipsis))
    return tuple(parts)


def slice_(d):
    shape = d.shape()
    return maps.Slice(shape, basic_index(d, shape)), shape


def pad(d):
    map, shape = slice_(d)
    return map.transpose(), map.apply(np.zeros(shape)).shape


def gather(d):
    shape = d.shape(min_dims=1)
    array = np.array(d.draw(st.lists(st.integers(-1, 0), min_size=1, max_size=4)))
    mask = np.arange(shape[0]) % 2 == 0
    index = d.some(
        (array,),
        (array[:, None], ...),
        (mask,),
        (..., array),
        (array,) * len(shape),
    )
    return maps.Gather(shape, index), shape


def scatter_add(d):
    map, shape = gather(d)
    return map.transpose(), map.apply(np.zeros(shape)).shape


def windows(d):
    shape = d.shape(min_dims=1)
    axes = d.axes(shape, 1)
    return maps.Windows(shape, tuple(d.number(1, shape[a]) for a in axes), axes), shape


def overlap_add(d):
    map, shape = windows(d)
    return map.transpose(), map.apply(np.zeros(shape)).shape


def cumulative(d):
    shape = d.shape(min_dims=1)
    return maps.Cumulative(d.number(0, len(shape) - 1), d.some(True, False)), shape


def left(d):
    m, n, k, batch = d.number(1, 3), d.number(1, 3), d.number(1, 3), d.shape(max_dims=1)
    if d.number(0, 3) == 0:
        return maps.Left(d.array((n,))), d.some((n,), (n, k))
    shape = (n, k) if batch else d.some((n,), (n, k))
    return maps.Left(d.array((*batch, m, n))), (*batch, *shape)


def right(d):
    m, n, k, batch = d.number(1, 3), d.number(1, 3), d.number(1, 3), d.shape(max_dims=1)
    if d.number(0, 3) == 0:
        return maps.Right(d.array((n,))), d.some((n,), (k, n))
    shape = (k, m) if batch else d.some((m,), (k, m))
    return maps.Right(d.array((*batch, m, n))), (*batch, *shape)


def left_outer(d):
    return maps.LeftOuter(d.array((d.number(1, 3),))), d.shape(max_dims=1)


def right_outer(d):
    return maps.RightOuter(d.array((d.number(1, 3),))), d.shape(max_dims=1)


def contract(d):
    sizes = dict(zip("ijkl", (d.number(1, 3) for _ in "ijkl"), strict=True))
    varying, fixed, out = d.some(
        ("ij", ("jk",), "ik"),
        ("ij", ("jk",), "kil"[:2]),
        ("ij", ("ij",), ""),
        ("ij", ("jk", "kl"), "il"),
        ("ijk", ("ik", "l"), "jl"),
        ("i", ("j",), "ij"),
        ("ij", ("ij",), "ij"),
    )
    operands = tuple(d.array(tuple(sizes[c] for c in labels)) for labels in fixed)
    position = d.number(0, len(fixed))
    return maps.Contract(varying, fixed, out, operands, position), tuple(sizes[c] for c in varying)


def solve(d):
    n, k, batch = d.number(1, 3), d.number(1, 3), d.shape(max_dims=1)
    a = d.array((*batch, n, n)) + 4 * np.eye(n)
    return maps.Solve(a), (*batch, n, k)


def recurrence(d):
    shape = d.shape(min_dims=1)
    return maps.Recurrence(d.array(shape), d.number(0, len(shape) - 1), d.some(True, False)), shape


def fourier(d):
    shape = d.shape(min_dims=1)
    norm = d.some("backward", "ortho", "forward")
    return maps.Fourier(d.axes(shape, 1), d.some(True, False), norm), shape


def sum_(d):
    map, shape = scale(d)
    return maps.Sum(maps.IDENTITY, map, maps.Permute(tuple(range(len(shape))))), shape


def compose(d):
    inner, shape = d.some(scale, permute, slice_, select, cumulative)(d)
    middle = bare(inner.apply(np.ones(shape))).shape
    outer = d.some(
        maps.reduce(middle, tuple(range(len(middle)))),
        maps.Scale(d.array(middle)),
        maps.broadcast(middle, (2, *middle)),
        maps.IDENTITY,
        maps.Zero(middle, (2,)),
    )
    return maps.compose(outer, inner), shape


BUILDERS = {
    maps.Zero: zero,
    maps.Identity: identity,
    maps.Scale: scale,
    maps.Select: select,
    maps.Conjugate: conjugate,
    maps.Cast: cast,
    maps.Broadcast: broadcast,
    maps.Reduce: reduce,
    maps.Reshape: reshape_known,
    maps.Permute: permute,
    maps.Slice: slice_,
    maps.Pad: pad,
    maps.Gather: gather,
    maps.ScatterAdd: scatter_add,
    maps.Windows: windows,
    maps.OverlapAdd: overlap_add,
    maps.Cumulative: cumulative,
    maps.Left: left,
    maps.Right: right,
    maps.LeftOuter: left_outer,
    maps.RightOuter: right_outer,
    maps.Contract: contract,
    maps.Solve: solve,
    maps.Recurrence: recurrence,
    maps.Fourier: fourier,
    maps.Sum: sum_,
    maps.Compose: compose,
}
ELSEWHERE = {maps.Joint}  # acts on lists: the tests of loops and branches
NOT_COMPLEX_LINEAR = (maps.Conjugate, maps.Cast)

KINDS = pytest.mark.parametrize("kind", list(BUILDERS), ids=lambda kind: kind.__name__)
DTYPES = pytest.mark.parametrize("dtype", [REAL, COMPLEX], ids=["real", "complex"])
quick = settings(max_examples=15)


def test_every_kind_is_tested():
    found = {
        item
        for item in vars(maps).values()
        if inspect.isclass(item) and issubclass(item, LinearMap) and item is not LinearMap
    }
    everything = set()
    waiting = [LinearMap]
    while waiting:
        for sub in waiting.pop().__subclasses__():
            waiting.append(sub)
            if sub.__module__.startswith("chainrule."):
                everything.add(sub)
    assert everything == found, "a kind of map that chainrule.maps does not export"
    assert found == set(BUILDERS) | ELSEWHERE
    assert len({kind.kind for kind in found}) == len(found)


@st.composite
def drawn(draw, kind, dtype):
    map, shape = BUILDERS[kind](Draw(draw, dtype))
    v = values(shape, dtype, draw(st.integers(0, 1000)))
    out = np.asarray(bare(push(map, v)))
    w = values(out.shape, out.dtype, draw(st.integers(0, 1000))).astype(out.dtype)
    return map, v, w


def inner(a, b):
    """The real inner product, in which transposes are adjoints."""
    return np.sum((np.conj(a) * b).real)


def precision(*arrays):
    single = any(np.asarray(a).dtype in (np.float32, np.complex64) for a in arrays)
    return {"rtol": 1e-4, "atol": 1e-5} if single else {"rtol": 1e-9, "atol": 1e-11}


def assert_close(a, b, **kwargs):
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, **(precision(a, b) | kwargs))


@KINDS
@DTYPES
class TestEveryKind:
    def test_the_transpose_is_the_adjoint(self, kind, dtype):
        @given(drawn(kind, dtype))
        @quick
        def check(case):
            map, v, w = case
            moved, back = bare(push(map, v)), bare(push(map.transpose(), w))
            assert np.shape(back) == v.shape
            scale = 1 + np.sum(abs(np.asarray(moved))) + np.sum(abs(np.asarray(back)))
            tolerance = precision(moved, back)["rtol"] * scale
            assert abs(inner(moved, w) - inner(v, back)) <= tolerance

        check()

    def test_the_short_way_through_the_transpose(self, kind, dtype):
        @given(drawn(kind, dtype), st.booleans())
        @quick
        def check(case, masked):
            map, _, w = case
            ct = Masked(w, np.ones(w.shape, bool)) if masked else w
            short, long = map.apply_transpose(ct), push(map.transpose(), ct)
            assert type(short) is type(long)
            np.testing.assert_array_equal(bare(short), bare(long))

        check()

    def test_the_transpose_of_the_transpose(self, kind, dtype):
        @given(drawn(kind, dtype))
        @quick
        def check(case):
            map, v, _ = case
            assert_close(bare(push(map.transpose().transpose(), v)), bare(push(map, v)))

        check()

    def test_linear(self, kind, dtype):
        @given(drawn(kind, dtype))
        @quick
        def check(case):
            map, v, _ = case
            u = np.cos(v) * 2
            c = 2.5 if kind in NOT_COMPLEX_LINEAR or dtype is REAL else 2.5 - 1j
            together = np.asarray(bare(push(map, v + c * u)))
            apart = np.asarray(bare(push(map, v))) + c * np.asarray(bare(push(map, u)))
            assert_close(together, apart.astype(together.dtype), rtol=1e-4, atol=1e-4)

        check()

    def test_the_matrix(self, kind, dtype):
        @given(drawn(kind, dtype))
        @quick
        def check(case):
            map, v, w = case
            if dtype is COMPLEX and kind in NOT_COMPLEX_LINEAR:
                return  # linear over the real numbers only: no complex matrix
            matrix = map.matrix(v.shape, dtype)
            assert matrix.shape == np.shape(w) + v.shape
            assert_close(np.tensordot(matrix, v, v.ndim), np.asarray(bare(push(map, v))))
            self.check_label(map, matrix, v)

        check()

    def check_label(self, map, matrix, v):
        rows = matrix.reshape(int(np.prod(matrix.shape[: matrix.ndim - v.ndim])), v.size)
        structure = map.structure
        assert structure in {"zero", "identity", "diagonal", "selection", "product", "dense"}
        if structure == "zero":
            assert not rows.any()
        if structure == "identity":
            np.testing.assert_array_equal(rows, np.eye(v.size))
        if structure in ("identity", "diagonal"):
            assert matrix.shape == v.shape * 2
            np.testing.assert_array_equal(rows, np.diag(np.diag(rows)))
        if structure == "selection":
            assert set(np.unique(rows)) <= {0, 1}

    def test_the_gain_is_the_largest_singular_value(self, kind, dtype):
        @given(drawn(kind, dtype))
        @quick
        def check(case):
            map, v, w = case
            if dtype is COMPLEX and kind in NOT_COMPLEX_LINEAR:
                assert map.gain(v.shape, dtype) == 1.0
                return
            if not v.size or not np.size(w):
                return
            matrix = map.matrix(v.shape, dtype).reshape(-1, v.size)
            expected = np.linalg.norm(matrix, 2)
            gain = map.gain(v.shape, dtype)
            assert isinstance(gain, float)
            assert gain <= expected * (1 + 1e-6)
            # the power iteration comes from below, slowly where singular values are close
            assert gain >= expected * (1 - (1e-2 if inherits_gain(map) else 1e-6))

        check()

    def test_the_text(self, kind, dtype):
        @given(drawn(kind, dtype))
        @quick
        def check(case):
            map, _, _ = case
            text = map.text("dx", lambda c: "c")
            assert text
            assert "dx" in text or map.structure == "zero"
            assert repr(map).startswith(type(map).__name__)
            assert map.kind

        check()

    def test_recorded_equations_give_the_same(self, kind, dtype):
        @given(drawn(kind, dtype), st.booleans())
        @settings(max_examples=15)
        def check(case, abstract):
            map, v, w = case
            for one, at in ((map, v), (map.transpose(), w)):
                at = np.asarray(at)
                f = lambda x, one=one: bare(push(one, x))
                program, _ = trace_program(f, at, abstract=abstract)
                (result,) = program.evaluate(at)
                assert_close(result, np.asarray(f(at)))
                assert np.asarray(result).dtype == np.asarray(f(at)).dtype
                (again,) = Program.from_json(program.to_json()).evaluate(at)
                np.testing.assert_array_equal(again, result)

        check()

    def test_masks_keep_the_values(self, kind, dtype):
        @given(drawn(kind, dtype), st.integers(0, 1000), st.sampled_from(["all", "some", "scalar"]))
        @quick
        def check(case, seed, how):
            map, v, _ = case
            mask = np.random.default_rng(seed).random(v.shape) < 0.5
            mask = {"all": np.ones_like(mask), "some": mask, "scalar": np.bool_(seed % 2)}[how]
            masked = Masked(np.where(mask, v, 0), mask)
            moved = push(map, masked)
            assert_close(bare(moved), bare(push(map, masked.value)))
            if type(moved) is Masked:
                self.check_mask(map, masked, moved)

        check()

    def check_mask(self, map, given, moved):
        """Outside of the new mask nothing of what the old one lets through can arrive."""
        kept = np.broadcast_to(moved.mask, np.shape(moved.value))
        for seed in range(3):
            other = values(np.shape(given.value), given.value.dtype, seed)
            arrived = np.asarray(bare(push(map, np.where(given.mask, other, 0))))
            assert not arrived[~kept].any()

    def test_an_empty_mask_stops_everything(self, kind, dtype):
        @given(drawn(kind, dtype))
        @quick
        def check(case):
            map, v, _ = case
            for mask in (np.False_, np.zeros(v.shape, bool)):
                moved = push(map, Masked(np.zeros_like(v), mask))
                assert not np.any(bare(moved))
                if type(moved) is Masked:
                    assert not np.any(moved.mask)

        check()


def inherits_gain(map):
    return type(map).gain is LinearMap.gain


class TestMasksAndInfinities:
    """Structural zeros survive what numeric ones do not."""

    @pytest.fixture(autouse=True)
    def quiet(self):
        with np.errstate(invalid="ignore"):  # as the chain rule does
            yield

    v = np.array([1.0, 2.0, 0.0])
    mask = np.array([True, True, False])
    infinite = maps.Scale(np.array([1.0, np.inf, np.inf]))

    def test_scale(self):
        moved = push(self.infinite, Masked(self.v, self.mask))
        np.testing.assert_array_equal(moved.value, [1.0, np.inf, 0.0])
        np.testing.assert_array_equal(push(self.infinite, self.v), [1.0, np.inf, np.nan])

    @pytest.mark.parametrize(
        ("route", "expected"),
        [
            (maps.Permute((0,)), [0, 0, 0]),
            (maps.Slice((3,), (slice(None, None, -1),)), [0, 0, 0]),
            (maps.Gather((3,), (np.array([2, 2, 0]),)), [0, 0, 0]),
            (maps.Pad((3,), (slice(0, 3),)), [0, 0, 0]),
            (maps.broadcast((3,), (2, 3)), [[0, 0, 0]] * 2),
            (maps.Cast(REAL, np.dtype("float32")), [0, 0, 0]),
            (maps.Conjugate(), [0, 0, 0]),
            (maps.Cumulative(0), [0, 0, 0]),
            (maps.reduce((3,), (0,)), 0),
            (maps.Left(np.eye(3)), [0, 0, 0]),
            (maps.Sum(maps.IDENTITY, maps.IDENTITY), [0, 0, 0]),
        ],
    )
    def test_masks_follow(self, route, expected):
        nothing = Masked(np.zeros(3), np.zeros(3, bool))
        moved = push(maps.compose(maps.Scale(np.inf), route), nothing)
        np.testing.assert_array_equal(bare(moved), expected)

    def test_what_arrives_from_somewhere_is_no_zero(self):
        partly = Masked(self.v, self.mask)
        moved = push(maps.Cumulative(0, reverse=True), partly)
        np.testing.assert_array_equal(moved.mask, [True, True, False])
        moved = push(maps.reduce((3,), (0,)), partly)
        assert moved.mask
        assert push(maps.Left(np.ones((1, 3))), partly).mask

    def test_sums_unite_masks(self):
        a = Masked(np.array([1.0, 0.0]), np.array([True, False]))
        b = Masked(np.array([0.0, 2.0]), np.array([False, True]))
        total = maps.add(a, b)
        np.testing.assert_array_equal(total.value, [1.0, 2.0])
        np.testing.assert_array_equal(total.mask, [True, True])
        np.testing.assert_array_equal(maps.add(a, np.ones(2)), [2.0, 1.0])
        np.testing.assert_array_equal(maps.add(np.ones(2), a), [2.0, 1.0])


class TestGains:
    """Largest singular values that are known in closed form."""

    @pytest.mark.parametrize(
        ("map", "shape", "gain"),
        [
            (maps.reduce((4, 9), (0, 1)), (4, 9), 6.0),
            (maps.broadcast((1, 4), (9, 4)), (1, 4), 3.0),
            (maps.Gather((3,), (np.array([1, 1, 1, 1]),)), (3,), 2.0),
            (maps.Windows((9,), (4,), (0,)), (9,), 2.0),
            (maps.Solve(np.diag([0.25, 2.0])), (2, 1), 4.0),
            (maps.Cumulative(0), (1,), 1.0),
            (maps.Cumulative(0), (2,), (1 + 5**0.5) / 2),
            (maps.Fourier((0,), False, "backward"), (9,), 3.0),
        ],
    )
    def test_closed_forms(self, map, shape, gain):
        assert map.gain(shape) == pytest.approx(gain, rel=1e-12)

    def test_power_iteration(self):
        for dtype in (float, complex):
            a = values((5, 4), dtype, 1)
            assert maps.power_iteration(maps.Left(a), (4,), dtype) == pytest.approx(
                np.linalg.norm(a, 2), rel=1e-6
            )
        assert maps.power_iteration(maps.Scale(0.0), (3,)) == 0.0
        assert maps.power_iteration(maps.Scale(2.0), (0,)) == 0.0
        assert maps.power_iteration(maps.Scale(np.inf), (3,)) == np.inf
        assert np.isnan(maps.power_iteration(maps.Scale(np.nan), (3,)))


def test_a_joint_map_and_its_transpose():
    push_ = lambda v: [None if v[0] is None else 2 * v[0]]
    pull = lambda w: [None if w[0] is None else 2 * w[0], None]
    joint = maps.Joint(push_, pull, "scan")
    assert joint.apply([3.0, None]) == [6.0]
    assert joint.transpose().apply([3.0]) == [6.0, None]
    assert joint.transpose().transpose().apply([1.0, None]) == [2.0]
    assert "scan" in joint.text("dx", str)
