//! The display matrix of a stream, read as FFmpeg's command line reads it, and applied to packed pixels.
//!
//! Source: `ffmpeg` 5.1's automatic rotation (`configure_input_video_filter` in `fftools/ffmpeg_filter.c`) and
//! `av_display_rotation_get` in `libavutil/display.c`.

/// How stored pixels are turned before they are shown: transposed first, then mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Orientation {
    /// Rows become columns (mirrored at the diagonal from top left to bottom right).
    pub transpose: bool,
    /// Then left becomes right.
    pub mirror_x: bool,
    /// Then top becomes bottom.
    pub mirror_y: bool,
}

impl Orientation {
    /// Pixels as they are stored.
    pub const NONE: Orientation = Orientation { transpose: false, mirror_x: false, mirror_y: false };

    /// Reads a display matrix (nine 16.16 and 2.30 fixed-point numbers, row by row).
    ///
    /// Angles within one degree of a quarter turn count as one; all others are ignored.
    pub fn from_matrix(matrix: &[i32; 9]) -> Orientation {
        let Some(turn) = clockwise_degrees(matrix) else {
            return Orientation::NONE;
        };
        let near = |angle: f64| (turn - angle).abs() < 1.0;
        let (transpose, mirror_x, mirror_y) = if near(90.0) {
            // "clock", or "cclock_flip", which is the bare transposition.
            (true, matrix[3] <= 0, false)
        } else if near(180.0) {
            (false, matrix[0] < 0, matrix[4] < 0)
        } else if near(270.0) {
            // "cclock", or "clock_flip", which is the transposition at the other diagonal.
            (true, matrix[3] < 0, true)
        } else if near(0.0) {
            (false, false, matrix[4] < 0)
        } else {
            (false, false, false)
        };
        Orientation { transpose, mirror_x, mirror_y }
    }

    /// The turn in words, for reports; `None` where nothing is turned.
    pub fn in_words(self) -> Option<&'static str> {
        match (self.transpose, self.mirror_x, self.mirror_y) {
            (false, false, false) => None,
            (false, true, true) => Some("rotated 180°"),
            (true, true, false) => Some("rotated 90° clockwise"),
            (true, false, true) => Some("rotated 90° counterclockwise"),
            (false, true, false) => Some("mirrored left to right"),
            (false, false, true) => Some("mirrored top to bottom"),
            (true, false, false) => Some("mirrored along the diagonal from top left"),
            (true, true, true) => Some("mirrored along the diagonal from top right"),
        }
    }

    /// The shown size of a stored size.
    pub fn size(self, width: u32, height: u32) -> (u32, u32) {
        if self.transpose { (height, width) } else { (width, height) }
    }

    /// The stored place (column, row) of what is shown at (`x`, `y`) of a `width` x `height` view.
    fn stored(self, x: usize, y: usize, width: usize, height: usize) -> (usize, usize) {
        let x = if self.mirror_x { width - 1 - x } else { x };
        let y = if self.mirror_y { height - 1 - y } else { y };
        if self.transpose { (y, x) } else { (x, y) }
    }

    /// Turns a plane of `step`-byte pixels.
    ///
    /// `from` holds the stored rows, `from_stride` bytes apart; `to` gets the shown rows of `width` x `height`
    /// pixels, `to_stride` bytes apart. Both must hold their last row in full.
    pub(crate) fn apply(
        self,
        from: &[u8],
        from_stride: usize,
        to: &mut [u8],
        to_stride: usize,
        (width, height): (usize, usize),
        step: usize,
    ) {
        for y in 0..height {
            let row = &mut to[y * to_stride..][..width * step];
            if !self.transpose && !self.mirror_x {
                let (_, stored_y) = self.stored(0, y, width, height);
                row.copy_from_slice(&from[stored_y * from_stride..][..width * step]);
                continue;
            }
            for (x, pixel) in row.chunks_exact_mut(step).enumerate() {
                let (stored_x, stored_y) = self.stored(x, y, width, height);
                pixel.copy_from_slice(&from[stored_y * from_stride + stored_x * step..][..step]);
            }
        }
    }
}

/// `get_rotation` of FFmpeg's tools: degrees in 0..360 by which the picture must be turned clockwise.
fn clockwise_degrees(matrix: &[i32; 9]) -> Option<f64> {
    let fixed = |index: usize| f64::from(matrix[index]) / 65_536.0;
    let scale = [fixed(0).hypot(fixed(3)), fixed(1).hypot(fixed(4))];
    if scale.contains(&0.0) {
        return None;
    }
    let turn = (fixed(1) / scale[1]).atan2(fixed(0) / scale[0]).to_degrees();
    // The bias keeps an angle a hair below zero from becoming 360.
    Some(turn - 360.0 * (turn / 360.0 + 0.9 / 360.0).floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: i32 = 1 << 16;

    fn matrix(a: i32, b: i32, c: i32, d: i32) -> [i32; 9] {
        [a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30]
    }

    /// The picture 1 2 / 3 4 / 5 6 under an orientation.
    fn turned(orientation: Orientation) -> Vec<u8> {
        let (width, height) = orientation.size(2, 3);
        let mut to = vec![0; 6];
        let (width, height) = (width as usize, height as usize);
        orientation.apply(&[1, 2, 3, 4, 5, 6], 2, &mut to, width, (width, height), 1);
        to
    }

    #[test]
    fn the_eight_orientations() {
        let cases = [
            (matrix(1, 0, 0, 1), vec![1, 2, 3, 4, 5, 6]),   // as stored
            (matrix(0, 1, -1, 0), vec![5, 3, 1, 6, 4, 2]),  // a quarter turn clockwise
            (matrix(-1, 0, 0, -1), vec![6, 5, 4, 3, 2, 1]), // half a turn
            (matrix(0, -1, 1, 0), vec![2, 4, 6, 1, 3, 5]),  // a quarter turn counter-clockwise
            (matrix(-1, 0, 0, 1), vec![2, 1, 4, 3, 6, 5]),  // mirrored left to right
            (matrix(1, 0, 0, -1), vec![5, 6, 3, 4, 1, 2]),  // mirrored top to bottom
            (matrix(0, 1, 1, 0), vec![1, 3, 5, 2, 4, 6]),   // transposed
            (matrix(0, -1, -1, 0), vec![6, 4, 2, 5, 3, 1]), // transposed at the other diagonal
        ];
        for (matrix, want) in cases {
            assert_eq!(turned(Orientation::from_matrix(&matrix)), want, "{matrix:?}");
        }
    }

    #[test]
    fn other_angles_and_broken_matrices_are_ignored() {
        let half = ONE * 7071 / 10_000;
        for matrix in [[half, half, 0, -half, half, 0, 0, 0, 1 << 30], [0; 9], [i32::MIN; 9], [i32::MAX; 9]] {
            assert_eq!(Orientation::from_matrix(&matrix), Orientation::NONE, "{matrix:?}");
        }
    }

    #[test]
    fn size_swaps_with_a_quarter_turn() {
        let quarter = Orientation::from_matrix(&matrix(0, 1, -1, 0));
        assert_eq!(quarter.size(640, 480), (480, 640));
    }
}
