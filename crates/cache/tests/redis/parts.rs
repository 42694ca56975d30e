//! Where Redis is.

use std::path::PathBuf;
use std::time::Duration;

use meridian_cache::{RedisConfig, RedisTls};
use meridian_secret::Secret;
use serde::Deserialize;

#[derive(Deserialize)]
struct Parts {
    redis: Redis,
}

/// The server that runs.
#[derive(Deserialize)]
pub(crate) struct Redis {
    address: String,
    secure_address: String,
    ca_file: PathBuf,
    certificate_file: PathBuf,
    key_file: PathBuf,
    user: String,
    password_file: PathBuf,
}

// === impl Redis ===

impl Redis {
    pub(crate) fn find() -> Self {
        let path = std::env::var_os("XTASK_PARTS");
        let path = path.expect("XTASK_PARTS names what `cargo xtask parts up` has written");
        let text = std::fs::read_to_string(path).unwrap();
        toml::from_str::<Parts>(&text).unwrap().redis
    }

    /// Without encryption or password. Nobody else uses the same keys.
    pub(crate) fn plain(&self) -> RedisConfig {
        RedisConfig {
            address: self.address.clone(),
            prefix: format!("test-{:016x}:", rand::random::<u64>()),
            // A busy machine is no fault of Redis.
            call_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            ..RedisConfig::default()
        }
    }

    /// With both.
    pub(crate) fn secure(&self) -> RedisConfig {
        let password = std::fs::read_to_string(&self.password_file).unwrap();
        RedisConfig {
            address: self.secure_address.clone(),
            user: self.user.clone(),
            password: Secret::new(password),
            tls: Some(RedisTls {
                ca_file: Some(self.ca_file.clone()),
                certificate_file: Some(self.certificate_file.clone()),
                key_file: Some(self.key_file.clone()),
            }),
            ..self.plain()
        }
    }
}
