//! A session: what is known of it, and what packets and deadlines do to it (RFC 5880 section 6.8).

use std::collections::VecDeque;
use std::time::Duration;

use super::fsm::{self, SessionInput, SessionState};
use super::io::{Content, Event, SessionConfig, SessionView, Transmit};
use super::is_forwarding::Echo;
use super::packet::{self, ControlPacket, Diagnostic, Sequence};
use super::poll::{Poll, PollInput};
use super::refusal::{Refusal, Refusals};
use super::timing::{self, Local, Remote, SLOW_INTERVAL};
use super::verdict::{Failure, Verdict};
use crate::io::Reachability;
use crate::random::Random;
use crate::time::Instant;

/// What a session works with besides itself.
#[derive(Debug)]
pub(super) struct Cx<'a> {
    pub now: Instant,
    pub random: &'a mut Random,
    pub transmits: &'a mut VecDeque<Transmit>,
    pub events: &'a mut VecDeque<Event>,
}

/// A session with the far end of one link. It takes the Active role (RFC 5881 section 3), never asks for Demand mode, and
/// neither sends nor loops Echo packets.
#[derive(Debug)]
pub(super) struct Session {
    pub config: SessionConfig,
    /// bfd.LocalDiscr.
    pub discriminator: u32,
    pub refusals: Refusals,
    /// bfd.SessionState.
    state: SessionState,
    since: Instant,
    local: Local,
    /// bfd.LocalDiag.
    diagnostic: Diagnostic,
    far: FarEnd,
    poll: Poll,
    verdict: Verdict,
    path_is_up: bool,
    is_leaving: bool,
    was_up: bool,
    deadlines: Deadlines,
    /// When the last periodic packet was sent, and the interval before jitter that the next follows by.
    pace: (Instant, Option<Duration>),
    counters: Counters,
}

/// What the far end told.
#[derive(Debug)]
struct FarEnd {
    /// bfd.RemoteSessionState.
    state: SessionState,
    /// bfd.RemoteDiscr.
    discriminator: u32,
    /// The last bfd.RemoteDiscr that was not 0, to tell a session from the one before.
    last_discriminator: u32,
    diagnostic: Diagnostic,
    /// bfd.RemoteDemandMode.
    demand: bool,
    /// Whether its last packet was part of a Poll Sequence.
    is_polling: bool,
    timing: Remote,
}

impl FarEnd {
    fn unheard() -> Self {
        Self {
            state: SessionState::Down,
            discriminator: 0,
            last_discriminator: 0,
            diagnostic: Diagnostic::None,
            demand: false,
            is_polling: false,
            timing: Remote::default(),
        }
    }

    /// Takes over what a packet tells (section 6.8.6); returns whether it is the first of another session.
    fn note(&mut self, packet: &ControlPacket) -> bool {
        let before = std::mem::replace(&mut self.last_discriminator, packet.my_discriminator);
        self.state = packet.state;
        self.discriminator = packet.my_discriminator;
        self.diagnostic = packet.diagnostic;
        self.demand = packet.demand;
        self.is_polling = packet.sequence != Sequence::None;
        self.timing = Remote::from(packet);
        before != 0 && before != packet.my_discriminator && packet.diagnostic == Diagnostic::None
    }

    /// Forgets what holds no longer than a Detection Time (sections 6.8.1 and 6.8.18).
    fn expire(&mut self) {
        self.state = SessionState::Down;
        self.discriminator = 0;
        self.demand = false;
        self.timing.required_min_rx = Remote::default().required_min_rx;
    }
}

/// What a session waits for besides its verdict.
#[derive(Debug, Default)]
struct Deadlines {
    /// The next periodic packet.
    transmit: Option<Instant>,
    /// The Detection Time since the last packet.
    detect: Option<Instant>,
    /// The far end has been told for long enough that the session is over.
    end: Option<Instant>,
}

#[derive(Debug, Default)]
struct Counters {
    sent: u64,
    received: u64,
    ups: u64,
}

