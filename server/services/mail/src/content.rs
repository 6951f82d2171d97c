//! The content of mails: from an event to a mail with a text and an HTML part. The same event always gives
//! the same bytes, so that a recipient can tell that a repeated mail is the same one.

mod free_text;

use std::{fmt::Write as _, time::Duration, time::SystemTime};

use domain::{
    aggregate::{
        order::{OrderEvent, OrderLine},
        payment::PaymentEvent,
    },
    event::{DomainEvent, TypedEvent},
    language::Language,
    money::{Money, minor_digits},
    visible_text::one_line,
};
use free_text::FreeText;
use icu_decimal::{DecimalFormatter, input::Decimal, options::DecimalFormatterOptions};
use icu_locale_core::locale;
use lettre::{
    Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};

use uuid::Uuid;

use super::{
    addresses::Address,
    hourly_limit::MailKind,
    texts::{LinkTexts, Subject, Texts, WarningTexts, fill, texts, written_language},
};

/// The last time that the date of an email can name, in microseconds: the end of the year 9999.
const LAST_DATE: u64 = 253_402_300_799 * 1_000_000;

/// The content of an email, in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MailContent {
    /// The language of the texts.
    language: Language,
    subject: String,
    /// Paragraphs.
    paragraphs: Vec<String>,
    /// The order's lines and the total.
    lines: Vec<(String, String)>,
    /// The link that the email is for, if it is for one.
    link: Option<ContentLink>,
}

/// A link in the content of an email: its label, and where it leads.
#[derive(Clone, PartialEq, Eq)]
struct ContentLink {
    label: String,
    url: String,
}

impl std::fmt::Debug for ContentLink {
    /// Never the link, which may have a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContentLink(…)")
    }
}

/// What an email is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// News of an order; [`notice`](domain::view::notifications::notice) names its recipient.
    Order,
    /// A registration, with a link that confirms the address.
    Welcome,
    /// An address that has to be confirmed by a link.
    ConfirmEmail,
    /// A changed address. The email goes to the former one, so that its owner notices a change that they did
    /// not make, and does not name the new one.
    EmailChanged,
    /// A link to set a new password.
    PasswordReset,
    /// A changed password.
    PasswordChanged,
}

impl Topic {
    /// How its emails are counted.
    pub(super) const fn kind(self) -> MailKind {
        match self {
            Self::Order => MailKind::News,
            Self::Welcome | Self::ConfirmEmail => MailKind::Confirmation,
            Self::PasswordReset => MailKind::PasswordReset,
            Self::EmailChanged | Self::PasswordChanged => MailKind::Warning,
        }
    }

    /// The email about an event to a recipient, with the link that it is for; `None`: there is none.
    pub(super) fn content(
        self,
        event: &TypedEvent,
        recipient: &Address,
        link: Option<String>,
    ) -> Option<MailContent> {
        let language = recipient.language;
        let (language, texts) = (written_language(language), texts(language));
        let fixed = |subject: &String, paragraphs: &[&String]| MailContent {
            language,
            subject: subject.clone(),
            paragraphs: paragraphs.iter().map(|text| (*text).clone()).collect(),
            lines: Vec::new(),
            link: None,
        };
        let warning = |texts: &WarningTexts| fixed(&texts.subject, &[&texts.text, &texts.warning]);
        // An email that is for a link says nothing without it.
        let only_for = |texts: &LinkTexts, url: String| MailContent {
            link: Some(ContentLink {
                label: texts.action.clone(),
                url,
            }),
            ..fixed(&texts.subject, &[&texts.text, &texts.warning])
        };
        match self {
            Self::Order => of_order(event, language, FreeText::to(recipient)),
            Self::Welcome => Some(match link {
                None => fixed(&texts.welcome.subject, &[&texts.welcome.text]),
                Some(url) => MailContent {
                    link: Some(ContentLink {
                        label: texts.confirm_email.action.clone(),
                        url,
                    }),
                    ..fixed(
                        &texts.welcome.subject,
                        &[&texts.welcome.text, &texts.confirm_email.text],
                    )
                },
            }),
            Self::ConfirmEmail => link.map(|url| only_for(&texts.confirm_email, url)),
            Self::PasswordReset => link.map(|url| only_for(&texts.password_reset, url)),
            Self::EmailChanged => Some(warning(&texts.email_changed)),
            Self::PasswordChanged => Some(warning(&texts.password_changed)),
        }
    }
}

