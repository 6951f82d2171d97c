//! The colours of the two themes, and their names in the style sheet for a drawing that is a part of a page.
//! The flows have the colours that they have everywhere in the product.

use serde::Deserialize;

use crate::sheet::Theme;

/// A flow: what moves along an arrow, or what a section is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Flow {
    Command,
    Event,
    Query,
    Replay,
}

impl Flow {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Event => "event",
            Self::Query => "query",
            Self::Replay => "replay",
        }
    }
}

/// The shades of a body: its upper face, and the faces to the left and to the right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shades {
    pub(crate) top: &'static str,
    pub(crate) left: &'static str,
    pub(crate) right: &'static str,
}

impl Shades {
    /// The light stays on the same side of the story when the picture is mirrored.
    pub(crate) const fn mirrored(self) -> Self {
        Self {
            left: self.right,
            right: self.left,
            ..self
        }
    }
}

/// The colours of a theme.
#[derive(Debug)]
pub(crate) struct Palette {
    pub(crate) background: &'static str,
    pub(crate) surface: &'static str,
    pub(crate) raised: &'static str,
    pub(crate) line: &'static str,
    pub(crate) strong: &'static str,
    pub(crate) text: &'static str,
    pub(crate) muted: &'static str,
    pub(crate) note: &'static str,
    pub(crate) accent: &'static str,
    command: &'static str,
    query: &'static str,
    replay: &'static str,
    /// A block, the slabs under its upper one, the plinth under it, and a client's block.
    pub(crate) body: Shades,
    pub(crate) slab: &'static str,
    pub(crate) plinth: Shades,
    pub(crate) neutral: Shades,
    pub(crate) edge_opacity: f64,
    pub(crate) icon: &'static str,
    /// What is behind the lines of an icon.
    pub(crate) icon_shade: &'static str,
    /// A figure on a coloured disc.
    pub(crate) figure: &'static str,
    /// The groove that an arrow lies in.
    pub(crate) groove: &'static str,
    pub(crate) grid_opacity: f64,
    pub(crate) plane_opacity: f64,
    pub(crate) vignette_opacity: f64,
    /// Whether edges glow. On a light ground that would look like dirt.
    pub(crate) glows: bool,
}

impl Palette {
    pub(crate) const fn of(theme: Theme) -> &'static Self {
        match theme {
            Theme::Dark => &DARK,
            Theme::Light => &LIGHT,
        }
    }

    /// The colours of a part of a page: each is the custom property that has it in the theme of the page, so
    /// that a drawing follows its page from one theme to the other. The style sheet hides what glows where
    /// the theme has no glow.
    pub(crate) const fn of_page() -> &'static Self {
        &PAGE
    }

    pub(crate) const fn flow(&self, flow: Flow) -> &'static str {
        match flow {
            Flow::Command => self.command,
            Flow::Event => self.accent,
            Flow::Query => self.query,
            Flow::Replay => self.replay,
        }
    }
}

static DARK: Palette = Palette {
    background: "#0c1110",
    surface: "#121a18",
    raised: "#182320",
    line: "#2a3d37",
    strong: "#5f8275",
    text: "#e3f0e9",
    muted: "#a6beb3",
    note: "#bdd0c6",
    accent: "#3dff8f",
    command: "#ffb84d",
    query: "#6cc7ff",
    replay: "#c3a6ff",
    body: Shades {
        top: "#1f4d3b",
        left: "#1b4735",
        right: "#123023",
    },
    slab: "#18392c",
    plinth: Shades {
        top: "#13211c",
        left: "#0e1815",
        right: "#0b1310",
    },
    neutral: Shades {
        top: "#23312d",
        left: "#1b2723",
        right: "#141d1a",
    },
    edge_opacity: 0.85,
    icon: "#8dffbd",
    icon_shade: "#0c1110",
    figure: "#06130c",
    groove: "#0a1512",
    grid_opacity: 0.06,
    plane_opacity: 0.045,
    vignette_opacity: 0.075,
    glows: true,
};

