//! What someone sees of invitations, mails and people who manages one folder of the tree.

use harness::{Caller, TestApp, eventually, minutes};
use serde_json::{Value, json};

struct Domains {
    app: TestApp,
    admin: Caller,
    domain: Value,
    elsewhere: Value,
    manager: Caller,
}

async fn invite(by: &Caller, email: &str, folder: &Value) -> Value {
    let body = json!({ "invitee_identifier": email, "role": "reader", "folder": folder });
    by.post("/invitations", body).await.created()
}

fn path(invitation: &Value) -> String {
    format!("/invitations/{}", invitation["uuid"].as_str().expect("an id"))
}

fn field<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    let mut values: Vec<&str> =
        list["results"].as_array().expect("a list").iter().filter_map(|object| object[field].as_str()).collect();
    values.sort_unstable();
    values
}

impl Domains {
    async fn start() -> Self {
        let app = TestApp::start().await;
        let admin = app.organization("acme").administrator().await;
        let domain = admin.folder("Domain", None).await;
        let elsewhere = admin.folder("Elsewhere", None).await;
        let manager = admin.member_at("manager@example.com", "domain_manager", &domain).await;
        Self { app, admin, domain, elsewhere, manager }
    }

    /// One invitation to each place: root, domain, below it, elsewhere.
    async fn invite_everywhere(&self) -> [Value; 4] {
        let below = self.admin.folder("Below", Some(&self.domain)).await;
        [
            invite(&self.admin, "root@example.com", &Value::Null).await,
            invite(&self.admin, "domain@example.com", &self.domain).await,
            invite(&self.admin, "below@example.com", &below).await,
            invite(&self.admin, "elsewhere@example.com", &self.elsewhere).await,
        ]
    }

    /// Makes the manager one who sees everything, and lets managers do this, too.
    async fn widen(&self, permission: &str) {
        let sql = format!(
            "update roles set permissions = permissions || '{{{permission}}}' where name = 'domain_manager';
             insert into user_group_members (organization_id, user_group_id, user_id)
             select g.organization_id, g.id, '{}' from user_groups g join folders f on f.id = g.folder_id
             where f.parent_folder_id is null and g.name = 'auditor'",
            self.manager.id
        );
        self.app.database().execute(&sql).await;
    }

    /// Runs two calls so that the first has begun to change things when the second begins.
    async fn race<A: Send + 'static, B: Send + 'static>(
        &self,
        first: impl Future<Output = A> + Send + 'static,
        second: impl Future<Output = B> + Send + 'static,
    ) -> (A, B) {
        let held = self.app.database().hold("select from organizations for no key update").await;
        let first = tokio::spawn(first);
        self.until_waiting(1).await;
        let second = tokio::spawn(second);
        self.until_waiting(2).await;
        held.release().await;
        (first.await.expect("it ends"), second.await.expect("it ends"))
    }

    async fn until_waiting(&self, count: i64) {
        let waits = "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock' and query ilike '%organizations%'";
        eventually("requests to wait for the organization", || async {
            (self.app.database().value(waits).await.as_i64() >= Some(count)).then_some(())
        })
        .await;
    }
}

// --- invitations

#[tokio::test]
async fn a_domain_manager_sees_the_invitations_into_his_domain() {
    let domains = Domains::start().await;
    let [root, domain, below, elsewhere] = domains.invite_everywhere().await;
    let list = domains.manager.get("/invitations?status=pending").await.ok();
    assert_eq!(list["count"], 2);
    assert_eq!(field(&list, "invitee_identifier"), ["below@example.com", "domain@example.com"]);
    assert_eq!(domains.admin.get("/invitations?status=pending").await.ok()["count"], 4);
    for invitation in [&domain, &below] {
        let seen = domains.manager.get(&path(invitation)).await.ok();
        assert_eq!(
            (&seen["folder"], &seen["invited_by"]),
            (&invitation["folder"], &json!({})),
            "the inviter is hidden"
        );
    }
    for invitation in [&root, &elsewhere] {
        domains.manager.get(&path(invitation)).await.problem(404, "not_found");
        domains.manager.post(&format!("{}/resend", path(invitation)), json!({})).await.problem(404, "not_found");
        domains.manager.post(&path(invitation), json!({})).await.problem(404, "not_found");
        domains.manager.delete(&path(invitation)).await.problem(404, "not_found");
    }
    domains.app.clock.advance(minutes(2));
    domains.manager.post(&format!("{}/resend", path(&below)), json!({})).await.ok();
    domains.manager.delete(&path(&domain)).await.no_content();
    domains.app.finish().await;
}

