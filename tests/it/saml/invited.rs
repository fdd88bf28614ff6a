//! Accepting an invitation by one's company account: the link shows whose mailbox it is, the assertion who someone is there.

use harness::{Answer, Connected, Link, Message, Said, Tab, TestApp};
use serde_json::{Value, json};

use super::{acme, is_in, refused};

/// Opens a link, and says which company it is: what is asked of the identity provider.
async fn follow(app: &TestApp, tab: &Tab, company: &Connected, link: &Link) -> Message {
    let page = tab.open(&address_of(app, link)).await;
    assert_eq!((page.status.as_u16(), page.header("location")), (303, "/invitations/accept"), "{}", page.whole());
    let page = tab.open(&format!("{}/invitations/accept", app.url())).await;
    assert!(page.text.contains("Accept with Company"), "{}", page.text);
    let answer = press(app, tab, company, &link.token()).await;
    assert_eq!(answer.status, 200, "{}", answer.whole());
    Message::of_lead(&answer.text)
}

/// The link as it would be mailed by this API.
fn address_of(app: &TestApp, link: &Link) -> String {
    format!("{}/invitations/accept?token={}", app.url(), link.token())
}

async fn press(app: &TestApp, tab: &Tab, company: &Connected, token: &str) -> Answer {
    let fields = [("token", token), ("connection", &company.id)];
    tab.post(&format!("{}/invitations/accept/company", app.url()), &fields, app.url()).await
}

async fn come_back(tab: &Tab, company: &Connected, said: &Said, asked: &Message) -> Answer {
    tab.bring(company, &company.response(said, Some(&asked.id)), &asked.relay_state).await
}

fn path_of(invitation: &Value) -> String {
    format!("/invitations/{}", invitation["uuid"].as_str().expect("an id"))
}

async fn demand(app: &TestApp) {
    let sql = "update organizations set sso_required_from = now() - interval '1 day' where slug = 'acme'";
    app.database().execute(sql).await;
}

#[tokio::test]
async fn an_invitee_accepts_by_his_company_where_it_would_make_no_account_by_itself() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({})).await;
    let invitation = admin.invite("Bob@Example.com", "auditor").await;
    let link = app.link_of(&admin, &invitation).await;
    demand(&app).await;
    let tab = Tab::new(app.anonymous());
    let asked = follow(&app, &tab, &company, &link).await;
    let page = tab.open(&format!("{}/invitations/accept", app.url())).await;
    assert!(!page.text.contains("type=\"password\""), "there is no password to choose: {}", page.text);
    let rows = app.database().rows("select * from saml_requests").await;
    assert!(!rows[0].to_string().contains(&link.token()), "the token is kept nowhere");

    let stranger = come_back(&Tab::new(app.anonymous()), &company, &Said::of("bob@example.com"), &asked).await;
    refused(&admin, &stranger, "sso_again", "other_browser").await;
    is_in(&come_back(&tab, &company, &Said::of("bob@example.com"), &asked).await, "/");
    let me = tab.caller("acme").await.get("/iam/current-user").await.ok();
    assert_eq!((&me["roles"], &me["is_email_verified"]), (&json!(["auditor"]), &json!(true)), "{me}");
    assert_eq!((&me["is_local"], &me["is_sso"]), (&json!(false), &json!(true)), "{me}");
    assert_eq!(admin.get(&path_of(&invitation)).await.ok()["status"], "accepted");
    assert!(app.mailbox().last_to(&admin.email).await.text().contains("accepted"), "the inviter is told");
    let again = press(&app, &tab, &company, &link.token()).await;
    assert_eq!(again.status, 409, "{}", again.whole());
    app.finish().await;
}

