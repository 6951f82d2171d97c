//! Sends mails to a mail server: SMTP with STARTTLS, with TLS from the first byte, or without encryption.
//!
//! SMTP has no idempotency: if this server dies between the mail server's "250" and the record of it, the
//! outcome is unknown. The mail is then sent again with the same Message-ID, by which mailboxes recognise the
//! repetition. Only the numbers of refusals are logged, because their texts repeat addresses.

use std::{fs, io, path::PathBuf, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use super::{MailSettings, SmtpSecurity};
use consumer::EffectError;
use documents::FoldFault;

/// The timeout of one step of the conversation.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// The timeout of sending a mail; its claim lasts longer.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(25);

/// Why mails cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// A file that a setting names cannot be read.
    #[error("{flag} {path}: {source}")]
    File {
        /// The setting.
        flag: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The settings contradict each other.
    #[error("{0}")]
    Settings(String),
    /// The certificate or the server's name is not valid.
    #[error("TLS to the mail server is not possible: {0}")]
    Tls(#[from] lettre::transport::smtp::Error),
}

/// A connection pool to a mail server.
#[derive(Debug)]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Smtp {
    /// The mail server of the settings; `None`: they name none. Nothing is connected yet.
    pub fn of(settings: &MailSettings) -> Result<Option<Self>, SmtpError> {
        let Some(url) = &settings.smtp_url else {
            return Ok(None);
        };
        let server = url
            .server()
            .map_err(|error| SmtpError::Settings(format!("--smtp-url: {error}")))?;
        let parameters = || {
            let mut parameters = TlsParameters::builder(server.host.clone());
            if let Some(path) = &settings.smtp_ca {
                let pem = read("--smtp-ca", path)?;
                parameters = parameters.add_root_certificate(Certificate::from_pem(pem.as_bytes())?);
            }
            Ok::<_, SmtpError>(parameters.build()?)
        };
        let tls = match server.security {
            SmtpSecurity::None => Tls::None,
            SmtpSecurity::StartTls => Tls::Required(parameters()?),
            SmtpSecurity::Tls => Tls::Wrapper(parameters()?),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host.clone())
            .port(server.port)
            .tls(tls)
            .timeout(Some(STEP_TIMEOUT));
        let password = match &settings.smtp_password_file {
            Some(path) => Some(
                read("--smtp-password-file", path)?
                    .trim_end_matches(['\r', '\n'])
                    .to_owned(),
            ),
            None => server.password,
        };
        match (server.user, password) {
            (Some(user), Some(password)) => {
                transport = transport.credentials(Credentials::new(user, password));
            }
            (None, None) => {}
            (Some(_), None) => {
                return Err(SmtpError::Settings(
                    "--smtp-url names a user; put the password into --smtp-password-file".to_owned(),
                ));
            }
            (None, Some(_)) => {
                return Err(SmtpError::Settings(
                    "--smtp-password-file is for a user that --smtp-url names".to_owned(),
                ));
            }
        }
        Ok(Some(Self {
            transport: transport.build(),
        }))
    }

    /// Sends a mail. When this returns, the mail server has accepted it.
    pub(super) async fn send(&self, position: u64, mail: Message) -> Result<(), EffectError> {
        let sent = tokio::time::timeout(SEND_TIMEOUT, self.transport.send(mail)).await;
        let unavailable = |reason: &str| EffectError::Unavailable(reason.to_owned());
        match sent {
            Err(_) => Err(unavailable("the mail server takes too long")),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(match error.status().map(u16::from) {
                // Our credentials are not accepted: no mail is at fault.
                Some(code @ 530..=538) => unavailable(&format!("the mail server does not let us in: {code}")),
                Some(code) if error.is_permanent() => EffectError::Event(FoldFault {
                    position,
                    reason: format!("the mail server refuses the mail: {code}"),
                }),
                Some(code) => unavailable(&format!("the mail server cannot take mails now: {code}")),
                None => unavailable(&format!("the mail server cannot be reached: {error}")),
            }),
        }
    }
}

fn read(flag: &'static str, path: &PathBuf) -> Result<String, SmtpError> {
    fs::read_to_string(path).map_err(|source| SmtpError::File {
        flag,
        path: path.clone(),
        source,
    })
}
