//! What a caller chooses: the sheet, its format, its theme, and the names that follow the running
//! configuration.

/// Declares an enum of choices, with the words that stand for them in a URL.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self::ALL[0]
            }
        }

        impl $name {
            /// All of them; the first one is the default.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$variant),*];

            /// The word that stands for it in a URL.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The one that this word stands for.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|it| it.as_str() == word)
            }
        }
    };
}

choice! {
    /// What is drawn.
    Sheet {
        /// The Event Sourcing Pattern: twelve boxes and thirteen arrows.
        Pattern "pattern",
        /// The Event-Driven Architecture: producers, the event bus, consumers with their sinks, and CQRS.
        Business "business",
    }
}

choice! {
    /// The shape of the canvas.
    Format {
        /// Landscape, for slides and pages.
        Wide "wide",
        /// Portrait, for phones and posters.
        Tall "tall",
    }
}

choice! {
    /// The colours.
    Theme {
        /// Green on graphite.
        Dark "dark",
        /// For projectors and daylight.
        Light "light",
    }
}

choice! {
    /// What carries the events of this installation.
    Bus {
        /// Events go through Kafka.
        Kafka "kafka",
        /// Events stay within the program.
        InProcess "in_process",
    }
}

choice! {
    /// What answers searches in this installation.
    Search {
        /// A cluster of Elasticsearch.
        Elasticsearch "elasticsearch",
        /// The index within the program.
        Embedded "embedded",
    }
}

/// The names on the sheet [`Sheet::Business`] that follow the running configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Names {
    /// What carries the events.
    pub bus: Bus,
    /// What answers searches.
    pub search: Search,
}

impl Names {
    /// The names of the document that defines the sheet.
    pub const DOCUMENT: Self = Self {
        bus: Bus::Kafka,
        search: Search::Elasticsearch,
    };

    /// The label that stands for `id` in this configuration: two of the labels have alternatives.
    pub(crate) fn resolve(self, id: &str) -> String {
        match id {
            "business.box.event_bus" => format!("{id}.{}", self.bus.as_str()),
            "business.box.search" => format!("{id}.{}", self.search.as_str()),
            _ => id.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_stands_for_one_choice() {
        for sheet in Sheet::ALL {
            assert_eq!(Sheet::parse(sheet.as_str()), Some(sheet));
        }
        assert_eq!(Format::parse("round"), None);
    }

    #[test]
    fn only_two_names_follow_the_configuration() {
        let names = Names {
            bus: Bus::InProcess,
            search: Search::Embedded,
        };
        assert_eq!(
            names.resolve("business.box.event_bus"),
            "business.box.event_bus.in_process"
        );
        assert_eq!(names.resolve("business.box.read_db"), "business.box.read_db");
    }
}
