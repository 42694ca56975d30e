//! Every kind of entry.

use meridian_oci::{MediaType, RepositoryName, Tag};

use super::{Sample, digest, leaf, long_leaf, name, object, registry, request, settings};
use crate::golden::ENTRY;
use crate::{
    BlobPlace, Collect, Command, Condition, Encoding, Entry, NewBlob, NewManifest, ObjectKey,
};

pub(super) fn entries() -> impl Iterator<Item = Sample> {
    commands().map(|(case, command)| entry(case, command))
}

fn entry(case: &'static str, command: Command) -> Sample {
    let entry = Entry {
        millis: 1_760_000_000_000,
        request: (case != "-sweep").then(request),
        command,
    };
    Sample {
        kind: ENTRY.name,
        case,
        bytes: postcard::to_stdvec(&entry).unwrap(),
    }
}

fn commands() -> impl Iterator<Item = (&'static str, Command)> {
    let (registry_name, repository) = (name("default"), name::<RepositoryName>("team/app"));
    let candidates = vec![(registry(), digest(1)), (registry(), long_leaf().digest)];
    let put = NewManifest {
        registry: name("default"),
        repository: repository.clone(),
        digest: digest(9),
        media_type: MediaType::OCI_IMAGE_MANIFEST,
        bytes: br#"{"schemaVersion":2}"#.to_vec(),
        blobs: vec![leaf(1), long_leaf()],
        foreign: vec![leaf(4)],
        children: vec![leaf(2)],
        subject: Some(digest(3)),
        referrer: Some((Some("sbom".to_owned()), "{}".to_owned())),
        tags: vec![name("v1")],
        condition: Some(Condition::PointsAt(digest(8))),
    };
    vec![
        Command::Initialize {
            region: name("eu-west"),
            epoch: 3,
            settings: settings(),
        },
        Command::Configure(settings()),
        Command::CreateRegistry {
            name: name("default"),
        },
        Command::PutManifest(Box::new(put)),
        Command::DeleteManifest {
            registry: name("default"),
            repository: repository.clone(),
            digest: digest(9),
            condition: None,
        },
        Command::DeleteTag {
            registry: name("default"),
            repository: repository.clone(),
            tag: name::<Tag>("v1"),
            condition: Some(Condition::Absent),
        },
        Command::PutBlob {
            registry: name("default"),
            repository: repository.clone(),
            blob: leaf(1),
            encoding: Encoding::Plain,
            place: BlobPlace::Stored(object()),
        },
        Command::MountBlob {
            registry: name("default"),
            repository: repository.clone(),
            from: Some(name("team/base")),
            digest: digest(1),
        },
        Command::TouchBlob {
            registry: name("default"),
            repository: repository.clone(),
            digest: digest(1),
        },
        Command::DeleteBlob {
            registry: registry_name,
            repository,
            digest: long_leaf().digest,
        },
        Command::ReserveGenerations { count: 1 << 20 },
        Command::Collect(Collect::Condemn(candidates.clone())),
        Command::Collect(Collect::Remove(candidates)),
        Command::Collect(Collect::Deleted(vec![object()])),
        Command::Sweep,
        Command::Acknowledge {
            epoch: 3,
            through: vec![(0, 1), (15, u64::MAX)],
        },
        Command::RecordBlob(Box::new(NewBlob {
            registry: name("default"),
            repository: name("team/app"),
            blob: long_leaf(),
            encoding: Encoding::Plain,
            place: BlobPlace::Stored(object()),
            owner: Some(registry()),
            instead_of: Some(ObjectKey {
                epoch: 2,
                generation: 7,
            }),
        })),
        Command::Collect(Collect::Doom(vec![(registry(), object())])),
    ]
    .into_iter()
    .map(|command| (command_case(&command), command))
}

/// A new command needs a name here, and a sample above.
const fn command_case(command: &Command) -> &'static str {
    match command {
        Command::Initialize { .. } => "-initialize",
        Command::Configure(_) => "-configure",
        Command::CreateRegistry { .. } => "-create-registry",
        Command::PutManifest(_) => "-put-manifest",
        Command::DeleteManifest { .. } => "-delete-manifest",
        Command::DeleteTag { .. } => "-delete-tag",
        Command::PutBlob { .. } => "-put-blob",
        Command::MountBlob { .. } => "-mount-blob",
        Command::TouchBlob { .. } => "-touch-blob",
        Command::DeleteBlob { .. } => "-delete-blob",
        Command::ReserveGenerations { .. } => "-reserve-generations",
        Command::Collect(Collect::Condemn(_)) => "-condemn",
        Command::Collect(Collect::Remove(_)) => "-remove",
        Command::Collect(Collect::Deleted(_)) => "-deleted",
        Command::Sweep => "-sweep",
        Command::Acknowledge { .. } => "-acknowledge",
        Command::RecordBlob(_) => "-record-blob",
        Command::Collect(Collect::Doom(_)) => "-doom",
    }
}
