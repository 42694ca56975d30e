//! The processes of a region: three members, two frontends, and a blob service, or several.
//!
//! All speak mutual TLS over TCP, each at an address of its own that stays the same over restarts.
//! Members may have a network of their own, which can be cut, or the whole region one from which nothing
//! leads; events may go to Kafka, blobs to a bucket, and what may be lost to Redis. A region that knows
//! another one has an agent too.

mod dispatchers;
mod plan;

use std::path::PathBuf;
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use plan::Plan;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Authority, Dev, DevBuilder, Door, IdentityFiles, Network, Starting, cluster, eventually,
    leader_of, replication,
};

/// Members of the group.
pub const MEMBERS: usize = 3;
/// Frontends.
pub const FRONTS: usize = 2;

/// How long anything may take that is waited for.
const SOON: Duration = Duration::from_secs(60);

/// Regions that this process has started.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// What a region knows of another one.
#[derive(Debug, Clone)]
pub struct Neighbour {
    /// Its name.
    pub name: meridian_clock::Region,
    /// Where its agent is found from here, `host:port`.
    pub agent: String,
    /// Where its events are found from here, if not at its agent: settings below `events` of a region.
    pub events: Vec<(&'static str, String)>,
}

/// A region at work.
pub struct Region {
    /// How it was made.
    pub plan: Plan,
    folder: TempDir,
    authority: Arc<Authority>,
    /// No other region of this machine has it, nor had it lately.
    number: u32,
    network: Option<Network>,
    members: Vec<Option<Dev>>,
    blobs: Vec<Option<Dev>>,
    fronts: Vec<Option<Dev>>,
    neighbours: Vec<Neighbour>,
    agent: Option<Dev>,
    dispatchers: Vec<Option<Dev>>,
    /// The ways in from this machine.
    doors: Mutex<Vec<Door>>,
}

// === impl Region ===

impl Region {
    /// Starts all its processes, and waits until they serve.
    pub fn start(plan: Plan) -> Self {
        let mut region = Self::lay(plan, Arc::default());
        region.begin();
        region
    }

    /// One that has its name and its addresses, and no process yet.
    pub fn lay(plan: Plan, authority: Arc<Authority>) -> Self {
        assert!(
            !plan.has_network || plan.namespace.is_none(),
            "members are in one network or the other"
        );
        Self {
            folder: tempfile::tempdir().unwrap(),
            authority,
            number: std::process::id() * 100 + STARTED.fetch_add(1, Ordering::Relaxed),
            network: plan.has_network.then(|| Network::new(MEMBERS)),
            members: (0..plan.members()).map(|_| None).collect(),
            blobs: (0..=plan.more_blobs).map(|_| None).collect(),
            fronts: (0..FRONTS).map(|_| None).collect(),
            neighbours: Vec::new(),
            agent: None,
            dispatchers: Vec::new(),
            doors: Mutex::default(),
            plan,
        }
    }

    /// Has it know another region. That is told to processes when they are started.
    pub fn know(&mut self, neighbour: Neighbour) {
        self.neighbours.push(neighbour);
    }

    /// Starts all processes of a region that is laid, and waits until they serve.
    pub fn begin(&mut self) {
        self.let_clients_in();
        let members = 0..self.members.len();
        let founders: Vec<_> = members.clone().map(|it| self.endpoint(it)).collect();
        let founders = format!("{founders:?}");
        let starting: Vec<_> = members
            .map(|member| {
                let founder = self.member(member);
                let founder = founder.env("MERIDIAN_METADATA__GROUP__FOUNDERS", &founders);
                founder.launch()
            })
            .collect();
        for (member, starting) in starting.into_iter().enumerate() {
            self.members[member] = Some(starting.ready().unwrap());
        }
        for blob in 0..self.blobs.len() {
            self.start_blob(blob);
        }
        if !self.neighbours.is_empty() {
            self.start_agent();
        }
        for front in 0..FRONTS {
            self.start_front(front);
        }
    }

