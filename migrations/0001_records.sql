-- The records. Each is kept whole as the bytes of its protobuf message (doc); the other columns and the index
-- tables hold only what queries ask about, are written in the same transaction, and can be made anew from the docs.
-- `contract` says which version of the contract wrote a doc: prost drops fields that it does not know, so an older
-- binary must not rewrite a newer doc.

create table article (
    id               uuid     constraint article_pkey primary key,
    revision         bigint   not null,
    contract         smallint not null,
    doc              bytea    not null,
    -- The article that this one counts as a copy of; itself if none. Settling counts origins, not articles.
    origin           uuid     not null,
    text_sha256      bytea,
    publisher_region text,
    language_code    text,
    section          text,
    publish_from     date,
    publish_to       date
);
comment on column article.doc is 'readout.v1.Article without its text';
comment on column article.text_sha256 is 'key into article_text, where the text is kept; null where there is none to show';

-- ListArticles by one field, in the order of names.
create index article_publisher_region_idx on article (publisher_region, id);
create index article_language_idx on article (language_code, id);
create index article_section_idx on article (section, id);
create index article_publish_idx on article (publish_from, publish_to);

-- A text lives once, whichever articles and revisions have it, and can be erased without touching a doc.
create table article_text (
    sha256 bytea constraint article_text_pkey primary key,
    body   text  not null
);

-- Every uri and alternate uri. The primary key is what makes them unique.
create table article_uri (
    uri     text constraint article_uri_pkey primary key,
    article uuid not null
);
create index article_uri_article_idx on article_uri (article);

create table participant (
    id          uuid     constraint participant_pkey primary key,
    revision    bigint   not null,
    contract    smallint not null,
    doc         bytea    not null,
    kind        smallint not null,
    region_code text,
    create_time timestamptz not null
);
create index participant_kind_idx on participant (kind, id);
create index participant_region_idx on participant (region_code, id);

-- Normalised names and aliases: for matching, and for the filter `name`.
create table participant_name (
    key         text not null,
    participant uuid not null,
    constraint participant_name_pkey primary key (key, participant)
);
create index participant_name_participant_idx on participant_name (participant);

-- What a write that found no participant of a name relies on. Absence has no revision, so the name has one: it
-- grows whenever a participant gets the name, and two writes that both found nobody cannot both commit.
create table participant_key (
    key     text   constraint participant_key_pkey primary key,
    version bigint not null
);

create table participant_external_id (
    scheme      text not null,
    value       text not null,
    participant uuid not null,
    constraint participant_external_id_pkey primary key (scheme, value)
);
create index participant_external_id_participant_idx on participant_external_id (participant);

create table meeting (
    id           uuid     constraint meeting_pkey primary key,
    revision     bigint   not null,
    contract     smallint not null,
    doc          bytea    not null,
    kind         smallint,
    status       smallint,
    date_from    date,
    date_to      date,
    place_region text
);
comment on column meeting.doc is 'readout.v1.Meeting; its account without statements, outcomes and links, which are united from the reports';
create index meeting_kind_idx on meeting (kind, id);
create index meeting_status_idx on meeting (status, id);
create index meeting_place_region_idx on meeting (place_region, id);
create index meeting_date_idx on meeting (date_from, date_to);

-- Who takes part, in whatever way.
create table meeting_participant (
    participant uuid not null,
    meeting     uuid not null,
    constraint meeting_participant_pkey primary key (participant, meeting)
);
create index meeting_participant_meeting_idx on meeting_participant (meeting);

-- The regions of participations that are PRESENT, REMOTE or REPRESENTED.
create table meeting_region (
    region_code text not null,
    meeting     uuid not null,
    constraint meeting_region_pkey primary key (region_code, meeting)
);
create index meeting_region_meeting_idx on meeting_region (meeting);

create table meeting_topic (
    topic   text not null,
    meeting uuid not null,
    constraint meeting_topic_pkey primary key (topic, meeting)
);
create index meeting_topic_meeting_idx on meeting_topic (meeting);

create table report (
    id           uuid     constraint report_pkey primary key,
    revision     bigint   not null,
    contract     smallint not null,
    doc          bytea    not null,
    meeting      uuid     not null,
    article      uuid     not null,
    content_hash bytea    not null,
    constraint report_content_key unique (article, content_hash)
);
-- The reports of a meeting, to settle it and to list them.
create index report_meeting_idx on report (meeting, id);
-- The reports of an article, and the filter `article` of meetings.
create index report_article_idx on report (article, id);

-- Docs that were superseded. The current one stands in its own table, so that a write costs one doc, not two.
create table superseded (
    collection smallint not null,
    id         uuid     not null,
    revision   bigint   not null,
    contract   smallint not null,
    doc        bytea    not null,
    constraint superseded_pkey primary key (collection, id, revision)
);
