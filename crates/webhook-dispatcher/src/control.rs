//! What is done with webhooks by people.
//!
//! Owns the seal: what a receiver's URI, headers and secrets are goes no further than here. A change is one of what
//! was read; where somebody else was faster it is made again of what that left. Secrets are shown once, when they are
//! made.

use std::collections::BTreeSet;
use std::sync::Arc;

use meridian_clients::webhook::{PutWebhook, WebhookError};
use meridian_clients::{ReadError, RequestId};
use meridian_clock::Region;
use meridian_delivery::{Blocked, Subscription};
use meridian_error::{Classify, Code, Retry};
use meridian_event::webhook::{
    Action, Callback, CustomHeaders, DisableReason, Format, Message, MessageId, Registration,
    Scope, Sealed, ServiceUri, Status, StoredWebhook, Undelivered, Webhook, WebhookFault,
    WebhookId, WebhookName,
};
use meridian_event::{EventId, shard_of};
use meridian_oci::RegistryName;

use crate::credentials::{Credentials, CredentialsError, new_secret};
use crate::history::Exchange;
use crate::shell::{Shell, Told, is_taken};

/// How often a change is made again because somebody else was faster.
const TRIES: usize = 5;
/// How many messages are asked for at once that were not delivered.
const PAGE: usize = 500;

/// What people do with the webhooks of a region. Cheap to clone.
#[derive(Clone)]
pub struct Controls {
    shell: Arc<Shell>,
}

/// A webhook to create.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Who is told of what.
    pub webhook: Webhook,
    /// Where.
    pub callback: Callback,
}

/// What to change of a webhook; what is not given stays.
#[derive(Debug, Clone, Default)]
pub struct Delta {
    /// The region whose dispatcher delivers; nothing, for all of them.
    pub region: Option<Option<Region>>,
    /// Where to.
    pub uri: Option<ServiceUri>,
    /// With which headers: these instead of those that there are.
    pub headers: Option<CustomHeaders>,
    /// Of what.
    pub actions: Option<BTreeSet<Action>>,
    /// Of which repositories and tags.
    pub scope: Option<Scope>,
    /// Whether anything is told.
    pub status: Option<Status>,
    /// In which form.
    pub format: Option<Format>,
    /// A push is told when all of these can serve it.
    pub available_in: Option<BTreeSet<Region>>,
}

/// A webhook, as anybody may see it who manages it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What is stored of it.
    pub stored: StoredWebhook,
    /// Where it is called, without what may be a secret; nothing if the seal cannot be opened here.
    pub uri: Option<String>,
}

/// What was not delivered, or was lately.
#[derive(Debug, Clone)]
pub enum Delivery {
    /// It was attempted by this dispatcher.
    Attempt(Box<Exchange>),
    /// It is kept, to be attempted again or until it is dropped.
    Kept(Box<Undelivered>),
}

/// What became of something that was tried at once.
#[derive(Debug, Clone)]
pub struct Tried {
    /// The request and its answer.
    pub exchange: Exchange,
    /// Whether the receiver took it.
    pub is_taken: bool,
}

