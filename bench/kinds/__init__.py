"""What a kind of task (multiclass, ...) needs: targets, metrics, tables."""
