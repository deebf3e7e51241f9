"""The rules of the house that no linter knows: sizes, and what an import may bring along.

Over a goal is a note; over a limit fails.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "chainrule"

FILE_GOAL, FILE_LIMIT = 500, 550
FUNCTION_GOAL, FUNCTION_LIMIT = 40, 60

# `import chainrule` costs little more than `import numpy`: these wait until they are needed.
HEAVY = (
    *("autograd", "jax", "llvmlite", "matplotlib", "mpmath", "pandas"),
    *("rich", "scipy", "sklearn", "torch"),
)

# Only these rooms are built on the public names; below them, importing the package itself
# would be a way up that import-linter cannot see.
ON_PUBLIC_NAMES = {"nn", "optim", "train", "data", "interop", "distributed", "sklearn", "cli"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def code_lines(function: Function) -> int:
    """Lines from ``def`` to the end, without the docstring."""
    docstring = 0
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        docstring = (first.end_lineno or first.lineno) - first.lineno + 1
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def oversized(path: Path, tree: ast.Module, lines: int) -> Iterator[tuple[bool, str]]:
    """Yield (fails, message) for the file and for each function that is too long."""
    where = path.relative_to(ROOT)
    if lines > FILE_GOAL:
        yield lines > FILE_LIMIT, f"{where}: {lines} lines (goal {FILE_GOAL}, limit {FILE_LIMIT})"
    for node in ast.walk(tree):
        if isinstance(node, Function) and (length := code_lines(node)) > FUNCTION_GOAL:
            size = f"{length} lines (goal {FUNCTION_GOAL}, limit {FUNCTION_LIMIT})"
            yield length > FUNCTION_LIMIT, f"{where}:{node.lineno}: {node.name} has {size}"


def upward_imports(path: Path, tree: ast.Module) -> Iterator[tuple[bool, str]]:
    """Yield a failure for each import of the package's own public names from a lower room."""
    parts = path.relative_to(PACKAGE).parts
    if len(parts) == 1 or parts[0] in ON_PUBLIC_NAMES:
        return
    top = (("chainrule", 0), (None, len(parts)))  # by its name, or by that many dots
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names if name.name == "chainrule"]
        elif isinstance(node, ast.ImportFrom) and (node.module, node.level) in top:
            names = [name.name for name in node.names if not is_room(name.name)]
        else:
            continue
        if names:
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            yield True, f"{where}: imports {', '.join(names)} from the top; name the room instead"


def is_room(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


def heavy_imports() -> Iterator[tuple[bool, str]]:
    """Yield a failure for each heavy package that ``import chainrule`` loads."""
    program = "import sys, chainrule; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    for name in sorted(set(HEAVY) & set(loaded)):
        yield True, f"import chainrule loads {name}; import it where it is used"


def findings() -> Iterator[tuple[bool, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source, filename=str(path))
        yield from oversized(path, tree, len(source.splitlines()))
        yield from upward_imports(path, tree)
    yield from heavy_imports()


def main() -> int:
    failures = 0
    for fails, message in findings():
        print("error:" if fails else "note: ", message)
        failures += fails
    print("the house is in order" if not failures else f"{failures} to mend")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
