//! An agent without a configuration: keeps the router free of what is ours, and waits for a first one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::confirm::Unreturned;
use super::requests::refused;
use super::startup::{self, AgentPaths, Start};
use super::transaction::{self, Candidate};
use super::{Daemon, Ground, Signals, let_answers_out, measured, snapshot, work};
use crate::causes::with_causes;
use crate::config::{self, Config, ConfigErrors, Loaded};
use crate::control::apply_report::{ApplyReport, PlanReport};
use crate::control::protocol::{ApplyOrders, Refusal, RefusalKind, Reply, Request};
use crate::control::report::NeighborsReport;
use crate::control::server::Call;
use crate::openings::Openings;
use crate::plan::Plan;
use crate::reconcile::Reconciler;
use crate::store::history::History;
use crate::store::recovery;
use crate::system::System;
use crate::window::ConfirmError;

/// How soon what could not be removed or put back is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// What is answered to questions about a mesh that this router is not in: nobody has written a configuration, or it is rejected.
const NO_CONFIGURATION: &str =
    "this router has no configuration yet: write one with `dlan init`, then `dlan apply --confirm 90s`";
const REJECTED: &str =
    "the configuration is rejected, and there is no last good one to run: correct it, then `dlan apply`";

/// The agent of a router that nobody has configured, or whose first configuration came to nothing.
pub(super) struct Idle {
    paths: AgentPaths,
    system: Arc<System>,
    /// Files that could not be put back.
    unreturned: Option<Unreturned>,
    /// Whether something of ours may stand.
    removal_due: bool,
    /// Why it stands still.
    unremoved: Option<String>,
    /// What takes in files of others that changed, when there are some.
    reload_due: Option<PathBuf>,
    /// Whether a firewall of the system's own may let in what nobody needs.
    reopen_due: bool,
    /// Who waits to hear that the router is as it was before its first apply.
    waiting: Option<oneshot::Sender<Reply>>,
    /// What was removed.
    removed: Plan,
    /// The errors of the configuration on disk.
    rejected: Option<ConfigErrors>,
}

/// What follows from a call.
enum Next {
    Stay,
    End,
    Work(Box<Daemon>),
}

impl Idle {
    /// Makes the agent of a start without a configuration. Whatever stands of ours belongs to one that was never confirmed.
    pub(super) fn new(
        paths: AgentPaths,
        system: Arc<System>,
        is_recovered: bool,
        unreturned: Option<Unreturned>,
    ) -> Self {
        let reload_due = is_recovered.then(|| config::RELOAD_PROGRAM.into());
        Self {
            paths,
            system,
            unreturned,
            removal_due: true,
            unremoved: None,
            reload_due,
            reopen_due: is_recovered,
            waiting: None,
            removed: Plan::default(),
            rejected: None,
        }
    }

    /// Makes it the agent of a router whose configuration is rejected. What stands of ours may be another version's good work: it
    /// stays.
    pub(super) fn without(self, errors: ConfigErrors) -> Self {
        log(&errors);
        Self { removal_due: false, rejected: Some(errors), ..self }
    }

    /// Makes the agent of a router whose first configuration came to nothing.
    pub(super) fn after(daemon: Daemon) -> Self {
        Self {
            unreturned: daemon.unreturned,
            reload_due: Some(daemon.config.mesh.reload_program),
            reopen_due: true,
            waiting: daemon.applying.map(|applying| applying.answer),
            ..Self::new(daemon.paths, daemon.system, false, None)
        }
    }

    /// Waits for a first configuration; nothing when the agent is told to end.
    pub(super) async fn run(
        mut self,
        calls: &mut mpsc::Receiver<Call>,
        signals: &mut Signals,
    ) -> Option<Box<Daemon>> {
        if self.rejected.is_none() {
            info!("this router has no configuration yet");
        }
        loop {
            self.tidy_up().await;
            let is_untidy = self.removal_due || self.unreturned.is_some();
            let next = tokio::select! {
                _ = signals.terminate.recv() => Next::End,
                _ = signals.interrupt.recv() => Next::End,
                _ = signals.hangup.recv() => self.reload(),
                _ = signals.look.recv() => Next::Stay,
                Some(call) = calls.recv() => self.handle_call(call).await,
                () = tokio::time::sleep(RETRY), if is_untidy => Next::Stay,
            };
            match next {
                Next::Stay => {}
                Next::End => return None,
                Next::Work(daemon) => return Some(daemon),
            }
        }
    }

