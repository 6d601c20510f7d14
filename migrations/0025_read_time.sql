-- Reads as of a time (src/store/query/history.rs, src/store/query/former.rs).

alter table feed
    add column read_time timestamptz;
comment on column feed.read_time is 'records were read as of this time or an earlier one: no revision is written any more with an update time up to it; null if none were';

-- ListStatements with read_time: the reports that have changed since. Few reports have a second revision.
create index report_revised_idx on report (update_time, id) where revision > 1;
