//! What is done with webhooks by people.
//!
//! Owns when something is sealed anew: a receiver's URI, headers and secrets are opened here and where it is called, and
//! nowhere else. Keeps these invariants: a change is one of what was read, and where somebody else was faster it is made
//! again of what that left; a secret is shown once, when it is made; what is changed here is in force here at once.
//! Leaves to `control/deliveries.rs` what is told, and told again, and to the metadata whether a name is taken.

mod deliveries;
mod delta;

use std::sync::Arc;

use meridian_chassis::seal::KeyRingError;
use meridian_clients::webhook::{PutWebhook, WebhookError};
use meridian_clients::{ReadError, RequestId};
use meridian_delivery::Blocked;
use meridian_error::{Classify, Code, Retry};
use meridian_event::webhook::{
    Callback, MessageId, Registration, Sealed, StoredWebhook, Webhook, WebhookFault, WebhookId,
    WebhookName,
};
use meridian_oci::RegistryName;

pub use self::deliveries::{Deliveries, Delivery, ReplayFilter, Tried};
pub use self::delta::{Delta, NewWebhook};
use crate::credentials::{Credentials, CredentialsError, new_secret};
use crate::shell::Shell;
use crate::trouble::Trouble;

/// How often a change is made again because somebody else was faster.
const TRIES: usize = 5;

/// What people do with the webhooks of a region. Cheap to clone.
#[derive(Clone)]
pub struct Controls {
    shell: Arc<Shell>,
}

/// A webhook, as anybody may see it who manages it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What is stored of it.
    pub stored: StoredWebhook,
    /// Where it is called, without what may be a secret; nothing if the seal cannot be opened here.
    pub uri: Option<String>,
}

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The metadata refuse, or do not answer.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// What is asked for does not fit together.
    #[error(transparent)]
    Fault(#[from] WebhookFault),
    /// The receiver may not be called.
    #[error("the receiver may not be called: {0}")]
    Blocked(#[from] Blocked),
    /// What is sealed cannot be read here.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The key file cannot be read again.
    #[error("the key file cannot be used as it is now")]
    Keys(#[from] KeyRingError),
    /// Nothing is told to it, and nothing is told again.
    #[error(
        "webhook {0} is disabled, and is told nothing, nor told anything again; enable it first: `meridian webhook update {0} --enabled true`"
    )]
    Disabled(WebhookName),
    /// There is no such message.
    #[error(
        "webhook {webhook} has no message {message} that is remembered; `list-events` shows those that are"
    )]
    MessageUnknown {
        /// Which webhook.
        webhook: WebhookName,
        /// Which message.
        message: MessageId,
    },
}

type Result<T> = std::result::Result<T, ControlError>;

// === impl Controls ===

impl Controls {
    pub(crate) const fn of(shell: Arc<Shell>) -> Self {
        Self { shell }
    }

    /// Creates a webhook. Returns it, and its secret.
    ///
    /// # Errors
    ///
    /// When it does not fit together, exceeds a limit, or exists.
    pub async fn create(
        &self,
        registry: &RegistryName,
        new: NewWebhook,
    ) -> Result<(Shown, String)> {
        let NewWebhook { webhook, callback } = new;
        self.check(&webhook, &callback)?;
        let credentials = Credentials {
            callback,
            secret: new_secret(),
            previous: Vec::new(),
        };
        let name = webhook.name.clone();
        let id = self.shell.ports.metadata.registry(registry).await;
        let id = id.map_err(|error: ReadError| WebhookError::from(error))?;
        let sealed = credentials.seal(self.shell.known.keys(), id, &name);
        let put = self.shell.api().put(PutWebhook {
            registry: registry.clone(),
            webhook: webhook.clone(),
            sealed: sealed.clone(),
            expected: None,
            most: self.most(),
            request: RequestId(rand::random()),
        });
        let version = put.await?;
        self.refresh().await;
        // The secret is shown once: nothing that may fail comes between.
        let stored = StoredWebhook {
            registry: id,
            version,
            registration: Registration {
                id: WebhookId::new(version),
                since: version,
                webhook,
                sealed,
                disabled: None,
            },
            failing_since: None,
        };
        let secret = credentials.secret.expose().to_owned();
        Ok((self.shown(stored), secret))
    }

