//! Applies from the first check to the last word: one at a time, with or without a window to confirm it in.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;
use tracing::warn;

use super::requests::refused;
use super::snapshot;
use super::work::{self, Checked, Purpose};
use super::{AgentPaths, Daemon, Ground};
use crate::caller::Caller;
use crate::causes::with_causes;
use crate::config::{self, ConfigErrors, Loaded, Source};
use crate::control::apply_report::{ApplyReport, SETTLED};
use crate::control::protocol::{ApplyOrders, Refusal, RefusalKind, Reply};
use crate::plan::{Plan, callers_filter, callers_path};
use crate::routing::{self, WantedInterfaces};
use crate::store::durable;
use crate::store::history::{ApplyOutcome, History, ReturnReason};
use crate::store::recovery::{self, Attempt};
use crate::store::snapshot::FileSnapshot;
use crate::store::stage;

/// An apply, or a return, that a client waits for.
#[derive(Debug)]
pub(super) struct Applying {
    pub(super) by: Caller,
    /// When it began, in seconds since 1970.
    pub(super) time: u64,
    /// What is to be brought about, until it is.
    candidate: Option<Box<Candidate>>,
    /// The text of the configuration.
    pub(super) text: String,
    /// The staged files as they were.
    pub(super) before: Vec<FileSnapshot>,
    /// Whether it returns to what the history has already.
    is_return: bool,
    /// The number of the configuration, once the reconciler has it.
    generation: Option<u64>,
    /// What was done in the kernel for it, which may take several plans.
    plan: Plan,
    /// The text of the configuration that it displaced; none where it is the first.
    displaced: Option<String>,
    /// The OSPF interfaces before it.
    interfaces: WantedInterfaces,
    pub(super) answer: oneshot::Sender<Reply>,
}

/// A configuration with the files that go with it, read and without errors.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) loaded: Loaded,
    /// The files, the configuration among them if it is one.
    pub(super) staged: Vec<FileSnapshot>,
    pub(super) orders: ApplyOrders,
}

impl Daemon {
    /// Begins an apply: everything is checked first, and nothing touched.
    pub(super) fn begin_apply(&mut self, orders: ApplyOrders, by: Caller, answer: oneshot::Sender<Reply>) {
        let candidate = self.refuse_a_second().and_then(|()| {
            let paths = self.paths.clone();
            candidate(&paths, orders, |errors| self.reject_config(errors))
        });
        match candidate {
            Ok(candidate) => self.check(candidate, by, answer),
            // A client that has gone away wants no answer.
            Err(refusal) => drop(answer.send(Reply::Refused(refusal))),
        }
    }

    /// Returns to what was before the open window, else to an apply of the history.
    pub(super) fn begin_rollback(&mut self, number: Option<u64>, by: Caller, answer: oneshot::Sender<Reply>) {
        if self.window.is_some() {
            let interfaces = self.interfaces();
            self.answer_applying(
                false,
                "Undone before it was through: somebody asked for the state before it.",
            );
            let generation = self.end_window(ApplyOutcome::Returned(ReturnReason::Asked));
            let mut applying = self.applying(by, answer, None);
            applying.is_return = true;
            applying.generation = generation;
            applying.interfaces = interfaces;
            self.applying = Some(applying);
            return;
        }
        match self.refuse_a_second().and_then(|()| self.candidate_of_history(number)) {
            Ok(candidate) => self.check(candidate, by, answer),
            Err(refusal) => drop(answer.send(Reply::Refused(refusal))),
        }
    }

    /// Returns the last applies, the oldest first.
    pub(super) fn history(&self) -> Reply {
        match History::read(&self.paths.history) {
            Ok(history) => Reply::History(snapshot::history(&history)),
            Err(error) => refused(RefusalKind::Failed, with_causes(&error)),
        }
    }

    /// Takes that the reconciler has made a plan stand.
    pub(super) fn handle_applied_plan(&mut self, generation: u64, plan: &Plan) {
        if let Some(applying) = self.applying_of(generation) {
            applying.plan.append(plan.clone());
        }
    }

