"""From NumPy code to equations: the traced value and NumPy's hooks."""

from . import attributes, layout, operators, protocols
from .recorder import Recorder, current, recording
from .session import Session
from .tracer import Tracer, bind

layout.install()
operators.install()
attributes.install()
protocols.install()

__all__ = ["Recorder", "Session", "Tracer", "bind", "current", "recording"]
