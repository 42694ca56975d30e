//! `meridian webhook …`.

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};
use meridian_event::webhook::{Action, Format, MessageId, Scope, WebhookName};

use super::Target;

pub(super) const HELP: &str = "Examples:
  meridian webhook create deploys --uri https://ci.example/hooks/1 --actions push,replicated_all
  meridian webhook create argocd --uri https://argocd.example/api/webhook --region us \\
      --scope 'team/*:*' --format cloudevents-binary --header 'X-Webhook-Secret: s3cret'
  meridian webhook ping deploys
  meridian webhook list-events deploys
  meridian webhook replay deploys --since 2026-11-30T08:00:00Z
  meridian webhook update deploys --enabled false

A webhook is the same in all regions, and may be changed in each. One with a region is told of a push when that region
can serve the image: in the region of the push at once, in others as it becomes available there. One without is told of
each event once, by the region where it happened; with --available-in a push is told when those regions can serve it.

Requests are signed: `webhook-id`, `webhook-timestamp` and `webhook-signature` as Standard Webhooks has them, and
`X-Signature: sha256=<hex>`, keyed by the whole text of the secret. A message that was not taken is told again after 5 s,
5 min, 30 min, 2 h, … for three days, and is kept for 30 days; each time it has the same id. A receiver that answers 410,
or fails for 120 h, is told nothing more until somebody enables the webhook again.

Asks the process that serves from the data directory, or the one at --server: one that runs `webhooks`. Which addresses
may be called that are not public is in its settings, `webhooks.egress.allowed`.

Exit codes:
  0   done; with `ping`, `test` and `redeliver`, the receiver has taken it
  1   something failed; standard error says what
  64  the command line is wrong";

#[derive(Debug, Args)]
pub(crate) struct Webhook {
    #[command(subcommand)]
    pub(crate) verb: WebhookVerb,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WebhookVerb {
    /// Create a webhook, and show its secret, this once
    #[command(after_help = HELP)]
    Create {
        /// 5 to 50 letters and digits
        #[arg(value_name = "NAME")]
        name: WebhookName,
        /// Where to
        #[arg(long, value_name = "URI")]
        uri: String,
        #[command(flatten)]
        fields: Box<NewFields>,
    },
    /// Show all webhooks
    #[command(after_help = HELP)]
    List,
    /// Show a webhook
    #[command(after_help = HELP)]
    Show {
        /// Which
        #[arg(value_name = "NAME")]
        name: WebhookName,
    },
    /// Change a webhook; what is not given stays
    #[command(after_help = HELP)]
    Update {
        /// Which
        #[arg(value_name = "NAME")]
        name: WebhookName,
        /// Where to
        #[arg(long, value_name = "URI")]
        uri: Option<String>,
        #[command(flatten)]
        fields: Box<ChangedFields>,
    },
    /// Delete a webhook; what was to be told to it is not
    #[command(after_help = HELP)]
    Delete {
        /// Which
        #[arg(value_name = "NAME")]
        name: WebhookName,
    },
    /// Show where a webhook is called, and with which headers, secrets included
    #[command(after_help = HELP)]
    GetConfig {
        /// Which
        #[arg(value_name = "NAME")]
        name: WebhookName,
    },
    /// Call the receiver, and show what it answers
    #[command(after_help = HELP)]
    Ping {
        /// Which
        #[arg(value_name = "NAME")]
        name: WebhookName,
    },
    /// Tell the receiver something that looks like what it is told of, and show what it answers
    #[command(after_help = HELP)]
    Test {
        /// Which
        #[arg(value_name = "NAME")]
        name: WebhookName,
        /// What [default: the first of its actions]
        #[arg(long, value_name = "ACTION")]
        action: Option<Action>,
    },
    /// Show what was told lately, and what is kept to be told again
    #[command(after_help = HELP)]
    ListEvents {
        /// Of which
        #[arg(value_name = "NAME")]
        name: WebhookName,
        /// How many, 1 to 1000
        #[arg(long, value_name = "NUMBER", default_value_t = 100,
            value_parser = RangedU64ValueParser::<usize>::new().range(1..=1000))]
        limit: usize,
    },
    /// Tell a message again
    #[command(after_help = HELP)]
    Redeliver {
        /// To which
        #[arg(value_name = "NAME")]
        name: WebhookName,
        /// Which, as `list-events` shows it
        #[arg(value_name = "ID")]
        id: MessageId,
    },
    /// Have what was not delivered be due now, to be told in its turn
    #[command(after_help = HELP)]
    Replay {
        /// To which
        #[arg(value_name = "NAME")]
        name: WebhookName,
        /// Of what happened then or later
        #[arg(long, value_name = "TIME")]
        since: Option<jiff::Timestamp>,
        /// Of what happened before
        #[arg(long, value_name = "TIME")]
        until: Option<jiff::Timestamp>,
        /// Only those for which no attempt is left
        #[arg(long)]
        only_failed: bool,
    },
    /// Replace the secret, and show the new one, this once
    ///
    /// `webhook-signature` has a signature by the one before, too, as long as `webhooks.rotation` says: a day, unless
    /// that is set. `X-Signature` has room for one, and is by the new secret at once.
    #[command(after_help = HELP)]
    RotateSecret {
        /// Of which
        #[arg(value_name = "NAME")]
        name: WebhookName,
    },
    /// Seal all webhooks with the newest key of the key file, so that older ones can be taken out of it
    #[command(after_help = HELP)]
    Reseal,
}

