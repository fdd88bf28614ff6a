//! One's own company accounts, on the landing page: connected there from within, and disconnected.

use minijinja::{Value, context};
use poem::{Response, handler};
use tenantry_shared::access::InPerson;
use tenantry_shared::ids::SamlConnectionId;
use tenantry_shared::saml::{self, CompanyAccount};
use uuid::Uuid;

use super::company;
use super::forms::Form;
use super::visit::{Visit, address, see_other};
use crate::auth::SignedIn;
use crate::problem::{ApiResult, Problem};

/// What the landing page says when one comes back: `notice.<it>` in the catalogue.
pub(super) const NOTICES: [&str; 2] = ["connected", "disconnected"];

/// The companies, as the landing page shows them.
pub(super) fn shown(accounts: &[CompanyAccount]) -> Value {
    let shown = |account: &CompanyAccount| {
        context! {
            id => account.connection.to_string(),
            name => &*account.name,
            is_connected => account.is_connected,
            has_other_way => account.has_other_way,
        }
    };
    accounts.iter().map(shown).collect()
}

/// `POST /company-accounts/connect`: on to the company, to show who one is there.
#[handler]
pub(super) async fn connect(visit: Visit, sent: Form) -> ApiResult<Response> {
    let Some(signed_in) = ready(&visit).await? else { return Ok(see_other(super::HOME)) };
    visit.app.limiter.company_sign_in(&visit.origin).await?;
    let (browser, sso) = (visit.company_browser()?, visit.app.sso());
    let (tx, by) = visit.app.enter_own::<InPerson>(&signed_in).await?;
    let return_to = landing("connected");
    let way = saml::ask_to_connect(&sso, tx, &by, connection(&sent)?, &browser, &return_to).await?;
    company::go_on(&visit, &browser, way)
}

/// `POST /company-accounts/disconnect`.
#[handler]
pub(super) async fn disconnect(visit: Visit, sent: Form) -> ApiResult<Response> {
    let Some(signed_in) = ready(&visit).await? else { return Ok(see_other(super::HOME)) };
    let (mut tx, by) = visit.app.enter_own::<InPerson>(&signed_in).await?;
    saml::disconnect(&mut tx, &by, connection(&sent)?).await?;
    tx.commit().await?;
    Ok(see_other(&landing("disconnected")))
}

/// Who is signed in, and has nothing else to do first: the landing page leads on whoever is not.
async fn ready(visit: &Visit) -> ApiResult<Option<SignedIn>> {
    Ok(visit.signed_in().await?.filter(|signed_in| !signed_in.caller.must_enroll))
}

fn landing(notice: &str) -> String {
    address(super::HOME, &[("notice", notice)])
}

fn connection(sent: &Form) -> Result<SamlConnectionId, Problem> {
    Ok(sent.get("connection").parse::<Uuid>().map_err(|_| Problem::not_found())?.into())
}
