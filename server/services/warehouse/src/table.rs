//! A table as a Parquet file: a few plain columns that every tool reads, not nullable, compressed with
//! Snappy.

use std::sync::Arc;

use bytes::Bytes;
use parquet::{
    basic::Compression,
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::ParquetError,
    file::{
        properties::WriterProperties, reader::FileReader as _, serialized_reader::SerializedFileReader,
        writer::SerializedFileWriter,
    },
    record::Field,
    schema::parser::parse_message_type,
};

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Text, in UTF-8.
    Text(String),
    /// A number.
    Number(i64),
    /// A small number.
    Small(i32),
    /// An instant, in microseconds since 1970, in UTC.
    Instant(i64),
    /// A day, counted from 1970-01-01.
    Day(i32),
    /// A Boolean.
    Flag(bool),
}

/// The type of a column, and its name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    Text(&'static str),
    Number(&'static str),
    Small(&'static str),
    Instant(&'static str),
    Day(&'static str),
    Flag(&'static str),
}

/// A row, with a value for each column.
pub type Row = Vec<Value>;

impl Column {
    fn declaration(self) -> String {
        match self {
            Self::Text(name) => format!("required binary {name} (string);"),
            Self::Number(name) => format!("required int64 {name};"),
            Self::Small(name) => format!("required int32 {name};"),
            Self::Instant(name) => format!("required int64 {name} (timestamp(micros,true));"),
            Self::Day(name) => format!("required int32 {name} (date);"),
            Self::Flag(name) => format!("required boolean {name};"),
        }
    }
}

/// Encodes rows as a file.
pub(super) fn encode(columns: &[Column], rows: &[Row]) -> Result<Bytes, ParquetError> {
    let declarations: Vec<_> = columns.iter().map(|column| column.declaration()).collect();
    let schema = parse_message_type(&format!("message row {{ {} }}", declarations.join(" ")))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .build();
    let mut file = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut file, Arc::new(schema), Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    let mut n = 0;
    while let Some(mut column) = group.next_column()? {
        let values = rows.iter().filter_map(|row| row.get(n));
        match column.untyped() {
            ColumnWriter::ByteArrayColumnWriter(writer) => {
                let values: Vec<ByteArray> = values
                    .filter_map(|value| match value {
                        Value::Text(text) => Some(text.as_str().into()),
                        _ => None,
                    })
                    .collect();
                writer.write_batch(&values, None, None)?;
            }
            ColumnWriter::Int64ColumnWriter(writer) => {
                let values: Vec<i64> = values
                    .filter_map(|value| match value {
                        Value::Number(number) | Value::Instant(number) => Some(*number),
                        _ => None,
                    })
                    .collect();
                writer.write_batch(&values, None, None)?;
            }
            ColumnWriter::Int32ColumnWriter(writer) => {
                let values: Vec<i32> = values
                    .filter_map(|value| match value {
                        Value::Small(number) | Value::Day(number) => Some(*number),
                        _ => None,
                    })
                    .collect();
                writer.write_batch(&values, None, None)?;
            }
            ColumnWriter::BoolColumnWriter(writer) => {
                let values: Vec<bool> = values
                    .filter_map(|value| match value {
                        Value::Flag(flag) => Some(*flag),
                        _ => None,
                    })
                    .collect();
                writer.write_batch(&values, None, None)?;
            }
            _ => return Err(ParquetError::NYI("a column of another type".to_owned())),
        }
        column.close()?;
        n += 1;
    }
    group.close()?;
    // The writer refuses columns of different lengths, so a value of a wrong type is not lost silently.
    writer.close()?;
    Ok(file.into())
}

/// Decodes the rows of a file.
pub fn read(file: Bytes) -> Result<Vec<Row>, ParquetError> {
    let reader = SerializedFileReader::new(file)?;
    reader
        .get_row_iter(None)?
        .map(|row| {
            row?.get_column_iter()
                .map(|(name, field)| value(name, field))
                .collect()
        })
        .collect()
}

fn value(name: &str, field: &Field) -> Result<Value, ParquetError> {
    match field {
        Field::Str(text) => Ok(Value::Text(text.clone())),
        Field::Long(number) => Ok(Value::Number(*number)),
        Field::Int(number) => Ok(Value::Small(*number)),
        Field::TimestampMicros(micros) => Ok(Value::Instant(*micros)),
        Field::Date(day) => Ok(Value::Day(*day)),
        Field::Bool(flag) => Ok(Value::Flag(*flag)),
        _ => Err(ParquetError::General(format!("column {name} has another type"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_a_round_trip() {
        let columns = [
            Column::Text("sku"),
            Column::Number("amount"),
            Column::Small("line"),
            Column::Instant("at"),
            Column::Day("date"),
            Column::Flag("retired"),
        ];
        let row = |n: i64| {
            vec![
                Value::Text(format!("mug-{n} · ä")),
                Value::Number(-n),
                Value::Small(7),
                Value::Instant(n * 1_000_001),
                Value::Day(20_000),
                Value::Flag(n % 2 == 0),
            ]
        };
        let rows: Vec<Row> = (0..2_000).map(row).collect();
        assert_eq!(read(encode(&columns, &rows).unwrap()).unwrap(), rows);
        assert_eq!(read(encode(&columns, &[]).unwrap()).unwrap(), Vec::<Row>::new());
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let columns = [Column::Text("sku"), Column::Number("amount")];
        let rows = [vec![Value::Text("mug".into()), Value::Text("many".into())]];
        assert!(encode(&columns, &rows).is_err());
    }
}
