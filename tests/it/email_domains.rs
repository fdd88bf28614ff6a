//! E-mail domains: claimed by many, proven by one.

use chrono::TimeDelta;
use harness::{Caller, NameServer, TestApp};
use serde_json::{Value, json};

/// Claims a domain.
pub(crate) async fn claim(admin: &Caller, domain: &str) -> Value {
    admin.post("/email-domains", json!({ "domain": domain })).await.created()
}

pub(crate) fn path(claim: &Value) -> String {
    format!("/email-domains/{}", claim["id"].as_str().expect("an id"))
}

fn verify(admin: &Caller, claim: &Value) -> harness::Call {
    admin.call(reqwest::Method::POST, &format!("{}/verify", path(claim)))
}

fn text<'a>(claim: &'a Value, field: &str) -> &'a str {
    claim[field].as_str().unwrap_or_else(|| panic!("{field} of {claim}"))
}

/// Publishes what a claim asks for.
pub(crate) async fn publish(server: &NameServer, claim: &Value) {
    server.add_txt(text(claim, "txt_name"), text(claim, "txt_value")).await;
}

/// Makes a domain an organization's.
pub(crate) async fn proven(server: &NameServer, admin: &Caller, domain: &str) -> Value {
    let claim = claim(admin, domain).await;
    publish(server, &claim).await;
    verify(admin, &claim).await.ok()
}

#[tokio::test]
async fn a_domain_is_claimed_and_proven_by_a_txt_record() {
    let server = NameServer::start().await;
    let app = TestApp::start_asking(&server).await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.post("/email-domains", json!({ "domain": " @Bücher.Example ", "status": "verified" })).await;
    let tag = made.header("etag").to_owned();
    let made = made.created();
    assert_eq!((text(&made, "domain"), text(&made, "status")), ("xn--bcher-kva.example", "pending"));
    assert_eq!(text(&made, "txt_name"), "_tenantry-challenge.xn--bcher-kva.example");
    assert!(text(&made, "txt_value").starts_with("tenantry-verification="), "{made}");
    assert!(made["verified_at"].is_null() && made["checked_at"].is_null(), "{made}");

    let detail = async || text(&verify(&admin, &made).await.problem(409, "domain_not_proven"), "detail").to_owned();
    assert!(detail().await.contains("NXDOMAIN"));
    server.add_txt("below._tenantry-challenge.xn--bcher-kva.example", "x").await;
    assert!(detail().await.contains("has no TXT record"));
    server.add_txt(text(&made, "txt_name"), "v=spf1 -all").await;
    assert!(detail().await.contains("none that says"));
    assert_eq!(admin.get(&path(&made)).await.ok(), made, "a look that finds nothing changes nothing");

    server.add_txt(text(&made, "txt_name"), text(&made, "txt_value")).await;
    let done = verify(&admin, &made).await;
    assert_ne!(done.header("etag"), tag);
    let done = done.ok();
    assert_eq!((text(&done, "status"), text(&done, "verified_by")), ("verified", "dns"));
    assert_eq!((&done["verified_at"], &done["checked_at"]), (&done["checked_at"], &done["verified_at"]));
    assert_eq!(text(&verify(&admin, &made).await.ok(), "status"), "verified", "once more is the same");
    assert_eq!(admin.get("/audit-events?action=email_domain.verified").await.ok()["count"], 1);

    admin.delete(&path(&made)).header("if-match", &tag).await.problem(412, "precondition_failed");
    let tag = admin.get(&path(&made)).await.header("etag").to_owned();
    admin.delete(&path(&made)).header("if-match", &tag).await.no_content();
    admin.get(&path(&made)).await.problem(404, "not_found");
    assert_eq!(app.database().rows("select * from proven_email_domains").await.len(), 0);
    let log = admin.get("/audit-events?object_type=email_domain&ordering=at").await.ok();
    let actions: Vec<_> =
        log["results"].as_array().expect("events").iter().map(|event| text(event, "action")).collect();
    assert_eq!(actions, ["email_domain.created", "email_domain.verified", "email_domain.deleted"]);
    app.finish().await;
}

#[tokio::test]
async fn the_record_may_be_an_alias_or_stand_among_others_and_long_ones() {
    let server = NameServer::start().await;
    let app = TestApp::start_asking(&server).await;
    let admin = app.organization("acme").administrator().await;
    let one = claim(&admin, "one.example").await;
    server.add_alias(text(&one, "txt_name"), "proofs.elsewhere.example").await;
    server.add_txt("proofs.elsewhere.example", text(&one, "txt_value")).await;
    assert_eq!(text(&verify(&admin, &one).await.ok(), "status"), "verified");
    // So many that the answer has no room in a datagram.
    let two = claim(&admin, "two.example").await;
    for n in 0..10 {
        server.add_txt(text(&two, "txt_name"), &format!("{n}{}", "x".repeat(600))).await;
    }
    publish(&server, &two).await;
    assert_eq!(text(&verify(&admin, &two).await.ok(), "status"), "verified");
    app.finish().await;
}

