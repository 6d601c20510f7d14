-- What supports the account of a meeting: evidence, and several sources. Meetings get both as the service settles them
-- again.

alter table meeting
    add column evidence_coverage integer not null default 0,
    add column fragile smallint not null default 0;
comment on column meeting.evidence_coverage is 'mean coverage of its active reports by evidence, in thousandths';
comment on column meeting.fragile is 'the fields whose value rests on one source: bit n for the field with number n in src/model/settle/fragile_field.rs';

-- The filter and `order_by` evidence_coverage.
create index meeting_coverage_idx on meeting (evidence_coverage, id) where listed;

-- The filter fragile, for the field that few meetings have: the initiator. The others are fragile in most meetings, so
-- that a list that is read in its order finds them soon.
create index meeting_fragile_initiator_idx on meeting (id) where fragile & 64 <> 0;
