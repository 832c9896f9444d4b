//! Arguments that are there unless a command of its own is named, although some of them are required.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Id};

/// `None` where a command is named. A plain `Option` would be `None` always: clap knows of no flag in it once some of
/// its flags stand in groups of their own.
///
/// It has to stand before the field of the command, which takes the command's name out of what was parsed.
#[derive(Debug)]
pub(crate) struct UnlessCommand<T>(pub(crate) Option<T>);

impl<T: FromArgMatches> FromArgMatches for UnlessCommand<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        match matches.subcommand_name() {
            Some(_) => Ok(Self(None)),
            None => T::from_arg_matches_mut(matches).map(|args| Self(Some(args))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<T: Args> Args for UnlessCommand<T> {
    fn group_id() -> Option<Id> {
        T::group_id()
    }

    fn augment_args(command: Command) -> Command {
        T::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::super::{Cli, Command};
    use super::super::EvalArgs;

    fn eval(words: &str) -> Result<Box<EvalArgs>, clap::Error> {
        match Cli::try_parse_from(["llava-video", "eval"].into_iter().chain(words.split_whitespace()))?.command {
            Command::Eval(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_run_or_a_command_is_there_and_never_both() {
        for (words, is_run) in [
            ("videomme --data x -o y", true),
            ("--data x -o y --concurrency 2", true),
            ("list", false),
            ("context videomme --data x", false),
            ("score videomme --data x p.jsonl", false),
        ] {
            let args = eval(words).unwrap();
            assert_eq!((args.run.0.is_some(), args.command.is_none()), (is_run, is_run), "{words}");
        }
        for words in ["", "videomme", "videomme --data x", "--partial list", "context videomme"] {
            assert!(eval(words).is_err(), "{words}");
        }
    }
}
