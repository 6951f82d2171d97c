//! The content of mails: from an event to a mail with a text and an HTML part. The same event always gives
//! the same bytes, so that a recipient can tell that a repeated mail is the same one.

use std::{fmt::Write as _, time::Duration, time::SystemTime};

use domain::{
    aggregate::{
        order::{OrderEvent, OrderLine},
        payment::PaymentEvent,
    },
    event::{DomainEvent, TypedEvent},
    money::Money,
};
use lettre::{
    Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};

use super::addresses::Address;

/// Currencies whose minor unit is the unit itself (ISO 4217), as far as shops use them.
const WITHOUT_DECIMALS: [&str; 8] = ["CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF"];

/// The content of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MailContent {
    subject: String,
    /// Paragraphs.
    paragraphs: Vec<String>,
    /// The order's lines and the total.
    lines: Vec<(String, String)>,
}

/// The mail about an event; `None`: there is none. [`notice`](domain::view::notifications::notice) names its
/// recipient.
pub(super) fn content_for(event: &TypedEvent) -> Option<MailContent> {
    let number = event.stream.id();
    let about = |subject: &str, paragraphs: Vec<String>| MailContent {
        subject: subject.to_owned(),
        paragraphs,
        lines: Vec::new(),
    };
    let because = |reason: &str| format!("The reason: {reason}");
    match &event.payload {
        DomainEvent::Order(OrderEvent::OrderConfirmed(confirmed)) => Some(MailContent {
            lines: bought(&confirmed.lines, &confirmed.total),
            ..about(
                "Your order is confirmed",
                vec![format!(
                    "Thank you. Your order {number} is confirmed and will be shipped soon."
                )],
            )
        }),
        DomainEvent::Order(OrderEvent::OrderRejected(rejected)) => Some(about(
            "Your order could not be fulfilled",
            vec![
                format!(
                    "We are sorry: your order {number} could not be fulfilled, and you pay nothing for it."
                ),
                because(&rejected.reason),
            ],
        )),
        DomainEvent::Order(OrderEvent::OrderCancelled(cancelled)) => Some(about(
            "Your order is cancelled",
            vec![
                format!("Your order {number} is cancelled."),
                because(&cancelled.reason),
            ],
        )),
        DomainEvent::Order(OrderEvent::OrderShipped(_)) => Some(about(
            "Your order is on its way",
            vec![format!("Your order {number} has been shipped.")],
        )),
        DomainEvent::Order(OrderEvent::OrderDelivered(_)) => Some(about(
            "Your order has arrived",
            vec![format!("Your order {number} has been delivered. Enjoy it.")],
        )),
        DomainEvent::Payment(PaymentEvent::PaymentRefunded(refunded)) => Some(about(
            "Your money is on its way back",
            vec![
                format!(
                    "We have sent back {} for your order {number}.",
                    render(&refunded.amount)
                ),
                because(&refunded.reason),
            ],
        )),
        _ => None,
    }
}

/// The mail to a user who has registered.
pub(super) fn welcome() -> MailContent {
    MailContent {
        subject: "Welcome".to_owned(),
        paragraphs: vec![
            "Your account is ready. From now on we write to you when something becomes of your orders."
                .to_owned(),
        ],
        lines: Vec::new(),
    }
}

/// The mail to the former address of an account, so that its owner notices a change that they did not make.
/// It does not name the new address.
pub(super) fn email_changed() -> MailContent {
    MailContent {
        subject: "The email of your account was changed".to_owned(),
        paragraphs: vec![
            "Your account has another email from now on. You sign in with that one, and we write to it and \
             no longer to this address."
                .to_owned(),
            "If it was not you who changed it, tell the people of the shop at once.".to_owned(),
        ],
        lines: Vec::new(),
    }
}

/// The data of a mail besides its content.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    /// The sender.
    pub from: &'a Mailbox,
    /// The recipient.
    pub to: &'a Address,
    /// The link that stops mails.
    pub unsubscribe: Option<&'a str>,
    /// The event that it is about.
    pub event: &'a TypedEvent,
}

