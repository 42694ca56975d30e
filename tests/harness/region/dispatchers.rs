//! The dispatchers of webhooks of a region.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use super::Region;
use crate::{Dev, DevBuilder, webhook};

impl Region {
    /// Starts a dispatcher of webhooks, also again. It may call receivers of this machine.
    pub fn start_dispatcher(&mut self, dispatcher: usize) {
        let process = self.dispatcher(dispatcher).start();
        while self.dispatchers.len() <= dispatcher {
            self.dispatchers.push(None);
        }
        self.dispatchers[dispatcher] = Some(process);
    }

    /// A dispatcher of webhooks, as it is started again.
    pub fn dispatcher(&self, dispatcher: usize) -> DevBuilder {
        let keys = self.folder.path().join("webhooks.keys");
        std::fs::write(&keys, format!("{}\n", "5a".repeat(32))).unwrap();
        std::fs::set_permissions(&keys, Permissions::from_mode(0o600)).unwrap();
        let builder = self
            .builder("webhooks", dispatcher)
            .portless()
            .env("MERIDIAN_SERVICES__METADATA", self.endpoints())
            .env("MERIDIAN_EVENTS__KIND", "kafka")
            .env("MERIDIAN_EVENTS__KAFKA__SINGLE_BROKER", "true")
            .env(
                "MERIDIAN_EVENTS__KAFKA__BROKERS",
                format!("{:?}", self.plan.brokers),
            )
            .env("MERIDIAN_WEBHOOKS__HOST", "registry.test")
            .env("MERIDIAN_WEBHOOKS__KEY_FILE", keys.to_str().unwrap())
            .env("MERIDIAN_WEBHOOKS__EGRESS__ALLOWED", "[\"127.0.0.0/8\"]");
        let settings = self.plan.dispatcher.iter();
        let builder = settings.fold(builder, |builder, (name, value)| builder.env(name, value));
        self.among_neighbours(builder)
    }

    /// Hands a dispatcher over.
    pub fn take_dispatcher(&mut self, dispatcher: usize) -> Dev {
        self.dispatchers[dispatcher].take().unwrap()
    }

    /// Those that run and were not handed over.
    pub fn dispatchers(&self) -> impl Iterator<Item = &Dev> {
        self.dispatchers.iter().flatten()
    }

    /// Takes a dispatcher over.
    pub fn has_dispatcher(&mut self, dispatcher: usize, process: Dev) {
        self.dispatchers[dispatcher] = Some(process);
    }

    /// `meridian webhook …`, asked of a dispatcher.
    pub fn webhook(&self, dispatcher: usize, arguments: &[&str]) -> Output {
        let folder = self.folder.path().join(format!("webhooks-{dispatcher}"));
        webhook(&folder, arguments)
    }
}
