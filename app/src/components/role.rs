//! The word for a role.

use domain::access::Role;

use crate::{language::language, text};

/// The word for a role, in the page's language.
pub(crate) fn role_word(role: Role) -> &'static str {
    let language = language();
    match role {
        Role::Customer => text::layout::role_customer(language),
        Role::Student => text::layout::role_student(language),
        Role::Staff => text::layout::role_staff(language),
        Role::Educator => text::layout::role_educator(language),
        Role::System => text::layout::role_system(language),
    }
}
