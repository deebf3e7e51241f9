"""The console blocks of the documents: run again, and written anew where that is asked for.

A ``python`` block that begins with a comment such as ``# net.py`` is saved under that name. In a
``console`` block each line after ``$`` is a command, and what follows is what it prints.

`make pages` writes what the commands print today into the documents.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("README.md", "docs/explain.md")

_BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"# (\w+\.py)\n")


def rerun(text, folder):
    """Return a document in which every command shows what it prints now."""

    def fresh(match):
        kind, body = match.groups()
        if kind == "python":
            if name := _NAME.match(body):
                (folder / name[1]).write_text(body, encoding="utf-8")
            return match[0]
        commands = re.findall(r"^\$ .*\n(?:(?<=\\\n).*\n)*", body, re.MULTILINE)
        return "```console\n" + "".join(c + run(c[2:], folder) for c in commands) + "```"

    return _BLOCK.sub(fresh, text)


def run(command, folder):
    """Run a shell command with this Python's ``chainrule``, on a terminal of 100 columns."""
    tools = folder / ".tools"
    tools.mkdir(exist_ok=True)
    chainrule = tools / "chainrule"
    chainrule.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m chainrule "$@"\n')
    chainrule.chmod(0o755)
    path = os.pathsep.join((str(tools), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    process = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    return "".join(line.rstrip() + "\n" for line in process.stdout.splitlines())


def without_rounding(text):
    """Leave out what the last bits decide: the errors of the checks, and the space they take."""
    return re.sub(r" +", " ", re.sub(r"\b\d(?:\.\d)?e-\d+ ✓", "✓", text))


def main():
    for name in DOCUMENTS:
        path = ROOT / name
        with tempfile.TemporaryDirectory() as folder:
            path.write_text(rerun(path.read_text(encoding="utf-8"), Path(folder)), encoding="utf-8")


if __name__ == "__main__":
    main()
