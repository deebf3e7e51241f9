"""The warning that something about compilation is not as a user might expect."""


class JitWarning(UserWarning):
    """A function is not compiled as a whole, or compiled code is not kept."""
