//! What holds for every request: errors in one shape, lists that page, a document that is complete.

use std::collections::BTreeSet;

use harness::{Caller, TestApp, repository};
use reqwest::Method;
use serde_json::{Value, json};

/// Operations for strangers. Everything else needs a credential.
pub(crate) const OPEN: &[&str] = &[
    "iam_login",
    "iam_password_reset",
    "iam_password_reset_confirm",
    "preview_invitation",
    "accept_invitation",
    "decline_invitation",
    "find_login_url",
];

/// Operations for other systems, which sign what they send.
pub(crate) const SIGNED: &[&str] = &["record_email_events"];

pub(crate) fn document() -> Value {
    serde_json::from_str(tenantry_api::document()).expect("JSON")
}

/// Every operation of a document: method, path, operation.
pub(crate) fn operations(document: &Value) -> Vec<(Method, String, Value)> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            all.push((method, path.clone(), operation.clone()));
        }
    }
    assert!(all.len() > 20, "the document is not empty");
    all
}

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.anonymous().get("/nonsense").await.problem(404, "not_found");
    app.anonymous().get("/v1/nonsense").await.problem(404, "not_found");
    admin.get("/nonsense").await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn a_wrong_method_is_a_problem() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.delete("/users").await.problem(405, "method_not_allowed");
    admin.put("/iam/login", json!({})).await.problem(405, "method_not_allowed");
    app.anonymous().post("/livez", json!({})).await.problem(405, "method_not_allowed");
    app.finish().await;
}

#[tokio::test]
async fn a_body_that_is_not_json_is_a_problem_and_changes_nothing() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for body in
        ["", "{", "[]", "null", "\"bob@example.com\"", "{\"email\": \"a@example.com\"} {}", "{\"email\": \"\u{1}\"}"]
    {
        let answer = admin.post("/users", json!({})).body("application/json", body).await;
        assert_eq!(answer.status, 400, "{body:?}:\n{}", answer.whole());
        let _ = answer.any_problem();
    }
    let broken =
        admin.post("/users", json!({})).body("application/json", b"{\"email\": \"\xff@example.com\"}".to_vec()).await;
    assert_eq!(broken.status, 400, "{}", broken.whole());
    assert_eq!(admin.get("/users").await.ok()["count"], 1);
    app.finish().await;
}

#[tokio::test]
async fn a_body_that_claims_to_be_something_else_is_refused() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let body = r#"{"email": "bob@example.com"}"#;
    admin.post("/users", json!({})).body("text/plain", body).await.problem(415, "unsupported_media_type");
    admin.post("/users", json!({})).without("content-type").await.problem(415, "unsupported_media_type");
    admin.post("/users", json!({})).body("application/json; charset=utf-8", body).await.created();
    app.finish().await;
}

#[tokio::test]
async fn a_body_has_a_megabyte_at_most_and_a_batch_five() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let padded = |size: usize| {
        let body = r#"{"email": "bob@example.com"}"#;
        format!("{body}{}", " ".repeat(size - body.len()))
    };
    const MEGABYTE: usize = 1024 * 1024;
    let create = |size| admin.post("/users", json!({})).body("application/json", padded(size));
    create(MEGABYTE + 1).await.problem(413, "body_too_large");
    assert_eq!(admin.get("/users").await.ok()["count"], 1, "nothing was made");
    create(MEGABYTE).await.created();

    let rows = |size: usize| format!("[{{}}{}]", " ".repeat(size - 4));
    let batch = |size| admin.post("/invitations/batch", json!([])).body("application/json", rows(size));
    batch(5 * MEGABYTE + 1).await.problem(413, "body_too_large");
    batch(5 * MEGABYTE).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn an_unknown_field_is_refused_by_name() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin
        .post("/users", json!({ "email": "bob@example.com", "nickname": "Bob" }))
        .await
        .invalid("nickname", "unknown_field");
    let bob = json!({ "invitee_identifier": "bob@example.com", "role": "reader", "colour": "red" });
    admin.post("/invitations", bob).await.invalid("colour", "unknown_field");
    assert_eq!(admin.get("/users").await.ok()["count"], 1);
    assert_eq!(admin.get("/invitations").await.ok()["count"], 0);
    app.finish().await;
}

