//! Flags that take one of a few names: what of the library each name stands for, and what help says of it.

use clap::ValueEnum;
use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use llava_video::bench::{Preset, Stage};
use llava_video::device::DtypeRequest;
use llava_video::eval::protocol::Protocol;
use llava_video::eval::results::Scoring;
use llava_video::eval::{Benchmark, Harness, Split};
use llava_video::prompt::TimeInstruction;
use llava_video::quantization::Quantization;

/// The parser of a flag that names a `T`.
pub(super) fn one_of<T>() -> impl TypedValueParser<Value = T>
where
    T: Clone + Send + Sync + 'static,
    Named<T>: ValueEnum,
{
    EnumValueParser::<Named<T>>::new().map(|Named(value)| value)
}

/// A value of the library, which knows nothing of command lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<T>(T);

impl ValueEnum for Named<Quantization> {
    fn value_variants<'a>() -> &'a [Self] {
        const { &[Self(Quantization::Q8_0), Self(Quantization::Q6K), Self(Quantization::Q5K), Self(Quantization::Q4K)] }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            Quantization::Q8_0 => "8.5 bits a weight",
            Quantization::Q6K => "6.6 bits a weight",
            Quantization::Q5K => "5.5 bits a weight",
            Quantization::Q4K => "4.5 bits a weight",
        };
        Some(PossibleValue::new(self.0.name()).help(help))
    }
}

impl ValueEnum for Named<DtypeRequest> {
    fn value_variants<'a>() -> &'a [Self] {
        use DtypeRequest::{Auto, Bf16, F16, F32};
        const { &[Self(Auto), Self(F32), Self(Bf16), Self(F16)] }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self.0 {
            DtypeRequest::Auto => {
                ("auto", "bf16 if the weights are bf16 and the device multiplies it natively, else f32")
            }
            DtypeRequest::F32 => ("f32", "32-bit floats: the reference's answers, token for token"),
            DtypeRequest::Bf16 => ("bf16", "bfloat16: on the CPU only the operands of products, on GPUs everything"),
            DtypeRequest::F16 => ("f16", "16-bit floats, on GPUs: less range than bf16, may overflow"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}

impl ValueEnum for Named<TimeInstruction> {
    fn value_variants<'a>() -> &'a [Self] {
        const { &[Self(TimeInstruction::None), Self(TimeInstruction::Newline), Self(TimeInstruction::Inline)] }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self.0 {
            TimeInstruction::None => {
                ("none", r"No time instruction: `<image>\n{question}`, as this model's card has it")
            }
            TimeInstruction::Newline => {
                ("newline", r"On a line of its own: `<image>\n{instruction}\n{question}`, as in training and lmms-eval")
            }
            TimeInstruction::Inline => {
                ("inline", r"Right after the video: `<image>{instruction}\n{question}`, as newer cards have it")
            }
        };
        Some(PossibleValue::new(name).help(help))
    }
}

impl ValueEnum for Named<Preset> {
    fn value_variants<'a>() -> &'a [Self] {
        const {
            &[
                Self(Preset::HalfB),
                Self(Preset::SevenB),
                Self(Preset::SevenBFourLayers),
                Self(Preset::SeventyTwoBLayer),
                Self(Preset::Tower),
            ]
        }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            Preset::HalfB => "the 0.5B model, 1.8 GB",
            Preset::SevenB => "the 7B model, 16.1 GB",
            Preset::SevenBFourLayers => "the 7B model with 4 of its 28 decoder layers, 4.9 GB",
            Preset::SeventyTwoBLayer => "one decoder layer of the 72B model, without an output head, 2.7 GB",
            Preset::Tower => "the vision tower and the projector alone, 1.3 GB",
        };
        Some(PossibleValue::new(self.0.name()).help(help))
    }
}

impl ValueEnum for Named<Stage> {
    fn value_variants<'a>() -> &'a [Self] {
        const {
            &[
                Self(Stage::Load),
                Self(Stage::VideoDecode),
                Self(Stage::Preprocess),
                Self(Stage::Tower),
                Self(Stage::Projector),
                Self(Stage::Prefill),
                Self(Stage::Decode),
                Self(Stage::BatchDecode),
                Self(Stage::Product),
                Self(Stage::TowerAttention),
                Self(Stage::CausalAttention),
            ]
        }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            Stage::Load => "weights, from where they are stored",
            Stage::VideoDecode => "frames of the clip that --video names, opening it included",
            Stage::Preprocess => "frames of 1280x720 pixels, resized and normalised",
            Stage::Tower => "pixels to patch features",
            Stage::Projector => "patch features to visual tokens",
            Stage::Prefill => "the prompt",
            Stage::Decode => "new tokens, one by one",
            Stage::Product => "one product alone: a layer's down_proj over each prompt",
            Stage::TowerAttention => "attention of one layer of the vision tower alone",
            Stage::CausalAttention => "attention of one decoder layer alone, over each prompt",
            Stage::BatchDecode => "new tokens of several answers, decoded together",
        };
        Some(PossibleValue::new(self.0.name()).help(help))
    }
}

impl ValueEnum for Named<Benchmark> {
    fn value_variants<'a>() -> &'a [Self] {
        const {
            &[
                Self(Benchmark::ActivityNetQa),
                Self(Benchmark::EgoSchema),
                Self(Benchmark::EgoSchemaSubset),
                Self(Benchmark::Mlvu),
                Self(Benchmark::MvBench),
                Self(Benchmark::NextQa),
                Self(Benchmark::PerceptionTest),
                Self(Benchmark::VideoChatGpt),
                Self(Benchmark::VideoDc),
                Self(Benchmark::LongVideoBench),
                Self(Benchmark::VideoMme),
            ]
        }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name()))
    }
}

