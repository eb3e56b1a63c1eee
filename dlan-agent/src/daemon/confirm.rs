//! The window in which an apply waits to be confirmed: opened, kept, or ended by what was before it.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use tracing::{error, info, warn};

use super::requests::refused;
use super::transaction::{Applying, Candidate};
use super::{Daemon, Ground, work};
use crate::caller::{self, Caller};
use crate::causes::with_causes;
use crate::control::apply_report::WindowReport;
use crate::control::protocol::{RefusalKind, Reply};
use crate::reconcile::Health;
use crate::store::durable;
use crate::store::history::{ApplyOutcome, ReturnReason};
use crate::store::recovery::{self, Attempt};
use crate::store::snapshot::{FileContent, FileSnapshot};
use crate::system::file;
use crate::window::{self, ConfirmError, OpenWindow, Window};

/// Files that could not be put back.
#[derive(Debug)]
pub(super) struct Unreturned {
    /// What is to come back.
    pub(super) window: Window,
    /// What came of the apply that changed them.
    pub(super) outcome: ApplyOutcome,
    /// Why they are not back.
    pub(super) why: String,
}

impl std::fmt::Display for Unreturned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { window, why, .. } = self;
        write!(
            f,
            "the files from before the apply by {} are not all back yet: {why}; it is tried again",
            window.by
        )
    }
}

impl Daemon {
    /// Keeps what the open window tries.
    pub(super) fn confirm(&mut self, token: &str, by: &Caller, is_local: bool) -> Reply {
        let checked = match &self.window {
            Some(open) => open.confirm(token, by, is_local),
            None => Err(ConfirmError::NoWindow),
        };
        match checked.map_err(|error| error.to_string()).and_then(|()| self.keep_window()) {
            Ok(()) => Reply::Confirmed,
            Err(why) => refused(RefusalKind::Failed, why),
        }
    }

    /// Returns the open window.
    pub(super) fn window_report(&self) -> Option<WindowReport> {
        let (open, now) = (self.window.as_ref()?, self.clock.now());
        Some(WindowReport {
            token: open.window.token.clone(),
            seconds_left: open.left(now).as_secs(),
            by: open.window.by.clone(),
            waiting_for: open.outstanding().cloned().collect(),
            text: open.banner(now),
        })
    }

    /// Ends the window when its time is over, and asks what is required to answer.
    pub(super) fn handle_window_timeout(&mut self) {
        let now = self.clock.now();
        let Some(open) = &mut self.window else { return };
        if open.is_over(now) {
            self.answer_applying(
                false,
                "Not through before its window closed: the state before it comes back.",
            );
            self.end_window(ApplyOutcome::Returned(ReturnReason::TimeOut));
            return;
        }
        let names = open.poll_requirements(now);
        let driver = self.engine.as_ref().map(|engine| engine.driver.clone());
        for name in names {
            work::ask_required(&self.done_in, driver.clone(), &self.config, name);
        }
    }

    /// Takes that something required has answered.
    pub(super) fn handle_required(&mut self, name: &str) {
        let is_complete = self.window.as_mut().is_some_and(|open| open.handle_answer(name));
        if is_complete && let Err(error) = self.keep_window() {
            error!(%error, "cannot keep what was confirmed");
        }
    }

    /// Returns what is to come back with these files as they were; the configuration as it is on disk, if it is not one of them.
    pub(super) fn note(&self, applying: &Applying, before: Vec<FileSnapshot>) -> Option<Window> {
        let is_own = |file: &FileSnapshot| file.path == self.paths.config;
        let own = match before.iter().find(|file| is_own(file)) {
            Some(own) => own.clone(),
            None if before.is_empty() => return None,
            None => FileSnapshot::take(&self.paths.config).ok()?,
        };
        let others = before.into_iter().filter(|file| !is_own(file));
        Some(Window {
            token: String::new(),
            by: applying.by.to_string(),
            time: applying.time,
            tried: applying.text.clone(),
            confirmed: std::iter::once(own).chain(others).collect(),
        })
    }

    /// Writes down files as they were, so that a start that finds some of them changed has all of them back.
    pub(super) fn note_files(&mut self, applying: &Applying) -> Result<(), String> {
        let note = self.note(applying, applying.before.clone());
        note.map_or(Ok(()), |note| self.write_note(&note))
    }

    /// Writes down what is to come back. What was written by half goes again.
    fn write_note(&mut self, note: &Window) -> Result<(), String> {
        recovery::write(&self.paths.window, note).map_err(|error| {
            let why = with_causes(&error);
            self.give_back(note.clone(), ApplyOutcome::Failed(why.clone()));
            format!("{why}: nothing was changed")
        })
    }

    /// Takes back the files of an apply that failed.
    pub(super) fn take_back(&mut self, before: Vec<FileSnapshot>, outcome: ApplyOutcome) {
        let Some(applying) = &self.applying else { return };
        let Some(note) = self.note(applying, before) else { return self.remember(applying, outcome) };
        if let Err(error) = recovery::write(&self.paths.window, &note) {
            warn!(error = with_causes(&error), "files go back without a note of it");
        }
        self.give_back(note, outcome);
    }

