//! Apache Kafka: brokers that are controllers as well, each with one listener for everybody, one
//! for those who have a certificate and a password, and one for those who come from afar: it names
//! itself by a door at which nobody listens, until a test has something lead from there to it.
//!
//! A cluster may have a network of its own, with nothing in it but loopback: that of a region from which nothing
//! leads. It is there as long as a process is in it, and others enter it by the id of a broker. Who comes from afar
//! to such a cluster speaks TLS and has the password of a user who may read topics and nothing else.
//!
//! They are fast to start and to notice that one of them has gone, and keep little memory; what a
//! topic promises is left to those who create it.

mod readiness;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::certificates::Certificates;
use super::file::Kafka;
use super::store;
use crate::process::{Program, Service, free_addresses_at};
use crate::scratch::Scratch;
use crate::workspace::Workspace;

/// Any 16 bytes in base64; brokers with another one are another cluster.
const CLUSTER: &str = "bWVyaWRpYW4tdGVzdC1rYQ";
const USER: &str = "meridian";
const PASSWORD: &str = "a password for tests";
/// Who reads what another region says, and has no other rights.
const READER: &str = "reader";
const READERS_PASSWORD: &str = "another password for tests";
/// The group that readers of ours name, and never join.
const READERS_GROUP: &str = "meridian";
/// What the topics of regions begin with.
const TOPICS: &str = "meridian.";
const FETCH_LIMIT: Duration = Duration::from_mins(10);
const START_LIMIT: Duration = Duration::from_mins(2);
/// Pinned like what it fetches.
const FETCH: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// Whose loopback brokers listen at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// That of this machine.
    Ours,
    /// One of its own, of each broker.
    Own,
}

/// Has loopback work in a new network, and becomes the program that it is told of.
const BECOME: &str = "ip link set lo up && exec \"$@\"";

/// One broker, and where it listens.
struct Broker {
    number: usize,
    dir: PathBuf,
    plain: String,
    secure: String,
    far: String,
    door: String,
    controller: String,
}

/// The class path that `tests/parts/kafka/pom.xml` pins.
pub(super) fn libraries(workspace: &Workspace) -> Result<PathBuf> {
    let pom = workspace.root().join("tests/parts/kafka/pom.xml");
    let pins = fs::read_to_string(&pom)?;
    store::ensure("kafka", &[&pins, FETCH], workspace, |dir| {
        Program::new("mvn")
            .args(["--batch-mode", "--quiet", "--strict-checksums", "--file"])
            .arg(&pom)
            .args([FETCH, "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", dir.display()))
            .limit(FETCH_LIMIT)
            .output()?;
        Ok(())
    })
}

/// Starts a cluster, which is known to this machine by that name.
pub(super) fn start(
    name: &str,
    count: u16,
    network: Network,
    services: &mut Vec<Service>,
    scratch: &Scratch,
    workspace: &Workspace,
) -> Result<Kafka> {
    let dir = scratch.dir(name)?;
    let certificates = Certificates::issue(network.host(), &dir)?;
    let numbers = 1..=usize::from(count);
    let brokers = numbers.map(|number| Broker::place(number, network.host(), &dir));
    let brokers: Vec<Broker> = brokers.collect::<Result<_>>()?;
    for broker in &brokers {
        fs::write(
            broker.settings(),
            settings(broker, &brokers, network, &certificates)?,
        )?;
    }
    format_all(&brokers, workspace)?;
    let mut processes = Vec::new();
    for broker in &brokers {
        let log = scratch.path().join(format!("{name}-{}.log", broker.number));
        let java = java(network, workspace)?
            .arg("kafka.Kafka")
            .arg(broker.settings());
        let service = java.dir(&broker.dir).start(&log)?;
        scratch.note(&service)?;
        processes.push(service.id());
        services.push(service);
    }
    let first = services.len() - brokers.len();
    for (service, broker) in services[first..].iter_mut().zip(&brokers) {
        let id = service.id();
        service.wait_until(START_LIMIT, || {
            let known = network.within(id, || readiness::brokers(&broker.plain));
            known.is_ok_and(|known| known == brokers.len())
        })?;
    }
    if network == Network::Own {
        let services = services[first..].iter();
        for (service, broker) in services.zip(&brokers) {
            grant(&broker.plain, service.id(), workspace)?;
        }
    }
    let password_file = dir.join("password");
    keep_secret(&password_file, PASSWORD)?;
    let readers_password_file = dir.join("readers-password");
    keep_secret(&readers_password_file, READERS_PASSWORD)?;
    Ok(Kafka {
        brokers: brokers.iter().map(|it| it.plain.clone()).collect(),
        processes,
        secure_brokers: brokers.iter().map(|it| it.secure.clone()).collect(),
        far_brokers: brokers.iter().map(|it| it.far.clone()).collect(),
        doors: brokers.iter().map(|it| it.door.clone()).collect(),
        ca_file: certificates.authority,
        certificate_file: certificates.client,
        key_file: certificates.client_key,
        user: USER.to_owned(),
        password_file,
        reader: READER.to_owned(),
        readers_password_file,
    })
}

/// Writes what only its owner may read: nobody else's file is taken for a secret.
fn keep_secret(path: &Path, secret: &str) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    Ok(file.write_all(secret.as_bytes())?)
}

/// Lets those who come from afar read what topics of regions say. `broker` is in the network of `process`.
fn grant(broker: &str, process: i32, workspace: &Workspace) -> Result<()> {
    let enter = Program::new("nsenter").arg(format!("--net=/proc/{process}/ns/net"));
    let command = run_java(enter.arg("java"), workspace)?
        .arg("org.apache.kafka.tools.AclCommand")
        .args(["--bootstrap-server", broker, "--add", "--force"])
        .arg(format!("--allow-principal=User:{READER}"))
        .args(["--operation", "Read", "--operation", "Describe"])
        .args(["--resource-pattern-type", "prefixed", "--topic", TOPICS])
        .args(["--group", READERS_GROUP]);
    command.output().map(drop)
}

