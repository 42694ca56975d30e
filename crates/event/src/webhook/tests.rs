use super::*;

fn webhook() -> Webhook {
    Webhook {
        name: "deploys".parse().unwrap(),
        region: None,
        actions: [Action::Push].into(),
        scope: "team/*:*".parse().unwrap(),
        status: Status::Enabled,
        format: Format::Acr,
        available_in: BTreeSet::new(),
    }
}

fn headers(count: usize, bytes: usize) -> CustomHeaders {
    let pairs = (0..count).map(|n| (format!("x-{n}"), "v".repeat(bytes)));
    CustomHeaders::try_from(pairs.collect::<Vec<_>>()).unwrap()
}

#[test]
fn what_does_not_fit_together_is_told() {
    let limits = WebhookLimits::default();
    let eu: Region = "eu".parse().unwrap();
    let check = |change: fn(&mut Webhook)| {
        let mut webhook = webhook();
        change(&mut webhook);
        webhook.check(&limits)
    };
    assert_eq!(webhook().check(&limits), Ok(()));
    assert_eq!(check(|it| it.actions.clear()), Err(WebhookFault::NoActions));
    let check_headers = |headers| {
        let uri = "https://hooks.example/in".parse().unwrap();
        Callback { uri, headers }.check(&limits)
    };
    assert_eq!(check_headers(headers(20, 1)), Ok(()));
    let faults = [headers(21, 1), headers(3, 4_000)].map(check_headers);
    let expected = [
        WebhookFault::Headers(20),
        WebhookFault::HeaderBytes(8 << 10),
    ];
    assert_eq!(faults, expected.map(Err));
    let many = |it: &mut Webhook| {
        it.available_in = (0..17).map(|n| format!("r{n}").parse().unwrap()).collect();
    };
    assert_eq!(check(many), Err(WebhookFault::Regions(16)));
    let mut bound = webhook();
    bound.available_in = [eu].into();
    assert_eq!(bound.check(&limits), Ok(()));
    bound.region = Some(eu);
    assert_eq!(bound.check(&limits), Err(WebhookFault::BoundAndConditional));
}

#[test]
fn it_wants_its_actions_in_its_scope_while_it_is_enabled() {
    let mut webhook = webhook();
    let (app, other) = ("team/app".parse().unwrap(), "app".parse().unwrap());
    let tag = "v1".parse().unwrap();
    assert!(webhook.wants(Action::Push, Some(&app), Some(&tag)));
    assert!(!webhook.wants(Action::Delete, Some(&app), Some(&tag)));
    assert!(!webhook.wants(Action::Push, Some(&other), Some(&tag)));
    webhook.status = Status::Disabled;
    assert!(!webhook.wants(Action::Push, Some(&app), Some(&tag)));
}

#[test]
fn no_log_shows_what_a_receiver_is_called_with() {
    let uri = "https://$app:hunter2@app.scm.example/hooks/T0KEN?code=s3cret";
    let headers = vec![("Authorization".into(), "Bearer s3cret".into())];
    let callback = Callback {
        uri: uri.parse().unwrap(),
        headers: CustomHeaders::try_from(headers).unwrap(),
    };
    let shown = format!("{callback:?} {}", callback.uri);
    for secret in ["hunter2", "T0KEN", "s3cret", "$app"] {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
    assert!(shown.contains("app.scm.example") && shown.contains("Authorization"));
}
