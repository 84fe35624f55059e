"""Baselines, paired tests, verdicts, leaderboard, effects."""
