//! Email addresses: one form for each mailbox, and the check of what a person typed.

use std::iter::once;

use unicode_normalization::UnicodeNormalization as _;

/// The maximum length of an email address (RFC 5321, 4.5.3.1.3, without the angle brackets).
pub const MAX_EMAIL: usize = 254;

/// The normal form of an email for storage and comparison: trimmed and in lower case, the local part composed
/// (NFC), the domain as a name server knows it (A-labels). So it is the same however a keyboard composes its
/// letters, and whether the domain is typed in letters or in Punycode.
pub fn normalised(email: &str) -> String {
    let email = lower_case(email);
    let Some((local, host)) = email.rsplit_once('@') else {
        return email;
    };
    let local: String = local.nfc().collect();
    // What is no domain stays as it is: `is_email` refuses it.
    let host = idna::domain_to_ascii(host).unwrap_or_else(|_| host.to_owned());
    format!("{local}@{host}")
}

/// The forms in which accounts may have this email: first as it is typed, then the normal form, then others.
/// Accounts from before the normal form have what was typed then, in lower case.
pub fn spellings(email: &str) -> Vec<String> {
    let (typed, normal) = (lower_case(email), normalised(email));
    let (Some((local, host)), Some((typed_local, typed_host))) =
        (normal.rsplit_once('@'), typed.rsplit_once('@'))
    else {
        return vec![normal];
    };
    let (unicode, _) = idna::domain_to_unicode(host);
    let locals = [local.to_owned(), local.nfd().collect(), typed_local.to_owned()];
    let hosts = [
        host.to_owned(),
        unicode.nfd().collect(),
        unicode,
        typed_host.to_owned(),
    ];
    let others = locals
        .iter()
        .flat_map(|local| hosts.iter().map(move |host| format!("{local}@{host}")));
    let mut spellings: Vec<String> = Vec::new();
    for spelling in once(typed.clone()).chain(once(normal.clone())).chain(others) {
        if !spellings.contains(&spelling) {
            spellings.push(spelling);
        }
    }
    spellings
}

/// The domains for examples (RFC 2606), which have no mailboxes.
const EXAMPLE_DOMAINS: [&str; 3] = ["example.com", "example.net", "example.org"];

/// The ends of domains for examples and for what is not meant to exist.
const EXAMPLE_ENDS: [&str; 2] = [".example", ".invalid"];

/// Whether an email is of a domain for examples: no mailbox has it, so no mail server gets emails to it.
pub fn is_example_address(email: &str) -> bool {
    let domain = email.rsplit('@').next().unwrap_or_default();
    EXAMPLE_DOMAINS.contains(&domain) || EXAMPLE_ENDS.iter().any(|end| domain.ends_with(end))
}

fn lower_case(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Whether the text is a mailbox at a host with a dot. Only an email can tell whether the mailbox exists;
/// this check finds typing errors, and refuses characters that would break a header.
pub(crate) fn is_email(email: &str) -> bool {
    let Some((local, host)) = email.rsplit_once('@') else {
        return false;
    };
    let is_local = (1..=64).contains(&local.len())
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local
            .chars()
            .all(|c| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c));
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let is_host =
        idna::domain_to_ascii(host).is_ok_and(|host| host.contains('.') && host.split('.').all(is_label));
    email.len() <= MAX_EMAIL && is_local && is_host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_has_one_normal_form() {
        for (forms, normal) in [
            (vec![" Ada@Example.ORG ", "ada@example.org"], "ada@example.org"),
            (
                vec![
                    "rene\u{301}@example.org",
                    "Ren\u{e9}@EXAMPLE.org",
                    "RENE\u{301}@example.org",
                ],
                "ren\u{e9}@example.org",
            ),
            (
                vec![
                    "ada@b\u{fc}cher.example",
                    "ada@bu\u{308}cher.example",
                    "ada@B\u{dc}CHER.example",
                    "ada@xn--bcher-kva.example",
                    "Ada@XN--BCHER-KVA.Example",
                ],
                "ada@xn--bcher-kva.example",
            ),
            // An ideographic full stop, and full-width letters.
            (
                vec![
                    "a@\u{4f8b}\u{3048}\u{3002}jp",
                    "a@\u{4f8b}\u{3048}.\u{ff4a}\u{ff50}",
                ],
                "a@xn--r8jz45g.jp",
            ),
        ] {
            for form in forms {
                assert_eq!(normalised(form), normal, "{form}");
                assert!(spellings(form).contains(&normal.to_owned()), "{form}");
            }
            assert_eq!(normalised(normal), normal);
            assert!(is_email(normal), "{normal}");
        }
    }

    #[test]
    fn what_an_earlier_version_stored_is_among_the_spellings() {
        let stored = |typed: &str| typed.trim().to_lowercase();
        let same = [
            "zo\u{eb}@m\u{fc}ller.example",
            "zoe\u{308}@mu\u{308}ller.example",
            "Zo\u{eb}@xn--mller-kva.example",
            "zoe\u{308}@m\u{fc}ller.example",
        ];
        for then in same {
            for now in same {
                assert!(spellings(now).contains(&stored(then)), "{then} {now}");
            }
            assert_eq!(spellings(then)[0], stored(then));
        }
    }

    #[test]
    fn an_address_for_examples_is_known_by_its_domain() {
        for example in [
            "ada@example.org",
            "ada@example.com",
            "ada@shop.example",
            "ada@a.invalid",
        ] {
            assert!(is_example_address(example), "{example}");
        }
        for other in [
            "ada@example.de",
            "ada@myexample.org",
            "example.org@mail.test",
            "ada@shop.test",
        ] {
            assert!(!is_example_address(other), "{other}");
        }
    }

    #[test]
    fn an_address_in_ascii_has_one_spelling() {
        assert_eq!(spellings(" Ada@Example.org"), ["ada@example.org"]);
        assert_eq!(spellings("ada"), ["ada"]);
    }

    #[test]
    fn a_host_that_is_no_domain_is_refused() {
        for email in [
            "ada@xn--\u{fc}.example",
            "ada@b\u{fc}cher..example",
            "ada@\u{200d}.example",
        ] {
            assert!(!is_email(&normalised(email)), "{email}");
        }
        let label = "\u{fc}".repeat(2_000);
        assert!(!is_email(&normalised(&format!("ada@{label}.example"))));
    }
}
