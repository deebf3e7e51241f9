"""Build the wheel twice, and fail unless it is whole, holds nothing else, and is the same twice."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build() -> tuple[bytes, set[str]]:
    """Return the wheel's bytes and the names of the files in it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "-w", folder, ROOT]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("chainrule-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return wheel.read_bytes(), set(archive.namelist())


def main() -> int:
    first, names = build()
    second, _ = build()
    sources = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src" / "chainrule").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in names if ".dist-info/" not in name}
    for name in sorted(sources ^ packed):
        print("error:", name, "is missing" if name in sources else "does not belong")
    if first != second:
        print("error: two builds of the same source differ")
    print(f"{len(packed)} files, {len(first)} bytes")
    return int(sources != packed or first != second)


if __name__ == "__main__":
    sys.exit(main())
