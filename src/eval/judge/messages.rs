//! What the harness asks a judge, byte for byte.

use serde_json::{Value, json};

use crate::eval::python::strip;
use crate::eval::python_json::dumps;
use crate::eval::{BadColumn, Row};

/// Most tokens of a reply.
const MAX_TOKENS: usize = 64;

/// What is judged of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Whether it is right, and how well it matches: ActivityNet-QA.
    ActivityNetQa,
    /// Whether it is factually right: VideoChatGPT, generic.
    Correctness,
    /// Whether it goes into detail: VideoChatGPT, generic.
    DetailedOrientation,
    /// Whether it is about the video: VideoChatGPT, generic.
    Context,
    /// Whether it has the order of events: VideoChatGPT, temporal.
    Temporal,
    /// Whether two answers agree: VideoChatGPT, consistency.
    Consistency,
    /// Whether it goes into detail: VideoDC.
    VideoDc,
}

impl Side {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ActivityNetQa,
        Self::Correctness,
        Self::DetailedOrientation,
        Self::Context,
        Self::Temporal,
        Self::Consistency,
        Self::VideoDc,
    ];

    /// Its name; of VideoChatGPT's sides, the harness's.
    pub fn name(self) -> &'static str {
        match self {
            Self::ActivityNetQa => "activitynetqa",
            Self::Correctness => "correctness",
            Self::DetailedOrientation => "detailed_orientation",
            Self::Context => "context",
            Self::Temporal => "temporal",
            Self::Consistency => "consistency",
            Self::VideoDc => "videodc",
        }
    }
}

/// An answer with its question. What Python has no text for, it writes as `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// One question.
    One {
        /// The question as the data has it.
        question: String,
        /// The right answer.
        answer: String,
        /// The answer to judge.
        prediction: String,
    },
    /// Two questions with one right answer.
    Two {
        /// The questions.
        questions: [Option<String>; 2],
        /// The right answer of both.
        answer: String,
        /// The answers to judge.
        predictions: [Option<String>; 2],
    },
}

impl Question {
    /// The one question of a row, as the data has it, with the answer that was given.
    ///
    /// # Errors
    /// A column is not text.
    pub fn of(row: &Row, output: &str) -> Result<Self, BadColumn> {
        Ok(Self::One {
            question: row.text("question")?.to_owned(),
            answer: row.text("answer")?.to_owned(),
            prediction: strip(output).to_owned(),
        })
    }
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `system` or `user`.
    pub role: &'static str,
    /// What is said.
    pub content: String,
}

/// The two messages about a question on one side.
pub fn messages(side: Side, question: &Question) -> [Message; 2] {
    let user = format!("{}{}{}", question_text(question), request(side), ending(side));
    [Message { role: "system", content: system(side) }, Message { role: "user", content: user }]
}

/// The body of the request, as Python's `requests` would write it.
pub fn request_body(model: &str, side: Side, question: &Question) -> String {
    let messages = messages(side, question).map(|message| json!({ "role": message.role, "content": message.content }));
    let body: Value = json!({ "model": model, "messages": messages, "temperature": 0, "max_tokens": MAX_TOKENS });
    dumps(&body, None)
}

/// One rule that most sides have.
const SYNONYMS: &str = "- Consider synonyms or paraphrases as valid matches.\n";

const COMPARE: &str = "video-based question-answer pairs. Your task is to compare the predicted answer with the \
                       correct answer and determine ";

