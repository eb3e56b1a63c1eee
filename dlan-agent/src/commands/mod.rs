//! Carries out the commands: asks the agent, or does without one where that makes sense.

mod ask;
mod configuration;
mod first;
mod leases;
mod offline;
mod output;
mod take_over;

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::causes::with_causes;
use crate::cli::{
    ApplyArgs, Cli, Command, ConfigCommand, EXIT_CONFIG_REJECTED, EXIT_FAILED, EXIT_NOT_RUNNING, EXIT_OK,
    EXIT_USAGE, RunProgramArgs, WireguardArgs,
};
use crate::control::CONTROL_SOCKET;
use crate::control::client::{self, ClientError};
use crate::control::protocol::{ApplyOrders, Refusal, RefusalKind, Reply, Request};
use crate::daemon::{self, AgentPaths};
use crate::supervised;
use output::Output;

/// How long an answer of the agent is waited for.
const ASK_DEADLINE: Duration = Duration::from_secs(20);
/// How long an apply may take: it builds links, has init scripts act, and verifies all of it.
const APPLY_DEADLINE: Duration = Duration::from_secs(240);

/// Carries out a command and returns the process's exit code.
pub fn run(cli: Cli) -> u8 {
    match &cli.command {
        Command::Wireguard(args) => return wireguard(args),
        Command::RunProgram(args) => return run_program(args),
        // Before there is a second thread.
        Command::Agent(args) if args.supervised => supervised::end_with_parent(),
        _ => {}
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            Output::new(false).error(&format!("cannot start: {error}"));
            return EXIT_FAILED;
        }
    };
    runtime.block_on(carry_out(cli))
}

/// Says what is wrong with the command line, and returns the process's exit code.
pub fn usage(text: &str) -> ExitCode {
    Output::new(false).error(text);
    ExitCode::from(EXIT_USAGE)
}

async fn carry_out(cli: Cli) -> u8 {
    let output = Output::new(cli.json);
    match cli.command {
        Command::Agent(_) => agent(&output, &cli.config).await,
        Command::Init(args) => first::init(&output, &cli.config, &args),
        Command::Key => first::key(&output, &cli.config),
        Command::Config(ConfigCommand::Check { file }) => {
            configuration::check(&output, file.as_deref().unwrap_or(&cli.config))
        }
        Command::Config(ConfigCommand::Show { effective }) => {
            configuration::show(&output, &cli.config, effective)
        }
        Command::Status => ask::status(&output, &cli.config).await,
        Command::Links => ask::simple(&output, Request::Links {}).await,
        Command::Neighbors => ask::simple(&output, Request::Neighbors {}).await,
        Command::Routes => ask::simple(&output, Request::Routes {}).await,
        Command::Leases => leases::leases(&output),
        Command::Lsdb => ask::simple(&output, Request::Lsdb {}).await,
        Command::Names => ask::simple(&output, Request::Names {}).await,
        Command::Services => ask::simple(&output, Request::Services {}).await,
        Command::Zones => ask::simple(&output, Request::Zones {}).await,
        Command::Firewall { openings: true, .. } => ask::openings(&output, &cli.config).await,
        Command::Firewall { load, openings: false } => offline::firewall(&output, &cli.config, load).await,
        Command::Topology(args) => ask::topology(&output, &args).await,
        Command::Path(args) => ask::path(&output, &args).await,
        Command::Plan(args) => ask::plan(&output, &cli.config, absolute(args.stage)).await,
        Command::Apply(args) => ask::simple(&output, Request::Apply(orders(args))).await,
        Command::Confirm(args) => {
            ask::simple(&output, Request::Confirm { token: args.token, local: args.local }).await
        }
        Command::Rollback { number } => ask::simple(&output, Request::Rollback { number }).await,
        Command::Window { banner: true } => ask::banner(&output).await,
        Command::Window { banner: false } => ask::simple(&output, Request::Window {}).await,
        Command::History { number } => ask::history(&output, number).await,
        Command::Recover => offline::recover_state(&output, &cli.config),
        Command::Drain => ask::simple(&output, Request::Drain {}).await,
        Command::Undrain => ask::simple(&output, Request::Undrain {}).await,
        Command::Down => offline::down(&output, &cli.config).await,
        Command::TakeOver => take_over::take_over(&output, &cli.config).await,
        // Done before there is a runtime.
        Command::Wireguard(_) | Command::RunProgram(_) => EXIT_FAILED,
    }
}

