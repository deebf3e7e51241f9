"""``chainrule view``: a training run in the browser, or as one file."""

from __future__ import annotations

import argparse
import contextlib
import webbrowser

from ..train.live import Server, require_run, write_view
from .target import InputError


def run(options: argparse.Namespace) -> None:
    """Serve the run that the options name until Ctrl-C, or write it to a file.

    Raises
    ------
    InputError
        If there is no such run, or the port or the file cannot be had.
    """
    try:
        require_run(options.folder)
    except FileNotFoundError as error:
        raise InputError(str(error), "fit(..., folder=FOLDER) makes one") from None
    if options.output is not None:
        try:
            write_view(options.folder, options.output)
        except OSError as error:
            raise InputError(f"{options.output} cannot be written: {error.strerror}") from None
        print(f"wrote {options.output}")
        return
    try:
        server = Server(options.folder, options.port)
    except OSError as error:
        raise InputError(
            f"port {options.port} cannot be had: {error.strerror}",
            "without --port a free one is taken",
        ) from None
    with server, contextlib.suppress(KeyboardInterrupt):
        print(f"{server.url}\nCtrl-C ends it", flush=True)
        if options.open:
            webbrowser.open(server.url)
        server.wait()
