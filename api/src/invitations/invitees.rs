//! What whoever holds a link can do: look, accept, decline. No credential but the link.

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use tenantry_shared::invitations::{self, Accept, Accepted};
use tenantry_shared::users::PersonName;

use super::wire::{AcceptIn, AcceptOut, LinkIn, PreviewOut, SignInFirst, Welcome};
use crate::app::App;
use crate::auth::From;
use crate::input::Body;
use crate::pages::accept_page;
use crate::problem::ApiResult;
use crate::reply::NoContent;

pub(crate) struct Api;

#[OpenApi(tag = "crate::openapi::Tags::Invitations")]
impl Api {
    /// What does this invitation say?
    ///
    /// For whoever holds the link. Changes nothing.
    /// Errors: 404 `link_dead`; 409 `invitation_expired`, `invitation_revoked`, `invitation_accepted`, `invitation_declined`,
    /// `invitation_superseded`; 429 `too_many_attempts` after many links that are none.
    #[oai(path = "/invitations/preview", method = "get", operation_id = "preview_invitation")]
    async fn preview(
        &self,
        app: Data<&App>,
        from: From,
        /// The token of the link.
        token: Query<String>,
    ) -> ApiResult<Json<PreviewOut>> {
        let preview = app.of_link(&from.0, invitations::preview(&app.db, &app.links, &token).await).await?;
        Ok(Json(PreviewOut {
            organization_name: preview.organization_name,
            organization: preview.organization_slug,
            inviter: preview.inviter,
            role: preview.role,
            invitee_identifier: preview.invitee_identifier,
            message: preview.message,
            valid_until: preview.valid_until,
            sso_required: preview.is_sso_required,
        }))
    }

    /// Accept an invitation
    ///
    /// Makes the user, with the invited role, groups and teams, and signs in. Once. Errors as `preview_invitation`; 400 for a
    /// password that is not good; 409 `already_member`; 429 `too_many_attempts`.
    ///
    /// Where the organization demands single sign-on, 200 names the address of the page that leads the invitee to his company:
    /// signing in there accepts. It holds the link's token.
    #[oai(path = "/invitations/accept", method = "post", operation_id = "accept_invitation")]
    async fn accept(&self, app: Data<&App>, from: From, body: Body<AcceptIn>) -> ApiResult<Welcome> {
        let AcceptIn { token, first_name, last_name, password } = body.0;
        let accept = Accept { name: PersonName::check(&first_name, &last_name)?, password: password.into() };
        let accepted = invitations::accept(&app.db, &app.links, &app.hasher, &token, accept, from.0.clone()).await;
        let accepted = app.of_link(&from.0, accepted).await?;
        Ok(match accepted {
            Accepted::In { session, organization_slug } => Welcome::In(Json(AcceptOut {
                token: session.token.expose().to_owned(),
                expiry: session.expires_at,
                organization: organization_slug,
            })),
            Accepted::ByCompany { organization_slug } => Welcome::SignIn(Json(SignInFirst {
                sign_in_url: app.public_url.join(&accept_page(&token)),
                organization: organization_slug,
            })),
        })
    }

    /// Decline an invitation
    ///
    /// The inviter is told. Errors as `preview_invitation`, 429 `too_many_attempts` too.
    #[oai(path = "/invitations/decline", method = "post", operation_id = "decline_invitation")]
    async fn decline(&self, app: Data<&App>, from: From, body: Body<LinkIn>) -> ApiResult<NoContent> {
        let declined = invitations::decline(&app.db, &app.links, &body.0.token, from.0.clone()).await;
        app.of_link(&from.0, declined).await?;
        Ok(NoContent::Done)
    }
}
