"""Machine code on disk: found again, never trusted when damaged, private, within its limit."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import grad, jacobian, jit
from chainrule.compile import JitWarning, lowering, recorded
from chainrule.compile.native import Native
from chainrule.compile.runtime import cache
from chainrule.trace.program import trace_program

X = np.linspace(0.1, 1.0, 12).reshape(3, 4)
TABLE = np.arange(12.0).reshape(4, 3) ** 2


def loss(x: Any) -> Any:
    return np.sum(np.exp(x @ TABLE)[np.array([0, 2])])


@pytest.fixture
def place(tmp_path, monkeypatch):
    where = tmp_path / "kept" / "here"
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(where))
    monkeypatch.setitem(cache._state, "told", False)
    monkeypatch.setitem(cache._state, "written", 0)
    return where


def compiled(f: Any, *args: Any) -> Native:
    native = jit(f).lower(*args).native
    assert type(native) is Native
    return native


def files(place: Path) -> list[Path]:
    return sorted(place.glob("*"))


def test_code_is_found_again_and_gives_the_same(place):
    first = compiled(grad(loss), X)
    again = compiled(grad(loss), X)
    assert not first.cached
    assert again.cached
    for native in (first, again):
        np.testing.assert_allclose(native.run([X])[0], grad(loss)(X), rtol=1e-13)
    assert len(files(place)) == 1
    assert "nest_0" in again.code.text
    assert len(again.plan.groups) == len(first.plan.groups)


def test_another_program_is_another_file(place):
    compiled(lambda x: x + 1.0, X)
    assert not compiled(lambda x: x + 2.0, X).cached
    assert not compiled(lambda x: x + 1.0, X[:2]).cached
    assert not compiled(lambda x: x + TABLE.T, X).cached
    assert not compiled(lambda x: x + TABLE.T * 3, X).cached
    assert len(files(place)) == 5


def test_only_the_user_can_read_it(place):
    compiled(loss, X)
    assert place.stat().st_mode & 0o777 == 0o700
    (file,) = files(place)
    assert file.stat().st_mode & 0o077 == 0


def test_a_directory_that_others_may_write_is_not_trusted(place):
    compiled(loss, X)
    place.chmod(0o777)
    with pytest.warns(JitWarning, match="written by others"):
        assert not compiled(loss, X).cached


@pytest.mark.parametrize("damage", ["empty", "cut", "a bit", "other key", "text"])
def test_a_damaged_file_is_compiled_again(place, damage):
    compiled(loss, X)
    (file,) = files(place)
    data = bytearray(file.read_bytes())
    if damage == "other key":
        compiled(lambda x: x * 2.0, X)
        (other,) = (f for f in files(place) if f != file)
        data = bytearray(other.read_bytes())
    elif damage == "a bit":
        data[len(data) // 2] ^= 4
    else:
        data = {"empty": bytearray(), "cut": data[:-100], "text": bytearray(b"hello\n")}[damage]
    file.write_bytes(data)
    native = compiled(loss, X)
    assert not native.cached
    np.testing.assert_allclose(native.run([X])[0], loss(X))
    assert compiled(loss, X).cached


def test_what_was_not_used_for_longest_goes_first(place, monkeypatch):
    for k in range(6):
        compiled(lambda x, k=k: x + float(k), X)
    found = files(place)
    for age, file in enumerate(found):
        os.utime(file, (1e9 + age, 1e9 + age))
    one = max(f.stat().st_size for f in found)
    cache.shrink(str(place), one * 4)
    left = files(place)
    assert left == found[-len(left) :]
    assert 2 <= len(left) <= 4
    monkeypatch.setenv("CHAINRULE_CACHE_SIZE", "0.001")
    assert cache.limit() == 1048


def test_using_a_file_keeps_it(place):
    compiled(loss, X)
    (file,) = files(place)
    os.utime(file, (1e9, 1e9))
    compiled(loss, X)
    assert file.stat().st_mtime > 1e9


def test_without_a_directory_it_works_and_says_so_once(place):
    place.parent.mkdir(parents=True)
    place.write_text("a file where the directory should be")
    with pytest.warns(JitWarning, match="CHAINRULE_CACHE_DIR"):
        native = compiled(loss, X)
    np.testing.assert_allclose(native.run([X])[0], loss(X))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled(lambda x: x + 1.0, X)


@pytest.mark.parametrize("off", ["", "0", "off"])
def test_it_can_be_turned_off(monkeypatch, off):
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", off)
    assert cache.directory() is None
    compiled(loss, X)
    assert not compiled(loss, X).cached


def test_the_default_is_the_platforms_directory(monkeypatch):
    monkeypatch.delenv("CHAINRULE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache.directory() == os.path.join("/somewhere", "chainrule")


def test_code_with_an_address_in_it_is_not_kept(place, monkeypatch):
    from chainrule.compile.build import Build

    original = Build._write_entry

    def with_address(self: Any, module: Any) -> None:
        original(self, module)
        from chainrule.compile import ir

        function = ir.Function(module, ir.FunctionType(ir.PointerType(), []), "where")
        b = ir.IRBuilder(function.append_basic_block())
        b.ret(ir.IntType(64)(id(self)).inttoptr(ir.PointerType()))

    monkeypatch.setattr(Build, "_write_entry", with_address)
    np.testing.assert_allclose(compiled(loss, X).run([X])[0], loss(X))
    assert not place.exists()


def test_what_cannot_be_compiled_is_kept_in_mind(place):
    from chainrule.compile.build import Build

    def f(v: Any) -> Any:
        return np.exp(np.linalg.pinv(v[None])[:, 0] * 2.0)

    x = np.array([3.0, 1.0, 2.0])
    with pytest.warns(JitWarning, match="pinv"):
        np.testing.assert_allclose(jit(f)(x), f(x))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Build, "__init__", None)  # nothing is built any more
        with pytest.warns(JitWarning, match=r"pinv.*test_cache\.py"):
            np.testing.assert_allclose(jit(f)(x), f(x))


def test_code_is_found_by_what_was_recorded(place):
    table = np.random.default_rng(0).standard_normal((100, 90))

    def g(x: Any) -> Any:
        return grad(lambda x: np.sum(np.tanh(table @ x) ** 2))(x), (np.sum(x), [x * 2.0])

    x = np.linspace(-1.0, 2.0, 90)
    expected = g(x)
    assert not compiled(g, x).cached
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lowering, "lowered", None)  # nothing is lowered any more
        got = jit(g)(x)
        np.testing.assert_allclose(got[0], expected[0], rtol=1e-12)
        np.testing.assert_allclose(got[1][0], expected[1][0])
        np.testing.assert_allclose(got[1][1][0], expected[1][1][0])
        assert type(got[1][1]) is list
        native = compiled(g, x)
        assert native.cached
    assert "nest_0" in native.code.text
    assert len(native.program) > 1
    with pytest.raises(ValueError, match="shape"):
        native.run([x[:3]])


def test_results_that_are_arguments_or_constants_are_handed_on(place):
    def f(x: Any) -> Any:
        return {"table": TABLE * 2.0, "same": x, "new": np.sin(x), "twice": (x, 1.5)}

    for _ in range(2):
        got = jit(f)(X)
        assert got["same"] is not X
        np.testing.assert_array_equal(got["table"], TABLE * 2.0)
        np.testing.assert_allclose(got["new"], np.sin(X))
        assert got["twice"][1] == 1.5


def test_a_large_constant_that_lowering_makes_is_found_again(place, monkeypatch):
    table = np.random.default_rng(0).standard_normal((100, 90))
    monkeypatch.setattr(recorded, "constant_references", lambda *_: None)

    def f(x: Any) -> Any:
        return np.tanh(table @ x)

    x = np.linspace(-1.0, 1.0, 90)
    for _ in range(2):
        np.testing.assert_allclose(jit(f)(x), f(x), rtol=1e-13)
    assert compiled(f, x).cached


def test_directions_are_told_from_an_identity_with_the_same_content() -> None:
    program, _ = trace_program(jacobian(np.sin), np.ones(30), abstract=True)
    given = tuple(
        e._replace(operands=tuple(o.copy() if type(o) is np.ndarray else o for o in e.operands))
        for e in program.equations
    )
    other = program.replace(equations=given)
    assert program.fingerprint() == other.fingerprint()
    assert recorded._beside(program) != recorded._beside(other)


def test_shapes_that_were_found_on_disk_share_code_with_others(place):
    def f(x: Any) -> Any:
        return np.sum(np.sin(x) * 3.0, axis=1)

    jit(f)(np.ones((40, 30)))
    again = jit(f)
    for n in (40, 50, 60):
        x = np.random.default_rng(n).standard_normal((n, 30))
        np.testing.assert_allclose(again(x), f(x), rtol=1e-13)
    natives = [version.native for version in again.versions.values()]
    assert natives[0].cached
    assert [native.template is None for native in natives] == [True, False, False]


def test_changed_sources_are_noticed(tmp_path):
    for room in cache.ROOMS:
        (tmp_path / room / "inner").mkdir(parents=True)
        (tmp_path / room / "inner" / "module.py").write_text("x = 1")
    before = cache.sources(str(tmp_path))
    assert cache.sources(str(tmp_path)) == before
    changed = tmp_path / "transform" / "inner" / "module.py"
    changed.write_text("x = 12")
    longer = cache.sources(str(tmp_path))
    os.utime(changed, (1e9, 1e9))
    assert len({before, longer, cache.sources(str(tmp_path))}) == 3


SCRIPT = """
import sys
import numpy as np
from chainrule import jit
results = [jit(lambda x, k=k: np.sum(np.sin(x) * k))(np.arange(5.0)) for k in (1.0, 2.0, 3.0)]
assert np.allclose(results, np.sum(np.sin(np.arange(5.0))) * np.array([1, 2, 3]))
print("llvmlite" in sys.modules)
"""


def test_many_processes_write_at_once_and_later_ones_need_no_llvm(place):
    environment = os.environ | {"CHAINRULE_CACHE_DIR": str(place)}
    command = [sys.executable, "-c", SCRIPT]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(3)]
    for process in running:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert out.split() in ([b"True"], [b"False"])
    assert len(files(place)) == 3
    assert {f.suffix for f in files(place)} == {".native"}
    out = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    assert out.split() == [b"False"] or sys.platform != "linux"
