//! The security log: who tried what, in which workspace, from where, and with which outcome (OWASP ASVS 5,
//! chapter 16).
//!
//! Each [`SecurityEvent`] is one structured event of `tracing` with the target [`TARGET`], so it is in the
//! log of the server, and with `--security-log` in a file of its own, one JSON object a line. A handler names
//! the event; the actor, the workspace and the address come from the request that it works on
//! ([`in_request`]), unless the record names others.
//!
//! No field can be used to forge a line: reasons are constants, ids are ids, and the few other texts are
//! reduced to letters and digits. No field is a secret, and an email is there only as the beginning of its
//! keyed hash, by which attempts at one account are found together.

use std::{
    collections::HashMap,
    fmt::Write as _,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

/// The target of the events, for log filters.
pub const TARGET: &str = "security";

/// How many bytes of an email's keyed hash are shown.
const ACCOUNT_BYTES: usize = 8;

/// The longest text of a subject, in characters.
const MAX_SUBJECT: usize = 64;

/// The most refusals of one kind in a second that are written; those beyond are counted.
const MOST_IN_A_SECOND: u32 = 50;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecurityEvent {
    /// A person has signed in.
    SignedIn,
    /// An attempt to sign in had no account, or a wrong password.
    SignInFailed,
    /// A person has signed out.
    SignedOut,
    /// A refresh token came again after its successor was used, or late: its session was ended.
    RefreshTokenReused,
    /// A request had a token that is not accepted.
    TokenRefused,
    /// A request needs another role.
    RoleRefused,
    /// A request came from a page of another site.
    OriginRefused,
    /// A request was over a limit.
    LimitExceeded,
    /// A workspace was opened.
    WorkspaceOpened,
    /// A person has joined a workspace.
    WorkspaceJoined,
    /// A join code was wrong, or its workspace is full.
    JoinFailed,
    /// A workspace was purged by an educator.
    WorkspacePurged,
    /// A person has an account from now on.
    Registered,
    /// A password was changed by its owner.
    PasswordChanged,
    /// An account was to be changed with a wrong password.
    PasswordRefused,
    /// A link to set a new password was requested.
    PasswordResetRequested,
    /// A password was set by a link.
    PasswordReset,
    /// A link to set a password was not accepted.
    PasswordResetRefused,
    /// The email of an account was changed.
    EmailChanged,
    /// A person has confirmed their email.
    EmailConfirmed,
    /// A link to confirm an email was not accepted.
    EmailConfirmationRefused,
    /// The data of a person was made unreadable.
    PersonErased,
    /// A workspace was exported.
    Exported,
    /// A file was imported.
    Imported,
    /// A file was not imported.
    ImportRefused,
    /// A workspace was verified.
    Verified,
    /// A view was rebuilt.
    Rebuilt,
    /// An educator has changed the pipeline of the workspace.
    PipelineChanged,
    /// An operator has made a token at the command line.
    TokenCreated,
    /// A key that signs tokens was made.
    SigningKeyCreated,
    /// The server or a command has begun to sign with a key; after a rotation it is another one.
    SigningKeyInUse,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was not done, and did not have to be refused.
    Failure,
    /// It was refused.
    Refused,
}

impl Outcome {
    /// The word in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Refused => "refused",
        }
    }
}

impl SecurityEvent {
    /// All events.
    pub const ALL: [Self; 31] = [
        Self::SignedIn,
        Self::SignInFailed,
        Self::SignedOut,
        Self::RefreshTokenReused,
        Self::TokenRefused,
        Self::RoleRefused,
        Self::OriginRefused,
        Self::LimitExceeded,
        Self::WorkspaceOpened,
        Self::WorkspaceJoined,
        Self::JoinFailed,
        Self::WorkspacePurged,
        Self::Registered,
        Self::PasswordChanged,
        Self::PasswordRefused,
        Self::PasswordResetRequested,
        Self::PasswordReset,
        Self::PasswordResetRefused,
        Self::EmailChanged,
        Self::EmailConfirmed,
        Self::EmailConfirmationRefused,
        Self::PersonErased,
        Self::Exported,
        Self::Imported,
        Self::ImportRefused,
        Self::Verified,
        Self::Rebuilt,
        Self::PipelineChanged,
        Self::TokenCreated,
        Self::SigningKeyCreated,
        Self::SigningKeyInUse,
    ];

