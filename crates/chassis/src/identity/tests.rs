use std::io;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

const FRONTEND: &str = "spiffe://m/region/eu/role/frontend/0";
const METADATA: &str = "spiffe://m/region/eu/role/metadata/0";

/// An authority of tests.
struct Ca(Issuer<'static, KeyPair>, String);

/// The files of an identity.
struct Files {
    folder: tempfile::TempDir,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    fn issue(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let mut params = CertificateParams::default();
        let uri = |name: &&str| SanType::URI((*name).try_into().unwrap());
        params.subject_alt_names = names.iter().map(uri).collect();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

impl Files {
    fn of(ca: &Ca, names: &[&str]) -> Self {
        let files = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        files.write("ca.pem", &ca.1);
        files.issue(ca, names, |_| {});
        files
    }

    fn issue(&self, ca: &Ca, names: &[&str], change: impl FnOnce(&mut CertificateParams)) {
        let (certificate, key) = ca.issue(names, change);
        self.write("cert.pem", &certificate);
        self.write("key.pem", &key);
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn config(&self) -> IdentityConfig {
        IdentityConfig {
            cert_file: self.folder.path().join("cert.pem"),
            key_file: self.folder.path().join("key.pem"),
            ca_file: self.folder.path().join("ca.pem"),
            reload_every: Duration::from_secs(30),
            connection_age: connection_age(),
        }
    }

    fn load(&self, role: Role) -> Result<Identity, IdentityError> {
        Identity::load(self.config(), eu(), &[role])
    }
}

fn eu() -> Region {
    "eu".parse().unwrap()
}

fn us() -> Region {
    "us".parse().unwrap()
}

fn long_ago(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 2, 1);
}

/// What either side of a handshake says: the client of `client`, who calls a service of `wanted`,
/// and `server`.
async fn shake(
    client: &Identity,
    wanted: Role,
    server: &Identity,
) -> (io::Result<()>, io::Result<Introduction>) {
    let config = client.material().client(eu(), wanted).unwrap();
    shake_with(config, server).await
}

async fn shake_with(
    config: rustls::ClientConfig,
    server: &Identity,
) -> (io::Result<()>, io::Result<Introduction>) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let acceptor: TlsAcceptor = server.acceptor();
    let nobody = "service.invalid".try_into().unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let accepted = async {
        let stream = acceptor.accept(far).await?;
        Ok(server.introduce(stream.get_ref().1.peer_certificates().unwrap()))
    };
    let connected = async { connector.connect(nobody, near).await.map(drop) };
    tokio::join!(connected, accepted)
}

fn complaint(error: &io::Error) -> (&'static str, String) {
    let Complaint { kind, advice } = Complaint::about(error);
    (kind, advice)
}

#[tokio::test]
async fn both_sides_of_a_connection_know_each_other() {
    let ca = Ca::new();
    let client = Files::of(&ca, &[FRONTEND]).load(Role::Frontend).unwrap();
    let server = Files::of(&ca, &[METADATA]).load(Role::Metadata).unwrap();
    let (connected, accepted) = shake(&client, Role::Metadata, &server).await;
    connected.unwrap();
    let introduction = accepted.unwrap();
    let member = introduction.as_ref().as_ref().unwrap();
    assert_eq!(member.name().to_string(), FRONTEND);
    assert_eq!(member.roles(), [Role::Frontend]);
}

#[tokio::test]
async fn a_client_turns_away_from_who_is_not_what_it_called() {
    let ca = Ca::new();
    let client = Files::of(&ca, &[FRONTEND]).load(Role::Frontend).unwrap();
    let server = Files::of(&ca, &[METADATA]).load(Role::Metadata).unwrap();
    let (connected, _) = shake(&client, Role::Blob, &server).await;
    let (kind, advice) = complaint(&connected.unwrap_err());
    assert_eq!(kind, "stranger");
    assert!(advice.contains("of a metadata, and a blob"), "{advice}");

    let foreign = Files::of(&Ca::new(), &[METADATA]);
    let server = foreign.load(Role::Metadata).unwrap();
    let (connected, _) = shake(&client, Role::Metadata, &server).await;
    let (kind, advice) = complaint(&connected.unwrap_err());
    assert_eq!(kind, "unknown issuer");
    assert!(advice.contains("identity.ca_file"), "{advice}");

    for (name, word) in [
        ("spiffe://m/region/us/role/metadata/0", "region `us`"),
        ("spiffe://n/region/eu/role/metadata/0", "trust domain `n`"),
    ] {
        let files = Files::of(&ca, &[name]);
        let region = if name.contains("us") { "us" } else { "eu" };
        let region = region.parse().unwrap();
        let server = Identity::load(files.config(), region, &[Role::Metadata]).unwrap();
        let (connected, _) = shake(&client, Role::Metadata, &server).await;
        let (kind, advice) = complaint(&connected.unwrap_err());
        assert_eq!(kind, "stranger");
        assert!(advice.contains(word), "{advice}");
    }
}

/// What is said between an agent of `us`, who calls one in `called`, and one of `eu` that takes calls
/// of that reach.
async fn shake_abroad(
    ca: &Ca,
    called: Region,
    reach: Reach,
) -> (io::Result<()>, io::Result<Introduction>) {
    let names = ["us", "eu"].map(|region| format!("spiffe://m/region/{region}/role/replication/0"));
    let client = Files::of(ca, &[&names[0]]);
    let client = Identity::load(client.config(), us(), &[Role::Replication]).unwrap();
    let server = Files::of(ca, &[&names[1]]);
    let server = server.load(Role::Replication).unwrap().reaching(reach);
    let config = client.material().client(called, Role::Replication);
    shake_with(config.unwrap(), &server).await
}

#[tokio::test]
async fn agents_of_two_regions_know_each_other_where_that_is_meant() {
    let ca = Ca::new();
    let abroad = Reach::Abroad([us()].into());
    let (connected, accepted) = shake_abroad(&ca, eu(), abroad.clone()).await;
    connected.unwrap();
    let introduction = accepted.unwrap();
    let member = introduction.as_ref().as_ref().unwrap();
    assert_eq!(member.name().region, us());

    let (_, accepted) = shake_abroad(&ca, eu(), Reach::Home).await;
    let stranger = accepted.unwrap().as_ref().clone().unwrap_err();
    assert!(matches!(stranger, Stranger::Region { .. }), "{stranger}");

    let asia: Region = "asia".parse().unwrap();
    let (_, accepted) = shake_abroad(&ca, eu(), Reach::Abroad([asia].into())).await;
    let stranger = accepted.unwrap().as_ref().clone().unwrap_err();
    assert_eq!(stranger, Stranger::Unknown(us()));

    let (connected, _) = shake_abroad(&ca, asia, abroad.clone()).await;
    let (_, advice) = complaint(&connected.unwrap_err());
    assert!(advice.contains("region `asia` was called"), "{advice}");

    let (connected, _) = shake_abroad(&ca, us(), abroad).await;
    let (_, advice) = complaint(&connected.unwrap_err());
    assert!(advice.contains("this is region `us`"), "{advice}");
}

#[tokio::test]
async fn a_port_for_other_regions_is_not_for_this_one() {
    let ca = Ca::new();
    let client = Files::of(&ca, &[FRONTEND]).load(Role::Frontend).unwrap();
    let server = Files::of(&ca, &[METADATA]).load(Role::Metadata).unwrap();
    let server = server.reaching(Reach::Abroad([eu(), us()].into()));
    let (_, accepted) = shake(&client, Role::Metadata, &server).await;
    let stranger = accepted.unwrap().as_ref().clone().unwrap_err();
    assert_eq!(stranger, Stranger::Neighbour(eu()));
}

#[tokio::test]
async fn a_server_says_a_word_to_nobody_who_is_not_certified() {
    let ca = Ca::new();
    let server = Files::of(&ca, &[METADATA]).load(Role::Metadata).unwrap();

    let foreign = Files::of(&Ca::new(), &[FRONTEND]);
    let foreigner = foreign.load(Role::Frontend).unwrap();
    foreign.write("ca.pem", &ca.1);
    let trusting = foreigner.material();
    let mut config = trusting.client(eu(), Role::Metadata).unwrap();
    // It trusts the server, which does not trust it.
    let trusted = Files::of(&ca, &[FRONTEND]).load(Role::Frontend).unwrap();
    let resolver = Arc::clone(&config.client_auth_cert_resolver);
    config = trusted.material().client(eu(), Role::Metadata).unwrap();
    config.client_auth_cert_resolver = resolver;
    let (_, accepted) = shake_with(config, &server).await;
    assert_eq!(complaint(&accepted.unwrap_err()).0, "unknown issuer");

    let expired = Files::of(&ca, &[FRONTEND]);
    expired.issue(&ca, &[FRONTEND], long_ago);
    let expired = expired.load(Role::Frontend).unwrap();
    let (_, accepted) = shake(&expired, Role::Metadata, &server).await;
    let (kind, advice) = complaint(&accepted.unwrap_err());
    assert_eq!(kind, "expired");
    assert!(advice.contains("renew it"), "{advice}");

    let mut config = trusted.material().client(eu(), Role::Metadata).unwrap();
    config.client_auth_cert_resolver = Arc::new(Nothing);
    let (_, accepted) = shake_with(config, &server).await;
    let (kind, advice) = complaint(&accepted.unwrap_err());
    assert_eq!(kind, "no certificate");
    assert!(advice.contains("[identity]"), "{advice}");
}

/// Has no certificate.
#[derive(Debug)]
struct Nothing;

impl rustls::client::ResolvesClientCert for Nothing {
    fn resolve(
        &self,
        _hints: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[test]
fn a_certificate_names_one_process_of_this_region() {
    let ca = Ca::new();
    let judge = |names: &[&str]| {
        let (pem, _) = ca.issue(names, |_| {});
        let der = <CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(
            pem.as_bytes(),
        );
        Member::of(&der.unwrap())
    };
    assert_eq!(judge(&[]), Err(Stranger::Nameless));
    assert!(matches!(
        judge(&["https://example.com/"]),
        Err(Stranger::Malformed { .. })
    ));
    assert!(matches!(
        judge(&[FRONTEND, "https://example.com/"]),
        Err(Stranger::Malformed { .. })
    ));
    assert_eq!(judge(&[FRONTEND, FRONTEND]), Err(Stranger::Several));
    let elsewhere = "spiffe://m/region/us/role/metadata/0";
    assert_eq!(judge(&[FRONTEND, elsewhere]), Err(Stranger::Several));
    let both = judge(&[FRONTEND, METADATA]).unwrap();
    assert_eq!(both.roles(), [Role::Frontend, Role::Metadata]);
    let junk = Member::of(&CertificateDer::from(vec![48, 0]));
    assert_eq!(junk, Err(Stranger::Unreadable));
}

#[test]
fn what_cannot_be_used_is_named_with_its_file() {
    let ca = Ca::new();
    let files = Files::of(&ca, &[FRONTEND]);
    let refused = |role| meridian_error::chain(&files.load(role).unwrap_err());
    let said = refused(Role::Blob);
    assert!(
        said.contains("cert.pem") && said.contains("of a frontend"),
        "{said}"
    );

    files.issue(&ca, &["spiffe://m/region/us/role/frontend/0"], |_| {});
    assert!(refused(Role::Frontend).contains("region `us`"));

    files.issue(&Ca::new(), &[FRONTEND], |_| {});
    let said = refused(Role::Frontend);
    assert!(
        said.contains("ca.pem") && said.contains("invalid peer certificate"),
        "{said}"
    );

    files.issue(&ca, &[FRONTEND], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert!(refused(Role::Frontend).contains("serverAuth"));

    files.write("ca.pem", "nothing");
    assert!(refused(Role::Frontend).contains("ca.pem"));

    let config = IdentityConfig {
        connection_age: Duration::ZERO,
        ..files.config()
    };
    let refused = Identity::load(config, eu(), &[Role::Frontend]).unwrap_err();
    assert!(refused.to_string().contains("connection_age"), "{refused}");
}

#[test]
fn a_process_whose_certificate_has_expired_waits_for_its_renewal() {
    let ca = Ca::new();
    let files = Files::of(&ca, &[FRONTEND]);
    files.issue(&ca, &[FRONTEND], long_ago);
    assert!(files.load(Role::Frontend).is_ok());
}

#[test]
fn a_renewal_waits_until_all_its_files_fit() {
    let (old, new) = (Ca::new(), Ca::new());
    let files = Files::of(&old, &[FRONTEND]);
    let identity = files.load(Role::Frontend).unwrap();
    let mut renewal = Renewal {
        tried: identity.material().stamp.clone(),
        identity: identity.clone(),
        life: LifeWatch::default(),
    };
    let first = identity.material();
    let is_first = |identity: &Identity| Arc::ptr_eq(&identity.material(), &first);
    renewal.look();
    assert!(is_first(&identity), "nothing changed");

    files.issue(&new, &[FRONTEND], |_| {});
    renewal.look();
    assert!(is_first(&identity), "its authority is not trusted yet");

    files.write("ca.pem", &format!("{}{}", old.1, new.1));
    renewal.look();
    assert!(!is_first(&identity));

    let second = identity.material();
    files.issue(&new, &[METADATA], |_| {});
    renewal.look();
    assert!(
        Arc::ptr_eq(&identity.material(), &second),
        "it is for another process"
    );
}

#[tokio::test(start_paused = true)]
async fn a_complaint_is_made_once_in_a_while() {
    let complaints = Complaints::default();
    assert!(complaints.is_due("expired"));
    assert!(!complaints.is_due("expired"));
    assert!(complaints.is_due("role"), "it is another one");
    tokio::time::advance(Duration::from_secs(11)).await;
    assert!(complaints.is_due("expired"));
}
