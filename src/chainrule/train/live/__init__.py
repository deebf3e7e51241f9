"""The live view: a training run in the browser, while it goes on and afterwards.

``recorder`` writes what the page shows beside the events of the run, within a budget of time.
``history`` reads the folder of a run and gives answers that stay small however long it is.
``server`` serves them to this machine alone, and ``page`` puts them into one file. The page
itself is in ``assets``.
"""

from .page import require_run, write_view
from .server import Server
from .view import LiveView

__all__ = ["LiveView", "Server", "require_run", "write_view"]
