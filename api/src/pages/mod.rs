//! Everything a person opens in a browser: rendered here, without a script, in his language.
//!
//! A handler takes a [`Visit`](visit::Visit); one that changes something takes a [`Form`](forms::Form) too, which
//! only our own pages can send. GET changes nothing, for mail scanners follow links.

mod accent;
mod assets;
mod company;
mod company_accounts;
mod cookies;
mod error;
mod find;
mod forms;
mod hand_over;
mod invitations;
mod passwords;
mod reminders;
mod render;
mod sessions;
mod totp;
mod visit;
mod words;

pub(crate) use error::Browser;

use poem::{Route, get, post};

const HOME: &str = "/";
const SIGN_IN: &str = "/sign-in";
const SIGN_IN_PASSWORD: &str = "/sign-in/password";
const SIGN_IN_WITH_TOKEN: &str = "/sign-in/with-token";
const CONTINUE_WITH_TOKEN: &str = "/sign-in/with-token/continue";
const SIGN_IN_CODE: &str = "/sign-in/code";
const SIGN_IN_SENT: &str = "/sign-in/sent";
const SIGN_OUT: &str = "/sign-out";
const ACCEPT: &str = "/invitations/accept";
const ACCEPT_BY_COMPANY: &str = "/invitations/accept/company";
const CONNECT: &str = "/company-accounts/connect";
const DISCONNECT: &str = "/company-accounts/disconnect";
const DECLINE: &str = "/invitations/decline";
const DECLINED: &str = "/invitations/declined";
const ASK_RESET: &str = "/password-reset";
const RESET_ASKED: &str = "/password-reset/sent";
const CONFIRM_RESET: &str = "/password-reset/confirm";
const CHANGE_PASSWORD: &str = "/password-change";
const SECOND_FACTOR: &str = "/second-factor";
const STOP_REMINDERS: &str = "/reminders/stop";
const REMINDERS_STOPPED: &str = "/reminders/stopped";

/// Where pages are: errors there are pages too, whatever the client says it likes.
const ALL: [&str; 21] = [
    HOME,
    SIGN_IN,
    SIGN_IN_PASSWORD,
    SIGN_IN_WITH_TOKEN,
    CONTINUE_WITH_TOKEN,
    SIGN_IN_CODE,
    SIGN_IN_SENT,
    SIGN_OUT,
    CONNECT,
    DISCONNECT,
    ACCEPT,
    ACCEPT_BY_COMPANY,
    DECLINE,
    DECLINED,
    ASK_RESET,
    RESET_ASKED,
    CONFIRM_RESET,
    CHANGE_PASSWORD,
    SECOND_FACTOR,
    STOP_REMINDERS,
    REMINDERS_STOPPED,
];

/// Where an invitee accepts, by the token of his link.
pub(crate) fn accept_page(token: &str) -> String {
    visit::address(ACCEPT, &[("token", token)])
}

/// What a path outside of the document takes.
pub(crate) fn methods(path: &str) -> &'static str {
    if let Some(methods) = company::methods(path) {
        return methods;
    }
    match path {
        SIGN_OUT | CONTINUE_WITH_TOKEN | CONNECT | DISCONNECT | ACCEPT_BY_COMPANY => "POST",
        SIGN_IN | SIGN_IN_PASSWORD | SIGN_IN_WITH_TOKEN | SIGN_IN_CODE | ACCEPT | DECLINE | ASK_RESET
        | CONFIRM_RESET | CHANGE_PASSWORD | SECOND_FACTOR | STOP_REMINDERS => "GET, HEAD, POST",
        _ => "GET, HEAD",
    }
}

/// The pages, to be nested at `/`.
pub(crate) fn routes() -> Route {
    Route::new()
        .at(HOME, get(sessions::home))
        .at(SIGN_IN, get(sessions::ask).post(sessions::begin))
        .at(SIGN_IN_PASSWORD, get(sessions::ask_password).post(sessions::sign_in))
        .at(SIGN_IN_WITH_TOKEN, get(hand_over::ask).post(hand_over::receive))
        .at(CONTINUE_WITH_TOKEN, post(hand_over::sign_in))
        .at(SIGN_IN_CODE, get(sessions::ask_code).post(sessions::enter_code))
        .at(SIGN_IN_SENT, get(find::sent))
        .at(SIGN_OUT, post(sessions::sign_out))
        .at(CONNECT, post(company_accounts::connect))
        .at(DISCONNECT, post(company_accounts::disconnect))
        .at(ACCEPT, get(invitations::ask).post(invitations::accept))
        .at(ACCEPT_BY_COMPANY, post(invitations::accept_by_company))
        .at(DECLINE, get(invitations::ask_decline).post(invitations::decline))
        .at(DECLINED, get(invitations::declined))
        .at(ASK_RESET, get(passwords::ask).post(passwords::request))
        .at(RESET_ASKED, get(passwords::requested))
        .at(CONFIRM_RESET, get(passwords::choose).post(passwords::confirm))
        .at(CHANGE_PASSWORD, get(passwords::ask_change).post(passwords::change))
        .at(SECOND_FACTOR, get(totp::show).post(totp::set_up))
        .at(STOP_REMINDERS, get(reminders::ask).post(reminders::stop))
        .at(REMINDERS_STOPPED, get(reminders::stopped))
        .at("/assets/app.css", get(assets::style))
        .at("/assets/icon.svg", get(assets::icon))
        .at("/assets/accent/:file", get(assets::accent_sheet))
        .at("/assets/logos/:file", get(assets::logo))
}

/// What browsers and identity providers open, to be nested at `/v1/saml`.
pub(crate) fn company_routes() -> Route {
    Route::new()
        .at("/:organization_slug/metadata", get(company::metadata))
        .at("/:organization_slug/login", get(company::login))
        .at("/:organization_slug/acs", post(company::acs))
        .at("/:organization_slug/slo", get(company::slo_by_redirect).post(company::slo_by_form))
}
