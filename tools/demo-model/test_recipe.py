"""Checks of the recipe's parts that need no training and no torch: python -m unittest test_recipe (in this folder)."""

import unittest

import numpy as np

import batches
import labels
import video
from build_tokenizer import build
from clips import Imagined
from codes import code
from draw import render
from options import ask_options
from prompt import END
from questions import ASK, View, ask, describe
from scene import SHAPES, clear, heading, sample_scene
from text import STAMP
from transforms import mirror, reverse, still, swap


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
            there, place, _ = labels.state(scene, np.arange(scene["frames"]) / scene["fps"])
            back, moved, _ = labels.state(reverse(scene), np.arange(scene["frames"]) / scene["fps"])
            events = sum(len(obj["events"]) for obj in scene["objects"])
            self.assertLessEqual((there[::-1] != back).sum(), 2 * events)
            both = there[::-1] & back
            self.assertLess(abs(place[::-1] - moved)[both].max(), 1e-6)

    def test_red_and_blue_exchanged_twice_is_the_scene(self):
        for scene in scenes(40):
            if swapped := swap(scene):
                self.assertEqual(describe(swap(swapped)), describe(scene))


class Questions(unittest.TestCase):
    def test_both_answers_of_yes_and_no_are_as_frequent(self):
        rng, said = np.random.default_rng(1), []
        for scene in scenes(60):
            view = View(np.arange(scene["frames"]) / scene["fps"])
            said += [asked.answer for _ in range(20) if (asked := ask(rng, scene, "yesno", view))]
        self.assertAlmostEqual(said.count("yes") / len(said), 0.5, delta=0.08)

    def test_left_and_right_are_as_frequent(self):
        ways = [heading(obj) for scene in scenes(600) for obj in scene["objects"]]
        left, right = ways.count("left"), ways.count("right")
        self.assertAlmostEqual(left / (left + right), 0.5, delta=0.1)

    def test_the_letter_is_that_of_the_right_option_and_every_letter_answers(self):
        rng, letters = np.random.default_rng(2), set()
        for scene in scenes(80):
            view = View(np.arange(scene["frames"]) / scene["fps"])
            for _ in range(6):
                if asked := ask_options(rng, scene, view):
                    right = [n for n, (_, ok) in enumerate(asked.letters) if ok]
                    self.assertEqual(["ABCDE"[n] for n in right], [asked.answer])
                    self.assertTrue(all(asked.text[end - 1].isalnum() for end, _ in asked.letters), asked)
                    letters.add(asked.answer)
        self.assertEqual(letters, set("ABCDE"))

    def test_a_time_is_that_of_the_first_frame_that_shows_it(self):
        rng, asked_of = np.random.default_rng(3), 0
        for scene in scenes(150):
            picked = video.sample(scene["frames"], 16)
            times = picked / scene["fps"]
            if not clear(scene, times):
                continue
            asked = ask(rng, scene, "time", View(times, video.stamps(scene["fps"], picked)), plain=True)
            if not asked:
                continue
            asked_of += 1
            at = video.stamps(scene["fps"], picked).index(asked.answer.removeprefix("at "))
            there, _, color = labels.state(scene, times)
            shape = next(n for n, name in enumerate(SHAPES) if f" {name} " in asked.text)
            self.assertTrue(
                at > 0 and (there[at, shape] != there[at - 1, shape] or color[at, shape] != color[at - 1, shape])
            )
        self.assertGreater(asked_of, 20)

    def test_a_picture_is_asked_nothing_that_needs_time(self):
        rng = np.random.default_rng(4)
        for scene in scenes(30):
            shown = still(scene, scene["dur"] / 2)
            if shown:
                for kind in ("direction", "order", "relation", "event", "time"):
                    self.assertIsNone(ask(rng, shown, kind, View(np.array([0.0]))))
                self.assertNotIn("moves", describe(shown))


class Codes(unittest.TestCase):
    def test_each_cell_speaks_of_one_shape(self):
        for scene in scenes(20):
            times = np.arange(4) / scene["fps"]
            there, place, color = labels.state(scene, times)
            made = code(scene, there, place, color)
            self.assertTrue(np.array_equal(made[..., 0] > 0, there))
            self.assertTrue((made[~there][:, 1:12] == 0).all())


class Text(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tokenizer = build()
        cls.steps = batches.Steps(cls.tokenizer, Imagined(), 1)

    def test_every_kind_is_put_into_tokens_and_back(self):
        rng = np.random.default_rng(6)
        for scene in scenes(10):
            view = View(np.arange(scene["frames"]) / scene["fps"])
            for kind in ASK:
                if asked := ask(rng, scene, kind, view):
                    self.assertEqual(self.tokenizer.decode(self.tokenizer.encode(asked.text).ids), asked.text)

    def test_a_time_is_as_many_tokens_as_a_frame(self):
        # So the tokens of a time stand at one distance from those of its frame, whichever frame it is.
        ids = lambda text: self.tokenizer.encode(text, add_special_tokens=False).ids
        self.assertEqual(len(ids("x 1.04s,2.08s")) - len(ids("x 1.04s")), STAMP + 1)
        self.assertEqual(STAMP + 1, batches.FRAME)

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
        copied = lettered = 0
        for number in range(30):
            batch = self.steps[number]
            for row, token, source in batch["copies"]:
                self.assertEqual(batch["want"][row, token], batch["id"][row, source])
                copied += 1
            right = {(row, token): "ABCDE"[letter] for row, token, letter, ok in batch["options"] if ok}
            for row, token, source in batch["letters"]:
                self.assertEqual(self.tokenizer.decode([batch["want"][row, token]]), right[row, source])
                self.assertTrue(word(batch, row, source).isalnum())
                lettered += 1
            frames = batch["codes"].shape[1]
            self.assertTrue((batch["stamps"][:, 2] < frames).all())
        self.assertTrue(copied > 50 and lettered > 50, (copied, lettered))

    def test_a_step_is_the_same_whenever_it_is_made(self):
        first, again = self.steps[7], batches.Steps(self.tokenizer, Imagined(), 1)[7]
        self.assertTrue(all(np.array_equal(first[name], again[name]) for name in first))


if __name__ == "__main__":
    unittest.main()
