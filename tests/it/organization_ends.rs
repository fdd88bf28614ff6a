//! The end of an organization: deleted, restored, purged.

use harness::{Caller, Link, PASSWORD, Stage, TestApp, days, hours};
use serde_json::{Value, json};
use tenantry_shared::schedules::Schedule;

use crate::isolation::{MARK, Two};

async fn operator(app: &TestApp) -> Caller {
    app.organization("platform").administrator().await
}

/// An organization, all the ways into it that someone may have in his hands, and an operator.
struct Scene {
    app: TestApp,
    operator: Caller,
    admin: Caller,
    token: Caller,
    invitation: Link,
    reset: Link,
    hand_over: String,
}

impl Scene {
    async fn start() -> Self {
        let app = TestApp::start().await;
        let operator = operator(&app).await;
        let admin = app.organization("Acme").administrator().await;
        let made = admin.post("/iam/auth-tokens", json!({ "name": "export" })).await.created();
        let token = admin.with_authorization(Some(&format!("Token {}", made["token"].as_str().expect("a token"))));
        token.get("/iam/current-user").await.ok();
        admin.invite("bob@acme.example", "reader").await;
        let invitation = app.mailbox().last_to("bob@acme.example").await.link();
        app.anonymous().under("acme").post("/iam/password-reset", json!({ "email": admin.email })).await.accepted();
        let reset = app.mailbox().last_to(&admin.email).await.link();
        let hand_over = admin.call(reqwest::Method::POST, "/iam/session-token").await.ok();
        let hand_over = hand_over["token"].as_str().expect("a token").to_owned();
        admin.post("/saml/keys", json!({ "key_size": 2048 })).await.created();
        app.settle().await;
        Self { app, operator, admin, token, invitation, reset, hand_over }
    }

    /// Every way in, tried.
    async fn nobody_gets_in(&self, login: bool) {
        let app = &self.app;
        for caller in [&self.admin, &self.token] {
            caller.get("/iam/current-user").await.problem(401, "not_authenticated");
        }
        let path = format!("/sign-in/with-token?token={}", self.hand_over);
        let page = app.anonymous().get(&path).await;
        assert!(!page.text.contains(&self.admin.email), "{}", page.whole());
        if !login {
            return;
        }
        app.anonymous().sign_in("acme", &self.admin.email, PASSWORD).await.problem(401, "invalid_credentials");
        app.anonymous().preview(&self.invitation).await.problem(404, "link_dead");
        app.anonymous().accept(&self.invitation).await.problem(404, "link_dead");
        assert_eq!(app.anonymous().get("/v1/saml/acme/metadata").await.status, 404);
        self.confirm_reset().await.problem(404, "link_dead");
    }

    fn confirm_reset(&self) -> harness::Call {
        let body = json!({
            "token": self.reset.token(), "new_password": "an altogether new secret", "confirm_new_password": "an altogether new secret"
        });
        self.app.anonymous().under("acme").post("/iam/password-reset/confirm", body)
    }
}

#[tokio::test]
async fn deleting_an_organization_kills_every_credential_at_once() {
    let scene = Scene::start().await;
    scene.operator.delete("/v1/orgs/aCME").await.no_content();
    scene.nobody_gets_in(true).await;
    scene.operator.get("/v1/orgs/acme").await.problem(404, "not_found");
    scene.operator.delete("/v1/orgs/acme").await.problem(404, "not_found");
    assert_eq!(scene.operator.get("/v1/orgs?slug=acme").await.ok()["count"], 0);
    let body = json!({ "name": "Other", "slug": "ACME", "admin_email": "ann@other.example" });
    scene.operator.post("/v1/orgs", body).await.problem(409, "slug_taken");
    let events = scene.operator.get("/audit-events?action=organization.deleted").await.ok();
    assert_eq!((&events["count"], &events["results"][0]["object_name"]), (&json!(1), &json!("Acme")));
    scene.app.finish().await;
}

#[tokio::test]
async fn restoring_brings_users_and_passwords_back_and_nothing_that_was_ended() {
    let scene = Scene::start().await;
    scene.operator.delete("/v1/orgs/acme").await.no_content();
    scene.app.clock.advance(days(30) - hours(1));
    let operator = scene.operator.again().await;
    assert_eq!(scene.app.run_schedule(Schedule::PurgeOrganizations).await.objects, 0);
    let listed = operator.get("/v1/orgs?deleted=true").await.ok();
    assert_eq!((&listed["count"], &listed["results"][0]["slug"]), (&json!(1), &json!("Acme")));
    assert!(listed["results"][0]["restorable_until"].is_string(), "{listed}");

    let restored = operator.post("/v1/orgs/acme/restore", json!({})).await.ok();
    assert_eq!((&restored["slug"], &restored["deleted_at"]), (&json!("Acme"), &Value::Null));
    operator.post("/v1/orgs/acme/restore", json!({})).await.problem(409, "not_deleted");
    scene.nobody_gets_in(false).await;
    scene.app.anonymous().accept(&scene.invitation).await.problem(409, "invitation_revoked");
    scene.confirm_reset().await.problem(409, "link_superseded");
    let admin = scene.admin.again().await;
    let log = admin.get("/audit-events?object_type=organization&ordering=at").await.ok();
    let actions: Vec<&Value> = log["results"].as_array().into_iter().flatten().map(|event| &event["action"]).collect();
    assert_eq!(actions, ["organization.created", "organization.deleted", "organization.restored"]);
    // He can be invited again.
    admin.invite("bob@acme.example", "reader").await;
    scene.app.finish().await;
}

