"""Checks of what the heads are to say: python -m unittest test_labels (in this folder)."""

import unittest

import numpy as np

import make_tokenizer
from draw import render
from grid import SIDE
from labels import EVENTS, FINE, outline, state, story
from prompt import SPECIAL, TAIL
from scene import COLORS, DIRECTIONS, SHAPES, color_at, heading, history, look, position, sample_scene

SCENES = 40


class Labels(unittest.TestCase):
    def setUp(self):
        rng = np.random.default_rng(5)
        self.scenes = [sample_scene(rng) for _ in range(SCENES)]

    def test_states_are_those_of_the_scene(self):
        for scene in self.scenes:
            times = np.arange(scene["frames"]) / scene["fps"]
            there, place, color = state(scene, times)
            objects = {o["shape"]: o for o in scene["objects"]}
            for s, shape in enumerate(SHAPES):
                obj = objects.get(shape)
                for k, t in enumerate(times):
                    self.assertEqual(bool(there[k, s]), obj is not None and look(obj, t) is not None, (shape, t))
                    if there[k, s]:
                        np.testing.assert_allclose(place[k, s], position(obj, t), atol=1e-5)
                        self.assertEqual(COLORS[color[k, s]], color_at(obj, t))

    def test_outlines_lie_where_pixels_change(self):
        for scene in self.scenes:
            scene = dict(scene, noise=0.0)
            empty = render(dict(scene, objects=[], frames=1))[0].astype(int)
            frames = render(scene)
            times = np.arange(len(frames)) / scene["fps"]
            there, place, _ = state(scene, times)
            k = len(frames) // 2
            drawn = outline(scene, there, place)[k].reshape(SIDE, SIDE, len(SHAPES), FINE, FINE).max(2)
            drawn = drawn.transpose(0, 2, 1, 3).reshape(SIDE * FINE, SIDE * FINE)
            changed = (abs(frames[k].astype(int) - empty).max(-1) > 0).astype(float)
            rows, columns = (np.linspace(0, n, SIDE * FINE + 1).round().astype(int) for n in changed.shape)
            parts = np.array(
                [[changed[a:b, c:d].mean() for c, d in zip(columns, columns[1:])] for a, b in zip(rows, rows[1:])]
            )
            self.assertLess(abs(parts - drawn).mean(), 0.03)

    def test_the_last_frame_has_the_whole_story(self):
        unknown = 0
        for scene in self.scenes:
            times = np.arange(scene["frames"]) / scene["fps"]
            told = {name: values[-1] for name, values in story(scene, times).items()}
            for obj in scene["objects"]:
                s = SHAPES.index(obj["shape"])
                self.assertTrue(told["ever"][s])
                self.assertEqual(
                    {EVENTS[k] for k in np.flatnonzero(told["done"][s])}, {e["kind"] for e in obj["events"]}
                )
                for name, way in (("way", heading(obj, True)), ("way first", heading(obj))):
                    unknown += told[name][s] < 0  # shown too briefly, or not yet away from where it turned
                    self.assertIn(told[name][s], (-1, ("", *DIRECTIONS).index(way)))
                self.assertEqual(COLORS[told["color first"][s]], obj["color"])
            past = history(scene)
            for name, which in (("event first", 0), ("event last", -1)):
                ranks = [EVENTS[k] if k < len(EVENTS) else None for k in told[name]]
                want = {past[which][0]["shape"]: past[which][1]["kind"]} if past else {}
                self.assertEqual(ranks, [want.get(shape) for shape in SHAPES])
        self.assertLess(unknown, SCENES / 10)

    def test_nothing_is_told_before_it_has_happened(self):
        for scene in self.scenes:
            times = np.arange(scene["frames"]) / scene["fps"]
            done = story(scene, times)["done"]
            for obj in scene["objects"]:
                for e in obj["events"]:
                    before = times < e["t"]
                    self.assertFalse(done[before, SHAPES.index(obj["shape"]), EVENTS.index(e["kind"])].any())


class Tokens(unittest.TestCase):
    def test_the_special_ids_come_last_and_text_comes_back(self):
        made = make_tokenizer.build(60)
        size = made.get_vocab_size()
        self.assertLessEqual(size, make_tokenizer.SIZE)
        self.assertEqual([made.token_to_id(text) for text in SPECIAL], list(range(size - 3, size)))
        text = "What colour is the square?" + TAIL
        self.assertEqual(made.decode(made.encode(text).ids, skip_special_tokens=False), text)


if __name__ == "__main__":
    unittest.main()
