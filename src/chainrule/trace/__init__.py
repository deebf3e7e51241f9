"""From NumPy code to equations: the traced value and NumPy's hooks."""

from . import operators, protocols
from .recorder import Recorder, current, recording
from .tracer import Tracer, bind

operators.install()
protocols.install()

__all__ = ["Recorder", "Tracer", "bind", "current", "recording"]