impl ValueEnum for Named<Harness> {
    fn value_variants<'a>() -> &'a [Self] {
        const {
            &[
                Self(Harness::September2024),
                Self(Harness::October2024),
                Self(Harness::LateOctober2024),
                Self(Harness::Head),
            ]
        }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            Harness::September2024 => "the authors' tree, nearest to what the card was measured with",
            Harness::October2024 => "October 2024: another prompt and cut videos of MVBench",
            Harness::LateOctober2024 => "28 October 2024: another parser of MLVU",
            Harness::Head => "today's",
        };
        Some(PossibleValue::new(self.0.name()).help(help))
    }
}

impl ValueEnum for Named<Split> {
    fn value_variants<'a>() -> &'a [Self] {
        const { &[Self(Split::Card), Self(Split::Test)] }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            Split::Card => "the rows behind the card's number",
            Split::Test => "the publisher's other test rows, which a server scores",
        };
        Some(PossibleValue::new(self.0.name()).help(help))
    }
}

impl ValueEnum for Named<Protocol> {
    fn value_variants<'a>() -> &'a [Self] {
        const { &[Self(Protocol::Docs), Self(Protocol::Train), Self(Protocol::Card)] }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name()).help(self.0.reason()))
    }
}

impl ValueEnum for Named<Scoring> {
    fn value_variants<'a>() -> &'a [Self] {
        const { &[Self(Scoring::Parse), Self(Scoring::Logprob)] }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            Scoring::Parse => "from the text that the model generates, as the harness does",
            Scoring::Logprob => "by which of the options' letters the model finds likeliest",
        };
        Some(PossibleValue::new(self.0.name()).help(help))
    }
}

/// Where the model is told the times of its frames, by the name that `--time-instruction` takes.
pub(crate) fn time_instruction(name: &str) -> Result<TimeInstruction, String> {
    let names = || Named::<TimeInstruction>::value_variants().iter().map(|named| time_instruction_name(named.0));
    let expected = || format!("expected {}", names().collect::<Vec<_>>().join(", "));
    Named::<TimeInstruction>::from_str(name, false).map(|named| named.0).map_err(|_| expected())
}

/// Its name.
pub(crate) fn time_instruction_name(value: TimeInstruction) -> String {
    Named(value).to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Command};
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        let names: Vec<String> = Named::<Quantization>::value_variants()
            .iter()
            .map(|named| named.to_possible_value().expect("not hidden").get_name().to_owned())
            .collect();
        assert_eq!(names, Quantization::ALL.map(Quantization::name));
        assert_eq!(Named::<Preset>::value_variants().iter().map(|named| named.0).collect::<Vec<_>>(), Preset::ALL);
        assert_eq!(Named::<Stage>::value_variants().iter().map(|named| named.0).collect::<Vec<_>>(), Stage::ALL);
        assert_eq!(
            Named::<Benchmark>::value_variants().iter().map(|named| named.0).collect::<Vec<_>>(),
            Benchmark::ALL
        );
        assert_eq!(Named::<Harness>::value_variants().iter().map(|named| named.0).collect::<Vec<_>>(), Harness::ALL);
        assert_eq!(Named::<Protocol>::value_variants().iter().map(|named| named.0).collect::<Vec<_>>(), Protocol::ALL);
    }

    #[test]
    fn what_is_not_named_is_the_librarys_default() {
        let Command::Ask(args) = Cli::parse_from(["llava-video", "ask", "clip.mp4", "Why?"]).command else {
            panic!("ask")
        };
        assert_eq!(args.answering.asking.devices.dtype, DtypeRequest::default());
        assert_eq!(args.answering.asking.time_instruction, TimeInstruction::default());
        assert_eq!(args.answering.asking.checkpoint.quantize.quantize, None);
    }
}
