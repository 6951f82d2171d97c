//! The outlines of all lessons: what a learner may know of a lesson before doing it, the same for the server,
//! the pages and the tests of texts.
//!
//! What a lesson does, and which answers are right, is in its file of the teaching service, which the browser
//! never has. The texts of a lesson are found by convention, in the group `lesson_<name>` of the texts:
//! `title`, `summary`, and for each step `<step>_title` and `<step>_text`; with a question also
//! `<step>_question`, for a choice `<step>_answer_1` and so on; with a question or an act `<step>_reveal`;
//! and for the end `exercise`. [`LessonOutline::text_keys`] lists them. What expectations and evidence are
//! about is a [`Fact`], worded once for all lessons as `lesson_facts.<fact>`.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

/// Which of the three paths a lesson belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LessonPath {
    /// First steps.
    FirstSteps,
    /// What keeps views and streams consistent.
    Consistency,
    /// What fails, and what happens then.
    Failure,
}

impl LessonPath {
    /// All paths, in the order that teaches.
    pub const ALL: [Self; 3] = [Self::FirstSteps, Self::Consistency, Self::Failure];

    /// Its name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstSteps => "first_steps",
            Self::Consistency => "consistency",
            Self::Failure => "failure",
        }
    }
}

/// What a step asks, without the right answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionOutline {
    /// One of this many answers, 2 to 4, counted from 1.
    Choices(u8),
    /// A whole number.
    Number,
}

/// A step of a lesson: one idea.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepOutline {
    /// Its name, which is also its anchor in the page.
    pub name: &'static str,
    /// What it asks before it shows.
    pub question: Option<QuestionOutline>,
    /// Whether it does something with the running system.
    pub acts: bool,
    /// The standard term that it explains, as the glossary has it.
    pub term: Option<&'static str>,
    /// The file of the source that does it, as a path in the repository.
    pub source: Option<&'static str>,
}

impl StepOutline {
    /// A step that tells.
    const fn tells(name: &'static str) -> Self {
        Self {
            name,
            question: None,
            acts: false,
            term: None,
            source: None,
        }
    }

    /// A step that does something.
    const fn acts(name: &'static str) -> Self {
        Self {
            acts: true,
            ..Self::tells(name)
        }
    }

    /// A step that asks for one of some answers, then does something.
    const fn asks(name: &'static str, choices: u8) -> Self {
        Self {
            question: Some(QuestionOutline::Choices(choices)),
            ..Self::acts(name)
        }
    }

    /// A step that asks for a number, then does something.
    const fn asks_number(name: &'static str) -> Self {
        Self {
            question: Some(QuestionOutline::Number),
            ..Self::acts(name)
        }
    }

    /// The step with the term that it explains, and the file of the source that does it.
    const fn explains(self, term: &'static str, source: &'static str) -> Self {
        Self {
            term: Some(term),
            source: Some(source),
            ..self
        }
    }

    /// The keys of its texts, in the group of its lesson.
    pub fn text_keys(&self) -> Vec<String> {
        let name = self.name;
        let mut keys = vec![format!("{name}_title"), format!("{name}_text")];
        if let Some(question) = self.question {
            keys.push(format!("{name}_question"));
            if let QuestionOutline::Choices(choices) = question {
                keys.extend((1..=choices).map(|choice| format!("{name}_answer_{choice}")));
            }
        }
        if self.question.is_some() || self.acts {
            keys.push(format!("{name}_reveal"));
        }
        keys
    }
}

/// A lesson, before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LessonOutline {
    /// Its name in the API and in addresses.
    pub name: &'static str,
    /// Its number, 1 to 20, in the order of the course.
    pub number: u8,
    /// The path that it belongs to.
    pub path: LessonPath,
    /// About how many minutes it takes.
    pub minutes: u8,
    /// Its steps, in order.
    pub steps: &'static [StepOutline],
}

impl LessonOutline {
    /// The step of this name, with its number, counted from 1.
    pub fn step(&self, name: &str) -> Option<(u8, &'static StepOutline)> {
        (1..).zip(self.steps).find(|(_, step)| step.name == name)
    }

    /// The group of its texts.
    pub fn text_group(&self) -> String {
        format!("lesson_{}", self.name)
    }