#[tokio::test]
async fn mails_of_a_deleted_organization_are_not_sent_not_even_after_it_was_restored() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().answer_next(Stage::Recipient, 1, "451 4.3.0 later");
    admin.invite("bob@acme.example", "reader").await;
    harness::eventually("the mail to be deferred", || async {
        (admin.get("/emails?status=deferred").await.ok()["count"] == 1).then_some(())
    })
    .await;
    operator.delete("/v1/orgs/acme").await.no_content();
    app.settle().await;
    operator.post("/v1/orgs/acme/restore", json!({})).await.ok();
    app.clock.advance(hours(2));
    let admin = admin.again().await;
    assert_eq!(admin.get("/emails?status=canceled").await.ok()["count"], 1);
    assert_eq!(app.mailbox().count_to("bob@acme.example"), 0);
    app.finish().await;
}

#[tokio::test]
async fn only_operators_delete_and_restore_and_never_their_own_organization() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let clerk = operator.member("clerk@platform.example", "administrator").await;
    let admin = app.organization("acme").administrator().await;
    app.organization("other").administrator().await;
    for (caller, slug, status, code) in [
        (&admin, "acme", 403, "operators_only"),
        (&admin, "other", 404, "not_found"),
        (&clerk, "platform", 403, "operators_only"),
        (&clerk, "acme", 404, "not_found"),
        (&operator, "nowhere", 404, "not_found"),
    ] {
        caller.delete(&format!("/v1/orgs/{slug}")).await.problem(status, code);
        caller.post(&format!("/v1/orgs/{slug}/restore"), json!({})).await.problem(status, code);
    }
    operator.delete("/v1/orgs/Platform").await.problem(409, "platform_organization");
    operator.delete("/v1/orgs/acme").header("If-Match", "\"77\"").await.problem(412, "precondition_failed");
    admin.get("/iam/current-user").await.ok();
    app.finish().await;
}

#[tokio::test]
async fn after_thirty_days_a_deleted_organization_is_purged_to_the_last_row_and_only_its_slug_stays() {
    let two = Two::start().await;
    let database = two.app.database();
    let operator = operator(&two.app).await;
    // More of everything than a batch, and rows that name each other.
    database
        .execute(&format!(
            "insert into audit_events (organization_id, id, at, action, object_type)
             select organization_id, gen_random_uuid(), now(), 'made.up', 'user' from organizations, generate_series(1, 2500)
             where slug = '{MARK}'"
        ))
        .await;
    let top = two.victim.folder("top", None).await;
    let below = two.victim.folder("below", Some(&top)).await;
    two.victim.member_at(&format!("deep@{MARK}.example"), "reader", &below).await;
    database
        .execute(
            "update email_messages e set about_email_id = o.id from email_messages o
             where o.organization_id = e.organization_id and o.id <> e.id
               and e.id = (select max(id::text)::uuid from email_messages m where m.organization_id = e.organization_id)
               and o.id = (select min(id::text)::uuid from email_messages m where m.organization_id = e.organization_id)",
        )
        .await;
    let organization =
        database.value(&format!("select organization_id from organizations where slug = '{MARK}'")).await;
    let organization = organization.as_str().expect("an id").to_owned();
    let left = async || {
        let mut left = Vec::new();
        for table in two.app.database().tenant_tables().await {
            let select = format!("select count(*) from {table} where organization_id = '{organization}'");
            if two.app.database().value(&select).await != 0 {
                left.push(table);
            }
        }
        left
    };
    let filled = left().await;
    assert!(filled.len() >= 25, "there is something to purge: {filled:?}");
    let others = two.digest_of("attacker").await;

    operator.delete(&format!("/v1/orgs/{MARK}")).await.no_content();
    two.app.settle().await;
    two.app.clock.advance(days(30) - hours(1));
    assert_eq!(two.app.run_schedule(Schedule::PurgeOrganizations).await.objects, 0);
    two.app.clock.advance(hours(1));
    let operator = operator.again().await;
    let restore = || operator.post(&format!("/v1/orgs/{MARK}/restore"), json!({}));
    restore().await.problem(404, "not_found");
    let tally = two.app.run_schedule(Schedule::PurgeOrganizations).await;
    assert!(tally.objects > 2_500 && tally.organizations == 1 && tally.failed == 0, "{tally:?}");
    assert_eq!(left().await, ["organization_slugs"]);
    assert_eq!(two.digest_of("attacker").await, others, "nobody else's rows");

    restore().await.problem(404, "not_found");
    let body = json!({ "name": "New", "slug": MARK.to_uppercase(), "admin_email": "ann@new.example" });
    operator.post("/v1/orgs", body).await.problem(409, "slug_taken");
    assert_eq!(two.app.run_schedule(Schedule::PurgeOrganizations).await.organizations, 0);
    two.app.finish().await;
}

#[tokio::test]
async fn the_application_purges_nothing_that_is_not_deleted_and_nothing_without_a_tenant() {
    let two = Two::start().await;
    let before = two.digest().await;
    let database = two.app.database();
    let call = "select purge_organization(now() + interval '1 year', 1000)";
    assert_eq!(database.as_application(call).await, Ok(()));
    let begin = format!(
        "begin; select set_config('tenantry.organization_id',
             (select organization_id::text from find_organization('{MARK}')), true)"
    );
    assert_eq!(database.as_application(&format!("{begin}; {call}; commit")).await, Ok(()));
    assert_eq!(two.digest().await, before);
    two.app.finish().await;
}
