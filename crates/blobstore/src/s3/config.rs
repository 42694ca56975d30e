//! The settings of the S3 body.
//!
//! Owns their defaults and bounds; each fault says what to change. Leaves reading them to whoever
//! starts the process, and what the files that they name have to be to [`client`] and
//! [`credentials`].

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use humantime_serde as duration;
use meridian_secret::Secret;
use serde::{Deserialize, Serialize};

use super::plan::{self, PartPlan};
use super::{client, credentials};

/// Settings of [`S3BlobStore`](super::S3BlobStore).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Config {
    /// The bucket, which has to exist.
    pub bucket: String,
    /// What the name of every object begins with, such as `registry/`.
    pub prefix: String,
    /// The region that requests are signed for.
    pub region: String,
    /// Where the store is found, such as `https://s3.example:9000`; unless it is set, where AWS has
    /// the region.
    pub endpoint: Option<String>,
    /// Where clients find it that are sent there with a presigned URL, if not at `endpoint`.
    pub public_endpoint: Option<String>,
    /// Names the bucket in the path of a URL instead of in its host.
    pub path_style: bool,
    /// A file of PEM certificates to trust instead of those of this machine.
    pub ca_file: Option<PathBuf>,
    /// A file of credentials, in the form of `~/.aws/credentials`. It is read again when it changes.
    pub credentials_file: Option<PathBuf>,
    /// The access key, if there is no file.
    pub access_key_id: String,
    /// Its secret, if there is no file.
    pub secret_access_key: Secret,
    /// The token that comes with temporary credentials, if there is no file.
    pub session_token: Secret,
    /// How large parts are at first; those of very large objects grow, so that 10 000 suffice.
    pub part_size: ByteSize,
    /// How many parts of one object go up at once.
    pub parts_in_flight: usize,
    /// How much memory all uploads together may have for parts that fill or go up. An upload of more
    /// than 64 KiB holds a part while it is sent, be it ever so slowly; others wait when all is held.
    pub memory: ByteSize,
    /// How long a connection may take.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// How long one attempt may take to be answered, and how long a body that is read may pause.
    #[serde(with = "duration")]
    pub attempt_timeout: Duration,
    /// How long a request may take with all its attempts.
    #[serde(with = "duration")]
    pub deadline: Duration,
    /// The largest object. Not a setting of its own: whoever starts the store knows it.
    #[serde(skip, default = "S3Config::default_max_object")]
    pub max_object: ByteSize,
}

/// Why settings of the S3 body are refused. Each begins with the name of the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum S3ConfigFault {
    /// There is no bucket.
    #[error("bucket: missing; name a bucket that exists")]
    NoBucket,
    /// A text is not what it should be.
    #[error("{setting}: `{value}` is no good; {advice}")]
    Text {
        /// The setting.
        setting: &'static str,
        /// What it says.
        value: String,
        /// What it should say.
        advice: &'static str,
    },
    /// Neither kind of credentials is given, or half of one.
    #[error(
        "credentials_file: missing; name a file of credentials, or set access_key_id and \
         secret_access_key"
    )]
    NoCredentials,
    /// Both kinds of credentials are given.
    #[error(
        "credentials_file: access_key_id or secret_access_key is set as well; keep one of the two"
    )]
    TwoCredentials,
    /// A file that is named cannot be used.
    #[error("{setting}: {problem}")]
    File {
        /// The setting.
        setting: &'static str,
        /// What is wrong with the file.
        problem: String,
    },
    /// A number is outside of its bounds.
    #[error("{setting}: {value} is too {what}; {advice}")]
    Bound {
        /// The setting.
        setting: &'static str,
        /// What it says.
        value: String,
        /// In which direction it is off.
        what: &'static str,
        /// What it should say.
        advice: String,
    },
}

// === impl S3Config ===

impl S3Config {
    /// Everything that is wrong with it, and with the files that it names. The store is not asked.
    #[must_use]
    pub fn faults(&self) -> Vec<S3ConfigFault> {
        let mut faults = self.faults_of_names();
        faults.extend(self.fault_of_credentials());
        faults.extend(self.fault_of_authorities());
        faults.extend(self.faults_of_numbers());
        faults
    }

