"""The command ``chainrule``: explains a function of yours, and shows a demonstration."""
