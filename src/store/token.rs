//! API tokens, of which only hashes are kept.

use std::fmt;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::StoreError;
use crate::model::role::Role;

/// The SHA-256 of a secret.
#[derive(Clone, Copy)]
pub struct SecretHash(pub [u8; 32]);

/// Takes as long for a wrong hash that begins as the right one as for any other.
impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        let differences = self.0.iter().zip(&other.0).fold(0, |found, (one, other)| found | (one ^ other));
        std::hint::black_box(differences) == 0
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(***)")
    }
}

/// An API token as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub name: String,
    /// What that one may do.
    pub role: Role,
    /// Of its secret.
    pub hash: SecretHash,
    /// When it was made.
    pub create_time: DateTime<Utc>,
    /// When it ceases to hold; none: never.
    pub expire_time: Option<DateTime<Utc>>,
    /// When it was revoked; none while it was not.
    pub revoke_time: Option<DateTime<Utc>>,
}

/// All tokens, the oldest first.
pub async fn all(pool: &PgPool) -> Result<Vec<Token>, StoreError> {
    let tokens = sqlx::query_as(
        "select id, name, role, hash, create_time, expire_time, revoke_time
         from token
         order by create_time, id",
    )
    .fetch_all(pool)
    .await?;
    Ok(tokens)
}

/// Keeps a token.
pub async fn create(pool: &PgPool, token: &Token) -> Result<(), StoreError> {
    sqlx::query(
        "insert into token (id, name, role, hash, create_time, expire_time, revoke_time)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(token.id)
    .bind(&token.name)
    .bind(token.role.as_str())
    .bind(token.hash.0.as_slice())
    .bind(token.create_time)
    .bind(token.expire_time)
    .bind(token.revoke_time)
    .execute(pool)
    .await?;
    Ok(())
}

/// Revokes a token, and answers when it was: one that was revoked before keeps its time. None: there is no such token.
pub async fn revoke(pool: &PgPool, id: Uuid) -> Result<Option<DateTime<Utc>>, StoreError> {
    let revoked = sqlx::query_scalar(
        "update token
         set revoke_time = coalesce(revoke_time, now())
         where id = $1
         returning revoke_time",
    )
    .bind(id)
    .fetch_optional(pool)
    .await?;
    Ok(revoked)
}

/// Makes a `Token` of a row with all its columns.
impl<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> for Token {
    fn from_row(row: &'r sqlx::postgres::PgRow) -> sqlx::Result<Self> {
        use sqlx::Row;
        let role: String = row.try_get("role")?;
        let hash: Vec<u8> = row.try_get("hash")?;
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            role: role.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            hash: SecretHash(hash.try_into().map_err(|_| sqlx::Error::Decode("a hash has 32 bytes".into()))?),
            create_time: row.try_get("create_time")?,
            expire_time: row.try_get("expire_time")?,
            revoke_time: row.try_get("revoke_time")?,
        })
    }
}
