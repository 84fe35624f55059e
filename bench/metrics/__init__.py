"""Pure functions from stored predictions to numbers."""
