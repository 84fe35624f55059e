"""Use of saved models and frozen features: predict, explain, few-shot, suspect labels."""
