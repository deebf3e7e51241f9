"""Runs the examples that have a page here, and puts what they print and draw into it.

``python docs/examples/render.py [NAME ...]``, for `make pages`. The Python blocks of the pages are
parts of the scripts, which the tests compare.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parents[1] / "examples"
PICTURES = HERE.parent / "images" / "examples"

_OUTPUT = re.compile(r"(^```console\n\$ python \w+\.py\n).*?(^```$)", re.DOTALL | re.MULTILINE)


def run(name):
    """Return what a script prints, and put its picture among those of the documents."""
    with tempfile.TemporaryDirectory() as folder:
        printed = subprocess.run(
            [sys.executable, SCRIPTS / f"{name}.py"],
            cwd=folder,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        ).stdout
        shutil.copy(Path(folder) / f"{name}.png", PICTURES)
    return "".join(line.rstrip() + "\n" for line in printed.splitlines())


def main():
    """Render the pages that are named, or all of them."""
    for name in sys.argv[1:] or sorted(page.stem for page in HERE.glob("*.md")):
        if name != "index":
            page, printed = HERE / f"{name}.md", run(name)
            text = page.read_text(encoding="utf-8")
            text = _OUTPUT.sub(lambda match, new=printed: match[1] + new + match[2], text)
            page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