    /// Removes what is ours, and puts back what others' files were; what fails is tried again.
    pub(super) async fn tidy_up(&mut self) {
        if let Some(mut unreturned) = self.unreturned.take() {
            let (window, history) = (&self.paths.window, &self.paths.history);
            match recovery::close(&unreturned.window, unreturned.outcome.clone(), window, history) {
                Ok(_) => info!("all files are back"),
                Err(error) => {
                    unreturned.why = with_causes(&error);
                    self.unreturned = Some(unreturned);
                }
            }
        }
        if self.removal_due {
            match self.remove().await {
                Ok(removed) => (self.removed, self.unremoved) = (removed, None),
                Err(why) => self.unremoved = Some(why),
            }
            self.removal_due = self.unremoved.is_some();
            if let Some(error) = &self.unremoved {
                error!(error, "not all that is ours could be removed: it is tried again");
            }
        }
        if let Some(program) = self.reload_due.take()
            && let Err(error) = work::reload(&program).await
        {
            warn!(error, "the system did not take the changed files");
        }
        if std::mem::take(&mut self.reopen_due) {
            self.reopen();
        }
        if self.refuse().is_ok()
            && let Some(answer) = self.waiting.take()
        {
            // A client that has gone away wants no answer.
            let _ = answer.send(Reply::Apply(ApplyReport {
                plan: snapshot::plan(&std::mem::take(&mut self.removed), Vec::new()),
                done: true,
                outcome: "The state before it is back: this router has no configuration.".to_owned(),
                window: None,
            }));
        }
    }

    /// Has a firewall of the system's own ask again what it must let in. It asks this agent, which goes on answering meanwhile.
    fn reopen(&self) {
        let script = self.paths.init_script.clone();
        tokio::task::spawn_local(async move {
            if let Err(error) = work::openings(&script).await {
                warn!(error, "the system's firewall was not told that nothing is to be let in any more");
            }
        });
    }

    async fn remove(&self) -> Result<Plan, String> {
        let (plan, outcome) = self.system.down(None).await.map_err(|error| error.with_causes())?;
        if !outcome.is_success() {
            return Err(outcome.to_string());
        }
        measured::forget(&self.paths.run_directory).map_err(|error| error.to_string())?;
        Ok(plan)
    }

    /// Refuses to begin while something is left of what was before.
    fn refuse(&self) -> Result<(), Refusal> {
        let busy = |why| Err(transaction::refusal(RefusalKind::Busy, why));
        match (&self.unreturned, &self.unremoved) {
            (Some(unreturned), _) => busy(unreturned.to_string()),
            (None, Some(why)) => busy(format!("what an apply before left is not all gone yet: {why}")),
            (None, None) => Ok(()),
        }
    }

    fn reload(&mut self) -> Next {
        if let Err(refusal) = self.refuse() {
            warn!(why = refusal.message, "told to read the configuration: not read");
            return Next::Stay;
        }
        let start = match config::load(&self.paths.config) {
            Ok(loaded) => self.start(loaded),
            Err(errors) => {
                self.reject(errors);
                return Next::Stay;
            }
        };
        match start {
            Ok(start) => Next::Work(Daemon::working(self.paths.clone(), start)),
            Err(error) => {
                error!(error, "cannot start with the configuration");
                Next::Stay
            }
        }
    }

    /// Takes that the configuration on disk is not to be run.
    fn reject(&mut self, errors: ConfigErrors) {
        log(&errors);
        self.rejected = Some(errors).filter(|_| !startup::is_unwritten(&self.paths, None));
    }