    /// Has what clients ask for found where it is in there, if the region has a network of its own.
    fn let_clients_in(&self) {
        let Some(namespace) = &self.plan.namespace else {
            return;
        };
        let fronts = (0..FRONTS).map(|front| self.front_address(front));
        let addresses = fronts.chain(self.plan.brokers.iter().cloned());
        let doors = addresses.map(|address| {
            let address = address.parse().unwrap();
            Door::open(address, namespace, address)
        });
        self.doors.lock().unwrap().extend(doors);
    }

    /// Where this machine finds what is at an address of the region, `host:port`.
    pub fn way_to(&self, address: &str) -> String {
        let Some(namespace) = &self.plan.namespace else {
            return address.to_owned();
        };
        let any = "127.0.0.1:0".parse().unwrap();
        let door = Door::open(any, namespace, address.parse().unwrap());
        let outside = door.address().to_string();
        self.doors.lock().unwrap().push(door);
        outside
    }

    /// Kills all processes at once, for ever.
    pub fn lose(&mut self) {
        let parts = [&mut self.members, &mut self.blobs, &mut self.fronts];
        parts.into_iter().flatten().for_each(|it| drop(it.take()));
        self.agent = None;
        self.dispatchers.clear();
    }

    // --- processes ---

    /// A process of a role, with an identity.
    fn builder(&self, role: &str, number: usize) -> DevBuilder {
        let name = format!("{role}-{number}");
        let home = self.folder.path().join(format!("{name}-identity"));
        let files = IdentityFiles(&home);
        files.trust(&[&self.authority]);
        let region = self.name();
        let uri = format!("spiffe://meridian.test/region/{region}/role/{role}/{name}");
        files.certify(&self.authority.issue(&[&uri]));
        let mut builder = DevBuilder::run(&[role], self.folder.path().join(&name));
        if let Some(namespace) = &self.plan.namespace {
            builder = builder.within(&namespace.entrance().each_ref().map(String::as_str));
        }
        let environment = files.environment().into_iter();
        environment
            .fold(builder, |builder, (name, value)| builder.env(&name, value))
            .env("MERIDIAN_REGION", self.name().to_string())
    }

    /// A member, as it is started again.
    pub fn member(&self, member: usize) -> DevBuilder {
        let address = self.address(member);
        let mut builder = self
            .builder("metadata", member)
            .listen(address)
            .env("MERIDIAN_METADATA__GROUP__ADVERTISE", self.endpoint(member));
        if let Some(network) = &self.network {
            builder = builder.within(&["ip", "netns", "exec", &network.name(member)]);
        }
        if self.plan.brokers.is_empty() {
            builder = builder.env("MERIDIAN_EVENTS__KIND", "disk");
        } else {
            builder = builder
                .env("MERIDIAN_EVENTS__KIND", "kafka")
                .env("MERIDIAN_EVENTS__KAFKA__SINGLE_BROKER", "true")
                .env(
                    "MERIDIAN_EVENTS__KAFKA__BROKERS",
                    format!("{:?}", self.plan.brokers),
                );
        }
        if let Some(clocks) = &self.plan.clocks {
            let clock = clocks.join(member.to_string());
            let clock = clock.to_str().unwrap();
            builder = builder.env("FAKETIME_TIMESTAMP_FILE", clock);
        }
        let settings = self.plan.member.iter();
        let builder = settings.fold(builder, |builder, (name, value)| builder.env(name, value));
        match self.plan.forgets_others {
            true => builder,
            false => self.among_neighbours(builder),
        }
    }

    /// Starts a member again, and waits until it serves.
    pub fn start_member(&mut self, member: usize) {
        self.members[member] = Some(self.member(member).start());
    }

    /// Starts a member again; it may be long until it serves.
    pub fn launch_member(&self, member: usize) -> Starting {
        self.member(member).launch()
    }

