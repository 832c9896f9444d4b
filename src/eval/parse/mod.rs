//! From an output to the answer that the harness reads in it, with every quirk of its parsers.
//!
//! Source: the tasks' `process_results` in the trees of [`Harness`]. Where a parser draws at random, the draw depends
//! on everything drawn before it there; here it is made by [`Draw`] from the row alone.

mod before_bracket;
mod characters;
mod draw;
mod first_letter;
mod mmmu;
mod mvbench;
mod options;
mod parsed;
mod perceptiontest;
mod ranked;

pub(crate) use self::characters::is_digit;
pub use self::draw::Draw;
pub use self::parsed::Parsed;
use super::python::strip;
use super::{BadColumn, Benchmark, Harness, Row};

/// The letter of one of `options` in an output, by the parser of NExT-QA.
pub(crate) fn letter(output: &str, options: &[&str]) -> Parsed {
    mmmu::last(output, options)
}

/// How many options a row of LongVideoBench has.
pub(crate) fn longvideobench_options(row: &Row) -> Result<usize, BadColumn> {
    Ok(options::longvideobench(row)?.len())
}

/// Whether a parser of the benchmark may draw at random.
pub fn may_draw(benchmark: Benchmark) -> bool {
    matches!(
        benchmark,
        Benchmark::EgoSchema | Benchmark::EgoSchemaSubset | Benchmark::NextQa | Benchmark::LongVideoBench
    )
}

/// Reads the answer out of an output; of a judged benchmark, the output itself.
///
/// # Errors
/// A column of the row that the parser needs is not as it should be.
pub fn parse(benchmark: Benchmark, harness: Harness, row: &Row, output: &str) -> Result<Parsed, BadColumn> {
    let output = strip(output);
    Ok(match benchmark {
        Benchmark::ActivityNetQa | Benchmark::VideoChatGpt | Benchmark::VideoDc => Parsed::Text(output.to_owned()),
        Benchmark::EgoSchema | Benchmark::EgoSchemaSubset => mmmu::first(output, &options::egoschema(row)?),
        Benchmark::NextQa => mmmu::last(output, &options::nextqa(row)?),
        Benchmark::LongVideoBench => {
            let options = options::longvideobench(row)?;
            match harness {
                // The parser changed on 13 November 2024.
                Harness::September2024 | Harness::October2024 | Harness::LateOctober2024 => {
                    mmmu::last(output, &options)
                }
                Harness::Head => first_letter::longvideobench(output, options.len()),
            }
        }
        Benchmark::Mlvu => match harness {
            Harness::September2024 | Harness::October2024 => before_bracket::parse(output),
            Harness::LateOctober2024 => first_letter::videomme(output),
            Harness::Head => ranked::parse(output),
        },
        Benchmark::VideoMme => match harness {
            Harness::September2024 | Harness::October2024 | Harness::LateOctober2024 => first_letter::videomme(output),
            Harness::Head => ranked::parse(output),
        },
        Benchmark::MvBench => mvbench::parse(output),
        Benchmark::PerceptionTest => perceptiontest::parse(output),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    fn row(columns: Value) -> Row {
        let columns: Map<String, Value> = serde_json::from_value(columns).unwrap();
        Row { row: 0, part: None, columns }
    }

    /// A row that has the columns of all benchmarks.
    fn any_row(options: &[String; 5]) -> Row {
        let [a, b, c, d, e] = options;
        row(json!({
            "option": options, "options": options, "candidates": options,
            "a0": a, "a1": b, "a2": c, "a3": d, "a4": e,
            "option0": a, "option1": b, "option2": c, "option3": "N/A", "option4": "N/A",
        }))
    }

    #[test]
    fn a_row_without_options_is_refused_where_they_matter() {
        let bare = row(json!({}));
        for benchmark in Benchmark::ALL {
            let parsed = parse(benchmark, Harness::September2024, &bare, "A");
            assert_eq!(parsed.is_err(), may_draw(benchmark), "{benchmark}");
        }
    }

    #[test]
    fn letters_to_draw_from_are_the_first_ones() {
        assert_eq!(Parsed::Random(3).random_from(), Some(vec!['A', 'B', 'C']));
        assert_eq!(Parsed::Nothing.random_from(), None);
    }

    fn texts() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "A",
            "b",
            "(C)",
            "D.",
            "E)",
            " ",
            "\n",
            "\t",
            "\u{a0}",
            "\u{1c}",
            ".",
            ",",
            "1,0",
            "\\",
            "'",
            "\"",
            "İ",
            "ß",
            "e\u{301}",
            "答案是",
            "the answer is",
            "The best answer is",
            "Best option:",
            "(",
            ")",
            "１",
            "Ⅷ",
            "_",
            ":",
            "x",
        ]);
        let mixed = prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat());
        prop_oneof![any::<String>(), ".{0,40}", mixed]
    }

    proptest! {
        #[test]
        fn no_output_is_too_odd(output in texts(), options in prop::array::uniform5(texts())) {
            let row = any_row(&options);
            for benchmark in Benchmark::ALL {
                for harness in Harness::ALL {
                    let parsed = parse(benchmark, harness, &row, &output).unwrap();
                    match parsed {
                        Parsed::Letter(letter) => prop_assert!(('A'..='E').contains(&letter)),
                        Parsed::Random(letters) => {
                            prop_assert!(may_draw(benchmark) && (1..=5).contains(&letters));
                        }
                        Parsed::Text(_) | Parsed::Nothing => {}
                    }
                }
            }
        }

        #[test]
        fn white_space_around_an_output_changes_nothing(output in texts()) {
            let row = any_row(&["a man".to_owned(), "B".to_owned(), "c".to_owned(), "d".to_owned(), "e".to_owned()]);
            let padded = format!(" \n\u{1c}\u{85}{output}\t\u{3000}");
            for benchmark in Benchmark::ALL {
                for harness in Harness::ALL {
                    let parsed = |output: &str| parse(benchmark, harness, &row, output);
                    prop_assert_eq!(parsed(&output), parsed(&padded));
                }
            }
        }
    }
}
