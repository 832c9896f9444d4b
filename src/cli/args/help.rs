//! What `--help` shows around the flags: headings, usage, examples and exit codes.

/// Headings under which flags are grouped.
pub(super) mod heading {
    pub(in super::super) const FRAMES: &str = "Frames";
    pub(in super::super) const MODEL: &str = "Model";
    pub(in super::super) const PROMPT: &str = "Prompt";
    pub(in super::super) const ANSWER: &str = "Answer";
    pub(in super::super) const EVALUATION: &str = "Evaluation";
    pub(in super::super) const DEVICES: &str = "Devices and memory";
    pub(in super::super) const MEASUREMENT: &str = "Measurement";
    pub(in super::super) const OUTPUT: &str = "Output";
    pub(in super::super) const RESUME: &str = "Failures and resuming";
    pub(in super::super) const SHARING: &str = "Many processes";
}

/// The exit codes, after whatever examples a command has.
macro_rules! with_exit_codes {
    ($($examples:literal)?) => {
        concat!(
            $("Examples:", $examples, "\n\n",)?
            "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 finished with failed items, 130 interrupted (Ctrl-C), \
             143 terminated."
        )
    };
}

pub(super) const EXIT_CODES: &str = with_exit_codes!();

pub(super) const MAN: &str = with_exit_codes!(
    r#"
  llava-video man ~/.local/share/man/man1
  man llava-video-ask"#
);

pub(super) const PROGRAM: &str = with_exit_codes!(
    r#"
  llava-video ask clip.mp4 "What is the man holding?"
  llava-video chat clip.mp4
  llava-video batch clips -Q "describe this video" -o captions.jsonl
  llava-video frames clip.mp4 -n 8 --contact-sheet sheet.png
  llava-video model pull"#
);

pub(super) const ASK_USAGE: &str = "\
llava-video ask [OPTIONS] VIDEO QUESTION
       llava-video ask [OPTIONS] PICTURE... QUESTION
       llava-video ask [OPTIONS] VIDEO --question QUESTION...
       llava-video ask [OPTIONS] --no-video QUESTION";

pub(super) const ASK: &str = with_exit_codes!(
    r#"
  llava-video ask clip.mp4 "What is the man holding?"
  llava-video ask clip.mp4 "What happens here?" --start 1m30s --end 1:45 -n 32
  llava-video ask clip.mp4 "describe this video" --quantize q4_k --json | jq -r .answer
  llava-video ask clip.mp4 -Q "Who is there?" -Q "What do they do?" -Q "Where are they?"
  llava-video ask clip.mp4 "Is it day or night?" --choices day,night
  llava-video ask before.png after.png "What has changed?"
  llava-video ask shapes.mp4 "Which direction does the square move?" -m demo"#
);

pub(super) const CHAT_USAGE: &str = "\
llava-video chat [OPTIONS] [VIDEO]
       llava-video chat [OPTIONS] PICTURE...";

pub(super) const CHAT: &str = with_exit_codes!(
    r#"
  llava-video chat clip.mp4 -n 32
  llava-video chat before.png after.png
  printf '%s\n' "What is there?" "Where does it go?" | llava-video chat clip.mp4 --json
  llava-video chat shapes.mp4 -m demo --history ''"#
);

pub(super) const FRAMES: &str = with_exit_codes!(
    r#"
  llava-video frames clip.mp4 -n 8
  llava-video frames clip.mp4 --contact-sheet sheet.png
  llava-video frames clip.mp4 --at 2,0:10,1m30s --out pictures"#
);

pub(super) const PROBE: &str = with_exit_codes!(
    r#"
  llava-video probe clip.mp4
  llava-video probe clip.mp4 --json | jq .frame_count"#
);

pub(super) const SCORE: &str = with_exit_codes!(
    r#"
  llava-video score --text-only book.txt --quantize q4_k
  zcat book.txt.gz | llava-video score --text-only - --json"#
);

pub(super) const BENCH: &str = with_exit_codes!(
    r#"
  llava-video bench
  llava-video bench --size 7b-4-layers --prompt-tokens 443 --quantize q4_k
  llava-video bench --model demo --stages prefill,decode --json | jq .stages"#
);

pub(super) const BATCH_USAGE: &str = "\
llava-video batch [OPTIONS] INPUT... --question QUESTION -o OUT.jsonl
       llava-video batch [OPTIONS] --input JOBS.jsonl -o OUT.jsonl
       llava-video batch merge OUT.jsonl... -o FILE";

pub(super) const BATCH: &str = with_exit_codes!(
    r#"
  llava-video batch clips -r --question "describe this video" -o captions.jsonl
  llava-video batch --input jobs.jsonl --check
  llava-video batch --input jobs.jsonl -o answers.jsonl --concurrency 4 --max-errors 1%
  llava-video batch 'clips/**/*.mp4' -Q "What happens?" -o out.jsonl --window 10s --sidecar srt
  llava-video batch --input jobs.jsonl -o out-3.jsonl --shard 3/8
  llava-video batch merge out-0.jsonl out-1.jsonl -o all.jsonl"#
);

