//! The audit log as a file.

use harness::{Processes, TestApp, Which};
use serde_json::{Value, json};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

#[tokio::test]
async fn the_export_says_what_the_list_says_whatever_the_filter() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.organization("other").administrator().await;
    // More than a part.
    app.database()
        .execute(
            "insert into audit_events (organization_id, id, at, action, object_type)
             select organization_id, gen_random_uuid(), now() - make_interval(mins => n), 'made.up', 'user'
             from organizations, generate_series(1, 1201) n where slug = 'acme'",
        )
        .await;
    let export = admin.get("/audit-events/export?format=ndjson").await;
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    assert_eq!(export.header("content-disposition"), "attachment; filename=\"audit-events.ndjson\"");
    let exported = lines(&export.text);
    let mut listed = Vec::new();
    let mut next = json!("/audit-events?cursor=&limit=200");
    while let Some(path) = next.as_str() {
        let page = admin.get(path).await.ok();
        listed.extend(page["results"].as_array().expect("a list").clone());
        next = page["next"].clone();
    }
    assert!(listed.len() > 1_201);
    assert_eq!(exported, listed);

    for filter in ["action=made.up", "object_type=organization", "search=organization", "since=2999-01-01T00:00:00Z"] {
        let exported = lines(&admin.get(&format!("/audit-events/export?format=ndjson&{filter}")).await.text);
        let count = admin.get(&format!("/audit-events?{filter}")).await.ok()["count"].clone();
        assert_eq!(json!(exported.len()), count, "{filter}");
    }
    app.finish().await;
}

#[tokio::test]
async fn names_that_a_spreadsheet_would_run_are_harmless_in_csv() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for name in ["=1+1", "+1", "-1", "@sum", "a,\"b\"", "plain"] {
        admin.post("/teams", json!({ "name": name })).await.created();
    }
    let export = admin.get("/audit-events/export?format=csv&object_type=team").await;
    assert_eq!(export.header("content-type"), "text/csv; charset=utf-8");
    let mut rows = export.text.split("\r\n");
    let header = "id,at,action,object_type,object_id,object_name,actor_id,actor_name,credential,client_address,client_id,\
                  request_id,details";
    assert_eq!(rows.next(), Some(header));
    let rows: Vec<&str> = rows.filter(|row| !row.is_empty()).collect();
    assert_eq!(rows.len(), 6, "{}", export.text);
    for cell in [",'=1+1,", ",'+1,", ",'-1,", ",'@sum,", ",\"a,\"\"b\"\"\",", ",plain,"] {
        assert!(rows.iter().any(|row| row.contains(cell)), "{cell} in {}", export.text);
    }
    app.finish().await;
}

#[tokio::test]
async fn an_export_is_for_those_who_may_read_the_log() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let reader = admin.member("rita@acme.example", "reader").await;
    reader.get("/audit-events/export?format=csv").await.problem(403, "permission_denied");
    admin.under("other").get("/audit-events/export?format=csv").await.problem(404, "not_found");
    admin.get("/audit-events/export?format=xml").await.problem(400, "invalid_parameter");
    assert!(lines(&admin.get("/audit-events/export").await.text).len() > 1, "NDJSON, if not said");
    app.finish().await;
}

/// Reads an export to its end as it comes; how many lines it has, and the most memory that the API held meanwhile, in KiB.
async fn stream(tenantry: &mut Processes, authorization: &str, format: &str) -> (usize, u64) {
    let url = format!("{}/v1/orgs/acme/audit-events/export?format={format}", tenantry.url());
    let client = reqwest::Client::new();
    let mut answer = client.get(url).header("authorization", authorization).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let (mut count, mut most, mut parts) = (0, 0, 0_usize);
    while let Some(part) = answer.chunk().await.expect("no part is missing") {
        count += part.iter().filter(|byte| **byte == b'\n').count();
        if parts % 50 == 0 {
            most = tenantry.memory(Which::Api).await.max(most);
        }
        parts += 1;
    }
    (count, most)
}

#[tokio::test]
async fn a_million_events_are_exported_in_flat_memory() {
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    let authorization = format!("Bearer {}", admin.token());
    let fill = |count: u32| {
        format!(
            "insert into audit_events (organization_id, id, at, action, object_type, details)
             select organization_id, gen_random_uuid(), now() - make_interval(secs => n), 'made.up', 'user',
                 jsonb_build_object('n', n)
             from organizations, generate_series(1, {count}) n where slug = 'acme'"
        )
    };
    tenantry.database().execute(&fill(5_000)).await;
    // What it needs for its work is there.
    let (_, few) = stream(&mut tenantry, &authorization, "ndjson").await;
    let (_, few_csv) = stream(&mut tenantry, &authorization, "csv").await;
    let before = few.max(few_csv);
    for (more, all, format) in [(195_000, 200_000, "csv"), (800_000, 1_000_000, "ndjson")] {
        tenantry.database().execute(&fill(more)).await;
        let (count, most) = stream(&mut tenantry, &authorization, format).await;
        assert!(count > all, "{count}");
        // A million of them are some 400 MB.
        assert!(most < before + 8 * 1024, "KiB with 5,000 events {before}, with {count} {most}");
    }
}
