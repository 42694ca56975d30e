//! Who stands at the other end of a connection.
//!
//! Owns what the names in a verified certificate mean. Keeps the invariant that nobody is a member
//! who is not of this installation, and of a region that is meant. Leaves to TLS whether a certificate is
//! genuine, and to [`grpc`](crate::grpc) what a role may do.

use meridian_clock::Region;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::name::Name;
use super::reach::Reach;
use super::role::Role;

/// A process of this installation, and of this region unless others are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    name: Name,
    roles: Box<[Role]>,
}

/// Why a certificate makes nobody a member. Displays as what is wrong with it, and what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// It cannot be read.
    #[error("the certificate cannot be read; issue another")]
    Unreadable,
    /// It has no name.
    #[error(
        "the certificate has no name; issue one with the URI \
         `spiffe://<trust domain>/region/<region>/role/<role>/<instance>` as its subject \
         alternative name"
    )]
    Nameless,
    /// It has a URI that is no name.
    #[error(
        "`{uri}` in the certificate is no name; issue one with the URI \
         `spiffe://<trust domain>/region/<region>/role/<role>/<instance>`"
    )]
    Malformed {
        /// What stands there, escaped.
        uri: String,
    },
    /// It has names that differ in more than the role.
    #[error(
        "the names in the certificate differ in more than their role; issue one for each process"
    )]
    Several,
    /// It is of another installation.
    #[error(
        "the certificate is of trust domain `{theirs}`, and this installation is `{ours}`; use the \
         certificates of one installation"
    )]
    TrustDomain {
        /// Where it belongs.
        theirs: Box<str>,
        /// Where we do.
        ours: Box<str>,
    },
    /// It is of another region.
    #[error(
        "the certificate is of region `{theirs}`, and this is region `{ours}`; services of a region \
         call each other only: look at `services` and at `region` in the settings of either"
    )]
    Region {
        /// Where it belongs.
        theirs: Region,
        /// Where we do.
        ours: Region,
    },
    /// It is of this region, where other regions call.
    #[error(
        "the certificate is of region `{0}`, as this process is, and calls where other regions do; \
         look at the endpoints in `services` and in `regions`"
    )]
    Neighbour(Region),
    /// It is of a region that we know nothing of.
    #[error(
        "the certificate is of region `{0}`, which the settings here do not name; name it in \
         `regions`, if it is one of yours"
    )]
    Unknown(Region),
    /// It is of another region than the one that was called.
    #[error(
        "the certificate is of region `{theirs}`, and region `{wanted}` was called; look at the \
         endpoints in `regions`"
    )]
    Elsewhere {
        /// Where it belongs.
        theirs: Region,
        /// What was called.
        wanted: Region,
    },
    /// It is not of the service that was called.
    #[error(
        "the certificate is of a {theirs}, and a {wanted} was called; look at the endpoints in \
         `services`"
    )]
    Role {
        /// What it is.
        theirs: Role,
        /// What was called.
        wanted: Role,
    },
}

// === impl Member ===

impl Member {
    /// Whom a certificate names. A process that has several roles has a name for each.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Result<Self, Stranger> {
        let (_, parsed) =
            X509Certificate::from_der(certificate).map_err(|_| Stranger::Unreadable)?;
        let names = parsed
            .subject_alternative_name()
            .map_err(|_| Stranger::Unreadable)?;
        let names = names.map(|names| &*names.value.general_names);
        let mut uris = names.into_iter().flatten().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
        let name = read(uris.next().ok_or(Stranger::Nameless)?)?;
        let mut roles = vec![name.role];
        for uri in uris {
            let next = read(uri)?;
            let role = next.role;
            let twin = Name {
                role: name.role,
                ..next
            };
            if twin != name || roles.contains(&role) {
                return Err(Stranger::Several);
            }
            roles.push(role);
        }
        Ok(Self {
            name,
            roles: roles.into(),
        })
    }

    /// Its name; one of them, if it has several roles.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// What it does.
    #[must_use]
    pub const fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// Whether the other one may call us at a port of that reach.
    pub(super) fn meets(&self, other: &Self, reach: &Reach) -> Result<(), Stranger> {
        self.knows(other)?;
        let (ours, theirs) = (self.name.region, other.name.region);
        match reach {
            Reach::Home => other.is_of(ours),
            Reach::Abroad(_) if theirs == ours => Err(Stranger::Neighbour(ours)),
            Reach::Abroad(regions) if regions.contains(&theirs) => Ok(()),
            Reach::Abroad(_) => Err(Stranger::Unknown(theirs)),
        }
    }

    /// Whether the other one is what we look for in that region.
    pub(super) fn finds(&self, other: &Self, wanted: Region) -> Result<(), Stranger> {
        self.knows(other)?;
        let (ours, theirs) = (self.name.region, other.name.region);
        if wanted != ours && theirs != wanted {
            return Err(Stranger::Elsewhere { theirs, wanted });
        }
        other.is_of(wanted)
    }

    /// Whether both are of one installation.
    fn knows(&self, other: &Self) -> Result<(), Stranger> {
        let (ours, theirs) = (&self.name, &other.name);
        if ours.trust_domain != theirs.trust_domain {
            return Err(Stranger::TrustDomain {
                theirs: theirs.trust_domain.clone(),
                ours: ours.trust_domain.clone(),
            });
        }
        Ok(())
    }

    pub(super) fn is_of(&self, region: Region) -> Result<(), Stranger> {
        if self.name.region == region {
            return Ok(());
        }
        Err(Stranger::Region {
            theirs: self.name.region,
            ours: region,
        })
    }

    pub(super) fn does(&self, wanted: Role) -> Result<(), Stranger> {
        if self.roles.contains(&wanted) {
            return Ok(());
        }
        Err(Stranger::Role {
            theirs: self.name.role,
            wanted,
        })
    }
}

fn read(uri: &str) -> Result<Name, Stranger> {
    uri.parse().map_err(|_| Stranger::Malformed {
        uri: uri.escape_default().take(200).collect(),
    })
}
