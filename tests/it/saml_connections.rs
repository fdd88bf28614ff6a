//! Connections to identity providers, told by fields.

use harness::{Caller, TestApp};
use serde_json::{Value, json};

/// Of two identity providers; their keys were thrown away.
pub(crate) const ONE: &str = include_str!("certificates/one.pem");
pub(crate) const TWO: &str = include_str!("certificates/two.pem");
const WEAK: &str = include_str!("certificates/weak.pem");

/// What it takes to make a connection, less what `changes` says otherwise.
pub(crate) fn body(changes: Value) -> Value {
    let mut body = json!({
        "name": "Acme Entra ID", "entity_id": "https://idp.example.com/metadata", "sso_url": "https://idp.example.com/sso",
        "certificates": [ONE],
    });
    let Value::Object(changes) = changes else { panic!("an object") };
    body.as_object_mut().expect("an object").extend(changes);
    body
}

pub(crate) async fn connect(admin: &Caller, changes: Value) -> Value {
    admin.post("/saml/connections", body(changes)).await.created()
}

pub(crate) fn path(connection: &Value) -> String {
    format!("/saml/connections/{}", connection["id"].as_str().expect("an id"))
}

/// As if someone had signed in by a connection: what makes it so.
pub(crate) fn identity(connection: &Value, name_id: &str, user: &str) -> String {
    format!(
        "insert into saml_identities (organization_id, connection_id, name_id, user_id, created_at, last_used_at)
         select organization_id, '{}', '{name_id}', id, now(), now() from users where id = '{user}'",
        connection["id"].as_str().expect("an id")
    )
}

/// As if a test sign-in had passed.
async fn pass_test(app: &TestApp) {
    app.database().execute("update saml_connections set tested_at = now()").await;
}