    /// Takes a member over.
    pub fn has_member(&mut self, member: usize, process: Dev) {
        self.members[member] = Some(process);
    }

    /// Starts a blob service, also again.
    pub fn start_blob(&mut self, blob: usize) {
        let builder = self
            .builder("blob", blob)
            .listen(self.blob_address(blob))
            .env("MERIDIAN_SERVICES__METADATA", self.endpoints());
        let settings = self.plan.blob.iter();
        let builder = settings.fold(builder, |builder, (name, value)| builder.env(name, value));
        self.blobs[blob] = Some(builder.start());
    }

    /// Starts the agent, also again.
    pub fn start_agent(&mut self) {
        let builder = self
            .builder("replication", 0)
            .listen(self.agent_address())
            .env(
                "MERIDIAN_REPLICATION__PEER_LISTEN",
                format!("[{:?}]", self.door()),
            )
            .env("MERIDIAN_SERVICES__METADATA", self.endpoints())
            .env("MERIDIAN_SERVICES__BLOB", self.blob_endpoints());
        let settings = self.plan.agent.iter();
        let builder = settings.fold(builder, |builder, (name, value)| builder.env(name, value));
        self.agent = Some(self.among_neighbours(builder).start());
    }

    /// Tells a process of other regions.
    fn among_neighbours(&self, builder: DevBuilder) -> DevBuilder {
        self.neighbours.iter().fold(builder, |builder, neighbour| {
            let name = neighbour.name.to_string().to_uppercase();
            let set = |setting: &str| format!("MERIDIAN_REGIONS__{name}__{setting}");
            let builder = builder.env(&set("ENDPOINTS"), format!("https://{}", neighbour.agent));
            let events = neighbour.events.iter();
            events.fold(builder, |builder, (name, value)| {
                builder.env(&set(&format!("EVENTS__{name}")), value)
            })
        })
    }

    /// A frontend, as it is started again.
    pub fn front(&self, front: usize) -> DevBuilder {
        let builder = self.builder("frontend", front);
        let settings = self.plan.front.iter();
        let builder = settings.fold(builder, |builder, (name, value)| builder.env(name, value));
        let agent = format!("https://{}", self.agent_address());
        let builder = builder
            .listen(self.front_address(front))
            .env("MERIDIAN_SERVICES__METADATA", self.endpoints())
            .env("MERIDIAN_SERVICES__BLOB", self.blob_endpoints())
            .env("MERIDIAN_SERVICES__REPLICATION", agent);
        self.among_neighbours(builder)
    }

    /// Starts a frontend, also again.
    pub fn start_front(&mut self, front: usize) {
        self.fronts[front] = Some(self.front(front).start());
    }

    /// Hands a member over.
    pub fn take_member(&mut self, member: usize) -> Dev {
        self.members[member].take().unwrap()
    }

    /// A member that has ended by itself, if one has.
    pub fn ended_member(&mut self) -> Option<usize> {
        let mut members = self.members.iter_mut();
        members.position(|member| member.as_mut().is_some_and(|it| !it.is_running()))
    }

    /// Hands a blob service over.
    pub fn take_blob(&mut self, blob: usize) -> Dev {
        self.blobs[blob].take().unwrap()
    }

    /// Hands a frontend over.
    pub fn take_front(&mut self, front: usize) -> Dev {
        self.fronts[front].take().unwrap()
    }

    /// Hands the agent over.
    pub fn take_agent(&mut self) -> Dev {
        self.agent.take().unwrap()
    }

    /// The agent, which runs.
    pub fn agent(&self) -> &Dev {
        self.agent.as_ref().unwrap()
    }

    /// A member that runs.
    pub fn process(&self, member: usize) -> &Dev {
        self.members[member].as_ref().unwrap()
    }

    /// `meridian replication …`, asked of the agent.
    pub fn replication(&self, arguments: &[&str]) -> Output {
        replication(&self.folder.path().join("replication-0"), arguments)
    }

