//! Someone who calls the API, and the answers he gets.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;

use chrono::TimeDelta;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tenantry_shared::clock::Clock;
use uuid::Uuid;

use crate::app::Address;
use crate::{Authenticator, Link};

/// A password that the policy takes, for all who need one.
pub const PASSWORD: &str = "correct horse battery xylophone";

/// Someone who calls the API: anonymous, or with a session of one organization.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(crate) address: Arc<Address>,
    pub(crate) slug: Option<String>,
    pub(crate) authorization: Option<String>,
    /// His address, if he has signed in.
    pub email: String,
    /// His id, if he has signed in.
    pub id: Uuid,
}

impl Caller {
    /// `GET`. A path is relative to the caller's organization, unless it begins with `/v1/` or he has none.
    #[track_caller]
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// `POST` with a JSON body.
    #[track_caller]
    pub fn post(&self, path: &str, body: Value) -> Call {
        self.call(Method::POST, path).json(body)
    }

    /// `PUT` with a JSON body.
    #[track_caller]
    pub fn put(&self, path: &str, body: Value) -> Call {
        self.call(Method::PUT, path).json(body)
    }

    /// `PATCH` with a JSON body.
    #[track_caller]
    pub fn patch(&self, path: &str, body: Value) -> Call {
        self.call(Method::PATCH, path).json(body)
    }

    /// `DELETE`.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    /// Any method, without a body.
    #[track_caller]
    pub fn call(&self, method: Method, path: &str) -> Call {
        let url = match &self.slug {
            _ if path.starts_with("http://") => path.to_owned(),
            Some(slug) if !path.starts_with("/v1/") => format!("{}/v1/orgs/{slug}{path}", self.address.url),
            _ => format!("{}{path}", self.address.url),
        };
        let mut headers = HeaderMap::new();
        if let Some(authorization) = &self.authorization {
            headers.insert("authorization", HeaderValue::from_str(authorization).expect("a header value"));
        }
        Call {
            http: self.address.http.clone(),
            method,
            url,
            headers,
            body: None,
            location: std::panic::Location::caller(),
        }
    }

    /// The same person with another `Authorization` header, or none.
    #[must_use]
    pub fn with_authorization(&self, authorization: Option<&str>) -> Self {
        Self { authorization: authorization.map(str::to_owned), ..self.clone() }
    }

    /// The same credential, used under another organization's slug.
    #[must_use]
    pub fn under(&self, slug: &str) -> Self {
        Self { slug: Some(slug.to_owned()), ..self.clone() }
    }

    /// The slug of his organization.
    ///
    /// # Panics
    /// For someone anonymous.
    #[must_use]
    pub fn slug(&self) -> &str {
        self.slug.as_deref().expect("someone of an organization")
    }

    /// His token.
    ///
    /// # Panics
    /// For someone anonymous.
    #[must_use]
    pub fn token(&self) -> &str {
        self.authorization.as_deref().and_then(|value| value.split_once(' ')).expect("someone who is signed in").1
    }

    /// Invites an address to a built-in role and answers the invitation.
    pub async fn invite(&self, email: &str, role: &str) -> Value {
        self.post("/invitations", json!({ "invitee_identifier": email, "role": role })).await.created()
    }

    /// Accepts an invitation with [`PASSWORD`].
    #[track_caller]
    pub fn accept(&self, link: &Link) -> Call {
        self.post("/v1/invitations/accept", json!({ "token": link.token(), "password": PASSWORD }))
    }

    /// Declines an invitation.
    #[track_caller]
    pub fn decline(&self, link: &Link) -> Call {
        self.post("/v1/invitations/decline", json!({ "token": link.token() }))
    }

    /// Looks at an invitation.
    #[track_caller]
    pub fn preview(&self, link: &Link) -> Call {
        self.get(&format!("/v1/invitations/preview?token={}", link.token()))
    }

    /// Signs in; [`Caller::signed_in`] makes a caller of the answer.
    #[track_caller]
    pub fn sign_in(&self, slug: &str, username: &str, password: &str) -> Call {
        self.post(&format!("/v1/orgs/{slug}/iam/login"), json!({ "username": username, "password": password }))
    }

