-- Who made each revision, when and why. The row of a record says so of its current revision, superseded of those before
-- it. What instances of the release before write meanwhile has the defaults.

alter table participant
    add column update_time timestamptz not null default now(),
    add column change_kind smallint    not null default 0,
    add column actor       text        not null default '',
    add column request_id  text        not null default '',
    add column reason      text        not null default '';
alter table article
    add column update_time timestamptz not null default now(),
    add column change_kind smallint    not null default 0,
    add column actor       text        not null default '',
    add column request_id  text        not null default '',
    add column reason      text        not null default '';
alter table report
    add column update_time timestamptz not null default now(),
    add column change_kind smallint    not null default 0,
    add column actor       text        not null default '',
    add column request_id  text        not null default '',
    add column reason      text        not null default '';
alter table meeting
    add column update_time timestamptz not null default now(),
    add column change_kind smallint    not null default 0,
    add column actor       text        not null default '',
    add column request_id  text        not null default '',
    add column reason      text        not null default '';
alter table superseded
    add column update_time timestamptz not null default now(),
    add column change_kind smallint    not null default 0,
    add column actor       text        not null default '',
    add column request_id  text        not null default '',
    add column reason      text        not null default '',
    add column meeting     uuid;
comment on column superseded.update_time is 'that of the doc: the revision is what was to be read from then until the next one';
comment on column superseded.change_kind is 'readout.v1.Change.Kind of the write that made the revision; 0 where it is not known any more';
comment on column superseded.actor is 'who asked for that write; empty where it is not known any more';
comment on column superseded.request_id is 'the caller''s id for it; empty without one';
comment on column superseded.reason is 'why; empty where no reason was given';
comment on column superseded.meeting is 'the meeting that a report told of in this revision; null for all that is no report';

-- The docs that are there have it in field 5, behind a name, an etag, a revision and another time. They are read as far
-- as that: a field is a tag and a number, or a tag, a length and so many bytes.
create function read_varint(doc bytea, inout at int, out value bigint) as $$
declare
    part  int;
    shift int := 0;
begin
    value := 0;
    loop
        part := get_byte(doc, at);
        at := at + 1;
        value := value | ((part & 127)::bigint << shift);
        exit when part < 128;
        shift := shift + 7;
    end loop;
end
$$ language plpgsql immutable;

create function read_time(doc bytea) returns timestamptz as $$
declare
    at      int    := 0;
    upto    int    := length(doc);
    seconds bigint := 0;
    nanos   bigint := 0;
    inside  bool   := false;
    tag     bigint;
    number  bigint;
begin
    while at < upto loop
        select one.at, one.value into at, tag from read_varint(doc, at) as one;
        select one.at, one.value into at, number from read_varint(doc, at) as one;
        if inside then
            if tag = 8 then seconds := number; else nanos := number; end if;
        elsif tag >> 3 = 5 then
            inside := true;
            upto := at + number;
        elsif tag & 7 = 2 then
            at := at + number;
        end if;
    end loop;
    return to_timestamp(seconds) + nanos / 1000 * interval '1 microsecond';
end
$$ language plpgsql immutable;

-- What the feed still has of them says who made them.
update participant as one
set update_time = read_time(substring(one.doc for 200)),
    change_kind = coalesce(known.kind, 0),
    actor = coalesce(known.actor, ''),
    request_id = coalesce(known.request_id, '')
from participant as record
left join change as known
    on known.collection = 1 and known.id = record.id and known.revision = record.revision
where record.id = one.id;

update article as one
set update_time = read_time(substring(one.doc for 200)),
    change_kind = coalesce(known.kind, 0),
    actor = coalesce(known.actor, ''),
    request_id = coalesce(known.request_id, '')
from article as record
left join change as known
    on known.collection = 2 and known.id = record.id and known.revision = record.revision
where record.id = one.id;

update report as one
set update_time = read_time(substring(one.doc for 200)),
    change_kind = coalesce(known.kind, 0),
    actor = coalesce(known.actor, ''),
    request_id = coalesce(known.request_id, '')
from report as record
left join change as known
    on known.collection = 3 and known.id = record.id and known.revision = record.revision
where record.id = one.id;

update meeting as one
set update_time = read_time(substring(one.doc for 200)),
    change_kind = coalesce(known.kind, 0),
    actor = coalesce(known.actor, ''),
    request_id = coalesce(known.request_id, '')
from meeting as record
left join change as known
    on known.collection = 4 and known.id = record.id and known.revision = record.revision
where record.id = one.id;

-- No report has moved to another meeting so far.
update superseded as one
set update_time = read_time(substring(one.doc for 200)),
    change_kind = coalesce(known.kind, 0),
    actor = coalesce(known.actor, ''),
    request_id = coalesce(known.request_id, ''),
    meeting = report.meeting
from superseded as record
left join change as known
    on known.collection = record.collection and known.id = record.id and known.revision = record.revision
left join report
    on record.collection = 3 and report.id = record.id
where record.collection = one.collection and record.id = one.id and record.revision = one.revision;

drop function read_time, read_varint;

-- A read with read_time: the newest revision of a record at that time.
create index superseded_time_idx on superseded (collection, id, update_time desc, revision desc);
-- The reports of a meeting at that time, of which some may have moved away since.
create index superseded_meeting_idx on superseded (meeting, id) where meeting is not null;
