//! Which shard a process is, from what the engine that started it says in its environment: Slurm's job arrays,
//! Kubernetes' Indexed Jobs, AWS Batch's array jobs.
//!
//! Sources: the output environment variables of sbatch(1); "Indexed Job for Parallel Processing with Static Work
//! Assignment" of the Kubernetes documentation; "AWS Batch job environment variables" of the AWS Batch user guide.

use std::str::FromStr;

use super::shard::Shard;

/// What a user says of shards: which one, or that the environment tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardChoice {
    /// `k/n`.
    Given(Shard),
    /// `auto`, or `auto/N`.
    Auto {
        /// Of how many, where it was said.
        count: Option<usize>,
    },
}

/// Neither a shard nor `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected K/N with K from 0 to N-1, such as 0/4, or auto, or auto/N")]
pub struct NoShardChoice;

impl FromStr for ShardChoice {
    type Err = NoShardChoice;

    fn from_str(text: &str) -> Result<Self, NoShardChoice> {
        match text.strip_prefix("auto") {
            Some("") => Ok(Self::Auto { count: None }),
            Some(rest) => {
                let count = rest.strip_prefix('/').and_then(number).filter(|&count| count > 0);
                count.map(|count| Self::Auto { count: Some(count) }).ok_or(NoShardChoice)
            }
            None => text.parse().map(Self::Given).map_err(|_| NoShardChoice),
        }
    }
}

impl ShardChoice {
    /// The shard; `variable` looks up the environment.
    ///
    /// # Errors
    /// An environment that does not tell, or not without doubt.
    pub fn shard(self, variable: impl Fn(&str) -> Option<String>) -> Result<Shard, NoAutoShard> {
        match self {
            Self::Given(shard) => Ok(shard),
            Self::Auto { count } => auto(count, &variable),
        }
    }
}

/// Why the environment does not tell which shard this is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAutoShard {
    /// No engine that is known.
    #[error(
        "nothing in the environment says which shard this is: looked for {SLURM_ID} (Slurm), {KUBERNETES_INDEX} \
         (Kubernetes) and {AWS_INDEX} (AWS Batch); write --shard k/n"
    )]
    Nothing,
    /// Several engines that say different things.
    #[error("{first} says shard {}, {second} says {}; write --shard k/n", said(*first_says), said(*second_says))]
    Disagree {
        /// An engine.
        first: &'static str,
        /// Its index and count.
        first_says: (usize, Option<usize>),
        /// Another one.
        second: &'static str,
        /// Its index and count.
        second_says: (usize, Option<usize>),
    },
    /// A variable that is not a number.
    #[error("{name} is `{value}`, expected a number")]
    NotANumber {
        /// The variable.
        name: &'static str,
        /// What it says.
        value: String,
    },
    /// A variable that is always there beside another, and is not.
    #[error("{present} is set and {missing} is not; write --shard k/n")]
    Missing {
        /// The one that is there.
        present: &'static str,
        /// The other.
        missing: &'static str,
    },
    /// A Slurm array that is not 0 to n-1, so that its count is not that of the shards.
    #[error(
        "this Slurm array has {tasks} tasks from {min} to {max} with step {step}, so it does not say how many shards \
         there are; submit --array=0-{}, or write --shard auto/N with the number of shards (index {id} is then shard \
         {id}), or compute it, such as --shard $((SLURM_ARRAY_TASK_ID - {min}))/N", tasks.saturating_sub(1)
    )]
    PartialArray {
        /// The index of this task.
        id: usize,
        /// How many were submitted.
        tasks: usize,
        /// The lowest index.
        min: usize,
        /// The highest index.
        max: usize,
        /// Between indices.
        step: usize,
    },
    /// An engine that sets no count.
    #[error(
        "Kubernetes says which index this is ({index}) and not of how many; write --shard auto/N, N as completions"
    )]
    CountNeeded {
        /// The index of this pod.
        index: usize,
    },
    /// A count that was given and is not the engine's.
    #[error(
        "--shard auto/{given}, but {engine} says {found} shards; where {given} is meant, write --shard \
         ${variable}/{given} (here {index}/{given})"
    )]
    OtherCount {
        /// What was given.
        given: usize,
        /// Who says otherwise.
        engine: &'static str,
        /// What it says.
        found: usize,
        /// The index of this process.
        index: usize,
        /// Where the index comes from.
        variable: &'static str,
    },
    /// An index that no shard has.
    #[error("{variable} is {index}, but shards are counted from 0 to {} of {count}", count.saturating_sub(1))]
    Beyond {
        /// Where the index comes from.
        variable: &'static str,
        /// The index.
        index: usize,
        /// How many shards there are.
        count: usize,
    },
}

