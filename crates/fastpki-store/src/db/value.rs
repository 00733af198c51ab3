//! Values on their way into a statement and out of a row, the same for both databases.

use bytes::{BufMut, BytesMut};
use fastpki_types::{
    AuditId, CaId, CertificateId, Named, OrganizationId, PolicyId, ServiceAccountId, ServiceAccountTokenId,
    Timestamp, UserId,
};
use rusqlite::types::{ToSqlOutput, Value as SqliteValue, ValueRef};
use tokio_postgres::types::{FromSql, IsNull, Kind, ToSql, Type};
use zeroize::Zeroizing;

use crate::error::StoreError;

/// A value. Bound on PostgreSQL, it takes the form that the column's type asks for.
#[derive(Clone)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Bool(bool),
    Text(String),
    /// A text that is wiped from memory and shown nowhere.
    Secret(Zeroizing<String>),
    Bytes(Vec<u8>),
    Time(Timestamp),
}

impl Value {
    /// An enumeration's value, as the databases write it: its name in upper case.
    pub(crate) fn named(value: impl Named) -> Self {
        Self::Text(value.name().to_ascii_uppercase())
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind())
    }
}

macro_rules! into_value {
    ($($type:ty: $value:ident => $make:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self {
                $make
            }
        }
    )*};
}

into_value! {
    i64: value => Self::Int(value);
    i32: value => Self::Int(value.into());
    u32: value => Self::Int(value.into());
    u8: value => Self::Int(value.into());
    bool: value => Self::Bool(value);
    String: value => Self::Text(value);
    &str: value => Self::Text(value.to_owned());
    Vec<u8>: value => Self::Bytes(value);
    Timestamp: value => Self::Time(value);
    AuditId: value => Self::Int(value.0.into());
    CaId: value => Self::Int(value.0.into());
    CertificateId: value => Self::Int(value.0.into());
    OrganizationId: value => Self::Int(value.0.into());
    PolicyId: value => Self::Int(value.0.into());
    ServiceAccountId: value => Self::Int(value.0.into());
    ServiceAccountTokenId: value => Self::Int(value.0.into());
    UserId: value => Self::Int(value.0.into());
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(SqliteValue::Null),
            Self::Int(value) => (*value).into(),
            Self::Bool(value) => (*value).into(),
            Self::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Self::Secret(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Self::Bytes(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
            Self::Time(value) => ToSqlOutput::Owned(SqliteValue::Text(value.to_sql_text())),
        })
    }
}

/// PostgreSQL counts its microseconds from 2000-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self, ty) {
            (Self::Null, _) => return Ok(IsNull::Yes),
            (Self::Int(value), &Type::INT4) => out.put_i32(i32::try_from(*value)?),
            (Self::Int(value), &Type::INT8) => out.put_i64(*value),
            (Self::Bool(value), &Type::BOOL) => out.put_u8((*value).into()),
            (Self::Bytes(value), &Type::BYTEA) => out.put_slice(value),
            (Self::Time(value), &Type::TIMESTAMPTZ) => {
                out.put_i64(value.as_micros() - POSTGRES_EPOCH_MICROS);
            }
            // The binary form of text, of JSON and of an enumeration's label is the text itself.
            (Self::Text(value), ty) if is_textual(ty) => out.put_slice(value.as_bytes()),
            (Self::Secret(value), ty) if is_textual(ty) => out.put_slice(value.as_bytes()),
            (value, ty) => return Err(format!("a column of type {ty} was given {}", value.kind()).into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

impl Value {
    /// What it is, without what it says: it may be a secret.
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Int(_) => "an integer",
            Self::Bool(_) => "a boolean",
            Self::Text(_) | Self::Secret(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::Time(_) => "a time",
        }
    }
}

