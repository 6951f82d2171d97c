//! The emails that the mail server must have accepted: those that follow from the log, and no other.

use std::collections::{BTreeMap, BTreeSet};

use domain::event::StoredEvent;
use mailparse::{MailHeaderMap as _, ParsedMail};
use serde_json::Value;
use uuid::Uuid;

use super::peer::Mail;

/// The sender.
pub(crate) const FROM: &str = "The shop <shop@shop.test>";
const SENDER: (&str, &str) = ("shop@shop.test", "The shop");

/// The events that cause emails, and the subject of each.
pub(crate) const SUBJECTS: [(&str, &str); 9] = [
    ("UserRegistered", "Welcome"),
    ("EmailConfirmationRequested", "Confirm your email address"),
    ("PasswordResetRequested", "Set a new password"),
    ("OrderConfirmed", "Your order is confirmed"),
    ("OrderRejected", "Your order could not be fulfilled"),
    ("OrderCancelled", "Your order is cancelled"),
    ("OrderShipped", "Your order is on its way"),
    ("OrderDelivered", "Your order has arrived"),
    ("PaymentRefunded", "Your money is on its way back"),
];

/// A user with an address.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) email: String,
    /// Stops emails after the first.
    pub(crate) stopped: bool,
}

/// Users, by their id.
pub(crate) type People = BTreeMap<Uuid, Person>;

/// An expected email.
#[derive(Debug)]
struct Expected<'a> {
    to: &'a Person,
    subject: &'static str,
    /// The order that it is about.
    order: Option<String>,
    /// The beginning of the link that it is for, if it is for one.
    link: Option<&'static str>,
    partition: u32,
}

/// The number of emails, and of repeated ones.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) mails: usize,
    pub(crate) repeated: usize,
    pub(crate) subjects: BTreeSet<&'static str>,
}

/// The expected emails, by Message-ID.
fn expected<'a>(log: &[StoredEvent], people: &'a People) -> BTreeMap<String, Expected<'a>> {
    let mail = |event: &StoredEvent| {
        let (_, subject) = SUBJECTS.iter().find(|(of, _)| *of == event.event_type)?;
        let is_about_account = event.stream.category() == "user";
        let link = match event.event_type.as_str() {
            "EmailConfirmationRequested" => Some("https://shop.test/confirm-email?token="),
            "PasswordResetRequested" => Some("https://shop.test/reset-password?token="),
            _ => None,
        };
        let payload: Value = serde_json::from_str(event.payload.get()).unwrap();
        let user = if is_about_account {
            event.stream.id()
        } else {
            payload["customer"].as_str().unwrap()
        };
        let to = people.get(&user.parse().unwrap())?;
        let id = format!("<{}.{}@shop.test>", event.event_id, event.workspace);
        let expected = Expected {
            to,
            subject,
            order: (!is_about_account).then(|| event.stream.id().to_owned()),
            link,
            partition: event.partition,
        };
        (is_about_account || !to.stopped).then_some((id, expected))
    };
    log.iter().filter_map(mail).collect()
}

/// Compares the accepted emails with the log.
pub(crate) fn check(mails: &[Mail], log: &[StoredEvent], people: &People) -> Report {
    let expected = expected(log, people);
    let mut arrived: BTreeMap<&str, Vec<&Mail>> = BTreeMap::new();
    let mut lanes = Vec::new();
    for mail in mails {
        let parsed = mailparse::parse_mail(&mail.content).unwrap();
        let id = header(&parsed, "Message-ID");
        let Some((id, expected)) = expected.get_key_value(&id) else {
            panic!(
                "this mail is unexpected: {}",
                String::from_utf8_lossy(&mail.content)
            );
        };
        check_mail(mail, &parsed, expected);
        arrived.entry(id.as_str()).or_default().push(mail);
        lanes.push((mail, expected.partition));
    }
    for (id, expected) in &expected {
        assert!(
            arrived.contains_key(id.as_str()),
            "this mail has not arrived: {id}: {expected:?}"
        );
    }
    let mut repeated = 0;
    for (id, mails) in &arrived {
        let last = mails.len() - 1;
        assert!(mails[last].answered, "{id} was never answered for");
        for mail in &mails[..last] {
            assert_eq!(
                mail.content, mails[last].content,
                "{id} has come twice, and is not the same"
            );
            assert!(
                !mail.answered || is_last_of_its_lane(mail, &lanes),
                "{id} has come again, though its answer was not lost"
            );
            repeated += 1;
        }
    }
    Report {
        mails: arrived.len(),
        repeated,
        subjects: expected.values().map(|expected| expected.subject).collect(),
    }
}

