//! Rows of a record's table, column by column: what is inserted and what takes its place afterwards has one list.

use sqlx::{Arguments, AssertSqlSafe, Encode, Postgres, Type, postgres::PgArguments};
use uuid::Uuid;

use crate::store::{StoreError, Tx};

/// Columns of a table, one entry a row. The first one is `id`.
pub(in crate::store) struct Columns {
    table: &'static str,
    columns: Vec<(&'static str, &'static str)>,
    values: PgArguments,
}

impl Columns {
    /// Rows with these ids.
    pub fn of(table: &'static str, ids: &[Uuid]) -> Result<Self, StoreError> {
        let none = Self { table, columns: Vec::new(), values: PgArguments::default() };
        none.with("id", "uuid", ids.to_vec())
    }

    /// Adds a column of this type of PostgreSQL's.
    pub fn with<'q, T>(mut self, name: &'static str, of_type: &'static str, values: Vec<T>) -> Result<Self, StoreError>
    where
        Vec<T>: Encode<'q, Postgres> + Type<Postgres>,
        T: 'q,
    {
        self.columns.push((name, of_type));
        self.values.add(values).map_err(sqlx::Error::Encode)?;
        Ok(self)
    }

    /// Inserts the rows whose ids, or whatever else is unique in them, are free, and answers their ids.
    pub async fn insert(self, tx: Tx<'_>) -> Result<Vec<Uuid>, StoreError> {
        let (table, names, rows) = (self.table, self.names(), self.rows());
        let statement = format!(
            "insert into {table} ({names})
             select one.*
             from {rows}
             on conflict do nothing
             returning id"
        );
        Ok(sqlx::query_scalar_with(AssertSqlSafe(statement), self.values).fetch_all(tx).await?)
    }

    /// Puts them into the rows that have their ids.
    pub async fn update(self, tx: Tx<'_>) -> Result<(), StoreError> {
        let (table, rows) = (self.table, self.rows());
        let names = self.columns.iter().map(|(name, _)| *name).filter(|name| *name != "id");
        let set: Vec<String> = names.map(|name| format!("{name} = one.{name}")).collect();
        let statement = format!(
            "update {table}
             set {}
             from {rows}
             where {table}.id = one.id",
            set.join(", ")
        );
        sqlx::query_with(AssertSqlSafe(statement), self.values).execute(tx).await?;
        Ok(())
    }

    fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    fn rows(&self) -> String {
        let arrays = self.columns.iter().zip(1..).map(|((_, of_type), at)| format!("${at}::{of_type}[]"));
        format!("unnest({}) as one ({})", arrays.collect::<Vec<_>>().join(", "), self.names())
    }
}
