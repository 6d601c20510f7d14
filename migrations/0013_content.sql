-- Equal content has one hash, and a settled account one version of the rule.

-- A hash of version 1 depends on the spelling of a report. It cannot be computed again from the doc, which has names in
-- place of a story's keys, so the service compares such reports by content. Adding the column rewrites no row.
alter table report
    add column content_version smallint not null default 1;
comment on column report.content_version is 'the version of the rule that made content_hash (src/model/report.rs)';

alter table meeting
    add column settle_version smallint not null default 1;
comment on column meeting.settle_version is 'as in the doc; 1 for a meeting that was there before this column';

-- The query of the settler for meetings that an older rule settled.
create index meeting_settle_version_idx on meeting (settle_version, id);

-- Requests are in Unicode NFC, so an external id is found by that form of its value. If another participant has that form
-- already, the id keeps finding that participant.
insert into participant_external_id (scheme, value, participant)
select scheme, normalize(value, nfc), participant
from participant_external_id
where current_setting('server_encoding') = 'UTF8'
  and value is not nfc normalized
on conflict on constraint participant_external_id_pkey do nothing;

delete from participant_external_id
where current_setting('server_encoding') = 'UTF8'
  and value is not nfc normalized;

-- Likewise the column of the filter `section`.
update article
set section = normalize(section, nfc)
where current_setting('server_encoding') = 'UTF8'
  and section is not null
  and section is not nfc normalized;
