//! Who this process is to the other services, and who they are to it.
//!
//! Owns the certificate by which services know each other: its files and their renewal, the names in
//! it, and the TLS on both ends. A name says of which installation, region and role a process is;
//! host names and addresses say nothing. Keeps three invariants: nobody whom our authorities did not
//! certify gets to say a word; who is not of this region is nobody's peer, but on a port that is for
//! other regions, where nobody is who is of this one; and files that do not fit together are reported,
//! while those in use stay. Leaves to [`grpc`](crate::grpc) who may call
//! what, and to the operator's tools the issuing.
//!
//! ```text
//! files ── Material ──┬── server: handshake ── Member ── Origin of each request
//!    renewal          └── Connector: handshake, RoleVerifier
//! ```

mod complaint;
mod connector;
mod material;
mod member;
mod name;
mod reach;
mod role;
mod verifier;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use meridian_clock::Region;
use meridian_error::{Classify, Code};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::tls::{LifeWatch, Stamp, TlsError, Watched, watch};
use complaint::{Complaint, Complaints};
use material::Material;

pub use connector::{ConnectError, Connector};
pub use member::{Member, Stranger};
pub use name::{Name, ParseNameError};
pub use reach::Reach;
pub use role::{ParseRoleError, Role};

/// Where the identity of a process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityConfig {
    /// The certificate chain in PEM, the process's own certificate first. Its subject alternative
    /// name is `spiffe://<trust domain>/region/<region>/role/<role>/<instance>`; a process that
    /// runs several services has one for each.
    pub cert_file: PathBuf,
    /// The private key in PEM.
    pub key_file: PathBuf,
    /// The authorities that are trusted, in PEM. While one replaces another, both.
    pub ca_file: PathBuf,
    /// How often the files are looked at for a renewal. Default: 30 seconds.
    #[serde(default = "crate::tls::reload_every", with = "config::duration")]
    pub reload_every: Duration,
    /// How long a connection is used. Then the next takes its place, without a call failing, and
    /// with it the certificates of that time. Default: one hour.
    #[serde(default = "connection_age", with = "config::duration")]
    pub connection_age: Duration,
}

/// The identity of this process. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Identity {
    shared: Arc<Shared>,
    /// Of whom it takes calls.
    reach: Reach,
}

/// What the other end of a connection has shown.
pub type Introduction = Arc<Result<Member, Stranger>>;

/// An identity cannot be used. The message names the file.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read, or key and certificate do not fit.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An authority cannot be trusted.
    #[error("a certificate in {0} cannot be that of an authority", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls::Error,
    },
    /// Our own certificate names somebody else.
    #[error("the certificate in {0} is not for this process", path.display())]
    Own {
        /// The file.
        path: PathBuf,
        /// Whom it names.
        #[source]
        source: Stranger,
    },
    /// Nobody who trusts what we trust would believe it.
    #[error(
        "peers that trust {} would refuse the certificate in {}: it has to be issued by an \
         authority in that file, for both clientAuth and serverAuth",
        ca.display(), cert.display()
    )]
    Unverifiable {
        /// The file of the certificate.
        cert: PathBuf,
        /// The file of the authorities.
        ca: PathBuf,
        /// What they would say.
        #[source]
        source: rustls::Error,
    },
    /// Connections would not live.
    #[error("identity.connection_age is {0:?}; set it to a second at least")]
    ConnectionAge(Duration),
}

#[derive(Debug)]
struct Shared {
    config: IdentityConfig,
    region: Region,
    roles: Box<[Role]>,
    current: RwLock<Arc<Material>>,
    complaints: Complaints,
}

/// Watches the files.
#[derive(Debug)]
struct Renewal {
    identity: Identity,
    tried: Stamp,
    life: LifeWatch,
}

const SHORTEST_AGE: Duration = Duration::from_secs(1);

const fn connection_age() -> Duration {
    Duration::from_secs(60 * 60)
}

// === impl IdentityConfig ===

impl IdentityConfig {
    fn files(&self) -> [&Path; 3] {
        [&self.cert_file, &self.key_file, &self.ca_file]
    }
}

