//! What `eval fetch --dry-run` prints.

use std::collections::BTreeMap;

use llava_video::disk::free_bytes;
use llava_video::eval::fetch::{Form, Item, Plan, State, What};
use llava_video::hub::{DatasetFile, Settings};
use llava_video::size::{counted, shown};
use serde_json::{Value, json};

use crate::cli::columns::aligned;

/// Digits of a commit that tell it apart.
const SHORT_COMMIT: usize = 12;

/// The plan for people.
pub(super) fn lines(plan: &Plan, settings: &Settings) -> Vec<String> {
    let commit = plan.dataset.commit.get(..SHORT_COMMIT).unwrap_or(&plan.dataset.commit);
    let mut lines = vec![format!("{}: dataset {}, commit {commit}", plan.benchmark, plan.repository)];
    lines.push(match plan.terms() {
        None => "licence and gate: the hub was not asked".to_owned(),
        Some(terms) => {
            let licence = terms.licence.as_deref().unwrap_or("none stated");
            let gate = match (terms.is_gated, &settings.token) {
                (false, _) => "none".to_owned(),
                (true, Some(token)) => {
                    format!("accept the terms on its page; the token from {} is sent", token.source())
                }
                (true, None) => "accept the terms on its page, and set HF_TOKEN to your access token".to_owned(),
            };
            format!("licence: {licence}; gate: {gate}")
        }
    });
    lines.push(format!("page: https://huggingface.co/datasets/{}", plan.repository.id()));
    lines.push(String::new());
    lines.extend(aligned(&rows(plan)));
    lines.push(String::new());
    let files: usize = plan.items.iter().map(|item| item.files.len()).sum();
    let missing = plan.items.iter().filter(|item| item.missing_bytes() > 0).flat_map(|item| &item.files);
    let missing = missing.filter(|file| file.here_bytes < file.size).count();
    let download = shown(plan.missing_bytes());
    lines.push(format!("to download: {download}, {missing} of {}", counted(files, "file")));
    lines.push(format!(
        "to unpack: about {} to `{}`; videos do not shrink, so that this is the size of the archives",
        shown(plan.unpack_bytes()),
        plan.videos().display()
    ));
    for (dir, what) in [(&settings.cache_dir, "downloads"), (&plan.data, "the benchmark")] {
        let free = free_bytes(dir).map_or_else(|| "unknown".to_owned(), shown);
        lines.push(format!("free for {what}: {free} in `{}`", dir.display()));
    }
    if let Err(no_space) = plan.check_room(settings, false) {
        lines.push(no_space.to_string());
    }
    lines.extend(plan.by_hand.iter().map(|left| format!("by hand: {left}")));
    lines
}

/// A row for each table and archive, and one for all videos of a folder.
fn rows(plan: &Plan) -> Vec<[String; 4]> {
    let mut rows = vec![["FILE", "KIND", "SIZE", "STATE"].map(str::to_owned)];
    let mut folders: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
    for item in &plan.items {
        match item.what {
            What::Video => {
                folders.entry(item.name().rsplit_once('/').map_or("", |(dir, _)| dir)).or_default().push(item)
            }
            what => {
                let pieces = match item.files.len() {
                    1 => String::new(),
                    count => format!(" and {}", counted(count - 1, "more piece")),
                };
                let name = format!("{}{pieces}", item.name());
                rows.push([name, kind(what).to_owned(), shown(item.bytes()), state(&[item])]);
            }
        }
    }
    for (folder, items) in folders {
        let bytes = items.iter().map(|item| item.bytes()).sum();
        rows.push([format!("{folder}/*"), counted(items.len(), "video"), shown(bytes), state(&items)]);
    }
    rows
}

fn kind(what: What) -> &'static str {
    match what {
        What::Table => "table",
        What::Archive(Form::Zip) => "zip",
        What::Archive(Form::Tar) => "tar",
        What::Video => "video",
    }
}

fn state(items: &[&Item]) -> String {
    let is_all = |wanted| items.iter().all(|item| item.state == wanted);
    if items.iter().any(|item| item.state == State::InTheWay) {
        return "another file is in its place".to_owned();
    }
    if is_all(State::InPlace) {
        return "in place".to_owned();
    }
    let missing: u64 = items.iter().map(|item| item.missing_bytes()).sum();
    let bytes: u64 = items.iter().map(|item| item.bytes()).sum();
    match missing {
        0 => "downloaded".to_owned(),
        missing if missing == bytes => "to download".to_owned(),
        missing => format!("{} to download", shown(missing)),
    }
}

/// The plan for programs.
pub(super) fn object(plan: &Plan, settings: &Settings) -> Value {
    let file = |item: &Item, file: &DatasetFile| {
        json!({
            "name": file.name,
            "packing": kind(item.what),
            "bytes": file.size,
            "downloaded_bytes": file.here_bytes,
            "in_place": item.state == State::InPlace,
            "in_the_way": item.state == State::InTheWay,
        })
    };
    let files = plan.items.iter().flat_map(|item| item.files.iter().map(move |one| file(item, one)));
    let terms = plan.terms();
    json!({
        "benchmark": plan.benchmark.name(),
        "repository": plan.repository.id(),
        "revision": plan.repository.revision(),
        "commit": plan.dataset.commit,
        "licence": terms.and_then(|terms| terms.licence.clone()),
        "gated": terms.map(|terms| terms.is_gated),
        "downloads": files.collect::<Vec<_>>(),
        "download_bytes": plan.missing_bytes(),
        "unpack_bytes": plan.unpack_bytes(),
        "dir": plan.data.to_string_lossy(),
        "videos_dir": plan.videos().to_string_lossy(),
        "disk_free_bytes": free_bytes(&plan.data),
        "cache_dir": settings.cache_dir.to_string_lossy(),
        "cache_disk_free_bytes": free_bytes(&settings.cache_dir),
        "by_hand": plan.by_hand,
    })
}
