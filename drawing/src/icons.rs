//! The icons: one hand, a grid of 24, lines of 1.45 with round ends, no areas.
//!
//! They are drawn for this product and show no vendor's mark.

use serde::Deserialize;

/// How thick the lines of an icon are, on its grid of 24.
pub(crate) const STROKE: f64 = 1.45;

/// An icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Icon {
    /// A browser window.
    Browser,
    /// An arch with a way through it.
    Gateway,
    /// A service.
    Cube,
    /// A gear around an entity.
    Gear,
    /// A cylinder that is appended to.
    Log,
    /// A queue that is read.
    Queue,
    /// A node of two units.
    Node,
    /// A cylinder that is searched.
    QueryDatabase,
    /// A stack.
    Stack,
    /// Braces around a body.
    Braces,
    /// A terminal.
    Terminal,
    /// A cloud, of no vendor.
    Cloud,
    /// A shopping bag.
    Bag,
    /// A person.
    Person,
    /// A payment card.
    Card,
    /// A parcel.
    Parcel,
    /// A bell.
    Bell,
    /// Bars.
    Chart,
    /// A magnifying glass.
    Search,
    /// An envelope.
    Mail,
    /// A cylinder.
    Database,
    /// A warehouse.
    Warehouse,
    /// A pen, which writes.
    Pen,
    /// An eye, which reads.
    Eye,
}

