//! Moves routes away from what is lost: at once, beside whatever else is being done.

use std::future::Future;
use std::pin::Pin;

use futures_util::future::join_all;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;

use super::rtnl::{Devices, Rtnl, RtnlError};
use super::rtnl_next_hop::NextHopRequest;
use super::{next_hops, routes};
use crate::causes::with_causes;
use crate::plan::Plan;
use crate::plan::change::{Act, Change, Edit};
use crate::plan::outcome::{Failure, Outcome};

type Answer = Pin<Box<dyn Future<Output = Result<(), RtnlError>>>>;

/// Sends the steps of a plan that sets groups and routes by groups; what became of them is awaited with what is returned.
/// Whether the kernel has dropped a thing by itself does not matter.
pub fn send(rtnl: &Rtnl, plan: Plan) -> impl Future<Output = Outcome> + use<> {
    let answers: Vec<Option<Answer>> = plan.steps().iter().map(|step| send_step(rtnl, step)).collect();
    async move {
        let waiting = answers.into_iter().map(|answer| async move {
            match answer {
                Some(answer) => answer.await,
                None => Ok(()),
            }
        });
        let mut outcome = Outcome::default();
        for (index, (result, step)) in join_all(waiting).await.into_iter().zip(plan.steps()).enumerate() {
            let is_gone = |error: &RtnlError| step.act() == Act::Remove && error.is_absence();
            match result {
                Err(error) if !is_gone(&error) => outcome.failures.push(Failure {
                    index,
                    step: step.to_string(),
                    error: with_causes(&error),
                    is_taken: error.is_presence(),
                }),
                Ok(()) | Err(_) => outcome.applied += 1,
            }
        }
        outcome
    }
}

fn send_step(rtnl: &Rtnl, step: &Change) -> Option<Answer> {
    // Neither a group nor a route by a group names a device, nor what goes.
    let devices = Devices::default();
    let flags = NLM_F_CREATE | NLM_F_REPLACE;
    match step {
        Change::NextHop(Edit { key, to: Some(to), .. }) => {
            let message = next_hops::encode(*key, to, &devices).ok()?;
            Some(Box::pin(rtnl.request(NextHopRequest::New(message), flags)))
        }
        Change::Route(Edit { key, to: Some(to), .. }) => {
            let message = routes::encode(key, to, &devices).ok()?;
            Some(Box::pin(rtnl.request(RouteNetlinkMessage::NewRoute(message), flags)))
        }
        Change::NextHop(Edit { key, to: None, .. }) => {
            Some(Box::pin(rtnl.request(next_hops::removal(*key), 0)))
        }
        Change::Route(Edit { key, from: Some(from), to: None }) => {
            let message = routes::removal(key, from);
            Some(Box::pin(rtnl.request(RouteNetlinkMessage::DelRoute(message), 0)))
        }
        _ => None,
    }
}
