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
    check.that(numbers_keep(value), field, "out_of_range", "Numbers here are below 1e300.");
}

/// Postgres writes a number out digit by digit, and one near the end of what a float holds can't be read back from that.
fn numbers_keep(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_none_or(|number| number.abs() < 1e300),
        Value::Array(items) => items.iter().all(numbers_keep),
        Value::Object(members) => members.values().all(numbers_keep),
        _ => true,
    }
}
