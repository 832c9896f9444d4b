"""Checks of the model and its training that need torch: python -m unittest test_model (in this folder)."""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

import batches
import checkpoint
import decoder
import train
import video
from build_tokenizer import build
from clips import Imagined
from optimiser import orthogonal
from prompt import HEAD
from text import NAMES


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.manual_seed(1)
        torch.set_num_threads(2)
        cls.tokenizer = build()
        cls.parts = train.Parts(cls.tokenizer)
        cls.steps = batches.Steps(cls.tokenizer, Imagined(), 1)

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
            states, split, _, _ = decoder.read(model, self.parts.reader, batch)
            logits = model.llm.lm_head(model.llm.model.norm(states[-1][:, split:]))
            seen = decoder.tokens_of(model, self.parts.reader(batch["codes"]), bool(batch["picture"]))
            for segment in (1, int(batch["segment"][0].max())):
                mine = torch.nonzero((batch["segment"][0] == 0) | (batch["segment"][0] == segment))[:, 0]
                alone = torch.cat([model.embed(model.ids(HEAD)), seen[0], model.embed(batch["id"][0, mine])])[None]
                want = model.llm(inputs_embeds=alone).logits[0, split:]
                torch.testing.assert_close(logits[0, mine], want, rtol=1e-3, atol=1e-4)

    def test_a_question_among_others_is_as_one_alone(self):
        self.check_forward(self.batch(lambda b: len(b["stamps"]) and len(b["copies"])))
        self.check_forward(self.batch(lambda b: not b["picture"] and b["codes"].shape[1] == 1))

    def test_a_picture_is_its_patches_and_a_newline(self):
        batch = self.batch(lambda b: bool(b["picture"]))
        self.check_forward(batch)
        seen = decoder.tokens_of(self.parts.model, self.parts.reader(batch["codes"]), True)
        self.assertEqual(seen.shape[1], 37)

    def test_every_parameter_of_the_decoder_learns(self):
        batch, errors = self.batch(lambda b: len(b["copies"]) and len(b["letters"])), torch.ones(len(NAMES))
        loss, _ = decoder.step(self.parts.model, self.parts.reader, self.parts.heads, batch, errors, NAMES)
        loss.backward()
        for name, module in self.parts.trained("talk").items():
            for part, value in module.named_parameters():
                self.assertTrue(value.grad is not None and value.grad.abs().sum() > 0, f"{name}.{part}")
        self.parts.zero_grad(set_to_none=True)

    def test_every_parameter_of_the_tower_learns(self):
        rng, scene = np.random.default_rng(3), Imagined().still(np.random.default_rng(3), False)[0]
        frames = rng.integers(0, 256, (scene["frames"], 96, 96, 3), np.uint8)

        class OneClip:
            def stills(self, rng, count):
                return scene, np.arange(count) / scene["fps"], frames[:count]

        batch = {name: torch.from_numpy(value) for name, value in batches.stills(rng, OneClip(), 8).items()}
        loss, _ = self.parts.probe.loss(self.parts.model, self.parts.model.patches(batch["frames"]), batch)
        loss.backward()
        for name, module in self.parts.trained("tower").items():
            for part, value in module.named_parameters():
                if "post_layernorm" not in part:  # is not applied
                    self.assertTrue(value.grad is not None and value.grad.abs().sum() > 0, f"{name}.{part}")
        self.parts.zero_grad(set_to_none=True)

    def test_the_joined_projector_hands_on_what_the_reader_would(self):
        frames = np.random.default_rng(2).integers(0, 256, (3, 96, 96, 3), np.uint8)
        model, parts = self.parts.model, self.parts
        with torch.no_grad():
            want = parts.reader(parts.probe.cells(model, model.patches(frames)[-1]))
            parts.join()
            torch.testing.assert_close(model.cells(frames).flatten(1, 2), want, rtol=1e-3, atol=1e-4)

    def test_a_checkpoint_is_read_as_it_was_written(self):
        with tempfile.TemporaryDirectory() as folder:
            checkpoint.save(self.parts.model, folder)
            again = checkpoint.load(folder)
            for (name, value), (_, other) in zip(checkpoint.names(self.parts.model), checkpoint.names(again)):
                self.assertTrue(torch.equal(value.bfloat16().float(), other), name)

    def test_a_cut_run_goes_on_as_one_that_was_not_cut(self):
        with tempfile.TemporaryDirectory() as folder:
            state = Path(folder)
            self.tokenizer.save(str(state / "tokenizer.json"))
            whole = train.Run(state, "talk")
            steps = whole.batches(10, 1)
            first, second = ({name: torch.from_numpy(value) for name, value in steps[n].items()} for n in (0, 1))
            whole.learn(first, 1e-3)
            whole.keep()
            whole.learn(second, 1e-3)
            again = train.Run(state, "talk")
            self.assertEqual(again.step, 1)
            again.learn(second, 1e-3)
            torch.testing.assert_close(again.errors, whole.errors)
            torch.testing.assert_close(again.parts.state_dict(), whole.parts.state_dict(), rtol=1e-4, atol=1e-6)

    def test_updates_are_made_orthogonal(self):
        for shape in ((2, 64, 32), (2, 32, 64)):
            singular = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
            self.assertTrue(((singular > 0.3) & (singular < 1.4)).all(), singular)


class Shipped(unittest.TestCase):
    def test_the_checkpoint_of_the_repository_says_what_the_test_suite_asks_of_it(self):
        root = Path(__file__).resolve().parents[2]
        model = checkpoint.load(root / "assets/demo-model")
        folder = root / "tests/fixtures/demo"
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
