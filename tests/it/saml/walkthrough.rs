//! The lines of `docs/saml.md`, typed by a shell, and what it says to do in a browser.

use harness::{Browser, Nanoidp, PASSWORD, Processes, repository, run_to_end};
use serde_json::json;

/// The blocks of shell lines of the walkthrough, but the one that starts nanoidp where the test starts its own.
fn lines(provider: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository("docs/saml.md")).expect("a walkthrough");
    let (_, section) = text.split_once("\n## By hand, from nothing\n").expect("the heading is there");
    let section = section.split("\n## ").next().expect("a section");
    let blocks = section.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let started_by_hand = "http://127.0.0.1:8100/saml/metadata";
    assert!(section.contains(started_by_hand), "it says where the provider is");
    blocks.skip(1).map(|block| block.replace(started_by_hand, provider).replace(". .local/env\n", "")).collect()
}

#[tokio::test]
async fn the_walkthrough_works_as_it_stands_there() {
    let (tenantry, provider) = (Processes::start().await, Nanoidp::start().await);
    let admin = tenantry.administrator_of("acme").await;
    let blocks = lines(&provider.metadata_url());
    let [sign_in, key, connect, test, address, events, demand] = &blocks[..] else {
        panic!("other steps than the test knows: {blocks:#?}");
    };
    let type_them = async |blocks: &[&String]| {
        let script = blocks.iter().map(|block| block.as_str()).collect::<Vec<_>>().join("\necho\n");
        let environment = [
            ("TENANTRY_URL", tenantry.url()),
            ("DEMO_ORGANIZATION", "acme"),
            ("DEMO_ADMIN_EMAIL", admin.email.as_str()),
            ("DEMO_ADMIN_PASSWORD", PASSWORD),
        ];
        let (code, said) = run_to_end("bash", &["-eu", "-c", &script], &environment).await;
        assert_eq!(code, Some(0), "{said}");
        said
    };
    let said = type_them(&[sign_in, key, connect, test, address]).await;
    let after = |words: &str| {
        let (_, rest) = said.rsplit_once(words).unwrap_or_else(|| panic!("no {words} in:\n{said}"));
        rest.split(['"', '\n']).next().unwrap_or_default().to_owned()
    };
    let (test, login) = (after(r#""url":""#), format!("{}/v1/saml/{}", tenantry.url(), after("/v1/saml/")));

    let browser = Browser::start().await;
    let as_ann = async |address: &str| {
        browser.open(address).await;
        browser.until_it_says("Password").await;
        browser.fill("Username", "ann").await;
        browser.fill("Password", "annpass").await;
        browser.press("Sign In").await;
    };
    as_ann(&test).await;
    browser.until_it_says("engineering").await;
    browser.screenshot("single-sign-on-test").await;
    assert!(admin.get("/users?search=ann@idp.example").await.ok()["count"] == json!(0), "a test signs nobody in");
    browser.open(&login).await;
    if browser.address().await.path() != "/" {
        as_ann(&login).await;
    }
    browser.until_it_says("ann@idp.example").await;
    browser.close().await;

    let said = type_them(&[sign_in, events, demand]).await;
    for words in [r#""kind":"sign_in""#, r#""outcome":"accepted""#, r#""sso_required":true"#] {
        assert!(said.contains(words), "no {words} in:\n{said}");
    }
}