fn of_order(event: &TypedEvent, language: Language, free_text: FreeText) -> Option<MailContent> {
    let texts = texts(language);
    let about = |Subject { subject, text }: &Subject, amount: &str, reason: Option<&str>| {
        // The sender of an order chooses its id.
        let order = free_text.show(event.stream.id());
        let values = [("order", order.as_str()), ("amount", amount)];
        let mut paragraphs = vec![fill(language, text, &values)];
        paragraphs.extend(reason.map(|stored| {
            let reason = super::texts::reason(language, stored);
            fill(
                language,
                &texts.reason,
                &[("reason", free_text.show(&reason).as_str())],
            )
        }));
        MailContent {
            language,
            subject: subject.clone(),
            paragraphs,
            lines: Vec::new(),
            link: None,
        }
    };
    match &event.payload {
        DomainEvent::Order(OrderEvent::OrderConfirmed(confirmed)) => Some(MailContent {
            lines: bought(language, free_text, &confirmed.lines, &confirmed.total),
            ..about(&texts.order_confirmed, "", None)
        }),
        DomainEvent::Order(OrderEvent::OrderRejected(rejected)) => {
            Some(about(&texts.order_rejected, "", Some(&rejected.reason)))
        }
        DomainEvent::Order(OrderEvent::OrderCancelled(cancelled)) => {
            Some(about(&texts.order_cancelled, "", Some(&cancelled.reason)))
        }
        DomainEvent::Order(OrderEvent::OrderShipped(_)) => Some(about(&texts.order_shipped, "", None)),
        DomainEvent::Order(OrderEvent::OrderDelivered(_)) => Some(about(&texts.order_delivered, "", None)),
        DomainEvent::Payment(PaymentEvent::PaymentRefunded(refunded)) => Some(about(
            &texts.payment_refunded,
            &amount(language, &refunded.amount),
            Some(&refunded.reason),
        )),
        _ => None,
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
    /// The id of the mail; see [`mail_id`].
    pub id: Uuid,
}

/// The id of the mail about an event: the event's own, but for the second mail of an event with two.
pub(super) fn mail_id(topic: Topic, event: &TypedEvent) -> Uuid {
    match (topic, event.event_type.as_str()) {
        (Topic::ConfirmEmail, "EmailChanged") => {
            // Right after the event's own in the order of ids, which begin with their time.
            Uuid::from_u128(event.event_id.as_u128().wrapping_add(1))
        }
        _ => event.event_id,
    }
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
            id,
        } = envelope;
        let address = to.email.parse().map_err(|_| MailError::Address)?;
        // A stored name may be older than the rules of names, and a header has one line.
        let name = FreeText::to(to).name(&to.name);
        let at = u64::try_from(event.made_at().as_micros())
            .unwrap_or(0)
            .min(LAST_DATE);
        let mut message = Message::builder()
            .from((*from).clone())
            .to(Mailbox::new(
                Some(name.clone()).filter(|name| !name.is_empty()),
                address,
            ))
            .subject(&self.subject)
            .date(SystemTime::UNIX_EPOCH + Duration::from_micros(at))
            .message_id(Some(message_id(from, *id, event)));
        message = message.raw_header(raw("Content-Language", self.language.to_string()));
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
            .boundary(format!("foldline-{}", id.simple()))
            .singlepart(SinglePart::plain(self.text(&name, *unsubscribe)))
            .singlepart(SinglePart::html(self.html(&name, *unsubscribe)));
        Ok(message.multipart(parts)?)
    }

    fn text(&self, name: &str, unsubscribe: Option<&str>) -> String {
        let mut text = String::new();
        let mut say = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        say(&self.greeting(name));
        for paragraph in &self.paragraphs {
            say("");
            say(paragraph);
        }
        if !self.lines.is_empty() {
            say("");
        }
        for (item, amount) in &self.lines {
            let values = [("item", item.as_str()), ("amount", amount.as_str())];
            say(&fill(self.language, &self.texts().price, &values));
        }
        if let Some(ContentLink { label, url }) = &self.link {
            say("");
            say(label);
            say(url);
        }
        if let Some(link) = unsubscribe {
            say("");
            say(&self.texts().unsubscribe);
            // On a line of its own: there it has its own direction, and no sign of the text becomes part of
            // it.
            say(link);
        }
        text
    }

    fn html(&self, name: &str, unsubscribe: Option<&str>) -> String {
        let escaped = |text: &str| html_escape::encode_safe(text).into_owned();
        let direction = self.language.direction().as_str();
        let mut html = format!(
            "<!doctype html>\n<html lang=\"{}\" dir=\"{direction}\"><head><meta charset=\"utf-8\">\
             <title>{}</title></head><body dir=\"{direction}\">\n<p>{}</p>\n",
            self.language,
            escaped(&self.subject),
            escaped(&self.greeting(name))
        );
        // Writing to a `String` cannot fail.
        for paragraph in &self.paragraphs {
            let _ = writeln!(html, "<p>{}</p>", escaped(paragraph));
        }
        if !self.lines.is_empty() {
            // Programs that read emails know this attribute better than a style.
            let end = if self.language.is_rtl() { "left" } else { "right" };
            html.push_str("<table>\n");
            for (item, amount) in &self.lines {
                let _ = writeln!(
                    html,
                    "<tr><td>{}</td><td align=\"{end}\"><bdi>{}</bdi></td></tr>",
                    escaped(item),
                    escaped(amount)
                );
            }
            html.push_str("</table>\n");
        }
        if let Some(ContentLink { label, url }) = &self.link {
            let _ = writeln!(html, "<p><a href=\"{}\">{}</a></p>", escaped(url), escaped(label));
        }
        if let Some(link) = unsubscribe {
            let _ = writeln!(
                html,
                "<p><a href=\"{}\">{}</a></p>",
                escaped(link),
                escaped(&self.texts().unsubscribe)
            );
        }
        html.push_str("</body></html>\n");
        html
    }

    fn texts(&self) -> &'static Texts {
        texts(self.language)
    }

    fn greeting(&self, name: &str) -> String {
        if name.is_empty() {
            self.texts().greeting_without_name.clone()
        } else {
            fill(self.language, &self.texts().greeting, &[("name", name)])
        }
    }
}

