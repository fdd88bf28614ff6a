//! Analysts, and their consent: given by themselves, with its time and history.

use harness::{TestApp, days, minutes};
use serde_json::{Value, json};

fn emails(list: &Value) -> Vec<&str> {
    list["results"].as_array().into_iter().flatten().filter_map(|one| one["email"].as_str()).collect()
}

#[tokio::test]
async fn analysts_are_those_who_hold_the_role_directly_or_through_a_group() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let ann = admin.member("ann@acme.example", "analyst").await;
    let rita = admin.member("rita@acme.example", "reader").await;
    assert_eq!(emails(&admin.get("/analysts").await.ok()), ["ann@acme.example"]);
    let roles = admin.get("/roles?search=analyst").await.ok();
    let root = admin.get("/iam/current-user").await.ok()["root_folder_id"].clone();
    let body =
        json!({ "name": "Rita", "user": rita.id, "role": roles["results"][0]["id"], "perimeter_folders": [root] });
    admin.post("/role-assignments", body).await.created();
    let list = admin.get("/analysts?ordering=-email").await.ok();
    assert_eq!(emails(&list), ["rita@acme.example", "ann@acme.example"]);
    assert_eq!((&list["count"], &list["results"][0]["consent_given"]), (&json!(2), &json!(false)));
    ann.patch("/analysts/current", json!({ "consent_given": true })).await.ok();
    let list = admin.get("/analysts?search=ann&page=1&page_size=1").await.ok();
    assert_eq!((&list["count"], &list["results"][0]["consent_given"]), (&json!(1), &json!(true)));
    assert_eq!(list["results"][0]["user_uuid"], json!(ann.id));
    app.finish().await;
}

#[tokio::test]
async fn consent_is_ones_own_and_keeps_its_times_and_its_history() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let ann = admin.member("ann@acme.example", "analyst").await;
    let own = ann.get("/analysts/current").await.ok();
    let nothing = json!({ "consent_given": false, "user_uuid": ann.id, "consent_changed_at": null, "history": [] });
    assert_eq!(own, nothing);
    let say = |given: Value| ann.patch("/analysts/current", json!({ "consent_given": given, "user_uuid": admin.id }));
    let first = say(json!(true)).await;
    let tag = first.header("etag").to_owned();
    let first = first.ok();
    assert_eq!((&first["consent_given"], &first["user_uuid"]), (&json!(true), &json!(ann.id)));
    app.clock.advance(minutes(5));
    assert_eq!(say(json!(true)).await.ok(), first, "to repeat it says nothing new");
    let last = say(json!(false)).await.ok();
    assert_eq!(last["consent_given"], false);
    let history = last["history"].as_array().expect("a list");
    assert_eq!((history.len(), &history[1]), (2, &first["history"][0]));
    assert!(history[0]["at"].as_str() > history[1]["at"].as_str(), "{history:?}");
    say(json!(true)).header("If-Match", &tag).await.problem(412, "precondition_failed");
    say(Value::Null).await.invalid("consent_given", "required");
    assert_eq!(ann.patch("/analysts/current", json!({})).await.ok(), last);

    let token = ann.post("/iam/auth-tokens", json!({ "name": "script" })).await.created();
    let script = ann.with_authorization(Some(&format!("Bearer {}", token["token"].as_str().expect("a token"))));
    assert_eq!(script.get("/analysts/current").await.ok(), last);
    script.patch("/analysts/current", json!({ "consent_given": true })).await.problem(403, "session_required");
    assert_eq!(admin.get("/analysts/current").await.ok()["history"], json!([]), "nobody else's");
    let log = admin.get("/audit-events?object_type=user&search=analyst_consent&ordering=at").await.ok();
    let actions: Vec<&Value> = log["results"].as_array().into_iter().flatten().map(|event| &event["action"]).collect();
    assert_eq!(actions, ["analyst_consent.given", "analyst_consent.withdrawn"]);
    app.clock.advance(days(1));
    app.finish().await;
}
