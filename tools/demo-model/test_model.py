"""Checks of the model and its training that need torch: python -m unittest test_model (in this folder)."""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import default_convert

import batches
import checkpoint
import decoder
import tower
import train
import video
from clips import Films
from draw import render
from imagined import Filmed, Imagined
from layers import Norm, Rotate
from optimiser import orthogonal
from prompt import HEAD
from scene import sample_scene
from text import NAMES
from video import resize

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "assets/demo-model"


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.manual_seed(1)
        torch.set_num_threads(2)
        cls.parts = train.Parts(SHIPPED)
        cls.heads = {tower.HEADS + name: value for name, value in cls.parts.frames.state_dict().items()}
        cls.steps = batches.Steps(cls.parts.model.tokenizer, Imagined(), 1)
        cls.silent = batches.Steps(cls.parts.model.tokenizer, Imagined(), 1, asks=False)

    def batch(self, fits):
        for number in range(100):
            made = {name: torch.from_numpy(value) for name, value in self.steps[number].items()}
            if fits(made):
                return made
        self.fail("no such batch")

    def check_forward(self, batch):
        """Each question, trained beside others in one row, has the logits that it has alone."""
        model = self.parts.model
        with torch.no_grad():
            _, said, _, _ = decoder.read(model, batch)
            logits = model.llm.lm_head(model.llm.model.norm(said[-1]))
            seen = decoder.tokens_of(model, batch["cells"], bool(batch["picture"]))
            split = len(model.ids(HEAD)) + seen.shape[1]
            for segment in (1, int(batch["segment"][0].max())):
                mine = torch.nonzero((batch["segment"][0] == 0) | (batch["segment"][0] == segment))[:, 0]
                alone = torch.cat([model.embed(model.ids(HEAD)), seen[0], model.embed(batch["id"][0, mine])])[None]
                want = model.llm(inputs_embeds=alone).logits[0, split:]
                torch.testing.assert_close(logits[0, mine], want, rtol=1e-3, atol=1e-3)

    def test_a_question_among_others_is_as_one_alone(self):
        self.check_forward(self.batch(lambda b: len(b["letters"]) and b["cells"].shape[1] == 8))
        self.check_forward(self.batch(lambda b: not b["picture"] and b["cells"].shape[1] == 1))

    def test_a_picture_is_its_patches_and_a_newline(self):
        batch = self.batch(lambda b: bool(b["picture"]))
        self.check_forward(batch)
        self.assertEqual(decoder.tokens_of(self.parts.model, batch["cells"], True).shape[1], 65)

    def test_every_parameter_of_the_decoder_learns(self):
        batch = self.batch(lambda b: len(b["letters"]) and len(b["events"]) and "ever" in b)
        errors = torch.ones(len(NAMES))
        loss, _ = decoder.step(
            self.parts.model, (self.parts.head, self.parts.events), self.parts.story, batch, errors, NAMES
        )
        loss.backward()
        for name, value in self.parts.decoder():
            self.assertTrue(value.grad is not None and value.grad.abs().sum() > 0, name)
        self.parts.zero_grad(set_to_none=True)

    def test_shapes_are_told_of_over_the_frames_alone_as_beside_questions(self):
        batch = {name: torch.from_numpy(value) for name, value in self.silent[0].items()}
        self.assertNotIn("id", batch)
        count = batch["cells"].shape[1]
        self.assertEqual(batch["ever"].shape[:3], (len(batch["cells"]), count, 4))
        self.parts.zero_grad(set_to_none=True)
        loss, scores = decoder.track(self.parts.model, self.parts.story, batch)
        loss.backward()
        self.assertIn("~way", scores)
        learning = {
            name for name, value in self.parts.decoder() if value.grad is not None and value.grad.abs().sum() > 0
        }
        self.assertTrue(
            all(name in learning for name, _ in self.parts.decoder() if "story" in name or ".layers.3." in name)
        )
        self.assertFalse(any(".layers.4." in name for name in learning))
        self.parts.zero_grad(set_to_none=True)
        # The token that is read is the last cell of its row: the newline follows it.
        model = self.parts.model
        tokens = decoder.tokens_of(model, batch["cells"], False)
        at = decoder.rows_at(model, count) - len(model.ids(HEAD))
        want = batch["cells"].unflatten(2, (4, 4))[:, :, :, -1]
        torch.testing.assert_close(tokens[:, at], want)
        torch.testing.assert_close(tokens[0, at[0, 0] + 1], model.newline)

    def test_what_is_kept_of_a_clip_is_what_the_model_sees(self):
        model, rng = self.parts.model, np.random.default_rng(2)
        scene = Imagined().still(rng, False)[0]
        frames = rng.integers(0, 256, (scene["frames"], 96, 96, 3), np.uint8)

        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            for _ in range(2):  # made, and read
                kept = tower.seen(model, Filmed([(scene, frames)]), Path(folder) / "seen", 2)
                want = model.cells(frames).flatten(1, 2)
                torch.testing.assert_close(torch.from_numpy(kept.cells[0][0]).float(), want, rtol=2e-3, atol=2e-3)
            last = torch.from_numpy(kept.patches[0][0][-1]).float()
            torch.testing.assert_close(last, model.picture(frames[-1])[:-1], rtol=2e-3, atol=2e-3)

    def pixels(self, count, picture=False):
        """A batch of a clip's pixels."""
        rng = np.random.default_rng(2)
        scenes = (sample_scene(rng) for _ in range(4))
        films = Films(Filmed([(scene, resize(render(scene), 96)) for scene in scenes]))
        steps = batches.Steps(self.parts.model.tokenizer, films, 1)
        for number in range(200):
            made = steps[number]
            if made["frames"].shape[1] == count and bool(made["picture"]) == picture:
                return default_convert(made)
        self.fail("no such batch")

    def test_a_tower_that_learns_makes_the_cells_that_the_model_makes(self):
        model = self.parts.model
        for count, picture in ((8, False), (1, False), (1, True)):
            batch = self.pixels(count, picture)
            loss, scores = self.parts.look(batch)
            loss.backward()
            for frames, cells in zip(batch["frames"], batch["cells"]):
                want = model.picture(frames[0])[:-1] if picture else model.cells(frames).flatten(1, 2)
                torch.testing.assert_close(cells.detach().view(want.shape), want.detach(), rtol=0.05, atol=0.05)
            self.assertIn("~texture", scores)
            self.parts.zero_grad(set_to_none=True)

    def test_answers_teach_the_tower_too(self):
        batch, errors = self.pixels(8), torch.ones(len(NAMES))
        self.parts.look(batch)
        loss, _ = decoder.step(
            self.parts.model, (self.parts.head, self.parts.events), self.parts.story, batch, errors, NAMES
        )
        loss.backward()
        taught = [name for name, p in self.parts.tower() if p.grad is not None and p.grad.abs().sum() > 0]
        self.assertTrue(any("patch_embedding" in name for name in taught))
        self.assertFalse(any("projector.2." in name for name, _ in self.parts.tower()))
        self.assertTrue(any(name.startswith(tower.HEADS) for name, _ in self.parts.tower()))
        self.parts.zero_grad(set_to_none=True)

    def test_a_checkpoint_is_read_as_it_was_written(self):
        with tempfile.TemporaryDirectory() as folder:
            checkpoint.save(self.parts.model, folder)
            again = checkpoint.load(folder)
            for (name, value), (_, other) in zip(checkpoint.names(self.parts.model), checkpoint.names(again)):
                self.assertTrue(torch.equal(value.bfloat16().float(), other), name)

    def test_a_cut_run_goes_on_as_one_that_was_not_cut(self):
        step = lambda steps, n: {name: torch.from_numpy(value) for name, value in steps[n].items()}
        with tempfile.TemporaryDirectory() as folder:
            state = Path(folder)
            for before in ("see", "again"):
                checkpoint.save(self.parts.model, state / before / "export", self.heads)
            torch.manual_seed(1)
            batches_of = {
                name: [step(steps, n) for n in (0, 1)] for name, steps in (("track", self.silent), ("talk", self.steps))
            }
            batches_of["whole"] = [self.pixels(8), self.pixels(4)]
            for name, (first, second) in batches_of.items():
                whole = train.Run(state, name)
                whole.learn(first, 1e-3)
                whole.keep()
                whole.learn(dict(second), 1e-3)
                again = train.Run(state, name)
                self.assertEqual(again.step, 1)
                towers = (parts.model.tower.parameters() for parts in (whole.parts, self.parts))
                self.assertEqual(any(not torch.equal(a, b) for a, b in zip(*towers)), name == "whole")
                again.learn(second, 1e-3)
                torch.testing.assert_close(again.errors, whole.errors)
                torch.testing.assert_close(again.parts.state_dict(), whole.parts.state_dict(), rtol=1e-4, atol=1e-6)

    def test_a_stage_goes_on_with_the_heads_of_the_one_before(self):
        with tempfile.TemporaryDirectory() as folder:
            state = Path(folder)
            checkpoint.save(self.parts.model, state / "see/export", self.heads)
            track = train.Run(state, "track")
            track.keep()
            talk = train.Run(state, "talk")
            self.assertEqual(talk.step, 0)
            rounded = lambda name, value: value.bfloat16().float() if name.startswith("model.") else value
            want = {name: rounded(name, value) for name, value in track.parts.state_dict().items()}
            torch.testing.assert_close(talk.parts.state_dict(), want)

    def test_gradients_written_out_are_those_of_the_function(self):
        torch.manual_seed(1)
        fresh = lambda *shape: torch.randn(*shape, dtype=torch.double, requires_grad=True)
        angle = torch.rand(1, 3, 1, 4, dtype=torch.double)
        self.assertTrue(torch.autograd.gradcheck(lambda x, w: Norm.apply(x, w, 1e-6), (fresh(2, 3, 8), fresh(8))))
        turned = lambda x: Rotate.apply(x, angle.cos(), angle.sin())
        self.assertTrue(torch.autograd.gradcheck(turned, (fresh(2, 3, 2, 8),)))

    def test_updates_are_made_orthogonal(self):
        for shape in ((2, 64, 32), (2, 32, 64)):
            singular = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
            self.assertTrue(((singular > 0.3) & (singular < 1.4)).all(), singular)


class Shipped(unittest.TestCase):
    def test_the_checkpoint_of_the_repository_says_what_the_test_suite_asks_of_it(self):
        model = checkpoint.load(SHIPPED)
        folder = ROOT / "tests/fixtures/demo"
        questions = json.loads((folder / "questions.json").read_text())
        short = [asked for asked in questions if asked["frames"] <= 32]
        for clip in sorted({asked["clip"] for asked in short}):
            frames, rate = video.decode(folder / clip)
            for asked in (asked for asked in short if asked["clip"] == clip):
                picked, placement = video.sample(len(frames), asked["frames"]), asked["time_instruction"]
                told = video.time_instruction(len(frames), rate, picked) if placement else None
                seen = model.watch(video.resize(frames[picked], model.image))
                text, ids, _ = model.answer(seen, asked["question"], told, placement == "inline")
                self.assertEqual((text, ids), (asked["answer"], asked["token_ids"]), asked)


if __name__ == "__main__":
    unittest.main()