    /// Takes that a configuration was brought about, and seen to hold.
    pub(super) fn handle_settled(&mut self, generation: u64) {
        let is_ours = self.applying_of(generation).is_some();
        let now = self.clock.now();
        if let Some(open) = self.window.as_mut().filter(|_| is_ours) {
            open.handle_settled(now);
            let outcome = format!("{SETTLED}\n{}", open.banner(now));
            self.answer_applying(true, &outcome);
            return;
        }
        if self.window.is_none() {
            self.keep_checkpoint();
            self.good = Some(self.text.clone());
            self.ground = Ground::Configuration;
        }
        if let Some(applying) = self.applying.as_ref().filter(|_| is_ours) {
            let outcome = match applying.is_return {
                true => "The state before it is back.",
                false => SETTLED,
            };
            if !applying.is_return {
                self.remember(applying, ApplyOutcome::Applied);
            }
            self.answer_applying(true, outcome);
        }
    }

    /// Takes that a configuration could not be brought about; `reverted` if the one before it is in force.
    pub(super) fn handle_failed(&mut self, generation: u64, error: &str, reverted: bool) {
        if self.applying_of(generation).is_none() {
            match reverted {
                true if self.window.is_some() => {
                    let _ = self.end_window(ApplyOutcome::Failed(error.to_owned()));
                }
                true => self.follow_back(),
                false => {}
            }
            self.reopen();
            return;
        }
        let outcome = ApplyOutcome::Failed(error.to_owned());
        if self.window.is_some() {
            self.answer_applying(false, &format!("Failed: {error}\nthe state before it comes back"));
            self.end_window(outcome);
            return;
        }
        let mut displaced = None;
        if let Some(applying) = self.applying.as_mut() {
            displaced = applying.displaced.take().filter(|_| !reverted);
            let before = std::mem::take(&mut applying.before);
            self.take_back(before, outcome);
        }
        let after = match self.ground {
            Ground::Configuration => "the configuration before it runs",
            Ground::Nothing | Ground::GivenUp => "the router is without a configuration, as before",
        };
        if reverted {
            self.follow_back();
        }
        self.answer_applying(false, &format!("Failed: {error}\n{after}"));
        self.give_up_first();
        if let Some(loaded) = displaced.and_then(|text| self.parse(&text).ok()) {
            self.take_config(loaded);
        }
        self.reopen();
    }

    /// Gives up what is tried, if it is the first configuration of this router.
    pub(super) fn give_up_first(&mut self) {
        if self.ground == Ground::Nothing {
            self.ground = Ground::GivenUp;
        }
    }

    /// Takes what a check found, and goes on or refuses.
    pub(super) fn handle_checked(&mut self, checked: Result<Checked, String>) {
        let Some(mut applying) = self.applying.take() else { return };
        let Some(candidate) = applying.candidate.take() else { return };
        let refusal = match checked {
            Err(why) => Some(why),
            Ok(checked) => self.refuse_checked(&candidate, &applying.by, &checked).err(),
        };
        let refusal = match refusal {
            Some(why) => Some(why),
            None => self.put_in_place(&candidate, &mut applying).err(),
        };
        if let Some(why) = refusal {
            self.give_up_first();
            return drop(applying.answer.send(refused(RefusalKind::Failed, why)));
        }
        self.bring_about_candidate(*candidate, applying);
    }

    /// Takes what became of telling the system that files of others changed.
    pub(super) fn handle_reloaded(&mut self, result: Result<(), String>) {
        let Err(why) = result else { return };
        warn!(error = %why, "the system did not take the changed files");
        if let Some(generation) = self.applying.as_ref().and_then(|applying| applying.generation) {
            self.handle_failed(generation, &why, false);
        }
    }

    /// Refuses an apply while another is not through or not confirmed.
    pub(super) fn refuse_a_second(&self) -> Result<(), Refusal> {
        let busy = |why| Err(refusal(RefusalKind::Busy, why));
        if let Some(unreturned) = &self.unreturned {
            return busy(unreturned.to_string());
        }
        match (&self.applying, &self.window) {
            (Some(applying), _) => busy(format!("an apply by {} is under way", applying.by)),
            (None, Some(open)) => {
                busy(format!("the apply by {} is {}", open.window.by, open.banner(self.clock.now())))
            }
            (None, None) => Ok(()),
        }
    }

    /// Returns what an apply with these files would bring about; nothing is put in place.
    pub(super) fn wanted(&self, stage: Option<&Path>) -> Result<Loaded, Refusal> {
        wanted(&self.paths, stage)
    }

