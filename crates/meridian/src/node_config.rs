//! `meridian node-config`: has a node pull from the nearest region.
//!
//! Owns the form of containerd's `hosts.toml` (containerd, docs/hosts.md). Each region is tried for a second
//! only: containerd's own 30 s count for each blob of an image. Regions are for pulls; what is pushed goes to the
//! registry's own name.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;
use toml::Table;
use url::Url;

use crate::cli;
use crate::exit::Exit;
use crate::stdout;

/// How long a region may take until it is connected to.
const DIAL_TIMEOUT: &str = "1s";

/// A registry as images name it, `host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RegistryHost(String);

/// Why something is no [`RegistryHost`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a registry is named as in images, host[:port], without a scheme and a path")]
pub(crate) struct ParseHostError;

/// What is told of a region.
#[derive(Serialize)]
struct Host<'a> {
    capabilities: [&'static str; 2],
    dial_timeout: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<&'a PathBuf>,
}

/// `meridian node-config`
pub(crate) fn run(options: &cli::NodeConfig) -> Result<(), Exit> {
    stdout::line(&render(options)?)
}

fn render(options: &cli::NodeConfig) -> Result<String, Exit> {
    let registry = &options.registry;
    let mut text = format!(
        "# /etc/containerd/certs.d/{registry}/hosts.toml\n\
         #\n\
         # Images of {registry} are pulled from these regions, in this order.\n\
         # Credentials: containerd sends those of {registry} to no other name. Where pulls need some, give the\n\
         # regions no names of their own: have DNS choose among them, by /healthz/region.\n\
         server = \"https://{registry}\"\n"
    );
    for region in &options.regions {
        let name = host_of(region)?;
        let host = Host {
            capabilities: ["pull", "resolve"],
            dial_timeout: DIAL_TIMEOUT,
            ca: options.ca_file.as_ref(),
        };
        let host = Table::try_from(host).map_err(|error| Exit::failed(&error))?;
        text.push_str(&format!("\n[host.\"{name}\"]\n{host}"));
    }
    Ok(text.trim_end().to_owned())
}

/// A region as containerd names it, without a slash at its end.
fn host_of(region: &Url) -> Result<String, Exit> {
    let is_plain = region.path() == "/" && region.query().is_none() && region.fragment().is_none();
    let is_anonymous = region.username().is_empty() && region.password().is_none();
    match matches!(region.scheme(), "https" | "http") && is_plain && is_anonymous {
        true => Ok(region.as_str().trim_end_matches('/').to_owned()),
        false => Err(Exit::misconfigured(format!(
            "--regions: {region} is no frontend; name each as https://host[:port]"
        ))),
    }
}

// === impl RegistryHost ===

impl FromStr for RegistryHost {
    type Err = ParseHostError;

    fn from_str(text: &str) -> Result<Self, ParseHostError> {
        let url = Url::parse(&format!("https://{text}")).map_err(|_| ParseHostError)?;
        let is_host = url.path() == "/" && !text.contains(['/', '@', '?', '#', '"', '\\']);
        match is_host && url.has_host() && !text.is_empty() {
            true => Ok(Self(text.to_owned())),
            false => Err(ParseHostError),
        }
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(registry: &str, regions: &[&str]) -> cli::NodeConfig {
        cli::NodeConfig {
            registry: registry.parse().unwrap(),
            regions: regions.iter().map(|it| it.parse().unwrap()).collect(),
            ca_file: Some("/etc/ssl/meridian.pem".into()),
        }
    }

    #[test]
    fn regions_are_tried_in_their_order() {
        let regions = ["https://eu.example.com", "https://us.example.com:8443/"];
        let text = render(&options("registry.example.com", &regions)).unwrap();
        let table: Table = text.parse().unwrap();
        assert_eq!(
            table["server"].as_str(),
            Some("https://registry.example.com")
        );
        let hosts = table["host"].as_table().unwrap();
        assert_eq!(hosts.len(), 2);
        let far = &hosts["https://us.example.com:8443"];
        assert_eq!(far["dial_timeout"].as_str(), Some("1s"));
        assert_eq!(far["ca"].as_str(), Some("/etc/ssl/meridian.pem"));
        let place = |name: &str| text.find(name).unwrap();
        assert!(place("[host.\"https://eu") < place("[host.\"https://us"));
    }

    #[test]
    fn what_is_no_frontend_is_refused() {
        for region in [
            "https://eu.example.com/v2/",
            "https://user:pass@eu.example.com",
            "ftp://eu.example.com",
            "https://eu.example.com/?a=b",
        ] {
            assert!(render(&options("registry.example.com", &[region])).is_err());
        }
        for registry in [
            "",
            "https://registry",
            "registry/team",
            "a@b",
            "a b",
            "\"",
            "a:b:c",
        ] {
            assert!(registry.parse::<RegistryHost>().is_err(), "{registry:?}");
        }
        for registry in [
            "registry",
            "registry.example.com:5000",
            "127.0.0.1:5000",
            "[::1]:5000",
        ] {
            assert!(registry.parse::<RegistryHost>().is_ok(), "{registry:?}");
        }
    }
}
