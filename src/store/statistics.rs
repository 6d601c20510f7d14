//! The planner's statistics of tables that have grown. PostgreSQL renews them about once a minute, and a bulk import
//! makes them wrong within seconds: until then queries are planned for empty tables.

use sqlx::{AssertSqlSafe, Connection, PgPool};

use super::{StoreError, from_row::from_row};

/// The advisory lock under which one instance at a time renews statistics. Arbitrary, but the same in every instance.
const STATISTICS_LOCK: i64 = 0x5245_4144_4f55_5403;

/// Rows that were written since the last `analyze` before a table counts as grown. Plans of smaller tables cost little,
/// whatever their shape.
pub const MIN_WRITTEN: i64 = 1_000;

/// A table of more rows counts as grown when this part of them was written. Each further `analyze` so needs half as
/// many rows again: an import causes few of them.
const WRITTEN_PART: f64 = 0.5;

/// A table that has grown.
#[derive(Debug)]
struct GrownTable {
    /// The name, quoted for SQL.
    name: String,
    /// True if this role may analyze it: only its owner may.
    is_owned: bool,
}

from_row!(GrownTable { name, is_owned });

/// The outcome of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Renewed {
    /// The tables whose statistics were renewed.
    pub tables: Vec<String>,
    /// A table that has grown, and belongs to another role.
    pub not_owned: Option<String>,
}

/// The rows of the schema that were written so far, as far as they are counted.
///
/// # Errors
/// The database fails.
pub async fn written_rows(pool: &PgPool) -> Result<i64, StoreError> {
    let written = sqlx::query_scalar(
        "select coalesce(sum(n_tup_ins + n_tup_upd), 0)::bigint
         from pg_stat_user_tables
         where schemaname = current_schema()",
    );
    Ok(written.fetch_one(pool).await?)
}

/// Renews the statistics of tables in the schema that have grown since their last `analyze`. Does nothing on a standby,
/// or while another instance does it. `analyze` reads at most 30,000 rows of a table, and blocks neither reads nor
/// writes.
///
/// # Errors
/// `Contention` if the schema is changed meanwhile, or the database fails.
pub async fn renew(pool: &PgPool) -> Result<Renewed, StoreError> {
    let mut renewed = Renewed::default();
    // A transaction for each table, so that its lock is held no longer than needed.
    loop {
        let mut connection = pool.acquire().await?;
        let mut tx = connection.begin().await?;
        let is_alone: bool = sqlx::query_scalar("select not pg_is_in_recovery() and pg_try_advisory_xact_lock($1)")
            .bind(STATISTICS_LOCK)
            .fetch_one(&mut *tx)
            .await?;
        if !is_alone {
            return Ok(renewed);
        }
        // `reltuples` is -1 before the first `analyze`. Counters are up to a second old, so that a table that was just
        // analyzed can still be listed.
        let grown: Vec<GrownTable> = sqlx::query_as(
            "select format('%I', relation.relname) as name,
                    pg_has_role(relation.relowner, 'usage') as is_owned
             from pg_stat_user_tables as written
             join pg_class as relation on relation.oid = written.relid
             where written.schemaname = current_schema()
               and written.n_mod_since_analyze >= $1
               and written.n_mod_since_analyze >= $2 * greatest(relation.reltuples, 0)
             order by written.n_mod_since_analyze desc",
        )
        .bind(MIN_WRITTEN)
        .bind(WRITTEN_PART)
        .fetch_all(&mut *tx)
        .await?;
        let mut next = None;
        for table in grown {
            if !table.is_owned {
                renewed.not_owned.get_or_insert(table.name);
            } else if !renewed.tables.contains(&table.name) {
                next = Some(table.name);
                break;
            }
        }
        let Some(table) = next else { return Ok(renewed) };
        // A change of the schema comes first: the next run tries again.
        sqlx::query("set local lock_timeout = '100ms'").execute(&mut *tx).await?;
        sqlx::query(AssertSqlSafe(format!("analyze {table}"))).execute(&mut *tx).await?;
        tx.commit().await?;
        renewed.tables.push(table);
    }
}
