//! The URL of a mail server. It may contain a password, so it is never displayed, and neither is it in the
//! error of a malformed URL.

use std::{fmt, str::FromStr};

use url::Url;

/// `smtp://host`, `smtp+starttls://user@host` or `smtps://user:password@host:port`.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpUrl(String);

/// How the connection to the mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// Not at all, for a server on the same machine.
    None,
    /// STARTTLS: it begins unencrypted, and must switch to TLS.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

/// A mail server.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpServer {
    /// The encryption.
    pub security: SmtpSecurity,
    /// Its host name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user name.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
}

/// The URL is malformed; the text names the allowed forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "allowed is smtp://<host>, smtp+starttls://<user>@<host> and smtps://<user>@<host>, each with :<port> \
     and <user>:<password> where needed"
)]
pub struct SmtpUrlError;

impl SmtpUrl {
    /// Parses the URL.
    pub fn server(&self) -> Result<SmtpServer, SmtpUrlError> {
        let url = Url::parse(&self.0).map_err(|_| SmtpUrlError)?;
        let (security, port) = match url.scheme() {
            "smtp" => (SmtpSecurity::None, 25),
            "smtp+starttls" => (SmtpSecurity::StartTls, 587),
            "smtps" => (SmtpSecurity::Tls, 465),
            _ => return Err(SmtpUrlError),
        };
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(SmtpUrlError)?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(SmtpUrlError);
        }
        let decoded = |text: &str| {
            percent_decode(text)
                .filter(|text| !text.is_empty())
                .ok_or(SmtpUrlError)
        };
        let user = Some(url.username()).filter(|user| !user.is_empty());
        Ok(SmtpServer {
            security,
            host: host.to_owned(),
            port: url.port().unwrap_or(port),
            user: user.map(decoded).transpose()?,
            password: url.password().map(decoded).transpose()?,
        })
    }
}

/// Decodes a part of a URL; `None`: it is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    // A form's value has `+` for a space; elsewhere a plus is a plus.
    let form = format!("_={}", text.replace('+', "%2B"));
    let (_, value) = url::form_urlencoded::parse(form.as_bytes()).next()?;
    (!value.contains('\u{fffd}')).then(|| value.into_owned())
}

impl FromStr for SmtpUrl {
    type Err = std::convert::Infallible;

    /// Accepts any text: an error here would display it, with its password.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmtpUrl(…)")
    }
}

impl fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpServer")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<SmtpServer, SmtpUrlError> {
        url.parse::<SmtpUrl>()
            .unwrap_or_else(|error| match error {})
            .server()
    }

    #[test]
    fn a_url_names_host_encryption_and_user() {
        let plain = server("smtp://localhost:2525").unwrap();
        assert_eq!(
            (plain.security, plain.port, plain.user),
            (SmtpSecurity::None, 2525, None)
        );
        let starttls = server("smtp+starttls://shop@mail.test").unwrap();
        assert_eq!(
            (
                starttls.security,
                starttls.port,
                starttls.user.as_deref(),
                starttls.password
            ),
            (SmtpSecurity::StartTls, 587, Some("shop"), None)
        );
        let tls = server("smtps://shop%40a.test:p%2Bs+%25@mail.test").unwrap();
        assert_eq!((tls.security, tls.port), (SmtpSecurity::Tls, 465));
        assert_eq!(tls.user.as_deref(), Some("shop@a.test"));
        assert_eq!(tls.password.as_deref(), Some("p+s+%"));
    }

    #[test]
    fn a_malformed_url_is_refused_and_never_displayed() {
        for url in [
            "",
            "mail.test",
            "http://mail.test",
            "smtp://",
            "smtps://h/path",
            "smtp://h?tls=no",
        ] {
            assert_eq!(server(url), Err(SmtpUrlError), "{url}");
        }
        let url: SmtpUrl = "smtps://shop:secret@mail.test"
            .parse()
            .unwrap_or_else(|error| match error {});
        assert!(!format!("{url:?} {:?}", url.server()).contains("secret"));
    }
}
