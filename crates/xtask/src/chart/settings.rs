//! Whether `meridian` takes the settings of every role.
//!
//! Each pod that the chart renders is started as a process: with its arguments, its environment, and the
//! files that its volume would have, of which secrets and certificates are made here. Paths and addresses
//! are moved into a temporary folder and to loopback; nothing else is changed. A process that answers
//! `/livez` has read and judged all of its settings, has read the secrets and certificates that they name,
//! and has bound its listeners: those that are wrong end it before, with what is wrong.
//!
//! Others of its region are not there, nor Kafka, Redis and S3; so it does not become ready.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, str};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::certificates::Authority;
use super::{documents, read};
use crate::process::{Program, Service};
use crate::scratch::Scratch;

const START_LIMIT: Duration = Duration::from_mins(1);
/// What `meridian` ends with when settings are wrong.
const MISCONFIGURED: i32 = 64;

const ADMIN: &str = "0.0.0.0:7400";
const PROBE: &[u8] = b"GET /livez HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n";

/// Good for every secret: long enough, and hexadecimal.
const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const CREDENTIALS: &str = "[default]\naws_access_key_id = id\naws_secret_access_key = secret\n";

/// The settings of a role whose `ConfigMap` is not the chart's.
const FOREIGN: &str = "log.access_log = true\n";

/// Objects by kind and name.
type Objects = BTreeMap<(String, String), Value>;

pub(super) fn check(
    rendered: &[(String, PathBuf)],
    meridian: &Path,
    scratch: &Scratch,
) -> Result<()> {
    let authority = Authority::new()?;
    for (name, file) in rendered {
        let objects = objects(&read(file)?)?;
        let mut pods = Vec::new();
        for object in objects.values() {
            if is_role(object) {
                let dir = scratch.dir(&format!("{name}.{}", role(object)))?;
                let pod = Pod::prepare(object, &objects, dir, &authority);
                pods.push(pod.with_context(|| format!("{name}: {}", role(object)))?);
            }
        }
        ensure!(pods.len() >= 4, "{name} has {} roles", pods.len());
        let started = pods.iter().map(|pod| pod.start(meridian, scratch));
        let started = started.collect::<Result<Vec<_>>>()?;
        for (pod, mut service) in pods.iter().zip(started) {
            let alive = service.wait_until(START_LIMIT, || pod.is_alive());
            alive.with_context(|| format!("{name}: meridian run {}", pod.role))?;
        }
        pods[0].is_refused_with_an_unknown_key(meridian, scratch)?;
        let roles: Vec<_> = pods.iter().map(|pod| pod.role.as_str()).collect();
        println!(
            "ok: meridian takes the settings of {name}: {}",
            roles.join(", ")
        );
    }
    Ok(())
}

fn objects(text: &str) -> Result<Objects> {
    let mut objects = Objects::new();
    for object in documents(text)? {
        if let (Some(kind), Some(name)) =
            (object["kind"].as_str(), object["metadata"]["name"].as_str())
        {
            objects.insert((kind.to_owned(), name.to_owned()), object);
        }
    }
    Ok(objects)
}

fn role(object: &Value) -> &str {
    let component = &object["metadata"]["labels"]["app.kubernetes.io/component"];
    component.as_str().unwrap_or_default()
}

fn is_role(object: &Value) -> bool {
    let is_workload = object["kind"] == "Deployment" || object["kind"] == "StatefulSet";
    is_workload && !role(object).starts_with("dev-")
}

