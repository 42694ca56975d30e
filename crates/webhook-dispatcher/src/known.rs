//! The webhooks that there are.
//!
//! Keeps the promise that the engine relies on: before an event is offered, all webhooks are told that were there
//! at its commit. So they are asked for after the event was read, which costs one answer of a few bytes where
//! nothing changed. Those who wait while somebody asks share the next answer: a shard waits for two at most, however many
//! there are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use meridian_chassis::seal::KeyRing;
use meridian_clients::webhook::{WebhookApi, WebhookError};
use meridian_clock::Version;
use meridian_delivery::Subscription;
use meridian_event::RegistryId;
use meridian_event::webhook::{Sealed, StoredWebhook, WebhookId, WebhookName};

use crate::credentials::{Credentials, CredentialsError};
use crate::engine::Engine;

/// What is known.
pub(crate) struct Known {
    api: Arc<dyn WebhookApi>,
    keys: KeyRing,
    /// Asked for by one at a time.
    asking: tokio::sync::Mutex<Asked>,
    /// How often it was begun to ask.
    begun: AtomicU64,
    webhooks: Mutex<BTreeMap<WebhookId, StoredWebhook>>,
    opened: Mutex<BTreeMap<WebhookId, (Sealed, Arc<Credentials>)>>,
    /// What could not be opened, of which people were told.
    unopened: Mutex<BTreeMap<WebhookId, Sealed>>,
}

/// What was answered last.
#[derive(Default)]
struct Asked {
    version: Option<Version>,
    /// To which question.
    question: u64,
}

// === impl Known ===

impl Known {
    pub(crate) fn new(api: Arc<dyn WebhookApi>, keys: KeyRing) -> Self {
        Self {
            api,
            keys,
            asking: tokio::sync::Mutex::default(),
            begun: AtomicU64::new(0),
            webhooks: Mutex::default(),
            opened: Mutex::default(),
            unopened: Mutex::default(),
        }
    }

    /// Has the engine know all webhooks that there are now. Says whether they are others than before.
    pub(crate) async fn refresh(&self, engine: &Engine) -> Result<bool, WebhookError> {
        let before = self.begun.load(Ordering::SeqCst);
        let mut asked = self.asking.lock().await;
        if asked.question > before {
            // It was begun to ask after this was called.
            return Ok(false);
        }
        let question = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let Some(answer) = self.api.subscriptions(asked.version).await? else {
            asked.question = question;
            return Ok(false);
        };
        let now: BTreeMap<_, _> = answer
            .webhooks
            .into_iter()
            .map(|stored| (stored.registration.id, stored))
            .collect();
        let mut webhooks = self.webhooks();
        let gone = webhooks.keys().filter(|id| !now.contains_key(id));
        for id in gone {
            engine.tell(|engine, _| engine.unsubscribe(*id));
        }
        for (id, stored) in &now {
            let old = webhooks.get(id);
            if old.is_some_and(|old| old.registration == stored.registration) {
                continue;
            }
            let subscription = subscription(stored);
            engine.tell(|engine, _| engine.subscribe(subscription));
        }
        self.opened_now().retain(|id, _| now.contains_key(id));
        self.unopened_now().retain(|id, _| now.contains_key(id));
        *webhooks = now;
        *asked = Asked {
            version: answer.version,
            question,
        };
        Ok(true)
    }

    /// Whether a webhook is there, as far as is known.
    pub(crate) fn has(&self, webhook: WebhookId) -> bool {
        self.webhooks().contains_key(&webhook)
    }

    /// Whether a webhook is called as it was then, and was not disabled meanwhile, as far as is known.
    pub(crate) fn is(&self, then: &Subscription) -> bool {
        let webhooks = self.webhooks();
        webhooks.get(&then.id).is_some_and(|stored| {
            let now = &stored.registration;
            now.sealed == then.sealed && now.since == then.since
        })
    }

    /// How a webhook is called.
    pub(crate) fn credentials(
        &self,
        webhook: WebhookId,
        registry: RegistryId,
        name: &WebhookName,
        sealed: &Sealed,
    ) -> Result<Arc<Credentials>, CredentialsError> {
        if let Some((of, credentials)) = self.opened_now().get(&webhook)
            && of == sealed
        {
            return Ok(Arc::clone(credentials));
        }
        let credentials = Arc::new(Credentials::open(sealed, &self.keys, registry, name)?);
        let opened = (sealed.clone(), Arc::clone(&credentials));
        self.opened_now().insert(webhook, opened);
        Ok(credentials)
    }

    /// Whether nobody asked this before: what is sealed so cannot be opened, and people are told once.
    pub(crate) fn is_news(&self, webhook: WebhookId, sealed: &Sealed) -> bool {
        let told = self.unopened_now().insert(webhook, sealed.clone());
        told.as_ref() != Some(sealed)
    }

    pub(crate) const fn keys(&self) -> &KeyRing {
        &self.keys
    }

    fn webhooks(&self) -> std::sync::MutexGuard<'_, BTreeMap<WebhookId, StoredWebhook>> {
        self.webhooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unopened_now(&self) -> std::sync::MutexGuard<'_, BTreeMap<WebhookId, Sealed>> {
        self.unopened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened_now(
        &self,
    ) -> std::sync::MutexGuard<'_, BTreeMap<WebhookId, (Sealed, Arc<Credentials>)>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A webhook, as the engine knows it.
pub(crate) fn subscription(stored: &StoredWebhook) -> Subscription {
    let registration = &stored.registration;
    Subscription {
        id: registration.id,
        registry: stored.registry,
        since: registration.since,
        webhook: registration.webhook.clone(),
        sealed: registration.sealed.clone(),
        failing_since: stored.failing_since,
    }
}

#[cfg(test)]
mod tests {
    use crate::stage::Stage;

    #[tokio::test]
    async fn those_who_wait_while_somebody_asks_share_the_next_answer() {
        let stage = Stage::new(Vec::new()).await;
        let known = &stage.shell.known;
        let (metadata, engine) = (&stage.metadata, &stage.shell.engine);
        metadata.hold();
        let all = futures::future::join_all((0..16).map(|_| known.refresh(engine)));
        let release = async {
            // Until each of them has asked or waits.
            tokio::task::yield_now().await;
            metadata.answer();
        };
        let (refreshed, ()) = tokio::join!(all, release);
        assert!(refreshed.iter().all(Result::is_ok));
        let shared = metadata.questions();
        assert!(shared <= 2, "{shared} questions");
        // What was answered before says nothing to those who come now.
        known.refresh(engine).await.unwrap();
        assert_eq!(metadata.questions(), shared + 1);
    }
}
