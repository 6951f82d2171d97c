//! A question of the class as a page follows it: its document, and its words in the page's language.

use domain::wire::QuestionWords;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    erased_signals::{Memo, RwSignal},
    lab::class::{PREDICTIONS, Share, choices_of, is_asked, is_revealed, tally},
    language::language,
    live::{
        progress::Progress,
        store::{InitialDocument, LiveDocument},
    },
    text,
};

/// A question that a page came with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct InitialRound {
    /// The document of the question.
    pub(crate) question: InitialDocument,
    /// The person's own answer.
    pub(crate) answer: InitialDocument,
    /// The words.
    pub(crate) words: QuestionWords,
}

/// A question that is followed.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    document: LiveDocument<Value>,
    words: RwSignal<QuestionWords>,
}

impl Round {
    /// Follows the question with this id, from what the page came with if it did.
    pub(crate) fn new(id: &str, initial: Option<(InitialDocument, QuestionWords)>) -> Self {
        let (document, words) = initial.unzip();
        let round = Self {
            document: followed(id, document),
            words: RwSignal::new(words.unwrap_or_default()),
        };
        #[cfg(not(feature = "ssr"))]
        browser::load_words(id.to_owned(), round);
        round
    }

    /// Whether the question is there. Tracked, like all that follows.
    pub(crate) fn is_known(self) -> bool {
        self.read(|_| ()).is_some()
    }

    /// Reads the document; `None` while the question is not there.
    pub(crate) fn read<T>(self, read: impl FnOnce(&Value) -> T) -> Option<T> {
        let (document, _) = self.document.get()?;
        is_asked(&document).then(|| read(&document))
    }

    /// The progress of the view.
    pub(crate) fn progress(self) -> Signal<Progress> {
        self.document.progress()
    }

    /// The number of choices; `None` where a number answers.
    pub(crate) fn choices(self) -> Option<i64> {
        self.read(choices_of).flatten()
    }

    /// Whether the right answer is revealed.
    pub(crate) fn is_revealed(self) -> bool {
        self.read(is_revealed).unwrap_or_default()
    }

    /// The bars of the tally.
    pub(crate) fn shares(self) -> Memo<Vec<Share>> {
        Memo::new(move |_| self.read(tally).unwrap_or_default())
    }

    /// The words of the question.
    pub(crate) fn question(self) -> String {
        self.words.with(|words| words.question.clone())
    }

    /// The words of an answer: of a choice its label, or else its number; `None` stands for other numbers.
    pub(crate) fn label(self, answer: Option<i64>) -> String {
        let language = language();
        let Some(answer) = answer else {
            return text::class::other_numbers(language).to_owned();
        };
        if self.choices().is_none() {
            return answer.to_string();
        }
        let place = usize::try_from(answer).unwrap_or_default().checked_sub(1);
        let words = self.words.with(|words| {
            words
                .answers
                .get(place?)
                .filter(|words| !words.is_empty())
                .cloned()
        });
        words.unwrap_or_else(|| text::class::answer_number(language, answer))
    }
}

/// Follows a document of the view, from what the page came with if it did.
pub(super) fn followed(key: &str, initial: Option<InitialDocument>) -> LiveDocument<Value> {
    if let Some(initial) = initial {
        return LiveDocument::new(initial);
    }
    #[cfg(not(feature = "ssr"))]
    {
        LiveDocument::read(PREDICTIONS, key)
    }
    #[cfg(feature = "ssr")]
    {
        LiveDocument::new(InitialDocument {
            view: PREDICTIONS.to_owned(),
            key: key.to_owned(),
            answer: None,
        })
    }
}

/// The state of the class, followed while the page is open.
pub(crate) fn followed_class(state: Value) -> RwSignal<Value> {
    let state = RwSignal::new(state);
    #[cfg(not(feature = "ssr"))]
    browser::follow(state);
    state
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! The requests, and the live connection.

    use domain::wire::{LabTopic, ServerFrame};
    use serde_json::Value;

    use super::Round;
    use crate::{
        api,
        erased_effects::{effect, spawn},
        erased_signals::RwSignal,
        live::{
            protocol::Link,
            store::{follow_lab, typed, use_link},
        },
    };

    pub(super) fn follow(state: RwSignal<Value>) {
        follow_lab(LabTopic::Class, move |frame| {
            if let ServerFrame::Class { data, .. } = frame {
                state.set(data);
            }
        });
    }

    /// Loads the words that the page did not come with, again with each connection until they are there.
    pub(super) fn load_words(id: String, round: Round) {
        use leptos::prelude::Get as _;

        let link = use_link();
        effect(move || {
            let is_live = link.get() == Link::Live;
            let is_there = round.words.with_untracked(|words| !words.question.is_empty());
            if is_there || !is_live {
                return;
            }
            let id = id.clone();
            spawn(async move {
                if let Ok(words) = api::class::question_words(&id).await
                    && let Some(words) = typed(&words)
                {
                    round.words.set(words);
                }
            });
        });
    }
}
