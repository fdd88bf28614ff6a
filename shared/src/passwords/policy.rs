//! What a good password is.

use secrecy::{ExposeSecret, SecretString};

use super::common::is_common;
use super::hashing::normal;
use crate::db::Tx;
use crate::error::{FieldError, Refusal, Result};
use crate::ids::{OrganizationId, UserId};

/// Whom a password is for: it must not contain this.
#[derive(Debug)]
pub struct Wearer<'a> {
    /// His address.
    pub email: &'a str,
    /// The organization's name.
    pub organization: &'a str,
}

/// How many characters it has.
pub(crate) fn length_of(password: &SecretString) -> i32 {
    i32::try_from(normal(password).expose_secret().chars().count()).unwrap_or(i32::MAX)
}

/// Has someone choose another password whose own, just shown, is shorter than his organization demands by now, and says whether
/// it does. With a second factor it may stay: it is not all there is.
pub(crate) async fn outgrow(tx: &mut Tx, user: UserId, shown: &SecretString, min_length: i32) -> Result<bool> {
    if length_of(shown) >= min_length {
        return Ok(false);
    }
    let outgrown = sqlx::query!(
        "update users u set must_change_password = true
         where u.organization_id = $1 and u.id = $2 and not u.must_change_password
           and not exists (select from totp_secrets t
               where t.organization_id = $1 and t.user_id = u.id and t.confirmed_at is not null)",
        tx.organization_id() as OrganizationId,
        user as UserId
    )
    .execute(tx.connection())
    .await?;
    Ok(outgrown.rows_affected() > 0)
}

/// Holds a new password to the policy (NIST SP 800-63B-4): long, not common, not guessable, not made of
/// what everyone knows of you.
/// No rules about which characters.
pub fn check_policy(
    field: &'static str,
    password: &SecretString,
    min_length: i32,
    wearer: &Wearer<'_>,
) -> Result<(), Refusal> {
    let refuse = |code, message: String| Err(Refusal::invalid(vec![FieldError::new(field, code, message)]));
    let length = length_of(password);
    let password = normal(password);
    let password = password.expose_secret();
    if length < min_length {
        return refuse(
            "password_too_short",
            format!("A password has at least {min_length} characters. Several words in a row are good."),
        );
    }
    if length > 128 {
        return refuse("password_too_long", "A password has at most 128 characters.".into());
    }
    let lower = password.to_lowercase();
    let local = wearer.email.split('@').next().unwrap_or_default();
    for known in [wearer.email, local, wearer.organization].map(str::to_lowercase) {
        if known.chars().count() >= 4 && lower.contains(&known) {
            return refuse(
                "password_guessable",
                "A password must not contain your address or the organization's name.".into(),
            );
        }
    }
    if is_common(password) {
        return refuse(
            "password_common",
            "This is one of the most common passwords, or little more. Several unrelated words are better.".into(),
        );
    }
    if zxcvbn::zxcvbn(password, &[wearer.email, local, wearer.organization]).score() < zxcvbn::Score::Three {
        return refuse(
            "password_guessable",
            "This password is easy to guess. Several unrelated words are better.".into(),
        );
    }
    Ok(())
}

/// Whether a password was typed the same twice.
pub fn check_same(field: &'static str, one: &SecretString, other: &SecretString) -> Result<(), Refusal> {
    if one.expose_secret() == other.expose_secret() {
        Ok(())
    } else {
        Err(Refusal::invalid_field(field, "passwords_differ", "The two passwords are not the same."))
    }
}

/// What a new user of an organization must know of its policy.
pub(crate) async fn policy_of(tx: &mut Tx) -> Result<(i32, String)> {
    let row = sqlx::query!(
        "select password_min_length, name from organizations where organization_id = $1",
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok((row.password_min_length, row.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str) -> Result<(), &'static str> {
        let wearer = Wearer { email: "bob.builder@example.com", organization: "Acme Corporation" };
        check_policy("password", &password.to_owned().into(), 15, &wearer).map_err(|refusal| refusal.errors[0].code)
    }

    #[test]
    fn a_good_password_is_long_and_unknown_and_of_any_letters() {
        assert_eq!(check("correct horse battery staple xylophone"), Ok(()));
        assert_eq!(check("Fünf grüne Äpfel fallen leise"), Ok(()));
        assert_eq!(check("漢字とかなの長い合言葉を選ぶ人が居る"), Ok(()));
    }

    #[test]
    fn each_rule_of_the_policy_refuses_by_itself() {
        assert_eq!(check("tr0ub4dor&3 kzq"), Ok(()));
        assert_eq!(check("short &3 kzqXp"), Err("password_too_short"));
        assert_eq!(check(&"xK9 ".repeat(33)), Err("password_too_long"));
        assert_eq!(check("PasswordPassword"), Err("password_common"));
        assert_eq!(check("kkkkkkkkkkkkkkkkkkk"), Err("password_guessable"));
        assert_eq!(check("xq BOB.BUILDER lurking zebras 7"), Err("password_guessable"));
        assert_eq!(check("xq acme corporation zebras 7"), Err("password_guessable"));
    }
}