const SLURM_ID: &str = "SLURM_ARRAY_TASK_ID";
const SLURM_COUNT: &str = "SLURM_ARRAY_TASK_COUNT";
const SLURM_MIN: &str = "SLURM_ARRAY_TASK_MIN";
const SLURM_MAX: &str = "SLURM_ARRAY_TASK_MAX";
/// Not set by every version, and implied by the others.
const SLURM_STEP: &str = "SLURM_ARRAY_TASK_STEP";
const KUBERNETES_INDEX: &str = "JOB_COMPLETION_INDEX";
const AWS_INDEX: &str = "AWS_BATCH_JOB_ARRAY_INDEX";
const AWS_SIZE: &str = "AWS_BATCH_JOB_ARRAY_SIZE";

/// What one engine says.
struct Said {
    engine: &'static str,
    variable: &'static str,
    index: usize,
    count: Option<usize>,
}

/// Looks up a variable of the environment.
type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

fn auto(given: Option<usize>, variable: Variable<'_>) -> Result<Shard, NoAutoShard> {
    let all = [slurm(given, variable)?, kubernetes(variable)?, aws(variable)?];
    let mut all = all.into_iter().flatten();
    let Some(mut said) = all.next() else { return Err(NoAutoShard::Nothing) };
    for other in all {
        let one_count = said.count.is_none() || other.count.is_none() || said.count == other.count;
        if said.index != other.index || !one_count {
            return Err(NoAutoShard::Disagree {
                first: said.engine,
                first_says: (said.index, said.count),
                second: other.engine,
                second_says: (other.index, other.count),
            });
        }
        if said.count.is_none() && other.count.is_some() {
            said = other;
        }
    }
    let Said { engine, variable, index, count: found } = said;
    let count = match (given, found) {
        (Some(given), Some(found)) if given != found => {
            return Err(NoAutoShard::OtherCount { given, engine, found, index, variable });
        }
        (given, found) => given.or(found).ok_or(NoAutoShard::CountNeeded { index })?,
    };
    if index < count { Ok(Shard { index, count }) } else { Err(NoAutoShard::Beyond { variable, index, count }) }
}

/// The count of a Slurm array is that of the tasks submitted: redoing two shards with `--array=3,7` makes it 2. So only
/// that of a whole array from 0 is taken; of others the user says it.
fn slurm(given: Option<usize>, variable: Variable<'_>) -> Result<Option<Said>, NoAutoShard> {
    let Some(id) = value(SLURM_ID, variable)? else { return Ok(None) };
    let beside = |missing| value(missing, variable)?.ok_or(NoAutoShard::Missing { present: SLURM_ID, missing });
    let (tasks, min, max) = (beside(SLURM_COUNT)?, beside(SLURM_MIN)?, beside(SLURM_MAX)?);
    let step = value(SLURM_STEP, variable)?.unwrap_or(1);
    let whole = min == 0 && step == 1 && max.checked_add(1) == Some(tasks);
    match (whole, given) {
        (false, None) => Err(NoAutoShard::PartialArray { id, tasks, min, max, step }),
        (whole, _) => {
            Ok(Some(Said { engine: "Slurm", variable: SLURM_ID, index: id, count: Some(tasks).filter(|_| whole) }))
        }
    }
}

fn kubernetes(variable: Variable<'_>) -> Result<Option<Said>, NoAutoShard> {
    let index = value(KUBERNETES_INDEX, variable)?;
    Ok(index.map(|index| Said { engine: "Kubernetes", variable: KUBERNETES_INDEX, index, count: None }))
}

fn aws(variable: Variable<'_>) -> Result<Option<Said>, NoAutoShard> {
    let Some(index) = value(AWS_INDEX, variable)? else { return Ok(None) };
    let missing = NoAutoShard::Missing { present: AWS_INDEX, missing: AWS_SIZE };
    let count = value(AWS_SIZE, variable)?.ok_or(missing)?;
    Ok(Some(Said { engine: "AWS Batch", variable: AWS_INDEX, index, count: Some(count) }))
}

/// A variable's number; one that is empty counts as not set.
fn value(name: &'static str, variable: Variable<'_>) -> Result<Option<usize>, NoAutoShard> {
    match variable(name).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => number(&value).map(Some).ok_or(NoAutoShard::NotANumber { name, value }),
    }
}

/// Digits alone: `parse` takes a sign too.
fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn said((index, count): (usize, Option<usize>)) -> String {
    match count {
        Some(count) => format!("{index}/{count}"),
        None => index.to_string(),
    }
}

#[cfg(test)]
mod tests;
