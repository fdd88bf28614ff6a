//! Making keys, and letting one take the place of another.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde_json::json;
use tenantry_saml::{BadKeyRequest, KeyPair, KeyRequest};
use tokio::sync::Semaphore;

use super::{COLUMNS, FROM, Key, KeyState, open, owner};
use crate::access::{self, Access, ManageSso};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Check, Error, Refusal, Result};
use crate::ids::{OrganizationId, SamlKeyId};
use crate::page::{Page, PageRequest, Query};
use crate::seal::{Sealed, Seals};

/// Three years: long enough to be forgotten, so administrators are told before it ends.
const DAYS: i64 = 1_095;
const KEY_SIZE: i64 = 3_072;
/// Longest common name (RFC 5280, ub-common-name).
const LONGEST_NAME: usize = 64;

/// A checked request for a key.
#[derive(Clone, Debug)]
pub struct NewKey {
    common_name: String,
    days: u32,
    key_size: u32,
}

impl NewKey {
    /// Checks the input. A certificate that is given no name is called like the organization's slug.
    pub fn check(
        common_name: Option<&str>,
        days: Option<i64>,
        key_size: Option<i64>,
        slug: &str,
    ) -> Result<Self, Refusal> {
        let mut check = Check::default();
        let short: String = slug.chars().take(LONGEST_NAME).collect();
        let common_name = common_name.map_or(short.as_str(), str::trim);
        let length = common_name.chars().count();
        check.that(length >= 1, "common_name", "required", "A certificate's name has 1 to 64 characters.");
        check.that(length <= LONGEST_NAME, "common_name", "too_long", "A certificate's name has 1 to 64 characters.");
        let is_line = !common_name.chars().any(char::is_control);
        check.that(is_line, "common_name", "invalid", "A certificate's name is one line of text.");
        let (days, key_size) = (days.unwrap_or(DAYS), key_size.unwrap_or(KEY_SIZE));
        let message = "A certificate is valid for 365 to 3650 days.";
        check.that((365..=3_650).contains(&days), "days", "out_of_range", message);
        let is_known = matches!(key_size, 2_048 | 3_072 | 4_096);
        check.that(is_known, "key_size", "out_of_range", "A key has 2048, 3072 or 4096 bits.");
        check.done()?;
        let number = |n: i64| u32::try_from(n).unwrap_or(0);
        Ok(Self { common_name: common_name.to_owned(), days: number(days), key_size: number(key_size) })
    }
}

/// Makes keys off the async threads, one at a time: it takes a processor for a second or more.
#[derive(Clone, Debug)]
pub struct KeyMaker(Arc<Semaphore>);

