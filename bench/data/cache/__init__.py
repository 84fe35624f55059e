"""Cache on disk: files with digests, checked when they are read."""
