//! What the parts of the page share: the state of the class, and what the educator does with it. One thing is
//! done at a time. What is tried again after a lost answer has the same ids, so that it is not done twice.

use leptos::prelude::*;
use serde_json::Value;

use super::LessonChoice;
use crate::{
    erased_signals::RwSignal,
    islands::class::followed_class,
    lab::class::{QuestionSource, list_of, text_of},
};

/// What an educator does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// Asks a question with so many choices, or for a number.
    Ask(QuestionSource, Option<u8>),
    /// Reveals the right answer of the question with this id.
    Reveal(String, i64),
    /// Takes the question away.
    Close,
    /// Keeps everybody on a step of a lesson.
    Stay {
        /// The name of the lesson.
        lesson: String,
        /// The name of its step.
        step: String,
    },
    /// Lets everybody go on.
    GoOn,
    /// Calls everybody to order.
    CallOrders,
    /// Hands a dial to the person with this id.
    Hand {
        /// The dial, as the pages show it.
        dial: String,
        /// The person.
        person: String,
    },
    /// Takes a dial back.
    TakeBack(String),
    /// Lets so many bots in, which place so many orders in a minute.
    StartBots(u32, u32),
    /// Sends them away.
    StopBots,
    /// Makes up to so many copies.
    Copy(u32),
    /// Resets the workspace to a template.
    Reset(&'static str),
}

/// The state of the page.
#[derive(Clone, Copy)]
pub(super) struct ClassSession {
    /// The newest state of the class.
    pub(super) state: RwSignal<Value>,
    /// What the bots have done.
    pub(super) bots: RwSignal<Value>,
    /// The lessons that can be chosen.
    pub(super) lessons: StoredValue<Vec<LessonChoice>>,
    /// Why the last thing that was done was refused; empty if it was not.
    pub(super) refusal: RwSignal<String>,
    /// What was done.
    pub(super) outcome: RwSignal<String>,
    /// Whether something is being done.
    pub(super) is_busy: RwSignal<bool>,
    #[cfg(not(feature = "ssr"))]
    attempt: StoredValue<Option<(Deed, uuid::Uuid)>>,
}

impl ClassSession {
    pub(super) fn new(state: Value, lessons: Vec<LessonChoice>) -> Self {
        Self {
            state: followed_class(state),
            bots: RwSignal::new(Value::Null),
            lessons: StoredValue::new(lessons),
            refusal: RwSignal::new(String::new()),
            outcome: RwSignal::new(String::new()),
            is_busy: RwSignal::new(false),
            #[cfg(not(feature = "ssr"))]
            attempt: StoredValue::new(None),
        }
    }

    /// The people of the class, as the state has them. Tracked.
    pub(super) fn roster(self) -> Vec<Value> {
        self.state.with(|state| list_of(state, "roster").to_vec())
    }

    /// The person with this id. Tracked.
    pub(super) fn member(self, person: &str) -> Option<Value> {
        self.state.with(|state| {
            let mut roster = list_of(state, "roster").iter();
            roster.find(|member| text_of(member, "person") == person).cloned()
        })
    }

    /// Does something.
    pub(super) fn act(self, deed: Deed) {
        #[cfg(not(feature = "ssr"))]
        browser::act(self, deed);
        #[cfg(feature = "ssr")]
        let _ = (self, deed);
    }

    /// Follows the bots while the page is open.
    #[cfg(not(feature = "ssr"))]
    pub(super) fn follow(self) {
        browser::follow(self);
    }
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! The requests.

    use std::time::Duration;

    use domain::wire::Problem;
    use leptos::prelude::*;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::{ClassSession, Deed};
    use crate::{
        api::class,
        components::{dial_name, explain},
        erased_effects::{effect, spawn},
        id::new_id,
        lab::{
            class::{number_of, text_of},
            dials::names_in_api,
        },
        language::language,
        text,
    };

    /// How often the bots are asked about while the page is visible.
    const PATIENCE: Duration = Duration::from_secs(5);

