-- The change feed: one row for each resource that a write creates or alters, under dense positions that are given
-- in commit order (see src/feed). The primary key is the last line of defence against a position given twice.

create table change (
    position   bigint      constraint change_pkey primary key,
    collection smallint    not null,
    id         uuid        not null,
    kind       smallint    not null,
    revision   bigint      not null,
    time       timestamptz not null,
    actor      text        not null,
    request_id text        not null,
    last       boolean     not null
);
comment on column change.time is 'set under the feed''s lock; never decreases with position';
comment on column change.last is 'the last change of its write';

-- One row for the database as a whole.
create table feed (
    one       boolean constraint feed_pkey primary key default true constraint feed_one_check check (one),
    -- Names this line of history: a position is only meaningful together with it.
    epoch     text    not null,
    -- No position at or below is ever given again, also when the changes that had them are gone.
    floor     bigint  not null,
    -- Keys the check sums of page tokens, which every instance must be able to verify.
    token_key bytea   not null
);
insert into feed (epoch, floor, token_key)
values (
    substr(md5(gen_random_uuid()::text), 1, 8),
    0,
    uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
);

-- Requests that were answered, for callers who repeat one.
create table request (
    actor       text        not null,
    method      text        not null,
    request_id  text        not null,
    body_hash   bytea       not null,
    answer      bytea       not null,
    create_time timestamptz not null,
    constraint request_pkey primary key (actor, method, request_id)
);
comment on column request.answer is 'the response message; of an article, without its text';
-- Forgetting the old ones.
create index request_create_time_idx on request (create_time);
