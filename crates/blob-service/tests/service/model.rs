//! An upload session against its reference model: a vector of bytes.
//!
//! Random operations of every form that a client can send, with restarts, crashes in the middle of
//! a body, and lost caches in between. After each of them, the session stands where the model does.

use std::time::Duration;

use bytes::Bytes;
use meridian_clients::{BlobApi, BlobLocation, RepositoryPath, Transfer, UploadError};
use meridian_oci::{Algorithm, UploadId};
use proptest::prelude::{Just, Strategy, prop_oneof, proptest};
use proptest::test_runner::TestCaseError;
use tokio::runtime::Runtime;

use crate::harness::{
    Life, World, broken, content, hanging, pull, ranged, repository, sha256, sized, streamed,
};

/// How a chunk is sent.
#[derive(Debug, Clone, Copy)]
enum Form {
    Streamed,
    Sized,
    Ranged,
    /// Starts so much too late.
    Gap(u64),
    /// Is one byte shorter than announced.
    Short,
    /// Is one byte longer than announced.
    Long,
    /// Breaks off in the middle.
    Broken,
    /// Breaks off in the middle, and had a range.
    BrokenRanged,
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Patch(usize, Form),
    Status,
    Put(usize, Form),
    WrongPut(usize),
    Cancel,
    Restart,
    /// The process dies while a body arrives.
    Crash(usize),
    Rest,
}

/// What the session should be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Model {
    Open(Vec<u8>),
    Finished(Vec<u8>),
    Over,
}

struct Bench {
    world: World,
    here: RepositoryPath,
    runtime: Runtime,
    life: Option<Life>,
    id: UploadId,
    model: Model,
    /// Whether the id is of an earlier life, and its bytes, if any, go under another one.
    reborn: bool,
    chunks: u64,
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![0..3_usize, 60..70_usize, 0..200_usize, 0..5000_usize]
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![
        4 => Just(Form::Streamed),
        2 => Just(Form::Sized),
        4 => Just(Form::Ranged),
        1 => (1..100_u64).prop_map(Form::Gap),
        1 => Just(Form::Short),
        1 => Just(Form::Long),
        1 => Just(Form::Broken),
        1 => Just(Form::BrokenRanged),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (length(), form()).prop_map(|(len, form)| Op::Patch(len, form)),
        1 => Just(Op::Status),
        2 => (length(), form()).prop_map(|(len, form)| Op::Put(len, form)),
        1 => length().prop_map(Op::WrongPut),
        1 => Just(Op::Cancel),
        2 => Just(Op::Restart),
        2 => length().prop_map(Op::Crash),
        1 => Just(Op::Rest),
    ]
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

impl Bench {
    fn new(algorithm: Algorithm) -> Self {
        let (world, here, runtime) = (World::new(), repository("a/b"), runtime());
        let (life, id) = runtime.block_on(async {
            let life = world.start().await;
            let session = life.service.start(&here, algorithm).await.unwrap();
            (life, session.upload)
        });
        Self {
            world,
            here,
            runtime,
            life: Some(life),
            id,
            model: Model::Open(Vec::new()),
            reborn: false,
            chunks: 0,
        }
    }

    fn chunk(&mut self, len: usize) -> Bytes {
        self.chunks += 1;
        content(self.chunks, len)
    }

    fn offset(&self) -> u64 {
        match &self.model {
            Model::Open(bytes) => bytes.len() as u64,
            Model::Finished(_) | Model::Over => 0,
        }
    }

    /// The request, and how many of its bytes count; `None` if it must be refused.
    fn request(&mut self, len: usize, form: Form) -> (Bytes, Transfer, Option<usize>) {
        let bytes = self.chunk(len.max(2));
        let (len, start) = (bytes.len(), self.offset());
        let half = bytes.slice(..len / 2);
        let announced = |length: usize| Transfer {
            length: Some(length as u64),
            ..streamed(&bytes)
        };
        let (transfer, counts) = match form {
            Form::Streamed => (streamed(&bytes), Some(len)),
            Form::Sized => (sized(&bytes), Some(len)),
            Form::Ranged => (ranged(&bytes, start), Some(len)),
            Form::Gap(gap) => (ranged(&bytes, start + gap), None),
            Form::Short => (announced(len + 1), None),
            Form::Long => (announced(len - 1), None),
            Form::Broken => {
                let body = broken(&half);
                (
                    Transfer {
                        body,
                        ..sized(&bytes)
                    },
                    Some(len / 2),
                )
            }
            Form::BrokenRanged => {
                let body = broken(&half);
                (
                    Transfer {
                        body,
                        ..ranged(&bytes, start)
                    },
                    None,
                )
            }
        };
        (bytes, transfer, counts)
    }

    fn run(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Patch(len, form) => self.patch(len, form),
            Op::Put(len, form) => self.put(len, form),
            Op::WrongPut(len) => self.wrong_put(len),
            Op::Cancel => self.cancel(),
            Op::Restart => self.restart(),
            Op::Crash(len) => self.crash(len),
            Op::Rest => self.world.pass(Duration::from_secs(3600)),
            Op::Status => {}
        }
        self.compare()
    }