#[tokio::test]
async fn a_connection_has_careful_defaults_and_says_what_to_tell_the_provider() {
    let app = TestApp::start().await;
    let admin = app.organization("Acme").administrator().await;
    let answer = admin.post("/saml/connections", body(json!({}))).await;
    let tag = answer.header("etag").to_owned();
    let made = answer.created();
    for (field, value) in [
        ("is_active", json!(true)),
        ("jit_provisioning", json!(false)),
        ("default_role", Value::Null),
        ("idp_initiated", json!(false)),
        ("sign_requests", json!(true)),
        ("allow_cbc", json!(false)),
        ("sso_binding", json!("redirect")),
        ("slo_url", Value::Null),
        ("slo_binding", Value::Null),
        ("metadata_url", Value::Null),
        ("tested_at", Value::Null),
        ("domains", json!([])),
        ("group_mapping", json!([])),
        ("attribute_mapping", json!({ "email": null, "first_name": null, "last_name": null, "groups": null })),
        ("certificates", json!([ONE])),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let base = format!("{}/v1/saml/Acme", app.url());
    let ours = &made["service_provider"];
    for (field, path) in
        [("entity_id", "metadata"), ("metadata_url", "metadata"), ("acs_url", "acs"), ("slo_url", "slo")]
    {
        assert_eq!(ours[field], format!("{base}/{path}"), "{field}");
    }
    let details = &made["certificate_details"][0];
    assert_eq!(details["subject"], "CN=one.example.com");
    assert_eq!(details["fingerprint"].as_str().map(str::len), Some(64));
    assert!(details["not_after"].as_str().is_some_and(|end| end.starts_with("2126-")), "{details}");
    let read = admin.get(&path(&made)).await;
    assert_eq!(read.header("etag"), tag);
    assert_eq!(read.ok(), made);
    let again = admin.put(&path(&made), made.clone()).await;
    assert_eq!(again.header("etag"), tag, "what was read can be sent back");
    assert_eq!(again.ok(), made);
    let log = admin.get("/audit-events?object_type=saml_connection").await.ok();
    assert_eq!((&log["count"], &log["results"][0]["action"]), (&json!(1), &json!("saml_connection.created")));
    app.finish().await;
}

#[tokio::test]
async fn everything_about_a_connection_can_be_said_changed_and_taken_back() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let folder = admin.folder("Production", None).await;
    let group = admin.post("/user-groups", json!({ "name": "Pilots" })).await.created()["id"].clone();
    let all = json!({
        "is_active": false, "sso_binding": "post", "slo_url": "https://idp.example.com/slo", "slo_binding": "post",
        "slo_response_url": "https://idp.example.com/slo/response", "certificates": [ONE, TWO, ONE],
        "name_id_format": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
        "attribute_mapping": { "email": "mail", "groups": "memberOf" }, "domains": ["Acme.Example", "bücher.example"],
        "jit_provisioning": true, "default_role": "reader", "idp_initiated": true, "sign_requests": false, "allow_cbc": true,
        "group_mapping": [
            { "directory_group": "auditors", "role": "auditor" },
            { "directory_group": "ops", "role": "domain_manager", "folder": folder },
            { "directory_group": "pilots", "user_group": group },
        ],
    });
    let made = connect(&admin, all.clone()).await;
    assert_eq!(made["certificates"], json!([ONE, TWO]), "each once");
    assert_eq!(made["domains"], json!(["acme.example", "xn--bcher-kva.example"]));
    assert_eq!(made["attribute_mapping"]["groups"], "memberOf");
    let mapped = made["group_mapping"].as_array().expect("a mapping");
    assert_eq!((&mapped[0]["role"], &mapped[0]["user_group"]), (&json!("auditor"), &Value::Null));
    assert_eq!((&mapped[1]["role"], &mapped[1]["folder"]), (&json!("domain_manager"), &folder));
    assert_eq!((&mapped[2]["role"], &mapped[2]["user_group"]), (&Value::Null, &group));
    assert_eq!(admin.put(&path(&made), made.clone()).await.ok(), made, "what was read can be sent back");

    let one = admin.patch(&path(&made), json!({ "name": "Okta" })).await.ok();
    assert_eq!((&one["name"], &one["domains"]), (&json!("Okta"), &made["domains"]));
    let cleared = json!({
        "slo_url": null, "name_id_format": null, "attribute_mapping": null, "domains": null, "default_role": null,
        "group_mapping": null,
    });
    let after = admin.patch(&path(&made), cleared).await.ok();
    for field in ["slo_url", "slo_response_url", "slo_binding", "name_id_format", "default_role"] {
        assert_eq!(after[field], Value::Null, "{field}");
    }
    assert_eq!((&after["domains"], &after["group_mapping"]), (&json!([]), &json!([])));
    let replaced = admin.put(&path(&made), body(json!({}))).await.ok();
    assert_eq!((&replaced["is_active"], &replaced["sign_requests"]), (&json!(true), &json!(true)));
    let log = admin.get("/audit-events?action=saml_connection.changed").await.ok();
    assert_eq!(log["results"][2]["details"]["changed"], json!(["name"]));
    admin.delete(&path(&made)).await.no_content();
    admin.get(&path(&made)).await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn what_a_connection_can_not_be_is_refused_field_by_field() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let group = admin.group("reader").await;
    let pem_of_two = format!("{ONE}{TWO}");
    for (field, code, wrong) in [
        ("name", "required", json!(" ")),
        ("name", "too_long", json!("x".repeat(201))),
        ("entity_id", "required", json!("")),
        ("entity_id", "invalid", json!("two words")),
        ("entity_id", "too_long", json!("x".repeat(1_025))),
        ("sso_url", "required", Value::Null),
        ("certificates", "required", json!([])),
        ("certificates", "invalid_certificate", json!(["nonsense"])),
        ("certificates", "invalid_certificate", json!([WEAK])),
        ("certificates", "invalid_certificate", json!([pem_of_two])),
        ("certificates", "invalid_certificate", json!([ONE.replace("CERTIFICATE", "PRIVATE KEY")])),
        ("certificates", "too_many", json!(vec![ONE; 11])),
        ("certificates", "invalid_type", json!("one")),
        ("name_id_format", "transient", json!("urn:oasis:names:tc:SAML:2.0:nameid-format:transient")),
        ("name_id_format", "invalid", json!("two words")),
        ("attribute_mapping", "invalid", json!({ "email": "" })),
        ("attribute_mapping", "invalid", json!({ "groups": "two\nlines" })),
        ("domains", "invalid_domain", json!(["localhost"])),
        ("domains", "invalid_domain", json!(["192.0.2.1"])),
        ("domains", "invalid_domain", json!(["a..example"])),
        ("domains", "invalid_domain", json!(["bob@acme.example"])),
        ("domains", "too_many", json!((0..101).map(|n| format!("d{n}.example")).collect::<Vec<_>>())),
        ("default_role", "unknown_role", json!("king")),
        ("group_mapping", "role_or_group_required", json!([{ "directory_group": "x" }])),
        (
            "group_mapping",
            "role_or_group_required",
            json!([{ "directory_group": "x", "role": "reader", "user_group": group }]),
        ),
        ("group_mapping", "unknown_role", json!([{ "directory_group": "x", "role": "king" }])),
        ("group_mapping", "invalid", json!([{ "directory_group": " ", "role": "reader" }])),
        ("group_mapping", "not_found", json!([{ "directory_group": "x", "user_group": admin.id }])),
        ("group_mapping", "not_found", json!([{ "directory_group": "x", "role": "reader", "folder": admin.id }])),
        ("is_active", "invalid_type", json!("yes")),
        ("tested", "unknown_field", json!(true)),
        ("metadata_url", "fetch_failed", json!("nonsense")),
    ] {
        admin.post("/saml/connections", body(json!({ field: wrong }))).await.invalid(field, code);
    }
    let both = json!({ "metadata_xml": "<x/>", "metadata_url": "https://idp.example.com/metadata" });
    admin.post("/saml/connections", body(both)).await.invalid("metadata_xml", "ambiguous");
    assert_eq!(admin.get("/saml/connections").await.ok()["count"], 0);
    app.finish().await;
}

