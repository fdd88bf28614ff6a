//! A word before a certificate ends.

use harness::{Caller, TestApp, days};
use serde_json::{Value, json};
use tenantry_shared::schedules::Schedule;

use crate::saml_connections::connect;

async fn notify(app: &TestApp) -> i64 {
    let handled = app.run_schedule(Schedule::NotifyExpiringCertificates).await.objects;
    app.settle().await;
    handled
}

async fn mails(admin: &Caller) -> Vec<(Value, Value)> {
    let list = admin.again().await.get("/emails?kind=certificate_expiring&ordering=to_address").await.ok();
    let list = list["results"].as_array().expect("mails");
    list.iter().map(|mail| (mail["to"].clone(), mail["status"].clone())).collect()
}

/// A certificate that ends in a year.
async fn year_long(app: &TestApp, slug: &str) -> Value {
    let other = app.organization(slug).administrator().await;
    other.post("/saml/keys", json!({ "key_size": 2048, "days": 365 })).await.created()["cert"].clone()
}

#[tokio::test]
async fn those_who_manage_single_sign_on_are_told_30_14_7_and_1_days_before_our_certificate_ends() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.member("second@example.com", "administrator").await;
    admin.member("reader@example.com", "reader").await;
    admin.post("/saml/keys", json!({ "key_size": 2048, "days": 365 })).await.created();
    assert_eq!(notify(&app).await, 0);
    app.clock.advance(days(334));
    assert_eq!(notify(&app).await, 0);
    for (further, told) in [(1, 1), (1, 0), (15, 1), (6, 0), (1, 1), (6, 1), (2, 0)] {
        app.clock.advance(days(further));
        assert_eq!(notify(&app).await, told, "after {further} days more");
        assert_eq!(notify(&app).await, 0, "once");
    }
    let mails = mails(&admin).await;
    let to = |address: &str| mails.iter().filter(|mail| **mail == (json!(address), json!("sent"))).count();
    assert_eq!((mails.len(), to("admin@acme.example"), to("second@example.com")), (8, 4, 4));
    let mail = app.mailbox().last_to("second@example.com").await;
    assert!(mail.subject().contains("a certificate ends on"), "{}", mail.subject());
    app.finish().await;
}

#[tokio::test]
async fn a_providers_certificate_is_told_of_while_there_is_no_newer_one() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let ending = year_long(&app, "globex").await;
    let one = connect(&admin, json!({ "name": "Acme Okta", "certificates": [ending] })).await;
    let renewed =
        json!({ "entity_id": "https://two.example.com", "certificates": [ending, crate::saml_connections::ONE] });
    connect(&admin, renewed).await;
    let off = json!({ "entity_id": "https://three.example.com", "certificates": [ending], "is_active": false });
    connect(&admin, off).await;
    app.database().execute("delete from saml_keys").await;
    app.clock.advance(days(340));
    assert_eq!(notify(&app).await, 1, "of the one alone");
    let mail = app.mailbox().last_to("admin@acme.example").await;
    assert!(mail.text().contains("Acme Okta"), "{}", mail.text());
    let again = admin.again().await;
    again
        .patch(&crate::saml_connections::path(&one), json!({ "certificates": [crate::saml_connections::TWO] }))
        .await
        .ok();
    app.clock.advance(days(20));
    assert_eq!(notify(&app).await, 0, "it has a new one");
    app.finish().await;
}

#[tokio::test]
async fn what_is_left_of_sign_ins_is_deleted_in_time() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let connection = connect(&admin, json!({})).await;
    let id = connection["id"].as_str().expect("an id");
    let fill = format!(
        "insert into saml_requests (organization_id, id, connection_id, purpose, relay_state, browser_digest, return_to, created_at, expires_at)
             select organization_id, n::text, id, 'sign_in', n::text, '', '/', now(), now() + n * interval '1 day' from saml_connections, unnest(array[-1, 1]) n;
         insert into saml_messages (organization_id, connection_id, digest, expires_at)
             select organization_id, id, n::text::bytea, now() + n * interval '1 day' from saml_connections, unnest(array[-1, 1]) n;
         insert into saml_events (organization_id, id, created_at, kind, outcome, connection_id)
             select organization_id, gen_random_uuid(), now() - n * interval '1 day', 'sign_in', 'refused', '{id}' from saml_connections, unnest(array[29, 31]) n"
    );
    for statement in fill.split(';') {
        app.database().execute(statement).await;
    }
    assert_eq!(admin.get("/saml/events").await.ok()["count"], 2);
    assert_eq!(app.run_schedule(Schedule::PurgeSaml).await.objects, 3);
    assert_eq!(admin.get(&format!("/saml/events?connection={id}&outcome=refused&kind=sign_in")).await.ok()["count"], 1);
    assert_eq!(admin.get("/saml/events?outcome=accepted").await.ok()["count"], 0);
    assert_eq!(app.run_schedule(Schedule::PurgeSaml).await.objects, 0);
    app.finish().await;
}
