"""Tasks of pairs of photos: one person or two."""
