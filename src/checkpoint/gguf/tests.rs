//! Heads of GGUF files: what is written is read, by this program and by candle, and what is damaged is refused.

use candle_core::DType;
use candle_core::quantized::gguf_file::Content;

use super::super::documents::Documents;
use super::super::plan::TensorPlan;
use super::header::Header;
use super::keys::{VERSION, VERSION_KEY};
use super::metadata::Value;
use super::write::Head;
use crate::quantization::Format;

fn tensor(name: &str, shape: &[usize], held: Format) -> TensorPlan {
    TensorPlan { name: name.to_owned(), shape: shape.to_vec(), stored: held, wanted: held, held }
}

fn plan() -> Vec<TensorPlan> {
    vec![
        tensor("model.embed_tokens.weight", &[5, 512], Format::Q6K),
        tensor("model.layers.0.mlp.up_proj.weight", &[3, 256], Format::Q4K),
        tensor("model.norm.weight", &[7], Format::Float(DType::F32)),
        tensor("model.mm_projector.0.weight", &[3, 32], Format::Q8_0),
    ]
}

fn metadata() -> Vec<(String, Value)> {
    vec![
        ("general.architecture".to_owned(), Value::Text("qwen2".to_owned())),
        ("a.number".to_owned(), Value::F32(0.5)),
        ("a.list".to_owned(), Value::Texts(vec!["x".to_owned(), "yz".to_owned()])),
        ("a.vector".to_owned(), Value::I32s(vec![1, -2])),
        ("a.truth".to_owned(), Value::Bool(true)),
        (VERSION_KEY.to_owned(), Value::U32(VERSION)),
        ("llava_video.config_json".to_owned(), Value::Text("{\"a\": \"\u{e4}\"}\n".to_owned())),
    ]
}

fn file(metadata: &[(String, Value)]) -> Vec<u8> {
    let mut head = Head::default();
    head.all(metadata, &plan());
    let data: usize = plan().iter().map(|tensor| tensor.bytes().next_multiple_of(32)).sum();
    head.bytes.resize(head.bytes.len() + data, 0);
    head.bytes
}

fn read(bytes: &[u8]) -> Result<Header, super::super::error::Error> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::io::Write::write_all(&mut file, bytes).expect("a written file");
    Header::read(file.path())
}

#[test]
fn heads_are_read_as_they_were_written() {
    let bytes = file(&metadata());
    let header = read(&bytes).expect("a good file");
    let described: Vec<_> = header.tensors.iter().map(|t| (t.name.as_str(), t.shape.as_slice(), t.format)).collect();
    let planned = plan();
    let expected: Vec<_> = planned.iter().map(|t| (t.name.as_str(), t.shape.as_slice(), t.held)).collect();
    assert_eq!(described, expected);
    for (tensor, planned) in header.tensors.iter().zip(&planned) {
        assert_eq!(tensor.bytes.len(), planned.bytes());
        assert!(tensor.bytes.start.is_multiple_of(32) && tensor.bytes.end <= bytes.len());
    }
    let documents = Documents::of_gguf(&header).expect("a file of this program");
    assert_eq!(documents.read("config.json").expect("no reading").as_deref(), Some("{\"a\": \"\u{e4}\"}\n".as_bytes()));
    assert!(matches!(documents, Documents::Gguf { texts, .. } if texts.len() == 1));
}

#[test]
fn candle_reads_the_same_heads() {
    let bytes = file(&metadata());
    let content = Content::read(&mut std::io::Cursor::new(&bytes)).expect("candle's reader");
    assert_eq!(content.metadata.len(), metadata().len());
    let header = read(&bytes).expect("a good file");
    for (name, index) in
        [("token_embd.weight", 0), ("blk.0.ffn_up.weight", 1), ("output_norm.weight", 2), ("mm.0.weight", 3)]
    {
        let (theirs, ours) = (&content.tensor_infos[name], &header.tensors[index]);
        assert_eq!(theirs.shape.dims(), ours.shape);
        assert_eq!(Some(theirs.ggml_dtype), ours.format.ggml());
        assert_eq!((content.tensor_data_offset + theirs.offset) as usize, ours.bytes.start);
    }
}

#[test]
fn files_of_other_programs_are_refused_with_a_reason() {
    let foreign = read(&file(&metadata()[..1])).expect("a well-formed file");
    let message = Documents::of_gguf(&foreign).err().expect("a refusal").to_string();
    assert!(message.contains("another program") && message.contains("`qwen2`"), "{message}");
    let mut newer = metadata();
    newer[5].1 = Value::U32(VERSION + 1);
    let message = Documents::of_gguf(&read(&file(&newer)).expect("well-formed")).err().expect("a refusal").to_string();
    assert!(message.contains("version 2"), "{message}");
}

/// Cut anywhere, or with any byte of the head changed, a file is read or refused, and nothing else.
#[test]
fn damage_is_an_error_and_never_a_panic() {
    let bytes = file(&metadata());
    let data: usize = plan().iter().map(|tensor| tensor.bytes().next_multiple_of(32)).sum();
    let head = bytes.len() - data;
    for len in 0..head {
        assert!(read(&bytes[..len]).is_err(), "{len} bytes");
    }
    assert!(read(&bytes[..bytes.len() - 64]).is_err(), "data cut short");
    for at in 0..head {
        for change in [0xff, 0x80, 0x01] {
            let mut damaged = bytes.clone();
            damaged[at] ^= change;
            let read = read(&damaged);
            let fits = |header: &Header| header.tensors.iter().all(|tensor| tensor.bytes.end <= damaged.len());
            assert!(read.as_ref().map_or(true, fits), "byte {at}");
        }
    }
}
