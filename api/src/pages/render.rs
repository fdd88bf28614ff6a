//! From a template and a reader's language to an answer.

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, Value, context};
use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::web::Html;
use poem::{IntoResponse, Response};
use url::form_urlencoded;

use super::assets;
use super::words::{Piece, Words, pieces};
use crate::problem::{ApiResult, Problem};

/// No script at all, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

macro_rules! templates {
    ($($name:literal),+ $(,)?) => { &[$(($name, include_str!(concat!("../../templates/", $name)))),+] };
}

const TEMPLATES: &[(&str, &str)] = templates![
    "base.html",
    "parts.html",
    "accept.html",
    "decline.html",
    "declined.html",
    "password_reset.html",
    "password_reset_sent.html",
    "password_reset_confirm.html",
    "password_change.html",
    "reminders_stop.html",
    "reminders_stopped.html",
    "sign_in.html",
    "sign_in_password.html",
    "sign_in_choose.html",
    "company_go.html",
    "company_post.html",
    "company_test.html",
    "sign_in_with_token.html",
    "sign_in_code.html",
    "sign_in_find.html",
    "sign_in_sent.html",
    "second_factor.html",
    "home.html",
    "error.html",
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    // A misspelt name is an error, not an empty place.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    #[expect(clippy::expect_used, reason = "the usual delimiters")]
    environment.set_syntax(syntax.expect("delimiters"));
    environment
        .add_filter("in_query", |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
    environment.add_filter("initial", |text: &str| text.trim().chars().take(1).collect::<String>().to_uppercase());
    for (name, source) in TEMPLATES {
        #[expect(clippy::expect_used, reason = "the templates are compiled in, and tested")]
        environment.add_template(name, source).expect("a template");
    }
    environment
});

/// A page whose form goes to an identity provider. Where that sends the browser on to, its own pages say, and browsers hold the
/// form's redirects to the policy of ours; so this one names no site. The address is one that an administrator gave.
pub(super) fn page_to_elsewhere(words: &'static Words, template: &str, values: Value) -> ApiResult<Response> {
    let mut response = page(words, template, StatusCode::OK, values)?;
    let policy = POLICY.replace("form-action 'self'", "form-action https: http:");
    let policy = HeaderValue::from_str(&policy).map_err(|e| Problem::internal(&e))?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// A page in a language.
pub(super) fn page(words: &'static Words, template: &str, status: StatusCode, values: Value) -> ApiResult<Response> {
    let html = html(words, template, values).map_err(|error| Problem::internal(&format!("{error:#}")))?;
    let mut response = Html(html).with_status(status).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // No page has a token in its address. Under `no-referrer`, which the edge would set, browsers send `Origin: null`
    // with our own forms, and the older ones send nothing else that says where a form came from.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    Ok(response)
}

fn html(words: &'static Words, template: &str, values: Value) -> Result<String, Error> {
    let common = context! {
        t => Value::from_function(move |state: &mut State, key: &str, values: Kwargs| translate(words, state, key, &values)),
        lang => words.language,
        style_version => assets::style_version(),
    };
    ENVIRONMENT.get_template(template)?.render(context! { ..values, ..common })
}

/// `t("accept.title", organization=…)`: the string in the reader's language. What is put into it is escaped.
fn translate(words: &Words, state: &mut State, key: &str, values: &Kwargs) -> Result<Value, Error> {
    let string = words.get(key).ok_or_else(|| Error::new(ErrorKind::InvalidOperation, format!("no string {key:?}")))?;
    let mut text = String::new();
    for piece in pieces(string) {
        let value = match piece {
            Piece::Text(text) => Value::from(text),
            Piece::Placeholder(name) => values.get::<Value>(name)?,
        };
        text.push_str(&state.format(value)?);
    }
    values.assert_all_used()?;
    Ok(Value::from_safe_string(text))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::pages::words::tests::keys;

    /// The strings that templates ask for by name; those whose name is put together end with a dot or an underscore.
    fn asked() -> BTreeSet<&'static str> {
        TEMPLATES
            .iter()
            .flat_map(|(_, source)| source.split("t(\"").skip(1))
            .filter_map(|rest| rest.split('"').next())
            .collect()
    }

    #[test]
    fn templates_ask_for_strings_that_are_there_and_for_all_of_them() {
        let there: BTreeSet<String> = keys(Words::of("en")).into_iter().map(|(key, _)| key).collect();
        for key in asked() {
            let found =
                if key.ends_with(['.', '_']) { there.iter().any(|k| k.starts_with(key)) } else { there.contains(key) };
            assert!(found, "{key} is missing");
        }
        // Asked for by code: `Words::date_time`, `Words::role`, `Visit::errors`.
        let by_code = ["date.", "role.", "field."];
        for key in &there {
            let dynamic = asked().iter().any(|asked| asked.ends_with(['.', '_']) && key.starts_with(asked));
            let used = dynamic || asked().contains(&**key) || by_code.iter().any(|section| key.starts_with(section));
            assert!(used, "{key} is not used");
        }
    }

    #[test]
    fn what_people_wrote_is_text_on_every_page_in_every_language() {
        let evil = "<script>alert(1)</script>\" autofocus onfocus=x '{{ 7 * 7 }}{organization}";
        let errors: Value = ["first_name", "password", "new_password", "email", "organization"]
            .map(|field| context! { field, message => evil })
            .into_iter()
            .collect();
        let values = context! {
            organization => evil, accent => "0b6e4f", inviter => evil, token => evil, email => evil, role => evil,
            message => evil, valid_until => evil, valid_until_machine => evil, first_name => evil, last_name => evil,
            min_length => 15, errors, slug => evil, username => evil, notice => "signed_out", is_wrong => true, wait => 30,
            name => evil, address => evil, action => evil, field => evil, value => evil,
            relay_state => evil, choices => vec![context! { name => evil, address => evil }], password_address => evil,
            code => evil, failed => (), said => context! { name_id => evil, name_id_format => evil, email => evil, name => evil,
            groups => vec![evil], account => evil, no_account => (),
            attributes => vec![context! { name => evil, values => vec![evil] }] },
            current => evil, is_superuser => true, roles => vec![evil, evil], key => "link_dead", seconds => 9, request_id => evil,
            link => context! { address => "/", label => "continue" }, is_demanded => true, step => "codes",
            is_sso_required => false, companies => vec![
                context! { id => evil, name => evil, is_connected => false, has_other_way => false },
                context! { id => evil, name => evil, is_connected => true, has_other_way => true },
                context! { id => evil, name => evil, is_connected => true, has_other_way => false },
            ],
            codes => vec![evil], secret => evil, qr => "", left => 9,
        };
        let pages = TEMPLATES.iter().filter(|(name, _)| !matches!(*name, "base.html" | "parts.html"));
        let logo = context! { path => evil, width => 9, height => 9, is_sign => true };
        let values = context! { logo, ..values };
        for (locale, (name, _)) in
            ["en", "de", "fr"].iter().flat_map(|locale| pages.clone().map(move |page| (*locale, page)))
        {
            let html = html(Words::of(locale), name, values.clone()).expect(name);
            assert!(html.starts_with(&format!("<!doctype html>\n<html lang=\"{locale}\">")), "{html}");
            assert!(!html.contains("<script") && !html.contains("\" autofocus onfocus"), "{html}");
            assert!(!html.contains("style=") && html.matches("<h1>").count() == 1 && html.contains("<main>"), "{html}");
        }
    }
}
