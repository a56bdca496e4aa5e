"""Tries on one node, in minutes, what the jobs of a study need: `snakemake probe`."""
