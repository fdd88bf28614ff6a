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
    check_object_of(check, field, value, 16 * 1024);
}

/// An object of at most so many bytes, which are whole KiB.
pub(crate) fn check_object_of(check: &mut Check, field: &'static str, value: &Value, longest: usize) {
    let text = value.to_string();
    check.that(value.is_object(), field, "invalid", "This is a JSON object.");
    check.that(text.len() <= longest, field, "too_long", format!("This has at most {} KiB.", longest / 1024));
    check.that(!text.contains("\\u0000"), field, "invalid", "This has no NUL characters.");
}