#[tokio::test]
async fn who_sees_an_invitation_and_may_not_invite_there_is_told_so() {
    let domains = Domains::start().await;
    let [root, ..] = domains.invite_everywhere().await;
    domains.widen("view_email").await;
    domains.manager.get(&path(&root)).await.ok();
    let resend = format!("{}/resend", path(&root));
    domains.manager.post(&resend, json!({})).await.problem(403, "permission_denied");
    domains.manager.delete(&path(&root)).await.problem(403, "permission_denied");
    assert_eq!(domains.admin.get(&path(&root)).await.ok()["status"], "pending");
    domains.app.finish().await;
}

#[tokio::test]
async fn a_domain_manager_invites_into_his_domain_alone() {
    let domains = Domains::start().await;
    let body =
        |role: &str, folder: &Value| json!({ "invitee_identifier": "bob@example.com", "role": role, "folder": folder });
    let post = |body: Value| domains.manager.post("/invitations", body);
    post(body("reader", &Value::Null)).await.problem(403, "permission_denied");
    post(body("reader", &domains.elsewhere)).await.invalid("folder", "not_found");
    post(body("administrator", &domains.domain)).await.problem(403, "cannot_grant");
    let rows: Vec<Value> = [&domains.elsewhere, &domains.domain, &Value::Null].map(|at| body("reader", at)).into();
    let batch = domains.manager.post("/invitations/batch", json!(rows)).await.ok();
    let statuses: Vec<_> =
        batch["results"].as_array().expect("a list").iter().map(|row| row["status"].as_u64()).collect();
    assert_eq!(statuses, [Some(400), Some(201), Some(403)]);
    domains.app.finish().await;
}

#[tokio::test]
async fn a_bulk_resend_covers_what_whoever_asked_may_resend_when_it_is_done() {
    let domains = Domains::start().await;
    let invitations = domains.invite_everywhere().await;
    domains.app.settle().await;
    domains.app.clock.advance(minutes(5));
    let resend = async || {
        let job = domains.manager.post("/invitations/resend", json!({ "status": "pending" })).await.accepted();
        format!("/jobs/{}", job["id"].as_str().expect("an id"))
    };
    let job = resend().await;
    domains.app.settle().await;
    let job = domains.manager.get(&job).await.ok();
    assert_eq!((&job["total"], &job["done"], &job["failed"]), (&json!(2), &json!(2), &json!(0)));
    let mut counts = Vec::new();
    for invitation in &invitations {
        counts.push(domains.admin.get(&path(invitation)).await.ok()["resent_count"].as_i64());
    }
    assert_eq!(counts, [Some(0), Some(1), Some(1), Some(0)]);
    // The right is taken from him between the request and the work.
    domains.app.clock.advance(minutes(5));
    let held = domains.app.database().hold("select from organizations for no key update").await;
    let job = resend().await;
    domains.until_waiting(1).await;
    let sql = format!("delete from user_group_members where user_id = '{}'", domains.manager.id);
    domains.app.database().execute(&sql).await;
    held.release().await;
    domains.app.settle().await;
    let job = domains.admin.get(&job).await.ok();
    assert_eq!((&job["status"], &job["done"]), (&json!("finished"), &json!(0)));
    domains.app.finish().await;
}

// --- mails

#[tokio::test]
async fn a_domain_manager_sees_the_mails_to_his_invitees_and_his_people() {
    let domains = Domains::start().await;
    let [root, domain, ..] = domains.invite_everywhere().await;
    let dora = domains.admin.member_at("dora@example.com", "reader", &domains.domain).await;
    dora.post("/iam/password-reset", json!({ "email": "dora@example.com" })).await.accepted();
    let link = domains.app.link_of(&domains.admin, &domain).await;
    domains.app.anonymous().decline(&link).await.no_content();
    domains.app.settle().await;
    let seen = domains.manager.get("/emails?limit=200").await.ok();
    let mut to = field(&seen, "to");
    to.dedup();
    // Not to the administrator, who was told that one of them declined.
    assert_eq!(to, ["below@example.com", "domain@example.com", "dora@example.com", "manager@example.com"]);
    assert!(field(&seen, "kind").contains(&"password_reset"), "{seen}");
    assert_eq!(seen["count"].as_u64(), seen["results"].as_array().map(|list| list.len() as u64));
    let all = domains.admin.get("/emails?limit=200").await.ok();
    assert!(field(&all, "kind").contains(&"invitation_declined"), "{all}");
    for mail in all["results"].as_array().expect("a list") {
        let answer = domains.manager.get(&format!("/emails/{}", mail["id"].as_str().expect("an id"))).await;
        let is_seen = to.contains(&mail["to"].as_str().expect("an address"));
        assert_eq!(answer.status, if is_seen { 200 } else { 404 }, "{}", answer.whole());
    }
    let about = format!("/emails?invitation={}", root["uuid"].as_str().expect("an id"));
    assert_eq!(domains.manager.get(&about).await.ok()["count"], 0);
    domains.app.finish().await;
}

