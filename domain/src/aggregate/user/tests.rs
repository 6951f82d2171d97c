//! The rules of users, given-when-then.

use super::*;
use crate::{
    access::Actor,
    decider::testing::{actor, context, decide},
};

fn ada() -> Actor {
    actor(Role::Student, 1)
}

fn stream_of(actor: &Actor) -> String {
    format!("user-{}", actor.id)
}

fn when_as(
    actor: Actor,
    stream: &str,
    given: &[UserEvent],
    command: impl Into<UserCommand>,
) -> Result<Vec<UserEvent>, Rejection> {
    decide::<User>(given, command.into(), &context(stream, actor))
}

fn when(given: &[UserEvent], command: impl Into<UserCommand>) -> Result<Vec<UserEvent>, Rejection> {
    when_as(ada(), &stream_of(&ada()), given, command)
}

fn form() -> RegisterUser {
    RegisterUser {
        email: " Ada@Example.ORG ".into(),
        display_name: " Ada ".into(),
        password: Some(password()),
        role: None,
        language: None,
    }
}

fn password() -> Password {
    Password("correct horse".into())
}

fn erase() -> EraseUser {
    EraseUser {
        password: Some(password()),
    }
}

fn registered(role: Role) -> UserEvent {
    UserRegistered {
        email: "ada@example.org".into(),
        display_name: "Ada".into(),
        role,
        language: Language::En,
    }
    .into()
}

fn fields(rejection: &Rejection) -> Vec<&str> {
    rejection
        .violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect()
}

#[test]
fn a_person_registers_themself_as_a_customer_with_a_trimmed_and_lower_case_email() {
    assert_eq!(when(&[], form()).unwrap(), [registered(Role::Customer)]);
}

#[test]
fn a_person_keeps_their_role_and_only_an_educator_gives_another() {
    let wanting = |role| RegisterUser {
        role: Some(role),
        ..form()
    };
    assert_eq!(
        when(&[], wanting(Role::Student)).unwrap(),
        [registered(Role::Student)]
    );
    for role in [Role::Staff, Role::Educator, Role::System] {
        let refused = when(&[], wanting(role)).unwrap_err();
        assert_eq!(fields(&refused), ["data.role"], "{role:?}");
    }
    let educator = actor(Role::Educator, 9);
    let stream = stream_of(&ada());
    assert_eq!(
        when_as(educator.clone(), &stream, &[], wanting(Role::Staff)).unwrap(),
        [registered(Role::Staff)]
    );
    let refused = when_as(educator, &stream, &[], wanting(Role::System)).unwrap_err();
    assert_eq!(fields(&refused), ["data.role"]);
}

#[test]
fn an_educator_who_registers_without_a_role_stays_one() {
    let educator = actor(Role::Educator, 9);
    let own = stream_of(&educator);
    assert_eq!(
        when_as(educator.clone(), &own, &[], form()).unwrap(),
        [registered(Role::Educator)]
    );
    let other = stream_of(&ada());
    assert_eq!(
        when_as(educator, &other, &[], form()).unwrap(),
        [registered(Role::Customer)],
        "others are customers"
    );
}

#[test]
fn only_educators_and_the_system_register_other_people() {
    for role in [Role::Customer, Role::Student, Role::Staff] {
        let refused = when_as(actor(role, 2), &stream_of(&ada()), &[], form()).unwrap_err();
        assert_eq!(refused.rule, "not-your-account", "{role:?}");
    }
    for role in [Role::Educator, Role::System] {
        when_as(actor(role, 2), &stream_of(&ada()), &[], form()).unwrap();
    }
}

#[test]
fn a_person_registers_once() {
    let refused = when(&[registered(Role::Customer)], form()).unwrap_err();
    assert_eq!(refused.rule, "user-already-registered");
}

#[test]
fn every_field_that_is_wrong_is_named_at_once() {
    let refused = when(
        &[],
        RegisterUser {
            email: "ada".into(),
            display_name: " ".into(),
            password: Some(Password("short".into())),
            role: Some(Role::Staff),
            language: None,
        },
    )
    .unwrap_err();
    assert_eq!(
        fields(&refused),
        ["data.email", "data.display_name", "data.password", "data.role"]
    );
}