/// Which messages to tell again.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplayFilter {
    /// Of what happened then or later, in milliseconds since the Unix epoch.
    pub since: Option<u64>,
    /// Of what happened before.
    pub until: Option<u64>,
    /// Only those that no attempt is left for. All that are kept failed.
    pub only_dead: bool,
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
        let is_sealed = delta.uri.is_some() || delta.headers.is_some();
        if is_sealed {
            self.change(registry, name, |webhook, credentials| {
                delta.apply(webhook, &mut credentials.callback);
            })
            .await?;
        } else {
            // Whoever has no key for it may do this nevertheless.
            self.change_shown(registry, name, delta).await?;
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
            .change(registry, name, |_, credentials| {
                credentials.rotate(now, until);
            })
            .await?;
        Ok(credentials.secret.expose().to_owned())
    }

    /// Seals all webhooks anew that were sealed with a key of before. Returns how many.
    ///
    /// # Errors
    ///
    /// When one of them cannot be opened or written; the others are sealed nevertheless.
    pub async fn reseal(&self, registry: &RegistryName) -> Result<usize> {
        let (mut count, mut failed) = (0, None);
        for stored in self.shell.api().list(registry).await? {
            let registration = &stored.registration;
            if !self.shell.known.keys().is_current(&registration.sealed.0) {
                let name = registration.webhook.name.clone();
                match self.change(registry, &name, |_, _| {}).await {
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

    /// Calls the receiver, whatever the webhook is told of, and whether it is enabled.
    ///
    /// # Errors
    ///
    /// When there is none of that name, or its seal cannot be opened here. What the receiver makes of it is no
    /// error.
    pub async fn ping(&self, registry: &RegistryName, name: &WebhookName) -> Result<Tried> {
        let at = self.shell.engine.now();
        let id = MessageId::new(rand::random());
        self.tell(registry, name, Told::Ping(id, at)).await
    }

    /// Calls the receiver with a message that looks like one of what it is told of.
    ///
    /// # Errors
    ///
    /// Those of [`ping`](Self::ping).
    pub async fn test(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        action: Option<Action>,
    ) -> Result<Tried> {
        let stored = self.find(registry, name).await?;
        let webhook = &stored.registration.webhook;
        let action = action.or_else(|| webhook.actions.first().copied());
        let message = Arc::new(self.sample(&stored, action.unwrap_or(Action::Push)));
        self.tell(registry, name, Told::Message(&message, 1)).await
    }

    /// What was told lately, and what is kept, the newest first.
    ///
    /// # Errors
    ///
    /// When there is none of that name.
    pub async fn deliveries(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        let stored = self.find(registry, name).await?;
        let webhook = stored.registration.id;
        let exchanges = self.shell.history.of(webhook);
        let seen: BTreeSet<_> = exchanges.iter().map(|exchange| exchange.id).collect();
        let attempts = exchanges.into_iter();
        let mut all: Vec<_> = attempts
            .map(|it| (it.at, Delivery::Attempt(Box::new(it))))
            .collect();
        let mut after = None;
        loop {
            let rows = self.shell.api().undelivered(webhook, after, PAGE).await?;
            let next = rows.last().filter(|_| rows.len() == PAGE).map(mark);
            let unseen = rows
                .into_iter()
                .filter(|row| !seen.contains(&row.message.id));
            all.extend(unseen.map(|row| (row.message.at, Delivery::Kept(Box::new(row)))));
            // They are kept by shard and message: the newest may be anywhere.
            all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
            all.truncate(limit);
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(all.into_iter().map(|(_, delivery)| delivery).collect())
    }

    /// Tells a message again, now. Returns what became of it; one that is kept is attempted in its turn instead.
    ///
    /// # Errors
    ///
    /// When it is neither remembered nor kept.
    pub async fn redeliver(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        message: MessageId,
    ) -> Result<Option<Tried>> {
        let stored = self.find(registry, name).await?;
        let webhook = stored.registration.id;
        let mut after = None;
        loop {
            let rows = self.shell.api().undelivered(webhook, after, PAGE).await?;
            if let Some(row) = rows.iter().find(|row| row.message.id == message) {
                self.again(&stored, &[mark(row)]).await?;
                return Ok(None);
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE => after = Some(mark(last)),
                _ => break,
            }
        }
        let exchanges = self.shell.history.of(webhook);
        let remembered = exchanges.into_iter().find(|it| it.id == message);
        let Some(message) = remembered.and_then(|it| it.message) else {
            let webhook = name.clone();
            return Err(ControlError::MessageUnknown { webhook, message });
        };
        let told = Told::Message(&message, 1);
        self.tell(registry, name, told).await.map(Some)
    }

    /// Has what is kept attempted again, now. Returns how much that is.
    ///
    /// # Errors
    ///
    /// When there is none of that name.
    pub async fn replay(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        filter: ReplayFilter,
    ) -> Result<u64> {
        let stored = self.find(registry, name).await?;
        let webhook = stored.registration.id;
        let (mut after, mut count) = (None, 0);
        loop {
            let rows = self.shell.api().undelivered(webhook, after, PAGE).await?;
            let chosen = rows.iter().filter(|row| filter.covers(row));
            let chosen: Vec<_> = chosen.map(mark).collect();
            if !chosen.is_empty() {
                count += self.again(&stored, &chosen).await?;
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE => after = Some(mark(last)),
                _ => return Ok(count),
            }
        }
    }

    async fn again(&self, stored: &StoredWebhook, marks: &[(u16, MessageId)]) -> Result<u64> {
        let (webhook, now) = (stored.registration.id, self.shell.engine.now());
        let count = self.shell.api().retry(webhook, marks, now).await?;
        // Another dispatcher that has the shard finds it a little later.
        let shards: BTreeSet<_> = marks.iter().map(|(shard, _)| *shard).collect();
        self.shell.engine.tell(|engine, _| {
            for shard in shards {
                engine.pending(webhook, shard, now);
            }
        });
        Ok(count)
    }

    async fn tell(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        told: Told<'_>,
    ) -> Result<Tried> {
        let stored = self.find(registry, name).await?;
        let credentials = self.open(&stored)?;
        let to = Subscription {
            id: stored.registration.id,
            registry: stored.registry,
            since: stored.registration.since,
            webhook: stored.registration.webhook.clone(),
            sealed: stored.registration.sealed.clone(),
            failing_since: stored.failing_since,
        };
        let (_, exchange) = self.shell.call(&to, &credentials, told).await;
        Ok(Tried {
            is_taken: is_taken(&exchange.attempted),
            exchange,
        })
    }

    /// Changes a webhook as it is now, and again if it is another one by then.
    async fn change(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        change: impl Fn(&mut Webhook, &mut Credentials),
    ) -> Result<Credentials> {
        let mut tries = 0;
        loop {
            let stored = self.find(registry, name).await?;
            let mut credentials = self.open(&stored)?;
            let before = credentials.clone();
            let mut webhook = stored.registration.webhook.clone();
            change(&mut webhook, &mut credentials);
            self.check(&webhook, &credentials.callback)?;
            let keys = self.shell.known.keys();
            // Sealed anew it is called elsewhere, as far as the engine can see.
            let sealed =
                match credentials == before && keys.is_current(&stored.registration.sealed.0) {
                    true => stored.registration.sealed.clone(),
                    false => credentials.seal(keys, stored.registry, name),
                };
            match self.replace(registry, &stored, webhook, sealed).await {
                Ok(()) => return Ok(credentials),
                Err(WebhookError::Changed) if tries < TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Changes nothing of a webhook that is sealed.
    async fn change_shown(
        &self,
        registry: &RegistryName,
        name: &WebhookName,
        delta: &Delta,
    ) -> Result<()> {
        let mut tries = 0;
        loop {
            let stored = self.find(registry, name).await?;
            let mut webhook = stored.registration.webhook.clone();
            delta.apply_shown(&mut webhook);
            webhook.check(&self.shell.config.limits)?;
            let sealed = stored.registration.sealed.clone();
            match self.replace(registry, &stored, webhook, sealed).await {
                Ok(()) => return Ok(()),
                Err(WebhookError::Changed) if tries < TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn replace(
        &self,
        registry: &RegistryName,
        stored: &StoredWebhook,
        webhook: Webhook,
        sealed: Sealed,
    ) -> std::result::Result<(), WebhookError> {
        let put = self.shell.api().put(PutWebhook {
            registry: registry.clone(),
            webhook,
            sealed,
            expected: Some(stored.version),
            most: self.most(),
            request: RequestId(rand::random()),
        });
        put.await?;
        self.refresh().await;
        Ok(())
    }

    /// What is changed here is in force here at once.
    async fn refresh(&self) {
        match self.shell.known.refresh(&self.shell.engine).await {
            Ok(news) => self.shell.welcome(&news).await,
            Err(error) => {
                let error = meridian_error::chain(&error);
                tracing::debug!(error, "webhooks are not looked at yet");
            }
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

    /// A message as it would be if it had happened.
    fn sample(&self, stored: &StoredWebhook, action: Action) -> Message {
        let repository = "test/image".parse().expect("it is a name");
        let position = EventId {
            region: self.shell.region,
            epoch: 1,
            shard: shard_of(stored.registry, Some(&repository)),
            seq: 1,
        };
        let is_put = !matches!(action, Action::Delete | Action::ChartDelete | Action::Untag);
        Message {
            id: MessageId::new(rand::random()),
            action,
            position,
            at: self.shell.engine.now(),
            repository: Some(repository),
            webhook: None,
            tag: (action != Action::Delete).then(|| "test".parse().expect("it is a tag")),
            digest: Some(meridian_oci::Digest::of(
                meridian_oci::Algorithm::Sha256,
                b"a test of a webhook",
            )),
            size: is_put.then_some(0),
            media_type: is_put.then_some(meridian_oci::MediaType::OCI_IMAGE_MANIFEST),
            push: None,
            regions: Vec::new(),
        }
    }
}

const fn mark(row: &Undelivered) -> (u16, MessageId) {
    (row.message.position.shard, row.message.id)
}

// === impl Delta ===

impl Delta {
    fn apply(&self, webhook: &mut Webhook, callback: &mut Callback) {
        self.apply_shown(webhook);
        set(&mut callback.uri, self.uri.as_ref());
        set(&mut callback.headers, self.headers.as_ref());
    }

    fn apply_shown(&self, webhook: &mut Webhook) {
        set(&mut webhook.region, self.region.as_ref());
        set(&mut webhook.actions, self.actions.as_ref());
        set(&mut webhook.scope, self.scope.as_ref());
        set(&mut webhook.status, self.status.as_ref());
        set(&mut webhook.format, self.format.as_ref());
        set(&mut webhook.available_in, self.available_in.as_ref());
    }
}

fn set<T: Clone>(value: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        value.clone_from(new);
    }
}

// === impl ReplayFilter ===

impl ReplayFilter {
    fn covers(&self, row: &Undelivered) -> bool {
        let at = row.message.at;
        self.since.is_none_or(|since| at >= since)
            && self.until.is_none_or(|until| at < until)
            && (!self.only_dead || row.due.is_none())
    }
}

// === impl Shown ===

impl Shown {
    /// Why it is disabled, if its receiver failed.
    #[must_use]
    pub fn disabled(&self) -> Option<DisableReason> {
        self.stored.registration.disabled.map(|it| it.reason)
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
            Self::Credentials(_) => Code::Conflict,
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