/// What a webhook has that is created.
#[derive(Debug, Args)]
pub(crate) struct NewFields {
    /// Of what: push, delete, untag, `replicated`, `replicated_all`, `webhook_disabled`, …
    #[arg(
        long,
        value_name = "ACTION,ACTION,…",
        value_delimiter = ',',
        default_value = "push"
    )]
    pub(crate) actions: Vec<Action>,
    /// Of which repositories and tags, as `team/*:*`; empty for all [default: all]
    #[arg(long, value_name = "REPO:TAG")]
    pub(crate) scope: Option<Scope>,
    /// A header that each request has; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// acr, docker, cloudevents-structured or cloudevents-binary
    #[arg(long, value_name = "FORMAT", default_value_t)]
    pub(crate) format: Format,
    /// The region whose dispatcher delivers; empty for each [default: each]
    #[arg(long, value_name = "NAME")]
    pub(crate) region: Option<String>,
    /// Tell a push when all of these regions can serve it
    #[arg(long, value_name = "NAME,NAME,…", value_delimiter = ',')]
    pub(crate) available_in: Vec<String>,
    /// Whether anything is told [default: true]
    #[arg(long, value_name = "true|false")]
    pub(crate) enabled: Option<bool>,
}

/// What changes of a webhook.
#[derive(Debug, Args)]
pub(crate) struct ChangedFields {
    /// Of what: push, delete, untag, `replicated`, `replicated_all`, `webhook_disabled`, …
    #[arg(long, value_name = "ACTION,ACTION,…", value_delimiter = ',')]
    pub(crate) actions: Vec<Action>,
    /// Of which repositories and tags, as `team/*:*`; empty for all
    #[arg(long, value_name = "REPO:TAG")]
    pub(crate) scope: Option<Scope>,
    /// A header that each request has, and these instead of those that there are; may be given several times, once
    /// with an empty text for none
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// acr, docker, cloudevents-structured or cloudevents-binary
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// The region whose dispatcher delivers; empty for each
    #[arg(long, value_name = "NAME")]
    pub(crate) region: Option<String>,
    /// Tell a push when all of these regions can serve it; empty for at once
    #[arg(long, value_name = "NAME,NAME,…", value_delimiter = ',')]
    pub(crate) available_in: Vec<String>,
    /// Whether anything is told
    #[arg(long, value_name = "true|false")]
    pub(crate) enabled: Option<bool>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        verb: WebhookVerb,
    }

    fn read(arguments: &[&str]) -> Result<WebhookVerb, String> {
        let line = Line::try_parse_from([&["webhook"], arguments].concat());
        line.map(|it| it.verb).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_given_is_read_before_anybody_is_asked() {
        for arguments in [
            &["show", "a/../b"][..],
            &[
                "create",
                "deploys",
                "--uri",
                "http://a/",
                "--actions",
                "push,pull",
            ],
            &["update", "deploys", "--format", "xml"],
            &["update", "deploys", "--scope", "a b"],
            &["redeliver", "deploys", "1"],
            &["list-events", "deploys", "--limit", "1001"],
            &["list-events", "deploys", "--limit", "0"],
        ] {
            assert!(read(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn a_new_webhook_has_defaults_and_one_that_changes_has_none() {
        let Ok(WebhookVerb::Create { fields, .. }) =
            read(&["create", "deploys", "--uri", "http://a/"])
        else {
            panic!("it is not read");
        };
        assert_eq!(
            (&*fields.actions, fields.format),
            (&[Action::Push][..], Format::Acr)
        );
        let Ok(WebhookVerb::Update { fields, .. }) = read(&["update", "deploys", "--scope", ""])
        else {
            panic!("it is not read");
        };
        assert!(fields.actions.is_empty() && fields.format.is_none() && fields.enabled.is_none());
        assert_eq!(fields.scope, Some(Scope::default()));
        let help = read(&["update", "--help"]).unwrap_err();
        assert!(
            help.contains("--format") && !help.contains("[default"),
            "{help}"
        );
    }
}
