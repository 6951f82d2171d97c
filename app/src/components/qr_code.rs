//! A QR code as an inline SVG: an address for the cameras of phones. It is dark on light in every theme,
//! because some cameras read no other.

use std::fmt::Write as _;

use leptos::prelude::*;
use qrcode::{Color, EcLevel, QrCode};

use crate::erase::{Erase, View};

/// The light border around a code, in modules, without which cameras do not find it.
const QUIET_ZONE: usize = 4;

/// The modules of a code.
#[derive(Debug, PartialEq, Eq)]
struct Modules {
    /// The width and height with the border.
    width: usize,
    /// The dark modules as the data of an SVG path: a rectangle for each run of a row.
    path: String,
}

impl Modules {
    /// The code of a text; `None` if the text is too long for one.
    fn of(content: &str) -> Option<Self> {
        // A quarter of the modules may be hidden: by a reflection on the screen, or by a head.
        let code = QrCode::with_error_correction_level(content, EcLevel::Q).ok()?;
        let width = code.width();
        let colors = code.into_colors();
        let mut path = String::new();
        for (y, row) in colors.chunks(width.max(1)).enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|one, other| one == other) {
                if run.first() == Some(&Color::Dark) {
                    let length = run.len();
                    let (left, top) = (x + QUIET_ZONE, y + QUIET_ZONE);
                    // Writing to a string does not fail.
                    let _ = write!(path, "M{left} {top}h{length}v1h-{length}z");
                }
                x += run.len();
            }
        }
        Some(Self {
            width: width + 2 * QUIET_ZONE,
            path,
        })
    }
}

/// The QR code of a text, with a label for people who do not see it; `None` if the text is too long for one.
pub(crate) fn qr_code(content: &str, label: &'static str) -> Option<View> {
    let Modules { width, path } = Modules::of(content)?;
    let view_box = format!("0 0 {width} {width}");
    let side = width.to_string();
    let code = view! {
        <svg class="qr" role="img" aria-label=label viewBox=view_box shape-rendering="crispEdges">
            <rect width=side.clone() height=side fill="#ffffff"></rect>
            <path d=path fill="#000000"></path>
        </svg>
    };
    Some(code.erase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_three_corners_by_which_cameras_find_it_and_a_light_border() {
        let Modules { width, path } = Modules::of("https://foldline.example/join/ABCD-1234").unwrap();
        let inner = width - 2 * QUIET_ZONE;
        assert!(inner >= 21, "{inner}");
        // The first row begins with a corner and ends with one: seven dark modules each.
        let right = QUIET_ZONE + inner - 7;
        assert!(path.starts_with("M4 4h7v1h-7z"), "{path}");
        assert!(path.contains(&format!("M{right} 4h7v1h-7z")), "{path}");
        let bottom = QUIET_ZONE + inner - 1;
        assert!(path.contains(&format!("M4 {bottom}h7v1h-7z")), "{path}");
        assert!(!path.contains("M3 ") && !path.contains(&format!(" {}h", bottom + 1)));
    }

    #[test]
    fn another_text_is_another_code_and_a_text_that_is_too_long_is_none() {
        assert_eq!(Modules::of("A"), Modules::of("A"));
        assert_ne!(Modules::of("A"), Modules::of("B"));
        assert_eq!(Modules::of(&"a".repeat(3_000)), None);
    }
}
