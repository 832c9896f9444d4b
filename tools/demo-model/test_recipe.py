"""Checks of the recipe's parts that need no training and no torch: python -m unittest test_recipe (in this folder)."""

import re
import unittest
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

import batches
from clips import Films
from draw import render
from imagined import Filmed, Imagined
from options import ask_options
from prompt import END
from questions import ASK, ask, describe
from scene import COLORS, SHAPES, heading, look, position, sample_scene
from transforms import mirror, reverse, still, swap
from video import resize

SHIPPED = Path(__file__).resolve().parents[2] / "assets/demo-model"


def scenes(count, seed=5):
    rng = np.random.default_rng(seed)
    return [sample_scene(rng) for _ in range(count)]


class Scenes(unittest.TestCase):
    def test_a_mirrored_scene_is_drawn_as_the_mirrored_drawing(self):
        for scene in scenes(12):
            scene = dict(scene, frames=min(scene["frames"], 20))
            self.assertTrue(np.array_equal(render(mirror(scene)), render(scene)[:, :, ::-1]), scene["seed"])
            self.assertEqual(describe(mirror(mirror(scene))), describe(scene))

    def test_a_mirror_turns_left_and_right_around_and_nothing_else(self):
        other = {"left": "right", "right": "left"}
        for scene in scenes(40):
            for before, after in zip(scene["objects"], mirror(scene)["objects"]):
                want = " ".join(other.get(word, word) for word in heading(before).split(" "))
                self.assertEqual(heading(after), want)

    def test_a_reversed_scene_is_drawn_as_the_reversed_drawing(self):
        # An event between two frames may be seen one frame earlier or later; nothing else may differ.
        for scene in scenes(12):
            span = (scene["frames"] - 1) / scene["fps"]
            for obj, back in zip(scene["objects"], reverse(scene)["objects"]):
                differ = 0
                for t in np.arange(scene["frames"]) / scene["fps"]:
                    shown, moved = look(obj, span - t), look(back, t)
                    differ += shown != moved
                    if shown and moved:
                        self.assertTrue(np.allclose(position(obj, span - t), position(back, t), atol=1e-6))
                self.assertLessEqual(differ, 2 * len(obj["events"]))

    def test_red_and_blue_exchanged_twice_is_the_scene(self):
        for scene in scenes(40):
            if swapped := swap(scene):
                self.assertEqual(describe(swap(swapped)), describe(scene))


class Views(unittest.TestCase):
    def test_a_view_shows_the_frames_that_its_scene_draws(self):
        films = Films(Filmed([(scene, resize(render(scene), 96)) for scene in scenes(6)]))
        rng, shown = np.random.default_rng(4), 0
        drawn = lambda scene, picked: resize(render(scene)[picked], 96).astype(int)
        apart = lambda scene, picked, frames: np.abs(drawn(scene, picked) - frames).mean((1, 2, 3))
        while shown < 20:
            if view := films.view(rng, 5):
                # A place that a cut or a mirror rounds otherwise is a pixel off, an event between two frames a frame.
                self.assertLess(float(np.median(apart(*view))), 4)
                shown += 1
        for picture in (False, True):
            scene, at, frame = films.still(rng, picture)
            self.assertLess(float(apart(scene, [at], frame)[0]), 4)


class Questions(unittest.TestCase):
    def test_it_is_the_only_shape(self):
        rng, asked = np.random.default_rng(8), {}
        for scene in scenes(300):
            for kind in ("color", "shape", "direction", "event", "yesno"):
                found = ask(rng, scene, kind)
                if found and re.search(r"\bit\b", found.text):
                    self.assertEqual(len(scene["objects"]), 1, found.text)
                    asked[kind] = found.text
        self.assertEqual(len(asked), 5, asked)

    def test_both_answers_of_yes_and_no_are_as_frequent(self):
        rng, said = np.random.default_rng(1), []
        for scene in scenes(60):
            said += [asked.answer for _ in range(20) if (asked := ask(rng, scene, "yesno"))]
        self.assertAlmostEqual(said.count("yes") / len(said), 0.5, delta=0.08)

    def test_left_and_right_are_as_frequent(self):
        ways = [heading(obj) for scene in scenes(600) for obj in scene["objects"]]
        left, right = ways.count("left"), ways.count("right")
        self.assertAlmostEqual(left / (left + right), 0.5, delta=0.1)

    def test_the_letter_is_that_of_the_right_option_and_every_letter_answers(self):
        rng, letters = np.random.default_rng(2), set()
        for scene in scenes(300):
            for _ in range(6):
                if asked := ask_options(rng, scene):
                    right = [n for n, (_, ok) in enumerate(asked.letters) if ok]
                    self.assertEqual(["ABCDE"[n] for n in right], [asked.answer])
                    self.assertTrue(all(asked.text[end - 1].isalnum() for end, _ in asked.letters), asked)
                    letters.add(asked.answer)
        self.assertEqual(letters, set("ABCDE"))

    def test_no_time_is_told(self):
        rng = np.random.default_rng(3)
        told = [asked.answer for scene in scenes(80) if (asked := ask(rng, scene, "time"))]
        self.assertGreater(len(told), 20)
        self.assertEqual(set(told), {"I cannot tell"})

    def test_a_picture_is_asked_nothing_that_needs_time(self):
        rng = np.random.default_rng(4)
        for scene in scenes(30):
            shown = still(scene, scene["dur"] / 2)
            if shown:
                for kind in ("direction", "order", "relation", "event", "time"):
                    self.assertIsNone(ask(rng, shown, kind))
                self.assertNotIn("moves", describe(shown))


