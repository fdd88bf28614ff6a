//! Limits of the fields of requests, as the rules in `shared` have them. A handler's types don't know them: a body that breaks
//! a limit is answered field by field, by the rule.

use serde_json::{Value, json};
use tenantry_shared::access::MAX_CHECKS;
use tenantry_shared::role_assignments::MAX_PERIMETER;
use tenantry_shared::saml::LARGEST_METADATA;
use tenantry_shared::usage::{MAX_INCREMENT, MAX_LIMIT};

use super::names::{BUILTIN_ROLE, JSON_OBJECT, PERMISSION_NAME, by_name, reference};

/// What a field takes beyond its type.
fn limits(schema: &str, field: &str) -> Option<Value> {
    Some(match (schema, field) {
        ("SamlAttributeMappingIn", _) => json!({ "minLength": 1, "maxLength": 255 }),
        (_, "email" | "admin_email" | "invitee_identifier" | "team_email") => {
            json!({ "format": "email", "maxLength": 254 })
        }
        ("LoginIn", _) | ("TotpIn", "password") => return None,
        (_, "username") => json!({ "minLength": 1, "maxLength": 254, "pattern": "^[^\\s\\x00-\\x1f\\x7f]+$" }),
        (_, "first_name" | "last_name") => json!({ "maxLength": 150 }),
        // An organization that demands a second factor may go down to 8; others refuse what is shorter than 15.
        (_, "password" | "new_password" | "confirm_new_password") => json!({ "minLength": 8, "maxLength": 128 }),
        (_, "profile") => by_name(JSON_OBJECT),
        (_, "observation") => json!({ "maxLength": 4000 }),
        (_, "slug") => json!({ "maxLength": 200, "pattern": "^[-a-zA-Z0-9_]+$" }),
        ("BatchActionIn", "ids") => json!({ "maxItems": 1000 }),
        (_, "description") => json!({ "maxLength": 4000 }),
        (
            "NewOrganizationIn"
            | "OrganizationIn"
            | "OrganizationPatchIn"
            | "FolderIn"
            | "FolderPatchIn"
            | "UserGroupIn"
            | "UserGroupPatchIn",
            "name",
        ) => {
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
        ("RoleIn" | "RolePatchIn" | "AuthTokenIn", "permissions") => json!({ "items": reference(PERMISSION_NAME) }),
        ("RoleAssignmentIn" | "RoleAssignmentPatchIn", "perimeter_folders") => {
            json!({ "minItems": 1, "maxItems": MAX_PERIMETER })
        }
        ("PermissionChecksIn", "checks") => json!({ "maxItems": MAX_CHECKS }),
        ("PermissionCheckIn", "permission") => by_name(PERMISSION_NAME),
        ("InvitationIn", "role") => by_name(BUILTIN_ROLE),
        ("InvitationIn", "message") => json!({ "maxLength": 1000 }),
        ("InvitationIn", "valid_for") => json!({ "minimum": 3600, "maximum": 7_776_000 }),
        ("EmailSuppressionIn", "address") => json!({ "format": "email", "maxLength": 254 }),
        ("EmailSuppressionIn", "detail") => json!({ "maxLength": 500 }),
        ("AuthTokenIn", "name") => json!({ "minLength": 1, "maxLength": 200 }),
        ("AuthTokenIn", "expiry") => json!({ "minimum": 1, "maximum": 3650 }),
        ("EmailDomainIn", "domain") => json!({ "minLength": 3, "maxLength": 230 }),
        ("SettingsPatchIn", "invitation_validity") => json!({ "minimum": 3600, "maximum": 7_776_000 }),
        ("SettingsPatchIn", "token_max_days") => json!({ "minimum": 1, "maximum": 3650 }),
        ("SettingsPatchIn", "password_min_length") => json!({ "minimum": 8, "maximum": 128 }),
        ("SettingsPatchIn", "locale") => {
            json!({ "maxLength": 35, "pattern": "^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{1,8})*$" })
        }
        ("BrandingPatchIn", "name") => json!({ "minLength": 1, "maxLength": 200 }),
        ("BrandingPatchIn", "color") => json!({ "pattern": "^#[0-9a-fA-F]{6}$" }),
        ("BrandingPatchIn", "reply_to") => json!({ "format": "email", "maxLength": 254 }),
        ("SamlKeyIn", "common_name") => json!({ "minLength": 1, "maxLength": 64 }),
        ("SamlKeyIn", "days") => json!({ "minimum": 365, "maximum": 3650 }),
        ("SamlKeyIn", "key_size") => json!({ "enum": [2048, 3072, 4096] }),
        ("SamlConnectionIn" | "SamlConnectionPatchIn" | "SamlMappedGroupIn", field) => {
            return of_connection(field);
        }
        ("UsageIn", "usage") => json!({ "minimum": 1, "maximum": MAX_INCREMENT }),
        ("UsageLimitIn", "limit") => json!({ "minimum": 0, "maximum": MAX_LIMIT }),
        ("EnterpriseBindingIn", "id" | "name") => json!({ "minLength": 1, "maxLength": 200 }),
        ("EnterpriseBindingIn", "data") => by_name(JSON_OBJECT),
        ("ResendInvitationsIn", "older_than") => json!({ "minimum": 0, "maximum": 7_776_000 }),
        ("ResendInvitationsIn", "status") => json!({ "enum": ["pending"] }),
        _ => return None,
    })
}

/// Limits of what is said of an identity provider.
fn of_connection(field: &str) -> Option<Value> {
    Some(match field {
        "name" => json!({ "minLength": 1, "maxLength": 200 }),
        "metadata_xml" => json!({ "maxLength": LARGEST_METADATA }),
        "metadata_url" | "sso_url" | "slo_url" | "slo_response_url" => json!({ "format": "uri", "maxLength": 2048 }),
        "entity_id" => json!({ "maxLength": 1024, "pattern": "^[^\\s\\x00-\\x1f\\x7f]*$" }),
        "certificates" => json!({ "maxItems": 10 }),
        "name_id_format" => json!({ "minLength": 1, "maxLength": 255 }),
        "domains" => json!({ "maxItems": 100, "items": { "type": "string", "maxLength": 253 } }),
        "role" | "default_role" => by_name(BUILTIN_ROLE),
        "group_mapping" => json!({ "maxItems": 500 }),
        "directory_group" => json!({ "minLength": 1, "maxLength": 500 }),
        _ => return None,
    })
}

/// A certificate of nobody's: its key was thrown away.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n\
    MIIBjDCCATGgAwIBAgIUB2R61vcjk3kGmRkdRJWIT3GcXNkwCgYIKoZIzj0EAwIw\n\
    GjEYMBYGA1UEAwwPaWRwLmV4YW1wbGUuY29tMCAXDTI2MTEyMjEyNTAxOFoYDzIx\n\
    MjYxMDI5MTI1MDE4WjAaMRgwFgYDVQQDDA9pZHAuZXhhbXBsZS5jb20wWTATBgcq\n\
    hkjOPQIBBggqhkjOPQMBBwNCAATq/PU4aOpiE6ecBEZI3Rek8SYPD7Y9C7CpHZ1c\n\
    lf0Tg/46NuMgEeyIh+R2YWy4SgEWyCcGoLaql3JNJ1dZ/oI0o1MwUTAdBgNVHQ4E\n\
    FgQUuhTDmrrXPjZpGm7kdgyGtPQLGP8wHwYDVR0jBBgwFoAUuhTDmrrXPjZpGm7k\n\
    dgyGtPQLGP8wDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAyT8R\n\
    c7MSG4+fy/fbtg59CfTZYEkFSO2/BZfHsBkHF9YCIQCdtrO5CLVIQ4F3JY9wlFjh\n\
    8rZZZGT5n0b2Woc1vFWhtA==\n\
    -----END CERTIFICATE-----\n";

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
        "PermissionChecksIn" => json!({ "checks": [{ "permission": "invite_user" }] }),
        "TeamIn" => json!({ "name": "Incident response", "team_email": "incidents@example.com" }),
        "TeamPatchIn" => json!({ "description": "They are called first." }),
        "NewOrganizationIn" => json!({ "name": "Example", "slug": "example", "admin_email": "dave@example.com" }),
        "OrganizationIn" | "OrganizationPatchIn" => json!({ "name": "Example Ltd." }),
        "UsageIn" => json!({ "usage": 3 }),
        "UsageLimitIn" => json!({ "limit": 50_000 }),
        "EnterpriseBindingIn" => json!({ "id": "LC03x7yz", "name": "Example Enterprise", "data": { "region": "eu" } }),
        "AnalystConsentPatchIn" => json!({ "consent_given": true }),
        "ResendInvitationsIn" => json!({ "status": "pending" }),
        "AuthTokenIn" => json!({ "name": "nightly export", "expiry": 30, "permissions": ["view_user"] }),
        "SettingsPatchIn" => json!({ "token_max_days": 90 }),
        "SamlKeyIn" => json!({ "common_name": "acme", "key_size": 2048 }),
        "SamlConnectionIn" => json!({
            "name": "Acme Entra ID", "entity_id": "https://idp.example.com/metadata", "sso_url": "https://idp.example.com/sso",
            "certificates": [CERTIFICATE], "domains": ["acme.example"], "jit_provisioning": true, "default_role": "reader"
        }),
        "SamlConnectionPatchIn" => json!({ "name": "Acme Okta" }),
        "EmailDomainIn" => json!({ "domain": "acme.example" }),
        "LoginUrlIn" => json!({ "email": "bob@acme.example" }),
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
        let Some(property) = property.as_object_mut() else { continue };
        // What is not sent is filled in here. A generator would have programs send it, or even demand that they do.
        property.remove("default");
        if let Some(Value::Object(limits)) = limits(name, field) {
            // A reference to an enumeration gives way to the values that are taken here.
            if property.remove("$ref").is_some() || property.remove("allOf").is_some() {
                property.insert("type".into(), json!("string"));
            }
            if limits.contains_key("allOf") {
                property.remove("type");
            }
            property.extend(limits);
        }
    }
}
