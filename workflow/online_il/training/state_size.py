"""The files that a training keeps to go on from; preflight counts them without the trainers."""

CHECKPOINTS_KEPT = 2
"""Checkpoints that are kept: should the newest be damaged, there is one before it."""
STATE_BYTES = 12
"""Bytes a parameter in each: weights and AdamW's two moments, in single precision."""


def state_bytes(n_parameters: int) -> int:
    """Bound what a running training keeps: its checkpoints and the one being written."""
    return (CHECKPOINTS_KEPT + 1) * STATE_BYTES * n_parameters
