//! The programs of the client: which page loads which. A page is a document, so the program of one area never travels to
//! those who stay in another; what of the frame is alive is in every program.

/// A part of the client that is built and loaded by itself: `frontend/src/bin/<name>.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Program {
    /// For those who buy.
    #[default]
    Shop,
    /// For those who run the shop, and those who read its log.
    Office,
}

impl Program {
    /// Its name in the build.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::Office => "office",
        }
    }

    /// The program that brings the page at this path to life.
    pub fn of_page(path: &str) -> Self {
        let place = path.trim_start_matches('/').split('/').next();
        match place {
            Some("office" | "streams") => Self::Office,
            _ => Self::Shop,
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_page_has_the_program_of_its_place() {
        for (path, program) in [
            ("/", Program::Shop),
            ("", Program::Shop),
            ("/shop/office", Program::Shop),
            ("/orders", Program::Shop),
            ("/orders/1", Program::Shop),
            ("/inbox", Program::Shop),
            ("/office", Program::Office),
            ("/office/orders", Program::Office),
            ("/officer", Program::Shop),
            ("/streams/order-1", Program::Office),
        ] {
            assert_eq!(Program::of_page(path), program, "{path}");
        }
    }
}
