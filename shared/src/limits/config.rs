//! How often a stranger may fail.

use std::str::FromStr;

use chrono::TimeDelta;
use clap::Args;

/// So many failures at once, then one more each time an interval has passed: `5/60` is five, then one every 60 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Failures at once.
    pub(super) burst: i64,
    /// Milliseconds until one more is allowed.
    pub(super) interval: i64,
}

/// No answer asks anyone to wait for longer: who knows his password is let in after it at the latest.
pub(super) const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(1);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (burst, seconds) = text.split_once('/').ok_or("It is not of the form FAILURES/SECONDS, as 5/60 is")?;
        let number = |text: &str, most: i64| text.parse().ok().filter(|number| (1..=most).contains(number));
        let burst = number(burst, 1_000_000).ok_or("FAILURES is not a number from 1 to 1000000")?;
        let seconds = number(seconds, 86_400).ok_or("SECONDS is not a number from 1 to 86400")?;
        Ok(Self { burst, interval: seconds * 1_000 })
    }
}

/// A rate at which nobody waits for more than a minute.
fn short(text: &str) -> Result<Rate, String> {
    let rate: Rate = text.parse()?;
    let is_short = rate.interval <= LONGEST_WAIT.num_milliseconds();
    is_short.then_some(rate).ok_or_else(|| "SECONDS is more than 60, and nobody is asked to wait longer".into())
}

/// How many failures are borne before one has to wait. Each is FAILURES/SECONDS: so many at once, and one more each time
/// that many seconds have passed.
#[derive(Clone, Debug, Args)]
pub struct LimitsConfig {
    /// Failed sign-ins to one account from one client address, and requests for a new password for one address from there, or
    /// where it signs in: FAILURES/SECONDS, of 60 seconds at most. A sign-in that succeeds clears it.
    #[arg(long, env, default_value = "10/60", value_parser = short)]
    pub limit_account_and_client: Rate,
    /// Failed sign-ins from one client address, whatever the accounts: FAILURES/SECONDS, of 60 seconds at most. Many people
    /// can share an address.
    #[arg(long, env, default_value = "60/10", value_parser = short)]
    pub limit_client: Rate,
    /// Failed sign-ins to one account, wherever from: FAILURES/SECONDS. Beyond it, a client address that never signed in to
    /// the account waits a minute before each attempt; nobody is shut out.
    #[arg(long, env, default_value = "50/1800")]
    pub limit_account: Rate,
    /// Requests for a new password from one client address: FAILURES/SECONDS, of 60 seconds at most.
    #[arg(long, env, default_value = "30/20", value_parser = short)]
    pub limit_password_resets: Rate,
    /// Requests where an address signs in (`POST /v1/login-url`, and the page) from one client address: FAILURES/SECONDS, of 60
    /// seconds at most. All the people of a company can share an address.
    #[arg(long, env, default_value = "60/5", value_parser = short)]
    pub limit_login_urls: Rate,
    /// Links that are none of ours, tried from one client address: FAILURES/SECONDS, of 60 seconds at most.
    #[arg(long, env, default_value = "60/5", value_parser = short)]
    pub limit_wrong_links: Rate,
    /// Sign-ins through identity providers that are begun, and our metadata that are asked for, from one client address:
    /// TIMES/SECONDS, of 60 seconds at most. Each sign-in is written down until it is answered. All the people of a company can
    /// share an address.
    #[arg(long, env, default_value = "1000/1", value_parser = short)]
    pub limit_company_sign_ins: Rate,
    /// Messages from one client address that are said to be an identity provider's and are refused: FAILURES/SECONDS, of 60
    /// seconds at most.
    #[arg(long, env, default_value = "200/2", value_parser = short)]
    pub limit_company_messages: Rate,
    /// Wrong guesses at one's own secrets by someone who is signed in, as at the old password when he changes it:
    /// FAILURES/SECONDS, of 60 seconds at most.
    #[arg(long, env, default_value = "10/60", value_parser = short)]
    pub limit_own_secrets: Rate,
    /// Proofs of e-mail domains that one organization has looked up (`POST /email-domains/{id}/verify`): TIMES/SECONDS, of 60
    /// seconds at most. The daily schedule doesn't count.
    #[arg(long, env, default_value = "30/10", value_parser = short)]
    pub limit_domain_lookups: Rate,
    /// How many milliseconds an attempt waits for Redis, where failures are counted, before this process counts it by itself.
    #[arg(long, env, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    pub limit_patience_ms: u64,
    /// Failed sign-ins that one process writes into audit logs, of all organizations together; and refused messages of identity
    /// providers that it writes down for each: FAILURES/SECONDS.
    #[arg(long, env, default_value = "1000/10")]
    pub limit_refusals_noted: Rate,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_failures_and_seconds_and_mostly_a_short_wait() {
        assert_eq!("5/60".parse(), Ok(Rate { burst: 5, interval: 60_000 }));
        for wrong in ["", "5", "0/60", "5/0", "5/x", "x/5", "-1/5", "5/86401", "1000001/1", "5/60/7"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
        assert!(short("5/60").is_ok() && short("5/61").is_err());
    }
}
