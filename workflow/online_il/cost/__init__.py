"""Estimates a study's cost before it is started: GPUs, memory, time, tokens and money."""
