//! Readout keeps structured records of diplomatic and governmental meetings as news articles tell them: who met whom,
//! when, where, in what office, and what was said, each fact traced to the words that say it.
//!
//! # Two ideas
//!
//! *Articles tell, meetings are settled.* A [`Report`](pb::Report) is the account that one article gives of one event;
//! it is never edited, only retracted. A [`Meeting`](pb::Meeting) is what the store settles on: a pure function
//! ([`model::settle`]) of its active reports and of rulings, which keeps as disputes what was not chosen. Merging two
//! meetings moves reports, splitting moves them back.
//!
//! *The record is its protobuf message.* Postgres keeps each record whole, as bytes, and beside it only the columns and
//! index tables that queries ask about, written in the same transaction. A new field needs no migration until somebody
//! filters by it.
//!
//! # The map
//!
//! | where | what | knows |
//! |---|---|---|
//! | `proto/readout/v1` | the contract: messages, services, rules, error reasons | |
//! | [`pb`] | the generated code, and the descriptors | |
//! | [`model`] | pure rules on the messages: declared and cross-field rules, evidence, names, dates, settle, filters, full text | `pb` |
//! | [`store`] | the only SQL, one file per noun; `store/write.rs` is the transaction of a batch, `store/coalesce.rs` reads in batches | `model` |
//! | [`feed`] | the write path and the way out: group commit, turns; tailer, ring, those who follow | `store` |
//! | [`access`] | who may call: tokens, JWTs, certificates, roles, rates | `model`, `store` |
//! | [`service`] | one file per gRPC service: decode, call, encode; `refusal.rs` has every way to fail, `layer` what every call passes | `model`, `feed`, `store`, `access` |
//! | [`server`] | the life of a service: database, migrations, connections, the second port, drain | all of these |
//! | [`admin`] | what an operator does to the database | all of these |
//! | [`embedded`] | the private PostgreSQL that serves when no other is given | |
//! | [`program`], [`config`], [`telemetry`], [`cli`] | the command line: `serve`, `migrate`, `admin`, and the clients `import`, `export` and `watch` | |
//!
//! Nothing points back up this table. The same noun has the same file name in every folder: what an article is stands in
//! `article.proto`, `model/article.rs`, `store/article.rs`, `service/article.rs` and `tests/article.rs`.
//!
//! # The way of every call
//!
//! `server/listen.rs` takes a connection in, `server/connection.rs` serves it, and `server/farewell.rs` has the last word to a
//! client that does not begin as HTTP/2 does; a call on it passes `service/layer`, from the outside in: it is one of gRPC
//! (another request is answered in HTTP), it is observed (its id, its span, what is counted), its status is completed, its time is bounded, its caller is
//! known and may call this method ([`access::Gate`], by the role that the `.proto` declares), it is let in when it is its turn,
//! and a large answer is compressed. Whoever let it in may end its stream later (`layer/ending.rs`).
//!
//! # The way of a call that writes
//!
//! 1. `service/codec.rs` decodes the request, `service/call.rs` brings it into the spelling in which it is stored
//!    ([`model::canonical`]), `service/participant.rs` forgets what the caller wrote into output-only
//!    fields and has it checked ([`model::rules::Check`], written by `build.rs` from the rules in the `.proto`).
//! 2. A *preparation* reads what the write depends on, outside of any transaction, and makes a
//!    [`store::write::Write`]: the new docs, and what they rely on (this id is free, that meeting is at revision 3,
//!    nobody has this name).
//! 3. [`feed::Committer`] puts it into a transaction together with whatever else has arrived: claims, rows, then the
//!    feed's lock, a look at what it names ([`store::reference`]: all of it live), dense positions, commit. A write whose
//!    claims are lost is prepared anew ([`service::Api::write`]).
//! 4. The answer carries the position of the write in the metadata `readout-position`.
//!
//! # The way of a story
//!
//! `service/ingest.rs` takes what has arrived of a stream as a chunk; `service/story/sent.rs` checks each story by
//! itself and its evidence against its text; `known.rs` looks up everything that the chunk speaks of at once; `cast.rs`
//! says who its participants are; `service/story/mod.rs` makes writes of it, one a story, which commit together.
//!
//! # The way of a change
//!
//! 1. The transaction that writes a record also appends its changes to the log (`store/change.rs`), under the feed's lock
//!    and the next positions.
//! 2. The instance's [`feed::tailer`] reads the log once for all, asserts that no position is missing, and puts the
//!    changes into the [`feed::ring`]. The committer wakes it, other instances notify it, and it looks by itself.
//! 3. Each [`feed::follow::Follower`] takes from the ring what its client can take, or reads on from the log where the ring
//!    is too short; `service/change.rs` makes messages of it, each with a cursor (`service/cursor.rs`).
//! 4. `store/retention.rs` drops old ranges of the log; records and their revisions stay.
//!
//! # The way of a ruling, a retraction, a merge
//!
//! All are reports that come, go or move, and meetings that are settled on those that they have then
//! (`service/report.rs`): `service/rule.rs` adds a report without an article, `service/retract.rs` takes one back,
//! `service/merge.rs` moves them to another meeting and back, by the rules of [`model::merge`]. What a meeting says is
//! never written but by [`model::settle`].
//!
//! # The way of a change of an article
//!
//! Copies of one text count as one source ([`model::copies`]), so that an article which comes, changes or goes may bear on
//! others and on meetings.
//!
//! 1. The transaction that writes it also keeps, under the feed's lock, whose group or account it makes uncertain
//!    (`store/unsettled.rs`): whichever of two copies comes second sees the first.
//! 2. The settler of some instance ([`service::settler`]), woken or looking, takes that up: of an article it reads the
//!    group of copies (`store/copies.rs`) and gives each its first one; of a meeting it settles the account. Each is a
//!    write as any other, with a change SETTLED, and what it settles is marked so in the same transaction.
//!    Whoever has settled a meeting on what was known before, and comes to commit it afterwards, is sent back.
//! 3. What nobody came to do is still there after a crash. Whoever reads meanwhile reads what was settled before.
//! 4. Meetings that an older version of the rule has settled (`settle_version`) are settled in the same way after an
//!    upgrade. Those of which the rule says the same get its version, and neither a revision nor a change.
//!
//! # The way back
//!
//! 1. A record's row says who made its revision, when and why (`store/signed.rs`). The write that replaces it keeps all of
//!    that and the doc as superseded (`store/revision.rs`), with a time that is always a later one.
//! 2. A read with `read_time` finds the newest revision that is not later, of each record that the answer is made of
//!    (`store/history.rs`), and makes the answer as one of today is made (`service/history.rs`).
//! 3. What is different between two revisions is not stored: [`model::changed`] compares them.
//!
//! # The way of a question
//!
//! 1. A list, a stream, a count, a path: `model/filter` and [`model::order`] read what was asked, with a position for
//!    whatever is wrong in it; `store/filter` makes SQL of a filter, in which values are only ever bound. Who met whom, chains
//!    and counts are asked of participations (`store/participation.rs`), a row for each one in a settled account.
//! 2. What is searched for goes the same way: [`model::search`] folds the letters of texts and of queries, PostgreSQL finds,
//!    ranks and marks (`store/search.rs`), and [`model::search::snippet`] cuts out what is shown. Its first stage,
//!    [`model::letters`], is that of the keys of names, too; the database says by which version of it words are folded
//!    (`store/folding.rs`).
//! 3. [`store::ask`] gives it a connection with a deadline. Whoever is late, or goes away, has the statement cancelled.
//! 4. Pages go by keyset ([`store::list`], `service/page.rs`): the place of the last record stands in a token that is bound
//!    to the request. A stream is pages, of which the next one is made while one is sent; nothing is held in between.
//!
//! # How to add …
//!
//! … *a field*: in the `.proto`, with its comment and rules. That is all, until somebody filters by it: then a column or
//! index table in a migration that marks the collection to be reindexed, filled in `store/<noun>.rs` and
//! `store/reindex.rs`, and a line in the table of `model/filter/fields.rs`. Raise
//! [`model::resource::CONTRACT`], so that older instances leave such records alone. `build/canonical.rs` names lists that
//! are sets, and strings that are compared as given.
//!
//! … *a letter*: in [`model::letters`] or in a stage that builds on it. Raise [`model::letters::VERSION`], so that the words
//! of a store are made again, and see in `store/folding.rs` which ones.
//!
//! … *a rule*: in the `.proto`; `build.rs` refuses to build with a rule that it does not enforce. A rule over several
//! fields is a function in `model/cross_field/`, and a line in `build/rules.rs`.
//!
//! … *a method*: in the `.proto`, with the role of its callers; `build.rs` refuses one without.
//!
//! … *a setting*: one field of a struct in `config`, with its flag, variable, default and help; `readout config` prints it by itself.
//!
//! … *a metric*: a line in the table of [`telemetry::metrics`], and the macro where it is counted.
//!
//! … *a way to fail*: in `error_reason.proto` with an example, in `service/refusal.rs`, and in `service/status.rs`.

pub mod access;
pub mod admin;
pub mod cli;
pub mod config;
pub mod database;
pub mod embedded;
pub mod error_chain;
pub mod feed;
pub mod jobs;
pub mod model;
pub mod pb;
pub mod program;
pub mod redaction;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
