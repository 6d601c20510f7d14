-- The identity of participants (src/model/identity): aliases, the keys by which similar names are found, and pairs to
-- review.

alter table participant
    add column merged_into uuid;
comment on column participant.merged_into is 'the participant that it is settled as; null while it stands for itself';
-- The members of a settled person, and the aliases among the participants of a meeting.
create index participant_merged_into_idx on participant (merged_into, id) where merged_into is not null;
create index participant_alias_idx on participant (id) include (merged_into) where merged_into is not null;

alter table participant_name
    add column person uuid;
comment on column participant_name.person is 'the settled person of the participant: the one that lists have';
update participant_name
set person = participant;
alter table participant_name
    alter column person set not null;

-- Keys of the names of live participants, by which the service finds those with similar names.
create table participant_similar (
    key         bigint   not null,
    participant uuid     not null,
    is_pair     boolean  not null,
    constraint participant_similar_pkey primary key (key, participant)
);
comment on column participant_similar.is_pair is 'the key of two words of a name; false for a part of one word';
create index participant_similar_participant_idx on participant_similar (participant);

-- Pairs that a curator should judge, each once, with the smaller id first.
create table participant_duplicate (
    participant uuid     not null,
    other       uuid     not null,
    level       smallint not null,
    score       real     not null,
    constraint participant_duplicate_pkey primary key (participant, other)
);
comment on column participant_duplicate.level is 'readout.v1.Level: 2 POSSIBLE, 3 CONFIDENT and not unique';
-- The list of pairs, the strongest first.
create index participant_duplicate_rank_idx on participant_duplicate ((-level), (-score), participant, other);
create index participant_duplicate_other_idx on participant_duplicate (other);

-- Judgements, each once, for lists.
create table participant_judgement (
    participant uuid     not null,
    other       uuid     not null,
    constraint participant_judgement_pkey primary key (participant, other)
);
create index participant_judgement_other_idx on participant_judgement (other);

-- How far the service has settled who is one person: it follows the change feed.
create table identity_progress (
    one      boolean constraint identity_progress_pkey primary key default true constraint identity_progress_one_check check (one),
    -- The last position of the feed that it has read, and its epoch. An empty epoch: all participants are read first.
    epoch    text     not null,
    position bigint   not null,
    -- While all participants are read: the last one of them, in the order of ids.
    done     uuid,
    -- The version of the rule.
    version  integer  not null,
    -- The instance that does the work, and the end of its lease.
    holder   uuid,
    expires  timestamptz not null default '-infinity'
);
insert into identity_progress (epoch, position, version)
values ('', 0, 0);

insert into reindex (collection)
select 1 where exists (select from participant)
on conflict on constraint reindex_pkey do nothing;
