"""Draws a scene's frames."""

import math

import numpy as np
from PIL import Image, ImageDraw

from scene import look, position


def stencil(shape, side, hard):
    """Coverage of the shape in a side x side box, 0..1."""
    n = side * 4
    image = Image.new("L", (n, n))
    draw = ImageDraw.Draw(image)
    if shape == "circle":
        draw.ellipse((0, 0, n - 1, n - 1), fill=255)
    elif shape == "square":
        draw.rectangle((0, 0, n, n), fill=255)
    elif shape == "triangle":
        draw.polygon([(n / 2, 0), (n, n), (0, n)], fill=255)
    else:
        points = [
            (n / 2 * (1 + r * math.sin(a)), n / 2 * (1.05 - 1.05 * r * math.cos(a)))
            for a, r in ((i * math.pi / 5, 1.0 if i % 2 == 0 else 0.42) for i in range(10))
        ]
        draw.polygon(points, fill=255)
    mask = np.asarray(image.resize((side, side), Image.Resampling.BOX), np.float32) / 255
    return (mask > 0.5).astype(np.float32) if hard else mask


def backdrop(scene):
    w, h = scene["w"], scene["h"]
    rng = np.random.default_rng(scene["seed"])
    base = np.array(scene["ground_rgb"], np.float32)
    other = base + 55 if scene["ground"] == "black" else base * rng.uniform(0.55, 0.72)
    y, x = np.mgrid[:h, :w]
    cell = scene["cell"] * min(w, h)
    if scene["texture"] == "checkered":
        light = (x // cell + y // cell) % 2
    elif scene["texture"] == "striped":
        light = ((x if scene["vertical"] else y) // cell) % 2
    else:
        light = np.zeros((h, w))
    image = np.where(light[..., None] > 0, other, base)
    image = image + rng.normal(0, scene["noise"], (h, w, 1)) if scene["noise"] else image
    return image[:, ::-1] if scene.get("flipped") else image


def corner(center, side, whole, flipped):
    """First pixel of a box about a centre; a mirrored scene rounds as the one that it mirrors."""
    first = round(((1 - center) if flipped else center) * whole - side / 2)
    return whole - side - first if flipped else first


def render(scene):
    """All frames of the scene, u8 [frames, h, w, 3]."""
    w, h = scene["w"], scene["h"]
    ground = backdrop(scene).astype(np.float32)
    side = [max(4, round(o["size"] * min(w, h))) for o in scene["objects"]]
    masks = [stencil(o["shape"], s, scene["hard"]) for o, s in zip(scene["objects"], side)]
    masks = [m[:, ::-1] for m in masks] if scene.get("flipped") else masks
    frames = np.empty((scene["frames"], h, w, 3), np.uint8)
    blank = np.clip(ground, 0, 255).round().astype(np.uint8)
    for k in range(scene["frames"]):
        t = k / scene["fps"]
        frames[k] = blank
        for obj, s, mask in zip(scene["objects"], side, masks):
            rgb = look(obj, t)
            if rgb is None:
                continue
            x, y = position(obj, t)
            x, y = corner(x, s, w, scene.get("flipped", False)), corner(y, s, h, False)
            x0, y0, x1, y1 = max(0, x), max(0, y), min(w, x + s), min(h, y + s)
            if x0 < x1 and y0 < y1:
                m = mask[y0 - y : y1 - y, x0 - x : x1 - x, None]
                box = frames[k, y0:y1, x0:x1]
                box[:] = np.clip(np.array(rgb, np.float32) * m + box * (1 - m) + 0.5, 0, 255)
    return frames