#[test]
fn a_password_has_8_to_200_characters_and_only_the_system_registers_without_one() {
    let with = |password: Option<String>| RegisterUser {
        password: password.map(Password),
        ..form()
    };
    let longest = format!("{} and an end", "vT4-pLz8w ".repeat(19));
    for usable in [
        "\u{fc}b\u{e4}r-m\u{fc}t".to_owned(),
        longest.chars().take(200).collect(),
    ] {
        when(&[], with(Some(usable))).unwrap();
    }
    for unusable in [None, Some("vT4-pLz".into()), Some("x".repeat(201))] {
        let refused = when(&[], with(unusable)).unwrap_err();
        assert_eq!(fields(&refused), ["data.password"]);
        assert!(refused.detail.contains("8 to 200"), "{refused:?}");
    }
    when_as(actor(Role::System, 2), &stream_of(&ada()), &[], with(None)).unwrap();
}

#[test]
fn a_new_password_is_neither_common_nor_the_email_or_the_name() {
    for refused in [
        "password",
        "12345678",
        "Passw0rd1",
        "xxxxxxxx",
        "qwertyuiop",
        "foldline",
    ] {
        let command = RegisterUser {
            password: Some(Password(refused.into())),
            ..form()
        };
        let refusal = when(&[], command).unwrap_err();
        assert_eq!(fields(&refusal), ["data.password"], "{refused}");
    }
    for known in ["countess-1", "Lovelace1"] {
        let command = RegisterUser {
            email: "countess@example.org".into(),
            display_name: "A. Lovelace".into(),
            password: Some(Password(known.into())),
            ..form()
        };
        let refusal = when(&[], command).unwrap_err();
        assert_eq!(fields(&refusal), ["data.password"], "{known}");
    }
}

#[test]
fn a_name_is_one_line_of_visible_text_of_one_script() {
    let given = [registered(Role::Customer)];
    for hostile in [
        "Ada\nBcc: eve@example.org",
        "Ada\0",
        "A\rda",
        "Ada\u{85}x",
        "Ada\u{2028}x",
        "\u{202e}adA",
        "Ada\u{200f}x",
        "Ada\u{200b}x",
        "A\u{ad}da",
        "\u{3164}",
        "\u{e000}",
        "Ada\u{10ffff}",
        "\u{410}da",
        "\u{1d159}",
        "\u{13441}\u{13442}",
        "\u{251}da",
        "\u{ff21}da",
        "\u{1d400}da",
        "\u{13aa}",
        "\u{a4d0}",
        "Adm\u{131}n",
    ] {
        let name = ChangeDisplayName {
            display_name: hostile.into(),
        };
        let register = RegisterUser {
            display_name: hostile.into(),
            ..form()
        };
        let changed = when(&given, name).unwrap_err();
        assert_eq!(fields(&changed), ["data.display_name"], "{hostile:?}");
        let registered = when(&[], register).unwrap_err();
        assert_eq!(fields(&registered), ["data.display_name"], "{hostile:?}");
    }
    for fine in [
        "\u{410}\u{43d}\u{43d}\u{430}",
        "\u{5c71}\u{7530}\u{3000}\u{592a}\u{90ce}",
        "Zoe\u{308} \u{1f469}\u{200d}\u{1f3eb}",
    ] {
        let name = ChangeDisplayName {
            display_name: fine.into(),
        };
        when(&given, name).unwrap();
    }
}

#[test]
fn a_new_email_looks_like_no_other() {
    let given = [registered(Role::Customer)];
    for alike in [
        "\u{430}da@example.org",
        "ada@ex\u{430}mple.org",
        "ad\u{ff41}@example.org",
        "adm\u{131}n@example.org",
        "\u{a4e3}@example.org",
        "\u{2c9f}@example.org",
    ] {
        let change = ChangeEmail {
            email: alike.into(),
            password: Some(password()),
        };
        let register = RegisterUser {
            email: alike.into(),
            ..form()
        };
        assert_eq!(
            fields(&when(&given, change).unwrap_err()),
            ["data.email"],
            "{alike}"
        );
        assert_eq!(
            fields(&when(&[], register).unwrap_err()),
            ["data.email"],
            "{alike}"
        );
    }
}

#[test]
fn a_password_is_printed_nowhere() {
    let printed = format!("{:?}", UserCommand::from(form()));
    assert!(
        !printed.contains("horse") && printed.contains("Password(…)"),
        "{printed}"
    );
}

