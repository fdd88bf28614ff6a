//! The assertion consumer, which lets someone in on a company's word; beside xmlsec, which verifies the same documents and does
//! nothing else. Each assertion is good once, so what is posted is made one by one, and not by the generator.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use harness::{Call, Caller, Connected, IdentityProvider, Processes, Said};
use openssl::x509::X509;
use reqwest::Method;
use samael::crypto::{CertificateDer, Crypto, CryptoProvider};
use serde_json::json;
use tenantry_shared::clock::Clock;
use tenantry_shared::secret::sha256;

use crate::Effort;
use crate::load::{Load, Pace};
use crate::report::{Comparison, Target};
use crate::usage::Watch;
use crate::world::{World, settle, statements};

/// Known to the provider, each signing in again and again.
const PEOPLE: usize = 200;
/// Browsers that post at the same time.
const AT_ONCE: usize = 16;
/// Of one round.
const SIGN_INS: usize = 1_000;
/// How long xmlsec verifies in one round.
const VERIFYING: Duration = Duration::from_secs(2);

/// A company whose people have signed in before.
struct Company {
    connected: Connected,
    anonymous: Caller,
    made: usize,
}

/// Answers of the provider to requests that are open, and the documents in them.
struct Answers {
    posts: Vec<Call>,
    documents: Vec<String>,
}

impl Company {
    async fn make(tenantry: &Processes) -> Self {
        let admin = tenantry.administrator_of("acme").await;
        let provider = IdentityProvider::new("idp", &Clock::default());
        let connected = provider.connect(&admin, json!({})).await;
        let people = format!(
            "with p as (
                 insert into users (organization_id, id, number, username, email, username_key, email_key, is_local, date_joined, updated_at)
                 select o.organization_id, gen_random_uuid(), 1000 + n, p, p, p, p, false, now(), now()
                 from organizations o cross join generate_series(0, {PEOPLE} - 1) n cross join lateral (select 'p' || n || '@acme.example' as p) p
                 where o.slug = 'acme' returning *)
             insert into saml_identities (organization_id, connection_id, name_id, user_id, created_at, last_used_at)
             select organization_id, '{}', 'id of ' || email, id, now(), now() from p",
            connected.id
        );
        tenantry.database().execute(&people).await;
        settle(tenantry).await;
        Self { connected, anonymous: tenantry.anonymous(), made: 0 }
    }

    /// So many requests as browsers would have begun them, and their answers.
    async fn answers(&mut self, tenantry: &Processes, count: usize) -> Answers {
        let (first, last) = (self.made, self.made + count - 1);
        self.made += count;
        let requests = format!(
            "insert into saml_requests (organization_id, id, connection_id, purpose, relay_state, browser_digest, return_to, created_at, expires_at)
             select organization_id, '_request' || n, '{}', 'sign_in', 'state' || n, sha256(cookie::bytea), '/', now(), now() + interval '20 minutes'
             from organizations cross join generate_series({first}, {last}) n cross join lateral (
                 select rtrim(translate(encode(sha256(('browser' || n)::bytea), 'base64'), '+/', '-_'), '=') as cookie) c
             where slug = 'acme'",
            self.connected.id
        );
        tenantry.database().execute(&requests).await;
        let (mut posts, mut documents) = (Vec::new(), Vec::new());
        for n in first..=last {
            let said = Said::of(&format!("p{}@acme.example", n % PEOPLE));
            let response = self.connected.response(&said, Some(&format!("_request{n}")));
            posts.push(self.post(&response, n));
            documents.push(String::from_utf8(STANDARD.decode(response).expect("base64")).expect("text"));
        }
        Answers { posts, documents }
    }

    fn post(&self, response: &str, n: usize) -> Call {
        let fields = [("SAMLResponse", response), ("RelayState", &format!("state{n}"))];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let cookie = URL_SAFE_NO_PAD.encode(sha256(format!("browser{n}").as_bytes()));
        let call = self.anonymous.call(Method::POST, &self.connected.address("acs"));
        let call = call.body("application/x-www-form-urlencoded", body).header("origin", "null");
        call.header("cookie", &format!("tenantry-company={cookie}"))
    }
}

