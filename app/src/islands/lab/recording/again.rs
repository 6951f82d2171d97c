//! Does a run again, live: its commands are sent to a fresh sandbox, at their own pace. Nothing is opened
//! before the person says so, and the session of this browser stays where it is.

use leptos::prelude::*;

use super::player::Player;
use crate::{
    components::{only_if, text},
    erase::{Erase, View},
    erased_signals::RwSignal,
    language::language,
    text,
};

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "ssr",
    expect(dead_code, reason = "it is done again in the browser")
)]
enum Stage {
    /// Nothing was opened.
    Idle,
    /// A sandbox is being opened.
    Opening,
    /// The sandbox is there.
    Opened,
    /// Commands are being sent.
    Sending,
    /// All of them were sent.
    Done,
}

/// The run that is done again.
#[derive(Clone, Copy)]
struct Again {
    stage: RwSignal<Stage>,
    /// The code by which others join the sandbox.
    code: RwSignal<String>,
    /// The number of commands that were answered.
    sent: RwSignal<usize>,
    all: usize,
    /// What was refused, a sentence each.
    refusals: RwSignal<Vec<String>>,
    #[cfg(not(feature = "ssr"))]
    access: StoredValue<Option<domain::wire::WorkspaceAccess>>,
}

/// The panel.
pub(super) fn panel(player: Player) -> View {
    let language = language();
    let all = player
        .file
        .with_value(|file| file.as_ref().map_or(0, |file| file.commands.len()));
    if all == 0 {
        return view! {
            <section class="panel" data-testid="run-again">
                <h2>{text::lab::run_again(language)}</h2>
                <p class="muted">{text::lab::run_again_none(language)}</p>
            </section>
        }
        .erase();
    }
    let again = Again {
        stage: RwSignal::new(Stage::Idle),
        code: RwSignal::new(String::new()),
        sent: RwSignal::new(0),
        all,
        refusals: RwSignal::new(Vec::new()),
        #[cfg(not(feature = "ssr"))]
        access: StoredValue::new(None),
    };
    let stage = again.stage;
    let refused = move || {
        let refusals = again.refusals.get().into_iter();
        let rows = refusals.map(|words| view! { <li>{words}</li> }.erase());
        rows.collect::<Vec<View>>()
    };
    view! {
        <section class="panel" data-testid="run-again">
            <h2>{text::lab::run_again(language)}</h2>
            <p class="muted">{text::lab::run_again_lead(language, all)}</p>
            {only_if(
                move || matches!(stage.get(), Stage::Idle | Stage::Opening),
                move || open_button(again, player),
            )}
            {only_if(
                move || !matches!(stage.get(), Stage::Idle | Stage::Opening),
                move || sandbox(again, player),
            )}
            <ul class="field__error" role="alert">{refused}</ul>
        </section>
    }
    .erase()
}

fn open_button(again: Again, player: Player) -> View {
    let language = language();
    let is_opening = move || again.stage.get() == Stage::Opening;
    let open = move |_| {
        #[cfg(not(feature = "ssr"))]
        browser::open(again, player);
        #[cfg(feature = "ssr")]
        let _ = player;
    };
    view! {
        <button
            type="button"
            class="button button--primary"
            class:button--pending=is_opening
            aria-disabled=text(move || is_opening().to_string())
            on:click=open
        >
            {text::lab::run_open(language)}
        </button>
    }
    .erase()
}