fn system(side: Side) -> String {
    let (what, of, task, rules) = match side {
        Side::ActivityNetQa => (
            "correctness",
            "question-answer pairs. Your task is to compare the predicted answer with the correct answer and \
             determine ",
            "if they match meaningfully.",
            format!(
                "- Focus on the meaningful match between the predicted answer and the correct answer.\n{SYNONYMS}\
                 - Evaluate the correctness of the prediction compared to the answer."
            ),
        ),
        Side::Correctness => (
            "factual accuracy",
            COMPARE,
            "if they are factually consistent.",
            format!(
                "- Focus on the factual consistency between the predicted answer and the correct answer. The predicted \
                 answer should not contain any misinterpretations or misinformation.\n\
                 - The predicted answer must be factually accurate and align with the video content.\n{SYNONYMS}\
                 - Evaluate the factual accuracy of the prediction compared to the answer."
            ),
        ),
        Side::DetailedOrientation | Side::VideoDc => (
            "detail orientation",
            COMPARE,
            "its level of detail, considering both completeness and specificity.",
            format!(
                "- Check if the predicted answer covers all major points from the video. The response should not leave \
                 out any key aspects.\n\
                 - Evaluate whether the predicted answer includes specific details rather than just generic points. It \
                 should provide comprehensive information that is tied to specific elements of the video.\n{SYNONYMS}\
                 - Provide a single evaluation score that reflects the level of detail orientation of the prediction, \
                 considering both completeness and specificity."
            ),
        ),
        Side::Context => (
            "contextual understanding",
            COMPARE,
            "if the generated response aligns with the overall context of the video content.",
            format!(
                "- Evaluate whether the predicted answer aligns with the overall context of the video content. It \
                 should not provide information that is out of context or misaligned.\n\
                 - The predicted answer must capture the main themes and sentiments of the video.\n{SYNONYMS}\
                 - Provide your evaluation of the contextual understanding of the prediction compared to the answer."
            ),
        ),
        Side::Temporal => (
            "temporal understanding",
            COMPARE,
            "if they correctly reflect the temporal sequence of events in the video content.",
            "- Focus on the temporal consistency between the predicted answer and the correct answer. The predicted \
             answer should correctly reflect the sequence of events or details as they are presented in the video \
             content.\n\
             - Consider synonyms or paraphrases as valid matches, but only if the temporal order is maintained.\n\
             - Evaluate the temporal accuracy of the prediction compared to the answer."
                .to_owned(),
        ),
        Side::Consistency => (
            "consistency",
            "similar video-based question-answer pairs. You will be given two very similar questions, a common answer \
             common to both the questions and predicted answers for the two questions .Your task is to compare the \
             predicted answers for two very similar question, with a common correct answer and determine ",
            "if they are consistent.",
            "- Focus on the consistency between the two predicted answers and the correct answer. Both predicted \
             answers should correspond to the correct answer and to each other, and should not contain any \
             contradictions or significant differences in the conveyed information.\n\
             - Both predicted answers must be consistent with each other and the correct answer, in terms of the \
             information they provide about the video content.\n\
             - Consider synonyms or paraphrases as valid matches, but only if they maintain the consistency in the \
             conveyed information.\n\
             - Evaluate the consistency of the two predicted answers compared to the correct answer."
                .to_owned(),
        ),
    };
    format!(
        "You are an intelligent chatbot designed for evaluating the {what} of generative outputs for {of}{task} Here's \
         how you can accomplish the task:------##INSTRUCTIONS: {rules}"
    )
}

fn question_text(question: &Question) -> String {
    let begin = "Please evaluate the following video-based question-answer pair:\n\n";
    let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "None".to_owned());
    match question {
        Question::One { question, answer, prediction } => {
            format!("{begin}Question: {question}\nCorrect Answer: {answer}\nPredicted Answer: {prediction}\n\n")
        }
        Question::Two { questions: [first, second], answer, predictions: [one, other] } => format!(
            "{begin}Question 1: {}\nQuestion 2: {}\nCorrect Answer: {answer}\nPredicted Answer to Question 1: {}\n\
             Predicted Answer to Question 2: {}\n\n",
            said(first),
            said(second),
            said(one),
            said(other),
        ),
    }
}

fn request(side: Side) -> String {
    let (score, quality, value) = match side {
        Side::ActivityNetQa => {
            return "Provide your evaluation only as a yes/no and score where the score is an integer value between 0 \
                    and 5, with 5 indicating the highest meaningful match. Please generate the response in the form of \
                    a Python dictionary string with keys 'pred' and 'score', where value of 'pred' is  a string of \
                    'yes' or 'no' and value of 'score' is in INTEGER, not STRING."
                .to_owned();
        }
        Side::Correctness => ("factual accuracy score", "factual consistency", "the factual accuracy score"),
        Side::DetailedOrientation | Side::VideoDc => {
            ("detail orientation score", "detail orientation", "the detail orientation score")
        }
        // The harness has no article here.
        Side::Context => {
            ("contextual understanding score", "contextual understanding", "contextual understanding score")
        }
        Side::Temporal => ("temporal accuracy score", "temporal consistency", "the temporal accuracy score"),
        Side::Consistency => ("consistency score", "consistency", "the consistency score"),
    };
    format!(
        "Provide your evaluation only as a {score} where the {score} is an integer value between 0 and 5, with 5 \
         indicating the highest level of {quality}. Please generate the response in the form of a Python dictionary \
         string with keys 'score', where its value is {value} in INTEGER, not STRING."
    )
}

fn ending(side: Side) -> String {
    // The doubled quotes of VideoChatGPT are the harness's.
    let example = match side {
        Side::ActivityNetQa => "{'pred': 'yes', 'score': 4.8}.",
        Side::VideoDc => "{'score': 4.8}.",
        _ => "{''score': 4.8}.",
    };
    format!(
        "DO NOT PROVIDE ANY OTHER OUTPUT TEXT OR EXPLANATION. Only provide the Python dictionary string. For example, \
         your response should look like this: {example}"
    )
}
