//! What `/set` changes: one table with each setting's name, its value as text, and how a text becomes its value.

use anyhow::{Result, anyhow};
use llava_video::engine::{AskOptions, SamplingOptions};

use super::super::args::{
    AnswerArgs, at_least_one, not_negative, positive, probability, time_instruction, time_instruction_name,
    whole_number,
};

/// How questions are put and answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Settings {
    pub(super) options: AskOptions,
    pub(super) sampling: SamplingOptions,
}

/// A line of the table.
struct Setting {
    /// As the flag without its dashes.
    name: &'static str,
    help: &'static str,
    /// The value; `None`: left to the checkpoint or the chat template.
    get: fn(&Settings) -> Option<String>,
    set: fn(&mut Settings, &str) -> Result<(), String>,
    reset: fn(&mut Settings),
}

/// What stands for the value of a setting that is not set.
const DEFAULT: &str = "default";

macro_rules! number {
    ($name:literal, $help:literal, $parse:expr, $($place:ident).+) => {
        Setting {
            name: $name,
            help: $help,
            get: |settings| Some(settings.$($place).+.to_string()),
            set: |settings, text| $parse(text).map(|value| settings.$($place).+ = value),
            reset: |settings| settings.$($place).+ = Settings::default().$($place).+,
        }
    };
}

macro_rules! optional {
    ($name:literal, $help:literal, $parse:expr, $($place:ident).+) => {
        Setting {
            name: $name,
            help: $help,
            get: |settings| settings.$($place).+.as_ref().map(ToString::to_string),
            set: |settings, text| $parse(text).map(|value| settings.$($place).+ = Some(value)),
            reset: |settings| settings.$($place).+ = None,
        }
    };
}

static SETTINGS: [Setting; 8] = [
    number!("max-new-tokens", "most tokens to generate", at_least_one, options.max_new_tokens),
    number!("temperature", "randomness; 0 takes the likeliest token", not_negative, sampling.temperature),
    optional!("top-p", "probability mass to sample from", probability, sampling.top_p),
    optional!("top-k", "number of tokens to sample from", at_least_one, sampling.top_k),
    optional!("repetition-penalty", "1 is off", positive, sampling.repetition_penalty),
    optional!("seed", "of the random choice", whole_number::<u64>, sampling.seed),
    optional!("system", "system message; \"\" for none", text_value, options.system),
    Setting {
        name: "time-instruction",
        help: "where the model is told the times of frames",
        get: |settings| Some(time_instruction_name(settings.options.time_instruction)),
        set: |settings, text| time_instruction(text).map(|value| settings.options.time_instruction = value),
        reset: |settings| settings.options.time_instruction = AskOptions::default().time_instruction,
    },
];

fn text_value(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

impl Settings {
    /// Those of the command line.
    pub(super) fn of(args: &AnswerArgs) -> Self {
        Self { options: args.asking.ask_options(), sampling: args.asking.sampling() }
    }

    /// Sets one as it is typed: quotes around all of the text keep outer spaces, or an empty text; [`DEFAULT`] without
    /// quotes resets it.
    ///
    /// # Errors
    /// An unknown name, or a value that it cannot have. Nothing is changed then.
    pub(super) fn set(&mut self, name: &str, text: &str) -> Result<()> {
        match text {
            DEFAULT => self.reset(name),
            text => {
                let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
                self.set_exactly(name, quoted.unwrap_or(text))
            }
        }
    }

    /// Sets one to what the text says, whatever that is.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub(super) fn set_exactly(&mut self, name: &str, text: &str) -> Result<()> {
        (find(name)?.set)(self, text).map_err(|expected| anyhow!("`{text}` for {name}: {expected}"))
    }

    /// Sets one back to what it is without any flag.
    ///
    /// # Errors
    /// An unknown name.
    pub(super) fn reset(&mut self, name: &str) -> Result<()> {
        (find(name)?.reset)(self);
        Ok(())
    }

    /// The value of one, as text.
    ///
    /// # Errors
    /// An unknown name.
    pub(super) fn shown(&self, name: &str) -> Result<String> {
        Ok((find(name)?.get)(self).unwrap_or_else(|| DEFAULT.to_owned()))
    }

    /// All of them with their values: what is not set has none.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
        SETTINGS.iter().map(|setting| (setting.name, (setting.get)(self)))
    }

    /// What `/set` alone prints.
    pub(super) fn listing(&self) -> Vec<String> {
        let value = |setting: &Setting| (setting.get)(self).unwrap_or_else(|| DEFAULT.to_owned());
        let line = |setting: &Setting| format!("{:18}  {:10}  {}", setting.name, value(setting), setting.help);
        SETTINGS.iter().map(line).collect()
    }
}

fn find(name: &str) -> Result<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name).ok_or_else(|| {
        let names = SETTINGS.iter().map(|setting| setting.name).collect::<Vec<_>>().join(", ");
        anyhow!("there is no setting `{name}`; there are {names}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_can_be_set_shown_and_reset() {
        let values = ["12", "0.5", "0.9", "40", "1.1", "7", "Be brief.", "inline"];
        let mut settings = Settings::default();
        for (setting, value) in SETTINGS.iter().zip(values) {
            settings.set(setting.name, value).expect("a value");
            assert_eq!(settings.shown(setting.name).expect("a name"), value);
            assert!(settings.listing().iter().any(|line| line.contains(value)), "{value}");
        }
        let all: Vec<_> = settings.all().collect();
        assert_eq!(all.iter().map(|(_, value)| value.as_deref()).collect::<Vec<_>>(), values.map(Some));
        for setting in &SETTINGS {
            settings.set(setting.name, DEFAULT).expect("a name");
        }
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn wrong_values_and_names_change_nothing() {
        let mut settings = Settings::default();
        let wrong = [
            ("max-new-tokens", "0", "expected a whole number above 0"),
            ("temperature", "-1", "expected a number of 0 or more"),
            ("top-p", "2", "expected a number above 0 and at most 1"),
            ("seed", "x", "expected a whole number of 0 or more"),
            ("time-instruction", "last", "expected none, newline, inline"),
            ("frames", "8", "there is no setting `frames`"),
        ];
        for (name, value, expected) in wrong {
            let error = settings.set(name, value).expect_err(name).to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn a_system_message_may_be_empty() {
        let mut settings = Settings::default();
        settings.set("system", "\"\"").expect("a value");
        assert_eq!(settings.options.system.as_deref(), Some(""));
        settings.set("system", "\" x \"").expect("a value");
        assert_eq!(settings.options.system.as_deref(), Some(" x "));
        settings.set("system", "\"default\"").expect("a value");
        assert_eq!(settings.options.system.as_deref(), Some("default"));
    }
}
