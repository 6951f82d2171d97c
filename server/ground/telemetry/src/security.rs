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

/// The most records of one kind, reason and sender in a second that are written; those beyond are counted.
const MOST_IN_A_SECOND: u32 = 50;

/// The most records of all senders in a second that are written. It is far above what the clients of a server
/// cause together, so that only many attackers at once reach it; and those that it leaves out are counted by
/// their own sender.
const MOST_OF_ALL_IN_A_SECOND: u32 = 1_000;

/// How many kinds, reasons and senders are counted apart at a time. Those beyond are counted together.
const MOST_COUNTED: usize = 10_000;

/// The time after which a count begins anew.
const SECOND: Duration = Duration::from_secs(1);

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
    /// A command was about what belongs to another person.
    OwnerRefused,
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
    /// A link to stop emails was not accepted.
    UnsubscribeRefused,
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
    pub const ALL: [Self; 33] = [
        Self::SignedIn,
        Self::SignInFailed,
        Self::SignedOut,
        Self::RefreshTokenReused,
        Self::TokenRefused,
        Self::RoleRefused,
        Self::OwnerRefused,
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
        Self::UnsubscribeRefused,
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
            Self::OwnerRefused => "owner_refused",
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
            Self::UnsubscribeRefused => "unsubscribe_refused",
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
            | Self::OwnerRefused
            | Self::OriginRefused
            | Self::LimitExceeded
            | Self::PasswordRefused
            | Self::PasswordResetRefused
            | Self::EmailConfirmationRefused
            | Self::UnsubscribeRefused
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

    /// Writes the record. Of one kind, reason and sender there are at most some in a second; the next one
    /// that is written has the number of those that were not, and so has [`write_suppressed`].
    pub fn write(self) {
        let now = Instant::now();
        let admitted = with_throttles(now, |throttles| throttles.admit(&self, now));
        if let Some(suppressed) = admitted {
            self.emit(suppressed);
        } else {
            let event = self.event.as_str();
            metrics::counter!("foldline_security_events_suppressed_total", "event" => event).increment(1);
        }
    }

    /// Writes the record, with the number of those before it that were not written.
    fn emit(self, suppressed: u64) {
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

/// Writes for each kind, reason and sender how many records were not written since its last line. It is
/// called now and then, and before the end: a flood that has ended has no next line that could tell.
pub fn write_suppressed() {
    let now = Instant::now();
    // The lines are written without the lock.
    for (record, others) in with_throttles(now, |throttles| throttles.take_suppressed(now)) {
        record.emit(others);
    }
}

/// The sender whose records are counted together. An educator chooses the ids of people in a workspace of
/// their own, so a person is one of a workspace; and a visitor names any workspace, so a visitor is an
/// address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum CountedSender {
    Person(Option<Uuid>, Uuid),
    Address(IpAddr),
    Workspace(Uuid),
    /// An operator at the command line, or the server itself.
    Unknown,
    /// All senders beyond [`MOST_COUNTED`].
    Others,
}

impl CountedSender {
    fn of(sender: &RequestSender) -> Self {
        match (sender.actor, sender.address, sender.workspace) {
            (Some(actor), _, workspace) => Self::Person(workspace, actor),
            (None, Some(address), _) => Self::Address(address),
            (None, None, Some(workspace)) => Self::Workspace(workspace),
            (None, None, None) => Self::Unknown,
        }
    }
}

/// The records that are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Counted {
    event: SecurityEvent,
    reason: Option<&'static str>,
    sender: CountedSender,
}

/// The records that were written in the running second.
#[derive(Debug)]
struct Throttle {
    since: Instant,
    written: u32,
}

impl Throttle {
    const fn new(since: Instant) -> Self {
        Self { since, written: 0 }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= SECOND
    }

    /// Counts one more record, unless there are `most` in this second.
    fn admit(&mut self, now: Instant, most: u32) -> bool {
        if self.is_over(now) {
            *self = Self::new(now);
        }
        let is_admitted = self.written < most;
        self.written += u32::from(is_admitted);
        is_admitted
    }
}

