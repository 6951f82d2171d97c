//! The settings for mails.

use std::path::PathBuf;

use clap::Args;

use super::SmtpUrl;

/// Mails to customers; without a mail server they go into a folder.
#[derive(Debug, Clone, Args)]
pub struct MailSettings {
    /// The mail server: `smtp+starttls://USER@HOST`, `smtps://USER@HOST`, or `smtp://HOST` without any
    /// encryption
    #[arg(long, env = "FOLDLINE_SMTP_URL", hide_env_values = true, value_name = "URL")]
    pub smtp_url: Option<SmtpUrl>,
    /// A file with the password for the mail server, unless the URL has it
    #[arg(
        long,
        env = "FOLDLINE_SMTP_PASSWORD_FILE",
        value_name = "FILE",
        requires = "smtp_url"
    )]
    pub smtp_password_file: Option<PathBuf>,
    /// A certificate authority for the mail server, PEM, besides the public ones
    #[arg(long, env = "FOLDLINE_SMTP_CA", value_name = "FILE", requires = "smtp_url")]
    pub smtp_ca: Option<PathBuf>,
    /// The sender, as in `Shop <shop@example.com>`
    #[arg(
        long,
        env = "FOLDLINE_MAIL_FROM",
        default_value = "Foldline <shop@localhost>",
        value_name = "ADDRESS"
    )]
    pub mail_from: lettre::message::Mailbox,
    /// Mails of one workspace to one address in an hour, and four times as many of all workspaces together; 0
    /// is no limit. News, links that confirm, links to set a password, and warnings have as many each
    #[arg(
        long,
        env = "FOLDLINE_MAILS_PER_HOUR",
        default_value = "60",
        value_name = "COUNT"
    )]
    pub mails_per_hour: u32,
    /// The address by which browsers reach this server, as in `https://shop.example`: for the links in mails.
    /// With an HTTPS one, cookies are bound to HTTPS and its host, and only its own pages may send a
    /// browser's requests [default: the address that it listens on]
    #[arg(long, env = "FOLDLINE_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<url::Url>,
}

/// Parses the URL of a site.
fn public_url(text: &str) -> Result<url::Url, &'static str> {
    let url: Option<url::Url> = text.parse().ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or("an address of a web site is wanted, as in https://shop.example")
}
