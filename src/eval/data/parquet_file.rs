//! Annotations in Parquet: tables of numbers, texts and lists of these.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{ConvertedType, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;

use super::cell::Raw;
use super::columns::Column;
use super::error::DataError;

/// Other kinds of columns are left out, so that what else a publisher adds does not matter.
pub(super) fn read(path: &Path, file: File, columns: &[Column]) -> Result<Vec<Raw>, DataError> {
    let malformed = |row, message| DataError::Malformed { path: path.to_owned(), row, message };
    // The decoders assert much of what a damaged file breaks.
    let table = catch_unwind(AssertUnwindSafe(|| decode(file)));
    let table = table.map_err(|_| malformed(None, "the file is damaged".to_owned()))?;
    let table = table.map_err(|failed| malformed(failed.row, failed.error.to_string()))?;
    for column in columns {
        match (table.names.iter().any(|name| name == column.name), column.optional) {
            (true, _) => {}
            (false, _) if table.odd.iter().any(|name| name == column.name) => {
                let message = format!("column `{}` is nested, expected {}", column.name, column.kind.expected());
                return Err(malformed(None, message));
            }
            (false, true) => {}
            (false, false) => {
                return Err(DataError::NoColumn { path: path.to_owned(), row: None, column: column.name.to_owned() });
            }
        }
    }
    Ok(table.rows)
}

struct Table {
    names: Vec<String>,
    /// Columns that were left out.
    odd: Vec<String>,
    rows: Vec<Raw>,
}

/// Where decoding stopped.
struct Failed {
    row: Option<usize>,
    error: ParquetError,
}

impl From<ParquetError> for Failed {
    fn from(error: ParquetError) -> Self {
        Self { row: None, error }
    }
}

fn decode(file: File) -> Result<Table, Failed> {
    let reader = SerializedFileReader::new(file)?;
    let schema = reader.metadata().file_metadata().schema();
    let (kept, odd): (Vec<&TypePtr>, Vec<_>) = schema.get_fields().iter().partition(|field| is_plain(field));
    let names = |fields: &[&TypePtr]| fields.iter().map(|field| field.name().to_owned()).collect();
    let mut table = Table { names: names(&kept), odd: names(&odd), rows: Vec::new() };
    if kept.is_empty() {
        return Ok(table);
    }
    let fields = kept.into_iter().map(Arc::clone).collect();
    let projection = Type::group_type_builder(schema.name()).with_fields(fields).build()?;
    for (index, row) in RowIter::from_file(Some(projection), &reader)?.enumerate() {
        let row = row.map_err(|error| Failed { row: Some(index), error })?;
        table.rows.push(row.into_columns().into_iter().map(|(name, field)| (name, value(&field))).collect());
    }
    Ok(table)
}

/// A number, a text, or a list of these.
fn is_plain(field: &Type) -> bool {
    let one = |group: &Type| match group.get_fields() {
        [only] => Some(Arc::clone(only)),
        _ => None,
    };
    match field.is_primitive() {
        true => is_scalar(field),
        false if field.get_basic_info().converted_type() != ConvertedType::LIST => false,
        false => one(field).is_some_and(|inner| match inner.is_primitive() {
            true => is_scalar(&inner),
            false => one(&inner).is_some_and(|element| element.is_primitive() && is_scalar(&element)),
        }),
    }
}

fn is_scalar(field: &Type) -> bool {
    use ConvertedType::{INT_8, INT_16, INT_32, INT_64, NONE, UINT_8, UINT_16, UINT_32, UINT_64, UTF8};
    let info = field.get_basic_info();
    let physical = field.get_physical_type();
    match info.converted_type() {
        NONE => matches!(
            physical,
            Physical::BOOLEAN | Physical::INT32 | Physical::INT64 | Physical::FLOAT | Physical::DOUBLE
        ),
        UTF8 => physical == Physical::BYTE_ARRAY,
        INT_8 | INT_16 | INT_32 | INT_64 | UINT_8 | UINT_16 | UINT_32 | UINT_64 => true,
        _ => false,
    }
}

/// What has no counterpart becomes null, which the check of types refuses where it matters.
fn value(field: &Field) -> Value {
    match field {
        Field::Bool(value) => Value::from(*value),
        Field::Byte(value) => Value::from(*value),
        Field::Short(value) => Value::from(*value),
        Field::Int(value) => Value::from(*value),
        Field::Long(value) => Value::from(*value),
        Field::UByte(value) => Value::from(*value),
        Field::UShort(value) => Value::from(*value),
        Field::UInt(value) => Value::from(*value),
        Field::ULong(value) => Value::from(*value),
        Field::Float(value) => Value::from(*value),
        Field::Double(value) => Value::from(*value),
        Field::Str(value) => Value::from(value.as_str()),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::columns;
    use super::*;

    fn fixture(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/eval/fixtures").join(name)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
        #[test]
        fn damaged_files_are_refused_or_read(
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            keep in prop::option::weighted(0.3, any::<prop::sample::Index>()),
        ) {
            let mut bytes = std::fs::read(fixture("mlvu/mlvu/test-00000-of-00001.parquet")).unwrap();
            for (index, byte) in flips {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            if let Some(keep) = keep {
                bytes.truncate(keep.index(bytes.len()));
            }
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            let _ = read(file.path(), File::open(file.path()).unwrap(), columns::MLVU);
        }
    }
}