    /// All webhooks of a registry.
    ///
    /// # Errors
    ///
    /// When the metadata do not answer.
    pub async fn list(&self, registry: &RegistryName) -> Result<Vec<Shown>> {
        let all = self.shell.api().list(registry).await?;
        Ok(all.into_iter().map(|stored| self.shown(stored)).collect())
    }

    /// A webhook.
    ///
    /// # Errors
    ///
    /// When there is none of that name.
    pub async fn show(&self, registry: &RegistryName, name: &WebhookName) -> Result<Shown> {
        Ok(self.shown(self.find(registry, name).await?))
    }

    /// How a webhook is called, with what may be a secret.
    ///
    /// # Errors
    ///
    /// When there is none of that name, or its seal cannot be opened here.
    pub async fn callback(&self, registry: &RegistryName, name: &WebhookName) -> Result<Callback> {
        let stored = self.find(registry, name).await?;
        Ok(self.open(&stored)?.callback)
    }

    /// Changes a webhook.
    ///
    /// # Errors
    ///
    /// When it does not fit together then, or somebody else changes it all the time.
    pub async fn update(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        delta: &Delta,
    ) -> Result<Shown> {
        if delta.is_sealed() {
            self.change(registry, name, |stored| {
                self.sealed_anew(stored, |webhook, credentials| {
                    delta.apply(webhook);
                    delta.apply_to_callback(&mut credentials.callback);
                })
            })
            .await?;
        } else {
            // Whoever has no key for it may do this nevertheless.
            self.change(registry, name, |stored| {
                let mut webhook = stored.registration.webhook.clone();
                delta.apply(&mut webhook);
                webhook.check(&self.shell.config.limits)?;
                Ok((webhook, stored.registration.sealed.clone(), ()))
            })
            .await?;
        }
        self.show(registry, name).await
    }

    /// Replaces the secret; the one before signs on for a while. Returns the new one.
    ///
    /// # Errors
    ///
    /// Those of [`update`](Self::update).
    pub async fn rotate(&self, registry: &RegistryName, name: &WebhookName) -> Result<String> {
        let rotation = self.shell.config.rotation.as_millis();
        let rotation = u64::try_from(rotation).unwrap_or(u64::MAX);
        let now = self.shell.engine.now();
        let until = now.saturating_add(rotation);
        let credentials = self
            .change(registry, name, |stored| {
                self.sealed_anew(stored, |_, credentials| credentials.rotate(now, until))
            })
            .await?;
        Ok(credentials.secret.expose().to_owned())
    }

