import torch

from odc_lightning.cli.refusals import refusal


def test_a_full_gpu_names_the_settings_that_help() -> None:
    error = torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 1.53 GiB. GPU 0 has a total capacity of 79.11 GiB "
        "of which 1.03 GiB is free. Including non-PyTorch memory, this process has 78.07 GiB"
    )
    assert refusal(error) == (
        "CUDA out of memory. Tried to allocate 1.53 GiB; set trainer.precision=bf16-mixed, lower "
        "data.batch_size and optimizer.lr in proportion, or use more GPUs, which share the batch"
    )
