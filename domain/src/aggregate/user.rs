//! `user-<uuid>`: a person with an account. The id is the actor id of the person's tokens, so that a guest
//! keeps basket and orders after the registration.
//!
//! Email and name are personal: the server seals them before they are stored, and this module folds sealed
//! texts. So no rule may read the email or the name of a state. The uniqueness of an email is the rule of its
//! own stream, [`Email`](super::email::Email). The domain checks only a password's presence and length; the
//! command service verifies it against the stored hash.
//!
//! Whether an email reaches its person, and when a password was changed, only the server knows, which sends
//! the links and stores the hashes. So it sends those commands itself, and no client may: they have no field
//! that a rule could check.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    access::Role,
    command_types,
    decider::{Context, Decider},
    event_types,
    language::Language,
    rejection::{Rejection, Violation, Violations},
};

mod common_password;
mod email_address;
mod email_script;
mod password;

pub use common_password::PasswordFault;
use email_address::is_email;
pub use email_address::{MAX_EMAIL, is_example_address, normalised, spellings};
use email_script::has_one_script;
pub use password::{MAX_PASSWORD, MIN_PASSWORD, Password};

/// The maximum length of a display name, in characters.
pub const MAX_DISPLAY_NAME: usize = 40;
/// The field of a password in a command.
const PASSWORD_FIELD: &str = "data.password";

/// Creates an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RegisterUser {
    /// The address for signing in; unique in the workspace.
    pub email: String,
    /// The name shown to others; one line of 1 to [`MAX_DISPLAY_NAME`] visible characters.
    pub display_name: String,
    /// [`MIN_PASSWORD`] to [`MAX_PASSWORD`] characters, and none of the passwords that are guessed first.
    /// Absent only if the system registers a person, who then cannot sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    /// By default `customer`; an educator who registers themselves stays an educator. Educators may assign
    /// another role; a person may keep their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The language of emails, and of the interface on a new device. By default that of the request, or else
    /// English. Emails and pages exist in `en`, `de`, `ar` and `ja`; with another language they are in
    /// English.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
}

/// Changes the display name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangeDisplayName {
    /// One line of 1 to [`MAX_DISPLAY_NAME`] visible characters.
    pub display_name: String,
}

/// Changes the email for signing in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangeEmail {
    /// Unique in the workspace.
    pub email: String,
    /// The person's current password: a session alone must not be able to take over an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
}

/// Changes the language of emails, and of the interface on a new device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangeLanguage {
    /// The new language. Emails and pages exist in `en`, `de`, `ar` and `ja`; with another one they are in
    /// English.
    pub language: Language,
}

/// Makes all personal data permanently unreadable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EraseUser {
    /// The person's current password. Absent if an educator erases another person, and for a person without
    /// an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
}

/// Has a link sent to the person's email, by which they set a new password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RequestPasswordReset {}

/// Records that the password was changed; it is stored already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordPasswordChange {
    /// Whether the person came by the link of an email. Then the email is theirs.
    pub by_link: bool,
}

/// Has a link sent to the person's email, by which they confirm that it is theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RequestEmailConfirmation {}

/// Records that the person has followed the link to their present email.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfirmEmail {}

command_types! {
    /// The commands of a user.
    pub enum UserCommand {
        RegisterUser,
        ChangeDisplayName,
        ChangeEmail,
        ChangeLanguage,
        EraseUser,
        RequestPasswordReset,
        RecordPasswordChange,
        RequestEmailConfirmation,
        ConfirmEmail,
    }
}

/// An account was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserRegistered {
    /// Trimmed and in lower case, in newer events in its normal form; sealed where it is stored.
    pub email: String,
    /// Sealed where it is stored.
    pub display_name: String,
    /// The role in the workspace.
    pub role: Role,
    /// The language of emails; English for events of version 1. Not sealed, because it names no one.
    #[cfg_attr(feature = "schema", schemars(with = "String"))] // a new language is no new version
    pub language: Language,
}

