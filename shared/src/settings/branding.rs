//! Branding: what an organization calls itself and how it looks, on pages and in mails.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::{Actor, Origin};
use crate::color::Color;
use crate::db::{Db, Tx};
use crate::email_address::EmailAddress;
use crate::error::{Check, Result};
use crate::ids::OrganizationId;
use crate::tenant::Addressee;
use crate::text::check_line;

/// What an organization has said about its looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Value")]
pub struct Branding {
    /// What it calls itself, in place of its name.
    pub name: Option<String>,
    /// `#rrggbb`.
    pub color: Option<String>,
    /// Where answers to its mails go.
    pub reply_to: Option<String>,
    /// Its logo.
    pub logo: Option<Logo>,
}

/// A logo that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logo {
    /// Another one for other bytes.
    pub version: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

impl From<Value> for Branding {
    /// What is not as it should be is as good as not there: a slip must stop no mail.
    fn from(stored: Value) -> Self {
        let text = |name: &str| stored[name].as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            name: text("name"),
            color: text("color"),
            reply_to: text("reply_to"),
            logo: Logo::deserialize(&stored["logo"]).ok(),
        }
    }
}

/// The largest that a logo is shown, in the pixels of pages and mails.
const SHOWN: (u32, u32) = (240, 48);

impl Logo {
    /// Its path, under which browsers may keep it for ever.
    #[must_use]
    pub fn path(&self, slug: &str) -> String {
        format!("/assets/logos/{slug}.png?v={}", self.version)
    }

    /// Width and height to show it in: never larger than it is.
    #[must_use]
    pub fn shown(&self) -> (u32, u32) {
        fit((self.width, self.height), SHOWN)
    }

    /// Whether it is rather a sign than a name that is written out, and so wants the name beside it.
    #[must_use]
    pub fn is_sign(&self) -> bool {
        self.width * 2 <= self.height * 3
    }
}

/// The largest size of the same shape that is within `most`, and no larger than it was.
pub(super) fn fit((width, height): (u32, u32), most: (u32, u32)) -> (u32, u32) {
    let part = |part: u32, of: u32, whole: u32| (part * of).checked_div(whole).unwrap_or(1).max(1);
    let (narrow, low) = (width.min(most.0), height.min(most.1));
    let by_width = part(height, narrow, width);
    if by_width <= low { (narrow, by_width) } else { (part(width, low, height), low) }
}

/// What to change; what is `None` stays, `Some(None)` is cleared.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "as in the branding")]
pub struct BrandingPatch {
    pub name: Option<Option<String>>,
    pub color: Option<Option<String>>,
    pub reply_to: Option<Option<String>>,
}

impl BrandingPatch {
    /// Clears it all, but for the logo.
    #[must_use]
    pub fn clear() -> Self {
        Self { name: Some(None), color: Some(None), reply_to: Some(None) }
    }

    pub(super) fn check(&self, check: &mut Check) {
        if let Some(Some(name)) = &self.name {
            check_line(check, "branding.name", name);
        }
        if let Some(Some(color)) = &self.color {
            let message = "A colour is written #rrggbb, such as #0b6e4f.";
            check.that(Color::parse(color).is_some(), "branding.color", "invalid_color", message);
        }
        if let Some(Some(reply_to)) = &self.reply_to {
            check.take(EmailAddress::parse("branding.reply_to", reply_to));
            // Not everyone's mail program and server could answer to such an address.
            let is_plain = reply_to.rsplit_once('@').is_none_or(|(local, _)| local.trim().is_ascii());
            let message = "An address for answers has no letters beyond ASCII before the @.";
            check.that(is_plain, "branding.reply_to", "invalid_email", message);
        }
    }

    pub(super) fn applied_to(&self, old: &Branding) -> Branding {
        let trimmed = |new: &Option<Option<String>>, old: &Option<String>| match new {
            Some(new) => new.as_deref().map(|text| text.trim().to_owned()),
            None => old.clone(),
        };
        let color = trimmed(&self.color, &old.color);
        Branding {
            name: trimmed(&self.name, &old.name),
            color: color.map(|color| Color::parse(&color).map_or(color, Color::hex)),
            reply_to: trimmed(&self.reply_to, &old.reply_to),
            logo: old.logo.clone(),
        }
    }
}

/// What pages need to know of an organization to look like it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in the organization")]
pub struct Look {
    pub name: String,
    pub slug: String,
    pub branding: Value,
}

impl Look {
    pub(crate) async fn of(tx: &mut Tx) -> Result<Self> {
        Ok(sqlx::query_as!(
            Look,
            "select name, slug, branding from organizations where organization_id = $1",
            tx.organization_id() as OrganizationId
        )
        .fetch_one(tx.connection())
        .await?)
    }
}

/// How the organization of a slug looks to strangers: none where it has neither a name, a colour nor a logo of its own, just as
/// where there is no organization. As much is asked for one that is not there as for any other.
pub async fn find_look(db: &Db, slug: &str, platform_slug: &str) -> Result<Option<Look>> {
    let addressee = Addressee::find(db, slug, platform_slug).await?;
    let Some(keeper) = addressee.keeper() else { return Ok(None) };
    let mut tx = db.begin(keeper, Actor::Anonymous, Origin::default()).await?;
    let look = Look::of(&mut tx).await?;
    tx.commit().await?;
    let Branding { name, color, logo, .. } = look.branding.clone().into();
    let is_shown = addressee.tenant().is_some() && (name.is_some() || color.is_some() || logo.is_some());
    Ok(Some(look).filter(|_| is_shown))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_logo_keeps_its_shape_and_is_never_enlarged() {
        for (size, shown) in [
            ((480, 96), (240, 48)),
            ((96, 96), (48, 48)),
            ((1000, 20), (240, 4)),
            ((20, 1000), (1, 48)),
            ((16, 16), (16, 16)),
            ((241, 47), (240, 46)),
            ((2000, 2), (240, 1)),
        ] {
            assert_eq!(fit(size, SHOWN), shown, "{size:?}");
        }
    }

    #[test]
    fn what_is_stored_wrongly_is_as_good_as_not_there() {
        let stored =
            json!({ "name": " ", "color": 7, "reply_to": "a@b.example", "logo": "data:image/png;base64,", "x": 1 });
        let branding = Branding { reply_to: Some("a@b.example".into()), ..Branding::default() };
        assert_eq!(Branding::from(stored), branding);
        assert_eq!(Branding::from(json!("nonsense")), Branding::default());
    }
}
