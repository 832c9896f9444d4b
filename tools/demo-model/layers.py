"""Parts of the decoder's layers with their own backward pass, which goes over memory less often than autograd's."""

import torch


class Norm(torch.autograd.Function):
    """RMSNorm of x [..., H] by a weight [H]."""

    @staticmethod
    def forward(ctx, x, weight, eps):
        mean = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square() / x.shape[-1]
        inverse = (mean + eps).rsqrt()
        y = x * inverse
        ctx.save_for_backward(y, inverse, weight)
        return y * weight

    @staticmethod
    def backward(ctx, grad):
        y, inverse, weight = ctx.saved_tensors
        both = grad * y
        along = (both @ weight)[..., None] / y.shape[-1]
        down = (grad * weight).addcmul_(y, along, value=-1).mul_(inverse)
        return down, both.flatten(0, -2).sum(0), None


class Rotate(torch.autograd.Function):
    """Rotary positions for x [B,L,heads,D], to [B,heads,L,D]; cos and sin [B,L,1,D/2]."""

    @staticmethod
    def forward(ctx, x, cos, sin):
        ctx.save_for_backward(cos, sin)
        out = x.new_empty(x.shape[0], x.shape[2], x.shape[1], x.shape[3])
        turn(x, cos, sin, out.transpose(1, 2))
        return out

    @staticmethod
    def backward(ctx, grad):
        cos, sin = ctx.saved_tensors
        back = grad.new_empty(grad.shape[0], grad.shape[2], grad.shape[1], grad.shape[3])
        turn(grad.transpose(1, 2), cos, -sin, back)
        return back, None, None


def turn(x, cos, sin, out):
    """Both halves of the last axis turned against each other."""
    (low, high), (to_low, to_high) = x.chunk(2, -1), out.chunk(2, -1)
    torch.mul(low, cos, out=to_low).addcmul_(high, sin, value=-1)
    torch.mul(high, cos, out=to_high).addcmul_(low, sin)
