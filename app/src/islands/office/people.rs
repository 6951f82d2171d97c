//! Registers a person in a role, which is how a workspace gets its staff. The password is sent to the server
//! at once: this command is never stored in the browser.

use domain::aggregate::user::{MAX_DISPLAY_NAME, MAX_PASSWORD, MIN_PASSWORD};
use leptos::{html, prelude::*};
use serde::{Deserialize, Serialize};

use super::{
    fields::{field, submit_button},
    row_actions::refusal,
    sender::Sender,
};
use crate::{
    components::{PageHead, text},
    erase::{Erase, View},
    islands::Island,
    language::language,
    text,
};

/// The form.
#[derive(Serialize, Deserialize)]
pub(crate) struct OfficePeople {}

/// The roles in which a person can be registered.
const ROLES: [&str; 4] = ["staff", "educator", "student", "customer"];

impl Island for OfficePeople {
    const NAME: &'static str = "office-people";

    fn view(self) -> View {
        let language = language();
        let sender = Sender::new();
        let message = RwSignal::new(String::new());
        let role = RwSignal::new(ROLES[0].to_owned());
        let [name, email, password] = [(); 3].map(|()| NodeRef::<html::Input>::new());
        let submit = move || register(sender, [name, email, password], role, message);
        let of = move |name: &'static str| text(move || sender.violation(name));
        let word = move |role: &str| match role {
            "staff" => text::office::role_staff(language),
            "educator" => text::office::role_educator(language),
            "student" => text::office::role_student(language),
            _ => text::office::role_customer(language),
        };
        let help = text::office::password_help(language, MIN_PASSWORD, MAX_PASSWORD);
        view! {
            <PageHead title=text::office::people(language) />
            <section class="panel needs-script">
                <h2>{text::office::register(language)}</h2>
                <p>{text::office::register_text(language)}</p>
                <form
                    class="form"
                    novalidate
                    on:submit=move |event| {
                        event.prevent_default();
                        submit();
                    }
                >
                    {field(
                        "text",
                        "person-name",
                        text::office::person_name(language),
                        text::office::person_name_help(language, MAX_DISPLAY_NAME),
                        name,
                        of("data.display_name"),
                    )}
                    {field(
                        "email",
                        "person-email",
                        text::office::email(language),
                        text::office::email_help(language),
                        email,
                        of("data.email"),
                    )}
                    {field(
                        "password",
                        "person-password",
                        text::office::password(language),
                        help,
                        password,
                        of("data.password"),
                    )}
                    <div class="field">
                        <label for="person-role">{text::office::role(language)}</label>
                        <select id="person-role" on:change=move |event| role.set(event_target_value(&event))>
                            {ROLES
                                .map(|role| view! { <option value=role>{word(role)}</option> })
                                .collect_view()}
                        </select>
                    </div>
                    {refusal(sender)}
                    {submit_button(text::office::register_action(language), sender)}
                    <p class="field__help" role="status">{text(move || message.get())}</p>
                </form>
            </section>
        }
        .erase()
    }
}

#[cfg(feature = "ssr")]
fn register(
    _sender: Sender,
    _fields: [NodeRef<html::Input>; 3],
    _role: RwSignal<String>,
    _message: RwSignal<String>,
) {
}

#[cfg(not(feature = "ssr"))]
fn register(
    sender: Sender,
    fields: [NodeRef<html::Input>; 3],
    role: RwSignal<String>,
    message: RwSignal<String>,
) {
    let language = language();
    let [name, email, password] = fields.map(|field| {
        field
            .get_untracked()
            .map(|field| field.value())
            .unwrap_or_default()
    });
    message.set(String::new());
    let data = serde_json::json!({
        "display_name": name, "email": email, "password": password, "role": role.get_untracked(),
    });
    // If the answer is lost, a second attempt uses another id and is refused, because the email is taken.
    let stream = format!("user-{}", crate::id::new_id());
    sender.send("RegisterUser", stream, data, move || {
        for field in fields {
            if let Some(Some(field)) = field.try_get_untracked() {
                field.set_value("");
            }
        }
        let _ = message.try_set(text::office::registered(language, &name));
    });
}