static LIGHT: Palette = Palette {
    background: "#f6faf7",
    surface: "#ffffff",
    raised: "#edf4ef",
    line: "#d3e0d8",
    strong: "#6d8679",
    text: "#10201a",
    muted: "#4a6257",
    note: "#2f473c",
    accent: "#0a7a43",
    command: "#8a5a00",
    query: "#0b5f99",
    replay: "#6138b8",
    body: Shades {
        top: "#d6efe1",
        left: "#9fcfb6",
        right: "#84bb9f",
    },
    slab: "#c4e5d3",
    plinth: Shades {
        top: "#e6f1ea",
        left: "#cfe2d7",
        right: "#bfd6ca",
    },
    neutral: Shades {
        top: "#e4ebe7",
        left: "#c3d0c9",
        right: "#aebdb5",
    },
    edge_opacity: 0.9,
    icon: "#064d2a",
    icon_shade: "#ffffff",
    figure: "#ffffff",
    groove: "#e2efe7",
    grid_opacity: 0.08,
    plane_opacity: 0.05,
    vignette_opacity: 0.05,
    glows: false,
};

/// The opacities are between those of the two themes, which hardly differ.
static PAGE: Palette = Palette {
    background: "var(--sheet-background)",
    surface: "var(--sheet-surface)",
    raised: "var(--sheet-raised)",
    line: "var(--sheet-line)",
    strong: "var(--sheet-strong)",
    text: "var(--sheet-text)",
    muted: "var(--sheet-muted)",
    note: "var(--sheet-note)",
    accent: "var(--sheet-accent)",
    command: "var(--sheet-command)",
    query: "var(--sheet-query)",
    replay: "var(--sheet-replay)",
    body: Shades {
        top: "var(--sheet-body-top)",
        left: "var(--sheet-body-left)",
        right: "var(--sheet-body-right)",
    },
    slab: "var(--sheet-slab)",
    plinth: Shades {
        top: "var(--sheet-plinth-top)",
        left: "var(--sheet-plinth-left)",
        right: "var(--sheet-plinth-right)",
    },
    neutral: Shades {
        top: "var(--sheet-neutral-top)",
        left: "var(--sheet-neutral-left)",
        right: "var(--sheet-neutral-right)",
    },
    edge_opacity: 0.87,
    icon: "var(--sheet-icon)",
    icon_shade: "var(--sheet-icon-shade)",
    figure: "var(--sheet-figure)",
    groove: "var(--sheet-groove)",
    grid_opacity: 0.07,
    plane_opacity: 0.047,
    vignette_opacity: 0.06,
    glows: true,
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens of the style sheet of the pages.
    const TOKENS: &str = include_str!("../../style/tokens.css");

    fn colors(palette: &Palette) -> Vec<&'static str> {
        let Palette {
            background,
            surface,
            raised,
            line,
            strong,
            text,
            muted,
            note,
            accent,
            command,
            query,
            replay,
            body,
            slab,
            plinth,
            neutral,
            icon,
            icon_shade,
            figure,
            groove,
            ..
        } = *palette;
        let shades = [body, plinth, neutral].map(|shades| [shades.top, shades.left, shades.right]);
        let plain = [
            background, surface, raised, line, strong, text, muted, note, accent, command, query, replay,
            slab, icon, icon_shade, figure, groove,
        ];
        plain.into_iter().chain(shades.into_iter().flatten()).collect()
    }

    /// The declarations of the colours of a palette, under the names of a page.
    fn declarations(palette: &Palette) -> Vec<String> {
        let names = colors(Palette::of_page()).into_iter().map(|name| {
            let name = name.strip_prefix("var(").and_then(|name| name.strip_suffix(')'));
            name.unwrap()
        });
        let pairs = names.zip(colors(palette));
        pairs.map(|(name, color)| format!("{name}: {color};")).collect()
    }

    #[test]
    fn a_page_has_every_colour_of_both_themes_under_its_name() {
        // Light is there twice: by choice, and by the preference of the browser.
        for (theme, times) in [(Theme::Dark, 1), (Theme::Light, 2)] {
            for declaration in declarations(Palette::of(theme)) {
                let found = TOKENS.matches(declaration.as_str()).count();
                assert_eq!(found, times, "{theme:?} {declaration}");
            }
        }
    }
}
