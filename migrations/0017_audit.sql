-- The audit log: calls that wrote or were refused for their credentials, uses of tokens, and reads on request.
--
-- The event of a write is inserted in the transaction of the write, while the feed's lock is held. The other events are
-- inserted under the same lock, in batches. So events become visible in the order of their keys, and a reader who
-- continues after the last key that it has seen misses none.
--
-- There is one index. Each further one would make every write slower. A page of the log examines a bounded number of
-- events in the order of the key, and its filter is applied to those.

create table audit_event (
    id         bigint      generated always as identity,
    time       timestamptz not null,
    principal  text        not null,
    peer       text        not null,
    method     text        not null,
    names      text[]      not null,
    reason     text        not null,
    outcome    text        not null,
    request_id text        not null,
    count      bigint      not null default 1 constraint audit_event_count_check check (count > 0),
    constraint audit_event_pkey primary key (time, id)
);
comment on table audit_event is 'calls by caller, method and outcome; only count changes, while the minute of a refusal lasts';
comment on index audit_event_pkey is 'pages of the audit log, its retention, and the counts of refusals';
comment on column audit_event.time is 'the time of the insert; it never decreases with id';
comment on column audit_event.principal is 'the name of the caller; the address or network of a caller whose credentials do not hold';
comment on column audit_event.peer is 'the address of the caller; empty if the event has none';
comment on column audit_event.method is 'the full name of the method, such as readout.v1.MeetingService/GetMeeting';
comment on column audit_event.names is 'the records that the call wrote or asked for, and for a token its principal and name';
comment on column audit_event.outcome is 'OK, or the reason of the error';
comment on column audit_event.request_id is 'the request_id of the request; that of the call if the request has none';
comment on column audit_event.count is 'the number of calls that the event stands for';

alter table token add column first_use_time timestamptz;
comment on column token.first_use_time is 'when a service first admitted its holder; null before';