fn orders(args: ApplyArgs) -> ApplyOrders {
    ApplyOrders {
        confirm: args.confirm,
        require: args.require.into_iter().collect(),
        stage: absolute(args.stage),
        force: args.force,
    }
}

/// Returns a path as the agent is to be told it, which works in another directory.
fn absolute(path: Option<PathBuf>) -> Option<PathBuf> {
    path.map(|path| std::path::absolute(&path).unwrap_or(path))
}

async fn agent(output: &Output, config: &Path) -> u8 {
    let Err(error) = daemon::run(AgentPaths::new(config)).await else { return EXIT_OK };
    output.error(&with_causes(&error));
    EXIT_FAILED
}

/// Asks the agent. What goes wrong is printed, and its exit code returned.
async fn request(output: &Output, request: &Request) -> Result<Reply, u8> {
    let deadline = if matches!(request, Request::Apply(_) | Request::Rollback { .. }) {
        APPLY_DEADLINE
    } else {
        ASK_DEADLINE
    };
    match client::ask(Path::new(CONTROL_SOCKET), request, deadline).await {
        Ok(Reply::Refused(refusal)) => Err(refused(output, &refusal)),
        Ok(reply) => Ok(reply),
        Err(error) => {
            output.error(&with_causes(&error));
            Err(match error {
                ClientError::NotRunning { .. } => {
                    output.hint("start it with `dlan agent`, or by the system's service manager");
                    EXIT_NOT_RUNNING
                }
                ClientError::NotPermitted { .. } => {
                    output.hint("run it as root, for example with `sudo`");
                    EXIT_FAILED
                }
                ClientError::Io { .. } | ClientError::Deadline { .. } | ClientError::Protocol(_) => {
                    EXIT_FAILED
                }
            })
        }
    }
}

fn refused(output: &Output, refusal: &Refusal) -> u8 {
    output.refusal(refusal);
    match refusal.kind {
        RefusalKind::ConfigRejected => EXIT_CONFIG_REJECTED,
        RefusalKind::BadRequest
        | RefusalKind::OtherVersion
        | RefusalKind::Busy
        | RefusalKind::Unknown
        | RefusalKind::Failed => EXIT_FAILED,
    }
}

/// Becomes another program, which goes on when the agent and its terminal are gone.
fn run_program(args: &RunProgramArgs) -> u8 {
    // Refused where this process leads a group, as when a person types the command.
    let _ = nix::unistd::setsid();
    let Some((program, arguments)) = args.command.split_first() else { return EXIT_USAGE };
    let error = std::process::Command::new(program).args(arguments).exec();
    Output::new(false).error(&format!("cannot run {}: {error}", program.to_string_lossy()));
    EXIT_FAILED
}

#[cfg(feature = "userspace-wireguard")]
fn wireguard(args: &WireguardArgs) -> u8 {
    match vxlan::userspace::run(
        &args.device,
        args.mtu,
        std::path::Path::new(vxlan::netlink::SOCKET_DIRECTORY),
    ) {
        Ok(()) => EXIT_OK,
        Err(error) => {
            Output::new(false).error(&with_causes(&error));
            EXIT_FAILED
        }
    }
}

#[cfg(not(feature = "userspace-wireguard"))]
fn wireguard(_args: &WireguardArgs) -> u8 {
    Output::new(false)
        .error("this program was built without the embedded WireGuard (feature userspace-wireguard)");
    EXIT_FAILED
}
