"""Training policies with TRL."""
