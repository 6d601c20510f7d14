//! API tokens. Only hashes of their secrets are stored.

use std::fmt;

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgPool};
use uuid::Uuid;

use super::{StoreError, audit_event};
use crate::model::{role::Role, scope::Scopes};

/// The SHA-256 of a secret.
#[derive(Clone, Copy)]
pub struct SecretHash(pub [u8; 32]);

/// Compares in constant time: the duration does not reveal how many leading bytes are right.
impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        let differences = self.0.iter().zip(&other.0).fold(0, |differences, (a, b)| differences | (a ^ b));
        std::hint::black_box(differences) == 0
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(***)")
    }
}

/// An API token as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    pub id: Uuid,
    /// The principal that it authenticates.
    pub name: String,
    /// The role of that principal.
    pub role: Role,
    /// The articles that the principal may write; `None` for all.
    pub scopes: Option<Scopes>,
    /// The hash of its secret.
    pub hash: SecretHash,
    /// The time of its creation.
    pub create_time: DateTime<Utc>,
    /// The time from which it is invalid; `None` for never.
    pub expire_time: Option<DateTime<Utc>>,
    /// The time of its revocation.
    pub revoke_time: Option<DateTime<Utc>>,
}

/// All tokens, revoked ones included, the oldest first.
///
/// # Errors
/// The database fails.
pub async fn all(pool: &PgPool) -> Result<Vec<Token>, StoreError> {
    let tokens = sqlx::query_as(
        "select id, name, role, scopes, hash, create_time, expire_time, revoke_time
         from token
         order by create_time, id",
    )
    .fetch_all(pool)
    .await?;
    Ok(tokens)
}

/// Stores a token, with an event in the audit log.
///
/// # Errors
/// The database fails.
pub async fn create(pool: &PgPool, token: &Token) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    sqlx::query(
        "insert into token (id, name, role, hash, create_time, expire_time, revoke_time, scopes)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(token.id)
    .bind(&token.name)
    .bind(token.role.as_str())
    .bind(token.hash.0.as_slice())
    .bind(token.create_time)
    .bind(token.expire_time)
    .bind(token.revoke_time)
    .bind(token.scopes.as_ref().map(|scopes| scopes.texts().collect::<Vec<_>>()))
    .execute(&mut *tx)
    .await?;
    let names = audit_names(token.id, &token.name);
    let event = audit_event::insert_command(&mut tx, "readout/CreateToken", &names).await?;
    tx.commit().await?;
    event.print();
    Ok(())
}

/// Revokes a token, with an event in the audit log, and returns the time of its revocation. A second call changes
/// nothing, and has no event. `None` for an unknown id.
///
/// # Errors
/// The database fails.
pub async fn revoke(pool: &PgPool, id: Uuid) -> Result<Option<DateTime<Utc>>, StoreError> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    let revoked: Option<(DateTime<Utc>, String)> = sqlx::query_as(
        "update token
         set revoke_time = now()
         where id = $1
           and revoke_time is null
         returning revoke_time, name",
    )
    .bind(id)
    .fetch_optional(&mut *tx)
    .await?;
    let Some((time, name)) = revoked else {
        let former = sqlx::query_scalar("select revoke_time from token where id = $1");
        return Ok(former.bind(id).fetch_optional(&mut *tx).await?);
    };
    let event = audit_event::insert_command(&mut tx, "readout/RevokeToken", &audit_names(id, &name)).await?;
    tx.commit().await?;
    event.print();
    Ok(Some(time))
}

/// The names of a token in the audit log: its principal and its own name.
fn audit_names(id: Uuid, name: &str) -> [String; 2] {
    [format!("token/{name}"), format!("tokens/{id}")]
}

/// Reads a row with all columns of `token`.
impl<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> for Token {
    fn from_row(row: &'r sqlx::postgres::PgRow) -> sqlx::Result<Self> {
        use sqlx::Row;
        let role: String = row.try_get("role")?;
        let hash: Vec<u8> = row.try_get("hash")?;
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            scopes: row.try_get::<Option<Vec<String>>, _>("scopes")?.map(Scopes::of_stored),
            role: role.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            hash: SecretHash(hash.try_into().map_err(|_| sqlx::Error::Decode("a hash has 32 bytes".into()))?),
            create_time: row.try_get("create_time")?,
            expire_time: row.try_get("expire_time")?,
            revoke_time: row.try_get("revoke_time")?,
        })
    }
}