    fn patch(&mut self, len: usize, form: Form) {
        let (bytes, transfer, counts) = self.request(len, form);
        let service = &self.life.as_ref().unwrap().service;
        let outcome = self
            .runtime
            .block_on(service.append(&self.here, &self.id, transfer));
        let Model::Open(model) = &mut self.model else {
            assert!(matches!(outcome, Err(UploadError::Unknown)), "{outcome:?}");
            return;
        };
        if let Some(counts) = counts {
            model.extend_from_slice(&bytes[..counts]);
        }
        match (form, outcome) {
            (Form::Streamed | Form::Sized | Form::Ranged, Ok(status)) => {
                assert_eq!(status.offset, model.len() as u64);
                self.follow(status.upload);
            }
            (Form::Gap(_), Err(UploadError::OutOfOrder(status))) => {
                assert_eq!(status.offset, model.len() as u64);
                self.follow(status.upload);
            }
            (Form::Short | Form::Long, Err(UploadError::LengthDiffers { .. }))
            | (Form::Broken | Form::BrokenRanged, Err(UploadError::Body(_))) => {}
            (form, outcome) => panic!("{form:?}: {outcome:?}"),
        }
    }

    fn put(&mut self, len: usize, form: Form) {
        let (bytes, transfer, counts) = self.request(len, form);
        let service = &self.life.as_ref().unwrap().service;
        let mut all = match &self.model {
            Model::Open(model) | Model::Finished(model) => model.clone(),
            Model::Over => Vec::new(),
        };
        let is_open = matches!(self.model, Model::Open(_));
        if is_open {
            all.extend_from_slice(&bytes);
        }
        let digest = sha256(&all);
        let finish = service.finish(&self.here, &self.id, digest, transfer);
        let outcome = self.runtime.block_on(finish);
        match (&mut self.model, form) {
            (Model::Over, _) => {
                assert!(matches!(outcome, Err(UploadError::Unknown)), "{outcome:?}");
            }
            (Model::Finished(_), _) => outcome.unwrap(),
            (model @ Model::Open(_), Form::Streamed | Form::Sized | Form::Ranged) => {
                outcome.unwrap();
                *model = Model::Finished(all);
            }
            (Model::Open(model), _) => {
                assert!(outcome.is_err());
                if let Some(counts) = counts {
                    model.extend_from_slice(&bytes[..counts]);
                }
            }
        }
    }

    fn wrong_put(&mut self, len: usize) {
        let bytes = self.chunk(len);
        let service = &self.life.as_ref().unwrap().service;
        let digest = sha256(b"never pushed");
        let finish = service.finish(&self.here, &self.id, digest, sized(&bytes));
        let outcome = self.runtime.block_on(finish);
        if let Model::Open(_) = self.model {
            assert!(
                matches!(outcome, Err(UploadError::DigestDiffers)),
                "{outcome:?}"
            );
            self.model = Model::Over;
        } else {
            assert!(matches!(outcome, Err(UploadError::Unknown)), "{outcome:?}");
        }
    }

    fn cancel(&mut self) {
        let service = &self.life.as_ref().unwrap().service;
        let outcome = self.runtime.block_on(service.cancel(&self.here, &self.id));
        if let Model::Open(_) = self.model {
            outcome.unwrap();
            self.model = Model::Over;
        } else {
            assert!(matches!(outcome, Err(UploadError::Unknown)), "{outcome:?}");
        }
    }

    /// Goes on with the newest id, as clients do with the newest `Location`.
    fn follow(&mut self, id: UploadId) {
        self.reborn &= id == self.id;
        self.id = id;
    }

    /// Kills the process and starts another.
    fn restart(&mut self) {
        self.life = None;
        // All tasks die where they are.
        self.runtime = runtime();
        // With the cache, it is forgotten that there was a session, unless its bytes tell.
        let is_forgotten = match &self.model {
            Model::Open(_) => false,
            Model::Finished(all) => {
                let location = self.world.metadata.location(sha256(all)).unwrap();
                matches!(location, BlobLocation::Inline(_))
            }
            Model::Over => true,
        };
        if is_forgotten {
            self.model = Model::Open(Vec::new());
        }
        self.reborn |= self.model == Model::Open(Vec::new());
        self.life = Some(self.runtime.block_on(self.world.start()));
    }

    fn crash(&mut self, len: usize) {
        let bytes = self.chunk(len);
        let service = &self.life.as_ref().unwrap().service;
        let body = hanging(&bytes);
        let transfer = Transfer {
            range: None,
            length: None,
            body,
        };
        let append = service.append(&self.here, &self.id, transfer);
        let steps = self.chunks % 7;
        self.runtime.block_on(async {
            let steps = async {
                for _ in 0..steps {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                _ = append => {}
                () = steps => {}
            }
        });
        self.restart();
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        let service = &self.life.as_ref().unwrap().service;
        let status = self.runtime.block_on(service.status(&self.here, &self.id));
        match &self.model {
            Model::Open(model) => {
                let status = status.unwrap();
                assert_eq!(status.offset, model.len() as u64);
                self.follow(status.upload);
            }
            Model::Finished(all) => {
                let pull = pull(service, &self.here, sha256(all), None);
                assert_eq!(self.runtime.block_on(pull).unwrap(), all);
                // The bytes of such a session may lie where only its newest id leads.
                if self.reborn
                    && let Ok(status) = status
                {
                    assert_eq!(status.offset, 0);
                    self.model = Model::Open(Vec::new());
                    self.follow(status.upload);
                } else {
                    assert!(status.is_err(), "{status:?}");
                }
            }
            Model::Over => assert!(status.is_err(), "{status:?}"),
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn a_session_is_a_vector_of_bytes(ops in proptest::collection::vec(op(), 1..25), long: bool) {
        let algorithm = if long { Algorithm::Sha512 } else { Algorithm::Sha256 };
        let mut bench = Bench::new(algorithm);
        for op in ops {
            bench.run(op)?;
        }
    }
}
