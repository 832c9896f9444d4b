//! What is handed on of a clip.

/// One frame as shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Its number among the presented frames, from 0.
    pub index: usize,
    /// When it is shown, in seconds on the container's clock; `None` where the container has none.
    pub pts_secs: Option<f64>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Packed RGB24, row by row, `3 * width * height` bytes.
    pub rgb: Vec<u8>,
}