    fn faults_of_names(&self) -> Vec<S3ConfigFault> {
        let mut faults = Vec::new();
        let text = |setting, value: &str, advice| S3ConfigFault::Text {
            setting,
            value: value.to_owned(),
            advice,
        };
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_');
        if self.bucket.is_empty() {
            faults.push(S3ConfigFault::NoBucket);
        } else if !self
            .bucket
            .bytes()
            .all(|b| plain(b) || b.is_ascii_uppercase())
        {
            let advice = "a bucket's name has letters, digits, hyphens and dots";
            faults.push(text("bucket", &self.bucket, advice));
        }
        let part =
            |part: &str| !part.is_empty() && part.bytes().all(plain) && !part.starts_with('.');
        let mut parts = self.prefix.split_terminator('/');
        let is_folder = self.prefix.is_empty() || self.prefix.ends_with('/');
        if !is_folder || self.prefix.len() > 256 || !parts.all(part) {
            let advice = "use lower-case folders that end in a slash, such as `registry/`";
            faults.push(text("prefix", &self.prefix, advice));
        }
        if self.region.is_empty() || !self.region.bytes().all(plain) {
            faults.push(text(
                "region",
                &self.region,
                "it is a name such as `eu-west-1`",
            ));
        }
        let endpoints = [
            ("endpoint", &self.endpoint),
            ("public_endpoint", &self.public_endpoint),
        ];
        for (setting, endpoint) in endpoints {
            if let Some(endpoint) = endpoint.as_ref().filter(|endpoint| !is_endpoint(endpoint)) {
                let advice =
                    "it is `https://<host>[:<port>]`, or `http://…` inside a trusted network";
                faults.push(text(setting, endpoint, advice));
            }
        }
        faults
    }

    fn fault_of_credentials(&self) -> Option<S3ConfigFault> {
        let id = !self.access_key_id.is_empty();
        let secret = !self.secret_access_key.is_empty();
        match (&self.credentials_file, id, secret) {
            (Some(_), false, false) => {
                let unusable = credentials::provider(self).err()?;
                Some(S3ConfigFault::file("credentials_file", &unusable))
            }
            (None, true, true) => None,
            (Some(_), _, _) => Some(S3ConfigFault::TwoCredentials),
            (None, _, _) => Some(S3ConfigFault::NoCredentials),
        }
    }

    fn fault_of_authorities(&self) -> Option<S3ConfigFault> {
        let unusable = client::authorities(self.ca_file.as_ref()?).err()?;
        Some(S3ConfigFault::file("ca_file", &unusable))
    }

    fn faults_of_numbers(&self) -> Vec<S3ConfigFault> {
        let mut faults = Vec::new();
        let mut bound = |setting, value: String, what, advice: String| {
            faults.push(S3ConfigFault::Bound {
                setting,
                value,
                what,
                advice,
            });
        };
        let size = self.part_size.as_u64();
        if size < plan::LEAST_PART {
            let advice = "S3 takes no part but the last below 5 MiB".to_owned();
            bound("part_size", self.part_size.to_string(), "small", advice);
        } else if size > plan::GREATEST_PART {
            let advice = "S3 takes no part above 5 GiB".to_owned();
            bound("part_size", self.part_size.to_string(), "large", advice);
        } else {
            let greatest = ByteSize::b(PartPlan::new(size, self.max_object.as_u64()).greatest());
            let object = self.max_object;
            if greatest.as_u64() > plan::GREATEST_PART {
                let advice = "10 000 parts of 5 GiB do not hold it".to_owned();
                bound("max_object", object.to_string(), "large", advice);
            } else if self.memory < greatest {
                let advice =
                    format!("a part of an object of {object} is {greatest}, and one has to fit");
                bound("memory", self.memory.to_string(), "small", advice);
            }
        }
        if !(1..=64).contains(&self.parts_in_flight) {
            let what = if self.parts_in_flight == 0 {
                "small"
            } else {
                "large"
            };
            let advice = "set it to 1 to 64".to_owned();
            bound(
                "parts_in_flight",
                self.parts_in_flight.to_string(),
                what,
                advice,
            );
        }
        let least = Duration::from_millis(10);
        for (setting, time) in [
            ("connect_timeout", self.connect_timeout),
            ("attempt_timeout", self.attempt_timeout),
            ("deadline", self.deadline),
        ] {
            if time < least {
                let advice = format!("set it to {least:?} or more");
                bound(setting, format!("{time:?}"), "short", advice);
            }
        }
        faults
    }

    /// The same, for objects of up to `bytes`.
    #[must_use]
    pub fn for_objects_up_to(self, bytes: u64) -> Self {
        let max_object = ByteSize::b(bytes);
        Self { max_object, ..self }
    }

