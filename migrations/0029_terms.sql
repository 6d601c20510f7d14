-- Terms: the hashes of the texts and labels that filters compare in whole (src/model/query/filter/terms.rs). One index
-- of a collection serves all of them. `readout migrate` fills them in.

alter table meeting
    add column terms bigint[] not null default '{}',
    add column start_time timestamptz,
    add column delegation_sizes integer[];
comment on column meeting.terms is 'hashes of its title, venue and labels, and of the names, ranks and offices of its participations';
comment on column meeting.start_time is 'instant of the beginning; null without a full day, a time of day and a time zone';
comment on column meeting.delegation_sizes is 'the stated numbers of members of its delegations; null if none is stated';

alter table participation
    add column terms bigint[] not null default '{}';
comment on column participation.terms is 'hashes of the name as written, the rank, and the title and organization of the office';

alter table participant
    add column terms bigint[] not null default '{}';
comment on column participant.terms is 'hashes of its labels';

alter table article
    add column terms bigint[] not null default '{}';
comment on column article.terms is 'hashes of its title and labels';

create index meeting_terms_idx on meeting using gin (terms);
create index participant_terms_idx on participant using gin (terms);
create index article_terms_idx on article using gin (terms);

-- Few meetings have a time of day, or a stated number of members.
create index meeting_start_time_idx on meeting (start_time, id) where start_time is not null;
create index meeting_delegation_sizes_idx on meeting (id) where delegation_sizes is not null;

insert into reindex (collection)
select 1 where exists (select from participant)
union all
select 2 where exists (select from article)
union all
select 4 where exists (select from meeting)
on conflict on constraint reindex_pkey do update set done = null;
