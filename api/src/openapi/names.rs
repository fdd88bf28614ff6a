//! What a generated client calls things. A generator makes a type of each schema that has a name, and invents names for the
//! others, one for each field: so what several fields share is said once, by a name, and in the words that generators know.

use serde_json::{Map, Value, json};
use tenantry_shared::access::Permission;
use tenantry_shared::roles::BuiltinRole;

/// A JSON object whose members are not ours to name.
pub(super) const JSON_OBJECT: &str = "JsonObject";
/// What a permission is called in requests. Answers have plain texts, for a later release may know more of them.
pub(super) const PERMISSION_NAME: &str = "PermissionName";
/// What a built-in role is called in requests.
pub(super) const BUILTIN_ROLE: &str = "BuiltinRole";

/// Fields of answers that are JSON objects, where the handler's type only says "anything".
const OBJECTS: [(&str, &str); 6] = [
    ("AuditEvent", "details"),
    ("CurrentUser", "profile"),
    ("EnterpriseBinding", "data"),
    ("User", "profile"),
    ("UserInfo", "profile"),
    ("UserObject", "profile"),
];

/// A schema that stands elsewhere, by its name; what stands beside it here, as a description, is heeded.
pub(super) fn by_name(name: &str) -> Value {
    json!({ "allOf": [reference(name)] })
}

/// The same for the items of a list.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Adds the schemas that no handler's type stands for.
pub(super) fn add_shared(document: &mut Value) {
    let permissions = Permission::ALL.iter().map(|permission| permission.codename()).collect::<Vec<_>>();
    let roles = BuiltinRole::ALL.map(BuiltinRole::name);
    let schemas = &mut document["components"]["schemas"];
    schemas[PERMISSION_NAME] =
        json!({ "type": "string", "description": "The code name of a permission.", "enum": permissions });
    schemas[BUILTIN_ROLE] = json!({ "type": "string", "description": "The name of a built-in role.", "enum": roles });
    schemas[JSON_OBJECT] =
        json!({ "type": "object", "description": "A JSON object with any members.", "additionalProperties": true });
    for (schema, field) in OBJECTS {
        if let Some(property) = schemas[schema]["properties"][field].as_object_mut() {
            property.extend(by_name(JSON_OBJECT).as_object().cloned().unwrap_or_default());
        }
    }
}

/// Puts what the framework says in its own way as generators expect it, everywhere.
pub(super) fn say_as_others_do(value: &mut Value) {
    match value {
        Value::Object(members) => {
            *members = std::mem::take(members).into_iter().map(|(name, value)| (name_of(&name), value)).collect();
            tidy(members);
            members.values_mut().for_each(say_as_others_do);
        }
        Value::Array(values) => values.iter_mut().for_each(say_as_others_do),
        _ => {}
    }
}

/// Media types, headers and the envelopes of lists.
fn name_of(name: &str) -> String {
    match name {
        // JSON has no parameter of that name (RFC 8259), and some generators look for just this type.
        "application/json; charset=utf-8" => "application/json".to_owned(),
        "ETAG" => "ETag".to_owned(),
        "LOCATION" => "Location".to_owned(),
        "CONTENT-DISPOSITION" => "Content-Disposition".to_owned(),
        _ => of_list(name).unwrap_or_else(|| name.to_owned()),
    }
}

/// `InvitationList` for `List_Invitation`, also at the end of a reference.
fn of_list(name: &str) -> Option<String> {
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    name[start..].strip_prefix("List_").map(|of| format!("{}{of}List", &name[..start]))
}

fn tidy(members: &mut Map<String, Value>) {
    if members.get("format").is_some_and(|format| format == "naive-date") {
        members.insert("format".into(), json!("date"));
    }
    for name in ["title", "$ref"] {
        let list = members.get(name).and_then(Value::as_str).and_then(of_list);
        if let Some(list) = list {
            members.insert(name.to_owned(), list.into());
        }
    }
    // Beside a reference the framework repeats the description as a schema of its own: a type of anything, to a generator.
    if let Some(Value::Array(parts)) = members.get_mut("allOf") {
        parts.retain(|part| part["$ref"].is_string());
    }
}