    /// The same with a code of the second factor.
    #[track_caller]
    pub fn sign_in_with_code(&self, slug: &str, username: &str, password: &str, code: &str) -> Call {
        let body = json!({ "username": username, "password": password, "code": code });
        self.post(&format!("/v1/orgs/{slug}/iam/login"), body)
    }

    /// Sets up a second factor. Answers the app, whose next code is not used yet, and the recovery codes.
    pub async fn enroll(&self, clock: &Clock) -> (Authenticator, Vec<String>) {
        self.enroll_with(PASSWORD, clock).await
    }

    /// The same, of someone who has another password than [`PASSWORD`].
    pub async fn enroll_with(&self, password: &str, clock: &Clock) -> (Authenticator, Vec<String>) {
        // At the beginning of a step: it does not end while a test uses its codes.
        clock.advance(TimeDelta::seconds(30 - clock.now().timestamp().rem_euclid(30)));
        let app = Authenticator::of(&self.post("/iam/totp", json!({})).await.created(), clock);
        let answer = self.post("/iam/totp", json!({ "code": app.code_in(-1), "password": password })).await.ok();
        let codes = answer["recovery_codes"].as_array().into_iter().flatten().filter_map(Value::as_str);
        (app, codes.map(str::to_owned).collect())
    }

    /// A new session of the same person, who has [`PASSWORD`].
    pub async fn again(&self) -> Self {
        let session = self.sign_in(self.slug(), &self.email, PASSWORD).await.ok();
        self.signed_in(self.slug(), &session).await
    }

    /// Whoever holds the token of this answer.
    pub async fn signed_in(&self, slug: &str, session: &Value) -> Self {
        let token = session["token"].as_str().expect("an answer with a token");
        let caller =
            Self { slug: Some(slug.to_owned()), authorization: Some(format!("Bearer {token}")), ..self.clone() };
        let me = caller.get("/iam/current-user").await.ok();
        let id = me["id"].as_str().and_then(|id| Uuid::parse_str(id).ok()).expect("a user has an id");
        Self { email: me["email"].as_str().unwrap_or_default().to_owned(), id, ..caller }
    }

    /// A new person in the organization, who holds a built-in role: invited by this caller, accepted, signed in.
    pub async fn member(&self, email: &str, role: &str) -> Self {
        self.member_at(email, role, &Value::Null).await
    }

    /// A new person who holds a built-in role from a folder down.
    pub async fn member_at(&self, email: &str, role: &str, folder: &Value) -> Self {
        let body = json!({ "invitee_identifier": email, "role": role, "folder": folder });
        let invitation = self.post("/invitations", body).await.created();
        let link = self.address.mint_invitation_link(self.slug(), &invitation).await;
        let session = self.accept(&link).await.created();
        self.signed_in(self.slug(), &session).await
    }

    /// A new folder below the root, or below another; its id.
    pub async fn folder(&self, name: &str, parent: Option<&Value>) -> Value {
        self.post("/folders", json!({ "name": name, "parent_folder": parent })).await.created()["id"].clone()
    }

    /// The id of the built-in group of a role at the organization's root.
    pub async fn group(&self, role: &str) -> String {
        let select = format!(
            "select g.id from user_groups g join roles r on r.organization_id = g.organization_id and r.id = g.builtin_role_id
             join organizations o on o.organization_id = g.organization_id
             join folders f on f.organization_id = g.organization_id and f.id = g.folder_id and f.parent_folder_id is null
             where lower(o.slug) = lower('{}') and r.name = '{role}'",
            self.slug()
        );
        self.address.database.value(&select).await.as_str().expect("an id").to_owned()
    }
}

/// A request that is sent when it is awaited.
#[derive(Debug)]
pub struct Call {
    http: reqwest::Client,
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    location: &'static std::panic::Location<'static>,
}

impl Call {
    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// With any body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self.header("content-type", content_type)
    }

    /// With a header; one of the same name gives way.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        self.headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
        self
    }

    /// Without a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }
}

