"""Checks of the GPUs themselves: torch's view of them, a compiled kernel, their memory."""

import os
import tempfile
import time

from online_il.preflight.toolchain import ELSEWHERE, Unfit
from online_il.probe.machine import caches
from online_il.probe.trial import Trial

GIB = 2**30
BFLOAT16 = (8, 0)
"""Compute capability from which on a GPU multiplies bfloat16."""
FREE = 0.9
"""Share of a GPU's memory that is free where nothing else uses it."""


def gpu(trial: Trial) -> str:
    """Multiply in bfloat16 on each GPU that the job was given, and name them."""
    import torch

    if torch.version.cuda is None:
        remedy = "run make setup-gpu, or give --sdm apptainer or conda"
        raise Unfit(f"torch {torch.__version__} is a build without CUDA", remedy)
    if not torch.cuda.is_available():
        reason = "torch sees no GPU"
        try:
            torch.cuda.init()
        except (RuntimeError, AssertionError) as error:
            reason += f" ({' '.join(str(error).split())[:160]})"
        given = os.environ.get("CUDA_VISIBLE_DEVICES")
        reason += f"; CUDA_VISIBLE_DEVICES is {given!r}" if given is not None else ""
        raise Unfit(reason, f"see the check `driver`; {ELSEWHERE}")
    count = torch.cuda.device_count()
    for number in range(count):
        name, capability = (
            torch.cuda.get_device_name(number),
            torch.cuda.get_device_capability(number),
        )
        if capability < BFLOAT16:
            raise Unfit(
                f"GPU {number}, {name}, has compute capability {capability[0]}.{capability[1]} and "
                "cannot multiply bfloat16",
                "ask for A100, L40S, H100 or newer (`gpu_model` in slurm/config.yaml)",
            )
        ones_NN = torch.ones(256, 256, dtype=torch.bfloat16, device=f"cuda:{number}")
        if (ones_NN @ ones_NN).float().mean().item() != 256.0:
            raise Unfit(
                f"GPU {number}, {name}, multiplies wrongly",
                "tell the site, and leave the node out (sbatch --exclude)",
            )
    few = f" ({trial.gpus} were asked for)" if count < trial.gpus else ""
    return f"{count} x {torch.cuda.get_device_name(0)}{few}, CUDA {torch.version.cuda}"


def triton(trial: Trial) -> str:
    """Compile a kernel of Triton's anew and run it."""
    # Where jobs keep theirs: programs must be allowed to run from there.
    place = caches()["TRITON_CACHE_DIR"]
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place, prefix=".probe-") as cache:
        os.environ["TRITON_CACHE_DIR"] = cache
        import torch

        from online_il.probe.kernel import doubled

        given_N, start = torch.arange(5000.0, device="cuda"), time.perf_counter()
        made_N = doubled(given_N)
        torch.cuda.synchronize()
        if not torch.equal(made_N, 2 * given_N):
            remedy = "tell the site, and leave the node out (sbatch --exclude)"
            raise Unfit("a compiled kernel gives wrong numbers", remedy)
        return f"a kernel compiled and right after {time.perf_counter() - start:.1f} s"


def memory(trial: Trial) -> str:
    """Say how much memory each GPU has; it must be free, and as much as the plan counts on."""
    import torch

    found = []
    for number in range(torch.cuda.device_count()):
        free, total = (count / GIB for count in torch.cuda.mem_get_info(number))
        if free < FREE * total:
            raise Unfit(
                f"GPU {number} has {free:.1f} of {total:.1f} GiB free: something else uses it",
                "end it, or ask for GPUs of your own (sbatch --exclusive)",
            )
        plan = trial.study.plan
        if plan is not None and total + 0.5 < plan.gpu_memory_gib:
            raise Unfit(
                f"GPU {number} has {total:.1f} GiB, and the plan counts on {plan.gpu_memory_gib:g} "
                f"({plan.gpu})",
                f"set plan.gpu_memory_gib to {int(total)} in the config and start snakemake "
                "preflight, which names the jobs that do not fit it",
            )
        found.append(f"{total:.1f}")
    return f"{', '.join(found)} GiB, free"
