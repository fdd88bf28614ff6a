//! Which domains can be an organization's own.

use crate::email_address::parse_domain;
use crate::error::FieldError;
use crate::text::has_line;

/// In lower case and ASCII, sorted by bytes, one a line. `shared/data/public_mail_providers/README.md` says where it is from.
static PROVIDERS: &str = include_str!("../../data/public_mail_providers/list.txt");

/// Longest domain: there must be room for the name of the record before it, and 253 is the most that a name has.
pub(super) const LONGEST: usize = 230;

/// The domain in the form in which domains are compared.
pub(super) fn check(text: &str) -> Result<String, FieldError> {
    let refuse = |code, message| Err(FieldError::new("domain", code, message));
    let Some(domain) = parse_domain(text).filter(|domain| domain.len() <= LONGEST) else {
        return refuse(
            "invalid_domain",
            "This is not an e-mail domain of at most 230 characters, such as example.com.",
        );
    };
    if psl::suffix_str(&domain) == Some(domain.as_str()) {
        return refuse("public_suffix", "Anyone can register a domain below this one: it is nobody's own.");
    }
    if has_line(PROVIDERS, &domain) {
        return refuse(
            "public_provider",
            "Anyone can get an address at this mail provider: its domain is nobody's own.",
        );
    }
    Ok(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_kept_in_lower_case_and_ascii() {
        for (typed, kept) in [
            ("acme.example", "acme.example"),
            (" @Acme.Example ", "acme.example"),
            ("Bücher.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("mail.acme.co.uk", "mail.acme.co.uk"),
        ] {
            assert_eq!(check(typed).as_deref(), Ok(kept), "{typed}");
        }
    }

    #[test]
    fn what_is_no_domain_or_nobodys_own_is_refused() {
        let code = |text: &str| check(text).expect_err(text).code;
        let long = format!("{}.example", ["a"; 120].join("."));
        for wrong in
            ["", "acme", "acme..example", "acme.example.", "192.0.2.1", "a b.example", "bob@acme.example", &long]
        {
            assert_eq!(code(wrong), "invalid_domain", "{wrong}");
        }
        for suffix in ["co.uk", "CO.UK", "github.io", "com.au", "公司.cn", "xn--55qx5d.cn"] {
            assert_eq!(code(suffix), "public_suffix", "{suffix}");
        }
        for provider in ["gmail.com", "GMail.com", "web.de", "laposte.net", "mailbox.org", "mailinator.com"] {
            assert_eq!(code(provider), "public_provider", "{provider}");
        }
    }

    #[test]
    fn the_list_of_providers_is_sorted_and_each_of_it_is_in_the_form_that_is_compared() {
        let lines: Vec<&str> = PROVIDERS.lines().collect();
        assert!(lines.len() > 6_000 && lines.is_sorted_by(|a, b| a < b), "sorted by bytes, none twice");
        for line in &lines {
            assert_eq!(parse_domain(line).as_deref(), Some(*line));
        }
    }
}