#[tokio::test]
async fn a_field_of_the_wrong_type_is_refused_by_name() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin
        .post("/users", json!({ "email": "bob@example.com", "is_active": "yes" }))
        .await
        .invalid("is_active", "invalid_type");
    admin.post("/users", json!({ "email": 7 })).await.invalid("email", "invalid_type");
    admin
        .post("/users", json!({ "email": "bob@example.com", "expiry_date": "soon" }))
        .await
        .invalid("expiry_date", "invalid_type");
    admin
        .post("/users", json!({ "email": "bob@example.com", "user_groups": ["nonsense"] }))
        .await
        .invalid("user_groups", "invalid_type");
    admin.post("/users", json!({ "first_name": "Bob" })).await.invalid("email", "required");
    app.finish().await;
}

#[tokio::test]
async fn what_was_read_can_be_sent_back() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.post("/users", json!({ "email": "bob@example.com", "first_name": "Bob" })).await.created();
    let path = format!("/users/{}", made["id"].as_str().expect("an id"));
    let mut read = admin.get(&path).await.ok();
    read["number"] = json!(99);
    read["is_staff"] = json!(true);
    read["date_joined"] = json!("1999-01-01T00:00:00Z");
    read["user_groups"] = json!([]);
    let answered = admin.put(&path, read.clone()).await.ok();
    assert_eq!(answered["number"], made["number"]);
    assert_eq!(answered["is_staff"], false);
    assert_eq!(answered["date_joined"], made["date_joined"]);
    assert_eq!(answered["first_name"], "Bob");
    app.finish().await;
}

#[tokio::test]
async fn a_nul_character_is_refused_everywhere() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for body in [
        json!({ "email": "bob@example.com", "first_name": "B\u{0}b" }),
        json!({ "email": "bob@example.com", "profile": { "a": ["\u{0}"] } }),
        json!({ "email": "bob@example.com", "profile": { "a\u{0}": 1 } }),
        json!({ "email": "bob\u{0}@example.com" }),
    ] {
        let answer = admin.post("/users", body).await;
        assert_eq!(answer.status, 400, "{}", answer.whole());
        let _ = answer.any_problem();
    }
    for path in ["/users?search=%00", "/users?email=a%00b", "/users/%00", "/users?cursor=%00", "/emails?kind=%00"] {
        let answer = admin.get(path).await;
        assert_eq!(answer.status, 400, "{path}:\n{}", answer.whole());
        let _ = answer.any_problem();
    }
    let login = app.anonymous().sign_in("acme", "a\u{0}b", "c\u{0}d").await;
    assert_eq!(login.status, 400, "{}", login.whole());
    assert_eq!(admin.get("/users").await.ok()["count"], 1);
    app.finish().await;
}