    /// The name in the log; it never changes, because operators search for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedIn => "signed_in",
            Self::SignInFailed => "sign_in_failed",
            Self::SignedOut => "signed_out",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::TokenRefused => "token_refused",
            Self::RoleRefused => "role_refused",
            Self::OriginRefused => "origin_refused",
            Self::LimitExceeded => "limit_exceeded",
            Self::WorkspaceOpened => "workspace_opened",
            Self::WorkspaceJoined => "workspace_joined",
            Self::JoinFailed => "join_failed",
            Self::WorkspacePurged => "workspace_purged",
            Self::Registered => "registered",
            Self::PasswordChanged => "password_changed",
            Self::PasswordRefused => "password_refused",
            Self::PasswordResetRequested => "password_reset_requested",
            Self::PasswordReset => "password_reset",
            Self::PasswordResetRefused => "password_reset_refused",
            Self::EmailChanged => "email_changed",
            Self::EmailConfirmed => "email_confirmed",
            Self::EmailConfirmationRefused => "email_confirmation_refused",
            Self::PersonErased => "person_erased",
            Self::Exported => "exported",
            Self::Imported => "imported",
            Self::ImportRefused => "import_refused",
            Self::Verified => "verified",
            Self::Rebuilt => "rebuilt",
            Self::PipelineChanged => "pipeline_changed",
            Self::TokenCreated => "token_created",
            Self::SigningKeyCreated => "signing_key_created",
            Self::SigningKeyInUse => "signing_key_in_use",
        }
    }

    /// How the event ends.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::SignInFailed | Self::JoinFailed => Outcome::Failure,
            Self::RefreshTokenReused
            | Self::TokenRefused
            | Self::RoleRefused
            | Self::OriginRefused
            | Self::LimitExceeded
            | Self::PasswordRefused
            | Self::PasswordResetRefused
            | Self::EmailConfirmationRefused
            | Self::ImportRefused => Outcome::Refused,
            Self::SignedIn
            | Self::SignedOut
            | Self::WorkspaceOpened
            | Self::WorkspaceJoined
            | Self::WorkspacePurged
            | Self::Registered
            | Self::PasswordChanged
            | Self::PasswordResetRequested
            | Self::PasswordReset
            | Self::EmailChanged
            | Self::EmailConfirmed
            | Self::PersonErased
            | Self::Exported
            | Self::Imported
            | Self::Verified
            | Self::Rebuilt
            | Self::PipelineChanged
            | Self::TokenCreated
            | Self::SigningKeyCreated
            | Self::SigningKeyInUse => Outcome::Success,
        }
    }
}

/// The sender of a request, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestSender {
    /// The address of the client.
    pub address: Option<IpAddr>,
    /// The workspace of its token.
    pub workspace: Option<Uuid>,
    /// The person of its token.
    pub actor: Option<Uuid>,
    /// The role of its token.
    pub role: Option<&'static str>,
}

tokio::task_local! {
    static SENDER: RequestSender;
}

/// Does the work of a request: the records that are written in it name its sender.
pub async fn in_request<F: Future>(sender: RequestSender, work: F) -> F::Output {
    SENDER.scope(sender, work).await
}

/// A record of the security log, to be [written](Self::write).
#[derive(Debug, Clone)]
#[must_use = "a record has to be written"]
pub struct SecurityRecord {
    event: SecurityEvent,
    sender: RequestSender,
    account: Option<String>,
    reason: Option<&'static str>,
    subject: Option<String>,
}

impl SecurityRecord {
    /// A record of an event, about the sender of the running request.
    pub fn new(event: SecurityEvent) -> Self {
        Self {
            event,
            sender: SENDER.try_with(|sender| *sender).unwrap_or_default(),
            account: None,
            reason: None,
            subject: None,
        }
    }

    /// Names the person whom it is about, where the token of the request does not.
    pub fn person(mut self, workspace: Uuid, person: Uuid) -> Self {
        if self.sender.actor != Some(person) {
            self.sender.role = None;
        }
        self.sender.workspace = Some(workspace);
        self.sender.actor = Some(person);
        self
    }

    /// Names the workspace that it is about.
    pub fn workspace(mut self, workspace: Uuid) -> Self {
        self.sender.workspace = Some(workspace);
        self
    }

    /// Names the role that was given.
    pub fn role(mut self, role: &'static str) -> Self {
        self.sender.role = Some(role);
        self
    }

    /// Names the account that was tried, by the keyed hash of its email.
    pub fn account(mut self, hash: &[u8; 32]) -> Self {
        let mut account = String::with_capacity(2 * ACCOUNT_BYTES);
        for byte in hash.iter().take(ACCOUNT_BYTES) {
            // Writing to a `String` cannot fail.
            let _ = write!(account, "{byte:02x}");
        }
        self.account = Some(account);
        self
    }

    /// Says why.
    pub fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Names the thing that it is about, such as a view or a key.
    pub fn about(mut self, subject: &str) -> Self {
        self.subject = Some(subject_of(subject));
        self
    }

    /// Writes the record. Of refusals there are at most some in a second; the next one that is written has
    /// the number of those that were not.
    pub fn write(self) {
        let Some(suppressed) = admit(self.event, Instant::now()) else {
            return;
        };
        let Self {
            event,
            sender,
            account,
            reason,
            subject,
        } = self;
        let RequestSender {
            address,
            workspace,
            actor,
            role,
        } = sender;
        let outcome = event.outcome();
        let suppressed = (suppressed > 0).then_some(suppressed);
        metrics::counter!("foldline_security_events_total", "event" => event.as_str()).increment(1);
        macro_rules! emit {
            ($level:ident) => {
                tracing::event!(
                    target: TARGET,
                    tracing::Level::$level,
                    event = event.as_str(),
                    outcome = outcome.as_str(),
                    reason,
                    workspace = workspace.map(display),
                    actor = actor.map(display),
                    role,
                    address = address.map(display),
                    account = account.as_deref(),
                    subject = subject.as_deref(),
                    suppressed,
                    "security"
                )
            };
        }
        match outcome {
            Outcome::Success => emit!(INFO),
            Outcome::Failure | Outcome::Refused => emit!(WARN),
        }
    }
}

