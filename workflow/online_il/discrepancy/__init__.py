"""The discrepancy of two models' responses, and its cost (paper, Section 3.1.1)."""
