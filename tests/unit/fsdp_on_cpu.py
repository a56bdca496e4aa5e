"""FSDP 2 in processes that share a CPU, as it runs on GPUs.

accelerate lets accelerators alone be cut (`AcceleratorState.__init__`); torch's FSDP 2 itself runs
on a CPU with gloo.
"""

import inspect
import textwrap

from accelerate import state

ALLOWED = "DistributedType.MULTI_GPU,\n"


def allow() -> None:
    """Add processes on a CPU to accelerate's list of what FSDP may cut, in this process."""
    source = textwrap.dedent(inspect.getsource(state.AcceleratorState.__init__))
    assert source.count(ALLOWED) == 1, "accelerate has another list by now"
    names = vars(state)
    exec(source.replace(ALLOWED, ALLOWED + "DistributedType.MULTI_CPU,\n"), names)
    state.AcceleratorState.__init__ = names.pop("__init__")
