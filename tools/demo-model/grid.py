"""The patch grid of the model that is trained here; a checkpoint's own grid stands in its config."""

IMAGE, PATCH, STRIDE = 96, 16, 3
SIDE = IMAGE // PATCH  # patches per side
CELLS = SIDE // STRIDE  # pooled tokens per side
FRAME = CELLS * (CELLS + 1)  # visual tokens a frame, newline tokens included