// === impl Identity ===

impl Identity {
    /// The identity of a process that has `roles` in `region`.
    ///
    /// # Errors
    ///
    /// When the files cannot be used, or are not for such a process.
    pub fn load(
        config: IdentityConfig,
        region: Region,
        roles: &[Role],
    ) -> Result<Self, IdentityError> {
        if config.connection_age < SHORTEST_AGE {
            return Err(IdentityError::ConnectionAge(config.connection_age));
        }
        let material = Material::load(&config, region, roles)?;
        let shared = Shared {
            config,
            region,
            roles: roles.into(),
            current: RwLock::new(Arc::new(material)),
            complaints: Complaints::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            reach: Reach::Home,
        })
    }

    /// Puts renewed files into use until `stop` is cancelled, and says when little is left of the
    /// certificate's life.
    pub fn renew(&self, stop: CancellationToken) -> impl Future<Output = ()> + use<> {
        let renewal = Renewal {
            tried: self.material().stamp.clone(),
            identity: self.clone(),
            life: LifeWatch::default(),
        };
        watch(renewal, self.shared.config.reload_every, stop)
    }

    /// Connects to services of `role` in this region.
    #[must_use]
    pub fn connector(&self, role: Role) -> Connector {
        self.connector_to(self.shared.region, role)
    }

    /// Connects to services of `role` in `region`.
    #[must_use]
    pub fn connector_to(&self, region: Region, role: Role) -> Connector {
        Connector::new(self.clone(), region, role)
    }

    /// The same, where it takes the calls of others.
    pub(crate) fn reaching(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    pub(crate) const fn reach(&self) -> &Reach {
        &self.reach
    }

    /// How long a connection is used.
    #[must_use]
    pub fn connection_age(&self) -> Duration {
        self.shared.config.connection_age
    }

    /// When its certificate ends, in seconds since 1970.
    #[must_use]
    pub fn not_after(&self) -> Option<i64> {
        self.material().life.map(|life| life.not_after)
    }

    /// What the next handshake of a listener is done with.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.material().server))
    }

    /// Who has shown these certificates.
    pub(crate) fn introduce(&self, shown: &[CertificateDer<'_>]) -> Introduction {
        Arc::new(self.material().judge(shown, &self.reach))
    }

    /// Says why a client got no further than the handshake, and what to change.
    pub(crate) fn refused(&self, client: &impl std::fmt::Debug, error: &io::Error) {
        let Complaint { kind, advice } = Complaint::about(error);
        if self.shared.complaints.is_due(kind) {
            tracing::warn!(?client, advice, "a client of the services is refused");
        }
    }

    pub(crate) fn complaints(&self) -> &Complaints {
        &self.shared.complaints
    }

    fn material(&self) -> Arc<Material> {
        let current = &self.shared.current;
        let current = current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }
}

// === impl Renewal ===

impl Watched for Renewal {
    fn look(&mut self) {
        let config = &self.identity.shared.config;
        let stamp = Stamp::of(config.files());
        if stamp != self.tried {
            self.tried = stamp;
            self.renew();
        }
        let (life, file) = (
            self.identity.material().life,
            &self.identity.shared.config.cert_file,
        );
        self.life.look(life, file);
    }
}

impl Renewal {
    fn renew(&mut self) {
        let Shared {
            config,
            region,
            roles,
            current,
            ..
        } = &*self.identity.shared;
        let file = config.cert_file.display();
        match Material::load(config, *region, roles) {
            Ok(material) => {
                self.tried = material.stamp.clone();
                *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(material);
                tracing::info!(%file, "identity renewed");
            }
            Err(error) => {
                let error = meridian_error::chain(&error);
                tracing::warn!(error, %file, "renewed identity refused; the old one stays");
            }
        }
    }
}

// === impl IdentityError ===

impl Classify for IdentityError {
    fn code(&self) -> Code {
        match self {
            Self::Tls(error) => error.code(),
            _ => Code::InvalidArgument,
        }
    }
}

#[cfg(test)]
mod tests;
