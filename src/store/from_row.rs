//! `FromRow` for structs. sqlx's derive does the same, but enabling its macros makes Cargo build the driver, TLS and
//! tokio a second time, for the build host.

/// Implements `FromRow`: each field reads the column of the same name. A field after `..` is itself read from the row.
macro_rules! from_row {
    ($row:ident { $(..$part:ident,)? $($column:ident),+ }) => {
        impl<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> for $row {
            fn from_row(row: &'r sqlx::postgres::PgRow) -> sqlx::Result<Self> {
                use sqlx::Row as _;
                Ok(Self {
                    $($part: sqlx::FromRow::from_row(row)?,)?
                    $($column: row.try_get(stringify!($column))?,)+
                })
            }
        }
    };
}

pub(crate) use from_row;
