"""How far apart two models' responses are, and how much it costs (paper, Section 3.1.1)."""