    fn candidate_of_history(&self, number: Option<u64>) -> Result<Candidate, Refusal> {
        let failed = |why: String| refusal(RefusalKind::Failed, why);
        let history = History::read(&self.paths.history).map_err(|error| failed(with_causes(&error)))?;
        // What is in the file and came to nothing is what is to be undone, and not what runs in its place.
        let present = FileSnapshot::take(&self.paths.config).ok().and_then(|file| file.content);
        let present = present.as_ref().map_or(self.text.as_str(), |content| content.text.as_str());
        let entry = history.config_before(number, present).ok_or_else(|| {
            failed(match number {
                Some(number) => {
                    format!("there is no apply {number} in the history: `dlan history` lists them")
                }
                None => "the history has no other configuration to return to".to_owned(),
            })
        })?;
        let loaded = self
            .parse(&entry.config)
            .map_err(|errors| refusal(RefusalKind::ConfigRejected, errors.to_string()))?;
        let staged = vec![self.as_kept(entry.config.clone())];
        Ok(Candidate { loaded, staged, orders: ApplyOrders::default() })
    }

    pub(super) fn parse(&self, text: &str) -> Result<Loaded, ConfigErrors> {
        parse(&self.paths, text)
    }

    /// Has a candidate looked at beside the main loop.
    pub(super) fn check(&mut self, candidate: Candidate, by: Caller, answer: oneshot::Sender<Reply>) {
        let config = self.mtus.effective(&candidate.loaded.config);
        let client = by.session.as_ref().and_then(|session| session.ends).map(|ends| ends.client);
        let driver = self.engine.as_ref().map(|engine| engine.driver.clone());
        work::preview((&self.system, &self.done_in), config, Purpose::Apply { driver, client });
        self.applying = Some(self.applying(by, answer, Some(Box::new(candidate))));
    }

    pub(super) fn applying(
        &self,
        by: Caller,
        answer: oneshot::Sender<Reply>,
        candidate: Option<Box<Candidate>>,
    ) -> Applying {
        Applying {
            by,
            time: seconds_now(),
            text: candidate.as_ref().map(|candidate| candidate.loaded.text.clone()).unwrap_or_default(),
            candidate,
            before: Vec::new(),
            is_return: false,
            generation: None,
            displaced: None,
            plan: Plan::default(),
            interfaces: self.interfaces(),
            answer,
        }
    }

    /// Refuses what cannot be planned, and what would close the operator's path.
    fn refuse_checked(&self, candidate: &Candidate, by: &Caller, checked: &Checked) -> Result<(), String> {
        let Checked { config, facts, observed, first_hop } = checked;
        self.reconciler.preview(config, facts, observed).map_err(|error| error.to_string())?;
        let ends = by.session.as_ref().and_then(|session| session.ends);
        let Some(ends) = ends.filter(|_| !candidate.orders.force) else { return Ok(()) };
        let closes = callers_path::closes(&self.config, config, ends, *first_hop);
        let filtered = || callers_filter::closes(&self.config, config, facts.sides(), ends);
        // Who comes through the mesh comes by a link, which no zone and no WAN has a word on.
        match closes.or_else(|| first_hop.is_none().then(filtered).flatten()) {
            Some(why) => Err(format!(
                "this would close the path by which you came: {why} (--force does it all the same)"
            )),
            None => Ok(()),
        }
    }

    /// Opens the window, if one is asked for, and puts the staged files in place.
    fn put_in_place(&mut self, candidate: &Candidate, applying: &mut Applying) -> Result<(), String> {
        let paths = candidate.staged.iter().map(|file| FileSnapshot::take(&file.path));
        let before: Result<Vec<_>, _> = paths.collect();
        applying.before = before.map_err(|error| with_causes(&error))?;
        match candidate.orders.confirm {
            Some(seconds) => self.open_window(candidate, applying, Duration::from_secs(seconds))?,
            // One file comes whole or not at all by itself.
            None if candidate.staged.len() > 1 => self.note_files(applying)?,
            None => {}
        }
        let mut put = candidate.staged.iter().try_for_each(|file| file.put().map(drop));
        if self.window.is_none() && candidate.staged.len() > 1 {
            put = put.and_then(|()| durable::remove(&self.paths.window));
        }
        put.map_err(|error| {
            let why = with_causes(&error);
            self.window = None;
            let before = std::mem::take(&mut applying.before);
            let outcome = ApplyOutcome::Failed(why.clone());
            match self.note(applying, before) {
                Some(note) => self.give_back(note, outcome),
                None => self.remember(applying, outcome),
            }
            format!("{why}: nothing was changed")
        })
    }

