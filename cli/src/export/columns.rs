//! A table of rows as a Parquet file, column by column.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use crate::failure::Failure;

/// Where a column's values come from. All are nullable: what is not known is null.
pub enum Of<T> {
    /// Text.
    Text(fn(&T) -> Option<String>),
    /// A count, bytes or nanoseconds.
    Number(fn(&T) -> Option<u64>),
    /// An estimate or a share.
    Real(fn(&T) -> Option<f64>),
    /// Yes or no.
    Truth(fn(&T) -> Option<bool>),
    /// A moment, ns since 1970.
    Moment(fn(&T) -> Option<u64>),
}

/// A column.
pub struct Column<T> {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub of: Of<T>,
}

/// A file that is being written.
pub struct Writer<T> {
    path: PathBuf,
    columns: Vec<Column<T>>,
    file: SerializedFileWriter<BufWriter<File>>,
}

impl<T> Writer<T> {
    /// Creates a file with these columns.
    pub fn create(path: &Path, columns: Vec<Column<T>>) -> Result<Self, Failure> {
        let create = || -> Result<_, ParquetError> {
            let file = BufWriter::new(File::create(path)?);
            let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
            SerializedFileWriter::new(file, schema(&columns)?, Arc::new(properties.build()))
        };
        let file = create().map_err(|error| cannot(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            columns,
            file,
        })
    }

    /// Adds rows.
    pub fn write(&mut self, rows: &[T]) -> Result<(), Failure> {
        if rows.is_empty() {
            return Ok(());
        }
        let columns = &self.columns;
        let mut add = || -> Result<(), ParquetError> {
            let mut group = self.file.next_row_group()?;
            for column in columns {
                match column.of {
                    Of::Text(of) => {
                        let of = |row: &T| of(row).map(|text| ByteArray::from(text.into_bytes()));
                        put::<ByteArrayType, T, _>(&mut group, rows, of)?;
                    }
                    Of::Number(of) | Of::Moment(of) => {
                        // Unsigned in the schema: the same 64 bits.
                        let of = |row: &T| of(row).map(|number| number as i64);
                        put::<Int64Type, T, _>(&mut group, rows, of)?;
                    }
                    Of::Real(of) => put::<DoubleType, T, _>(&mut group, rows, of)?,
                    Of::Truth(of) => put::<BoolType, T, _>(&mut group, rows, of)?,
                }
            }
            group.close().map(drop)
        };
        add().map_err(|error| cannot(&self.path, &error))
    }

    /// Writes what ends the file.
    pub fn finish(self) -> Result<(), Failure> {
        let path = self.path;
        let end = || -> Result<(), ParquetError> {
            let mut file = self.file.into_inner()?;
            Ok(file.flush()?)
        };
        end().map_err(|error| cannot(&path, &error))
    }
}

fn put<D: DataType, T, F: Fn(&T) -> Option<D::T>>(
    group: &mut SerializedRowGroupWriter<'_, BufWriter<File>>,
    rows: &[T],
    of: F,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General(
            "more columns than the schema has".to_owned(),
        ));
    };
    let mut values = Vec::with_capacity(rows.len());
    let mut known = Vec::with_capacity(rows.len());
    for row in rows {
        let value = of(row);
        known.push(i16::from(value.is_some()));
        values.extend(value);
    }
    column
        .typed::<D>()
        .write_batch(&values, Some(&known), None)?;
    column.close()
}

fn schema<T>(columns: &[Column<T>]) -> Result<TypePtr, ParquetError> {
    let unsigned = LogicalType::integer(64, false);
    let moment = LogicalType::timestamp(true, TimeUnit::NANOS);
    let fields = columns.iter().map(|column| {
        let (physical, logical) = match column.of {
            Of::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Of::Number(_) => (Physical::INT64, Some(unsigned.clone())),
            Of::Moment(_) => (Physical::INT64, Some(moment.clone())),
            Of::Real(_) => (Physical::DOUBLE, None),
            Of::Truth(_) => (Physical::BOOLEAN, None),
        };
        Type::primitive_type_builder(column.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
            .map(Arc::new)
    });
    let fields = fields.collect::<Result<_, _>>()?;
    Type::group_type_builder("mapgrow")
        .with_fields(fields)
        .build()
        .map(Arc::new)
}

fn cannot(path: &Path, error: &ParquetError) -> Failure {
    Failure::new(format!("cannot write {}: {error}", path.display()))
}