#[test]
fn an_email_is_a_mailbox_at_a_host() {
    for email in ["a@b.co", "ada.lovelace+shop@mail.example.org", "ü@bücher.example"] {
        assert!(is_email(email), "{email}");
    }
    let long = format!("{}@example.org", "a".repeat(65));
    let longer = format!("a@{}.org", "b.".repeat(130));
    for text in [
        "",
        "@",
        "ada",
        "ada@",
        "@example.org",
        "ada@example",
        "ada@.org",
        "ada@example..org",
        "a da@example.org",
        "ada@exa mple.org",
        "ada@example.org\r\nBcc: eve@example.org",
        ".ada@example.org",
        "a..da@example.org",
        "ada@-example.org",
        &long,
        &longer,
    ] {
        assert!(!is_email(text), "{text}");
    }
}

#[test]
fn a_stream_belongs_to_one_person() {
    let upper = format!("user-{}", ada().id.simple());
    for stream in ["user-ada", &upper] {
        let refused = when_as(actor(Role::Educator, 9), stream, &[], form()).unwrap_err();
        assert_eq!(fields(&refused), ["stream"], "{stream}");
    }
}

#[test]
fn a_person_changes_only_their_own_name_and_email() {
    let given = [registered(Role::Customer)];
    let name = ChangeDisplayName {
        display_name: " Lovelace ".into(),
    };
    let email = ChangeEmail {
        email: "Countess@Example.org".into(),
        password: Some(password()),
    };
    assert_eq!(
        when(&given, name.clone()).unwrap(),
        [DisplayNameChanged {
            display_name: "Lovelace".into()
        }
        .into()]
    );
    assert_eq!(
        when(&given, email.clone()).unwrap(),
        [EmailChanged {
            email: "countess@example.org".into()
        }
        .into()]
    );
    for role in [Role::Customer, Role::Staff, Role::Educator, Role::System] {
        let stream = stream_of(&ada());
        for command in [UserCommand::from(name.clone()), email.clone().into()] {
            let refused = when_as(actor(role, 2), &stream, &given, command).unwrap_err();
            assert_eq!(refused.rule, "not-your-account", "{role:?}");
        }
    }
}

#[test]
fn a_person_registers_in_their_language() {
    let registered = when(
        &[],
        RegisterUser {
            language: Some(Language::De),
            ..form()
        },
    );
    let expected = UserRegistered {
        email: "ada@example.org".into(),
        display_name: "Ada".into(),
        role: Role::Customer,
        language: Language::De,
    };
    assert_eq!(registered.unwrap(), [expected.into()]);
}

#[test]
fn a_person_changes_only_their_own_language() {
    let given = [registered(Role::Customer)];
    let command = ChangeLanguage {
        language: Language::Ar,
    };
    let changed: UserEvent = LanguageChanged {
        language: Language::Ar,
    }
    .into();
    assert_eq!(
        when(&given, command.clone()).unwrap(),
        std::slice::from_ref(&changed)
    );
    let state = given
        .iter()
        .chain([&changed])
        .fold(UserState::default(), User::evolve);
    assert_eq!(state.account.unwrap().language, Language::Ar);
    for role in [Role::Customer, Role::Staff, Role::Educator, Role::System] {
        let refused = when_as(actor(role, 2), &stream_of(&ada()), &given, command.clone()).unwrap_err();
        assert_eq!(refused.rule, "not-your-account", "{role:?}");
    }
    assert_eq!(when(&[], command).unwrap_err().rule, "user-not-found");
}

#[test]
fn a_password_that_is_asked_for_is_no_longer_than_one_can_be() {
    let given = [registered(Role::Customer)];
    let long = Some(Password("x".repeat(MAX_PASSWORD + 1)));
    let email = ChangeEmail {
        email: "countess@example.org".into(),
        password: long.clone(),
    };
    for command in [UserCommand::from(email), EraseUser { password: long }.into()] {
        let refused = when(&given, command).unwrap_err();
        assert_eq!(fields(&refused), ["data.password"]);
    }
}

#[test]
fn who_has_no_account_has_nothing_to_change() {
    let refused = when(
        &[],
        ChangeEmail {
            email: "ada@example.org".into(),
            password: Some(password()),
        },
    )
    .unwrap_err();
    assert_eq!(refused.rule, "user-not-found");
}

#[test]
fn a_person_is_erased_by_themself_or_an_educator_and_not_by_staff() {
    let given = [registered(Role::Customer)];
    let stream = stream_of(&ada());
    let erased: UserEvent = UserErased {}.into();
    assert_eq!(when(&given, erase()).unwrap(), std::slice::from_ref(&erased));
    assert_eq!(
        when_as(
            actor(Role::Educator, 9),
            &stream,
            &given,
            EraseUser { password: None }
        )
        .unwrap(),
        [erased]
    );
    for role in [Role::Customer, Role::Student, Role::Staff] {
        let refused = when_as(actor(role, 2), &stream, &given, erase()).unwrap_err();
        assert_eq!(refused.rule, "not-your-account", "{role:?}");
    }
}

