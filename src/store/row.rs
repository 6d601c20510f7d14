//! Rows as structs. sqlx's derive does the same, but with its macros Cargo builds the driver, TLS and tokio a second time,
//! for the compiler to run.

/// Implements `FromRow`: each field is the column of its name. A field after `..` is a struct of columns itself.
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
