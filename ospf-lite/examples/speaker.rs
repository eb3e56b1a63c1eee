//! Speaks OSPFv3 in both families over given devices and prints what it learns; routes no packet.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a person reads it, and each start needs another seed"
)]

use std::error::Error;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use ipnet::IpNet;
use nix::ifaddrs::getifaddrs;
use ospf_lite::config::{
    AdvertisedPrefix, AuthenticationKey, Config, HmacAlgorithm, InterfaceConfig, InterfaceKind,
    PointToPointConfig, SecurityAssociation,
};
use ospf_lite::driver::{self, DeviceInterface, DriverConfig, DriverEvent, DriverHandle, Engines};
use ospf_lite::ids::{Cost, Family, InterfaceId, RouterId};
use ospf_lite::io::Event;

/// Speaks OSPFv3 over devices and prints neighbors and routes whenever they change. Needs root.
#[derive(Debug, Clone, Parser)]
struct Options {
    /// This router's identity, written like an IPv4 address.
    #[arg(long)]
    router_id: RouterId,
    /// A point-to-point device, with its cost: eth0 or eth0:20.
    #[arg(long = "link", required = true)]
    links: Vec<String>,
    /// A prefix to advertise, of either family.
    #[arg(long = "prefix")]
    prefixes: Vec<IpNet>,
    /// The secret of the authentication trailer (HMAC-SHA-256, SA ID 1).
    #[arg(long)]
    secret: Option<String>,
    /// HelloInterval in seconds; RouterDeadInterval is four times as long.
    #[arg(long, default_value_t = 10)]
    hello: u64,
    /// Print every decision.
    #[arg(long)]
    debug: bool,
}

/// The Interface ID of the prefixes; devices have their kernel index.
const PREFIXES: InterfaceId = InterfaceId(0xffff_0000);

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let level = if options.debug { tracing::Level::TRACE } else { tracing::Level::INFO };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(speak(options))
}

async fn speak(options: Options) -> Result<(), Box<dyn Error>> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let config = |family| Config {
        authentication_epoch: u32::try_from(since_1970.as_secs()).unwrap_or(u32::MAX),
        ..Config::new(options.router_id, family)
    };
    let seed = u64::from(since_1970.subsec_nanos()) << 32 | since_1970.as_secs();
    let config = DriverConfig { ipv6: config(Family::Ipv6), ipv4: config(Family::Ipv4), seed };
    let (driver, mut events) = driver::spawn(config);
    let stub = |family| stub(&options.prefixes, family);
    let prefixes = DeviceInterface {
        ifindex: 0,
        name: "prefixes".to_owned(),
        ipv6: stub(Family::Ipv6),
        ipv4: stub(Family::Ipv4),
        bfd: None,
    };
    configure(&driver, prefixes).await?;
    for link in &options.links {
        configure(&driver, device(link, &options)?).await?;
    }
    while let Some(event) = events.recv().await {
        match event {
            DriverEvent::Engine(family, Event::NeighborChanged { interface, neighbor, from, to }) => {
                println!("{family} neighbor {neighbor} on {interface}: {from} -> {to}");
            }
            DriverEvent::Engine(family, Event::RoutesChanged) => {
                driver.inspect(move |engines| print_routes(engines, family)).await?;
            }
            DriverEvent::Engine(_, Event::OtherLsasChanged | Event::NeighborLost { .. })
            | DriverEvent::LeftAlone(_) => {}
            DriverEvent::SocketNotOpened(interface, error) => println!("{interface}: {error}"),
            DriverEvent::SocketFailed(interface, error) => println!("{interface}: {error}"),
        }
    }
    Ok(())
}

async fn configure(driver: &DriverHandle, device: DeviceInterface) -> Result<(), Box<dyn Error>> {
    let id = device.id();
    driver.configure(device).await?;
    driver.up(id).await?;
    Ok(())
}

fn print_routes(engines: &Engines, family: Family) {
    println!("{family} routes:");
    for (prefix, route) in engines.of(family).routes().iter() {
        print!("  {} distance {}", prefix, route.distance);
        for hop in route.next_hops.iter() {
            let ipv4 = hop.ipv4.map(|address| format!(" or {address}")).unwrap_or_default();
            print!(", via {}{ipv4} on {} ({})", hop.link_local, hop.interface, hop.neighbor);
        }
        println!();
    }
}

fn stub(prefixes: &[IpNet], family: Family) -> InterfaceConfig {
    let ours = prefixes.iter().filter(|prefix| matches!(prefix, IpNet::V4(_)) == (family == Family::Ipv4));
    let advertised = |prefix: &IpNet| AdvertisedPrefix { prefix: *prefix, metric: 0, local_address: false };
    InterfaceConfig {
        id: PREFIXES,
        name: "prefixes".to_owned(),
        prefixes: ours.map(advertised).collect(),
        kind: InterfaceKind::Stub,
    }
}

/// Reads from the kernel what there is to know of a device.
fn device(link: &str, options: &Options) -> Result<DeviceInterface, Box<dyn Error>> {
    let (name, cost) = link.split_once(':').unwrap_or((link, "10"));
    let cost = Cost::new(cost.parse()?).ok_or("a cost of 0")?;
    let mtu = std::fs::read_to_string(format!("/sys/class/net/{name}/mtu"))?.trim().parse()?;
    let ifindex = nix::net::if_::if_nametoindex(name)?;
    let (link_local, ipv4_address) = addresses(name)?;
    let authentication = options.secret.iter().map(|secret| SecurityAssociation {
        id: 1,
        algorithm: HmacAlgorithm::Sha256,
        key: AuthenticationKey::new(secret.as_bytes()),
    });
    let config = InterfaceConfig {
        id: InterfaceId(ifindex),
        name: name.to_owned(),
        prefixes: Vec::new(),
        kind: InterfaceKind::PointToPoint(PointToPointConfig {
            cost,
            hello_interval: Duration::from_secs(options.hello),
            dead_interval: Duration::from_secs(options.hello * 4),
            rxmt_interval: Duration::from_secs(5),
            inf_trans_delay: Duration::from_secs(1),
            mtu,
            link_local,
            neighbor: None,
            ipv4_address,
            authentication: authentication.collect(),
        }),
    };
    Ok(DeviceInterface { ifindex, name: name.to_owned(), ipv6: config.clone(), ipv4: config, bfd: None })
}

fn addresses(device: &str) -> Result<(Ipv6Addr, Option<Ipv4Addr>), Box<dyn Error>> {
    let mut link_local = None;
    let mut ipv4 = None;
    for found in getifaddrs()?.filter(|found| found.interface_name == device) {
        let Some(address) = found.address else { continue };
        if let Some(address) = address.as_sockaddr_in6().map(|address| address.ip()) {
            link_local = link_local.or(Some(address).filter(Ipv6Addr::is_unicast_link_local));
        }
        ipv4 = ipv4.or(address.as_sockaddr_in().map(|address| address.ip()));
    }
    Ok((link_local.ok_or_else(|| format!("{device} has no link-local address"))?, ipv4))
}
