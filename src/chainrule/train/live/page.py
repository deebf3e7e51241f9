"""The page of a live view, and the same page as one file that needs no server."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..session import EVENTS
from ..tensors import FilePath
from .history import History

__all__ = ["asset", "live_page", "require_run", "write_view"]

# One script and one style sheet, in parts that can be read by themselves; the last part starts.
_PARTS = {
    "view.js": ("dom.js", "colors.js", "data.js", "plot.js", "raster.js", "panels.js", "app.js"),
    "view.css": ("view.css",),
}
_EXPORTED_BUCKETS = 4000


@functools.cache
def asset(name: str) -> str:
    """Return the script or the style sheet of the page."""
    folder = files(__package__) / "assets"
    text = "\n".join((folder / part).read_text(encoding="utf-8") for part in _PARTS[name])
    return f'(() => {{\n"use strict";\n{text}\n}})();\n' if name == "view.js" else text


def live_page() -> str:
    """Return the page that asks its server for data."""
    return _page(
        '<link rel="stylesheet" href="view.css">\n<script defer src="view.js"></script>',
        "Training run",
    )


def write_view(folder: FilePath, output: FilePath) -> None:
    """Write the view of a run as one HTML file, which can be opened, kept and sent by itself.

    Parameters
    ----------
    folder : str or Path
        Of the run.
    output : str or Path
        The file to write.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run.

    Examples
    --------
    >>> import tempfile
    >>> from chainrule.train import EventLog
    >>> folder = Path(tempfile.mkdtemp())
    >>> with EventLog(folder / "events.jsonl") as log:
    ...     _ = log.write("step", step=1, epoch=0, loss=0.5)
    >>> write_view(folder, folder / "run.html")
    >>> (folder / "run.html").read_text()[:15]
    '<!doctype html>'
    """
    folder = Path(folder)
    require_run(folder)
    history = History(folder)
    content = {
        "summary": history.summary(),
        "curves": history.curves(limit=_EXPORTED_BUCKETS),
        "flow": history.flow(),
        "histograms": history.histograms(),
        "predictions": history.predictions(),
        "features": history.features(),
    }
    count = len(content["flow"]["parameters"])
    content["ridges"] = {str(i): history.histograms(i) for i in range(count)}
    script, style = asset("view.js"), asset("view.css")
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<style>{style}</style>\n"
        f'<script type="application/json" id="data">{_in_script(content)}</script>'
    )
    # At the end of the page: a script within it cannot be deferred.
    page = _page(head, content["summary"]["name"])
    page = page.replace("</body>", f"<script>{script}</script>\n</body>")
    Path(output).write_text(page, encoding="utf-8")


def require_run(folder: Path) -> None:
    """Raise if a folder holds no run.

    Raises
    ------
    FileNotFoundError
        Saying what was looked for, and which folder may have been meant.
    """
    if (folder / EVENTS).is_file():
        return
    below = sorted(folder.glob(f"*/{EVENTS}"), key=lambda path: path.stat().st_mtime)
    meant = f"; the latest run below it is {below[-1].parent}" if below else ""
    raise FileNotFoundError(f"{folder} is not the folder of a run: it has no {EVENTS}{meant}")


def _page(head: str, title: str) -> str:
    body = (files(__package__) / "assets" / "view.html").read_text(encoding="utf-8")
    return body.replace("<!--title-->", escape(title)).replace("<!--head-->", head)


def _in_script(content: Any) -> str:
    """Return JSON in which nothing can end the script element that it stands in."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
