//! Limits of the fields of requests, as the rules in `shared` have them. A handler's types don't know them: a body that breaks
//! a limit is answered field by field, by the rule.

use serde_json::{Value, json};
use tenantry_shared::access::{MAX_CHECKS, Permission};
use tenantry_shared::role_assignments::MAX_PERIMETER;

/// What a field takes beyond its type.
fn limits(schema: &str, field: &str) -> Option<Value> {
    Some(match (schema, field) {
        (_, "email" | "admin_email" | "invitee_identifier" | "team_email") => {
            json!({ "format": "email", "maxLength": 254 })
        }
        ("LoginIn", _) | ("TotpIn", "password") => return None,
        (_, "username") => json!({ "minLength": 1, "maxLength": 254, "pattern": "^[^\\s\\x00-\\x1f\\x7f]+$" }),
        (_, "first_name" | "last_name") => json!({ "maxLength": 150 }),
        // An organization that demands a second factor may go down to 8; others refuse what is shorter than 15.
        (_, "password" | "new_password" | "confirm_new_password") => json!({ "minLength": 8, "maxLength": 128 }),
        (_, "profile") => json!({ "type": "object" }),
        (_, "observation") => json!({ "maxLength": 4000 }),
        (_, "slug") => json!({ "maxLength": 200, "pattern": "^[-a-zA-Z0-9_]+$" }),
        ("BatchActionIn", "ids") => json!({ "maxItems": 1000 }),
        (_, "description") => json!({ "maxLength": 4000 }),
        ("NewOrganizationIn" | "FolderIn" | "FolderPatchIn" | "UserGroupIn" | "UserGroupPatchIn", "name") => {
            json!({ "minLength": 1, "maxLength": 200 })
        }
        (
            "RoleIn" | "RolePatchIn" | "RoleAssignmentIn" | "RoleAssignmentPatchIn" | "TeamIn" | "TeamPatchIn",
            "name",
        ) => {
            json!({ "minLength": 1, "maxLength": 200 })
        }
        ("TeamIn" | "TeamPatchIn", "deputies" | "members") => json!({ "maxItems": 1000 }),
        ("InvitationIn", "user_groups" | "teams") => json!({ "maxItems": 100 }),
        ("RoleIn" | "RolePatchIn", "permissions") => json!({ "items": { "type": "string", "enum": codenames() } }),
        ("RoleAssignmentIn" | "RoleAssignmentPatchIn", "perimeter_folders") => {
            json!({ "minItems": 1, "maxItems": MAX_PERIMETER })
        }
        ("ChecksIn", "checks") => json!({ "maxItems": MAX_CHECKS }),
        ("CheckIn", "permission") => json!({ "enum": codenames() }),
        ("InvitationIn", "message") => json!({ "maxLength": 1000 }),
        ("InvitationIn", "valid_for") => json!({ "minimum": 3600, "maximum": 7_776_000 }),
        ("EmailSuppressionIn", "address") => json!({ "format": "email", "maxLength": 254 }),
        ("EmailSuppressionIn", "detail") => json!({ "maxLength": 500 }),
        ("AuthTokenIn", "name") => json!({ "minLength": 1, "maxLength": 200 }),
        ("AuthTokenIn", "expiry") => json!({ "minimum": 1, "maximum": 3650 }),
        ("AuthTokenIn", "permissions") => {
            let known: Vec<_> = Permission::ALL.iter().map(|permission| permission.codename()).collect();
            json!({ "items": { "type": "string", "enum": known } })
        }
        ("SettingsPatchIn", "invitation_validity") => json!({ "minimum": 3600, "maximum": 7_776_000 }),
        ("SettingsPatchIn", "token_max_days") => json!({ "minimum": 1, "maximum": 3650 }),
        ("SettingsPatchIn", "password_min_length") => json!({ "minimum": 8, "maximum": 128 }),
        ("SettingsPatchIn", "locale") => {
            json!({ "maxLength": 35, "pattern": "^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{1,8})*$" })
        }
        ("ResendManyIn", "older_than") => json!({ "minimum": 0, "maximum": 7_776_000 }),
        ("ResendManyIn", "status") => json!({ "enum": ["pending"] }),
        _ => return None,
    })
}

fn codenames() -> Vec<&'static str> {
    Permission::ALL.iter().map(|permission| permission.codename()).collect()
}

/// A request that does something, for whoever tries the API.
fn example(schema: &str) -> Option<Value> {
    Some(match schema {
        "InvitationIn" => json!({ "invitee_identifier": "bob@example.com", "role": "reader", "message": "Welcome!" }),
        "UserIn" => json!({ "email": "carol@example.com", "first_name": "Carol", "last_name": "Jones" }),
        "UserPatchIn" => json!({ "first_name": "Caroline" }),
        "FolderIn" => json!({ "name": "Production", "description": "What customers use." }),
        "FolderPatchIn" => json!({ "name": "Staging" }),
        "UserGroupIn" => json!({ "name": "Security officers" }),
        "UserGroupPatchIn" => json!({ "description": "They are called at night." }),
        "BatchActionIn" => json!({ "action": "delete", "ids": [] }),
        "RoleIn" => json!({ "name": "Reception", "permissions": ["view_user", "invite_user"] }),
        "RolePatchIn" => json!({ "permissions": ["view_user", "view_user_group"] }),
        "RoleAssignmentPatchIn" => json!({ "description": "While he is on leave." }),
        "ChecksIn" => json!({ "checks": [{ "permission": "invite_user" }] }),
        "TeamIn" => json!({ "name": "Incident response", "team_email": "incidents@example.com" }),
        "TeamPatchIn" => json!({ "description": "They are called first." }),
        "NewOrganizationIn" => json!({ "name": "Example", "slug": "example", "admin_email": "dave@example.com" }),
        "ResendManyIn" => json!({ "status": "pending" }),
        "AuthTokenIn" => json!({ "name": "nightly export", "expiry": 30, "permissions": ["view_user"] }),
        "SettingsPatchIn" => json!({ "token_max_days": 90 }),
        "EmailSuppressionIn" => json!({ "address": "bob@example.com", "detail": "He asked us to stop." }),
        _ => return None,
    })
}

/// Adds limits and an example to the schema of a request.
pub(super) fn describe(name: &str, schema: &mut Value) {
    if let Some(example) = example(name) {
        schema["example"] = example;
    }
    let Some(properties) = schema["properties"].as_object_mut() else { return };
    for (field, property) in properties {
        if let (Some(Value::Object(limits)), Some(property)) = (limits(name, field), property.as_object_mut()) {
            // A reference to an enumeration gives way to the values that are taken here.
            if property.remove("$ref").is_some() || property.remove("allOf").is_some() {
                property.insert("type".into(), json!("string"));
            }
            property.extend(limits);
        }
    }
}
