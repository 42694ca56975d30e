//! An authority that certifies the services of a test's region.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};

/// Issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// What of a service's identity lies in its folder.
#[derive(Debug, Clone, Copy)]
pub struct IdentityFiles<'a>(pub &'a Path);

// === impl Authority ===

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }
}

impl Authority {
    /// Its own certificate, in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for whoever has these names.
    pub fn issue(&self, names: &[&str]) -> Leaf {
        self.sign(names, |_| {})
    }

    /// A certificate for a server that clients know by this host's name.
    pub fn issue_for_host(&self, host: &str) -> Leaf {
        let name = SanType::DnsName(host.try_into().unwrap());
        self.sign(&[], |params| params.subject_alt_names = vec![name])
    }

    /// One that was good in 2020.
    pub fn issue_expired(&self, names: &[&str]) -> Leaf {
        self.sign(names, |params| {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 2, 1);
        })
    }

    fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = CertificateParams::default();
        let uri = |name: &&str| SanType::URI((*name).try_into().unwrap());
        params.subject_alt_names = names.iter().map(uri).collect();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

// === impl IdentityFiles ===

impl IdentityFiles<'_> {
    /// Puts a certificate there, with its key.
    pub fn certify(self, leaf: &Leaf) {
        self.write("cert.pem", &leaf.certificate);
        self.write("key.pem", &leaf.key);
    }

    /// Has these authorities trusted.
    pub fn trust(self, authorities: &[&Authority]) {
        let pem: Vec<_> = authorities.iter().map(|it| it.certificate()).collect();
        self.write("ca.pem", &pem.concat());
    }

    /// The settings that name the files, as environment variables.
    pub fn environment(self) -> [(String, String); 3] {
        let of = |setting: &str, name| {
            let path = self.0.join(name);
            let path = path.to_str().unwrap().to_owned();
            (format!("MERIDIAN_IDENTITY__{setting}"), path)
        };
        [
            of("CERT_FILE", "cert.pem"),
            of("KEY_FILE", "key.pem"),
            of("CA_FILE", "ca.pem"),
        ]
    }

    fn write(self, name: &str, text: &str) {
        std::fs::create_dir_all(self.0).unwrap();
        std::fs::write(self.0.join(name), text).unwrap();
    }
}