    /// Seals all webhooks anew that were sealed with a key of before, as the key file is now. Returns how many.
    ///
    /// # Errors
    ///
    /// When the key file is no good. When one of them cannot be opened or written; the others are sealed nevertheless.
    pub async fn reseal(&self, registry: &RegistryName) -> Result<usize> {
        self.shell.known.keys().reload()?;
        let (mut count, mut failed) = (0, None);
        for stored in self.shell.api().list(registry).await? {
            let registration = &stored.registration;
            if !self.shell.known.keys().is_current(&registration.sealed.0) {
                let name = registration.webhook.name.clone();
                let sealed = |stored: &_| self.sealed_anew(stored, |_, _| {});
                match self.change(registry, &name, sealed).await {
                    Ok(_) => count += 1,
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
        }
        failed.map_or(Ok(count), Err)
    }

    /// Deletes a webhook.
    ///
    /// # Errors
    ///
    /// When there is none of that name.
    pub async fn delete(&self, registry: &RegistryName, name: &WebhookName) -> Result<()> {
        let request = RequestId(rand::random());
        self.shell.api().delete(registry, name, request).await?;
        self.refresh().await;
        Ok(())
    }

    /// Changes a webhook as it is now, and again if it is another one by then. Returns what else came of it.
    async fn change<T>(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        change: impl Fn(&StoredWebhook) -> Result<(Webhook, Sealed, T)>,
    ) -> Result<T> {
        let mut tries = 0;
        loop {
            let stored = self.find(registry, name).await?;
            let (webhook, sealed, result) = change(&stored)?;
            let put = self.shell.api().put(PutWebhook {
                registry: registry.clone(),
                webhook,
                sealed,
                expected: Some(stored.version),
                most: self.most(),
                request: RequestId(rand::random()),
            });
            match put.await {
                Ok(_) => {
                    self.refresh().await;
                    return Ok(result);
                }
                Err(WebhookError::Changed) if tries < TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What a webhook becomes, of which something that is sealed changes.
    fn sealed_anew(
        &self,
        stored: &StoredWebhook,
        change: impl Fn(&mut Webhook, &mut Credentials),
    ) -> Result<(Webhook, Sealed, Credentials)> {
        let mut credentials = self.open(stored)?;
        let before = credentials.clone();
        let StoredWebhook {
            registry,
            registration,
            ..
        } = stored;
        let mut webhook = registration.webhook.clone();
        change(&mut webhook, &mut credentials);
        self.check(&webhook, &credentials.callback)?;
        let keys = self.shell.known.keys();
        // Sealed anew it is called elsewhere, as far as the engine can see.
        let sealed = match credentials == before && keys.is_current(&registration.sealed.0) {
            true => registration.sealed.clone(),
            false => credentials.seal(keys, *registry, &webhook.name),
        };
        Ok((webhook, sealed, credentials))
    }

    /// What is changed here is in force here at once.
    async fn refresh(&self) {
        if let Err(error) = self.shell.refresh().await {
            Trouble::new("webhooks are not looked at yet").tell(&error);
        }
    }

    async fn find(&self, registry: &RegistryName, name: &WebhookName) -> Result<StoredWebhook> {
        let all = self.shell.api().list(registry).await?;
        let mut all = all.into_iter();
        let found = all.find(|stored| stored.registration.webhook.name == *name);
        Ok(found.ok_or(WebhookError::Unknown)?)
    }

    fn open(&self, stored: &StoredWebhook) -> Result<Credentials> {
        let registration = &stored.registration;
        let (keys, name) = (self.shell.known.keys(), &registration.webhook.name);
        let opened = Credentials::open(&registration.sealed, keys, stored.registry, name);
        Ok(opened?)
    }

    fn check(&self, webhook: &Webhook, callback: &Callback) -> Result<()> {
        let limits = &self.shell.config.limits;
        webhook.check(limits)?;
        callback.check(limits)?;
        self.shell.caller.check(&callback.uri)?;
        Ok(())
    }

    fn most(&self) -> u32 {
        u32::try_from(self.shell.config.limits.webhooks).unwrap_or(u32::MAX)
    }

    fn shown(&self, stored: StoredWebhook) -> Shown {
        let credentials = self.open(&stored).ok();
        Shown {
            uri: credentials.map(|it| it.callback.uri.to_string()),
            stored,
        }
    }
}

impl Classify for ControlError {
    fn code(&self) -> Code {
        match self {
            // Whatever is in the way goes away by somebody's doing only.
            Self::Webhook(WebhookError::TooMany { .. }) => Code::Conflict,
            Self::Webhook(error) => error.code(),
            // What a caller gives, a limit too: trying again does not help.
            Self::Fault(_) | Self::Blocked(_) => Code::InvalidArgument,
            Self::Credentials(_) | Self::Keys(_) | Self::Disabled(_) => Code::Conflict,
            Self::MessageUnknown { .. } => Code::NotFound,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Webhook(error) => error.retry(),
            _ => Retry::No,
        }
    }
}
