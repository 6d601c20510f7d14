-- The change log in ranges of positions, so that old changes can be dropped whole, without a delete that leaves the
-- table to be vacuumed. src/store/retention.rs makes the ranges ahead of the positions, and drops the oldest.

alter table change rename to change_0;
alter table change_0 rename constraint change_pkey to change_0_pkey;

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
) partition by range (position);
comment on column change.time is 'set under the feed''s lock; never decreases with position';
comment on column change.last is 'the last change of its write';

-- The partitions there are: change_<first> has the positions from first up to, not including, upto.
create table change_range (
    first bigint constraint change_range_pkey primary key,
    upto  bigint not null constraint change_range_upto_key unique
);

-- What there is becomes the first range; where there is nothing, there is no range.
do $$
declare
    next_position bigint := (select max(position) + 1 from change_0);
begin
    if next_position is null then
        drop table change_0;
    else
        execute format('alter table change attach partition change_0 for values from (0) to (%s)', next_position);
        insert into change_range (first, upto) values (0, next_position);
    end if;
end
$$;