pub(super) const WORKER: &str = with_exit_codes!(
    r#"
  echo '{"video": "clip.mp4", "question": "What is there?"}' | llava-video worker
  llava-video worker -Q "describe this video" -n 32"#
);

pub(super) const EVAL_USAGE: &str = "\
llava-video eval [OPTIONS] BENCHMARK --data DIR -o RESULTS.jsonl
       llava-video eval [OPTIONS] --data ITEMS.jsonl -o RESULTS.jsonl";

pub(super) const EVAL: &str = with_exit_codes!(
    r#"
  llava-video eval videomme --data videomme -o videomme.jsonl
  llava-video eval mvbench --part moving_count --data mvbench --videos videos -o moving_count.jsonl
  llava-video eval nextqa --data nextqa -o nextqa.jsonl --protocol docs --concurrency 4 --partial
  llava-video eval --data items.jsonl -o results.jsonl -m demo"#
);

pub(super) const EVAL_LIST: &str = with_exit_codes!(
    r#"
  llava-video eval list
  llava-video eval list --json | jq .benchmarks"#
);

pub(super) const EVAL_CONTEXT: &str = with_exit_codes!(
    r#"
  llava-video eval context videomme --data videomme | jq -r .context
  llava-video eval context mvbench --part moving_count --data mvbench --videos videos"#
);

pub(super) const EVAL_SCORE: &str = with_exit_codes!(
    r#"
  llava-video eval score videomme --data videomme predictions.jsonl
  llava-video eval score mlvu --data mlvu predictions.jsonl --harness head --json
  llava-video eval score egoschema --data egoschema predictions.jsonl --submission-dir ."#
);

pub(super) const EVAL_COMPARE: &str = with_exit_codes!(
    r#"
  llava-video eval compare bf16.jsonl q4_k.jsonl
  llava-video eval compare 64-frames.jsonl 110-frames.jsonl --json | jq .difference"#
);

pub(super) const EVAL_JUDGE: &str = concat!(
    "Examples:",
    r#"
  llava-video eval judge results.jsonl --judge-url https://api.openai.com/v1 --judge-model gpt-4o-2024-11-20
  llava-video eval judge results.jsonl --judge-url http://localhost:8000/v1 --judge-model qwen --concurrency 16"#,
    "\n\nEnvironment: LLAVA_VIDEO_JUDGE_KEY (the server's key, or the variable that --judge-key-variable names), \
     HTTPS_PROXY and NO_PROXY.\n\n",
    with_exit_codes!()
);

pub(super) const EVAL_REPORT: &str = with_exit_codes!(
    r#"
  llava-video eval report videomme.jsonl -o report.html
  llava-video eval report results/*.jsonl -o report.html -o report.md
  llava-video eval report mlvu-docs.jsonl mlvu-train.jsonl -o mlvu.html"#
);

pub(super) const EVAL_FETCH: &str = concat!(
    "Examples:",
    r#"
  llava-video eval fetch videomme --data videomme --dry-run
  llava-video eval fetch videomme --data videomme --discard-archives
  llava-video eval fetch mvbench --part moving_count --data mvbench
  llava-video eval fetch longvideobench --data longvideobench --annotations-only"#,
    "\n\nEnvironment: HF_HOME or HF_HUB_CACHE (where downloads are kept), HF_TOKEN (access token, which benchmarks \
     behind a gate need), HF_ENDPOINT (another server), HF_HUB_OFFLINE=1, HF_HUB_DOWNLOAD_TIMEOUT, HTTPS_PROXY and \
     NO_PROXY.\n\n",
    with_exit_codes!()
);

pub(super) const CACHE: &str = with_exit_codes!(
    r#"
  llava-video cache info
  llava-video cache prune --cache-size 2GB

Environment: LLAVA_VIDEO_CACHE (the folder; else llava-video/visual-tokens in XDG_CACHE_HOME or ~/.cache),
LLAVA_VIDEO_CACHE_SIZE."#
);

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;
    use super::*;

    /// The words of a command as a shell splits it, of what stands between pipes.
    fn words(command: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (place, part) in command.split('"').enumerate() {
            match place % 2 {
                0 => words.extend(part.split_whitespace().map(str::to_owned)),
                _ => words.push(part.to_owned()),
            }
        }
        words
    }

    #[test]
    fn every_example_is_a_command_that_parses() {
        let mut count = 0;
        let eval = [EVAL, EVAL_LIST, EVAL_CONTEXT, EVAL_SCORE, EVAL_COMPARE, EVAL_JUDGE, EVAL_REPORT, EVAL_FETCH];
        let others = [PROGRAM, ASK, CHAT, BATCH, WORKER, FRAMES, PROBE, SCORE, BENCH, CACHE];
        for help in eval.into_iter().chain(others) {
            for line in help.lines().filter(|line| line.starts_with("  ")) {
                let ours = line.split(" | ").map(str::trim).find(|part| part.starts_with("llava-video ")).expect(line);
                assert!(Cli::try_parse_from(words(ours)).is_ok(), "{ours}");
                count += 1;
            }
        }
        assert!(count >= 23, "{count}");
    }
}
