//! No secret at rest: what a thief finds in a dump of Postgres and Redis, and in the logs.

use harness::{PASSWORD, Processes, Which, redis_keys_and_values, required, run_to_end};
use serde_json::json;

const NEW_PASSWORD: &str = "several unrelated zebras juggle";

#[tokio::test]
async fn dumps_and_logs_hold_no_token_link_password_or_session() {
    let tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    let stranger = tenantry.anonymous().under("acme");
    let mut secrets = vec![PASSWORD.to_owned(), NEW_PASSWORD.to_owned(), admin.token().to_owned()];

    // Every occasion of a mail, so that every kind of link was out there.
    admin.invite("Bob.Builder@example.com", "reader").await;
    let accept = tenantry.mailbox().last_to("Bob.Builder@example.com").await.link();
    let session = stranger.accept(&accept).await.created();
    secrets.extend([accept.token(), session["token"].as_str().expect("a token").to_owned()]);
    admin.invite("carol@example.com", "reader").await;
    let decline = tenantry.mailbox().last_to("carol@example.com").await.link();
    stranger.decline(&decline).await.no_content();
    secrets.push(decline.token());
    admin.post("/users", json!({ "email": "dave@example.com" })).await.created();
    let welcome = tenantry.mailbox().last_to("dave@example.com").await.link();
    let body = json!({ "token": welcome.token(), "new_password": NEW_PASSWORD, "confirm_new_password": NEW_PASSWORD });
    stranger.post("/iam/password-reset/confirm", body).await.no_content();
    secrets.push(welcome.token());
    stranger.post("/iam/password-reset", json!({ "email": "Bob.Builder@example.com" })).await.accepted();
    let reset = tenantry.mailbox().last_to("Bob.Builder@example.com").await.link();
    secrets.push(reset.token());
    admin.invite("erin@example.com", "reader").await;
    tenantry.settle().await;
    tenantry.mailbox().read_all();
    tenantry.database().execute("update invitations set valid_until = now() + interval '1 day'").await;
    let (code, said) = tenantry.by_hand(&["schedule", "run", "remind_invitees"]).await;
    assert!(code == Some(0) && said.contains("1 objects"), "{said}");
    let reminder = tenantry.mailbox().last_to("erin@example.com").await;
    for link in reminder.links().into_iter().filter(|link| link.0.query().is_some()) {
        stranger.get(link.0.as_str()).await;
        secrets.push(link.token());
        if link.0.path() == "/reminders/stop" {
            let one_click = stranger.post(link.0.as_str(), json!({}));
            let body = "List-Unsubscribe=One-Click";
            assert_eq!(one_click.body("application/x-www-form-urlencoded", body).await.status, 200);
        }
    }
    // A link of a mail is opened as a page, too, and a wrong password is tried.
    stranger.get(&format!("{}/password-reset/confirm?token={}", tenantry.url(), reset.token())).await;
    stranger.preview(&accept).await.problem(409, "invitation_accepted");
    stranger
        .sign_in("acme", "Bob.Builder@example.com", "a wrong password of his")
        .await
        .problem(401, "invalid_credentials");
    tenantry.settle().await;
    secrets.push("a wrong password of his".to_owned());

    let dump = format!("{}/pg_dump", required("TEST_POSTGRES_BIN"));
    let (code, postgres) = run_to_end(dump, &["--inserts", "--dbname", &tenantry.database().owner_url()], &[]).await;
    assert!(code == Some(0) && postgres.contains("Bob.Builder@example.com"), "the dump holds the data");
    let redis = redis_keys_and_values(&tenantry.redis.url()).await;
    assert!(redis.contains("epoch"), "the dump of Redis holds something: {redis}");
    let logs = format!("{}{}", tenantry.log(Which::Api), tenantry.log(Which::Worker));
    assert!(logs.contains("iam_password_reset_confirm") && logs.contains("B***@e***.com"), "{logs}");

    for secret in &secrets {
        for (place, text) in [("Postgres", &postgres), ("Redis", &redis), ("the logs", &logs)] {
            assert!(!text.contains(secret.as_str()), "{place} holds the secret {secret}");
            // Nor the part of a token that proves something, without what stands around it.
            let end = &secret[secret.len().saturating_sub(30)..];
            assert!(!text.contains(end), "{place} holds the end of the secret {secret}");
        }
    }
    for address in ["Bob.Builder@example.com", "bob.builder@example.com", "carol@example.com", "admin@acme.example"] {
        assert!(!logs.contains(address), "the logs hold the address {address}");
    }
}