    fn start(&self, loaded: Loaded) -> Result<Start, String> {
        Start::of(&self.paths, Arc::clone(&self.system), loaded).map_err(|error| error.with_causes())
    }

    async fn handle_call(&mut self, call: Call) -> Next {
        let reply = match call.request {
            Request::Apply(orders) => match self.first(orders) {
                Ok((mut daemon, candidate)) => {
                    daemon.check(candidate, call.caller, call.answer);
                    return Next::Work(daemon);
                }
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::Plan { stage } => {
                self.plan(stage.as_deref()).await.map_or_else(Reply::Refused, Reply::Plan)
            }
            Request::Links {} => Reply::Links(Vec::new()),
            Request::Neighbors {} => Reply::Neighbors(NeighborsReport::default()),
            Request::Routes {} => Reply::Routes(Vec::new()),
            Request::Window {} => Reply::Window(None),
            Request::Openings {} => Reply::Openings(Openings::default()),
            Request::Confirm { .. } => refused(RefusalKind::Failed, ConfirmError::NoWindow.to_string()),
            Request::History {} => match History::read(&self.paths.history) {
                Ok(history) => Reply::History(snapshot::history(&history)),
                Err(error) => refused(RefusalKind::Failed, with_causes(&error)),
            },
            Request::Stop {} => {
                let _ = call.answer.send(Reply::Stopping);
                let_answers_out().await;
                return Next::End;
            }
            Request::Status {}
            | Request::Lsdb {}
            | Request::Names {}
            | Request::Zones {}
            | Request::Topology {}
            | Request::Path { .. }
            | Request::Rollback { .. }
            | Request::Services {}
            | Request::Drain {}
            | Request::Undrain {} => match self.refuse() {
                Ok(()) => match &self.rejected {
                    Some(errors) => refused(RefusalKind::ConfigRejected, format!("{errors}\n{REJECTED}")),
                    None => refused(RefusalKind::Unknown, NO_CONFIGURATION),
                },
                Err(refusal) => Reply::Refused(refusal),
            },
        };
        // A client that has gone away wants no answer.
        let _ = call.answer.send(reply);
        Next::Stay
    }

    /// Returns what an apply with these files would do.
    async fn plan(&self, stage: Option<&Path>) -> Result<PlanReport, Refusal> {
        let failed = |why| transaction::refusal(RefusalKind::Failed, why);
        let loaded = transaction::wanted(&self.paths, stage)?;
        let checked = work::look(&self.system, loaded.config).await.map_err(failed)?;
        let plan = Reconciler::new().preview(&checked.config, &checked.facts, &checked.observed);
        Ok(snapshot::plan(&plan.map_err(|error| failed(error.to_string()))?, Vec::new()))
    }

    /// Makes the agent that tries a first configuration.
    fn first(&mut self, orders: ApplyOrders) -> Result<(Box<Daemon>, Candidate), Refusal> {
        self.refuse()?;
        let paths = self.paths.clone();
        let candidate = transaction::candidate(&paths, orders, |errors| self.reject(errors.clone()))?;
        let before = without_sides(&candidate.loaded);
        let start = self.start(before).map_err(|why| transaction::refusal(RefusalKind::Failed, why))?;
        Ok((Daemon::first(self.paths.clone(), start), candidate))
    }
}

impl Daemon {
    /// Makes an agent whose first configuration is to be tried: what it starts with is never brought about.
    pub(super) fn first(paths: AgentPaths, start: Start) -> Box<Self> {
        let mut daemon = Box::new(Self::new(paths, start));
        daemon.ground = Ground::Nothing;
        daemon
    }
}

/// Returns what stands in the place of a configuration before the first one: nothing to reach, and nothing closed.
pub(super) fn without_sides(first: &Loaded) -> Loaded {
    let config = Config {
        links: Vec::new(),
        lans: Vec::new(),
        wans: Vec::new(),
        services: Vec::new(),
        ..first.config.clone()
    };
    Loaded { config, text: String::new(), ..first.clone() }
}

fn log(errors: &ConfigErrors) {
    error!(%errors, "configuration rejected, nothing changes");
}
