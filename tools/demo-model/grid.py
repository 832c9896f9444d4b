"""The patch grid of the demo model."""

IMAGE, PATCH, STRIDE = 96, 12, 2
SIDE = IMAGE // PATCH  # patches per side
CELLS = SIDE // STRIDE  # pooled tokens per side
FRAME = CELLS * (CELLS + 1)  # visual tokens a frame, newline tokens included
