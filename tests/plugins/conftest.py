"""The toy distribution is found by its entry point or its file; pytest must not import it."""

collect_ignore = ["toy"]