/// Version 1 of [`UserRegistered`], which had no language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserRegisteredV1 {
    /// Trimmed and in lower case, in newer events in its normal form; sealed where it is stored.
    pub email: String,
    /// Sealed where it is stored.
    pub display_name: String,
    /// The role in the workspace.
    pub role: Role,
}

impl From<UserRegisteredV1> for UserRegistered {
    fn from(old: UserRegisteredV1) -> Self {
        Self {
            email: old.email,
            display_name: old.display_name,
            role: old.role,
            language: Language::En,
        }
    }
}

/// The display name was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DisplayNameChanged {
    /// Sealed where it is stored.
    pub display_name: String,
}

/// The email for signing in was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EmailChanged {
    /// Trimmed and in lower case, in newer events in its normal form; sealed where it is stored.
    pub email: String,
}

/// The language was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LanguageChanged {
    /// The new language.
    #[cfg_attr(feature = "schema", schemars(with = "String"))] // a new language is no new version
    pub language: Language,
}

/// The person's key is destroyed, so that the personal data is unreadable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserErased {}

/// A link to set a new password was requested. The link follows from the id of the command and a key that is
/// not in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PasswordResetRequested {}

/// The password was changed, by its owner within a session or by the link of an email.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PasswordChanged {}

/// Another link to confirm the email was requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EmailConfirmationRequested {}

/// The person reads the emails to their address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EmailConfirmed {}

event_types! {
    /// The events of a user.
    pub enum UserEvent {
        UserRegistered: 2 from [UserRegisteredV1: 1 => UserRegistered],
        DisplayNameChanged: 1,
        EmailChanged: 1,
        LanguageChanged: 1,
        UserErased: 1,
        PasswordResetRequested: 1,
        PasswordChanged: 1,
        EmailConfirmationRequested: 1,
        EmailConfirmed: 1,
    }
}

/// The state for decisions about a user, and for sessions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UserState {
    /// `None` before the registration.
    pub account: Option<Account>,
    /// Whether the person was erased.
    pub erased: bool,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Sealed on the server.
    pub email: String,
    /// Sealed on the server.
    pub display_name: String,
    /// The role in the workspace.
    pub role: Role,
    /// The language of emails.
    pub language: Language,
    /// Whether the person has shown that they read the emails to this address.
    pub email_confirmed: bool,
}

/// The user aggregate.
#[derive(Debug)]
pub struct User;

impl Decider for User {
    const CATEGORY: &'static str = "user";
    const SNAPSHOT_VERSION: u32 = 3;
    type State = UserState;
    type Command = UserCommand;
    type Event = UserEvent;
    type Evidence = ();

    fn decide(
        state: &UserState,
        command: UserCommand,
        context: &Context,
    ) -> Result<Vec<UserEvent>, Rejection> {
        let own = own_account(context)?;
        if state.erased {
            return match command {
                UserCommand::EraseUser(_) => Ok(Vec::new()),
                _ => Err(Rejection::new("user-erased", "this account was erased")),
            };
        }
        match command {
            UserCommand::RegisterUser(register) => self::register(state, register, own, context),
            UserCommand::ChangeDisplayName(ChangeDisplayName { display_name }) => {
                let display_name = display_name.trim().to_owned();
                let mut violations = Violations::default();
                require_display_name(&mut violations, &display_name, "data.display_name");
                require_own_account(state, own, "change")?;
                violations.finish()?;
                Ok(vec![DisplayNameChanged { display_name }.into()])
            }
            UserCommand::ChangeEmail(ChangeEmail { email, password }) => {
                let email = normalised(&email);
                let mut violations = Violations::default();
                require_email(&mut violations, &email);
                require_password(&mut violations, password.as_ref());
                require_own_account(state, own, "change")?;
                violations.finish()?;
                Ok(vec![EmailChanged { email }.into()])
            }
            UserCommand::ChangeLanguage(ChangeLanguage { language }) => {
                require_own_account(state, own, "change")?;
                Ok(vec![LanguageChanged { language }.into()])
            }
            UserCommand::EraseUser(EraseUser { password }) => {
                if !own && !gives_roles(context.actor.role) {
                    return Err(not_yours("erase"));
                }
                if own && state.account.is_some() {
                    let mut violations = Violations::default();
                    require_password(&mut violations, password.as_ref());
                    violations.finish()?;
                }
                // A guest who has ordered has left a name, and may have it erased without an account.
                if state.account.is_none() && !own {
                    return Err(not_found());
                }
                Ok(vec![UserErased {}.into()])
            }
            UserCommand::RequestPasswordReset(_) => {
                require_account(state)?;
                Ok(vec![PasswordResetRequested {}.into()])
            }
            UserCommand::RecordPasswordChange(RecordPasswordChange { by_link }) => {
                let account = require_account(state)?;
                let mut events = vec![PasswordChanged {}.into()];
                if by_link && !account.email_confirmed {
                    events.push(EmailConfirmed {}.into());
                }
                Ok(events)
            }
            UserCommand::RequestEmailConfirmation(_) => {
                unless_confirmed(state, EmailConfirmationRequested {})
            }
            UserCommand::ConfirmEmail(_) => unless_confirmed(state, EmailConfirmed {}),
        }
    }