#[tokio::test]
async fn a_mail_is_sent_again_by_who_may_where_it_is_about() {
    let domains = Domains::start().await;
    domains.invite_everywhere().await;
    domains.app.settle().await;
    let mail = async |to: &str| {
        let list = domains.admin.get(&format!("/emails?search={to}")).await.ok();
        format!("/emails/{}/retry", list["results"][0]["id"].as_str().expect("an id"))
    };
    let (root, below) = (mail("root@").await, mail("below@").await);
    let retry = |path: &str| domains.manager.post(path, json!({}));
    retry(&below).await.problem(403, "permission_denied");
    let sql = "update roles set permissions = permissions || '{retry_email}' where name = 'domain_manager'";
    domains.app.database().execute(sql).await;
    retry(&below).await.problem(409, "email_not_retryable");
    retry(&root).await.problem(404, "not_found");
    domains.widen("view_email").await;
    retry(&root).await.problem(403, "permission_denied");
    domains.app.finish().await;
}

// --- people

#[tokio::test]
async fn a_domain_manager_sees_the_people_of_his_domain() {
    let domains = Domains::start().await;
    let below = domains.admin.folder("Below", Some(&domains.domain)).await;
    domains.admin.member_at("below@example.com", "reader", &below).await;
    let stranger = domains.admin.member_at("elsewhere@example.com", "reader", &domains.elsewhere).await;
    let list = domains.manager.get("/users").await.ok();
    assert_eq!(list["count"], 2);
    assert_eq!(field(&list, "email"), ["below@example.com", "manager@example.com"]);
    for hidden in [domains.admin.id, stranger.id] {
        domains.manager.get(&format!("/users/{hidden}")).await.problem(404, "not_found");
    }
    domains.app.finish().await;
}

// --- a folder that goes

#[tokio::test]
async fn an_open_invitation_is_revoked_with_its_folder() {
    let domains = Domains::start().await;
    let [root, domain, below, _] = domains.invite_everywhere().await;
    let mut links = Vec::new();
    for invitation in [&domain, &below] {
        links.push(domains.app.link_of(&domains.admin, invitation).await);
    }
    domains.admin.delete(&format!("/folders/{}", domains.domain.as_str().expect("an id"))).await.no_content();
    for link in &links {
        domains.app.anonymous().preview(link).await.problem(409, "invitation_revoked");
        domains.app.anonymous().accept(link).await.problem(409, "invitation_revoked");
    }
    for (invitation, status) in [(&domain, "revoked"), (&below, "revoked"), (&root, "pending")] {
        assert_eq!(domains.admin.get(&path(invitation)).await.ok()["status"], status);
    }
    // There is room for another.
    invite(&domains.admin, "domain@example.com", &Value::Null).await;
    domains.app.finish().await;
}

#[tokio::test]
async fn of_an_acceptance_and_the_deletion_of_its_folder_the_first_wins() {
    let domains = Domains::start().await;
    for accepts_first in [true, false] {
        let folder = domains.admin.folder("Contested", None).await;
        let invitation = invite(&domains.admin, &format!("{accepts_first}@example.com"), &folder).await;
        let link = domains.app.link_of(&domains.admin, &invitation).await;
        let (anonymous, admin) = (domains.app.anonymous(), domains.admin.clone());
        let accept = async move { anonymous.accept(&link).await };
        let delete = async move { admin.delete(&format!("/folders/{}", folder.as_str().expect("an id"))).await };
        if accepts_first {
            let (accepted, deleted) = domains.race(accept, delete).await;
            accepted.created();
            deleted.no_content();
        } else {
            let (deleted, accepted) = domains.race(delete, accept).await;
            deleted.no_content();
            accepted.problem(409, "invitation_revoked");
        }
    }
    domains.app.finish().await;
}

#[tokio::test]
async fn no_invitation_leads_to_a_folder_that_goes_meanwhile() {
    let domains = Domains::start().await;
    for invites_first in [true, false] {
        let folder = domains.admin.folder("Contested", None).await;
        let team = json!({ "name": "Contested", "folder": folder });
        let team = domains.admin.post("/teams", team).await.created()["id"].clone();
        let email = format!("{invites_first}@example.com");
        let body = json!({ "invitee_identifier": email, "role": "reader", "folder": folder, "teams": [team] });
        let (inviter, admin) = (domains.admin.clone(), domains.admin.clone());
        let create = async move { inviter.post("/invitations", body).await };
        let delete = async move { admin.delete(&format!("/folders/{}", folder.as_str().expect("an id"))).await };
        if invites_first {
            let (created, deleted) = domains.race(create, delete).await;
            deleted.no_content();
            let read = domains.admin.get(&path(&created.created())).await.ok();
            assert_eq!((&read["status"], &read["teams"]), (&json!("revoked"), &json!([])));
        } else {
            let (deleted, created) = domains.race(delete, create).await;
            deleted.no_content();
            assert_eq!(created.status, 400, "{}", created.whole());
        }
    }
    domains.app.finish().await;
}
