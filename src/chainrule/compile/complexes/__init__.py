"""Complex numbers as pairs of real ones, so that code generation needs to know real ones only."""
