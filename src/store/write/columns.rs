//! The rows of a record's table, column by column: one list of columns for the insert and for the update.

use sqlx::{Arguments, AssertSqlSafe, Encode, Postgres, Type, postgres::PgArguments};
use uuid::Uuid;

use crate::store::{StoreError, Tx};

/// Columns of a table, one entry per row. The first column is `id`.
pub(in crate::store) struct Columns {
    table: &'static str,
    /// Name and PostgreSQL type of each bound array, in the order of `values`.
    inputs: Vec<(&'static str, &'static str)>,
    values: PgArguments,
    /// Name and expression of each column to write, except `id`.
    expressions: Vec<(&'static str, String)>,
}

impl Columns {
    /// Rows with these ids.
    pub fn of(table: &'static str, ids: &[Uuid]) -> Result<Self, StoreError> {
        let empty = Self { table, inputs: Vec::new(), values: PgArguments::default(), expressions: Vec::new() };
        empty.input("id", "uuid", ids.to_vec())
    }

    /// Adds a column of this PostgreSQL type.
    pub fn with<'q, T>(self, name: &'static str, type_name: &'static str, values: Vec<T>) -> Result<Self, StoreError>
    where
        Vec<T>: Encode<'q, Postgres> + Type<Postgres>,
        T: 'q,
    {
        Ok(self.input(name, type_name, values)?.expression(name, format!("input.{name}")))
    }

    /// Adds a column of arrays of numbers with elements of this PostgreSQL type; `None` is null.
    pub fn with_arrays(
        self,
        name: &'static str,
        element: &'static str,
        values: impl Iterator<Item = Option<Vec<i64>>>,
    ) -> Result<Self, StoreError> {
        let values: Vec<Option<String>> =
            values.map(|numbers| numbers.map(|numbers| array_literal(&numbers))).collect();
        Ok(self.input(name, "text", values)?.expression(name, format!("input.{name}::{element}[]")))
    }

    /// Adds input values that no column stores, of this PostgreSQL type. Expressions read them as `input.<name>`.
    pub fn input<'q, T>(
        mut self,
        name: &'static str,
        type_name: &'static str,
        values: Vec<T>,
    ) -> Result<Self, StoreError>
    where
        Vec<T>: Encode<'q, Postgres> + Type<Postgres>,
        T: 'q,
    {
        self.inputs.push((name, type_name));
        self.values.add(values).map_err(sqlx::Error::Encode)?;
        Ok(self)
    }

    /// Adds a column with the value of an SQL expression over `input` and, in an update, over the table.
    pub fn expression(mut self, name: &'static str, expression: impl Into<String>) -> Self {
        self.expressions.push((name, expression.into()));
        self
    }

    /// Inserts the rows that violate no unique constraint, and returns their ids.
    pub async fn insert(self, tx: Tx<'_>) -> Result<Vec<Uuid>, StoreError> {
        let (names, expressions): (Vec<&str>, Vec<&str>) =
            self.expressions.iter().map(|(name, expression)| (*name, expression.as_str())).unzip();
        let statement = format!(
            "insert into {} (id, {})
             select input.id, {}
             from {}
             on conflict do nothing
             returning id",
            self.table,
            names.join(", "),
            expressions.join(", "),
            self.rows(),
        );
        Ok(sqlx::query_scalar_with(AssertSqlSafe(statement), self.values).fetch_all(tx).await?)
    }

    /// Updates the rows that have these ids.
    pub async fn update(self, tx: Tx<'_>) -> Result<(), StoreError> {
        let (table, rows) = (self.table, self.rows());
        let assignments: Vec<String> =
            self.expressions.iter().map(|(name, expression)| format!("{name} = {expression}")).collect();
        let statement = format!(
            "update {table}
             set {}
             from {rows}
             where {table}.id = input.id",
            assignments.join(", ")
        );
        sqlx::query_with(AssertSqlSafe(statement), self.values).execute(tx).await?;
        Ok(())
    }

    fn rows(&self) -> String {
        let arrays: Vec<String> =
            self.inputs.iter().zip(1..).map(|((_, type_name), number)| format!("${number}::{type_name}[]")).collect();
        let names: Vec<&str> = self.inputs.iter().map(|(name, _)| *name).collect();
        format!("unnest({}) as input ({})", arrays.join(", "), names.join(", "))
    }
}

/// The numbers as PostgreSQL writes an array. PostgreSQL cannot unnest arrays of arrays of several lengths.
pub(in crate::store) fn array_literal(numbers: &[i64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
    format!("{{{}}}", numbers.join(","))
}
