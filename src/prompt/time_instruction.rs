//! The sentence that tells the model when its frames were taken, and where it stands in the user's message.

use super::Part;

/// Where the time instruction stands (`--time-instruction`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeInstruction {
    /// No time instruction: `<image>\n{question}`, as this model's card has it.
    #[default]
    None,
    /// On a line of its own: `<image>\n{instruction}\n{question}`, as in training and lmms-eval.
    Newline,
    /// Right after the video: `<image>{instruction}\n{question}`, as newer cards have it.
    Inline,
}

/// The user's message about one clip of `duration_secs` with frames at `label_secs`.
///
/// Source: `load_video` and the prompt of the LLaVA-Video model cards; `video_demo.py`. There is no blank between the
/// labels' period and "Please".
pub fn user_message(placement: TimeInstruction, duration_secs: f64, label_secs: &[f64], question: &str) -> Vec<Part> {
    let text = match placement {
        TimeInstruction::None => format!("\n{question}"),
        TimeInstruction::Newline => {
            format!("\n{}\n{question}", instruction(duration_secs, label_secs))
        }
        TimeInstruction::Inline => {
            format!("{}\n{question}", instruction(duration_secs, label_secs))
        }
    };
    vec![Part::Visual, Part::Text(text)]
}

fn instruction(duration_secs: f64, label_secs: &[f64]) -> String {
    let labels = label_secs.iter().copied().map(crate::video::label_text).collect::<Vec<_>>().join(",");
    format!(
        "The video lasts for {duration_secs:.2} seconds, and {} frames are uniformly sampled from it. These frames are \
         located at {labels}.Please answer the following questions related to this video.",
        label_secs.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_bytes_of_both_placements() {
        let sentence = "The video lasts for 1.50 seconds, and 3 frames are uniformly sampled from it. These frames are \
                        located at 0.00s,0.50s,1.00s.Please answer the following questions related to this video.";
        let text = |placement| user_message(placement, 1.5, &[0.0, 0.5, 1.0], "Why?");
        let expected = |text: String| vec![Part::Visual, Part::Text(text)];
        assert_eq!(text(TimeInstruction::None), expected("\nWhy?".to_owned()));
        assert_eq!(text(TimeInstruction::Newline), expected(format!("\n{sentence}\nWhy?")));
        assert_eq!(text(TimeInstruction::Inline), expected(format!("{sentence}\nWhy?")));
    }
}
