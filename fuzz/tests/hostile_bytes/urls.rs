//! URLs of stores and of the mail server. What is refused may have a password, and is not repeated.

use database::url::StoreUrl;
use fuzz::{bounded, check, prop_assert, texts_like};
use mail::SmtpUrl;

const STORES: &[&str] = &[
    "sqlite:./data/events.db",
    "sqlite:///var/lib/events.db",
    "postgres://shop:wonderland@db.example:5432/foldline?host=/run/postgres",
    "postgresql://[::1]/foldline",
];
const MAIL_SERVERS: &[&str] = &[
    "smtp://localhost:2525",
    "smtp+starttls://shop%40example.com:wonder%2Fland@mail.example",
    "smtps://[::1]:465/",
];

#[test]
fn hostile_urls_of_stores_are_refused_without_their_text() {
    check(&texts_like(STORES), |text| match text.parse::<StoreUrl>() {
        Ok(StoreUrl::Postgres(url)) => {
            let shown = format!("{url:?}");
            prop_assert!(!shown.contains("wonderland"));
            if let Err(error) = url.check() {
                prop_assert!(!error.to_string().contains("wonderland"));
            }
            Ok(())
        }
        Ok(StoreUrl::Sqlite(url)) => {
            prop_assert!(!url.file().as_os_str().is_empty());
            Ok(())
        }
        Err(error) => bounded(&error.to_string(), 0),
    });
}

#[test]
fn hostile_urls_of_mail_servers_have_a_host_or_are_refused_without_their_text() {
    check(&texts_like(MAIL_SERVERS), |text| {
        let Ok(url) = text.parse::<SmtpUrl>();
        match url.server() {
            Ok(server) => {
                prop_assert!(!server.host.is_empty());
                prop_assert!(server.user.is_none_or(|user| !user.is_empty()));
                Ok(())
            }
            Err(error) => bounded(&error.to_string(), 0),
        }
    });
}
