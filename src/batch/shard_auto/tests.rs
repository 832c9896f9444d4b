//! Environments as engines make them, and what is refused.

use proptest::prelude::*;

use super::*;

fn of(choice: &str, environment: &[(&str, &str)]) -> Result<Shard, NoAutoShard> {
    let choice: ShardChoice = choice.parse().expect("a choice");
    choice.shard(|name| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
}

fn array<'a>(id: &'a str, count: &'a str, min: &'a str, max: &'a str, step: &'a str) -> [(&'static str, &'a str); 5] {
    [(SLURM_ID, id), (SLURM_COUNT, count), (SLURM_MIN, min), (SLURM_MAX, max), (SLURM_STEP, step)]
}

fn refusal(choice: &str, environment: &[(&str, &str)]) -> String {
    of(choice, environment).expect_err(choice).to_string()
}

#[test]
fn choices_are_read() {
    assert_eq!("1/4".parse(), Ok(ShardChoice::Given(Shard { index: 1, count: 4 })));
    assert_eq!("auto".parse(), Ok(ShardChoice::Auto { count: None }));
    assert_eq!("auto/12".parse(), Ok(ShardChoice::Auto { count: Some(12) }));
    for wrong in ["", "autos", "auto/", "auto/0", "auto/+4", "auto/1/4", "Auto", "4/4", "/", "auto4"] {
        assert_eq!(wrong.parse::<ShardChoice>(), Err(NoShardChoice), "{wrong}");
    }
    assert_eq!(of("1/4", &array("2", "4", "0", "3", "1")), Ok(Shard { index: 1, count: 4 }), "given is given");
}

#[test]
fn whole_slurm_arrays_tell_index_and_count() {
    let shard = Ok(Shard { index: 3, count: 10 });
    assert_eq!(of("auto", &array("3", "10", "0", "9", "1")), shard);
    assert_eq!(of("auto/10", &array("3", "10", "0", "9", "1")), shard);
    assert_eq!(of("auto", &array("3", "10", "0", "9", "1")[..4]), shard, "without the step");
    assert_eq!(of("auto", &array("0", "1", "0", "0", "1")), Ok(Shard { index: 0, count: 1 }));
}

#[test]
fn partial_slurm_arrays_need_the_count() {
    for partial in [array("3", "2", "3", "7", "4"), array("3", "10", "1", "10", "1"), array("4", "5", "0", "8", "2")] {
        let text = refusal("auto", &partial);
        let last: usize = partial[1].1.parse().unwrap();
        assert!(text.contains(&format!("--array=0-{}", last - 1)) && text.contains("auto/N"), "{text}");
    }
    assert_eq!(of("auto/10", &array("7", "2", "3", "7", "4")), Ok(Shard { index: 7, count: 10 }));
    let text = refusal("auto/7", &array("7", "2", "3", "7", "4"));
    assert!(text.contains("SLURM_ARRAY_TASK_ID is 7") && text.contains("0 to 6"), "{text}");
    let text = refusal("auto/10", &array("1", "4", "0", "3", "1"));
    assert!(text.contains("Slurm says 4") && text.contains("--shard $SLURM_ARRAY_TASK_ID/10 (here 1/10)"), "{text}");
}

#[test]
fn kubernetes_needs_the_count_and_aws_batch_tells_it() {
    assert_eq!(of("auto/4", &[(KUBERNETES_INDEX, "2")]), Ok(Shard { index: 2, count: 4 }));
    assert!(refusal("auto", &[(KUBERNETES_INDEX, "2")]).contains("auto/N"));
    assert!(refusal("auto/2", &[(KUBERNETES_INDEX, "2")]).contains("JOB_COMPLETION_INDEX is 2"));
    let aws = [(AWS_INDEX, "2"), (AWS_SIZE, "5")];
    assert_eq!(of("auto", &aws), Ok(Shard { index: 2, count: 5 }));
    assert_eq!(of("auto/5", &aws), Ok(Shard { index: 2, count: 5 }));
    assert!(refusal("auto/6", &aws).contains("AWS Batch says 5"));
    assert!(refusal("auto", &aws[..1]).contains("AWS_BATCH_JOB_ARRAY_SIZE is not"));
}

#[test]
fn several_engines_must_agree() {
    let kubernetes = (KUBERNETES_INDEX, "2");
    assert_eq!(of("auto", &[kubernetes, (AWS_INDEX, "2"), (AWS_SIZE, "5")]), Ok(Shard { index: 2, count: 5 }));
    let text = refusal("auto", &[kubernetes, (AWS_INDEX, "3"), (AWS_SIZE, "5")]);
    assert!(text.contains("Kubernetes says shard 2, AWS Batch says 3/5"), "{text}");
    let mut both = array("2", "10", "0", "9", "1").to_vec();
    both.extend([(AWS_INDEX, "2"), (AWS_SIZE, "5")]);
    assert!(refusal("auto", &both).contains("Slurm says shard 2/10, AWS Batch says 2/5"));
}

#[test]
fn what_is_not_there_or_not_a_number_is_named() {
    let text = refusal("auto", &[("SLURM_JOB_ID", "1")]);
    assert!([SLURM_ID, KUBERNETES_INDEX, AWS_INDEX].iter().all(|name| text.contains(name)), "{text}");
    assert_eq!(of("auto/4", &[(KUBERNETES_INDEX, "")]), Err(NoAutoShard::Nothing));
    assert!(refusal("auto", &[(SLURM_ID, "1")]).contains(SLURM_COUNT));
    for value in ["-1", "+1", "x", "99999999999999999999999"] {
        assert!(refusal("auto/4", &[(KUBERNETES_INDEX, value)]).contains(value));
    }
}

proptest! {
    /// Whatever an environment says, what is accepted is a shard of the count that was asked for.
    #[test]
    fn no_environment_makes_a_shard_that_there_is_not(
        given in proptest::option::of(1_usize..12),
        values in proptest::collection::vec(proptest::option::of(0_usize..12), 8),
    ) {
        let names =
            [SLURM_ID, SLURM_COUNT, SLURM_MIN, SLURM_MAX, SLURM_STEP, KUBERNETES_INDEX, AWS_INDEX, AWS_SIZE];
        let variable = |name: &str| {
            let at = names.iter().position(|&known| known == name)?;
            values[at].map(|value| value.to_string())
        };
        if let Ok(shard) = (ShardChoice::Auto { count: given }).shard(variable) {
            prop_assert!(shard.index < shard.count);
            prop_assert!(given.is_none_or(|given| given == shard.count));
        }
    }
}