fn take_due(deadline: &mut Option<Instant>, now: Instant) -> bool {
    deadline.take_if(|at| *at <= now).is_some()
}

impl Session {
    /// Begins a session; the first packet is due at once.
    pub fn new(config: SessionConfig, discriminator: u32, now: Instant) -> Self {
        let [.., a, b] = discriminator.to_be_bytes();
        Self {
            local: Local::new(config.interval),
            config,
            discriminator,
            refusals: Refusals::new(),
            state: SessionState::Down,
            since: now,
            diagnostic: Diagnostic::None,
            far: FarEnd::unheard(),
            poll: Poll::Idle,
            verdict: Verdict::new(u16::from_be_bytes([a, b])),
            path_is_up: true,
            is_leaving: false,
            was_up: false,
            deadlines: Deadlines { transmit: Some(now), ..Deadlines::default() },
            pace: (now, None),
            counters: Counters::default(),
        }
    }

    /// Returns when [`Session::handle_timeout`] must be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let Deadlines { transmit, detect, end } = self.deadlines;
        [transmit, detect, end, self.verdict.poll_timeout()].into_iter().flatten().min()
    }

    /// Returns whether the far end has been silent for so long that something follows from it at `now`.
    pub fn is_overdue(&self, now: Instant) -> bool {
        [self.deadlines.detect, self.verdict.poll_timeout()].into_iter().flatten().any(|at| at <= now)
    }

    /// Returns whether another packet like the last one would say no more than that the far end is alive.
    pub fn is_settled(&self) -> bool {
        let is_up = self.state == SessionState::Up && self.far.state == SessionState::Up;
        let is_asking = self.poll != Poll::Idle || self.verdict.is_asking();
        is_up && !is_asking && !self.far.is_polling && !self.far.demand
    }

    /// Takes over a configuration for the same far end (sections 6.8.3 and 6.8.16).
    pub fn reconfigure(&mut self, config: SessionConfig, cx: &mut Cx<'_>) {
        let is_mult_changed = config.detect_mult != self.config.detect_mult;
        self.config = config;
        self.is_leaving = false;
        self.deadlines.end = None;
        if self.step(SessionInput::Enable, cx) {
            self.transmit(Sequence::None, cx);
        }
        self.change_intervals();
        // A far end in Demand mode gets no periodic packet that would tell (section 6.6).
        if is_mult_changed && self.is_far_end_in_demand() {
            self.poll = self.poll.next(PollInput::Changed);
        }
        self.reschedule(cx);
    }

    /// Tells the far end that the session is down on purpose (section 6.8.16); a session that is `leaving` is over a
    /// Detection Time later.
    pub fn disable(&mut self, leaving: bool, cx: &mut Cx<'_>) {
        if self.step(SessionInput::Disable, cx) {
            self.was_up = false;
            self.clear(cx);
            self.transmit(Sequence::None, cx);
            self.reschedule(cx);
        }
        if leaving && !self.is_leaving {
            self.is_leaving = true;
            let interval = timing::transmit_interval(&self.local, &self.far.timing).unwrap_or(SLOW_INTERVAL);
            let told = interval * u32::from(self.config.detect_mult.get());
            self.deadlines.end = Some(if self.path_is_up { cx.now + told } else { cx.now });
        }
    }

    /// Takes in whether the device of the link can carry packets. What becomes of the adjacency without it is not up to
    /// this session.
    pub fn handle_path(&mut self, is_up: bool, cx: &mut Cx<'_>) {
        if std::mem::replace(&mut self.path_is_up, is_up) == is_up {
            return;
        }
        if is_up {
            self.deadlines.transmit = Some(cx.now);
            return;
        }
        self.step(SessionInput::PathDown, cx);
        self.far.expire();
        self.was_up = false;
        self.clear(cx);
        self.deadlines = Deadlines { end: self.deadlines.end.map(|_| cx.now), transmit: None, detect: None };
    }

    /// Takes in a packet for this session that arrived `age` ago: section 6.8.6 from "Set bfd.RemoteDiscr" on.
    pub fn handle_packet(
        &mut self,
        packet: &ControlPacket,
        age: Duration,
        cx: &mut Cx<'_>,
    ) -> Result<(), Refusal> {
        let arrived = cx.now - age;
        let is_another = self.far.note(packet);
        let was_asking = self.poll.is_asking();
        let is_final = packet.sequence == Sequence::Final;
        self.poll = self.poll.next(if is_final { PollInput::Final } else { PollInput::Other });
        if was_asking && self.poll == Poll::Idle {
            self.local.settle();
        }
        self.deadlines.detect = Some(arrived + timing::detection_time(&self.local, &self.far.timing));
        if self.state == SessionState::AdminDown {
            self.reschedule(cx);
            return Err(Refusal::AdminDown);
        }
        self.counters.received += 1;
        let from = self.state;
        let is_changed = self.step(SessionInput::Received(packet.state), cx);
        self.judge(from, (packet.state, arrived), is_another, cx);
        if packet.sequence == Sequence::Poll {
            self.transmit(Sequence::Final, cx);
        } else if is_changed {
            self.transmit(Sequence::None, cx);
        }
        self.reschedule(cx);
        Ok(())
    }

    /// Takes in an answer of the far kernel.
    pub fn handle_reply(&mut self, now: Instant, reply: Echo) {
        self.verdict.handle_reply(now, reply);
    }

    /// Returns whether a periodic packet is due.
    pub fn must_transmit(&self, now: Instant) -> bool {
        self.deadlines.transmit.is_some_and(|at| at <= now)
    }

    /// Lets the next periodic packet be due, if the jitter may bring it by now.
    pub fn hasten(&mut self, now: Instant) {
        let (last, interval) = self.pace;
        if interval.is_some_and(|interval| last + timing::shortest(interval) <= now) {
            self.deadlines.transmit = self.deadlines.transmit.map(|at| at.min(now));
        }
    }

    /// Does what is due; returns whether the session is over.
    pub fn handle_timeout(&mut self, cx: &mut Cx<'_>) -> bool {
        if take_due(&mut self.deadlines.end, cx.now) {
            return true;
        }
        if take_due(&mut self.deadlines.detect, cx.now) {
            let from = self.state;
            self.far.expire();
            if self.step(SessionInput::DetectionTimeExpired, cx) {
                if from == SessionState::Up {
                    let opinion = self.verdict.handle_failure(cx.now, Failure::Silent);
                    self.tell(opinion, cx);
                }
                self.transmit(Sequence::None, cx);
            }
            self.reschedule(cx);
        }
        let (question, opinion) = self.verdict.handle_timeout(cx.now);
        self.tell(opinion, cx);
        if let Some(echo) = question {
            self.send(Content::Echo(echo), cx);
        }
        if take_due(&mut self.deadlines.transmit, cx.now) {
            let sequence = if self.poll.is_asking() { Sequence::Poll } else { Sequence::None };
            self.transmit(sequence, cx);
            self.pace = (cx.now, None);
            self.reschedule(cx);
        }
        false
    }

    /// Returns the session for reading.
    pub fn view(&self) -> SessionView {
        SessionView {
            config: self.config.clone(),
            state: self.state,
            since: self.since,
            remote_state: self.far.state,
            reachability: self.verdict.reachability(),
            was_up: self.was_up,
            ups: self.counters.ups,
            diagnostic: self.diagnostic,
            remote_diagnostic: self.far.diagnostic,
            transmit_interval: timing::transmit_interval(&self.local, &self.far.timing),
            detection_time: timing::detection_time(&self.local, &self.far.timing),
            is_asking: self.verdict.is_asking(),
            sent: self.counters.sent,
            received: self.counters.received,
            refusals: self.refusals.clone(),
        }
    }

    /// Makes one step of the state machine; returns whether the state is another one.
    fn step(&mut self, input: SessionInput, cx: &mut Cx<'_>) -> bool {
        let from = self.state;
        let to = from.next(input);
        if from == to {
            return false;
        }
        self.state = to;
        self.since = cx.now;
        self.diagnostic = fsm::diagnostic(to, input).unwrap_or(self.diagnostic);
        tracing::info!(interface = %self.config.name, %from, %to, event = ?input, diagnostic = %self.diagnostic, "BFD session state");
        cx.events.push_back(Event::StateChanged { interface: self.config.interface, from, to });
        if to == SessionState::Up {
            self.was_up = true;
            self.counters.ups += 1;
            self.clear(cx);
        }
        self.change_intervals();
        true
    }

    /// Says what a packet of a far end in state `told` means for it, after the step that it led to.
    fn judge(
        &mut self,
        from: SessionState,
        (told, arrived): (SessionState, Instant),
        is_another: bool,
        cx: &mut Cx<'_>,
    ) {
        if told == SessionState::AdminDown {
            // Taken down on purpose: no failure (RFC 5882 section 3.2).
            self.was_up = false;
            self.clear(cx);
        } else if self.state == SessionState::Up {
            let interval = timing::receive_interval(&self.local, &self.far.timing);
            let detection_time = timing::detection_time(&self.local, &self.far.timing);
            self.verdict.handle_heard(arrived, interval, detection_time);
        } else if from == SessionState::Up {
            let failure = if is_another { Failure::Restarted } else { Failure::Signaled };
            let opinion = self.verdict.handle_failure(cx.now, failure);
            self.tell(opinion, cx);
        } else {
            self.verdict.handle_sign_of_life(cx.now);
        }
    }

    fn clear(&mut self, cx: &mut Cx<'_>) {
        let opinion = self.verdict.handle_cleared(cx.now);
        self.tell(opinion, cx);
    }

    fn tell(&self, opinion: Option<Reachability>, cx: &mut Cx<'_>) {
        let interface = self.config.interface;
        cx.events.extend(opinion.map(|reachability| Event::Reachability { interface, reachability }));
    }

    /// Takes the intervals that the state asks for, and has the far end told of a change (section 6.8.3).
    fn change_intervals(&mut self) {
        if self.local.change(self.config.interval, self.state == SessionState::Up) {
            self.poll = self.poll.next(PollInput::Changed);
        }
    }

    /// Returns whether the far end has asked for silence, and may (section 6.6).
    fn is_far_end_in_demand(&self) -> bool {
        self.far.demand && self.state == SessionState::Up && self.far.state == SessionState::Up
    }

    /// Sets the time of the next periodic packet by the interval that holds (section 6.8.7), if that is another one.
    fn reschedule(&mut self, cx: &mut Cx<'_>) {
        let is_silent = !self.path_is_up || (self.is_far_end_in_demand() && !self.poll.is_asking());
        let interval = timing::transmit_interval(&self.local, &self.far.timing).filter(|_| !is_silent);
        let (last, paced_by) = self.pace;
        if interval == paced_by && interval.is_some() == self.deadlines.transmit.is_some() {
            return;
        }
        self.pace.1 = interval;
        self.deadlines.transmit =
            interval.map(|interval| last + timing::jittered(interval, self.config.detect_mult, cx.random));
    }

    fn transmit(&mut self, sequence: Sequence, cx: &mut Cx<'_>) {
        let octets = packet::encode(&ControlPacket {
            diagnostic: self.diagnostic,
            state: self.state,
            sequence,
            control_plane_independent: false,
            authenticated: false,
            demand: false,
            detect_mult: self.config.detect_mult,
            my_discriminator: self.discriminator,
            your_discriminator: self.far.discriminator,
            desired_min_tx: self.local.desired_min_tx,
            required_min_rx: self.local.required_min_rx,
            required_min_echo_rx: Duration::ZERO,
        });
        self.counters.sent += 1;
        self.send(Content::Control(octets), cx);
    }

    fn send(&self, content: Content, cx: &mut Cx<'_>) {
        let (interface, destination) = (self.config.interface, self.config.remote);
        cx.transmits.push_back(Transmit { interface, destination, content });
    }
}