/// Whether its lane sent no later email in these incarnations of our server and of the mail server: a lane
/// sends the next email after it has recorded the answer to the one before.
fn is_last_of_its_lane(mail: &Mail, lanes: &[(&Mail, u32)]) -> bool {
    let place = lanes.iter().position(|(other, _)| std::ptr::eq(*other, mail));
    let place = place.expect("it is one of them");
    let (_, lane) = lanes[place];
    lanes[place + 1..]
        .iter()
        .all(|(later, partition)| *partition != lane || later.session != mail.session)
}

fn check_mail(mail: &Mail, parsed: &ParsedMail<'_>, expected: &Expected<'_>) {
    let email = &expected.to.email;
    let context = || format!("{expected:?}: {}", String::from_utf8_lossy(&mail.content));
    assert_eq!(mail.sender, SENDER.0, "{}", context());
    assert_eq!(mail.to, std::slice::from_ref(email), "{}", context());
    // No customer has confirmed the address: it may be a stranger's, and gets no name that they have chosen.
    let (from, from_name) = SENDER;
    for (field, email, name) in [("From", from, Some(from_name)), ("To", email.as_str(), None)] {
        let field = parsed.headers.get_first_header(field).unwrap();
        let address = mailparse::addrparse_header(field).unwrap();
        let address = address.extract_single_info().unwrap();
        assert_eq!((&*address.addr, address.display_name.as_deref()), (email, name));
    }
    assert_eq!(header(parsed, "Subject"), expected.subject, "{}", context());
    assert_eq!(parsed.ctype.mimetype, "multipart/alternative", "{}", context());
    let parts: Vec<_> = parsed
        .subparts
        .iter()
        .map(|part| (part.ctype.mimetype.as_str(), part.get_body().unwrap()))
        .collect();
    let [("text/plain", text), ("text/html", html)] = parts.as_slice() else {
        panic!("not a text and an HTML part: {}", context());
    };
    assert!(text.starts_with("Hello,"), "{}", context());
    assert!(html.starts_with("<!doctype html>"), "{}", context());
    if let Some(link) = expected.link {
        // The template writes a slash in an attribute as a reference.
        for part in [text, &html.replace("&#x2F;", "/")] {
            assert!(
                part.contains(link) && !part.contains("/unsubscribe"),
                "{}",
                context()
            );
        }
        return;
    }
    let order = expected.order.as_deref().unwrap_or_default();
    let unsubscribe_link = unsubscribe_link(parsed);
    let (_, token) = unsubscribe_link
        .split_once("?token=")
        .expect("it says whose it is");
    for part in [text, html] {
        assert!(part.contains(order) && part.contains(token), "{}", context());
    }
}

/// The link that stops emails.
pub(crate) fn unsubscribe_link(mail: &ParsedMail<'_>) -> String {
    let unsubscribe_link = header(mail, "List-Unsubscribe");
    let unsubscribe_link = unsubscribe_link
        .strip_prefix('<')
        .and_then(|unsubscribe_link| unsubscribe_link.strip_suffix('>'));
    unsubscribe_link
        .expect("it is a URL in angle brackets")
        .to_owned()
}

fn header(mail: &ParsedMail<'_>, name: &str) -> String {
    mail.headers
        .get_first_value(name)
        .unwrap_or_else(|| panic!("there is no {name}"))
}
