"""Products and sums of products, as machine code over strides."""
