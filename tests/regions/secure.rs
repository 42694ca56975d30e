//! Two regions, each a process with an identity: agents know each other by certificates, over TCP.

use std::path::Path;
use std::time::Duration;

use harness::{Authority, Content, Dev, DevBuilder, IdentityFiles, digest, eventually, seed};

const ROLES: [&str; 4] = ["frontend", "blob", "metadata", "replication"];

/// How long anything may take that is waited for.
const SOON: Duration = Duration::from_secs(60);

/// Two addresses of this machine, of nobody else: a port that is free now.
fn doors() -> [String; 2] {
    let number = std::process::id() % 250;
    [1, 2].map(|last| format!("127.79.{number}.{last}:7405"))
}

/// A region that knows of another one.
fn region(folder: &Path, authority: &Authority, own: (&str, &str), other: (&str, &str)) -> Dev {
    let (name, door) = own;
    let home = folder.join(format!("{name}-identity"));
    let files = IdentityFiles(&home);
    files.trust(&[authority]);
    let uris = ROLES.map(|role| format!("spiffe://meridian.test/region/{name}/role/{role}/0"));
    let uris: Vec<_> = uris.iter().map(String::as_str).collect();
    files.certify(&authority.issue(&uris));
    let anywhere = r#"["127.0.0.1:0"]"#;
    let builder = files.environment().into_iter().fold(
        DevBuilder::run(&ROLES, folder.join(name)),
        |builder, (name, value)| builder.env(&name, value),
    );
    let endpoint = format!("MERIDIAN_REGIONS__{}__ENDPOINTS", other.0.to_uppercase());
    builder
        .env("MERIDIAN_REGION", name)
        .env("MERIDIAN_FRONTEND__LISTEN", anywhere)
        .env("MERIDIAN_BLOB__LISTEN", anywhere)
        .env("MERIDIAN_METADATA__LISTEN", anywhere)
        .env("MERIDIAN_REPLICATION__LISTEN", anywhere)
        .env("MERIDIAN_REPLICATION__PEER_LISTEN", format!("[{door:?}]"))
        .env(&endpoint, format!("https://{}", other.1))
        .start()
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_replicate_over_mutual_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, doors) = (Authority::default(), doors());
    let (eu, us) = (("eu", doors[0].as_str()), ("us", doors[1].as_str()));
    let eu_process = region(folder.path(), &authority, eu, us);
    let us_process = region(folder.path(), &authority, us, eu);
    let image = Content::new(seed(65)).image(&[100_000]);
    let client = eu_process.client();
    let pushed = client.push_image("team/app", "1", &image).await;
    pushed.unwrap().expect(201);
    let client = us_process.client();
    eventually("it is there", SOON, || async {
        let answer = client.manifest("team/app", "1").await.unwrap();
        (answer.body == image.manifest).then_some(())
    })
    .await;
    for blob in &image.blobs {
        let answer = client.blob("team/app", digest(blob)).await.unwrap();
        assert_eq!(answer.expect(200).body, *blob);
    }
}
