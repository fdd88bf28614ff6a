//! Many at once.

use futures_util::future::join_all;
use harness::{Answer, IdentityProvider, Message, Said, Tab, TestApp};
use serde_json::json;

use super::{acme, is_in};

/// Two hundred ask at once, for whom there are five connections to Postgres: whoever finds none in time is told to come again, as
/// browsers are, and nothing has happened.
async fn when_there_is_room(ask: impl AsyncFn() -> Answer) -> Answer {
    loop {
        let answer = ask().await;
        if answer.status != 503 {
            return answer;
        }
    }
}

#[tokio::test]
async fn two_hundred_people_of_twenty_organizations_sign_in_at_once_and_never_mix() {
    let app = TestApp::start().await;
    let mut companies = Vec::new();
    for n in 0..20 {
        let admin = app.organization(&format!("org{n}")).administrator().await;
        // Every provider calls people alike: only the connection tells them apart.
        let provider = IdentityProvider::new(&format!("idp{n}"), &app.clock);
        companies.push(provider.connect(&admin, json!({ "jit_provisioning": true, "default_role": "reader" })).await);
    }
    let people: Vec<_> = (0..200).map(|n| (&companies[n % 20], format!("person{}@example.com", n / 20))).collect();
    let asked = join_all(people.iter().map(|(company, email)| {
        let tab = Tab::new(app.anonymous());
        async move {
            let login = company.address(&format!("login?connection={}", company.id));
            let answer = when_there_is_room(async || tab.open(&login).await).await;
            let asked = Message::of_address(answer.header("location"));
            let response = company.response(&Said::of(email), Some(&asked.id));
            (tab, asked, response)
        }
    }))
    .await;
    let answers = join_all(people.iter().zip(&asked).map(|((company, _), (tab, asked, response))| async move {
        when_there_is_room(async || tab.bring(company, response, &asked.relay_state).await).await
    }))
    .await;
    for (((company, email), (tab, ..)), answer) in people.iter().zip(&asked).zip(&answers) {
        is_in(answer, "/");
        let caller = tab.caller(&company.slug).await;
        assert_eq!(&caller.email, email);
        let me = caller.get("/iam/current-user").await.ok();
        assert_eq!(me["organization"]["slug"], company.slug, "{me}");
    }
    let made = app.database().rows("select organization_id, count(*) as people from saml_identities group by 1").await;
    assert!(made.len() == 20 && made.iter().all(|row| row["people"] == 10), "{made:?}");
    app.finish().await;
}

#[tokio::test]
async fn the_same_assertion_posted_twice_at_the_same_moment_signs_in_once() {
    let app = TestApp::start().await;
    let (_, company) = acme(&app, json!({ "jit_provisioning": true, "idp_initiated": true })).await;
    let tab = Tab::new(app.anonymous());
    for round in 0..5 {
        let asked = tab.ask(&company).await;
        let response = company.response(&Said::of("bob@example.com"), Some(&asked.id));
        let unasked = company.response(&Said::of("bob@example.com"), None);
        for (response, state) in [(&response, asked.relay_state.as_str()), (&unasked, "")] {
            let both = join_all((0..4).map(|_| tab.bring(&company, response, state))).await;
            let statuses: Vec<u16> = both.iter().map(|answer| answer.status.as_u16()).collect();
            let (inside, refused): (Vec<u16>, Vec<u16>) = statuses.iter().partition(|status| **status == 303);
            assert!(inside.len() == 1 && refused.iter().all(|status| *status == 403), "{round}: {statuses:?}");
        }
    }
    let events = app.database().rows("select id from saml_events where outcome = 'accepted'").await;
    assert_eq!(events.len(), 10, "one each time");
    app.finish().await;
}