    /// How far the agent is with what the only other region did, if it says so.
    pub fn replicated(&self) -> Option<Value> {
        let output = self.replication(&["status", "--json"]);
        let mut status: Value = serde_json::from_slice(&output.stdout).ok()?;
        Some(status["peers"][0].take())
    }

    /// Its name: of its own, and so is its topic in Kafka.
    pub fn name(&self) -> meridian_clock::Region {
        format!("test-{}", self.number).parse().unwrap()
    }

    // --- addresses ---

    /// Where all of its processes are found, `host:port`.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        let members = (0..self.members.len()).map(|it| self.address(it));
        let blobs = (0..self.blobs.len()).map(|it| self.blob_address(it));
        let fronts = (0..FRONTS).map(|it| self.front_address(it));
        let agent = [self.agent_address(), self.door()];
        members.chain(blobs).chain(fronts).chain(agent)
    }

    fn address(&self, member: usize) -> String {
        match &self.network {
            Some(network) => format!("{}:7401", network.address(member)),
            None => format!("127.77.{}.{}:7401", self.subnet(), member + 1),
        }
    }

    /// Where a member is found.
    pub fn endpoint(&self, member: usize) -> String {
        format!("https://{}", self.address(member))
    }

    fn endpoints(&self) -> String {
        let members = 0..self.members.len();
        let all: Vec<_> = members.map(|it| self.endpoint(it)).collect();
        format!("{all:?}")
    }

    fn blob_endpoints(&self) -> String {
        let blobs: Vec<_> = (0..self.blobs.len())
            .map(|blob| format!("https://{}", self.blob_address(blob)))
            .collect();
        format!("{blobs:?}")
    }

    fn agent_address(&self) -> String {
        format!("127.77.{}.150:7404", self.subnet())
    }

    /// Where its agent takes the calls of other regions.
    pub fn door(&self) -> String {
        format!("127.77.{}.150:7405", self.subnet())
    }

    /// An address in it that nobody has: for what leads to that region.
    pub fn spare(&self, there: usize) -> String {
        format!("127.77.{}.{}:7405", self.subnet(), 160 + there)
    }

    const fn subnet(&self) -> u32 {
        self.number % 250
    }

    fn blob_address(&self, blob: usize) -> String {
        format!("127.77.{}.{}:7402", self.subnet(), 100 + blob)
    }

    fn front_address(&self, front: usize) -> String {
        format!("127.77.{}.{}:5000", self.subnet(), 200 + front)
    }

    /// Where clients find the frontends, whether these run or not.
    pub fn bases(&self) -> Vec<String> {
        (0..FRONTS)
            .map(|front| format!("http://{}", self.front_address(front)))
            .collect()
    }

    /// Where a member keeps its data.
    pub fn data_dir(&self, member: usize) -> PathBuf {
        self.folder.path().join(format!("metadata-{member}"))
    }

    // --- the group ---

    /// `meridian cluster …`, asked of a member.
    pub fn cluster(&self, member: usize, arguments: &[&str]) -> Output {
        cluster(&self.data_dir(member), arguments)
    }

    /// What a member says of the group, if it answers.
    pub fn status(&self, member: usize) -> Option<Value> {
        let output = self.cluster(member, &["status"]);
        let is_good = output.status.success();
        is_good.then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The id of a member that runs.
    pub fn node(&self, member: usize) -> String {
        self.status(member).unwrap()["node"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The network of the members.
    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("the plan has a network")
    }

    /// Which member leads, in the eyes of `of`, when that knows.
    pub async fn leader(&self, of: usize) -> usize {
        eventually("a leader is known", SOON, || async { self.led_by(of) }).await
    }

    /// The same, if it knows at once.
    pub fn led_by(&self, of: usize) -> Option<usize> {
        let status = self.status(of)?;
        let leader = leader_of(&status)?;
        (0..self.members.len()).find(|it| leader == self.endpoint(*it))
    }
}
