"""Muon for the matrices of the layers (updates made orthogonal, scaled to AdamW's size), AdamW for the rest."""

import torch

from precision import has_fast_bf16


class Muon(torch.optim.Optimizer):
    """Groups of (parameters, whether they are matrices of layers, their share of the rate)."""

    def __init__(self, groups):
        made = [{"params": list(p), "muon": muon, "share": share} for p, muon, share in groups if p]
        super().__init__(made, {"lr": 0.0})

    def at(self, rate):
        """Put a rate in force."""
        for group in self.param_groups:
            group["lr"] = rate * group["share"]

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            params, lr = [p for p in group["params"] if p.grad is not None], group["lr"]
            for p in params:
                state = self.state[p]
                if not state:
                    state.update(
                        {"m": torch.zeros_like(p), "step": 0} | ({} if group["muon"] else {"v": torch.zeros_like(p)})
                    )
                state["step"] += 1
                state["m"].lerp_(p.grad, 0.05 if group["muon"] else 0.1)
            if group["muon"]:
                for shape in {p.shape: None for p in params}:
                    same = [p for p in params if p.shape == shape]
                    change = (
                        orthogonal(torch.stack([p.grad.lerp(self.state[p]["m"], 0.95) for p in same]))
                        * 0.2
                        * max(shape) ** 0.5
                    )
                    for p, c in zip(same, change):
                        p.mul_(1 - 0.05 * lr).sub_(c, alpha=lr)
            else:
                for p in params:
                    s = self.state[p]
                    s["v"].lerp_(p.grad.square(), 0.02)
                    p.addcdiv_(
                        s["m"] / (1 - 0.9 ** s["step"]), (s["v"] / (1 - 0.98 ** s["step"])).sqrt().add_(1e-8), value=-lr
                    )


def orthogonal(matrices):
    """The nearest semi-orthogonal matrices of a stack, about (Newton-Schulz, in bf16 where that is fast)."""
    flip = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if flip else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    x = x.bfloat16() if has_fast_bf16() else x
    for _ in range(4):
        a = x @ x.mT
        change = (a @ a).mul_(2.0315).add_(a, alpha=-4.7750)
        change.diagonal(dim1=1, dim2=2).add_(3.4445)
        x = change @ x
    return (x.mT if flip else x).to(matrices.dtype)
