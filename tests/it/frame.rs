//! What holds for every request.

use harness::{PASSWORD, TestApp};
use serde_json::json;

#[tokio::test]
async fn smoke() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.invite("bob@example.com", "reader").await;
    let link = app.mailbox().last_to("bob@example.com").await.link();
    app.anonymous().accept(&link).await.created();
    app.finish().await;
}