    /// The parts that objects are cut into.
    pub(super) fn plan(&self) -> PartPlan {
        PartPlan::new(self.part_size.as_u64(), self.max_object.as_u64())
    }

    const fn default_max_object() -> ByteSize {
        ByteSize::tib(1)
    }
}

impl Default for S3Config {
    fn default() -> Self {
        Self {
            bucket: String::new(),
            prefix: String::new(),
            region: "us-east-1".to_owned(),
            endpoint: None,
            public_endpoint: None,
            path_style: false,
            ca_file: None,
            credentials_file: None,
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
            session_token: Secret::default(),
            part_size: ByteSize::mib(8),
            parts_in_flight: 4,
            memory: ByteSize::mib(512),
            connect_timeout: Duration::from_secs(3),
            attempt_timeout: Duration::from_secs(60),
            deadline: Duration::from_secs(180),
            max_object: Self::default_max_object(),
        }
    }
}

// === impl S3ConfigFault ===

impl S3ConfigFault {
    pub(super) fn file(setting: &'static str, error: &dyn Error) -> Self {
        let problem = meridian_error::chain(error);
        Self::File { setting, problem }
    }
}

/// A scheme and an authority, and nothing behind them.
fn is_endpoint(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let authority = rest.map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    authority.is_some_and(|text| !text.is_empty() && text.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> S3Config {
        S3Config {
            bucket: "blobs".to_owned(),
            access_key_id: "id".to_owned(),
            secret_access_key: Secret::new("hunter2"),
            ..S3Config::default()
        }
    }

    fn names(faults: &[S3ConfigFault]) -> Vec<String> {
        let name = |fault: &S3ConfigFault| fault.to_string().split(':').next().unwrap().to_owned();
        faults.iter().map(name).collect()
    }

    #[test]
    fn defaults_lack_a_bucket_and_credentials() {
        assert_eq!(sound().faults(), []);
        let faults = S3Config::default().faults();
        assert_eq!(
            faults,
            [S3ConfigFault::NoBucket, S3ConfigFault::NoCredentials]
        );
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let config = S3Config {
            bucket: "a/b".to_owned(),
            prefix: "no-slash".to_owned(),
            region: "EU west".to_owned(),
            endpoint: Some("minio:9000".to_owned()),
            public_endpoint: Some("https://user@host".to_owned()),
            credentials_file: Some("/run/credentials".into()),
            part_size: ByteSize::mib(1),
            parts_in_flight: 0,
            deadline: Duration::ZERO,
            ..sound()
        };
        assert_eq!(
            names(&config.faults()),
            [
                "bucket",
                "prefix",
                "region",
                "endpoint",
                "public_endpoint",
                "credentials_file",
                "part_size",
                "parts_in_flight",
                "deadline",
            ]
        );
        for fault in config.faults() {
            assert!(!fault.to_string().contains("hunter2"), "{fault}");
        }
    }

    #[test]
    fn memory_holds_the_greatest_part_of_the_largest_object() {
        let config = S3Config {
            memory: ByteSize::mib(8),
            max_object: ByteSize::gib(8),
            ..sound()
        };
        assert_eq!(config.faults(), []);
        let config = S3Config {
            max_object: ByteSize::tib(1),
            ..config
        };
        assert_eq!(names(&config.faults()), ["memory"]);
        let config = S3Config {
            max_object: ByteSize::tib(60),
            ..config
        };
        assert_eq!(names(&config.faults()), ["max_object"]);
    }

    #[test]
    fn files_that_cannot_be_used_are_faults_too() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        let config = S3Config {
            ca_file: Some(empty),
            credentials_file: Some(folder.path().join("none")),
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
            ..sound()
        };
        assert_eq!(names(&config.faults()), ["credentials_file", "ca_file"]);
    }

    #[test]
    fn settings_are_read_and_secrets_do_not_show() {
        let text = "bucket = \"b\"\naccess_key_id = \"id\"\nsecret_access_key = \"hunter2\"\n\
                    part_size = \"16MiB\"\ndeadline = \"90s\"";
        let config: S3Config = toml::from_str(text).unwrap();
        assert_eq!(config.part_size, ByteSize::mib(16));
        assert_eq!(config.deadline, Duration::from_secs(90));
        assert_eq!(config.secret_access_key.expose(), "hunter2");
        let shown = format!("{config:?} {}", toml::to_string(&config).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(toml::from_str::<S3Config>("bukket = \"b\"").is_err());
    }
}
