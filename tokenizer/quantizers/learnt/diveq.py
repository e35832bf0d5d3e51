"""DiVeQ (arXiv 2509.26469): noise turns the direction of the quantization error a little."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tokenizer.quantizer_config import DiveqConfig
from tokenizer.quantizers.learnt.codebook import LearntCodebook, gap_length

__all__ = ["DiVeq"]


class DiVeq(LearntCodebook):
    """z + ‖e‖ · sg[(e + v)/‖e + v‖], e = q − z, v ~ N(0, σ² I) (arXiv 2509.26469).

    In a stack e is the gap of the sum, q = Σ q_l, and the noise turns it once. A level has no
    auxiliary loss of its own. σ² is the field `noise_variance`; its ROOT is the deviation of v. At
    σ = 0 the value is q.
    """

    config: DiveqConfig

    def estimate(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        gap = q - z
        noise = self.config.noise_variance**0.5 * torch.randn_like(gap)
        direction = normalize((gap + noise).detach(), dim=-1)
        return z + gap_length(gap) * direction