#[tokio::test]
async fn an_id_that_is_none_leads_nowhere() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for id in ["nonsense", "1", "0192f0c1-7d3e-7a52-9c1f", "..", "%2e%2e", "'"] {
        admin.get(&format!("/users/{id}")).await.problem(404, "not_found");
        admin.patch(&format!("/users/{id}"), json!({})).await.problem(404, "not_found");
        admin.get(&format!("/jobs/{id}")).await.problem(404, "not_found");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_any_other_replaced() {
    let app = TestApp::start().await;
    let anonymous = app.anonymous();
    let longest = "x".repeat(128);
    for id in ["abc-123_4.5", longest.as_str()] {
        assert_eq!(anonymous.get("/livez").header("x-request-id", id).await.header("x-request-id"), id);
        let problem = anonymous.get("/nonsense").header("x-request-id", id).await.problem(404, "not_found");
        assert_eq!(problem["request_id"], id);
    }
    let too_long = "x".repeat(129);
    for id in ["", "two words", "a\"b", "<script>", too_long.as_str()] {
        let answer = anonymous.get("/livez").header("x-request-id", id).await;
        let given = answer.header("x-request-id");
        assert!(given != id && given.len() == 36, "{id:?} became {given:?}");
    }
    let one = anonymous.get("/livez").await;
    let other = anonymous.get("/livez").await;
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
    app.finish().await;
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_browsers_careful() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for path in ["/users", "/nonsense", "/v1/nonsense", "/v1/invitations/preview?token=x"] {
        let answer = admin.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert!(!answer.headers.contains_key("strict-transport-security"), "over plain http");
        assert!(!answer.headers.contains_key("server"), "{path}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_stranger_gets_401_and_no_hint_about_his_body() {
    let app = TestApp::start().await;
    app.organization("acme").administrator().await;
    let stranger = app.anonymous().under("acme");
    let answer = stranger.post("/users", json!({ "nonsense": 1 })).await;
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"tenantry\"");
    answer.problem(401, "not_authenticated");
    stranger.get("/users?limit=nonsense").await.problem(401, "not_authenticated");
    app.finish().await;
}

// --- lists

#[tokio::test]
async fn paging_out_of_range_is_refused() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=abc", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=1.5", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("offset=-1", "offset"),
        ("offset=abc", "offset"),
        ("page=0", "page"),
        ("page=x", "page"),
        ("page_size=0", "page_size"),
        ("page_size=201", "page_size"),
    ] {
        for list in ["/users", "/invitations", "/emails", "/audit-events", "/v1/orgs"] {
            admin.get(&format!("{list}?{query}")).await.invalid(field, "out_of_range");
        }
    }
    for query in ["offset=1&page=1", "limit=1&page_size=1", "cursor=&offset=1", "cursor=&page=2"] {
        admin.get(&format!("/users?{query}")).await.invalid("cursor", "ambiguous_paging");
    }
    admin.get("/users?limit=1").await.ok();
    admin.get("/users?limit=200").await.ok();
    app.finish().await;
}

#[tokio::test]
async fn an_unknown_ordering_is_refused() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for ordering in ["nonsense", "-nonsense", "password_hash", "email;drop", "--email"] {
        admin.get(&format!("/users?ordering={ordering}")).await.invalid("ordering", "unknown_ordering");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_cursor_that_is_not_of_this_list_is_refused() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for n in 0..2 {
        admin.post("/users", json!({ "email": format!("u{n}@example.com") })).await.created();
    }
    let first = admin.get("/users?cursor=&limit=1&ordering=email").await.ok();
    let next = url::Url::parse(first["next"].as_str().expect("more")).expect("a URL");
    let cursor = next.query_pairs().find(|(name, _)| name == "cursor").expect("a cursor").1.into_owned();
    for wrong in ["nonsense".to_owned(), format!("{cursor}x"), "e30".into(), format!("{cursor}&ordering=-email")] {
        let ordering = if wrong.contains('&') { "" } else { "&ordering=email" };
        admin.get(&format!("/users?cursor={wrong}{ordering}")).await.invalid("cursor", "bad_cursor");
    }
    app.finish().await;
}

/// Makes users `{prefix}000@example.com` and so on.
async fn make_users(admin: &Caller, prefix: &str, numbers: std::ops::Range<usize>) {
    for n in numbers {
        admin.post("/users", json!({ "email": format!("{prefix}{n:03}@example.com") })).await.created();
    }
}

fn emails(page: &Value) -> Vec<String> {
    let results = page["results"].as_array().expect("results");
    results.iter().map(|user| user["email"].as_str().expect("an address").to_owned()).collect()
}

