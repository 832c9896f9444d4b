//! What is refused before a model is loaded.

use super::desk::{Desk, arg, data};
use crate::batch::workplace::refused;

#[test]
fn what_cannot_be_meant_is_refused() {
    let desk = Desk::new();
    let (videomme, videodc) = (data("videomme"), data("videodc"));
    let (videomme, videodc) = (arg(&videomme), arg(&videodc));
    for (args, code, parts) in [
        (&["mlvu_dev", "--data", videomme][..], 2, &["invalid value 'mlvu_dev'", "egoschema_subset"][..]),
        (&["videomme", "--data", videomme, "--split", "test"], 2, &["videomme has no test split"]),
        (&["videomme", "--data", videomme, "--part", "short"], 2, &["no part `short`: it is one table"]),
        (&["videodc", "--data", videodc, "--scoring", "logprob"], 2, &["row 0 has no options"]),
        (&["videomme", "--data", videomme, "-o", "-"], 2, &["--output names a file"]),
        (&["videomme", "--data", videomme, "--summary", "out.jsonl"], 2, &["cannot be both output and summary"]),
        (&["videomme", "--data", videomme, "--harness", "2024-11"], 2, &["2024-10-28"]),
        (&["videomme", "--data", videomme, "--claim", "c", "--shard", "0/2"], 2, &["cannot be used with"]),
        (&["videomme", "--data", "nowhere"], 1, &["holds no annotation file of videomme"]),
        (&["videomme"], 2, &["--data"]),
        (&["--data", "nowhere.jsonl"], 1, &["cannot read the questions from `nowhere.jsonl`"]),
        (&["--data", "nowhere.jsonl", "--part", "x"], 2, &["--part is of a benchmark"]),
    ] {
        refused(&desk.eval(args), code, parts);
        assert!(!desk.0.path("out.jsonl").exists(), "{args:?}");
    }
}
