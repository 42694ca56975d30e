//! The bytes of each form, as receivers get them. Files are added (`GOLDEN=add`), never edited.

use std::path::PathBuf;

use meridian_delivery::{Content, Request, Sender, SigningSecret, SigningSecrets, request};
use meridian_event::webhook::{Action, CustomHeaders, Format, MessageId};

use crate::meanings::{callback, message};

const SENDER: Sender<'_> = Sender {
    host: "reg.example",
    agent: "Meridian/1",
};

const ACTIONS: [Action; 6] = [
    Action::Push,
    Action::Delete,
    Action::Untag,
    Action::ReplicatedAll,
    Action::ChartPush,
    Action::WebhookDisabled,
];

fn text(request: &Request) -> String {
    let headers = request.headers.iter();
    let lines = headers.map(|(name, value)| format!("{name}: {value}\n"));
    let body = std::str::from_utf8(&request.body).unwrap();
    format!("{}\n{body}\n", lines.collect::<String>())
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever adds a form asks for its file"
)]
fn is_adding() -> bool {
    std::env::var("GOLDEN").is_ok_and(|it| it == "add")
}

fn check(format: Format, name: &str, content: Content<'_>) {
    let made = text(&request(format, &callback(), content, SENDER, None, 0));
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let file = folder.join(format.as_str()).join(name);
    if is_adding() && !file.exists() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(made, kept, "{}", file.display());
}

#[test]
fn each_form_has_its_bytes() {
    for format in Format::ALL {
        for action in ACTIONS {
            let message = message(action);
            check(format, action.as_str(), Content::Message(&message));
        }
        let id = MessageId::new([0x22; 16]);
        let at = 1_700_239_921_343;
        check(format, "ping", Content::Ping { id, at });
    }
}

/// Members and order of `push` and `ping` as ACR sends them; what is Meridian's comes after.
#[test]
fn the_form_of_acr_is_that_of_acr() {
    let push = message(Action::Push);
    let body = |content| {
        let request = request(Format::Acr, &callback(), content, SENDER, None, 0);
        String::from_utf8(request.body).unwrap()
    };
    let id = push.id;
    let digest = push.digest.unwrap();
    let theirs = format!(
        "{{\"id\":\"{id}\",\"timestamp\":\"2023-11-17T16:52:01.343Z\",\"action\":\"push\",\
         \"target\":{{\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\",\
         \"size\":524,\"digest\":\"{digest}\",\"length\":524,\"repository\":\"hello-world\",\"tag\":\"v1\"}},\
         \"request\":{{\"id\":\"{id}\",\"host\":\"reg.example\",\"method\":\"PUT\",\"useragent\":\"\"}}"
    );
    let ours = ",\"region\":\"eu\",\"position\":{\"epoch\":\"1\",\"shard\":7,\"seq\":\"42\"}}";
    assert_eq!(body(Content::Message(&push)), format!("{theirs}{ours}"));
    let ping = body(Content::Ping { id, at: push.at });
    let expected = format!(
        "{{\"id\":\"{id}\",\"timestamp\":\"2023-11-17T16:52:01.343Z\",\"action\":\"ping\"}}"
    );
    assert_eq!(ping, expected);
}

#[test]
fn a_webhook_adds_headers_and_may_say_what_the_body_is() {
    let mut callback = callback();
    let custom = [("Content-Type", "text/json"), ("Authorization", "Bearer a")];
    let custom = custom.map(|(name, value)| (name.to_owned(), value.to_owned()));
    callback.headers = CustomHeaders::try_from(custom.to_vec()).unwrap();
    let secrets = SigningSecrets {
        current: SigningSecret::of(&[1; 32]).unwrap(),
        previous: Vec::new(),
    };
    let message = message(Action::Push);
    let made = request(
        Format::Acr,
        &callback,
        Content::Message(&message),
        SENDER,
        Some(&secrets),
        5_000,
    );
    let names: Vec<_> = made.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "user-agent",
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
            "x-signature",
            "Content-Type",
            "Authorization",
        ]
    );
    let later = request(
        Format::Acr,
        &callback,
        Content::Message(&message),
        SENDER,
        Some(&secrets),
        9_000,
    );
    assert_eq!(later.body, made.body);
    assert_ne!(later.headers, made.headers);
}