    fn bring_about_candidate(&mut self, candidate: Candidate, mut applying: Applying) {
        if candidate.staged.iter().any(|file| file.path != self.paths.config) {
            work::reload_system(&self.done_in, &self.config.mesh.reload_program);
        }
        applying.displaced = (self.ground == Ground::Configuration).then(|| self.text.clone());
        applying.generation = Some(self.take_config(candidate.loaded));
        self.applying = Some(applying);
    }

    /// Returns the apply that a configuration of this number, or one since, belongs to.
    fn applying_of(&mut self, generation: u64) -> Option<&mut Applying> {
        self.applying.as_mut().filter(|applying| applying.generation.is_some_and(|it| it <= generation))
    }

    pub(super) fn answer_applying(&mut self, done: bool, outcome: &str) {
        let Some(applying) = self.applying.take() else { return };
        let ospf = routing::describe_changes(&applying.interfaces, &self.interfaces());
        let report = ApplyReport {
            plan: snapshot::plan(&applying.plan, ospf),
            done,
            outcome: outcome.to_owned(),
            window: self.window_report(),
        };
        let _ = applying.answer.send(Reply::Apply(report));
    }

    pub(super) fn remember(&self, applying: &Applying, outcome: ApplyOutcome) {
        let by = applying.by.to_string();
        let attempt = Attempt { by: &by, time: applying.time, config: &applying.text, window: None };
        recovery::remember(&self.paths.history, attempt, outcome);
    }
}

/// Reads what is to be brought about; `reject` is told what is wrong with the file on disk.
pub(super) fn candidate(
    paths: &AgentPaths,
    orders: ApplyOrders,
    reject: impl FnOnce(&ConfigErrors),
) -> Result<Candidate, Refusal> {
    let (staged, read) = read_wanted(paths, orders.stage.as_deref())?;
    if let Err(errors) = &read
        && !staged.iter().any(|file| file.path == paths.config)
    {
        reject(errors);
    }
    let loaded = read.map_err(|errors| refusal(RefusalKind::ConfigRejected, errors.to_string()))?;
    let links: Vec<&str> = loaded.config.links.iter().map(|link| link.name.as_str()).collect();
    for name in &orders.require {
        if name.parse::<IpAddr>().is_err() && !links.contains(&name.as_str()) {
            let why = format!("{name}: neither an address nor a link; the links are {}", links.join(", "));
            return Err(refusal(RefusalKind::Failed, why));
        }
    }
    Ok(Candidate { loaded, staged, orders })
}

/// Returns what an apply with these files would bring about; nothing is put in place.
pub(super) fn wanted(paths: &AgentPaths, stage: Option<&Path>) -> Result<Loaded, Refusal> {
    let (_, read) = read_wanted(paths, stage)?;
    read.map_err(|errors| refusal(RefusalKind::ConfigRejected, errors.to_string()))
}

/// Reads the staged files, and the configuration: theirs, or the one on disk.
fn read_wanted(
    paths: &AgentPaths,
    stage: Option<&Path>,
) -> Result<(Vec<FileSnapshot>, Result<Loaded, ConfigErrors>), Refusal> {
    let staged = stage.map(stage::read).transpose();
    let staged = staged.map_err(|error| refusal(RefusalKind::Failed, with_causes(&error)))?;
    let staged = staged.unwrap_or_default();
    let own = staged.iter().find(|file| file.path == paths.config);
    let read = match own.and_then(|file| file.content.as_ref()) {
        Some(content) => parse(paths, &content.text),
        None => config::load(&paths.config),
    };
    Ok((staged, read))
}

fn parse(paths: &AgentPaths, text: &str) -> Result<Loaded, ConfigErrors> {
    let file = paths.config.display().to_string();
    config::parse(Source { file: &file, text, hostname: &config::hostname() })
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

pub(super) fn refusal(kind: RefusalKind, message: String) -> Refusal {
    Refusal { kind, message }
}
