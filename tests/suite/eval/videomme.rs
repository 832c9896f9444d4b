//! VideoMME from end to end on a set in its published format that is about the demo model's world.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::data::{Folder, arg, eval, lines};
use super::desk::{Desk, object};
use crate::batch::workplace::ends_with;
use crate::support::fixtures;

const ROWS: usize = 60;
const CLIPS: usize = 20;

fn set() -> std::path::PathBuf {
    fixtures().join("eval/demo")
}

/// The right letters, which the generator took from its scenes and not from the table.
fn letters() -> Vec<String> {
    let text = std::fs::read_to_string(set().join("predictions.jsonl")).unwrap();
    let each = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    each.map(|line| line["output"].as_str().unwrap().to_owned()).collect()
}

/// Scores outputs, one for each row; the records, and the figures.
fn scored(outputs: &[&str]) -> (Vec<Value>, Value) {
    let folder = Folder::new();
    let predictions = folder.outputs("predictions.jsonl", None, outputs);
    let run = eval(&["score", "videomme", "--data", arg(&set()), arg(&predictions), "--json"]);
    run.stdout_of_success();
    let mut lines = lines(&run);
    let figures = lines.pop().unwrap();
    (lines, figures)
}

#[test]
fn the_set_is_as_the_publisher_s_and_no_letter_is_favoured() {
    let run = eval(&["context", "videomme", "--data", arg(&set()), "--videos", arg(&set())]);
    run.stdout_of_success();
    let rows = lines(&run);
    let videos: BTreeSet<&str> = rows.iter().map(|row| row["video"].as_str().unwrap()).collect();
    assert_eq!((rows.len(), videos.len()), (ROWS, CLIPS));
    for (row, letter) in rows.iter().zip(letters()) {
        let context = row["context"].as_str().unwrap();
        let options: BTreeSet<&str> = context
            .lines()
            .filter_map(|line| line.split_once(". ").filter(|(letter, _)| letter.len() == 1))
            .map(|o| o.1)
            .collect();
        assert_eq!(options.len(), 4, "{context}");
        assert!(context.contains(&format!("\n{letter}. ")) && context.ends_with("\nThe best answer is:"), "{context}");
    }
    let mut counts = BTreeMap::new();
    letters().into_iter().for_each(|letter| *counts.entry(letter).or_default() += 1);
    assert_eq!(counts, ["A", "B", "C", "D"].map(|letter| (letter.to_owned(), ROWS / 4)).into());
}

#[test]
fn what_a_script_says_is_scored() {
    let letters = letters();
    let right: Vec<&str> = letters.iter().map(String::as_str).collect();
    let (records, figures) = scored(&right);
    assert_eq!((&figures["score"], &figures["is_complete"]), (&json!(100.0), &true.into()));
    assert_eq!(figures["harness_figures"][0]["figures"], json!({ "videomme_percetion_score": 100.0 }));
    let tasks: BTreeMap<&str, usize> =
        figures["categories"].as_array().unwrap().iter().fold(BTreeMap::new(), |mut tasks, line| {
            assert_eq!(line["score"], 100.0, "{line}");
            *tasks.entry(line["dimension"].as_str().unwrap()).or_default() += line["rows"].as_u64().unwrap() as usize;
            tasks
        });
    assert_eq!(tasks.into_values().collect::<Vec<_>>(), [ROWS; 4]);
    assert!(records.iter().zip(&letters).all(|(record, letter)| record["eval"]["gold"] == **letter));
    // Another letter for every tenth row, and words about the others.
    let next = |letter: &str| if letter == "D" { "A".to_owned() } else { ((letter.as_bytes()[0] + 1) as char).into() };
    let said = |(row, letter): (usize, &String)| match row % 10 {
        0 => next(letter),
        1 => format!("The best answer is: {letter}."),
        _ => format!("({letter})"),
    };
    let said: Vec<String> = letters.iter().enumerate().map(said).collect();
    let (records, figures) = scored(&said.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((&figures["score"], &figures["scored"]), (&json!(90.0), &ROWS.into()));
    let wrong: Vec<_> = records.iter().filter(|record| record["eval"]["is_correct"] == false).collect();
    assert_eq!(wrong.iter().map(|record| &record["eval"]["row"]).collect::<Vec<_>>(), [0, 10, 20, 30, 40, 50]);
    // One letter for all is right as often as by chance.
    assert_eq!(scored(&["A"; ROWS]).1["score"], 25.0);
}

#[test]
fn the_demo_model_is_right_about_nine_rows_of_ten() {
    let desk = Desk::new();
    let run = desk.eval(&["videomme", "--data", arg(&set()), "--videos", arg(&set()), "-n", "110", "--json"]);
    ends_with(&run, 0);
    let found = object(&run);
    assert_eq!((&found["is_complete"], &found["scored"], &found["card"]), (&true.into(), &ROWS.into(), &json!(63.2)));
    assert_eq!((&found["settings"]["frames"], &found["videos"]), (&110.into(), &CLIPS.into()));
    let records = desk.records();
    assert_eq!(records.len(), ROWS);
    for (row, letter) in letters().iter().enumerate() {
        let eval = &records[&format!("videomme/{row}")]["eval"];
        assert_eq!((&eval["gold"], eval["is_correct"].is_boolean()), (&json!(letter), true), "{eval}");
    }
    // By chance it would be 25.
    assert!(found["score"].as_f64().unwrap() >= 90.0, "{run:?}");
}