impl Default for KeyMaker {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl KeyMaker {
    /// A new key and its certificate.
    pub async fn make(&self, new: NewKey, now: DateTime<Utc>) -> Result<KeyPair> {
        let internal = |e: &dyn std::fmt::Display| Error::Internal(format!("making a key: {e}"));
        let place = Arc::clone(&self.0).acquire_owned().await.map_err(|e| internal(&e))?;
        let work = move || {
            let _place = place;
            let NewKey { common_name, days, key_size } = &new;
            KeyPair::generate(&KeyRequest { common_name, days: *days, key_size: *key_size, now })
        };
        let made = tokio::task::spawn_blocking(work).await.map_err(|e| internal(&e))?;
        made.map_err(|error| match error {
            BadKeyRequest::CommonName => {
                Refusal::invalid_field("common_name", "invalid", "This can't be a certificate's name.").into()
            }
            other => internal(&other),
        })
    }
}

fn next_is_there() -> Refusal {
    let detail = "There is a next key already: activate it, or delete it, before you make another one.";
    Refusal::conflict("next_key_exists", detail)
}

/// The state that a new key would have: of the first one, active; of another, next.
///
/// Errors: 409 `next_key_exists`.
pub async fn room_for_key(tx: &mut Tx, _by: &Access<ManageSso>) -> Result<KeyState> {
    let states = sqlx::query_scalar!(
        "select state from saml_keys where organization_id = $1",
        tx.organization_id() as OrganizationId
    )
    .fetch_all(tx.connection())
    .await?;
    let has = |state: KeyState| states.iter().any(|name| name == state.name());
    if !has(KeyState::Active) {
        Ok(KeyState::Active)
    } else if !has(KeyState::Next) {
        Ok(KeyState::Next)
    } else {
        Err(next_is_there().into())
    }
}

/// Stores a key that was made: as the active one if it is the first, else as the next.
///
/// Errors: 409 `next_key_exists`.
pub async fn add_key(tx: &mut Tx, by: &Access<ManageSso>, seals: &Seals, pair: &KeyPair) -> Result<Key> {
    access::lock(tx).await?;
    let state = room_for_key(tx, by).await?;
    let id: SamlKeyId = tx.new_id();
    let secret = pair.private_key.to_der().map_err(|e| Error::Internal(e.to_string()))?;
    let Sealed { bytes, key_id } = seals.seal(secret.expose_secret(), &owner(tx.tenant(), id))?;
    let certificate = &pair.certificate;
    sqlx::query!(
        "insert into saml_keys (organization_id, id, state, certificate, fingerprint, not_before, not_after, sealed, key_id,
             created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        tx.organization_id() as OrganizationId,
        id as SamlKeyId,
        state.name(),
        certificate.der(),
        certificate.fingerprint(),
        certificate.not_before(),
        certificate.not_after(),
        bytes,
        key_id,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    let key = load(tx, id).await?;
    note(tx, "saml_key.created", &key).await?;
    Ok(key)
}

/// The organization's keys, newest first.
pub async fn list_keys(tx: &mut Tx, _by: &Access<ManageSso>, page: &PageRequest) -> Result<Page<Key>> {
    let mut query = Query::new(COLUMNS, FROM, "k.organization_id", tx);
    query.search(&["k.fingerprint", "k.state"], page.search.as_deref());
    query.fetch(tx, page).await
}

/// One of them; the active one, if it is not said which.
pub async fn get_key(tx: &mut Tx, _by: &Access<ManageSso>, id: Option<SamlKeyId>) -> Result<Key> {
    match id {
        Some(id) => load(tx, id).await,
        None => find_in(tx, KeyState::Active).await?.ok_or_else(|| Refusal::not_found().into()),
    }
}

async fn load(tx: &mut Tx, id: SamlKeyId) -> Result<Key> {
    let mut query = Query::new(COLUMNS, FROM, "k.organization_id", tx);
    query.equals("k.id", Some(id));
    query.find(tx).await?.ok_or_else(|| Refusal::not_found().into())
}

async fn find_in(tx: &mut Tx, state: KeyState) -> Result<Option<Key>> {
    let mut query = Query::new(COLUMNS, FROM, "k.organization_id", tx);
    query.equals("k.state", Some(state.name()));
    query.find(tx).await
}

/// Lets the next key take the place of the active one, which still opens what was encrypted for it until it is deleted or
/// another one takes its place.
///
/// Errors: 409 `key_not_next`; `saml_key_unreadable`, also of the key that it would take the place of.
pub async fn activate_key(tx: &mut Tx, _by: &Access<ManageSso>, seals: &Seals, id: SamlKeyId) -> Result<Key> {
    access::lock(tx).await?;
    let key = load(tx, id).await?;
    if key.state != KeyState::Next.name() {
        return Err(Refusal::conflict("key_not_next", "Only the next key can be activated.").into());
    }
    demand_readable(tx, seals, id).await?;
    // What can't be read with the server key of now may be all that one with another key has: it goes by no side effect.
    if let Some(previous) = find_in(tx, KeyState::Previous).await? {
        demand_readable(tx, seals, previous.id.into()).await?;
    }
    remove(tx, KeyState::Previous).await?;
    turn(tx, KeyState::Active, KeyState::Previous).await?;
    turn(tx, KeyState::Next, KeyState::Active).await?;
    note(tx, "saml_key.activated", &key).await?;
    load(tx, id).await
}

async fn demand_readable(tx: &mut Tx, seals: &Seals, id: SamlKeyId) -> Result<()> {
    let row = sqlx::query!(
        "select sealed, key_id from saml_keys where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as SamlKeyId
    )
    .fetch_one(tx.connection())
    .await?;
    open(seals, tx.tenant(), id, &Sealed { bytes: row.sealed, key_id: row.key_id }).map(drop)
}

async fn remove(tx: &mut Tx, state: KeyState) -> Result<()> {
    sqlx::query!(
        "delete from saml_keys where organization_id = $1 and state = $2",
        tx.organization_id() as OrganizationId,
        state.name()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

async fn turn(tx: &mut Tx, from: KeyState, to: KeyState) -> Result<()> {
    sqlx::query!(
        "update saml_keys set state = $3 where organization_id = $1 and state = $2",
        tx.organization_id() as OrganizationId,
        from.name(),
        to.name()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Deletes a key. The active one only where nothing depends on it.
///
/// Errors: 409 `key_in_use`.
pub async fn delete_key(tx: &mut Tx, _by: &Access<ManageSso>, id: SamlKeyId) -> Result<()> {
    access::lock(tx).await?;
    let key = load(tx, id).await?;
    if key.state == KeyState::Active.name() && is_needed(tx).await? {
        let detail = "This key is in use: activate the next one before you delete it.";
        return Err(Refusal::conflict("key_in_use", detail).into());
    }
    sqlx::query!(
        "delete from saml_keys where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as SamlKeyId
    )
    .execute(tx.connection())
    .await?;
    note(tx, "saml_key.deleted", &key).await
}

/// Whether there is a connection, or another key that waits for its turn.
async fn is_needed(tx: &mut Tx) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from saml_connections where organization_id = $1)
               or exists (select from saml_keys where organization_id = $1 and state = 'next') as "needed!""#,
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?)
}

async fn note(tx: &mut Tx, action: &'static str, key: &Key) -> Result<()> {
    let details = json!({ "state": key.state, "not_after": key.not_after });
    tx.audit(Event::new(action, "saml_key", key.id, &key.fingerprint).with(details)).await
}