/// Why a mail could not be composed.
#[derive(Debug, thiserror::Error)]
pub(super) enum MailError {
    /// The address is not valid.
    #[error("there is no such address")]
    Address,
    /// The message could not be built.
    #[error("the mail could not be written: {0}")]
    Message(#[from] lettre::error::Error),
}

impl MailContent {
    /// Renders the mail.
    pub(super) fn render(&self, envelope: &Envelope<'_>) -> Result<Message, MailError> {
        let Envelope {
            from,
            to,
            unsubscribe,
            event,
        } = envelope;
        let address = to.email.parse().map_err(|_| MailError::Address)?;
        let at = u64::try_from(event.recorded_at.as_micros()).unwrap_or(0);
        let mut message = Message::builder()
            .from((*from).clone())
            .to(Mailbox::new(
                Some(to.name.clone()).filter(|name| !name.is_empty()),
                address,
            ))
            .subject(&self.subject)
            .date(SystemTime::UNIX_EPOCH + Duration::from_micros(at))
            .message_id(Some(message_id(from, event)));
        // RFC 3834: automatic responders must not answer this.
        message = message.raw_header(raw("Auto-Submitted", "auto-generated".to_owned()));
        if let Some(link) = unsubscribe {
            message = message
                .raw_header(raw("List-Unsubscribe", format!("<{link}>")))
                // RFC 8058: a mail program may follow the link on its own, with a POST.
                .raw_header(raw(
                    "List-Unsubscribe-Post",
                    "List-Unsubscribe=One-Click".to_owned(),
                ));
        }
        let parts = MultiPart::alternative()
            .boundary(format!("foldline-{}", event.event_id.simple()))
            .singlepart(SinglePart::plain(self.text(&to.name, *unsubscribe)))
            .singlepart(SinglePart::html(self.html(&to.name, *unsubscribe)));
        Ok(message.multipart(parts)?)
    }

    fn text(&self, name: &str, unsubscribe: Option<&str>) -> String {
        let mut text = String::new();
        let mut say = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        say(&greeting(name));
        for paragraph in &self.paragraphs {
            say("");
            say(paragraph);
        }
        if !self.lines.is_empty() {
            say("");
        }
        for (what, price) in &self.lines {
            say(&format!("{what}: {price}"));
        }
        if let Some(link) = unsubscribe {
            say("");
            say(&format!("No more mails of this shop: {link}"));
        }
        text
    }

    fn html(&self, name: &str, unsubscribe: Option<&str>) -> String {
        let escaped = |text: &str| html_escape::encode_safe(text).into_owned();
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <title>{}</title></head><body>\n<p>{}</p>\n",
            escaped(&self.subject),
            escaped(&greeting(name))
        );
        // Writing to a `String` cannot fail.
        for paragraph in &self.paragraphs {
            let _ = writeln!(html, "<p>{}</p>", escaped(paragraph));
        }
        if !self.lines.is_empty() {
            html.push_str("<table>\n");
            for (what, price) in &self.lines {
                let _ = writeln!(
                    html,
                    "<tr><td>{}</td><td align=\"right\">{}</td></tr>",
                    escaped(what),
                    escaped(price)
                );
            }
            html.push_str("</table>\n");
        }
        if let Some(link) = unsubscribe {
            let _ = writeln!(
                html,
                "<p><a href=\"{}\">No more mails of this shop</a></p>",
                escaped(link)
            );
        }
        html.push_str("</body></html>\n");
        html
    }
}

fn greeting(name: &str) -> String {
    if name.is_empty() {
        "Hello,".to_owned()
    } else {
        format!("Hello {name},")
    }
}

/// The message id: the same for the same event, and different for every workspace.
pub(super) fn message_id(from: &Mailbox, event: &TypedEvent) -> String {
    format!("<{}.{}@{}>", event.event_id, event.workspace, from.email.domain())
}

fn raw(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

fn bought(lines: &[OrderLine], total: &Money) -> Vec<(String, String)> {
    let line = |line: &OrderLine| {
        let sum = line.price.times(line.quantity);
        (
            format!("{} × {}", line.quantity, line.name),
            sum.as_ref().map(render).unwrap_or_default(),
        )
    };
    let mut bought: Vec<_> = lines.iter().map(line).collect();
    bought.push(("Total".to_owned(), render(total)));
    bought
}

/// Formats an amount.
fn render(money: &Money) -> String {
    if WITHOUT_DECIMALS.contains(&money.currency.as_str()) {
        return format!("{} {}", money.amount, money.currency);
    }
    let sign = if money.amount < 0 { "-" } else { "" };
    let minor = money.amount.unsigned_abs();
    format!("{sign}{}.{:02} {}", minor / 100, minor % 100, money.currency)
}
