//! Inviting many at once.

use harness::TestApp;
use serde_json::{Value, json};

fn row(address: &str) -> Value {
    json!({ "invitee_identifier": address, "role": "reader" })
}

#[tokio::test]
async fn each_row_gets_the_answer_it_would_get_alone() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let manager = admin.member("manager@example.com", "domain_manager").await;
    admin.invite("open@example.com", "reader").await;
    let rows = json!([
        row("first@example.com"),
        row("nonsense"),
        { "invitee_identifier": "x@example.com", "role": "king" },
        row("open@example.com"),
        row("manager@example.com"),
        row("First@Example.com"),
        { "invitee_identifier": "y@example.com", "role": "administrator" },
        "not even an object",
        null,
        7,
        [row("z@example.com")],
        {},
        { "invitee_identifier": "z@example.com", "role": "reader", "colour": "red" },
        { "invitee_identifier": 7, "role": "reader" },
        { "invitee_identifier": "n\u{0}l@example.com", "role": "reader" },
        row("last@example.com"),
    ]);
    let expected = [
        (201, ""),
        (400, "validation_failed"),
        (400, "validation_failed"),
        (409, "invitation_open"),
        (409, "already_member"),
        (409, "invitation_open"),
        (403, "cannot_grant"),
        (400, ""),
        (400, ""),
        (400, ""),
        (400, ""),
        (400, "validation_failed"),
        (400, "validation_failed"),
        (400, "validation_failed"),
        (400, ""),
        (201, ""),
    ];
    let answer = manager.post("/invitations/batch", rows).await;
    let request_id = answer.header("x-request-id").to_owned();
    let results = answer.ok()["results"].as_array().expect("results").clone();
    assert_eq!(results.len(), expected.len());
    for (n, (result, (status, code))) in results.iter().zip(expected).enumerate() {
        assert_eq!((&result["index"], &result["status"]), (&json!(n), &json!(status)), "{result}");
        if status == 201 {
            assert_eq!(result["invitation"]["status"], "pending", "{result}");
            assert!(result["problem"].is_null(), "{result}");
        } else {
            assert!(result["invitation"].is_null(), "{result}");
            assert_eq!(result["problem"]["status"], status, "{result}");
            assert_eq!(result["problem"]["request_id"], request_id, "{result}");
            assert!(code.is_empty() || result["problem"]["code"] == code, "{result}");
            assert_eq!(result["problem"]["detail"], result["problem"]["message"], "{result}");
        }
    }
    app.settle().await;
    let invited = admin.get("/invitations?status=pending&ordering=invitee_identifier").await.ok();
    let addresses: Vec<_> =
        invited["results"].as_array().expect("results").iter().map(|i| i["invitee_identifier"].clone()).collect();
    assert_eq!(addresses, ["first@example.com", "last@example.com", "open@example.com"]);
    assert_eq!(app.mailbox().count_to("first@example.com"), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_batch_has_one_to_a_thousand_rows() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    // The rows themselves are bad, so that nothing need be made or mailed.
    let rows = |count: usize| Value::Array(vec![json!({}); count]);
    admin.post("/invitations/batch", rows(0)).await.invalid("body", "out_of_range");
    admin.post("/invitations/batch", rows(1001)).await.invalid("body", "out_of_range");
    let done = admin.post("/invitations/batch", rows(1000)).await.ok();
    assert_eq!(done["results"].as_array().expect("results").len(), 1000);
    for not_a_list in [json!({}), json!("x"), Value::Null] {
        let answer = admin.post("/invitations/batch", not_a_list).await;
        assert_eq!(answer.status, 400, "{}", answer.whole());
        let _ = answer.any_problem();
    }
    assert_eq!(admin.get("/invitations").await.ok()["count"], 0);
    app.finish().await;
}

#[tokio::test]
async fn a_thousand_people_are_invited_and_mailed_once_each() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let rows: Vec<Value> = (0..1000).map(|n| row(&format!("u{n}@example.com"))).collect();
    let done = admin.post("/invitations/batch", json!(rows)).await.ok();
    let made = done["results"].as_array().expect("results").iter().filter(|result| result["status"] == 201).count();
    assert_eq!(made, 1000);
    assert_eq!(admin.get("/invitations?status=pending").await.ok()["count"], 1000);
    harness::eventually_within(std::time::Duration::from_secs(60), "a thousand mails", || async {
        (app.smtp().mails().len() >= 1000).then_some(())
    })
    .await;
    app.settle().await;
    let mut addresses: Vec<String> = app.mailbox().all().into_iter().flat_map(|mail| mail.recipients).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!((addresses.len(), app.mailbox().all().len()), (1000, 1000), "each once");
    app.finish().await;
}

#[tokio::test]
async fn mail_of_one_overtakes_mail_of_many() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().refuse_connections();
    let rows: Vec<Value> = (0..300).map(|n| row(&format!("u{n}@example.com"))).collect();
    admin.post("/invitations/batch", json!(rows)).await.ok();
    app.smtp().accept_connections();
    admin.invite("urgent@example.com", "reader").await;
    app.mailbox().last_to("urgent@example.com").await;
    let before = app.smtp().mails().iter().take_while(|mail| mail.recipients != ["urgent@example.com"]).count();
    assert!(before < 250, "{before} of many came first");
    app.clock.advance(harness::minutes(1));
    harness::eventually_within(std::time::Duration::from_secs(60), "all mails", || async {
        (app.smtp().mails().len() >= 301).then_some(())
    })
    .await;
    app.finish().await;
}