impl Icon {
    /// The data of its path.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Browser => "M3 5h18v14H3zM3 9.5h18M5.7 7.3h.1M8.2 7.3h.1M10.7 7.3h.1M7 13h6M7 16h9",
            Self::Gateway => {
                "M4.5 20.5V11a7.5 7.5 0 0 1 15 0v9.5M2.5 20.5h19M8.3 14.5h7M12.6 11.6l2.9 2.9-2.9 2.9"
            }
            Self::Cube => "M12 3l8 4.5v9l-8 4.5-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
            Self::Gear => {
                "M10 5.2l.6-2h2.8l.6 2 1.8.8 1.9-1 2 2-1 1.9.8 1.8 2 .6v2.8\
                 l-2 .6-.8 1.8 1 1.9-2 2-1.9-1-1.8.8-.6 2h-2.8\
                 l-.6-2-1.8-.8-1.9 1-2-2 1-1.9-.8-1.8-2-.6v-2.8l2-.6.8-1.8-1-1.9 2-2 1.9 1zM12 9.6\
                 l2.4 1.3v2.7L12 15l-2.4-1.4v-2.7z"
            }
            Self::Log => {
                "M4.5 5.5c0-1.4 3.4-2.5 7.5-2.5s7.5 1.1 7.5 2.5S16.1 8 12 8 4.5 6.9 4.5 5.5zM4.5 5.5\
                 v13c0 1.4 3.4 2.5 7.5 2.5 1 0 2-.1 2.8-.2M19.5 5.5V14M4.5 10c0 1.4 3.4 2.5 7.5 2.5\
                 s7.5-1.1 7.5-2.5M4.5 14.3c0 1.4 3.4 2.5 7.5 2.5M18.5 16v5M16 18.5h5"
            }
            Self::Queue => {
                "M3 6h4.5v12H3zM9.7 6h4.5v12H9.7zM17.5 12H22M19.5 9.3l2.7 2.7-2.7 2.7M5.2 9v6M12 9v6"
            }
            Self::Node => "M4 4h16v6H4zM4 14h16v6H4zM7 7h.1M7 17h.1M10.5 7h6M10.5 17h6M12 10v4",
            Self::QueryDatabase => {
                "M4.5 5.5c0-1.4 3.4-2.5 7.5-2.5s7.5 1.1 7.5 2.5S16.1 8 12 8 4.5 6.9 4.5 5.5zM4.5 5.5\
                 v13c0 1.4 3.2 2.5 7 2.5M19.5 5.5V11M4.5 12c0 1.4 3 2.4 6.5 2.5M13.5 15.8\
                 a2.8 2.8 0 1 0 5.6 0a2.8 2.8 0 1 0-5.6 0zM18.4 17.9l2.8 2.9"
            }
            Self::Stack => "M12 3.5l8.5 4.3L12 12.1 3.5 7.8zM3.5 12l8.5 4.3 8.5-4.3M3.5 16.2l8.5 4.3 8.5-4.3",
            Self::Braces => {
                "M8 4.5\
                 c-2.5 0-2.5 1-2.5 3.2 0 2.3 0 4.3-2.5 4.3 2.5 0 2.5 2 2.5 4.3 0 2.2 0 3.2 2.5 3.2\
                 M16 4.5\
                 c2.5 0 2.5 1 2.5 3.2 0 2.3 0 4.3 2.5 4.3-2.5 0-2.5 2-2.5 4.3 0 2.2 0 3.2-2.5 3.2\
                 M8.8 12h.1M12 12h.1M15.2 12h.1"
            }
            Self::Terminal => "M3 4.5h18v15H3zM6.5 9l3 3-3 3M12 15.2h5.5",
            Self::Cloud => "M7 18.5a4.3 4.3 0 0 1-.5-8.6A5.8 5.8 0 0 1 17.6 9.2a4.7 4.7 0 0 1-.4 9.3z",
            Self::Bag => "M6 8h12l1 12.5H5zM9 8V6.5a3 3 0 0 1 6 0V8M9 12.5l2.2 2.2 3.8-3.9",
            Self::Person => {
                "M8.2 8a3.8 3.8 0 1 0 7.6 0a3.8 3.8 0 1 0-7.6 0zM4.5 20.5c.6-4 3.6-6 7.5-6s6.9 2 7.5 6"
            }
            Self::Card => "M3 5.5h18v13H3zM3 10h18M6.5 14.8h4M15.5 14.8h2",
            Self::Parcel => {
                "M3.5 7.5L12 3l8.5 4.5v9L12 21l-8.5-4.5zM3.5 7.5L12 12l8.5-4.5M12 12v9M7.7 5.3l8.5 4.5"
            }
            Self::Bell => "M6 16.5V11a6 6 0 0 1 12 0v5.5l1.5 2h-15zM10 21h4",
            Self::Chart => "M4 4v16h16M8 16v-4M12 16V8M16 16v-6",
            Self::Search => "M4 10.5a6.5 6.5 0 1 0 13 0a6.5 6.5 0 1 0-13 0zM15.3 15.3L20.5 20.5M7.5 10.5h6",
            Self::Mail => "M3 5.5h18v13H3zM3 6.5l9 7 9-7",
            Self::Database => {
                "M4.5 5.5c0-1.4 3.4-2.5 7.5-2.5s7.5 1.1 7.5 2.5S16.1 8 12 8 4.5 6.9 4.5 5.5zM4.5 5.5\
                 v13c0 1.4 3.4 2.5 7.5 2.5s7.5-1.1 7.5-2.5v-13M4.5 12c0 1.4 3.4 2.5 7.5 2.5\
                 s7.5-1.1 7.5-2.5"
            }
            Self::Warehouse => "M3 10l9-6 9 6v10.5H3zM7 20.5v-7h10v7M7 17h10",
            Self::Pen => "M4 20l1-4.5L16 4.5l3.5 3.5L8.5 19zM13.5 7l3.5 3.5M13 20h7",
            Self::Eye => {
                "M2.5 12c2.5-4.3 5.7-6.5 9.5-6.5s7 2.2 9.5 6.5c-2.5 4.3-5.7 6.5-9.5 6.5S5 16.3 2.5 12z\
                 M9.2 12a2.8 2.8 0 1 0 5.6 0a2.8 2.8 0 1 0-5.6 0z"
            }
        }
    }
}