impl Call {
    /// Sends it, to someone who may not be there.
    ///
    /// # Errors
    /// If there is no whole answer.
    pub async fn attempt(self) -> Result<Answer, reqwest::Error> {
        let Self { http, method, url, headers, body, .. } = self;
        let mut request = http.request(method.clone(), &url).headers(headers);
        let sent = body.as_ref().map(|body| String::from_utf8_lossy(&body[..body.len().min(2_000)]).into_owned());
        if let Some(body) = body {
            request = request.body(body);
        }
        let what = format!("{method} {url}\n{}", sent.unwrap_or_default());
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = String::from_utf8_lossy(&response.bytes().await?).into_owned();
        Ok(Answer { what, status, headers, text })
    }
}

impl IntoFuture for Call {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let (location, what) = (self.location, format!("{} {}", self.method, self.url));
        Box::pin(async move {
            match self.attempt().await {
                Ok(answer) => answer,
                Err(error) => panic!("{location}: {what}\nwas not answered: {error:?}"),
            }
        })
    }
}

/// An answer of the API.
#[derive(Clone, Debug)]
pub struct Answer {
    what: String,
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub text: String,
}

impl Answer {
    /// Its body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// A header, as text; empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Request and answer, for whoever reads why a test failed.
    #[must_use]
    pub fn whole(&self) -> String {
        let headers: Vec<String> = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        let text: String = self.text.chars().take(4_000).collect();
        format!("{}\n\n{}\n{}\n\n{text}", self.what, self.status, headers.join("\n"))
    }

    #[track_caller]
    fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "expected {status}:\n\n{}\n", self.whole());
        self
    }

    /// 200: the body.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "often only the status matters")]
    pub fn ok(self) -> Value {
        self.expect(StatusCode::OK).json()
    }

    /// 201: the body.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "often only the status matters")]
    pub fn created(self) -> Value {
        self.expect(StatusCode::CREATED).json()
    }

    /// 202: the body.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "often only the status matters")]
    pub fn accepted(self) -> Value {
        self.expect(StatusCode::ACCEPTED).json()
    }

    /// 204, and nothing else.
    #[track_caller]
    pub fn no_content(self) {
        let answer = self.expect(StatusCode::NO_CONTENT);
        assert_eq!(answer.text, "", "204 has no body:\n\n{}\n", answer.whole());
    }

    /// A problem in the shape that all have, with this status and code.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "often only the code matters")]
    pub fn problem(self, status: u16, code: &str) -> Value {
        let problem = self.any_problem();
        assert!(
            self.status.as_u16() == status && problem["code"] == code,
            "expected {status} {code}:\n\n{}\n",
            self.whole()
        );
        problem
    }

    /// A problem in the shape that all have, whatever it says.
    #[track_caller]
    #[must_use]
    pub fn any_problem(&self) -> Value {
        let (problem, whole) = (self.json(), self.whole());
        assert_eq!(self.header("content-type"), "application/problem+json", "not a problem:\n\n{whole}\n");
        for field in ["type", "title", "detail", "code", "message", "request_id"] {
            assert!(
                problem[field].as_str().is_some_and(|text| !text.is_empty()),
                "a problem has a {field}:\n\n{whole}\n"
            );
        }
        assert_eq!(problem["status"], self.status.as_u16(), "the status is said alike:\n\n{whole}\n");
        assert_eq!(problem["message"], problem["detail"], "message is detail:\n\n{whole}\n");
        assert_eq!(problem["request_id"], self.header("x-request-id"), "the id of the request:\n\n{whole}\n");
        for error in problem["errors"].as_array().unwrap_or_else(|| panic!("errors is a list:\n\n{whole}\n")) {
            for field in ["field", "code", "message"] {
                assert!(
                    error[field].as_str().is_some_and(|text| !text.is_empty()),
                    "an error has a {field}:\n\n{whole}\n"
                );
            }
        }
        problem
    }

    /// 400 for exactly one wrong field, with this code.
    #[track_caller]
    pub fn invalid(self, field: &str, code: &str) {
        let whole = self.whole();
        let problem = self.problem(400, "validation_failed");
        let errors: Vec<_> = problem["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|e| (e["field"].as_str(), e["code"].as_str()))
            .collect();
        assert_eq!(errors, [(Some(field), Some(code))], "expected {code} at {field} alone:\n\n{whole}\n");
    }
}