    /// Puts back what was before; what cannot be put back is tried again until it can.
    pub(super) fn give_back(&mut self, window: Window, outcome: ApplyOutcome) {
        match recovery::close(&window, outcome.clone(), &self.paths.window, &self.paths.history) {
            Ok(true) => work::reload_system(&self.done_in, &self.config.mesh.reload_program),
            Ok(false) => {}
            Err(error) => {
                let why = with_causes(&error);
                error!(error = why, "files are not all back: it is tried again");
                self.unreturned = Some(Unreturned { window, outcome, why });
            }
        }
    }

    /// Tries again to put back what could not be put back before.
    pub(super) fn give_back_again(&mut self) {
        if let Some(Unreturned { window, outcome, .. }) = self.unreturned.take() {
            self.give_back(window, outcome);
            if self.unreturned.is_none() {
                info!("all files are back");
            }
        }
    }

    /// Writes down what was before an apply, and opens a window to confirm it in.
    pub(super) fn open_window(
        &mut self,
        candidate: &Candidate,
        applying: &Applying,
        length: Duration,
    ) -> Result<(), String> {
        if *self.reconciler.health() == Health::Settled {
            self.write_checkpoint()
                .map_err(|error| format!("{}: nothing was changed", with_causes(&error)))?;
        }
        let kept = durable::read(&self.paths.checkpoint).map_err(|error| with_causes(&error))?;
        let mut confirmed = match (kept, self.ground) {
            (Some(text), _) => vec![self.as_kept(text)],
            (None, Ground::Nothing) => self.without_configuration(applying),
            (None, Ground::Configuration | Ground::GivenUp) => {
                return Err(
                    "there is no confirmed state to return to yet: apply without --confirm first".to_owned()
                );
            }
        };
        confirmed.extend(applying.before.iter().filter(|file| file.path != self.paths.config).cloned());
        let window = Window {
            // The hash of nothing under a key from the system's randomness.
            token: window::token(RandomState::new().build_hasher().finish()),
            by: applying.by.to_string(),
            time: applying.time,
            tried: applying.text.clone(),
            confirmed,
        };
        self.write_note(&window)?;
        let required = candidate.orders.require.clone();
        info!(seconds = length.as_secs(), by = %window.by, "a window is open: unconfirmed, this apply is undone");
        self.window = Some(OpenWindow::open(self.clock.now(), caller::ticks_now(), window, length, required));
        Ok(())
    }

    /// Returns the configuration as it comes back with this text.
    pub(super) fn as_kept(&self, text: String) -> FileSnapshot {
        // Who may read the configuration does not change with it.
        let present = FileSnapshot::take(&self.paths.config).ok().and_then(|file| file.content);
        let unread = || FileContent { text: String::new(), mode: file::PRIVATE, owner: None };
        let content = FileContent { text, ..present.unwrap_or_else(unread) };
        FileSnapshot { path: self.paths.config.clone(), content: Some(content) }
    }

    /// Returns the files that say that there is no configuration: what was staged gives way to a file without a section, if
    /// that was there before; what is confirmed by half is no last good one.
    fn without_configuration(&self, applying: &Applying) -> Vec<FileSnapshot> {
        let absent = |path: &PathBuf| FileSnapshot { path: path.clone(), content: None };
        let before = applying.before.iter().find(|file| file.path == self.paths.config);
        let own = before.filter(|file| file.is_blank_config()).cloned();
        vec![own.unwrap_or_else(|| absent(&self.paths.config)), absent(&self.paths.checkpoint)]
    }

    /// Keeps what the window tries: the last good configuration first, for without it a start could not return to it.
    fn keep_window(&mut self) -> Result<(), String> {
        let Some(open) = &self.window else { return Ok(()) };
        durable::write(&self.paths.checkpoint, &open.window.tried)
            .and_then(|_| durable::remove(&self.paths.window))
            .map_err(|error| format!("cannot keep it: {}", with_causes(&error)))?;
        info!("confirmed");
        recovery::remember(&self.paths.history, Attempt::of(&open.window), ApplyOutcome::Confirmed);
        self.good = Some(open.window.tried.clone());
        self.window = None;
        self.ground = Ground::Configuration;
        self.reconciler.handle_kept();
        Ok(())
    }

    /// Undoes what the window tries, and returns the number of the configuration that comes back.
    pub(super) fn end_window(&mut self, outcome: ApplyOutcome) -> Option<u64> {
        let open = self.window.take()?.window;
        warn!(%outcome, "returning to the state before an unconfirmed apply");
        self.give_back(open.clone(), outcome);
        if self.ground == Ground::Nothing {
            self.give_up_first();
            return None;
        }
        // Not read from the disk, which may not have taken it.
        let text = open.confirmed.into_iter().next()?.content?.text;
        match self.parse(&text) {
            Ok(loaded) => Some(self.take_config(loaded)),
            Err(errors) => {
                self.reject_config(&errors);
                None
            }
        }
    }
}
