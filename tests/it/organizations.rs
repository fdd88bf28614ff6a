//! Organizations: operators make them, a member sees his own.

use harness::{Caller, TestApp};
use serde_json::json;

async fn operator(app: &TestApp) -> Caller {
    app.organization("platform").administrator().await
}

#[tokio::test]
async fn an_operator_makes_an_organization_whose_first_administrator_becomes_superuser() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let body = json!({ "name": "Acme <b>", "slug": "Acme-1", "admin_email": "ann@acme.example", "locale": "de" });
    let made = operator.post("/v1/orgs", body).await.created();
    assert_eq!((&made["name"], &made["slug"]), (&json!("Acme <b>"), &json!("Acme-1")));
    assert!(made["account_portal_url"].as_str().is_some_and(|url| url.starts_with(app.url())), "{made}");

    let mail = app.mailbox().last_to("ann@acme.example").await;
    assert!(mail.html().contains("Acme &lt;b&gt;") && !mail.html().contains("Acme <b>"), "{}", mail.html());
    let session = app.anonymous().accept(&mail.link()).await.created();
    assert_eq!(session["organization"], "Acme-1");
    let ann = app.anonymous().signed_in("acme-1", &session).await;
    let me = ann.get("/iam/current-user").await.ok();
    assert_eq!((&me["is_superuser"], &me["is_admin"], &me["is_staff"]), (&json!(true), &json!(true), &json!(false)));
    assert_eq!(me["organization"]["slug"], "Acme-1");
    app.finish().await;
}

#[tokio::test]
async fn only_superusers_of_the_platform_make_organizations() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let admin = app.organization("acme").administrator().await;
    let clerk = operator.member("clerk@platform.example", "administrator").await;
    let body = json!({ "name": "New", "slug": "new", "admin_email": "ann@new.example" });
    admin.post("/v1/orgs", body.clone()).await.problem(403, "operators_only");
    clerk.post("/v1/orgs", body.clone()).await.problem(403, "operators_only");
    app.anonymous().post("/v1/orgs", body).await.problem(401, "not_authenticated");
    app.finish().await;
}

#[tokio::test]
async fn a_slug_is_given_out_once_whatever_its_case_also_to_two_at_the_same_time() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    app.organization("acme").administrator().await;
    let make = |slug: &str| {
        operator.post("/v1/orgs", json!({ "name": "Other", "slug": slug, "admin_email": "ann@other.example" }))
    };
    make("ACME").await.problem(409, "slug_taken");
    let (one, two) = tokio::join!(async { make("race").await }, async { make("Race").await });
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    app.finish().await;
}

#[tokio::test]
async fn each_rule_for_an_organization_refuses_by_itself() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let good = json!({ "name": "New", "slug": "new", "admin_email": "ann@new.example" });
    let with = |field: &str, value: serde_json::Value| {
        let mut body = good.clone();
        body[field] = value;
        operator.post("/v1/orgs", body)
    };
    with("name", json!("")).await.invalid("name", "required");
    with("slug", json!("")).await.invalid("slug", "invalid_slug");
    with("admin_email", json!("nobody")).await.invalid("admin_email", "invalid_email");
    with("locale", json!("not a language")).await.invalid("locale", "invalid_locale");
    with("slug", json!(5)).await.invalid("slug", "invalid_type");
    with("surprise", json!(1)).await.invalid("surprise", "unknown_field");
    for (field, value) in
        [("name", "x".repeat(201)), ("slug", "x".repeat(201)), ("slug", "a b".into()), ("slug", "ü".into())]
    {
        assert_eq!(with(field, json!(value)).await.any_problem()["status"], 400, "{field} {value}");
    }
    let list = operator.get("/v1/orgs?slug=new").await.ok();
    assert_eq!(list["count"], 0);
    with("uuid", json!("ignored")).await.created();
    app.finish().await;
}