fn is_textual(ty: &Type) -> bool {
    matches!(*ty, Type::TEXT | Type::VARCHAR | Type::JSON) || matches!(ty.kind(), Kind::Enum(_))
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *ty {
            Type::INT4 => Self::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT8 => Self::Int(i64::from_sql(ty, raw)?),
            Type::BOOL => Self::Bool(bool::from_sql(ty, raw)?),
            Type::BYTEA => Self::Bytes(raw.to_vec()),
            Type::TIMESTAMPTZ => {
                let micros = i64::from_be_bytes(raw.try_into()?).saturating_add(POSTGRES_EPOCH_MICROS);
                let never_ends = || (micros > 0).then(Timestamp::end_of_time);
                let time = Timestamp::from_micros(micros).or_else(never_ends);
                Self::Time(time.ok_or("a time before all calendars")?)
            }
            _ => Self::Text(std::str::from_utf8(raw)?.to_owned()),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT4 | Type::INT8 | Type::BOOL | Type::BYTEA | Type::TIMESTAMPTZ)
            || is_textual(ty)
    }
}

impl From<SqliteValue> for Value {
    fn from(value: SqliteValue) -> Self {
        match value {
            SqliteValue::Integer(value) => Self::Int(value),
            SqliteValue::Text(value) => Self::Text(value),
            SqliteValue::Blob(value) => Self::Bytes(value),
            // No column of the schema holds a real number.
            SqliteValue::Null | SqliteValue::Real(_) => Self::Null,
        }
    }
}

/// A row that a statement gave, read from left to right in the order of the statement's columns.
pub(crate) struct Row {
    values: std::vec::IntoIter<Value>,
    column: usize,
}

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self { values: values.into_iter(), column: 0 }
    }

    /// The next column.
    pub(crate) fn next<T: Column>(&mut self) -> Result<T, StoreError> {
        self.column += 1;
        let value = self.values.next().unwrap_or(Value::Null);
        let kind = value.kind();
        T::from_value(value)
            .ok_or_else(|| StoreError::Corrupt(format!("column {} is {kind}, or out of range", self.column)))
    }

    /// The next column, an enumeration's name in upper case.
    pub(crate) fn named<T: Named>(&mut self) -> Result<T, StoreError> {
        let name: String = self.next()?;
        T::from_name(&name.to_ascii_lowercase())
            .ok_or_else(|| StoreError::Corrupt(format!("unknown name '{}'", name.escape_debug())))
    }
}

/// A type that a column can be read as.
pub(crate) trait Column: Sized {
    fn from_value(value: Value) -> Option<Self>;
}

impl<T: Column> Column for Option<T> {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

macro_rules! columns {
    ($($type:ty: $($pattern:pat => $make:expr),+;)*) => {$(
        impl Column for $type {
            fn from_value(value: Value) -> Option<Self> {
                match value {
                    $($pattern => $make,)+
                    _ => None,
                }
            }
        }
    )*};
}

columns! {
    i64: Value::Int(value) => Some(value);
    i32: Value::Int(value) => value.try_into().ok();
    u64: Value::Int(value) => value.try_into().ok();
    u32: Value::Int(value) => value.try_into().ok();
    u8: Value::Int(value) => value.try_into().ok();
    String: Value::Text(value) => Some(value);
    Vec<u8>: Value::Bytes(value) => Some(value);
    // SQLite has neither booleans nor times.
    bool: Value::Bool(value) => Some(value), Value::Int(value) => Some(value != 0);
    Timestamp: Value::Time(value) => Some(value), Value::Text(value) => time_of(&value);
}

/// A time as SQLite holds it.
fn time_of(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| text.starts_with("9999-12-3").then(Timestamp::end_of_time))
}

macro_rules! id_columns {
    ($($type:ident)*) => {$(
        impl Column for $type {
            fn from_value(value: Value) -> Option<Self> {
                i32::from_value(value).map(Self)
            }
        }
    )*};
}

id_columns! { AuditId CaId CertificateId OrganizationId PolicyId ServiceAccountId ServiceAccountTokenId UserId }
