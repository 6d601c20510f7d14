-- What more can be asked of records, and in which orders: columns, indexes and index tables. `readout admin reindex`
-- fills them from the docs; the marks at the end have it run once after this migration.

-- Derived rows that are to be made anew from the docs.
create table reindex (
    collection smallint constraint reindex_pkey primary key
);

alter table meeting
    -- Whether lists have it.
    add column listed boolean not null generated always as (
        delete_time is null and merged_into is null and review <> 3
    ) stored,
    add column days daterange generated always as (
        case when date_from is not null then daterange(date_from, date_to, '[]') end
    ) stored,
    add column sort_date date not null generated always as (coalesce(date_from, '-infinity'::date)) stored,
    add column date_precision smallint not null default 0,
    add column place_locality text,
    add column announced_by text,
    add column announcer uuid,
    add column announce_days daterange,
    add column publish_date date,
    add column create_time timestamptz not null default now();
comment on column meeting.days is 'the days from the first to the last one, null where none is known';
comment on column meeting.sort_date is 'in the order of dates, what has none comes before all others';
comment on column meeting.date_precision is 'of the first day: 1 only the year is known, 2 the month, 3 the day; 0 none is';
comment on column meeting.place_locality is 'normalised key';
comment on column meeting.announced_by is 'normalised key';
comment on column meeting.announcer is 'the participant who announced it, where that is known';
comment on column meeting.publish_date is 'the first day on which an article that tells of it was published';

-- A span cannot be found by the order of its first or of its last day alone. SP-GiST takes a quarter of the time that
-- GiST takes to insert one. Those of ranges have the id with them, so that the smallest ids of many are found without
-- reading the rows.
drop index meeting_date_idx;
create index meeting_days_idx on meeting using spgist (days) include (id) where listed;
create index meeting_announce_days_idx on meeting using spgist (announce_days) include (id)
    where listed and announce_days is not null;
create index meeting_publish_date_idx on meeting (publish_date, id) where listed and publish_date is not null;
-- `order_by` date; and counts by year, month, kind and status, which need no row.
create index meeting_sort_idx on meeting (sort_date, id) include (date_precision, kind, status) where listed;
create index meeting_create_time_idx on meeting (create_time, id);
create index meeting_update_time_idx on meeting (update_time, id);
-- The filter and `order_by` independent_source_count.
create index meeting_source_count_idx on meeting (independent_source_count, id) where listed;
-- Nearly all have one report and were not reviewed: these are found in the order of names soon enough.
create index meeting_report_count_idx on meeting (report_count, id) where listed and report_count > 1;
create index meeting_reviewed_idx on meeting (id) where review = 2;
create index meeting_place_locality_idx on meeting (place_locality, id) where place_locality is not null;
create index meeting_announced_by_idx on meeting (announced_by, id) where announced_by is not null;
create index meeting_announcer_idx on meeting (announcer, id) where announcer is not null;
-- Conditions of which none is rare by itself, such as a kind and a month: what fulfils all of them is found in the order of
-- names, without reading the rows between.
create index meeting_listed_idx on meeting (id)
    include (days, kind, status, place_region, has_dispute, report_count, independent_source_count)
    where listed;

-- Participations as the account has them: for conditions on one of them, for who was together with whom, and for counts.
create table participation (
    meeting     uuid     not null,
    -- Its place in the account, from 0.
    number      integer  not null,
    participant uuid,
    region_code text,
    presence    smallint not null,
    seniority   smallint not null,
    roles       integer  not null,
    together    boolean  not null,
    day         date
);
comment on column participation.participant is 'null while it is unresolved';
comment on column participation.roles is 'bit r is set for the role of number r';
comment on column participation.together is 'PRESENT or REMOTE in a meeting that lists have; of somebody who is there twice, once';
comment on column participation.day is 'the first one of the meeting, null where none is known';
-- Those of a meeting, without reading the rows.
alter table participation
    add constraint participation_pkey primary key (meeting, number) include (participant, region_code, together, day);
-- The meetings at which somebody was together with others.
create index participation_together_idx on participation (participant, meeting) where together;

alter table meeting_region
    add column takes_part boolean not null default true;
comment on column meeting_region.takes_part is 'one of it is PRESENT, REMOTE or REPRESENTED; false: only others name it';
-- Meetings of two regions, of a region and a month, are found by lists alone: these have all that is asked of their rows.
alter table meeting_region
    drop constraint meeting_region_pkey,
    add constraint meeting_region_pkey primary key (region_code, meeting) include (takes_part);
alter table meeting_participant
    drop constraint meeting_participant_pkey,
    add constraint meeting_participant_pkey primary key (participant, meeting) include (settled);

-- Roles (100 + number), seniorities (200 + number) and presences but PRESENT (300 + number) that occur in a meeting. Of a
-- rare one it has the meetings in the order of names, each once, which rows of participations do not.
create table meeting_trait (
    trait   smallint not null,
    meeting uuid     not null,
    constraint meeting_trait_pkey primary key (trait, meeting)
);

alter table article
    add column create_time timestamptz not null default now(),
    add column sort_date date not null generated always as (coalesce(publish_from, '-infinity'::date)) stored;
comment on column article.sort_date is 'in the order of dates, what has none comes before all others';
drop index article_publish_idx;
create index article_publish_idx on article (publish_from, publish_to, id) where delete_time is null;
create index article_sort_idx on article (sort_date, id) where delete_time is null;
create index article_create_time_idx on article (create_time, id);
create index article_update_time_idx on article (update_time, id);

create index participant_create_time_idx on participant (create_time, id);
create index participant_update_time_idx on participant (update_time, id);

insert into reindex (collection)
select 2 where exists (select from article)
union all
select 4 where exists (select from meeting);