    fn evolve(mut state: UserState, event: &UserEvent) -> UserState {
        match event {
            UserEvent::UserRegistered(UserRegistered {
                email,
                display_name,
                role,
                language,
            }) => {
                state.account = Some(Account {
                    email: email.clone(),
                    display_name: display_name.clone(),
                    role: *role,
                    language: *language,
                    email_confirmed: false,
                });
            }
            UserEvent::DisplayNameChanged(DisplayNameChanged { display_name }) => {
                if let Some(account) = &mut state.account {
                    account.display_name.clone_from(display_name);
                }
            }
            UserEvent::EmailChanged(EmailChanged { email }) => {
                if let Some(account) = &mut state.account {
                    account.email.clone_from(email);
                    account.email_confirmed = false;
                }
            }
            UserEvent::LanguageChanged(LanguageChanged { language }) => {
                if let Some(account) = &mut state.account {
                    account.language = *language;
                }
            }
            UserEvent::UserErased(_) => {
                state = UserState {
                    account: None,
                    erased: true,
                }
            }
            UserEvent::EmailConfirmed(_) => {
                if let Some(account) = &mut state.account {
                    account.email_confirmed = true;
                }
            }
            UserEvent::PasswordResetRequested(_)
            | UserEvent::PasswordChanged(_)
            | UserEvent::EmailConfirmationRequested(_) => {}
        }
        state
    }
}

fn register(
    state: &UserState,
    register: RegisterUser,
    own: bool,
    context: &Context,
) -> Result<Vec<UserEvent>, Rejection> {
    let RegisterUser {
        email,
        display_name,
        password,
        role,
        language,
    } = register;
    let actor = &context.actor;
    if !own && !gives_roles(actor.role) {
        return Err(not_yours("register"));
    }
    let stays_educator = own && actor.role == Role::Educator;
    let role = role.unwrap_or(if stays_educator {
        Role::Educator
    } else {
        Role::Customer
    });
    let (email, display_name) = (normalised(&email), display_name.trim().to_owned());
    let mut violations = Violations::default();
    require_email(&mut violations, &email);
    require_display_name(&mut violations, &display_name, "data.display_name");
    let fault = match &password {
        Some(password) => password.fault(&[&email, &display_name]),
        None if actor.role == Role::System => None,
        None => Some(PasswordFault::Length),
    };
    if let Some(fault) = fault {
        violations.require(false, PASSWORD_FIELD, fault.to_string());
    }
    violations.require(
        may_register(actor.role, own, role),
        "data.role",
        "is customer, unless an educator gives another one",
    );
    violations.finish()?;
    if state.account.is_some() {
        return Err(Rejection::new(
            "user-already-registered",
            "this person has an account already",
        ));
    }
    let registered = UserRegistered {
        email,
        display_name,
        role,
        language: language.unwrap_or_default(),
    };
    Ok(vec![registered.into()])
}