/// The count of one kind, reason and sender.
#[derive(Debug)]
struct Count {
    throttle: Throttle,
    /// Those that were not written since the last line.
    suppressed: u64,
    /// The sender of the last one of them.
    sender: RequestSender,
}

/// All counts.
#[derive(Debug)]
struct Throttles {
    counts: HashMap<Counted, Count>,
    all: Throttle,
    cleared_at: Instant,
}

static THROTTLES: Mutex<Option<Throttles>> = Mutex::new(None);

fn with_throttles<T>(now: Instant, work: impl FnOnce(&mut Throttles) -> T) -> T {
    // Code that holds this lock does not panic.
    let mut throttles = THROTTLES.lock().unwrap_or_else(PoisonError::into_inner);
    work(throttles.get_or_insert_with(|| Throttles::new(now)))
}

impl Throttles {
    fn new(now: Instant) -> Self {
        Self {
            counts: HashMap::new(),
            all: Throttle::new(now),
            cleared_at: now,
        }
    }

    /// Whether a record is written, and how many of its kind, reason and sender were suppressed before it.
    fn admit(&mut self, record: &SecurityRecord, now: Instant) -> Option<u64> {
        let counted = self.counted(record, now);
        let count = self.counts.entry(counted).or_insert_with(|| Count {
            throttle: Throttle::new(now),
            suppressed: 0,
            sender: record.sender,
        });
        if count.throttle.admit(now, MOST_IN_A_SECOND) && self.all.admit(now, MOST_OF_ALL_IN_A_SECOND) {
            return Some(std::mem::take(&mut count.suppressed));
        }
        count.suppressed = count.suppressed.saturating_add(1);
        count.sender = record.sender;
        None
    }

    /// What a record is counted by: where there are too many senders, by its kind and reason alone.
    fn counted(&mut self, record: &SecurityRecord, now: Instant) -> Counted {
        let counted = Counted {
            event: record.event,
            reason: record.reason,
            sender: CountedSender::of(&record.sender),
        };
        if self.counts.len() < MOST_COUNTED || self.counts.contains_key(&counted) {
            return counted;
        }
        // Looking through all of them for each record would itself be a burden.
        if now.saturating_duration_since(self.cleared_at) >= SECOND {
            self.clear(now);
        }
        if self.counts.len() < MOST_COUNTED {
            return counted;
        }
        Counted {
            sender: CountedSender::Others,
            ..counted
        }
    }

    /// Drops the counts that say nothing any more.
    fn clear(&mut self, now: Instant) {
        self.cleared_at = now;
        self.counts
            .retain(|_, count| count.suppressed > 0 || !count.throttle.is_over(now));
    }

