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
    translations::i18n::td_string,
};

/// The form.
#[derive(Serialize, Deserialize)]
pub(crate) struct OfficePeople {}

/// The roles in which a person can be registered.
const ROLES: [&str; 4] = ["staff", "educator", "student", "customer"];

impl Island for OfficePeople {
    const NAME: &'static str = "office-people";

    fn view(self) -> View {
        let locale = language();
        let sender = Sender::new();
        let message = RwSignal::new(String::new());
        let role = RwSignal::new(ROLES[0].to_owned());
        let [name, email, password] = [(); 3].map(|()| NodeRef::<html::Input>::new());
        let submit = move || register(sender, [name, email, password], role, message);
        let of = move |name: &'static str| text(move || sender.violation(name));
        let word = move |role: &str| match role {
            "staff" => td_string!(locale, office.role_staff),
            "educator" => td_string!(locale, office.role_educator),
            "student" => td_string!(locale, office.role_student),
            _ => td_string!(locale, office.role_customer),
        };
        let help = td_string!(
            locale,
            office.password_help,
            least = MIN_PASSWORD,
            most = MAX_PASSWORD
        );
        view! {
            <PageHead title=td_string!(locale, office.people) />
            <section class="panel needs-script">
                <h2>{td_string!(locale, office.register)}</h2>
                <p>{td_string!(locale, office.register_text)}</p>
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
                        td_string!(locale, office.person_name),
                        td_string!(locale, office.person_name_help, most = MAX_DISPLAY_NAME),
                        name,
                        of("data.display_name"),
                    )}
                    {field(
                        "email",
                        "person-email",
                        td_string!(locale, office.email),
                        td_string!(locale, office.email_help),
                        email,
                        of("data.email"),
                    )}
                    {field(
                        "password",
                        "person-password",
                        td_string!(locale, office.password),
                        help,
                        password,
                        of("data.password"),
                    )}
                    <div class="field">
                        <label for="person-role">{td_string!(locale, office.role)}</label>
                        <select id="person-role" on:change=move |event| role.set(event_target_value(&event))>
                            {ROLES
                                .map(|role| view! { <option value=role>{word(role)}</option> })
                                .collect_view()}
                        </select>
                    </div>
                    {refusal(sender)}
                    {submit_button(td_string!(locale, office.register_action), sender)}
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
    let locale = language();
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
        let _ = message.try_set(td_string!(locale, office.registered, name = &name));
    });
}