class Text(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tokenizer = Tokenizer.from_file(str(SHIPPED / "tokenizer.json"))
        cls.steps = batches.Steps(cls.tokenizer, Imagined(), 1)

    def test_every_kind_is_put_into_tokens_and_back(self):
        rng = np.random.default_rng(6)
        for scene in scenes(10):
            for kind in ASK:
                if asked := ask(rng, scene, kind):
                    self.assertEqual(self.tokenizer.decode(self.tokenizer.encode(asked.text).ids), asked.text)

    def test_what_is_to_follow_is_the_next_token_of_the_answer(self):
        for number in range(12):
            batch = self.steps[number]
            rows, tokens = np.nonzero(batch["want"] >= 0)
            end = self.tokenizer.token_to_id(END)
            for row, token in zip(rows, tokens):
                self.assertEqual(batch["want"][row, token], batch["id"][row, token + 1])
                if batch["want"][row, token] == end:
                    self.assertNotEqual(batch["reply"][row, token], 0)

    def test_the_marks_point_to_what_they_name(self):
        word = lambda batch, row, token: self.tokenizer.decode([batch["id"][row, token]]).strip()
        lettered = 0
        for number in range(30):
            batch = self.steps[number]
            right = {(row, token): "ABCDE"[letter] for row, token, letter, ok in batch["options"] if ok}
            for row, token, source in batch["letters"]:
                self.assertEqual(self.tokenizer.decode([batch["want"][row, token]]), right[row, source])
                self.assertTrue(word(batch, row, source).isalnum())
                lettered += 1
        self.assertGreater(lettered, 50)

    def test_what_describes_a_shape_is_marked_as_about_it(self):
        marked = 0
        for number in range(20):
            batch = self.steps[number]
            for row, first in {(row, int(batch["reply"][row, token])) for row, token, _ in batch["told"]}:
                mine = batch["reply"][row] == first
                about = {token: shape for r, token, shape in batch["told"] if r == row and mine[token]}
                for shape in set(about.values()):
                    ids = [batch["want"][row, token] for token in sorted(about) if about[token] == shape]
                    self.assertRegex(self.tokenizer.decode(ids).strip(), rf"^An? \w+ {SHAPES[shape]}[^.]*\.?$")
                    marked += 1
        self.assertGreater(marked, 20)

    def test_what_is_said_of_a_named_event_agrees_with_the_answer(self):
        named = 0
        for number in range(60):
            batch = self.steps[number]
            for row, token, shape, is_last, answer in batch["events"]:
                mine = batch["segment"][row, : answer + 1] == batch["segment"][row, answer]
                ids = batch["id"][row, : answer + 1]
                name = self.tokenizer.decode(ids[: token + 1][mine[: token + 1]]).rsplit(" the ", 1)[1]
                self.assertRegex(
                    name, f"^{SHAPES[shape]} (appears|disappears|blinks|turns (around|{'|'.join(COLORS)}))$"
                )
                question = self.tokenizer.decode(ids[mine], skip_special_tokens=False).split(END)[-2]
                is_before = " before " in question
                self.assertTrue(is_before or " after " in question, question)
                said = self.tokenizer.decode([batch["want"][row, answer]]).strip()
                self.assertEqual(said == "nothing", is_before != bool(is_last), question)
                named += 1
        self.assertGreater(named, 30)

    def test_a_step_is_the_same_whenever_it_is_made(self):
        first, again = self.steps[7], batches.Steps(self.tokenizer, Imagined(), 1)[7]
        self.assertTrue(all(np.array_equal(first[name], again[name]) for name in first))


if __name__ == "__main__":
    unittest.main()