#[tokio::test]
async fn a_name_server_that_does_not_answer_is_no_answer() {
    let server = NameServer::start().await;
    let app = TestApp::start_asking(&server).await;
    let admin = app.organization("acme").administrator().await;
    let made = claim(&admin, "acme.example").await;
    // It is not asked about by name servers of other zones.
    let foreign = claim(&admin, "acme.dev").await;
    let refused = verify(&admin, &foreign).await;
    assert!(!refused.header("retry-after").is_empty(), "{}", refused.whole());
    refused.problem(503, "dns_unavailable");
    server.stop().await;
    verify(&admin, &made).await.problem(503, "dns_unavailable");
    assert_eq!(admin.get(&path(&made)).await.ok(), made);
    app.finish().await;
}

#[tokio::test]
async fn several_claim_a_domain_and_one_has_it_also_when_two_prove_it_at_once() {
    let server = NameServer::start().await;
    let app = TestApp::start_asking(&server).await;
    let mut admins = Vec::new();
    for slug in ["acme", "globex", "initech", "umbrella"] {
        admins.push(app.organization(slug).administrator().await);
    }
    let mut claims = Vec::new();
    for admin in &admins {
        let claim = claim(admin, "shared.example").await;
        publish(&server, &claim).await;
        claims.push(claim);
    }
    let values: std::collections::BTreeSet<_> = claims.iter().map(|claim| text(claim, "txt_value")).collect();
    assert_eq!(values.len(), 4, "each proves it for itself");
    let answers = futures_util::future::join_all(
        admins.iter().zip(&claims).map(|(admin, claim)| async move { verify(admin, claim).await }),
    )
    .await;
    let first = answers.iter().position(|answer| answer.status == 200).expect("one has it");
    for (n, answer) in answers.into_iter().enumerate().filter(|(n, _)| *n != first) {
        answer.problem(409, "domain_taken");
        assert_eq!(text(&admins[n].get(&path(&claims[n])).await.ok(), "status"), "pending");
    }
    // It is free again when it is given up.
    let next = (first + 1) % 4;
    admins[first].delete(&path(&claims[first])).await.no_content();
    assert_eq!(text(&verify(&admins[next], &claims[next]).await.ok(), "status"), "verified");
    app.finish().await;
}

#[tokio::test]
async fn nobody_claims_what_is_nobodys_own_or_claimed_already() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let add = |domain: &str| admin.post("/email-domains", json!({ "domain": domain }));
    for wrong in ["", "acme", "bob@acme.example", "a b.example", "192.0.2.1", &"a.".repeat(200)] {
        add(wrong).await.invalid("domain", "invalid_domain");
    }
    for suffix in ["co.uk", "github.io"] {
        add(suffix).await.invalid("domain", "public_suffix");
    }
    for provider in ["gmail.com", "GMX.de", "orange.fr"] {
        add(provider).await.invalid("domain", "public_provider");
    }
    admin.post("/email-domains", json!({ "domain": 7 })).await.invalid("domain", "invalid_type");
    admin.post("/email-domains", json!({})).await.problem(400, "validation_failed");
    add("bücher.example").await.created();
    add("XN--bcher-kva.EXAMPLE").await.problem(409, "domain_claimed");
    let (one, two) = tokio::join!(async { add("twice.example").await }, async { add("Twice.example").await });
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    let fill = "insert into email_domains (organization_id, id, domain, token, created_at)
         select organization_id, gen_random_uuid(), 'd' || n || '.example', 'x', now()
         from organizations, generate_series(1, 198) n";
    app.database().execute(fill).await;
    add("last.example").await.problem(409, "too_many_domains");
    app.finish().await;
}