    pub(super) fn follow(session: ClassSession) {
        effect(move || {
            read_bots(session);
            // It runs as long as the page is open.
            let _ = set_interval_with_handle(
                move || {
                    if !document().hidden() {
                        read_bots(session);
                    }
                },
                PATIENCE,
            );
        });
    }

    fn read_bots(session: ClassSession) {
        spawn(async move {
            // What cannot be read now is read with the next attempt.
            if let Ok(bots) = class::bots().await {
                session.bots.set(bots);
            }
        });
    }

    pub(super) fn act(session: ClassSession, deed: Deed) {
        if session.is_busy.get_untracked() {
            return;
        }
        session.is_busy.set(true);
        session.refusal.set(String::new());
        session.outcome.set(String::new());
        let before = session.attempt.get_value();
        let id = before
            .filter(|(tried, _)| *tried == deed)
            .map_or_else(new_id, |(_, id)| id);
        session.attempt.set_value(Some((deed.clone(), id)));
        spawn(async move {
            match carry_out(session, deed, id).await {
                Ok(words) => {
                    session.attempt.set_value(None);
                    session.outcome.set(words);
                    read_state(session).await;
                }
                Err(problem) => {
                    // An answer that was not lost is an end: the next attempt is another one.
                    if problem.status != 0 && problem.status < 500 {
                        session.attempt.set_value(None);
                    }
                    session.refusal.set(explain(&problem));
                }
            }
            session.is_busy.set(false);
        });
    }

    /// Does it, and says what was done.
    async fn carry_out(session: ClassSession, deed: Deed, id: Uuid) -> Result<String, Problem> {
        let language = language();
        let words = match deed {
            Deed::Ask(source, choices) => {
                class::ask(id, &source, choices).await?;
                text::lab_class::asked(language)
            }
            Deed::Reveal(question, right) => {
                class::reveal(&question, right, id).await?;
                text::lab_class::revealed(language)
            }
            Deed::Close => {
                class::change_class(|_| json!({ "question": null })).await?;
                text::lab_class::closed(language)
            }
            Deed::Stay { lesson, step } => {
                let stay = |_: &Value| json!({ "lesson": lesson, "step": step, "locked": true });
                class::change_class(stay).await?;
                text::lab_class::locked(language)
            }
            Deed::GoOn => {
                class::change_class(|_| json!({ "locked": false })).await?;
                text::lab_class::unlocked(language)
            }
            Deed::CallOrders => {
                class::call_orders().await?;
                text::lab_class::called(language)
            }
            Deed::Hand { dial, person } => {
                for name in names_in_api(&dial) {
                    class::hand_dial(&name, &person).await?;
                }
                let member = untrack(|| session.member(&person));
                let name = member.map(|member| text_of(&member, "name").to_owned());
                let to = name.unwrap_or_default();
                return Ok(text::lab_class::handed_to(language, dial_name(&dial), to));
            }
            Deed::TakeBack(dial) => {
                for name in names_in_api(&dial) {
                    class::take_dial(&name).await?;
                }
                return Ok(text::lab_class::taken_back(language, dial_name(&dial)));
            }
            Deed::StartBots(count, orders_per_minute) => {
                session
                    .bots
                    .set(class::start_bots(count, orders_per_minute).await?);
                text::lab_class::bots_started(language)
            }
            Deed::StopBots => {
                class::stop_bots().await?;
                session.bots.set(class::bots().await?);
                text::lab_class::bots_stopped(language)
            }
            Deed::Copy(count) => {
                let answer = class::copy_workspace(count).await?;
                let (made, without) = (number_of(&answer, "made"), number_of(&answer, "without"));
                return Ok(text::lab_class::copied(language, made, without));
            }
            Deed::Reset(to) => {
                class::reset(to).await?;
                text::lab_class::reset_done(language)
            }
        };
        Ok(words.to_owned())
    }

    /// Shows the newest state, also where the live connection is lost.
    async fn read_state(session: ClassSession) {
        if let Ok(state) = class::class().await {
            session.state.set(state);
        }
    }
}