/// A pod as a process.
struct Pod {
    role: String,
    dir: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

// === impl Pod ===

impl Pod {
    fn prepare(
        object: &Value,
        objects: &Objects,
        dir: PathBuf,
        authority: &Authority,
    ) -> Result<Self> {
        let spec = &object["spec"]["template"]["spec"];
        let container = &spec["containers"][0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut pod = Self {
            role: role(object).to_owned(),
            dir,
            arguments: Vec::new(),
            environment: Vec::new(),
        };
        let arguments = container["args"].as_array().context("no arguments")?;
        pod.arguments = arguments.iter().map(|it| pod.moved(&text(it))).collect();
        let name = format!("{}-0", text(&object["metadata"]["name"]));
        for variable in container["env"].as_array().into_iter().flatten() {
            let value = match (&variable["value"], &variable["valueFrom"]) {
                (Value::String(value), _) => pod.moved(&value.replace("$(POD_NAME)", &name)),
                (_, from) if from["fieldRef"].is_object() => name.clone(),
                _ => SECRET.to_owned(),
            };
            pod.environment.push((text(&variable["name"]), value));
        }
        pod.fill(spec, objects, authority)?;
        Ok(pod)
    }

    /// Makes the files of the volume.
    fn fill(&self, spec: &Value, objects: &Objects, authority: &Authority) -> Result<()> {
        let volumes = spec["volumes"].as_array().context("no volumes")?;
        let files = volumes.iter().find(|it| it["name"] == "meridian");
        let sources = files.context("no files")?["projected"]["sources"].as_array();
        let mut paths = BTreeSet::new();
        for source in sources.context("no sources")? {
            let map = &source["configMap"];
            let items = map["items"]
                .as_array()
                .or_else(|| source["secret"]["items"].as_array());
            for item in items.context("a source without items")? {
                let path = item["path"].as_str().context("no path")?.to_owned();
                let key = (
                    "ConfigMap".to_owned(),
                    map["name"].as_str().unwrap_or_default().to_owned(),
                );
                let here = objects.get(&key).map(|it| &it["data"]);
                let text = here.and_then(|it| it[item["key"].as_str()?].as_str());
                self.write(&path, text, authority)?;
                ensure!(paths.insert(path.clone()), "{path} is there twice");
            }
        }
        self.certify(&paths, authority)
    }

    fn write(&self, path: &str, text: Option<&str>, authority: &Authority) -> Result<()> {
        let text = match (path, text) {
            ("meridian.toml", text) => self.moved(text.unwrap_or(FOREIGN)),
            // Those of an example certify nobody any more.
            ("identity/ca.crt", Some(text)) => format!("{text}\n{}", authority.pem()),
            (_, Some(text)) => text.to_owned(),
            ("s3/credentials", _) => CREDENTIALS.to_owned(),
            (path, _) if path.ends_with(".crt") => authority.pem().to_owned(),
            _ => SECRET.to_owned(),
        };
        let file = self.etc().join(path);
        fs::create_dir_all(file.parent().context("no folder")?)?;
        fs::write(&file, text)?;
        // As a pod sees them: nobody else may read them.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        Ok(())
    }

    /// Gives every pair of certificate and key the name of the role.
    fn certify(&self, paths: &BTreeSet<String>, authority: &Authority) -> Result<()> {
        let region = self.region()?;
        let name = format!(
            "spiffe://chart.example/region/{region}/role/{}/pod",
            self.role
        );
        for path in paths.iter().filter(|path| path.ends_with("tls.crt")) {
            let cert = self.etc().join(path);
            authority.certify(&name, &cert, &cert.with_extension("key"))?;
        }
        Ok(())
    }

    fn region(&self) -> Result<String> {
        let settings: toml::Table = read(&self.etc().join("meridian.toml"))?.parse()?;
        let given = self
            .environment
            .iter()
            .find(|(name, _)| name == "MERIDIAN_REGION");
        let region = settings.get("region").and_then(toml::Value::as_str);
        let region = region.or_else(|| given.map(|(_, region)| region.as_str()));
        region.map(ToOwned::to_owned).context("no region")
    }

    /// The text with paths and addresses of this machine.
    fn moved(&self, text: &str) -> String {
        let socket = format!("unix:{}", self.socket().display());
        let text = text.replace("/etc/meridian", &self.etc().display().to_string());
        let data = self.dir.join("data").display().to_string();
        let text = text
            .replace("/var/lib/meridian", &data)
            .replace(ADMIN, &socket);
        let mut parts = text.split("0.0.0.0:");
        let mut moved = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            moved += "127.0.0.1:0";
            moved += part.trim_start_matches(|it: char| it.is_ascii_digit());
        }
        moved
    }

    fn etc(&self) -> PathBuf {
        self.dir.join("etc")
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("admin")
    }

    fn start(&self, meridian: &Path, scratch: &Scratch) -> Result<Service> {
        let program = Program::new(meridian).args(&self.arguments);
        let variables = self.environment.iter();
        let program = variables.fold(program, |program, (name, value)| program.env(name, value));
        let service = program.start(&self.dir.join("log"))?;
        scratch.note(&service)?;
        Ok(service)
    }

    /// What is let through here would be let through in any case, if this is.
    fn is_refused_with_an_unknown_key(&self, meridian: &Path, scratch: &Scratch) -> Result<()> {
        let file = self.etc().join("meridian.toml");
        fs::write(&file, read(&file)? + "\n[unknown]\nkey = 1\n")?;
        let mut service = self.start(meridian, scratch)?;
        ensure!(
            service.ends_within(START_LIMIT),
            "an unknown key is let through"
        );
        let code = service.ended().and_then(|status| status.code());
        ensure!(
            code == Some(MISCONFIGURED),
            "an unknown key ends with {code:?}"
        );
        Ok(())
    }

    fn is_alive(&self) -> bool {
        let asked = || -> std::io::Result<bool> {
            let mut stream = UnixStream::connect(self.socket())?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(PROBE)?;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer)?;
            Ok(str::from_utf8(&answer).is_ok_and(|it| it.ends_with("200")))
        };
        asked().unwrap_or(false)
    }
}