/// Whether the stream is the actor's own; its id must be a person's.
fn own_account(context: &Context) -> Result<bool, Rejection> {
    let id = context.stream.id().parse::<Uuid>();
    // Only the canonical form is accepted, so that a person has one stream.
    let id = id.ok().filter(|id| id.to_string() == context.stream.id());
    let mut violations = Violations::default();
    violations.require(id.is_some(), "stream", "is user-<uuid>, in lower case");
    violations.finish()?;
    Ok(id == Some(context.actor.id))
}

fn require_own_account(state: &UserState, own: bool, action: &str) -> Result<(), Rejection> {
    if !own {
        return Err(not_yours(action));
    }
    require_account(state).map(|_| ())
}

fn require_account(state: &UserState) -> Result<&Account, Rejection> {
    state.account.as_ref().ok_or_else(not_found)
}

/// The event, for an account whose email is not confirmed yet.
fn unless_confirmed(state: &UserState, event: impl Into<UserEvent>) -> Result<Vec<UserEvent>, Rejection> {
    let account = require_account(state)?;
    Ok(if account.email_confirmed {
        Vec::new()
    } else {
        vec![event.into()]
    })
}

fn not_yours(action: &str) -> Rejection {
    Rejection::new(
        "not-your-account",
        format!("you can {action} your own account, and no other"),
    )
}

fn not_found() -> Rejection {
    Rejection::new("user-not-found", "there is no such account")
}

/// Whether the role may register and erase other people, and assign roles.
const fn gives_roles(role: Role) -> bool {
    matches!(role, Role::Educator | Role::System)
}

/// Records a violation unless `name` can be a new name of a person: one line of up to [`MAX_DISPLAY_NAME`]
/// visible characters, in letters that do not make it look like another one.
pub fn require_display_name(violations: &mut Violations, name: &str, field: &str) {
    violations.require_name(name, MAX_DISPLAY_NAME, field);
    violations.require_one_script(name, field);
}

/// Whether an actor of this role may register a person with that role: themselves (`own`), or another person.
pub(crate) fn may_register(actor: Role, own: bool, role: Role) -> bool {
    let may_give = role == Role::Customer || gives_roles(actor) || (own && role == actor);
    (own || gives_roles(actor)) && may_give && role != Role::System
}

/// Whether a text is an email in the form in which a command stores a new one.
pub(crate) fn is_new_email(email: &str) -> bool {
    is_email(email) && normalised(email) == email && has_one_script(email)
}

fn require_email(violations: &mut Violations, email: &str) {
    let is_email = is_email(email);
    violations.require(
        is_email,
        "data.email",
        format!("is an email address, as in ada@example.org, of up to {MAX_EMAIL} characters"),
    );
    violations.require(
        !is_email || has_one_script(email),
        "data.email",
        "has letters of several scripts, or such as look like Latin ones; take an address of one script",
    );
}

fn require_password(violations: &mut Violations, password: Option<&Password>) {
    violations.require(
        password.is_some(),
        PASSWORD_FIELD,
        "is required: your current password",
    );
    // An old password may be shorter than the current minimum, but never longer than the maximum.
    let length = password.map_or(0, Password::length);
    violations.require(
        length <= MAX_PASSWORD,
        PASSWORD_FIELD,
        format!("has at most {MAX_PASSWORD} characters"),
    );
}

/// The rejection of a password that is not the person's.
pub fn wrong_password() -> Rejection {
    let message = "is not your password".to_owned();
    Rejection {
        rule: "wrong-password".to_owned(),
        detail: format!("{PASSWORD_FIELD}: {message}"),
        violations: vec![Violation {
            field: PASSWORD_FIELD.to_owned(),
            message,
        }],
    }
}

#[cfg(test)]
mod tests;
