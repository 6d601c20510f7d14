//! `readout token`: creates, lists and revokes API tokens.

use anyhow::{Context, Result, bail};
use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use serde_json::json;

use crate::{
    access::api_token::ApiToken,
    config::{CreateToken, ListTokens, Output, RevokeToken},
    database::with_store,
    model::scope::Scopes,
    store::token::{self, Token},
};

/// The hint for a database without the table of tokens.
const MIGRATE: &str = "the database's API tokens cannot be reached; if it is new, `readout migrate` makes the table";

/// Creates a token, and prints it.
///
/// # Errors
/// If the scopes cannot be combined, or the database cannot be opened, or has no table of tokens.
pub async fn create(config: CreateToken) -> Result<()> {
    let scopes = match config.scopes.is_empty() {
        true => None,
        false => Some(Scopes::new(config.scopes).context("--scope cannot be used: no token was created")?),
    };
    let secret = ApiToken::generate()?;
    let create_time = Utc::now().trunc_subsecs(0);
    let token = Token {
        id: secret.id,
        name: config.name,
        role: config.role,
        scopes,
        hash: secret.hash(),
        create_time,
        expire_time: config.expires_in.map(|after| create_time + after),
        revoke_time: None,
    };
    with_store(&config.database, async |store| Ok(token::create(store.feed(), &token).await?))
        .await
        .context(MIGRATE)?;
    println!("{}", secret.reveal());
    let bound = token.scopes.as_ref().map(|scopes| format!(", {scopes}")).unwrap_or_default();
    eprintln!("token {} of {}, {}{bound}; it is not shown again", token.id, token.name, token.role);
    Ok(())
}

/// Prints all tokens, without their secrets.
///
/// # Errors
/// If the database cannot be opened, or has no table of tokens.
pub async fn list(config: ListTokens) -> Result<()> {
    let tokens =
        with_store(&config.database, async |store| Ok(token::all(store.feed()).await?)).await.context(MIGRATE)?;
    match config.output {
        Output::Text => print!("{}", table(&tokens, Utc::now())),
        Output::Json => tokens.iter().for_each(|token| println!("{}", json_of(token, Utc::now()))),
    }
    Ok(())
}

/// Revokes a token, and prints the time of its revocation.
///
/// # Errors
/// If there is no such token, or the database cannot be opened.
pub async fn revoke(config: RevokeToken) -> Result<()> {
    let revoked = with_store(&config.database, async |store| Ok(token::revoke(store.feed(), config.id).await?));
    match revoked.await.context(MIGRATE)? {
        Some(time) => println!("{}: revoked at {}", config.id, text(time)),
        None => bail!("there is no token {}: nothing was revoked", config.id),
    }
    Ok(())
}

/// The state of a token at the time `now`.
fn state(token: &Token, now: DateTime<Utc>) -> &'static str {
    match token {
        Token { revoke_time: Some(_), .. } => "revoked",
        Token { expire_time: Some(time), .. } if *time <= now => "expired",
        _ => "active",
    }
}

fn json_of(token: &Token, now: DateTime<Utc>) -> serde_json::Value {
    json!({
        "id": token.id.to_string(),
        "name": token.name,
        "role": token.role.as_str(),
        "scopes": token.scopes.as_ref().map(|scopes| scopes.texts().collect::<Vec<_>>()).unwrap_or_default(),
        "state": state(token, now),
        "createTime": text(token.create_time),
        "expireTime": token.expire_time.map(text),
        "revokeTime": token.revoke_time.map(text),
    })
}

/// Formats the tokens as aligned columns under a header.
fn table(tokens: &[Token], now: DateTime<Utc>) -> String {
    const HEAD: [&str; 8] = ["ID", "NAME", "ROLE", "STATE", "CREATED", "EXPIRES", "REVOKED", "SCOPES"];
    let or_none = |time: Option<DateTime<Utc>>| time.map_or_else(|| "-".to_owned(), text);
    let row = |token: &Token| {
        let (id, created, state) = (token.id.to_string(), text(token.create_time), state(token, now).to_owned());
        let (expires, revoked) = (or_none(token.expire_time), or_none(token.revoke_time));
        // Only scopes of a later release can have control characters.
        let scopes = token.scopes.as_ref().map_or_else(|| "-".to_owned(), Scopes::to_string);
        let scopes = scopes.replace(char::is_control, "\u{fffd}");
        [id, token.name.clone(), token.role.to_string(), state, created, expires, revoked, scopes]
    };
    let rows: Vec<_> = [HEAD.map(str::to_owned)].into_iter().chain(tokens.iter().map(row)).collect();
    let mut widths = [0; HEAD.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let line = |row: &[String; HEAD.len()]| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::{model::role::Role, store::token::SecretHash};

    #[test]
    fn table_aligns_columns_with_their_names() {
        let now = DateTime::from_timestamp(1_600_000_000, 0).expect("a time");
        let active = Token {
            id: Uuid::nil(),
            name: "pipeline".to_owned(),
            role: Role::Writer,
            scopes: None,
            hash: SecretHash([0; 32]),
            create_time: now,
            expire_time: Some(now + Duration::from_secs(60)),
            revoke_time: None,
        };
        let scopes = ["publisher=The Times", "label:desk=press"].map(|text| text.parse().expect("a scope"));
        let scopes = Some(Scopes::new(scopes.to_vec()).expect("scopes"));
        let expired = Token { name: "a".to_owned(), expire_time: Some(now), scopes, ..active.clone() };
        let revoked = Token { role: Role::Admin, revoke_time: Some(now), ..expired.clone() };
        let written = "\
ID                                    NAME      ROLE    STATE    CREATED               EXPIRES               REVOKED               SCOPES
00000000-0000-0000-0000-000000000000  pipeline  writer  active   2020-09-13T12:26:40Z  2020-09-13T12:27:40Z  -                     -
00000000-0000-0000-0000-000000000000  a         writer  expired  2020-09-13T12:26:40Z  2020-09-13T12:26:40Z  -                     publisher=The Times, label:desk=press
00000000-0000-0000-0000-000000000000  a         admin   revoked  2020-09-13T12:26:40Z  2020-09-13T12:26:40Z  2020-09-13T12:26:40Z  publisher=The Times, label:desk=press
";
        assert_eq!(table(&[active, expired, revoked], now), written);
    }
}