/// Makes the folders of all brokers, at the same time: a machine of Java's takes seconds to start.
fn format_all(brokers: &[Broker], workspace: &Workspace) -> Result<()> {
    let format = |broker: &Broker| {
        let users = [(USER, PASSWORD), (READER, READERS_PASSWORD)];
        let users = users.into_iter().flat_map(|(name, password)| {
            ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(|mechanism| {
                format!("--add-scram={mechanism}=[name={name},password={password}]")
            })
        });
        java(Network::Ours, workspace)?
            .args(["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER])
            .arg("--config")
            .arg(broker.settings())
            .args(users)
            .output()
    };
    thread::scope(|scope| {
        let formatting: Vec<_> = brokers
            .iter()
            .map(|broker| scope.spawn(move || format(broker)))
            .collect();
        for formatted in formatting {
            let formatted = formatted.join().map_err(|_| anyhow!("a thread panicked"))?;
            formatted.context("a broker's folder cannot be made")?;
        }
        Ok(())
    })
}

fn java(network: Network, workspace: &Workspace) -> Result<Program> {
    run_java(network.program("java"), workspace)
}

fn run_java(java: Program, workspace: &Workspace) -> Result<Program> {
    let logging = workspace.root().join("tests/parts/kafka/log4j2.properties");
    let libraries = libraries(workspace)?;
    Ok(java
        .args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
        .arg("-cp")
        .arg(libraries.join("*")))
}

fn settings(
    broker: &Broker,
    all: &[Broker],
    network: Network,
    certificates: &Certificates,
) -> Result<String> {
    let voters: Vec<String> = all
        .iter()
        .map(|it| format!("{}@{}", it.number, it.controller))
        .collect();
    let Broker {
        number,
        dir,
        plain,
        secure,
        far,
        door,
        controller,
    } = broker;
    let mut text = format!(
        "process.roles=broker,controller\n\
         node.id={number}\n\
         controller.quorum.voters={voters}\n\
         listeners=PLAIN://{plain},SECURE://{secure},FAR://{far},CONTROLLER://{controller}\n\
         advertised.listeners=PLAIN://{plain},SECURE://{secure},FAR://{door}\n\
         controller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=PLAIN\n\
         listener.security.protocol.map=PLAIN:PLAINTEXT,FAR:{afar},CONTROLLER:PLAINTEXT,SECURE:SASL_SSL\n\
         log.dirs={dir}/data\n",
        voters = voters.join(","),
        dir = dir.display(),
        afar = network.protocol_from_afar(),
    );
    writeln!(
        text,
        "ssl.keystore.type=PEM\n\
         ssl.keystore.location={}\n\
         ssl.truststore.type=PEM\n\
         ssl.truststore.location={}\n\
         listener.name.secure.ssl.client.auth=required\n\
         sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512",
        certificates.broker.display(),
        certificates.authority.display(),
    )?;
    for listener in ["secure", "far"] {
        for mechanism in ["scram-sha-256", "scram-sha-512"] {
            writeln!(
                text,
                "listener.name.{listener}.{mechanism}.sasl.jaas.config=\
                 org.apache.kafka.common.security.scram.ScramLoginModule required;"
            )?;
        }
    }
    if network == Network::Own {
        writeln!(
            text,
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
             super.users=User:ANONYMOUS;User:{USER}"
        )?;
    }
    let copies = all.len().min(3);
    writeln!(
        text,
        "offsets.topic.num.partitions=1\n\
         offsets.topic.replication.factor={copies}\n\
         transaction.state.log.replication.factor={copies}\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.replication.factor={copies}\n\
         share.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n\
         broker.heartbeat.interval.ms=500\n\
         broker.session.timeout.ms=3000"
    )?;
    Ok(text)
}

// === impl Network ===

impl Network {
    /// Where brokers listen. Tests may give those of another network the same addresses on this machine:
    /// such as nobody connects from, since a connection may have any port.
    const fn host(self) -> Ipv4Addr {
        match self {
            Self::Ours => Ipv4Addr::LOCALHOST,
            Self::Own => Ipv4Addr::new(127, 78, 0, 1),
        }
    }

    /// What those speak who come from another network, if any can.
    const fn protocol_from_afar(self) -> &'static str {
        match self {
            Self::Ours => "PLAINTEXT",
            Self::Own => "SASL_SSL",
        }
    }

    /// What starts a program there, and becomes it.
    fn program(self, program: &str) -> Program {
        match self {
            Self::Ours => Program::new(program),
            Self::Own => Program::new("unshare").args(["--net", "sh", "-c", BECOME, "sh", program]),
        }
    }

    /// Does something there, if `process` is.
    fn within<T: Send>(self, process: i32, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        if self == Self::Ours {
            return act();
        }
        let network = fs::File::open(format!("/proc/{process}/ns/net"))?;
        let act = || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
            act()
        };
        // It is a thread that enters a network, and this one is to stay here.
        let done = thread::scope(|scope| scope.spawn(act).join());
        done.map_err(|_| anyhow!("a thread panicked"))?
    }
}

// === impl Broker ===

impl Broker {
    fn place(number: usize, host: Ipv4Addr, all: &Path) -> Result<Self> {
        let dir = all.join(number.to_string());
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let [plain, secure, far, door, controller] = free_addresses_at(host)?;
        Ok(Self {
            number,
            dir,
            plain,
            secure,
            far,
            door,
            controller,
        })
    }

    fn settings(&self) -> PathBuf {
        self.dir.join("server.properties")
    }
}