/// One after the other, `AT_ONCE` at a time.
async fn post_all(posts: Vec<Call>) -> Load {
    let posts = Arc::new(Mutex::new(posts.into_iter()));
    let (watch, since) = (Watch::begin(), Instant::now());
    let browsers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let posts = Arc::clone(&posts);
            tokio::spawn(async move {
                let mut took = Vec::new();
                loop {
                    let next = posts.lock().expect("nobody panics while holding it").next();
                    let Some(post) = next else { return took };
                    took.push(timed(post, Instant::now()).await);
                }
            })
        })
        .collect();
    finish("Tenantry", Pace::Closed, browsers, watch, since).await
}

/// Each when it is due, however long the others take.
async fn post_at(rate: f64, posts: Vec<Call>) -> Load {
    let (watch, since) = (Watch::begin(), Instant::now());
    let browsers: Vec<_> = posts
        .into_iter()
        .enumerate()
        .map(|(n, post)| {
            let due = since + Duration::from_secs_f64(n as f64 / rate);
            tokio::spawn(async move {
                tokio::time::sleep_until(due.into()).await;
                vec![timed(post, due).await]
            })
        })
        .collect();
    finish("Tenantry", Pace::PerSecond(rate), browsers, watch, since).await
}

/// How long it took since it was due; nothing if nobody was let in.
async fn timed(post: Call, due: Instant) -> Option<Duration> {
    let answer = post.await;
    (answer.status == 303).then(|| due.elapsed())
}

async fn finish(
    who: &str,
    pace: Pace,
    browsers: Vec<tokio::task::JoinHandle<Vec<Option<Duration>>>>,
    watch: Watch,
    since: Instant,
) -> Load {
    let mut took = Vec::new();
    for browser in browsers {
        took.extend(browser.await.expect("it posts"));
    }
    let whole = since.elapsed();
    let good: Vec<Duration> = took.iter().copied().flatten().collect();
    let errors = (took.len() - good.len()) as u64;
    Load::of(who, pace, good, errors, whole, watch.end())
}

/// In one thread, as a loop is; parsing included, for each is another document.
async fn verify_all(documents: Vec<String>, certificate: CertificateDer) -> Load {
    let verifying = tokio::task::spawn_blocking(move || {
        let (watch, since, mut took) = (Watch::begin(), Instant::now(), Vec::new());
        while since.elapsed() < VERIFYING {
            for document in &documents {
                let one = Instant::now();
                Crypto::verify_signed_xml(document, &certificate, Some("ID")).expect("a good signature");
                took.push(one.elapsed());
            }
        }
        Load::of("xmlsec, one thread", Pace::Closed, took, 0, since.elapsed(), watch.end())
    });
    verifying.await.expect("it verifies")
}

pub(crate) async fn measure(effort: &Effort) -> Vec<Comparison> {
    let world = World::start().await;
    let mut company = Company::make(&world.tenantry).await;
    let certificate = X509::from_pem(company.connected.provider.certificate().as_bytes()).expect("PEM");
    let certificate = CertificateDer::from(certificate.to_der().expect("DER"));
    let warm_up = company.answers(&world.tenantry, SIGN_INS).await;
    post_all(warm_up.posts).await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..effort.rounds {
        let Answers { posts, documents } = company.answers(&world.tenantry, SIGN_INS).await;
        let verified = verify_all(documents.clone(), certificate.clone());
        if round % 2 == 0 {
            theirs.push(verified.await);
            ours.push(post_all(posts).await);
        } else {
            ours.push(post_all(posts).await);
            theirs.push(verified.await);
        }
    }
    let rate = (Load::middle(&ours).per_second * 0.6).ceil();
    let fixed = company.answers(&world.tenantry, (rate * effort.turn.as_secs_f64()) as usize).await;
    let fixed = post_at(rate, fixed.posts).await;
    let few = Mutex::new(company.answers(&world.tenantry, 25).await.posts);
    let next = |_| few.lock().expect("nobody panics while holding it").pop().expect("there are enough");
    let count = statements(&world.tenantry, next).await;
    world.end().await;
    let speed = |loads: &[Load]| loads.iter().map(|load| load.per_second).collect::<Vec<f64>>();
    vec![Comparison {
        figure: "POST /v1/saml/{slug}/acs with an assertion signed by a 2048-bit key".into(),
        against: "xmlsec verifying the same documents in a loop".into(),
        unit: "/s",
        ours: speed(&ours),
        theirs: speed(&theirs),
        target: Target::AtLeast(0.5),
        loads: vec![Load::middle(&ours), Load::middle(&theirs), fixed],
        notes: vec![format!("{count} statements a sign-in")],
    }]
}
