"""Devices by name; what a GPU computes is tested where there is one."""

import pytest
import torch

from data_prep.embedding.devices import full_precision, resolve_device
from data_prep.errors import InputError

SPELT_WRONG = ["", "gpu", "cpu:", "cpu:0", "cuda:", "cuda:x", "cuda:99999", "CUDA"]
needs_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


def test_auto_is_a_gpu_where_there_is_one() -> None:
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", SPELT_WRONG)
def test_another_spelling_is_told_the_forms(name: str) -> None:
    with pytest.raises(InputError, match=r"--device .*: give cpu, cuda, .* as cuda:1, or auto"):
        resolve_device(name)


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch is built with CUDA")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:7"])
def test_a_build_without_cuda_is_named_with_what_to_install(name: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve_device(name)
    for part in (f"--device {name}", f"torch {torch.__version__}", "without CUDA", "ACCELERATOR"):
        assert part in str(caught.value)


def test_cuda_without_a_gpu_is_told_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with that build and no driver: torch counts no GPU."""
    monkeypatch.setattr(torch.version, "cuda", "12.6")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InputError, match=r"CUDA 12\.6, sees no GPU here; install NVIDIA's driver"):
        resolve_device("cuda")


def test_a_gpu_that_is_not_among_those_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.6")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("auto") == "cuda"
    assert resolve_device("cuda:1") == "cuda:1"
    with pytest.raises(InputError, match=r"--device cuda:2: torch sees 2 GPUs.* cuda:0 to cuda:1"):
        resolve_device("cuda:2")


def test_products_are_of_full_precision() -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision("medium")
        torch.backends.cudnn.allow_tf32 = True
        full_precision()
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


@needs_a_gpu
def test_a_product_on_a_gpu_is_that_of_float32() -> None:
    """TF32 keeps ten bits of a factor: its products are off by 1e-3."""
    full_precision()
    a, b = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0))
    expected = a.double() @ b.double()
    found = (a.cuda() @ b.cuda()).cpu().double()
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