/// A subject as one short word: other characters could end a line or a field of a log in text.
fn subject_of(text: &str) -> String {
    text.chars()
        .take(MAX_SUBJECT)
        .map(|character| {
            if character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | ':') {
                character
            } else {
                '_'
            }
        })
        .collect()
}

/// The refusals of one kind in the running second.
#[derive(Debug)]
struct Throttle {
    since: Instant,
    written: u32,
    suppressed: u64,
}

static THROTTLES: Mutex<Option<HashMap<SecurityEvent, Throttle>>> = Mutex::new(None);

/// Whether an event is written, and how many of its kind were suppressed before it. Only events that a client
/// can cause without limit are suppressed.
fn admit(event: SecurityEvent, now: Instant) -> Option<u64> {
    if event.outcome() == Outcome::Success {
        return Some(0);
    }
    // Code that holds this lock does not panic.
    let mut throttles = THROTTLES.lock().unwrap_or_else(PoisonError::into_inner);
    let throttle = throttles
        .get_or_insert_default()
        .entry(event)
        .or_insert(Throttle {
            since: now,
            written: 0,
            suppressed: 0,
        });
    throttle.admit(now)
}

impl Throttle {
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            self.since = now;
            self.written = 0;
        }
        if self.written >= MOST_IN_A_SECOND {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        io,
        sync::{Arc, MutexGuard},
    };

    use super::*;

    /// A writer whose lines a test reads.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
            self.0.lock().unwrap()
        }
    }

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that are written while `work` runs.
    fn lines_of(work: impl FnOnce()) -> Vec<serde_json::Value> {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, work);
        let text = String::from_utf8(lines.lock().clone()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn every_event_has_a_name_of_its_own() {
        let names: BTreeSet<_> = SecurityEvent::ALL.map(SecurityEvent::as_str).into();
        assert_eq!(names.len(), SecurityEvent::ALL.len());
    }

    #[test]
    fn a_record_has_its_fields_and_no_others() {
        let [workspace, person] = [1, 2].map(Uuid::from_u128);
        let lines = lines_of(|| {
            SecurityRecord::new(SecurityEvent::SignedIn)
                .person(workspace, person)
                .account(&[0xab; 32])
                .because("password")
                .write();
        });
        let [line] = lines.try_into().unwrap();
        assert_eq!(line["target"], TARGET);
        assert_eq!(line["event"], "signed_in");
        assert_eq!(line["outcome"], "success");
        assert_eq!(line["reason"], "password");
        assert_eq!(line["workspace"], workspace.to_string());
        assert_eq!(line["actor"], person.to_string());
        assert_eq!(line["account"], "abababababababab");
        for absent in ["address", "subject", "role", "suppressed"] {
            assert!(line.get(absent).is_none(), "{absent}: {line}");
        }
    }

    #[tokio::test]
    async fn a_record_names_the_sender_of_its_request() {
        let sender = RequestSender {
            address: Some("192.0.2.7".parse().unwrap()),
            workspace: Some(Uuid::from_u128(1)),
            actor: Some(Uuid::from_u128(2)),
            role: Some("student"),
        };
        let record = in_request(sender, async { SecurityRecord::new(SecurityEvent::RoleRefused) }).await;
        assert_eq!(record.sender, sender);
        let other = record.person(Uuid::from_u128(1), Uuid::from_u128(3));
        assert_eq!(other.sender.role, None, "the role was that of another person");
        assert_eq!(
            SecurityRecord::new(SecurityEvent::RoleRefused).sender,
            RequestSender::default()
        );
    }

    #[test]
    fn no_field_forges_a_line() {
        let hostile = "orders\nINFO security: event=\"signed_in\" \u{1b}[2J\u{202e}";
        let lines = lines_of(|| {
            SecurityRecord::new(SecurityEvent::Rebuilt).about(hostile).write();
        });
        let [line] = lines.try_into().unwrap();
        let subject = line["subject"].as_str().unwrap();
        assert!(
            subject.starts_with("orders_INFO_security:_event__signed_in"),
            "{subject}"
        );
        assert!(subject_of(&"x".repeat(1_000)).len() <= MAX_SUBJECT);
    }

    #[test]
    fn a_flood_of_refusals_is_counted_and_not_written() {
        let begin = Instant::now();
        let mut throttle = Throttle {
            since: begin,
            written: 0,
            suppressed: 0,
        };
        let written = (0..1_000).filter(|_| throttle.admit(begin).is_some()).count();
        assert_eq!(written, 50);
        let next = begin + Duration::from_secs(1);
        assert_eq!(throttle.admit(next), Some(950));
        assert_eq!(throttle.admit(next), Some(0));
    }
}
