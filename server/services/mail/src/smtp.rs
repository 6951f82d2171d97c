//! Sends mails to a mail server: SMTP with STARTTLS, with TLS from the first byte, or without encryption.
//!
//! SMTP has no idempotency: if the connection is lost before the mail server's "250", or this server dies
//! before it has recorded that, the outcome is unknown. The mail is then sent again with the same Message-ID,
//! by which mailboxes recognise the repetition. Only the numbers of refusals are logged, because their texts
//! repeat addresses.

use std::{fs, io, path::PathBuf, time::Duration};

use async_trait::async_trait;
use domain::id::WorkspaceId;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};
use tokio_util::sync::CancellationToken;

use super::{MailServer, MailSettings, SmtpSecurity};

/// The timeout of one step of the conversation.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// The timeout of sending a mail.
const SEND_TIMEOUT: Duration = Duration::from_secs(25);

/// Why a mail was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The mail server refuses this mail for good, and takes others.
    #[error("{0}")]
    Refused(String),
    /// The mail server has not accepted it, and may do so later.
    #[error("{0}")]
    NotAccepted(String),
    /// There was no answer: the mail server may have it.
    #[error("{0}")]
    Unknown(String),
}

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

    async fn converse(&self, mail: Message) -> Result<(), SendError> {
        let is_ascii = mail.envelope().to().iter().all(|address| {
            let address: &str = address.as_ref();
            address.is_ascii()
        });
        let Err(error) = self.transport.send(mail).await else {
            return Ok(());
        };
        let status = error.status().map(u16::from);
        let is_final = match status {
            // Our credentials are not accepted: no mail is at fault.
            Some(530..=538) => false,
            Some(_) => error.is_permanent(),
            // lettre sends no such address to a mail server that does not support SMTPUTF8.
            None => error.is_client() && !is_ascii,
        };
        if is_final && self.takes_mails().await {
            return Err(SendError::Refused(match status {
                Some(code) => format!("the mail server refuses the mail: {code}"),
                None => "the mail server cannot express the address: it does not support SMTPUTF8".to_owned(),
            }));
        }
        Err(match status {
            Some(code @ 530..=538) => {
                SendError::NotAccepted(format!("the mail server does not let us in: {code}"))
            }
            Some(code) => SendError::NotAccepted(format!("the mail server cannot take mails now: {code}")),
            None if error.is_client() => SendError::NotAccepted(format!("the mail cannot be sent: {error}")),
            None => SendError::Unknown(format!("the mail server does not answer: {error}")),
        })
    }

    /// Whether the mail server accepts our connections, with encryption and credentials. One that refuses all
    /// of us refuses no mail.
    async fn takes_mails(&self) -> bool {
        matches!(self.transport.test_connection().await, Ok(true))
    }
}

#[async_trait]
impl MailServer for Smtp {
    async fn send(
        &self,
        _: WorkspaceId,
        mail: Message,
        stopping: &CancellationToken,
    ) -> Result<(), SendError> {
        let sent = tokio::time::timeout(SEND_TIMEOUT, self.converse(mail));
        match stopping.run_until_cancelled(sent).await {
            None => Err(SendError::Unknown("this server stops".to_owned())),
            Some(Err(_)) => Err(SendError::Unknown("the mail server takes too long".to_owned())),
            Some(Ok(sent)) => sent,
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
