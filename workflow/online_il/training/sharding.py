"""Cutting a model that is not trained over the devices of a job."""

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import PreTrainedModel

from online_il.training.common import processes


def spread(model: PreTrainedModel, device: torch.device) -> None:
    """Cut a model that is not trained over all devices: FSDP 2, a block at a time.

    Embedding and output stay whole once they were gathered, for nothing is computed backwards.
    """
    mesh = init_device_mesh(device.type, (processes(),))
    for block in model.base_model.layers:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh, reshard_after_forward=False)
