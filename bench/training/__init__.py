"""Losses, heads, nets and their trainers."""
