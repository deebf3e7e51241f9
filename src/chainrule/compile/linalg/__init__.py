"""Linear algebra on matrices: factors that are shared, own loops for small ones, else LAPACK."""
