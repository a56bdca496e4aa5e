"""Pairs of an expert with probabilities and a student that imitates it."""
