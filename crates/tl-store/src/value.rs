//! Values on their way to a database and rows on their way back: the little that the engines share.

use std::borrow::Cow;

use crate::error::StoreError;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A 64-bit integer.
    Int,
    /// Text that the kernel or this crate has written or checked.
    Text,
    /// Bytes: digests, ids, CBOR, and text from outside.
    Bytes,
}

/// A value to be written or compared with. Borrows from the units where it can.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Val<'a> {
    Null,
    Int(i64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

impl Val<'_> {
    pub(crate) fn int(&self) -> Option<i64> {
        match self {
            Val::Int(n) => Some(*n),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Val::Text(t) => Some(t),
            _ => None,
        }
    }

    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Val::Bytes(b) => Some(b),
            _ => None,
        }
    }
}

macro_rules! ints {
    ($($ty:ty),*) => {
        $(impl From<$ty> for Val<'_> {
            fn from(n: $ty) -> Self {
                Val::Int(i64::from(n))
            }
        })*
    };
}

ints!(i64, u32, u16, u8, bool);

impl<'a> From<&'a str> for Val<'a> {
    fn from(text: &'a str) -> Self {
        Val::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Val<'a> {
    fn from(text: &'a String) -> Self {
        Val::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Val<'_> {
    fn from(text: String) -> Self {
        Val::Text(Cow::Owned(text))
    }
}

impl<'a> From<&'a [u8]> for Val<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Val::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'a> From<&'a Vec<u8>> for Val<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Val::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'a> From<Cow<'a, [u8]>> for Val<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Self {
        Val::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Val<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Val::Bytes(Cow::Owned(bytes))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Val<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Val::Bytes(Cow::Borrowed(bytes))
    }
}

impl<const N: usize> From<[u8; N]> for Val<'_> {
    fn from(bytes: [u8; N]) -> Self {
        Val::Bytes(Cow::Owned(bytes.to_vec()))
    }
}

impl<'a, T: Into<Val<'a>>> From<Option<T>> for Val<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Val::Null, Into::into)
    }
}

/// Values of several types side by side.
macro_rules! vals {
    ($($value:expr),* $(,)?) => {
        [$($crate::value::Val::from($value)),*]
    };
}

pub(crate) use vals;

/// One column of a row that was read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'r> {
    Null,
    Int(i64),
    Text(&'r str),
    Bytes(&'r [u8]),
}

/// A row that was read, whichever engine it came from.
pub(crate) enum Fields<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r tokio_postgres::Row),
}

impl<'r> Fields<'r> {
    fn cell(&self, column: usize) -> Option<Cell<'r>> {
        match self {
            Fields::Sqlite(row) => crate::sqlite::cell(row, column),
            Fields::Postgres(row) => crate::postgres::link::cell(row, column),
        }
    }

    /// A column as the type that is wanted.
    pub(crate) fn get<T: FromCell>(&self, column: usize) -> Result<T, StoreError> {
        self.cell(column)
            .and_then(T::from_cell)
            .ok_or_else(|| damaged(column))
    }
}

/// A stored value that has no meaning for this program.
pub(crate) fn damaged(column: usize) -> StoreError {
    StoreError::Damaged {
        what: "row".into(),
        why: format!("column {column} holds another type or range"),
    }
}

/// What can be read from a column.
pub(crate) trait FromCell: Sized {
    fn from_cell(cell: Cell<'_>) -> Option<Self>;
}

macro_rules! numbers {
    ($($ty:ty),*) => {
        $(impl FromCell for $ty {
            fn from_cell(cell: Cell<'_>) -> Option<Self> {
                match cell {
                    Cell::Int(n) => n.try_into().ok(),
                    _ => None,
                }
            }
        })*
    };
}

numbers!(i64, u64, u32, u16, u8);

impl FromCell for bool {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Int(n) => Some(n != 0),
            _ => None,
        }
    }
}

impl FromCell for String {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Text(t) => Some(t.to_owned()),
            _ => None,
        }
    }
}

impl FromCell for Vec<u8> {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Bytes(b) => Some(b.to_vec()),
            _ => None,
        }
    }
}

impl<const N: usize> FromCell for [u8; N] {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Bytes(b) => b.try_into().ok(),
            _ => None,
        }
    }
}

/// Text from outside, which is stored as bytes.
pub(crate) struct Outside(pub(crate) String);

impl FromCell for Outside {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        String::from_utf8(Vec::from_cell(cell)?).ok().map(Outside)
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            other => T::from_cell(other).map(Some),
        }
    }
}
