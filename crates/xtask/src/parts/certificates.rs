//! Certificates for servers and their clients, valid nowhere else.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// Files in PEM.
pub(super) struct Certificates {
    pub(super) authority: PathBuf,
    /// The servers' key and certificate, as Kafka wants them and Redis takes them: in one file.
    pub(super) broker: PathBuf,
    pub(super) client: PathBuf,
    pub(super) client_key: PathBuf,
}

// === impl Certificates ===

impl Certificates {
    /// For servers that listen at an address of this machine's loopback.
    pub(super) fn issue(server: Ipv4Addr, dir: &Path) -> Result<Self> {
        let authority_key = KeyPair::generate()?;
        let mut params = named("the authority of the parts");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = params.self_signed(&authority_key)?;
        let issuer = Issuer::new(params, authority_key);

        let mut params = CertificateParams::new(["localhost".to_owned()])?;
        let server = SanType::IpAddress(IpAddr::V4(server));
        params.subject_alt_names.push(server);
        // Brokers are clients of each other.
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let broker_key = KeyPair::generate()?;
        let broker = params.signed_by(&broker_key, &issuer)?;

        let mut params = named("meridian");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let client_key = KeyPair::generate()?;
        let client = params.signed_by(&client_key, &issuer)?;

        let write = |name: &str, text: String| {
            let path = dir.join(name);
            fs::write(&path, text).map(|()| path)
        };
        Ok(Self {
            authority: write("ca.pem", authority.pem())?,
            broker: write("broker.pem", broker_key.serialize_pem() + &broker.pem())?,
            client: write("client.pem", client.pem())?,
            client_key: write("client.key", client_key.serialize_pem())?,
        })
    }
}

/// Names differ: who signs and who is signed are told apart by them.
fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
