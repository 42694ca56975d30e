//! The check of a region from end to end, as a resource.
//!
//! | | |
//! |---|---|
//! | `POST /v1/checks` | pushes, pulls and deletes a tiny artifact, and says how long each step took |
//!
//! It goes through the frontend as any client does, so that it says what clients meet. One runs at a
//! time in a process: a check that waits for another one measures nothing.

mod registry;
mod run;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use meridian_chassis::config::{self, Bounds};
use meridian_chassis::http::ListenAddress;
use meridian_clients::MetadataApi;
use meridian_clock::{Clock, SystemClock};
use meridian_eventlog::{EventLog, Topic};
use meridian_oci::RegistryName;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Management;
use super::problem::{Kind, Problem};
use crate::exit::Exit;
use crate::remote::Remote;

/// Settings of the check.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CheckConfig {
    /// The frontend that is checked, as clients name it. By default the one of the same process.
    pub(crate) frontend: Option<String>,
    /// The authorities that certify it. By default those of this machine.
    pub(crate) ca_file: Option<PathBuf>,
    /// How long a check may take.
    #[serde(with = "config::duration")]
    pub(crate) deadline: Duration,
}

/// What a check needs.
pub(crate) struct Checks {
    /// The frontend; or why there is none.
    frontend: Result<Remote, String>,
    ca_file: Option<PathBuf>,
    deadline: Duration,
    registry: RegistryName,
    /// Where events are seen, in a process that publishes them.
    events: Option<EventSight>,
    clock: Arc<dyn Clock>,
    one: Mutex<()>,
}

/// How the event of a push is seen.
pub(crate) struct EventSight {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) topic: Topic,
    pub(crate) metadata: Arc<dyn MetadataApi>,
}

/// What a check found.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct CheckReport {
    /// Whether every step that could be taken went well.
    pub(crate) passed: bool,
    /// When it began, in milliseconds since 1970.
    pub(crate) began_millis: u64,
    /// How long all of it took.
    pub(crate) elapsed_micros: u64,
    /// The artifact.
    pub(crate) artifact: String,
    /// The steps, in order.
    pub(crate) steps: Vec<Step>,
}

/// A step of a check.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Step {
    /// What was done.
    pub(crate) name: StepName,
    pub(crate) outcome: Outcome,
    /// How long it took.
    pub(crate) elapsed_micros: u64,
    /// What went wrong, or why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

/// What is done in a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepName {
    /// The frontend is asked whether it is a registry.
    Reach,
    /// Two blobs are pushed.
    PushBlobs,
    /// A manifest of them is put under a tag.
    PushManifest,
    /// The tag is pulled.
    PullManifest,
    /// The blobs are pulled, and are what they were.
    PullBlobs,
    /// The event of the push is in the event log.
    SeeEvent,
    /// Everything is deleted.
    Delete,
    /// Nothing of it is found any more.
    FindNothing,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// It was not tried.
    Skipped,
}

pub(super) fn routes() -> OpenApiRouter<Management> {
    OpenApiRouter::default().routes(routes!(check))
}

/// Check the region from end to end
#[utoipa::path(post, path = "/v1/checks", operation_id = "run_check", tag = "checks",
    responses((status = 200, description = "What was found: `passed` says whether all is well", body = CheckReport)))]
async fn check(State(management): State<Management>) -> Result<Json<CheckReport>, Problem> {
    let checks = &management.checks;
    let frontend = checks.frontend.as_ref();
    let frontend = frontend.map_err(|why| Problem::new(Kind::Elsewhere, why))?;
    let Ok(_alone) = checks.one.try_lock() else {
        return Err(Problem::new(
            Kind::Unavailable,
            "another check is under way",
        ));
    };
    Ok(Json(run::run(checks, frontend).await))
}

// === impl CheckConfig ===

impl Default for CheckConfig {
    fn default() -> Self {
        Self {
            frontend: None,
            ca_file: None,
            deadline: Duration::from_secs(30),
        }
    }
}

impl CheckConfig {
    /// Everything that is wrong with it, in words that begin with its keys.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut bounds = Bounds::default();
        let spans = Duration::from_millis(100)..=Duration::from_secs(3_600);
        bounds.span("management.check.deadline", self.deadline, spans);
        let frontend = self.frontend.as_deref();
        if let Some(Err(line)) = frontend.map(|url| self.named(url)) {
            bounds.fault(line);
        }
        bounds.faults()
    }

    fn named(&self, url: &str) -> Result<Remote, String> {
        let named = Remote::parse(url, self.ca_file.as_deref());
        named.map_err(|error| {
            let line = meridian_error::chain(&error);
            format!("management.check.frontend: {line}")
        })
    }
}

// === impl Checks ===

impl Checks {
    /// Checks of the frontend that the settings name, or of the one that listens on `own`.
    pub(crate) fn new(
        config: &CheckConfig,
        own: &[ListenAddress],
        own_is_tls: bool,
        registry: RegistryName,
        events: Option<EventSight>,
    ) -> Result<Self, Exit> {
        let frontend = match &config.frontend {
            Some(url) => Ok(config.named(url).map_err(Exit::misconfigured)?),
            None => own_frontend(own, own_is_tls),
        };
        Ok(Self {
            frontend,
            ca_file: config.ca_file.clone(),
            deadline: config.deadline,
            registry,
            events,
            clock: Arc::new(SystemClock),
            one: Mutex::new(()),
        })
    }
}

fn own_frontend(own: &[ListenAddress], is_tls: bool) -> Result<Remote, String> {
    let tcp = own.iter().find_map(ListenAddress::tcp);
    if let Some(ListenAddress::Unix(path)) =
        own.iter().find(|it| matches!(it, ListenAddress::Unix(_)))
    {
        return Ok(Remote::unix(path));
    }
    match tcp {
        None => Err("this process has no frontend; set management.check.frontend to the URL of one, \
                     or ask a process that has"
            .to_owned()),
        Some(_) if is_tls => Err("set management.check.frontend to the URL that the certificate of \
                                  the frontend is for, and management.check.ca_file if its authority \
                                  is your own"
            .to_owned()),
        Some(mut address) => {
            if address.ip().is_unspecified() {
                address.set_ip(match address {
                    std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                    std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
                });
            }
            Remote::parse(&format!("http://{address}"), None).map_err(|error| error.to_string())
        }
    }
}

// === impl CheckReport ===

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let outcome = match step.outcome {
                Outcome::Passed => "ok",
                Outcome::Failed => "FAILED",
                Outcome::Skipped => "skipped",
            };
            let millis = Duration::from_micros(step.elapsed_micros).as_secs_f64() * 1e3;
            write!(f, "{:<14}{outcome:<9}{millis:>9.1} ms", step.name.words())?;
            match &step.detail {
                Some(detail) => writeln!(f, "  {detail}")?,
                None => writeln!(f)?,
            }
        }
        let millis = Duration::from_micros(self.elapsed_micros).as_secs_f64() * 1e3;
        let verdict = if self.passed { "passed" } else { "FAILED" };
        write!(f, "{verdict} after {millis:.1} ms, with {}", self.artifact)
    }
}

// === impl StepName ===

impl StepName {
    const fn words(self) -> &'static str {
        match self {
            Self::Reach => "reach",
            Self::PushBlobs => "push blobs",
            Self::PushManifest => "push manifest",
            Self::PullManifest => "pull manifest",
            Self::PullBlobs => "pull blobs",
            Self::SeeEvent => "see event",
            Self::Delete => "delete",
            Self::FindNothing => "find nothing",
        }
    }
}
