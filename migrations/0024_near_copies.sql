-- Near copies: texts that have most of their words in common (src/model/article_copies/near.rs).

-- A text as it is compared with others. A text has one row for each week in which articles printed it, as long as one of
-- these articles is live and its text is stored, shown or hidden.
create table text_sketch (
    text_key bytea   not null,
    -- Weeks since 1970-01-01.
    week     integer not null,
    -- The smallest hashes of the text's shingles; empty until it is compared, and for a text of few words.
    keys     bigint[] not null default '{}',
    compared boolean  not null default false,
    constraint text_sketch_pkey primary key (text_key, week)
);
-- The candidates of a text. It is written by a background job, so it needs no list of pending entries.
create index text_sketch_keys_idx on text_sketch using gin (keys) with (fastupdate = off);
-- The texts that are to be compared.
create index text_sketch_to_compare_idx on text_sketch (week, text_key) where not compared;

-- Pairs of near copies, in both directions. They stay when a text is erased, as equal keys do.
create table near_copy (
    text_key bytea not null,
    other    bytea not null,
    -- The share of the shingles of the shorter text that both have.
    overlap  real  not null,
    constraint near_copy_pkey primary key (text_key, other)
);

insert into text_sketch (text_key, week)
select distinct text_key, (publish_from - date '1970-01-01') / 7
from article
where text_key is not null
  and delete_time is null
  and publish_from = publish_to
  and exists (select from article_text_use where article_text_use.article = article.id);
