"""The decoder as it is trained: many questions about a clip in one row, each seeing the video and itself only."""

import torch
import torch.nn.functional as F

from grid import CELLS
from layers import Norm, Rotate
from prompt import HEAD


def norm(layer, x):
    return Norm.apply(x, layer.weight, layer.variance_epsilon)


def together(x, *parts):
    """What linear parts make of x, in one product."""
    bias = None if parts[0].bias is None else torch.cat([part.bias for part in parts])
    return F.linear(x, torch.cat([part.weight for part in parts]), bias)


def project(layer, x, turns):
    """Queries, keys and values [B,heads,L,D] of states x before the layer."""
    a, (cos, sin) = layer.self_attn, turns
    queries, keys = a.q_proj.out_features, a.k_proj.out_features
    made = together(norm(layer.input_layernorm, x), a.q_proj, a.k_proj, a.v_proj)
    turned, values = made.unflatten(-1, (-1, a.head_dim)).split([(queries + keys) // a.head_dim, keys // a.head_dim], 2)
    q, k = Rotate.apply(turned, cos, sin).split([queries // a.head_dim, keys // a.head_dim], 1)
    groups = queries // keys
    return q, k.repeat_interleave(groups, 1), values.transpose(1, 2).repeat_interleave(groups, 1)


def finish(layer, x, out):
    """The states after the layer, of those before it and what its heads have gathered [B,heads,L,D]."""
    x = x + layer.self_attn.o_proj(out.transpose(1, 2).flatten(2))
    gate, up = together(norm(layer.post_attention_layernorm, x), layer.mlp.gate_proj, layer.mlp.up_proj).chunk(2, -1)
    return x + layer.mlp.down_proj(F.silu(gate) * up)


def turns_of(model, x, pos):
    cos, sin = model.llm.model.rotary_emb(x, pos)
    half = cos.shape[-1] // 2
    return cos[:, :, None, :half], sin[:, :, None, :half]


def watched(model, x, depth):
    """(the states [B,L,H] before, between and after the first layers over what stands before the text, the keys and
    values of these layers)."""
    turns, states, kept = turns_of(model, x, torch.arange(x.shape[1])[None]), [x], []
    for layer in model.llm.model.layers[:depth]:
        q, *seen = project(layer, states[-1], turns)
        states.append(finish(layer, states[-1], F.scaled_dot_product_attention(q, *seen, is_causal=True)))
        kept.append(seen)
    return states, kept


def told(model, x, pos, mask, kept, looks):
    """(the states [B,T,H] of the text before, between and after all layers, loss of where heads look, scores); mask
    [B,T,T] says what of the text each of its tokens sees. kept: keys and values of what stands before it, by layer.
    looks: layer to (name, rows, tokens, first key, one past the last)."""
    turns, states, missed, scores = turns_of(model, x, pos), [x], 0.0, {}
    whole = F.pad(mask, (kept[0][0].shape[2], 0), value=True)
    for number, layer in enumerate(model.llm.model.layers):
        q, k, v = project(layer, states[-1], turns)
        k, v = (torch.cat(both, 2) for both in zip(kept[number], (k, v)))
        for name, rows, tokens, start, end in looks.get(number, ()):  # of the first head
            seen = (q[:, 0] @ k[:, 0].mT)[rows, tokens].float() * q.shape[-1] ** -0.5
            at = torch.arange(seen.shape[1])
            seen = seen.masked_fill(~whole[rows, tokens], -1e9).log_softmax(-1)
            there = (at >= start[:, None]) & (at < end[:, None])
            mass = seen.masked_fill(~there, -1e9).logsumexp(-1)
            missed = missed - mass.mean()
            scores[f"~look-{name}"] = mass.exp().tolist()
        states.append(finish(layer, states[-1], F.scaled_dot_product_attention(q, k, v, whole[:, None])))
    return states, missed, scores


def tokens_of(model, cells, picture):
    """Cells [B,F,cells,H], or patches [B,1,patches,H] of a picture, to the row's visual tokens [B,L,H]."""
    if picture:
        return torch.cat([cells[:, 0], model.newline.expand(len(cells), 1, -1)], 1)
    grid = cells.unflatten(2, (CELLS, CELLS))
    return torch.cat([grid, model.newline.expand(*grid.shape[:3], 1, -1)], 3).flatten(1, 3)


def looks_of(batch, split, at):
    """Where heads are to look, layer to (name, rows, tokens, first key, one past the last): the letter that answers at
    the right option; the event that a question names at its shape's row in the last frame, and the answer at the event;
    what describes a shape at its row. at: the keys of the rows in the last frame."""
    looks = {3: [], 4: []}
    if len(batch["letters"]):
        row, token, source = batch["letters"].T
        looks[4].append(("letter", row, token, split + source, split + source + 1))
    if len(batch["events"]):
        row, token, shape, _, answer = batch["events"].T
        looks[3].append(("row", row, token, at[shape], at[shape] + 1))
        looks[4].append(("event", row, answer, split + token, split + token + 1))
    if len(batch["told"]) and not batch["picture"]:
        row, token, shape = batch["told"].T
        looks[3].append(("told", row, token, at[shape], at[shape] + 1))
    return looks


def view(model, batch, depth):
    """watched, of the prompt's head and the batch's frames."""
    head = model.embed(model.ids(HEAD)).expand(len(batch["cells"]), -1, -1)
    return watched(model, torch.cat([head, tokens_of(model, batch["cells"], bool(batch["picture"]))], 1), depth)


def read(model, batch):
    """(states over the frames, states of the text, loss of where heads look, scores) of a batch; the states over the
    frames end before the last layer, since nothing reads what that makes of them."""
    seg, (*before, last) = batch["segment"], model.llm.model.layers
    states, kept = view(model, batch, len(before))
    kept.append(project(last, states[-1], turns_of(model, states[-1], torch.arange(states[-1].shape[1])[None]))[1:])
    causal = torch.ones(seg.shape[1], seg.shape[1], dtype=torch.bool).tril()
    mask = ((seg[:, None] == 0) | (seg[:, None] == seg[..., None])) & causal
    looks = looks_of(batch, states[0].shape[1], rows_at(model, batch["cells"].shape[1])[-1])
    said, missed, scores = told(model, model.embed(batch["id"]), batch["position"], mask, kept, looks)
    return states, said, missed, scores


def rows_at(model, count):
    """The last cell of each row of count frames [count, CELLS], in the states of view."""
    return len(model.ids(HEAD)) + (CELLS + 1) * torch.arange(CELLS * count).view(count, CELLS) + CELLS - 1


def track(model, story, batch):
    """(loss, scores) of what is said of the shapes over the visual tokens alone."""
    states, _ = view(model, batch, max(story.DEPTHS))
    return story.loss(states, rows_at(model, batch["cells"].shape[1]), batch)


def step(model, heads, story, batch, errors, kinds):
    """(loss, scores) of the heads for the text, of the questions, and of what is said of the shapes; question scores are
    whole answers right, by kind. errors, the recent share of wrong answers by kind, is brought up to date, and kinds
    with more of them weigh more."""
    states, said, missed, scores = read(model, batch)
    loss = 0.3 * missed
    for head in heads:
        unsaid, more = head.loss(said, batch)
        loss, scores = loss + unsaid, scores | more
    if "ever" in batch:
        untold, more = story.loss(states, rows_at(model, batch["cells"].shape[1]), batch)
        loss, scores = loss + 0.3 * untold, scores | more
    asked = batch["want"] >= 0
    logits = model.llm.lm_head(norm(model.llm.model.norm, said[-1][asked])).float()
    want, kind = batch["want"][asked], batch["kind"][asked]
    weight = batch["weight"][asked] * (0.2 + errors[kind])
    answered = (F.cross_entropy(logits, want, reduction="none") * weight).sum() / weight.sum()
    wrong = (logits.argmax(-1) != want).int()
    _, reply = torch.unique((torch.arange(len(asked))[:, None] * 1000 + batch["reply"])[asked], return_inverse=True)
    missing = torch.zeros(int(reply.max()) + 1, dtype=torch.int).scatter_reduce(0, reply, wrong, "amax")
    kind = torch.zeros(len(missing), dtype=torch.long).scatter_(0, reply, kind)
    for number, name in enumerate(kinds):
        scores[name] = (1.0 - missing[kind == number].float()).tolist()
        for hit in scores[name]:
            errors[number] += 0.005 * (1 - hit - errors[number])
    return answered + loss, scores | {"~loss": float(answered)}
