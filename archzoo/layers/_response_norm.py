"""Local response normalization."""

import torch.nn.functional as F
from torch import Tensor, nn


class ResponseNorm(nn.Module):
    """Local response normalization across ``n`` adjacent feature maps, by the formula of AlexNet (Sec. 3.3).

    Torch's LocalResponseNorm divides ``alpha`` by ``n``; the printed formula, and this module, do not.
    """

    def __init__(self, n: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> None:
        super().__init__()
        self.n = n
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, maps: Tensor) -> Tensor:
        squares = F.pad(maps.square(), (0, 0, 0, 0, self.n // 2, self.n // 2))
        total = squares[:, : maps.shape[1]]
        for i in range(1, self.n):
            total = total + squares[:, i : i + maps.shape[1]]
        return maps / (self.k + self.alpha * total) ** self.beta

    def extra_repr(self) -> str:
        return f"n={self.n}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
