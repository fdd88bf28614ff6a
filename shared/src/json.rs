//! JSON objects that callers fill as they like: a user's profile, his preferences.

use serde_json::{Value, json};

use crate::error::Check;

/// RFC 7396: `null` removes a member, an object is merged, anything else replaces.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(members) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// An object of at most 16 KiB.
pub(crate) fn check_object(check: &mut Check, field: &'static str, value: &Value) {
    let text = value.to_string();
    check.that(value.is_object(), field, "invalid", "This is a JSON object.");
    check.that(text.len() <= 16 * 1024, field, "too_long", "This has at most 16 KiB.");
    check.that(!text.contains("\\u0000"), field, "invalid", "This has no NUL characters.");
}