#[tokio::test]
async fn claims_are_listed_as_other_lists_are_and_made_once_for_a_key() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let make = |domain: &str, key: &str| {
        admin.post("/email-domains", json!({ "domain": domain })).header("idempotency-key", key)
    };
    let first = make("b.example", "one").await.created();
    assert_eq!(make("b.example", "one").await.created(), first);
    make("c.example", "one").await.problem(409, "idempotency_key_reused");
    claim(&admin, "a.example").await;
    claim(&admin, "c.acme.example").await;
    let list = async |query: &str| {
        let list = admin.get(&format!("/email-domains?{query}")).await.ok();
        let domains: Vec<_> =
            list["results"].as_array().expect("claims").iter().map(|claim| text(claim, "domain").to_owned()).collect();
        domains.join(" ")
    };
    assert_eq!(list("").await, "a.example b.example c.acme.example");
    assert_eq!(list("ordering=-created_at&limit=2").await, "c.acme.example a.example");
    assert_eq!(list("search=ACME").await, "c.acme.example");
    assert_eq!(list("status=verified").await, "");
    assert_eq!(list("status=pending&limit=1&offset=1").await, "b.example");
    admin.get("/email-domains?ordering=token").await.problem(400, "validation_failed");
    admin.get("/email-domains?status=open").await.problem(400, "invalid_parameter");
    app.finish().await;
}

#[tokio::test]
async fn whoever_may_change_the_organization_looks_after_its_domains() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = claim(&admin, "acme.example").await;
    for role in ["reader", "auditor", "domain_manager"] {
        let member = admin.member(&format!("{role}@example.com"), role).await;
        member.get("/email-domains").await.problem(403, "permission_denied");
        member.get(&path(&made)).await.problem(403, "permission_denied");
        member.post("/email-domains", json!({ "domain": "b.example" })).await.problem(403, "permission_denied");
        verify(&member, &made).await.problem(403, "permission_denied");
        member.delete(&path(&made)).await.problem(403, "permission_denied");
    }
    let second = admin.member("second@example.com", "administrator").await;
    assert_eq!(second.get(&path(&made)).await.ok(), made);
    let globex = app.organization("globex").administrator().await;
    verify(&globex, &made).await.problem(404, "not_found");
    verify(&globex.under("acme"), &made).await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn an_operator_looks_after_the_domains_of_every_organization_and_proves_by_his_word() {
    let server = NameServer::start().await;
    let app = TestApp::start_asking(&server).await;
    let admin = app.organization("acme").administrator().await;
    let globex = app.organization("globex").administrator().await;
    let operator = app.organization("platform").administrator().await;
    let there = operator.under("Acme");
    let add = |who: &Caller| {
        who.post("/email-domains", json!({ "domain": "acme.example" })).header("idempotency-key", "the-same")
    };
    let made = add(&there).await.created();
    assert_eq!(add(&there).await.created(), made);
    add(&operator.under("globex")).await.problem(409, "idempotency_key_reused");
    assert_eq!(admin.get(&path(&made)).await.ok(), made);
    assert_eq!(globex.get("/email-domains").await.ok()["count"], 0);
    assert_eq!(there.get("/email-domains").await.ok()["count"], 1);
    assert_eq!(operator.get("/email-domains").await.ok()["count"], 0, "his own organization's are its own");
    operator.under("globex").get(&path(&made)).await.problem(404, "not_found");
    operator.under("nowhere").get("/email-domains").await.problem(404, "not_found");
    there.get("/users").await.problem(404, "not_found");
    let clerk = operator.member("clerk@platform.example", "administrator").await;
    clerk.under("acme").get("/email-domains").await.problem(404, "not_found");

    let done = verify(&there, &made).await.ok();
    assert_eq!(
        (text(&done, "status"), text(&done, "verified_by"), &done["checked_at"]),
        ("verified", "operator", &Value::Null)
    );
    // What a member finds in the DNS takes nothing away from that.
    publish(&server, &made).await;
    assert_eq!(text(&verify(&admin, &made).await.ok(), "verified_by"), "operator");
    let other = claim(&globex, "acme.example").await;
    verify(&operator.under("globex"), &other).await.problem(409, "domain_taken");

    let event = &admin.get("/audit-events?action=email_domain.verified").await.ok()["results"][0];
    assert_eq!((text(event, "actor_name"), &event["details"]["by"]), ("admin@platform.example", &json!("operator")));
    there.delete(&path(&made)).await.no_content();
    admin.get(&path(&made)).await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn an_organization_has_its_proofs_looked_up_only_so_often() {
    let server = NameServer::start().await;
    let app = TestApp::start_asking(&server).await;
    let admin = app.organization("acme").administrator().await;
    let other = app.organization("other").administrator().await;
    let (ours, theirs) = (claim(&admin, "acme.example").await, claim(&other, "acme.example").await);
    for _ in 0..30 {
        verify(&admin, &ours).await.problem(409, "domain_not_proven");
    }
    verify(&admin, &ours).await.problem(429, "too_many_attempts");
    verify(&other, &theirs).await.problem(409, "domain_not_proven");
    app.clock.advance(TimeDelta::seconds(10));
    verify(&admin, &ours).await.problem(409, "domain_not_proven");
    app.finish().await;
}