#[test]
fn taking_an_account_over_or_away_asks_for_the_password_and_an_educator_for_none() {
    let given = [registered(Role::Customer)];
    let email = ChangeEmail {
        email: "countess@example.org".into(),
        password: None,
    };
    for command in [UserCommand::from(email), EraseUser { password: None }.into()] {
        let refused = when(&given, command).unwrap_err();
        assert_eq!(refused.rule, "invalid-data");
        assert_eq!(refused.violations[0].field, "data.password");
    }
    // An educator's own account counts as well.
    let given = [registered(Role::Educator)];
    let own = when_as(
        Actor {
            role: Role::Educator,
            ..ada()
        },
        &stream_of(&ada()),
        &given,
        EraseUser { password: None },
    );
    assert_eq!(own.unwrap_err().violations[0].field, "data.password");
}

#[test]
fn who_never_registered_can_have_their_name_erased_too() {
    assert_eq!(
        when(&[], EraseUser { password: None }).unwrap(),
        [UserErased {}.into()]
    );
    let refused = when_as(
        actor(Role::Educator, 9),
        &stream_of(&ada()),
        &[],
        EraseUser { password: None },
    )
    .unwrap_err();
    assert_eq!(refused.rule, "user-not-found");
}

#[test]
fn who_is_erased_stays_erased() {
    let given = [registered(Role::Customer), UserErased {}.into()];
    assert_eq!(when(&given, EraseUser { password: None }).unwrap(), []);
    for command in [
        UserCommand::from(form()),
        ChangeEmail {
            email: "ada@example.org".into(),
            password: Some(password()),
        }
        .into(),
        ChangeLanguage {
            language: Language::De,
        }
        .into(),
    ] {
        assert_eq!(when(&given, command).unwrap_err().rule, "user-erased");
    }
}

#[test]
fn an_email_is_confirmed_once_and_a_new_one_again() {
    let given = [registered(Role::Customer)];
    let confirmed = UserEvent::from(EmailConfirmed {});
    let requested = UserEvent::from(EmailConfirmationRequested {});
    assert_eq!(
        when(&given, RequestEmailConfirmation {}).unwrap(),
        std::slice::from_ref(&requested)
    );
    assert_eq!(
        when(&given, ConfirmEmail {}).unwrap(),
        std::slice::from_ref(&confirmed)
    );
    let given = [registered(Role::Customer), confirmed.clone()];
    assert!(when(&given, RequestEmailConfirmation {}).unwrap().is_empty());
    assert!(when(&given, ConfirmEmail {}).unwrap().is_empty());
    let changed = EmailChanged {
        email: "countess@example.org".into(),
    };
    let given = [registered(Role::Customer), confirmed.clone(), changed.into()];
    assert_eq!(when(&given, RequestEmailConfirmation {}).unwrap(), [requested]);
    assert_eq!(when(&given, ConfirmEmail {}).unwrap(), [confirmed]);
}

#[test]
fn who_sets_a_password_by_a_link_has_confirmed_the_email() {
    let changed = UserEvent::from(PasswordChanged {});
    let confirmed = UserEvent::from(EmailConfirmed {});
    let unconfirmed = [registered(Role::Customer)];
    let known = [registered(Role::Customer), confirmed.clone()];
    for (given, by_link, expected) in [
        (&unconfirmed[..], true, vec![changed.clone(), confirmed.clone()]),
        (&unconfirmed[..], false, vec![changed.clone()]),
        (&known[..], true, vec![changed.clone()]),
    ] {
        assert_eq!(when(given, RecordPasswordChange { by_link }).unwrap(), expected);
    }
    let requested = UserEvent::from(PasswordResetRequested {});
    assert_eq!(when(&known, RequestPasswordReset {}).unwrap(), [requested]);
}

#[test]
fn who_has_no_account_or_is_erased_gets_no_link() {
    let commands: [UserCommand; 4] = [
        RequestPasswordReset {}.into(),
        RecordPasswordChange { by_link: true }.into(),
        RequestEmailConfirmation {}.into(),
        ConfirmEmail {}.into(),
    ];
    for command in commands {
        assert_eq!(when(&[], command.clone()).unwrap_err().rule, "user-not-found");
        let erased = [registered(Role::Customer), UserErased {}.into()];
        assert_eq!(when(&erased, command).unwrap_err().rule, "user-erased");
    }
}