/// Walks a list by its `next` links and inserts behind its back, before what was seen and after.
async fn walk_while_others_insert(admin: &Caller, first: &str, by_offset: bool) -> Vec<String> {
    let (mut seen, mut next, mut page_number) = (Vec::new(), Some(first.to_owned()), 0);
    while let Some(url) = next {
        let page = admin.get(&url).await.ok();
        seen.extend(emails(&page));
        next = page["next"].as_str().map(str::to_owned);
        if !by_offset && page_number < 3 {
            make_users(admin, &format!("a{page_number}"), 0..2).await;
            make_users(admin, &format!("z{page_number}"), 0..2).await;
        }
        page_number += 1;
        assert!(page_number < 40, "the walk does not end");
    }
    seen
}

#[tokio::test]
async fn a_list_of_120_is_walked_without_a_gap_or_a_double() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    make_users(&admin, "m", 0..119).await;
    let all: BTreeSet<String> =
        (0..119).map(|n| format!("m{n:03}@example.com")).chain(["admin@acme.example".to_owned()]).collect();

    for first in [
        "/users?limit=25",
        "/users?page_size=25",
        "/users?page=1&page_size=7&ordering=-number",
        "/users?limit=50&ordering=date_joined",
    ] {
        let seen = walk_while_others_insert(&admin, first, true).await;
        assert_eq!(seen.len(), 120, "{first}");
        assert_eq!(seen.iter().cloned().collect::<BTreeSet<_>>(), all, "{first}");
    }
    let page = admin.get("/users?limit=25&offset=100").await.ok();
    assert_eq!((page["count"].clone(), page["next"].clone(), emails(&page).len()), (json!(120), Value::Null, 20));
    let previous = admin.get(page["previous"].as_str().expect("a link")).await.ok();
    assert_eq!(emails(&previous).len(), 25);
    let beyond = admin.get("/users?limit=25&offset=1000").await.ok();
    assert_eq!((beyond["count"].clone(), emails(&beyond).len()), (json!(120), 0));
    assert_eq!(emails(&admin.get("/users").await.ok()).len(), 50, "the default");

    // By cursor, also while others insert: whoever was there at the beginning is seen once.
    for first in ["/users?cursor=&limit=25", "/users?cursor=&limit=25&ordering=-email"] {
        let seen = walk_while_others_insert(&admin, first, false).await;
        let distinct: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(distinct.len(), seen.len(), "a double: {first}");
        assert!(distinct.is_superset(&all), "a gap: {first}");
        app.database().execute("delete from email_messages where user_id in (select id from users where email ~ '^[az][0-9]'); delete from outbox").await;
        app.database().execute("delete from users where email ~ '^[az][0-9]'").await;
    }
    assert_eq!(admin.get("/users?cursor=").await.ok()["count"], Value::Null);
    app.finish().await;
}

#[tokio::test]
async fn orderings_order_and_ids_break_ties() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for (email, last_name) in [("c@example.com", "Young"), ("a@example.com", "Young"), ("b@example.com", "Adams")] {
        admin.post("/users", json!({ "email": email, "last_name": last_name })).await.created();
    }
    let by = async |ordering: &str| {
        emails(&admin.get(&format!("/users?exclude_current=true&ordering={ordering}")).await.ok())
    };
    assert_eq!(by("email").await, ["a@example.com", "b@example.com", "c@example.com"]);
    assert_eq!(by("-email").await, ["c@example.com", "b@example.com", "a@example.com"]);
    assert_eq!(by("last_name").await, ["b@example.com", "c@example.com", "a@example.com"]);
    assert_eq!(by("-last_name").await, ["a@example.com", "c@example.com", "b@example.com"]);
    assert_eq!(by("number").await, ["c@example.com", "a@example.com", "b@example.com"]);
    app.finish().await;
}

