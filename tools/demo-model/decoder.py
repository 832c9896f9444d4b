"""The decoder as it is trained: many questions about a clip in one row, each seeing the video and itself only."""

import torch
import torch.nn.functional as F

from grid import CELLS
from prompt import HEAD


def rotate(x, cos, sin):
    """Rotary positions for x [B,L,H,D], to [B,H,L,D]."""
    low, high = x.chunk(2, -1)
    return (x * cos[:, :, None] + torch.cat([-high, low], -1) * sin[:, :, None]).transpose(1, 2)


def attend(q, k, v, mask=None):
    """Attention spelt out: torch 2.5's fused one, in bf16 on a processor, is many times slower backward."""
    scores = q @ k.mT
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1, torch.float32).to(v.dtype) @ v


def forward(model, x, pos, split, mask, looks, depth=None):
    """(the decoder's states before, between and after its layers, loss of where heads look, scores); x [B,L,H] is
    causal up to split, masked as told after it. looks: layer to (name, rows, tokens, first key, one past the last),
    tokens counted from split. depth: only so many layers."""
    cos, sin = model.llm.model.rotary_emb(x, pos)
    states, missed, scores, whole = [x], 0.0, {}, F.pad(mask, (split, 0), value=True)
    causal = torch.ones(split, split, dtype=torch.bool).tril()
    for number, layer in enumerate(model.llm.model.layers[:depth]):
        a, x = layer.self_attn, states[-1]
        y = layer.input_layernorm(x)
        q, k, v = (part(y).unflatten(-1, (-1, a.head_dim)) for part in (a.q_proj, a.k_proj, a.v_proj))
        q, k, v = rotate(q, cos, sin), rotate(k, cos, sin), v.transpose(1, 2)
        for name, rows, tokens, first, last in looks.get(number, ()):  # of the first head
            seen = (q[:, 0, split:] @ k[:, 0].mT)[rows, tokens].float() * a.head_dim**-0.5
            at = torch.arange(seen.shape[1])
            seen = seen.masked_fill(~whole[:, 0][rows, tokens], -1e9).log_softmax(-1)
            there = (at >= first[:, None]) & (at < last[:, None])
            mass = seen.masked_fill(~there, -1e9).logsumexp(-1)
            missed = missed - mass.mean()
            scores[f"~look-{name}"] = mass.exp().tolist()
        k, v = (part.repeat_interleave(q.shape[1] // k.shape[1], 1) for part in (k, v))
        q = q * a.head_dim**-0.5
        out = attend(q[:, :, :split], k[:, :, :split], v[:, :, :split], causal)
        out = torch.cat([out, attend(q[:, :, split:], k, v, whole)], 2)
        x = x + a.o_proj(out.transpose(1, 2).flatten(2))
        states.append(x + layer.mlp(layer.post_attention_layernorm(x)))
    return states, missed, scores


def tokens_of(model, cells, picture):
    """Cells [B,F,cells,H], or patches [B,1,patches,H] of a picture, to the row's visual tokens [B,L,H]."""
    if picture:
        return torch.cat([cells[:, 0], model.newline.expand(len(cells), 1, -1)], 1)
    grid = cells.unflatten(2, (CELLS, CELLS))
    return torch.cat([grid, model.newline.expand(*grid.shape[:3], 1, -1)], 3).flatten(1, 3)


def looks_of(batch, split):
    """Where heads are to look, layer to (name, rows, tokens, first key, one past the last): the letter that answers at
    the right option."""
    if not len(batch["letters"]):
        return {}
    row, token, source = batch["letters"].T
    return {4: [("letter", row, token, split + source, split + source + 1)]}


def read(model, batch):
    """(the states of all layers [B,L,H], where the text begins, loss of where heads look, scores) of a batch."""
    rows, seg = len(batch["cells"]), batch["segment"]
    head = model.embed(model.ids(HEAD)).expand(rows, -1, -1)
    x = torch.cat([head, tokens_of(model, batch["cells"], bool(batch["picture"]))], 1)
    split, length = x.shape[1], seg.shape[1]
    x = torch.cat([x, model.embed(batch["id"])], 1)
    pos = torch.cat([torch.arange(split).expand(rows, -1), batch["position"]], 1)
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    mask = ((seg[:, None] == 0) | (seg[:, None] == seg[..., None])) & causal
    states, missed, scores = forward(model, x, pos, split, mask[:, None], looks_of(batch, split))
    return states, split, missed, scores


def view(model, batch, depth=None):
    """The states of all layers [B,split,H] over what stands before the text."""
    head = model.embed(model.ids(HEAD)).expand(len(batch["cells"]), -1, -1)
    x = torch.cat([head, tokens_of(model, batch["cells"], bool(batch["picture"]))], 1)
    pos = torch.arange(x.shape[1]).expand(len(x), -1)
    return forward(model, x, pos, x.shape[1], torch.zeros(len(x), 1, 0, 0, dtype=torch.bool), {}, depth)[0]


def rows_at(model, count):
    """The last cell of each row of count frames [count, CELLS], in the states of view."""
    return len(model.ids(HEAD)) + (CELLS + 1) * torch.arange(CELLS * count).view(count, CELLS) + CELLS - 1


def track(model, story, batch):
    """(loss, scores) of what is said of the shapes over the visual tokens alone."""
    states = view(model, batch, max(story.DEPTHS))
    return story.loss(states, rows_at(model, batch["cells"].shape[1]), batch)


def drift(states, before):
    """How far states are from those of another model, in shares of their squares; what no later layer reads is left
    out."""
    pairs = list(zip(states, before))[1:-1]
    return sum((mine - was).square().mean() / was.square().mean() for mine, was in pairs) / len(pairs)


def step(model, head, batch, errors, kinds, base=None, story=None):
    """(loss, scores) of the options' head and of the questions; question scores are whole answers right, by kind.
    errors, the recent share of wrong answers by kind, is brought up to date, and kinds with more of them weigh more.
    With a base, what the model makes of frames is to be what the base makes of them; with a story, it is to say what
    shapes have done."""
    rows = len(batch["cells"])
    states, split, missed, scores = read(model, batch)
    told, more = head.loss([s[:, split:] for s in states], batch)
    loss, scores = 0.3 * missed + told, scores | more
    if base is not None and not batch["picture"]:
        with torch.no_grad():
            before = view(base, batch)
        far = drift([s[:, :split] for s in states], before)
        loss, scores = loss + 2 * far, scores | {"~drift": float(far)}
    if story is not None and "ever" in batch:
        untold, more = story.loss(states, rows_at(model, batch["cells"].shape[1]), batch)
        loss, scores = loss + 0.3 * untold, scores | more
    asked = batch["want"] >= 0
    logits = model.llm.lm_head(model.llm.model.norm(states[-1][:, split:][asked])).float()
    want, kind = batch["want"][asked], batch["kind"][asked]
    weight = batch["weight"][asked] * (0.2 + errors[kind])
    said = (F.cross_entropy(logits, want, reduction="none") * weight).sum() / weight.sum()
    wrong = (logits.argmax(-1) != want).int()
    _, reply = torch.unique((torch.arange(rows)[:, None] * 1000 + batch["reply"])[asked], return_inverse=True)
    missing = torch.zeros(int(reply.max()) + 1, dtype=torch.int).scatter_reduce(0, reply, wrong, "amax")
    kind = torch.zeros(len(missing), dtype=torch.long).scatter_(0, reply, kind)
    for number, name in enumerate(kinds):
        scores[name] = (1.0 - missing[kind == number].float()).tolist()
        for hit in scores[name]:
            errors[number] += 0.005 * (1 - hit - errors[number])
    return said + loss, scores | {"~loss": float(said)}