    /// One record for each kind, reason and sender of which some were not written, with the number of the
    /// others.
    fn take_suppressed(&mut self, now: Instant) -> Vec<(SecurityRecord, u64)> {
        let mut taken = Vec::new();
        for (counted, count) in &mut self.counts {
            let suppressed = std::mem::take(&mut count.suppressed);
            if suppressed == 0 {
                continue;
            }
            let record = SecurityRecord {
                event: counted.event,
                sender: count.sender,
                account: None,
                reason: counted.reason,
                subject: None,
            };
            taken.push((record, suppressed - 1));
        }
        self.clear(now);
        taken
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

    /// A record of this sender, a person or an address.
    fn refusal(reason: &'static str, sender: RequestSender) -> SecurityRecord {
        SecurityRecord {
            event: SecurityEvent::LimitExceeded,
            sender,
            account: None,
            reason: Some(reason),
            subject: None,
        }
    }

    fn of_address(last: u8) -> RequestSender {
        RequestSender {
            address: Some(IpAddr::from([192, 0, 2, last])),
            ..RequestSender::default()
        }
    }

    fn of_person(workspace: u128, person: u128) -> RequestSender {
        RequestSender {
            workspace: Some(Uuid::from_u128(workspace)),
            actor: Some(Uuid::from_u128(person)),
            ..RequestSender::default()
        }
    }

    #[test]
    fn a_flood_of_refusals_is_counted_and_not_written() {
        let begin = Instant::now();
        let mut throttles = Throttles::new(begin);
        let record = refusal("requests", of_address(1));
        let written = (0..1_000)
            .filter(|_| throttles.admit(&record, begin).is_some())
            .count();
        assert_eq!(written, 50);
        let next = begin + Duration::from_secs(1);
        assert_eq!(throttles.admit(&record, next), Some(950));
        assert_eq!(throttles.admit(&record, next), Some(0));
    }

    #[test]
    fn a_flood_of_one_sender_hides_neither_anothers_records_nor_those_of_another_reason() {
        let now = Instant::now();
        let mut throttles = Throttles::new(now);
        let flood = refusal("requests", of_person(1, 1));
        for _ in 0..5_000 {
            throttles.admit(&flood, now);
        }
        for other in [
            of_person(1, 2),
            // A person of another workspace, whose educator has chosen the same id.
            of_person(2, 1),
            of_address(1),
            RequestSender::default(),
        ] {
            for _ in 0..20 {
                let admitted = throttles.admit(&refusal("requests", other), now);
                assert_eq!(admitted, Some(0), "{other:?}");
            }
        }
        assert_eq!(throttles.admit(&refusal("frames", of_person(1, 1)), now), Some(0));
    }

    #[test]
    fn a_visitor_gets_no_further_count_by_naming_other_workspaces() {
        let now = Instant::now();
        let mut throttles = Throttles::new(now);
        let written = (0..1_000).filter(|&workspace| {
            let named = RequestSender {
                workspace: Some(Uuid::from_u128(workspace)),
                ..of_address(1)
            };
            throttles.admit(&refusal("requests", named), now).is_some()
        });
        assert_eq!(written.count(), 50);
    }

    #[test]
    fn a_success_that_is_repeated_without_end_is_counted_as_well() {
        let now = Instant::now();
        let mut throttles = Throttles::new(now);
        let record = SecurityRecord {
            event: SecurityEvent::SignedOut,
            ..refusal("requests", of_person(1, 1))
        };
        let written = (0..1_000).filter(|_| throttles.admit(&record, now).is_some());
        assert_eq!(written.count(), 50);
    }

    #[test]
    fn many_senders_at_once_are_bounded_together_and_each_is_counted_by_itself() {
        let begin = Instant::now();
        let mut throttles = Throttles::new(begin);
        let written = (0..2_000)
            .filter(|&person| {
                let record = refusal("requests", of_person(1, person));
                throttles.admit(&record, begin).is_some()
            })
            .count();
        assert_eq!(written, 1_000);
        let left_out = throttles.take_suppressed(begin);
        let people: BTreeSet<_> = left_out.iter().map(|(record, _)| record.sender.actor).collect();
        assert_eq!(people.len(), 1_000, "each person who was left out has a line");
        assert!(left_out.iter().all(|(_, others)| *others == 0));
    }

    #[test]
    fn a_flood_that_has_ended_leaves_its_number() {
        let begin = Instant::now();
        let mut throttles = Throttles::new(begin);
        let record = refusal("frames", of_person(1, 1));
        for _ in 0..60 {
            throttles.admit(&record, begin);
        }
        let [(line, others)] = <[_; 1]>::try_from(throttles.take_suppressed(begin)).unwrap();
        // The line stands for one of the ten that were not written.
        assert_eq!(
            (line.reason, line.sender, others),
            (Some("frames"), of_person(1, 1), 9)
        );
        assert!(throttles.take_suppressed(begin).is_empty(), "it is told once");
    }

    #[test]
    fn the_counts_of_any_number_of_senders_take_a_bounded_memory() {
        let begin = Instant::now();
        let mut throttles = Throttles::new(begin);
        let kinds = SecurityEvent::ALL.len();
        for person in 0..3 * MOST_COUNTED {
            throttles.admit(&refusal("requests", of_person(1, person as u128)), begin);
        }
        assert!(
            throttles.counts.len() <= MOST_COUNTED + kinds,
            "{}",
            throttles.counts.len()
        );
        throttles.take_suppressed(begin + SECOND);
        assert!(throttles.counts.is_empty());
    }
}