/// The message id: the same for the same mail, and different for every workspace.
fn message_id(from: &Mailbox, id: Uuid, event: &TypedEvent) -> String {
    format!("<{id}.{}@{}>", event.workspace, from.email.domain())
}

fn raw(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

fn bought(
    language: Language,
    free_text: FreeText,
    lines: &[OrderLine],
    total: &Money,
) -> Vec<(String, String)> {
    let texts = texts(language);
    let line = |line: &OrderLine| {
        let (quantity, sum) = (line.quantity.to_string(), line.price.times(line.quantity));
        let product = free_text.show(&line.name);
        let values = [("quantity", quantity.as_str()), ("product", product.as_str())];
        (
            fill(language, &texts.line, &values),
            sum.map(|sum| amount(language, &sum)).unwrap_or_default(),
        )
    };
    let mut bought: Vec<_> = lines.iter().map(line).collect();
    bought.push((texts.total.clone(), amount(language, total)));
    bought
}

/// An amount as a reader of the language writes numbers, always in ASCII digits, with the currency's code.
fn amount(language: Language, money: &Money) -> String {
    let locale = match language {
        Language::De => locale!("de-u-nu-latn"),
        Language::Ar => locale!("ar-u-nu-latn"),
        Language::Ja => locale!("ja-u-nu-latn"),
        _ => locale!("en-u-nu-latn"),
    };
    let mut number = Decimal::from(money.amount);
    number.multiply_pow10(-i16::from(minor_digits(&money.currency)));
    let number = match DecimalFormatter::try_new(locale.into(), DecimalFormatterOptions::default()) {
        Ok(formatter) => formatter.format(&number).to_string(),
        // No data for the language.
        Err(_) => number.to_string(),
    };
    format!("{number} {}", one_line(&money.currency))
}

#[cfg(test)]
mod hostile_bytes;
#[cfg(test)]
mod tests {
    use domain::{
        access::{ActorRef, Role},
        aggregate::order::{OrderCancelled, OrderConfirmed},
        event::{Metadata, RecordedEvent},
        id::WorkspaceId,
        timestamp::Timestamp,
    };

    use super::*;

    /// Texts that no rule lets in, and that a log may have from before the rules.
    const HOSTILE: [&str; 9] = [
        "Ada\nBcc: eve@example.org",
        "Ada\r\n\r\nBody",
        "A\0da",
        "\u{7f}",
        "\u{85}\u{2028}\u{2029}",
        "\u{202e}adA\u{2066}",
        "\u{200b}\u{e0041}\u{feff}",
        "\"<>\\,;:=?utf-8?q?=",
        "",
    ];

    fn event(recorded_at: Timestamp, payload: OrderEvent) -> TypedEvent {
        let id = Uuid::from_u128(7);
        RecordedEvent {
            workspace: WorkspaceId(id),
            partition: 0,
            position: 1,
            stream: "order-1".parse().unwrap(),
            version: 1,
            event_id: id,
            event_type: "OrderConfirmed".to_owned(),
            schema_version: 2,
            payload: DomainEvent::Order(payload),
            metadata: Metadata {
                correlation_id: id,
                causation_id: None,
                command_id: id,
                actor: ActorRef {
                    id,
                    role: Role::System,
                },
                traceparent: None,
            },
            recorded_at,
            hash: String::new(),
        }
    }

    fn rendered(event: &TypedEvent, name: &str, language: Language) -> Result<String, MailError> {
        let to = Address {
            email: "ada@post.test".to_owned(),
            name: name.to_owned(),
            language,
            confirmed: true,
        };
        let envelope = Envelope {
            from: &"Shop <shop@shop.test>".parse().unwrap(),
            to: &to,
            unsubscribe: None,
            event,
            id: Uuid::from_u128(9),
        };
        let mail = Topic::Order
            .content(event, &to, None)
            .unwrap()
            .render(&envelope)?;
        Ok(String::from_utf8_lossy(&mail.formatted()).into_owned())
    }

    #[test]
    fn any_stored_text_is_written_and_adds_no_header() {
        let at = Timestamp::from_micros(1_000_000);
        for hostile in HOSTILE {
            for language in [Language::En, Language::Ar] {
                let cancelled = OrderCancelled {
                    customer: Uuid::nil(),
                    reason: hostile.to_owned(),
                    sold: None,
                };
                let confirmed = OrderConfirmed {
                    customer: Uuid::nil(),
                    lines: vec![OrderLine {
                        sku: hostile.to_owned(),
                        name: hostile.to_owned(),
                        price: Money::new(i64::MAX, hostile),
                        quantity: u32::MAX,
                    }],
                    total: Money::new(i64::MIN, hostile),
                };
                for payload in [cancelled.into(), confirmed.into()] {
                    let mail = rendered(&event(at, payload), hostile, language).unwrap();
                    let (head, _) = mail.split_once("\r\n\r\n").unwrap();
                    assert!(!head.contains("\nBcc:"), "{hostile:?}: {head}");
                    assert!(head.contains("To: "), "{hostile:?}: {head}");
                }
            }
        }
    }

    #[test]
    fn an_address_that_is_not_confirmed_gets_no_text_of_a_person_that_can_be_a_link() {
        const LINK: &str = "Win now: https://evil.dev/win?id=1";
        let confirmed = OrderConfirmed {
            customer: Uuid::nil(),
            lines: vec![OrderLine {
                sku: "mug".to_owned(),
                name: LINK.to_owned(),
                price: Money::new(900, "EUR"),
                quantity: 1,
            }],
            total: Money::new(900, "EUR"),
        };
        let cancelled = OrderCancelled {
            customer: Uuid::nil(),
            reason: LINK.to_owned(),
            sold: None,
        };
        for payload in [OrderEvent::from(confirmed), cancelled.into()] {
            let mut event = event(Timestamp::default(), payload);
            event.stream = "order-win.evil.dev".parse().unwrap();
            for is_confirmed in [true, false] {
                let to = Address {
                    email: "ada@post.test".to_owned(),
                    name: LINK.to_owned(),
                    language: Language::En,
                    confirmed: is_confirmed,
                };
                for topic in [Topic::Order, Topic::Welcome, Topic::PasswordChanged] {
                    let content = topic.content(&event, &to, None).unwrap();
                    let mail = content.render(&Envelope {
                        from: &"Shop <shop@shop.test>".parse().unwrap(),
                        to: &to,
                        unsubscribe: None,
                        event: &event,
                        id: Uuid::from_u128(9),
                    });
                    let bytes = mail.unwrap().formatted();
                    let mail = mailparse::parse_mail(&bytes).unwrap();
                    let mut shown: String = mail
                        .headers
                        .iter()
                        .map(mailparse::MailHeader::get_value)
                        .collect();
                    for part in &mail.subparts {
                        shown.push_str(&part.get_body().unwrap());
                    }
                    assert_eq!(shown.contains("evil.dev"), is_confirmed, "{topic:?}: {shown}");
                }
            }
        }
    }

    #[test]
    fn any_stored_time_is_a_date() {
        for micros in [i64::MIN, -1, 0, i64::MAX] {
            let cancelled = OrderCancelled {
                customer: Uuid::nil(),
                reason: "no".to_owned(),
                sold: None,
            };
            let event = event(Timestamp::from_micros(micros), cancelled.into());
            rendered(&event, "Ada", Language::En).unwrap();
        }
    }

    #[test]
    fn an_address_that_is_none_is_a_failure_of_its_event() {
        let cancelled = OrderCancelled {
            customer: Uuid::nil(),
            reason: "no".to_owned(),
            sold: None,
        };
        let event = event(Timestamp::default(), cancelled.into());
        for email in [
            "",
            "ada",
            "ada@post.test\r\nBcc: eve@example.org",
            "a\0@post.test",
        ] {
            let to = Address {
                email: email.to_owned(),
                name: String::new(),
                language: Language::En,
                confirmed: true,
            };
            let content = Topic::Order.content(&event, &to, None).unwrap();
            let envelope = Envelope {
                from: &"Shop <shop@shop.test>".parse().unwrap(),
                to: &to,
                unsubscribe: None,
                event: &event,
                id: Uuid::from_u128(9),
            };
            assert!(
                matches!(content.render(&envelope), Err(MailError::Address)),
                "{email:?}"
            );
        }
    }

    #[test]
    fn an_amount_is_written_as_in_the_language_with_ascii_digits() {
        let price = Money::new(123_456, "EUR");
        for (language, expected) in [
            (Language::En, "1,234.56 EUR"),
            (Language::De, "1.234,56 EUR"),
            (Language::Ar, "1,234.56 EUR"),
            (Language::Ja, "1,234.56 EUR"),
        ] {
            assert_eq!(amount(language, &price), expected, "{language}");
        }
        assert_eq!(amount(Language::De, &Money::new(5, "EUR")), "0,05 EUR");
        assert_eq!(amount(Language::Ja, &Money::new(1_500, "JPY")), "1,500 JPY");
    }

    #[test]
    fn an_amount_has_the_digits_of_its_currency() {
        for (currency, expected) in [
            ("KWD", "1,234.500 KWD"),
            ("BHD", "1,234.500 BHD"),
            ("XOF", "1,234,500 XOF"),
            ("RWF", "1,234,500 RWF"),
            ("CLF", "123.4500 CLF"),
            ("EUR", "12,345.00 EUR"),
        ] {
            let money = Money::new(1_234_500, currency);
            assert_eq!(amount(Language::En, &money), expected);
        }
        assert_eq!(amount(Language::De, &Money::new(5, "TND")), "0,005 TND");
    }
}