#[tokio::test]
async fn a_search_takes_percent_and_underscore_literally() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for (email, name) in
        [("one@example.com", "100% sure"), ("two@example.com", "under_score"), ("three@example.com", "back\\slash")]
    {
        admin.post("/users", json!({ "email": email, "first_name": name })).await.created();
    }
    let find = async |term: &str| emails(&admin.get(&format!("/users?search={term}")).await.ok());
    assert_eq!(find("%25").await, ["one@example.com"]);
    assert_eq!(find("_").await, ["two@example.com"]);
    assert_eq!(find("%5C").await, ["three@example.com"]);
    assert_eq!(find("TWO%40EXAMPLE").await, ["two@example.com"]);
    assert_eq!(find("o%25e").await, [""; 0]);
    app.finish().await;
}

// --- the document

#[tokio::test]
async fn the_served_document_is_the_one_that_is_checked_in() {
    let app = TestApp::start().await;
    let served = app.anonymous().get("/openapi.json").await;
    assert_eq!(served.status, 200);
    assert_eq!(served.text, tenantry_api::document());
    let committed = std::fs::read_to_string(repository("openapi.json")).unwrap_or_default();
    assert!(committed == tenantry_api::document(), "openapi.json is stale: `./dev prepare` writes it anew");
    app.finish().await;
}

#[test]
fn every_operation_is_described_and_says_who_may_call_it() {
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document()) {
        let what = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{what} has no operationId"));
        assert!(ids.insert(id.to_owned()), "{id} is there twice");
        assert!(operation["summary"].as_str().is_some_and(|s| !s.is_empty()), "{what} has no summary");
        let responses = operation["responses"].as_object().unwrap_or_else(|| panic!("{what} has no responses"));
        assert!(
            responses.keys().any(|status| status.starts_with('2') || status.starts_with('3')),
            "{what}: what if it succeeds?"
        );
        for (status, response) in responses {
            assert!(
                response["description"].as_str().is_some_and(|s| !s.is_empty()),
                "{what} {status} is not described"
            );
            let is_problem = status.starts_with('4') || status.starts_with('5');
            let kinds: Vec<_> =
                response["content"].as_object().into_iter().flatten().map(|(kind, _)| kind.as_str()).collect();
            assert!(!is_problem || kinds == ["application/problem+json"], "{what} {status}: {kinds:?}");
        }
        let is_secured = operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty());
        assert_eq!(
            is_secured,
            !OPEN.contains(&id),
            "{what}: either it needs a credential or it is on the list of open ones"
        );
    }
}

#[tokio::test]
async fn the_reader_of_the_document_needs_no_other_host() {
    let app = TestApp::start().await;
    let docs = app.anonymous().get("/docs").await;
    assert_eq!(docs.status, 200);
    assert!(docs.header("content-type").starts_with("text/html"));
    // Inside its own script addresses are data; what the page itself loads is what counts.
    let mut markup = String::new();
    for (n, part) in docs.text.split("<script").enumerate() {
        let (tag, outside) = if n == 0 { ("", part) } else { part.split_once("</script>").unwrap_or((part, "")) };
        markup.push_str(tag.split_once('>').map_or("", |(attributes, _)| attributes));
        markup.push_str(outside);
    }
    for outward in
        ["src=\"http", "src='http", "src=\"//", "href=\"http", "href='http", "href=\"//", "url(http", "@import"]
    {
        assert!(!markup.contains(outward), "/docs loads something from elsewhere: {outward}");
    }
    let policy = docs.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("http") && !policy.contains("unsafe-eval"),
        "{policy}"
    );
    app.finish().await;
}

#[tokio::test]
async fn health_tells_who_asks() {
    let app = TestApp::start().await;
    assert_eq!(app.anonymous().get("/livez").await.ok(), json!({ "status": "ok" }));
    assert_eq!(app.anonymous().get("/readyz").await.ok(), json!({ "status": "ok", "postgres": "ok", "redis": "ok" }));
    app.finish().await;
}