    /// The keys of its texts, in its group.
    pub fn text_keys(&self) -> Vec<String> {
        let of_lesson = ["title", "summary", "exercise"].map(str::to_owned);
        let of_steps = self.steps.iter().flat_map(StepOutline::text_keys);
        of_lesson.into_iter().chain(of_steps).collect()
    }
}

/// The outline of the lesson of this name.
pub fn find(name: &str) -> Option<&'static LessonOutline> {
    LESSONS.iter().find(|lesson| lesson.name == name)
}

/// Declares the facts with their names.
macro_rules! facts {
    ($($(#[$attribute:meta])+ $fact:ident = $name:literal,)+) => {
        /// What an expectation or a piece of evidence of a lesson is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum Fact {
            $($(#[$attribute])+ $fact,)+
        }

        impl Fact {
            /// All facts.
            pub const ALL: &'static [Self] = &[$(Self::$fact),+];

            /// Its name, as in JSON and in the keys of texts.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$fact => $name,)+
                }
            }
        }
    };
}

// A lesson that needs another fact adds its line here, and its text `lesson_facts.<name>`.
facts! {
    /// The right answer is what the run has shown.
    Answer = "answer",
    /// The event that a command appended.
    EventRecorded = "event_recorded",
    /// The number of events that were recorded.
    EventsRecorded = "events_recorded",
    /// The number of events that a view has not folded yet.
    EventsBehind = "events_behind",
    /// The document of the order.
    OrderShown = "order_shown",
    /// The status of the order.
    OrderStatus = "order_status",
    /// The document of the product's stock.
    StockShown = "stock_shown",
    /// The number of units on hand.
    UnitsOnHand = "units_on_hand",
    /// The number of units that can still be sold.
    UnitsAvailable = "units_available",
    /// The HTTP status of an answer.
    AnswerStatus = "answer_status",
    /// The answer to a request.
    AnswerGiven = "answer_given",
    /// The consistency token of a command's answer.
    TokenGiven = "token_given",
    /// The time that a request or a view took.
    TimeTaken = "time_taken",
    /// The version of a stream.
    StreamVersion = "stream_version",
    /// The number of orders that got what they want.
    OrdersConfirmed = "orders_confirmed",
    /// The number of orders that did not.
    OrdersRejected = "orders_rejected",
    /// Whether every view and handler has done all of it.
    Settled = "settled",
    /// The number of units that are reserved beyond what there is.
    UnitsOversold = "units_oversold",
    /// How many units a view shows more than before.
    UnitsMore = "units_more",
    /// How often a view that skips nothing was brought an event.
    Arrivals = "arrivals",
    /// The document of the view that counts arrivals.
    ArrivalsShown = "arrivals_shown",
    /// The number of units that a view counts as sold.
    UnitsSold = "units_sold",
    /// The number of sold units that a view counts too many.
    UnitsExcess = "units_excess",
    /// The document of a product's sales.
    SalesShown = "sales_shown",
    /// The number of units that a view lacks.
    UnitsMissing = "units_missing",
    /// The number of times that the worker of a projection has crashed.
    Crashes = "crashes",
    /// The number of events that a view has put aside as dead letters.
    DeadLetters = "dead_letters",
    /// The number of times that an event was tried.
    Attempts = "attempts",
    /// The number of events that wait behind a dead letter.
    EventsWaiting = "events_waiting",
    /// The number of events that a retry has applied.
    EventsApplied = "events_applied",
    /// The number of units that are reserved.
    UnitsReserved = "units_reserved",
    /// The number of findings of a verification.
    VerifyFindings = "verify_findings",
    /// The number of charges.
    Charges = "charges",
    /// The id of a command.
    CommandId = "command_id",
    /// The rule that a refusal names.
    Rule = "rule",
    /// The event that caused another one.
    Cause = "cause",
    /// The document of the payment.
    PaymentShown = "payment_shown",
    /// The status of the payment.
    PaymentStatus = "payment_status",
    /// What is left to do.
    OpenWork = "open_work",
    /// By how much the clock of the shop was put forward.
    ClockMoved = "clock_moved",
    /// The generation of a view that answers.
    Generation = "generation",
    /// The number of requests that were answered as before.
    ReadsAnswered = "reads_answered",
    /// The number of documents that were compared.
    DocumentsCompared = "documents_compared",
    /// The number of documents that have changed.
    DocumentsChanged = "documents_changed",
    /// The number of orders in a document of a view of one's own.
    OrdersCounted = "orders_counted",
    /// The number of units in a document of a view of one's own.
    UnitsCounted = "units_counted",
    /// The document of a view of one's own.
    OwnViewShown = "own_view_shown",
    /// The line of a file that a refusal names.
    LineNamed = "line_named",
    /// The hash of an event.
    EventHash = "event_hash",
    /// The hash that a forged event has.
    ForgedHash = "forged_hash",
    /// The position up to which a signed checkpoint vouches for the log.
    CheckpointSigned = "checkpoint_signed",
    /// The number of events whose hash was computed again.
    EventsVerified = "events_verified",
    /// The version of an event's schema.
    SchemaVersion = "schema_version",
    /// The payload of an event, as it is stored.
    PayloadStored = "payload_stored",
    /// The number of units that were wanted and not there.
    UnitsWanted = "units_wanted",
    /// The document of an added view.
    ViewShown = "view_shown",
    /// The number of queries that were sent.
    QueriesSent = "queries_sent",
    /// The number of queries that have read the database.
    DatabaseReads = "database_reads",
    /// The price, in minor units.
    PriceShown = "price_shown",
    /// The document of the product.
    ProductShown = "product_shown",
    /// The numbers that readers have seen, one after the other.
    NumbersInOrder = "numbers_in_order",
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The outlines of all lessons, by number.
pub const LESSONS: &[LessonOutline] = &[
    LessonOutline {
        name: "happy_path",
        number: 1,
        path: LessonPath::FirstSteps,
        minutes: 5,
        steps: &[
            StepOutline::tells("shop"),
            StepOutline::asks("place", 3).explains("domain_event", "domain/src/aggregate/order/events.rs"),
            StepOutline::asks_number("follow").explains("process_manager", "domain/src/policy/fulfilment.rs"),
            StepOutline::asks("view", 3).explains("projection", "domain/src/view/orders.rs"),
            StepOutline::asks("causes", 3).explains("correlation_id", "domain/src/event.rs"),
        ],
    },
    LessonOutline {
        name: "projection_lag",
        number: 2,
        path: LessonPath::FirstSteps,
        minutes: 5,
        steps: &[
            StepOutline::asks("pause", 3).explains("event_store", "server/boxes/command/src/service.rs"),
            StepOutline::asks("stale", 3).explains("eventual_consistency", "server/boxes/query/src/lib.rs"),
            StepOutline::asks_number("count").explains("lag", "server/boxes/projection/src/progress.rs"),
            StepOutline::asks("catch_up", 3).explains("checkpoint", "server/boxes/projection/src/lane.rs"),
        ],
    },
    LessonOutline {
        name: "read_your_writes",
        number: 3,
        path: LessonPath::FirstSteps,
        minutes: 5,
        steps: &[
            StepOutline::asks("broken", 3).explains("eventual_consistency", "server/boxes/query/src/lib.rs"),
            StepOutline::asks("token", 3).explains("consistency_token", "domain/src/token.rs"),
            StepOutline::asks("wait", 3).explains("read_your_writes", "server/boxes/query/src/lib.rs"),
            StepOutline::asks("timeout", 3).explains("timeout", "server/boxes/query/src/error.rs"),
        ],
    },
    LessonOutline {
        name: "last_item",
        number: 4,
        path: LessonPath::FirstSteps,
        minutes: 5,
        steps: &[
            StepOutline::acts("one_left").explains("aggregate", "domain/src/aggregate/inventory.rs"),
            StepOutline::asks("race", 3).explains("expected_version", "domain/src/policy/fulfilment.rs"),
            StepOutline::asks("conflict", 3)
                .explains("optimistic_concurrency", "server/boxes/event_store/src/lib.rs"),
            StepOutline::asks("again", 3).explains("decider", "server/boxes/command/src/retry.rs"),
        ],
    },
    LessonOutline {
        name: "last_item_unchecked",
        number: 5,
        path: LessonPath::Consistency,
        minutes: 6,
        steps: &[
            StepOutline::acts("unchecked")
                .explains("optimistic_concurrency", "server/services/lab/src/dials/store.rs"),
            StepOutline::asks("race", 3)
                .explains("race_condition", "server/services/lab/src/dials/race_window.rs"),
            StepOutline::asks("stock", 3).explains("invariant", "domain/src/aggregate/inventory.rs"),
            StepOutline::asks("sound", 3).explains("append_only", "server/boxes/monitor/src/verify.rs"),
            StepOutline::asks("mend", 3).explains("compensation", "domain/src/policy/fulfilment.rs"),
        ],
    },
    LessonOutline {
        name: "duplicate_delivery",
        number: 6,
        path: LessonPath::Consistency,
        minutes: 5,
        steps: &[
            StepOutline::asks("twice", 3).explains("at_least_once", "server/boxes/broker/src/lib.rs"),
            StepOutline::asks("lost", 3).explains("acknowledgement", "server/boxes/broker/src/in_process.rs"),
            StepOutline::asks_number("alike")
                .explains("duplicate_detection", "server/boxes/projection/src/lane.rs"),
            StepOutline::asks_number("once")
                .explains("exactly_once", "server/services/process_manager/src/runner.rs"),
        ],
    },
    LessonOutline {
        name: "duplicates_counted",
        number: 7,
        path: LessonPath::Consistency,
        minutes: 6,
        steps: &[
            StepOutline::acts("build").explains("projection", "domain/src/view/own.rs"),
            StepOutline::asks_number("twice")
                .explains("idempotence", "server/boxes/projection/src/lane/unguarded.rs"),
            StepOutline::asks("truth", 3).explains("source_of_truth", "server/boxes/monitor/src/verify.rs"),
            StepOutline::asks("calm", 3)
                .explains("checkpoint", "server/boxes/projection/src/batch_commit.rs"),
            StepOutline::asks("rebuild", 3).explains("rebuild", "server/boxes/projection/src/rebuild.rs"),
        ],
    },
    LessonOutline {
        name: "out_of_order",
        number: 8,
        path: LessonPath::Consistency,
        minutes: 6,
        steps: &[
            StepOutline::asks("swap", 3).explains("position", "server/boxes/broker/src/lib.rs"),
            StepOutline::asks_number("arrivals")
                .explains("gap_detection", "server/boxes/projection/src/history.rs"),
            StepOutline::asks("without", 3)
                .explains("silent_loss", "server/boxes/projection/src/lane/unguarded.rs"),
            StepOutline::asks("cure", 3).explains("rebuild", "server/boxes/projection/src/rebuild.rs"),
        ],
    },
    LessonOutline {
        name: "crashed_worker",
        number: 9,
        path: LessonPath::Failure,
        minutes: 5,
        steps: &[
            StepOutline::acts("busy"),
            StepOutline::asks("crash", 3)
                .explains("transaction", "server/boxes/projection/src/batch_commit.rs"),
            StepOutline::asks("restart", 3)
                .explains("supervisor", "server/boxes/projection/src/lane_group.rs"),
            StepOutline::asks_number("again").explains("exactly_once", "server/boxes/projection/src/lane.rs"),
        ],
    },
    LessonOutline {
        name: "poison_event",
        number: 10,
        path: LessonPath::Failure,
        minutes: 5,
        steps: &[
            StepOutline::asks("poison", 3).explains("poison_event", "server/boxes/projection/src/retry.rs"),
            StepOutline::asks("behind", 3)
                .explains("head_of_line_blocking", "server/boxes/projection/src/fold.rs"),
            StepOutline::asks("retry", 3)
                .explains("dead_letter", "server/boxes/projection/src/dead_letters.rs"),
            StepOutline::asks_number("mend")
                .explains("redrive", "server/boxes/gateway/src/api/dead_letters.rs"),
        ],
    },
    LessonOutline {
        name: "idempotency_key",
        number: 11,
        path: LessonPath::FirstSteps,
        minutes: 5,
        steps: &[
            StepOutline::asks("twice", 3).explains("at_least_once", "app/src/live/command_queue.rs"),
            StepOutline::asks("key", 3).explains("idempotency_key", "server/boxes/command/src/intent.rs"),
            StepOutline::asks("at_once", 3)
                .explains("race_condition", "migrations/sqlite/events/0001_the_log.sql"),
            StepOutline::asks("other", 3)
                .explains("request_fingerprint", "server/boxes/command/src/intent.rs"),
            StepOutline::asks_number("without")
                .explains("idempotence", "server/services/lab/src/dials/store.rs"),
        ],
    },
    LessonOutline {
        name: "payment_fails",
        number: 12,
        path: LessonPath::Failure,
        minutes: 5,
        steps: &[
            StepOutline::asks("declined", 3).explains(
                "local_transaction",
                "server/boxes/command/src/handlers/place_order.rs",
            ),
            StepOutline::asks_number("follow").explains("process_manager", "domain/src/policy/fulfilment.rs"),
            StepOutline::asks("release", 3).explains("compensation", "domain/src/policy/fulfilment.rs"),
            StepOutline::asks("refund", 3).explains("append_only", "domain/src/aggregate/payment.rs"),
        ],
    },
    LessonOutline {
        name: "payment_times_out",
        number: 13,
        path: LessonPath::Failure,
        minutes: 6,
        steps: &[
            StepOutline::asks("silence", 3).explains("timeout", "server/services/payment/src/lib.rs"),
            StepOutline::asks("in_time", 3)
                .explains("idempotency_key", "server/services/payment/src/test_mode.rs"),
            StepOutline::asks("deadline", 3).explains("deadline", "domain/src/policy/fulfilment.rs"),
            StepOutline::asks("late", 3).explains("compensation", "domain/src/policy/fulfilment.rs"),
        ],
    },
    LessonOutline {
        name: "deadline",
        number: 14,
        path: LessonPath::Failure,
        minutes: 6,
        steps: &[
            StepOutline::asks("wait", 3).explains("durable_timer", "domain/src/policy/process.rs"),
            StepOutline::asks("crash", 3)
                .explains("process_manager", "server/services/process_manager/src/runner.rs"),
            StepOutline::asks("down", 3)
                .explains("durable_timer", "server/services/process_manager/src/timers.rs"),
            StepOutline::asks("leap", 3).explains("virtual_time", "server/ground/workspace_clock/src/lib.rs"),
        ],
    },
    LessonOutline {
        name: "rebuild",
        number: 15,
        path: LessonPath::Consistency,
        minutes: 5,
        steps: &[
            StepOutline::asks("meanwhile", 3)
                .explains("blue_green", "server/boxes/projection/src/generation_switch.rs"),
            StepOutline::asks("new_orders", 3).explains("rebuild", "server/boxes/projection/src/build.rs"),
            StepOutline::asks("same", 3).explains("fold", "domain/src/view/orders.rs"),
            StepOutline::asks_number("effects")
                .explains("side_effect", "server/services/lab/src/dials/replay.rs"),
        ],
    },
    LessonOutline {
        name: "own_view",
        number: 16,
        path: LessonPath::FirstSteps,
        minutes: 6,
        steps: &[
            StepOutline::asks("define", 3).explains("replay", "domain/src/view/own.rs"),
            StepOutline::asks_number("live")
                .explains("projection", "server/boxes/projection/src/own_views.rs"),
            StepOutline::asks("alone", 3).explains("loose_coupling", "server/boxes/broker/src/lib.rs"),
            StepOutline::asks("anew", 3).explains("derived_data", "server/services/lab/src/own_views.rs"),
        ],
    },
    LessonOutline {
        name: "old_version",
        number: 17,
        path: LessonPath::Consistency,
        minutes: 6,
        steps: &[
            StepOutline::asks("import", 3).explains("schema_version", "domain/src/aggregate/inventory.rs"),
            StepOutline::asks_number("upcast").explains("upcaster", "domain/src/event_type/upcast.rs"),
            StepOutline::asks("grow", 3).explains("schema_evolution", "domain/src/event/registry.rs"),
            StepOutline::asks("rewrite", 3)
                .explains("immutability", "server/boxes/event_store/src/chain_head.rs"),
        ],
    },
    LessonOutline {
        name: "cache_stampede",
        number: 18,
        path: LessonPath::Consistency,
        minutes: 5,
        steps: &[
            StepOutline::asks_number("stampede")
                .explains("single_flight", "server/boxes/cache/src/in_process.rs"),
            StepOutline::asks("off", 3).explains("cache_stampede", "server/boxes/query/src/read_hops.rs"),
            StepOutline::asks("fresh", 3).explains("cache_invalidation", "server/boxes/cache/src/lib.rs"),
            StepOutline::asks("stale", 3).explains("stale_read", "server/services/lab/src/dials/cache.rs"),
        ],
    },
    LessonOutline {
        name: "burst",
        number: 19,
        path: LessonPath::Failure,
        minutes: 5,
        steps: &[
            StepOutline::asks("wave", 3).explains("load_leveling", "server/boxes/command/src/service.rs"),
            StepOutline::asks("others", 3).explains("bulkhead", "server/boxes/projection/src/lane.rs"),
            StepOutline::asks_number("drain")
                .explains("throughput", "server/boxes/projection/src/lane_controls.rs"),
            StepOutline::asks("prefix", 3)
                .explains("consistent_prefix", "server/boxes/projection/src/batch_commit.rs"),
        ],
    },
    LessonOutline {
        name: "tampering",
        number: 20,
        path: LessonPath::Failure,
        minutes: 6,
        steps: &[
            StepOutline::asks("change", 3).explains("hash_chain", "domain/src/event.rs"),
            StepOutline::asks("hide", 3)
                .explains("audit_trail", "server/boxes/event_store/src/chain_head.rs"),
            StepOutline::asks("forge", 3).explains("tamper_evidence", "server/boxes/monitor/src/import.rs"),
            StepOutline::asks("rewrite", 3)
                .explains("signed_checkpoint", "server/boxes/monitor/src/checkpoint/note.rs"),
        ],
    },
];

/// The standard terms that lessons explain, each once, in the order of the alphabet.
pub fn terms() -> BTreeSet<&'static str> {
    let steps = LESSONS.iter().flat_map(|lesson| lesson.steps);
    steps.filter_map(|step| step.term).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of lessons, steps and facts are parts of paths, anchors and keys of texts.
    fn is_name(name: &str) -> bool {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.len() <= 40 && name.chars().all(is_plain)
    }

    #[test]
    fn lessons_are_listed_by_number_and_each_has_its_name_once() {
        let numbers: Vec<_> = LESSONS.iter().map(|lesson| lesson.number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        let names: BTreeSet<_> = LESSONS.iter().map(|lesson| lesson.name).collect();
        assert_eq!(names.len(), LESSONS.len());
        for lesson in LESSONS {
            assert!(is_name(lesson.name), "{}", lesson.name);
            assert_eq!(find(lesson.name), Some(lesson));
            assert!((1..=30).contains(&lesson.minutes), "{}", lesson.name);
        }
        assert_eq!(find("no_such_lesson"), None);
    }

    #[test]
    fn a_lesson_has_a_few_steps_each_with_its_name_and_a_question_that_can_be_answered() {
        for lesson in LESSONS {
            let names: BTreeSet<_> = lesson.steps.iter().map(|step| step.name).collect();
            assert_eq!(names.len(), lesson.steps.len(), "{}", lesson.name);
            assert!((2..=9).contains(&names.len()), "{}", lesson.name);
            for (n, step) in (1..).zip(lesson.steps) {
                assert!(is_name(step.name), "{}", step.name);
                assert_eq!(lesson.step(step.name), Some((n, step)));
                if let Some(QuestionOutline::Choices(choices)) = step.question {
                    assert!((2..=4).contains(&choices), "{} {}", lesson.name, step.name);
                }
                assert!(step.term.is_none_or(is_name), "{} {}", lesson.name, step.name);
            }
            let asks = lesson.steps.iter().filter(|step| step.question.is_some()).count();
            assert!(asks >= 2, "{} asks before it shows", lesson.name);
        }
    }

    #[test]
    fn the_keys_of_texts_follow_from_the_outline() {
        let asks = StepOutline::asks("race", 2).text_keys();
        let rest = ["title", "text", "question", "answer_1", "answer_2", "reveal"];
        assert_eq!(asks, rest.map(|key| format!("race_{key}")));
        assert_eq!(
            StepOutline::tells("shop").text_keys(),
            ["shop_title", "shop_text"]
        );
        let acts = StepOutline::acts("one_left").text_keys();
        assert_eq!(acts, ["one_left_title", "one_left_text", "one_left_reveal"]);
        let lesson = find("last_item").unwrap();
        assert_eq!(lesson.text_group(), "lesson_last_item");
        let keys = lesson.text_keys();
        let unique: BTreeSet<_> = keys.iter().collect();
        assert_eq!(unique.len(), keys.len(), "{keys:?}");
    }

    #[test]
    fn a_fact_is_written_by_its_name() {
        for fact in Fact::ALL {
            assert!(is_name(fact.as_str()), "{fact}");
            let json = serde_json::to_string(fact).unwrap();
            assert_eq!(json, format!("\"{fact}\""));
            assert_eq!(serde_json::from_str::<Fact>(&json).unwrap(), *fact);
        }
    }
}