/// The sandbox: how to watch it, the button that begins, and the progress.
fn sandbox(again: Again, player: Player) -> View {
    let language = language();
    let stage = again.stage;
    let code = again.code.get_untracked();
    let href = ["/join/", &code].concat();
    let start = move |_| {
        #[cfg(not(feature = "ssr"))]
        browser::start(again, player);
        #[cfg(feature = "ssr")]
        let _ = player;
    };
    let button = move || {
        view! {
            <button type="button" class="button button--primary" on:click=start>
                {text::lab::run_start(language)}
            </button>
        }
        .erase()
    };
    let progress = move || match stage.get() {
        Stage::Sending | Stage::Done => text::lab::run_sent(language, again.sent.get(), again.all),
        Stage::Idle | Stage::Opening | Stage::Opened => String::new(),
    };
    let progress_state = move || {
        if stage.get() == Stage::Done {
            "done"
        } else {
            "open"
        }
    };
    view! {
        <div data-testid="run-sandbox" data-state=text(progress_state)>
            <p>{text::lab::run_opened(language, code)}</p>
            <p>
                <a class="button" href=href target="_blank" rel="noopener">{text::lab::run_join(language)}</a>
            </p>
            {only_if(move || stage.get() == Stage::Opened, button)}
            <p role="status">{text(progress)}</p>
        </div>
    }
    .erase()
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! Opens the sandbox and sends the commands.

    use domain::wire::{CommandInRecording, Problem, Template, WorkspaceAccess};
    use js_sys::Promise;
    use leptos::prelude::*;
    use wasm_bindgen_futures::JsFuture;

    use super::{Again, Player, Stage};
    use crate::{
        api::lab::{open_sandbox, send_elsewhere},
        components::explain,
        erased_effects::spawn,
        id::new_id,
        lab::recording::RecordingFile,
        language::language,
        text,
    };

    /// The longest wait between two commands, in milliseconds: a run may have long pauses.
    const LONGEST_WAIT_MS: i32 = 3_000;

    /// How often a command is sent until its refusal is taken for final: what it follows from, such as the
    /// confirmation of its order, may come a moment later than it did in the run.
    const ATTEMPTS: usize = 6;

    /// The wait before a further attempt, in milliseconds.
    const PATIENCE_MS: i32 = 500;

    /// Opens a fresh sandbox.
    pub(super) fn open(again: Again, player: Player) {
        if again.stage.get_untracked() != Stage::Idle {
            return;
        }
        again.stage.set(Stage::Opening);
        again.refusals.set(Vec::new());
        let template = player
            .file
            .with_value(|file| file.as_ref().map_or(Template::Shop, template));
        spawn(async move {
            match open_sandbox(template).await {
                Ok(access) => {
                    again.code.set(access.join_code.clone());
                    again.access.set_value(Some(access));
                    again.stage.set(Stage::Opened);
                }
                Err(problem) => {
                    again.refusals.set(vec![explain(&problem)]);
                    again.stage.set(Stage::Idle);
                }
            }
        });
    }

    /// The content with which the sandbox begins: nothing if the run contains everything that its workspace
    /// had, and no template has written to it.
    fn template(file: &RecordingFile) -> Template {
        let is_whole = file.from.iter().all(|(_, position)| position == 0);
        if is_whole
            && !file
                .events
                .iter()
                .any(domain::event::RecordedEvent::is_of_template)
        {
            Template::Empty
        } else {
            Template::Shop
        }
    }

    /// Sends the commands, each as long after the one before as in the run.
    pub(super) fn start(again: Again, player: Player) {
        if again.stage.get_untracked() != Stage::Opened {
            return;
        }
        let commands = player
            .file
            .with_value(|file| file.as_ref().map(|file| file.commands.clone()));
        let (Some(commands), Some(access)) = (commands, again.access.get_value()) else {
            return;
        };
        again.stage.set(Stage::Sending);
        spawn(async move {
            let mut before_ms = 0;
            for CommandInRecording { at_ms, command } in &commands {
                let wait = i32::try_from(at_ms.saturating_sub(before_ms)).unwrap_or(i32::MAX);
                before_ms = *at_ms;
                pass(wait.min(LONGEST_WAIT_MS)).await;
                if let Err(problem) = send(&access, command).await {
                    again.refusals.update(|refusals| {
                        let (name, stream) = (&command.command_type, &command.stream);
                        let reason = explain(&problem);
                        refusals.push(text::lab::run_refused(language(), name, stream, reason));
                    });
                }
                again.sent.update(|sent| *sent += 1);
            }
            again.stage.set(Stage::Done);
        });
    }

    /// Lets milliseconds pass.
    async fn pass(milliseconds: i32) {
        let mut begin = |resolve: js_sys::Function, _: js_sys::Function| {
            let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds);
        };
        // The promise is never rejected.
        let _ = JsFuture::from(Promise::new(&mut begin)).await;
    }

    /// Sends one command, again where it was refused or not answered.
    async fn send(access: &WorkspaceAccess, command: &domain::wire::CommandRequest) -> Result<(), Problem> {
        let mut attempt = 1;
        // A refused command was not carried out: the same key is the same command.
        let key = new_id();
        loop {
            match send_elsewhere(access, command, key).await {
                Ok(_) => return Ok(()),
                Err(problem) if attempt >= ATTEMPTS || !is_worth_another(&problem) => return Err(problem),
                Err(_) => pass(PATIENCE_MS).await,
            }
            attempt += 1;
        }
    }

    /// Whether the same command may be accepted a moment later.
    fn is_worth_another(problem: &Problem) -> bool {
        matches!(problem.status, 0 | 409 | 422 | 429 | 503)
    }
}