#[tokio::test]
async fn who_is_called_otherwise_at_his_company_does_not_accept_known_here_or_not() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    is_in(&Tab::new(app.anonymous()).sign_in(&company, &Said::of("carol@example.com")).await, "/");
    let invitation = admin.invite("bob@example.com", "administrator").await;
    let link = app.link_of(&admin, &invitation).await;
    let tab = Tab::new(app.anonymous());
    for someone in ["eve@example.com", "carol@example.com"] {
        let asked = follow(&app, &tab, &company, &link).await;
        let answer = come_back(&tab, &company, &Said::of(someone), &asked).await;
        refused(&admin, &answer, "sso_other_address", "invitation_for_another_address").await;
    }
    let asked = follow(&app, &tab, &company, &link).await;
    let answer = come_back(&tab, &company, &Said::of_name("nobody's address"), &asked).await;
    refused(&admin, &answer, "sso_no_account", "no_email").await;
    assert!(!tab.cookies().contains("tenantry="), "nobody is signed in: {}", tab.cookies());
    assert_eq!(admin.get(&path_of(&invitation)).await.ok()["status"], "pending");
    // What he began for an invitation counts for that one: another state of his browser leads nowhere.
    let (first, second) = (follow(&app, &tab, &company, &link).await, tab.ask(&company).await);
    let response = company.response(&Said::of("bob@example.com"), Some(&second.id));
    let forged = tab.bring(&company, &response, &first.relay_state).await;
    refused(&admin, &forged, "sso_again", "wrong_relay_state").await;
    app.finish().await;
}

#[tokio::test]
async fn an_invitation_that_ended_while_he_was_at_his_company_is_not_accepted() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({})).await;
    for (what, reason) in
        [("revoke", "invitation_revoked"), ("resend", "invitation_superseded"), ("decline", "invitation_declined")]
    {
        let invitation = admin.invite("bob@example.com", "reader").await;
        let link = app.link_of(&admin, &invitation).await;
        let tab = Tab::new(app.anonymous());
        let asked = follow(&app, &tab, &company, &link).await;
        match what {
            "revoke" => admin.delete(&path_of(&invitation)).await.no_content(),
            "decline" => app.anonymous().decline(&link).await.no_content(),
            _ => drop(admin.post(&format!("{}/resend", path_of(&invitation)), json!({})).await.ok()),
        }
        let answer = come_back(&tab, &company, &Said::of("bob@example.com"), &asked).await;
        refused(&admin, &answer, "sso_invitation_over", reason).await;
        if what == "resend" {
            admin.delete(&path_of(&invitation)).await.no_content();
        }
    }
    let dead = press(&app, &Tab::new(app.anonymous()), &company, "no-token-of-ours").await;
    assert_eq!(dead.status, 404, "{}", dead.whole());
    assert_eq!(admin.get("/users").await.ok()["count"], 1, "nobody was made");
    app.finish().await;
}

#[tokio::test]
async fn only_the_companies_that_can_speak_for_an_invitee_are_offered_to_him() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "name": "First" })).await;
    let other = harness::IdentityProvider::new("other", &app.clock);
    other.connect(&admin, json!({ "name": "Other", "domains": ["other.example"] })).await;
    let page = async |email: &str| {
        let link = app.link_of(&admin, &admin.invite(email, "reader").await).await;
        let tab = Tab::new(app.anonymous());
        tab.open(&address_of(&app, &link)).await;
        tab.open(&format!("{}/invitations/accept", app.url())).await.text
    };
    let free = page("bob@example.com").await;
    assert!(free.contains("Accept with First") && free.contains("Accept with Other"), "{free}");
    assert!(free.contains("type=\"password\""), "and he may choose a password: {free}");
    let bound = page("bob@other.example").await;
    assert!(!bound.contains("Accept with First") && bound.contains("Accept with Other"), "{bound}");
    admin.patch(&format!("/saml/connections/{}", company.id), json!({ "is_active": false })).await.ok();
    assert!(!page("eve@example.com").await.contains("Accept with First"), "it is off");
    app.finish().await;
}

#[tokio::test]
async fn a_superuser_is_made_by_his_company_only_where_his_link_led_there() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true, "domains": ["example.com"] })).await;
    let invitation = admin.invite("bob@example.com", "administrator").await;
    let link = app.link_of(&admin, &invitation).await;
    app.database().execute("update invitations set is_superuser = true").await;
    let tab = Tab::new(app.anonymous());
    let answer = tab.sign_in(&company, &Said::of("bob@example.com")).await;
    refused(&admin, &answer, "sso_no_account", "superuser_by_link").await;
    let asked = follow(&app, &tab, &company, &link).await;
    is_in(&come_back(&tab, &company, &Said::of("bob@example.com"), &asked).await, "/");
    assert_eq!(tab.caller("acme").await.get("/iam/current-user").await.ok()["is_superuser"], true);
    app.finish().await;
}
