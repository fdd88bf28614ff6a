//! The same done to many objects.

use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{Enum, Object};
use serde_json::{Value, json};
use tenantry_shared::Refusal;
use tenantry_shared::objects::{Edit, Managed, Outcome, change_many, delete_many};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::Input;
use crate::problem::ApiResult;

/// What to do with each object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum BatchAction {
    /// Delete it.
    Delete,
    /// Set `field` to `value`; no `value`, or `null`, clears a field that can be cleared.
    ChangeField,
    /// Let the list in `field` be `value`: a list, or one element.
    ChangeM2m,
    /// Add `value` to the list in `field`.
    AddM2m,
    /// Take `value` out of the list in `field`.
    RemoveM2m,
    /// Move it to the folder in `value`.
    ChangeFolder,
}

/// What to do with which objects.
#[derive(Clone, Debug, Object)]
#[oai(rename = "BatchActionIn", deny_unknown_fields)]
pub(crate) struct BatchIn {
    /// What to do with each.
    action: BatchAction,
    /// Up to 1000 ids. One that is named twice is handled once.
    ids: Vec<Uuid>,
    /// The field, for an action that changes one.
    field: Option<String>,
    /// What a change of that field would take.
    value: Option<Any<Value>>,
}

impl Input for BatchIn {}

/// An object that it was done to.
#[derive(Debug, Object)]
#[oai(rename = "BatchActionDone")]
pub(crate) struct SucceededOut {
    /// Its id.
    id: Uuid,
    /// Its name, as it was before.
    name: String,
}

/// An object that it was not done to.
#[derive(Debug, Object)]
#[oai(rename = "BatchActionFailed")]
pub(crate) struct FailedOut {
    /// Its id.
    id: Uuid,
    /// Its name, if you may see it.
    #[oai(skip_serializing_if_is_none)]
    name: Option<String>,
    /// The stable code of the problem that the single call answers.
    code: String,
    /// The problem in a sentence.
    error: String,
}

/// How it went: both lists in the order of the request.
#[derive(Debug, Object)]
#[oai(rename = "BatchActionResult")]
pub(crate) struct BatchOut {
    /// Objects that it was done to.
    succeeded: Vec<SucceededOut>,
    /// Objects that it was not done to, each with the reason. They are as they were.
    failed: Vec<FailedOut>,
}

impl From<Outcome> for BatchOut {
    fn from(outcome: Outcome) -> Self {
        let succeeded = outcome.succeeded.into_iter().map(|done| SucceededOut { id: done.id, name: done.name });
        let failed = outcome.failed.into_iter().map(|failed| FailedOut {
            id: failed.id,
            name: failed.name,
            code: failed.refusal.code.to_owned(),
            error: failed.refusal.detail.into_owned(),
        });
        Self { succeeded: succeeded.collect(), failed: failed.collect() }
    }
}

/// How a list in a body is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    /// This is it now.
    Set,
    /// These, too.
    Add,
    /// Without these.
    Remove,
}

impl How {
    /// The list, meant so.
    pub(crate) fn edit<T>(self, list: Vec<T>) -> Edit<T> {
        match self {
            Self::Set => Edit::Set(list),
            Self::Add => Edit::Add(list),
            Self::Remove => Edit::Remove(list),
        }
    }
}

/// What can be changed many at once, by the body of its `PATCH`.
pub(crate) trait Batched: Managed {
    /// The body.
    type PatchIn: Input;
    /// Fields of it that `change_field` takes.
    const FIELDS: &'static [&'static str];
    /// Lists in it.
    const LISTS: &'static [&'static str] = &[];
    /// The field of it that moves the object.
    const FOLDER: Option<&'static str> = Some("folder");

    /// What the body asks for.
    fn patch(body: Self::PatchIn, lists: How) -> Result<Self::Patch, Refusal>;
}

/// Does it.
pub(crate) async fn batch<T: Batched>(
    app: &App,
    caller: &SignedIn,
    slug: &str,
    body: BatchIn,
) -> ApiResult<Json<BatchOut>> {
    let outcome = if body.action == BatchAction::Delete {
        let (mut tx, by) = app.enter::<T::MayDelete>(caller, slug).await?;
        let outcome = delete_many::<T>(&mut tx, &by, &body.ids).await?;
        tx.commit().await?;
        outcome
    } else {
        let (mut tx, by) = app.enter::<T::MayChange>(caller, slug).await?;
        let patch = read_patch::<T>(&body)?;
        let outcome = change_many::<T>(&mut tx, &by, &body.ids, &patch).await?;
        tx.commit().await?;
        outcome
    };
    Ok(Json(outcome.into()))
}

/// The change as the single call's body would ask for it: what that would refuse to read is refused here.
fn read_patch<T: Batched>(body: &BatchIn) -> ApiResult<T::Patch> {
    let value = body.value.clone().map_or(Value::Null, |value| value.0);
    let named = body.field.as_deref().unwrap_or_default();
    let (fields, how) = match body.action {
        BatchAction::ChangeM2m => (T::LISTS, How::Set),
        BatchAction::AddM2m => (T::LISTS, How::Add),
        BatchAction::RemoveM2m => (T::LISTS, How::Remove),
        BatchAction::ChangeFolder => (T::FOLDER.as_slice(), How::Set),
        BatchAction::ChangeField | BatchAction::Delete => (T::FIELDS, How::Set),
    };
    let field = match (body.action, T::FOLDER) {
        (BatchAction::ChangeFolder, Some(folder)) => folder,
        (BatchAction::ChangeFolder, None) => {
            let detail = "These objects lie in no folder.";
            return Err(Refusal::invalid_field("action", "unknown_action", detail).into());
        }
        _ => fields.iter().find(|field| **field == named).ok_or_else(|| {
            let known = if fields.is_empty() { "none".to_owned() } else { fields.join(", ") };
            Refusal::invalid_field("field", "unknown_field", format!("This action changes one of: {known}."))
        })?,
    };
    let is_list = T::LISTS.contains(&field);
    let value = match value {
        value @ Value::Array(_) => value,
        Value::Null if is_list => json!([]),
        one if is_list => json!([one]),
        value => value,
    };
    Ok(T::patch(T::PatchIn::read(json!({ field: value }))?, how)?)
}
