"""The searched codebook that a level keeps: several threads may ask for it at once."""

from typing import Any

import pytest
import torch

from tokenizer.quantizer_config import variant_config
from tokenizer.quantizers import QUANTIZERS
from tokenizer.quantizers.base.quantizer import Quantizer


@pytest.mark.parametrize("name", ["grit", "ste", "simvq"])
def test_a_thread_that_finds_the_codebook_finds_its_norms(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the moment when another thread can see the codebook, a search gives the right codes."""
    z = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    level = QUANTIZERS[name](variant_config(name, codebook_size=16), 8)
    level.start_from(z, torch.Generator().manual_seed(0))
    level.eval()
    expected = level.encode(z)
    level.forget_searched()
    level._half_norms = torch.zeros(16)
    seen: list[torch.Tensor] = []

    def setting(self: Quantizer, attribute: str, value: Any) -> None:
        torch.nn.Module.__setattr__(self, attribute, value)
        if attribute == "_searched" and value is not None:
            seen.append(self.encode(z))

    monkeypatch.setattr(type(level), "__setattr__", setting, raising=False)
    level.encode(z)
    assert len(seen) == 1
    assert torch.equal(seen[0], expected)
