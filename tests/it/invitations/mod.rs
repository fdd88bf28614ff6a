//! From an administrator's request to a signed-in invitee.

mod accept;
mod batch;
mod create;
mod delivery;
mod links;
mod resend;

use serde_json::Value;

fn path(invitation: &Value) -> String {
    format!("/invitations/{}", invitation["uuid"].as_str().expect("an id"))
}