#[tokio::test]
async fn a_provider_and_a_domain_belong_to_one_connection_of_an_organization() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let globex = app.organization("globex").administrator().await;
    let one = connect(&admin, json!({ "domains": ["acme.example"] })).await;
    admin.post("/saml/connections", body(json!({}))).await.problem(409, "entity_id_taken");
    let other = json!({ "entity_id": "https://other.example.com", "domains": ["ACME.example"] });
    admin.post("/saml/connections", body(other)).await.problem(409, "domain_taken");
    let two = connect(&admin, json!({ "entity_id": "https://other.example.com" })).await;
    let taken = json!({ "entity_id": one["entity_id"] });
    admin.patch(&path(&two), taken).await.problem(409, "entity_id_taken");
    admin.patch(&path(&two), json!({ "domains": ["acme.example"] })).await.problem(409, "domain_taken");
    admin.patch(&path(&one), json!({ "domains": [] })).await.ok();
    admin.patch(&path(&two), json!({ "domains": ["acme.example"] })).await.ok();
    connect(&globex, json!({ "domains": ["acme.example"] })).await;
    app.finish().await;
}

#[tokio::test]
async fn a_change_of_what_a_test_has_shown_takes_it_away_and_no_other_does() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = connect(&admin, json!({})).await;
    for change in [
        json!({ "name": "Okta" }),
        json!({ "is_active": false }),
        json!({ "domains": ["acme.example"] }),
        json!({ "jit_provisioning": true, "default_role": "reader" }),
        json!({ "idp_initiated": true }),
        json!({ "slo_url": "https://idp.example.com/slo" }),
        json!({ "group_mapping": [{ "directory_group": "x", "role": "reader" }] }),
    ] {
        pass_test(&app).await;
        let after = admin.patch(&path(&made), change.clone()).await.ok();
        assert_ne!(after["tested_at"], Value::Null, "{change}");
    }
    for change in [
        json!({ "entity_id": "https://other.example.com" }),
        json!({ "sso_url": "https://other.example.com/sso" }),
        json!({ "sso_binding": "post" }),
        json!({ "certificates": [ONE, TWO] }),
        json!({ "name_id_format": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress" }),
        json!({ "attribute_mapping": { "email": "mail" } }),
        json!({ "sign_requests": false }),
        json!({ "allow_cbc": true }),
    ] {
        pass_test(&app).await;
        let after = admin.patch(&path(&made), change.clone()).await.ok();
        assert_eq!(after["tested_at"], Value::Null, "{change}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_lost_update_is_refused_and_a_repeated_request_makes_one_connection() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let create = || {
        let call = admin.post("/saml/connections", body(json!({}))).header("Idempotency-Key", "one");
        call.into_future()
    };
    let (one, again) = tokio::join!(create(), create());
    let tag = one.header("etag").to_owned();
    let made = one.created();
    assert_eq!(again.created(), made);
    let rename = |name: &str| admin.patch(&path(&made), json!({ "name": name })).header("if-match", &tag).into_future();
    let (first, second) = tokio::join!(rename("Okta"), rename("Entra"));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    admin.put(&path(&made), body(json!({}))).header("if-match", &tag).await.problem(412, "precondition_failed");
    admin.delete(&path(&made)).header("if-match", &tag).await.problem(412, "precondition_failed");
    app.finish().await;
}

#[tokio::test]
async fn connections_are_listed_searched_ordered_and_walked() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for name in ["b", "C", "a"] {
        connect(&admin, json!({ "name": name, "entity_id": format!("https://{name}.example.com") })).await;
    }
    let names = async |query: &str| -> Vec<String> {
        let page = admin.get(&format!("/saml/connections?{query}")).await.ok();
        let rows = page["results"].as_array().expect("results");
        rows.iter().map(|row| row["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names("").await, ["a", "b", "C"]);
    assert_eq!(names("ordering=-created_at").await, ["a", "C", "b"]);
    assert_eq!(names("search=https://c.").await, ["C"]);
    let first = admin.get("/saml/connections?cursor=&limit=2").await.ok();
    let rest = admin.get(first["next"].as_str().expect("more").trim_start_matches(app.url())).await.ok();
    assert_eq!((rest["results"][0]["name"].clone(), rest["next"].clone()), (json!("C"), Value::Null));
    app.finish().await;
}

#[tokio::test]
async fn nobody_gives_by_a_connection_what_he_does_not_hold() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let role = json!({ "name": "SSO", "permissions": ["manage_sso", "view_user_group", "view_folder"] });
    let role = admin.post("/roles", role).await.created()["id"].clone();
    let root = admin.get("/iam/current-user").await.ok()["root_folder_id"].clone();
    let bob = admin.member("bob@example.com", "reader").await;
    let assignment =
        json!({ "name": "bob", "role": role, "user": bob.id, "perimeter_folders": [root], "is_recursive": true });
    admin.post("/role-assignments", assignment).await.created();
    let administrators = json!([{ "directory_group": "x", "role": "administrator" }]);
    for (field, value) in [
        ("default_role", json!("administrator")),
        ("group_mapping", administrators.clone()),
        ("group_mapping", json!([{ "directory_group": "x", "user_group": admin.group("administrator").await }])),
    ] {
        bob.post("/saml/connections", body(json!({ field: value }))).await.problem(403, "cannot_grant");
    }
    let made = connect(&bob, json!({ "default_role": "reader" })).await;
    bob.patch(&path(&made), json!({ "default_role": "administrator" })).await.problem(403, "cannot_grant");
    admin.patch(&path(&made), json!({ "group_mapping": administrators })).await.ok();
    let read = bob.get(&path(&made)).await.ok();
    bob.put(&path(&made), read).await.ok();
    bob.patch(&path(&made), json!({ "name": "another", "idp_initiated": true })).await.ok();

    // Who gets what is there already, and by whose word, is no smaller gift.
    for change in [
        json!({ "group_mapping": [{ "directory_group": "everyone", "role": "administrator" }] }),
        json!({ "attribute_mapping": { "groups": "department" } }),
        json!({ "certificates": [ONE, TWO] }),
        json!({ "entity_id": "https://bob.example/idp" }),
    ] {
        bob.patch(&path(&made), change).await.problem(403, "cannot_grant");
    }
    app.finish().await;
}

#[tokio::test]
async fn who_speaks_for_a_superuser_is_for_a_superuser_to_say() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let role = json!({ "name": "SSO", "permissions": ["manage_sso"] });
    let role = admin.post("/roles", role).await.created()["id"].clone();
    let root = admin.get("/iam/current-user").await.ok()["root_folder_id"].clone();
    let bob = admin.member("bob@example.com", "reader").await;
    let assignment =
        json!({ "name": "bob", "role": role, "user": bob.id, "perimeter_folders": [root], "is_recursive": true });
    admin.post("/role-assignments", assignment).await.created();
    let made = connect(&bob, json!({})).await;
    bob.patch(&path(&made), json!({ "certificates": [TWO] })).await.ok();
    app.database().execute(&identity(&made, "n", &admin.id.to_string())).await;
    for change in [json!({ "certificates": [ONE] }), json!({ "entity_id": "https://bob.example/idp" })] {
        bob.patch(&path(&made), change.clone()).await.problem(403, "superuser_only");
        admin.patch(&path(&made), change).await.ok();
    }
    bob.patch(&path(&made), json!({ "name": "another" })).await.ok();

    // And for a person: whoever stole a token must not open a door that stays.
    let token = json!({ "name": "nightly", "permissions": ["manage_sso"] });
    let token = admin.post("/iam/auth-tokens", token).await.created();
    let token = admin.with_authorization(Some(&format!("Bearer {}", token["token"].as_str().expect("a token"))));
    token.get(&path(&made)).await.ok();
    token.patch(&path(&made), json!({ "name": "third" })).await.problem(403, "session_required");
    token.delete(&path(&made)).await.problem(403, "session_required");
    let other = body(json!({ "entity_id": "https://other.example" }));
    token.post("/saml/connections", other).await.problem(403, "session_required");
    app.finish().await;
}

#[tokio::test]
async fn connections_are_for_those_who_manage_single_sign_on_and_of_one_organization() {
    let app = TestApp::start().await;
    let acme = app.organization("acme").administrator().await;
    let globex = app.organization("globex").administrator().await;
    let made = connect(&acme, json!({})).await;
    let auditor = acme.member("auditor@example.com", "auditor").await;
    for (caller, status, code) in [(&auditor, 403, "permission_denied"), (&globex, 404, "not_found")] {
        caller.get(&path(&made)).await.problem(status, code);
        caller.patch(&path(&made), json!({ "name": "x" })).await.problem(status, code);
        caller.patch(&path(&made), json!({ "metadata_url": "https://127.0.0.1/" })).await.problem(status, code);
        caller.put(&path(&made), body(json!({}))).await.problem(status, code);
        caller.delete(&path(&made)).await.problem(status, code);
    }
    auditor.get("/saml/connections").await.problem(403, "permission_denied");
    auditor.get("/saml/events").await.problem(403, "permission_denied");
    auditor.post("/saml/connections", body(json!({}))).await.problem(403, "permission_denied");
    assert_eq!(globex.get("/saml/connections").await.ok()["count"], 0);
    assert_eq!(acme.get("/saml/events").await.ok()["count"], 0);
    app.finish().await;
}
