"""From a schedule to the text of LLVM functions."""
