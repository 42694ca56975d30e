//! What is wrong before a broker is asked.

use meridian_error::{Classify, Code, chain};
use meridian_eventlog::{KafkaConfig, KafkaEventLog, KafkaOpenError, KafkaSasl, KafkaTls};
use meridian_secret::Secret;

fn config() -> KafkaConfig {
    KafkaConfig {
        brokers: vec!["127.0.0.1:1".to_owned()],
        ..KafkaConfig::default()
    }
}

#[tokio::test]
async fn settings_that_are_not_sound_open_nothing() {
    let opened = KafkaEventLog::open(KafkaConfig::default()).await;
    let error = opened.unwrap_err();
    assert!(matches!(error, KafkaOpenError::Config(_)), "{error:?}");
    assert_eq!(error.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_is_named() {
    let tls = KafkaTls {
        ca_file: Some("/nowhere/ca.pem".into()),
        ..KafkaTls::default()
    };
    let config = KafkaConfig {
        tls: Some(tls),
        ..config()
    };
    let error = KafkaEventLog::open(config).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(
        chain(&error).contains("ssl.ca.location"),
        "{}",
        chain(&error)
    );
}

#[tokio::test]
async fn brokers_may_be_away_and_the_password_shows_nowhere() {
    let sasl = KafkaSasl {
        user: "meridian".to_owned(),
        password: Secret::new("hunter2"),
        ..KafkaSasl::default()
    };
    let config = KafkaConfig {
        sasl: Some(sasl),
        ..config()
    };
    let log = KafkaEventLog::open(config).await.unwrap();
    assert!(!format!("{log:?}").contains("hunter2"), "{log:?}");
}