#[tokio::test]
async fn operators_see_all_organizations_and_members_their_own() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let acme = app.organization("acme").administrator().await;
    app.organization("other").administrator().await;
    let slugs = |list: serde_json::Value| -> Vec<String> {
        list["results"].as_array().into_iter().flatten().filter_map(|o| o["slug"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(slugs(operator.get("/v1/orgs").await.ok()), ["acme", "other", "platform"]);
    assert_eq!(slugs(operator.get("/v1/orgs?search=oth").await.ok()), ["other"]);
    assert_eq!(slugs(operator.get("/v1/orgs?slug=ACME").await.ok()), ["acme"]);
    assert_eq!(slugs(operator.get("/v1/orgs?name=other").await.ok()), ["other"]);
    let uuid = operator.get("/v1/orgs/other").await.ok()["uuid"].as_str().expect("an id").to_owned();
    for filter in ["id", "uuid"] {
        assert_eq!(slugs(operator.get(&format!("/v1/orgs?{filter}={uuid}")).await.ok()), ["other"]);
    }
    assert_eq!(slugs(operator.get("/v1/orgs?page=2&page_size=2").await.ok()), ["platform"]);
    assert_eq!(slugs(operator.get("/v1/orgs?cursor=&limit=2").await.ok()), ["acme", "other"]);
    assert_eq!(slugs(acme.get("/v1/orgs").await.ok()), ["acme"]);
    operator.get("/v1/orgs/Other").await.ok();
    acme.get("/v1/orgs/ACME").await.ok();
    acme.get("/v1/orgs/other").await.problem(404, "not_found");
    acme.get("/v1/orgs/nowhere").await.problem(404, "not_found");
    operator.under("acme").get("/users").await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn an_organization_is_renamed_by_operators_and_by_whoever_may_change_it() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let admin = app.organization("acme").administrator().await;
    let reader = admin.member("rita@acme.example", "reader").await;
    app.organization("other").administrator().await;

    let read = admin.get("").await;
    let tag = read.header("etag").to_owned();
    let mut whole = read.ok();
    whole["name"] = json!("Acme Ltd.");
    whole["slug"] = json!("never-changes");
    let changed = admin.put("", whole).header("If-Match", &tag).await.ok();
    assert_eq!((&changed["name"], &changed["slug"]), (&json!("Acme Ltd."), &json!("acme")));
    admin.patch("", json!({ "name": "Late" })).header("If-Match", &tag).await.problem(412, "precondition_failed");
    assert_eq!(admin.patch("", json!({})).await.ok()["name"], "Acme Ltd.");
    assert_eq!(operator.patch("/v1/orgs/ACME", json!({ "name": "Acme Inc." })).await.ok()["name"], "Acme Inc.");
    assert_eq!(operator.put("/v1/orgs/platform", json!({ "name": "We" })).await.ok()["name"], "We");

    reader.patch("", json!({ "name": "Mine" })).await.problem(403, "permission_denied");
    admin.patch("/v1/orgs/other", json!({ "name": "Mine" })).await.problem(404, "not_found");
    operator.patch("/v1/orgs/nowhere", json!({ "name": "Mine" })).await.problem(404, "not_found");
    admin.patch("", json!({ "name": null })).await.invalid("name", "required");
    admin.put("", json!({ "name": " " })).await.invalid("name", "required");
    admin.put("", json!({})).await.invalid("name", "required");
    admin.patch("", json!({ "name": "x".repeat(201) })).await.invalid("name", "too_long");

    let log = admin.get("/audit-events?action=organization.changed&ordering=at").await.ok();
    let names: Vec<_> = log["results"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|event| &event["details"]["changes"]["name"]["to"])
        .collect();
    assert_eq!(names, ["Acme Ltd.", "Acme Inc."]);
    assert_eq!(operator.get("/audit-events?action=organization.changed").await.ok()["count"], 2);
    app.finish().await;
}
