"""Checks of the training of tower and projector that need torch: python -m unittest test_see (in this folder)."""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

import checkpoint
import config
import make_tokenizer
import see
import tower
from draw import render
from imagined import Filmed
from scene import sample_scene
from video import resize


class Seeing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.set_num_threads(2)
        rng = np.random.default_rng(3)
        cls.state = tempfile.TemporaryDirectory()
        make_tokenizer.build(60).save(f"{cls.state.name}/tokenizer.json")

        few = [(scene, resize(render(scene), 96)) for scene in (sample_scene(rng) for _ in range(3))]
        cls.steps = see.Stills(Filmed(few), 11)
        cls.sorted_from = see.STAGES["see"].parts[0].steps

    @classmethod
    def tearDownClass(cls):
        cls.state.cleanup()

    def batch(self, step):
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in self.steps[step].items()}

    def test_the_config_is_that_of_the_shipped_model(self):
        shipped = Path(__file__).resolve().parents[2] / "assets/demo-model/config.json"
        want = json.loads(shipped.read_text())
        self.assertEqual(config.make(want["vocab_size"]), want)

    def test_patches_are_those_of_the_model(self):
        torch.manual_seed(1)
        model, frames = see.Run(Path(self.state.name), "see").model.eval(), self.batch(0)["frames"][:2]
        with torch.no_grad():
            for mine, theirs in zip(tower.patches(model, frames), model.patches(frames)):
                torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)

    def test_it_learns_and_a_cut_run_goes_on_as_one_that_was_not_cut(self):
        torch.manual_seed(1)
        whole = see.Run(Path(self.state.name), "see")
        for step in range(3):
            whole.learn(self.batch(step))
        whole.keep()
        for is_sorted in (False, True):
            whole.step = self.sorted_from if is_sorted else whole.step
            whole.learn(self.batch(3))
        again = see.Run(Path(self.state.name), "see")
        again.learn(self.batch(3))
        again.step = self.sorted_from
        again.learn(self.batch(3))
        torch.testing.assert_close(again.parts.state_dict(), whole.parts.state_dict(), rtol=1e-4, atol=1e-6)

    def test_each_part_of_a_stage_warms_up_and_falls(self):
        at = see.STAGES["see"].at
        first, peak, last, after, done = (at(n) for n in (0, 200, self.sorted_from - 1, self.sorted_from, 1999))
        self.assertEqual([is_sorted for _, is_sorted in (first, peak, last, after, done)], [False] * 3 + [True] * 2)
        self.assertAlmostEqual(peak[0], 2e-3)
        self.assertTrue(all(rate < 0.02 * 2e-3 for rate, _ in (first, last, after, done)))

    def test_the_stage_again_leaves_the_decoder_and_its_heads_as_they_are(self):
        torch.manual_seed(1)
        state = Path(self.state.name)
        before = see.Run(state, "see").model
        checkpoint.save(before, state / "finish/export", {"story.weight": torch.ones(3)})
        before, batch = checkpoint.load(state / "finish/export"), self.batch(0)
        for steps in (0, 1):
            run = see.Run(state, "again")
            for _ in range(steps):
                run.learn(batch)
            run.finish()
            after = dict(checkpoint.names(checkpoint.load(run.export)))
            moved = {name for name, value in checkpoint.names(before) if not torch.equal(value, after[name])}
            self.assertEqual(any("vision_tower" in name for name in moved), steps > 0)
            self.assertEqual(any("mm_projector" in name for name in moved), steps > 0)
            self.assertFalse(any("vision_tower" not in name and "mm_projector" not in name for name in moved))
            heads = checkpoint.heads(run.export)
            torch.testing.assert_close(heads["story.weight"], torch.ones(3))
            self.assertTrue(any(name.startswith(tower.HEADS) for name in heads))

    def test_the_first_heads_look_at_the_same_place_of_the_frame_before(self):
        torch.manual_seed(1)
        model = see.Run(Path(self.state.name), "see").model
        see.prepare(model)
        checkpoint.save(model, f"{self.state.name}/export")
        model = checkpoint.load(f"{self.state.name}/export")
        x = torch.randn(1, 100, model.config["hidden_size"]) * 0.05
        for layer in model.llm.model.layers[:2]:
            a = layer.self_attn
            q, k = (part(x)[..., : a.head_dim].unflatten(-1, (1, -1)).transpose(1, 2) for part in (a.q_proj, a.k_proj))
            cos, sin = model.llm.model.rotary_emb(x, torch.arange(100)[None])
            turn = lambda y: y * cos + torch.cat([-y.chunk(2, -1)[1], y.chunk(2, -1)[0]], -1) * sin
            scores = (turn(q) @ turn(k).mT)[0, 0, 60:].tril(60)
            self.assertGreater(float((scores.argmax(-1) == torch.arange(60, 100) - 20).float().mean()), 0.9)


if __name__ == "__main__":
    unittest.main()
